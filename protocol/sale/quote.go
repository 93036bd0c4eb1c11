package sale

import (
	"fmt"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
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
	// Points is null without a member, and while the programme lets no points be
	// spent.
	Points *QuotePoints `json:"points"`
}

// QuotePoints is what a member's points can pay of a sale. Redeemed follows the
// request's redeem_points, but is never more than the goods allow, so that a till
// whose goods change need not reckon.
type QuotePoints struct {
	Step          protocol.Points `json:"step"` // points are spent in whole steps
	StepMinor     protocol.Money  `json:"step_minor"`
	Minimum       protocol.Points `json:"minimum"`
	SpendableHere protocol.Points `json:"spendable_here"` // without asking anybody
	Most          protocol.Points `json:"most"`           // that can pay for these goods
	Redeemed      protocol.Points `json:"redeemed"`
	RedeemedMinor protocol.Money  `json:"redeemed_minor"`
	LeftMinor     protocol.Money  `json:"left_minor"`
	// CashLeftMinor is what is left where all of it is paid in cash.
	CashLeftMinor protocol.Money `json:"cash_left_minor"`
}

// NewQuote computes what Build would make of a sale of the store's own, whatever
// payments the request has.
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
		CashTotalMinor: d.TotalMinor + t.cashRounding(d.TotalMinor), Warnings: d.Warnings, Points: quotePoints(t, &r, d.TotalMinor),
	}, nil
}

// quotePoints is nil where points cannot pay.
func quotePoints(t Terms, r *Request, total protocol.Money) *QuotePoints {
	if r.MemberID == "" || r.Training || !loyalty.Redeems(t.Programme) {
		return nil
	}
	rule := t.Programme.Redeem
	q := &QuotePoints{
		Step: rule.Points, StepMinor: rule.Value, Minimum: max(rule.Minimum, rule.Points),
		Most: loyalty.Spendable(t.Programme, protocol.PointsMax, total), LeftMinor: total,
	}
	if r.RedeemPoints != nil {
		q.Redeemed = loyalty.Spendable(t.Programme, protocol.Points(*r.RedeemPoints), total)
	}
	if value, err := loyalty.Value(t.Programme, q.Redeemed); err == nil {
		q.RedeemedMinor, q.LeftMinor = value, total-value
	}
	q.CashLeftMinor = q.LeftMinor + t.cashRounding(q.LeftMinor)
	return q
}
