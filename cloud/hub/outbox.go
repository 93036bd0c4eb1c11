package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// Notes of the outbox. A message is kept under its position; positions say in
// which order this database put messages down, and nobody outside sees them.
const (
	noteOutbox       = "outbox"
	noteOutboxHead   = "outbox-head"
	noteOutboxWanted = "outbox-wanted"
	noteOutboxStock  = "outbox-stock"
	noteOutboxTold   = "outbox-told"
)

const (
	// outboxKeptFor is how much running time a message is kept for.
	outboxKeptFor = 30 * 24 * time.Hour
	// outboxEvery is how often the outbox looks for what is due. Availability
	// that goes and comes back in between is not announced.
	outboxEvery = 5 * time.Second
	// outboxRows bounds what is done in one transaction.
	outboxRows = 500
)

// Wanted says which messages anybody wants to be told. What nobody wants is not
// written.
type Wanted struct {
	Events bool // order.* and exception.*
	Stock  bool // stock.*
	Carts  bool // cart.*
}

const (
	wantedEvents = 1 << iota
	wantedStock
	wantedCarts
)

func (w Wanted) bits() (bits uint32) {
	if w.Events {
		bits |= wantedEvents
	}
	if w.Stock {
		bits |= wantedStock
	}
	if w.Carts {
		bits |= wantedCarts
	}
	return bits
}

// Outgoing is a message for whoever follows what happens.
type Outgoing struct {
	Position uint64 `json:"-"`
	// ID follows from the event that caused the message, never from a counter: a
	// restored hub that takes an event in again gives its message the same id.
	ID   string `json:"id"`
	Type string `json:"type"`
	// Key names what the message is about. Messages of one key have an order.
	Key   string          `json:"key"`
	AtMs  int64           `json:"at_ms"`  // Unix milliseconds, when it was put down
	RanMs int64           `json:"ran_ms"` // the same in the hub's running time
	Body  json.RawMessage `json:"body"`
}

// outbox is the hub's driver. It puts down, in the transaction that changes an
// order or opens an exception, the message that says so: one commit makes both
// so, and a crash loses or doubles neither. While nobody wants messages it costs
// one look at a number.
type outbox struct {
	ledger.Driver
	now     func() time.Time
	running func() time.Duration
	// shown is what a level lets online promise, as far as messages tell of it; nil
	// where no hub runs, and what became of levels is then not told.
	shown   func(protocol.StoreID, protocol.SKU, *protocol.Item, *stock.Level) protocol.Quantity
	wanted  atomic.Uint32
	looked  time.Duration // running time of the last look; Tick's alone
	pruned  time.Duration // likewise
	forgot  time.Duration // likewise
	started bool          // likewise

	mu    sync.Mutex
	grown chan struct{}
}

func newOutbox(d ledger.Driver, now func() time.Time) *outbox {
	return &outbox{Driver: d, now: now, grown: make(chan struct{})}
}

// Telling is a driver that puts messages down as the hub's own does, for a
// database whose events come back while no hub runs. What the lost database had
// put down and not sent is put down again, under the same ids.
func Telling(ctx context.Context, d ledger.Driver, now func() time.Time) (ledger.Driver, error) {
	b := newOutbox(d, now)
	var ran uint64
	err := d.View(ctx, func(r ledger.Reader) (err error) {
		if ran, err = counter(r, noteRunning); err != nil {
			return err
		}
		return b.loadWanted(r)
	})
	b.running = func() time.Duration { return time.Duration(ran) * time.Millisecond }
	return b, err
}

// Update is the driver's, with the messages that follow from what fn changes.
func (b *outbox) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	wanted := b.wanted.Load()
	if wanted == 0 {
		return b.Driver.Update(ctx, fn)
	}
	posted := 0
	err := b.Driver.Update(ctx, func(tx ledger.Tx) error {
		w := ledger.Watch(tx)
		if err := fn(w); err != nil {
			return err
		}
		var list []Outgoing
		if wanted&wantedEvents != 0 {
			var err error
			if list, err = b.tell(tx, w); err != nil {
				return err
			}
		}
		if wanted&wantedStock != 0 && b.shown != nil {
			if err := b.markStock(tx, w); err != nil {
				return err
			}
		}
		if wanted&wantedCarts != 0 {
			if err := b.indexCarts(tx, w); err != nil {
				return err
			}
		}
		if wanted&wantedCarts != 0 && b.shown != nil {
			if err := b.markLastOnes(tx, w); err != nil {
				return err
			}
		}
		posted = len(list)
		return b.post(tx, list)
	})
	if err == nil && posted > 0 {
		b.wake()
	}
	return err
}

// post puts messages down.
func (b *outbox) post(tx ledger.Tx, list []Outgoing) error {
	if len(list) == 0 {
		return nil
	}
	head, err := counter(tx, noteOutboxHead)
	if err != nil {
		return err
	}
	rows := make([]ledger.Row, 0, len(list))
	for i := range list {
		head++
		list[i].AtMs, list[i].RanMs = b.now().UnixMilli(), b.running().Milliseconds()
		v, err := json.Marshal(&list[i])
		if err != nil {
			return err
		}
		rows = append(rows, ledger.Row{Key: outboxKey(head), Value: v})
	}
	if err := tx.Write(rows); err != nil {
		return err
	}
	return setCounter(tx, noteOutboxHead, head)
}

