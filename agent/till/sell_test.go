package till_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

const exampleSale = `{"till":"1","lines":[{"code":"4006381333931","qty":2,"unit_price_minor":250,
   "discounts":[{"type":"manual","id":null,"reason":"damaged box","amount_minor":50}]}],
 "tenders":[{"type":"cash","amount_minor":500}],"member_id":null,"redeem_points":0,"staff":"s7","training":false,"external":null}`

// TestExample is the sale of HTTP.md, member by member.
func TestExample(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.receive("PEN-01", 1)
		a, err := s.trySell(exampleSale)
		if err != nil {
			t.Fatal(err)
		}
		inc := originA.Inc.String()
		want := fmt.Sprintf(`{"type":"sale","event_id":"%s-2","inc":"%s","seq":2,"store":"s1","agent":"a1","till":"1","receipt_no":"a1-1-1-1","original_receipt_no":null,
 "business_date":"2026-11-21","at":"2026-11-21T10:02:12+00:00","staff":"s7","member_id":null,"currency":"GBP",
 "lines":[{"line":1,"sku":"PEN-01","gtin":"04006381333931","name":"Pen","qty":2,"unit_price_minor":250,"discount_minor":50,"amount_minor":450,
   "tax_code":"STD","returned_qty":0,"discounts":[{"type":"manual","id":null,"reason":"damaged box","amount_minor":50}]}],
 "taxes":[{"tax_code":"STD","rate_ppm":200000,"net_minor":375,"tax_minor":75}],
 "tenders":[{"type":"cash","amount_minor":500,"ref":null}],"rounding_minor":0,"total_minor":450,"change_minor":50,"points_earned":0,
 "fiscal":null,"training":false,"voided":false,"external":null,
 "warnings":[{"code":"below_zero","line":1,"message":"The book shows −1 on hand."}]}`, inc, inc)
		if a.Status != 201 {
			t.Errorf("status %d", a.Status)
		}
		sameJSON(t, a.Body, want)

		doc, err := s.till.Sale(context.Background(), "a1-1-1-1")
		if err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(a.Body) {
			t.Errorf("the document reads back as %s", again)
		}
		if n := s.appended.Load(); n != 2 {
			t.Errorf("Appended was called %d times, want 2", n)
		}
		s.verify()
	})
}

