package pickup

import (
	"math/bits"
	"slices"

	"counterpart/protocol"
)

// Owed is what the hub has to log because of what the store did: goods that are
// released, a cancellation that the store has acknowledged, a refund to ask the
// shop for. The hub logs it right after the transaction that folds the cause;
// afterwards nothing is owed.
func (s *State) Owed() (owed []protocol.OrderChange) {
	if s.Order == nil {
		return nil
	}
	say := func(c protocol.Change, reason string, lines []protocol.PartLine) {
		owed = append(owed, protocol.OrderChange{PartID: s.Order.PartID, Change: c, Reason: reason, Lines: lines})
	}
	switch left := s.above(s.Committed); {
	case len(left) == 0:
	case s.Ended():
		say(protocol.ReleasedGoods, s.Store.String(), left)
	case s.Store >= PartiallyPicked && s.Store != PutBack:
		short, handed := s.unpicked()
		if len(short) > 0 {
			say(protocol.ReleasedGoods, protocol.ShortageReason, short)
		}
		if len(handed) > 0 {
			say(protocol.ReleasedGoods, PickedUp.String(), handed)
		}
	default:
		if spare := s.madeUp(s.Committed, s.Released); len(spare) > 0 {
			say(protocol.ReleasedGoods, "not_picked_twice", spare)
		}
	}
	if twice := s.below(s.Committed); len(twice) > 0 {
		say(protocol.ReleasedGoods, "picked_twice", twice)
	}
	if twice := s.below(s.Staged); len(twice) > 0 {
		say(protocol.CorrectedGoods, "taken_twice", twice)
	}
	if spare := s.madeUp(s.Staged, s.Corrected); len(spare) > 0 {
		say(protocol.CorrectedGoods, "not_taken_twice", spare)
	}
	if s.Ended() && s.Hub <= CancelRequested {
		say(protocol.Canceled, s.Store.String(), nil)
	}
	if _, lines := s.missing(); s.Prepaid && len(lines) > 0 {
		say(protocol.RefundRequested, s.missingReason(), lines)
		owed[len(owed)-1].Amount = s.ShareOf(lines)
	}
	return owed
}

// unpicked is what is still promised of a part that was picked: what the clerk did
// not find, and what was handed over although its pick is not known here yet.
func (s *State) unpicked() (short, handed []protocol.PartLine) {
	lacks, has := make([]protocol.Quantity, len(s.Committed)), make([]protocol.Quantity, len(s.Committed))
	for i, left := range s.Committed {
		lacks[i] = min(left, s.Order.Lines[i].Quantity-s.HandedOf(i))
		has[i] = left - max(0, lacks[i])
	}
	return s.above(lacks), s.above(has)
}

func (s *State) missingReason() string {
	if s.Ended() {
		return s.Store.String()
	}
	return protocol.ShortageReason
}

// Homeless is what this part will not bring to the shopper and another store may
// yet: the hub has to place it there, or to say that it is unplaced.
func (s *State) Homeless() []protocol.PartLine {
	if s.Order == nil {
		return nil
	}
	homeless, _ := s.missing()
	return homeless
}

// missing is what this part will not bring to the shopper, and of which nothing
// has become yet: first what other stores may keep, then what they may not. A
// shopper who comes to a store is not sent to another one for the rest. Nothing is
// missing for good before the store says that the part is ready: until then the
// clerk may undo the pick and look again, and what was paid back stays paid back.
func (s *State) missing() (homeless, rest []protocol.PartLine) {
	if !s.Ended() && s.Store < Ready {
		return nil, nil
	}
	comes := s.Order.Method == protocol.InStore || s.Order.Method == protocol.Curbside
	movable := s.Order.Sourcing != "" && !s.ByShopper && (s.Ended() || !comes)
	for i := range s.Order.Lines {
		lost := s.Order.Lines[i].Quantity - s.HandedOf(i)
		if !s.Ended() {
			// What was released and is staged after all has yet to be taken back.
			lost = min(lost, s.Released[i]+min(0, s.Committed[i]))
		}
		left := lost - s.Elsewhere[i] - s.Asked[i]
		if left <= 0 {
			continue
		}
		gone := left
		if movable {
			asked := s.Asked[i]
			if comes {
				asked -= s.AskedShort[i] // No other store was asked before it was paid back.
			}
			gone = max(0, min(left, s.Unplaced[i]-asked))
		}
		line := uint32(i + 1)
		if left > gone {
			homeless = append(homeless, protocol.PartLine{Line: line, Quantity: left - gone})
		}
		if gone > 0 {
			rest = append(rest, protocol.PartLine{Line: line, Quantity: gone})
		}
	}
	return homeless, rest
}

// ShareOf is what the next quantities that leave the part came to. The shares of
// all that leaves add up to the line's amount.
func (s *State) ShareOf(lines []protocol.PartLine) (sum protocol.Money) {
	for _, l := range lines {
		sum += s.share(int(l.Line)-1, l.Quantity)
	}
	return sum
}

