package sale_test

import (
	"testing"

	"pgregory.net/rapid"

	"counterpart/protocol"
	"counterpart/protocol/sale"
)

// randomTerms draws a zone: with or without tax in its prices, any coins.
func randomTerms(t *rapid.T) sale.Terms {
	terms := terms()
	terms.PricesIncludeTax = rapid.Bool().Draw(t, "inclusive")
	terms.CashRounding = rapid.SampledFrom([]protocol.Money{0, 1, 5, 10, 50, 100}).Draw(t, "coin")
	rate := protocol.RatePPM(rapid.Int64Range(0, 400_000).Draw(t, "rate"))
	terms.Rate = func(code string) (protocol.RatePPM, bool) { return rate, code != "" }
	return terms
}

// randomLines draws lines that a till may send, with discounts up to all of
// the line, and what was resolved of them.
func randomLines(t *rapid.T) ([]sale.Line, []sale.Resolved) {
	var lines []sale.Line
	var resolved []sale.Resolved
	for range rapid.IntRange(1, 6).Draw(t, "lines") {
		item := rapid.SampledFrom([]*protocol.Item{pen, bread, cheese, repair, stamp}).Draw(t, "item")
		price := protocol.Money(rapid.Int64Range(0, 100_000).Draw(t, "price"))
		quantity := protocol.Quantity(rapid.Int64Range(1, 20_000).Draw(t, "qty"))
		l := sale.Line{Code: string(item.SKU), Qty: &quantity}
		if gross, _ := quantity.Times(price); gross > 1 && rapid.Bool().Draw(t, "reduced") {
			first := rapid.Int64Range(1, int64(gross)-1).Draw(t, "first")
			second := rapid.Int64Range(1, int64(gross)-first).Draw(t, "second")
			l.Discounts = []sale.Discount{{AmountMinor: ptr(protocol.Money(first))}, {AmountMinor: ptr(protocol.Money(second))}}
		}
		if rapid.IntRange(0, 9).Draw(t, "final") == 0 {
			l.AmountMinor = ptr(protocol.Money(rapid.Int64Range(0, 1_000_000).Draw(t, "amount")))
		}
		lines, resolved = append(lines, l), append(resolved, of(item, price))
	}
	return lines, resolved
}

// randomSale builds a sale that is paid in a drawn mix of card and cash.
func randomSale(t *rapid.T, terms sale.Terms) (*protocol.Sale, []protocol.Move) {
	lines, resolved := randomLines(t)
	r := sale.Request{Lines: lines, Tenders: []sale.Tender{tender("cash", protocol.MoneyMax)}}
	probe, _, err := sale.Build(terms, r, resolved)
	if err != nil {
		t.Fatal(err)
	}
	due := probe.Total - probe.Rounding
	card := protocol.Money(rapid.Int64Range(0, int64(due)).Draw(t, "card"))
	r.Tenders = []sale.Tender{tender("card", card)}
	if card != due || rapid.Bool().Draw(t, "cash too") {
		r.Tenders = append(r.Tenders, tender("cash", due-card+1000))
	}
	s, moves, err := sale.Build(terms, r, resolved)
	if err != nil {
		t.Fatal(err)
	}
	return s, moves
}

// TestSalesClose holds that tenders less change are the total, that lines,
// taxes and rounding are the total, that net and tax are the lines' sum, and
// that no line is below zero.
func TestSalesClose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := randomTerms(t)
		s, moves := randomSale(t, terms)
		wantClosed(t, s)
		wantEncodable(t, s, moves)
		sums := map[string]protocol.Money{}
		var moved, sold protocol.Quantity
		for _, l := range s.Lines {
			if l.Amount < 0 {
				t.Fatalf("line of %d", l.Amount)
			}
			if l.TaxCode != "" {
				sums[l.TaxCode] += l.Amount
			}
			if !l.Unstocked {
				sold += l.Quantity
			}
		}
		for _, move := range moves {
			moved += move.Delta
		}
		if moved+sold != 0 {
			t.Fatalf("sold %d and moved %d", sold, moved)
		}
		for _, tax := range s.Taxes {
			sum := tax.Net
			if s.PricesIncludeTax {
				sum += tax.Tax
			}
			if sum != sums[tax.Code] || tax.Tax < 0 {
				t.Fatalf("tax %+v on lines of %d", tax, sums[tax.Code])
			}
			delete(sums, tax.Code)
		}
		if len(sums) != 0 {
			t.Fatalf("untaxed: %v", sums)
		}
		if r := s.Rounding; 2*max(r, -r) > max(terms.CashRounding, 1) {
			t.Fatalf("rounded by %d to coins of %d", r, terms.CashRounding)
		}
		if s.Change < 0 {
			t.Fatalf("change of %d", s.Change)
		}
	})
}

