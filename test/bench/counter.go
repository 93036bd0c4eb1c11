package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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

// throughput measures how many sales the tills make together, one after the
// other each, as fast as they can.
func (c *counter) throughput(ctx context.Context, r *record, tills int) error {
	each := c.sales * salesFactor / tills
	latencies := make([][]float64, tills)
	start := time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	for t := range tills {
		group.Go(func() error {
			for range each {
				took, err := c.sell(groupCtx, c.agent.Agent, t+1)
				if err != nil {
					return err
				}
				latencies[t] = append(latencies[t], took)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	took := time.Since(start)
	var all []float64
	for _, list := range latencies {
		all = append(all, list...)
	}
	name := fmt.Sprintf("http tills=%d ", tills)
	r.add(name+"/s", float64(len(all))/took.Seconds())
	r.add(name+"p50", percentile(all, 50))
	r.add(name+"p99", percentile(all, 99))
	return c.settle(ctx)
}

// sell makes one sale and returns how long it took, in milliseconds.
func (c *counter) sell(ctx context.Context, agent *process.Agent, till int) (float64, error) {
	n := int(c.sold.Add(1))
	sale := process.Sale{Till: strconv.Itoa(till)}
	var total int64
	for i := range saleLines {
		item := c.items[(n*saleLines+i)*7919%len(c.items)]
		sale.Lines = append(sale.Lines, process.Line{Code: item.GTIN, Quantity: 1000})
		total += item.Price
	}
	sale.Tenders = []process.Tender{{Type: "cash", Amount: total}}
	request, err := process.JSON(http.MethodPost, "/v1/sales", "bench-"+strconv.Itoa(n), sale)
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
