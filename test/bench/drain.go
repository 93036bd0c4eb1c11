package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
	"counterpart/test/bench/floor"
	"counterpart/test/process"
	"counterpart/test/proxy"
	"counterpart/test/retail"
)

// drain measures how a shop's backlog reaches the hub when the line is back.
type drain struct {
	options
	host   *process.Host
	items  []retail.Item
	origin protocol.Origin
	hub    string // folder of a hub that knows shop and items
	agent  string // folder of an agent with the backlog
	turn   int
}

// open makes a hub and an agent that know each other, and the backlog, once.
// The rounds work on copies.
func (d *drain) open(ctx context.Context) error {
	var err error
	if d.items, err = retail.Items(1, d.options.items); err != nil {
		return err
	}
	stores := retail.Stores(1, 1)
	stores[0].PrimaryAgent = "d1"
	d.hub, d.agent, d.origin, err = provision(ctx, d.host, "drain-base", "d1", stores, d.items)
	if err != nil {
		return err
	}
	return writeBacklog(ctx, d.agent, d.origin, d.backlog, d.items)
}

// provision runs a hub and one agent until the agent has everything and one
// sale has gone up, stops both, and returns their folders.
func provision(ctx context.Context, host *process.Host, name, agentID string, stores []retail.Store, items []retail.Item) (hubData, agentData string, o protocol.Origin, err error) {
	hub, err := host.StartHub(ctx, name, "")
	if err != nil {
		return "", "", o, err
	}
	for what, load := range map[string]func() error{
		"stores": func() error { _, err := process.Load(ctx, hub, "stores", stores); return err },
		"taxes":  func() error { _, err := process.Load(ctx, hub, "taxes", retail.Taxes()); return err },
		"items":  func() error { _, err := process.Load(ctx, hub, "items", items); return err },
	} {
		if err := load(); err != nil {
			return "", "", o, fmt.Errorf("load %s: %w", what, err)
		}
	}
	agent, err := host.StartAgent(ctx, process.AgentOptions{
		Agent: agentID, Store: stores[0].ID, Data: host.Data(name + "-" + agentID), Hub: "http://" + hub.Ready().HTTP,
	})
	if err != nil {
		return "", "", o, err
	}
	waiting, cancel := context.WithTimeoutCause(ctx, settlePatience, fmt.Errorf("%s cannot sell after %s", agentID, settlePatience))
	defer cancel()
	if err := process.Await(waiting, askEvery, func(ctx context.Context) (string, error) { return "", agent.Selling(ctx) }); err != nil {
		return "", "", o, err
	}
	if err := sellSpecimen(ctx, agent, items); err != nil {
		return "", "", o, err
	}
	var status process.AgentStatus
	err = process.Await(waiting, askEvery, func(ctx context.Context) (string, error) {
		if status, err = agent.Status(ctx); err != nil || status.Stream.Pending == 0 {
			return "", err
		}
		return "the sale is not at the hub", nil
	})
	if err != nil {
		return "", "", o, err
	}
	o = protocol.Origin{Store: protocol.StoreID(stores[0].ID), Agent: protocol.AgentID(agentID)}
	if o.Inc, err = protocol.ParseInc(status.Stream.Inc); err != nil {
		return "", "", o, err
	}
	return host.Data(name), agent.Data(), o, errors.Join(agent.Stop(), hub.Stop())
}

func (d *drain) round(ctx context.Context, r *record) error {
	d.turn++
	name := "drain-" + strconv.Itoa(d.turn)
	return errors.Join(d.ours(ctx, r, name), d.floor(ctx, r, name))
}

// A measured is what a drain used.
type measured struct {
	took, first time.Duration
	bytes       int64
	cpu         float64
	peak        []float64
}

func (m measured) add(r *record, name string, n int) {
	r.add(name+" /s", float64(n)/m.took.Seconds())
	r.add(name+" first", m.first.Seconds())
	r.add(name+" bytes", float64(m.bytes)/float64(n))
	r.add(name+" cpu", m.cpu*1e6/float64(n))
}

// ours drains the backlog of a real agent to a real hub.
func (d *drain) ours(ctx context.Context, r *record, name string) (err error) {
	if err := errors.Join(copyFolder(d.host.Data(name), d.hub), copyFolder(d.host.Data(name+"-agent"), d.agent)); err != nil {
		return err
	}
	hub, err := d.host.StartHub(ctx, name, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hub.Stop(), os.RemoveAll(d.host.Data(name))) }()
	line, err := newShopLine(d.host, hub.Ready())
	if err != nil {
		return err
	}
	if err := line.set(proxy.Cut); err != nil {
		return err
	}
	agent, err := d.host.StartAgent(ctx, process.AgentOptions{
		Agent: string(d.origin.Agent), Store: string(d.origin.Store), Data: d.host.Data(name + "-agent"),
		Hub: "http://" + line.http.Addr(), MQTT: "mqtt://" + line.mqtt.Addr(),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, agent.Stop(), os.RemoveAll(agent.Data())) }()
	if err := process.Pause(ctx, d.outage); err != nil {
		return err
	}
	m, err := d.drained(ctx, line, hub, agent)
	if err != nil {
		return err
	}
	m.add(r, "drain", d.backlog)
	r.add("drain agent MiB", m.peak[0])
	r.add("drain hub MiB", m.peak[1])
	for _, o := range []struct {
		name   string
		mode   proxy.Mode
		outage time.Duration
	}{{"short", proxy.Cut, d.outage}, {"long", proxy.Cut, d.longOutage}, {"swallowed", proxy.Swallow, d.longOutage}} {
		took, err := d.returned(ctx, line, agent, o.mode, o.outage)
		if err != nil {
			return fmt.Errorf("%s outage: %w", o.name, err)
		}
		r.add("first after "+o.name, took.Seconds())
	}
	return nil
}

