package client_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"counterpart/test/client"
	"counterpart/test/process"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestTakingTurnsIsFenced lets two copies of one machine say Hello in turn.
func TestTakingTurnsIsFenced(t *testing.T) {
	b := newBench(t, shared)
	l := client.NewLog(client.Stream{Store: b.store, Agent: b.store + "a", Inc: client.RandomInc()})
	one, two := b.start(l), b.start(l)
	for range 2 {
		b.welcome(one)
		b.welcome(one)
		b.welcome(two)
	}
	b.refused(one, "duplicate_identity", 60000)
	b.welcome(two)
}

// TestPresence is shown as the agent's status topic says.
func TestPresence(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	shows := func(want string) {
		t.Helper()
		b.check(process.Await(b.ctx, 10*time.Millisecond, func(ctx context.Context) (string, error) {
			agents, err := b.hub.Agents(ctx)
			for _, row := range agents {
				if row.Agent == a.Log.Agent && row.Link == want {
					return "", err
				}
			}
			return "it is not " + want, err
		}))
	}
	shows("online")
	a.Close()
	shows("offline")
}

// TestBatchesMayFollowEachOther sends a window of batches without waiting.
func TestBatchesMayFollowEachOther(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	const batches, each = 8, 5
	for n := range uint64(batches * each) {
		b.log(a, pens(n+1, 1).Event("PEN-01"))
	}
	for i := range uint64(batches) {
		b.check(a.SendBatch(b.ctx, b.batch(a, i*each+1, each)))
	}
	for seq := uint64(0); seq < batches*each; {
		m := b.await(a, int32(client.KindAck))
		if hash := a.Log.Hash(m.Uint(3)); m.Uint(3) <= seq || m.Uint(3)%each != 0 || client.Hash(m.Bytes(4)) != hash {
			t.Fatalf("after %d came %v", seq, m)
		}
		seq = m.Uint(3)
	}
	b.wantStock("PEN-01", -1000*batches*each)
}

// TestLargestEvent is as large as an event may be, and then one byte more.
func TestLargestEvent(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	noise := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		size int
		fits bool
	}{{1_048_560, true}, {1_048_561, false}} {
		random := make([]byte, c.size)
		for i := range random {
			random[i] = byte(noise.Uint32())
		}
		e := client.Event{Text: "acme.large", Boot: 1, Field: 900, Moves: []client.Move{{SKU: "PEN-01", Delta: 1000}}}
		e.Body = random[:c.size-len(e.Encode())-3] // Three more for the length.
		if n := len(e.Encode()) - c.size; n > 0 {
			e.Body = e.Body[n:]
		} else if n < 0 {
			e.Body = random[:len(e.Body)-n]
		}
		if n := len(e.Encode()); n != c.size {
			t.Fatalf("the event has %d bytes, not %d", n, c.size)
		}
		b.log(a, e)
		b.check(a.SendBatch(b.ctx, b.batch(a, a.Log.Last(), 1)))
		if c.fits {
			b.acked(a, 1)
		} else if m := b.await(a, int32(client.KindNack)); m.Uint(3) != 2 || m.Text(4) != "frame" {
			t.Errorf("an event of %d bytes is answered with %v", c.size, m)
		}
	}
	b.wantStock("PEN-01", 1000)
}

// TestReissueCountsOnce logs a sale of a parent stream again, twice, and then
// another one under the same name.
func TestReissueCountsOnce(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	parent := client.StreamPos{Inc: client.RandomInc(), Seq: 7}
	original := client.Record{Wall: 1, Running: 2, Body: pens(7, 1).Event("PEN-01").Encode()}
	other := original
	other.Wall = 9
	b.log(a, client.Reissue(parent, original), client.Reissue(parent, original))
	b.upload(a, 1, 2)
	b.wantSales(a, "sale 1-1-7 1 lines 250")
	b.wantStock("PEN-01", -1000)
	b.log(a, client.Reissue(parent, other))
	b.upload(a, 3, 1)
	b.wantStock("PEN-01", -2000)
	b.wantException("event_twice")
	b.log(a, pens(7, 1).Event("PEN-01"))
	b.upload(a, 4, 1)
	b.wantException("receipt_twice")
}

// wantException asks for an open work item of the test's store.
func (b *bench) wantException(kind string) {
	b.Helper()
	var page struct {
		Items []struct {
			Kind  string `json:"kind"`
			Store string `json:"store"`
		} `json:"items"`
	}
	b.check(b.hub.Get(b.ctx, "/v1/exceptions?state=open&limit=1000", &page))
	for _, row := range page.Items {
		if row.Kind == kind && row.Store == b.store {
			return
		}
	}
	b.Errorf("there is no exception %s in %v", kind, page.Items)
}

