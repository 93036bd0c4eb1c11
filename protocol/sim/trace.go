package sim

import (
	"encoding/binary"
	"time"
)

// trace is a hash of everything that happened. Two runs of one plan with one
// build have the same.
type trace struct {
	sum   uint64 // of every input and output, to the byte
	shape uint64 // of who did what when, without what wall clocks leave in bytes
}

const tracePrime = 0x9e3779b97f4a7c15

func mix(h, v uint64) uint64 {
	h = (h ^ v) * tracePrime
	return h ^ h>>29
}

// mark adds that who did something of a kind, which a number tells more of.
func (t *trace) mark(kind byte, who int, now time.Duration, n uint64) {
	v := mix(mix(uint64(kind)<<8|uint64(who&0xff), uint64(now)), n)
	t.sum, t.shape = mix(t.sum, v), mix(t.shape, v)
}

// bytes adds contents.
func (t *trace) bytes(b []byte) {
	t.sum = mix(t.sum, fingerprint(b))
}

// fingerprint is a quick hash of bytes.
func fingerprint(b []byte) uint64 {
	h := uint64(len(b)) + 1
	for ; len(b) >= 8; b = b[8:] {
		h = mix(h, binary.LittleEndian.Uint64(b))
	}
	for _, c := range b {
		h = mix(h, uint64(c))
	}
	return h
}
