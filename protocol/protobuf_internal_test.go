package protocol

import (
	"fmt"

	"counterpart/protocol/wire"
)

// The codec of events as the protobuf library alone would have it. Events are
// read and written by hand; tests hold the two against each other.

// ProtobufEncodeEvent writes the body of a record: the same bytes for the same event. It
// refuses what ProtobufDecodeEvent would refuse, so that nothing is ever logged that a
// reader takes as malformed.
func ProtobufEncodeEvent(e *Event) ([]byte, error) {
	var c check
	w, items := wire.Event{Boot: e.Boot, UtcOffsetMin: e.UTCOffsetMin}, itemTable{}
	checkEvent(&c, e)
	if c.err == nil {
		protobufEncodeBody(&c, e, &w, &items)
		protobufEncodeMoves(&c, e.Moves, &w, &items)
	}
	if c.err != nil {
		return nil, fmt.Errorf("encode %s event: %w", e.Kind, c.err)
	}
	items.protobufEncode(&w)
	kind, text := kindWords.number(e.Kind)
	w.Kind, w.KindText = wire.EventKind(kind), text
	if i := e.Idempotency; i != nil {
		w.Idempotency = &wire.Idempotency{Route: i.Route, Key: i.Key, Body: i.Body}
	}
	body, err := marshal(&w)
	if err != nil {
		return nil, fmt.Errorf("encode %s event: %w", e.Kind, err)
	}
	limit := EventBytesMax - RecordHeaderBytes
	if e.Reissue == nil {
		limit -= reissueBytes
	}
	if len(body) > limit {
		return nil, fmt.Errorf("encode %s event: %d bytes: %w", e.Kind, len(body), ErrEventTooLarge)
	}
	return body, nil
}

// ProtobufDecodeEvent reads the body of a record. It is total: whatever the bytes, it
// returns a valid event or an error, in memory bounded by their length. A kind
// that is not known here comes back with its moves and no body.
func ProtobufDecodeEvent(body []byte) (*Event, error) {
	if len(body) > EventBytesMax-RecordHeaderBytes {
		return nil, fmt.Errorf("decode event: %d bytes are too large", len(body))
	}
	var w wire.Event
	if err := unmarshal(body, &w); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	var c check
	e := &Event{
		Kind:         kindWords.word(&c, "kind", int32(w.Kind), w.KindText),
		Boot:         w.Boot,
		UTCOffsetMin: w.UtcOffsetMin,
	}
	if i := w.Idempotency; i != nil {
		e.Idempotency = &Idempotency{Route: i.Route, Key: i.Key, Body: i.Body}
	}
	items := protobufDecodeItems(&c, &w)
	if c.err == nil {
		e.Moves = protobufDecodeMoves(&c, &w, items)
		protobufDecodeBody(&c, &w, e, items)
	}
	if c.err == nil {
		checkEvent(&c, e)
	}
	if c.err != nil {
		return nil, fmt.Errorf("decode %s event: %w", clip(string(e.Kind)), c.err)
	}
	return e, nil
}

func protobufEncodeBody(c *check, e *Event, w *wire.Event, items *itemTable) {
	switch {
	case e.Sale != nil:
		w.Sale = protobufEncodeSale(c, e.Sale, items)
	case e.Movement != nil:
		w.Movement = encodeMovement(c, e.Movement, items)
	case e.CountSeen != nil:
		w.CountSeen = encodeCountSeen(e.CountSeen)
	case e.StockLoad != nil:
		w.StockLoad = encodeStockLoad(e.StockLoad)
	case e.Catalog != nil:
		w.Catalog = encodeCatalog(e.Catalog)
	case e.Reissue != nil:
		w.Reissue = encodeReissue(e.Reissue)
	case e.Gap != nil:
		w.Gap = encodeGap(e.Gap)
	case e.Digest != nil:
		w.Digest = encodeOwnDigest(e.Digest)
	case e.Order != nil:
		w.Order = encodeOrder(c, e.Order, items)
	case e.OrderChange != nil:
		w.OrderChange = encodeOrderChange(c, e.OrderChange, items)
	case e.Fulfilment != nil:
		w.Fulfilment = encodeFulfilment(c, e.Fulfilment, items)
	case e.ExceptionChange != nil:
		w.ExceptionChange = encodeExceptionChange(e.ExceptionChange)
	case e.Transfer != nil:
		w.Transfer = encodeTransfer(c, e.Transfer, items)
	case e.Lease != nil:
		w.Lease = encodeLease(e.Lease)
	case e.PointsChange != nil:
		w.PointsChange = encodePointsChange(e.PointsChange)
	case e.Member != nil:
		w.Member = encodeMember(e.Member)
	case e.Cart != nil:
		w.Cart = encodeCart(e.Cart)
	case e.Contact != nil:
		w.Contact = encodeContact(e.Contact)
	case e.AccountChange != nil:
		w.AccountChange = encodeAccountChange(e.AccountChange)
	}
}

