package hub

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
)

// orderActions make the event of each action.
var orderActions = map[string]func(*pickup.State, pickup.HubAction) (*protocol.Event, error){
	"pay": pay, "cancel": cancelOrder, "refund": refund, "arrive": arrive,
}

// ActOnOrder does what the shop asks for about an order, all of it or, where a
// register does not allow it, nothing, and answers 200 with the order.
func (h *Hub) ActOnOrder(ctx context.Context, c protocol.Call, id protocol.OrderID, action string, a pickup.HubAction) (protocol.Answer, error) {
	return h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		if err := a.Validate(action, sale.ContainsCardNumber); err != nil {
			return answer, err
		}
		var store protocol.StoreID
		err = h.view(ctx, func(r ledger.Reader) error {
			list, _, err := h.parts(r, id)
			if err == nil {
				store = list[len(list)-1].Store
			}
			return err
		})
		if err != nil {
			return answer, err
		}
		_, err = h.actAfter(ctx, store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
			list, _, err := h.parts(tx, id)
			if err != nil {
				return nil, err
			}
			ev, err := orderActions[action](&list[len(list)-1].State, a)
			if err != nil || ev == nil {
				return nil, err
			}
			return []*protocol.Event{ev}, nil
		}, func(tx ledger.Tx, _ []*protocol.Event) error {
			doc, err := h.orderDocument(tx, id)
			if err != nil {
				return err
			}
			if answer, err = answerJSON(http.StatusOK, doc); err != nil {
				return err
			}
			return keep(tx, answer)
		})
		return answer, err
	})
}

func orderChange(s *pickup.State, c protocol.OrderChange) *protocol.Event {
	c.PartID = s.Order.PartID
	return &protocol.Event{Kind: protocol.KindOrderChange, OrderChange: &c, Moves: s.Moves(&c)}
}

func errRegister(s *pickup.State, what, next string) error {
	return protocol.Refuse(protocol.Conflict, what+" Nothing was recorded. "+next).With("hub_state", s.Hub.String()).With("store_state", s.Store.String())
}

func pay(s *pickup.State, a pickup.HubAction) (*protocol.Event, error) {
	switch {
	case s.Paid:
		return nil, errRegister(s, "The order is paid.", "Pay back what was paid twice.")
	case s.Hub >= pickup.CancelRequested:
		return nil, errRegister(s, "The order is "+s.Hub.String()+".", "Pay back what was paid.")
	}
	return orderChange(s, protocol.OrderChange{Change: protocol.PaidOrder, Reference: a.Reference}), nil
}

func cancelOrder(s *pickup.State, a pickup.HubAction) (*protocol.Event, error) {
	switch {
	case s.Store == pickup.PickedUp:
		return nil, errRegister(s, "The order was handed over.", "The shopper may return the goods in any store.")
	case s.Hub >= pickup.CancelRequested:
		return nil, errRegister(s, "The order is "+s.Hub.String()+".", "There is nothing to cancel.")
	}
	return orderChange(s, protocol.OrderChange{Change: protocol.CancelRequested, Reason: a.Reason}), nil
}

// refund records that the shop paid back. It needs the store's word that the
// goods are back (I15).
func refund(s *pickup.State, a pickup.HubAction) (*protocol.Event, error) {
	switch {
	case s.Hub == pickup.Refunded:
		return nil, errRegister(s, "The order was refunded before.", "Look at the reference of that refund.")
	case !s.RefundRequested:
		return nil, errRegister(s, "No refund is asked for.", "Cancel the order first; the refund is asked for when the store has put the goods back.")
	}
	return orderChange(s, protocol.OrderChange{Change: protocol.Refunded, Reference: a.Reference}), nil
}

func arrive(s *pickup.State, a pickup.HubAction) (*protocol.Event, error) {
	f, moves, err := s.Plan(pickup.Ask{Act: protocol.Arrive, Bay: a.Bay, Car: a.Car}, nil)
	if err != nil {
		return nil, err
	}
	return &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: f, Moves: moves}, nil
}

// settle logs what the hub owes parts of a store because of what was folded.
// What is owed stays owed until it is logged, so that a crash before this only
// delays it.
func (h *Hub) settle(ctx context.Context, store protocol.StoreID, parts []protocol.PartID) error {
	var owed []*protocol.Event
	read := func(r ledger.Reader) error {
		owed = nil
		for _, id := range parts {
			part, err := ledger.ReadPart(r, store, id)
			if err != nil {
				return err
			}
			s := part.State()
			for _, c := range s.Owed() {
				owed = append(owed, orderChange(&s, c))
			}
		}
		return nil
	}
	if err := h.view(ctx, read); err != nil || len(owed) == 0 {
		return err
	}
	_, err := h.actAll(ctx, store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
		err := read(tx)
		return owed, err
	})
	return err
}

