package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"counterpart/test/fleet"
	"counterpart/test/process"
)

// What a live run is made of, unless flags say otherwise.
const (
	liveStores    = 4
	liveKills     = 4
	liveCuts      = 24
	liveDocuments = 1_000
	// aheadMax is how many documents a till may be ahead of its store's online
	// shoppers, so that both buy from the same shelf over the whole run.
	aheadMax = 32
	// townDegrees is how far apart stores are, a few kilometres: near enough to
	// stand in for each other.
	townDegrees = 0.03
)

// A live run is a chain of real processes in which people in the stores and
// online shoppers buy from the same shelves, while lines are cut and processes
// killed. The run keeps its own account of every shelf, and holds hub and agents
// to it.
type live struct {
	options
	in    *input
	out   io.Writer
	fleet *fleet.Fleet
	shops []*shop
	town  *town
	hook  *hook
	chaos *chaos
	// settled are the orders that were seen to be paid back.
	settled map[string]bool

	total int64        // documents
	done  atomic.Int64 // documents that tills and shoppers are through with
	took  time.Duration
}

// runLive plays the first documents of a file with real processes, and fails if
// hub, agents and shelves differ in the end.
func runLive(ctx context.Context, o options, path string, out io.Writer) (err error) {
	in, err := readInput(path, o.stores)
	if err != nil {
		return err
	}
	if in.format != "wholesale" {
		return nil // Others say what was paid for a line, and nothing of one item's price.
	}
	fmt.Fprintf(out, "live orders: %d stores, seed %d\n", len(in.shops), o.seed)
	l := &live{options: o, in: in, out: out, town: newTown(), settled: map[string]bool{}}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	host, err := process.Open(ctx, process.Options{Race: o.race, Keep: o.keep, Crashed: func(err error) { cancel(err) }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Finish(out)) }()
	if err := l.open(ctx, host); err != nil {
		return err
	}
	start := time.Now()
	if err := l.trade(ctx); err != nil {
		return err
	}
	l.took = time.Since(start)
	found, err := l.check(ctx)
	if err != nil {
		return err
	}
	if err := stopAndVerify(ctx, l.fleet); err != nil {
		return err
	}
	return l.report(found)
}

