package till_test

import (
	"context"
	"fmt"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// promote brings promotions of the store's zone down.
func (s *shopTest) promote(rows ...protocol.Promotion) {
	s.t.Helper()
	for i := range rows {
		rows[i].Zone = "default"
	}
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Promotions: rows}})
	s.tails(protocol.PriceFeed("default"))
}

func (s *shopTest) quote(body string) sale.Quote {
	s.t.Helper()
	q, err := s.till.Quote(context.Background(), request[sale.Request](s.t, body))
	if err != nil {
		s.t.Fatal(err)
	}
	return q
}

// TestPromotion sells under a promotion that comes, changes and goes. The receipt
// says what was taken off for good, and a return gives back what was paid.
func TestPromotion(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.receive("PEN-01", 100)
		body := func(paid int) string {
			return fmt.Sprintf(`{"lines":[{"code":"PEN-01","qty":3},{"code":"CUP","qty":1}],"tenders":[{"type":"card","amount_minor":%d}]}`, paid)
		}
		s.sell(body(1749))
		three := protocol.Promotion{ID: "pens", Name: "3 pens for 5", From: "2026-11-21", Kind: protocol.NForPrice, N: 3, Price: 500, SKUs: []protocol.SKU{"PEN-01"}, Currency: "GBP"}
		s.promote(three)
		if q := s.quote(body(1)); q.TotalMinor != 1499 || q.Lines[0].DiscountMinor != 250 || q.Taxes[0].TaxMinor != 250 {
			t.Errorf("quoted as %+v", q)
		}
		doc := s.sell(body(1499))
		line := doc.Lines[0]
		if line.DiscountMinor != 250 || line.AmountMinor != 500 || len(line.Discounts) != 1 || line.Discounts[0].Type != "promotion" || *line.Discounts[0].ID != "pens" || *line.Discounts[0].Reason != "3 pens for 5" {
			t.Errorf("line %+v", line)
		}
		if doc.Taxes[0].TaxMinor != 250 {
			t.Errorf("tax %+v", doc.Taxes)
		}
		three.Price = 400
		s.promote(three)
		s.sell(body(1399))
		s.promote(protocol.Promotion{ID: "pens"})
		s.sell(body(1749))
		back, err := s.tryReturn(fmt.Sprintf(`{"receipt_no":%q,"lines":[{"line":1,"qty":3}],"tenders":[{"type":"card","amount_minor":500}]}`, doc.ReceiptNo))
		if err != nil || document[sale.Document](t, back).TotalMinor != -500 {
			t.Errorf("the return: %s (%v)", back.Body, err)
		}
		again, err := s.till.Sale(context.Background(), doc.ReceiptNo)
		if err != nil || len(again.Lines[0].Discounts) != 1 || again.Lines[0].AmountMinor != 500 {
			t.Errorf("read again: %+v (%v)", again.Lines, err)
		}
		s.verify()
	})
}

