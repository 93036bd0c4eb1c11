package hub

import (
	"context"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// OrdersQuery asks for orders. What is empty does not matter.
type OrdersQuery struct {
	Store  protocol.StoreID
	State  string // of the hub or the store, or open for what is not over
	Number string
}

// ordersLookMax is how many orders one page looks at. There is no index of their
// states, so a page may have few rows, or none, and be followed by others.
const ordersLookMax = 5000

// stateOpen asks for the orders of which some part is not over.
const stateOpen = "open"

// Orders lists orders in the order of their ids, without what is the shopper's
// alone: code and token.
func (h *Hub) Orders(ctx context.Context, q OrdersQuery, p Page) (List[pickup.Document], error) {
	found := List[pickup.Document]{Items: []pickup.Document{}}
	err := h.view(ctx, func(r ledger.Reader) error {
		looked, last := 0, p.After
		return ledger.Orders(r, protocol.OrderID(p.After), func(id protocol.OrderID) (bool, error) {
			if looked++; looked > ordersLookMax || len(found.Items) == p.Limit {
				next := last
				found.Next = &next
				return false, nil
			}
			last = string(id)
			list, _, err := h.parts(r, id)
			if protocol.CodeOf(err) == protocol.NotFound {
				return true, nil // Known by name only.
			}
			if err != nil || !q.wants(list) {
				return err == nil, err
			}
			doc, err := h.orderDocument(r, id)
			doc.PickupCode, doc.PickupToken = nil, nil
			if err == nil {
				doc.Shopper, err = h.shopper(ctx, list[0].State.Order)
			}
			found.Items = append(found.Items, doc)
			return err == nil, err
		})
	})
	return found, err
}

// wants tells whether an order is one of those that are asked for, by its parts.
func (q OrdersQuery) wants(parts []pickup.Placement) bool {
	if q.Number != "" && parts[0].State.Order.Number != q.Number {
		return false
	}
	return slices.ContainsFunc(parts, func(p pickup.Placement) bool {
		if q.Store != "" && p.Store != q.Store {
			return false
		}
		switch q.State {
		case "":
			return true
		case stateOpen:
			return !p.State.Over()
		}
		return q.State == p.State.Hub.String() || p.State.Known && q.State == p.State.Store.String()
	})
}
