package till

import (
	"context"
	"net/http"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// HandleException assigns or resolves an exception and answers 200 with it. own
// are those of this machine that no event makes.
func (t *Till) HandleException(ctx context.Context, c protocol.Call, id, action string, q ledger.HandleRequest, own func(ledger.Reader) ([]ledger.WorkItem, error)) (protocol.Answer, error) {
	if err := q.Validate(action, sale.ContainsCardNumber); err != nil {
		return protocol.Answer{}, err
	}
	return t.do(ctx, c, nil, func(a *act) (outcome, error) {
		mine, err := own(a.tx)
		if err != nil {
			return outcome{}, err
		}
		item, err := ledger.FindWork(a.tx, id, mine...)
		if err != nil {
			return outcome{}, err
		}
		ev, err := item.Handle(action, q)
		if err != nil {
			return outcome{}, err
		}
		if err := a.log(ev); err != nil {
			return outcome{}, err
		}
		if item, err = ledger.FindWork(a.tx, id, mine...); err != nil {
			return outcome{}, err
		}
		doc, err := item.Document(a.tx)
		return outcome{http.StatusOK, doc}, err
	})
}

// handledDocument is the exception that an event was about, as it is now.
func (d *desk) handledDocument(r ledger.Reader, x *protocol.ExceptionChange) (ledger.ExceptionDocument, error) {
	items, err := ledger.WorkItems(r)
	if err != nil {
		return ledger.ExceptionDocument{}, err
	}
	for i := range items {
		if items[i].Kind == x.Kind && items[i].Subject == x.Subject {
			return items[i].Document(r)
		}
	}
	gone := ledger.WorkItem{Kind: x.Kind, Subject: x.Subject, Store: d.origin().Store, Refs: []string{x.Subject}, Events: x.Events}
	gone.State, gone.Reason = ledger.ExceptionResolved, x.Reason
	return gone.Document(r)
}
