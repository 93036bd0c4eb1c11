package pickup

import (
	"slices"

	"counterpart/protocol"
)

// Owed is what the hub has to log because of what the store did: goods that are
// released, a cancellation that the store has acknowledged by putting back, a
// refund to ask the shop for. The hub logs it in the transaction that folds the
// cause; afterwards nothing is owed.
func (s *State) Owed() (owed []protocol.OrderChange) {
	if s.Order == nil {
		return nil
	}
	say := func(c protocol.Change, reason string, lines []protocol.PartLine) {
		owed = append(owed, protocol.OrderChange{PartID: s.Order.PartID, Change: c, Reason: reason, Lines: lines})
	}
	acknowledged := s.Hub >= CancelRequested && s.Store == PutBack
	switch left := above(s.Committed); {
	case len(left) == 0:
	case s.Store == Rejected:
		say(protocol.ReleasedGoods, "rejected", left)
	case acknowledged:
		say(protocol.ReleasedGoods, "put_back", left)
	case s.Store >= PartiallyPicked:
		say(protocol.ReleasedGoods, "shortage", left)
	}
	if twice := below(s.Committed); len(twice) > 0 {
		say(protocol.ReleasedGoods, "picked_twice", twice)
	}
	if twice := below(s.Staged); len(twice) > 0 {
		say(protocol.CorrectedGoods, "taken_twice", twice)
	}
	if acknowledged && s.Hub == CancelRequested {
		say(protocol.Canceled, "put_back", nil)
	}
	if reason := s.Store.String(); s.Paid && !s.RefundRequested && (acknowledged || s.Store == Rejected) {
		say(protocol.RefundRequested, reason, nil)
	}
	return owed
}

// Moves are those of a change by the hub.
func (s *State) Moves(c *protocol.OrderChange) (moves []protocol.Move) {
	state := protocol.Committed
	switch c.Change {
	case protocol.ReleasedGoods:
	case protocol.CorrectedGoods:
		state = protocol.Staged
	default:
		return nil
	}
	for _, l := range c.Lines {
		moves = append(moves, protocol.Move{SKU: s.Order.Lines[l.Line-1].Item.SKU, State: state, Delta: -l.Quantity})
	}
	return moves
}

// The rules that events of different streams can break together, though none of
// them did anything wrong by itself. A person resolves each.
const (
	// UnknownOrder: acts about an order that is not known.
	UnknownOrder = "order_unknown"
	// AtOnce: two machines acted on a part and did not know of each other.
	AtOnce = "order_acted_at_once"
	// HandedTwice: the goods were handed over more than once.
	HandedTwice = "order_handed_over_twice"
	// HandedAfterCancel: the goods were handed over, and the hub had canceled,
	// expired or refunded the order.
	HandedAfterCancel = "order_handed_over_after_cancel"
)

// BrokenKinds are all rules that Broken may name.
var BrokenKinds = []string{UnknownOrder, AtOnce, HandedTwice, HandedAfterCancel}

// Broken names the rules that the part's events break together. It depends on
// the part alone, so every order of folding finds the same in the end. The
// events are in no order.
func (p *Part) Broken() map[string][]protocol.EventID {
	found := map[string][]protocol.EventID{}
	handed, closed := []protocol.EventID(nil), []protocol.EventID(nil)
	after := map[protocol.EventID][]protocol.EventID{}
	for i := range p.entries {
		switch e := &p.entries[i]; e.class {
		case change:
			switch e.event.OrderChange.Change {
			case protocol.Canceled, protocol.Expired, protocol.Refunded:
				closed = append(closed, e.id)
			}
		case act:
			f := e.event.Fulfilment
			if f.Act != protocol.Arrive {
				after[f.After] = append(after[f.After], e.id)
			}
			if f.Act == protocol.HandOver {
				handed = append(handed, e.id)
			}
		case sold:
			handed = append(handed, e.id)
		}
	}
	if order, _ := p.Order(); order == nil {
		for i := range p.entries {
			found[UnknownOrder] = append(found[UnknownOrder], p.entries[i].id)
		}
	}
	for _, ids := range after {
		if slices.ContainsFunc(ids, func(id protocol.EventID) bool { return id.Inc != ids[0].Inc }) {
			found[AtOnce] = append(found[AtOnce], ids...)
		}
	}
	if len(handed) > 1 {
		found[HandedTwice] = handed
	}
	if len(handed) > 0 && len(closed) > 0 {
		found[HandedAfterCancel] = append(handed, closed...)
	}
	return found
}
