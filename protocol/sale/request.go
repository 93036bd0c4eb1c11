package sale

import "counterpart/protocol"

// The requests below are the JSON of HTTP.md, "Agent". A pointer stands where
// left out and zero differ. protocol.DecodeJSON reads them strictly; Validate
// fills in defaults and refuses what is out of range.

// Request asks to record a sale (POST /v1/sales).
type Request struct {
	Till         string    `json:"till"`
	Lines        []Line    `json:"lines"`
	Tenders      []Tender  `json:"tenders"`
	MemberID     string    `json:"member_id"`
	RedeemPoints *int64    `json:"redeem_points"`
	Staff        string    `json:"staff"`
	Training     bool      `json:"training"`
	External     *External `json:"external"`
	// Coupons are what the shopper presented. What another POS made of them is in
	// its amounts.
	Coupons []string `json:"coupons"`
	// Offers are those to the member that are to be redeemed, by their ids.
	Offers []string `json:"offers"`
}

// Line is one scan or one typed code of a sale.
type Line struct {
	Code string `json:"code"`
	// Qty counts scans of Code: 1 of a case of twelve is twelve pieces. For a
	// code that means one unit, which is nearly every code, it is the quantity.
	Qty *protocol.Quantity `json:"qty"`
	// UnitPriceMinor is the price of one unit of the item, not of one scan.
	UnitPriceMinor *protocol.Money `json:"unit_price_minor"`
	// AmountMinor is final, after discounts.
	AmountMinor *protocol.Money `json:"amount_minor"`
	Discounts   []Discount      `json:"discounts"`
	// GiftCard is the code of the card on which the line puts its amount.
	GiftCard string `json:"gift_card"`
}

// Discount is one reduction of a line.
type Discount struct {
	Type        string          `json:"type"`
	ID          string          `json:"id"`
	Reason      string          `json:"reason"`
	AmountMinor *protocol.Money `json:"amount_minor"`
}

// Tender is one payment of a sale, or one refund of a return; both are given
// above zero.
type Tender struct {
	Type        string          `json:"type"`
	AmountMinor *protocol.Money `json:"amount_minor"`
	Ref         string          `json:"ref"`
	// Code is that of a gift card of the chain, of which a gift_card is paid. One
	// without a code is somebody else's, and is taken down as it is.
	Code string `json:"code"`
	// Credit tells that what is paid on_account is the member's store credit.
	Credit bool `json:"credit"`
}

// External says that another POS has already done what is recorded here.
type External struct {
	Source       string          `json:"source"`
	ID           string          `json:"id"`
	ReceiptNo    string          `json:"receipt_no"`
	OccurredAt   string          `json:"occurred_at"`
	BusinessDate string          `json:"business_date"`
	TotalMinor   *protocol.Money `json:"total_minor"`
	Fiscal       *Fiscal         `json:"fiscal"`
}

// Fiscal is the mark of a fiscal device.
type Fiscal struct {
	Device    string `json:"device"`
	Number    string `json:"number"`
	Signature string `json:"signature"`
}

// ReturnRequest asks to take goods back (POST /v1/returns). With ReceiptNo its
// lines name lines of that receipt; without one they are lines as in a sale.
type ReturnRequest struct {
	Till      string `json:"till"`
	ReceiptNo string `json:"receipt_no"`
	// OrderID is the order whose goods come back, in place of a receipt.
	OrderID string `json:"order_id"`
	// MemberID is whose store credit a refund is put on, where the receipt names no
	// member.
	MemberID string       `json:"member_id"`
	Lines    []ReturnLine `json:"lines"`
	Tenders  []Tender     `json:"tenders"`
	Reason   string       `json:"reason"`
	Staff    string       `json:"staff"`
	External *External    `json:"external"`
}

// ReturnLine is one line of a return. Its quantity and amounts are given above
// zero and recorded below.
type ReturnLine struct {
	// Line is a line of the receipt or the order, from 1; 0 where there is none.
	Line uint32 `json:"line"`
	// Qty is in the item's unit where Line names a line, else in scans of Code.
	Qty            *protocol.Quantity `json:"qty"`
	To             string             `json:"to"`
	Code           string             `json:"code"`
	UnitPriceMinor *protocol.Money    `json:"unit_price_minor"`
	AmountMinor    *protocol.Money    `json:"amount_minor"`
	Discounts      []Discount         `json:"discounts"`
}

// asSold is what the line says as a line of a sale.
func (l ReturnLine) asSold() Line {
	return Line{Code: l.Code, Qty: l.Qty, UnitPriceMinor: l.UnitPriceMinor, AmountMinor: l.AmountMinor, Discounts: l.Discounts}
}

// VoidRequest asks to reverse a whole receipt (POST /v1/sales/{receipt_no}/void).
type VoidRequest struct {
	Reason string `json:"reason"`
	Staff  string `json:"staff"`
}