func sameJSON(t *testing.T, got []byte, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCodes checks how codes are found, and what is said of those that are not.
func TestCodes(t *testing.T) {
	s := memory(t)
	for _, c := range []struct {
		code   string
		sku    protocol.SKU
		qty    string
		amount protocol.Money
	}{
		{"PEN-01", "PEN-01", "1", 250},
		{"4006381333931", "PEN-01", "1", 250},
		{"04006381333931", "PEN-01", "1", 250},
		{" 4006381333931 ", "PEN-01", "1", 250},
		{"۴۰۰۶۳۸۱۳۳۳۹۳۱", "PEN-01", "1", 250},
		{"(01)04006381333931(10)LOT", "PEN-01", "1", 250},
		{"14006381333938", "PEN-01", "12", 3000},
		{"BOX-A", "PEN-01", "12", 3000},
		{"2021034005000", "21034", "0.278", 500}, // 20 21034 00500: 5.00 of ham at 18.00 a kilogram
		{"2121034012506", "21034", "1.25", 2250}, // 21 21034 01250: 1.250 kg
	} {
		c.code = withCheckDigit(c.code)
		doc := s.sell(fmt.Sprintf(`{"lines":[{"code":%q,"qty":1}],"tenders":[{"type":"card","amount_minor":%d}]}`, c.code, c.amount))
		if l := doc.Lines[0]; l.SKU != c.sku || l.Qty.String() != c.qty || l.AmountMinor != c.amount {
			t.Errorf("%s: sku %s, qty %s, amount %d", c.code, l.SKU, l.Qty, l.AmountMinor)
		}
	}
	for _, c := range []struct {
		code string
		want protocol.Code
		part string
	}{
		{"4006381333932", protocol.BadCheckDigit, "Barcode 4006381333932 is wrong (last digit). Nothing was sold. Scan again or type it."},
		{"123456789", protocol.BadLength, "Scan again"},
		{"5901234123457", protocol.UnknownCode, "Nothing was sold"},
		{"NO-SUCH", protocol.UnknownCode, "Nothing was sold"},
		{"1234567", protocol.UnknownCode, "Nothing was sold"},
		{"2999999999997", protocol.UnknownCode, "Nothing was sold"}, // restricted, and of no pattern
		{"EURO", protocol.PriceMissing, "no price"},
		{"2121034000003", protocol.PriceMissing, "printed on the label"}, // a weight of nothing
		{"2221034812345", protocol.PriceMissing, "printed on the label"}, // a wrong verifier
	} {
		if c.want != protocol.BadCheckDigit {
			c.code = withCheckDigit(c.code)
		}
		_, err := s.trySell(fmt.Sprintf(`{"lines":[{"code":"PEN-01","qty":1},{"code":%q,"qty":1}],"tenders":[{"type":"card","amount_minor":1}]}`, c.code))
		e := wantCode(t, err, c.want)
		if e.Members["line"] != 2 || !strings.Contains(e.Message, c.part) {
			t.Errorf("%s: %v %q", c.code, e.Members, e.Message)
		}
	}
	priced := s.sell(`{"lines":[{"code":"` + withCheckDigit("2221034812345") + `","qty":1,"unit_price_minor":100}],"tenders":[{"type":"card","amount_minor":100}]}`)
	if priced.Lines[0].SKU != "21034" {
		t.Errorf("priced by hand: %+v", priced.Lines[0])
	}
	open := s.sell(`{"lines":[{"code":"5901234123457","qty":1,"unit_price_minor":100}],"tenders":[{"type":"card","amount_minor":100}]}`)
	if l := open.Lines[0]; l.SKU != "05901234123457" || l.GTIN == nil || *l.GTIN != "05901234123457" {
		t.Errorf("open item: %+v", l)
	}
	s.verify()
}

// withCheckDigit corrects the last digit of a code of thirteen digits, so that
// the tables need not.
func withCheckDigit(code string) string {
	if len(code) != 13 || strings.Trim(code, "0123456789") != "" {
		return code
	}
	sum := 0
	for i := range 12 {
		sum += int(code[i]-'0') * (1 + 2*(i%2))
	}
	return code[:12] + string(rune('0'+(10-sum%10)%10))
}

// TestAmbiguousCode checks that a code of two items is asked about, not guessed.
func TestAmbiguousCode(t *testing.T) {
	s := memory(t)
	c := catalog()
	for i := range c.Items {
		if strings.HasPrefix(string(c.Items[i].SKU), "TWIN") {
			c.Items[i].Codes = []protocol.ItemCode{{Code: "SAME", Multiplier: 1000}}
		}
	}
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: c})
	_, err := s.trySell(`{"lines":[{"code":"SAME","qty":1}],"tenders":[{"type":"card","amount_minor":1}]}`)
	e := wantCode(t, err, protocol.Conflict)
	if !strings.Contains(e.Message, "TWIN-1") || !strings.Contains(e.Message, "TWIN-2") {
		t.Error(e.Message)
	}
}

