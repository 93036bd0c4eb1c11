package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"counterpart/protocol"
	"counterpart/test/process"
	"counterpart/test/retail"
)

// How often shoppers do what.
const (
	paidOneIn    = 2
	nearOneIn    = 4 // let the hub choose the store
	shippedOneIn = 4 // of those: sent to them, if need be from several stores
	partialOneIn = 2 // take what there is
	cancelOneIn  = 12
	awayOneIn    = 25 // never come
	// How often clerks do what.
	undoOneIn     = 30
	overlookOneIn = 25
	rejectOneIn   = 40
	// cancelAfterMax is after how many more orders of the store a shopper cancels
	// at the latest.
	cancelAfterMax = 12
)

// A fate is what a shopper does with an order.
type fate int

const (
	comes fate = iota
	cancels
	staysAway
)

// orderDocument is the part of an order's document that the run looks at.
type orderDocument struct {
	ID          string  `json:"id"`
	Store       string  `json:"store"`
	HubState    string  `json:"hub_state"`
	StoreState  *string `json:"store_state"`
	PickupCode  *string `json:"pickup_code"`
	PickupToken *string `json:"pickup_token"`
	ReceiptNo   *string `json:"receipt_no"`
	Fulfilments []struct {
		N int `json:"fulfilment"`
	} `json:"fulfilments"`
	Lines   []orderLine `json:"lines"`
	Payment struct {
		Status string `json:"status"`
	} `json:"payment"`
}

// orderLine is one line of an order's document.
type orderLine struct {
	Line      int               `json:"line"`
	SKU       string            `json:"sku"`
	Quantity  protocol.Quantity `json:"qty"`
	Picked    protocol.Quantity `json:"picked_qty"`
	UnitPrice int64             `json:"unit_price_minor"`
}

// storeState is what the store has done.
func (d *orderDocument) storeState() string {
	if d.StoreState == nil {
		return "received"
	}
	return *d.StoreState
}

// part names the part that an agent shows.
func (d *orderDocument) part() partID { return partID{d.ID, d.Fulfilments[0].N} }

// An order is what its shopper knows of it, and what was handed over.
type order struct {
	id, code, token string
	paid, shipped   bool
	sourced         bool // the hub chose the store
	fate            fate
	undoes          bool             // a clerk changes their mind once
	overlooks       bool             // a clerk does not find all that is there
	rejects         bool             // the store turns it down
	wanted          map[string]int64 // pieces that were promised

	mu     sync.Mutex // parts may be in several stores
	handed map[string]int64
	undone bool
}

// changesMind tells whether a clerk undoes a pick, which happens once.
func (o *order) changesMind() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.undoes || o.undone {
		return false
	}
	o.undone = true
	return true
}

// collected is how many pieces the shopper has.
func (o *order) collected() (pieces int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range o.handed {
		pieces += n
	}
	return pieces
}

// missing tells whether the shopper did not get all of it.
func (o *order) missing() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for sku, pieces := range o.wanted {
		if o.handed[sku] < pieces {
			return true
		}
	}
	return false
}

// The town is all orders that shoppers know of.
type town struct {
	mu     sync.Mutex
	orders map[string]*order
	tally  townTally
}

type townTally struct {
	placed, sourced, short, again, canceled, cancelTooLate int
	piecesAsked, piecesPromised                            int64
}

func newTown() *town { return &town{orders: map[string]*order{}} }

func (t *town) find(id string) *order {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.orders[id]
}

func (t *town) count(change func(*townTally)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.tally)
}

// all lists the orders by their ids.
func (t *town) all() (list []*order) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range keys(t.orders, map[string]int(nil)) {
		list = append(list, t.orders[id])
	}
	return list
}

func (t *town) ofFate(f fate) []*order {
	return slices.DeleteFunc(t.all(), func(o *order) bool { return o.fate != f })
}

// A shopper stands for all who order from one store, one after the other.
type shopper struct {
	live   *live
	store  string
	random *rand.Rand
	leave  []leaving
}

// A leaving is an order that is to be canceled, after how many more.
type leaving struct {
	order *order
	after int
}

