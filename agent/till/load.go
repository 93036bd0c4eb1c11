package till

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// loadRowsMax is how many rows of a stock load one event applies.
const loadRowsMax = 500

// ApplyLoads logs the counts that stock loads ask for, if this machine is the
// store's primary, until no row is left that is here. How far a load is
// applied stands in its folded aggregate and moves with the event, so every
// row counts once however often this is called or interrupted.
func (t *Till) ApplyLoads(ctx context.Context) error {
	t.loading.Lock()
	defer t.loading.Unlock()
	for {
		var due bool
		err := t.o.Driver.View(ctx, func(r ledger.Reader) error {
			load, err := t.dueLoad(r)
			due = load != nil
			return err
		})
		if err != nil || !due {
			return err
		}
		applied, err := t.applyLoad(ctx)
		if err != nil || !applied {
			return err
		}
	}
}

// dueLoad is the oldest load with rows left to apply, in the order in which
// the hub gave them out; nil where none is or this machine is not the primary.
func (t *Till) dueLoad(r ledger.Reader) (*ledger.Load, error) {
	record, err := ledger.ReadStore(r, t.origin().Store)
	if err != nil || record == nil {
		return nil, err
	}
	loads, err := ledger.Loads(r, t.origin().Store)
	if err != nil {
		return nil, err
	}
	loads = slices.DeleteFunc(loads, func(l *ledger.Load) bool {
		_, here := l.PartWith(l.Applied)
		return l.Applied >= l.Total || !here || cmp.Or(l.Agent, record.Primary) != t.origin().Agent
	})
	slices.SortStableFunc(loads, func(a, b *ledger.Load) int {
		return cmp.Compare(a.Parts[0].Event.Seq, b.Parts[0].Event.Seq)
	})
	for _, l := range loads {
		rows, err := loadRows(r, l)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			return l, nil
		}
	}
	return nil, nil
}

// loadRows are the next rows of a load, none where they are not here yet.
func loadRows(r ledger.Reader, l *ledger.Load) ([]protocol.StockRow, error) {
	part, ok := l.PartWith(l.Applied)
	if !ok {
		return nil, nil
	}
	e, ok, err := readLogged(r, part.Event)
	if err != nil || !ok || e.event.StockLoad == nil {
		return nil, err
	}
	rows, from := e.event.StockLoad.Rows, l.Applied-part.First
	if from >= int64(len(rows)) {
		return nil, nil
	}
	rows = rows[from:]
	return rows[:min(len(rows), loadRowsMax)], nil
}

// applyLoad logs one count.
func (t *Till) applyLoad(ctx context.Context) (applied bool, err error) {
	now, mono, as := t.o.Now(), t.o.Mono(), t.present.Load()
	err = t.o.Driver.Update(ctx, func(tx ledger.Tx) error {
		applied = false
		if err := as.check(tx); err != nil {
			return err
		}
		load, err := t.dueLoad(tx)
		if err != nil || load == nil {
			return err
		}
		rows, err := loadRows(tx, load)
		if err != nil {
			return err
		}
		a := &act{desk: desk{Till: t, as: as, r: tx, now: now}, tx: tx, mono: mono}
		if a.shop, err = t.readShop(tx); err != nil {
			return err
		}
		ev, err := a.loadCount(load, rows)
		if err != nil {
			return err
		}
		applied = true
		return a.log(ev)
	})
	if errors.Is(err, errForked) {
		return false, t.Refresh(ctx)
	}
	if err != nil {
		return false, err
	}
	if applied {
		t.o.Appended()
	}
	return applied, nil
}

// loadCount is the count that applies rows of a load. Staged goods are part of
// what a row says and of no count.
func (a *act) loadCount(load *ledger.Load, rows []protocol.StockRow) (*protocol.Event, error) {
	m := &protocol.Movement{Type: protocol.Count, Load: load.ID, LoadRows: load.Applied + int64(len(rows))}
	last := make(map[protocol.SKU]int, len(rows))
	for i, row := range rows {
		last[row.SKU] = i
	}
	var skus []protocol.SKU
	var counted []protocol.Quantity
	for i, row := range rows {
		if last[row.SKU] == i { // of two rows of one item the later one is meant
			skus, counted = append(skus, row.SKU), append(counted, row.OnHand)
		}
	}
	levels, err := ledger.ReadLevels(a.tx, a.origin().Store, skus)
	if err != nil {
		return nil, err
	}
	items, err := ledger.ReadItems(a.tx, skus)
	if err != nil {
		return nil, err
	}
	if m.Seen, err = a.seen(a.tx); err != nil {
		return nil, err
	}
	ev := &protocol.Event{Kind: protocol.KindMovement, Movement: m}
	for i, sku := range skus {
		line := protocol.MovementLine{
			Item: protocol.ItemRef{SKU: sku}, Quantity: counted[i] - levels[i].Quantity(protocol.Staged), Book: levels[i].Book(),
		}
		if it := items[i]; it != nil && it.Unit != protocol.Each {
			line.Item.Unit = it.Unit
		}
		m.Lines = append(m.Lines, line)
		if delta := line.Quantity - line.Book; delta != 0 {
			ev.Moves = append(ev.Moves, protocol.Move{SKU: sku, State: protocol.OnHand, Delta: delta})
		}
	}
	return ev, nil
}
