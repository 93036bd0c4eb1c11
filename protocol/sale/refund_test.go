package sale_test

import (
	"reflect"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/sale"
)

// sold is the example's sale as an original.
func sold(t *testing.T, change func(*sale.Terms)) *sale.Original {
	t.Helper()
	r, resolved := example()
	terms := terms()
	if change != nil {
		change(&terms)
	}
	r.Tenders = []sale.Tender{tender("cash", 1000)}
	r.Lines = append(r.Lines, line("REPAIR", "1"))
	s, _, err := sale.Build(terms, r, append(resolved, of(repair, 100)))
	if err != nil {
		t.Fatal(err)
	}
	return &sale.Original{Sale: s, ReceiptNo: "a1-1-1-318"}
}

func back(n uint32, quantity string) sale.ReturnLine {
	return sale.ReturnLine{Line: n, Qty: qty(quantity)}
}

func returning(refund protocol.Money, lines ...sale.ReturnLine) sale.ReturnRequest {
	return sale.ReturnRequest{
		ReceiptNo: "a1-1-1-318", Lines: lines, Reason: "unwanted", Staff: "s7",
		Tenders: []sale.Tender{tender("cash", refund)},
	}
}

func TestReturn(t *testing.T) {
	l := back(1, "1")
	l.To = "damaged"
	s, moves, err := sale.BuildReturn(terms(), returning(225, l), sold(t, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantClosed(t, s)
	wantEncodable(t, s, moves)
	want := protocol.SaleLine{
		Item: protocol.ItemRef{SKU: "PEN-01"}, Quantity: -1000, UnitPrice: 250, Amount: -225, TaxCode: "STD",
		To: protocol.Damaged, OriginalLine: 1, Discounts: []protocol.Discount{{Type: "manual", Reason: "damaged box", Amount: -25}},
	}
	if !reflect.DeepEqual(s.Lines, []protocol.SaleLine{want}) {
		t.Errorf("lines are %+v", s.Lines)
	}
	if !reflect.DeepEqual(s.Taxes, []protocol.TaxAmount{row("STD", 200_000, -187, -38)}) {
		t.Errorf("taxes are %v", s.Taxes)
	}
	if s.Total != -225 || s.Change != 0 || s.Tenders[0].Amount != -225 || s.Original != "a1-1-1-318" || s.Type != protocol.SaleReturn {
		t.Errorf("return is %+v", s)
	}
	if want := []protocol.Move{{SKU: "PEN-01", State: protocol.OnHand, Delta: 1000}, {SKU: "PEN-01", State: protocol.Damaged, Delta: 1000}}; !reflect.DeepEqual(moves, want) {
		t.Errorf("moves are %v", moves)
	}
}

func TestReturnRefuses(t *testing.T) {
	tests := map[string]struct {
		request  sale.ReturnRequest
		original func(*sale.Original) *sale.Original
		code     protocol.Code
		members  map[string]any
	}{
		"unknown receipt":     {returning(225, back(1, "1")), func(*sale.Original) *sale.Original { return nil }, protocol.ReceiptUnknown, nil},
		"voided":              {returning(225, back(1, "1")), func(o *sale.Original) *sale.Original { o.Voided = true; return o }, protocol.AlreadyVoided, nil},
		"return of a return":  {returning(225, back(1, "1")), func(o *sale.Original) *sale.Original { o.Sale.Type = protocol.SaleReturn; return o }, protocol.Conflict, nil},
		"other currency":      {returning(225, back(1, "1")), func(o *sale.Original) *sale.Original { o.Sale.Currency = "AZN"; return o }, protocol.Conflict, nil},
		"more than sold":      {returning(675, back(1, "3")), nil, protocol.OverReturn, map[string]any{"line": 1, "remaining": protocol.Quantity(2000)}},
		"more than left":      {returning(450, back(1, "2")), func(o *sale.Original) *sale.Original { o.Returned = []protocol.Quantity{500}; return o }, protocol.OverReturn, map[string]any{"remaining": protocol.Quantity(1500)}},
		"more in two lines":   {returning(675, back(1, "1.5"), back(1, "1")), nil, protocol.OverReturn, map[string]any{"remaining": protocol.Quantity(500)}},
		"no such line":        {returning(225, back(3, "1")), nil, protocol.OutOfRangeCode, map[string]any{"line": 1, "field": "line"}},
		"line missing":        {returning(225, back(0, "1")), nil, protocol.OutOfRangeCode, map[string]any{"field": "line"}},
		"nothing of it":       {returning(0, back(1, "0")), nil, protocol.OutOfRangeCode, map[string]any{"field": "qty"}},
		"refund too low":      {returning(224, back(1, "1")), nil, protocol.TenderShort, map[string]any{"due_minor": int64(1)}},
		"refund too high":     {returning(226, back(1, "1")), nil, protocol.OutOfRangeCode, map[string]any{"due_minor": int64(-1)}},
		"no refund":           {sale.ReturnRequest{ReceiptNo: "a1-1-1-318", Lines: []sale.ReturnLine{back(1, "1")}}, nil, protocol.TenderShort, map[string]any{"due_minor": int64(225)}},
		"no reason":           {sale.ReturnRequest{Lines: []sale.ReturnLine{{Code: "PEN-01", Qty: qty("1")}}}, nil, protocol.OutOfRangeCode, map[string]any{"field": "reason"}},
		"line and no receipt": {sale.ReturnRequest{Reason: "x", Lines: []sale.ReturnLine{{Line: 1, Code: "PEN-01", Qty: qty("1")}}}, nil, protocol.OutOfRangeCode, map[string]any{"field": "line"}},
		"price and receipt":   {returning(225, sale.ReturnLine{Line: 1, Qty: qty("1"), AmountMinor: ptr[protocol.Money](1)}), nil, protocol.OutOfRangeCode, nil},
		"elsewhere":           {returning(225, sale.ReturnLine{Line: 1, Qty: qty("1"), To: "committed"}), nil, protocol.OutOfRangeCode, map[string]any{"field": "to"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			original := sold(t, nil)
			if test.original != nil {
				original = test.original(original)
			}
			_, _, err := sale.BuildReturn(terms(), test.request, original, nil)
			wantError(t, err, test.code, test.members)
		})
	}
}

func TestReturnWithoutReceipt(t *testing.T) {
	r := sale.ReturnRequest{
		Reason: "no receipt", Tenders: []sale.Tender{tender("card", 200), tender("cash", 40)},
		Lines: []sale.ReturnLine{{Code: "BAD", Qty: qty("1"), To: "quality_control"}, {
			Code: "REPAIR", Qty: qty("1"), UnitPriceMinor: ptr[protocol.Money](100),
			Discounts: []sale.Discount{{AmountMinor: ptr[protocol.Money](10)}},
		}},
	}
	terms := terms()
	terms.CashRounding = 5
	s, moves, err := sale.BuildReturn(terms, r, nil, []sale.Resolved{of(withdrn, 148), of(repair, 1)})
	if err != nil {
		t.Fatal(err)
	}
	wantClosed(t, s)
	wantEncodable(t, s, moves)
	if s.Total != -240 || s.Rounding != -2 || s.Change != 0 {
		t.Errorf("total %d, rounding %d, change %d", s.Total, s.Rounding, s.Change)
	}
	if !reflect.DeepEqual(s.Taxes, []protocol.TaxAmount{row("STD", 200_000, -75, -15)}) {
		t.Errorf("taxes are %v", s.Taxes)
	}
	if want := []protocol.Move{{SKU: "BAD", State: protocol.OnHand, Delta: 1000}, {SKU: "BAD", State: protocol.QualityControl, Delta: 1000}}; !reflect.DeepEqual(moves, want) {
		t.Errorf("moves are %v", moves)
	}
	if _, _, err := sale.BuildReturn(terms, r, nil, nil); protocol.CodeOf(err) != protocol.Internal {
		t.Errorf("unresolved lines: %v", err)
	}
	r.Lines[0].Code = "GHOST"
	_, _, err = sale.BuildReturn(terms, r, nil, []sale.Resolved{{SKU: "GHOST"}, of(repair, 1)})
	wantError(t, err, protocol.UnknownCode, map[string]any{"line": 1, "value": "GHOST"})
}

func TestReturnOfTraining(t *testing.T) {
	original := sold(t, nil)
	original.Sale.Training = true
	s, moves, err := sale.BuildReturn(terms(), returning(225, back(1, "1")), original, nil)
	if err != nil || len(moves) != 0 || !s.Training {
		t.Errorf("moved %v, %v", moves, err)
	}
}

// TestReturnKeepsOldRates holds that a return is taxed as its sale was.
func TestReturnKeepsOldRates(t *testing.T) {
	old := sold(t, func(terms *sale.Terms) {
		terms.PricesIncludeTax = false
		terms.Rate = func(string) (protocol.RatePPM, bool) { return 100_000, true }
	})
	s, _, err := sale.BuildReturn(terms(), returning(495, back(1, "2")), old, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantClosed(t, s)
	if s.PricesIncludeTax || !reflect.DeepEqual(s.Taxes, []protocol.TaxAmount{row("STD", 100_000, -450, -45)}) {
		t.Errorf("taxes are %v", s.Taxes)
	}
}

// TestReturnOfAllReturnsTheTax holds that what was stored stands, also where
// another version had come to another tax.
func TestReturnOfAllReturnsTheTax(t *testing.T) {
	original := sold(t, nil)
	original.Sale.Taxes[0] = row("STD", 200_000, 451, 99)
	for _, step := range []struct {
		line uint32
		tax  protocol.Money
	}{{1, -75}, {2, -24}} {
		r := returning(450, back(step.line, "2"))
		if step.line == 2 {
			r = returning(100, back(2, "1"))
		}
		s, _, err := sale.BuildReturn(terms(), r, original, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Taxes[0].Tax != step.tax {
			t.Errorf("line %d gives back a tax of %d, want %d", step.line, s.Taxes[0].Tax, step.tax)
		}
		original.Returned = []protocol.Quantity{2000}
	}
}

func TestExternalReturn(t *testing.T) {
	coded := func(quantity string, amount protocol.Money) sale.ReturnLine {
		return sale.ReturnLine{Code: "PEN-01", Qty: qty(quantity), AmountMinor: &amount}
	}
	numbered := func(n uint32, l sale.ReturnLine) sale.ReturnLine { l.Line = n; return l }
	for name, test := range map[string]struct {
		lines    []sale.ReturnLine
		original func(*sale.Original) *sale.Original
		tenders  []sale.Tender
		total    protocol.Money
		moved    protocol.Quantity
		warnings []string
	}{
		"as ours":         {lines: []sale.ReturnLine{back(1, "1")}, tenders: []sale.Tender{tender("card", 225)}, total: -225, moved: 1000},
		"its own amount":  {lines: []sale.ReturnLine{numbered(1, coded("1", 200))}, total: -200, moved: 1000},
		"more than sold":  {lines: []sale.ReturnLine{back(1, "3")}, total: -675, moved: 3000, warnings: []string{"over_return"}},
		"voided":          {lines: []sale.ReturnLine{back(1, "1")}, original: func(o *sale.Original) *sale.Original { o.Voided = true; return o }, total: -225, moved: 1000, warnings: []string{"already_voided"}},
		"unknown receipt": {lines: []sale.ReturnLine{coded("1", 250)}, original: func(*sale.Original) *sale.Original { return nil }, total: -250, moved: 1000, warnings: []string{"receipt_unknown"}},
		"not of it":       {lines: []sale.ReturnLine{numbered(9, coded("1", 250))}, total: -250, moved: 1000},
		"exchange":        {lines: []sale.ReturnLine{back(1, "2"), coded("-1", -250)}, total: -200, moved: 1000},
		"other total":     {lines: []sale.ReturnLine{back(1, "1")}, total: 225, moved: 1000, warnings: []string{"total_differs"}},
		"other tenders":   {lines: []sale.ReturnLine{back(1, "1")}, tenders: []sale.Tender{tender("card", 300)}, total: -225, moved: 1000, warnings: []string{"tenders_differ"}},
	} {
		t.Run(name, func(t *testing.T) {
			original := sold(t, nil)
			if test.original != nil {
				original = test.original(original)
			}
			r := sale.ReturnRequest{ReceiptNo: "a1-1-1-318", Lines: test.lines, Tenders: test.tenders, External: external(test.total)}
			resolved := make([]sale.Resolved, len(test.lines))
			for i := range resolved {
				resolved[i] = of(pen, 250)
			}
			s, moves, err := sale.BuildReturn(terms(), r, original, resolved)
			if err != nil {
				t.Fatal(err)
			}
			wantEncodable(t, s, moves)
			var warnings []string
			for _, w := range s.Warnings {
				warnings = append(warnings, w.Code)
			}
			if !reflect.DeepEqual(warnings, test.warnings) || s.Total != test.total || moves[0].Delta != test.moved {
				t.Errorf("warnings %v, total %d, moves %v", warnings, s.Total, moves)
			}
			wantPaid(t, s)
			if len(test.warnings) == 0 {
				wantClosed(t, s)
			}
		})
	}
}

// TestExternalReturnOfNobodyKnowsWhat holds that a return which has happened is
// recorded where neither its receipt nor a code says what came back.
func TestExternalReturnOfNobodyKnowsWhat(t *testing.T) {
	for name, test := range map[string]struct {
		number   uint32
		original *sale.Original
		lines    []uint32 // of the warnings receipt_unknown; 0 is the receipt
	}{
		"unknown receipt": {1, nil, []uint32{0, 1}},
		"a return":        {1, &sale.Original{Sale: &protocol.Sale{Type: protocol.SaleReturn}}, []uint32{0, 1}},
		"no such line":    {9, sold(t, nil), []uint32{1}},
		"no such number":  {1 << 31, sold(t, nil), []uint32{1}},
	} {
		t.Run(name, func(t *testing.T) {
			l := sale.ReturnLine{Line: test.number, Qty: qty("2"), AmountMinor: ptr[protocol.Money](250), To: "damaged"}
			r := sale.ReturnRequest{ReceiptNo: "a1-1-1-318", Lines: []sale.ReturnLine{l}, External: external(-250)}
			s, moves, err := sale.BuildReturn(terms(), r, test.original, make([]sale.Resolved, 1))
			if err != nil {
				t.Fatal(err)
			}
			wantClosed(t, s)
			wantEncodable(t, s, moves)
			want := protocol.SaleLine{Item: protocol.ItemRef{SKU: "unknown"}, Quantity: -2000, UnitPrice: 125, Amount: -250, To: protocol.Damaged, Unstocked: true}
			if !reflect.DeepEqual(s.Lines, []protocol.SaleLine{want}) || len(moves) != 0 || s.Total != -250 {
				t.Errorf("lines %+v, moves %v, total %d", s.Lines, moves, s.Total)
			}
			var lines []uint32
			for _, w := range s.Warnings {
				if w.Code != sale.WarnReceiptUnknown {
					t.Errorf("warning %+v", w)
				}
				lines = append(lines, w.Line)
			}
			if !reflect.DeepEqual(lines, test.lines) {
				t.Errorf("warnings about %v, want %v", lines, test.lines)
			}
		})
	}
	priceless := sale.ReturnRequest{ReceiptNo: "gone", Lines: []sale.ReturnLine{back(1, "1")}, External: external(-250)}
	s, _, err := sale.BuildReturn(terms(), priceless, nil, make([]sale.Resolved, 1))
	if err != nil {
		t.Fatal(err)
	}
	wantPaid(t, s)
	priceless.Lines[0].UnitPriceMinor = ptr(protocol.MoneyMax + 1)
	_, _, err = sale.BuildReturn(terms(), priceless, nil, nil)
	wantError(t, err, protocol.OutOfRangeCode, map[string]any{"line": 1, "field": "unit_price_minor"})
}

func TestVoid(t *testing.T) {
	original := sold(t, nil)
	moves := []protocol.Move{{SKU: "PEN-01", Delta: -2000}}
	s, undo, err := sale.BuildVoid(terms(), original, sale.VoidRequest{Reason: "wrong item", Staff: "s7"}, moves)
	if err != nil {
		t.Fatal(err)
	}
	wantClosed(t, s)
	wantEncodable(t, s, undo)
	if s.Type != protocol.SaleVoid || s.Total != -550 || s.Change != -450 || s.Tenders[0].Amount != -1000 || s.Lines[0].Quantity != -2000 ||
		s.Lines[0].UnitPrice != 250 || s.Lines[0].Discounts[0].Amount != -50 || s.Taxes[0] != row("STD", 200_000, -458, -92) {
		t.Errorf("void is %+v", s)
	}
	if undo[0].Delta != 2000 || moves[0].Delta != -2000 || original.Sale.Lines[0].Discounts[0].Amount != 50 {
		t.Errorf("moves %v undo %v, or the original was changed", undo, moves)
	}
}

func TestVoidRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*sale.Original)
		code   protocol.Code
	}{
		"voided":       {func(o *sale.Original) { o.Voided = true }, protocol.AlreadyVoided},
		"returned":     {func(o *sale.Original) { o.Returned = []protocol.Quantity{0, 1} }, protocol.Conflict},
		"a return":     {func(o *sale.Original) { o.Sale.Type = protocol.SaleReturn }, protocol.Conflict},
		"a void":       {func(o *sale.Original) { o.Sale.Type = protocol.SaleVoid }, protocol.Conflict},
		"another till": {func(o *sale.Original) { o.Sale.Till = "2" }, protocol.Conflict},
		"another day":  {func(o *sale.Original) { o.Sale.BusinessDate = "2026-11-20" }, protocol.Conflict},
		"unknown":      {func(o *sale.Original) { o.Sale = nil }, protocol.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			original := sold(t, nil)
			test.change(original)
			_, _, err := sale.BuildVoid(terms(), original, sale.VoidRequest{}, nil)
			wantError(t, err, test.code, nil)
		})
	}
	_, _, err := sale.BuildVoid(terms(), sold(t, nil), sale.VoidRequest{Reason: "4111111111111111"}, nil)
	wantError(t, err, protocol.CardNumber, map[string]any{"field": "reason"})
}
