package sale

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"counterpart/protocol"
)

// unitQuantity is one unit of an item, and one scan of an ordinary code.
const unitQuantity protocol.Quantity = 1000

// Resolved is what the caller found out about the code of one line.
type Resolved struct {
	Item *protocol.Item // nil where the catalogue does not know the code
	// SKU is what stock is kept under. For an unknown code it is the 14-digit
	// GTIN where the code is a valid one, else the code's text.
	SKU  protocol.SKU
	GTIN string // 14 digits, or empty
	Name string // of an unknown item, where anything is known
	// Multiplier is how much of the item's unit one scan means; 0 and 1000
	// are one unit.
	Multiplier protocol.Quantity
	// Price is the price in force of one unit of the item; nil where there is
	// none.
	Price *protocol.Money
	// AmountFromCode is the price that a weighed code carries for its piece.
	AmountFromCode *protocol.Money
	// QuantityFromCode is the quantity that a weighed code carries. It stands
	// in the place of Multiplier.
	QuantityFromCode *protocol.Quantity
}

// Terms are the store's terms at the moment of the receipt. Series and Number
// are those of the till's training series for a training receipt, and for the
// return or void of one.
type Terms struct {
	Agent            protocol.AgentID
	Till             protocol.TillID
	Series           string
	Number           uint64
	BusinessDate     string
	Currency         string
	PricesIncludeTax bool
	CashRounding     protocol.Money // smallest cash unit; 0 and 1 mean none
	// Rate is the rate in force of a tax code. Without a rate a code is
	// untaxed; a rate of 0 is taxed at nothing and has its row.
	Rate func(code string) (protocol.RatePPM, bool)
	// Promotions are those of the store's zone, of a sale that is made here.
	Promotions []Promotion
	// Programme is the points programme in force; nil for none.
	Programme *protocol.Programme
}

// The codes of the warnings that this package gives. The till adds those that
// depend on stock.
const (
	WarnTotalDiffers   = "total_differs"
	WarnTendersDiffer  = "tenders_differ"
	WarnUnknownCode    = string(protocol.UnknownCode)
	WarnPriceMissing   = string(protocol.PriceMissing)
	WarnNegativePrice  = "negative_price"
	WarnBlocked        = "blocked"
	WarnOverReturn     = string(protocol.OverReturn)
	WarnAlreadyVoided  = string(protocol.AlreadyVoided)
	WarnReceiptUnknown = string(protocol.ReceiptUnknown)
	WarnPoints         = string(protocol.PointsUnavailable)
)

// builder computes one receipt.
type builder struct {
	t        Terms
	external *External
	selling  bool // false while goods come back
	warnings []protocol.Warning
	moves    moveList
}

// nothing says what is safe after a refusal.
func (b *builder) nothing() string {
	if b.selling {
		return "Nothing was sold. "
	}
	return "Nothing was returned. "
}

// refuse makes a refusal out of what happened and what to do next.
func (b *builder) refuse(code protocol.Code, line int, what, next string) *protocol.Error {
	return atLine(protocol.Refuse(code, what+" "+b.nothing()+next), line)
}

func (b *builder) outOfRange(line int, field, value, rule string) *protocol.Error {
	return atLine(protocol.OutOfRange(field, value, rule), line)
}

func (b *builder) warn(code string, line int, message string) {
	b.warnings = append(b.warnings, protocol.Warning{Code: code, Line: uint32(line), Message: message})
}

// receipt starts a receipt of the terms.
func (b *builder) receipt(kind protocol.SaleType, staff string) *protocol.Sale {
	s := &protocol.Sale{
		Type: kind, Till: b.t.Till, Series: b.t.Series, Number: b.t.Number,
		BusinessDate: b.t.BusinessDate, Staff: protocol.StaffID(staff),
		Currency: b.t.Currency, PricesIncludeTax: b.t.PricesIncludeTax,
	}
	if e := b.external; e != nil {
		s.External = &protocol.External{
			Source: e.Source, ID: e.ID, ReceiptNo: e.ReceiptNo,
			OccurredAt: e.OccurredAt, BusinessDate: e.BusinessDate, Total: *e.TotalMinor,
		}
		if e.Fiscal != nil {
			s.External.Fiscal = &protocol.Fiscal{Device: e.Fiscal.Device, Number: e.Fiscal.Number, Signature: e.Fiscal.Signature}
		}
		if e.BusinessDate != "" {
			s.BusinessDate = e.BusinessDate
		}
	}
	return s
}

