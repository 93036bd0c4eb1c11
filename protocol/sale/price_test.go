package sale_test

import (
	"reflect"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/sale"
)

// example is the sale of HTTP.md: two pens at 2.50 less 0.50, paid with 5.00.
func example() (sale.Request, []sale.Resolved) {
	l := sale.Line{
		Code: "4006381333931", Qty: qty("2"), UnitPriceMinor: ptr[protocol.Money](250),
		Discounts: []sale.Discount{{Type: "manual", Reason: "damaged box", AmountMinor: ptr[protocol.Money](50)}},
	}
	return sale.Request{Till: "1", Lines: []sale.Line{l}, Tenders: []sale.Tender{tender("cash", 500)}, Staff: "s7"},
		[]sale.Resolved{of(pen, 300)}
}

func TestExample(t *testing.T) {
	r, resolved := example()
	s, moves, err := sale.Build(terms(), r, resolved)
	if err != nil {
		t.Fatal(err)
	}
	wantClosed(t, s)
	wantEncodable(t, s, moves)
	if want := []protocol.TaxAmount{{Code: "STD", Rate: 200_000, Net: 375, Tax: 75}}; !reflect.DeepEqual(s.Taxes, want) {
		t.Errorf("taxes are %v, want %v", s.Taxes, want)
	}
	if s.Total != 450 || s.Change != 50 || s.Rounding != 0 {
		t.Errorf("total %d, change %d, rounding %d", s.Total, s.Change, s.Rounding)
	}
	if want := []protocol.Move{{SKU: "PEN-01", State: protocol.OnHand, Delta: -2000}}; !reflect.DeepEqual(moves, want) {
		t.Errorf("moves are %v, want %v", moves, want)
	}
	if got := s.Lines[0]; got.Code != "" || got.Item != (protocol.ItemRef{SKU: "PEN-01"}) || got.TaxCode != "STD" || got.UnitPrice != 250 {
		t.Errorf("line is %+v", got)
	}
	if got := s.ReceiptNo("a1"); got != "a1-1-1-318" {
		t.Errorf("receipt number is %s", got)
	}
}

func TestLineAmounts(t *testing.T) {
	amount := func(l sale.Line, m protocol.Money) sale.Line { l.AmountMinor = &m; return l }
	price := func(l sale.Line, m protocol.Money) sale.Line { l.UnitPriceMinor = &m; return l }
	tests := map[string]struct {
		line     sale.Line
		resolved sale.Resolved
		quantity protocol.Quantity
		price    protocol.Money
		amount   protocol.Money
		code     string
	}{
		"the item's price":        {line("PEN-01", "3"), of(pen, 250), 3000, 250, 750, ""},
		"half away from zero":     {line("CHEESE", "0.005"), of(cheese, 100), 5, 100, 1, ""},
		"below half":              {line("CHEESE", "0.004"), of(cheese, 100), 4, 100, 0, ""},
		"case of twelve":          {line("CASE", "2"), with(of(pen, 250), func(r *sale.Resolved) { r.Multiplier = 12_000 }), 24_000, 250, 6000, "CASE"},
		"weight in the code":      {line("2912345", "1"), with(of(cheese, 1200), func(r *sale.Resolved) { r.QuantityFromCode = qty("0.45") }), 450, 1200, 540, "2912345"},
		"price in the code, kg":   {line("2812345", "2"), with(of(cheese, 1000), func(r *sale.Resolved) { r.AmountFromCode = ptr[protocol.Money](333) }), 666, 1000, 666, "2812345"},
		"price in the code, each": {line("2812345", "2"), with(of(pen, 1000), func(r *sale.Resolved) { r.AmountFromCode = ptr[protocol.Money](333) }), 2000, 333, 666, "2812345"},
		"price for such a piece":  {price(line("2812345", "2"), 400), with(of(pen, 1000), func(r *sale.Resolved) { r.AmountFromCode = ptr[protocol.Money](333) }), 2000, 400, 800, "2812345"},
		"label without a price":   {line("2812345", "1"), sale.Resolved{Item: cheese, SKU: "CHEESE", AmountFromCode: ptr[protocol.Money](333)}, 1000, 333, 333, "2812345"},
		"amount is final":         {amount(line("PEN-01", "2"), 333), of(pen, 250), 2000, 250, 333, ""},
		"amount without price":    {amount(line("PEN-01", "2"), 333), sale.Resolved{Item: pen, SKU: "PEN-01"}, 2000, 167, 333, ""},
		"open item":               {price(line("4006381333931", "1"), 99), sale.Resolved{SKU: "04006381333931", GTIN: "04006381333931"}, 1000, 99, 99, ""},
		"free":                    {price(line("PEN-01", "1"), 0), of(pen, 250), 1000, 0, 0, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := sale.Request{Lines: []sale.Line{test.line}, Tenders: []sale.Tender{tender("card", test.amount)}}
			s, moves, err := sale.Build(terms(), r, []sale.Resolved{test.resolved})
			if err != nil {
				t.Fatal(err)
			}
			wantClosed(t, s)
			wantEncodable(t, s, moves)
			got := s.Lines[0]
			if got.Quantity != test.quantity || got.UnitPrice != test.price || got.Amount != test.amount || got.Code != test.code {
				t.Errorf("quantity %d, price %d, amount %d, code %q", got.Quantity, got.UnitPrice, got.Amount, got.Code)
			}
			if moves[0].Delta != -test.quantity {
				t.Errorf("moved %d", moves[0].Delta)
			}
		})
	}
}

