package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"counterpart/cloud/hub"
	"counterpart/protocol"
	"counterpart/protocol/stock"
)

// cloud is the hub's computer: its disk, the process over it, and the messages
// that wait for it.
type cloud struct {
	w       *world
	rnd     *rand.Rand
	random  *rand.Rand // of the hub itself
	clock   clock
	disk    *disk
	process *process
	hub     *hub.Hub // nil while it is down
	epoch   uint64
	closed  bool  // the broker takes no connections, for want of a hub
	renewed bool  // the database was put in the place of a newer one
	stale   bool  // the database is older than its epoch's offsets
	before  *disk // what the hub had before it was restored to a copy that lacks what machines have deleted
	backups []backup
	inbox   []parcel
	prints  map[protocol.EventID]uint64 // of the records of the hub's own streams
	pumping bool

	// feeds are the stores' event feeds as the commits of events made them.
	feeds map[protocol.StoreID][]entry
	// heads are the last offsets of feeds in one version of the disk.
	heads   map[protocol.FeedID]uint64
	headsOf uint64
	// hellos and sessions are who may write: the stream of each Hello by its
	// nonce, and the last session that the hub gave for a stream.
	hellos   map[uint64]protocol.Inc
	sessions map[protocol.Inc]protocol.Session
	// allowed is how far the batches at hand may take each stream; nil while
	// the hub acts by itself.
	allowed map[protocol.Inc]protocol.Seq
	book    book // of what the hub holds, where there are orders
	// lapsed is how much of the time that is skipped the hub has seen pass, so that
	// deadlines come.
	lapsed time.Duration
	// started is when the process began, in running time and what has lapsed,
	// ranBefore the hub's running time by then.
	started, ranBefore time.Duration
	generous           bool // policy leaves nothing to chance that a store is silent
}

func (w *world) newCloud() *cloud {
	c := &cloud{
		w: w, rnd: w.source("cloud"), random: w.source("hub"), clock: clock{w: w}, feeds: map[protocol.StoreID][]entry{}, heads: map[protocol.FeedID]uint64{},
		hellos: map[uint64]protocol.Inc{}, sessions: map[protocol.Inc]protocol.Session{}, book: newBook(),
		prints: map[protocol.EventID]uint64{},
	}
	c.disk = w.newDisk("hub", 255, w.plan.Cloud.CommitCrash, w.plan.Cloud.CommitCrash/4)
	return c
}

// start opens the hub's core over its database, as a new process does.
func (c *cloud) start() {
	w, started := c.w, c.w.now+c.lapsed
	c.started, c.ranBefore = started, c.ran()
	p := &process{disk: c.disk}
	p.died = func() { c.restart(p, time.Duration(c.rnd.Int64N(int64(20*time.Second)))) }
	c.process, c.pumping, c.inbox = p, false, nil
	clear(c.sessions)
	clear(c.hellos)
	keys, err := c.openKeys(p)
	if err != nil {
		w.tell("hub does not start: %v", err)
		p.end()
		return
	}
	h, err := hub.New(w.ctx, hub.Options{
		Keys: keys, Driver: p, Currency: "GBP", Now: c.clock.wall, Mono: func() time.Duration { return w.now + c.lapsed - started },
		Random: func(b []byte) {
			for i := range b {
				b[i] = byte(c.random.Uint32())
			}
		},
		Send: func(topic string, payload []byte, _ bool) {
			if !p.ended {
				c.send(topic, payload)
			}
		},
		Log: w.log,
	})
	switch {
	case err != nil && !p.ended:
		w.tell("hub does not start: %v", err)
		p.end()
	case err != nil:
	default:
		w.tell("hub starts")
		c.hub, c.epoch, c.closed = h, h.Epoch(), false
		w.courier.begin()
		w.club.tickSoon()
		w.broker.greet()
		for _, m := range w.agents {
			m.hubStarted()
		}
	}
}

// send hands what the hub says to the broker, and notes which session it gave.
func (c *cloud) send(topic string, payload []byte) {
	c.w.counts.Messages++
	c.w.trace.mark('d', 255, c.w.now, fingerprint([]byte(topic)))
	c.w.trace.bytes(payload)
	if len(payload) > 0 && payload[0] == welcomeTag {
		if m, err := protocol.DecodeMessage(payload); err == nil {
			if welcome, ok := m.(*protocol.Welcome); ok {
				c.sessions[c.hellos[welcome.Nonce]] = welcome.Session
			}
		}
	}
	c.w.broker.down(topic, payload)
}

