package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"counterpart/protocol"
	"counterpart/test/bench/floor"
	"counterpart/test/client"
	"counterpart/test/process"
	"counterpart/test/retail"
)

// herdRole is the worker that stands in for many agents.
const herdRole = "agents"

// herdEvents is how many events each agent of the herd sends, in one batch.
const herdEvents = floor.FrameSales

// herd measures how a hub takes in what many agents send at once.
type herd struct {
	options
	host   *process.Host
	bodies string // file with the events of one agent
	turn   int
}

// open makes the events: those of one agent serve all, since an event does not
// name its agent.
func (h *herd) open(ctx context.Context) error {
	items, err := retail.Items(1, h.options.items)
	if err != nil {
		return err
	}
	stores := retail.Stores(1, 1)
	stores[0].PrimaryAgent = "e1"
	_, data, origin, err := provision(ctx, h.host, "herd-base", "e1", stores, items)
	if err != nil {
		return err
	}
	s, err := readOne(ctx, data, origin)
	if err != nil {
		return err
	}
	var records []protocol.Record
	for n := range herdEvents {
		clock, event := s.sale(n+1, items)
		event.Sale.Number = uint64(n + 1)
		body, err := protocol.EncodeEvent(event)
		if err != nil {
			return err
		}
		records = append(records, protocol.Record{Clock: clock, Body: body})
	}
	text, err := json.Marshal(records)
	if err != nil {
		return err
	}
	h.bodies = filepath.Join(h.host.Dir(), "herd.json")
	return os.WriteFile(h.bodies, text, 0o600)
}

func (h *herd) round(ctx context.Context, r *record) error {
	h.turn++
	name := "herd-" + strconv.Itoa(h.turn)
	return errors.Join(h.ours(ctx, r, name), h.floor(ctx, r, name))
}

func (h *herd) ours(ctx context.Context, r *record, name string) (err error) {
	hub, err := h.host.StartHub(ctx, name, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hub.Stop(), os.RemoveAll(h.host.Data(name))) }()
	if _, err := process.Load(ctx, hub, "stores", retail.Stores(1, h.agents)); err != nil {
		return err
	}
	agents, err := startWorker(ctx, herdRole, "-hub", "http://"+hub.Ready().HTTP, "-n", strconv.Itoa(h.agents), "-events", h.bodies)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, agents.Close()) }()
	meter := newMeter(hub.PID())
	stop, err := h.profile(ctx, "w3", map[string]int{"hub": hub.PID()})
	if err != nil {
		return err
	}
	if err := agents.say("go"); err != nil {
		return err
	}
	begin, err := agents.await(ctx, "begin")
	if err != nil {
		return err
	}
	all, err := agents.await(ctx, "all")
	if err != nil {
		return err
	}
	cpu, peak, err := meter.read()
	if err != nil {
		return err
	}
	if err := stop(); err != nil {
		return err
	}
	n := h.agents * herdEvents
	r.add("herd /s", float64(n)/time.Duration(all.At-begin.At).Seconds())
	r.add("herd cpu", cpu*1e6/float64(n))
	r.add("herd hub MiB", peak[0])
	r.add("herd again", float64(all.N))
	status, err := hub.Status(ctx)
	if err == nil && (status.Events != int64(n) || status.DeadLetters != 0) {
		err = fmt.Errorf("the hub has folded %d of %d events and set %d aside", status.Events, n, status.DeadLetters)
	}
	return err
}

func (h *herd) floor(ctx context.Context, r *record, name string) (err error) {
	broker, err := startMosquitto(ctx, h.host.Dir())
	if errors.Is(err, errNoMosquitto) {
		r.note("The floors of W3 were not measured: " + err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	n := h.agents * herdEvents
	path := filepath.Join(h.host.Dir(), "data", name+"-floor.db")
	sink, err := startWorker(ctx, "sink", "-db", path, "-broker", broker.addr, "-n", strconv.Itoa(n))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close(), os.Remove(path)) }()
	clients, err := startWorker(ctx, "herd", "-broker", broker.addr, "-n", strconv.Itoa(h.agents))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clients.Close()) }()
	meter := newMeter(broker.pid(), sink.pid())
	if err := clients.say("go"); err != nil {
		return err
	}
	begin, err := clients.await(ctx, "begin")
	if err != nil {
		return err
	}
	all, err := sink.await(ctx, "all")
	if err != nil {
		return err
	}
	cpu, _, err := meter.read()
	if err != nil {
		return err
	}
	r.add("herd floor /s", float64(n)/time.Duration(all.At-begin.At).Seconds())
	r.add("herd floor cpu", cpu*1e6/float64(n))
	return nil
}