func with(r sale.Resolved, change func(*sale.Resolved)) sale.Resolved {
	change(&r)
	return r
}

func TestOpenItem(t *testing.T) {
	l := line("a code that is much longer than a stock keeping unit can be, \x1d with a group separator", "1")
	l.UnitPriceMinor = ptr[protocol.Money](10)
	s, moves, err := sale.Build(terms(), sale.Request{Lines: []sale.Line{l}, Tenders: []sale.Tender{tender("card", 10)}}, []sale.Resolved{{}})
	if err != nil {
		t.Fatal(err)
	}
	wantEncodable(t, s, moves)
	if got := s.Lines[0]; !protocol.ValidSKU(string(got.Item.SKU)) || got.Code != l.Code || got.TaxCode != "" || got.Unstocked {
		t.Errorf("line is %+v", got)
	}
}

// TestOpenSKU holds that long codes stay apart, and that what is no SKU becomes
// one.
func TestOpenSKU(t *testing.T) {
	long := strings.Repeat("x", 200)
	seen := map[protocol.SKU]string{}
	for _, code := range []string{long + "A", long + "B", long[:65], strings.Repeat("ə", 40), strings.Repeat("ə", 41), "x" + strings.Repeat("ə", 40)} {
		sku := sale.OpenSKU(code)
		if first, ok := seen[sku]; ok || !protocol.ValidSKU(string(sku)) || sku != sale.OpenSKU(code) {
			t.Errorf("%q becomes %q, like %q", code, sku, first)
		}
		seen[sku] = code
	}
	if sku := sale.OpenSKU(long[:64]); string(sku) != long[:64] {
		t.Errorf("a code that is a SKU becomes %q", sku)
	}
	if sku := sale.OpenSKU("a\x1db"); sku != "ab" {
		t.Errorf("a code with a separator becomes %q", sku)
	}
}

