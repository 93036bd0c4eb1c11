package sim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// appended tells the engine that the log has grown.
var appended any = uplink.Appended{}

// sell sells some goods. Now and then the sale was made by another POS before,
// and may be recorded twice.
func (s *staff) sell() bool {
	a := &act{}
	for range 1 + s.rnd.IntN(3) {
		a.items, a.lines = append(a.items, s.sku()), append(a.lines, s.quantity())
	}
	if s.rnd.IntN(25) == 0 {
		a.external = fmt.Sprint(s.rnd.IntN(20))
	}
	return s.log(a, func(tx ledger.Tx) (*protocol.Event, error) {
		n, err := s.number(tx)
		if err != nil {
			return nil, err
		}
		sale := s.receipt(a, protocol.SaleSale, n)
		ev := &protocol.Event{Kind: protocol.KindSale, Boot: s.m.identity.Boot, Sale: sale}
		if a.external != "" {
			sale.External = &protocol.External{Source: "pos", ID: a.external}
		}
		for i, sku := range a.items {
			line := protocol.SaleLine{Item: protocol.ItemRef{SKU: sku}, Quantity: a.lines[i], UnitPrice: 100, Amount: 100}
			sale.Lines = append(sale.Lines, line)
			ev.Moves = append(ev.Moves, protocol.Move{SKU: sku, State: protocol.OnHand, Delta: -a.lines[i]})
		}
		return ev, nil
	})
}

func (s *staff) receipt(a *act, kind protocol.SaleType, n uint64) *protocol.Sale {
	a.series, a.number = s.m.identity.Series, n
	a.receipt = protocol.NewReceiptNo(s.m.origin.Agent, "1", s.m.identity.Series, n)
	return &protocol.Sale{Type: kind, Till: "1", Series: s.m.identity.Series, Number: n, BusinessDate: "2026-11-21", Currency: "GBP"}
}

// reverse voids or takes back some receipt of the store, whether or not this
// machine has heard of it, and whether or not anything is left of it.
func (s *staff) reverse() bool {
	known := s.m.w.books.byStore[s.m.origin.Store]
	if len(known) == 0 {
		return s.sell()
	}
	original := known[len(known)-1-s.rnd.IntN(min(40, len(known)))]
	if original.credit != nil {
		return s.sell() // Who is a member goes to the counter.
	}
	a := &act{original: original, void: s.rnd.IntN(3) == 0, lines: make([]protocol.Quantity, len(original.lines))}
	for i, q := range original.lines {
		switch {
		case a.void:
			a.lines[i] = q
		case s.rnd.IntN(2) == 0:
			a.lines[i] = s.quantity()
		}
	}
	return s.log(a, func(tx ledger.Tx) (*protocol.Event, error) {
		n, err := s.number(tx)
		if err != nil {
			return nil, err
		}
		kind := protocol.SaleReturn
		if a.void {
			kind = protocol.SaleVoid
		}
		sale := s.receipt(a, kind, n)
		sale.Original = original.receipt
		ev := &protocol.Event{Kind: protocol.KindSale, Boot: s.m.identity.Boot, Sale: sale}
		for i, q := range a.lines {
			if q == 0 {
				continue
			}
			item := original.items[i]
			sale.Lines = append(sale.Lines, protocol.SaleLine{Item: protocol.ItemRef{SKU: item}, Quantity: -q, UnitPrice: 100, Amount: -100, OriginalLine: uint32(i + 1)})
			ev.Moves = append(ev.Moves, protocol.Move{SKU: item, State: protocol.OnHand, Delta: q})
		}
		return ev, nil
	})
}

// move takes goods in, sends or receives a transfer, or puts goods aside.
func (s *staff) move() bool {
	sku, q, state := s.sku(), s.quantity(), protocol.OnHand
	m := &protocol.Movement{Reference: "note"}
	switch s.rnd.IntN(4) {
	case 0:
		m.Type = protocol.Receipt
	case 1:
		m.Type, q = protocol.TransferOut, -q
	case 2:
		m.Type = protocol.TransferIn
	case 3:
		m.Type, state = protocol.Adjustment, protocol.State(s.rnd.IntN(int(protocol.StateCount)))
	}
	m.Lines = []protocol.MovementLine{{Item: protocol.ItemRef{SKU: sku}, Quantity: q, State: state}}
	ev := &protocol.Event{Kind: protocol.KindMovement, Boot: s.m.identity.Boot, Movement: m, Moves: []protocol.Move{{SKU: sku, State: state, Delta: q}}}
	return s.log(&act{}, func(ledger.Tx) (*protocol.Event, error) { return ev, nil })
}

