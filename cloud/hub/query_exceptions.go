package hub

import (
	"context"
	"net/http"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// Exceptions lists the broken rules in the order of their ids. An empty state
// means every state.
func (h *Hub) Exceptions(ctx context.Context, state string, p Page) (List[ledger.ExceptionDocument], error) {
	var rows []ledger.ExceptionDocument
	err := h.view(ctx, func(r ledger.Reader) error {
		items, err := ledger.WorkItems(r, h.ownWork()...)
		if err != nil {
			return err
		}
		for i := range items {
			if items[i].ID <= p.After || state != "" && items[i].State != state {
				continue
			}
			if len(rows) > p.Limit {
				break
			}
			doc, err := items[i].Document(r)
			if err != nil {
				return err
			}
			rows = append(rows, doc)
		}
		return nil
	})
	return cut(p, rows, func(e *ledger.ExceptionDocument) string { return e.ID }), err
}

// ownWork is what a person has to look at and no event says.
func (h *Hub) ownWork() []ledger.WorkItem {
	return slices.Concat(h.twinWork(), h.digestWork(), h.awaitedWork())
}

// HandleException assigns or resolves an exception and answers 200 with it. What
// was done is an event in the hub's stream of the exception's store, so that the
// store's machines see it too.
func (h *Hub) HandleException(ctx context.Context, c protocol.Call, id, action string, q ledger.HandleRequest) (protocol.Answer, error) {
	return h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		if err := q.Validate(action, sale.ContainsCardNumber); err != nil {
			return answer, err
		}
		own := h.ownWork()
		var item *ledger.WorkItem
		err = h.view(ctx, func(r ledger.Reader) error {
			item, err = ledger.FindWork(r, id, own...)
			return err
		})
		if err != nil {
			return answer, err
		}
		res, err := h.actAfter(ctx, item.Store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
			item, err := ledger.FindWork(tx, id, own...)
			if err != nil {
				return nil, err
			}
			ev, err := item.Handle(action, q)
			if err != nil {
				return nil, err
			}
			if c.Key != "" {
				ev.Idempotency = &protocol.Idempotency{Route: c.Route, Key: c.Key, Body: c.BodySum()}
			}
			return []*protocol.Event{ev}, nil
		}, func(tx ledger.Tx, _ []*protocol.Event) error {
			item, err := ledger.FindWork(tx, id, own...)
			if err != nil {
				return err
			}
			doc, err := item.Document(tx)
			if err != nil {
				return err
			}
			if answer, err = answerJSON(http.StatusOK, doc); err != nil {
				return err
			}
			if gone(item, action) {
				if err := h.giveUpOn(tx, protocol.AgentID(item.Subject)); err != nil {
					return err
				}
			}
			return keep(tx, answer)
		})
		if err != nil {
			return answer, err
		}
		if gone(item, action) {
			h.gaveUpOn(ctx, protocol.AgentID(item.Subject))
		}
		for _, at := range res.Transfers {
			// It was answered; what is owed now is found at the next start too.
			if err := h.settleTransfer(ctx, at); err != nil {
				h.log.Error("a transfer is resolved and not yet closed", "transfer", at.ID, "error", err)
			}
		}
		return answer, nil
	})
}

// gone tells whether a machine that is waited for is given up.
func gone(item *ledger.WorkItem, action string) bool {
	return item.Kind == exceptionAgentAwaited && action == string(protocol.Resolve)
}

// Ready tells whether the hub can read its database.
func (h *Hub) Ready(ctx context.Context) error {
	return h.view(ctx, func(r ledger.Reader) error {
		_, err := ledger.FeedHead(r, protocol.FeedCatalog)
		return err
	})
}
