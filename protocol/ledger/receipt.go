package ledger

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// Receipt is what the ledger knows of one receipt number: the event that
// printed it, and every event that reverses it. Reversals may be folded before
// the sale itself, when they come from another stream.
type Receipt struct {
	Store    protocol.StoreID
	Agent    protocol.AgentID
	Event    protocol.EventID // zero until the sale itself is folded
	Type     protocol.SaleType
	Sold     []protocol.Quantity // by line
	Returned []protocol.Quantity // by line, above zero
	// Reversals are the voids and returns that name this receipt, by event.
	Reversals []Reversal
	// Twins are further events that claim the same number.
	Twins []protocol.EventID
}

// Reversal is one event that reverses a receipt.
type Reversal struct {
	Event protocol.EventID
	Void  bool
}

// Known tells whether the sale itself is folded.
func (r *Receipt) Known() bool { return !r.Event.IsZero() }

// Voided tells whether a void names the receipt.
func (r *Receipt) Voided() bool {
	return slices.ContainsFunc(r.Reversals, func(v Reversal) bool { return v.Void })
}

// ReturnedOf is how much of a line, counted from 0, came back.
func (r *Receipt) ReturnedOf(line int) protocol.Quantity {
	if line < len(r.Returned) {
		return r.Returned[line]
	}
	return 0
}

func compareIDs(a, b protocol.EventID) int {
	if c := bytes.Compare(a.Inc[:], b.Inc[:]); c != 0 {
		return c
	}
	return cmp.Compare(a.Seq, b.Seq)
}

// claim makes id the event of the receipt. Of two events with one number the
// smaller id stands, so that the order of arrival does not matter.
func (r *Receipt) claim(id protocol.EventID, o protocol.Origin, s *protocol.Sale) {
	if r.Known() && r.Event != id {
		twin := id
		if compareIDs(id, r.Event) < 0 {
			twin = r.Event
		}
		if i, found := slices.BinarySearchFunc(r.Twins, twin, compareIDs); !found {
			r.Twins = slices.Insert(r.Twins, i, twin)
		}
		if twin == id {
			return
		}
	}
	if r.Event == id {
		r.merge(s)
		return
	}
	r.Event, r.Store, r.Agent, r.Type = id, o.Store, o.Agent, s.Type
	r.Sold = slices.Grow(r.Sold[:0], len(s.Lines))
	for i := range s.Lines {
		r.Sold = append(r.Sold, s.Lines[i].Quantity)
	}
}

// merge takes over another body under the receipt's event id, which a machine
// and its copy wrote. Of each line the larger quantity stands, whichever came
// first.
func (r *Receipt) merge(s *protocol.Sale) {
	r.Type = min(r.Type, s.Type)
	for i, l := range s.Lines {
		if i < len(r.Sold) {
			r.Sold[i] = max(r.Sold[i], l.Quantity)
		} else {
			r.Sold = append(r.Sold, l.Quantity)
		}
	}
}

// reverse records an event that reverses the receipt.
func (r *Receipt) reverse(id protocol.EventID, s *protocol.Sale) {
	v := Reversal{Event: id, Void: s.Type == protocol.SaleVoid}
	i, found := slices.BinarySearchFunc(r.Reversals, id, func(v Reversal, id protocol.EventID) int { return compareIDs(v.Event, id) })
	if found {
		// Another body under one id, of a machine and its copy: both count.
		r.Reversals[i].Void = r.Reversals[i].Void || v.Void
	} else {
		r.Reversals = slices.Insert(r.Reversals, i, v)
	}
	if v.Void {
		return
	}
	for _, l := range s.Lines {
		if l.OriginalLine == 0 || l.OriginalLine > linesMax {
			continue
		}
		for len(r.Returned) < int(l.OriginalLine) {
			r.Returned = append(r.Returned, 0)
		}
		r.Returned[l.OriginalLine-1] -= l.Quantity
	}
}

// linesMax bounds the line numbers of a receipt.
const linesMax = 2000