// TestReturnsAddUp holds that returning a receipt in any split comes to exactly
// what was paid, in every line, discount, tax and total, and never to more on
// the way; and that nothing can come back twice.
func TestReturnsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := randomTerms(t)
		s, _ := randomSale(t, terms)
		terms.CashRounding = 0
		original := &sale.Original{Sale: s, ReceiptNo: "a1-1-1-318", Returned: make([]protocol.Quantity, len(s.Lines))}
		amounts := make([]protocol.Money, len(s.Lines))
		discounts := make([]protocol.Money, len(s.Lines))
		taxes, nets := map[string]protocol.Money{}, map[string]protocol.Money{}
		var total protocol.Money
		for {
			lines := randomPart(t, original)
			if lines == nil {
				break
			}
			back, moves := giveBack(t, terms, original, lines)
			wantClosed(t, back)
			wantEncodable(t, back, moves)
			for _, l := range back.Lines {
				i := l.OriginalLine - 1
				if l.Amount > 0 || l.Quantity >= 0 {
					t.Fatalf("line %+v", l)
				}
				original.Returned[i] -= l.Quantity
				amounts[i] += l.Amount
				for _, d := range l.Discounts {
					discounts[i] += d.Amount
				}
				if -amounts[i] > s.Lines[i].Amount {
					t.Fatalf("line %d refunds %d of %d", i+1, -amounts[i], s.Lines[i].Amount)
				}
			}
			for _, tax := range back.Taxes {
				taxes[tax.Code] += tax.Tax
				nets[tax.Code] += tax.Net
			}
			total += back.Total
		}
		for i, l := range s.Lines {
			var reduced protocol.Money
			for _, d := range l.Discounts {
				reduced += d.Amount
			}
			if -amounts[i] != l.Amount || -discounts[i] != reduced {
				t.Fatalf("line %d refunded %d of %d, discounts %d of %d", i+1, -amounts[i], l.Amount, -discounts[i], reduced)
			}
		}
		for _, tax := range s.Taxes {
			if taxes[tax.Code] != -tax.Tax || nets[tax.Code] != -tax.Net {
				t.Fatalf("tax of %+v came back as %d and %d", tax, nets[tax.Code], taxes[tax.Code])
			}
		}
		if -total != s.Total-s.Rounding {
			t.Fatalf("refunded %d of %d", -total, s.Total-s.Rounding)
		}
		_, _, err := sale.BuildReturn(terms, sale.ReturnRequest{ReceiptNo: "r", Lines: []sale.ReturnLine{back(1, "0.001")}}, original, nil)
		if protocol.CodeOf(err) != protocol.OverReturn {
			t.Fatalf("more than was sold came back: %v", err)
		}
	})
}

// randomPart draws some of what can still come back; nil once all has.
func randomPart(t *rapid.T, o *sale.Original) []sale.ReturnLine {
	var lines []sale.ReturnLine
	for i, l := range o.Sale.Lines {
		left := l.Quantity - o.Returned[i]
		if left == 0 || len(lines) > 0 && rapid.Bool().Draw(t, "skip") {
			continue
		}
		q := left
		if left > 3 && rapid.Bool().Draw(t, "part") {
			q = protocol.Quantity(rapid.Int64Range(int64(left/4+1), int64(left)).Draw(t, "q"))
		}
		lines = append(lines, sale.ReturnLine{Line: uint32(i + 1), Qty: &q})
	}
	return lines
}

// giveBack returns lines against whatever refund is due, found by asking.
func giveBack(t *rapid.T, terms sale.Terms, o *sale.Original, lines []sale.ReturnLine) (*protocol.Sale, []protocol.Move) {
	r := sale.ReturnRequest{ReceiptNo: string(o.ReceiptNo), Lines: lines}
	s, moves, err := sale.BuildReturn(terms, r, o, nil)
	if protocol.CodeOf(err) == protocol.TenderShort {
		due := protocol.AsError(err).Members["due_minor"].(int64)
		r.Tenders = []sale.Tender{tender("card", protocol.Money(due))}
		s, moves, err = sale.BuildReturn(terms, r, o, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, moves
}

// TestVoidsCancel holds that a sale and its void are nothing in every amount
// and move.
func TestVoidsCancel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := randomTerms(t)
		s, moves := randomSale(t, terms)
		void, undo, err := sale.BuildVoid(terms, &sale.Original{Sale: s, ReceiptNo: "r"}, sale.VoidRequest{}, moves)
		if err != nil {
			t.Fatal(err)
		}
		wantClosed(t, void)
		wantEncodable(t, void, undo)
		sum := []int64{int64(s.Total + void.Total), int64(s.Change + void.Change), int64(s.Rounding + void.Rounding)}
		for i := range s.Lines {
			a, b := s.Lines[i], void.Lines[i]
			sum = append(sum, int64(a.Amount+b.Amount), int64(a.Quantity+b.Quantity))
			for j := range a.Discounts {
				sum = append(sum, int64(a.Discounts[j].Amount+b.Discounts[j].Amount))
			}
		}
		for i := range s.Taxes {
			sum = append(sum, int64(s.Taxes[i].Net+void.Taxes[i].Net), int64(s.Taxes[i].Tax+void.Taxes[i].Tax))
		}
		for i := range s.Tenders {
			sum = append(sum, int64(s.Tenders[i].Amount+void.Tenders[i].Amount))
		}
		for i := range moves {
			sum = append(sum, int64(moves[i].Delta+undo[i].Delta))
		}
		for i, n := range sum {
			if n != 0 {
				t.Fatalf("sum %d of sale and void is %d", i, n)
			}
		}
		if len(void.Lines) != len(s.Lines) || len(void.Taxes) != len(s.Taxes) || len(void.Tenders) != len(s.Tenders) || len(undo) != len(moves) {
			t.Fatalf("the void leaves something out")
		}
	})
}