// TestReceiptsGapless runs eight tills at once.
func TestReceiptsGapless(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		const tills, each = 8, 25
		var wg sync.WaitGroup
		for n := range tills {
			wg.Go(func() {
				for i := range each {
					body := fmt.Sprintf(`{"till":"%d","lines":[{"code":"PEN-01","qty":1},{"code":"CUP","qty":1}],"tenders":[{"type":"card","amount_minor":1249}]}`, n%4)
					if i%5 == 4 { // a refusal leaves no gap
						body = `{"till":"0","lines":[{"code":"PEN-01","qty":1}]}`
					}
					a, err := s.trySell(body)
					if i%5 == 4 {
						if protocol.CodeOf(err) != protocol.TenderShort {
							t.Errorf("refused with %v", err)
						}
					} else if err != nil || a.Status != 201 {
						t.Errorf("sale: %v", err)
					}
				}
			})
		}
		wg.Wait()
		next := map[protocol.TillID]uint64{}
		for _, ev := range s.events() {
			next[ev.Sale.Till]++
			if ev.Sale.Number != next[ev.Sale.Till] {
				t.Fatalf("till %s printed %d, want %d", ev.Sale.Till, ev.Sale.Number, next[ev.Sale.Till])
			}
		}
		if sold := s.level("CUP").OnHand(); sold != -tills*each*4/5*1000 {
			t.Errorf("on hand %s", sold)
		}
		s.verify()
	})
}

// TestTraining checks that training changes nothing and numbers for itself.
func TestTraining(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 5)
	const body = `{"training":true,"lines":[{"code":"PEN-01","qty":9}],"tenders":[{"type":"cash","amount_minor":2250}]}`
	doc := s.sell(body)
	if doc.ReceiptNo != "a1-1-T1-1" || !doc.Training || len(doc.Warnings) != 0 {
		t.Errorf("receipt %s, training %v, warnings %v", doc.ReceiptNo, doc.Training, doc.Warnings)
	}
	if no := s.sell(exampleSale).ReceiptNo; no != "a1-1-1-1" {
		t.Errorf("the first real receipt is %s", no)
	}
	if _, err := s.tryReturn(`{"receipt_no":"a1-1-T1-1","lines":[{"line":1,"qty":1}],"tenders":[{"type":"cash","amount_minor":250}]}`); err != nil {
		t.Error(err)
	}
	if no := s.sell(body).ReceiptNo; no != "a1-1-T1-3" {
		t.Errorf("the training series goes on with %s", no)
	}
	if got := s.level("PEN-01").OnHand(); got != 3000 {
		t.Errorf("on hand %s, want 3", got)
	}
}

// TestUnstocked checks that a service moves nothing.
func TestUnstocked(t *testing.T) {
	s := memory(t)
	doc := s.sell(`{"lines":[{"code":"GIFT-WRAP","qty":1}],"tenders":[{"type":"card","amount_minor":100}]}`)
	if len(doc.Warnings) != 0 || s.level("GIFT-WRAP").OnHand() != 0 {
		t.Errorf("warnings %v, on hand %s", doc.Warnings, s.level("GIFT-WRAP").OnHand())
	}
}

// TestDatedPrices checks that prices and rates begin and end by the clock, at
// midnight in the store.
func TestDatedPrices(t *testing.T) {
	s := memory(t)
	c := catalog()
	c.Stores[0].Timezone = "Asia/Baku"
	c.Taxes[0].Rates = append(c.Taxes[0].Rates, protocol.TaxRate{Rate: 100000, From: "2026-12-01"})
	c.Prices = []protocol.PriceList{{Zone: "default", SKU: "PEN-01", Prices: []protocol.Price{
		{Amount: 300, Currency: "GBP", From: "2026-12-01"},
		{Amount: 200, Currency: "GBP", From: "2026-12-01T06:00:00+04:00", To: "2026-12-01T07:00:00+04:00"},
		{Amount: 1, Currency: "EUR", From: "2026-12-01"},
	}}}
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: c})
	for _, step := range []struct {
		now   string
		price protocol.Money
		rate  protocol.RatePPM
		day   string
	}{
		{"2026-11-30T19:59:59Z", 250, 200000, "2026-11-30"},
		{"2026-11-30T20:00:00Z", 300, 100000, "2026-11-30"}, // midnight in Baku; the business day goes on until 04:00
		{"2026-12-01T00:00:00Z", 300, 100000, "2026-12-01"},
		{"2026-12-01T02:00:00Z", 200, 100000, "2026-12-01"},
		{"2026-12-01T03:00:00Z", 300, 100000, "2026-12-01"},
	} {
		s.clock.set(step.now)
		doc := s.sell(fmt.Sprintf(`{"lines":[{"code":"PEN-01","qty":1}],"tenders":[{"type":"card","amount_minor":%d}]}`, step.price))
		if l := doc.Lines[0]; l.UnitPriceMinor != step.price || doc.Taxes[0].RatePPM != step.rate || doc.BusinessDate != step.day {
			t.Errorf("%s: price %d, rate %d, day %s", step.now, l.UnitPriceMinor, doc.Taxes[0].RatePPM, doc.BusinessDate)
		}
		if !strings.HasSuffix(doc.At, "+04:00") {
			t.Errorf("at %s", doc.At)
		}
	}
}

