package sim

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// machine is one simulated store machine: its disk, its engine, and the
// connection that it may have.
type machine struct {
	w      *world
	origin protocol.Origin
	db     *ledger.Memory
	engine *uplink.Engine
	boot   uint64
	booted time.Duration

	connection uint64 // 0: none
	cutUntil   time.Duration
	upFree     time.Duration // when the line up is free: messages keep their order
	downFree   time.Duration
	subscribed map[string]bool
	tickAt     time.Duration
	receipts   uint64
	connects   uint64

	// confirmed are the events that the till was told are recorded.
	confirmed []protocol.Hash
}

func (w *world) addMachine(store protocol.StoreID, agent protocol.AgentID) *machine {
	m := &machine{w: w, db: ledger.NewMemory(), origin: protocol.Origin{Store: store, Agent: agent, Inc: incOf(w.rnd)}}
	w.agents = append(w.agents, m)
	m.start()
	return m
}

// start begins a process over the machine's disk.
func (m *machine) start() {
	m.boot = m.w.rnd.Uint64()
	m.booted = m.w.now
	m.connection = 0
	var follow []ledger.Cursor
	err := m.db.View(context.Background(), func(r ledger.Reader) (err error) {
		follow, err = uplink.Followed(r, m.origin.Store)
		return err
	})
	if err != nil {
		m.w.fail("%s: %v", m.origin.Agent, err)
	}
	m.engine = uplink.New(uplink.Config{
		Origin: m.origin, Build: "sim", BootID: m.boot, Outbox: uplink.NewOutbox(m.db, m.origin), Follow: follow,
		Rand: rand.New(rand.NewPCG(m.w.rnd.Uint64(), 1)), Log: m.w.log,
	})
	m.step(uplink.Tick{})
}

func (m *machine) instant() uplink.Instant {
	return uplink.Instant{Mono: m.w.now - m.booted, Wall: m.w.wall()}
}

// step feeds the engine and carries out what it asks for.
func (m *machine) step(in any) {
	boot := m.boot
	for _, out := range m.engine.Step(m.instant(), in) {
		if m.boot != boot || m.w.err != nil {
			return
		}
		m.do(out)
	}
	next := m.booted + m.engine.Next()
	if m.tickAt <= m.w.now || next < m.tickAt {
		m.tickAt = max(next, m.w.now+time.Millisecond)
		at := m.tickAt
		m.w.at(at-m.w.now, func() {
			if m.boot == boot && m.tickAt == at {
				m.tickAt = 0
				m.step(uplink.Tick{})
			}
		})
	}
}

// later answers the engine after a delay, unless the process has ended.
func (m *machine) later(delay time.Duration, in func() any) {
	boot := m.boot
	m.w.at(delay, func() {
		if m.boot == boot {
			if input := in(); input != nil {
				m.step(input)
			}
		}
	})
}

func (m *machine) do(out any) {
	switch out := out.(type) {
	case uplink.Connect:
		m.later(5*time.Millisecond, m.connect)
	case uplink.Hangup:
		m.connection = 0
	case uplink.Send:
		payload, err := protocol.EncodeMessage(out.Message)
		if err != nil {
			m.w.fail("%s: %v", m.origin.Agent, err)
			return
		}
		if m.connection != 0 {
			m.w.up(m, protocol.TopicUp(m.origin.Store, m.origin.Agent), payload)
		}
	case uplink.Subscribe:
		m.subscribed[protocol.TopicFeed(out.Feed)] = true
	case uplink.Apply:
		m.later(2*time.Millisecond, func() any { return uplink.ApplyDelta(context.Background(), m.db, out) })
	case uplink.Fetch:
		m.later(50*time.Millisecond, func() any { return m.fetch(out) })
	case uplink.Reset:
		m.later(time.Millisecond, func() any {
			return uplink.ResetFeed(context.Background(), m.db, out)
		})
	}
}

func (m *machine) connect() any {
	if m.w.now < m.cutUntil {
		return uplink.DialFailed{Cause: uplink.CauseRefused}
	}
	m.connects++
	m.connection = m.connects
	m.upFree, m.downFree = 0, 0
	m.subscribed = map[string]bool{protocol.TopicDown(m.origin.Store, m.origin.Agent): true}
	for _, f := range m.engine.Feeds() {
		m.subscribed[protocol.TopicFeed(f.Feed)] = true
	}
	return uplink.Dialed{}
}