// protobufDecodeBody reads every body that is there for a known kind, so that
// checkBodies sees one that does not belong.
func protobufDecodeBody(c *check, w *wire.Event, e *Event, items []ItemRef) {
	if bodyField(e.Kind) == 0 {
		return
	}
	if w.Sale != nil {
		e.Sale = protobufDecodeSale(c, w.Sale, items)
	}
	if w.Movement != nil {
		e.Movement = decodeMovement(c, w.Movement, items)
	}
	if w.CountSeen != nil {
		e.CountSeen = decodeCountSeen(c, w.CountSeen)
	}
	if w.StockLoad != nil {
		e.StockLoad = decodeStockLoad(c, w.StockLoad)
	}
	if w.Catalog != nil {
		e.Catalog = decodeCatalog(c, w.Catalog)
	}
	if w.Reissue != nil {
		e.Reissue = decodeReissue(c, w.Reissue)
	}
	if w.Gap != nil {
		e.Gap = decodeGap(c, w.Gap)
	}
	if w.Digest != nil {
		e.Digest = decodeOwnDigest(c, w.Digest)
	}
	if w.Order != nil {
		e.Order = decodeOrder(c, w.Order, items)
	}
	if w.OrderChange != nil {
		e.OrderChange = decodeOrderChange(c, w.OrderChange, items)
	}
	if w.Fulfilment != nil {
		e.Fulfilment = decodeFulfilment(c, w.Fulfilment, items)
	}
	if w.ExceptionChange != nil {
		e.ExceptionChange = decodeExceptionChange(c, w.ExceptionChange)
	}
	if w.Transfer != nil {
		e.Transfer = decodeTransfer(c, w.Transfer, items)
	}
	if w.Lease != nil {
		e.Lease = decodeLease(c, w.Lease)
	}
	if w.PointsChange != nil {
		e.PointsChange = decodePointsChange(c, w.PointsChange)
	}
	if w.Member != nil {
		e.Member = decodeMember(c, w.Member)
	}
	if w.Cart != nil {
		e.Cart = decodeCart(c, w.Cart)
	}
	if w.Contact != nil {
		e.Contact = decodeContact(c, w.Contact)
	}
	if w.AccountChange != nil {
		e.AccountChange = decodeAccountChange(c, w.AccountChange)
	}
}

func protobufEncodeMoves(c *check, moves []Move, w *wire.Event, items *itemTable) {
	n := len(moves)
	w.MoveItems = column(n, func(i int) int32 { return int32(items.sku(c, i, moves[i].SKU) - i) })
	w.MoveStates = column(n, func(i int) wire.State { return wire.State(moves[i].State) })
	w.MoveDeltas = list[int64](n)
	for i := range moves {
		w.MoveDeltas[i] = int64(moves[i].Delta)
	}
}

func protobufDecodeMoves(c *check, w *wire.Event, items []ItemRef) []Move {
	n := len(w.MoveDeltas)
	c.count("moves", n, MovesMax)
	c.column("move_items", len(w.MoveItems), n)
	c.states("move_states", w.MoveStates, n)
	if c.err != nil {
		return nil
	}
	moves := list[Move](n)
	for i := range moves {
		moves[i] = Move{
			SKU:   item(c, items, i, entry(w.MoveItems, i)).SKU,
			State: State(entry(w.MoveStates, i)),
			Delta: Quantity(w.MoveDeltas[i]),
		}
	}
	return moves
}

