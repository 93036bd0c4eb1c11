package till

import (
	"context"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// Return takes goods back and answers with the return's document: 201, or 200
// and the first document where another POS reports a return again.
func (t *Till) Return(ctx context.Context, c protocol.Call, r sale.ReturnRequest) (protocol.Answer, error) {
	return t.do(ctx, c, nil, func(a *act) (outcome, error) { return a.takeBack(r) })
}

func (a *act) takeBack(r sale.ReturnRequest) (outcome, error) {
	if err := r.Validate(); err != nil {
		return outcome{}, err
	}
	if first, ok, err := a.reported(r.External, protocol.SaleReturn); err != nil || ok {
		return first, err
	}
	if r.OrderID != "" && r.External == nil {
		if err := a.againstOrder(&r); err != nil {
			return outcome{}, err
		}
	}
	var original *sale.Original
	training := false
	if r.ReceiptNo != "" {
		o, err := a.readOriginal(protocol.ReceiptNo(r.ReceiptNo))
		if err != nil {
			return outcome{}, err
		}
		if o != nil {
			original, training = &o.Original, o.Sale.Training
		}
	}
	codes := make([]string, len(r.Lines))
	priced := make([]bool, len(r.Lines))
	for i, l := range r.Lines {
		codes[i], priced[i] = l.Code, l.UnitPriceMinor != nil || l.AmountMinor != nil
	}
	moment := a.moment(r.External)
	lines, err := a.resolveForSale(codes, priced, r.External != nil, moment, "Nothing was returned.")
	if err != nil {
		return outcome{}, err
	}
	terms := a.terms(protocol.TillID(r.Till), training, moment, lines)
	if terms.Number, err = a.nextNumber(terms.Till, terms.Series); err != nil {
		return outcome{}, err
	}
	s, moves, err := sale.BuildReturn(terms, r, original, lines)
	if err != nil {
		return outcome{}, err
	}
	return a.logReversal(s, moves)
}

// Void reverses a whole receipt of this machine on its business day and
// answers 201 with the void's document.
func (t *Till) Void(ctx context.Context, c protocol.Call, no protocol.ReceiptNo, r sale.VoidRequest) (protocol.Answer, error) {
	// The route is part of what a key stands for, and the receipt is part of
	// the route: one key for two receipts must not answer for the wrong one.
	if c.Key != "" && !strings.Contains(c.Route, string(no)) {
		c.Route += " " + string(no)
	}
	return t.asking(ctx, func(protocol.MemberID) (protocol.Answer, error) {
		return t.do(ctx, c, nil, func(a *act) (outcome, error) { return a.void(no, r) })
	})
}

func (a *act) void(no protocol.ReceiptNo, r sale.VoidRequest) (outcome, error) {
	o, err := a.readOriginal(no)
	if err != nil {
		return outcome{}, err
	}
	if o == nil {
		return outcome{}, errNoReceipt(no, "Nothing was voided. ")
	}
	if o.agent != a.origin().Agent {
		return outcome{}, protocol.Refuse(protocol.Conflict, "Receipt "+string(no)+" was made on the machine "+string(o.agent)+
			" and can be voided only there. Nothing was voided. Void it there, or return the goods.").With("receipt_no", string(no))
	}
	terms := a.terms(o.Sale.Till, o.Sale.Training, a.now, nil)
	if terms.Number, err = a.nextNumber(terms.Till, terms.Series); err != nil {
		return outcome{}, err
	}
	s, moves, err := sale.BuildVoid(terms, &o.Original, r, o.moves)
	if err != nil {
		return outcome{}, err
	}
	return a.logReversal(s, moves)
}

// logReversal is logSale for receipts whose items come from another receipt.
func (a *act) logReversal(s *protocol.Sale, moves []protocol.Move) (outcome, error) {
	skus := make([]protocol.SKU, len(s.Lines))
	for i, l := range s.Lines {
		skus[i] = l.Item.SKU
	}
	items, err := ledger.ReadItems(a.tx, skus)
	if err != nil {
		return outcome{}, err
	}
	lines := make([]sale.Resolved, len(items))
	for i := range items {
		lines[i].Item = items[i]
	}
	return a.logSale(s, moves, lines)
}

// original is a receipt that is to be reversed.
type original struct {
	sale.Original
	agent protocol.AgentID
	moves []protocol.Move
}

// readOriginal reads a receipt with what happened to it; nil means that it is
// not known here, or its event no longer is.
func (a *act) readOriginal(no protocol.ReceiptNo) (*original, error) {
	receipt, err := ledger.ReadReceipt(a.tx, no)
	if err != nil || !receipt.Known() {
		return nil, err
	}
	e, ok, err := readLogged(a.tx, receipt.Event)
	if err != nil || !ok || e.event.Sale == nil {
		return nil, err
	}
	back, whole, err := a.pointsBack(receipt)
	if err != nil {
		return nil, err
	}
	if !whole {
		// What was given back as points is not known any more: nothing more is.
		back = sale.PaidWithPoints(e.event.Sale)
	}
	return &original{
		Original: sale.Original{Sale: e.event.Sale, ReceiptNo: no, Returned: receipt.Returned, Voided: receipt.Voided(), PointsBack: back},
		agent:    receipt.Agent, moves: e.event.Moves,
	}, nil
}

// errNoReceipt says that a receipt number is not known.
func errNoReceipt(no protocol.ReceiptNo, nothing string) *protocol.Error {
	return protocol.Refuse(protocol.NotFound, "Receipt "+string(no)+" is not known in this store. "+nothing+"Check the number, or look it up at head office.").
		With("receipt_no", string(no))
}
