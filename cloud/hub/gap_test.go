package hub

import (
	"context"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestI5_GapIsClosedByACheckpoint restores a hub to a copy that is older than
// what its agent has deleted as safe. Nothing is taken over the gap until an
// operator accepts it; then the levels are right, and the gap is there to see.
func TestI5_GapIsClosedByACheckpoint(t *testing.T) {
	c := newCore(t)
	a := c.player("s1", "a1", 1)
	a.greet()
	for n := range 10 {
		if in := a.sell("PEN"); n < 3 {
			c.receive(in)
		}
	}
	if err := a.log.Update(t.Context(), func(tx ledger.Tx) error {
		_, err := ledger.TrimEvents(tx, a.origin.Inc, 7, 100)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	a.hello.BaseSeq = 7
	checkpoint := a.checkpoint()
	for _, accepted := range []bool{false, true} {
		if accepted {
			if err := c.disk.Driver.Update(t.Context(), func(tx ledger.Tx) error { return setCounter(tx, noteAcceptGaps, 1) }); err != nil {
				t.Fatal(err)
			}
		}
		welcome := a.greet()
		if welcome.Checkpoint != accepted || welcome.CursorSeq != 3 {
			t.Fatalf("accepted %v: the welcome is %+v", accepted, welcome)
		}
		checkpoint.Session = a.session
		c.receive(payload(t, a.up(), checkpoint))
		c.time += gapPatience
		c.receive(payload(t, a.up(), checkpoint), a.batch(7, 4))
		want := map[bool]protocol.Seq{false: 3, true: 10}[accepted]
		if n := c.cursorOf(a.origin); n != want {
			t.Errorf("accepted %v: the hub has %d events, want %d", accepted, n, want)
		}
	}
	level := levelOf(t, c.disk.Driver, "s1", "PEN")
	if level != -10_000 {
		t.Errorf("the hub counts %d pens, want -10000", level)
	}
	agents, err := c.Agents(t.Context(), Page{Limit: 10})
	if err != nil || len(agents.Items) != 1 || len(agents.Items[0].Streams) != 1 || len(agents.Items[0].Streams[0].Gaps) != 1 || agents.Items[0].Streams[0].Gaps[0] != (GapDocument{From: 4, To: 6}) {
		t.Errorf("the agents are shown as %+v, %v", agents.Items, err)
	}
	if doc, err := c.Status(t.Context(), Deployment{}); err != nil || doc.Gaps != 1 {
		t.Errorf("the status shows %d gaps, %v", doc.Gaps, err)
	}
	list, err := c.Exceptions(t.Context(), "", Page{Limit: 10})
	if err != nil || len(list.Items) != 1 || list.Items[0].Kind != ledger.ExceptionGap {
		t.Errorf("the exceptions are %+v, %v", list.Items, err)
	}
	// A sibling that reads everything again comes to the same.
	sibling := ledger.NewMemory()
	replayPeer(t, c.disk.Driver, sibling, "s1")
	if level := levelOf(t, sibling, "s1", "PEN"); level != -10_000 {
		t.Errorf("a sibling counts %d pens", level)
	}
}

// TestI2_GapWaitsForSiblings: what a sibling holds comes up verbatim, also where
// the gap was accepted. Only when nothing has come for a while the sums of it
// are taken for it.
func TestI2_GapWaitsForSiblings(t *testing.T) {
	c := newCore(t)
	a, b := c.player("s1", "a1", 1), c.player("s1", "a2", 2)
	a.greet()
	for range 6 {
		a.sell("PEN")
	}
	held := player{c: c, origin: a.origin, log: a.log.Clone()}
	if err := a.log.Update(t.Context(), func(tx ledger.Tx) error {
		_, err := ledger.TrimEvents(tx, a.origin.Inc, 6, 100)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	a.hello.BaseSeq = 6
	if err := c.disk.Driver.Update(t.Context(), func(tx ledger.Tx) error { return setCounter(tx, noteAcceptGaps, 1) }); err != nil {
		t.Fatal(err)
	}
	a.greet()
	checkpoint := a.checkpoint()
	checkpoint.Session = a.session
	for waited := time.Duration(0); waited < gapPatience; waited += gapPatience / 4 {
		c.receive(payload(t, a.up(), checkpoint))
		c.time += gapPatience / 4
	}
	if n := c.cursorOf(a.origin); n != 0 {
		t.Fatalf("the hub has passed over %d events that a sibling holds", n)
	}
	b.hello.Streams = headsOf(a)
	b.greet()
	held.session = b.session
	carried := held.batch(1, 6)
	carried.Topic = b.up()
	c.receive(carried, payload(t, a.up(), checkpoint))
	doc, err := c.Status(t.Context(), Deployment{})
	if n := c.cursorOf(a.origin); err != nil || n != 6 || doc.Gaps > 0 {
		t.Errorf("the hub has %d events of 6, with %d gaps, %v", n, doc.Gaps, err)
	}
	c.take("")
	c.receive(payload(t, a.up(), checkpoint))
	if acks := only[*protocol.Ack](c.take(a.down())); len(acks) != 1 || acks[0].Seq != 6 || acks[0].Session != a.session {
		t.Errorf("whoever did not hear that its gap is closed asks again and is told %+v", acks)
	}
}

// checkpoint is what the agent says of the events that it has deleted.
func (p *player) checkpoint() *protocol.Checkpoint {
	t, a := p.c.t, p
	t.Helper()
	var trimmed ledger.Trimmed
	var sums []protocol.Move
	err := a.log.View(t.Context(), func(r ledger.Reader) (err error) {
		if trimmed, err = ledger.ReadTrimmed(r, a.origin.Inc); err != nil {
			return err
		}
		sums, err = ledger.TrimmedSums(r, a.origin.Inc)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	state, err := protocol.EncodeEvent(&protocol.Event{Kind: protocol.KindGap, Gap: &protocol.Gap{
		Agent: a.origin.Agent, Inc: a.origin.Inc, From: 1, To: trimmed.Seq, Hash: trimmed.Hash, Part: 1, Parts: 1, Moves: sums,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return &protocol.Checkpoint{Inc: a.origin.Inc, Seq: trimmed.Seq, Hash: trimmed.Hash, State: state, Part: 1, Parts: 1}
}

// batch carries events of the player's log up once more.
func (p *player) batch(first protocol.Seq, count int) Inbound {
	p.c.t.Helper()
	var records []protocol.Record
	batch := &protocol.Batch{Session: p.session, Inc: p.origin.Inc, FirstSeq: first, Count: uint32(count)}
	err := p.log.View(p.c.t.Context(), func(r ledger.Reader) (err error) {
		records, batch.PrevHash, err = ledger.Records(r, p.origin, first, count, 1<<20)
		return err
	})
	if err == nil {
		batch.Frame, _, err = protocol.CutFrame(records)
	}
	if err != nil {
		p.c.t.Fatal(err)
	}
	batch.Checksum = protocol.FrameChecksum(batch.Frame)
	return payload(p.c.t, p.up(), batch)
}

func levelOf(t *testing.T, db ledger.Driver, store protocol.StoreID, sku protocol.SKU) (q protocol.Quantity) {
	t.Helper()
	err := db.View(t.Context(), func(r ledger.Reader) error {
		level, err := ledger.ReadLevel(r, store, sku)
		q = level.OnHand()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// replayPeer applies a store's event feed from its start.
func replayPeer(t *testing.T, from, to ledger.Driver, store protocol.StoreID) {
	t.Helper()
	for after, more := uint64(0), true; more; {
		err := from.View(t.Context(), func(r ledger.Reader) error {
			d, err := ledger.ReadDelta(r, protocol.PeerFeed(store), 1, after)
			if err != nil {
				return err
			}
			more, after = d.Upto > after, d.Upto
			return to.Update(context.Background(), func(tx ledger.Tx) error {
				_, err := ledger.ApplyDelta(tx, d, d.Upto)
				return err
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
