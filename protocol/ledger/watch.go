package ledger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
	"counterpart/protocol/stock"
)

// Watched is a Tx that notes which parts of orders, levels, exceptions, carts and
// members are written through it, and what stood there before. Who tells others of changes
// reads them here, and so needs to know nothing of the ways in which an event
// comes to be folded: as it came, carried by another, or logged again.
type Watched struct {
	Tx
	rows  map[Key]*watchedRow
	order []Key // in which they were first written
}

type watchedRow struct{ before, now []byte }

// The rows that are watched, by how their keys begin.
const (
	partPrefix      = "part" + sep
	levelPrefix     = "level" + sep
	exceptionPrefix = "exception" + sep
	cartPrefix      = kindCart + sep
	memberPrefix    = kindMember + sep
)

// Watch begins to note what is written through tx.
func Watch(tx Tx) *Watched { return &Watched{Tx: tx, rows: map[Key]*watchedRow{}} }

// Write notes the rows that are watched, and writes all.
func (w *Watched) Write(rows []Row) error {
	var fresh []Key
	for _, r := range rows {
		if r.Key.Table != States || !watched(r.Key.ID) {
			continue
		}
		row := w.rows[r.Key]
		if row == nil {
			row = &watchedRow{}
			w.rows[r.Key] = row
			fresh = append(fresh, r.Key)
		}
		row.now = r.Value
	}
	if len(fresh) > 0 {
		before, err := w.Load(fresh)
		if err != nil {
			return err
		}
		for i, k := range fresh {
			w.rows[k].before = before[i]
		}
		w.order = append(w.order, fresh...)
	}
	return w.Tx.Write(rows)
}

func watched(id string) bool {
	kind, _, _ := strings.Cut(id, sep)
	switch kind + sep {
	case partPrefix, levelPrefix, exceptionPrefix, cartPrefix, memberPrefix:
		return true
	}
	return false
}

// each calls fn for the rows with a prefix, in the order in which they were
// first written.
func (w *Watched) each(prefix string, fn func(id string, row *watchedRow) error) error {
	for _, k := range w.order {
		if !strings.HasPrefix(k.ID, prefix) {
			continue
		}
		if err := fn(k.ID, w.rows[k]); err != nil {
			return fmt.Errorf("row %q: %w", k.ID, err)
		}
	}
	return nil
}

// PartWritten is a part of an order as it was before a transaction and as it is
// now.
type PartWritten struct {
	Store         protocol.StoreID
	ID            protocol.PartID
	Before, After *pickup.Part
}

// Parts lists the parts that were written.
func (w *Watched) Parts() (list []PartWritten, err error) {
	err = w.each(partPrefix, func(id string, row *watchedRow) error {
		names, err := split(id, 3)
		if err != nil {
			return err
		}
		number, err := strconv.ParseUint(names[2], 10, 32)
		if err != nil {
			return err
		}
		p := PartWritten{Store: protocol.StoreID(names[0]), ID: protocol.PartID{Order: protocol.OrderID(names[1]), Part: uint32(number)}}
		if p.Before, err = pickup.DecodePart(row.before); err != nil {
			return err
		}
		p.After, err = pickup.DecodePart(row.now)
		list = append(list, p)
		return err
	})
	return list, err
}

// LevelWritten is a level as it was before a transaction and as it is now.
type LevelWritten struct {
	Store         protocol.StoreID
	SKU           protocol.SKU
	Before, After *stock.Level
}

// Levels lists the levels that were written.
func (w *Watched) Levels() (list []LevelWritten, err error) {
	err = w.each(levelPrefix, func(id string, row *watchedRow) error {
		names, err := split(id, 2)
		if err != nil {
			return err
		}
		l := LevelWritten{Store: protocol.StoreID(names[0]), SKU: protocol.SKU(names[1])}
		if l.Before, err = stock.DecodeLevel(row.before); err != nil {
			return err
		}
		l.After, err = stock.DecodeLevel(row.now)
		list = append(list, l)
		return err
	})
	return list, err
}

// Opened lists the exceptions that were not there before.
func (w *Watched) Opened() (list []Exception, err error) {
	err = w.each(exceptionPrefix, func(id string, row *watchedRow) error {
		if row.before != nil || len(row.now) == 0 {
			return nil
		}
		e, err := decodeException(id, row.now)
		list = append(list, e)
		return err
	})
	return list, err
}

// CartOwners lists the members whose carts or rows were written, in their order.
func (w *Watched) CartOwners() (list []protocol.MemberID, err error) {
	for _, prefix := range []string{cartPrefix, memberPrefix} {
		err := w.each(prefix, func(id string, _ *watchedRow) error {
			names, err := split(id, 2)
			if err == nil {
				list = append(list, protocol.MemberID(strings.Clone(names[1])))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