func TestSaleRefuses(t *testing.T) {
	tests := map[string]struct {
		change  func(*sale.Request, []sale.Resolved)
		code    protocol.Code
		members map[string]any
	}{
		"unknown code": {func(r *sale.Request, l []sale.Resolved) {
			r.Lines[0].UnitPriceMinor = nil
			l[0] = sale.Resolved{SKU: "x"}
		}, protocol.UnknownCode, map[string]any{"line": 1, "value": "4006381333931"}},
		"no price": {func(r *sale.Request, l []sale.Resolved) {
			r.Lines[0].UnitPriceMinor, l[0].Price = nil, nil
		}, protocol.PriceMissing, map[string]any{"line": 1, "value": "4006381333931"}},
		"blocked":  {func(r *sale.Request, l []sale.Resolved) { l[0] = of(withdrn, 250) }, protocol.Conflict, map[string]any{"line": 1}},
		"discount": {func(r *sale.Request, l []sale.Resolved) { *r.Lines[0].Discounts[0].AmountMinor = 501 }, protocol.OutOfRangeCode, map[string]any{"line": 1, "field": "discounts"}},
		"amount too large": {func(r *sale.Request, l []sale.Resolved) {
			*r.Lines[0].UnitPriceMinor, *r.Lines[0].Qty = protocol.MoneyMax, 3000
		}, protocol.OutOfRangeCode, map[string]any{"line": 1}},
		"quantity too large": {func(r *sale.Request, l []sale.Resolved) {
			*r.Lines[0].Qty, l[0].Multiplier = protocol.QuantityMax, 2000
		}, protocol.OutOfRangeCode, map[string]any{"field": "qty"}},
		"quantity of nothing": {func(r *sale.Request, l []sale.Resolved) {
			*r.Lines[0].Qty, l[0].Multiplier = 1, 1
		}, protocol.OutOfRangeCode, map[string]any{"field": "qty"}},
		"short":         {func(r *sale.Request, _ []sale.Resolved) { *r.Tenders[0].AmountMinor = 400 }, protocol.TenderShort, map[string]any{"due_minor": int64(50)}},
		"no tender":     {func(r *sale.Request, _ []sale.Resolved) { r.Tenders = nil }, protocol.TenderShort, map[string]any{"due_minor": int64(450)}},
		"card too high": {func(r *sale.Request, _ []sale.Resolved) { r.Tenders[0].Type = "card" }, protocol.OutOfRangeCode, map[string]any{"due_minor": int64(-50)}},
		"card too high with cash": {func(r *sale.Request, _ []sale.Resolved) {
			r.Tenders = append(r.Tenders, tender("card", 451))
		}, protocol.OutOfRangeCode, nil},
		"points": {func(r *sale.Request, _ []sale.Resolved) { r.RedeemPoints = ptr[int64](100) }, protocol.PointsUnavailable, map[string]any{"why": "no_member"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, resolved := example()
			test.change(&r, resolved)
			_, _, err := sale.Build(terms(), r, resolved)
			wantError(t, err, test.code, test.members)
		})
	}
	r, _ := example()
	if _, _, err := sale.Build(terms(), r, nil); protocol.CodeOf(err) != protocol.Internal {
		t.Errorf("unresolved lines: %v", err)
	}
}

func row(code string, rate protocol.RatePPM, net, tax protocol.Money) protocol.TaxAmount {
	return protocol.TaxAmount{Code: code, Rate: rate, Net: net, Tax: tax}
}

func TestTaxes(t *testing.T) {
	lines := []sale.Line{line("STAMP", "1"), line("BREAD", "1"), line("PEN-01", "1"), line("BREAD", "1"), line("X", "1"), line("Z", "1")}
	other := &protocol.Item{SKU: "X", Name: "X", TaxCode: "GONE", Stocked: true}
	zero := &protocol.Item{SKU: "Z", Name: "Z", TaxCode: "ZERO", Stocked: true}
	resolved := []sale.Resolved{of(stamp, 100), of(bread, 56), of(pen, 99), of(bread, 57), of(other, 10), of(zero, 20)}
	for name, test := range map[string]struct {
		inclusive bool
		total     protocol.Money
		taxes     []protocol.TaxAmount
	}{
		"inclusive": {true, 342, []protocol.TaxAmount{row("RED", 80_000, 105, 8), row("STD", 200_000, 82, 17), row("ZERO", 0, 20, 0)}},
		"exclusive": {false, 371, []protocol.TaxAmount{row("RED", 80_000, 113, 9), row("STD", 200_000, 99, 20), row("ZERO", 0, 20, 0)}},
	} {
		t.Run(name, func(t *testing.T) {
			terms := terms()
			terms.PricesIncludeTax = test.inclusive
			s, _, err := sale.Build(terms, sale.Request{Lines: lines, Tenders: []sale.Tender{tender("card", test.total)}}, resolved)
			if err != nil {
				t.Fatal(err)
			}
			wantClosed(t, s)
			if !reflect.DeepEqual(s.Taxes, test.taxes) {
				t.Errorf("taxes are %v, want %v", s.Taxes, test.taxes)
			}
		})
	}
}

