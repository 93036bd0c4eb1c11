package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"counterpart/test/fleet"
	"counterpart/test/process"
)

const (
	cutMin = 200 * time.Millisecond
	cutMax = 3 * time.Second
	// hubOneIn is how many kills there are to one kill of the hub.
	hubOneIn = 10
	// lookEvery is how often progress is compared with the plan.
	lookEvery = 5 * time.Millisecond
)

// A strike is one thing that goes wrong.
type strike struct {
	at      float64       // the share of the run after which it happens
	machine int           // whom it hits; hub for the hub
	cut     time.Duration // of the line; 0 kills the process instead
}

// hub stands for the hub in the place of a machine.
const hub = -1

// plan spreads kills and cuts evenly over a run: each has its own stretch of
// the run and a random moment in it.
func plan(seed uint64, kills, cuts, machines int) []strike {
	random := rand.New(rand.NewPCG(seed, 3))
	var strikes []strike
	for i := range kills {
		s := strike{at: (float64(i) + random.Float64()) / float64(kills), machine: random.IntN(machines)}
		if random.IntN(hubOneIn) == 0 {
			s.machine = hub
		}
		strikes = append(strikes, s)
	}
	for i := range cuts {
		strikes = append(strikes, strike{
			at: (float64(i) + random.Float64()) / float64(cuts), machine: random.IntN(machines),
			cut: cutMin + time.Duration(random.Int64N(int64(cutMax-cutMin))),
		})
	}
	slices.SortFunc(strikes, func(a, b strike) int { return cmp.Compare(a.at, b.at) })
	return strikes
}

// chaos carries a plan out and counts.
type chaos struct {
	fleet    *fleet.Fleet
	kills    atomic.Int64
	hubKills atomic.Int64
	cuts     atomic.Int64
}

// run strikes as progress goes on, and returns when everything that was killed
// or cut is back.
func (c *chaos) run(ctx context.Context, strikes []strike, progress func() float64) error {
	group, groupCtx := errgroup.WithContext(ctx)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for len(strikes) > 0 {
		if strikes[0].at <= progress() {
			next := strikes[0]
			strikes = strikes[1:]
			group.Go(func() error { return c.strike(groupCtx, next) })
			continue
		}
		select {
		case <-ticker.C:
		case <-groupCtx.Done():
			return errors.Join(context.Cause(groupCtx), group.Wait())
		}
	}
	return group.Wait()
}

func (c *chaos) strike(ctx context.Context, s strike) error {
	switch {
	case s.cut > 0:
		c.cuts.Add(1)
		return c.fleet.Machines[s.machine].Cut(ctx, s.cut)
	case s.machine == hub:
		c.kills.Add(1)
		c.hubKills.Add(1)
		return crash(ctx, c.fleet.Hub.Process)
	default:
		c.kills.Add(1)
		return crash(ctx, c.fleet.Machines[s.machine].Process)
	}
}

func crash(ctx context.Context, p *process.Process) error {
	if err := p.Crash(ctx); err != nil {
		return fmt.Errorf("after kill -9: %w", err)
	}
	return nil
}
