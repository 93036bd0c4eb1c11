package sale

import "counterpart/protocol"

// Document is the sale document of HTTP.md: a sale, a return or a void as both
// programs show it. Every member is always present, null where nothing is
// known; lists are never null. Adding up qty and money over all documents is
// right, because those of returns and voids are below zero; only unit prices
// keep their sign.
type Document struct {
	Type              protocol.SaleType  `json:"type"`
	EventID           string             `json:"event_id"`
	Inc               string             `json:"inc"`
	Seq               protocol.Seq       `json:"seq"`
	Store             protocol.StoreID   `json:"store"`
	Agent             protocol.AgentID   `json:"agent"`
	Till              protocol.TillID    `json:"till"`
	ReceiptNo         protocol.ReceiptNo `json:"receipt_no"`
	OriginalReceiptNo *string            `json:"original_receipt_no"`
	BusinessDate      string             `json:"business_date"`
	At                string             `json:"at"`
	Staff             *string            `json:"staff"`
	MemberID          *string            `json:"member_id"`
	Currency          string             `json:"currency"`
	Lines             []DocumentLine     `json:"lines"`
	Taxes             []DocumentTax      `json:"taxes"`
	Tenders           []DocumentTender   `json:"tenders"`
	RoundingMinor     protocol.Money     `json:"rounding_minor"`
	TotalMinor        protocol.Money     `json:"total_minor"`
	ChangeMinor       protocol.Money     `json:"change_minor"`
	PointsEarned      protocol.Points    `json:"points_earned"`
	// PointsRedeemed is there only where points were spent or given back.
	PointsRedeemed protocol.Points `json:"points_redeemed,omitempty"`
	// Accounts are there only where gift cards, store credit or offers changed.
	Accounts []DocumentAccount `json:"accounts,omitempty"`
	OrderID  protocol.OrderID  `json:"order_id,omitempty"` // only where the receipt settles an order
	Fiscal   *DocumentFiscal   `json:"fiscal"`
	Training bool              `json:"training"`
	Voided   bool              `json:"voided"`
	External *DocumentExternal `json:"external"`
	Warnings []DocumentWarning `json:"warnings"`
}

// DocumentLine is one line of a Document. Qty is in the item's unit.
type DocumentLine struct {
	Line           int               `json:"line"`
	SKU            protocol.SKU      `json:"sku"`
	GTIN           *string           `json:"gtin"`
	Name           *string           `json:"name"`
	Qty            protocol.Quantity `json:"qty"`
	UnitPriceMinor protocol.Money    `json:"unit_price_minor"`
	DiscountMinor  protocol.Money    `json:"discount_minor"`
	AmountMinor    protocol.Money    `json:"amount_minor"`
	TaxCode        *string           `json:"tax_code"`
	ReturnedQty    protocol.Quantity `json:"returned_qty"`
	// Discounts are what DiscountMinor is made of.
	Discounts []DocumentDiscount `json:"discounts"`
}

// DocumentDiscount is one reduction of a line. That of a promotion has the type
// promotion, its id and its name.
type DocumentDiscount struct {
	Type        string         `json:"type"`
	ID          *string        `json:"id"`
	Reason      *string        `json:"reason"`
	AmountMinor protocol.Money `json:"amount_minor"`
}

// DocumentTax is the tax of one code.
type DocumentTax struct {
	TaxCode  string           `json:"tax_code"`
	RatePPM  protocol.RatePPM `json:"rate_ppm"`
	NetMinor protocol.Money   `json:"net_minor"`
	TaxMinor protocol.Money   `json:"tax_minor"`
}

// DocumentTender is one payment or refund.
type DocumentTender struct {
	Type        protocol.TenderType `json:"type"`
	AmountMinor protocol.Money      `json:"amount_minor"`
	Ref         *string             `json:"ref"`
}

// DocumentAccount is what the receipt did to an account. Line is null of payments and
// refunds.
type DocumentAccount struct {
	Account protocol.MemberID `json:"account"`
	Amount  protocol.Points   `json:"amount"`
	Line    *uint32           `json:"line"`
}

// DocumentFiscal is the mark of a fiscal device.
type DocumentFiscal struct {
	Device    *string `json:"device"`
	Number    *string `json:"number"`
	Signature *string `json:"signature"`
}

// DocumentExternal is what another POS said of the receipt.
type DocumentExternal struct {
	Source       string          `json:"source"`
	ID           string          `json:"id"`
	ReceiptNo    *string         `json:"receipt_no"`
	OccurredAt   *string         `json:"occurred_at"`
	BusinessDate *string         `json:"business_date"`
	TotalMinor   protocol.Money  `json:"total_minor"`
	Fiscal       *DocumentFiscal `json:"fiscal"`
}

// DocumentWarning is one warning. Line is null for the receipt as a whole.
type DocumentWarning struct {
	Code    string  `json:"code"`
	Line    *uint32 `json:"line"`
	Message string  `json:"message"`
}

