package protocol

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"
)

// What a frame holds at most.
const (
	FrameEventsMax = 256
	// FrameBytesMax bounds a frame of more than one event. One event alone may
	// make a larger frame, because it must travel somehow.
	FrameBytesMax = 128 << 10
	// FrameUnpackedBytesMax bounds a frame's content, so that a small frame
	// cannot fill a receiver's memory. The largest record fits four times.
	FrameUnpackedBytesMax = 4 << 20
	// FrameDictionary is the zstd dictionary id that is reserved for a
	// dictionary to come. Frames of this version name none.
	FrameDictionary = 0x43500001

	frameSlackBytes = 4 << 10 // what the largest record's frame adds to its bytes
)

// The fields of the message Frame, which is read and written by hand so that
// bodies are copied once and a hostile frame costs no more than its content.
const (
	frameWall   protowire.Number = 1
	frameDrift  protowire.Number = 2
	frameBodies protowire.Number = 3
)

var errFrame = errors.New("frame is malformed")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// FrameChecksum is the CRC-32C of a frame as a Batch carries it.
func FrameChecksum(frame []byte) uint32 { return crc32.Checksum(frame, castagnoli) }

// The packer and the unpacker are shared and safe for concurrent use. Neither
// starts a goroutine for whole frames. Slower levels save one byte in fifty.
var (
	packer = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	})
	unpacker = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(FrameUnpackedBytesMax),
			zstd.WithDecoderLowmem(true))
	})
)

// EncodeFrame packs 1 to FrameEventsMax records. It refuses more than one
// record that together exceed FrameBytesMax; CutFrame finds how many fit.
func EncodeFrame(records []Record) ([]byte, error) {
	if n := fitting(records); n == 0 || n < len(records) {
		return nil, fmt.Errorf("%d records do not fit into a frame", len(records))
	}
	frame, err := pack(records)
	if err != nil {
		return nil, err
	}
	if len(records) > 1 && len(frame) > FrameBytesMax {
		return nil, fmt.Errorf("%d records make a frame of %d bytes", len(records), len(frame))
	}
	return frame, nil
}

// CutFrame packs the longest beginning of records that a frame holds, and tells
// how many they are: none only if there are none. A single record is packed
// however large its frame becomes.
func CutFrame(records []Record) (frame []byte, n int, err error) {
	if len(records) == 0 {
		return nil, 0, nil
	}
	most := fitting(records)
	if most == 0 {
		return nil, 0, fmt.Errorf("a record of %d bytes is too large", RecordHeaderBytes+len(records[0].Body))
	}
	if frame, err = pack(records[:most]); err != nil || most == 1 || len(frame) <= FrameBytesMax {
		return frame, most, err
	}
	// Least is known to fit, or is a single record; most is known not to.
	least := 1
	if frame, err = pack(records[:1]); err != nil {
		return nil, 0, err
	}
	for most-least > 1 {
		middle := least + (most-least)/2
		tried, err := pack(records[:middle])
		if err != nil {
			return nil, 0, err
		}
		if len(tried) <= FrameBytesMax {
			frame, least = tried, middle
		} else {
			most = middle
		}
	}
	return frame, least, nil
}

// fitting is how many of the first records a frame may hold by their number and
// content, before packing.
func fitting(records []Record) int {
	unpacked := 0
	for i := range records {
		size := RecordHeaderBytes + len(records[i].Body)
		if size > EventBytesMax {
			return i
		}
		// Tag, length and clocks of a record take at most 26 bytes.
		unpacked += len(records[i].Body) + 32
		if i == FrameEventsMax || i > 0 && unpacked > FrameUnpackedBytesMax-64 {
			return i
		}
	}
	return len(records)
}

func pack(records []Record) ([]byte, error) {
	encoder, err := packer()
	if err != nil {
		return nil, fmt.Errorf("pack a frame: %w", err)
	}
	size := 64
	for i := range records {
		size += len(records[i].Body) + 32
	}
	b := make([]byte, 0, size)
	var columns [FrameEventsMax * 10]byte
	wall, drift, last, lastDrift := columns[:0], []byte(nil), int64(0), int64(0)
	for i := range records {
		wall = protowire.AppendVarint(wall, protowire.EncodeZigZag(records[i].WallMs-last))
		last = records[i].WallMs
	}
	b = protowire.AppendTag(b, frameWall, protowire.BytesType)
	b = protowire.AppendBytes(b, wall)
	drift = columns[:0]
	for i := range records {
		d := records[i].MonoMs - records[i].WallMs
		drift = protowire.AppendVarint(drift, protowire.EncodeZigZag(d-lastDrift))
		lastDrift = d
	}
	b = protowire.AppendTag(b, frameDrift, protowire.BytesType)
	b = protowire.AppendBytes(b, drift)
	for i := range records {
		b = protowire.AppendTag(b, frameBodies, protowire.BytesType)
		b = protowire.AppendBytes(b, records[i].Body)
	}
	return encoder.EncodeAll(b, make([]byte, 0, len(b)/4)), nil
}

// DecodeFrame unpacks a frame of count records. It is total: whatever the
// bytes, it returns count records, byte for byte as they were packed, or an
// error. Records share one buffer, which none of them overwrites.
func DecodeFrame(frame []byte, count uint32) ([]Record, error) {
	switch {
	case count == 0 || count > FrameEventsMax:
		return nil, fmt.Errorf("a frame of %d events is out of range", count)
	case count > 1 && len(frame) > FrameBytesMax, len(frame) > EventBytesMax+frameSlackBytes:
		return nil, fmt.Errorf("a frame of %d bytes is too large for %d events", len(frame), count)
	}
	decoder, err := unpacker()
	if err != nil {
		return nil, fmt.Errorf("unpack a frame: %w", err)
	}
	b, err := decoder.DecodeAll(frame, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack a frame: %w", err)
	}
	return unpackRecords(b, int(count))
}

// unpackRecords reads the message Frame. The bodies alias b.
func unpackRecords(b []byte, count int) ([]Record, error) {
	records := make([]Record, count)
	walls, drifts, bodies := 0, 0, 0
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, errFrame
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return nil, errFrame
		}
		value := b[:n]
		b = b[n:]
		if number > frameBodies {
			continue // of a later version
		}
		if kind != protowire.BytesType {
			return nil, errFrame
		}
		value, _ = protowire.ConsumeBytes(value)
		switch number {
		case frameWall:
			walls += unpackColumn(value, func(i int, v int64) { records[i].WallMs = v }, count)
		case frameDrift:
			drifts += unpackColumn(value, func(i int, v int64) { records[i].MonoMs = v }, count)
		case frameBodies:
			if bodies == count || RecordHeaderBytes+len(value) > EventBytesMax {
				return nil, errFrame
			}
			records[bodies].Body = value[:len(value):len(value)]
			bodies++
		}
	}
	if walls != count || drifts != count || bodies != count {
		return nil, fmt.Errorf("%w: it does not hold %d events", errFrame, count)
	}
	for i := range records {
		records[i].MonoMs += records[i].WallMs
	}
	return records, nil
}

// unpackColumn hands each value of a column of differences to set, and returns
// how many there are; a column with more than n or malformed values counts as n+1.
func unpackColumn(b []byte, set func(i int, v int64), n int) int {
	sum, i := int64(0), 0
	for ; len(b) > 0; i++ {
		v, size := protowire.ConsumeVarint(b)
		if size < 0 || i == n {
			return n + 1
		}
		b = b[size:]
		sum += protowire.DecodeZigZag(v)
		set(i, sum)
	}
	return i
}