// drained opens the line and measures until the hub has acknowledged all.
func (d *drain) drained(ctx context.Context, line *shopLine, hub *process.Hub, agent *process.Agent) (m measured, err error) {
	meter := newMeter(agent.PID(), hub.PID())
	before := line.bytes()
	stop, err := d.profile(ctx, "w2", map[string]int{"agent": agent.PID(), "hub": hub.PID()})
	if err != nil {
		return m, err
	}
	begin := time.Now()
	if err := line.set(proxy.Pass); err != nil {
		return m, err
	}
	last := protocol.Seq(d.backlog + 1) // the first was the specimen
	end, err := line.awaitAck(ctx, last)
	if err != nil {
		return m, err
	}
	m.took, m.bytes = end.Sub(begin), line.bytes()-before
	if m.cpu, m.peak, err = meter.read(); err != nil {
		return m, err
	}
	if err := stop(); err != nil {
		return m, err
	}
	first, err := line.awaitAck(ctx, 2)
	if err != nil {
		return m, err
	}
	m.first = first.Sub(begin)
	status, err := hub.Status(ctx)
	if err == nil && (status.Events != int64(last) || status.DeadLetters != 0) {
		err = fmt.Errorf("the hub has folded %d of %d events and set %d aside", status.Events, last, status.DeadLetters)
	}
	return m, err
}

// returned takes the line away for a while in which one sale is made, and
// measures how long that one takes to the hub once the line is back.
func (d *drain) returned(ctx context.Context, line *shopLine, agent *process.Agent, mode proxy.Mode, outage time.Duration) (time.Duration, error) {
	if err := line.set(mode); err != nil {
		return 0, err
	}
	if err := sellSpecimen(ctx, agent, d.items); err != nil {
		return 0, err
	}
	status, err := agent.Status(ctx)
	if err != nil {
		return 0, err
	}
	if err := process.Pause(ctx, outage); err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := line.set(proxy.Pass); err != nil {
		return 0, err
	}
	at, err := line.awaitAck(ctx, protocol.Seq(status.Stream.LastSeq))
	return at.Sub(begin), err
}

// floor drains a bare outbox through a bare broker to a bare file, through the
// same proxy.
func (d *drain) floor(ctx context.Context, r *record, name string) (err error) {
	broker, err := startMosquitto(ctx, d.host.Dir())
	if errors.Is(err, errNoMosquitto) {
		r.note("The floors of W2 were not measured: " + err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	line, err := proxy.Listen(broker.addr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, line.Close()) }()
	path := filepath.Join(d.host.Dir(), "data", name+"-floor.db")
	sink, err := startWorker(ctx, "sink", "-db", path, "-broker", broker.addr, "-n", strconv.Itoa(d.backlog))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close(), os.Remove(path)) }()
	edge, err := startWorker(ctx, "edge", "-db", filepath.Join(d.host.Dir(), "data", "drain-outbox.db"), "-broker", line.Addr(), "-n", strconv.Itoa(d.backlog))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, edge.Close()) }()
	if err := line.Set(proxy.Cut); err != nil {
		return err
	}
	meter := newMeter(edge.pid(), broker.pid(), sink.pid())
	begin := time.Now()
	if err := errors.Join(edge.say("go"), line.Set(proxy.Pass)); err != nil {
		return err
	}
	var first, all floor.Note
	if first, err = sink.await(ctx, "first"); err != nil {
		return err
	}
	if all, err = sink.await(ctx, "all"); err != nil {
		return err
	}
	m := measured{took: time.Unix(0, all.At).Sub(begin), first: time.Unix(0, first.At).Sub(begin)}
	up, down := line.Bytes()
	m.bytes = up + down
	if m.cpu, m.peak, err = meter.read(); err != nil {
		return err
	}
	m.add(r, "drain floor", d.backlog)
	return nil
}

// readOne reads the specimen of an agent that was stopped.
func readOne(ctx context.Context, data string, o protocol.Origin) (s specimen, err error) {
	db, err := bolt.Open(filepath.Join(data, "agent.db"), bolt.Options{Kind: "agent", Owner: string(o.Store) + "/" + string(o.Agent)})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.View(ctx, func(r ledger.Reader) (err error) {
		s, err = readSpecimen(r, o)
		return err
	})
	return s, err
}