// count counts an item and corrects the book by the difference.
func (s *staff) count() bool {
	sku, counted := s.sku(), protocol.Quantity(s.rnd.IntN(30))*1000
	a := &act{counted: []protocol.SKU{sku}}
	return s.log(a, func(tx ledger.Tx) (*protocol.Event, error) {
		m := &protocol.Movement{Type: protocol.Count}
		ev := &protocol.Event{Kind: protocol.KindMovement, Boot: s.m.identity.Boot, Movement: m}
		var err error
		if m.Seen, err = s.seen(tx); err != nil {
			return nil, err
		}
		a.seen = m.Seen
		return ev, s.countLine(tx, ev, sku, counted)
	})
}

func (s *staff) countLine(tx ledger.Tx, ev *protocol.Event, sku protocol.SKU, counted protocol.Quantity) error {
	level, err := ledger.ReadLevel(tx, s.m.origin.Store, sku)
	if err != nil {
		return err
	}
	line := protocol.MovementLine{Item: protocol.ItemRef{SKU: sku}, Quantity: counted, Book: level.Book()}
	ev.Movement.Lines = append(ev.Movement.Lines, line)
	if d := line.Quantity - line.Book; d != 0 {
		ev.Moves = append(ev.Moves, protocol.Move{SKU: sku, State: protocol.OnHand, Delta: d})
	}
	return nil
}

// seen is how far this machine has folded each stream of its store.
func (s *staff) seen(tx ledger.Tx) ([]protocol.StreamPos, error) {
	streams, err := ledger.Streams(tx, s.m.origin.Store, "")
	var list []protocol.StreamPos
	for _, info := range streams {
		if info.Origin.Agent != protocol.HubAgent {
			list = append(list, protocol.StreamPos{Inc: info.Origin.Inc, Seq: info.Seq})
		}
	}
	return list, err
}

// see logs, once for each count of a sibling, that this machine had moved
// counted goods which the counter had not seen.
func (s *staff) see(count *act) {
	note := []string{"count_seen", count.id.String()}
	from := protocol.Seq(0)
	for _, p := range count.seen {
		if p.Inc == s.m.origin.Inc {
			from = p.Seq
		}
	}
	a := &act{}
	s.log(a, func(tx ledger.Tx) (*protocol.Event, error) {
		if done, err := ledger.Note(tx, note...); err != nil || done != nil {
			return nil, errNothing
		}
		a.seenSKUs = nil
		for _, sku := range count.counted {
			if s.moved(sku, from) && !slices.Contains(a.seenSKUs, sku) {
				a.seenSKUs = append(a.seenSKUs, sku)
			}
		}
		if len(a.seenSKUs) == 0 {
			return nil, errNothing
		}
		seen := &protocol.CountSeen{Count: count.id, SKUs: a.seenSKUs}
		return &protocol.Event{Kind: protocol.KindCountSeen, Boot: s.m.identity.Boot, CountSeen: seen}, ledger.SetNote(tx, []byte{1}, note...)
	})
}

// moved tells whether the machine's own events above a number moved an item.
func (s *staff) moved(sku protocol.SKU, above protocol.Seq) bool {
	inc := s.m.origin.Inc
	for seq := above + 1; seq <= s.m.disk.watch.heads[inc].seq; seq++ {
		for _, a := range s.m.w.books.acts[protocol.EventID{Inc: inc, Seq: seq}] {
			if slices.ContainsFunc(a.moves, func(m protocol.Move) bool { return m.SKU == sku && m.State == protocol.OnHand }) {
				return true
			}
		}
	}
	return false
}

// digest logs what the machine makes of its own events, for the hub to compare
// (I9).
func (s *staff) digest() bool {
	return s.log(&act{}, func(tx ledger.Tx) (*protocol.Event, error) {
		d, err := ledger.Digest(tx, s.m.origin)
		if err != nil || d == nil {
			return nil, errors.Join(err, errNothing)
		}
		return &protocol.Event{Kind: protocol.KindDigest, Boot: s.m.identity.Boot, Digest: d}, nil
	})
}

// unknown logs an event of a later version, which nobody understands and
// whose moves count all the same.
func (s *staff) unknown() bool {
	ev := &protocol.Event{Kind: "of_a_later_version", Moves: []protocol.Move{{SKU: s.sku(), State: protocol.State(s.rnd.IntN(int(protocol.StateCount))), Delta: s.quantity()}}}
	return s.log(&act{}, func(ledger.Tx) (*protocol.Event, error) { return ev, nil })
}

