// Package pickup holds the rules of orders: what may happen to a part of an
// order, what it comes to, and what the hub owes when it has.
package pickup

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"counterpart/protocol"
)

// Part is all that happened to one part of an order: a set of events. What it
// comes to follows from the set alone, so that folding streams in any order
// gives the same part.
type Part struct {
	entries []entry // by class, then id
}

// entry is an event that concerns the part. Its body is kept verbatim, so that
// what a later version wrote survives.
type entry struct {
	class   class
	id      protocol.EventID
	body    []byte // of the event; of a sale, its receipt number
	event   *protocol.Event
	handed  []protocol.PartLine // of a sale
	after   protocol.EventID    // of a sale: the act that it follows
	receipt protocol.ReceiptNo
}

// class is what an entry is, and its field in the part's row.
type class protowire.Number

const (
	placed class = 1
	change class = 2
	act    class = 3
	sold   class = 4
)

func compareEntries(a, b entry) int {
	return cmp.Or(cmp.Compare(a.class, b.class), bytes.Compare(a.id.Inc[:], b.id.Inc[:]), cmp.Compare(a.id.Seq, b.id.Seq), bytes.Compare(a.body, b.body))
}

// Add notes an event that names the part: an order, a change of it, an act, or
// the sale by which it was paid and handed over, whose receipt is given. An
// event that is there already changes nothing.
func (p *Part) Add(id protocol.EventID, ev *protocol.Event, body []byte, receipt protocol.ReceiptNo) {
	e := entry{id: id, body: bytes.Clone(body), event: ev, receipt: receipt}
	switch {
	case ev.Order != nil:
		e.class = placed
	case ev.OrderChange != nil:
		e.class = change
	case ev.Fulfilment != nil:
		e.class = act
	case ev.Sale != nil:
		e.class, e.handed, e.after = sold, handedBy(ev.Sale), ev.Sale.PartAfter
		e.body = encodeSold(receipt, e.after, e.handed)
	default:
		return
	}
	if i, found := slices.BinarySearchFunc(p.entries, e, compareEntries); !found {
		p.entries = slices.Insert(p.entries, i, e)
	}
}

// handedBy is what a sale hands over of an order: its lines name the order's, and
// the items that were there.
func handedBy(s *protocol.Sale) (lines []protocol.PartLine) {
	for i := range s.Lines {
		if l := &s.Lines[i]; l.OriginalLine > 0 {
			lines = append(lines, protocol.PartLine{Line: l.OriginalLine, Quantity: l.Quantity, Item: l.Item.SKU})
		}
	}
	return lines
}

// Order is what was ordered, nil while it is not known here, and the event that
// placed it. Of two bodies under one name the first in the order of events
// stands.
func (p *Part) Order() (*protocol.Order, protocol.EventID) {
	if len(p.entries) == 0 || p.entries[0].class != placed {
		return nil, protocol.EventID{}
	}
	return p.entries[0].event.Order, p.entries[0].id
}

// Key is the caller's key that led to the order, nil for none.
func (p *Part) Key() *protocol.Idempotency {
	if order, _ := p.Order(); order == nil {
		return nil
	}
	return p.entries[0].event.Idempotency
}

// Encode writes the part's row; the same part always gives the same bytes.
func (p *Part) Encode() []byte {
	var b []byte
	for i := range p.entries {
		e := &p.entries[i]
		b = protowire.AppendTag(b, protowire.Number(e.class), protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(len(e.id.Inc)+protowire.SizeVarint(uint64(e.id.Seq))+len(e.body)))
		b = append(b, e.id.Inc[:]...)
		b = protowire.AppendVarint(b, uint64(e.id.Seq))
		b = append(b, e.body...)
	}
	return b
}

// DecodePart reads what Encode wrote. No bytes are a part of which nothing is
// known; fields of later versions are skipped.
func DecodePart(b []byte) (*Part, error) {
	p := &Part{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, fmt.Errorf("part: %w", protowire.ParseError(n))
		}
		b = b[n:]
		if typ != protowire.BytesType || num < protowire.Number(placed) || num > protowire.Number(sold) {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return nil, fmt.Errorf("part: %w", protowire.ParseError(n))
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return nil, fmt.Errorf("part: %w", protowire.ParseError(n))
		}
		b = b[n:]
		e, err := decodeEntry(class(num), v)
		if err != nil {
			return nil, fmt.Errorf("part: %w", err)
		}
		p.entries = append(p.entries, e)
	}
	slices.SortFunc(p.entries, compareEntries)
	return p, nil
}

func decodeEntry(c class, v []byte) (e entry, err error) {
	e.class = c
	if len(v) <= len(e.id.Inc) {
		return e, fmt.Errorf("entry of %d bytes", len(v))
	}
	rest := v[copy(e.id.Inc[:], v):]
	seq, n := protowire.ConsumeVarint(rest)
	if n < 0 {
		return e, protowire.ParseError(n)
	}
	e.id.Seq, e.body = protocol.Seq(seq), bytes.Clone(rest[n:])
	if c == sold {
		err = e.decodeSold(e.body)
		return e, err
	}
	if e.event, err = protocol.DecodeEvent(e.body); err != nil {
		return e, err
	}
	if c == placed && e.event.Order == nil || c == change && e.event.OrderChange == nil || c == act && e.event.Fulfilment == nil {
		return e, fmt.Errorf("entry of class %d holds an event of kind %s", c, e.event.Kind)
	}
	return e, nil
}

// encodeSold keeps of a sale the receipt number, what it follows and what it handed
// over.
func encodeSold(receipt protocol.ReceiptNo, after protocol.EventID, lines []protocol.PartLine) []byte {
	b := protowire.AppendString(nil, string(receipt))
	b = protowire.AppendVarint(protowire.AppendBytes(b, after.Inc[:]), uint64(after.Seq))
	for _, l := range lines {
		b = protowire.AppendVarint(protowire.AppendVarint(b, uint64(l.Line)), protowire.EncodeZigZag(int64(l.Quantity)))
		b = protowire.AppendString(b, string(l.Item))
	}
	return b
}

// decode reads what encodeSold wrote.
func (e *entry) decodeSold(b []byte) error {
	text, n := protowire.ConsumeString(b)
	if n < 0 {
		return protowire.ParseError(n)
	}
	b = b[n:]
	inc, n := protowire.ConsumeBytes(b)
	if n < 0 || len(inc) != len(e.after.Inc) {
		return errSold
	}
	seq, m := protowire.ConsumeVarint(b[n:])
	if m < 0 {
		return protowire.ParseError(m)
	}
	e.receipt, e.after = protocol.ReceiptNo(text), protocol.EventID{Inc: protocol.Inc(inc), Seq: protocol.Seq(seq)}
	for b = b[n+m:]; len(b) > 0; {
		line, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		quantity, m := protowire.ConsumeVarint(b[n:])
		if m < 0 {
			return protowire.ParseError(m)
		}
		item, k := protowire.ConsumeString(b[n+m:])
		if k < 0 {
			return protowire.ParseError(k)
		}
		e.handed = append(e.handed, protocol.PartLine{Line: uint32(line), Quantity: protocol.Quantity(protowire.DecodeZigZag(quantity)), Item: protocol.SKU(item)})
		b = b[n+m+k:]
	}
	return nil
}

var errSold = errors.New("a sale of a part that cannot be read")
