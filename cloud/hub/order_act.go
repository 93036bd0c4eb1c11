package hub

import (
	"context"
	"net/http"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
)

// orderActions make the events of each action about one part. A refusal tells why
// nothing is to be done about it.
var orderActions = map[string]func(*pickup.State, pickup.HubAction) ([]*protocol.Event, error){
	"pay": pay, "cancel": cancelOrder, "refund": refund, "arrive": arrive,
}

// ActOnOrder does what the shop asks for about an order, for all parts whose
// registers allow it or, where none does, nothing, and answers 200 with the order.
func (h *Hub) ActOnOrder(ctx context.Context, c protocol.Call, id protocol.OrderID, action string, a pickup.HubAction) (protocol.Answer, error) {
	return h.onceSigned(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		if err := a.Validate(action, sale.ContainsCardNumber); err != nil {
			return answer, err
		}
		var stores []protocol.StoreID
		parts := map[protocol.StoreID][]protocol.PartID{}
		err = h.view(ctx, func(r ledger.Reader) error {
			list, _, err := h.parts(r, id)
			for i := range list {
				at := list[i].Store
				stores, parts[at] = append(stores, at), append(parts[at], list[i].State.Order.PartID)
			}
			return err
		})
		if err != nil {
			return answer, err
		}
		_, err = h.actIn(ctx, stores, func(tx ledger.Tx, _ map[protocol.StoreID]protocol.Origin) (deeds []deed, err error) {
			list, _, err := h.parts(tx, id)
			if err != nil {
				return nil, err
			}
			var refused error
			for i := range list {
				events, err := orderActions[action](&list[i].State, a)
				if err != nil {
					refused = err // the last part's reason is the freshest
					continue
				}
				deeds = append(deeds, deed{store: list[i].Store, events: events})
			}
			if len(deeds) > 0 {
				refused = nil
			}
			return deeds, refused
		}, func(tx ledger.Tx, _ []deed) error {
			doc, err := h.orderDocument(tx, id)
			if err != nil {
				return err
			}
			if answer, err = answerJSON(http.StatusOK, doc); err != nil {
				return err
			}
			return keep(tx, answer)
		})
		if err != nil {
			return answer, err
		}
		return answer, h.settleStores(ctx, parts)
	})
}

func orderChange(s *pickup.State, c protocol.OrderChange) *protocol.Event {
	c.PartID, c.Member = s.Order.PartID, s.Order.Member
	return &protocol.Event{Kind: protocol.KindOrderChange, OrderChange: &c, Moves: s.Moves(&c)}
}

func errRegister(s *pickup.State, what, next string) error {
	return protocol.Refuse(protocol.Conflict, what+" Nothing was recorded. "+next).With("hub_state", s.Hub.String()).With("store_state", s.Store.String())
}

func pay(s *pickup.State, a pickup.HubAction) ([]*protocol.Event, error) {
	switch {
	case s.Paid:
		return nil, errRegister(s, "The order is paid.", "Pay back what was paid twice.")
	case s.Hub >= pickup.CancelRequested:
		return nil, errRegister(s, "The order is "+s.Hub.String()+".", "Pay back what was paid.")
	}
	return []*protocol.Event{orderChange(s, protocol.OrderChange{Change: protocol.PaidOrder, Reference: a.Reference})}, nil
}

func cancelOrder(s *pickup.State, a pickup.HubAction) ([]*protocol.Event, error) {
	switch {
	case s.Store == pickup.PickedUp:
		return nil, errRegister(s, "The order was handed over.", "The shopper may return the goods in any store.")
	case s.ByShopper || s.Hub >= pickup.Canceled:
		return nil, errRegister(s, "The order is "+s.Hub.String()+".", "There is nothing to cancel.")
	}
	return []*protocol.Event{orderChange(s, protocol.OrderChange{Change: protocol.CancelRequested, Reason: a.Reason})}, nil
}

// refund records that the shop paid back all that it was asked for. That needs
// the store's word that the goods are back, or were not there (I15).
func refund(s *pickup.State, a pickup.HubAction) (events []*protocol.Event, err error) {
	for _, reason := range s.RefundsDue() {
		events = append(events, orderChange(s, protocol.OrderChange{Change: protocol.Refunded, Reason: reason, Reference: a.Reference}))
	}
	switch {
	case len(events) > 0:
		return events, nil
	case s.Hub == pickup.Refunded:
		return nil, errRegister(s, "The order was refunded before.", "Look at the reference of that refund.")
	}
	return nil, errRegister(s, "No refund is asked for.", "Cancel the order first; the refund is asked for when the store has put the goods back.")
}

func arrive(s *pickup.State, a pickup.HubAction) ([]*protocol.Event, error) {
	f, moves, err := s.Plan(pickup.Ask{Act: protocol.Arrive, Bay: a.Bay, Car: a.Car}, nil)
	if err != nil {
		return nil, err
	}
	return []*protocol.Event{{Kind: protocol.KindFulfilment, Fulfilment: f, Moves: moves}}, nil
}
