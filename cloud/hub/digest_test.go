package hub

import (
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// sumRow is where the sums of an agent's moves are kept.
func sumRow(store protocol.StoreID, agent protocol.AgentID) string {
	return "sum\x00" + string(store) + "\x00" + string(agent)
}

// digest logs a digest and is the batch that carries it up.
func (p *player) digest() Inbound {
	p.c.t.Helper()
	var at protocol.Seq
	err := p.log.Update(p.c.t.Context(), func(tx ledger.Tx) error {
		d, err := ledger.Digest(tx, p.origin)
		if err != nil {
			return err
		}
		res, err := ledger.Log(tx, p.origin, protocol.Clock{WallMs: 1}, &protocol.Event{Kind: protocol.KindDigest, Digest: d})
		at, p.hello.LastSeq, p.hello.LastHash = res.Stream.Seq, res.Stream.Seq, res.Stream.Hash
		return err
	})
	if err != nil {
		p.c.t.Fatal(err)
	}
	return p.batch(at, 1)
}

// rewrite changes a row of the state behind the ledger's back; nil deletes it.
func rewrite(t *testing.T, d ledger.Driver, id string, change func([]byte) []byte) (before string) {
	t.Helper()
	key := ledger.Key{Table: ledger.States, ID: id}
	err := d.Update(t.Context(), func(tx ledger.Tx) error {
		values, err := tx.Load([]ledger.Key{key})
		if err != nil {
			return err
		}
		before = string(values[0])
		return tx.Write([]ledger.Row{{Key: key, Value: change([]byte(before))}})
	})
	if err != nil {
		t.Fatal(err)
	}
	if before == "" {
		t.Fatalf("there is no row %q", id)
	}
	return before
}

func flip(b []byte) []byte {
	b[len(b)-1] ^= 2
	return b
}

func rowOf(t *testing.T, d ledger.Driver, id string) (row string) {
	t.Helper()
	err := d.View(t.Context(), func(r ledger.Reader) error {
		values, err := r.Load([]ledger.Key{{Table: ledger.States, ID: id}})
		row = string(values[0])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// differing are the exceptions about quantities.
func (c *core) differing() []ledger.ExceptionDocument {
	c.t.Helper()
	list, err := c.Exceptions(c.t.Context(), "", Page{Limit: 50})
	if err != nil {
		c.t.Fatal(err)
	}
	return list.Items
}

// inspect does what the digests gave cause for; there must be some.
func (c *core) inspect() {
	c.t.Helper()
	select {
	case <-c.Suspected():
	default:
		c.t.Fatal("nobody is woken")
	}
	if err := c.Inspect(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

func (c *core) audit() {
	c.t.Helper()
	if err := c.Audit(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

func (c *core) calm() {
	c.t.Helper()
	select {
	case <-c.Suspected():
		c.t.Error("something is suspected")
	default:
	}
	if list := c.differing(); len(list) > 0 {
		c.t.Errorf("exceptions: %+v", list)
	}
}

// busy is a hub that two machines of one store have told of sales.
func busy(t *testing.T) (c *core, a, b *player) {
	c = newCore(t)
	a, b = c.player("s1", "a1", 1), c.player("s1", "a2", 2)
	for _, p := range []*player{a, b} {
		p.greet()
		c.receive(p.sell("PEN"), p.sell("INK"), p.sell("PEN"))
	}
	return c, a, b
}

// TestI9_DigestsAgree: digests are compared at the event itself, also where
// sales follow in the same transaction, and a chain without damage is calm.
func TestI9_DigestsAgree(t *testing.T) {
	c, a, b := busy(t)
	if doc, err := c.Status(t.Context(), Deployment{}); err != nil || doc.DigestsCheckedAt != nil {
		t.Errorf("before any digest it was checked at %v, %v", doc.DigestsCheckedAt, err)
	}
	c.receive(a.sell("PEN"), a.digest(), b.sell("PEN"), a.sell("INK"), b.digest(), b.sell("CAP"))
	c.audit()
	c.calm()
	doc, err := c.Status(t.Context(), Deployment{})
	if want := timeText(c.now()); err != nil || doc.DigestsCheckedAt == nil || *doc.DigestsCheckedAt != *want {
		t.Errorf("digests were checked at %v, %v", doc.DigestsCheckedAt, err)
	}
	if err := c.loadDigests(t.Context()); err != nil || c.digestsCheckedAt() == nil {
		t.Errorf("a restart forgets that digests were checked: %v", err)
	}
}

// TestI9_DamagedLevelIsSetRight: a level that is not what the events give is
// found without any agent, and set right from the log.
func TestI9_DamagedLevelIsSetRight(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"changed": flip, "unreadable": func([]byte) []byte { return []byte{0xff} }, "gone": func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			c, a, _ := busy(t)
			row := levelRow("s1", "PEN")
			before := rewrite(t, c.disk.Driver, row, change)
			c.audit()
			if after := rowOf(t, c.disk.Driver, row); after != before {
				t.Errorf("the level is %x, it was %x", after, before)
			}
			list := c.differing()
			if len(list) != 1 || list[0].Kind != "digest_differs" || list[0].Store == nil || *list[0].Store != "s1" || len(list[0].Refs) != 1 || list[0].Refs[0] != "PEN" {
				t.Fatalf("a person sees %+v", list)
			}
			c.audit()
			c.receive(a.digest())
			if again := c.differing(); len(again) != 1 || again[0].Detail != list[0].Detail {
				t.Errorf("later a person sees %+v", again)
			}
		})
	}
}

// TestI9_DamagedSumIsSetRight: sums at the hub that are not what an agent's
// events give are found by its digest.
func TestI9_DamagedSumIsSetRight(t *testing.T) {
	c, a, b := busy(t)
	before := rewrite(t, c.disk.Driver, sumRow("s1", "a1"), flip)
	c.receive(a.digest(), b.digest())
	c.inspect()
	if after := rowOf(t, c.disk.Driver, sumRow("s1", "a1")); after != before {
		t.Errorf("the sums are %x, they were %x", after, before)
	}
	list := c.differing()
	if len(list) != 1 || list[0].Refs[0] != "a1" || strings.Contains(list[0].Detail, "agree again") {
		t.Fatalf("a person sees %+v", list)
	}
	c.receive(a.digest())
	if list = c.differing(); len(list) != 1 || !strings.Contains(list[0].Detail, "agree again since") {
		t.Errorf("after the next digest a person sees %+v", list)
	}
}

// TestI9_AgentThatIsWrong: where the hub's log confirms the hub, nothing there
// changes, and a person is told which machine is wrong, also after a restart.
func TestI9_AgentThatIsWrong(t *testing.T) {
	c, a, b := busy(t)
	hubs := rowOf(t, c.disk.Driver, sumRow("s1", "a1"))
	rewrite(t, a.log, sumRow("s1", "a1"), flip)
	c.receive(a.digest(), b.digest())
	c.inspect()
	if after := rowOf(t, c.disk.Driver, sumRow("s1", "a1")); after != hubs {
		t.Errorf("the hub's sums became %x", after)
	}
	if err := c.loadDigests(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := c.differing()
	if len(list) != 1 || list[0].Refs[0] != "a1" || !strings.Contains(list[0].Detail, "Machine a1 of store s1") || !strings.Contains(list[0].Detail, "parts [15] of 16") {
		t.Fatalf("a person sees %+v", list)
	}
	c.receive(a.sell("PEN"), a.digest())
	select {
	case <-c.Suspected():
		t.Error("what is known is counted again every hour")
	default:
	}
}

// TestI9_OlderDatabaseBegins: a database of a version that knew no sums
// compares nothing until its log was counted, and agrees from then on.
func TestI9_OlderDatabaseBegins(t *testing.T) {
	c, a, _ := busy(t)
	rewrite(t, c.disk.Driver, sumRow("s1", "a1"), func([]byte) []byte { return nil })
	c.receive(a.sell("PEN"), a.digest())
	if c.digestsCheckedAt() != nil {
		t.Error("a digest agrees with sums that are not known")
	}
	c.audit()
	c.receive(a.sell("PEN"), a.digest())
	c.calm()
	if c.digestsCheckedAt() == nil {
		t.Error("the sums were not begun")
	}
}

// TestI9_EventsSetAside: what the hub could not fold counts neither in its sums
// nor when it counts again, and explains why an agent's digest is another.
func TestI9_EventsSetAside(t *testing.T) {
	c, a, b := busy(t)
	bad := a.sell(panicSKU)
	for range triesMax {
		c.receive(bad)
	}
	if n := c.cursorOf(a.origin); n != 4 {
		t.Fatalf("the hub has %d events", n)
	}
	c.receive(a.digest(), b.digest())
	c.audit()
	c.calm()
	row := levelRow("s1", "PEN")
	before := rewrite(t, c.disk.Driver, row, flip)
	c.audit()
	if after := rowOf(t, c.disk.Driver, row); after != before {
		t.Errorf("the level is %x, it was %x", after, before)
	}
	if list := c.differing(); len(list) != 1 || len(list[0].Refs) != 1 {
		t.Errorf("a person sees %+v", list)
	}
}

// TestI9_Gap: what stands for lost events counts in the sums. Damage behind a
// gap is shown, and nothing is made up.
func TestI9_Gap(t *testing.T) {
	c := newCore(t)
	a := c.player("s1", "a1", 1)
	a.greet()
	for n := range 10 {
		if in := a.sell("PEN"); n < 3 {
			c.receive(in)
		}
	}
	err := a.log.Update(t.Context(), func(tx ledger.Tx) error {
		_, err := ledger.TrimEvents(tx, a.origin.Inc, 7, 100)
		return err
	})
	if err == nil {
		err = c.disk.Driver.Update(t.Context(), func(tx ledger.Tx) error { return setCounter(tx, noteAcceptGaps, 1) })
	}
	if err != nil {
		t.Fatal(err)
	}
	a.hello.BaseSeq = 7
	checkpoint := a.checkpoint()
	a.greet()
	checkpoint.Session = a.session
	c.receive(payload(t, a.up(), checkpoint))
	c.time += gapPatience
	c.receive(payload(t, a.up(), checkpoint), a.batch(7, 4), a.digest())
	c.audit()
	if c.digestsCheckedAt() == nil || len(c.differing()) != 1 {
		t.Fatalf("behind the gap a digest is compared at %v, a person sees %+v", c.digestsCheckedAt(), c.differing())
	}
	row := levelRow("s1", "PEN")
	rewrite(t, c.disk.Driver, row, flip)
	damaged := rowOf(t, c.disk.Driver, row)
	c.audit()
	list := c.differing()
	if after := rowOf(t, c.disk.Driver, row); after != damaged || len(list) != 2 || list[0].Kind != exceptionDigestDiffers || !strings.Contains(list[0].Detail, "Count the items") {
		t.Errorf("behind a gap the level becomes %x, a person sees %+v", after, list)
	}
}
