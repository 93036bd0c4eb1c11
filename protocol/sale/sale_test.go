package sale_test

import (
	"errors"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/sale"
)

func ptr[T any](v T) *T { return &v }

func qty(s string) *protocol.Quantity {
	q, err := protocol.ParseQuantity(s)
	if err != nil {
		panic(err)
	}
	return &q
}

// rates are the taxes of the tests: 20 %, 8 %, and one at nothing.
func rates(code string) (protocol.RatePPM, bool) {
	rate, ok := map[string]protocol.RatePPM{"STD": 200_000, "RED": 80_000, "ZERO": 0}[code]
	return rate, ok
}

func terms() sale.Terms {
	return sale.Terms{
		Agent: "a1", Till: "1", Series: "1", Number: 318, BusinessDate: "2026-11-21",
		Currency: "GBP", PricesIncludeTax: true, Rate: rates,
	}
}

var (
	pen     = &protocol.Item{SKU: "PEN-01", GTIN: "04006381333931", Name: "Pen", Unit: protocol.Each, TaxCode: "STD", Stocked: true}
	bread   = &protocol.Item{SKU: "BREAD", Name: "Bread", Unit: protocol.Each, TaxCode: "RED", Stocked: true}
	cheese  = &protocol.Item{SKU: "CHEESE", Name: "Cheese", Unit: protocol.Kg, TaxCode: "RED", Stocked: true}
	repair  = &protocol.Item{SKU: "REPAIR", Name: "Repair", Unit: protocol.Each, TaxCode: "STD"}
	stamp   = &protocol.Item{SKU: "STAMP", Name: "Stamp", Unit: protocol.Each, Stocked: true}
	withdrn = &protocol.Item{SKU: "BAD", Name: "Withdrawn toy", Unit: protocol.Each, Stocked: true, Blocked: true}
)

func of(item *protocol.Item, price protocol.Money) sale.Resolved {
	return sale.Resolved{Item: item, SKU: item.SKU, GTIN: item.GTIN, Price: &price}
}

func line(code, quantity string) sale.Line { return sale.Line{Code: code, Qty: qty(quantity)} }

func tender(kind string, amount protocol.Money) sale.Tender {
	return sale.Tender{Type: kind, AmountMinor: &amount}
}

// wantError checks an error's code and members.
func wantError(t *testing.T, err error, code protocol.Code, members map[string]any) {
	t.Helper()
	var e *protocol.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want %s", err, code)
	}
	if e.Code != code {
		t.Errorf("got %s (%s), want %s", e.Code, e.Message, code)
	}
	for name, want := range members {
		if got := e.Members[name]; got != want {
			t.Errorf("member %s is %#v, want %#v (%s)", name, got, want, e.Message)
		}
	}
}

// wantClosed checks what always holds of a receipt that is not another POS's.
func wantClosed(t interface {
	Helper()
	Fatalf(string, ...any)
}, s *protocol.Sale,
) {
	t.Helper()
	var lines, taxes protocol.Money
	for _, l := range s.Lines {
		lines += l.Amount
	}
	for _, tax := range s.Taxes {
		taxes += tax.Tax
	}
	if s.PricesIncludeTax {
		taxes = 0
	}
	if lines+taxes+s.Rounding != s.Total {
		t.Fatalf("lines %d, tax on top %d and rounding %d are not the total %d", lines, taxes, s.Rounding, s.Total)
	}
	wantPaid(t, s)
}

// wantPaid checks what always holds of any receipt.
func wantPaid(t interface {
	Helper()
	Fatalf(string, ...any)
}, s *protocol.Sale,
) {
	t.Helper()
	var tenders protocol.Money
	for _, x := range s.Tenders {
		tenders += x.Amount
	}
	if tenders-s.Change != s.Total {
		t.Fatalf("tenders %d less change %d are not the total %d", tenders, s.Change, s.Total)
	}
}

// wantEncodable checks that the codec takes the receipt and its moves.
func wantEncodable(t interface {
	Helper()
	Fatalf(string, ...any)
}, s *protocol.Sale, moves []protocol.Move,
) {
	t.Helper()
	if _, err := protocol.EncodeEvent(&protocol.Event{Kind: protocol.KindSale, Boot: 1, Moves: moves, Sale: s}); err != nil {
		t.Fatalf("cannot be encoded: %v", err)
	}
}
