package protocol

import "counterpart/protocol/wire"

func checkPart(c *check, p PartID) {
	c.id("order", string(p.Order))
	if p.Part == 0 {
		c.failf("a part of an order has no number")
	}
}

func checkPartLines(c *check, lines []PartLine) {
	c.count("lines", len(lines), SaleLinesMax)
	for _, l := range lines {
		if l.Line == 0 || l.Line > SaleLinesMax {
			c.failf("line %d is none", l.Line)
		}
		c.amount("quantity", int64(l.Quantity))
		if l.Item != "" {
			c.sku(l.Item)
		}
	}
}

func checkOrder(c *check, o *Order) {
	checkPart(c, o.PartID)
	c.name("number", o.Number)
	c.word("method", string(o.Method), true)
	c.word("sourcing", o.Sourcing, false)
	c.currency(o.Currency)
	c.text("payment reference", o.PaymentReference)
	c.text("shopper", o.Shopper.Name)
	c.text("phone", o.Shopper.Phone)
	c.idOrNone("member", string(o.Member))
	if len(o.Sealed) > SealedBytesMax {
		c.failf("sealed fields of %d bytes", len(o.Sealed))
	}
	if len(o.Sealed) > 0 && o.Shopper != (Shopper{}) {
		c.failf("the shopper is sealed and in the clear")
	}
	c.count("lines", len(o.Lines), SaleLinesMax)
	for i := range o.Lines {
		l := &o.Lines[i]
		if l.Number == 0 || l.Number > SaleLinesMax {
			c.failf("line %d is none", l.Number)
		}
		c.natural("quantity", int64(l.Quantity))
		c.amount("unit price", int64(l.UnitPrice))
		c.amount("amount", int64(l.Amount))
	}
}

func encodeOrder(c *check, o *Order, items *itemTable) *wire.Order {
	n := len(o.Lines)
	w := &wire.Order{
		Id: string(o.Order), Part: o.Part, InsteadOf: o.InsteadOf, Number: o.Number, Method: string(o.Method), Currency: o.Currency,
		Paid: o.Paid, PaymentReference: o.PaymentReference, Substitutes: o.Substitutes,
		ShopperName: o.Shopper.Name, ShopperPhone: o.Shopper.Phone, Sealed: o.Sealed, SealedWith: o.SealedWith, Member: string(o.Member), PickupByMs: o.PickupByMs, Sourcing: o.Sourcing,
		LineQuantities: list[int64](n),
	}
	if o.CodeSum != (Hash{}) {
		w.CodeSum = o.CodeSum[:]
	}
	if o.TokenKey != [32]byte{} {
		w.TokenKey = o.TokenKey[:]
	}
	for i := range o.Lines {
		w.LineQuantities[i] = int64(o.Lines[i].Quantity)
	}
	w.LineItems = column(n, func(i int) int32 { return int32(items.ref(c, i, &o.Lines[i].Item) - i) })
	w.LinePrices = column(n, func(i int) int64 { return int64(o.Lines[i].UnitPrice) })
	w.LineAmounts = column(n, func(i int) int64 { return int64(o.Lines[i].Amount) })
	w.LineNumbers = column(n, func(i int) int32 { return int32(o.Lines[i].Number) - int32(i) - 1 })
	return w
}

func decodeOrder(c *check, w *wire.Order, items []ItemRef) *Order {
	n := len(w.LineQuantities)
	c.count("lines", n, SaleLinesMax)
	c.column("line_items", len(w.LineItems), n)
	c.column("line_prices", len(w.LinePrices), n)
	c.column("line_amounts", len(w.LineAmounts), n)
	c.column("line_numbers", len(w.LineNumbers), n)
	if c.err != nil {
		return nil
	}
	o := &Order{
		PartID: PartID{OrderID(w.Id), w.Part}, InsteadOf: w.InsteadOf, Number: w.Number, Method: Method(w.Method), Currency: w.Currency,
		Paid: w.Paid, PaymentReference: w.PaymentReference, Substitutes: w.Substitutes,
		Shopper: Shopper{Name: w.ShopperName, Phone: w.ShopperPhone}, Sealed: orNil(w.Sealed), SealedWith: w.SealedWith, Member: MemberID(w.Member), PickupByMs: w.PickupByMs, Sourcing: w.Sourcing,
		CodeSum: Hash(fixed(c, "code_sum", w.CodeSum, len(Hash{}))), TokenKey: [32]byte(fixed(c, "token_key", w.TokenKey, 32)), Lines: list[OrderLine](n),
	}
	for i := range o.Lines {
		o.Lines[i] = OrderLine{
			Number: uint32(int64(i) + 1 + int64(entry(w.LineNumbers, i))),
			Item:   *item(c, items, i, entry(w.LineItems, i)), Quantity: Quantity(w.LineQuantities[i]),
			UnitPrice: Money(entry(w.LinePrices, i)), Amount: Money(entry(w.LineAmounts, i)),
		}
	}
	return o
}

