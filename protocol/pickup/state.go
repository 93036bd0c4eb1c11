package pickup

import (
	"slices"

	"counterpart/protocol"
)

// HubState is the hub's register of a part. It only climbs (I15).
type HubState uint8

// The hub's states. Canceled and expired exclude each other; whichever is the
// higher of two that were logged stands.
const (
	Placed HubState = iota
	Paid
	CancelRequested
	Canceled
	Expired
	Refunded
)

func (s HubState) String() string {
	return [...]string{"placed", "paid", "cancel_requested", "canceled", "expired", "refunded"}[s]
}

// changeStates are the states to which changes lead.
var changeStates = map[protocol.Change]HubState{
	protocol.PaidOrder: Paid, protocol.CancelRequested: CancelRequested, protocol.Withdrawn: CancelRequested, protocol.Canceled: Canceled,
	protocol.Expired: Expired, protocol.Refunded: Refunded,
}

// StoreState is the store's register of a part within an attempt. PickedUp tops
// all attempts. It only climbs (I15): undo begins another attempt.
type StoreState uint8

// The store's states.
const (
	Received StoreState = iota
	Accepted
	Rejected
	Picking
	PartiallyPicked
	Picked
	Ready
	PutBack
	PickedUp
)

func (s StoreState) String() string {
	return [...]string{"received", "accepted", "rejected", "picking", "partially_picked", "picked", "ready", "put_back", "picked_up"}[s]
}

// State is what a part comes to. Lists are by line of the order; Staged, Handed
// and Corrected are longer where something was picked in the place of lines:
// behind the lines with their own items they have the substitutes.
type State struct {
	Order   *protocol.Order // nil: not known here
	Placed  protocol.EventID
	Hub     HubState
	Store   StoreState
	Attempt uint32
	// Known says that the store did something; a store of which nothing is known
	// may not even have the order.
	Known bool
	// Committed is still promised and not picked, Staged waits for the shopper,
	// Handed is with the shopper, Released was given up by the hub.
	Committed, Staged, Handed, Released []protocol.Quantity
	// Asked is of what a refund was asked for, Elsewhere what other parts stand in
	// for, Unplaced what no store could keep, Breached what the book no longer
	// covered.
	Asked, Elsewhere, Unplaced, Breached []protocol.Quantity
	// AskedShort is of what a refund was asked for as a shortage.
	AskedShort []protocol.Quantity
	// Corrected was taken out of what is staged; below zero the hub made up for
	// what was taken twice.
	Corrected       []protocol.Quantity
	substitutes     []slot
	Paid            bool
	Prepaid         bool             // to the shop, not at a till, where nobody pays for what is missing
	ByShopper       bool             // canceled by the shopper, or expired
	Withdrawn       bool             // the hub took it back
	Refunds         [3]Refund        // of shortages, of returns, and of all else
	Returned        []string         // the events whose returns the shop was asked to pay back
	Notices         []Notice         // what the hub said of deadlines
	Last            protocol.EventID // the act that the next one follows
	Picker          protocol.StaffID // who picks now
	Shelf, Bay, Car string
	Arrived         bool
	Receipt         protocol.ReceiptNo
}

// Firm tells whether the goods are in the shopper's name on a shelf, not only in
// the book.
func (s *State) Firm() bool {
	return s.Store >= PartiallyPicked && s.Store <= Ready || s.Store == PickedUp
}

// Refund counts how often the shop was asked to pay back, and how often it did.
type Refund struct{ Asked, Done int }

// The refunds.
const (
	ofShortage = iota
	ofReturn
	ofRest
)

// refundReasons are the reasons that tell refunds apart.
var refundReasons = [...]string{ofShortage: protocol.ShortageReason, ofReturn: protocol.ReturnedReason, ofRest: ""}

// Notice is what the hub said of a deadline: reminded or overdue, and which.
type Notice struct {
	Change   protocol.Change
	Deadline string
}

// Ended tells whether the store acknowledged that it keeps nothing of the part.
func (s *State) Ended() bool {
	return s.Store == Rejected || s.Store == PutBack && s.Hub >= CancelRequested
}

// Over tells whether nothing more will happen to the goods.
func (s *State) Over() bool { return s.Store == PickedUp || s.Ended() && !some(s.Committed) }

// Waits tells whether staff of the store have something left to do.
func (s *State) Waits() bool {
	return s.Order != nil && (len(s.above(s.Staged)) > 0 || s.Store != PickedUp && !s.Ended())
}

// State works out what the part comes to.
func (p *Part) State() State {
	var s State
	s.Order, s.Placed = p.Order()
	if s.Order == nil {
		return s
	}
	s.substitutes = p.substitutes(s.Order)
	bySlot := []*[]protocol.Quantity{&s.Staged, &s.Handed, &s.Corrected}
	byLine := []*[]protocol.Quantity{&s.Committed, &s.Released, &s.Asked, &s.AskedShort, &s.Elsewhere, &s.Unplaced, &s.Breached}
	lines, slots := len(s.Order.Lines), len(s.Order.Lines)+len(s.substitutes)
	room := make([]protocol.Quantity, len(bySlot)*slots+len(byLine)*lines)
	take := func(lists []*[]protocol.Quantity, n int) {
		for _, list := range lists {
			*list, room = room[:n:n], room[n:]
		}
	}
	take(bySlot, slots)
	take(byLine, lines)
	for i := range s.Order.Lines {
		s.Committed[i] = s.Order.Lines[i].Quantity
	}
	s.Paid, s.Prepaid = s.Order.Paid, s.Order.Paid
	if s.Paid {
		s.Hub = Paid
	}
	for i := range p.entries {
		switch e := &p.entries[i]; e.class {
		case change:
			s.change(e.event.OrderChange)
		case act:
			s.act(e.id, e.event.Fulfilment)
		case sold:
			s.move(e.handed, s.Staged, s.Handed)
			s.Known, s.Store, s.Receipt, s.Paid = true, PickedUp, e.receipt, true
		}
	}
	p.last(&s)
	return s
}

