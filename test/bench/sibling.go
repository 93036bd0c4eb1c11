package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"counterpart/test/bench/floor"
	"counterpart/test/process"
	"counterpart/test/retail"
)

const (
	// siblingPace is the time between two sales: fifty in a second.
	siblingPace = 20 * time.Millisecond
	// siblingBlocks is how often a round changes between ours and the floor.
	siblingBlocks = 4
	// siblingPatience bounds how long a sale may take to the sibling.
	siblingPatience = time.Minute
)

// sibling measures how long a sale takes from one agent through the hub into
// the database of another agent of the store.
type sibling struct {
	options
	host *process.Host

	items []retail.Item
	hub   *process.Hub
	a, b  *process.Agent
	seen  *follower
	sold  int

	broker           *mosquitto // nil where there is none
	source, hop, end *worker
}

// open starts both sides; they stay up, and the rounds use them in turns. The
// agents speak to the hub without a proxy between.
func (s *sibling) open(ctx context.Context) error {
	var err error
	if s.items, err = retail.Items(1, s.options.items); err != nil {
		return err
	}
	if s.hub, err = s.host.StartHub(ctx, "hub-sibling", ""); err != nil {
		return err
	}
	stores := retail.Stores(1, 1)
	stores[0].PrimaryAgent = "c1"
	if _, err := process.Load(ctx, s.hub, "stores", stores); err != nil {
		return err
	}
	if _, err := process.Load(ctx, s.hub, "taxes", retail.Taxes()); err != nil {
		return err
	}
	if _, err := process.Load(ctx, s.hub, "items", s.items); err != nil {
		return err
	}
	for name, to := range map[string]**process.Agent{"c1": &s.a, "c2": &s.b} {
		*to, err = s.host.StartAgent(ctx, process.AgentOptions{Agent: name, Store: stores[0].ID, Hub: "http://" + s.hub.Ready().HTTP})
		if err != nil {
			return err
		}
		waiting, cancel := context.WithTimeoutCause(ctx, settlePatience, fmt.Errorf("%s cannot sell after %s", name, settlePatience))
		err = process.Await(waiting, askEvery, func(ctx context.Context) (string, error) { return "", (*to).Selling(ctx) })
		cancel()
		if err != nil {
			return err
		}
	}
	if s.seen, err = follow(ctx, s.b, "peer/"+stores[0].ID); err != nil {
		return err
	}
	return s.openFloor(ctx)
}

func (s *sibling) openFloor(ctx context.Context) (err error) {
	s.broker, err = startMosquitto(ctx, s.host.Dir())
	if errors.Is(err, errNoMosquitto) {
		return nil
	}
	if err != nil {
		return err
	}
	s.host.Own(s.broker)
	for _, w := range []struct {
		to   **worker
		role string
		args []string
	}{
		{&s.end, "relay", []string{"-from", "floor/down", "-n", strconv.Itoa(s.block())}},
		{&s.hop, "relay", []string{"-from", "floor/up", "-to", "floor/down"}},
		{&s.source, "source", []string{"-to", "floor/up", "-n", strconv.Itoa(s.block()), "-pace", siblingPace.String()}},
	} {
		path := filepath.Join(s.host.Dir(), "data", fmt.Sprintf("sibling-floor-%p.db", w.to))
		*w.to, err = startWorker(ctx, w.role, append(w.args, "-broker", s.broker.addr, "-db", path)...)
		if err != nil {
			return err
		}
		s.host.Own(*w.to)
	}
	return nil
}

// block is how many sales are made before the other side has its turn.
func (s *sibling) block() int { return max(1, s.siblingSales/siblingBlocks) }

func (s *sibling) round(ctx context.Context, r *record) error {
	var ours, bare, request []float64
	stop, err := s.profile(ctx, "w4", map[string]int{"a": s.a.PID(), "hub": s.hub.PID(), "b": s.b.PID()})
	if err != nil {
		return err
	}
	for range siblingBlocks {
		took, answered, err := s.ours(ctx)
		if err != nil {
			return err
		}
		ours, request = append(ours, took...), append(request, answered...)
		if s.broker == nil {
			r.note("The floor of W4 was not measured: " + errNoMosquitto.Error())
			continue
		}
		took, err = s.floor(ctx)
		if err != nil {
			return err
		}
		bare = append(bare, took...)
	}
	for name, values := range map[string][]float64{"sibling": ours, "sibling request": request, "sibling floor": bare} {
		if len(values) > 0 {
			r.add(name+" p50", percentile(values, 50))
			r.add(name+" p99", percentile(values, 99))
		}
	}
	return stop()
}