// TestPromotionsHaveTheirTime sells at moments around a promotion's days and hours,
// which are those of the store, and around another's dates that nobody can read.
func TestPromotionsHaveTheirTime(t *testing.T) {
	s := memory(t)
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{
		Stores: []protocol.StoreRecord{{ID: "s1", Name: "Baku", Timezone: "Asia/Baku", Currency: "GBP", PriceZone: "default", Primary: "a1"}},
	}})
	s.promote(
		protocol.Promotion{ID: "happy", From: "2026-11-21", To: "2026-11-22T20:00:00Z", Hours: "Sa,Su 16:00-02:00", Coupon: "HAPPY", Kind: protocol.PercentOff, Rate: 500_000},
		protocol.Promotion{ID: "broken", From: "soon", Kind: protocol.PercentOff, Rate: 900_000},
		protocol.Promotion{ID: "broken-too", From: "2026-01-01", Hours: "always", Kind: protocol.PercentOff, Rate: 900_000},
	)
	for at, want := range map[string]string{
		"2026-11-20T20:00:00Z": "250 Coupon happy is not valid at this hour. Nothing is taken off for it.",
		"2026-11-20T19:59:59Z": "250 Coupon happy is not valid yet. Nothing is taken off for it.",
		"2026-11-21T11:59:59Z": "250 Coupon happy is not valid at this hour. Nothing is taken off for it.",
		"2026-11-21T12:00:00Z": "125 ",
		"2026-11-21T21:59:59Z": "125 ",
		"2026-11-21T22:00:00Z": "250 Coupon happy is not valid at this hour. Nothing is taken off for it.",
		"2026-11-22T19:59:59Z": "125 ",
		"2026-11-22T20:00:00Z": "250 Coupon happy is no longer valid. Nothing is taken off for it.",
	} {
		s.clock.set(at)
		doc := s.sell(`{"lines":[{"code":"PEN-01","qty":1}],"tenders":[{"type":"cash","amount_minor":250}],"coupons":["happy"]}`)
		got := fmt.Sprintf("%d ", doc.TotalMinor)
		for _, w := range doc.Warnings {
			if w.Code == sale.WarnCouponUnused {
				got += w.Message
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

// TestPromotionsOfTheZoneThatSells: while a zone that the store moved to is not here
// as a whole, the one before still sells, with what changes in it.
func TestPromotionsOfTheZoneThatSells(t *testing.T) {
	s := memory(t)
	if err := s.till.Settle(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{
		Stores:     []protocol.StoreRecord{{ID: "s1", Name: "High Street", Timezone: "Europe/London", Currency: "GBP", PriceZone: "next", Primary: "a1"}},
		Promotions: []protocol.Promotion{{Zone: "next", ID: "half", From: "2026-01-01", Kind: protocol.PercentOff, Rate: 500_000}},
	}})
	pen := `{"lines":[{"code":"PEN-01","qty":1}]}`
	for _, rate := range []protocol.RatePPM{0, 100_000, 200_000} {
		if rate > 0 {
			s.promote(protocol.Promotion{ID: "some", From: "2026-01-01", Kind: protocol.PercentOff, Rate: rate})
		}
		if got, want := s.quote(pen).TotalMinor, 250-250*protocol.Money(rate)/1_000_000; got != want {
			t.Errorf("at %d off the pen costs %d, want %d", rate, got, want)
		}
	}
	s.tails(protocol.PriceFeed("next"))
	if got := s.quote(pen).TotalMinor; got != 125 {
		t.Errorf("in the new zone the pen costs %d", got)
	}
}

// TestQuoteIsTheSale: a quote of a basket is what it then costs, and is refused for
// what a sale would be refused for.
func TestQuoteIsTheSale(t *testing.T) {
	s := memory(t)
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{
		Stores: []protocol.StoreRecord{{ID: "s1", Name: "High Street", Timezone: "Europe/London", Currency: "GBP", PriceZone: "default", Primary: "a1", CashRounding: 5}},
	}})
	s.promote(protocol.Promotion{ID: "club", Name: "Club", From: "2026-11-21", MembersOnly: true, Kind: protocol.PercentOff, Rate: 100_000})
	basket := `"lines":[{"code":"PEN-01","qty":3},{"code":"CUP","qty":1},{"code":"21034","qty":0.333}],"member_id":"m-1","coupons":["NONE"]`
	q := s.quote(`{` + basket + `}`)
	doc := s.sell(`{` + basket + `,"tenders":[{"type":"cash","amount_minor":5000}]}`)
	if q.CashTotalMinor != doc.TotalMinor || q.TotalMinor != doc.TotalMinor-doc.RoundingMinor || doc.RoundingMinor == 0 || len(q.Lines) != 3 || len(q.Warnings) != 1 {
		t.Errorf("quoted as %+v, sold as %+v", q, doc)
	}
	for i := range q.Lines {
		if q.Lines[i].AmountMinor != doc.Lines[i].AmountMinor || *q.Lines[i].Name != *doc.Lines[i].Name {
			t.Errorf("line %d is quoted as %+v and sold as %+v", i+1, q.Lines[i], doc.Lines[i])
		}
	}
	if n := len(s.events()); n != 1 {
		t.Errorf("%d events were logged", n)
	}
	for body, code := range map[string]protocol.Code{
		`{"lines":[{"code":"GHOST","qty":1}]}`: protocol.UnknownCode,
		`{"lines":[]}`:                         protocol.OutOfRangeCode,
		`{"lines":[{"code":"PEN-01","qty":1}],"external":{"source":"x","id":"1","total_minor":1}}`: protocol.OutOfRangeCode,
	} {
		_, err := s.till.Quote(context.Background(), request[sale.Request](t, body))
		wantCode(t, err, code)
	}
	_, err := bare(t, ledger.NewMemory(), originA, newClock()).till.Quote(context.Background(), request[sale.Request](t, `{`+basket+`}`))
	wantCode(t, err, protocol.NotProvisioned)
}
