package main

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"counterpart/test/bench/floor"
	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/proxy"
	"counterpart/test/retail"
)

const (
	// saleLines is how many different items a sale has, as in the floors.
	saleLines = 3
	// manyTills is how many tills sell at once where it is more than one.
	manyTills = 8
	// salesFactor is how many times as many sales W1 gets as a condition does.
	salesFactor = 10
	// settlePatience bounds how long hub and agent may take to agree between
	// two conditions.
	settlePatience = 3 * time.Minute
	// linkPatience bounds how long an agent may take to notice the state of its
	// line.
	linkPatience = time.Minute
	// askEvery is how often something is asked that is awaited.
	askEvery = 50 * time.Millisecond
)

// counter measures sales over HTTP: how many a till and several tills make, and
// how long one takes in each condition of the line.
type counter struct {
	options
	host  *process.Host
	items []retail.Item
	chain *fleet.Fleet
	agent *fleet.Machine // whose line changes
	sold  atomic.Int64

	rows      *floor.Rows // nil if nobody told them
	store     *floor.Store
	committed atomic.Int64
}

func (c *counter) open(ctx context.Context) error {
	var err error
	if c.items, err = retail.Items(1, c.options.items); err != nil {
		return err
	}
	stores := retail.Stores(1, 1)
	stores[0].PrimaryAgent = "a1"
	c.chain, err = fleet.Start(ctx, c.host, fleet.Options{
		Name: "hub-counter", Stores: stores, Taxes: retail.Taxes(),
		Agents: []fleet.Seat{{Agent: "a1", Store: "s1"}, {Agent: "a2", Store: "s1"}},
	}, func(ctx context.Context, hub *process.Hub) error {
		_, err := process.Load(ctx, hub, "items", c.items)
		return err
	})
	if err != nil {
		return err
	}
	c.agent = c.chain.Machines[0]
	return c.settle(ctx)
}

// settle waits until hub and agents agree, so that one measurement does not pay
// for another.
func (c *counter) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settlePatience, fmt.Errorf("hub and agent do not agree after %s", settlePatience))
	defer cancel()
	if err := c.chain.Converge(ctx); err != nil {
		return err
	}
	return c.chain.CatchUp(ctx)
}

func (c *counter) round(ctx context.Context, r *record) error {
	if c.measures("w1") {
		if err := c.loadRows(); err != nil {
			return err
		}
		for _, tills := range []int{1, manyTills} {
			if err := c.throughput(ctx, r, tills); err != nil {
				return err
			}
		}
	}
	if !c.measures("link") {
		return nil
	}
	for _, condition := range conditions {
		if err := c.condition(ctx, r, condition); err != nil {
			return fmt.Errorf("%s: %w", condition.name, err)
		}
	}
	return c.resolve(ctx, r)
}

// turnSales is how many sales a till makes before the floor has its turn.
const turnSales = 25

// throughput measures sales that the tills make as fast as they can, each one
// after the other, and in turns with them bare commits of the same rows by as
// many writers.
func (c *counter) throughput(ctx context.Context, r *record, tills int) error {
	name := fmt.Sprintf("http tills=%d ", tills)
	ours, bare := &race{tills: tills}, &race{tills: tills}
	stop, err := c.profile(ctx, fmt.Sprintf("w1-tills%d", tills), map[string]int{"agent": c.agent.PID()})
	if err != nil {
		return err
	}
	for left := c.sales * salesFactor; left > 0; left -= turnSales * tills {
		err := ours.run(ctx, min(left, turnSales*tills), func(ctx context.Context, till int) error {
			_, err := c.sell(ctx, c.agent.Agent, till)
			return err
		})
		if err == nil && c.rows != nil {
			err = bare.run(ctx, min(left, turnSales*tills), func(context.Context, int) error { return c.commit(tills) })
		}
		if err != nil {
			return err
		}
	}
	ours.add(r, name)
	if c.rows != nil {
		bare.add(r, "floor "+name)
	}
	return errors.Join(stop(), c.settle(ctx))
}

// loadRows opens the floor's database, if the children have told what a sale
// writes.
func (c *counter) loadRows() error {
	path := rowsPath(c.host)
	file, err := os.Open(path)
	if c.rows != nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	c.rows = &floor.Rows{}
	if err := gob.NewDecoder(file).Decode(c.rows); err != nil {
		return err
	}
	if c.store, err = c.rows.Load(path + ".db"); err == nil {
		c.host.Own(c.store)
	}
	return err
}

