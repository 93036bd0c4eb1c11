package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"counterpart/test/fleet"
	"counterpart/test/process"
)

const (
	// convergePatience bounds how long hub and agents may take to agree after
	// the last basket.
	convergePatience = 10 * time.Minute
	// verifiesAtOnce bounds how many data folders are verified at the same time.
	verifiesAtOnce = 2
)

// errDiffers says that the run went through and the hub is wrong.
var errDiffers = errors.New("the hub differs from the file")

// errShelves says that a live run went through and the books are wrong.
var errShelves = errors.New("hub or agents differ from the shelves")

// A pass is one replay of one file.
type pass struct {
	options
	path   string
	native bool
	out    io.Writer
}

// A result is what a pass came to.
type result struct {
	comparison *comparison
	feeder     *feeder
	chaos      *chaos
	skipped    map[string]int
	fed        time.Duration // from the first basket to the last
	disturbed  time.Duration // from the first basket until the last process and line were back
	converged  time.Duration // from then, or from the last basket, until the hub had everything
	caughtUp   time.Duration // from then until the agents had everything that is for them
}

// run replays the file, and fails if anything differs in the end.
func (p *pass) run(ctx context.Context) (err error) {
	in, err := readInput(p.path, p.stores)
	if err != nil {
		return err
	}
	if p.native {
		in = in.native()
	}
	p.say("%s, %s: %d baskets, %d items, %d stores, seed %d", in.format, p.way(), len(in.baskets), len(in.items), len(in.shops), p.seed)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	host, err := process.Open(ctx, process.Options{Race: p.race, Keep: p.keep, Crashed: func(err error) { cancel(err) }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Finish(p.out)) }()
	chain, err := p.open(ctx, host, in)
	if err != nil {
		return err
	}
	members, err := enrol(ctx, chain, in)
	if err != nil {
		return err
	}
	result, err := p.feed(ctx, chain, in, members)
	if err != nil {
		return err
	}
	if err := p.compare(ctx, result); err != nil {
		return err
	}
	if err := stopAndVerify(ctx, chain); err != nil {
		return err
	}
	return p.report(in, result)
}

// compare holds the hub against the file.
func (p *pass) compare(ctx context.Context, r *result) error {
	want, err := expect(p.path, p.stores, p.native)
	if err != nil {
		return err
	}
	points, err := expectPoints(p.path, p.stores, p.native)
	if err != nil {
		return err
	}
	if r.comparison, err = compare(ctx, r.feeder, want); err != nil {
		return err
	}
	return r.comparison.points(ctx, r.feeder.fleet, points)
}

func (p *pass) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// way says how the baskets are entered.
func (p *pass) way() string {
	if p.native {
		return "as sales of our own tills"
	}
	return "as sales of another system"
}

// open starts the chain of the file.
func (p *pass) open(ctx context.Context, host *process.Host, in *input) (*fleet.Fleet, error) {
	options := fleet.Options{Currency: in.currency, Stores: in.shops}
	for i, shop := range in.shops {
		options.Agents = append(options.Agents, fleet.Seat{Agent: in.agentOf(i), Store: shop.ID})
	}
	return fleet.Start(ctx, host, options, func(ctx context.Context, hub *process.Hub) error {
		_, err := process.Load(ctx, hub, "items", in.items)
		return err
	})
}

// feed feeds all baskets while processes are killed and lines cut, and waits
// until the chain agrees.
func (p *pass) feed(ctx context.Context, chain *fleet.Fleet, in *input, members map[string]string) (*result, error) {
	r := &result{feeder: newFeeder(in, chain, p.native, members), chaos: &chaos{fleet: chain}, skipped: in.skipped}
	strikes := plan(p.seed, p.kills, p.cuts, len(chain.Machines))
	start := time.Now()
	fed := make(chan struct{})
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := r.feeder.run(groupCtx)
		r.fed = time.Since(start)
		close(fed)
		return err
	})
	group.Go(func() error {
		err := r.chaos.run(groupCtx, strikes, r.feeder.progress)
		r.disturbed = time.Since(start)
		return err
	})
	group.Go(func() error { p.showProgress(groupCtx, r, fed); return nil })
	if err := group.Wait(); err != nil {
		return r, err
	}
	converging, cancel := context.WithTimeoutCause(ctx, convergePatience, fmt.Errorf("hub and agents do not agree after %s", convergePatience))
	defer cancel()
	err := chain.Converge(converging)
	r.converged = time.Since(start) - max(r.fed, r.disturbed)
	if err == nil {
		err = chain.CatchUp(converging)
		r.caughtUp = time.Since(start) - max(r.fed, r.disturbed) - r.converged
	}
	return r, err
}

// stopAndVerify stops everything in order and has every agent's data verified.
func stopAndVerify(ctx context.Context, chain *fleet.Fleet) error {
	if err := chain.Stop(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(verifiesAtOnce)
	for _, m := range chain.Machines {
		group.Go(func() error { return m.Verify(ctx) })
	}
	return group.Wait()
}
