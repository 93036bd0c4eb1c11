// Package hub is the cloud side's core: it ingests what stores did, writes the
// hub's own acts, keeps feeds going down, and answers what is where.
//
// The core holds no socket, clock or goroutine of its own. Its inputs are
// Receive and the calls of the HTTP side; time, randomness and the way out are
// given to it. Every change is an event that is folded, stored and put on its
// feeds in one transaction, before anybody is told.
package hub

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Options are what a hub is made of.
type Options struct {
	Driver   ledger.Driver
	Currency string // of items whose rows name none, ISO 4217
	// Now is the wall clock, Mono the running time since the process started.
	Now  func() time.Time
	Mono func() time.Duration
	// Random fills its argument with unpredictable bytes.
	Random func([]byte)
	// Send hands a payload to the broker. It may lose it and must not block
	// for long.
	Send func(topic string, payload []byte, retain bool)
	// Committed is told after each commit how far a stream has come, for the
	// second copy, which answers with Copied. It must not block. Nil means that
	// there is none: what is acknowledged counts as safe.
	Committed func(o protocol.Origin, upto protocol.Seq)
	// Keys are those of members; nil keeps no members.
	Keys *ledger.KeyRing
	Log  *slog.Logger
}

// Hub is safe for concurrent use.
type Hub struct {
	driver   ledger.Driver // the outbox, which passes everything on
	outbox   *outbox
	currency string
	now      func() time.Time
	mono     func() time.Duration
	random   func([]byte)
	send     func(topic string, payload []byte, retain bool)
	log      *slog.Logger
	identity Identity
	epoch    atomic.Uint64
	secret   []byte // marks the hub's own streams as its own
	boot     uint32
	safety   safety  // has a lock of its own
	digests  digests // likewise
	ran      running // saved is Tick's alone
	policies atomic.Pointer[policyTable]
	policing sync.Mutex  // whoever reads the policy anew
	holds    holds       // has a lock of its own
	demand   demand      // likewise; saved is Tick's alone
	times    timetables  // likewise
	tokens   tokenKeys   // likewise
	stores   storesKnown // likewise
	keys     *ledger.KeyRing
	sealing  orderSecrets // has a lock of its own
	// enrolling is held while the key for look-ups is made, changing while a member
	// is changed.
	enrolling, changing sync.Mutex
	leasing             leasing // has a lock of its own

	mu        sync.Mutex
	sessions  map[protocol.AgentID][]*session
	twins     map[protocol.AgentID]twins
	newTwins  bool // twins holds some that are not yet written down
	agents    map[protocol.AgentID]*agentRow
	streams   map[protocol.StoreID]protocol.Inc       // the hub's own, by store
	failing   map[protocol.Inc]failing                // only ingest uses it
	members   map[protocol.StoreID][]protocol.AgentID // of each store, by agents
	clock     clock
	changed   chan struct{}
	snapshots snapshotCache
	uploads   keyedUploads // has a lock of its own
	pruneFrom string       // up to where kept answers were looked through; Tick's alone
	seenSaved time.Duration
	// cartsLooked is when anonymous carts were last looked through; Tick's alone.
	cartsLooked time.Duration
	// ordersLooked is when the secrets of orders were; Tick's alone as well.
	ordersLooked time.Duration
	helloMs      int64 // the second in which Hellos are being counted
	hellos       int
}

