package hub

import (
	"slices"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// copied gives a hub a second copy that the test plays, and lists what it was
// told to copy.
func (c *core) copied() *[]protocol.StreamPos {
	told := &[]protocol.StreamPos{}
	c.safety.committed = func(o protocol.Origin, upto protocol.Seq) {
		if n := c.cursorOf(o); n < upto {
			c.t.Errorf("told to copy %d of %s, of which %d are committed", upto, o.Agent, n)
		}
		*told = append(*told, protocol.StreamPos{Inc: o.Inc, Seq: upto})
	}
	return told
}

// synced says that the second copy holds a stream up to a number, and returns
// the ACKs that an agent gets for it.
func (p *player) synced(upto protocol.Seq) []*protocol.Ack {
	p.c.t.Helper()
	p.c.take("")
	if err := p.c.Copied(p.c.t.Context(), []protocol.StreamPos{{Inc: p.origin.Inc, Seq: upto}}); err != nil {
		p.c.t.Fatal(err)
	}
	return only[*protocol.Ack](p.c.take(p.down()))
}

// send sends a batch and returns the ACKs.
func (p *player) send(in Inbound) []*protocol.Ack {
	p.c.t.Helper()
	p.c.take("")
	p.c.receive(in)
	return only[*protocol.Ack](p.c.take(p.down()))
}

func (p *player) expect(what string, acks []*protocol.Ack, safe ...protocol.Seq) {
	p.c.t.Helper()
	got := []protocol.Seq{}
	for _, a := range acks {
		if a.Seq != p.hello.LastSeq || a.Hash != p.hello.LastHash || a.Session != p.session || a.Inc != p.origin.Inc || a.Credit != windowBatches {
			p.c.t.Errorf("%s: %+v acknowledges something else", what, a)
		}
		got = append(got, a.Safe)
	}
	if !slices.Equal(got, safe) {
		p.c.t.Errorf("%s: told that %d is safe, want %d", what, got, safe)
	}
}

// safeSeq is what GET /v1/agents shows.
func (p *player) safeSeq() protocol.Seq {
	p.c.t.Helper()
	list, err := p.c.Agents(p.c.t.Context(), Page{Limit: 10})
	if err != nil || len(list.Items) != 1 || len(list.Items[0].Streams) != 1 {
		p.c.t.Fatalf("%+v, %v", list, err)
	}
	return list.Items[0].Streams[0].SafeSeq
}

// TestI7_SafeNeverRunsAheadOfTheCopy: an agent may forget what it was told to
// be safe, so nothing counts that the second copy has not synced.
func TestI7_SafeNeverRunsAheadOfTheCopy(t *testing.T) {
	c := newCore(t)
	c.copied()
	p := c.player("s1", "a1", 1)
	p.greet()
	p.expect("nothing is copied", p.send(p.sell("PEN")), 0)
	p.expect("nothing is copied", p.send(p.sell("PEN")), 0)
	if n := p.safeSeq(); n != 0 {
		t.Errorf("%d shows as safe and nothing is", n)
	}
	p.expect("the copy has one, and the agent has nothing to send", p.synced(1), 1)
	p.expect("the copy has less than before", p.synced(1))
	p.expect("another sale", p.send(p.sell("PEN")), 1)
	if w := p.greet(); w.Safe != 1 || w.CursorSeq != 3 {
		t.Errorf("a new session begins with %+v", w)
	}
	p.expect("the copy has all", p.synced(3), 3)
	p.expect("the copy claims more than there is", p.synced(9), 3)
	if n := p.safeSeq(); n != 3 {
		t.Errorf("%d shows as safe, 3 are", n)
	}
}

// TestI7_WithoutACopySafeIsWhatIsAcknowledged: the hub says so in its status.
func TestI7_WithoutACopySafeIsWhatIsAcknowledged(t *testing.T) {
	c := newCore(t)
	p := c.player("s1", "a1", 1)
	p.greet()
	p.expect("a sale", p.send(p.sell("PEN")), 1)
	if w := p.greet(); w.Safe != 1 || p.safeSeq() != 1 {
		t.Errorf("a new session begins with %+v, %d shows as safe", w, p.safeSeq())
	}
}

// TestLostNewsOfSafetyIsRepeated: an idle agent learns with its next Beat what
// was lost on the way, and is not bothered again.
func TestLostNewsOfSafetyIsRepeated(t *testing.T) {
	c := newCore(t)
	c.copied()
	p := c.player("s1", "a1", 1)
	p.greet()
	p.send(p.sell("PEN"))
	p.synced(1)
	beat := func() []*protocol.Ack {
		return p.send(payload(t, p.up(), &protocol.Beat{Session: p.session, LastSeq: p.hello.LastSeq, LastHash: p.hello.LastHash, Disk: "ok"}))
	}
	p.expect("the first Beat", beat(), 1)
	p.expect("the next Beat", beat())
}

// TestEachCommitIsToldToTheCopy: whoever commits, and only then.
func TestEachCommitIsToldToTheCopy(t *testing.T) {
	c := newCore(t)
	told := c.copied()
	p := c.player("s1", "a1", 1)
	p.greet()
	first := p.sell("PEN")
	c.receive(first, p.sell("PEN"))
	c.receive(first)
	if want := []protocol.StreamPos{{Inc: p.origin.Inc, Seq: 1}, {Inc: p.origin.Inc, Seq: 2}}; len(*told) == 0 || (*told)[len(*told)-1] != want[1] || len(*told) > 2 {
		t.Errorf("told to copy %v", *told)
	}
	*told = nil
	mustTakeIn(t, c.Hub, ItemsTable, "sku,name\nPEN,Pen\n")
	if len(*told) != 1 || (*told)[0].Inc == p.origin.Inc {
		t.Errorf("after an import told to copy %v", *told)
	}
	*told = nil
	mustTakeIn(t, c.Hub, ItemsTable, "sku,name\nPEN,Pen\n")
	c.disk.full = true
	c.receive(p.sell("PEN"))
	if len(*told) > 0 {
		t.Errorf("told to copy %v, and nothing was committed", *told)
	}
}

// TestI4_RenewedDatabaseUsesNoNumberTwice: whatever the hub may have written
// after the backup was made, it writes into streams of other names now, and no
// agent takes a cursor of before for one of now.
func TestI4_RenewedDatabaseUsesNoNumberTwice(t *testing.T) {
	for name, r := range map[string]Renewal{
		"the clock decides":              {Now: time.Unix(4_000_000_000, 0)},
		"the epoch was ahead of clocks":  {Now: time.Unix(1, 0)},
		"the lost database had a higher": {Now: time.Unix(1, 0), Above: 5_000_000_000, AcceptGaps: true},
	} {
		c := newCore(t)
		mustTakeIn(t, c.Hub, ItemsTable, "sku,name\nPEN,Pen\n")
		before := ownStreams(t, c.disk)
		r.Identity = c.identity
		var epoch uint64
		var accepted bool
		err := c.disk.Update(t.Context(), func(tx ledger.Tx) (err error) {
			if epoch, err = Renew(tx, r); err != nil {
				return err
			}
			accepted, err = GapsAccepted(tx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if epoch <= c.Epoch() || epoch <= r.Above || epoch < uint64(r.Now.Unix()) || accepted != r.AcceptGaps {
			t.Errorf("%s: epoch %d after %d and %d, gaps accepted %t", name, epoch, c.Epoch(), r.Above, accepted)
		}
		identity := c.identity
		c.Hub, err = New(t.Context(), Options{
			Driver: c.disk, Now: c.now, Mono: c.mono, Random: func(b []byte) { b[0] = 0xEE }, Send: c.send, Log: c.log,
		})
		if err != nil {
			t.Fatal(err)
		}
		mustTakeIn(t, c.Hub, ItemsTable, "sku,name\nINK,Ink\n")
		after := ownStreams(t, c.disk)
		if c.Epoch() != epoch || c.Identity() != identity || len(after) != len(before)+1 {
			t.Errorf("%s: the hub opens with epoch %d for %d, its streams were %v and are %v", name, c.Epoch(), epoch, before, after)
		}
		for inc, seq := range before {
			if after[inc] != seq {
				t.Errorf("%s: the hub went on with a stream of before, from %d to %d", name, seq, after[inc])
			}
		}
	}
}

// ownStreams are the hub's own streams and how far they are.
func ownStreams(t *testing.T, db ledger.Driver) map[protocol.Inc]protocol.Seq {
	t.Helper()
	own := map[protocol.Inc]protocol.Seq{}
	err := db.View(t.Context(), func(r ledger.Reader) error {
		all, err := ledger.AllStreams(r)
		for _, s := range all {
			if s.Origin.Agent == protocol.HubAgent {
				own[s.Origin.Inc] = s.Seq
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// TestI7_OthersSafeNeverRunsAheadOfTheCopy: of the store's other streams, too, an
// agent is told no more than the second copy has, with the hash there; of other
// stores and of itself nothing.
func TestI7_OthersSafeNeverRunsAheadOfTheCopy(t *testing.T) {
	c := newCore(t)
	c.copied()
	p, sibling, stranger := c.player("s1", "a1", 1), c.player("s1", "a2", 2), c.player("s2", "b1", 3)
	for _, each := range []*player{p, sibling, stranger} {
		each.greet()
		for range 3 {
			each.send(each.sell("PEN"))
		}
	}
	stranger.synced(3)
	p.synced(3)
	told := func(beats int) (heads []protocol.StreamHead) {
		t.Helper()
		for range beats {
			c.take("")
			c.receive(payload(t, p.up(), &protocol.Beat{Session: p.session, LastSeq: 3, LastHash: p.hello.LastHash}))
			for _, b := range only[*protocol.Beat](c.take(p.down())) {
				heads = append(heads, b.Safe...)
			}
		}
		return heads
	}
	if heads := told(1); len(heads) > 0 {
		t.Errorf("told of %v, and nothing is copied", heads)
	}
	sibling.synced(2)
	heads := told(othersSafeEvery)
	if len(heads) != 1 || heads[0].Inc != sibling.origin.Inc || heads[0].Agent != "a2" || heads[0].Seq != 2 {
		t.Fatalf("told of %v, want two events of a2", heads)
	}
	err := sibling.log.View(t.Context(), func(r ledger.Reader) error {
		hash, _, err := ledger.HashAt(r, protocol.EventID{Inc: sibling.origin.Inc, Seq: 2})
		if hash != heads[0].Hash {
			t.Errorf("the hash told is %x, that of the event %x", heads[0].Hash, hash)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