func (s *State) change(c *protocol.OrderChange) {
	kind := slices.Index(refundReasons[:ofRest], c.Reason)
	if kind < 0 {
		kind = ofRest
	}
	refund := &s.Refunds[kind]
	if c.Change != protocol.Refunded || kind == ofRest {
		s.Hub = max(s.Hub, changeStates[c.Change])
	}
	switch c.Change {
	case protocol.PaidOrder:
		s.Paid, s.Prepaid = true, true
	case protocol.CancelRequested, protocol.Expired:
		s.ByShopper = true
	case protocol.Withdrawn:
		s.Withdrawn = true
	case protocol.RefundRequested:
		refund.Asked++
		if kind == ofReturn {
			s.Returned = append(s.Returned, c.Reference)
		}
		s.move(c.Lines, nil, s.Asked)
		if c.Reason == protocol.ShortageReason {
			s.move(c.Lines, nil, s.AskedShort)
		}
	case protocol.Refunded:
		refund.Done++
	case protocol.ReleasedGoods:
		s.move(c.Lines, s.Committed, s.Released)
	case protocol.CorrectedGoods:
		s.move(c.Lines, s.Staged, s.Corrected)
	case protocol.Rerouted:
		s.move(c.Lines, nil, s.Elsewhere)
	case protocol.Unplaced:
		s.move(c.Lines, nil, s.Unplaced)
	case protocol.Breached:
		s.move(c.Lines, nil, s.Breached)
	case protocol.Reminded, protocol.Overdue:
		s.Notices = append(s.Notices, Notice{c.Change, c.Reason})
	}
}

// act adds an act. Goods add up over all acts; the register takes the highest.
func (s *State) act(id protocol.EventID, f *protocol.Fulfilment) {
	s.Known = true
	to, register := Received, true
	switch f.Act {
	case protocol.Accept:
		to = Accepted
	case protocol.Reject:
		to = Rejected
	case protocol.Pick:
		s.move(f.Lines, s.Committed, s.Staged)
		to = pickedState(s.Order, f.Lines)
	case protocol.Ready:
		to = Ready
	case protocol.HandOver:
		s.move(f.Lines, s.Staged, s.Handed)
		to = PickedUp
	case protocol.PutBack:
		s.move(f.Lines, s.Staged, nil)
		to = PutBack
	case protocol.Undo:
		s.move(f.Lines, s.Staged, s.Committed)
	default: // an arrival, or an act of a later version
		register = false
	}
	if !register || s.Store == PickedUp {
		return
	}
	if to == PickedUp || f.Attempt > s.Attempt || f.Attempt == s.Attempt && to > s.Store {
		s.Attempt, s.Store = f.Attempt, to
	}
}

// last finds the act that the next one follows: the one that no other follows,
// and of several the last in the order of events. Arrivals follow nothing, since
// shoppers do not wait for each other's clerks. It also reads what the acts say
// beside the register.
func (p *Part) last(s *State) {
	followed := map[protocol.EventID]bool{}
	for i := range p.entries {
		switch e := &p.entries[i]; e.class {
		case act:
			followed[e.event.Fulfilment.After] = true
		case sold:
			followed[e.after] = true
		}
	}
	for i := range p.entries {
		e := &p.entries[i]
		if e.class == sold && !followed[e.id] {
			s.Last = e.id
		}
		if e.class != act {
			continue
		}
		f := e.event.Fulfilment
		if !followed[e.id] && f.Act != protocol.Arrive {
			s.Last = e.id
		}
		switch f.Act {
		case protocol.Arrive:
			s.Arrived, s.Bay, s.Car = true, f.Bay, f.Car
		case protocol.Ready:
			if f.Attempt == s.Attempt {
				s.Shelf = f.Shelf
			}
		case protocol.Pick:
			if f.Attempt == s.Attempt && s.Store == Picking {
				s.Picker = f.Staff
			}
		}
	}
}

// pickedState is where a pick leads: to picking without lines, which only says
// who picks; else to picked if it is all that was ordered.
func pickedState(o *protocol.Order, lines []protocol.PartLine) StoreState {
	if len(lines) == 0 {
		return Picking
	}
	found := make([]protocol.Quantity, len(o.Lines))
	for _, l := range lines {
		if int(l.Line) <= len(found) {
			found[l.Line-1] += l.Quantity
		}
	}
	for i := range found {
		if found[i] < o.Lines[i].Quantity {
			return PartiallyPicked
		}
	}
	return Picked
}

func some(list []protocol.Quantity) bool {
	for _, q := range list {
		if q != 0 {
			return true
		}
	}
	return false
}
