package protocol

// SaleType tells a sale from what reverses it.
type SaleType string

// The sale types. Quantities and money of returns and voids are negative.
const (
	SaleSale   SaleType = "sale"
	SaleReturn SaleType = "return"
	SaleVoid   SaleType = "void"
)

// Sale is a receipt: a sale, a return or a void. Everything on it was computed
// once, at the till, and is never recomputed.
type Sale struct {
	Type   SaleType
	Till   TillID
	Series string
	Number uint64 // gapless from 1 in its series

	Original         ReceiptNo // the receipt that a return or void reverses
	BusinessDate     string    // YYYY-MM-DD
	Staff            StaffID
	Member           MemberID
	Currency         string // ISO 4217
	PricesIncludeTax bool
	Lines            []SaleLine
	Taxes            []TaxAmount
	Tenders          []Tender
	Rounding         Money
	Total            Money // tax and rounding included; equals tenders less change
	Change           Money
	// PointsEarned are what the lines earned together, PointsRedeemed what the
	// tender of type points took from the member's account. Programme names the
	// rules by which they were reckoned; empty means none.
	PointsEarned   Points
	PointsRedeemed Points
	Programme      string
	// PointsAtRisk are those of PointsRedeemed that no lease covered: the stream
	// spent them in risk mode. They are 0 to PointsRedeemed.
	PointsAtRisk Points
	// Accounts are what the receipt does to gift cards, store credit and offers.
	Accounts []AccountEntry
	Training bool
	Reason   string
	External *External
	Warnings []Warning
	// Part is the part of an order that was due and is paid and handed over by
	// this sale; empty for none.
	Part PartID
	// PartAfter is what the store did last about Part, as the till knew.
	PartAfter EventID
	// ReturnedOrder is the order whose goods a return takes back; empty for none.
	// Without a receipt the lines' original lines are those of the order.
	ReturnedOrder OrderID
}

// ReceiptNo is the number that the till printed.
func (s *Sale) ReceiptNo(agent AgentID) ReceiptNo {
	return NewReceiptNo(agent, s.Till, s.Series, s.Number)
}

// SaleLine is one line of a receipt.
type SaleLine struct {
	Item         ItemRef
	Code         string // what was scanned, where it differs from SKU and GTIN
	Quantity     Quantity
	UnitPrice    Money
	Discounts    []Discount
	Amount       Money // final, after discounts
	TaxCode      string
	To           State  // where returned goods went
	OriginalLine uint32 // line of the original receipt, from 1; 0 without one
	Unstocked    bool   // a service: nothing moved
	Points       Points // what the line earned
}

// Discount is one reduction of a line's amount.
type Discount struct {
	Type   string
	ID     string
	Reason string
	Amount Money // above zero on a sale
}

// TaxAmount is the tax of one code on the receipt's sum of that code.
type TaxAmount struct {
	Code string
	Rate RatePPM
	Net  Money
	Tax  Money
}

// TenderType is how something was paid.
type TenderType string

// The tender types. Only cash gives change.
const (
	Cash      TenderType = "cash"
	Card      TenderType = "card"
	GiftCard  TenderType = "gift_card"
	Voucher   TenderType = "voucher"
	PointsPay TenderType = "points"
	OnAccount TenderType = "on_account"
	OtherPay  TenderType = "other"
)

// ValidTender tells whether t is one of the tender types.
func ValidTender(t TenderType) bool {
	switch t {
	case Cash, Card, GiftCard, Voucher, PointsPay, OnAccount, OtherPay:
		return true
	}
	return false
}

// Tender is one payment, or one refund where negative.
type Tender struct {
	Type   TenderType
	Amount Money
	Ref    string
}

// External is what another POS already did. It is recorded, never refused for
// its content.
type External struct {
	Source       string
	ID           string
	ReceiptNo    string
	OccurredAt   string // RFC 3339 as given
	BusinessDate string
	Total        Money
	Fiscal       *Fiscal
}

// Fiscal is the mark of a fiscal device, kept as given.
type Fiscal struct {
	Device    string
	Number    string
	Signature string
}

// Warning tells staff something that did not stop the sale.
type Warning struct {
	Code    string
	Line    uint32 // from 1; 0 means the receipt as a whole
	Message string
}
