package protocol

import "google.golang.org/protobuf/encoding/protowire"

// amountDifferenceMax bounds the correction of a line's amount, so that adding
// it cannot wrap.
const amountDifferenceMax = 1 << 60

// The fields of the message Sale and of those inside it.
const (
	saleType             protowire.Number = 1
	saleTypeText         protowire.Number = 2
	saleCurrency         protowire.Number = 3
	salePricesIncludeTax protowire.Number = 4
	saleStaff            protowire.Number = 5
	saleBusinessDate     protowire.Number = 6
	saleTill             protowire.Number = 7
	saleSeries           protowire.Number = 8
	saleNumber           protowire.Number = 9
	saleQuantities       protowire.Number = 10
	saleItems            protowire.Number = 11
	saleLineTaxes        protowire.Number = 12
	salePrices           protowire.Number = 13
	saleDifferences      protowire.Number = 14
	saleCodes            protowire.Number = 15
	saleStates           protowire.Number = 16
	saleOriginals        protowire.Number = 17
	saleUnstocked        protowire.Number = 18
	saleDiscounts        protowire.Number = 19
	saleTaxes            protowire.Number = 20
	saleMoreTaxCodes     protowire.Number = 21
	saleTenders          protowire.Number = 22
	saleTotal            protowire.Number = 23
	saleRounding         protowire.Number = 24
	saleChange           protowire.Number = 25
	saleMember           protowire.Number = 26
	salePoints           protowire.Number = 27
	saleOriginal         protowire.Number = 28
	saleReason           protowire.Number = 29
	saleTraining         protowire.Number = 30
	saleExternal         protowire.Number = 31
	saleWarnings         protowire.Number = 32
	saleOrder            protowire.Number = 33
	salePart             protowire.Number = 34
	saleReturnedOrder    protowire.Number = 35
	saleOrderAfter       protowire.Number = 36
	salePointsRedeemed   protowire.Number = 37
	saleLinePoints       protowire.Number = 38
	saleProgramme        protowire.Number = 39
	salePointsAtRisk     protowire.Number = 40
	saleAccounts         protowire.Number = 41
)

func checkSale(c *check, s *Sale) {
	c.word("sale type", string(s.Type), true)
	if !ValidTill(string(s.Till)) || !ValidTill(s.Series) || s.Number == 0 {
		c.failf("till %q, series %q, number %d make no receipt number", clip(string(s.Till)), clip(s.Series), s.Number)
	}
	c.name("original receipt", string(s.Original))
	c.idOrNone("staff", string(s.Staff))
	c.idOrNone("member", string(s.Member))
	c.currency(s.Currency)
	c.count("lines", len(s.Lines), SaleLinesMax)
	for i := range s.Lines {
		checkSaleLine(c, &s.Lines[i])
	}
	c.count("taxes", len(s.Taxes), smallListMax)
	for _, t := range s.Taxes {
		c.text("tax code", t.Code)
		c.amount("rate", int64(t.Rate))
		c.amount("net", int64(t.Net))
		c.amount("tax", int64(t.Tax))
	}
	c.count("tenders", len(s.Tenders), smallListMax)
	for _, t := range s.Tenders {
		c.word("tender type", string(t.Type), true)
		c.amount("tender", int64(t.Amount))
		c.text("tender reference", t.Ref)
	}
	c.amount("total", int64(s.Total))
	c.amount("rounding", int64(s.Rounding))
	c.amount("change", int64(s.Change))
	checkSalePoints(c, s)
	checkAccountEntries(c, s)
	c.text("reason", s.Reason)
	if s.Part != (PartID{}) {
		checkPart(c, s.Part)
	}
	c.idOrNone("returned order", string(s.ReturnedOrder))
	if s.External != nil {
		checkExternal(c, s.External)
	}
	c.count("warnings", len(s.Warnings), RowsMax)
	for _, w := range s.Warnings {
		c.text("warning", w.Code)
		c.text("warning", w.Message)
	}
}

// checkSalePoints holds the points of lines to those of the receipt. A sale
// without points of lines may still have earned some, in another POS.
func checkSalePoints(c *check, s *Sale) {
	c.amount("points", int64(s.PointsEarned))
	c.amount("points redeemed", int64(s.PointsRedeemed))
	if s.PointsAtRisk < 0 || s.PointsAtRisk > max(0, s.PointsRedeemed) {
		c.failf("%d points at risk of %d that were redeemed", s.PointsAtRisk, s.PointsRedeemed)
	}
	c.text("programme", s.Programme)
	var sum Points
	some := false
	for i := range s.Lines {
		c.amount("points of a line", int64(s.Lines[i].Points))
		sum += s.Lines[i].Points
		some = some || s.Lines[i].Points != 0
	}
	if some && sum != s.PointsEarned && c.err == nil {
		c.failf("the lines earned %d points and the receipt %d", sum, s.PointsEarned)
	}
}

func checkSaleLine(c *check, l *SaleLine) {
	c.text("code", l.Code)
	c.amount("quantity", int64(l.Quantity))
	c.amount("unit price", int64(l.UnitPrice))
	c.amount("amount", int64(l.Amount))
	c.text("tax code", l.TaxCode)
	c.state(l.To)
	c.count("discounts", len(l.Discounts), smallListMax)
	for _, d := range l.Discounts {
		c.text("discount type", d.Type)
		c.text("discount id", d.ID)
		c.text("discount reason", d.Reason)
		c.amount("discount", int64(d.Amount))
	}
}

func checkExternal(c *check, x *External) {
	c.name("external source", x.Source)
	c.name("external id", x.ID)
	c.text("external receipt", x.ReceiptNo)
	c.text("external time", x.OccurredAt)
	c.text("external date", x.BusinessDate)
	c.amount("external total", int64(x.Total))
	if f := x.Fiscal; f != nil {
		c.text("fiscal device", f.Device)
		c.text("fiscal number", f.Number)
		c.text("fiscal signature", f.Signature)
	}
}

// usualAmount is what a line comes to by its other members. It is part of the
// wire format: it must never change.
func usualAmount(l *SaleLine) Money {
	amount, ok := l.Quantity.Times(l.UnitPrice)
	if !ok {
		amount = 0
	}
	for i := range l.Discounts {
		amount -= l.Discounts[i].Amount
	}
	return amount
}
