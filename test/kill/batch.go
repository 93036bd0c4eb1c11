package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/retail"
)

const (
	items = 200
	store = "s1"
	// The tills sell for a random time between the rounds.
	sellingMin = 20 * time.Millisecond
	sellingMax = 250 * time.Millisecond
	// repeatsEachRound is how many keys each till sends again after a kill.
	repeatsEachRound = 3
	// misuseOneIn is how many of them there are to one with another body.
	misuseOneIn = 10
	// roundPatience bounds how long the tills may take to be answered after a
	// restart, and comparePatience how long hub and agent may take to agree.
	roundPatience   = 2 * time.Minute
	comparePatience = 5 * time.Minute
	// lookEvery is how often a till that is waited for is looked at.
	lookEvery = 5 * time.Millisecond
)

// tally counts what was done.
type tally struct {
	rounds, agentKills, hubKills, sales, repeats, verifies int
}

// A batch is a chain of one store that is killed a number of times.
type batch struct {
	host   *process.Host
	random *rand.Rand
	chain  *fleet.Fleet
	agent  *fleet.Machine
	tills  []*till
	tally  *tally
}

// newBatch starts the n-th chain.
func newBatch(ctx context.Context, host *process.Host, o options, n int, tally *tally) (*batch, error) {
	seed := o.seed + uint64(n)*1_000_003
	stock, err := retail.Items(seed, items)
	if err != nil {
		return nil, err
	}
	stores := retail.Stores(seed, 1)
	agent := "a" + strconv.Itoa(n)
	stores[0].PrimaryAgent = agent
	chain, err := fleet.Start(ctx, host, fleet.Options{
		Name: "hub-" + strconv.Itoa(n), Stores: stores, Taxes: retail.Taxes(), Agents: []fleet.Seat{{Agent: agent, Store: store}},
	}, func(ctx context.Context, hub *process.Hub) error {
		_, err := process.Load(ctx, hub, "items", stock)
		return err
	})
	if err != nil {
		return nil, err
	}
	b := &batch{host: host, random: rand.New(rand.NewPCG(seed, 5)), chain: chain, agent: chain.Machines[0], tally: tally}
	for i := range o.tills {
		b.tills = append(b.tills, &till{
			name: strconv.Itoa(i + 1), machine: b.agent,
			shopper: retail.NewShopper(seed, uint64(i), stock), random: rand.New(rand.NewPCG(seed, 100+uint64(i))),
		})
	}
	return b, nil
}

// run kills for a number of rounds while the tills sell, compares, and stops
// the chain.
func (b *batch) run(ctx context.Context, rounds int, shown func()) error {
	stop := make(chan struct{})
	group, groupCtx := errgroup.WithContext(ctx)
	for _, t := range b.tills {
		group.Go(func() error { return t.sell(groupCtx, stop) })
	}
	group.Go(func() error {
		defer close(stop)
		for range rounds {
			if err := b.round(groupCtx); err != nil {
				return err
			}
			b.tally.rounds++
			shown()
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	for _, t := range b.tills {
		b.tally.sales += t.count()
	}
	if err := b.compare(ctx); err != nil {
		return err
	}
	if err := b.chain.Stop(); err != nil {
		return err
	}
	return b.verify(ctx)
}

// round lets the tills sell, kills, and checks that they sell on.
func (b *batch) round(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, roundPatience, fmt.Errorf("the tills are not answered %s after a kill", roundPatience))
	defer cancel()
	if err := process.Pause(ctx, sellingMin+time.Duration(b.random.Int64N(int64(sellingMax-sellingMin)))); err != nil {
		return err
	}
	before := make([][]confirmation, len(b.tills))
	var err error
	switch chance := b.random.IntN(10); {
	case chance < 6:
		err = b.killAgent(ctx)
	case chance < 9:
		err = b.killHub(ctx)
	default:
		both, bothCtx := errgroup.WithContext(ctx)
		both.Go(func() error { return b.killAgent(bothCtx) })
		both.Go(func() error { return b.killHub(bothCtx) })
		err = both.Wait()
	}
	if err != nil {
		return err
	}
	for i, t := range b.tills {
		before[i] = t.all()
	}
	for i, t := range b.tills {
		if err := b.repeat(ctx, t, before[i]); err != nil {
			return err
		}
		if err := process.Await(ctx, lookEvery, func(context.Context) (string, error) {
			if t.count() > len(before[i]) {
				return "", nil
			}
			return "till " + t.name + " sells nothing more", nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// killAgent kills the agent and has its data verified before it starts again.
func (b *batch) killAgent(ctx context.Context) error {
	b.tally.agentKills++
	if err := b.agent.Kill(); err != nil {
		return err
	}
	if err := b.verify(ctx); err != nil {
		return err
	}
	return b.agent.Restart(ctx)
}

func (b *batch) killHub(ctx context.Context) error {
	b.tally.hubKills++
	return b.chain.Hub.Crash(ctx)
}

func (b *batch) verify(ctx context.Context) error {
	b.tally.verifies++
	if err := b.agent.Verify(ctx); err != nil {
		return fmt.Errorf("the data on disk is not sound: %w", err)
	}
	return nil
}

// repeat sends the till's last sale and some earlier ones again.
func (b *batch) repeat(ctx context.Context, t *till, confirmed []confirmation) error {
	for i := range min(repeatsEachRound, len(confirmed)) {
		c := confirmed[len(confirmed)-1]
		if i > 0 {
			c = confirmed[b.random.IntN(len(confirmed))]
		}
		if err := t.repeat(ctx, c); err != nil {
			return err
		}
		b.tally.repeats++
	}
	if len(confirmed) > 0 && b.random.IntN(misuseOneIn) == 0 {
		return t.misuse(ctx, confirmed[b.random.IntN(len(confirmed))])
	}
	return nil
}

// compare waits until hub and agent agree, and holds the hub to what was
// confirmed.
func (b *batch) compare(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, comparePatience, fmt.Errorf("hub and agent do not agree after %s", comparePatience))
	defer cancel()
	if err := b.chain.Converge(ctx); err != nil {
		return err
	}
	var confirmed []confirmation
	for _, t := range b.tills {
		confirmed = append(confirmed, t.all()...)
	}
	documents := map[string][]process.SaleDocument{} // by key
	books, err := fleet.ReadBooks(ctx, b.chain.Hub, store, func(doc *process.SaleDocument) {
		key := "without a key"
		if len(doc.Tenders) == 1 {
			key = doc.Tenders[0].Ref
		}
		documents[key] = append(documents[key], *doc)
	})
	if err != nil {
		return err
	}
	faults := append(books.Faults, disagreements(confirmed, documents)...)
	levels, err := b.chain.Hub.Stock(ctx, store)
	if err != nil {
		return err
	}
	faults = append(faults, misplaced(confirmed, levels)...)
	quarantined, err := b.chain.Quarantined(ctx)
	if err != nil {
		return err
	}
	faults = append(faults, quarantined...)
	if len(faults) > 0 {
		var all []error
		for _, fault := range faults[:min(len(faults), 20)] {
			all = append(all, errors.New(fault))
		}
		return fmt.Errorf("%d faults: %w", len(faults), errors.Join(all...))
	}
	return nil
}