func outboxKey(position uint64) ledger.Key {
	return ledger.Key{Table: ledger.Notes, ID: fmt.Sprintf("%s\x00%016x", noteOutbox, position)}
}

func (b *outbox) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.grown)
	b.grown = make(chan struct{})
}

// loadWanted reads what was wanted before the start, so that what the start
// itself does is told as well.
func (b *outbox) loadWanted(r ledger.Reader) error {
	bits, err := counter(r, noteOutboxWanted)
	b.wanted.Store(uint32(bits))
	return err
}

// SetWanted says what is wanted from now on, over all restarts.
func (h *Hub) SetWanted(ctx context.Context, w Wanted) error {
	err := h.outbox.Driver.Update(ctx, func(tx ledger.Tx) error {
		before, err := counter(tx, noteOutboxWanted)
		if err == nil && w.Carts && before&wantedCarts == 0 {
			err = ledger.SetNote(tx, []byte("m"), noteOutboxCarts) // Nobody followed the carts until now.
		}
		if err != nil {
			return err
		}
		return setCounter(tx, noteOutboxWanted, uint64(w.bits()))
	})
	if err == nil {
		h.outbox.wanted.Store(w.bits())
	}
	return err
}

// OutboxGrown returns a channel that is closed when the next messages are there.
func (h *Hub) OutboxGrown() <-chan struct{} {
	h.outbox.mu.Lock()
	defer h.outbox.mu.Unlock()
	return h.outbox.grown
}

// OutboxHead is the position of the last message.
func OutboxHead(r ledger.Reader) (uint64, error) { return counter(r, noteOutboxHead) }

// Outbox lists messages behind a position.
func (h *Hub) Outbox(ctx context.Context, behind uint64, limit int) (list []Outgoing, err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		list = nil
		return scanOutbox(r, behind, func(m *Outgoing) bool {
			list = append(list, *m)
			return len(list) < limit
		})
	})
	return list, err
}

// OutboxBefore is the position behind which the messages since a moment are.
func (h *Hub) OutboxBefore(ctx context.Context, at time.Time) (position uint64, err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		if position, err = OutboxHead(r); err != nil {
			return err
		}
		return scanOutbox(r, 0, func(m *Outgoing) bool {
			if m.AtMs < at.UnixMilli() {
				return true
			}
			position = m.Position - 1
			return false
		})
	})
	return position, err
}

func scanOutbox(r ledger.Reader, behind uint64, each func(*Outgoing) bool) error {
	return r.Scan(ledger.Notes, outboxKey(behind+1).ID, noteOutbox+"\x01", func(id string, v []byte) (bool, error) {
		m, err := decodeOutgoing(id, v)
		if err != nil {
			return false, err
		}
		return each(&m), nil
	})
}

func decodeOutgoing(id string, v []byte) (m Outgoing, err error) {
	if err = json.Unmarshal(v, &m); err == nil {
		_, err = fmt.Sscanf(id, noteOutbox+"\x00%016x", &m.Position)
	}
	if err != nil {
		return m, fmt.Errorf("row %q: %w", id, err)
	}
	return m, nil
}

// tickOutbox does what is due for the outbox: it announces what became of
// stock and the exceptions that are not of the fold, and deletes old messages.
func (h *Hub) tickOutbox(ctx context.Context) error {
	b, now := h.outbox, h.running()
	if b.started && now-b.looked < outboxEvery {
		return nil
	}
	b.looked, b.started = now, true
	if b.wanted.Load()&wantedEvents != 0 {
		if err := h.tellOfMachines(ctx); err != nil {
			return err
		}
	}
	for _, due := range []func(context.Context) error{h.announceStock, h.indexAllCarts, h.announceLastOnes} {
		if err := due(ctx); err != nil {
			return err
		}
	}
	if now-b.forgot >= time.Hour {
		if err := h.forgetLastOnes(ctx); err != nil {
			return err
		}
		b.forgot = now
	}
	if now-b.pruned < time.Minute {
		return nil
	}
	deleted, err := b.prune(ctx, now-outboxKeptFor)
	if err == nil && deleted < outboxRows {
		b.pruned = now
	}
	return err
}

// prune deletes some of the messages that were put down before a moment of
// running time.
func (b *outbox) prune(ctx context.Context, before time.Duration) (deleted int, err error) {
	var old []ledger.Row
	err = b.View(ctx, func(r ledger.Reader) error {
		old = nil
		return scanOutbox(r, 0, func(m *Outgoing) bool {
			if m.RanMs >= before.Milliseconds() {
				return false
			}
			old = append(old, ledger.Row{Key: outboxKey(m.Position)})
			return len(old) < outboxRows
		})
	})
	if err != nil || len(old) == 0 {
		return 0, err
	}
	return len(old), b.Driver.Update(ctx, func(tx ledger.Tx) error { return tx.Write(old) })
}

// RunningTime is for how long this database has been served; deadlines count in
// it, because no clock moves it.
func (h *Hub) RunningTime() time.Duration { return h.running() }

// Once runs a call that its sender may repeat; what was answered is kept by run
// in the transaction that makes it so.
func (h *Hub) Once(ctx context.Context, c protocol.Call, run func(keep func(ledger.Tx, protocol.Answer) error) (protocol.Answer, error)) (protocol.Answer, error) {
	return h.once(ctx, c, run)
}
