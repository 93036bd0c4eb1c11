// Package fleet runs a hub and the agents of its stores as real processes, with
// a line between each agent and the hub that can be cut, and tells when all of
// them agree.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"counterpart/test/process"
	"counterpart/test/proxy"
	"counterpart/test/retail"
)

const (
	// startsAtOnce bounds how many agents start at the same time.
	startsAtOnce = 4
	// sellingPatience bounds how long an agent may take until it can sell.
	sellingPatience = 3 * time.Minute
	// askEvery is how often something is asked that is awaited.
	askEvery = 100 * time.Millisecond
)

// Options describe a chain.
type Options struct {
	Name     string // of the hub's data and log; "hub" if empty
	Currency string
	Stores   []retail.Store
	Taxes    []retail.Tax
	Agents   []Seat
	HubFlags []string // further ones
}

// A Seat is an agent in a store.
type Seat struct {
	Agent string
	Store string
}

// A Fleet is a running chain.
type Fleet struct {
	Hub      *process.Hub
	Machines []*Machine
}

// A Machine is an agent and its line to the hub.
type Machine struct {
	*process.Agent
	http *proxy.Proxy
	mqtt *proxy.Proxy

	mu   sync.Mutex
	cuts int // that are not over
}

// Start starts the hub, tells it the stores and taxes and whatever load adds,
// and then starts the agents, so that they find everything there. It returns
// when all agents can sell.
func Start(ctx context.Context, host *process.Host, options Options, load func(context.Context, *process.Hub) error) (*Fleet, error) {
	hub, err := host.StartHub(ctx, cmp.Or(options.Name, "hub"), options.Currency, options.HubFlags...)
	if err != nil {
		return nil, err
	}
	f := &Fleet{Hub: hub, Machines: make([]*Machine, len(options.Agents))}
	if _, err := process.Load(ctx, hub, "stores", options.Stores); err != nil {
		return f, err
	}
	if len(options.Taxes) > 0 {
		if _, err := process.Load(ctx, hub, "taxes", options.Taxes); err != nil {
			return f, err
		}
	}
	if err := load(ctx, hub); err != nil {
		return f, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(startsAtOnce)
	for i, seat := range options.Agents {
		group.Go(func() error {
			machine, err := startMachine(groupCtx, host, hub, seat)
			f.Machines[i] = machine
			return err
		})
	}
	return f, group.Wait()
}

// startMachine starts one agent behind its line and waits until it can sell.
func startMachine(ctx context.Context, host *process.Host, hub *process.Hub, seat Seat) (*Machine, error) {
	m := &Machine{}
	for line, target := range map[**proxy.Proxy]string{&m.http: hub.Ready().HTTP, &m.mqtt: hub.Ready().MQTT} {
		p, err := proxy.Listen(target)
		if err != nil {
			return nil, err
		}
		host.Own(p)
		*line = p
	}
	var err error
	m.Agent, err = host.StartAgent(ctx, process.AgentOptions{
		Agent: seat.Agent, Store: seat.Store, Hub: "http://" + m.http.Addr(), MQTT: "mqtt://" + m.mqtt.Addr(),
	})
	if err != nil {
		return nil, err
	}
	return m, m.awaitSelling(ctx)
}

func (m *Machine) awaitSelling(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, sellingPatience, fmt.Errorf("%s cannot sell after %s", m.ID(), sellingPatience))
	defer cancel()
	return process.Await(ctx, askEvery, func(ctx context.Context) (string, error) { return "", m.Selling(ctx) })
}

// SetLine changes the state of the machine's line, HTTP and MQTT alike.
func (m *Machine) SetLine(mode proxy.Mode) error {
	return errors.Join(m.http.Set(mode), m.mqtt.Set(mode))
}

// SetBroker changes the state of the MQTT half alone.
func (m *Machine) SetBroker(mode proxy.Mode) error { return m.mqtt.Set(mode) }

// Cut cuts the line for a while. Where cuts overlap, the line is back when the
// last of them is over.
func (m *Machine) Cut(ctx context.Context, d time.Duration) error {
	if err := m.cut(+1); err != nil {
		return err
	}
	// The line is mended also when the run ends early: who ends it may want to
	// see the chain agree.
	return errors.Join(process.Pause(ctx, d), m.cut(-1))
}

