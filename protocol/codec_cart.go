package protocol

import "counterpart/protocol/wire"

// Bounds of a cart and of what is sealed in it.
const (
	// CartLinesMax bounds the items of an operation. A cart has fewer lines; one
	// that is tidied may name what is gone as well.
	CartLinesMax = 1_000
	// CartOpIDBytesMax bounds the name of an operation.
	CartOpIDBytesMax = 128
)

func checkCart(c *check, m *Cart) {
	c.id("member", string(m.Member))
	c.word("op", string(m.Op), true)
	c.name("op id", m.OpID)
	if len(m.OpID) > CartOpIDBytesMax {
		c.failf("the name of an operation has %d bytes", len(m.OpID))
	}
	c.word("channel", m.Channel, false)
	c.count("lines of a cart", len(m.Lines), CartLinesMax)
	named := make(map[SKU]bool, min(len(m.Lines), CartLinesMax))
	for i := range m.Lines {
		l := &m.Lines[i]
		c.sku(l.SKU)
		if named[l.SKU] {
			c.failf("an operation names an item twice")
		}
		named[l.SKU] = true
		c.amount("quantity", int64(l.Quantity))
		if l.Set && l.Quantity < 0 {
			c.failf("a cart holds less than nothing")
		}
		if len(l.Note) > SealedTextBytesMax || len(l.Note) > 0 && !l.Noted {
			c.failf("the note of a cart is too large, or not said to be one")
		}
		c.natural("time", l.AddedMs)
	}
}

func encodeCart(m *Cart) *wire.Cart {
	w := &wire.Cart{
		Member: string(m.Member), Op: string(m.Op), OpId: m.OpID, Request: m.Request, Lines: list[*wire.CartLine](len(m.Lines)), Whole: m.Whole, Channel: m.Channel,
	}
	for i := range m.Lines {
		l := &m.Lines[i]
		w.Lines[i] = &wire.CartLine{Sku: string(l.SKU), Qty: int64(l.Quantity), Set: l.Set, Noted: l.Noted, Note: l.Note, AddedMs: l.AddedMs}
	}
	return w
}

func decodeCart(c *check, w *wire.Cart) *Cart {
	c.count("lines of a cart", len(w.Lines), CartLinesMax)
	if c.err != nil {
		return nil
	}
	m := &Cart{
		Member: MemberID(w.Member), Op: CartOp(w.Op), OpID: w.OpId, Request: w.Request, Lines: list[CartLine](len(w.Lines)), Whole: w.Whole, Channel: w.Channel,
	}
	for i, l := range w.Lines {
		m.Lines[i] = CartLine{SKU: SKU(l.GetSku()), Quantity: Quantity(l.GetQty()), Set: l.GetSet(), Noted: l.GetNoted(), Note: l.GetNote(), AddedMs: l.GetAddedMs()}
	}
	return m
}

func checkContact(c *check, m *Contact) {
	c.id("member", string(m.Member))
	c.word("channel", m.Channel, true)
	c.word("kind", m.Kind, true)
	if len(m.Sealed) > SealedTextBytesMax {
		c.failf("a sealed text of %d bytes is too large", len(m.Sealed))
	}
	c.name("reference", m.Reference)
	c.idOrNone("staff", string(m.Staff))
	if m.Closes != (EventID{}) {
		c.eventID("what a contact closes", m.Closes)
	} else if m.ClosesAtMs != 0 {
		c.failf("a contact closes nothing, at a time")
	}
}

func encodeContact(m *Contact) *wire.Contact {
	w := &wire.Contact{
		Member: string(m.Member), Channel: m.Channel, Kind: m.Kind, Sealed: m.Sealed, Reference: m.Reference, Open: m.Open, Staff: string(m.Staff), ClosesAtMs: m.ClosesAtMs,
	}
	if !m.Closes.IsZero() {
		w.Closes = encodeEventID(m.Closes)
	}
	return w
}

func decodeContact(c *check, w *wire.Contact) *Contact {
	m := &Contact{
		Member: MemberID(w.Member), Channel: w.Channel, Kind: w.Kind, Sealed: w.Sealed, Reference: w.Reference, Open: w.Open, Staff: StaffID(w.Staff), ClosesAtMs: w.ClosesAtMs,
	}
	if w.Closes != nil {
		m.Closes = decodeEventID(c, w.Closes)
	}
	return m
}
