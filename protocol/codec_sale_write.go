package protocol

import "google.golang.org/protobuf/encoding/protowire"

// salePlan is what must be known of a sale before its first byte is written:
// the items of its lines and the tax codes that its taxes do not list.
type salePlan struct {
	items []int32  // by line, less the line's own index
	taxes []uint32 // by line
	more  []string
}

func (p *salePlan) make(c *check, s *Sale, items *itemTable) {
	p.items, p.taxes, p.more = p.items[:0], p.taxes[:0], nil
	for i := range s.Lines {
		p.items = append(p.items, int32(items.ref(c, i, &s.Lines[i].Item)-i))
		p.taxes = append(p.taxes, p.tax(s.Taxes, s.Lines[i].TaxCode))
	}
}

// tax finds a line's tax code among the receipt's taxes and the codes beyond
// them, to which it adds it if need be.
func (p *salePlan) tax(taxes []TaxAmount, code string) uint32 {
	for i := range taxes {
		if taxes[i].Code == code {
			return uint32(i)
		}
	}
	for i, more := range p.more {
		if more == code {
			return uint32(len(taxes) + i)
		}
	}
	p.more = append(p.more, code)
	return uint32(len(taxes) + len(p.more) - 1)
}

func appendSale(b []byte, c *check, s *Sale, p *salePlan) []byte {
	date, err := dateNumber(s.BusinessDate)
	if err != nil {
		c.failf("business date %w", err)
	}
	b = appendWord(b, c, saleType, saleWords, s.Type)
	b = appendText(b, c, saleCurrency, s.Currency)
	b = appendBool(b, salePricesIncludeTax, s.PricesIncludeTax)
	b = appendText(b, c, saleStaff, s.Staff)
	b = appendUint(b, saleBusinessDate, uint64(date))
	b = appendText(b, c, saleTill, s.Till)
	b = appendText(b, c, saleSeries, s.Series)
	b = appendUint(b, saleNumber, s.Number)
	b = appendSaleLines(b, c, s.Lines, p)
	b = appendSaleLists(b, c, s, p)
	b = appendSint(b, saleTotal, s.Total)
	b = appendSint(b, saleRounding, s.Rounding)
	b = appendSint(b, saleChange, s.Change)
	b = appendText(b, c, saleMember, s.Member)
	b = appendSint(b, salePoints, s.PointsEarned)
	b = appendText(b, c, saleOriginal, s.Original)
	b = appendText(b, c, saleReason, s.Reason)
	b = appendBool(b, saleTraining, s.Training)
	if s.External != nil {
		b = appendExternal(b, c, s.External)
	}
	for i := range s.Warnings {
		w, at := &s.Warnings[i], 0
		b, at = openField(b, saleWarnings)
		b = appendText(b, c, 1, w.Code)
		b = appendUint(b, 2, uint64(w.Line))
		b = appendText(b, c, 3, w.Message)
		b = closeField(b, at)
	}
	b = appendText(b, c, saleOrder, s.Part.Order)
	b = appendUint(b, salePart, uint64(s.Part.Part))
	b = appendText(b, c, saleReturnedOrder, s.ReturnedOrder)
	if !s.PartAfter.IsZero() {
		var at int
		b, at = openField(b, saleOrderAfter)
		b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), s.PartAfter.Inc[:])
		b = appendUint(b, 2, uint64(s.PartAfter.Seq))
		b = closeField(b, at)
	}
	b = appendSint(b, salePointsRedeemed, s.PointsRedeemed)
	b = appendColumn(b, saleLinePoints, len(s.Lines), func(i int) uint64 { return protowire.EncodeZigZag(int64(s.Lines[i].Points)) })
	b = appendText(b, c, saleProgramme, s.Programme)
	b = appendSint(b, salePointsAtRisk, s.PointsAtRisk)
	return appendAccountEntries(b, c, s.Accounts)
}

