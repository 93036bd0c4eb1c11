package till

import (
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// The warnings that the book gives. None of them stops a sale.
const (
	// warnBelowZero: the book fell below zero.
	warnBelowZero = "below_zero"
	// warnPromised: what is left is less than what online may hold.
	warnPromised = "promised_online"
)

// unseenMax is how much more than it knows of this machine takes the hub to
// have promised of an item. The hub may promise all that it sees, which is
// nearly all that there is; a warning about that would come with every sale of
// two, and nobody would read it.
const unseenMax protocol.Quantity = 2000

// warn adds a warning to each line whose item the receipt takes below zero or
// further below, or below what online may hold. They are part of the event, so
// that the document is the same later.
func (a *act) warn(s *protocol.Sale, moves []protocol.Move) error {
	for i := range s.Lines {
		l := &s.Lines[i]
		if l.Unstocked || l.Quantity <= 0 {
			continue
		}
		n := slices.IndexFunc(moves, func(m protocol.Move) bool {
			return m.SKU == l.Item.SKU && m.State == protocol.OnHand && m.Delta < 0
		})
		if n < 0 {
			continue
		}
		level, err := a.entry.Level(l.Item.SKU)
		if err != nil {
			return err
		}
		if after := level.OnHand() + moves[n].Delta; after < 0 {
			s.Warnings = append(s.Warnings, protocol.Warning{Code: warnBelowZero, Line: uint32(i + 1), Message: stock.BelowZero(after)})
		}
		if level.Quantity(protocol.Committed) <= 0 {
			continue
		}
		message, err := a.promised(l.Item.SKU, level, freed(moves, l.Item.SKU))
		if err != nil {
			return err
		}
		if message != "" {
			s.Warnings = append(s.Warnings, protocol.Warning{Code: warnPromised, Line: uint32(i + 1), Message: message})
		}
	}
	return nil
}

// freed is by how much moves change what the shop holds of an item and nobody
// has set aside. The hand-over of an order changes nothing.
func freed(moves []protocol.Move, sku protocol.SKU) (delta protocol.Quantity) {
	for _, m := range moves {
		switch {
		case m.SKU != sku:
		case m.State == protocol.OnHand:
			delta += m.Delta
		case m.State == protocol.Staged || m.State == protocol.Damaged || m.State == protocol.QualityControl:
			delta -= m.Delta
		}
	}
	return delta
}

// promised is the warning of a sale after which less is left of an item than
// online may hold, empty for none. What it may hold is what this machine knows
// to be promised, or more: the hub may promise up to the allotment of any state
// of the book that it was sent and that later sales have eaten into.
func (a *act) promised(sku protocol.SKU, level *stock.Level, delta protocol.Quantity) (string, error) {
	known := level.Quantity(protocol.Committed)
	before := level.Allotment(0)
	left := before + delta
	if delta >= 0 || left >= known+unseenMax {
		return "", nil
	}
	if left < known {
		return stock.PromisedOnline(known, 0, left), nil
	}
	stream, err := a.entry.Stream()
	if err != nil {
		return "", err
	}
	policy, err := policyOf(a.tx, a.origin().Store, sku)
	if err != nil {
		return "", err
	}
	may := known + unseenMax
	switch {
	case !policy.Online:
		may = known
	case a.o.Acked() >= stream.Seq:
		may = min(may, max(known, before-policy.SafetyStock)) // The hub sees what is here.
	}
	if left >= may {
		return "", nil
	}
	return stock.PromisedOnline(known, may-known, left), nil
}

// policyOf is the policy for an item as it came down.
func policyOf(r ledger.Reader, store protocol.StoreID, sku protocol.SKU) (stock.Policy, error) {
	item, err := ledger.ReadItem(r, sku)
	if err != nil {
		return stock.Policy{}, err
	}
	category := ""
	if item != nil {
		category = item.Category
	}
	rows, err := ledger.ReadPolicy(r, store, sku, category)
	return stock.NewPolicy(rows), err
}
