// Package newcomer_test lets a new machine join a store with a long history. It
// must come to hold what the others hold without folding it all.
package newcomer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
	"counterpart/test/process"
)

const (
	store = "s1"
	items = 40
	// history is more than an agent folds event by event.
	history = 21_000
	// historyChunk is how many of its events one transaction takes.
	historyChunk = 3_000
	piece        = protocol.Quantity(1000)
	patience     = 3 * time.Minute
	askEvery     = 50 * time.Millisecond
)

func sku(i int) string { return fmt.Sprintf("SKU-%03d", i%items) }

// shop is a store with its hub.
type shop struct {
	t    *testing.T
	host *process.Host
	hub  *process.Hub
	keys int
}

func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t}
	var err error
	if s.host, err = process.Open(t.Context(), process.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.must(s.host.Close()) })
	s.hub, err = s.host.StartHub(t.Context(), "hub", "GBP")
	s.must(err)
	_, err = process.Load(t.Context(), s.hub, "stores", []map[string]any{{"id": store, "name": "High Street", "timezone": "Europe/London", "primary_agent": "a1"}})
	s.must(err)
	var rows []map[string]any
	for i := range items {
		rows = append(rows, map[string]any{"sku": sku(i), "name": "Item " + sku(i), "price_minor": 100})
	}
	_, err = process.Load(t.Context(), s.hub, "items", rows)
	s.must(err)
	return s
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) await(what string, ask func(context.Context) (string, error)) {
	s.t.Helper()
	ctx, cancel := context.WithTimeoutCause(s.t.Context(), patience, fmt.Errorf("%s: not within %s", what, patience))
	defer cancel()
	s.must(process.Await(ctx, askEvery, ask))
}

// agent starts an agent that reaches the hub's HTTP side at an address, and
// waits until it can sell.
func (s *shop) agent(id, hub string) *process.Agent {
	s.t.Helper()
	a, err := s.host.StartAgent(s.t.Context(), process.AgentOptions{Agent: id, Store: store, Hub: hub, MQTT: "mqtt://" + s.hub.Ready().MQTT})
	s.must(err)
	s.await(id+" can sell", func(ctx context.Context) (string, error) { return "", a.Selling(ctx) })
	return a
}

func (s *shop) post(a *process.Agent, path string, body any) (doc process.SaleDocument) {
	s.t.Helper()
	s.keys++
	r, err := process.JSON(http.MethodPost, path, fmt.Sprint("key-", s.keys), body)
	s.must(err)
	answer, err := a.Send(s.t.Context(), r)
	s.must(err)
	s.must(answer.Into(&doc))
	return doc
}

func (s *shop) sell(a *process.Agent, item int) process.SaleDocument {
	s.t.Helper()
	return s.post(a, "/v1/sales", process.Sale{Lines: []process.Line{{Code: sku(item), Quantity: piece}}, Tenders: []process.Tender{{Type: "card", Amount: 100}}})
}

func (s *shop) takeBack(a *process.Agent, receipt string) error {
	s.keys++
	r, err := process.JSON(http.MethodPost, "/v1/returns", fmt.Sprint("key-", s.keys), process.Return{
		ReceiptNo: &receipt, Lines: []process.Line{{Line: 1, Quantity: piece}}, Tenders: []process.Tender{{Type: "card", Amount: 100}},
	})
	if err != nil {
		return err
	}
	_, err = a.Send(s.t.Context(), r)
	return err
}

// settled waits until agents have sent and received everything.
func (s *shop) settled(agents ...*process.Agent) {
	s.t.Helper()
	for _, sending := range []bool{true, false} {
		for _, a := range agents {
			s.await(a.ID()+" has everything", func(ctx context.Context) (string, error) {
				status, err := a.Status(ctx)
				if err != nil || status.Link.State != "online" || status.Stream.Pending > 0 {
					return fmt.Sprintf("the link is %s, %d wait", status.Link.State, status.Stream.Pending), err
				}
				for _, f := range status.Feeds {
					if !sending && (f.State != "tail" || f.Behind > 0) {
						return fmt.Sprintf("feed %s is in state %s and %d behind", f.Feed, f.State, f.Behind), nil
					}
				}
				return "", nil
			})
		}
	}
}

// agree waits until hub and agents have the same stock, to the unit.
func (s *shop) agree(agents ...*process.Agent) {
	s.t.Helper()
	s.settled(agents...)
	for i := range items {
		s.await("all have as many of "+sku(i), func(ctx context.Context) (string, error) {
			levels, err := s.hub.Stock(ctx, store)
			want := levels[sku(i)].OnHand
			for _, a := range agents {
				got, levelErr := a.Level(ctx, sku(i))
				if err = errors.Join(err, levelErr); err == nil && got.OnHand != want {
					return fmt.Sprintf("%s has %d, the hub %d", a.ID(), got.OnHand, want), nil
				}
			}
			return "", err
		})
	}
}

