package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/retail"
)

func lines(n int) []line {
	list := make([]line, n)
	for i := range list {
		price := int64(100)
		list[i] = line{sku: fmt.Sprint("A", i), pieces: 2, price: &price, amount: 200}
	}
	list[0].price, list[0].amount = nil, 333
	return list
}

// aShop is an input with one shop and the given baskets.
func aShop(baskets ...basket) *input {
	return &input{format: "grocery", shops: []retail.Store{{ID: "s7"}}, baskets: baskets}
}

func TestDeliveries(t *testing.T) {
	at := time.Date(2017, 1, 1, 7, 30, 27, 0, time.FixedZone("", -5*60*60))
	for _, c := range []struct {
		name   string
		kind   kind
		native bool
		path   string
		want   string // the body
	}{
		{
			"sale", sold, false, "/v1/sales", `{"lines":[{"code":"A0","qty":2,"amount_minor":333},{"code":"A1","qty":2,"unit_price_minor":100}],` +
				`"tenders":[{"type":"on_account","amount_minor":533}],"member_id":"m-5",` +
				`"external":{"source":"grocery","id":"77","receipt_no":"77","occurred_at":"2017-01-01T07:30:27-05:00","business_date":"2017-01-01","total_minor":533}}`,
		},
		{
			"own sale", sold, true, "/v1/sales", `{"lines":[{"code":"A0","qty":2,"amount_minor":333},{"code":"A1","qty":2,"unit_price_minor":100}],` +
				`"tenders":[{"type":"on_account","amount_minor":533}],"member_id":"m-5"}`,
		},
		{
			"return", returned, false, "/v1/returns", `{"receipt_no":null,"lines":[{"code":"A0","qty":2,"amount_minor":333},{"code":"A1","qty":2,"unit_price_minor":100}],` +
				`"reason":"brought back","external":{"source":"grocery","id":"77","receipt_no":"77","occurred_at":"2017-01-01T07:30:27-05:00","business_date":"2017-01-01","total_minor":-533}}`,
		},
		{
			"adjustment", adjusted, false, "/v1/stock/movements",
			`{"type":"adjustment","reference":"77","reason":"written off","lines":[{"code":"A0","qty":2},{"code":"A1","qty":2}]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFeeder(aShop(), nil, c.native, map[string]string{"5": "m-5"})
			d, err := f.delivery(basket{id: "77", customer: "5", at: at, kind: c.kind}, 0, lines(2))
			if err != nil {
				t.Fatal(err)
			}
			if d.request.Path != c.path || string(d.request.Body) != c.want {
				t.Errorf("%s %s\nwant %s", d.request.Path, d.request.Body, c.want)
			}
			if want := "replay-" + c.kind.String() + "-77"; d.request.Key != want {
				t.Errorf("key %s, want %s", d.request.Key, want)
			}
		})
	}
}

// TestLongBasketIsSplit also shows that what is expected counts the same parts.
func TestLongBasketIsSplit(t *testing.T) {
	long := basket{id: "8", lines: lines(4_001)}
	f := newFeeder(aShop(long, basket{id: "9", lines: lines(2_000)}), nil, false, nil)
	if f.total != 4 || documents(4_001)+documents(2_000) != 4 {
		t.Errorf("%d deliveries", f.total)
	}
	d, err := f.delivery(long, 2, long.lines[4_000:])
	if err != nil {
		t.Fatal(err)
	}
	var sale process.Sale
	if err := json.Unmarshal(d.request.Body, &sale); err != nil {
		t.Fatal(err)
	}
	if sale.External.ID != "8/3" || d.request.Key != "replay-sale-8/3" || len(sale.Lines) != 1 {
		t.Errorf("the third part is %s", d.request.Body)
	}
}

func TestPlanIsSpreadAndSeeded(t *testing.T) {
	strikes := plan(1, 200, 100, 40)
	if !slices.Equal(strikes, plan(1, 200, 100, 40)) || slices.Equal(strikes, plan(2, 200, 100, 40)) {
		t.Error("the seed does not decide the plan")
	}
	kills, hubs, hit := [10]int{}, 0, map[int]bool{}
	last := 0.0
	for _, s := range strikes {
		if s.at < last || s.at >= 1 {
			t.Fatalf("a strike at %v after one at %v", s.at, last)
		}
		last = s.at
		if s.cut != 0 {
			if s.cut < cutMin || s.cut > cutMax || s.machine == hub {
				t.Errorf("a strike %+v", s)
			}
			continue
		}
		kills[int(s.at*10)]++
		hit[s.machine] = true
		if s.machine == hub {
			hubs++
		}
	}
	for i, n := range kills {
		if n != 20 {
			t.Errorf("%d kills in tenth %d, want 20", n, i)
		}
	}
	if hubs < 10 || hubs > 35 || len(hit) < 35 {
		t.Errorf("%d kills of the hub, %d targets", hubs, len(hit))
	}
}

// TestComparisonNoticesEachDifference spoils what a hub might say, one thing at
// a time.
func TestComparisonNoticesEachDifference(t *testing.T) {
	want := newExpected()
	want.pieces["A"], want.money["A"], want.stock["A"] = 3, 300, -3
	books := func() *fleet.Books {
		return &fleet.Books{Units: map[string]protocol.Quantity{"A": 3 * piece}, Money: map[string]int64{"A": 300}}
	}
	levels := func() map[string]process.Level { return map[string]process.Level{"A": {OnHand: -3 * piece}} }
	for _, c := range []struct {
		name  string
		spoil func(*fleet.Books, map[string]process.Level)
		want  []string
	}{
		{"nothing", func(*fleet.Books, map[string]process.Level) {}, nil},
		{"a unit more", func(b *fleet.Books, _ map[string]process.Level) { b.Units["A"] += piece }, []string{`s7: 4 of "A" sold, expected 3`}},
		{"a thousandth less", func(b *fleet.Books, _ map[string]process.Level) { b.Units["A"]-- }, []string{`s7: 2.999 of "A" sold, expected 3`}},
		{"a penny less", func(b *fleet.Books, _ map[string]process.Level) { b.Money["A"]-- }, []string{`s7: 299 for "A", expected 300`}},
		{"another SKU", func(b *fleet.Books, _ map[string]process.Level) { b.Units["a"] = piece }, []string{`s7: 1 of "a" sold, expected 0`}},
		{"no sale", func(b *fleet.Books, _ map[string]process.Level) { clear(b.Units); clear(b.Money) }, []string{`s7: 0 of "A" sold, expected 3`, `s7: 0 for "A", expected 300`}},
		{"stock", func(_ *fleet.Books, l map[string]process.Level) { l["A"] = process.Level{OnHand: -2 * piece} }, []string{`s7: -2 of "A" on hand, expected -3`}},
		{"no stock", func(_ *fleet.Books, l map[string]process.Level) { clear(l) }, []string{`s7: 0 of "A" on hand, expected -3`}},
		{"stock of another", func(_ *fleet.Books, l map[string]process.Level) { l["B"] = process.Level{OnHand: 1} }, []string{`s7: 0.001 of "B" on hand, expected 0`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, l, found := books(), levels(), comparison{}
			c.spoil(b, l)
			found.bySKU("s7", want, b)
			found.levels("s7", want, l)
			if !slices.Equal(found.shown, c.want) || found.differences != len(c.want) {
				t.Errorf("found %q, want %q", found.shown, c.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, args := range [][]string{
		{"-stores", "0"}, {"-kills", "-1"}, {"-generate", "-data", "x"}, {"-native", "-external"}, {"x"}, {"-no-such-flag"},
	} {
		if status := command(t.Context(), args, new(strings.Builder), new(strings.Builder)); status != 2 {
			t.Errorf("%v gives status %d, want 2", args, status)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 7: "7", 999: "999", 1_000: "1,000", -1_234_567: "-1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
	for q, want := range map[protocol.Quantity]string{0: "0", 1_500: "1.5", -500: "-0.5", 2_000: "2", -1_234_567_000: "-1,234,567", -1_234_567_001: "-1,234,567.001"} {
		if got := quantity(q); got != want {
			t.Errorf("%d thousandths are written %s", int64(q), got)
		}
	}
	for n, want := range map[int64]string{0: "0.00", 5: "0.05", -5: "-0.05", 123_456: "1,234.56", -100_010: "-1,000.10"} {
		if got := decimal(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
}
