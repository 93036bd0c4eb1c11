package stock

import "counterpart/protocol"

// OverpromiseTargetDefault is the chance of promising what has been sold that a
// chain accepts where no policy says otherwise: 1 %.
const OverpromiseTargetDefault protocol.RatePPM = 10_000

// Policy is what a chain has decided about promising an item in a store.
type Policy struct {
	SafetyStock protocol.Quantity
	Online      bool // whether it is promised at all
	// Target is the chance that a promise to a silent store may have of not
	// being kept, in parts per million.
	Target protocol.RatePPM
}

// PolicyDefault is what holds where nothing was decided.
func PolicyDefault() Policy {
	return Policy{SafetyStock: SafetyStockDefault, Online: true, Target: OverpromiseTargetDefault}
}

// Allotment is the most that online may hold promised from a level, given what
// Buffer says of the store's silence. Safety stock and buffer add up: the one
// stands for a book that is wrong, the other for sales that are not in it yet.
func (p Policy) Allotment(l *Level, buffer protocol.Quantity) protocol.Quantity {
	if !p.Online {
		return 0
	}
	kept := p.SafetyStock + max(0, buffer)
	if l.RecountSuggested() {
		kept += doubtStock
	}
	return l.Allotment(kept)
}

// doubtStock is how much more is kept back of an item whose book was found wrong,
// until somebody counts it: one piece, as much as a shelf that is one short.
const doubtStock protocol.Quantity = 1000

// Promisable is what is left of the allotment after the open promises. They are
// below zero for a moment where two machines picked one order, and make no room.
func (p Policy) Promisable(l *Level, buffer protocol.Quantity) protocol.Quantity {
	return max(0, p.Allotment(l, buffer)-max(0, l.quantities[protocol.Committed]))
}