func TestCashRounding(t *testing.T) {
	for name, test := range map[string]struct {
		price                   protocol.Money
		tenders                 []sale.Tender
		rounding, total, change protocol.Money
		code                    protocol.Code
	}{
		"up":                   {448, []sale.Tender{tender("cash", 500)}, 2, 450, 50, ""},
		"down":                 {447, []sale.Tender{tender("cash", 445)}, -2, 445, 0, ""},
		"half away from zero":  {125, []sale.Tender{tender("cash", 150)}, 5, 130, 20, ""},
		"card is exact":        {448, []sale.Tender{tender("card", 448)}, 0, 448, 0, ""},
		"cash part only":       {448, []sale.Tender{tender("card", 201), tender("cash", 300)}, -2, 446, 55, ""},
		"no cash part":         {448, []sale.Tender{tender("card", 448), tender("cash", 5)}, 0, 448, 5, ""},
		"two of cash":          {448, []sale.Tender{tender("cash", 250), tender("cash", 200)}, 2, 450, 0, ""},
		"nothing left":         {2, []sale.Tender{tender("cash", 0)}, -2, 0, 0, ""},
		"exact before, short":  {448, []sale.Tender{tender("cash", 448)}, 0, 0, 0, protocol.TenderShort},
		"free":                 {0, nil, 0, 0, 0, ""},
		"voucher gives none":   {448, []sale.Tender{tender("voucher", 500)}, 0, 0, 0, protocol.OutOfRangeCode},
		"card and cash, short": {448, []sale.Tender{tender("card", 201), tender("cash", 244)}, 0, 0, 0, protocol.TenderShort},
	} {
		t.Run(name, func(t *testing.T) {
			terms := terms()
			terms.CashRounding = 5
			if name == "half away from zero" {
				terms.CashRounding = 10
			}
			s, _, err := sale.Build(terms, sale.Request{Lines: []sale.Line{line("PEN-01", "1")}, Tenders: test.tenders}, []sale.Resolved{of(pen, test.price)})
			if test.code != "" {
				wantError(t, err, test.code, nil)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantClosed(t, s)
			if s.Rounding != test.rounding || s.Total != test.total || s.Change != test.change {
				t.Errorf("rounding %d, total %d, change %d", s.Rounding, s.Total, s.Change)
			}
		})
	}
}

func TestMoves(t *testing.T) {
	r := sale.Request{
		Lines:   []sale.Line{line("BREAD", "1"), line("PEN-01", "2"), line("BREAD", "3"), line("REPAIR", "1")},
		Tenders: []sale.Tender{tender("card", 700)},
	}
	resolved := []sale.Resolved{of(bread, 100), of(pen, 100), of(bread, 100), of(repair, 100)}
	s, moves, err := sale.Build(terms(), r, resolved)
	if err != nil {
		t.Fatal(err)
	}
	want := []protocol.Move{{SKU: "BREAD", Delta: -4000}, {SKU: "PEN-01", Delta: -2000}}
	if !reflect.DeepEqual(moves, want) {
		t.Errorf("moves are %v, want %v", moves, want)
	}
	if !s.Lines[3].Unstocked {
		t.Error("a service is stocked")
	}
	r.Training = true
	if s, moves, err = sale.Build(terms(), r, resolved); err != nil || len(moves) != 0 || !s.Training {
		t.Errorf("training moved %v (%v)", moves, err)
	}
}

func TestMovesOfNothing(t *testing.T) {
	r := sale.Request{Lines: []sale.Line{line("PEN-01", "1"), line("PEN-01", "-1")}, External: external(0)}
	_, moves, err := sale.Build(terms(), r, []sale.Resolved{of(pen, 5), of(pen, 5)})
	if err != nil || len(moves) != 0 {
		t.Errorf("moves are %v (%v)", moves, err)
	}
}

func external(total protocol.Money) *sale.External {
	return &sale.External{
		Source: "pos-x", ID: "W3-000482", ReceiptNo: "482", OccurredAt: "2026-11-20T10:02:11+00:00",
		BusinessDate: "2026-11-20", TotalMinor: &total, Fiscal: &sale.Fiscal{Device: "D1", Number: "77", Signature: "…"},
	}
}

func TestExternal(t *testing.T) {
	priced := func(l sale.Line, m protocol.Money) sale.Line { l.UnitPriceMinor = &m; return l }
	unknown := sale.Resolved{SKU: "GHOST"}
	for name, test := range map[string]struct {
		exclusive bool
		rounding  protocol.Money
		lines     []sale.Line
		resolved  []sale.Resolved
		tenders   []sale.Tender
		total     protocol.Money
		rounded   protocol.Money
		change    protocol.Money
		warnings  []string
	}{
		"as ours":            {lines: []sale.Line{line("PEN-01", "1")}, resolved: []sale.Resolved{of(pen, 250)}, tenders: []sale.Tender{tender("cash", 300)}, total: 250, change: 50},
		"no tenders":         {lines: []sale.Line{line("PEN-01", "1")}, resolved: []sale.Resolved{of(pen, 250)}, total: 250},
		"other total":        {lines: []sale.Line{line("PEN-01", "1")}, resolved: []sale.Resolved{of(pen, 250)}, tenders: []sale.Tender{tender("card", 240)}, total: 240, warnings: []string{"total_differs"}},
		"tenders short":      {lines: []sale.Line{line("PEN-01", "1")}, resolved: []sale.Resolved{of(pen, 250)}, tenders: []sale.Tender{tender("card", 200)}, total: 250, change: -50, warnings: []string{"tenders_differ"}},
		"change from a card": {lines: []sale.Line{line("PEN-01", "1")}, resolved: []sale.Resolved{of(pen, 250)}, tenders: []sale.Tender{tender("card", 300)}, total: 250, change: 50, warnings: []string{"tenders_differ"}},
		"unknown, no price":  {lines: []sale.Line{line("GHOST", "1")}, resolved: []sale.Resolved{unknown}, total: 0, warnings: []string{"unknown_code", "price_missing"}},
		"blocked":            {lines: []sale.Line{line("BAD", "1")}, resolved: []sale.Resolved{of(withdrn, 5)}, total: 5, warnings: []string{"blocked"}},
		"exchange":           {lines: []sale.Line{line("PEN-01", "1"), line("BREAD", "-2")}, resolved: []sale.Resolved{of(pen, 250), of(bread, 100)}, total: 50},
		"coupon":             {lines: []sale.Line{line("PEN-01", "1"), priced(line("GHOST", "1"), -50)}, resolved: []sale.Resolved{of(pen, 250), unknown}, total: 200, warnings: []string{"unknown_code", "negative_price"}},
		"negative price":     {lines: []sale.Line{line("PEN-01", "1"), priced(line("BREAD", "1"), -1)}, resolved: []sale.Resolved{of(pen, 250), of(bread, 100)}, total: 249, warnings: []string{"negative_price"}},
		"nothing of it":      {lines: []sale.Line{line("PEN-01", "0")}, resolved: []sale.Resolved{{Item: pen, SKU: "PEN-01", AmountFromCode: ptr[protocol.Money](5)}}, total: 0},
		"rounded":            {rounding: 5, lines: []sale.Line{line("PEN-01", "1")}, resolved: []sale.Resolved{of(pen, 248)}, tenders: []sale.Tender{tender("cash", 250)}, total: 250, rounded: 2},
		"tax on top":         {exclusive: true, lines: []sale.Line{line("PEN-01", "1")}, resolved: []sale.Resolved{of(pen, 250)}, total: 300},
		"tax inside":         {exclusive: true, lines: []sale.Line{line("PEN-01", "1")}, resolved: []sale.Resolved{of(pen, 250)}, total: 250},
		"neither":            {exclusive: true, lines: []sale.Line{line("PEN-01", "1")}, resolved: []sale.Resolved{of(pen, 250)}, total: 260, warnings: []string{"total_differs"}},
	} {
		t.Run(name, func(t *testing.T) {
			terms := terms()
			terms.PricesIncludeTax, terms.CashRounding = !test.exclusive, test.rounding
			s, moves, err := sale.Build(terms, sale.Request{Lines: test.lines, Tenders: test.tenders, External: external(test.total)}, test.resolved)
			if err != nil {
				t.Fatal(err)
			}
			wantEncodable(t, s, moves)
			var warnings []string
			for _, w := range s.Warnings {
				warnings = append(warnings, w.Code)
			}
			if !reflect.DeepEqual(warnings, test.warnings) {
				t.Errorf("warnings are %v, want %v", warnings, test.warnings)
			}
			if s.Total != test.total || s.Change != test.change || s.Rounding != test.rounded || s.BusinessDate != "2026-11-20" {
				t.Errorf("total %d, change %d, rounding %d, day %s", s.Total, s.Change, s.Rounding, s.BusinessDate)
			}
			wantPaid(t, s)
			if len(test.warnings) == 0 {
				wantClosed(t, s)
			}
		})
	}
}

// TestUntoldTenders holds that a POS which does not say how it was paid leaves
// one tender for the whole, above zero for a sale and below it for a return.
func TestUntoldTenders(t *testing.T) {
	for _, test := range []struct {
		total protocol.Money
		want  []protocol.Tender
	}{{250, []protocol.Tender{{Type: protocol.OtherPay, Amount: 250}}}, {-7, []protocol.Tender{{Type: protocol.OtherPay, Amount: -7}}}, {0, nil}} {
		r := sale.Request{Lines: []sale.Line{line("PEN-01", "1")}, External: external(test.total)}
		s, _, err := sale.Build(terms(), r, []sale.Resolved{of(pen, 250)})
		if err != nil {
			t.Fatal(err)
		}
		back := sale.ReturnRequest{Lines: []sale.ReturnLine{{Code: "PEN-01", Qty: qty("1")}}, External: external(test.total)}
		returned, _, err := sale.BuildReturn(terms(), back, nil, []sale.Resolved{of(pen, 250)})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s.Tenders, test.want) || !reflect.DeepEqual(returned.Tenders, test.want) || s.Change != 0 || returned.Change != 0 {
			t.Errorf("total %d: tenders %v, of the return %v, change %d", test.total, s.Tenders, returned.Tenders, s.Change)
		}
	}
}