// broken names the rules that the receipt's events break together, once the
// sale itself is folded. It depends on the receipt alone, so every order of
// folding finds the same in the end.
func (r *Receipt) broken() map[string][]protocol.EventID {
	if !r.Known() {
		return nil
	}
	voids, returns := []protocol.EventID(nil), []protocol.EventID(nil)
	for _, v := range r.Reversals {
		if v.Void {
			voids = append(voids, v.Event)
		} else {
			returns = append(returns, v.Event)
		}
	}
	found := map[string][]protocol.EventID{}
	if len(r.Twins) > 0 {
		found[ExceptionReceiptTwice] = append([]protocol.EventID{r.Event}, r.Twins...)
	}
	if len(voids) > 1 {
		found[ExceptionVoidTwice] = voids
	}
	if len(voids) > 0 && len(returns) > 0 {
		found[ExceptionVoidAndReturn] = append(voids, returns...)
	}
	for i, q := range r.Returned {
		if i >= len(r.Sold) || q > r.Sold[i] {
			found[ExceptionOverReturn] = returns
		}
	}
	return found
}

// Encode writes the receipt's row.
func (r *Receipt) Encode() []byte {
	f := make(fields, 0, 64+len(r.Store)+len(r.Agent)+4*len(r.Sold)+32*(len(r.Reversals)+len(r.Twins)))
	f.text(1, string(r.Store))
	f.text(2, string(r.Agent))
	if r.Known() {
		f.id(3, r.Event)
	}
	f.text(4, string(r.Type))
	f.quantities(5, r.Sold)
	f.quantities(6, r.Returned)
	for _, v := range r.Reversals {
		num := protowire.Number(7)
		if v.Void {
			num = 8
		}
		f.id(num, v.Event)
	}
	for _, id := range r.Twins {
		f.id(9, id)
	}
	if len(f) == 0 {
		return nil
	}
	return f
}

func decodeReceipt(b []byte) (*Receipt, error) {
	r := &Receipt{}
	err := decodeFields("receipt", b, func(num protowire.Number, v value) (err error) {
		switch num {
		case 1:
			r.Store = protocol.StoreID(v.data)
		case 2:
			r.Agent = protocol.AgentID(v.data)
		case 3:
			r.Event, err = decodeID(v.data)
		case 4:
			r.Type = protocol.SaleType(v.data)
		case 5:
			r.Sold, err = decodeQuantities(v.data)
		case 6:
			r.Returned, err = decodeQuantities(v.data)
		case 7, 8:
			rev := Reversal{Void: num == 8}
			rev.Event, err = decodeID(v.data)
			r.Reversals = append(r.Reversals, rev)
		case 9:
			var id protocol.EventID
			id, err = decodeID(v.data)
			r.Twins = append(r.Twins, id)
		}
		return err
	})
	slices.SortFunc(r.Reversals, func(a, b Reversal) int { return compareIDs(a.Event, b.Event) })
	return r, err
}

func encodeID(id protocol.EventID) []byte {
	return protowire.AppendVarint(append([]byte(nil), id.Inc[:]...), uint64(id.Seq))
}

func decodeID(b []byte) (protocol.EventID, error) {
	var id protocol.EventID
	if len(b) < len(id.Inc) {
		return id, fmt.Errorf("event id of %d bytes", len(b))
	}
	copy(id.Inc[:], b)
	seq, n := protowire.ConsumeVarint(b[len(id.Inc):])
	if n < 0 {
		return id, protowire.ParseError(n)
	}
	id.Seq = protocol.Seq(seq)
	return id, nil
}

// id writes the id of an event.
func (f *fields) id(num protowire.Number, id protocol.EventID) {
	var room [len(id.Inc) + binary.MaxVarintLen64]byte
	f.element(num, protowire.AppendVarint(append(room[:0], id.Inc[:]...), uint64(id.Seq)))
}

// quantities writes a list of quantities, or nothing where it is empty.
func (f *fields) quantities(num protowire.Number, list []protocol.Quantity) {
	var room [64]byte
	b := room[:0]
	for _, q := range list {
		b = protowire.AppendVarint(b, protowire.EncodeZigZag(int64(q)))
	}
	f.bytes(num, b)
}

func decodeQuantities(b []byte) ([]protocol.Quantity, error) {
	var list []protocol.Quantity
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		list, b = append(list, protocol.Quantity(protowire.DecodeZigZag(v))), b[n:]
	}
	return list, nil
}