// TestTermsFollowTheFeed changes taxes, cash rounding and zone between two sales
// each: no sale uses what was read for the one before.
func TestTermsFollowTheFeed(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		tax := func(zone protocol.ZoneID, code string, rate protocol.RatePPM) *protocol.Catalog {
			return &protocol.Catalog{Taxes: []protocol.TaxList{{Zone: zone, Code: code, PricesIncludeTax: true, Rates: []protocol.TaxRate{{Rate: rate, From: "2020-01-01"}}}}}
		}
		store := catalog()
		store.Items, store.Taxes = nil, nil
		store.Stores[0].CashRounding = 100
		moved := catalog()
		moved.Items = nil
		moved.Stores[0].PriceZone, moved.Taxes = "near", tax("near", "STD", 300000).Taxes
		for _, step := range []struct {
			what  string
			feed  *protocol.Catalog
			tail  protocol.ZoneID
			rate  protocol.RatePPM
			total protocol.Money
		}{
			{"as it was", &protocol.Catalog{}, "", 200000, 250},
			{"a new rate", tax("default", "STD", 100000), "", 100000, 250},
			{"a new tax code", tax("default", "AAA", 100000), "", 100000, 250},
			{"cash rounding", store, "", 100000, 300},
			{"a zone that is not here yet", moved, "", 300000, 250},
			{"a zone", &protocol.Catalog{}, "near", 300000, 250},
		} {
			s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: step.feed})
			if step.tail != "" {
				s.tails(protocol.PriceFeed(step.tail))
			}
			doc := s.sell(`{"lines":[{"code":"PEN-01","qty":1}],"tenders":[{"type":"cash","amount_minor":1000}]}`)
			if doc.Taxes[0].RatePPM != step.rate || doc.TotalMinor != step.total {
				t.Errorf("%s: rate %d, total %d", step.what, doc.Taxes[0].RatePPM, doc.TotalMinor)
			}
		}
	})
}

// TestExclusiveTax checks a zone whose prices leave tax out.
func TestExclusiveTax(t *testing.T) {
	s := memory(t)
	c := catalog()
	c.Stores[0].PriceZone = "us"
	c.Taxes = []protocol.TaxList{{Zone: "us", Code: "STD", Rates: []protocol.TaxRate{{Rate: 82500, From: "2020-01-01"}}}}
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: c})
	s.tails(protocol.PriceFeed("us"))
	doc := s.sell(`{"lines":[{"code":"CUP","qty":1},{"code":"21034","qty":1}],"tenders":[{"type":"card","amount_minor":2881}]}`)
	if doc.TotalMinor != 2881 || len(doc.Taxes) != 1 || doc.Taxes[0].NetMinor != 999 || doc.Taxes[0].TaxMinor != 82 {
		t.Errorf("total %d, taxes %+v", doc.TotalMinor, doc.Taxes)
	}
}

