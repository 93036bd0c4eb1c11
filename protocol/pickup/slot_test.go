package pickup_test

import (
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// swapped is a part of two pens and a cup. Of the pens one machine picked one, and
// took the cup for the other; a mug stands in for the cup.
func swapped(t *testing.T) *history {
	h := newHistory(t, 1)
	h.events = nil
	h.log(hub, &protocol.Event{Kind: protocol.KindOrder, Order: &protocol.Order{
		PartID: partID, Method: protocol.InStore, Paid: true, Substitutes: true,
		Lines: []protocol.OrderLine{
			{Number: 3, Item: protocol.ItemRef{SKU: "PEN"}, Quantity: 2000, UnitPrice: 250, Amount: 500},
			{Number: 5, Item: protocol.ItemRef{SKU: "CUP"}, Quantity: 1000, UnitPrice: 999, Amount: 999},
		},
	}}, "")
	h.seen[first][0], h.seen[hub][0] = true, true
	h.asks(first, pickup.Ask{Act: protocol.Pick, Lines: []protocol.PartLine{
		{Line: 2, Quantity: 1000, Item: "MUG"}, {Line: 1, Quantity: 1000}, {Line: 1, Quantity: 1000, Item: "CUP"},
	}})
	return h
}

// asks lets staff do something that is allowed, and tells its moves.
func (h *history) asks(writer int, ask pickup.Ask) []protocol.Move {
	h.t.Helper()
	s := h.view(writer).State()
	f, moves, err := s.Plan(ask, func(protocol.SKU) protocol.Quantity { return 5000 })
	if err != nil {
		h.t.Fatal(err)
	}
	h.log(writer, &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: f, Moves: moves}, "")
	return moves
}

// TestSubstituteIsNoShortage: nothing is owed for what stands in the place of a
// line, and what is taken out of the book is what the clerk did not find, less
// what was taken as a substitute of another line.
func TestSubstituteIsNoShortage(t *testing.T) {
	h := swapped(t)
	sums := map[protocol.Move]protocol.Quantity{}
	for _, m := range h.events[1].event.Moves {
		sums[protocol.Move{SKU: m.SKU, State: m.State}] += m.Delta
	}
	for at, want := range map[protocol.Move]protocol.Quantity{
		{SKU: "PEN", State: protocol.Committed}: -2000, {SKU: "CUP", State: protocol.Committed}: -1000,
		{SKU: "PEN", State: protocol.Staged}: 1000, {SKU: "CUP", State: protocol.Staged}: 1000, {SKU: "MUG", State: protocol.Staged}: 1000,
		{SKU: "PEN", State: protocol.OnHand}: -4000, {SKU: "CUP", State: protocol.OnHand}: -4000, {SKU: "MUG", State: protocol.OnHand}: 0,
	} {
		if sums[at] != want {
			t.Errorf("%s %s moves by %s, not %s", at.SKU, at.State, sums[at], want)
		}
	}
	h.asks(first, pickup.Ask{Act: protocol.Ready})
	h.asks(first, pickup.Ask{Act: protocol.HandOver})
	s := h.settle()
	if len(h.events) != 4 || s.HandedOf(0) != 2000 || s.HandedOf(1) != 1000 || s.HandedAs("CUP") != 1000 || s.HandedAs("PEN") != 1000 || s.HandedAs("MUG") != 1000 {
		t.Errorf("%d events, handed over %v: %v", len(h.events), s.Handed, s.Substitutes())
	}
}

// TestSubstituteOnTheOrder shows by the order's lines what was picked, and names it.
func TestSubstituteOnTheOrder(t *testing.T) {
	s := swapped(t).view(first).State()
	d := pickup.NewDocument(pickup.Meta{Item: func(sku protocol.SKU) *protocol.Item {
		return &protocol.Item{SKU: sku, Name: "a " + string(sku)}
	}}, []pickup.Placement{{Store: "s1", State: s}})
	if !d.Substitutes || len(d.Lines) != 2 || d.Lines[0].PickedQty != 2000 || d.Lines[1].PickedQty != 1000 || d.TotalMinor != 1499 {
		t.Fatalf("%+v", d)
	}
	for i, want := range []protocol.SKU{"CUP", "MUG"} {
		if subs := d.Lines[i].Substitutes; len(subs) != 1 || subs[0].SKU != want || subs[0].Qty != 1000 || *subs[0].Name != "a "+string(want) || subs[0].GTIN != nil {
			t.Errorf("line %d: %+v", d.Lines[i].Line, subs)
		}
	}
}

// TestSubstituteTakenTwice: two machines that do not know of each other put the
// same goods back; the hub makes up for each item as what it is.
func TestSubstituteTakenTwice(t *testing.T) {
	h := swapped(t)
	s := h.view(first).State()
	h.change(&s, protocol.OrderChange{PartID: partID, Change: protocol.CancelRequested})
	for i := range h.events {
		h.seen[first][i], h.seen[second][i] = true, true
	}
	h.asks(first, pickup.Ask{Act: protocol.PutBack})
	h.asks(second, pickup.Ask{Act: protocol.PutBack})
	if s = h.settle(); s.StagedOf(0) != 0 || s.StagedOf(1) != 0 {
		t.Errorf("staged %v", s.Staged)
	}
	sums := map[protocol.SKU]protocol.Quantity{}
	for _, e := range h.events {
		for _, m := range e.event.Moves {
			if m.State == protocol.Staged {
				sums[m.SKU] += m.Delta
			}
		}
	}
	for sku, q := range sums {
		if q != 0 {
			t.Errorf("%s of %s are staged by the moves", q, sku)
		}
	}
}