func (s *shopper) oneIn(n int) bool { return s.random.IntN(n) == 0 }

// run orders what documents want online.
func (s *shopper) run(ctx context.Context, documents <-chan document) error {
	for d := range documents {
		if len(d.online) > 0 {
			if err := s.order(ctx, d); err != nil {
				return fmt.Errorf("order of document %s: %w", d.id, err)
			}
		}
		s.live.done.Add(1)
		for i := range s.leave {
			s.leave[i].after--
		}
		for len(s.leave) > 0 && s.leave[0].after <= 0 {
			if err := s.live.cancel(ctx, s.leave[0].order); err != nil {
				return err
			}
			s.leave = s.leave[1:]
		}
	}
	for _, l := range s.leave {
		if err := s.live.cancel(ctx, l.order); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// order orders goods, and once more what is left of them where there is too
// little.
func (s *shopper) order(ctx context.Context, d document) error {
	o := &order{
		paid: s.oneIn(paidOneIn), sourced: s.oneIn(nearOneIn), undoes: s.oneIn(undoOneIn), overlooks: s.oneIn(overlookOneIn), rejects: s.oneIn(rejectOneIn),
		wanted: map[string]int64{}, handed: map[string]int64{},
	}
	switch {
	case s.oneIn(cancelOneIn):
		o.fate = cancels
	case s.oneIn(awayOneIn):
		o.fate = staysAway
	}
	o.shipped = o.sourced && s.oneIn(shippedOneIn)
	o.paid = o.paid || o.shipped
	partial := s.oneIn(partialOneIn)
	goods := d.online
	for _, g := range goods {
		s.live.town.count(func(t *townTally) { t.piecesAsked += g.pieces })
	}
	for try := range 2 {
		var doc orderDocument
		err := ask(ctx, s.live.fleet.Hub.Client, "/v1/orders", fmt.Sprint("live-order-", d.id, "-", try), s.request(o, goods, partial || try > 0), &doc)
		var refusal *process.Refusal
		switch {
		case err == nil:
			s.keep(o, &doc)
			return nil
		case !errors.As(err, &refusal) || refusal.Problem().Code != "short":
			return err
		}
		if goods, err = left(goods, refusal.Body); err != nil {
			return err
		}
		s.live.town.count(func(t *townTally) {
			t.short++
			if try == 0 && len(goods) > 0 {
				t.again++
			}
		})
		if len(goods) == 0 {
			return nil
		}
	}
	return nil
}

func (s *shopper) request(o *order, goods []goods, partial bool) map[string]any {
	payment := map[string]any{"status": "due"}
	if o.paid {
		payment = map[string]any{"status": "paid", "reference": "p1"}
	}
	lines := make([]map[string]any, len(goods))
	for i, g := range goods {
		lines[i] = map[string]any{"code": g.sku, "qty": g.pieces}
	}
	body := map[string]any{
		"method": "in_store", "payment": payment, "partial": partial, "lines": lines, "shopper": map[string]any{"name": "Ayla", "phone": "+994501234567"},
	}
	if !o.sourced {
		body["store"] = s.store
		return body
	}
	at := slices.IndexFunc(s.live.in.shops, func(shop retail.Store) bool { return shop.ID == s.store })
	body["near"] = map[string]any{"lat": s.live.in.shops[at].Latitude, "lon": s.live.in.shops[at].Longitude}
	body["sourcing"] = "nearest"
	if o.shipped {
		body["method"], body["sourcing"] = "ship_from_store", "fewest_parcels"
	}
	return body
}

// left is what a refusal says that there is of the goods.
func left(wanted []goods, refusal []byte) (some []goods, err error) {
	var said struct {
		Short []struct {
			Line       int               `json:"line"`
			Promisable protocol.Quantity `json:"promisable"`
		} `json:"short"`
	}
	if err := json.Unmarshal(refusal, &said); err != nil || len(said.Short) == 0 {
		return nil, errors.Join(fmt.Errorf("a refusal names no short line: %s", refusal), err)
	}
	some = slices.Clone(wanted)
	for _, l := range said.Short {
		some[l.Line-1].pieces = min(some[l.Line-1].pieces, int64(l.Promisable/piece))
	}
	return slices.DeleteFunc(some, func(g goods) bool { return g.pieces <= 0 }), nil
}

// keep files an order that was accepted.
func (s *shopper) keep(o *order, doc *orderDocument) {
	o.id = doc.ID
	if doc.PickupCode != nil && doc.PickupToken != nil {
		o.code, o.token = *doc.PickupCode, *doc.PickupToken
	}
	promised := int64(0)
	for _, l := range doc.Lines {
		o.wanted[l.SKU] += int64(l.Quantity / piece)
		promised += int64(l.Quantity / piece)
	}
	if o.fate == cancels {
		s.leave = append(s.leave, leaving{o, 1 + s.random.IntN(cancelAfterMax)})
		slices.SortStableFunc(s.leave, func(a, b leaving) int { return a.after - b.after })
	}
	t := s.live.town
	t.mu.Lock()
	defer t.mu.Unlock()
	t.orders[o.id] = o
	t.tally.placed++
	t.tally.piecesPromised += promised
	if o.sourced {
		t.tally.sourced++
	}
}

// cancel cancels an order, unless it is too late.
func (l *live) cancel(ctx context.Context, o *order) error {
	err := ask(ctx, l.fleet.Hub.Client, "/v1/orders/"+o.id+"/cancel", "live-cancel-"+o.id, map[string]any{"reason": "changed my mind"}, nil)
	late := conflicts(err)
	if err != nil && !late {
		return err
	}
	l.town.count(func(t *townTally) {
		if late {
			t.cancelTooLate++
		} else {
			t.canceled++
		}
	})
	return nil
}

// conflicts tells whether a register did not allow what was asked for.
func conflicts(err error) bool {
	var refusal *process.Refusal
	return errors.As(err, &refusal) && refusal.Problem().Code == "conflict"
}

// A hook is the shop's program that the hub tells what becomes of orders.
type hook struct {
	server *http.Server
	url    string

	mu    sync.Mutex
	seen  map[string]bool           // message ids
	words map[string]int            // messages by type
	asked map[string]map[string]int // messages by order and type
	due   []message                 // refunds that nobody has paid back
	wake  chan struct{}
	paid  map[string]int // refunds by order
}

type message struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Subject string `json:"subject"`
}

// listen starts a hook.
func listen() (*hook, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &hook{
		url: "http://" + listener.Addr().String() + "/hook", seen: map[string]bool{}, words: map[string]int{},
		asked: map[string]map[string]int{}, wake: make(chan struct{}, 1), paid: map[string]int{},
	}
	h.server = &http.Server{Handler: http.HandlerFunc(h.take), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = h.server.Serve(listener) }() // It ends when the hook is closed.
	return h, nil
}

// Close ends it.
func (h *hook) Close() error { return h.server.Close() }

func (h *hook) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var m message
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	if err != nil || m.ID == "" {
		http.Error(w, "no message", http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen[m.ID] {
		return
	}
	h.seen[m.ID] = true
	h.words[m.Type]++
	if h.asked[m.Subject] == nil {
		h.asked[m.Subject] = map[string]int{}
	}
	h.asked[m.Subject][m.Type]++
	if m.Type == "order.refund_requested" {
		h.due = append(h.due, m)
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
}

// told is how many messages of a type there were about an order.
func (h *hook) told(order, word string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[order][word]
}

func (h *hook) paidBack(order string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.paid[order] > 0
}

// payBack pays back whatever the hub asks for, until ctx ends.
func (l *live) payBack(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.hook.wake:
		}
		l.hook.mu.Lock()
		due := l.hook.due
		l.hook.due = nil
		l.hook.mu.Unlock()
		for _, m := range due {
			err := ask(ctx, l.fleet.Hub.Client, "/v1/orders/"+m.Subject+"/refund", "live-refund-"+m.ID, map[string]any{"reference": m.ID}, nil)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil && !conflicts(err):
				return err
			case err == nil:
				l.hook.mu.Lock()
				l.hook.paid[m.Subject]++
				l.hook.mu.Unlock()
			}
		}
	}
}
