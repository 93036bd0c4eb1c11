package pickup

import "counterpart/protocol"

// The deadlines of a part. The hub owns them and counts them in its running time
// (I17).
const (
	AcceptBy  = "accept"
	PickSoon  = "pick_soon"
	PickBy    = "pick"
	FetchSoon = "fetch_soon"
	FetchBy   = "fetch"
)

// Passed is what the hub has to log when a deadline has passed; nothing where
// the store was in time. An order that may go to another store is taken back
// from one that does not accept it; it goes on when that store acknowledges, so
// that two stores never hand over the same goods.
func (s *State) Passed(deadline string) (changes []protocol.OrderChange) {
	if s.Order == nil || s.Over() || s.Hub >= CancelRequested {
		return nil
	}
	say := func(c protocol.Change, reason string) {
		changes = append(changes, protocol.OrderChange{PartID: s.Order.PartID, Change: c, Reason: reason})
	}
	switch deadline {
	case AcceptBy:
		if s.Store == Received {
			say(protocol.Overdue, AcceptBy)
			if s.Order.Sourcing != "" {
				say(protocol.Withdrawn, AcceptBy)
			}
		}
	case PickSoon:
		if s.Store < PartiallyPicked {
			say(protocol.Reminded, PickBy)
		}
	case PickBy:
		if s.Store < PartiallyPicked {
			say(protocol.Overdue, PickBy)
		}
	case FetchSoon:
		if s.Store == Ready {
			say(protocol.Reminded, FetchBy)
		}
	case FetchBy:
		say(protocol.Expired, FetchBy)
	}
	return changes
}

// Breach is what the hub logs of a part whose goods the store has sold to
// somebody else: at most short of an item. An order that may go to another store
// is taken back while nobody works on it.
func (s *State) Breach(sku protocol.SKU, short protocol.Quantity) (changes []protocol.OrderChange, covered protocol.Quantity) {
	var lines []protocol.PartLine
	for i := range s.Order.Lines {
		open := min(short-covered, s.Committed[i]-s.Breached[i])
		if s.Order.Lines[i].Item.SKU == sku && open > 0 {
			lines = append(lines, protocol.PartLine{Line: uint32(i + 1), Quantity: open})
			covered += open
		}
	}
	if len(lines) == 0 {
		return nil, 0
	}
	changes = append(changes, protocol.OrderChange{PartID: s.Order.PartID, Change: protocol.Breached, Lines: lines})
	if s.Order.Sourcing != "" && s.Hub < CancelRequested && s.Store <= Accepted {
		changes = append(changes, protocol.OrderChange{PartID: s.Order.PartID, Change: protocol.Withdrawn, Reason: "breach"})
	}
	return changes, covered
}