// TestExternal checks that another POS is believed, and once.
func TestExternal(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		const body = `{"lines":[{"code":"4006381333932","qty":1,"unit_price_minor":-5},{"code":"EURO","qty":2}],"tenders":[],
		 "external":{"source":"pos-x","id":"W3-1","receipt_no":"482","occurred_at":"2026-11-20T23:30:00+00:00","business_date":"2026-11-19","total_minor":450}}`
		first, err := s.trySell(body)
		if err != nil {
			t.Fatal(err)
		}
		doc := document[sale.Document](t, first)
		if first.Status != 201 || doc.BusinessDate != "2026-11-19" || doc.Lines[0].SKU != "4006381333932" || doc.TotalMinor != 450 || len(doc.Warnings) == 0 {
			t.Errorf("status %d: %s", first.Status, first.Body)
		}
		again, err := s.trySell(strings.Replace(body, `"total_minor":450`, `"total_minor":999`, 1))
		if err != nil {
			t.Fatal(err)
		}
		if again.Status != 200 || string(again.Body) != string(first.Body) {
			t.Errorf("repeated: status %d: %s", again.Status, again.Body)
		}
		if _, err := s.tryReturn(`{"lines":[{"code":"CUP","qty":1}],"external":{"source":"pos-x","id":"W3-1","total_minor":-999}}`); protocol.CodeOf(err) != protocol.Conflict {
			t.Errorf("a return under the id of a sale: %v", err)
		}
		const back = `{"receipt_no":"a1-1-1-1","lines":[{"line":2,"qty":5,"amount_minor":100}],"external":{"source":"pos-x","id":"W3-2","total_minor":-100}}`
		for _, status := range []int{201, 200} {
			a, err := s.tryReturn(back)
			if err != nil {
				t.Fatal(err)
			}
			if doc := document[sale.Document](t, a); a.Status != status || doc.TotalMinor != -100 || doc.ReceiptNo != "a1-1-1-2" {
				t.Errorf("return: status %d: %s", a.Status, a.Body)
			}
		}
		if n := len(s.events()); n != 2 {
			t.Errorf("%d events, want 2", n)
		}
		s.verify()
	})
}

// TestExternalReturnOfUnknown checks that a return of what this store never sold
// is recorded with its money, moves no stock, and says so.
func TestExternalReturnOfUnknown(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.sell(`{"lines":[{"code":"CUP","qty":1}],"external":{"source":"p","id":"0","total_minor":999}}`)
		for id, receipt := range []string{"unknown-1", "a1-1-1-1"} {
			a, err := s.tryReturn(fmt.Sprintf(`{"receipt_no":%q,"lines":[{"line":9,"qty":1}],"external":{"source":"p","id":"back-%d","total_minor":-250}}`, receipt, id))
			if err != nil {
				t.Fatal(err)
			}
			doc := document[sale.Document](t, a)
			if a.Status != 201 || doc.Lines[0].SKU != "unknown" || doc.TotalMinor != -250 || doc.Tenders[0].AmountMinor != -250 || doc.Tenders[0].Type != protocol.OtherPay ||
				!strings.Contains(string(a.Body), `{"code":"receipt_unknown","line":1,`) {
				t.Errorf("return %s", a.Body)
			}
		}
		for i, ev := range s.events()[1:] {
			if len(ev.Moves) != 0 {
				t.Errorf("return %d moved %v", i, ev.Moves)
			}
		}
		s.verify()
	})
}

