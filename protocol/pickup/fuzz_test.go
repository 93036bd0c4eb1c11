package pickup_test

import (
	"bytes"
	"testing"

	"counterpart/protocol/pickup"
)

// FuzzDecodePart: whatever the bytes, a part or an error, and a part that says
// the same after another round.
func FuzzDecodePart(f *testing.F) {
	for seed := range uint64(5) {
		h := newHistory(&testing.T{}, seed)
		for range 20 {
			h.step()
		}
		f.Add(h.view(hub).Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := pickup.DecodePart(b)
		if err != nil {
			return
		}
		s := p.State()
		s.Owed()
		p.Broken()
		row := p.Encode()
		again, err := pickup.DecodePart(row)
		if err != nil || !bytes.Equal(again.Encode(), row) {
			t.Fatalf("%x becomes %x: %v", b, row, err)
		}
	})
}
