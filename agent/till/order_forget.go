package till

import (
	"context"
	"encoding/binary"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

const (
	// orderKeysKept is how long whom an order is for can be read in the store after
	// the order was found to be over, by the wall clock: who sets it ahead closes
	// names of orders that are over, and nothing else.
	orderKeysKept = 30 * 24 * time.Hour
	// noteOrderOver rows say when an order was found to be over.
	noteOrderOver = "order_over"
)

// Forgettable tells of which orders the keys are no longer needed here, and takes
// note of those that are over now. An order of which nothing is known is over.
func (t *Till) Forgettable(ctx context.Context, ids []protocol.OrderID) (old []protocol.OrderID, err error) {
	now := t.o.Now().UnixMilli()
	var rows []ledger.Row
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		rows, old = nil, nil
		for _, id := range ids {
			over, err := t.isOver(r, id)
			if err != nil {
				return err
			}
			b, err := ledger.Note(r, noteOrderOver, string(id))
			if err != nil {
				return err
			}
			switch {
			case over && len(b) != 8:
				rows = append(rows, ledger.NoteRow(binary.BigEndian.AppendUint64(nil, uint64(now)), noteOrderOver, string(id)))
			case over && now-int64(binary.BigEndian.Uint64(b)) >= orderKeysKept.Milliseconds():
				old = append(old, id)
			case !over && b != nil:
				rows = append(rows, ledger.NoteRow(nil, noteOrderOver, string(id)))
			}
		}
		return nil
	})
	if err != nil || len(rows) == 0 {
		return old, err
	}
	return old, t.o.Driver.Update(ctx, func(tx ledger.Tx) error { return tx.Write(rows) })
}

// Forgotten drops the notes of orders whose keys are gone.
func (t *Till) Forgotten(ctx context.Context, ids []protocol.OrderID) error {
	rows := make([]ledger.Row, len(ids))
	for i, id := range ids {
		rows[i] = ledger.NoteRow(nil, noteOrderOver, string(id))
	}
	return t.o.Driver.Update(ctx, func(tx ledger.Tx) error { return tx.Write(rows) })
}

// isOver tells whether no part of an order waits in this store.
func (t *Till) isOver(r ledger.Reader, id protocol.OrderID) (bool, error) {
	places, err := ledger.ReadOrder(r, id)
	if err != nil {
		return false, err
	}
	for _, at := range places {
		if at.Store != t.origin().Store {
			continue
		}
		part, err := ledger.ReadPart(r, at.Store, protocol.PartID{Order: id, Part: at.Part})
		if err != nil {
			return false, err
		}
		if s := part.State(); s.Waits() {
			return false, nil
		}
	}
	return true, nil
}
