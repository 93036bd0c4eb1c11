package protocol

import "google.golang.org/protobuf/encoding/protowire"

// saleFields are those parts of a sale that can be understood only together,
// as they stand on the wire.
type saleFields struct {
	typ      int32
	typeText SaleType
	date     uint32
	external part
	after    part

	quantities, items, taxes, prices, differences varints
	states, originals, unstocked, points          varints

	codes     []string
	moreTaxes []string
	discounts []lineDiscount
}

// lineDiscount is a discount with the index of its line.
type lineDiscount struct {
	line uint32
	Discount
}

func decodeSale(c *check, p part, items []ItemRef) *Sale {
	s, w := &Sale{}, saleFields{}
	for r := p.fields(); r.next(c); {
		if r.num >= saleQuantities && r.num <= saleDiscounts || r.num == saleLinePoints {
			w.readLines(c, &r)
		} else {
			w.read(c, &r, s)
		}
	}
	date, err := dateText(w.date)
	if err != nil {
		c.failf("business date %w", err)
	}
	s.BusinessDate = date
	s.Type = saleWords.word(c, "sale type", w.typ, string(w.typeText))
	s.External = decodeExternal(c, w.external)
	if w.after.there {
		s.PartAfter = readEventID(c, w.after)
	}
	s.Lines = w.lines(c, s.Taxes, items)
	return s
}

// read takes a field that is not of the lines.
func (w *saleFields) read(c *check, r *fieldReader, s *Sale) {
	switch r.num {
	case saleType:
		r.enum(&w.typ)
	case saleTypeText:
		text(r, c, &w.typeText)
	case saleCurrency:
		text(r, c, &s.Currency)
	case salePricesIncludeTax:
		r.bool(&s.PricesIncludeTax)
	case saleStaff:
		text(r, c, &s.Staff)
	case saleBusinessDate:
		r.uint32(&w.date)
	case saleTill:
		text(r, c, &s.Till)
	case saleSeries:
		text(r, c, &s.Series)
	case saleNumber:
		r.uint64(&s.Number)
	case saleTaxes:
		s.Taxes = readTax(c, r, s.Taxes)
	case saleMoreTaxCodes:
		w.moreTaxes = r.texts(c, "tax codes", w.moreTaxes, EventBytesMax)
	case saleTenders:
		s.Tenders = readTender(c, r, s.Tenders)
	case saleTotal:
		sint64(r, &s.Total)
	case saleRounding:
		sint64(r, &s.Rounding)
	case saleChange:
		sint64(r, &s.Change)
	case saleMember:
		text(r, c, &s.Member)
	case salePoints:
		sint64(r, &s.PointsEarned)
	case saleOriginal:
		text(r, c, &s.Original)
	case saleReason:
		text(r, c, &s.Reason)
	case saleTraining:
		r.bool(&s.Training)
	case saleExternal:
		r.message(c, &w.external)
	case saleWarnings:
		s.Warnings = readWarning(c, r, s.Warnings)
	case saleOrder:
		text(r, c, &s.Part.Order)
	case salePart:
		r.uint32(&s.Part.Part)
	case saleReturnedOrder:
		text(r, c, &s.ReturnedOrder)
	case saleOrderAfter:
		r.message(c, &w.after)
	case salePointsRedeemed:
		sint64(r, &s.PointsRedeemed)
	case saleProgramme:
		text(r, c, &s.Programme)
	case salePointsAtRisk:
		sint64(r, &s.PointsAtRisk)
	case saleAccounts:
		s.Accounts = readAccountEntry(c, r, s.Accounts)
	}
}

// readLines takes a column of the lines.
func (w *saleFields) readLines(c *check, r *fieldReader) {
	switch r.num {
	case saleQuantities:
		w.quantities.add(c, r, "line_quantities", SaleLinesMax)
	case saleItems:
		w.items.add(c, r, "line_items", SaleLinesMax)
	case saleLineTaxes:
		w.taxes.add(c, r, "line_taxes", SaleLinesMax)
	case salePrices:
		w.prices.add(c, r, "line_prices", SaleLinesMax)
	case saleDifferences:
		w.differences.add(c, r, "line_amount_differences", SaleLinesMax)
	case saleCodes:
		w.codes = r.texts(c, "line_codes", w.codes, SaleLinesMax)
	case saleStates:
		w.states.add(c, r, "line_states", SaleLinesMax)
	case saleOriginals:
		w.originals.add(c, r, "line_originals", SaleLinesMax)
	case saleUnstocked:
		w.unstocked.add(c, r, "line_unstocked", SaleLinesMax)
	case saleLinePoints:
		w.points.add(c, r, "line_points", SaleLinesMax)
	case saleDiscounts:
		w.discounts = readDiscount(c, r, w.discounts)
	}
}

