package client_test

import (
	"bytes"
	"testing"

	"counterpart/test/client"
)

// TestSaleCountsOnce sends a sale twice and finds it once.
func TestSaleCountsOnce(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	b.wantStream(a.Log, 0)
	b.log(a, pens(1, 2).Event("PEN-01"))
	b.upload(a, 1, 1)
	for range 2 {
		b.wantSales(a, "sale 1-1-1 1 lines 500")
		b.wantStock("PEN-01", -2000)
		b.wantStream(a.Log, 1)
		b.upload(a, 1, 1)
	}

	// A batch that overlaps: two known events and one new.
	b.log(a, pens(2, 1).Event("PEN-01"), pens(3, 1).Event("PEN-01"))
	b.upload(a, 2, 1)
	b.upload(a, 1, 3)
	b.wantSales(a, "sale 1-1-1 1 lines 500", "sale 1-1-2 1 lines 250", "sale 1-1-3 1 lines 250")
	b.wantStock("PEN-01", -4000)
	b.wantStream(a.Log, 3)
}

// TestWelcomeTellsWhereToGoOn says Hello before and after an upload.
func TestWelcomeTellsWhereToGoOn(t *testing.T) {
	b := newBench(t, shared)
	a := b.agent("a")
	m, genesis := b.welcome(a), a.Log.Genesis()
	if m.Uint(5) != 0 || !bytes.Equal(m.Bytes(6), genesis[:]) || m.Uint(8) != 32 || len(m.Bytes(3)) != 16 || m.Uint(2) == 0 {
		t.Errorf("an empty log is welcomed with %v", m)
	}
	b.log(a, pens(1, 1).Event("PEN-01"), pens(2, 1).Event("PEN-01"))
	b.upload(a, 1, 2)
	first := a.Session
	m = b.welcome(a)
	if hash := a.Log.Hash(2); m.Uint(5) != 2 || !bytes.Equal(m.Bytes(6), hash[:]) || m.Uint(7) != 2 {
		t.Errorf("a log of two events is welcomed with %v", m)
	}
	if bytes.Equal(first, a.Session) {
		t.Error("two sessions have one name")
	}
}

// TestGapIsNacked begins beyond the cursor.
func TestGapIsNacked(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	b.log(a, pens(1, 1).Event("PEN-01"), pens(2, 1).Event("PEN-01"), pens(3, 1).Event("PEN-01"))
	b.check(a.SendBatch(b.ctx, b.batch(a, 3, 1)))
	if m := b.await(a, int32(client.KindNack)); m.Uint(3) != 1 || m.Text(4) != "gap" || !bytes.Equal(m.Bytes(1), a.Session) {
		t.Errorf("a gap is answered with %v", m)
	}
	b.wantStream(a.Log, 0)
	b.upload(a, 1, 1)
	b.check(a.SendBatch(b.ctx, b.batch(a, 3, 1)))
	if m := b.await(a, int32(client.KindNack)); m.Uint(3) != 2 || m.Text(4) != "gap" {
		t.Errorf("a second gap is answered with %v", m)
	}
	b.upload(a, 2, 2)
	b.wantSales(a, "sale 1-1-1 1 lines 250", "sale 1-1-2 1 lines 250", "sale 1-1-3 1 lines 250")
}

// TestDamagedFrameIsNacked spoils a frame in the ways in which one can be.
func TestDamagedFrameIsNacked(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	b.log(a, pens(1, 1).Event("PEN-01"), pens(2, 1).Event("PEN-01"))
	for _, c := range []struct {
		name  string
		spoil func(*client.Batch)
	}{
		{"a bit fell over", func(m *client.Batch) { m.Frame[len(m.Frame)/2] ^= 1 }},
		{"wrong checksum", func(m *client.Batch) { m.Checksum++ }},
		{"wrong count", func(m *client.Batch) { m.Count = 1 }},
		{"no zstd", func(m *client.Batch) { m.Frame = []byte("frame"); m.Checksum = client.Checksum(m.Frame) }},
	} {
		batch := b.batch(a, 1, 2)
		c.spoil(&batch)
		b.check(a.SendBatch(b.ctx, batch))
		if m := b.await(a, int32(client.KindNack)); m.Uint(3) != 1 || m.Text(4) != "frame" {
			t.Errorf("%s: answered with %v", c.name, m)
		}
	}
	b.wantStream(a.Log, 0)
	b.upload(a, 1, 2)
}

// TestBrokenChainIsFenced sends events that continue another history.
func TestBrokenChainIsFenced(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	b.log(a, pens(1, 1).Event("PEN-01"), pens(2, 1).Event("PEN-01"))
	b.upload(a, 1, 1)
	other := client.NewLog(a.Log.Stream)
	other.Append(client.Record{Body: pens(9, 1).Event("PEN-01").Encode()})
	frame, err := other.Frame(1, 1)
	b.check(err)

	wrongHash := b.batch(a, 2, 1)
	wrongHash.Previous[0] ^= 1
	otherEvent := b.batch(a, 1, 1)
	otherEvent.Frame, otherEvent.Checksum = frame, client.Checksum(frame)
	for _, batch := range []client.Batch{wrongHash, otherEvent} {
		b.check(a.SendBatch(b.ctx, batch))
		m := b.await(a, int32(client.KindFence))
		if m.Text(3) != "duplicate_identity" || m.Uint(5) != 1 || m.Uint(6) != 60000 || !bytes.Equal(m.Bytes(1), a.Session) {
			t.Errorf("a broken chain is answered with %v", m)
		}
	}
	b.wantStream(a.Log, 1)
	b.wantSales(a, "sale 1-1-1 1 lines 250")
}