func (m *Machine) cut(change int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cuts += change
	if m.cuts > 0 {
		return m.SetLine(proxy.Cut)
	}
	return m.SetLine(proxy.Pass)
}

// In lists the machines of a store, the first of which is its primary.
func (f *Fleet) In(store string) []*Machine {
	var list []*Machine
	for _, m := range f.Machines {
		if m.Store() == store {
			list = append(list, m)
		}
	}
	return list
}

// Stop stops the agents and then the hub, each as a service manager would.
func (f *Fleet) Stop() error {
	var all []error
	for _, m := range f.Machines {
		if m != nil {
			all = append(all, m.Agent.Stop())
		}
	}
	return errors.Join(append(all, f.Hub.Stop())...)
}

// Converge waits until every agent is online and has nothing to send, and the
// hub has exactly what the agents have.
func (f *Fleet) Converge(ctx context.Context) error {
	return process.Await(ctx, askEvery, f.unsent)
}

// unsent says what the hub does not have yet, or nothing.
func (f *Fleet) unsent(ctx context.Context) (string, error) {
	heads := map[string]int64{} // of the agents' streams, by inc
	for _, m := range f.Machines {
		status, err := m.Status(ctx)
		if err != nil {
			return "", fmt.Errorf("ask %s: %w", m.ID(), err)
		}
		if status.Link.State != "online" || status.Stream.Pending != 0 {
			cause := ""
			if status.Link.Cause != nil {
				cause = " (" + *status.Link.Cause + ")"
			}
			return fmt.Sprintf("%s is %s%s with %d events to send", m.ID(), status.Link.State, cause, status.Stream.Pending), nil
		}
		if status.Stream.LastSeq > 0 { // The hub need not know of a stream that is empty.
			heads[status.Stream.Inc] = status.Stream.LastSeq
		}
	}
	agents, err := f.Hub.Agents(ctx)
	if err != nil {
		return "", fmt.Errorf("ask the hub: %w", err)
	}
	for _, agent := range agents {
		for _, stream := range agent.Streams {
			head, ours := heads[stream.Inc]
			if ours && head != stream.Seq {
				return fmt.Sprintf("the hub has %d of %d events of %s", stream.Seq, head, agent.Agent), nil
			}
			if len(stream.Gaps) > 0 {
				return "", fmt.Errorf("the hub has gaps in the stream of %s: %v", agent.Agent, stream.Gaps)
			}
			delete(heads, stream.Inc)
		}
	}
	if len(heads) > 0 {
		return fmt.Sprintf("the hub does not know %d of the agents' streams", len(heads)), nil
	}
	return "", nil
}

// CatchUp waits until every agent has everything that the hub has for it.
func (f *Fleet) CatchUp(ctx context.Context) error {
	return process.Await(ctx, askEvery, func(ctx context.Context) (string, error) {
		for _, m := range f.Machines {
			status, err := m.Status(ctx)
			if err != nil {
				return "", fmt.Errorf("ask %s: %w", m.ID(), err)
			}
			for _, feed := range status.Feeds {
				if feed.State != "tail" || feed.Behind != 0 {
					return fmt.Sprintf("%s has feed %s in state %s, %d behind", m.ID(), feed.Feed, feed.State, feed.Behind), nil
				}
			}
		}
		return "", nil
	})
}

// Quarantined lists what hub and agents have set aside because they could not
// read or fold it, and the holes that the hub knows of. There must be none
// unless somebody sent nonsense.
func (f *Fleet) Quarantined(ctx context.Context) ([]string, error) {
	hub, err := f.Hub.Status(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	if hub.DeadLetters != 0 || hub.Gaps != 0 {
		found = append(found, fmt.Sprintf("the hub has %d dead letters and %d gaps", hub.DeadLetters, hub.Gaps))
	}
	sum := int64(0)
	for _, m := range f.Machines {
		status, err := m.Status(ctx)
		if err != nil {
			return nil, err
		}
		sum += status.Stream.LastSeq
		if status.DeadLetters != 0 {
			found = append(found, fmt.Sprintf("%s has %d dead letters", m.ID(), status.DeadLetters))
		}
	}
	if hub.Events < sum {
		found = append(found, fmt.Sprintf("the hub has folded %d events, the agents have logged %d", hub.Events, sum))
	}
	return found, nil
}
