package till

import (
	"context"

	"counterpart/protocol"
	"counterpart/protocol/sale"
)

// Quote is what a sale would come to now. Nothing is recorded, so the prices of the
// sale itself are those of the moment at which it is made.
func (t *Till) Quote(ctx context.Context, r sale.Request) (sale.Quote, error) {
	if ready, err := t.Provisioned(ctx); err != nil || !ready {
		if err == nil {
			err = protocol.Refuse(protocol.NotProvisioned, "This machine has not yet received everything that it needs to sell. Wait until it has, and check its connection to head office if it takes long.")
		}
		return sale.Quote{}, err
	}
	d := desk{Till: t, as: t.present.Load(), now: t.o.Now()}
	var q sale.Quote
	var refused error
	err := d.prepare(ctx, func(d *desk) { q, refused = d.quote(r) })
	if err == nil {
		err = refused
	}
	return q, err
}

func (d *desk) quote(r sale.Request) (sale.Quote, error) {
	if err := r.Validate(); err != nil {
		return sale.Quote{}, err
	}
	codes := make([]string, len(r.Lines))
	priced := make([]bool, len(r.Lines))
	for i, l := range r.Lines {
		codes[i], priced[i] = l.Code, l.UnitPriceMinor != nil || l.AmountMinor != nil
	}
	lines, err := d.resolveForSale(codes, priced, false, d.now, "Nothing was sold.")
	if err != nil {
		return sale.Quote{}, err
	}
	terms := d.terms(protocol.TillID(r.Till), r.Training, d.now, lines)
	terms.Promotions = d.shop.promotionsAt(d.now)
	member := protocol.MemberID(r.MemberID)
	if member != "" {
		if terms.Programme, err = d.programmeAt(d.now); err != nil {
			return sale.Quote{}, err
		}
	}
	q, err := sale.NewQuote(terms, r, lines, itemsOf(lines))
	if err == nil && q.Points != nil {
		var p purse
		p, err = d.purse(d.holdings(), d.origin(), member, terms.Programme, nil)
		q.Points.SpendableHere = p.spendable()
	}
	return q, err
}