// TestAckNamesOnlyOwnEvents resends a batch behind which another agent's event
// has come.
func TestAckNamesOnlyOwnEvents(t *testing.T) {
	b := newBench(t, shared)
	feed := "peer/" + b.store
	a, c := b.open("a", feed), b.open("c", feed)
	b.log(a, pens(1, 1).Event("PEN-01"), pens(2, 1).Event("PEN-01"))
	b.log(c, pens(1, 1).Event("PEN-01"))
	b.upload(a, 1, 1)
	b.upload(c, 1, 1)
	for range 2 {
		m := b.upload(a, 1, 1)
		if own := m.Inner(7); m.Has(7) && own.Uint(4) > 1 {
			t.Errorf("the stretch %v names an event of another agent", own)
		}
	}
	m := b.upload(a, 1, 2)
	if own := m.Inner(7); m.Has(7) && (own.Uint(3) != 2 || own.Uint(4) != 3) {
		t.Errorf("the stretch is %v, want 2 to 3", own)
	}
	b.reach(a, feed, 3)
	if l := a.Feeds[feed].Streams[c.Log.Stream]; l == nil || l.Hash(1) != c.Log.Hash(1) {
		t.Error("the other agent's event was passed over")
	}
}

// TestConnectTellsTheEpoch and the version, as Welcome does.
func TestConnectTellsTheEpoch(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	var doc struct {
		Epoch    string `json:"epoch"`
		Protocol int    `json:"protocol"`
	}
	b.check(b.hub.Get(b.ctx, "/v1/connect", &doc))
	if doc.Epoch != strconv.FormatUint(a.Epoch, 10) || doc.Protocol != 1 {
		t.Errorf("the hub says %+v, and in the session epoch %d", doc, a.Epoch)
	}
}

// TestGarbageIsIgnored sends what is no message, and messages that are spoilt
// or not in use. Nothing may change or end.
func TestGarbageIsIgnored(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a", "catalog")
	b.log(a, pens(1, 1).Event("PEN-01"))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	noise := rand.New(rand.NewPCG(seed, 0))
	for i := range 2000 {
		body := make([]byte, noise.IntN(64))
		for k := range body {
			body[k] = byte(noise.Uint32())
		}
		if i%2 == 0 {
			body = append(protowire.AppendBytes([]byte{1<<3 | 2}, a.Session), body...)
		}
		b.check(a.Send(b.ctx, protowire.Number(1+noise.IntN(16)), body))
	}
	short := b.batch(a, 1, 1)
	short.Count = 0
	b.check(a.SendBatch(b.ctx, short))
	short.Count = 257
	b.check(a.SendBatch(b.ctx, short))
	again := b.start(a.Log)
	b.welcome(again)
	b.upload(again, 1, 1)
	b.wantSales(again, "sale 1-1-1 1 lines 250")
	if list := b.streams(a.Log.Agent); len(list) != 1 {
		t.Errorf("the hub has the streams %v", list)
	}
}

// TestSpoiltEventsAreAcknowledged sends events that were changed at random. The
// hub has to take whatever a frame and a chain vouch for.
func TestSpoiltEventsAreAcknowledged(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	movement := client.Movement{Type: client.Count, Lines: []client.MovementLine{{SKU: "PEN-01", Quantity: 1, Book: 2}}, Seen: []client.StreamPos{{Inc: a.Log.Inc, Seq: 1}}}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	noise := rand.New(rand.NewPCG(seed, 0))
	bodies := [][]byte{
		pens(1, 1).Event("PEN-01").Encode(), movement.Event().Encode(), client.CountSeen(client.StreamPos{Inc: a.Log.Inc, Seq: 1}, "PEN-01").Encode(),
		client.Reissue(client.StreamPos{Inc: client.RandomInc(), Seq: 3}, client.Record{Body: pens(2, 1).Event("PEN-01").Encode()}).Encode(),
	}
	for range spoiltBatches {
		first := a.Log.Last() + 1
		for range 256 {
			body := bytes.Clone(bodies[noise.IntN(len(bodies))])
			for range noise.IntN(4) {
				body[noise.IntN(len(body))] = byte(noise.Uint32())
			}
			a.Log.Append(client.Record{Wall: noise.Int64(), Running: -noise.Int64(), Body: body[:len(body)-noise.IntN(2)]})
		}
		b.upload(a, first, 256)
	}
	b.wantStream(a.Log, a.Log.Last())
	b.sales()
	if _, err := b.hub.Stock(b.ctx, b.store); err != nil {
		t.Error(err)
	}
}

// spoiltBatches is how many batches of spoilt events are sent.
const spoiltBatches = 8
