package webhooks

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"counterpart/protocol/ledger"
)

const (
	// parallelMax is how many messages one endpoint is sent at a time.
	parallelMax = 4
	// openMax bounds the messages that wait. Beyond it no further ones are begun:
	// they stay in the outbox, which is kept for 30 days.
	openMax = 1000
	// readMessages are read from the outbox at a time.
	readMessages = 100
	// troubleWait is how long a worker waits when the database refuses.
	troubleWait = time.Second
	// sweepEvery is how often dead letters that are too old are looked for.
	sweepEvery = time.Hour
)

// worker sends one endpoint its messages. What is not guarded by mu belongs to
// run alone.
type worker struct {
	s    *Sender
	stop func() // ends run and waits; s.mu guards it

	mu        sync.Mutex
	e         endpoint
	waiting   int
	lastError string

	next    uint64 // the last message that was looked at
	saved   uint64 // the cursor that is written down
	ahead   []Message
	open    map[uint64]*open
	known   map[uint64]*open   // rows behind the cursor that was loaded, until their messages are read again
	first   map[uint64]Message // being sent for the first time
	busy    map[string]int     // messages by key that are open or being sent
	sending int
	results chan result
	changed map[uint64]*open // rows to write; nil deletes
	died    []dead
	swept   time.Duration
}

// result is what became of one attempt.
type result struct {
	message  Message
	attempts int // failures, with this one
	answer   answer
}

func newWorker(s *Sender, e endpoint) *worker { return &worker{s: s, e: e, stop: func() {}} }

func (w *worker) endpoint() endpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.e
}

func (w *worker) set(e endpoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.e, w.lastError = e, ""
}

func (w *worker) document() Document {
	w.mu.Lock()
	defer w.mu.Unlock()
	doc := w.e.document()
	doc.Waiting = w.waiting
	if w.lastError != "" {
		doc.LastError = &w.lastError
	}
	return doc
}

// load reads how far the endpoint is.
func (w *worker) load(ctx context.Context) error {
	w.ahead, w.first, w.busy, w.changed, w.died, w.sending = nil, map[uint64]Message{}, map[string]int{}, map[uint64]*open{}, nil, 0
	w.results = make(chan result, parallelMax)
	err := w.s.o.Driver.View(ctx, func(r ledger.Reader) (err error) {
		w.saved, w.open, err = readProgress(r, w.e.ID)
		return err
	})
	w.next, w.known = w.saved, map[uint64]*open{}
	for position, o := range w.open {
		if position > w.saved {
			// What was on its way goes before it, and has no row.
			w.known[position] = o
			delete(w.open, position)
			continue
		}
		w.busy[o.Key]++
	}
	return err
}

