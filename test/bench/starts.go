package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/retail"
)

// starts measures the start of an agent that knows a large catalogue.
type starts struct {
	options
	host  *process.Host
	items []retail.Item
	code  string // that is looked up
	sold  int
	agent *fleet.Machine
}

func (s *starts) open(ctx context.Context) error {
	var err error
	if s.items, err = retail.Items(2, s.catalogue); err != nil {
		return err
	}
	s.code = s.items[len(s.items)/2].GTIN
	stores := retail.Stores(2, 1)
	stores[0].PrimaryAgent = "b1"
	chain, err := fleet.Start(ctx, s.host, fleet.Options{
		Name: "hub-starts", Stores: stores, Agents: []fleet.Seat{{Agent: "b1", Store: "s1"}},
	}, func(ctx context.Context, hub *process.Hub) error {
		_, err := process.Load(ctx, hub, "items", s.items)
		return err
	})
	if err != nil {
		return err
	}
	s.agent = chain.Machines[0]
	if err := chain.CatchUp(ctx); err != nil {
		return err
	}
	return s.agent.Agent.Stop()
}

// round starts and stops the agent a number of times.
func (s *starts) round(ctx context.Context, r *record) error {
	var ready, lookup, memory, bare []float64
	for i := range s.starts {
		begin := time.Now()
		if _, err := s.host.Run(ctx, s.host.Agent(), "version"); err != nil {
			return err
		}
		bare = append(bare, milliseconds(time.Since(begin)))
		begin = time.Now()
		if err := s.agent.Restart(ctx); err != nil {
			return err
		}
		ready = append(ready, milliseconds(time.Since(begin)))
		var level process.Level
		if err := s.agent.Get(ctx, "/v1/stock/"+url.PathEscape(s.code), &level); err != nil {
			return err
		}
		lookup = append(lookup, milliseconds(time.Since(begin)))
		if mib, err := proportionalMiB(s.agent.PID()); err == nil {
			memory = append(memory, mib)
		} else {
			r.note("Memory was not measured: " + err.Error())
		}
		if i == s.starts-1 {
			if err := s.linger(ctx, r); err != nil {
				return err
			}
		}
		if err := s.agent.Agent.Stop(); err != nil {
			return err
		}
	}
	r.add("start version", median(bare))
	r.add("start ready", median(ready))
	r.add("start lookup", median(lookup))
	if len(memory) > 0 {
		r.add("start memory", median(memory))
	}
	return nil
}

// linger has the agent sell, looks at its memory, and then watches what it does
// when it has nothing to do.
func (s *starts) linger(ctx context.Context, r *record) error {
	for range s.warmSales {
		s.sold++
		request, err := saleRequest(s.items, s.sold, 1, "")
		if err != nil {
			return err
		}
		if _, err := s.agent.Send(ctx, request); err != nil {
			return err
		}
	}
	mib, err := proportionalMiB(s.agent.PID())
	if err != nil {
		r.note("Memory and CPU of the agent were not measured: " + err.Error())
		return nil
	}
	r.add("start warm", mib)
	if mapped, err := mappedMiB(s.agent.PID()); err == nil {
		r.add("start mapped", mapped)
	}
	waiting, cancel := context.WithTimeoutCause(ctx, settlePatience, fmt.Errorf("the agent does not get rid of its sales in %s", settlePatience))
	defer cancel()
	err = process.Await(waiting, askEvery, func(ctx context.Context) (string, error) {
		status, err := s.agent.Status(ctx)
		if err == nil && status.Stream.Pending > 0 {
			return "it has sales to send", nil
		}
		return "", err
	})
	if err != nil {
		return err
	}
	before, err := cpuSeconds(s.agent.PID())
	if err != nil {
		return err
	}
	if err := process.Pause(ctx, s.idle); err != nil {
		return err
	}
	after, err := cpuSeconds(s.agent.PID())
	r.add("start idle", (after-before)/s.idle.Seconds()*100)
	return err
}
