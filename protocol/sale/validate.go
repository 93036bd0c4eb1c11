package sale

import (
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
)

// Limits of a request. Those of lines, quantities and money are HTTP.md's, and
// those of tenders and discounts what an event holds; the others keep a receipt
// far below protocol.EventBytesMax in ordinary use.
const (
	LinesMax     = protocol.SaleLinesMax
	TendersMax   = 1000
	DiscountsMax = 1000 // in one line

	codeBytesMax      = 512
	couponsMax        = 20
	nameBytesMax      = 64  // a source, a type or a coupon
	refBytesMax       = 128 // what another system calls something
	reasonBytesMax    = 500
	signatureBytesMax = protocol.TextBytesMax
)

// defaultTill is the till of a request that names none.
const defaultTill = "1"

// groupSeparator stands between the element strings of a scanned GS1 code. It
// is the one control character that a code may hold.
const groupSeparator = "\x1d"

// Validate fills in the till and refuses a request that no shop can mean. Of a
// sale with External only shape and limits are checked, because it has already
// happened.
func (r *Request) Validate() error {
	c := checker{external: r.External != nil}
	c.till(&r.Till)
	c.count("lines", len(r.Lines), 1, LinesMax)
	for i, l := range r.Lines {
		c.line = i + 1
		c.saleLine(l)
	}
	c.line = 0
	c.tenders(r.Tenders)
	c.member(r.MemberID)
	c.id("staff", r.Staff)
	if r.RedeemPoints != nil && (*r.RedeemPoints < 0 || *r.RedeemPoints > int64(protocol.PointsMax)) {
		c.outOfRange("redeem_points", strconv.FormatInt(*r.RedeemPoints, 10), "not 0 to "+strconv.FormatInt(int64(protocol.PointsMax), 10))
	}
	c.coupons(r.Coupons)
	c.offers(r.Offers)
	c.externalPart(r.External)
	return c.result()
}

// Validate fills in the till and refuses a request that no shop can mean.
func (r *ReturnRequest) Validate() error {
	c := checker{external: r.External != nil}
	c.till(&r.Till)
	c.code("receipt_no", r.ReceiptNo, refBytesMax)
	c.count("lines", len(r.Lines), 1, LinesMax)
	for i, l := range r.Lines {
		c.line = i + 1
		c.returnLine(l, r.ReceiptNo != "", r.OrderID != "")
	}
	c.line = 0
	c.tenders(r.Tenders)
	c.member(r.MemberID)
	c.id("staff", r.Staff)
	c.text("reason", r.Reason, reasonBytesMax)
	if r.OrderID != "" && !protocol.ValidID(r.OrderID) {
		c.outOfRange("order_id", "", "not the id of an order")
	}
	if r.OrderID != "" && r.ReceiptNo != "" {
		c.outOfRange("order_id", "", "given together with receipt_no (name one of the two)")
	}
	if r.ReceiptNo == "" && r.OrderID == "" && strings.TrimSpace(r.Reason) == "" && !c.external {
		c.outOfRange("reason", "", "missing (goods without a receipt need one)")
	}
	c.externalPart(r.External)
	return c.result()
}

// Validate refuses a request that no shop can mean.
func (r *VoidRequest) Validate() error {
	var c checker
	c.id("staff", r.Staff)
	c.text("reason", r.Reason, reasonBytesMax)
	return c.result()
}

// checker goes over a request and keeps the first thing that is wrong.
type checker struct {
	external bool
	line     int // the line under the eyes, from 1; 0 outside of lines
	err      *protocol.Error
}

// result is the first refusal. It exists so that a nil *Error never becomes an
// error that is not nil.
func (c *checker) result() error {
	if c.err == nil {
		return nil
	}
	return c.err
}

func (c *checker) refuse(e *protocol.Error) {
	if c.err == nil {
		c.err = atLine(e, c.line)
	}
}

// atLine adds the line to e; 0 means none.
func atLine(e *protocol.Error, line int) *protocol.Error {
	if line > 0 {
		return e.With("line", line)
	}
	return e
}

