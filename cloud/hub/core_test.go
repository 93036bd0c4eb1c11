package hub

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// moodyDriver is a database whose disk can be full, and in which the level of
// one item can end whoever loads it.
type moodyDriver struct {
	ledger.Driver
	full    bool
	updates atomic.Int64
	hub     *Hub
}

func (d *moodyDriver) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	d.updates.Add(1)
	if d.hub != nil {
		// Whoever waits for a transaction must not hold what one may wait for.
		if !d.hub.mu.TryLock() {
			panic("a transaction is begun while the hub is locked")
		}
		d.hub.mu.Unlock()
	}
	return d.Driver.Update(ctx, func(tx ledger.Tx) error {
		if err := fn(panickyTx{tx}); err != nil {
			return err
		}
		if d.full {
			return &protocol.Error{Code: protocol.DiskFull, Message: "no room"}
		}
		return nil
	})
}

const panicSKU = "PANIC"

type panickyTx struct{ ledger.Tx }

func (tx panickyTx) Load(keys []ledger.Key) ([][]byte, error) {
	for _, k := range keys {
		if k.ID == levelRow("s1", panicSKU) {
			panic("a row that nobody thought of")
		}
	}
	return tx.Tx.Load(keys)
}

// levelRow is where the level of an item is kept.
func levelRow(store protocol.StoreID, sku protocol.SKU) string {
	return "level\x00" + string(store) + "\x00" + string(sku)
}

// posted is a message that the hub sent.
type posted struct {
	topic   string
	message protocol.Message
}

// core is a hub with two stores whose agents are played by the test.
type core struct {
	*Hub
	t    *testing.T
	disk *moodyDriver
	sent []posted
	time time.Duration // since the hub was opened
}

func newCore(t *testing.T) *core {
	t.Helper()
	return newCoreOn(t, ledger.NewMemory(), nil)
}