// ours makes a block of sales at A and returns how long each took, in
// milliseconds, from the moment at which the till sends it to A: until it was
// durable at B, and until A had answered.
func (s *sibling) ours(ctx context.Context) (took, answered []float64, err error) {
	before := s.seen.offset()
	var begun []time.Time
	ticker := time.NewTicker(siblingPace)
	defer ticker.Stop()
	for range s.block() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
		s.sold++
		request, err := saleRequest(s.items, s.sold, 1, "")
		if err != nil {
			return nil, nil, err
		}
		begun = append(begun, time.Now())
		if _, err := s.a.Send(ctx, request); err != nil {
			return nil, nil, err
		}
		answered = append(answered, milliseconds(time.Since(begun[len(begun)-1])))
	}
	for i, at := range begun {
		durable, err := s.seen.await(ctx, before+uint64(i)+1)
		if err != nil {
			return nil, nil, err
		}
		took = append(took, milliseconds(durable.Sub(at)))
	}
	return took, answered, nil
}

// floor has the bare machines do the same.
func (s *sibling) floor(ctx context.Context) ([]float64, error) {
	if err := s.source.say("go"); err != nil {
		return nil, err
	}
	begun, err := s.source.await(ctx, "begun")
	if err != nil {
		return nil, err
	}
	durable, err := s.end.await(ctx, "durable")
	if err != nil {
		return nil, err
	}
	if len(begun.Times) != len(durable.Times) {
		return nil, fmt.Errorf("the floor made %d sales and kept %d", len(begun.Times), len(durable.Times))
	}
	var took []float64
	for i := range begun.Times {
		took = append(took, milliseconds(time.Duration(durable.Times[i]-begun.Times[i])))
	}
	return took, nil
}

// saleRequest is a sale of three lines at a till, the n-th of a shop.
func saleRequest(items []retail.Item, n, till int, key string) (process.Request, error) {
	sale := process.Sale{Till: strconv.Itoa(till)}
	var total int64
	for i := range saleLines {
		item := &items[floor.ItemOf(n, i, len(items))]
		sale.Lines = append(sale.Lines, process.Line{Code: item.GTIN, Quantity: 1000})
		total += item.Price
	}
	sale.Tenders = []process.Tender{{Type: "cash", Amount: total}}
	return process.JSON(http.MethodPost, "/v1/sales", key, sale)
}

// A follower watches a feed of an agent on its stream of events: the agent
// sends its status, with the feed's offset, as soon as the transaction that
// moved it has been committed.
type follower struct {
	mu      sync.Mutex
	times   map[uint64]time.Time // when an offset was reached first
	last    uint64
	err     error
	changed chan struct{}
}

func follow(ctx context.Context, agent *process.Agent, feed string) (*follower, error) {
	response, err := agent.Open(ctx, process.Request{Method: http.MethodGet, Path: "/v1/events"})
	if err != nil {
		return nil, err
	}
	f := &follower{times: map[uint64]time.Time{}, changed: make(chan struct{})}
	go func() {
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			now := time.Now()
			if text, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
				f.see(text, feed, now)
			}
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.err = errors.Join(errors.New("the agent's stream of events ended"), lines.Err())
		f.tell()
	}()
	return f, nil
}

// tell wakes whoever waits; f is locked.
func (f *follower) tell() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// see takes one message; what is no status has no feeds.
func (f *follower) see(text, feed string, now time.Time) {
	var status struct {
		Feeds []struct {
			Feed   string `json:"feed"`
			Offset uint64 `json:"offset"`
		} `json:"feeds"`
	}
	if json.Unmarshal([]byte(text), &status) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range status.Feeds {
		if s.Feed != feed {
			continue
		}
		for ; f.last < s.Offset; f.last++ {
			f.times[f.last+1] = now
		}
	}
	f.tell()
}

func (f *follower) offset() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// await waits until the feed has reached an offset and returns when that was.
func (f *follower) await(ctx context.Context, offset uint64) (time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, siblingPatience, fmt.Errorf("the sibling has not got offset %d after %s", offset, siblingPatience))
	defer cancel()
	for {
		f.mu.Lock()
		at, ok := f.times[offset]
		changed, err := f.changed, f.err
		f.mu.Unlock()
		switch {
		case ok:
			return at, nil
		case err != nil:
			return at, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}
}