// welcomeTag begins the bytes of an envelope that holds a Welcome.
const welcomeTag = 2<<3 | 2

// crash ends the process now and starts another after a while.
func (c *cloud) crash(down time.Duration) {
	if c.process.ended {
		return
	}
	c.w.tell("hub crashes, down for %v", down)
	p := c.process
	p.ended = true
	c.w.counts.Crashes++
	c.restart(p, down)
}

// aloneMax is how long an outside broker holds connections without a hub.
const aloneMax = 3 * time.Minute

func (c *cloud) restart(p *process, down time.Duration) {
	c.hub = nil
	c.closed = !c.w.plan.Cloud.Outside
	if c.closed {
		c.w.broker.herd()
	} else if down > aloneMax {
		c.w.schedule(aloneMax, func() {
			if c.process == p {
				c.closed = true
				c.w.broker.herd()
			}
		})
	}
	c.w.schedule(down, func() {
		if c.process == p {
			c.start()
		}
	})
}

// arrive puts a payload before the hub, which takes what has come together.
func (c *cloud) arrive(p parcel) {
	if c.hub == nil {
		return
	}
	c.inbox = append(c.inbox, p)
	if c.pumping {
		return
	}
	c.pumping = true
	process := c.process
	c.w.after(time.Duration(c.rnd.Int64N(int64(4*time.Millisecond))), func() {
		if c.process == process && !process.ended {
			c.pumping = false
			c.take()
		}
	})
}

// take gives the hub what has come: batches that follow each other together,
// all else by itself, so that each is judged by the sessions of its moment.
func (c *cloud) take() {
	list := c.inbox
	c.inbox = nil
	for len(list) > 0 && c.hub != nil && !c.process.ended {
		n := 1
		for isBatch(list[0]) && n < len(list) && isBatch(list[n]) {
			n++
		}
		c.receive(list[:n])
		list = list[n:]
	}
}

func isBatch(p parcel) bool {
	_, ok := p.message.(*protocol.Batch)
	return ok
}

func (c *cloud) receive(list []parcel) {
	inbound := make([]hub.Inbound, len(list))
	c.allowed = map[protocol.Inc]protocol.Seq{}
	for i, p := range list {
		inbound[i] = hub.Inbound{Topic: p.topic, Payload: p.payload}
		c.w.trace.mark('u', 255, c.w.now, fingerprint([]byte(p.topic)))
		c.w.trace.bytes(p.payload)
		switch m := p.message.(type) {
		case *protocol.Hello:
			c.hellos[m.Nonce] = m.Inc
		case *protocol.Batch:
			if c.valid(m.Session) {
				c.allowed[m.Inc] = max(c.allowed[m.Inc], m.FirstSeq+protocol.Seq(m.Count)-1)
			}
		}
	}
	err := c.hub.Receive(c.w.ctx, inbound)
	c.allowed = nil
	select {
	case <-c.hub.Suspected():
		c.w.fail("the digest of an agent differs from what the hub makes of the same events (I9)")
	default:
	}
	if err != nil && !c.process.ended {
		// The database failed: the process stops and its service starts it.
		c.w.tell("hub stops: %v", err)
		c.process.end()
	}
}

// valid tells whether a session is the newest of some stream. The streams of
// others, which it may carry, are bounded by the batch alone.
func (c *cloud) valid(session protocol.Session) bool {
	for _, s := range c.sessions {
		if s == session {
			return true
		}
	}
	return false
}

// mayCommit holds a commit of an event to I16: a batch of the stream's newest
// session carried it, or the hub itself wrote it.
func (c *cloud) mayCommit(w *world, inc protocol.Inc, seq protocol.Seq) {
	if w.books.origins[inc].Agent != protocol.HubAgent && seq > c.allowed[inc] {
		w.fail("hub: event %d of %x is committed for a session that is over (I16)", seq, inc[:4])
	}
}

// tick has the hub do what is due.
func (c *cloud) tick() {
	if c.hub == nil || c.process.usable() != nil {
		return
	}
	c.w.trace.mark('t', 255, c.w.now, 0)
	if err := c.hub.Tick(c.w.ctx); err != nil && !c.process.ended {
		c.w.tell("hub stops: %v", err)
		c.process.end()
	}
	if c.w.shop != nil {
		c.w.shop.late()
	}
}

