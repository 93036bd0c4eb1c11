package pickup

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"counterpart/protocol"
)

// OverReturn says that more came back of an order than was handed over.
const OverReturn = "order_over_return"

// Returns are the receipts by which goods of an order came back, in whatever
// store: a set of events. They are reckoned by item, since a store that does not
// keep the order cannot know its lines.
type Returns struct {
	entries []returned // by event, content
}

type returned struct {
	id  protocol.EventID
	row []byte
	protocol.Sale
}

func compareReturned(a, b returned) int {
	return cmp.Or(bytes.Compare(a.id.Inc[:], b.id.Inc[:]), cmp.Compare(a.id.Seq, b.id.Seq), bytes.Compare(a.row, b.row))
}

// ReturnOf is the order whose goods a receipt takes back, empty for none.
func ReturnOf(s *protocol.Sale) protocol.OrderID {
	if s == nil || s.Type != protocol.SaleReturn || s.Training {
		return ""
	}
	return s.ReturnedOrder
}

// PaidBackOnline is what of a return the shop pays back, the way it was paid: the
// payments that name the order.
func PaidBackOnline(s *protocol.Sale) (sum protocol.Money) {
	for _, t := range s.Tenders {
		if t.Ref != "" && t.Ref == string(s.ReturnedOrder) {
			sum -= t.Amount
		}
	}
	return sum
}

// Add notes a return. One that is there already changes nothing.
func (r *Returns) Add(id protocol.EventID, s *protocol.Sale) {
	e := returned{id: id}
	e.row = protowire.AppendVarint(append(e.row, id.Inc[:]...), uint64(id.Seq))
	for i := range s.Lines {
		l := &s.Lines[i]
		e.Lines = append(e.Lines, protocol.SaleLine{Item: protocol.ItemRef{SKU: l.Item.SKU}, Quantity: -l.Quantity})
		e.row = protowire.AppendString(e.row, string(l.Item.SKU))
		e.row = protowire.AppendVarint(e.row, protowire.EncodeZigZag(int64(-l.Quantity)))
	}
	if i, found := slices.BinarySearchFunc(r.entries, e, compareReturned); !found {
		r.entries = slices.Insert(r.entries, i, e)
	}
}

// Keep drops all returns but those for whose event keep says so.
func (r *Returns) Keep(keep func(protocol.EventID) bool) {
	r.entries = slices.DeleteFunc(r.entries, func(e returned) bool { return !keep(e.id) })
}

// Events are the returns.
func (r *Returns) Events() (ids []protocol.EventID) {
	for i := range r.entries {
		ids = append(ids, r.entries[i].id)
	}
	return ids
}

// Of is how much of an item came back.
func (r *Returns) Of(sku protocol.SKU) (q protocol.Quantity) {
	for i := range r.entries {
		for _, l := range r.entries[i].Lines {
			if l.Item.SKU == sku {
				q += l.Quantity
			}
		}
	}
	return q
}

// Over tells whether more came back than was handed over by the parts that are
// known here. What a part elsewhere stands in for may have been handed over
// there. Where no part is known nobody can tell, nor where that part may have
// brought substitutes.
func (r *Returns) Over(parts []State) bool {
	known, replaced := false, map[uint32]bool{}
	for i := range parts {
		if o := parts[i].Order; o != nil {
			known, replaced[o.InsteadOf] = true, true
		}
	}
	if !known {
		return false
	}
	handed := map[protocol.SKU]protocol.Quantity{}
	for i := range parts {
		s := &parts[i]
		if s.Order == nil {
			continue
		}
		if !replaced[s.Order.Part] && s.Order.Substitutes && some(s.Elsewhere) {
			return false
		}
		for i, q := range s.Handed {
			handed[s.slot(i).item] += q
		}
		for line := range s.Order.Lines {
			if !replaced[s.Order.Part] {
				handed[s.Order.Lines[line].Item.SKU] += s.Elsewhere[line]
			}
		}
	}
	for i := range r.entries {
		for _, l := range r.entries[i].Lines {
			if r.Of(l.Item.SKU) > handed[l.Item.SKU] {
				return true
			}
		}
	}
	return false
}

// Encode writes the row; the same set always gives the same bytes.
func (r *Returns) Encode() []byte {
	var b []byte
	for i := range r.entries {
		b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), r.entries[i].row)
	}
	return b
}

// DecodeReturns reads what Encode wrote. No bytes are an order of which nothing
// came back; fields of later versions are skipped.
func DecodeReturns(b []byte) (*Returns, error) {
	r := &Returns{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, fmt.Errorf("returns: %w", protowire.ParseError(n))
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return nil, fmt.Errorf("returns: %w", protowire.ParseError(n))
		}
		if num == 1 && typ == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(b)
			e, err := decodeReturned(v)
			if err != nil {
				return nil, fmt.Errorf("returns: %w", err)
			}
			r.entries = append(r.entries, e)
		}
		b = b[n:]
	}
	slices.SortFunc(r.entries, compareReturned)
	return r, nil
}

func decodeReturned(v []byte) (e returned, err error) {
	e.row = bytes.Clone(v)
	if len(v) < len(e.id.Inc) {
		return e, fmt.Errorf("entry of %d bytes", len(v))
	}
	v = v[copy(e.id.Inc[:], v):]
	seq, n := protowire.ConsumeVarint(v)
	if n < 0 {
		return e, protowire.ParseError(n)
	}
	e.id.Seq = protocol.Seq(seq)
	for v = v[n:]; len(v) > 0; {
		sku, n := protowire.ConsumeBytes(v)
		if n < 0 {
			return e, protowire.ParseError(n)
		}
		q, m := protowire.ConsumeVarint(v[n:])
		if m < 0 {
			return e, protowire.ParseError(m)
		}
		e.Lines = append(e.Lines, protocol.SaleLine{Item: protocol.ItemRef{SKU: protocol.SKU(sku)}, Quantity: protocol.Quantity(protowire.DecodeZigZag(q))})
		v = v[n+m:]
	}
	return e, nil
}
