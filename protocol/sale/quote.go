package sale

import (
	"fmt"

	"counterpart/protocol"
)

// Quote is what a sale would come to, before it is paid. Its members are those of a
// Document.
type Quote struct {
	Currency   string         `json:"currency"`
	Lines      []DocumentLine `json:"lines"`
	Taxes      []DocumentTax  `json:"taxes"`
	TotalMinor protocol.Money `json:"total_minor"`
	// CashTotalMinor is the total where all of it is paid in cash, rounded to coins.
	CashTotalMinor protocol.Money    `json:"cash_total_minor"`
	Warnings       []DocumentWarning `json:"warnings"`
}

// NewQuote computes what Build would make of a sale of the store's own, whatever
// payments and points the request has.
func NewQuote(t Terms, r Request, lines []Resolved, item func(protocol.SKU) (name, gtin string, ok bool)) (Quote, error) {
	if err := r.Validate(); err != nil {
		return Quote{}, err
	}
	if r.External != nil {
		return Quote{}, protocol.OutOfRange("external", "", "given with a quote (what another POS has sold has its price)")
	}
	if len(lines) != len(r.Lines) {
		return Quote{}, fmt.Errorf("quote of %d lines with %d resolved", len(r.Lines), len(lines))
	}
	b := &builder{t: t, selling: true}
	s, err := b.sold(r, lines)
	if err != nil {
		return Quote{}, err
	}
	if s.Total = due(s); s.Total > protocol.MoneyMax {
		return Quote{}, errTax()
	}
	s.Warnings = b.warnings
	d := NewDocument(Meta{Item: item}, s)
	return Quote{
		Currency: d.Currency, Lines: d.Lines, Taxes: d.Taxes, TotalMinor: d.TotalMinor,
		CashTotalMinor: d.TotalMinor + t.cashRounding(d.TotalMinor), Warnings: d.Warnings,
	}, nil
}