func checkOrderChange(c *check, o *OrderChange) {
	checkPart(c, o.PartID)
	c.word("change", string(o.Change), true)
	c.text("reason", o.Reason)
	c.text("reference", o.Reference)
	c.idOrNone("staff", string(o.Staff))
	c.natural("amount", int64(o.Amount))
	c.idOrNone("member", string(o.Member))
	checkPartLines(c, o.Lines)
}

func encodeOrderChange(c *check, o *OrderChange, items *itemTable) *wire.OrderChange {
	w := &wire.OrderChange{
		Order: string(o.Order), Part: o.Part, Change: string(o.Change), Reason: o.Reason, Reference: o.Reference, Staff: string(o.Staff),
		AmountMinor: int64(o.Amount), Instead: o.Instead, Member: string(o.Member),
	}
	w.Lines, w.LineQuantities, w.LineItems = encodePartLines(c, o.Lines, items)
	return w
}

func decodeOrderChange(c *check, w *wire.OrderChange, items []ItemRef) *OrderChange {
	return &OrderChange{
		PartID: PartID{OrderID(w.Order), w.Part}, Change: Change(w.Change), Reason: w.Reason, Reference: w.Reference, Staff: StaffID(w.Staff),
		Lines: decodePartLines(c, partColumns{w.Lines, w.LineQuantities, w.LineItems}, items), Amount: Money(w.AmountMinor), Instead: w.Instead, Member: MemberID(w.Member),
	}
}

func checkFulfilment(c *check, f *Fulfilment) {
	checkPart(c, f.PartID)
	c.word("act", string(f.Act), true)
	if f.After != (EventID{}) {
		c.eventID("the act before", f.After)
	}
	c.idOrNone("staff", string(f.Staff))
	c.text("reason", f.Reason)
	c.text("shelf", f.Shelf)
	c.text("bay", f.Bay)
	c.text("car", f.Car)
	c.idOrNone("member", string(f.Member))
	checkPartLines(c, f.Lines)
}

func encodeFulfilment(c *check, f *Fulfilment, items *itemTable) *wire.Fulfilment {
	w := &wire.Fulfilment{
		Order: string(f.Order), Part: f.Part, Act: string(f.Act), Attempt: f.Attempt, Staff: string(f.Staff),
		Reason: f.Reason, Shelf: f.Shelf, Bay: f.Bay, Car: f.Car, Member: string(f.Member),
	}
	if !f.After.IsZero() {
		w.After = encodeEventID(f.After)
	}
	w.Lines, w.LineQuantities, w.LineItems = encodePartLines(c, f.Lines, items)
	return w
}

func decodeFulfilment(c *check, w *wire.Fulfilment, items []ItemRef) *Fulfilment {
	f := &Fulfilment{
		PartID: PartID{OrderID(w.Order), w.Part}, Act: Act(w.Act), Attempt: w.Attempt, Staff: StaffID(w.Staff),
		Reason: w.Reason, Shelf: w.Shelf, Bay: w.Bay, Car: w.Car, Lines: decodePartLines(c, partColumns{w.Lines, w.LineQuantities, w.LineItems}, items), Member: MemberID(w.Member),
	}
	if w.After != nil {
		f.After = decodeEventID(c, w.After)
	}
	return f
}

func encodePartLines(c *check, lines []PartLine, items *itemTable) (numbers []uint32, quantities []int64, substitutes []uint32) {
	for _, l := range lines {
		numbers, quantities = append(numbers, l.Line), append(quantities, int64(l.Quantity))
	}
	substitutes = column(len(lines), func(i int) uint32 {
		if lines[i].Item == "" {
			return 0
		}
		return uint32(items.sku(c, i, lines[i].Item)) + 1
	})
	return numbers, quantities, substitutes
}

// partColumns are lines of a part as they stand on the wire.
type partColumns struct {
	numbers     []uint32
	quantities  []int64
	substitutes []uint32
}

func decodePartLines(c *check, w partColumns, items []ItemRef) []PartLine {
	n := len(w.numbers)
	c.count("lines", n, SaleLinesMax)
	if len(w.quantities) != n {
		c.failf("%d quantities for %d lines", len(w.quantities), n)
	}
	c.column("line_items", len(w.substitutes), n)
	if c.err != nil {
		return nil
	}
	lines := list[PartLine](n)
	for i := range lines {
		lines[i] = PartLine{Line: w.numbers[i], Quantity: Quantity(w.quantities[i])}
		if at := entry(w.substitutes, i); at > 0 {
			lines[i].Item = item(c, items, 0, int32(min(at, 1<<30))-1).SKU
		}
	}
	return lines
}