// age gives a stopped agent a long history, written by the code that writes it
// in a shop: copies of its last sale.
func (s *shop) age(a *process.Agent, last process.SaleDocument) {
	s.t.Helper()
	db, err := bolt.Open(filepath.Join(a.Data(), "agent.db"), bolt.Options{Kind: "agent", Owner: store + "/" + a.ID()})
	s.must(err)
	defer func() { s.must(db.Close()) }()
	o := protocol.Origin{Store: store, Agent: protocol.AgentID(a.ID())}
	o.Inc, err = protocol.ParseInc(last.Inc)
	s.must(err)
	for from := 0; from < history; from += historyChunk {
		s.must(db.Update(s.t.Context(), func(tx ledger.Tx) error {
			record, ok, err := ledger.ReadRecord(tx, protocol.EventID{Inc: o.Inc, Seq: protocol.Seq(last.Seq)})
			if err != nil || !ok {
				return errors.Join(err, errors.New("the last sale is not in the log"))
			}
			for i := from; i < from+historyChunk; i++ {
				event, err := protocol.DecodeEvent(record.Body)
				if err != nil {
					return err
				}
				event.Sale.Number += uint64(i + 1)
				event.Sale.Lines[0].Item.SKU, event.Moves[0].SKU = protocol.SKU(sku(i)), protocol.SKU(sku(i))
				if _, err := ledger.Log(tx, o, record.Clock, event); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// door is the hub's HTTP side over a line on which the first answers with the
// store's state break off.
type door struct {
	*httptest.Server
	hub    string
	breaks int           // how many answers break off
	open   chan struct{} // closed when states may pass

	mu     sync.Mutex
	ranges []string // of the requests for the state
	whole  int      // answers that were passed on whole
}

func newDoor(t *testing.T, hub string, breaks int) *door {
	d := &door{hub: "http://" + hub, breaks: breaks, open: make(chan struct{})}
	d.Server = httptest.NewServer(http.HandlerFunc(d.serve))
	t.Cleanup(d.Close)
	return d
}

func (d *door) serve(w http.ResponseWriter, r *http.Request) {
	state := strings.HasPrefix(r.URL.Path, "/v1/snapshots/peer/")
	if state {
		select {
		case <-d.open:
		case <-r.Context().Done():
			return
		}
	}
	ask, err := http.NewRequestWithContext(r.Context(), r.Method, d.hub+r.URL.Path, nil)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	ask.Header = r.Header.Clone()
	answer, err := http.DefaultTransport.RoundTrip(ask)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer answer.Body.Close()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	if state && d.breaksOff(r.Header.Get("Range")) {
		_, _ = io.CopyN(w, answer.Body, answer.ContentLength/2)
		panic(http.ErrAbortHandler)
	}
	_, _ = io.Copy(w, answer.Body) // a broken line is the agent's to notice
}

func (d *door) breaksOff(asked string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ranges = append(d.ranges, asked)
	if len(d.ranges) > d.breaks {
		d.whole++
		return false
	}
	return true
}

// TestI11_NewcomerAgreesToTheUnit lets a machine join a store with a long
// history. It sells before it knows any of that, gets the state over a line that
// breaks, and then holds what the others hold, its own sales included; receipts
// of before can be taken back at it, once.
func TestI11_NewcomerAgreesToTheUnit(t *testing.T) {
	s := openShop(t)
	first := s.agent("a1", "http://"+s.hub.Ready().HTTP)
	last := s.sell(first, 0)
	s.must(first.Stop())
	s.age(first, last)
	s.must(first.Restart(t.Context()))
	recent := s.sell(first, 7)
	s.post(first, "/v1/stock/movements", process.Movement{Type: "adjustment", Reason: "found", Lines: []process.MovementLine{{Code: sku(3), Quantity: 5 * piece}}})
	s.settled(first)

	line := newDoor(t, s.hub.Ready().HTTP, 3)
	second := s.agent("a2", line.URL)
	for range 5 {
		s.sell(second, 9)
	}
	close(line.open)
	s.agree(first, second)
	line.mu.Lock()
	ranges, whole := line.ranges, line.whole
	line.mu.Unlock()
	if len(ranges) != 4 || whole != 1 || ranges[0] != "" {
		t.Errorf("the state was asked for with ranges %q, and came whole %d times", ranges, whole)
	}
	for _, r := range ranges[1:] {
		if !strings.HasPrefix(r, "bytes=") || strings.HasPrefix(r, "bytes=0-") {
			t.Errorf("after the line broke the state was asked for from %q", r)
		}
	}

	s.must(s.takeBack(second, recent.ReceiptNo))
	var refusal *process.Refusal
	if err := s.takeBack(second, recent.ReceiptNo); !errors.As(err, &refusal) {
		t.Errorf("the receipt was taken back twice: %v", err)
	}
	s.sell(first, 7)
	s.sell(second, 3)
	s.must(second.Crash(t.Context()))
	s.agree(first, second)
	for _, a := range []*process.Agent{first, second} {
		s.must(a.Stop())
		s.must(a.Verify(t.Context()))
	}
}