// poison logs bytes that are no event at all, as a broken writer would.
func (s *staff) poison() bool {
	junk := make([]byte, 1+s.rnd.IntN(40))
	for i := range junk {
		junk[i] = byte(s.rnd.Uint32())
	}
	if _, err := protocol.DecodeEvent(junk); err == nil {
		junk = []byte{0xff}
	}
	a := &act{dead: true, kind: "poison"}
	return s.record(a, func(tx ledger.Tx, clock protocol.Clock) (ledger.Result, error) {
		at, err := ledger.ReadStream(tx, s.m.origin)
		if err != nil {
			return ledger.Result{}, err
		}
		info := ledger.StreamInfo{Origin: s.m.origin, Stream: at}
		batch := ledger.Batch{Origin: s.m.origin, First: at.Seq + 1, Prev: info.Head(), Records: []protocol.Record{{Clock: clock, Body: junk}}}
		return ledger.Apply(tx, batch)
	})
}

// oversized logs an event near the largest size, or beyond it, which has to be
// refused before it is logged.
func (s *staff) oversized() bool {
	size := protocol.EventBytesMax - 20_000
	if s.rnd.IntN(3) == 0 {
		size = protocol.EventBytesMax
	}
	var texts []protocol.MovementLine
	for left := size; left > 0; left -= 60_000 {
		name := fmt.Sprint(left, strings.Repeat("x", min(left, 60_000)))
		texts = append(texts, protocol.MovementLine{Item: protocol.ItemRef{SKU: s.sku(), Name: name}})
	}
	ev := &protocol.Event{Kind: protocol.KindMovement, Movement: &protocol.Movement{Type: protocol.Adjustment, Lines: texts}}
	refused := false
	ok := s.log(&act{}, func(ledger.Tx) (*protocol.Event, error) {
		if _, err := protocol.EncodeEvent(ev); err != nil {
			refused = true
			return nil, errNothing
		}
		return ev, nil
	})
	if size == protocol.EventBytesMax && ok && !refused {
		s.m.w.fail("%s logs an event beyond the largest size (I18)", s.m.disk.name)
	}
	return ok
}

// applyLoads logs the counts that stock loads ask of this machine. It tells
// whether nothing is left to do.
func (s *staff) applyLoads() bool {
	for {
		a := &act{}
		done := false
		ok := s.log(a, func(tx ledger.Tx) (*protocol.Event, error) {
			ev, err := s.loadCount(tx, a)
			if err == nil && ev == nil {
				done, err = true, errNothing
			}
			return ev, err
		})
		if done || !ok {
			return ok
		}
	}
}

// loadCount is the count of the next rows of a load that is this machine's to
// apply, nil where there is none.
func (s *staff) loadCount(tx ledger.Tx, a *act) (*protocol.Event, error) {
	loads, err := ledger.Loads(tx, s.m.origin.Store)
	if err != nil {
		return nil, err
	}
	record, err := ledger.ReadStore(tx, s.m.origin.Store)
	if err != nil || record == nil {
		return nil, err
	}
	for _, l := range loads {
		part, here := l.PartWith(l.Applied)
		if l.Applied >= l.Total || !here || cmp.Or(l.Agent, record.Primary) != s.m.origin.Agent {
			continue
		}
		rec, ok, err := ledger.ReadRecord(tx, part.Event)
		if err != nil || !ok {
			continue
		}
		asked, err := protocol.DecodeEvent(rec.Body)
		if err != nil {
			return nil, err
		}
		rows := asked.StockLoad.Rows[l.Applied-part.First:]
		rows = rows[:1+s.rnd.IntN(len(rows))]
		m := &protocol.Movement{Type: protocol.Count, Load: l.ID, LoadRows: l.Applied + int64(len(rows))}
		a.load, a.loadFrom, a.loadUpTo, a.counted = l.ID, l.Applied, m.LoadRows, nil
		ev := &protocol.Event{Kind: protocol.KindMovement, Boot: s.m.identity.Boot, Movement: m}
		if m.Seen, err = s.seen(tx); err != nil {
			return nil, err
		}
		a.seen = m.Seen
		for _, row := range rows {
			a.counted = append(a.counted, row.SKU)
			if err := s.countLine(tx, ev, row.SKU, row.OnHand); err != nil {
				return nil, err
			}
		}
		return ev, nil
	}
	return nil, nil
}