// serveHerd is the worker: n agents of n stores that speak the protocol from
// its page. All open their sessions and wait as long as the hub tells them;
// then, at a word, each sends one batch and waits for its acknowledgement.
func serveHerd(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var hub, events string
	var n int
	flags := flag.NewFlagSet(herdRole, flag.ContinueOnError)
	flags.StringVar(&hub, "hub", "", "the hub's address")
	flags.StringVar(&events, "events", "", "the file with the events of one agent")
	flags.IntVar(&n, "n", 0, "how many agents")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text, err := os.ReadFile(events)
	if err != nil {
		return err
	}
	var records []client.Record
	var list []protocol.Record
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, r := range list {
		records = append(records, client.Record{Wall: r.WallMs, Running: r.MonoMs, Body: r.Body})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	words := bufio.NewScanner(in)
	notes := json.NewEncoder(out)
	tell := func(n floor.Note) error {
		n.At = time.Now().UnixNano()
		return notes.Encode(n)
	}
	agents, batches, err := connectHerd(ctx, hub, n, records)
	if err != nil {
		return err
	}
	if err := tell(floor.Note{What: "ready"}); err != nil || !words.Scan() {
		return err
	}
	if err := tell(floor.Note{What: "begin"}); err != nil {
		return err
	}
	again, err := sendHerd(ctx, agents, batches)
	if err != nil {
		return tell(floor.Note{What: "error", Error: err.Error()})
	}
	if err := tell(floor.Note{What: "all", N: again}); err != nil {
		return err
	}
	for words.Scan() { // until the starter is gone
	}
	return nil
}

// sessionsAtOnce bounds how many agents connect at a time.
const sessionsAtOnce = 32

// connectHerd opens all sessions, and waits until the hub lets all of them
// send. The batches are made before, as a real agent's are while it waits.
func connectHerd(ctx context.Context, hub string, n int, records []client.Record) ([]*client.Agent, []client.Batch, error) {
	agents, batches := make([]*client.Agent, n), make([]client.Batch, n)
	waits := make([]time.Time, n)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(sessionsAtOnce)
	for i := range n {
		group.Go(func() error {
			l := client.NewLog(client.Stream{Store: fmt.Sprintf("s%d", i+1), Agent: fmt.Sprintf("h%d", i+1), Inc: client.RandomInc()})
			for _, r := range records {
				l.Append(r)
			}
			a, err := client.Start(groupCtx, hub, l)
			if err != nil {
				return err
			}
			welcome, err := a.Hello(groupCtx)
			if err != nil {
				return err
			}
			if welcome.Kind != client.KindWelcome {
				return fmt.Errorf("%s was refused: %s", l.Agent, welcome.Body.Text(3))
			}
			agents[i], waits[i] = a, time.Now().Add(time.Duration(welcome.Body.Uint(9))*time.Millisecond)
			batches[i], err = a.Batch(1, uint64(len(records)))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	for _, until := range waits {
		if err := process.Pause(ctx, time.Until(until)); err != nil {
			return nil, nil, err
		}
	}
	return agents, batches, nil
}

// ackPatience is how long an agent waits before it sends again.
const ackPatience = 5 * time.Second

// sendHerd sends all batches at once, and those again that are not acknowledged
// in time. It returns how many were sent again.
func sendHerd(ctx context.Context, agents []*client.Agent, batches []client.Batch) (int, error) {
	var again atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for i, a := range agents {
		group.Go(func() error {
			for {
				if err := a.SendBatch(ctx, batches[i]); err != nil {
					return err
				}
				short, cancel := context.WithTimeout(ctx, ackPatience)
				in, err := a.Await(short, client.KindAck, client.KindNack, client.KindFence)
				cancel()
				switch {
				case err == nil && in.Kind == client.KindAck && in.Body.Uint(3) >= batches[i].Count:
					return nil
				case err == nil && in.Kind == client.KindFence:
					return fmt.Errorf("%s: fenced: %s", a.Log.Agent, in.Body.Text(4))
				case err != nil && !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
					return err
				}
				again.Add(1)
			}
		})
	}
	err := group.Wait()
	return int(again.Load()), err
}
