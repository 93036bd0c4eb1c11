// Package webhooks tells a shop's programs what happened: it sends the messages
// of the hub's outbox to endpoints, signed as Standard Webhooks says, each at
// least once and under one id, the messages of one order in their order.
//
// Each endpoint has a worker of its own, so that a slow one delays no other.
// What was delivered, what waits and what failed for the last time stands in
// the database, and waiting is counted in the hub's running time.
package webhooks

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Message is a message of the outbox.
type Message struct {
	Position uint64
	ID       string
	Type     string
	Key      string // messages of one key are sent in their order
	AtMs     int64
	RanMs    int64
	Body     json.RawMessage
}

// Options are what Open needs.
type Options struct {
	Driver ledger.Driver
	// Messages lists those behind a position, Before finds the position behind
	// which those since a moment are, Head is the last position.
	Messages func(ctx context.Context, behind uint64, limit int) ([]Message, error)
	Before   func(context.Context, time.Time) (uint64, error)
	Head     func(ledger.Reader) (uint64, error)
	// Grown returns a channel that is closed when there are more messages.
	Grown func() <-chan struct{}
	// Want is told the groups of types that anybody wants.
	Want func(context.Context, Groups) error
	// Types lists the types of all messages.
	Types []string
	// Once runs a call that its sender may repeat.
	Once func(context.Context, protocol.Call, func(keep func(ledger.Tx, protocol.Answer) error) (protocol.Answer, error)) (protocol.Answer, error)
	// Now is the wall clock, Running the hub's running time.
	Now     func() time.Time
	Running func() time.Duration
	// Random fills its argument with unpredictable bytes.
	Random func([]byte)
	// AllowPrivate allows addresses that are not of the public internet,
	// AllowHTTP those without TLS.
	AllowPrivate, AllowHTTP bool
	Log                     *slog.Logger
}

// Groups are the types of messages as they cost something to be told of: those about
// stock, those about carts, and all others.
type Groups struct{ Events, Stock, Carts bool }

// Sender sends messages to endpoints. It is safe for concurrent use.
type Sender struct {
	o      Options
	rules  rules
	client *http.Client

	changing sync.Mutex // held while endpoints come, go or are rewound
	mu       sync.Mutex
	workers  map[string]*worker
	ctx      context.Context // of Run; nil before
	running  sync.WaitGroup
}

// Open reads which endpoints there are. Run begins to send.
func Open(ctx context.Context, o Options) (*Sender, error) {
	s := &Sender{o: o, rules: rules{allowPrivate: o.AllowPrivate, allowHTTP: o.AllowHTTP}, workers: map[string]*worker{}}
	s.client = s.rules.client()
	err := o.Driver.View(ctx, func(r ledger.Reader) error {
		return r.Scan(ledger.Notes, noteEndpoint+"\x00", noteEndpoint+"\x01", func(_ string, v []byte) (bool, error) {
			e, err := decodeEndpoint(v)
			if err == nil {
				s.workers[e.ID] = newWorker(s, e)
			}
			return err == nil, err
		})
	})
	if err != nil {
		return nil, err
	}
	return s, s.want(ctx, nil)
}

// want says which groups of types the endpoints, and one to come, want.
func (s *Sender) want(ctx context.Context, more []string) error {
	var g Groups
	note := func(patterns []string) {
		for _, kind := range s.o.Types {
			if slices.ContainsFunc(patterns, func(p string) bool { return matches(p, kind) }) {
				isStock, isCart := strings.HasPrefix(kind, "stock."), strings.HasPrefix(kind, "cart.")
				g = Groups{Events: g.Events || !isStock && !isCart, Stock: g.Stock || isStock, Carts: g.Carts || isCart}
			}
		}
	}
	for _, w := range s.all() {
		note(w.endpoint().Events)
	}
	note(more)
	return s.o.Want(ctx, g)
}

// Run sends until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	s.mu.Lock()
	s.ctx = ctx
	for _, w := range s.workers {
		s.start(w)
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.ctx = nil
	s.mu.Unlock()
	s.running.Wait()
	s.client.CloseIdleConnections()
	return nil
}

// start lets a worker work; s.mu is held.
func (s *Sender) start(w *worker) {
	if s.ctx == nil || w.endpoint().Paused {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan struct{})
	w.stop = func() {
		cancel()
		<-done
	}
	s.running.Go(func() {
		defer close(done)
		defer cancel()
		w.run(ctx)
	})
}

// halt ends a worker's work and waits for that.
func (s *Sender) halt(w *worker) {
	s.mu.Lock()
	stop := w.stop
	w.stop = func() {}
	s.mu.Unlock()
	stop()
}

func (s *Sender) all() []*worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*worker, 0, len(s.workers))
	for _, id := range slices.Sorted(maps.Keys(s.workers)) {
		list = append(list, s.workers[id])
	}
	return list
}

func (s *Sender) find(id string) (*worker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.workers[id]; w != nil {
		return w, nil
	}
	return nil, protocol.Refuse(protocol.NotFound, "There is no such webhook. Nothing was recorded. GET /v1/webhooks lists them.")
}

// List shows the endpoints.
func (s *Sender) List(_ context.Context, p Page) (List[Document], error) {
	var rows []Document
	for _, w := range s.all() {
		if doc := w.document(); doc.ID > p.After {
			rows = append(rows, doc)
		}
	}
	return cut(p, rows, func(d *Document) string { return d.ID }), nil
}

func cut[T any](p Page, rows []T, id func(*T) string) List[T] {
	list := List[T]{Items: rows}
	if len(rows) > p.Limit {
		last := id(&rows[p.Limit-1])
		list.Items, list.Next = rows[:p.Limit], &last
	}
	if list.Items == nil {
		list.Items = []T{}
	}
	return list
}