// TestVersionIsRefused speaks a version that the hub does not.
func TestVersionIsRefused(t *testing.T) {
	b := newBench(t, shared)
	a := b.agent("a")
	for _, version := range []uint64{0, 2} {
		a.Version = version
		b.refused(a, "version", 60000)
		if b.streams(a.Log.Agent) != nil {
			t.Errorf("version %d: the hub knows an agent that it refused", version)
		}
	}
	a.Version = 1
	b.welcome(a)
	b.log(a, pens(1, 1).Event("PEN-01"))
	b.upload(a, 1, 1)
	a.Version = 2
	b.refused(a, "version", 60000)
	b.wantStream(a.Log, 1)
	b.wantSales(a, "sale 1-1-1 1 lines 250")
}

// TestUnknownStoreIsRefused comes before the store does.
func TestUnknownStoreIsRefused(t *testing.T) {
	b := newBench(t, shared)
	l := client.NewLog(client.Stream{Store: b.store + "-later", Agent: b.store + "a", Inc: client.RandomInc()})
	a := b.start(l)
	b.refused(a, "unknown_store", 2000)
	load(b, "stores", store{ID: l.Store, Name: "Later", Timezone: "UTC"})
	b.welcome(a)
}

// TestDuplicateIdentityIsRefused comes with another log under a name that is
// taken.
func TestDuplicateIdentityIsRefused(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	b.log(a, pens(1, 1).Event("PEN-01"), pens(2, 1).Event("PEN-01"))
	b.upload(a, 1, 2)

	elsewhere := b.store + "-2"
	load(b, "stores", store{ID: elsewhere, Name: "Elsewhere", Timezone: "UTC"})
	short, changed := client.NewLog(a.Log.Stream), client.NewLog(a.Log.Stream)
	short.Append(client.Record{})
	changed.Append(client.Record{})
	changed.Append(client.Record{})
	for name, l := range map[string]*client.Log{
		"another inc":       client.NewLog(client.Stream{Store: b.store, Agent: a.Log.Agent, Inc: client.RandomInc()}),
		"another store":     client.NewLog(client.Stream{Store: elsewhere, Agent: a.Log.Agent, Inc: a.Log.Inc}),
		"rolled back":       short,
		"another last hash": changed,
	} {
		t.Log(name)
		b.refused(b.start(l), "duplicate_identity", 60000)
	}
	if list := b.streams(a.Log.Agent); len(list) != 1 {
		t.Errorf("the hub has the streams %v", list)
	}
	// The session of the rightful agent has not been touched.
	b.log(a, pens(3, 1).Event("PEN-01"))
	b.upload(a, 3, 1)
}

// TestStaleSessionIsFenced uses a session that another Hello replaced.
func TestStaleSessionIsFenced(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a", "catalog")
	b.log(a, pens(1, 1).Event("PEN-01"))
	stale, current := b.batch(a, 1, 1), a.Session
	b.welcome(a)
	conflict := func(session []byte) {
		t.Helper()
		m := b.await(a, int32(client.KindFence))
		if m.Text(3) != "conflict" || m.Uint(5) != 1 || m.Uint(6) != 0 || !bytes.Equal(m.Bytes(1), session) {
			t.Errorf("a stale session is answered with %v", m)
		}
	}
	b.check(a.SendBatch(b.ctx, stale))
	conflict(stale.Session)
	fresh := a.Session
	a.Session = current
	b.check(a.Beat(b.ctx))
	conflict(current)
	b.check(a.Dack(b.ctx, a.Feeds["catalog"]))
	conflict(current)
	a.Session = fresh
	foreign := b.batch(a, 1, 1)
	foreign.Inc = client.RandomInc()
	b.check(a.SendBatch(b.ctx, foreign))
	conflict(fresh)
	b.wantStream(a.Log, 0)
	b.upload(a, 1, 1)
}

// TestForbiddenHello names another agent than its topic, or none that may be.
func TestForbiddenHello(t *testing.T) {
	b := newBench(t, shared)
	a := b.agent("a")
	a.Log = client.NewLog(client.Stream{Store: b.store, Agent: b.store + "b", Inc: a.Log.Inc})
	b.refused(a, "forbidden", 60000)
	a.Log = client.NewLog(client.Stream{Store: b.store, Agent: b.store + "a"})
	b.refused(a, "forbidden", 60000)
}

// TestBeatIsAnswered with the hub's cursor and the heads of feeds.
func TestBeatIsAnswered(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a", "catalog")
	b.log(a, pens(1, 1).Event("PEN-01"))
	b.upload(a, 1, 1)
	b.check(a.Beat(b.ctx))
	m := b.await(a, int32(client.KindBeat))
	heads := m.List(6)
	if m.Uint(2) != 1 || m.Sint(4) == 0 || len(heads) != 1 || heads[0].Text(1) != "catalog" || heads[0].Uint(3) < 2 || heads[0].Uint(2) != a.Epoch {
		t.Errorf("a beat is answered with %v", m)
	}
}
