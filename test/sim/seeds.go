package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"counterpart/protocol/sim"
)

// tally is what runs came to together.
type tally struct {
	out    io.Writer
	mu     sync.Mutex
	seeds  uint64
	counts sim.Counts
	failed uint64
	err    error // of the first seed that failed
}

// add counts a run. The plan of one that failed is printed, as a line for
// testdata/seeds.
func (t *tally) add(plan sim.Plan, result sim.Outcome) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seeds++
	t.counts.Add(result.Counts)
	if result.Err == nil {
		return nil
	}
	if t.err == nil || plan.Seed < t.failed {
		t.failed, t.err = plan.Seed, result.Err
	}
	line, err := json.Marshal(plan)
	fmt.Fprintf(t.out, "%s # %v\n", line, result.Err)
	return err
}

// gcPercent is how much garbage may gather beside what is in use.
const gcPercent = 2000

// seeds runs seeds, each on one core from its first step to its last.
func seeds(ctx context.Context, o options, out io.Writer) error {
	cores := int(o.cores)
	if cores == 0 {
		cores = runtime.GOMAXPROCS(0)
	}
	// Runs leave much garbage and hold little.
	debug.SetGCPercent(gcPercent)
	t := &tally{out: out}
	started := time.Now()
	next := atomic.Uint64{}
	next.Store(o.from)
	var running sync.WaitGroup
	stop := atomic.Bool{}
	for range cores {
		running.Go(func() {
			for !stop.Load() && ctx.Err() == nil {
				seed := next.Add(1) - 1
				if seed >= o.from+o.seeds {
					return
				}
				plan := sim.Draw(seed)
				result := sim.Run(plan, nil)
				if err := t.add(plan, result); err != nil || result.Err != nil && !o.on {
					stop.Store(true)
				}
			}
		})
	}
	watched := make(chan struct{})
	go func() {
		running.Wait()
		close(watched)
	}()
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for waiting := true; waiting; {
		select {
		case <-watched:
			waiting = false
		case <-ticker.C:
			t.print(time.Since(started), cores)
		}
	}
	t.print(time.Since(started), cores)
	if at := next.Load(); at < o.from+o.seeds {
		// Seeds are begun in their order, and each that was begun has ended.
		fmt.Fprintf(out, "go on with -from %d\n", at)
	}
	return cmp.Or(t.err, ctx.Err())
}

func (t *tally) print(took time.Duration, cores int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts
	fmt.Fprintf(t.out, "%d seeds in %v on %d cores: %.1f seeds/s/core; %d events, %d commits, %d messages, %d crashes, %d disasters, %d gave up, %d gone, %d void, %d snapshots, %d trimmed, %d orders (%d refused, %d collected, %d expired, %d open), %d holds (%d refused), %d told, %d members (%d erased) with %d sales, %d paid with points (%d refused), lent %d times, %.0f simulated days\n",
		t.seeds, took.Round(time.Millisecond), cores, float64(t.seeds)/took.Seconds()/float64(cores), c.Events, c.Commits, c.Messages, c.Crashes, c.Disasters, c.Aside, c.Gone, c.Void, c.Snapshots, c.Trimmed, c.Orders, c.OrdersRefused, c.OrdersCollected, c.OrdersExpired, c.OrdersOpen, c.Holds, c.HoldsRefused, c.Told,
		c.Members, c.Erased, c.MemberSales, c.PointsSpent, c.PointsRefused, c.Lent,
		c.Simulated.Hours()/24)
}

// tell runs one seed and tells what happens in it.
func tell(seed uint64, out io.Writer) error {
	plan := sim.Draw(seed)
	line, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n", line)
	result := sim.Run(plan, out)
	fmt.Fprintf(out, "%+v\n", result)
	return result.Err
}