// TestCardNumbers checks that none is kept.
func TestCardNumbers(t *testing.T) {
	s := memory(t)
	for name, try := range map[string]func() (protocol.Answer, error){
		"sale": func() (protocol.Answer, error) {
			return s.trySell(`{"lines":[{"code":"CUP","qty":1}],"tenders":[{"type":"card","amount_minor":999,"ref":"4111 1111 1111 1111"}]}`)
		},
		"till": func() (protocol.Answer, error) {
			return s.trySell(`{"till":"4111111111111111","lines":[{"code":"CUP","qty":1}],"tenders":[{"type":"card","amount_minor":999}]}`)
		},
		"return": func() (protocol.Answer, error) {
			return s.tryReturn(`{"lines":[{"code":"CUP","qty":1}],"reason":"4111111111111111","tenders":[]}`)
		},
		"movement": func() (protocol.Answer, error) {
			return s.tryMove(`{"type":"receipt","reference":"4111-1111-1111-1111","lines":[{"code":"CUP","qty":1}]}`)
		},
	} {
		_, err := try()
		if e := protocol.AsError(err); e.Code != protocol.CardNumber || strings.Contains(e.Error()+fmt.Sprint(e.Members), "1111") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(s.events()); n != 0 {
		t.Errorf("%d events were logged", n)
	}
}

// TestPoints checks that points are refused and an unknown member is recorded.
func TestPoints(t *testing.T) {
	s := memory(t)
	_, err := s.trySell(`{"lines":[{"code":"CUP","qty":1}],"redeem_points":100,"tenders":[{"type":"card","amount_minor":999}]}`)
	wantCode(t, err, protocol.PointsUnavailable)
	doc := s.sell(`{"lines":[{"code":"CUP","qty":1}],"member_id":"m-nobody","tenders":[{"type":"card","amount_minor":999}]}`)
	if doc.MemberID == nil || *doc.MemberID != "m-nobody" {
		t.Errorf("member %v", doc.MemberID)
	}
}

// TestNotProvisioned checks that a machine refuses until it has everything, and
// never again after that, whatever becomes of its zone or process (I22).
func TestNotProvisioned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.db")
	db := boltDriver(t, path)
	s := bare(t, db, originA, newClock())
	sell := func() error {
		_, err := s.trySell(`{"lines":[{"code":"CUP","qty":1}],"tenders":[{"type":"card","amount_minor":999}]}`)
		return err
	}
	want := func(ready bool) {
		t.Helper()
		if got, err := s.till.Provisioned(context.Background()); err != nil || got != ready {
			t.Errorf("Provisioned is %v, %v; want %v", got, err, ready)
		}
	}
	wantCode(t, sell(), protocol.NotProvisioned)
	s.tails(protocol.FeedCatalog, protocol.StoreFeed("s1"), protocol.PriceFeed("default"))
	wantCode(t, sell(), protocol.NotProvisioned) // there is no record of the store
	c := catalog()
	c.Stores[0].PriceZone = "north"
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: c})
	e := wantCode(t, sell(), protocol.NotProvisioned)
	if got := fmt.Sprint(e.Members["waiting"]); got != "[price/north]" {
		t.Errorf("waiting for %s", got)
	}
	want(false)
	s.tails(protocol.PriceFeed("north"))
	want(true)
	if err := sell(); err != nil {
		t.Fatal(err)
	}
	c.Stores[0].PriceZone = "south"
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: c})
	if err := sell(); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s = bare(t, boltDriver(t, path), originA, s.clock)
	if err := sell(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	want(true)
}

// TestTwiceRun checks that a function which the driver runs again leaves one
// sale and one answer behind.
func TestTwiceRun(t *testing.T) {
	s := memory(t)
	s.till = till.New(till.Options{Driver: twice{s.driver}, Origin: originA, Series: "1", Now: s.clock.Now})
	for i := range 3 {
		a, err := s.till.Sell(context.Background(), saleCall(fmt.Sprint(i), exampleSale), request[sale.Request](t, exampleSale))
		if err != nil {
			t.Fatal(err)
		}
		if no := document[sale.Document](t, a).ReceiptNo; no != protocol.NewReceiptNo("a1", "1", "1", uint64(i+1)) {
			t.Errorf("receipt %s", no)
		}
	}
	if n := len(s.events()); n != 3 {
		t.Errorf("%d events", n)
	}
}

// twice is a driver that runs every function twice and keeps the second run.
type twice struct{ ledger.Driver }

func (d twice) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	undone := fmt.Errorf("undone")
	if err := d.Driver.Update(ctx, func(tx ledger.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return undone
	}); err != undone {
		return err
	}
	return d.Driver.Update(ctx, fn)
}