// outOfRange refuses a value. It is repeated only where it cannot be a card
// number that was swiped into the wrong field.
func (c *checker) outOfRange(field, value, rule string) {
	if ContainsCardNumber(value) {
		value = ""
	}
	c.refuse(protocol.OutOfRange(field, value, rule))
}

func (c *checker) count(field string, n, least, most int) {
	if n < least || n > most {
		c.outOfRange(field, strconv.Itoa(n), "not a list of "+strconv.Itoa(least)+" to "+strconv.Itoa(most)+" entries")
	}
}

func (c *checker) till(till *string) {
	if *till == "" {
		*till = defaultTill
	}
	if !protocol.ValidTill(*till) {
		c.outOfRange("till", "", "not 1 to 16 of the characters A–Z, a–z, 0–9 and _")
	}
	c.noCard("till", ContainsCardNumber(*till))
}

// id checks an identifier of ours; an empty one was not given.
func (c *checker) id(field, value string) {
	if value != "" && !protocol.ValidID(value) {
		c.outOfRange(field, "", "not 1 to 64 of the characters A–Z, a–z, 0–9, _ and -")
	}
	c.noCard(field, ContainsCardNumber(value))
}

// member checks who a member is said to be. The id of another account is none.
func (c *checker) member(id string) {
	if protocol.MadeMemberID(id) {
		return
	}
	c.id("member_id", id)
	if protocol.MemberID(id).Account() != protocol.PointsAccount {
		c.outOfRange("member_id", "", "the id of an account (name the member)")
	}
}

// text checks free text.
func (c *checker) text(field, value string, max int) {
	c.code(field, value, max)
	c.noCard(field, ContainsCardNumber(value))
}

// code checks text that may be a card number for all we know: codes, and what
// another system numbered.
func (c *checker) code(field, value string, max int) {
	if !protocol.ValidText(value, max) {
		c.outOfRange(field, "", "not text of at most "+strconv.Itoa(max)+" bytes without control characters")
	}
}

func (c *checker) noCard(field string, found bool) {
	if found {
		c.refuse(protocol.Refuse(protocol.CardNumber, "The field "+field+" holds what looks like the number of a payment card. "+
			"Nothing was recorded, and the number was not kept. Take it out and send the rest again.").With("field", field))
	}
}

// money checks an amount that may be left out; least is the lowest it may be.
func (c *checker) money(field string, m *protocol.Money, least protocol.Money) {
	switch {
	case m == nil:
	case *m > protocol.MoneyMax || *m < -protocol.MoneyMax:
		c.outOfRange(field, strconv.FormatInt(int64(*m), 10), "beyond 1,000,000,000,000 minor units")
	case *m < least:
		c.outOfRange(field, strconv.FormatInt(int64(*m), 10), "below "+strconv.FormatInt(int64(least), 10))
	}
}

// least is the lowest amount of a kind of our own receipts; another POS may
// have recorded any.
func (c *checker) least(native protocol.Money) protocol.Money {
	if c.external {
		return -protocol.MoneyMax
	}
	return native
}

func (c *checker) quantity(qty *protocol.Quantity) {
	switch {
	case qty == nil:
		c.outOfRange("qty", "", "missing")
	case *qty > protocol.QuantityMax || *qty < -protocol.QuantityMax:
		c.outOfRange("qty", qty.String(), "beyond 10,000,000")
	case *qty <= 0 && !c.external:
		c.outOfRange("qty", qty.String(), "not above 0 (goods that come back are a return)")
	}
}

func (c *checker) saleLine(l Line) {
	code := strings.ReplaceAll(l.Code, groupSeparator, "")
	c.code("code", code, codeBytesMax)
	if strings.TrimSpace(code) == "" {
		c.outOfRange("code", "", "missing")
	}
	c.giftCode("gift_card", l.GiftCard)
	c.value(l)
}

// value checks what a line says beside its code.
func (c *checker) value(l Line) {
	c.quantity(l.Qty)
	c.money("unit_price_minor", l.UnitPriceMinor, c.least(0))
	c.money("amount_minor", l.AmountMinor, c.least(0))
	c.count("discounts", len(l.Discounts), 0, DiscountsMax)
	for _, d := range l.Discounts {
		c.discount(d)
	}
}