// lines puts the columns together.
func (w *saleFields) lines(c *check, taxes []TaxAmount, items []ItemRef) []SaleLine {
	n := w.quantities.n
	for _, col := range [...]struct {
		what string
		n    int
	}{
		{"line_items", w.items.n},
		{"line_taxes", w.taxes.n},
		{"line_prices", w.prices.n},
		{"line_amount_differences", w.differences.n},
		{"line_codes", len(w.codes)},
		{"line_states", w.states.n},
		{"line_originals", w.originals.n},
		{"line_unstocked", w.unstocked.n},
		{"line_points", w.points.n},
	} {
		c.column(col.what, col.n, n)
	}
	if c.err != nil {
		return nil
	}
	lines := list[SaleLine](n)
	for i := range lines {
		l := &lines[i]
		l.Item = *item(c, items, i, unzigzag32(w.items.next()))
		l.Code = entry(w.codes, i)
		l.Quantity = Quantity(protowire.DecodeZigZag(w.quantities.next()))
		l.UnitPrice = Money(protowire.DecodeZigZag(w.prices.next()))
		l.TaxCode = taxCode(c, taxes, w.moreTaxes, uint32(w.taxes.next()))
		l.To = w.states.state(c, "line_states")
		l.OriginalLine = uint32(w.originals.next())
		l.Unstocked = w.unstocked.next() != 0
		l.Points = Points(protowire.DecodeZigZag(w.points.next()))
	}
	handOut(c, w.discounts, lines)
	for i := range lines {
		difference := protowire.DecodeZigZag(w.differences.next())
		if difference > amountDifferenceMax || difference < -amountDifferenceMax || c.err != nil {
			c.failf("amount of line %d is out of range", i)
			return nil
		}
		lines[i].Amount = usualAmount(&lines[i]) + Money(difference)
	}
	return lines
}

// handOut gives each discount to its line. Their amounts are checked here,
// since a line's own amount is computed from them.
func handOut(c *check, discounts []lineDiscount, lines []SaleLine) {
	for i := range discounts {
		d := &discounts[i]
		if int64(d.line) >= int64(len(lines)) {
			c.failf("a discount refers to line %d of %d", d.line, len(lines))
			return
		}
		c.amount("discount", int64(d.Amount))
		line := &lines[d.line]
		line.Discounts = append(line.Discounts, d.Discount)
		c.count("discounts", len(line.Discounts), smallListMax)
	}
}

func taxCode(c *check, taxes []TaxAmount, more []string, index uint32) string {
	at := int64(index)
	if at < int64(len(taxes)) {
		return taxes[at].Code
	}
	at -= int64(len(taxes))
	if at >= int64(len(more)) {
		c.failf("a line refers to tax %d of %d", index, len(taxes)+len(more))
		return ""
	}
	return more[at]
}

func readDiscount(c *check, r *fieldReader, list []lineDiscount) []lineDiscount {
	if !r.isMessage() {
		return list
	}
	var d lineDiscount
	for r := r.part().fields(); r.next(c); {
		switch r.num {
		case 1:
			r.uint32(&d.line)
		case 2:
			text(&r, c, &d.Type)
		case 3:
			text(&r, c, &d.ID)
		case 4:
			text(&r, c, &d.Reason)
		case 5:
			sint64(&r, &d.Amount)
		}
	}
	return append(list, d)
}

func readTax(c *check, r *fieldReader, list []TaxAmount) []TaxAmount {
	if !r.isMessage() {
		return list
	}
	var t TaxAmount
	for r := r.part().fields(); r.next(c); {
		switch r.num {
		case 1:
			text(&r, c, &t.Code)
		case 2:
			sint64(&r, &t.Rate)
		case 3:
			sint64(&r, &t.Net)
		case 4:
			sint64(&r, &t.Tax)
		}
	}
	c.count("taxes", len(list)+1, smallListMax)
	return append(list, t)
}

func readTender(c *check, r *fieldReader, list []Tender) []Tender {
	if !r.isMessage() {
		return list
	}
	var t Tender
	var kind int32
	for r := r.part().fields(); r.next(c); {
		switch r.num {
		case 1:
			r.enum(&kind)
		case 2:
			text(&r, c, &t.Type)
		case 3:
			sint64(&r, &t.Amount)
		case 4:
			text(&r, c, &t.Ref)
		}
	}
	t.Type = tenderWords.word(c, "tender type", kind, string(t.Type))
	c.count("tenders", len(list)+1, smallListMax)
	return append(list, t)
}

func readWarning(c *check, r *fieldReader, list []Warning) []Warning {
	if !r.isMessage() {
		return list
	}
	var v Warning
	for r := r.part().fields(); r.next(c); {
		switch r.num {
		case 1:
			text(&r, c, &v.Code)
		case 2:
			r.uint32(&v.Line)
		case 3:
			text(&r, c, &v.Message)
		}
	}
	c.count("warnings", len(list)+1, RowsMax)
	return append(list, v)
}

func readEventID(c *check, p part) (id EventID) {
	var inc []byte
	for r := p.fields(); r.next(c); {
		switch r.num {
		case 1:
			if r.typ == protowire.BytesType {
				inc = r.part().b
			}
		case 2:
			r.uint64((*uint64)(&id.Seq))
		}
	}
	id.Inc = decodeInc(c, inc)
	return id
}

func decodeExternal(c *check, p part) *External {
	if !p.there {
		return nil
	}
	x, fiscal := &External{}, part{}
	for r := p.fields(); r.next(c); {
		switch r.num {
		case 1:
			text(&r, c, &x.Source)
		case 2:
			text(&r, c, &x.ID)
		case 3:
			text(&r, c, &x.ReceiptNo)
		case 4:
			text(&r, c, &x.OccurredAt)
		case 5:
			text(&r, c, &x.BusinessDate)
		case 6:
			sint64(&r, &x.Total)
		case 7:
			r.message(c, &fiscal)
		}
	}
	if !fiscal.there {
		return x
	}
	x.Fiscal = &Fiscal{}
	for r := fiscal.fields(); r.next(c); {
		switch r.num {
		case 1:
			text(&r, c, &x.Fiscal.Device)
		case 2:
			text(&r, c, &x.Fiscal.Number)
		case 3:
			text(&r, c, &x.Fiscal.Signature)
		}
	}
	return x
}
