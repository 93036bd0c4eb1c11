// Package stock holds the rules of quantities: the level of an item in a
// store, what a count does to it, and what online may promise of it.
package stock

import (
	"bytes"
	"fmt"
	"sort"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

// Level is what one store holds of one item. Its quantities are sums of moves
// and its marks are maxima, so that folding streams in any order gives the
// same level. The zero Level is that of an item that nothing happened to.
type Level struct {
	quantities [protocol.StateCount]protocol.Quantity
	// marks says, for each stream, the last count_seen of it that found
	// movements which a counter had not seen; cleared is how far any count
	// of the item has seen each stream. Both are sorted by Inc.
	marks   []protocol.StreamPos
	cleared []protocol.StreamPos
}

// Quantity is the level's quantity of one state.
func (l *Level) Quantity(s protocol.State) protocol.Quantity { return l.quantities[s] }

// OnHand is everything in the shop, whatever state it is in.
func (l *Level) OnHand() protocol.Quantity { return l.quantities[protocol.OnHand] }

// Add applies one move. Sums wrap on overflow, which keeps them commutative;
// the limits on quantities make it unreachable in a shop.
func (l *Level) Add(s protocol.State, delta protocol.Quantity) {
	if s < protocol.StateCount {
		l.quantities[s] += delta
	}
}

// Book is what a counter is asked to compare with: everything in the shop but
// the staged goods.
func (l *Level) Book() protocol.Quantity {
	return l.quantities[protocol.OnHand] - l.quantities[protocol.Staged]
}

// Available is what may still be sold after all that is spoken for. It may be
// negative, which is shown and never hidden.
func (l *Level) Available(safetyStock protocol.Quantity) protocol.Quantity {
	q := &l.quantities
	return q[protocol.OnHand] - q[protocol.Committed] - q[protocol.Staged] - q[protocol.Damaged] - q[protocol.QualityControl] - safetyStock
}

// Allotment is the most that online may hold promised from this level:
// on_hand − staged − damaged − quality_control − safety stock, never below 0.
func (l *Level) Allotment(safetyStock protocol.Quantity) protocol.Quantity {
	q := &l.quantities
	return max(0, q[protocol.OnHand]-q[protocol.Staged]-q[protocol.Damaged]-q[protocol.QualityControl]-safetyStock)
}

// Promisable is what is left of the allotment after the open promises. They are
// below zero for a moment where two machines picked one order, and make no room.
func (l *Level) Promisable(safetyStock protocol.Quantity) protocol.Quantity {
	return max(0, l.Allotment(safetyStock)-max(0, l.quantities[protocol.Committed]))
}

// Short is how much of the open promises the goods of the shop no longer cover.
// Buffers have no part in it.
func (l *Level) Short() protocol.Quantity {
	return max(0, l.quantities[protocol.Committed]-l.Allotment(0))
}

// MarkUnseen records that the event at of a stream found the book wrong: movements
// which a count had missed, or goods that a clerk looked for and did not find.
func (l *Level) MarkUnseen(at protocol.StreamPos) { l.marks = raise(l.marks, at) }

// ClearSeen records that a count of the item had seen the streams as far as
// seen says.
func (l *Level) ClearSeen(seen []protocol.StreamPos) {
	for _, s := range seen {
		l.cleared = raise(l.cleared, s)
	}
}

// RecountSuggested tells whether the book was found wrong by an event that is
// beyond what every count of the item had seen.
func (l *Level) RecountSuggested() bool {
	for _, m := range l.marks {
		i := find(l.cleared, m.Inc)
		if i == len(l.cleared) || l.cleared[i].Inc != m.Inc || l.cleared[i].Seq < m.Seq {
			return true
		}
	}
	return false
}

func find(list []protocol.StreamPos, inc protocol.Inc) int {
	return sort.Search(len(list), func(i int) bool { return bytes.Compare(list[i].Inc[:], inc[:]) >= 0 })
}

// raise keeps the highest number of each stream.
func raise(list []protocol.StreamPos, at protocol.StreamPos) []protocol.StreamPos {
	i := find(list, at.Inc)
	if i < len(list) && list[i].Inc == at.Inc {
		list[i].Seq = max(list[i].Seq, at.Seq)
		return list
	}
	list = append(list, protocol.StreamPos{})
	copy(list[i+1:], list[i:])
	list[i] = at
	return list
}

// Field numbers of an encoded level: 1 to 6 are the states in their order.
const (
	fieldMarks   = 7
	fieldCleared = 8
)

// Encode writes the level; the same level always gives the same bytes.
func (l *Level) Encode() []byte {
	b := make([]byte, 0, 24)
	for s, q := range l.quantities {
		if q != 0 {
			b = protowire.AppendTag(b, protowire.Number(s+1), protowire.VarintType)
			b = protowire.AppendVarint(b, protowire.EncodeZigZag(int64(q)))
		}
	}
	b = appendPositions(b, fieldMarks, l.marks)
	return appendPositions(b, fieldCleared, l.cleared)
}

func appendPositions(b []byte, field protowire.Number, list []protocol.StreamPos) []byte {
	for _, p := range list {
		b = protowire.AppendTag(b, field, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(len(p.Inc)+protowire.SizeVarint(uint64(p.Seq))))
		b = append(b, p.Inc[:]...)
		b = protowire.AppendVarint(b, uint64(p.Seq))
	}
	return b
}

// DecodeLevel reads what Encode wrote. No bytes are the zero Level; fields of
// later versions are skipped.
func DecodeLevel(b []byte) (*Level, error) {
	l := &Level{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, fmt.Errorf("level: %w", protowire.ParseError(n))
		}
		b = b[n:]
		switch {
		case num >= 1 && int(num) <= len(l.quantities) && typ == protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return nil, fmt.Errorf("level: %w", protowire.ParseError(n))
			}
			l.quantities[num-1] = protocol.Quantity(protowire.DecodeZigZag(v))
			b = b[n:]
		case (num == fieldMarks || num == fieldCleared) && typ == protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return nil, fmt.Errorf("level: %w", protowire.ParseError(n))
			}
			p, err := decodePosition(v)
			if err != nil {
				return nil, err
			}
			if num == fieldMarks {
				l.marks = raise(l.marks, p)
			} else {
				l.cleared = raise(l.cleared, p)
			}
			b = b[n:]
		default:
			n := protowire.ConsumeFieldValue(num, typ, b)
			if n < 0 {
				return nil, fmt.Errorf("level: %w", protowire.ParseError(n))
			}
			b = b[n:]
		}
	}
	return l, nil
}

func decodePosition(v []byte) (protocol.StreamPos, error) {
	var p protocol.StreamPos
	if len(v) < len(p.Inc) {
		return p, fmt.Errorf("level: stream position of %d bytes", len(v))
	}
	copy(p.Inc[:], v)
	seq, n := protowire.ConsumeVarint(v[len(p.Inc):])
	if n < 0 {
		return p, fmt.Errorf("level: %w", protowire.ParseError(n))
	}
	p.Seq = protocol.Seq(seq)
	return p, nil
}
