package hub

import (
	"context"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// original is the event that was logged again by a reissue, or ev itself; nil for
// what cannot be read.
func original(ev *protocol.Event) *protocol.Event {
	if ev == nil || ev.Reissue == nil {
		return ev
	}
	ev, err := protocol.DecodeEvent(ev.Reissue.Record.Body)
	if err != nil {
		return nil
	}
	return ev
}

// returnedOrders are the orders of which events bring goods back.
func returnedOrders(events []*protocol.Event) (ids []protocol.OrderID) {
	for _, ev := range events {
		if ev = original(ev); ev == nil {
			continue
		}
		if id := pickup.ReturnOf(ev.Sale); id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// payBack asks the shop to pay back what came back of an order that was paid
// online, once for each event that brought it. Until it is logged it is owed: a start looks at
// all returns.
func (h *Hub) payBack(ctx context.Context, id protocol.OrderID) error {
	var at ledger.PartPlace
	var owed []*protocol.Event
	find := func(r ledger.Reader) error {
		owed = nil
		list, _, err := h.parts(r, id)
		if protocol.CodeOf(err) == protocol.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		s := &list[0].State
		at = ledger.PartPlace{Store: list[0].Store, Part: s.Order.Part}
		returns, err := ledger.ReadReturns(r, id)
		if err != nil {
			return err
		}
		for _, event := range returns.Events() {
			c, err := paidBackOnline(r, event)
			if err != nil {
				return err
			}
			if c.Amount > 0 && !slices.Contains(s.Returned, c.Reference) {
				owed = append(owed, orderChange(s, c))
			}
		}
		return nil
	}
	if err := h.view(ctx, find); err != nil || len(owed) == 0 {
		return err
	}
	_, err := h.actAll(ctx, at.Store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
		err := find(tx)
		return owed, err
	})
	return err
}

func (h *Hub) payBackAll(ctx context.Context) error {
	var ids []protocol.OrderID
	err := h.view(ctx, func(r ledger.Reader) (err error) {
		ids, err = ledger.ReturnedOrders(r)
		return err
	})
	for _, id := range ids {
		if err == nil {
			err = h.payBack(ctx, id)
		}
	}
	return err
}

// paidBackOnline is what the shop has to be asked for because of a return.
func paidBackOnline(r ledger.Reader, event protocol.EventID) (c protocol.OrderChange, err error) {
	record, ok, err := ledger.ReadEvent(r, event)
	if err != nil || !ok {
		return c, err
	}
	ev, err := protocol.DecodeEvent(record.Body)
	if ev = original(ev); err != nil || ev == nil || ev.Sale == nil {
		return c, err
	}
	return protocol.OrderChange{
		Change: protocol.RefundRequested, Reason: protocol.ReturnedReason, Reference: event.String(), Amount: pickup.PaidBackOnline(ev.Sale),
	}, nil
}
