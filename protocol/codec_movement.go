package protocol

import "counterpart/protocol/wire"

func checkMovement(c *check, m *Movement) {
	c.word("movement type", string(m.Type), true)
	c.text("reference", m.Reference)
	c.text("reason", m.Reason)
	c.idOrNone("staff", string(m.Staff))
	c.idOrNone("destination", string(m.ToStore))
	c.text("transfer", m.TransferID)
	c.count("lines", len(m.Lines), RowsMax)
	for i := range m.Lines {
		c.amount("quantity", int64(m.Lines[i].Quantity))
		c.amount("book", int64(m.Lines[i].Book))
		c.state(m.Lines[i].State)
	}
	c.count("streams seen", len(m.Seen), RowsMax)
	for _, pos := range m.Seen {
		if pos.Inc.IsZero() {
			c.failf("a stream seen has no name")
		}
	}
	c.name("load", m.Load)
	c.natural("rows of the load", m.LoadRows)
}

func encodeMovement(c *check, m *Movement, items *itemTable) *wire.Movement {
	kind, text := movementWords.number(m.Type)
	lines, n := m.Lines, len(m.Lines)
	w := &wire.Movement{
		Type: wire.MovementType(kind), TypeText: text,
		Reference: m.Reference, Reason: m.Reason, Staff: string(m.Staff),
		ToStore: string(m.ToStore), TransferId: m.TransferID,
		Load: m.Load, LoadRows: uint64(m.LoadRows),
		Seen:           list[*wire.StreamPos](len(m.Seen)),
		LineQuantities: list[int64](n),
	}
	for i := range m.Seen {
		w.Seen[i] = encodeStreamPos(&m.Seen[i])
	}
	for i := range lines {
		w.LineQuantities[i] = int64(lines[i].Quantity)
	}
	w.LineItems = column(n, func(i int) int32 { return int32(items.ref(c, i, &lines[i].Item) - i) })
	w.LineStates = column(n, func(i int) wire.State { return wire.State(lines[i].State) })
	w.LineBooks = column(n, func(i int) int64 { return int64(lines[i].Book) })
	return w
}

func decodeMovement(c *check, w *wire.Movement, items []ItemRef) *Movement {
	n := len(w.LineQuantities)
	c.count("lines", n, RowsMax)
	c.column("line_items", len(w.LineItems), n)
	c.states("line_states", w.LineStates, n)
	c.column("line_books", len(w.LineBooks), n)
	c.count("streams seen", len(w.Seen), RowsMax)
	if c.err != nil {
		return nil
	}
	m := &Movement{
		Type:      movementWords.word(c, "movement type", int32(w.Type), w.TypeText),
		Reference: w.Reference, Reason: w.Reason, Staff: StaffID(w.Staff),
		ToStore: StoreID(w.ToStore), TransferID: w.TransferId,
		Load: w.Load, LoadRows: int64(w.LoadRows),
		Seen:  list[StreamPos](len(w.Seen)),
		Lines: list[MovementLine](n),
	}
	for i, pos := range w.Seen {
		m.Seen[i] = decodeStreamPos(c, pos)
	}
	for i := range m.Lines {
		m.Lines[i] = MovementLine{
			Item:     *item(c, items, i, entry(w.LineItems, i)),
			Quantity: Quantity(w.LineQuantities[i]),
			State:    State(entry(w.LineStates, i)),
			Book:     Quantity(entry(w.LineBooks, i)),
		}
	}
	return m
}

func encodeStreamPos(pos *StreamPos) *wire.StreamPos {
	return &wire.StreamPos{Inc: pos.Inc[:], Seq: uint64(pos.Seq)}
}

func decodeStreamPos(c *check, w *wire.StreamPos) StreamPos {
	return StreamPos{Inc: Inc(fixed(c, "inc", w.Inc, len(Inc{}))), Seq: Seq(w.Seq)}
}

func checkCountSeen(c *check, s *CountSeen) {
	c.eventID("count", s.Count)
	c.count("counted items", len(s.SKUs), RowsMax)
	for _, sku := range s.SKUs {
		c.sku(sku)
	}
}

func encodeCountSeen(s *CountSeen) *wire.CountSeen {
	w := &wire.CountSeen{Count: encodeEventID(s.Count), Skus: list[string](len(s.SKUs))}
	for i, sku := range s.SKUs {
		w.Skus[i] = string(sku)
	}
	return w
}

func decodeCountSeen(c *check, w *wire.CountSeen) *CountSeen {
	c.count("counted items", len(w.Skus), RowsMax)
	if c.err != nil {
		return nil
	}
	s := &CountSeen{Count: decodeEventID(c, w.Count), SKUs: list[SKU](len(w.Skus))}
	for i, sku := range w.Skus {
		s.SKUs[i] = SKU(sku)
	}
	return s
}

func checkStockLoad(c *check, l *StockLoad) {
	c.name("load", l.ID)
	c.idOrNone("agent", string(l.Agent))
	c.natural("first row", l.First)
	c.natural("number of rows", l.Total)
	c.count("rows", len(l.Rows), RowsMax)
	for i := range l.Rows {
		c.sku(l.Rows[i].SKU)
		c.amount("on hand", int64(l.Rows[i].OnHand))
	}
}

func encodeStockLoad(l *StockLoad) *wire.StockLoad {
	n := len(l.Rows)
	w := &wire.StockLoad{Id: l.ID, Agent: string(l.Agent), First: uint64(l.First), Total: uint64(l.Total), RowSkus: list[string](n)}
	for i := range l.Rows {
		w.RowSkus[i] = string(l.Rows[i].SKU)
	}
	w.RowOnHand = column(n, func(i int) int64 { return int64(l.Rows[i].OnHand) })
	return w
}

func decodeStockLoad(c *check, w *wire.StockLoad) *StockLoad {
	n := len(w.RowSkus)
	c.count("rows", n, RowsMax)
	c.column("row_on_hand", len(w.RowOnHand), n)
	if c.err != nil {
		return nil
	}
	l := &StockLoad{ID: w.Id, Agent: AgentID(w.Agent), First: int64(w.First), Total: int64(w.Total), Rows: list[StockRow](n)}
	for i := range l.Rows {
		l.Rows[i] = StockRow{SKU: SKU(w.RowSkus[i]), OnHand: Quantity(entry(w.RowOnHand, i))}
	}
	return l
}
