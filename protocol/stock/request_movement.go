package stock

import (
	"fmt"

	"counterpart/protocol"
)

// Resolved is what the caller found out about the code of one line.
type Resolved struct {
	Item protocol.ItemRef
	// Multiplier is how much of the item's unit one scan means; 0 and 1000
	// are one unit.
	Multiplier protocol.Quantity
	// Book is what the book shows of the item now, staged goods excluded. Only
	// a count looks at it.
	Book protocol.Quantity
}

// BuildMovement computes a movement of stock in a store and the moves that it
// makes. lines holds what the caller found out about each line of r, which is
// validated, in the same order; seen is, for a count, how far each stream was
// folded when the book was read.
//
// Damaged goods and those in quality control are part of on_hand, so an
// adjustment of theirs leaves on_hand alone. A count changes on_hand by what
// was counted less the book; both leave staged goods out.
func BuildMovement(store protocol.StoreID, r MovementRequest, lines []Resolved, seen []protocol.StreamPos) (*protocol.Movement, []protocol.Move, error) {
	if len(lines) != len(r.Lines) {
		return nil, nil, fmt.Errorf("movement of %d lines with %d resolved", len(r.Lines), len(lines))
	}
	if r.ToStore == string(store) && r.ToStore != "" {
		return nil, nil, protocol.OutOfRange("to_store", r.ToStore, "this store itself")
	}
	m := &protocol.Movement{
		Type: protocol.MovementType(r.Type), Reference: r.Reference, Reason: r.Reason, Staff: protocol.StaffID(r.Staff),
		ToStore: protocol.StoreID(r.ToStore), TransferID: r.TransferID,
	}
	if m.Type == protocol.Count {
		m.Seen = seen
	}
	b := movement{m: m, at: map[moveKey]int{}, counted: map[protocol.SKU]int{}}
	for i, in := range r.Lines {
		if err := b.add(i+1, in, lines[i]); err != nil {
			return nil, nil, err
		}
	}
	moves, err := b.result()
	return m, arrived(m, moves), err
}

// arrived takes what came with a transfer out of what is on its way, be it that
// the announcement has not come yet.
func arrived(m *protocol.Movement, moves []protocol.Move) []protocol.Move {
	if m.Type != protocol.TransferIn {
		return moves
	}
	for _, on := range moves {
		moves = append(moves, protocol.Move{SKU: on.SKU, State: protocol.Incoming, Delta: -on.Delta})
	}
	return moves
}

type moveKey struct {
	sku   protocol.SKU
	state protocol.State
}

// movement sums up moves by item and state in the order of the lines, since
// the order is part of the event's bytes.
type movement struct {
	m       *protocol.Movement
	moves   []protocol.Move
	at      map[moveKey]int
	counted map[protocol.SKU]int // the line that counts an item
}

func (b *movement) add(n int, in MovementLine, r Resolved) error {
	perScan := r.Multiplier
	if perScan <= 0 {
		perScan = unitQuantity
	}
	total, ok := protocol.MulDiv(int64(*in.Qty), int64(perScan), int64(unitQuantity))
	q := protocol.Quantity(total)
	if !ok || q > protocol.QuantityMax || q < -protocol.QuantityMax {
		return atLine(protocol.OutOfRange("qty", in.Qty.String(), "beyond 10,000,000 of the item's unit"), n)
	}
	if q == 0 && *in.Qty != 0 {
		return atLine(protocol.OutOfRange("qty", in.Qty.String(), "less than a thousandth of the item's unit"), n)
	}
	state, _ := adjusted(in.State)
	line := protocol.MovementLine{Item: r.Item, Quantity: q, State: state}
	delta := q
	switch b.m.Type {
	case protocol.Count:
		if first, twice := b.counted[r.Item.SKU]; twice {
			return atLine(protocol.OutOfRange("code", in.Code, fmt.Sprintf("of the same item as line %d, and a count says each item once", first)), n)
		}
		b.counted[r.Item.SKU] = n
		line.Book, delta = r.Book, q-r.Book
	case protocol.TransferOut:
		delta = -q
	}
	b.m.Lines = append(b.m.Lines, line)
	key := moveKey{r.Item.SKU, state}
	i, ok := b.at[key]
	if !ok {
		i = len(b.moves)
		b.at[key] = i
		b.moves = append(b.moves, protocol.Move{SKU: r.Item.SKU, State: state})
	}
	b.moves[i].Delta += delta
	return nil
}

// result leaves out what came to nothing.
func (b *movement) result() ([]protocol.Move, error) {
	var out []protocol.Move
	for _, m := range b.moves {
		switch {
		case m.Delta > protocol.AmountMax || m.Delta < -protocol.AmountMax:
			return nil, protocol.OutOfRange("qty", m.Delta.String(), "too much of one item ("+string(m.SKU)+") in one movement")
		case m.Delta != 0:
			out = append(out, m)
		}
	}
	return out, nil
}