// New opens the hub's core over a driver. The first start of a database makes
// its epoch; every start counts one boot.
func New(ctx context.Context, o Options) (*Hub, error) {
	out := newOutbox(o.Driver, o.Now)
	h := &Hub{
		driver: out, outbox: out, currency: o.Currency, now: o.Now, mono: o.Mono, random: o.Random, send: o.Send, log: o.Log, keys: o.Keys,
		sessions: map[protocol.AgentID][]*session{},
		twins:    map[protocol.AgentID]twins{},
		agents:   map[protocol.AgentID]*agentRow{},
		streams:  map[protocol.StoreID]protocol.Inc{},
		failing:  map[protocol.Inc]failing{},
		members:  map[protocol.StoreID][]protocol.AgentID{},
		changed:  make(chan struct{}),
		safety:   safety{committed: o.Committed, copied: map[protocol.Inc]protocol.Seq{}},
	}
	out.running, out.shown = h.running, h.shown
	h.policies.Store(&policyTable{})
	err := o.Driver.Update(ctx, func(tx ledger.Tx) error {
		var err error
		if h.identity, err = identify(tx, h.random); err != nil {
			return err
		}
		epoch, err := counter(tx, noteEpoch)
		if err != nil {
			return err
		}
		if h.secret, err = secret(tx, h.random); err != nil {
			return err
		}
		if err := errors.Join(h.loadRunning(tx), out.loadWanted(tx)); err != nil {
			return err
		}
		boot, err := counter(tx, "boot")
		if err != nil {
			return err
		}
		if epoch == 0 {
			// Two databases of one chain must not share an epoch, or cursors
			// of the first would be taken for cursors of the second.
			epoch = uint64(max(h.now().Unix(), 1))
		}
		h.epoch.Store(epoch)
		h.boot = uint32(boot + 1)
		h.watchClock()
		return errors.Join(setCounter(tx, noteEpoch, epoch), setCounter(tx, "boot", boot+1), countMark(tx), h.setRunning(tx, h.ran.saved, h.clock))
	})
	if err != nil {
		return nil, fmt.Errorf("open hub: %w", err)
	}
	if err := errors.Join(h.loadTwins(ctx), h.loadDigests(ctx)); err != nil {
		return nil, err
	}
	if err := errors.Join(h.loadAgents(ctx), h.loadPolicies(ctx), h.loadHolds(ctx), h.loadDemand(ctx), h.loadRules(ctx)); err != nil {
		return nil, err
	}
	if err := h.loadAwaited(ctx); err != nil {
		return nil, err
	}
	h.sweepSoon()
	if err := errors.Join(h.settleAll(ctx), h.settleAllTransfers(ctx), h.feedMembers(ctx), h.settleAllMembers(ctx)); protocol.CodeOf(err) == protocol.DiskFull {
		h.log.Error("the hub's disk is full; what is owed to stores waits", "error", err)
	} else if err != nil {
		return nil, err
	}
	return h, h.eraseAgain(ctx)
}

func counter(r ledger.Reader, name string) (uint64, error) {
	b, err := ledger.Note(r, name)
	if err != nil || len(b) != 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

func setCounter(tx ledger.Tx, name string, v uint64) error {
	return ledger.SetNote(tx, binary.BigEndian.AppendUint64(nil, v), name)
}

// Epoch names this life of the database; it grows when the database was
// restored from an older copy.
func (h *Hub) Epoch() uint64 { return h.epoch.Load() }

// Identity names the database.
func (h *Hub) Identity() Identity { return h.identity }

func (h *Hub) view(ctx context.Context, fn func(ledger.Reader) error) error {
	return h.driver.View(ctx, fn)
}

// act logs one event in the hub's own stream of a store in the transaction in
// which build reads. build may run again; nil means that there is nothing to
// do. What the event changed is announced after the commit.
func (h *Hub) act(ctx context.Context, store protocol.StoreID, build func(tx ledger.Tx) (*protocol.Event, error)) (ledger.Result, error) {
	return h.actAll(ctx, store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
		ev, err := build(tx)
		if err != nil || ev == nil {
			return nil, err
		}
		return []*protocol.Event{ev}, nil
	})
}

// actAll is act for several events that belong together, whose stream build is
// told. Its result is that of the last.
func (h *Hub) actAll(ctx context.Context, store protocol.StoreID, build func(ledger.Tx, protocol.Origin) ([]*protocol.Event, error)) (ledger.Result, error) {
	return h.actAfter(ctx, store, build, func(ledger.Tx, []*protocol.Event) error { return nil })
}

