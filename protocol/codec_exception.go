package protocol

import "counterpart/protocol/wire"

// subjectBytesMax bounds what an exception is about, which is part of a key: at
// most two names.
const subjectBytesMax = 2*nameBytesMax + 64

func checkExceptionChange(c *check, x *ExceptionChange) {
	c.word("exception", x.Kind, true)
	if !ValidText(x.Subject, subjectBytesMax) {
		c.failf("%q cannot be what an exception is about", clip(x.Subject))
	}
	c.word("change", string(x.Change), true)
	c.idOrNone("staff", string(x.Staff))
	c.text("reason", x.Reason)
	c.count("events", len(x.Events), RowsMax)
	for _, id := range x.Events {
		c.eventID("event", id)
	}
	if !x.After.IsZero() {
		c.eventID("the change before", x.After)
	}
}

func encodeExceptionChange(x *ExceptionChange) *wire.ExceptionChange {
	w := &wire.ExceptionChange{
		Kind: x.Kind, Subject: x.Subject, Change: string(x.Change), Staff: string(x.Staff), Reason: x.Reason,
		Events: list[*wire.EventID](len(x.Events)), Times: x.Times,
	}
	for i, id := range x.Events {
		w.Events[i] = encodeEventID(id)
	}
	if !x.After.IsZero() {
		w.After = encodeEventID(x.After)
	}
	return w
}

func decodeExceptionChange(c *check, w *wire.ExceptionChange) *ExceptionChange {
	c.count("events", len(w.Events), RowsMax)
	if c.err != nil {
		return nil
	}
	x := &ExceptionChange{
		Kind: w.Kind, Subject: w.Subject, Change: Handled(w.Change), Staff: StaffID(w.Staff), Reason: w.Reason,
		Events: list[EventID](len(w.Events)), Times: w.Times,
	}
	for i, id := range w.Events {
		x.Events[i] = decodeEventID(c, id)
	}
	if w.After != nil {
		x.After = decodeEventID(c, w.After)
	}
	return x
}

func checkTransfer(c *check, t *Transfer) {
	c.name("transfer", t.ID)
	c.id("store", string(t.From))
	c.word("change", string(t.Change), true)
	c.text("reference", t.Reference)
	c.count("lines", len(t.Lines), RowsMax)
	for i := range t.Lines {
		c.amount("quantity", int64(t.Lines[i].Quantity))
	}
}

func encodeTransfer(c *check, t *Transfer, items *itemTable) *wire.Transfer {
	n := len(t.Lines)
	w := &wire.Transfer{Id: t.ID, FromStore: string(t.From), Change: string(t.Change), Reference: t.Reference, LineQuantities: list[int64](n)}
	for i := range t.Lines {
		w.LineQuantities[i] = int64(t.Lines[i].Quantity)
	}
	w.LineItems = column(n, func(i int) int32 { return int32(items.ref(c, i, &t.Lines[i].Item) - i) })
	return w
}

func decodeTransfer(c *check, w *wire.Transfer, items []ItemRef) *Transfer {
	n := len(w.LineQuantities)
	c.count("lines", n, RowsMax)
	c.column("line_items", len(w.LineItems), n)
	if c.err != nil {
		return nil
	}
	t := &Transfer{ID: w.Id, From: StoreID(w.FromStore), Change: TransferChange(w.Change), Reference: w.Reference, Lines: list[TransferLine](n)}
	for i := range t.Lines {
		t.Lines[i] = TransferLine{Item: *item(c, items, i, entry(w.LineItems, i)), Quantity: Quantity(w.LineQuantities[i])}
	}
	return t
}