// operate runs what an operator asks of the hub, later if the hub is down.
func (c *cloud) operate(what string, fn func() error) {
	if c.hub == nil {
		if !c.w.quiet {
			c.w.schedule(10*time.Minute, func() { c.operate(what, fn) })
		}
		return
	}
	c.w.tell("operator: %s", what)
	c.w.trace.mark('o', 255, c.w.now, fingerprint([]byte(what)))
	err := fn()
	switch {
	case err == nil:
	case protocol.CodeOf(err) == protocol.DiskFull, c.process.usable() != nil:
		c.w.schedule(time.Minute, func() { c.operate(what, fn) })
	default:
		c.w.fail("%s: %v", what, err)
	}
}

// load imports a CSV text the way the HTTP side does.
func (c *cloud) load(table hub.Table, csv string, into func(context.Context, hub.RowReader) (hub.Report, error)) error {
	rows, err := hub.ReadRows(table, hub.FormatCSV, strings.NewReader(csv))
	if err != nil {
		return err
	}
	report, err := into(c.w.ctx, rows)
	if err == nil && report.Rejected > 0 {
		err = fmt.Errorf("import rejected %d rows: %v", report.Rejected, report.Errors)
	}
	return err
}

// skus is how many items the chain sells.
const skus = 6

// furnish gives the chain its stores and items.
func (c *cloud) furnish() error {
	if err := c.load(hub.StoresTable, c.w.storesTable(), c.hub.ImportStores); err != nil {
		return err
	}
	err := errors.Join(c.w.courier.subscribe(), c.importItems())
	if err == nil && c.w.club != nil {
		err = c.w.club.change()
	}
	if err != nil || c.w.shop == nil || c.w.shop.rnd.IntN(4) == 0 {
		return err
	}
	c.generous = true
	// Else little would be promised while a store is silent.
	target := protocol.RatePPM(1_000_000)
	_, err = c.hub.SetPolicy(c.w.ctx, stock.PolicyRequest{OverpromiseTarget: &target})
	return err
}

func (c *cloud) importItems() error {
	var rows strings.Builder
	rows.WriteString("sku,name,price_minor\n")
	for i := range skus {
		fmt.Fprintf(&rows, "SKU%d,Item %d,%d\n", i, i, 100+c.rnd.IntN(3))
	}
	return c.load(hub.ItemsTable, rows.String(), c.hub.ImportItems)
}

// elect makes some machine of a store its primary, and may move the store to
// another price zone.
func (c *cloud) elect() error {
	m := c.w.agents[c.rnd.IntN(len(c.w.agents))]
	zone := []string{"default", "z2"}[c.rnd.IntN(2)]
	row := fmt.Sprintf("id,name,timezone,primary_agent,price_zone\n%s,Shop,Europe/London,%s,%s\n", m.origin.Store, m.origin.Agent, zone)
	if c.w.shop != nil {
		row = fmt.Sprintf("id,name,timezone,primary_agent,price_zone,lat,lon\n%s,Shop,Europe/London,%s,%s,51.5,0.1\n", m.origin.Store, m.origin.Agent, zone)
	}
	if err := c.load(hub.StoresTable, row, c.hub.ImportStores); err != nil {
		return err
	}
	prices := fmt.Sprintf("zone,code,price_minor,currency,valid_from\n%s,SKU%d,%d,GBP,2026-01-01\n", zone, c.rnd.IntN(skus), 50+c.rnd.IntN(9))
	return c.load(hub.PricesTable, prices, c.hub.ImportPrices)
}

// stock loads what a store holds of some items.
func (c *cloud) stock() error {
	store := c.w.agents[c.rnd.IntN(len(c.w.agents))].origin.Store
	var rows strings.Builder
	rows.WriteString("code,on_hand\n")
	for i := range 1 + c.rnd.IntN(skus) {
		fmt.Fprintf(&rows, "SKU%d,%d\n", i, c.rnd.IntN(50))
	}
	into := func(ctx context.Context, r hub.RowReader) (hub.Report, error) {
		return c.hub.StockLoad(ctx, store, r, nil)
	}
	return c.load(hub.StockTable, rows.String(), into)
}
