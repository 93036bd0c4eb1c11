package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// Stream is the cursor of one stream: how far it is folded, and the receipt
// numbers that it has used. It changes in the transaction that stores the
// events, so that a crash can neither repeat nor skip one.
type Stream struct {
	Seq  protocol.Seq
	Hash protocol.Hash
	// Reissued says that another stream logged events of this one again, so
	// that each event must be looked up before it is folded.
	Reissued  bool
	Closed    bool
	registers []register
}

// register is the last receipt number of one till and series.
type register struct {
	till   protocol.TillID
	series string
	last   uint64
}

// LastReceipt is the last receipt number used, 0 for none.
func (s *Stream) LastReceipt(till protocol.TillID, series string) uint64 {
	for _, r := range s.registers {
		if r.till == till && r.series == series {
			return r.last
		}
	}
	return 0
}

// raise keeps the registers in order, so that the row does not depend on the
// order in which they came.
func (s *Stream) raise(till protocol.TillID, series string, n uint64) {
	r := register{till, series, n}
	i, found := slices.BinarySearchFunc(s.registers, r, compareRegisters)
	if !found {
		s.registers = slices.Insert(s.registers, i, r)
	}
	s.registers[i].last = max(s.registers[i].last, n)
}

func compareRegisters(a, b register) int {
	return cmp.Or(cmp.Compare(a.till, b.till), cmp.Compare(a.series, b.series))
}

// What rows of streams mostly take.
const (
	streamRoomBytes   = 64
	registerRoomBytes = 32
)

// Encode writes the stream's row.
func (s *Stream) Encode() []byte {
	f := make(fields, 0, streamRoomBytes+registerRoomBytes*len(s.registers))
	f.uint(1, uint64(s.Seq))
	if s.Seq > 0 {
		f.bytes(2, s.Hash[:])
	}
	f.bool(3, s.Reissued)
	f.bool(4, s.Closed)
	var room [registerRoomBytes]byte
	for _, r := range s.registers {
		g := fields(room[:0])
		g.text(1, string(r.till))
		g.text(2, r.series)
		g.uint(3, r.last)
		f.element(5, g)
	}
	if len(f) == 0 {
		return nil
	}
	return f
}

// decodeStream reads what Encode wrote; no bytes are a stream without events.
func decodeStream(b []byte) (*Stream, error) {
	s := &Stream{}
	err := decodeFields("stream", b, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			s.Seq = protocol.Seq(v.num)
		case 2:
			if len(v.data) != len(s.Hash) {
				return fmt.Errorf("hash of %d bytes", len(v.data))
			}
			copy(s.Hash[:], v.data)
		case 3:
			s.Reissued = v.num != 0
		case 4:
			s.Closed = v.num != 0
		case 5:
			r, err := decodeRegister(v.data)
			if err != nil {
				return err
			}
			s.registers = append(s.registers, r)
		}
		return nil
	})
	slices.SortFunc(s.registers, compareRegisters)
	return s, err
}

func decodeRegister(b []byte) (register, error) {
	var r register
	err := decodeFields("register", b, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			r.till = protocol.TillID(v.data)
		case 2:
			r.series = v.text()
		case 3:
			r.last = v.num
		}
		return nil
	})
	return r, err
}