// encode writes the table into the event's columns.
func (t *itemTable) protobufEncode(w *wire.Event) {
	n := len(t.refs)
	if n == 0 {
		return
	}
	w.ItemSkus = make([]string, n)
	for i := range t.refs {
		w.ItemSkus[i] = string(t.refs[i].SKU)
	}
	w.ItemUnits = column(n, func(i int) wire.Unit {
		unit, _ := unitWords.number(t.refs[i].Unit)
		return wire.Unit(unit)
	})
	w.ItemUnitTexts = column(n, func(i int) string {
		_, text := unitWords.number(t.refs[i].Unit)
		return text
	})
	w.ItemGtins = column(n, func(i int) string { return t.refs[i].GTIN })
	w.ItemNames = column(n, func(i int) string { return t.refs[i].Name })
}

// protobufDecodeItems reads the table from the event's columns.
func protobufDecodeItems(c *check, w *wire.Event) []ItemRef {
	n := len(w.ItemSkus)
	c.count("items", n, MovesMax+RowsMax)
	c.column("item_units", len(w.ItemUnits), n)
	c.column("item_unit_texts", len(w.ItemUnitTexts), n)
	c.column("item_gtins", len(w.ItemGtins), n)
	c.column("item_names", len(w.ItemNames), n)
	if c.err != nil {
		return nil
	}
	refs := list[ItemRef](n)
	for i := range refs {
		refs[i] = ItemRef{
			SKU:  SKU(w.ItemSkus[i]),
			Unit: unitWords.word(c, "unit", int32(entry(w.ItemUnits, i)), entry(w.ItemUnitTexts, i)),
			GTIN: entry(w.ItemGtins, i),
			Name: entry(w.ItemNames, i),
		}
		checkItemRef(c, &refs[i])
	}
	return refs
}

func protobufEncodeSale(c *check, s *Sale, items *itemTable) *wire.Sale {
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
		Member: string(s.Member), PointsEarned: int64(s.PointsEarned), PointsRedeemed: int64(s.PointsRedeemed), Programme: s.Programme, PointsAtRisk: int64(s.PointsAtRisk),
		OriginalReceiptNo: string(s.Original), Reason: s.Reason, Training: s.Training,
		External: protobufEncodeExternal(s.External),
		Taxes:    list[*wire.TaxAmount](len(s.Taxes)),
		Tenders:  list[*wire.Tender](len(s.Tenders)),
		Warnings: list[*wire.Warning](len(s.Warnings)),
		Order:    string(s.Part.Order), Part: s.Part.Part, ReturnedOrder: string(s.ReturnedOrder),
	}
	if !s.PartAfter.IsZero() {
		w.OrderAfter = encodeEventID(s.PartAfter)
	}
	for i, t := range s.Taxes {
		w.Taxes[i] = &wire.TaxAmount{Code: t.Code, RatePpm: int64(t.Rate), NetMinor: int64(t.Net), TaxMinor: int64(t.Tax)}
	}
	for i, t := range s.Tenders {
		kind, text := tenderWords.number(t.Type)
		w.Tenders[i] = &wire.Tender{Type: wire.TenderType(kind), TypeText: text, AmountMinor: int64(t.Amount), Ref: t.Ref}
	}
	for _, x := range s.Accounts {
		w.Accounts = append(w.Accounts, &wire.AccountEntry{Account: string(x.Account), Amount: int64(x.Amount), Line: x.Line})
	}
	for i, v := range s.Warnings {
		w.Warnings[i] = &wire.Warning{Code: v.Code, Line: v.Line, Message: v.Message}
	}
	protobufEncodeSaleLines(c, s, w, items)
	return w
}

func protobufEncodeSaleLines(c *check, s *Sale, w *wire.Sale, items *itemTable) {
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
	w.LineTaxes = column(n, func(i int) uint32 { return protobufTaxIndex(w, lines[i].TaxCode) })
	w.LinePrices = column(n, func(i int) int64 { return int64(lines[i].UnitPrice) })
	w.LineAmountDifferences = column(n, func(i int) int64 { return int64(lines[i].Amount - usualAmount(&lines[i])) })
	w.LineCodes = column(n, func(i int) string { return lines[i].Code })
	w.LineStates = column(n, func(i int) wire.State { return wire.State(lines[i].To) })
	w.LineOriginals = column(n, func(i int) uint32 { return lines[i].OriginalLine })
	w.LineUnstocked = column(n, func(i int) bool { return lines[i].Unstocked })
	w.LinePoints = column(n, func(i int) int64 { return int64(lines[i].Points) })
}