// TestNegativePriceNamesItsLine holds that the warning says where to look.
func TestNegativePriceNamesItsLine(t *testing.T) {
	deposit := line("DEPOSIT", "1")
	deposit.UnitPriceMinor = ptr[protocol.Money](-25)
	r := sale.Request{Lines: []sale.Line{line("PEN-01", "1"), deposit}, External: external(225)}
	s, _, err := sale.Build(terms(), r, []sale.Resolved{of(pen, 250), of(stamp, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Warnings) != 1 || s.Warnings[0].Code != sale.WarnNegativePrice || s.Warnings[0].Line != 2 {
		t.Errorf("warnings %+v", s.Warnings)
	}
}

// TestExternalTooMuch holds that sums beyond what an event can carry are
// refused by name, and do not fail when they are encoded.
func TestExternalTooMuch(t *testing.T) {
	r := sale.Request{External: external(0)}
	var resolved []sale.Resolved
	for range sale.LinesMax {
		l := line("PEN-01", "10000000")
		l.AmountMinor = ptr[protocol.Money](0)
		r.Lines, resolved = append(r.Lines, l), append(resolved, of(pen, 0))
	}
	_, _, err := sale.Build(terms(), r, resolved)
	wantError(t, err, protocol.OutOfRangeCode, map[string]any{"field": "qty"})
	r.Lines, resolved = r.Lines[:1], resolved[:1]
	for range sale.TendersMax {
		r.Tenders = append(r.Tenders, tender("card", protocol.MoneyMax))
	}
	_, _, err = sale.Build(terms(), r, resolved)
	wantError(t, err, protocol.OutOfRangeCode, map[string]any{"field": "tenders"})
}

// TestSumsTooMuch holds that thousands of lines, each within its limits, are
// refused by name where their sum cannot be recorded.
func TestSumsTooMuch(t *testing.T) {
	zero := &protocol.Item{SKU: "Z", Name: "Z", TaxCode: "ZERO", Stocked: true}
	for _, item := range []*protocol.Item{stamp, pen, bread, zero} {
		for _, inclusive := range []bool{true, false} {
			terms := terms()
			terms.PricesIncludeTax = inclusive
			r := sale.Request{Tenders: []sale.Tender{tender("cash", protocol.MoneyMax)}}
			back := sale.ReturnRequest{Reason: "unwanted", Tenders: r.Tenders}
			var resolved []sale.Resolved
			for range sale.LinesMax {
				l := line(string(item.SKU), "10000000")
				l.AmountMinor = ptr(protocol.MoneyMax)
				r.Lines, resolved = append(r.Lines, l), append(resolved, of(item, 1))
				back.Lines = append(back.Lines, sale.ReturnLine{Code: l.Code, Qty: l.Qty, AmountMinor: l.AmountMinor})
			}
			_, _, err := sale.Build(terms, r, resolved)
			wantError(t, err, protocol.OutOfRangeCode, map[string]any{"field": "total_minor"})
			_, _, err = sale.BuildReturn(terms, back, nil, resolved)
			wantError(t, err, protocol.OutOfRangeCode, map[string]any{"field": "total_minor"})
			r.External, back.External = external(1), external(-1)
			_, _, err = sale.Build(terms, r, resolved)
			wantError(t, err, protocol.OutOfRangeCode, nil)
			_, _, err = sale.BuildReturn(terms, back, nil, resolved)
			wantError(t, err, protocol.OutOfRangeCode, nil)
		}
	}
}