// run sends until ctx ends or the endpoint is gone. What is on its way then is
// sent again at the next start.
func (w *worker) run(ctx context.Context) {
	log := w.s.o.Log.With("webhook", w.e.ID)
	for ctx.Err() == nil {
		err := w.load(ctx)
		if err == nil {
			err = w.work(ctx)
		}
		for ; w.sending > 0; w.sending-- {
			<-w.results
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		log.Error("webhooks wait, because the database refuses", "error", err)
		pause(ctx, troubleWait)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// work begins what may be begun, and writes down what came of it. It ends with
// nil when the endpoint is gone.
func (w *worker) work(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		grown := w.s.o.Grown()
		idle, err := w.fill(ctx)
		if err != nil {
			return err
		}
		if err := w.save(ctx); err != nil {
			return err
		}
		timer := time.NewTimer(w.untilDue(idle))
		select {
		case <-ctx.Done():
		case <-grown:
		case <-timer.C:
		case r := <-w.results:
			gone := w.done(r)
			for more := true; more; {
				select {
				case r := <-w.results:
					gone = w.done(r) || gone
				default:
					more = false
				}
			}
			if gone {
				timer.Stop()
				return w.pause(ctx)
			}
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// fill begins attempts while there is room: first of what waited long enough,
// then of what is new. idle says that there is nothing more to begin.
func (w *worker) fill(ctx context.Context) (idle bool, err error) {
	for w.sending < parallelMax {
		if o := w.due(); o != nil {
			if err := w.again(ctx, o); err != nil {
				return false, err
			}
			continue
		}
		m, err := w.read(ctx)
		if err != nil || m == nil {
			return true, err
		}
		w.ahead, w.next = w.ahead[1:], m.Position
		o := w.known[m.Position]
		delete(w.known, m.Position)
		switch {
		case o != nil:
			w.busy[m.Key]++
			w.open[m.Position] = o
		case !w.e.wants(m.Type):
		case w.busy[m.Key] > 0:
			w.busy[m.Key]++
			o = &open{Position: m.Position, Key: m.Key}
			w.open[m.Position], w.changed[m.Position] = o, o
		default:
			w.busy[m.Key]++
			w.first[m.Position] = *m
			w.send(ctx, *m, 0)
		}
	}
	return false, nil
}

// read is the next message, nil if there is none, or too many wait.
func (w *worker) read(ctx context.Context) (*Message, error) {
	if len(w.open) >= openMax {
		return nil, nil
	}
	if len(w.ahead) == 0 {
		var err error
		if w.ahead, err = w.s.o.Messages(ctx, w.next, readMessages); err != nil || len(w.ahead) == 0 {
			return nil, err
		}
	}
	return &w.ahead[0], nil
}

// eligible are the open messages that are the first of their key and are not
// being sent, in their order.
func (w *worker) eligible() (list []*open) {
	taken := map[string]bool{}
	for _, m := range w.first {
		taken[m.Key] = true
	}
	for _, position := range slices.Sorted(maps.Keys(w.open)) {
		o := w.open[position]
		if !taken[o.Key] && !o.sending {
			list = append(list, o)
		}
		taken[o.Key] = true
	}
	return list
}

// due is an open message that may be sent now.
func (w *worker) due() *open {
	if len(w.open) == 0 {
		return nil
	}
	now := w.s.o.Running().Milliseconds()
	for _, o := range w.eligible() {
		if o.DueMs <= now {
			return o
		}
	}
	return nil
}

// untilDue is how long there is nothing to do unless something happens.
func (w *worker) untilDue(idle bool) time.Duration {
	d := sweepEvery
	if !idle {
		return d // The next result makes room.
	}
	now := w.s.o.Running()
	for _, o := range w.eligible() {
		d = min(d, time.Duration(o.DueMs)*time.Millisecond-now)
	}
	return max(d, time.Millisecond)
}

// again sends an open message once more. One that the outbox no longer has is
// given up.
func (w *worker) again(ctx context.Context, o *open) error {
	list, err := w.s.o.Messages(ctx, o.Position-1, 1)
	if err != nil {
		return err
	}
	if len(list) == 0 || list[0].Position != o.Position {
		w.s.o.Log.Warn("a message is older than the outbox keeps them, and is given up", "webhook", w.e.ID, "position", o.Position)
		w.close(o)
		return nil
	}
	o.sending = true
	w.send(ctx, list[0], o.Attempts)
	return nil
}

// close forgets an open message.
func (w *worker) close(o *open) {
	delete(w.open, o.Position)
	w.changed[o.Position] = nil
	w.free(o.Key)
}

func (w *worker) free(key string) {
	if w.busy[key]--; w.busy[key] <= 0 {
		delete(w.busy, key)
	}
}

// send begins an attempt.
func (w *worker) send(ctx context.Context, m Message, failures int) {
	w.sending++
	e, results := w.endpoint(), w.results
	go func() { results <- result{message: m, attempts: failures + 1, answer: w.s.deliver(ctx, &e, &m)} }()
}

// done notes what became of an attempt, and tells whether the endpoint is gone.
func (w *worker) done(r result) (gone bool) {
	w.sending--
	position := r.message.Position
	o := w.open[position]
	if _, ok := w.first[position]; ok {
		delete(w.first, position)
		o = &open{Position: position, Key: r.message.Key}
		w.open[position] = o
		if r.answer.err == "" {
			delete(w.open, position)
			w.free(o.Key)
			w.note("")
			return false
		}
	}
	o.sending = false
	w.note(r.answer.err)
	if r.answer.err == "" {
		w.close(o)
		return false
	}
	o.Attempts, o.Error = r.attempts, r.answer.err
	now := w.s.o.Running()
	delay, ok := wait(o.Attempts, r.answer.after, w.share())
	switch {
	case r.answer.gone:
		o.DueMs = now.Milliseconds()
	case ok:
		o.DueMs = (now + delay).Milliseconds()
	default:
		w.s.o.Log.Error("a message failed for the last time and is a dead letter", "webhook", w.e.ID, "message", r.message.ID, "error", o.Error)
		w.died = append(w.died, dead{
			Position: position, ID: r.message.ID, Type: r.message.Type, Key: r.message.Key, Attempts: o.Attempts, Error: o.Error,
			AtMs: r.message.AtMs, DeadMs: w.s.o.Now().UnixMilli(), RanMs: now.Milliseconds(),
		})
		w.close(o)
		return false
	}
	w.changed[position] = o
	return r.answer.gone
}

func (w *worker) note(failure string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastError = failure
}

// share is a random number from 0 to 1.
func (w *worker) share() float64 {
	var b [8]byte
	w.s.o.Random(b[:])
	return float64(binary.BigEndian.Uint64(b[:])>>11) / (1 << 53)
}

// cursor is up to where every message is done or has a row.
func (w *worker) cursor() uint64 {
	cursor := w.next
	for position := range w.first {
		cursor = min(cursor, position-1)
	}
	return cursor
}

// save writes down what changed, in one transaction.
func (w *worker) save(ctx context.Context) error {
	w.mu.Lock()
	w.waiting = len(w.open)
	w.mu.Unlock()
	cursor, now := w.cursor(), w.s.o.Running()
	sweep := now-w.swept >= sweepEvery || w.swept == 0
	if cursor == w.saved && len(w.changed) == 0 && len(w.died) == 0 && !sweep {
		return nil
	}
	err := w.s.o.Driver.Update(ctx, func(tx ledger.Tx) error {
		if sweep {
			if err := w.sweep(tx, now-deadKeptFor); err != nil {
				return err
			}
		}
		return w.write(tx, cursor)
	})
	if err != nil {
		return err
	}
	w.saved, w.died, w.swept = cursor, nil, now
	clear(w.changed)
	return nil
}

func (w *worker) write(tx ledger.Tx, cursor uint64) error {
	for _, position := range slices.Sorted(maps.Keys(w.changed)) {
		var v []byte
		if o := w.changed[position]; o != nil {
			var err error
			if v, err = json.Marshal(o); err != nil {
				return err
			}
		}
		if err := ledger.SetNote(tx, v, rowName(noteOpen, w.e.ID, position)...); err != nil {
			return err
		}
	}
	for i := range w.died {
		v, err := json.Marshal(&w.died[i])
		if err != nil {
			return err
		}
		if err := ledger.SetNote(tx, v, rowName(noteDead, w.e.ID, w.died[i].Position)...); err != nil {
			return err
		}
	}
	return writeCursor(tx, w.e.ID, cursor)
}

// sweep deletes dead letters that died before a moment of running time.
func (w *worker) sweep(tx ledger.Tx, before time.Duration) error {
	var rows []ledger.Row
	err := scanRows(tx, noteDead, w.e.ID, 0, func(position uint64, v []byte) (bool, error) {
		d, err := decodeDead(position, v)
		if err != nil {
			return false, err
		}
		if d.RanMs < before.Milliseconds() {
			rows = append(rows, ledger.Row{Key: ledger.Key{Table: ledger.Notes, ID: noteDead + "\x00" + w.e.ID + "\x00" + positionText(position)}})
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return tx.Write(rows)
}

// pause ends the sending to an endpoint that says that it is gone.
func (w *worker) pause(ctx context.Context) error {
	e := w.endpoint()
	e.Paused = true
	if err := w.save(ctx); err != nil {
		return err
	}
	if err := w.s.o.Driver.Update(ctx, func(tx ledger.Tx) error { return writeEndpoint(tx, e) }); err != nil {
		return err
	}
	w.mu.Lock()
	w.e = e
	w.mu.Unlock()
	w.s.o.Log.Warn("the endpoint answered 410 Gone and is paused; replay wakes it", "webhook", e.ID)
	return nil
}