func (s *State) share(i int, next protocol.Quantity) protocol.Money {
	line := &s.Order.Lines[i]
	if line.Quantity <= 0 || line.Amount <= 0 {
		return 0
	}
	upto := func(q protocol.Quantity) protocol.Money {
		q = max(0, min(q, line.Quantity))
		hi, lo := bits.Mul64(uint64(line.Amount), uint64(q))
		lo, carry := bits.Add64(lo, uint64(line.Quantity)/2, 0)
		share, _ := bits.Div64(hi+carry, lo, uint64(line.Quantity))
		return protocol.Money(share)
	}
	before := s.Elsewhere[i] + s.Asked[i]
	return upto(before+next) - upto(before)
}

// RefundsDue are the reasons of refunds that the shop was asked for and has not
// confirmed: ShortageReason, ReturnedReason, or nothing for the rest.
func (s *State) RefundsDue() (reasons []string) {
	for i, reason := range refundReasons {
		for range s.Refunds[i].Asked - s.Refunds[i].Done {
			reasons = append(reasons, reason)
		}
	}
	return reasons
}

// madeUp names what the hub made up for and need not have: events that arrived
// later show that there were goods after all.
func (s *State) madeUp(there, given []protocol.Quantity) (lines []protocol.PartLine) {
	for i := range there {
		if q := min(there[i], -given[i]); q > 0 {
			lines = append(lines, s.named(i, q))
		}
	}
	return lines
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
		moves = append(moves, protocol.Move{SKU: s.SKU(l), State: state, Delta: -l.Quantity})
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
	// BookBreached: the store sold what was promised, and no other store was asked.
	BookBreached = "order_breached"
	// TooLate: the store did not do in time what a deadline asks for.
	TooLate = "order_overdue"
	// SettledTwice: more was to be paid back, or went to other stores, than was
	// ordered and not handed over.
	SettledTwice = "order_settled_twice"
	// PaidTwice: what was due was paid at a till and to the shop.
	PaidTwice = "order_paid_twice"
)

// BrokenKinds are all rules that Broken may name.
var BrokenKinds = []string{UnknownOrder, AtOnce, HandedTwice, HandedAfterCancel, BookBreached, TooLate, SettledTwice, PaidTwice}

// Broken names the rules that the part's events break together. It depends on
// the part alone, so every order of folding finds the same in the end. The
// events are in no order.
func (p *Part) Broken() map[string][]protocol.EventID {
	found := map[string][]protocol.EventID{}
	var handed, closed, breached []protocol.EventID
	withdrawn := false
	after := map[protocol.EventID][]protocol.EventID{}
	for i := range p.entries {
		switch e := &p.entries[i]; e.class {
		case change:
			switch e.event.OrderChange.Change {
			case protocol.Canceled, protocol.Expired, protocol.Refunded:
				if !slices.Contains(refundReasons[:ofRest], e.event.OrderChange.Reason) {
					closed = append(closed, e.id)
				}
			case protocol.Withdrawn:
				withdrawn = true
			case protocol.Breached:
				breached = append(breached, e.id)
			case protocol.Overdue:
				found[TooLate] = append(found[TooLate], e.id)
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
			if !e.after.IsZero() {
				after[e.after] = append(after[e.after], e.id)
			}
		}
	}
	order, _ := p.Order()
	if ids := p.settledTwice(order, len(closed) > 0); len(ids) > 0 {
		found[SettledTwice] = ids
	}
	if ids := p.paidTwice(); len(ids) > 0 {
		found[PaidTwice] = ids
	}
	if order == nil {
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
	if len(breached) > 0 && !withdrawn {
		found[BookBreached] = breached
	}
	return found
}

// paidTwice names the payment to the shop and the sales, if there are both.
func (p *Part) paidTwice() (ids []protocol.EventID) {
	online, till := false, false
	for i := range p.entries {
		e := &p.entries[i]
		byShop := e.class == change && e.event.OrderChange.Change == protocol.PaidOrder
		if byShop || e.class == sold {
			ids = append(ids, e.id)
		}
		online, till = online || byShop, till || e.class == sold
	}
	if !online || !till {
		return nil
	}
	return ids
}

// settledTwice names what was paid back and moved, if together with what was handed
// over it is more than was ordered. A hub that was restored from an older copy does
// again what it does not know that it did. What was handed over after the order was
// canceled is HandedAfterCancel's.
func (p *Part) settledTwice(order *protocol.Order, closed bool) (ids []protocol.EventID) {
	if order == nil {
		return nil
	}
	settled, handed := make([]protocol.Quantity, len(order.Lines)), make([]protocol.Quantity, len(order.Lines))
	add := func(sums []protocol.Quantity, lines []protocol.PartLine) {
		for _, l := range lines {
			if n := int(l.Line) - 1; n >= 0 && n < len(sums) {
				sums[n] += l.Quantity
			}
		}
	}
	for i := range p.entries {
		switch e := &p.entries[i]; {
		case e.class == sold && !closed:
			add(handed, e.handed)
		case e.class == act && e.event.Fulfilment.Act == protocol.HandOver && !closed:
			add(handed, e.event.Fulfilment.Lines)
		case e.class == change && (e.event.OrderChange.Change == protocol.RefundRequested || e.event.OrderChange.Change == protocol.Rerouted):
			ids = append(ids, e.id)
			add(settled, e.event.OrderChange.Lines)
		}
	}
	for i, line := range order.Lines {
		// What was handed over twice is HandedTwice's.
		if settled[i] > 0 && settled[i]+min(handed[i], line.Quantity) > line.Quantity {
			return ids
		}
	}
	return nil
}