// commit puts the rows of one sale into the floor's database.
func (c *counter) commit(tills int) error {
	rows := c.rows.Sales[int(c.committed.Add(1))%len(c.rows.Sales)]
	if tills > 1 {
		return c.store.Batch(rows)
	}
	return c.store.Update(rows)
}

// A race is what several tills did at once.
type race struct {
	tills     int
	took      time.Duration
	mu        sync.Mutex
	latencies []float64 // milliseconds
}

// run makes n calls by all tills together.
func (r *race) run(ctx context.Context, n int, call func(ctx context.Context, till int) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	begin := time.Now()
	for t := range r.tills {
		group.Go(func() error {
			var mine []float64
			for next.Add(1) <= int64(n) {
				start := time.Now()
				if err := call(ctx, t+1); err != nil {
					return err
				}
				mine = append(mine, milliseconds(time.Since(start)))
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.latencies = append(r.latencies, mine...)
			return nil
		})
	}
	err := group.Wait()
	r.took += time.Since(begin)
	return err
}

func (r *race) add(to *record, name string) {
	to.add(name+"/s", float64(len(r.latencies))/r.took.Seconds())
	to.add(name+"p50", percentile(r.latencies, 50))
	to.add(name+"p99", percentile(r.latencies, 99))
}

// sell makes one sale and returns how long it took, in milliseconds.
func (c *counter) sell(ctx context.Context, agent *process.Agent, till int) (float64, error) {
	n := int(c.sold.Add(1))
	request, err := saleRequest(c.items, n, till, "bench-"+strconv.Itoa(n))
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if _, err := agent.Send(ctx, request); err != nil {
		return 0, err
	}
	return milliseconds(time.Since(start)), nil
}

// paced makes sales at the pace of a busy till, and notes their latencies.
func (c *counter) paced(ctx context.Context, r *record, agent *process.Agent, name string) error {
	ticker := time.NewTicker(c.pace)
	defer ticker.Stop()
	var all []float64
	for range c.sales {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		took, err := c.sell(ctx, agent, 1)
		if err != nil {
			return err
		}
		all = append(all, took)
	}
	r.add("link "+name+" p50", percentile(all, 50))
	r.add("link "+name+" p99", percentile(all, 99))
	r.add("link "+name+" max", percentile(all, 100))
	return nil
}

// A condition is a state of the line.
type condition struct {
	name string
	set  func(*fleet.Machine) error
	down bool // the link cannot be online in it
}

var conditions = []condition{
	{"online", func(*fleet.Machine) error { return nil }, false},
	{"hub unreachable", func(m *fleet.Machine) error { return m.SetLine(proxy.Cut) }, true},
	{"hub hangs", func(m *fleet.Machine) error { return m.SetLine(proxy.Hang) }, true},
	{"broker accepts, answers nothing", func(m *fleet.Machine) error { return m.SetBroker(proxy.Hang) }, true},
	{"every second packet lost", func(m *fleet.Machine) error { return m.SetLine(proxy.Lossy) }, true},
}

// condition measures sales from the moment on in which the line changes, so
// that the agent's noticing is part of it, and then waits until it has noticed.
func (c *counter) condition(ctx context.Context, r *record, cond condition) error {
	if err := cond.set(c.agent); err != nil {
		return err
	}
	err := c.paced(ctx, r, c.agent.Agent, cond.name)
	if err == nil && cond.down {
		err = c.awaitOffline(ctx, c.agent.Agent)
	}
	return errors.Join(err, c.agent.SetLine(proxy.Pass), c.settle(ctx))
}

// awaitOffline waits until the agent says that it is not online: else the
// condition was not what was measured.
func (c *counter) awaitOffline(ctx context.Context, agent *process.Agent) error {
	ctx, cancel := context.WithTimeoutCause(ctx, linkPatience, fmt.Errorf("the agent is still online after %s", linkPatience))
	defer cancel()
	return process.Await(ctx, askEvery, func(ctx context.Context) (string, error) {
		status, err := agent.Status(ctx)
		if err == nil && status.Link.State == "online" {
			return "it is online", nil
		}
		return "", err
	})
}