// lineValue is one line while it is computed. Money and quantities are as in a
// sale, above zero for what the shopper gets.
type lineValue struct {
	unit      protocol.Unit
	quantity  protocol.Quantity
	price     *protocol.Money // of one unit; nil while nobody knows one
	gross     protocol.Money  // before discounts
	discounts []protocol.Discount
	reduced   protocol.Money // the sum of discounts
}

// saleLine computes one line of a sale, or of a return without a receipt.
func (b *builder) saleLine(n int, in Line, r Resolved) (protocol.SaleLine, error) {
	if err := b.sellable(n, in, r); err != nil {
		return protocol.SaleLine{}, err
	}
	return b.pricedLine(n, in, r)
}

// pricedLine is saleLine for what may be sold, or was.
func (b *builder) pricedLine(n int, in Line, r Resolved) (protocol.SaleLine, error) {
	v, err := b.value(n, in, r)
	if err != nil {
		return protocol.SaleLine{}, err
	}
	if *v.price < 0 {
		b.warn(WarnNegativePrice, n, "This line has a unit price below 0, "+money(*v.price)+". It was recorded as given.")
	}
	out := protocol.SaleLine{
		Item: b.itemRef(in, r), Quantity: v.quantity, UnitPrice: *v.price,
		Discounts: v.discounts, Amount: v.gross - v.reduced,
	}
	switch {
	case in.AmountMinor != nil:
		out.Amount = *in.AmountMinor
	case v.reduced > v.gross && b.external == nil:
		return out, b.outOfRange(n, "discounts", money(v.reduced), "more than the line's "+money(v.gross))
	case out.Amount > protocol.MoneyMax || out.Amount < -protocol.MoneyMax:
		return out, b.outOfRange(n, "amount_minor", "", "beyond 1,000,000,000,000 minor units")
	}
	if r.Item != nil {
		out.TaxCode, out.Unstocked = r.Item.TaxCode, !r.Item.Stocked
	}
	out.Code = scannedCode(in.Code, out.Item.SKU, r.gtin())
	return out, nil
}

func money(m protocol.Money) string { return strconv.FormatInt(int64(m), 10) }

// sellable refuses a code that may not be sold, or warns where another POS has
// sold it already. Goods of any kind may come back.
func (b *builder) sellable(n int, in Line, r Resolved) error {
	if r.Item == nil {
		if b.external != nil {
			b.warn(WarnUnknownCode, n, "This line's code is not in this store's list. It was recorded as an open item.")
			return nil
		}
		if in.UnitPriceMinor == nil && in.AmountMinor == nil && r.Price == nil && r.AmountFromCode == nil {
			return b.refuse(protocol.UnknownCode, n, "Code "+in.Code+" is not in this store's list.",
				"Scan it again, or enter a price to sell it as an open item.").With("value", in.Code)
		}
		return nil
	}
	if r.Item.Blocked && b.selling {
		if b.external != nil {
			b.warn(WarnBlocked, n, r.Item.Name+" is blocked from sale, but was sold.")
			return nil
		}
		return b.refuse(protocol.Conflict, n, r.Item.Name+" is blocked from sale.",
			"Take it off the receipt and keep it aside.").With("value", in.Code)
	}
	return nil
}

