package hub

import (
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// logs logs an event at an agent and is the batch that carries it up.
func (p *player) logs(ev *protocol.Event) Inbound {
	p.c.t.Helper()
	batch := &protocol.Batch{Session: p.session, Inc: p.origin.Inc, Count: 1}
	err := p.log.Update(p.c.t.Context(), func(tx ledger.Tx) error {
		res, err := ledger.Log(tx, p.origin, protocol.Clock{WallMs: 1}, ev)
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

// moved is a transfer of pens that leaves or comes.
func moved(kind protocol.MovementType, to protocol.StoreID, id string, q protocol.Quantity) *protocol.Event {
	m := &protocol.Movement{Type: kind, ToStore: to, TransferID: id, Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: "PEN"}, Quantity: q}}}
	ev := &protocol.Event{Kind: protocol.KindMovement, Movement: m}
	if kind == protocol.TransferOut {
		ev.Moves = []protocol.Move{{SKU: "PEN", State: protocol.OnHand, Delta: -q}}
	} else {
		ev.Moves = []protocol.Move{{SKU: "PEN", State: protocol.OnHand, Delta: q}, {SKU: "PEN", State: protocol.Incoming, Delta: -q}}
	}
	return ev
}

// incomingAt is what a store expects of pens.
func (c *core) incomingAt(store protocol.StoreID) (q protocol.Quantity) {
	c.t.Helper()
	err := c.view(c.t.Context(), func(r ledger.Reader) error {
		level, err := ledger.ReadLevel(r, store, "PEN")
		q = level.Quantity(protocol.Incoming)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return q
}

// transfers lists those of a state.
func (c *core) transfers(state string) []stock.TransferDocument {
	c.t.Helper()
	list, err := c.Transfers(c.t.Context(), state, Page{Limit: 10})
	if err != nil {
		c.t.Fatal(err)
	}
	return list.Items
}

func (c *core) wantIncoming(want protocol.Quantity) {
	c.t.Helper()
	if got := c.incomingAt("s2"); got != want {
		c.t.Errorf("incoming is %s, want %s", got, want)
	}
}

// between is a hub with an agent in each of two stores.
func between(t *testing.T) (c *core, a, b *player) {
	c = newCore(t)
	a, b = c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	a.greet()
	b.greet()
	return c, a, b
}

// TestTransferIsAnnounced: what leaves one store is incoming at the other until
// it comes, in parts or at once, and the promise does not count it.
func TestTransferIsAnnounced(t *testing.T) {
	c, a, b := between(t)
	c.receive(a.logs(moved(protocol.TransferOut, "s2", "", 5000)))
	id := protocol.EventID{Inc: a.origin.Inc, Seq: 1}.String()
	c.wantIncoming(5000)
	list := c.transfers("open")
	if len(list) != 1 || list[0].ID != id || *list[0].FromStore != "s1" || *list[0].ToStore != "s2" || list[0].Lines[0].Sent != 5000 || list[0].Lines[0].Incoming != 5000 || list[0].SentAt == nil {
		t.Fatalf("open: %+v", list)
	}
	if open := c.inState(""); len(open) != 0 {
		t.Errorf("nothing is wrong yet: %+v", open)
	}
	c.receive(b.logs(moved(protocol.TransferIn, "", id, 2000)))
	c.wantIncoming(3000)
	if open := c.inState("open"); len(open) != 1 || open[0].Kind != stock.TransferDiffers || *open[0].Store != "s2" {
		t.Errorf("part of it came: %+v", open)
	}
	c.receive(b.logs(moved(protocol.TransferIn, "", id, 3000)))
	c.wantIncoming(0)
	if open, done := c.inState(""), c.transfers("received"); len(open) != 0 || len(done) != 1 || len(c.transfers("open")) != 0 {
		t.Errorf("all of it came: %+v, %+v", open, done)
	}
}

// TestTransferIsClosed: a person who resolves a difference closes the transfer,
// and what comes after all opens it again.
func TestTransferIsClosed(t *testing.T) {
	c, a, b := between(t)
	c.receive(a.logs(moved(protocol.TransferOut, "s2", "van", 5000)), b.logs(moved(protocol.TransferIn, "", "van", 4000)))
	if _, err := c.handle(c.inState("open")[0].ID, "resolve", "", "s7", "one broke on the way"); err != nil {
		t.Fatal(err)
	}
	c.wantIncoming(0)
	if closed := c.transfers("closed"); len(closed) != 1 || closed[0].Lines[0].Incoming != 0 {
		t.Errorf("closed: %+v", closed)
	}
	c.receive(b.logs(moved(protocol.TransferIn, "", "van", 3000)))
	c.wantIncoming(0)
	if open := c.inState("open"); len(open) != 1 || open[0].Kind != stock.TransferDiffers {
		t.Errorf("too much came: %+v", open)
	}
}

// TestTransferResolvedAtTheStore: the hub closes what staff of the store resolve.
func TestTransferResolvedAtTheStore(t *testing.T) {
	c, a, b := between(t)
	c.receive(a.logs(moved(protocol.TransferOut, "s2", "van", 5000)), b.logs(moved(protocol.TransferIn, "", "van", 0)))
	c.wantIncoming(5000)
	var item *ledger.WorkItem
	err := c.view(t.Context(), func(r ledger.Reader) (err error) {
		item, err = ledger.FindWork(r, c.inState("open")[0].ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ev, err := item.Handle("resolve", ledger.HandleRequest{Staff: "s7", Reason: "the van was robbed"})
	if err != nil {
		t.Fatal(err)
	}
	c.receive(b.logs(ev))
	c.wantIncoming(0)
	if closed := c.transfers("closed"); len(closed) != 1 {
		t.Errorf("closed: %+v", c.transfers(""))
	}
}

// TestTransferOfNobody: goods that came before anybody is known to have sent them
// are a person's work until the other store is heard.
func TestTransferOfNobody(t *testing.T) {
	c, a, b := between(t)
	c.receive(b.logs(moved(protocol.TransferIn, "", "van", 5000)))
	if open := c.inState("open"); len(open) != 1 || open[0].Kind != stock.TransferUnknown {
		t.Fatalf("open: %+v", open)
	}
	c.receive(a.logs(moved(protocol.TransferOut, "s2", "van", 5000)))
	c.wantIncoming(0)
	if open := c.inState(""); len(open) != 0 {
		t.Errorf("it was sent after all: %+v", open)
	}
	if done := c.transfers("received"); len(done) != 1 {
		t.Errorf("received: %+v", c.transfers(""))
	}
}

// TestTransferIsOwedUntilLogged: what a full disk or a crash kept from being told
// is told at the next start, once.
func TestTransferIsOwedUntilLogged(t *testing.T) {
	c, a, _ := between(t)
	logAs(t, c.Hub, a.origin, moved(protocol.TransferOut, "s2", "van", 5000))
	c.wantIncoming(0)
	for range 2 {
		if err := c.settleAllTransfers(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.wantIncoming(5000)
	}
}

// TestTransferToNowhere: goods sent to a store that nobody imported wait for it,
// and end nothing.
func TestTransferToNowhere(t *testing.T) {
	c, a, _ := between(t)
	c.receive(a.logs(moved(protocol.TransferOut, "s77", "van", 5000)))
	if list := c.transfers("sent"); len(list) != 1 || *list[0].ToStore != "s77" || list[0].Lines[0].Sent != 5000 {
		t.Errorf("sent: %+v", list)
	}
	mustTakeIn(t, c.Hub, StoresTable, "id,name,timezone,currency\ns77,New,Europe/London,GBP\n")
	if err := c.settleAllTransfers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := c.transfers("open"); len(list) != 1 || c.incomingAt("s77") != 5000 {
		t.Errorf("open: %+v", list)
	}
}

// TestHugeTransferEndsNothing: sums beyond what an event can say are told in
// steps.
func TestHugeTransferEndsNothing(t *testing.T) {
	c, a, _ := between(t)
	for range 3 {
		c.receive(a.logs(moved(protocol.TransferOut, "s2", "van", protocol.AmountMax)))
	}
	logAs(t, c.Hub, a.origin2(), moved(protocol.TransferOut, "s2", "lorry", protocol.AmountMax))
	logAs(t, c.Hub, a.origin2(), moved(protocol.TransferOut, "s2", "lorry", protocol.AmountMax))
	if err := c.settleAllTransfers(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.wantIncoming(5 * protocol.AmountMax)
}

// origin2 is another stream of the agent's store.
func (p *player) origin2() protocol.Origin { return stream(p.origin.Store, "a9", 9) }