// open starts the chain, deals the documents out and fills the shelves.
func (l *live) open(ctx context.Context, host *process.Host) (err error) {
	if l.hook, err = listen(); err != nil {
		return err
	}
	host.Own(l.hook)
	options := fleet.Options{Currency: l.in.currency, HubFlags: []string{"--webhooks-allow-private"}}
	for i, place := range l.in.shops {
		place.Latitude, place.Longitude = 51.5+townDegrees*float64(i), -0.12
		l.in.shops[i] = place
		options.Agents = append(options.Agents, fleet.Seat{Agent: l.in.agentOf(i), Store: place.ID})
	}
	options.Stores = l.in.shops
	l.fleet, err = fleet.Start(ctx, host, options, func(ctx context.Context, hub *process.Hub) error {
		if _, err := process.Load(ctx, hub, "items", l.in.items); err != nil {
			return err
		}
		return ask(ctx, hub.Client, "/v1/webhooks", "live-hook", map[string]any{"url": l.hook.url, "events": []string{"order.*"}}, nil)
	})
	if err != nil {
		return err
	}
	l.chaos = &chaos{fleet: l.fleet}
	for i, m := range l.fleet.Machines {
		l.shops = append(l.shops, newShop(m, rand.New(rand.NewPCG(l.seed, 100+uint64(i)))))
	}
	for i, documents := range deal(l.in, l.seed, l.documents) {
		l.shops[i].documents = documents
		l.total += int64(len(documents))
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, s := range l.shops {
		group.Go(func() error { return s.receive(groupCtx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return errors.Join(l.fleet.Converge(ctx), l.fleet.CatchUp(ctx))
}

func (l *live) progress() float64 { return float64(l.done.Load()) / float64(max(l.total, 1)) }

// trade lets everybody buy and work until nothing is left to do, and waits until
// the chain agrees.
func (l *live) trade(ctx context.Context) error {
	working, home := context.WithCancel(ctx)
	defer home()
	staff, working := errgroup.WithContext(working)
	for _, s := range l.shops {
		staff.Go(func() error { return s.work(working, l.town, l.fleet.Hub) })
	}
	staff.Go(func() error { return l.payBack(working) })
	staff.Go(func() error { l.showLive(working); return nil })
	errTrade := l.shopping(working)
	if errTrade == nil {
		errTrade = l.settle(working)
	}
	home()
	if err := staff.Wait(); err != nil {
		return err
	}
	return errTrade
}

// shopping is over when all documents are through and everything that was killed
// or cut is back.
func (l *live) shopping(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i, s := range l.shops {
		online := make(chan document, aheadMax)
		group.Go(func() error {
			defer close(online)
			for _, d := range s.documents {
				if err := s.sell(ctx, d); err != nil {
					return err
				}
				select {
				case online <- d:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		})
		shopper := &shopper{live: l, store: s.machine.Store(), random: rand.New(rand.NewPCG(l.seed, 200+uint64(i)))}
		group.Go(func() error { return shopper.run(ctx, online) })
	}
	group.Go(func() error {
		return l.chaos.run(ctx, plan(l.seed, l.kills, l.cuts, len(l.shops)), l.progress)
	})
	return group.Wait()
}

// settle cancels what nobody came for, and waits until every order is over, every
// refund paid back and all agree.
func (l *live) settle(ctx context.Context) error {
	for _, o := range l.town.ofFate(staysAway) {
		if err := l.cancel(ctx, o); err != nil {
			return err
		}
	}
	patience, cancel := context.WithTimeoutCause(ctx, convergePatience, fmt.Errorf("not everything is over after %s", convergePatience))
	defer cancel()
	err := process.Await(patience, askOrdersEvery, l.unfinished)
	if err == nil {
		err = l.fleet.Converge(patience)
	}
	if err == nil {
		err = l.fleet.CatchUp(patience)
	}
	return err
}

// askOrdersEvery is how often open orders are looked for.
const askOrdersEvery = 500 * time.Millisecond

// unfinished says what is not over yet, or nothing.
func (l *live) unfinished(ctx context.Context) (string, error) {
	left, err := list[orderDocument](ctx, l.fleet.Hub.Client, "/v1/orders?state=open&limit=500")
	if err != nil {
		return "", err
	}
	if len(left) > 0 {
		o := &left[0]
		return fmt.Sprintf("%d orders are open at the hub, one of them %s: %s, %s", len(left), o.ID, o.HubState, o.storeState()), nil
	}
	for _, s := range l.shops {
		left, err := list[orderDocument](ctx, s.machine.Client, "/v1/orders?state=open&limit=500")
		if err != nil || len(left) > 0 {
			return fmt.Sprintf("%d orders are open at %s", len(left), s.machine.ID()), err
		}
	}
	for _, o := range l.town.all() {
		if !o.paid || !o.missing() || l.settled[o.id] {
			continue
		}
		var doc orderDocument
		if err := l.fleet.Hub.Get(ctx, "/v1/orders/"+o.id, &doc); err != nil {
			return "", err
		}
		// Each part of an order that ended without the goods is paid back by itself.
		if !l.hook.paidBack(o.id) || o.collected() == 0 && doc.HubState != "refunded" {
			return "order " + o.id + " is not paid back", nil
		}
		l.settled[o.id] = true
	}
	return "", nil
}

// ask sends a request until it is answered.
func ask(ctx context.Context, to *process.Client, path, key string, body, into any) error {
	r, err := process.JSON(http.MethodPost, path, key, body)
	if err != nil {
		return err
	}
	answer, err := to.Persist(ctx, r)
	if err != nil || into == nil {
		return err
	}
	return answer.Into(into)
}

// list reads all pages of a list whose path has a query.
func list[T any](ctx context.Context, from *process.Client, path string) (all []T, err error) {
	for at := path; ; {
		var page struct {
			Items []T     `json:"items"`
			Next  *string `json:"next"`
		}
		answer, err := from.Persist(ctx, process.Request{Method: http.MethodGet, Path: at})
		if err == nil {
			err = answer.Into(&page)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == nil || *page.Next == "" {
			return all, nil
		}
		at = path + "&after=" + url.QueryEscape(*page.Next)
	}
}