// value finds quantity, unit price and amount. The quantity is in the item's
// unit: what was entered counts scans, and one scan means the code's
// multiplier. A weighed code that carries only an amount tells the quantity by
// way of the price, since that is how the scale found the amount.
func (b *builder) value(n int, in Line, r Resolved) (lineValue, error) {
	v := lineValue{unit: protocol.Each, price: in.UnitPriceMinor}
	if v.price == nil {
		v.price = r.Price
	}
	if r.Item != nil && r.Item.Unit != "" {
		v.unit = r.Item.Unit
	}
	for _, d := range in.Discounts {
		kind := d.Type
		if kind == "" {
			kind = "manual"
		}
		v.discounts = append(v.discounts, protocol.Discount{Type: kind, ID: d.ID, Reason: d.Reason, Amount: *d.AmountMinor})
		v.reduced += *d.AmountMinor
	}
	if err := b.quantity(n, &v, in, r); err != nil {
		return v, err
	}
	if err := b.gross(n, &v, in, r); err != nil {
		return v, err
	}
	return v, nil
}

// weighedByPrice tells whether the quantity of a line follows from the amount
// that its code carries.
func (v *lineValue) weighedByPrice(r Resolved) bool {
	return r.AmountFromCode != nil && r.QuantityFromCode == nil && v.unit != protocol.Each && v.price != nil && *v.price > 0
}

func (b *builder) quantity(n int, v *lineValue, in Line, r Resolved) error {
	perScan := r.Multiplier
	if perScan <= 0 {
		perScan = unitQuantity
	}
	if r.QuantityFromCode != nil {
		perScan = *r.QuantityFromCode
	}
	total, ok := protocol.MulDiv(int64(*in.Qty), int64(perScan), int64(unitQuantity))
	if v.weighedByPrice(r) {
		var label protocol.Money
		if label, ok = in.Qty.Times(*r.AmountFromCode); ok {
			total, ok = protocol.MulDiv(int64(label), int64(unitQuantity), int64(*v.price))
		}
	}
	v.quantity = protocol.Quantity(total)
	if !ok || v.quantity > protocol.QuantityMax || v.quantity < -protocol.QuantityMax {
		return b.outOfRange(n, "qty", in.Qty.String(), "beyond 10,000,000 of the item's unit")
	}
	if v.quantity <= 0 && b.external == nil {
		return b.outOfRange(n, "qty", in.Qty.String(), "less than a thousandth of the item's unit")
	}
	return nil
}

// gross finds the amount before discounts and a unit price to show with it.
// The amount on a weighed code stands, because the shopper has read it, unless
// the till gives a price for a piece.
func (b *builder) gross(n int, v *lineValue, in Line, r Resolved) error {
	ok := true
	switch {
	case r.AmountFromCode != nil && (in.UnitPriceMinor == nil || v.weighedByPrice(r)):
		v.gross, ok = in.Qty.Times(*r.AmountFromCode)
		if !v.weighedByPrice(r) && r.QuantityFromCode == nil {
			v.price = nil
		}
	case v.price != nil:
		v.gross, ok = v.quantity.Times(*v.price)
	case in.AmountMinor != nil:
		v.gross = *in.AmountMinor + v.reduced
	case b.external != nil:
		v.price = new(protocol.Money)
		b.warn(WarnPriceMissing, n, "This line came without a price and none is known here. It was recorded at 0.")
	default:
		return b.refuse(protocol.PriceMissing, n, r.Item.Name+" ("+in.Code+") has no price in this store.",
			"Enter its price, or ask for one.").With("value", in.Code)
	}
	if ok && v.price == nil {
		v.price = new(protocol.Money)
		*v.price, ok = proportion(v.gross, unitQuantity, v.quantity)
	}
	if !ok {
		return b.outOfRange(n, "amount_minor", "", "beyond 1,000,000,000,000 minor units")
	}
	return nil
}

// proportion is m × part ÷ whole, half away from zero; 0 where whole is.
func proportion(m protocol.Money, part, whole protocol.Quantity) (protocol.Money, bool) {
	if whole == 0 {
		return 0, true
	}
	if whole < 0 {
		part, whole = -part, -whole
	}
	return protocol.MulDiv(int64(m), int64(part), int64(whole))
}

