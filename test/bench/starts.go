package main

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/retail"
)

// starts measures the start of an agent that knows a large catalogue.
type starts struct {
	options
	host  *process.Host
	code  string // that is looked up
	agent *fleet.Machine
}

func (s *starts) open(ctx context.Context) error {
	items, err := retail.Items(2, s.catalogue)
	if err != nil {
		return err
	}
	s.code = items[len(items)/2].GTIN
	stores := retail.Stores(2, 1)
	stores[0].PrimaryAgent = "b1"
	chain, err := fleet.Start(ctx, s.host, fleet.Options{
		Name: "hub-starts", Stores: stores, Agents: []fleet.Seat{{Agent: "b1", Store: "s1"}},
	}, func(ctx context.Context, hub *process.Hub) error {
		_, err := process.Load(ctx, hub, "items", items)
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
	for range s.starts {
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

// proportionalMiB is the memory of a process, with what it shares counted in
// parts (PSS), as Linux tells it.
func proportionalMiB(pid int) (float64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "Pss:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no Pss for process %d", pid)
}
