package till

import (
	"context"
	"net/http"
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// tillDefault is the till of a request that names none.
const tillDefault protocol.TillID = "1"

// Sell records a sale and answers with its document: 201, or 200 and the first
// document where another POS reports a sale again.
func (t *Till) Sell(ctx context.Context, c protocol.Call, r sale.Request) (protocol.Answer, error) {
	if r.RedeemPoints == nil || *r.RedeemPoints <= 0 {
		return t.sellAsking(ctx, c, r, &riskTerms{})
	}
	member, err := t.StandsFor(ctx, protocol.MemberID(r.MemberID))
	if err != nil {
		return protocol.Answer{}, err
	}
	answer, err := t.sellWithPoints(ctx, member, protocol.Points(*r.RedeemPoints), func(under protocol.MemberID, risk *riskTerms) (protocol.Answer, error) {
		r.MemberID = string(under)
		return t.sellAsking(ctx, c, r, risk)
	})
	if err == nil {
		t.leases.use(member, t.ranFor(), false)
	}
	return answer, err
}

// sellAsking sells, and asks head office for what of accounts is missing here.
func (t *Till) sellAsking(ctx context.Context, c protocol.Call, r sale.Request, risk *riskTerms) (protocol.Answer, error) {
	return t.asking(ctx, func(member protocol.MemberID) (protocol.Answer, error) {
		if member != "" {
			r.MemberID = string(member)
		}
		return t.sell(ctx, c, r, risk)
	})
}

func (t *Till) sell(ctx context.Context, c protocol.Call, r sale.Request, risk *riskTerms) (protocol.Answer, error) {
	var p preparedSale
	prepare := func(d *desk) { p, p.err = d.prepareSale(r) }
	return t.do(ctx, c, prepare, func(a *act) (outcome, error) {
		if first, ok, err := a.reported(r.External, protocol.SaleSale); err != nil || ok {
			return first, err
		}
		if p.err != nil {
			return outcome{}, a.withSpendable(p.err, protocol.MemberID(r.MemberID), p.programme)
		}
		s := p.sale
		s.Warnings = slices.Clip(s.Warnings)
		if err := a.begin(p.moves); err != nil {
			return outcome{}, err
		}
		var err error
		if s.Number, err = a.nextNumber(s.Till, s.Series); err != nil {
			return outcome{}, err
		}
		if err := a.standIn(&s); err != nil {
			return outcome{}, err
		}
		if err := a.mayRedeem(&s, p.programme, risk); err != nil {
			return outcome{}, err
		}
		return a.logSale(&s, p.moves, p.lines)
	})
}

// preparedSale is a sale that lacks nothing but its number and the warnings
// that the book gives.
type preparedSale struct {
	sale  protocol.Sale
	moves []protocol.Move
	lines []sale.Resolved
	// programme is that in force, for who pays with points.
	programme *protocol.Programme
	err       error // why there is none
}

func (d *desk) prepareSale(r sale.Request) (preparedSale, error) {
	if err := r.Validate(); err != nil {
		return preparedSale{}, err
	}
	codes := make([]string, len(r.Lines))
	priced := make([]bool, len(r.Lines))
	for i, l := range r.Lines {
		codes[i], priced[i] = l.Code, l.UnitPriceMinor != nil || l.AmountMinor != nil
	}
	moment := d.moment(r.External)
	lines, err := d.resolveForSale(codes, priced, r.External != nil, moment, "Nothing was sold.")
	if err != nil {
		return preparedSale{}, err
	}
	terms := d.terms(protocol.TillID(r.Till), r.Training, moment, lines)
	if err := d.promoted(&terms, &r, moment); err != nil {
		return preparedSale{}, err
	}
	if r.MemberID != "" {
		if terms.Programme, err = d.programmeAt(moment); err != nil {
			return preparedSale{}, err
		}
	}
	s, moves, err := sale.Build(terms, r, lines)
	if err != nil {
		return preparedSale{programme: terms.Programme}, err
	}
	if err := d.earn(s, terms.Programme, lines, moment); err != nil {
		return preparedSale{}, err
	}
	return preparedSale{sale: *s, moves: moves, lines: lines, programme: terms.Programme}, nil
}

// nextNumber is the next receipt number of a till and series. It is used when
// the receipt is in the log, so a refusal leaves no gap.
func (a *act) nextNumber(till protocol.TillID, series string) (uint64, error) {
	if err := a.begin(nil); err != nil {
		return 0, err
	}
	stream, err := a.entry.Stream()
	if err != nil {
		return 0, err
	}
	return stream.LastReceipt(till, series) + 1, nil
}

// begin readies the log for the act's event, once.
func (a *act) begin(moves []protocol.Move) (err error) {
	if a.entry == nil {
		skus := make([]protocol.SKU, len(moves))
		for i := range moves {
			skus[i] = moves[i].SKU
		}
		a.entry, err = ledger.Begin(a.tx, a.origin(), skus)
	}
	return err
}

// moment is the time whose prices, rates and business date apply: now, or
// when another POS made its receipt.
func (d *desk) moment(x *sale.External) time.Time {
	if x == nil {
		return d.now
	}
	if at, err := time.Parse(time.RFC3339, x.OccurredAt); err == nil {
		return at
	}
	if day, err := time.ParseInLocation(time.DateOnly, x.BusinessDate, d.shop.loc); err == nil {
		return day.Add(12 * time.Hour)
	}
	return d.now
}

// reported finds the document of a sale or return that another POS has
// reported before. One id for two different kinds is refused, since taking
// the second for a repeat would lose it in silence.
func (a *act) reported(x *sale.External, kind protocol.SaleType) (outcome, bool, error) {
	if x == nil {
		return outcome{}, false, nil
	}
	ids, err := ledger.ExternalEvents(a.tx, x.Source, x.ID)
	if err != nil || len(ids) == 0 {
		return outcome{}, false, err
	}
	for _, id := range ids {
		e, ok, err := readLogged(a.tx, id)
		if err != nil {
			return outcome{}, false, err
		}
		if !ok || e.event.Sale == nil {
			continue
		}
		if e.event.Sale.Type != kind {
			return outcome{}, false, protocol.Refuse(protocol.Conflict, "The id "+x.ID+" of "+x.Source+" was recorded before as a "+string(e.event.Sale.Type)+
				". What was recorded then stands; nothing was recorded now. Send it with an id of its own.")
		}
		doc, err := a.saleDocument(a.tx, e)
		if err != nil {
			return outcome{}, false, err
		}
		return outcome{http.StatusOK, &doc}, true, nil
	}
	return outcome{}, false, protocol.Refuse(protocol.Conflict, "The id "+x.ID+" of "+x.Source+
		" was recorded before, and its document is no longer on this machine. What was recorded then stands; nothing was recorded now. Look it up at head office.")
}

// resolveForSale finds out what sale.Build needs to know of each code. What
// another POS has sold already is never refused.
func (d *desk) resolveForSale(codes []string, priced []bool, external bool, at time.Time, nothing string) ([]sale.Resolved, error) {
	v := resolver{r: d.r, patterns: d.o.Patterns, nothing: nothing}
	all, err := v.resolve(codes)
	if err != nil {
		return nil, err
	}
	lines := make([]sale.Resolved, len(all))
	var skus []protocol.SKU
	for i := range all {
		f := &all[i]
		switch {
		case external:
		case f.err != nil:
			return nil, f.err.With("line", i+1)
		case f.ask && f.Item != nil && !priced[i]:
			return nil, protocol.Refuse(protocol.PriceMissing, "The price in barcode "+codes[i]+" ("+f.Item.Name+") cannot be read. "+nothing+
				" Enter the price that is printed on the label.").With("line", i+1).With("value", codes[i])
		}
		lines[i] = f.Resolved
		if f.Item != nil {
			skus = append(skus, f.SKU)
		}
	}
	if len(skus) == 0 {
		return lines, nil
	}
	lists, err := ledger.ReadPrices(d.r, d.shop.zone, skus)
	if err != nil {
		return nil, err
	}
	n := 0
	for i := range lines {
		if lines[i].Item == nil {
			continue
		}
		if !all[i].ask {
			lines[i].Price = d.shop.priceInForce(lines[i].Item, lists[n], at)
		}
		n++
	}
	return lines, nil
}

// terms are the store's terms for a receipt at a time, but for its number. A zone's taxes are all
// inclusive or all exclusive; should they differ, the first tax on the receipt
// decides for all of it.
func (d *desk) terms(till protocol.TillID, training bool, at time.Time, lines []sale.Resolved) sale.Terms {
	if till == "" {
		till = tillDefault
	}
	series := d.series()
	if training {
		series = "T" + series
	}
	lists := d.shop.taxes
	find := func(code string) *protocol.TaxList {
		for _, l := range lists {
			if l.Code == code {
				return l
			}
		}
		return nil
	}
	t := sale.Terms{
		Agent: d.origin().Agent, Till: till, Series: series,
		BusinessDate: d.shop.businessDate(at), Currency: d.shop.record.Currency, CashRounding: d.shop.record.CashRounding,
		Rate: func(code string) (protocol.RatePPM, bool) {
			if l := find(code); l != nil {
				return d.shop.rateInForce(l, at)
			}
			return 0, false
		},
	}
	if len(lists) > 0 {
		t.PricesIncludeTax = lists[0].PricesIncludeTax
	}
	for _, l := range lines {
		if l.Item == nil {
			continue
		}
		if list := find(l.Item.TaxCode); list != nil {
			t.PricesIncludeTax = list.PricesIncludeTax
			break
		}
	}
	return t
}

// logSale logs a receipt, with the warnings that the book gives, and answers
// with its document.
func (a *act) logSale(s *protocol.Sale, moves []protocol.Move, lines []sale.Resolved) (outcome, error) {
	if err := a.warn(s, moves); err != nil {
		return outcome{}, err
	}
	if err := a.mayTake(s); err != nil {
		return outcome{}, err
	}
	if err := a.log(&protocol.Event{Kind: protocol.KindSale, Moves: moves, Sale: s}); err != nil {
		return outcome{}, err
	}
	for i := range s.Accounts {
		a.leases.use(s.Accounts[i].Account, a.ranFor(), false)
	}
	doc := sale.NewDocument(sale.Meta{
		EventID: a.logged, Inc: a.logged.Inc, Seq: a.logged.Seq, Store: a.origin().Store, Agent: a.origin().Agent,
		At: a.shop.display(a.now), Item: itemsOf(lines),
	}, s)
	return outcome{http.StatusCreated, &doc}, nil
}

// itemsOf names the items of resolved lines.
func itemsOf(lines []sale.Resolved) func(protocol.SKU) (name, gtin string, ok bool) {
	return func(sku protocol.SKU) (string, string, bool) {
		for i := range lines {
			if it := lines[i].Item; it != nil && it.SKU == sku {
				return it.Name, it.GTIN, true
			}
		}
		return "", "", false
	}
}
