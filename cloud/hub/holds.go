package hub

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// A hold keeps goods for a cart. It is no event, because nothing in the store
// comes of it: two kinds of notes hold it, one row for the hold and one for each
// of its items, all written and deleted together.

// holdRow is a hold as it is kept.
type holdRow struct {
	Store protocol.StoreID `json:"store"`
	// EndsMs is the running time at which it ends, so that no clock ends it early
	// and a hub that is down ends none (I17).
	EndsMs int64      `json:"ends_ms"`
	Goods  []heldGood `json:"goods"`
}

// heldGood is what is held of one item.
type heldGood struct {
	SKU      protocol.SKU      `json:"sku"`
	Quantity protocol.Quantity `json:"quantity"`
}

const (
	noteHold = "hold" // by id
	noteHeld = "held" // by store, item and id
	// holdsEndedAtOnce bounds one transaction that takes ended holds away.
	holdsEndedAtOnce = 500
)

// holds remembers which items are held at all, so that whoever asks what may be
// promised of another looks for no rows. It counts a hold from before its rows
// are written until after they are gone.
type holds struct {
	mu    sync.Mutex
	items map[heldItem]int
	// ends is no later than the end of any hold; zero: there is none.
	ends time.Duration
}

type heldItem struct {
	store protocol.StoreID
	sku   protocol.SKU
}

func (l *holds) add(row *holdRow) {
	l.endBy(row.EndsMs)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.items == nil {
		l.items = map[heldItem]int{}
	}
	for _, g := range row.Goods {
		l.items[heldItem{row.Store, g.SKU}]++
	}
}

func (l *holds) drop(row *holdRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range row.Goods {
		at := heldItem{row.Store, g.SKU}
		if l.items[at]--; l.items[at] <= 0 {
			delete(l.items, at)
		}
	}
}

func (l *holds) some(store protocol.StoreID, sku protocol.SKU) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.items[heldItem{store, sku}] > 0
}

// endBy makes sure that holds are looked at when a running time has come; 0
// forgets when that was to be.
func (l *holds) endBy(ms int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := time.Duration(ms) * time.Millisecond
	if ms == 0 || l.ends == 0 || at < l.ends {
		l.ends = at
	}
}

// held is how much of an item is held in a store, but for one hold.
func (h *Hub) held(r ledger.Reader, store protocol.StoreID, sku protocol.SKU, but string) (sum protocol.Quantity, err error) {
	if !h.holds.some(store, sku) {
		return 0, nil
	}
	prefix := noteHeld + "\x00" + string(store) + "\x00" + string(sku) + "\x00"
	now := h.running().Milliseconds()
	err = r.Scan(ledger.Notes, prefix, prefix+"\xff", func(id string, v []byte) (bool, error) {
		var row holdRow
		if err := json.Unmarshal(v, &row); err != nil {
			return false, fmt.Errorf("row %q: %w", id, err)
		}
		if row.EndsMs > now && id[len(prefix):] != but {
			for _, g := range row.Goods {
				sum += g.Quantity
			}
		}
		return true, nil
	})
	return sum, err
}

// loadHolds remembers what is held at a start.
func (h *Hub) loadHolds(ctx context.Context) error {
	return h.view(ctx, func(r ledger.Reader) error {
		return scanHolds(r, func(_ string, row *holdRow) bool {
			h.holds.add(row)
			return true
		})
	})
}

func scanHolds(r ledger.Reader, fn func(id string, row *holdRow) bool) error {
	prefix := noteHold + "\x00"
	return r.Scan(ledger.Notes, prefix, noteHold+"\x01", func(id string, v []byte) (bool, error) {
		row := &holdRow{}
		if err := json.Unmarshal(v, row); err != nil {
			return false, fmt.Errorf("row %q: %w", id, err)
		}
		return fn(id[len(prefix):], row), nil
	})
}

// Hold has a store keep goods for a cart, all of them or none, and answers 201.
func (h *Hub) Hold(ctx context.Context, c protocol.Call, request pickup.HoldRequest) (protocol.Answer, error) {
	return h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		if err := request.Validate(); err != nil {
			return answer, err
		}
		var name [16]byte
		h.random(name[:])
		id := "h-" + hex.EncodeToString(name[:])
		var counted *holdRow
		uncount := func() {
			if counted != nil {
				h.holds.drop(counted)
				counted = nil
			}
		}
		err = h.driver.Update(ctx, func(tx ledger.Tx) error {
			row, err := h.goodsToHold(tx, &request)
			if err != nil {
				return err
			}
			uncount()
			h.holds.add(row)
			counted = row
			if err := writeHold(tx, id, row); err != nil {
				return err
			}
			if answer, err = answerJSON(http.StatusCreated, pickup.HoldDocument{ID: id, ExpiresInS: *request.TTLS}); err != nil {
				return err
			}
			return keep(tx, answer)
		})
		if err != nil {
			uncount()
		}
		return answer, err
	})
}