// Meta is what a receipt's document says beside the receipt.
type Meta struct {
	EventID  protocol.EventID
	Inc      protocol.Inc
	Seq      protocol.Seq
	Store    protocol.StoreID
	Agent    protocol.AgentID
	At       string              // RFC 3339 with the store's offset
	Returned []protocol.Quantity // of each line of a sale, above zero
	Voided   bool
	// Item finds what the catalogue knows of a SKU; nil knows nothing.
	Item func(protocol.SKU) (name, gtin string, ok bool)
}

// NewDocument shows a receipt.
func NewDocument(m Meta, s *protocol.Sale) Document {
	d := Document{
		Type: s.Type, EventID: m.EventID.String(), Inc: m.Inc.String(), Seq: m.Seq,
		Store: m.Store, Agent: m.Agent, Till: s.Till, ReceiptNo: s.ReceiptNo(m.Agent),
		OriginalReceiptNo: orNull(string(s.Original)), BusinessDate: s.BusinessDate, At: m.At,
		Staff: orNull(string(s.Staff)), MemberID: orNull(string(s.Member)), Currency: s.Currency,
		Lines:         make([]DocumentLine, 0, len(s.Lines)),
		Taxes:         make([]DocumentTax, 0, len(s.Taxes)),
		Tenders:       make([]DocumentTender, 0, len(s.Tenders)),
		RoundingMinor: s.Rounding, TotalMinor: s.Total, ChangeMinor: s.Change, PointsEarned: s.PointsEarned, PointsRedeemed: s.PointsRedeemed,
		OrderID: protocol.OrderID(first(string(s.Part.Order), string(s.ReturnedOrder))), Training: s.Training, Voided: m.Voided, External: documentExternal(s.External),
		Warnings: make([]DocumentWarning, 0, len(s.Warnings)),
	}
	if d.External != nil {
		d.Fiscal = d.External.Fiscal
	}
	for i, line := range s.Lines {
		d.Lines = append(d.Lines, documentLine(m, i, line))
	}
	for _, t := range s.Taxes {
		d.Taxes = append(d.Taxes, DocumentTax{TaxCode: t.Code, RatePPM: t.Rate, NetMinor: t.Net, TaxMinor: t.Tax})
	}
	for _, t := range s.Tenders {
		d.Tenders = append(d.Tenders, DocumentTender{Type: t.Type, AmountMinor: t.Amount, Ref: orNull(t.Ref)})
	}
	for i := range s.Accounts {
		e := DocumentAccount{Account: s.Accounts[i].Account, Amount: s.Accounts[i].Amount}
		if s.Accounts[i].Line > 0 {
			e.Line = &s.Accounts[i].Line
		}
		d.Accounts = append(d.Accounts, e)
	}
	for _, w := range s.Warnings {
		warning := DocumentWarning{Code: w.Code, Message: w.Message}
		if w.Line != 0 {
			warning.Line = &w.Line
		}
		d.Warnings = append(d.Warnings, warning)
	}
	return d
}

// documentLine shows line i, from 0. The catalogue of today goes before what
// the receipt says of an item, which is only what was unknown then.
func documentLine(m Meta, i int, line protocol.SaleLine) DocumentLine {
	name, gtin := line.Item.Name, line.Item.GTIN
	if m.Item != nil {
		if n, g, ok := m.Item(line.Item.SKU); ok {
			name, gtin = first(n, name), first(g, gtin)
		}
	}
	if len(gtin) != 14 {
		gtin = ""
	}
	out := DocumentLine{
		Line: i + 1, SKU: line.Item.SKU, GTIN: orNull(gtin), Name: orNull(name), Qty: line.Quantity,
		UnitPriceMinor: line.UnitPrice, AmountMinor: line.Amount, TaxCode: orNull(line.TaxCode),
		Discounts: make([]DocumentDiscount, 0, len(line.Discounts)),
	}
	for _, d := range line.Discounts {
		out.Discounts = append(out.Discounts, DocumentDiscount{Type: d.Type, ID: orNull(d.ID), Reason: orNull(d.Reason), AmountMinor: d.Amount})
		out.DiscountMinor += d.Amount
	}
	if i < len(m.Returned) {
		out.ReturnedQty = m.Returned[i]
	}
	return out
}

func documentExternal(e *protocol.External) *DocumentExternal {
	if e == nil {
		return nil
	}
	d := &DocumentExternal{
		Source: e.Source, ID: e.ID, ReceiptNo: orNull(e.ReceiptNo), OccurredAt: orNull(e.OccurredAt),
		BusinessDate: orNull(e.BusinessDate), TotalMinor: e.Total,
	}
	if f := e.Fiscal; f != nil {
		d.Fiscal = &DocumentFiscal{Device: orNull(f.Device), Number: orNull(f.Number), Signature: orNull(f.Signature)}
	}
	return d
}

// orNull is null for empty text.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// first is the first text that is not empty.
func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
