package protocol

import "counterpart/protocol/wire"

// amountDifferenceMax bounds the correction of a line's amount, so that adding
// it cannot wrap.
const amountDifferenceMax = 1 << 60

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
	c.amount("points", s.PointsEarned)
	c.text("reason", s.Reason)
	if s.External != nil {
		checkExternal(c, s.External)
	}
	c.count("warnings", len(s.Warnings), RowsMax)
	for _, w := range s.Warnings {
		c.text("warning", w.Code)
		c.text("warning", w.Message)
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

func encodeSale(c *check, s *Sale, items *itemTable) *wire.Sale {
	date, err := dateNumber(s.BusinessDate)
	if err != nil {
		c.failf("business date %w", err)
	}
	kind, text := saleWords.number(s.Type)
	w := &wire.Sale{
		Type: wire.SaleType(kind), TypeText: text,
		Currency: s.Currency, PricesIncludeTax: s.PricesIncludeTax,
		Staff: string(s.Staff), BusinessDate: date,
		Till: string(s.Till), Series: s.Series, Number: s.Number,
		TotalMinor: int64(s.Total), RoundingMinor: int64(s.Rounding), ChangeMinor: int64(s.Change),
		Member: string(s.Member), PointsEarned: s.PointsEarned,
		OriginalReceiptNo: string(s.Original), Reason: s.Reason, Training: s.Training,
		External: encodeExternal(s.External),
		Taxes:    list[*wire.TaxAmount](len(s.Taxes)),
		Tenders:  list[*wire.Tender](len(s.Tenders)),
		Warnings: list[*wire.Warning](len(s.Warnings)),
	}
	for i, t := range s.Taxes {
		w.Taxes[i] = &wire.TaxAmount{Code: t.Code, RatePpm: int64(t.Rate), NetMinor: int64(t.Net), TaxMinor: int64(t.Tax)}
	}
	for i, t := range s.Tenders {
		kind, text := tenderWords.number(t.Type)
		w.Tenders[i] = &wire.Tender{Type: wire.TenderType(kind), TypeText: text, AmountMinor: int64(t.Amount), Ref: t.Ref}
	}
	for i, v := range s.Warnings {
		w.Warnings[i] = &wire.Warning{Code: v.Code, Line: v.Line, Message: v.Message}
	}
	encodeSaleLines(c, s, w, items)
	return w
}

func encodeSaleLines(c *check, s *Sale, w *wire.Sale, items *itemTable) {
	lines, n := s.Lines, len(s.Lines)
	w.LineQuantities = list[int64](n)
	for i := range lines {
		w.LineQuantities[i] = int64(lines[i].Quantity)
		for _, d := range lines[i].Discounts {
			w.Discounts = append(w.Discounts, &wire.Discount{
				Line: uint32(i), Type: d.Type, Id: d.ID, Reason: d.Reason, AmountMinor: int64(d.Amount),
			})
		}
	}
	w.LineItems = column(n, func(i int) int32 { return int32(items.ref(c, i, &lines[i].Item) - i) })
	w.LineTaxes = column(n, func(i int) uint32 { return taxIndex(w, lines[i].TaxCode) })
	w.LinePrices = column(n, func(i int) int64 { return int64(lines[i].UnitPrice) })
	w.LineAmountDifferences = column(n, func(i int) int64 { return int64(lines[i].Amount - usualAmount(&lines[i])) })
	w.LineCodes = column(n, func(i int) string { return lines[i].Code })
	w.LineStates = column(n, func(i int) wire.State { return wire.State(lines[i].To) })
	w.LineOriginals = column(n, func(i int) uint32 { return lines[i].OriginalLine })
	w.LineUnstocked = column(n, func(i int) bool { return lines[i].Unstocked })
}

// taxIndex finds a line's tax code among the receipt's taxes and the codes
// beyond them, to which it adds it if need be.
func taxIndex(w *wire.Sale, code string) uint32 {
	for i, t := range w.Taxes {
		if t.Code == code {
			return uint32(i)
		}
	}
	for i, more := range w.MoreTaxCodes {
		if more == code {
			return uint32(len(w.Taxes) + i)
		}
	}
	w.MoreTaxCodes = append(w.MoreTaxCodes, code)
	return uint32(len(w.Taxes) + len(w.MoreTaxCodes) - 1)
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

func encodeExternal(x *External) *wire.External {
	if x == nil {
		return nil
	}
	w := &wire.External{
		Source: x.Source, Id: x.ID, ReceiptNo: x.ReceiptNo, OccurredAt: x.OccurredAt,
		BusinessDate: x.BusinessDate, TotalMinor: int64(x.Total),
	}
	if f := x.Fiscal; f != nil {
		w.Fiscal = &wire.Fiscal{Device: f.Device, Number: f.Number, Signature: f.Signature}
	}
	return w
}

func decodeSale(c *check, w *wire.Sale, items []ItemRef) *Sale {
	date, err := dateText(w.BusinessDate)
	if err != nil {
		c.failf("business date %w", err)
	}
	s := &Sale{
		Type:     saleWords.word(c, "sale type", int32(w.Type), w.TypeText),
		Currency: w.Currency, PricesIncludeTax: w.PricesIncludeTax,
		Staff: StaffID(w.Staff), BusinessDate: date,
		Till: TillID(w.Till), Series: w.Series, Number: w.Number,
		Total: Money(w.TotalMinor), Rounding: Money(w.RoundingMinor), Change: Money(w.ChangeMinor),
		Member: MemberID(w.Member), PointsEarned: w.PointsEarned,
		Original: ReceiptNo(w.OriginalReceiptNo), Reason: w.Reason, Training: w.Training,
		External: decodeExternal(w.External),
		Taxes:    list[TaxAmount](len(w.Taxes)),
		Tenders:  list[Tender](len(w.Tenders)),
		Warnings: list[Warning](len(w.Warnings)),
	}
	for i, t := range w.Taxes {
		s.Taxes[i] = TaxAmount{Code: t.Code, Rate: RatePPM(t.RatePpm), Net: Money(t.NetMinor), Tax: Money(t.TaxMinor)}
	}
	for i, t := range w.Tenders {
		s.Tenders[i] = Tender{Type: tenderWords.word(c, "tender type", int32(t.Type), t.TypeText), Amount: Money(t.AmountMinor), Ref: t.Ref}
	}
	for i, v := range w.Warnings {
		s.Warnings[i] = Warning{Code: v.Code, Line: v.Line, Message: v.Message}
	}
	s.Lines = decodeSaleLines(c, w, items)
	return s
}

func decodeSaleLines(c *check, w *wire.Sale, items []ItemRef) []SaleLine {
	n := len(w.LineQuantities)
	c.count("lines", n, SaleLinesMax)
	c.column("line_items", len(w.LineItems), n)
	c.column("line_taxes", len(w.LineTaxes), n)
	c.column("line_prices", len(w.LinePrices), n)
	c.column("line_amount_differences", len(w.LineAmountDifferences), n)
	c.column("line_codes", len(w.LineCodes), n)
	c.states("line_states", w.LineStates, n)
	c.column("line_originals", len(w.LineOriginals), n)
	c.column("line_unstocked", len(w.LineUnstocked), n)
	if c.err != nil {
		return nil
	}
	lines := list[SaleLine](n)
	for i := range lines {
		lines[i] = SaleLine{
			Item:         *item(c, items, i, entry(w.LineItems, i)),
			Code:         entry(w.LineCodes, i),
			Quantity:     Quantity(w.LineQuantities[i]),
			UnitPrice:    Money(entry(w.LinePrices, i)),
			TaxCode:      taxCode(c, w, entry(w.LineTaxes, i)),
			To:           State(entry(w.LineStates, i)),
			OriginalLine: entry(w.LineOriginals, i),
			Unstocked:    entry(w.LineUnstocked, i),
		}
	}
	decodeDiscounts(c, w.Discounts, lines)
	for i := range lines {
		difference := entry(w.LineAmountDifferences, i)
		if difference > amountDifferenceMax || difference < -amountDifferenceMax || c.err != nil {
			c.failf("amount of line %d is out of range", i)
			return nil
		}
		lines[i].Amount = usualAmount(&lines[i]) + Money(difference)
	}
	return lines
}

// decodeDiscounts hands each discount to its line. Their amounts are checked
// here, since a line's own amount is computed from them.
func decodeDiscounts(c *check, discounts []*wire.Discount, lines []SaleLine) {
	for _, d := range discounts {
		if int64(d.Line) >= int64(len(lines)) {
			c.failf("a discount refers to line %d of %d", d.Line, len(lines))
			return
		}
		c.amount("discount", d.AmountMinor)
		line := &lines[d.Line]
		line.Discounts = append(line.Discounts, Discount{Type: d.Type, ID: d.Id, Reason: d.Reason, Amount: Money(d.AmountMinor)})
		c.count("discounts", len(line.Discounts), smallListMax)
	}
}

func taxCode(c *check, w *wire.Sale, index uint32) string {
	at := int64(index)
	if at < int64(len(w.Taxes)) {
		return w.Taxes[at].GetCode()
	}
	at -= int64(len(w.Taxes))
	if at >= int64(len(w.MoreTaxCodes)) {
		c.failf("a line refers to tax %d of %d", index, len(w.Taxes)+len(w.MoreTaxCodes))
		return ""
	}
	return w.MoreTaxCodes[at]
}

func decodeExternal(w *wire.External) *External {
	if w == nil {
		return nil
	}
	x := &External{
		Source: w.Source, ID: w.Id, ReceiptNo: w.ReceiptNo, OccurredAt: w.OccurredAt,
		BusinessDate: w.BusinessDate, Total: Money(w.TotalMinor),
	}
	if f := w.Fiscal; f != nil {
		x.Fiscal = &Fiscal{Device: f.Device, Number: f.Number, Signature: f.Signature}
	}
	return x
}