// goodsToHold is what a request would hold, within what may be promised.
func (h *Hub) goodsToHold(r ledger.Reader, request *pickup.HoldRequest) (*holdRow, error) {
	if err := knownStore(r, request.Store); err != nil {
		return nil, err
	}
	store, err := ledger.ReadStore(r, request.Store)
	if err != nil {
		return nil, err
	}
	wants, err := wanted(r, request.Lines)
	if err != nil {
		return nil, err
	}
	p, err := h.priced(r, store, wants)
	if err != nil {
		return nil, err
	}
	lines, err := h.orderLines(r, &p, false)
	if err != nil {
		return nil, err
	}
	row := &holdRow{Store: store.ID, EndsMs: h.running().Milliseconds() + 1000**request.TTLS}
	for _, l := range lines {
		row.add(l.Item.SKU, l.Quantity)
	}
	return row, nil
}

func (row *holdRow) add(sku protocol.SKU, q protocol.Quantity) {
	for i := range row.Goods {
		if row.Goods[i].SKU == sku {
			row.Goods[i].Quantity += q
			return
		}
	}
	row.Goods = append(row.Goods, heldGood{sku, q})
}

func writeHold(tx ledger.Tx, id string, row *holdRow) error {
	b, err := json.Marshal(row)
	if err != nil {
		return err
	}
	if err := ledger.SetNote(tx, b, noteHold, id); err != nil {
		return err
	}
	for i := range row.Goods {
		b, err := json.Marshal(holdRow{Store: row.Store, EndsMs: row.EndsMs, Goods: row.Goods[i : i+1]})
		if err != nil {
			return err
		}
		if err := ledger.SetNote(tx, b, noteHeld, string(row.Store), string(row.Goods[i].SKU), id); err != nil {
			return err
		}
	}
	return nil
}

// takeHold ends a hold in the transaction in which its goods become an order's,
// or are released. It refuses one that is over, and one of another store where a
// store is named.
func (h *Hub) takeHold(tx ledger.Tx, id string, store protocol.StoreID) (*holdRow, error) {
	row, err := h.readHold(tx, id)
	switch {
	case err != nil:
		return nil, err
	case row == nil:
		return nil, protocol.Refuse(protocol.Conflict, "The hold "+clip(id)+" is over: it expired, was released or became an order. Nothing was ordered. Order without it.").With("hold", clip(id))
	case row.Store != store:
		return nil, protocol.Refuse(protocol.Conflict, "The hold "+clip(id)+" is of store "+string(row.Store)+". Nothing was ordered. Order there, or without it.").With("hold", clip(id))
	}
	return row, deleteHold(tx, id, row)
}

// readHold reads a hold that is not over; nil means that there is none.
func (h *Hub) readHold(r ledger.Reader, id string) (*holdRow, error) {
	b, err := ledger.Note(r, noteHold, id)
	if err != nil || b == nil {
		return nil, err
	}
	row := &holdRow{}
	if err := json.Unmarshal(b, row); err != nil {
		return nil, fmt.Errorf("hold %s: %w", id, err)
	}
	if row.EndsMs <= h.running().Milliseconds() {
		return nil, nil
	}
	return row, nil
}

func deleteHold(tx ledger.Tx, id string, row *holdRow) error {
	if err := ledger.SetNote(tx, nil, noteHold, id); err != nil {
		return err
	}
	for _, g := range row.Goods {
		if err := ledger.SetNote(tx, nil, noteHeld, string(row.Store), string(g.SKU), id); err != nil {
			return err
		}
	}
	return nil
}

// ReleaseHold gives up what a hold keeps.
func (h *Hub) ReleaseHold(ctx context.Context, id string) error {
	var row *holdRow
	err := h.driver.Update(ctx, func(tx ledger.Tx) (err error) {
		if row, err = h.readHold(tx, id); err != nil {
			return err
		}
		if row == nil {
			return protocol.Refuse(protocol.NotFound, "There is no hold "+clip(id)+": it expired, was released or became an order. Nothing is held by it.")
		}
		return deleteHold(tx, id, row)
	})
	if err == nil {
		h.holds.drop(row)
	}
	return err
}

// endHolds takes away the rows of holds that are over. They count no longer
// before that.
func (h *Hub) endHolds(ctx context.Context) error {
	for {
		h.holds.mu.Lock()
		due := h.holds.ends > 0 && h.holds.ends <= h.running()
		h.holds.mu.Unlock()
		if !due {
			return nil
		}
		if err := h.endSomeHolds(ctx); err != nil {
			return err
		}
	}
}

func (h *Hub) endSomeHolds(ctx context.Context) error {
	now := h.running().Milliseconds()
	var over []*holdRow
	next := now // what cannot be taken away now is tried again
	defer func() {
		if next > 0 {
			h.holds.endBy(next)
		}
	}()
	h.holds.endBy(0)
	err := h.driver.Update(ctx, func(tx ledger.Tx) error {
		over, next = nil, 0
		ids := []string{}
		err := scanHolds(tx, func(id string, row *holdRow) bool {
			if row.EndsMs <= now {
				over, ids = append(over, row), append(ids, id)
			} else if next == 0 || row.EndsMs < next {
				next = row.EndsMs
			}
			return len(over) < holdsEndedAtOnce
		})
		if err != nil {
			return err
		}
		if len(over) == holdsEndedAtOnce {
			next = now // there may be more
		}
		for i, row := range over {
			if err := deleteHold(tx, ids[i], row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, row := range over {
		h.holds.drop(row)
	}
	return nil
}