// newRing is a ring of keys in memory.
func newRing(t testing.TB) *ledger.KeyRing {
	t.Helper()
	keys, err := ledger.OpenKeyRing(t.Context(), ledger.NewMemory(), [32]byte{1}, func(b []byte) { _, _ = rand.Read(b) })
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// newCoreOn is a hub over a database and a ring of keys, which may be of before.
func newCoreOn(t *testing.T, d ledger.Driver, keys *ledger.KeyRing) *core {
	t.Helper()
	if keys == nil {
		keys = newRing(t)
	}
	c := &core{t: t, disk: &moodyDriver{Driver: d}}
	last := byte(0)
	var err error
	c.Hub, err = New(t.Context(), Options{
		Driver: c.disk, Currency: "GBP", Keys: keys, Log: slog.New(slog.DiscardHandler),
		Now:  func() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC).Add(c.time) },
		Mono: func() time.Duration { return time.Hour + c.time },
		Random: func(b []byte) {
			last++
			for i := range b {
				b[i] = last
			}
		},
		Send: func(topic string, payload []byte, _ bool) {
			if topic == protocol.TopicHub {
				return // the epoch, which is no message
			}
			m, err := protocol.DecodeMessage(payload)
			if err != nil {
				t.Errorf("the hub sent what cannot be read: %v", err)
			}
			c.sent = append(c.sent, posted{topic, m})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.disk.hub = c.Hub
	mustTakeIn(t, c.Hub, StoresTable, "id,name,timezone,currency,primary_agent\ns1,High Street,Europe/London,GBP,a1\ns2,Bridge,Europe/London,GBP,b1\n")
	return c
}

// payload is a message as the broker hands it over.
func payload(t *testing.T, topic string, m protocol.Message) Inbound {
	t.Helper()
	b, err := protocol.EncodeMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	return Inbound{Topic: topic, Payload: b}
}

// receive hands payloads to the hub, which must survive them.
func (c *core) receive(list ...Inbound) {
	c.t.Helper()
	if err := c.Receive(c.t.Context(), list); err != nil {
		c.t.Fatalf("the hub ends: %v", err)
	}
}

// take returns what was sent to a topic and forgets everything that was sent.
func (c *core) take(topic string) []protocol.Message {
	var list []protocol.Message
	for _, p := range c.sent {
		if p.topic == topic {
			list = append(list, p.message)
		}
	}
	c.sent = nil
	return list
}

// only picks the messages of one type.
func only[M protocol.Message](list []protocol.Message) []M {
	var found []M
	for _, m := range list {
		if m, ok := m.(M); ok {
			found = append(found, m)
		}
	}
	return found
}

// cursorOf is how far the hub has a stream.
func (c *core) cursorOf(o protocol.Origin) protocol.Seq {
	c.t.Helper()
	var s ledger.Stream
	err := c.view(c.t.Context(), func(r ledger.Reader) (err error) {
		s, err = ledger.ReadStream(r, o)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return s.Seq
}

// player is an agent as the hub sees it.
type player struct {
	c       *core
	origin  protocol.Origin
	log     *ledger.Memory
	hello   protocol.Hello
	session protocol.Session
	wallMs  int64 // the agent's clock
}

func (c *core) player(store protocol.StoreID, agent protocol.AgentID, inc byte) *player {
	p := &player{c: c, origin: stream(store, agent, inc), log: ledger.NewMemory()}
	p.hello = protocol.Hello{
		Version: protocol.Version, Build: "1.0.0", Nonce: uint64(inc), Store: store, Agent: agent, Inc: p.origin.Inc, BootID: uint64(inc),
		LastHash: p.origin.Genesis(), BaseSeq: 1, DiskState: "ok",
	}
	return p
}

func (p *player) up() string { return protocol.TopicUp(p.origin.Store, p.origin.Agent) }

func (p *player) down() string { return protocol.TopicDown(p.origin.Store, p.origin.Agent) }

// greet says hello and takes the Welcome.
func (p *player) greet(feeds ...protocol.FeedPos) *protocol.Welcome {
	p.c.t.Helper()
	p.hello.Nonce += 100
	p.hello.Feeds = feeds
	p.c.take("")
	p.c.receive(payload(p.c.t, p.up(), &p.hello))
	welcomes := only[*protocol.Welcome](p.c.take(p.down()))
	if len(welcomes) != 1 || welcomes[0].Nonce != p.hello.Nonce {
		p.c.t.Fatalf("%s was answered %+v", p.origin.Agent, welcomes)
	}
	p.session = welcomes[0].Session
	return welcomes[0]
}

// sell logs a sale of an item and is the batch that carries it up.
func (p *player) sell(sku protocol.SKU) Inbound {
	p.c.t.Helper()
	ev := receiptOf(protocol.SaleSale, uint64(p.hello.LastSeq)+1, "2026-11-21", 1000, "")
	ev.Moves[0].SKU, ev.Sale.Lines[0].Item.SKU = sku, sku
	return p.does(ev)
}

// does logs an event and is the batch that carries it up.
func (p *player) does(ev *protocol.Event) Inbound {
	p.c.t.Helper()
	batch := &protocol.Batch{Session: p.session, Inc: p.origin.Inc, Count: 1}
	err := p.log.Update(p.c.t.Context(), func(tx ledger.Tx) error {
		res, err := ledger.Log(tx, p.origin, protocol.Clock{WallMs: max(1, p.wallMs)}, ev)
		if err != nil {
			return err
		}
		p.hello.LastSeq, p.hello.LastHash = res.Stream.Seq, res.Stream.Hash
		batch.FirstSeq = res.Stream.Seq
		records, prev, err := ledger.Records(tx, p.origin, batch.FirstSeq, 1, 1<<20)
		if err != nil {
			return err
		}
		batch.PrevHash = prev
		batch.Frame, _, err = protocol.CutFrame(records)
		batch.Checksum = protocol.FrameChecksum(batch.Frame)
		return err
	})
	if err != nil {
		p.c.t.Fatal(err)
	}
	return payload(p.c.t, p.up(), batch)
}

// TestI18_OneFailingBatchDoesNotHurtOthers: neither a damaged row nor a fault
// of the fold keeps another agent's events from their commit, or ends the hub.
func TestI18_OneFailingBatchDoesNotHurtOthers(t *testing.T) {
	for _, sku := range []protocol.SKU{"DAMAGED", panicSKU} {
		c := newCore(t)
		bad, good, last := c.player("s1", "a1", 1), c.player("s1", "a2", 2), c.player("s2", "b1", 3)
		err := c.disk.Driver.Update(t.Context(), func(tx ledger.Tx) error {
			return tx.Write([]ledger.Row{{Key: ledger.Key{Table: ledger.States, ID: levelRow("s1", "DAMAGED")}, Value: []byte{0xff}}})
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []*player{bad, good, last} {
			p.greet()
		}
		poison := bad.sell(sku)
		for range 2 {
			c.receive(good.sell("PEN"), poison, good.sell("PEN"), last.sell("PEN"))
			acks := map[string]protocol.Seq{}
			for _, p := range c.sent {
				if ack, ok := p.message.(*protocol.Ack); ok {
					acks[p.topic] = ack.Seq
				}
			}
			c.sent = nil
			for _, p := range []*player{good, last} {
				if n := c.cursorOf(p.origin); n != p.hello.LastSeq || acks[p.down()] != n {
					t.Errorf("%s: of %d events of %s the hub has %d and acknowledges %d", sku, p.hello.LastSeq, p.origin.Agent, n, acks[p.down()])
				}
			}
			if n := c.cursorOf(bad.origin); n > 0 || acks[bad.down()] > 0 {
				t.Errorf("%s: the hub has %d of the events that fail", sku, n)
			}
		}
		// The third time the event that fails is set aside, and what follows it
		// goes on.
		c.sent = nil
		c.receive(poison, bad.sell("PEN"))
		if n := c.cursorOf(bad.origin); n != 2 {
			t.Errorf("%s: after three tries the hub has %d events of 2", sku, n)
		}
		if acks := only[*protocol.Ack](c.take(bad.down())); len(acks) == 0 || acks[len(acks)-1].Seq != 2 {
			t.Errorf("%s: the events behind it are acknowledged as %+v", sku, acks)
		}
		if doc, err := c.Status(t.Context(), Deployment{}); err != nil || doc.DeadLetters != 1 {
			t.Errorf("%s: %d dead letters, %v", sku, doc.DeadLetters, err)
		}
	}
}

func TestFullDiskIsSurvived(t *testing.T) {
	c := newCore(t)
	known, fresh := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	known.greet()
	batch := known.sell("PEN")
	c.disk.full = true
	c.time = time.Minute // so that signs of life are written down as well
	c.take("")
	c.receive(payload(t, fresh.up(), &fresh.hello), batch, payload(t, known.up(), &protocol.Beat{Session: known.session, LastSeq: 1}))
	if list := only[*protocol.Ack](c.take(known.down())); len(list) > 0 || c.cursorOf(known.origin) > 0 {
		t.Errorf("what was not written is acknowledged: %+v", list)
	}
	c.disk.full = false
	c.receive(batch)
	if list := only[*protocol.Ack](c.take(known.down())); len(list) != 1 || list[0].Seq != 1 || c.cursorOf(known.origin) != 1 {
		t.Errorf("once there is room the batch is answered %+v", list)
	}
	fresh.greet()
}

// TestTwinsAreNotForgotten: what a full disk did not take is written down when
// there is room.
func TestTwinsAreNotForgotten(t *testing.T) {
	c := newCore(t)
	a := c.player("s1", "a1", 1)
	c.addTwins(a.origin, a.origin.Inc)
	for _, full := range []bool{true, false} {
		c.disk.full = full
		if err := c.saveTwins(t.Context()); (err != nil) != full {
			t.Fatalf("full %v: %v", full, err)
		}
	}
	clear(c.twins)
	if err := c.loadTwins(t.Context()); err != nil || len(c.twins) != 1 {
		t.Errorf("after a restart the twins are %+v, %v", c.twins, err)
	}
}

// TestRepeatedHelloGetsTheSameWelcome: an agent that is impatient with a slow
// hub costs it next to nothing, and every answer opens the same session.
func TestRepeatedHelloGetsTheSameWelcome(t *testing.T) {
	c := newCore(t)
	p := c.player("s1", "a1", 1)
	mustTakeIn(t, c.Hub, ItemsTable, "sku,name,price_minor\nPEN,Pen,250\n")
	catalog := protocol.FeedPos{Feed: protocol.FeedCatalog}
	first := p.greet(catalog)
	writes := c.disk.updates.Load()
	for range 3 {
		c.time += 5 * time.Second
		p.hello.Clock.WallMs += 5000
		c.receive(payload(t, p.up(), &p.hello))
		if again := c.take(p.down()); len(again) != 1 || !reflect.DeepEqual(again[0], first) {
			t.Errorf("the repeated Hello was answered %+v, the first %+v", again, first)
		}
	}
	if c.disk.updates.Load() != writes {
		t.Errorf("repeated Hellos wrote %d times", c.disk.updates.Load()-writes)
	}
	c.receive(p.sell("PEN"))
	if acks := only[*protocol.Ack](c.take(p.down())); len(acks) != 1 || c.cursorOf(p.origin) != 1 {
		t.Errorf("the session that they share is answered %+v", acks)
	}
	// From here on the first answer would be wrong.
	c.receive(payload(t, p.up(), &p.hello))
	if again := only[*protocol.Welcome](c.take(p.down())); len(again) != 1 || again[0].CursorSeq != 1 || again[0].Session == first.Session {
		t.Errorf("after an event the same Hello is answered %+v", again)
	}
	p.hello.BootID++
	c.receive(payload(t, p.up(), &p.hello))
	if again := only[*protocol.Welcome](c.take(p.down())); len(again) != 1 || again[0].Session == first.Session {
		t.Errorf("another process with the same nonce is answered %+v", again)
	}
}

// TestAnnounceBroadcastsTheGrowth: what had grown while nobody listened is not
// sent to everybody afterwards.
func TestAnnounceBroadcastsTheGrowth(t *testing.T) {
	c := newCore(t)
	p := c.player("s1", "a1", 1)
	mustTakeIn(t, c.Hub, ItemsTable, "sku,name,price_minor\nPEN,Pen,250\n")
	p.greet(protocol.FeedPos{Feed: protocol.FeedCatalog})
	c.receive(Inbound{Topic: protocol.TopicStatus("s1", "a1"), Payload: protocol.EncodeStatus(protocol.Status{BootID: p.hello.BootID})})
	file := "sku,name,price_minor\n"
	for i := range 3000 {
		file += fmt.Sprintf("BULK-%d,Bulk,100\n", i)
	}
	c.take("")
	mustTakeIn(t, c.Hub, ItemsTable, file)
	if list := c.take(protocol.TopicFeed(protocol.FeedCatalog)); len(list) > 0 {
		t.Errorf("%d messages went out while nobody listened", len(list))
	}
	var head uint64
	err := c.view(t.Context(), func(r ledger.Reader) (err error) {
		head, err = ledger.FeedHead(r, protocol.FeedCatalog)
		return err
	})
	if err != nil || head != 3001 {
		t.Fatalf("the catalogue's feed is at %d, %v", head, err)
	}
	p.greet(protocol.FeedPos{Feed: protocol.FeedCatalog, Epoch: c.Epoch(), Offset: head})
	for i, price := range []string{"260", "270", "280"} {
		c.take("")
		mustTakeIn(t, c.Hub, ItemsTable, "sku,name,price_minor\nPEN,Pen of "+price+","+price+"\n")
		want := head + uint64(i)
		deltas := only[*protocol.Delta](c.take(protocol.TopicFeed(protocol.FeedCatalog)))
		if len(deltas) != 1 || deltas[0].After != want || deltas[0].Upto != want+1 || len(deltas[0].Rows) != 1 || deltas[0].Rows[0].Key != "item/PEN" {
			t.Fatalf("one changed row is broadcast as %d messages, the first of them %+v", len(deltas), deltas)
		}
	}
}

// TestI16_StaleSessionCommitsNothing: of two conversations with one agent only
// the last can change anything.
func TestI16_StaleSessionCommitsNothing(t *testing.T) {
	c := newCore(t)
	p, sibling := c.player("s1", "a1", 1), c.player("s1", "a2", 2)
	sibling.greet(protocol.FeedPos{Feed: protocol.PeerFeed("s1")})
	old := p.greet()
	batch := p.sell("PEN")
	fresh := p.greet()
	if fresh.Session == old.Session {
		t.Fatal("a new Hello keeps the session")
	}
	stale := []Inbound{
		batch, batch,
		payload(t, p.up(), &protocol.Beat{Session: old.Session, LastSeq: 9}),
		payload(t, p.up(), &protocol.Dack{Session: old.Session, Feed: protocol.PeerFeed("s1"), Epoch: c.Epoch(), Credit: 4}),
	}
	for _, in := range stale {
		writes := c.disk.updates.Load()
		c.receive(in)
		if peers := len(c.sent); peers != 1 {
			t.Errorf("%d messages went out, want the fence alone", peers)
		}
		fences := only[*protocol.Fence](c.take(p.down()))
		if len(fences) != 1 || fences[0].Session != old.Session || fences[0].Reason != protocol.Conflict {
			t.Errorf("a message of the old session is answered %+v", fences)
		}
		if c.cursorOf(p.origin) > 0 || c.disk.updates.Load() != writes {
			t.Error("a message of the old session was committed")
		}
	}
	// The session of one agent is none of another's.
	p.session = sibling.session
	c.receive(p.sell("PEN"))
	if c.cursorOf(p.origin) > 0 {
		t.Error("a batch with the session of another agent was committed")
	}
}

func TestHelloOfAnotherIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(m *protocol.Hello)
		reason protocol.Code
	}{
		{"another store than the topic's", func(m *protocol.Hello) { m.Store = "s2" }, protocol.Forbidden},
		{"another agent than the topic's", func(m *protocol.Hello) { m.Agent = "b1" }, protocol.Forbidden},
		{"another stream", func(m *protocol.Hello) { m.Inc[5] ^= 1 }, protocol.DuplicateIdentity},
		{"fewer events", func(m *protocol.Hello) { m.LastSeq = 0 }, protocol.DuplicateIdentity},
		{"other events", func(m *protocol.Hello) { m.LastHash[0] ^= 1 }, protocol.DuplicateIdentity},
		{"a version to come", func(m *protocol.Hello) { m.Version = protocol.Version + 1 }, protocol.VersionRefused},
		{"no version", func(m *protocol.Hello) { m.Version = 0 }, protocol.VersionRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCore(t)
			p := c.player("s1", "a1", 1)
			p.greet()
			c.receive(p.sell("PEN"))
			m := p.hello
			m.Nonce++
			tt.change(&m)
			c.refuses(p.up(), &m, tt.reason)
			c.take("")
			c.receive(p.sell("PEN"))
			if c.cursorOf(p.origin) != 2 {
				t.Error("the session that was open no longer is")
			}
		})
	}
	c := newCore(t)
	c.player("s1", "a1", 1).greet()
	moved := c.player("s2", "a1", 1)
	c.refuses(moved.up(), &moved.hello, protocol.DuplicateIdentity)
	unknown := c.player("s9", "z1", 5)
	c.refuses(unknown.up(), &unknown.hello, protocol.UnknownStore)
	m := c.player("s1", "a9", 6).hello
	m.Agent = protocol.HubAgent
	c.refuses(protocol.TopicUp("s1", "a9"), &m, protocol.Forbidden)
}

// refuses demands that a Hello is fenced and leaves the sessions as they were.
func (c *core) refuses(topic string, m *protocol.Hello, reason protocol.Code) {
	c.t.Helper()
	before := len(c.sessions)
	c.take("")
	c.receive(payload(c.t, topic, m))
	for _, p := range c.sent {
		f, ok := p.message.(*protocol.Fence)
		if !ok || f.Reason != reason || f.Nonce != m.Nonce || f.Message == "" || f.RetryAfterMs == 0 {
			c.t.Errorf("answered %+v, want a fence because of %s", p.message, reason)
		}
	}
	if len(c.sent) != 1 || len(c.sessions) != before {
		c.t.Errorf("%d answers, %d sessions", len(c.sent), len(c.sessions))
	}
}
