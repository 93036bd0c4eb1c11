package protocol

import (
	"encoding/binary"

	"counterpart/protocol/wire"
)

// sumsBytes is the size of encoded sums.
const sumsBytes = SumBuckets * 2 * 8

// AppendTo appends the sums, each half as a big-endian 64-bit integer.
func (s *Sums) AppendTo(b []byte) []byte {
	for _, sum := range s {
		b = binary.BigEndian.AppendUint64(b, sum[0])
		b = binary.BigEndian.AppendUint64(b, sum[1])
	}
	return b
}

// SumsFromBytes reads what AppendTo wrote; ok is false for anything else.
func SumsFromBytes(b []byte) (s Sums, ok bool) {
	if len(b) != sumsBytes {
		return s, false
	}
	for i := range s {
		s[i][0] = binary.BigEndian.Uint64(b[16*i:])
		s[i][1] = binary.BigEndian.Uint64(b[16*i+8:])
	}
	return s, true
}

// checkDigest checks that a digest moves nothing, so that what it says of the
// moment before it holds behind it as well.
func checkDigest(c *check, e *Event) {
	if len(e.Moves) != 0 {
		c.failf("a digest has %d moves", len(e.Moves))
	}
	c.count("streams", len(e.Digest.Streams), RowsMax)
	for _, pos := range e.Digest.Streams {
		if pos.Inc.IsZero() {
			c.failf("a stream of a digest has no name")
		}
	}
}

func encodeOwnDigest(d *OwnDigest) *wire.OwnDigest {
	w := &wire.OwnDigest{Fold: d.Fold, Streams: list[*wire.StreamPos](len(d.Streams)), Sums: d.Sums.AppendTo(nil)}
	for i := range d.Streams {
		w.Streams[i] = encodeStreamPos(&d.Streams[i])
	}
	return w
}

func decodeOwnDigest(c *check, w *wire.OwnDigest) *OwnDigest {
	c.count("streams", len(w.Streams), RowsMax)
	sums, ok := SumsFromBytes(w.Sums)
	if !ok {
		c.failf("sums of %d bytes", len(w.Sums))
	}
	if c.err != nil {
		return nil
	}
	d := &OwnDigest{Fold: w.Fold, Streams: list[StreamPos](len(w.Streams)), Sums: sums}
	for i, pos := range w.Streams {
		d.Streams[i] = decodeStreamPos(c, pos)
	}
	return d
}