// actAfter is actAll, and calls after in the same transaction when the events
// are logged.
func (h *Hub) actAfter(ctx context.Context, store protocol.StoreID, build func(ledger.Tx, protocol.Origin) ([]*protocol.Event, error), after func(ledger.Tx, []*protocol.Event) error) (ledger.Result, error) {
	results, err := h.actIn(ctx, []protocol.StoreID{store}, func(tx ledger.Tx, own map[protocol.StoreID]protocol.Origin) ([]deed, error) {
		events, err := build(tx, own[store])
		return []deed{{store: store, events: events}}, err
	}, func(tx ledger.Tx, deeds []deed) error { return after(tx, deeds[0].events) })
	return results[store], err
}

// deed is what the hub logs in its own stream of a store.
type deed struct {
	store  protocol.StoreID
	events []*protocol.Event
	wallMs int64 // when the last of them was logged
}

// actIn logs events in the hub's own streams of several stores, in one
// transaction: those that build makes, which is told the streams of the stores
// that are named. The results are those of the last event of each store.
func (h *Hub) actIn(ctx context.Context, stores []protocol.StoreID, build func(ledger.Tx, map[protocol.StoreID]protocol.Origin) ([]deed, error), after func(ledger.Tx, []deed) error) (map[protocol.StoreID]ledger.Result, error) {
	own := map[protocol.StoreID]protocol.Origin{}
	for _, store := range stores {
		own[store] = protocol.Origin{Store: store, Agent: protocol.HubAgent, Inc: h.ownStream(store)}
	}
	var results map[protocol.StoreID]ledger.Result
	var grown map[protocol.FeedID]ledger.Growth
	var deeds []deed
	err := h.driver.Update(ctx, func(tx ledger.Tx) (err error) {
		results, grown = map[protocol.StoreID]ledger.Result{}, map[protocol.FeedID]ledger.Growth{}
		deeds, err = build(tx, own)
		if err != nil {
			return err
		}
		for i := range deeds {
			d := &deeds[i]
			for _, ev := range d.events {
				clock := protocol.Clock{WallMs: h.now().UnixMilli(), MonoMs: h.mono().Milliseconds()}
				if results[d.store], err = h.logOwn(tx, own[d.store], clock, ev, grown); err != nil {
					return err
				}
				d.wallMs = clock.WallMs
			}
		}
		return after(tx, deeds)
	})
	if err != nil {
		return results, err
	}
	for store, res := range results {
		h.safety.note(own[store], res.Stream.Seq)
	}
	return results, errors.Join(h.announce(ctx, grown, nil), h.settleShop(ctx, deeds))
}

// logOwn logs one event of the hub and puts it on the feeds.
func (h *Hub) logOwn(tx ledger.Tx, origin protocol.Origin, clock protocol.Clock, ev *protocol.Event, grown map[protocol.FeedID]ledger.Growth) (ledger.Result, error) {
	ev.Boot = h.boot
	res, err := ledger.Log(tx, origin, clock, ev)
	if err != nil {
		return res, err
	}
	if err := countMark(tx); err != nil {
		return res, err
	}
	members, err := ledger.AppendMembers(tx, res.Members)
	if err != nil {
		return res, err
	}
	for _, feeds := range []map[protocol.FeedID]ledger.Growth{res.Feeds, members} {
		for feed, growth := range feeds {
			grown[feed] = grown[feed].Join(growth)
		}
	}
	if origin.Store == protocol.ChainStore {
		return res, nil
	}
	head, err := ledger.AppendPeer(tx, origin, res.Stream.Seq, 1)
	feed := protocol.PeerFeed(origin.Store)
	grown[feed] = grown[feed].Join(ledger.Growth{Before: head - 1, Head: head})
	return res, err
}

// Changed returns a channel that is closed at the next change of anything that
// the pages show.
func (h *Hub) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// notify wakes whoever waits on Changed; h.mu is held.
func (h *Hub) notify() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *Hub) post(topic string, m protocol.Message) {
	payload, err := protocol.EncodeMessage(m)
	if err != nil {
		h.log.Error("message cannot be encoded", "topic", topic, "error", err)
		return
	}
	h.send(topic, payload, false)
}