// protobufTaxIndex finds a line's tax code among the receipt's taxes and the codes
// beyond them, to which it adds it if need be.
func protobufTaxIndex(w *wire.Sale, code string) uint32 {
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

func protobufEncodeExternal(x *External) *wire.External {
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

func protobufDecodeSale(c *check, w *wire.Sale, items []ItemRef) *Sale {
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
		Member: MemberID(w.Member), PointsEarned: Points(w.PointsEarned), PointsRedeemed: Points(w.PointsRedeemed), Programme: w.Programme, PointsAtRisk: Points(w.PointsAtRisk),
		Original: ReceiptNo(w.OriginalReceiptNo), Reason: w.Reason, Training: w.Training,
		External: protobufDecodeExternal(w.External),
		Taxes:    list[TaxAmount](len(w.Taxes)),
		Tenders:  list[Tender](len(w.Tenders)),
		Warnings: list[Warning](len(w.Warnings)),
		Part:     PartID{OrderID(w.Order), w.Part}, ReturnedOrder: OrderID(w.ReturnedOrder),
	}
	if w.OrderAfter != nil {
		s.PartAfter = decodeEventID(c, w.OrderAfter)
	}
	for i, t := range w.Taxes {
		s.Taxes[i] = TaxAmount{Code: t.Code, Rate: RatePPM(t.RatePpm), Net: Money(t.NetMinor), Tax: Money(t.TaxMinor)}
	}
	c.count("accounts", len(w.Accounts), AccountEntriesMax)
	for _, x := range w.Accounts {
		s.Accounts = append(s.Accounts, AccountEntry{Account: MemberID(x.Account), Amount: Points(x.Amount), Line: x.Line})
	}
	for i, t := range w.Tenders {
		s.Tenders[i] = Tender{Type: tenderWords.word(c, "tender type", int32(t.Type), t.TypeText), Amount: Money(t.AmountMinor), Ref: t.Ref}
	}
	for i, v := range w.Warnings {
		s.Warnings[i] = Warning{Code: v.Code, Line: v.Line, Message: v.Message}
	}
	s.Lines = protobufDecodeSaleLines(c, w, items)
	return s
}

func protobufDecodeSaleLines(c *check, w *wire.Sale, items []ItemRef) []SaleLine {
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
	c.column("line_points", len(w.LinePoints), n)
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
			TaxCode:      protobufTaxCode(c, w, entry(w.LineTaxes, i)),
			To:           State(entry(w.LineStates, i)),
			OriginalLine: entry(w.LineOriginals, i),
			Unstocked:    entry(w.LineUnstocked, i),
			Points:       Points(entry(w.LinePoints, i)),
		}
	}
	protobufDecodeDiscounts(c, w.Discounts, lines)
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

// protobufDecodeDiscounts hands each discount to its line. Their amounts are checked
// here, since a line's own amount is computed from them.
func protobufDecodeDiscounts(c *check, discounts []*wire.Discount, lines []SaleLine) {
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

func protobufTaxCode(c *check, w *wire.Sale, index uint32) string {
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

func protobufDecodeExternal(w *wire.External) *External {
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

// ProtobufDecodeItem, ProtobufDecodePriceList and ProtobufDecodeTaxList read
// rows, which are read by hand where they are small.
func ProtobufDecodeItem(value []byte) (*Item, error) {
	return decodeRow("item", value, &wire.Item{}, decodeItem, checkItem)
}

func ProtobufDecodePriceList(value []byte) (*PriceList, error) {
	return decodeRow("price list", value, &wire.PriceList{}, decodePriceList, checkPriceList)
}

func ProtobufDecodeTaxList(value []byte) (*TaxList, error) {
	return decodeRow("tax list", value, &wire.TaxList{}, decodeTaxList, checkTaxList)
}