// fetch loads a snapshot straight from the hub, as the HTTP side would.
func (m *machine) fetch(job uplink.Fetch) any {
	feed := job.Feed
	if m.w.now < m.cutUntil {
		return uplink.Applied{Feed: feed, Err: fmt.Errorf("no route")}
	}
	snap, err := m.w.hub.Snapshot(context.Background(), feed)
	if err != nil {
		return uplink.Applied{Feed: feed, Err: err}
	}
	load := uplink.Snapshot{FeedPos: protocol.FeedPos{Feed: feed, Epoch: snap.Epoch, Offset: snap.Offset}, Sum: snap.SHA256}
	in := uplink.LoadSnapshot(context.Background(), m.db, load, bytes.NewReader(snap.Body), job.Tried)
	for more := in.Err == nil; more; {
		if more, err = uplink.SweepStep(context.Background(), m.db); err != nil {
			m.w.fail("%s: %v", m.origin.Agent, err)
		}
	}
	m.refollow()
	return in
}

// refollow tells the engine of the feeds that the store record names now.
func (m *machine) refollow() {
	m.later(0, func() any {
		var list []ledger.Cursor
		err := m.db.View(context.Background(), func(r ledger.Reader) (err error) {
			list, err = uplink.Followed(r, m.origin.Store)
			return err
		})
		if err != nil {
			m.w.fail("%s: %v", m.origin.Agent, err)
		}
		return uplink.Follow{Feeds: list}
	})
}

func (m *machine) received(payload []byte) {
	m.step(uplink.Received{Payload: payload})
	if d, err := protocol.DecodeMessage(payload); err == nil {
		if d, ok := d.(*protocol.Delta); ok && d.Feed == protocol.StoreFeed(m.origin.Store) {
			m.w.at(10*time.Millisecond, m.refollow)
		}
	}
}

// lineDelay keeps the order of a line's messages, unless they are being
// reordered.
func (m *machine) lineDelay(d time.Duration, free *time.Duration) time.Duration {
	at := m.w.now + d
	if !m.w.chance(m.w.faults.Reorder) {
		at = max(at, *free)
		*free = at
	}
	return at - m.w.now
}

// drop loses the connection; the machine notices at once.
func (m *machine) drop() {
	if m.connection != 0 {
		m.connection = 0
		m.later(time.Millisecond, func() any { return uplink.Lost{} })
	}
}

// crash ends the process and starts another over the same disk.
func (m *machine) crash() {
	m.drop()
	m.tickAt = 0
	m.start()
}

// sell logs one sale, as the till does, and notes that it was confirmed.
func (m *machine) sell() {
	m.receipts++
	sku := protocol.SKU(fmt.Sprintf("SKU%d", m.w.rnd.IntN(5)))
	q := protocol.Quantity(1+m.w.rnd.IntN(3)) * 1000
	ev := &protocol.Event{
		Kind: protocol.KindSale, Moves: []protocol.Move{{SKU: sku, State: protocol.OnHand, Delta: -q}},
		Sale: &protocol.Sale{
			Type: protocol.SaleSale, Till: "1", Series: "1", Number: m.receipts, BusinessDate: "2026-11-21", Currency: "GBP",
			Lines: []protocol.SaleLine{{Item: protocol.ItemRef{SKU: sku}, Quantity: q, UnitPrice: 100, Amount: 100}}, Total: 100,
			Tenders: []protocol.Tender{{Type: protocol.Card, Amount: 100}},
		},
	}
	var res ledger.Result
	err := m.db.Update(context.Background(), func(tx ledger.Tx) (err error) {
		clock := protocol.Clock{WallMs: m.w.wall().UnixMilli(), MonoMs: m.instant().Mono.Milliseconds()}
		res, err = ledger.Log(tx, m.origin, clock, ev)
		return err
	})
	if err != nil {
		m.w.fail("%s cannot sell: %v", m.origin.Agent, err)
		return
	}
	m.confirmed = append(m.confirmed, res.Stream.Hash)
	m.step(uplink.Appended{})
}