// Add makes an endpoint, which is sent what happens from now on, and answers 201
// with it.
func (s *Sender) Add(ctx context.Context, c protocol.Call, r Request) (protocol.Answer, error) {
	return s.o.Once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		if err := checkEvents(r.Events, s.o.Types); err != nil {
			return answer, err
		}
		e := endpoint{URL: r.URL, Events: r.Events, CreatedMs: s.o.Now().UnixMilli()}
		if r.Secret != "" {
			if e.Secret, err = parseSecret(r.Secret); err != nil {
				return answer, err
			}
		}
		if err := s.rules.checkURL(ctx, r.URL); err != nil {
			return answer, err
		}
		return s.add(ctx, e, keep)
	})
}

func (s *Sender) add(ctx context.Context, e endpoint, keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if len(s.all()) >= endpointsMax {
		return answer, protocol.Refuse(protocol.Conflict, fmt.Sprintf("There are %d webhooks, and no more can be kept. Nothing was recorded. Delete one that is not in use.", endpointsMax))
	}
	id := make([]byte, 8)
	s.o.Random(id)
	e.ID = "wh_" + hex.EncodeToString(id)
	doc := e.document()
	if len(e.Secret) == 0 {
		e.Secret = make([]byte, secretBytes)
		s.o.Random(e.Secret)
		text := e.Secret.text()
		doc.Secret = &text
	}
	if answer, err = answerOf(http.StatusCreated, doc); err != nil {
		return answer, err
	}
	// First, so that nothing is missed that happens when the endpoint is there.
	if err := s.want(ctx, e.Events); err != nil {
		return answer, err
	}
	err = s.o.Driver.Update(ctx, func(tx ledger.Tx) error {
		head, err := s.o.Head(tx)
		if err != nil {
			return err
		}
		return errors.Join(writeEndpoint(tx, e), writeCursor(tx, e.ID, head), keep(tx, answer))
	})
	if err != nil {
		return answer, errors.Join(err, s.want(ctx, nil))
	}
	w := newWorker(s, e)
	s.mu.Lock()
	s.workers[e.ID] = w
	s.start(w)
	s.mu.Unlock()
	return answer, nil
}

func answerOf(status int, document any) (protocol.Answer, error) {
	body, err := json.Marshal(document)
	return protocol.Answer{Status: status, Body: body}, err
}

func writeEndpoint(tx ledger.Tx, e endpoint) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return ledger.SetNote(tx, b, noteEndpoint, e.ID)
}

// Drop deletes an endpoint with all that is known of it.
func (s *Sender) Drop(ctx context.Context, id string) (Document, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	w, err := s.find(id)
	if err != nil {
		return Document{}, err
	}
	s.halt(w)
	err = s.o.Driver.Update(ctx, func(tx ledger.Tx) error {
		gone := func(tx ledger.Tx, endpoint string, _ uint64) error {
			return ledger.SetNote(tx, nil, noteCursor, endpoint)
		}
		return errors.Join(ledger.SetNote(tx, nil, noteEndpoint, id), forget(tx, id, 0, gone))
	})
	s.mu.Lock()
	if err != nil {
		s.start(w)
	} else {
		delete(s.workers, id)
	}
	s.mu.Unlock()
	if err != nil {
		return Document{}, err
	}
	return w.document(), s.want(ctx, nil)
}

// Replay sends an endpoint again what was put down since a moment, under the
// same ids, and wakes one that is paused.
func (s *Sender) Replay(ctx context.Context, c protocol.Call, id string, r ReplayRequest) (protocol.Answer, error) {
	return s.o.Once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		from, err := time.Parse(time.RFC3339, r.From)
		if err != nil {
			return answer, protocol.OutOfRange("from", "", "not a time as in 2026-11-21T18:00:00+00:00")
		}
		s.changing.Lock()
		defer s.changing.Unlock()
		w, err := s.find(id)
		if err != nil {
			return answer, err
		}
		position, err := s.o.Before(ctx, from)
		if err != nil {
			return answer, err
		}
		s.halt(w)
		e := w.endpoint()
		e.Paused = false
		doc := e.document()
		if answer, err = answerOf(http.StatusOK, doc); err == nil {
			err = s.o.Driver.Update(ctx, func(tx ledger.Tx) error {
				return errors.Join(writeEndpoint(tx, e), rewind(tx, id, position), keep(tx, answer))
			})
		}
		if err == nil {
			w.set(e)
		}
		s.mu.Lock()
		s.start(w)
		s.mu.Unlock()
		return answer, err
	})
}

// Dead lists the dead letters of an endpoint, the oldest first.
func (s *Sender) Dead(ctx context.Context, id string, p Page) (List[DeadDocument], error) {
	if _, err := s.find(id); err != nil {
		return List[DeadDocument]{}, err
	}
	var behind uint64
	if p.After != "" {
		if _, err := fmt.Sscanf(p.After, "%016x", &behind); err != nil {
			return List[DeadDocument]{}, protocol.OutOfRange("after", "", "not where an earlier page ended")
		}
	}
	var rows []dead
	err := s.o.Driver.View(ctx, func(r ledger.Reader) error {
		return scanRows(r, noteDead, id, behind, func(position uint64, v []byte) (bool, error) {
			d, err := decodeDead(position, v)
			rows = append(rows, d)
			return len(rows) <= p.Limit, err
		})
	})
	page := cut(p, rows, func(d *dead) string { return positionText(d.Position) })
	list := List[DeadDocument]{Items: []DeadDocument{}, Next: page.Next}
	for i := range page.Items {
		list.Items = append(list.Items, page.Items[i].document())
	}
	return list, err
}
