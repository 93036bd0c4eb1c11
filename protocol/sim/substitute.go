package sim

import (
	"fmt"
	"maps"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// taken is a line of a part with the item that is set aside for it.
type taken struct {
	line uint32
	item protocol.SKU
}

// takes is what a quantity of a line is of: its own item unless it names another.
func (p *promise) takes(l protocol.PartLine) (t taken, ok bool) {
	if l.Line == 0 || int(l.Line) > len(p.items) {
		return t, false
	}
	t = taken{l.Line, l.Item}
	if t.item == "" {
		t.item = p.items[l.Line-1]
	}
	return t, true
}

// addTaken adds up what an act sets aside, or takes from what was.
func (p *promise) addTaken(aside map[taken]protocol.Quantity, a *act) {
	sign := protocol.Quantity(-1)
	switch a.did {
	case string(protocol.Pick):
		sign = 1
	case string(protocol.Undo), string(protocol.PutBack), string(protocol.HandOver), didSell, string(protocol.CorrectedGoods):
	default:
		return
	}
	for _, l := range a.took {
		if t, ok := p.takes(l); ok {
			aside[t] += sign * l.Quantity
		}
	}
}

// misplaced tells why the moves of an act are not those of the goods that it
// names. A pick may take out of the book what the clerk did not find.
func (p *promise) misplaced(a *act) string {
	want := map[protocol.Move]protocol.Quantity{}
	for _, l := range a.took {
		t, ok := p.takes(l)
		if !ok {
			continue
		}
		add := func(sku protocol.SKU, state protocol.State, q protocol.Quantity) {
			want[protocol.Move{SKU: sku, State: state}] += q
		}
		own, q := p.items[l.Line-1], l.Quantity
		switch a.did {
		case string(protocol.Pick):
			add(own, protocol.Committed, -q)
			add(t.item, protocol.Staged, q)
		case string(protocol.Undo):
			add(own, protocol.Committed, q)
			add(t.item, protocol.Staged, -q)
		case string(protocol.HandOver), didSell:
			add(t.item, protocol.Staged, -q)
			add(t.item, protocol.OnHand, -q)
		case string(protocol.PutBack), string(protocol.CorrectedGoods):
			add(t.item, protocol.Staged, -q)
		case string(protocol.ReleasedGoods):
			add(own, protocol.Committed, -q)
		}
	}
	for _, m := range a.moves {
		if a.did != string(protocol.Pick) || m.State != protocol.OnHand || m.Delta > 0 || !slices.Contains(p.items, m.SKU) {
			want[protocol.Move{SKU: m.SKU, State: m.State}] -= m.Delta
		}
	}
	maps.DeleteFunc(want, func(_ protocol.Move, q protocol.Quantity) bool { return q == 0 })
	if len(want) > 0 && a.did != didOrder {
		return fmt.Sprintf("%v by %s, moved %v (I12)", a.took, a.did, a.moves)
	}
	return ""
}

// wholly tells whether staff who know all acts about an order hand over, undo or
// put back all that is set aside for it, as what it is.
func (k *known) wholly(p *promise, a *act) bool {
	if a.did == string(protocol.Pick) {
		return true
	}
	left := maps.Clone(k.aside)
	p.addTaken(left, a)
	for _, q := range left {
		if q != 0 && byStaff(a) && !slices.Contains([]string{string(protocol.Accept), string(protocol.Reject), string(protocol.Ready)}, a.did) {
			return false
		}
	}
	return true
}

// replaced lets a clerk find less of what was ordered and more of something else.
// Now and then one tries it with an order whose shopper wants nothing else.
func (s *staff) replaced(state *pickup.State, lines []protocol.PartLine) []protocol.PartLine {
	if !s.m.w.plan.Substitutes || !state.Order.Substitutes && s.swaps.IntN(20) > 0 {
		return lines
	}
	for i, want := range state.Committed {
		if want < 1000 || s.swaps.IntN(2) == 0 {
			continue
		}
		other := protocol.SKU(fmt.Sprintf("SKU%d", s.swaps.IntN(skus)))
		q := protocol.Quantity(1+s.swaps.Int64N(int64(want/1000))) * 1000
		if other != state.Order.Lines[i].Item.SKU {
			lines[i].Quantity = min(lines[i].Quantity, want-q)
			lines = append(lines, protocol.PartLine{Line: uint32(i + 1), Quantity: q, Item: other})
		}
	}
	return lines
}

// yields tells whether the order's shopper takes what is picked.
func (p *promise) yields(ask pickup.Ask) bool {
	return p.substitutes || !slices.ContainsFunc(ask.Lines, func(l protocol.PartLine) bool { return l.Item != "" })
}