func (c *checker) discount(d Discount) {
	c.text("type", d.Type, nameBytesMax)
	c.text("id", d.ID, refBytesMax)
	c.text("reason", d.Reason, reasonBytesMax)
	if d.AmountMinor == nil {
		c.outOfRange("amount_minor", "", "missing in a discount")
	}
	c.money("amount_minor", d.AmountMinor, c.least(0))
}

func (c *checker) returnLine(l ReturnLine, receipt, order bool) {
	if _, ok := destination(l.To); !ok {
		c.outOfRange("to", "", "not one of on_hand, damaged and quality_control")
	}
	switch {
	case !receipt && !order && l.Line != 0:
		c.outOfRange("line", strconv.FormatUint(uint64(l.Line), 10), "given without receipt_no or order_id")
	case order && l.Line == 0 && l.Code == "":
		c.outOfRange("line", "", "missing")
	case !c.external && l.Line > LinesMax:
		c.outOfRange("line", strconv.FormatUint(uint64(l.Line), 10), "beyond "+strconv.Itoa(LinesMax))
	case receipt && l.Line == 0 && (!c.external || l.Code == ""):
		c.outOfRange("line", "", "missing")
	case receipt && !c.external && (l.Code != "" || l.UnitPriceMinor != nil || l.AmountMinor != nil || len(l.Discounts) > 0):
		c.outOfRange("line", strconv.FormatUint(uint64(l.Line), 10), "given together with a code, price, amount or discount (the receipt says them)")
	}
	if l.Line != 0 && l.Code == "" {
		c.value(l.asSold())
		return
	}
	c.saleLine(l.asSold())
}

// destination is the state that returned goods go to; on_hand where none was
// given.
func destination(to string) (protocol.State, bool) {
	switch to {
	case "", protocol.OnHand.String():
		return protocol.OnHand, true
	case protocol.Damaged.String():
		return protocol.Damaged, true
	case protocol.QualityControl.String():
		return protocol.QualityControl, true
	}
	return 0, false
}

func (c *checker) tenders(tenders []Tender) {
	c.count("tenders", len(tenders), 0, TendersMax)
	for i, t := range tenders {
		c.accountOf(&tenders[i])
		if !protocol.ValidTender(protocol.TenderType(t.Type)) {
			c.outOfRange("type", "", "not one of cash, card, gift_card, voucher, points, on_account and other in a tender")
		}
		if t.AmountMinor == nil {
			c.outOfRange("amount_minor", "", "missing in a tender")
		}
		c.money("amount_minor", t.AmountMinor, c.least(0))
		c.text("ref", t.Ref, refBytesMax)
	}
}

func (c *checker) coupons(coupons []string) {
	c.count("coupons", len(coupons), 0, couponsMax)
	for _, coupon := range coupons {
		c.text("coupons", coupon, nameBytesMax)
		if strings.TrimSpace(coupon) == "" {
			c.outOfRange("coupons", "", "a list with an empty text")
		}
	}
}

func (c *checker) externalPart(e *External) {
	if e == nil {
		return
	}
	c.text("source", e.Source, nameBytesMax)
	c.code("id", e.ID, refBytesMax)
	c.code("receipt_no", e.ReceiptNo, refBytesMax)
	if e.Source == "" || e.ID == "" {
		c.outOfRange("external", "", "not complete (source and id are needed)")
	}
	if _, err := time.Parse(time.RFC3339, e.OccurredAt); err != nil && e.OccurredAt != "" {
		c.outOfRange("occurred_at", "", "not a time as in 2026-11-21T10:02:11+00:00")
	}
	if day, err := time.Parse(time.DateOnly, e.BusinessDate); (err != nil || day.Year() < 1) && e.BusinessDate != "" {
		c.outOfRange("business_date", "", "not a date as in 2026-11-21")
	}
	if e.TotalMinor == nil {
		c.outOfRange("total_minor", "", "missing in external")
	}
	c.money("total_minor", e.TotalMinor, c.least(0))
	if f := e.Fiscal; f != nil {
		c.text("device", f.Device, refBytesMax)
		c.text("number", f.Number, refBytesMax)
		c.code("signature", f.Signature, signatureBytesMax)
		c.noCard("signature", signatureHoldsCard(f.Signature))
	}
}