// settleTouched settles the parts that committed batches were about. While there
// is no room what is owed waits for the next start, or the next act.
func (h *Hub) settleTouched(ctx context.Context, ready []*incoming) error {
	touched := map[protocol.StoreID][]protocol.PartID{}
	for _, in := range ready {
		for _, part := range in.parts {
			if !slices.Contains(touched[in.origin.Store], part) {
				touched[in.origin.Store] = append(touched[in.origin.Store], part)
			}
		}
	}
	for store, parts := range touched {
		if err := h.settle(ctx, store, parts); protocol.CodeOf(err) == protocol.DiskFull {
			h.log.Error("the hub's disk is full; goods of orders are not yet released", "store", store, "error", err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// partsOf are the parts of orders that events are about; nil stands for an event
// that could not be folded.
func partsOf(events []*protocol.Event) (parts []protocol.PartID) {
	for _, ev := range events {
		if ev == nil {
			continue
		}
		if part := ledger.PartOf(ev); part.Part > 0 && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return parts
}

// settleAll is settle for every part of every store, at a start and in a new
// epoch.
func (h *Hub) settleAll(ctx context.Context) error {
	owed := map[protocol.StoreID][]protocol.PartID{}
	err := h.view(ctx, func(r ledger.Reader) error {
		return ledger.ScanStores(r, func(store *protocol.StoreRecord) (bool, error) {
			return true, ledger.Parts(r, store.ID, protocol.PartID{}, func(id protocol.PartID, part *pickup.Part) (bool, error) {
				if s := part.State(); len(s.Owed()) > 0 {
					owed[store.ID] = append(owed[store.ID], id)
				}
				return true, nil
			})
		})
	})
	for store, parts := range owed {
		if err == nil {
			err = h.settle(ctx, store, parts)
		}
	}
	return err
}

// once runs a call that its sender may repeat: with a key that was answered
// before it gives that answer, byte for byte, and refuses another body. run
// keeps the answer in the transaction that makes it so.
func (h *Hub) once(ctx context.Context, c protocol.Call, run func(keep func(ledger.Tx, protocol.Answer) error) (protocol.Answer, error)) (protocol.Answer, error) {
	if c.Key == "" {
		return run(func(ledger.Tx, protocol.Answer) error { return nil })
	}
	if !h.uploads.enter(c.Route + "\n" + c.Key) {
		return protocol.Answer{}, protocol.Refuse(protocol.InProgress, "The same request is still being worked on. It is recorded at most once. Ask again in a moment for its answer.")
	}
	defer h.uploads.leave(c.Route + "\n" + c.Key)
	h.pruneReports(ctx)
	name := []string{noteReport, c.Route, c.Key}
	sum := sha256.Sum256(c.Body)
	var first *protocol.Answer
	err := h.view(ctx, func(r ledger.Reader) error {
		b, err := ledger.Note(r, name...)
		if err != nil || b == nil {
			return err
		}
		if len(b) < keptHeaderBytes+2 {
			return errReportNote
		}
		if [32]byte(b[8:keptHeaderBytes]) != sum {
			return protocol.Refuse(protocol.IdempotencyMismatch, "This Idempotency-Key was used before for another request. What was recorded then stands; nothing was recorded now. Send it with a new key if it is meant.")
		}
		first = &protocol.Answer{Status: int(binary.BigEndian.Uint16(b[keptHeaderBytes:])), Body: append([]byte(nil), b[keptHeaderBytes+2:]...)}
		return nil
	})
	if err != nil {
		return protocol.Answer{}, err
	}
	if first != nil {
		return *first, nil
	}
	return run(func(tx ledger.Tx, a protocol.Answer) error {
		b := binary.BigEndian.AppendUint64(nil, uint64(h.now().UnixMilli()))
		b = binary.BigEndian.AppendUint16(append(b, sum[:]...), uint16(a.Status))
		return ledger.SetNote(tx, append(b, a.Body...), name...)
	})
}

func answerJSON(status int, document any) (protocol.Answer, error) {
	body, err := json.Marshal(document)
	return protocol.Answer{Status: status, Body: body}, err
}