// itemRef names the item as the event does: name and GTIN only where the
// catalogue does not know it.
func (b *builder) itemRef(in Line, r Resolved) protocol.ItemRef {
	ref := protocol.ItemRef{SKU: r.SKU}
	if r.Item != nil {
		ref.SKU = r.Item.SKU
		if r.Item.Unit != protocol.Each {
			ref.Unit = r.Item.Unit
		}
		return ref
	}
	if ref.SKU == "" {
		ref.SKU = protocol.SKU(in.Code)
	}
	if !protocol.ValidSKU(string(ref.SKU)) {
		ref.SKU = OpenSKU(string(ref.SKU))
	}
	ref.GTIN, ref.Name = r.GTIN, r.Name
	return ref
}

// skuBytesMax bounds a SKU.
const skuBytesMax = 64

// OpenSKU makes a valid SKU of any code, so that an open item can be recorded
// whatever was scanned. A code that is too long is cut and ends in a part of its
// hash, so that two long codes stay two items. The whole code stays in the line.
func OpenSKU(code string) protocol.SKU {
	code = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, code)
	if len(code) <= skuBytesMax {
		return protocol.SKU(code)
	}
	sum := sha256.Sum256([]byte(code))
	tail := "~" + hex.EncodeToString(sum[:6])
	end := skuBytesMax - len(tail)
	for !utf8.RuneStart(code[end]) {
		end--
	}
	return protocol.SKU(code[:end] + tail)
}

func (r Resolved) gtin() string {
	if r.GTIN == "" && r.Item != nil {
		return r.Item.GTIN
	}
	return r.GTIN
}

// scannedCode is the code to keep beside SKU and GTIN: empty where one of them
// already says it.
func scannedCode(code string, sku protocol.SKU, gtin string) string {
	if code == string(sku) || gtin != "" && len(code) <= len(gtin) && strings.Repeat("0", len(gtin)-len(code))+code == gtin {
		return ""
	}
	return code
}

// Build computes a sale and the moves of stock that it makes. lines holds what
// the caller found out about each line of r, in the same order; r is validated
// here again.
//
// A line's amount is quantity × unit price, half away from zero, less
// discounts, unless amount_minor says it. Promotions are discounts too. Tax is computed once per code on the
// receipt's sum. The part paid in cash is rounded to the smallest coin, and
// only cash gives change.
//
// A sale with External has happened: what differs from our own reckoning stays
// as given and becomes a warning, and its total is the total that was given.
// Where it came without tenders one of type other stands for them, so that
// tenders less change are the total of every receipt. A training sale moves no
// stock. Points that the request spends are one more payment, at the programme's
// value; whether they may be spent here is the caller's to find out.
func Build(t Terms, r Request, lines []Resolved) (*protocol.Sale, []protocol.Move, error) {
	if err := r.Validate(); err != nil {
		return nil, nil, err
	}
	if len(lines) != len(r.Lines) {
		return nil, nil, fmt.Errorf("sale of %d lines with %d resolved", len(r.Lines), len(lines))
	}
	b := &builder{t: t, external: r.External, selling: true}
	s, err := b.sold(r, lines)
	if err != nil {
		return nil, nil, err
	}
	tenders, err := b.redeem(s, &r)
	if err != nil {
		return nil, nil, err
	}
	if err := b.settle(s, tenders); err != nil {
		return nil, nil, err
	}
	if err := b.payFrom(s, tenders, s.Member); err != nil {
		return nil, nil, err
	}
	moves, err := b.finish(s)
	if err != nil {
		return nil, nil, err
	}
	return s, moves, nil
}

// sold computes a sale but for its payment.
func (b *builder) sold(r Request, lines []Resolved) (*protocol.Sale, error) {
	s := b.receipt(protocol.SaleSale, r.Staff)
	s.Member, s.Training = protocol.MemberID(r.MemberID), r.Training
	for i, in := range r.Lines {
		line, err := b.saleLine(i+1, in, lines[i])
		if err != nil {
			return nil, err
		}
		if in.GiftCard != "" {
			if err := b.giftLine(s, i+1, &r.Lines[i], &lines[i], &line); err != nil {
				return nil, err
			}
		}
		s.Lines = append(s.Lines, line)
		b.move(s, line, protocol.OnHand)
	}
	b.promote(s, r, lines)
	b.redeemOffers(s, &r)
	var err error
	s.Taxes, err = b.taxes(s.Lines, s.PricesIncludeTax)
	return s, err
}