// appendWord writes the number of a word that the enum lists, and any other as
// the text beside it, whose field is the next one.
func appendWord[W ~string](b []byte, c *check, num protowire.Number, list words[W], word W) []byte {
	n, other := list.number(word)
	return appendText(appendUint(b, num, uint64(n)), c, num+1, other)
}

func appendSaleLines(b []byte, c *check, lines []SaleLine, p *salePlan) []byte {
	n := len(lines)
	if n > 0 {
		var at int
		b, at = openField(b, saleQuantities)
		for i := range lines {
			b = protowire.AppendVarint(b, protowire.EncodeZigZag(int64(lines[i].Quantity)))
		}
		b = closeField(b, at)
	}
	b = appendColumn(b, saleItems, n, func(i int) uint64 { return protowire.EncodeZigZag(int64(p.items[i])) })
	b = appendColumn(b, saleLineTaxes, n, func(i int) uint64 { return uint64(p.taxes[i]) })
	b = appendColumn(b, salePrices, n, func(i int) uint64 { return protowire.EncodeZigZag(int64(lines[i].UnitPrice)) })
	b = appendColumn(b, saleDifferences, n, func(i int) uint64 {
		return protowire.EncodeZigZag(int64(lines[i].Amount - usualAmount(&lines[i])))
	})
	b = appendTexts(b, c, saleCodes, n, func(i int) string { return lines[i].Code })
	b = appendColumn(b, saleStates, n, func(i int) uint64 { return uint64(lines[i].To) })
	b = appendColumn(b, saleOriginals, n, func(i int) uint64 { return uint64(lines[i].OriginalLine) })
	return appendColumn(b, saleUnstocked, n, func(i int) uint64 { return protowire.EncodeBool(lines[i].Unstocked) })
}

// appendSaleLists writes what a receipt has several of, from the discounts to
// the tenders.
func appendSaleLists(b []byte, c *check, s *Sale, p *salePlan) []byte {
	var at int
	for i := range s.Lines {
		for k := range s.Lines[i].Discounts {
			d := &s.Lines[i].Discounts[k]
			b, at = openField(b, saleDiscounts)
			b = appendUint(b, 1, uint64(i))
			b = appendText(b, c, 2, d.Type)
			b = appendText(b, c, 3, d.ID)
			b = appendText(b, c, 4, d.Reason)
			b = appendSint(b, 5, d.Amount)
			b = closeField(b, at)
		}
	}
	for i := range s.Taxes {
		t := &s.Taxes[i]
		b, at = openField(b, saleTaxes)
		b = appendText(b, c, 1, t.Code)
		b = appendSint(b, 2, t.Rate)
		b = appendSint(b, 3, t.Net)
		b = appendSint(b, 4, t.Tax)
		b = closeField(b, at)
	}
	for _, code := range p.more {
		b = appendEntry(b, c, saleMoreTaxCodes, code)
	}
	for i := range s.Tenders {
		t := &s.Tenders[i]
		b, at = openField(b, saleTenders)
		b = appendWord(b, c, 1, tenderWords, t.Type)
		b = appendSint(b, 3, t.Amount)
		b = appendText(b, c, 4, t.Ref)
		b = closeField(b, at)
	}
	return b
}

func appendExternal(b []byte, c *check, x *External) []byte {
	b, at := openField(b, saleExternal)
	b = appendText(b, c, 1, x.Source)
	b = appendText(b, c, 2, x.ID)
	b = appendText(b, c, 3, x.ReceiptNo)
	b = appendText(b, c, 4, x.OccurredAt)
	b = appendText(b, c, 5, x.BusinessDate)
	b = appendSint(b, 6, x.Total)
	if f := x.Fiscal; f != nil {
		var inner int
		b, inner = openField(b, 7)
		b = appendText(b, c, 1, f.Device)
		b = appendText(b, c, 2, f.Number)
		b = appendText(b, c, 3, f.Signature)
		b = closeField(b, inner)
	}
	return closeField(b, at)
}
