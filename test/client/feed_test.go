package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"testing"

	"counterpart/test/client"
	"counterpart/test/process"
)

// reach awaits Deltas until a feed's cursor stands at its head, and at least.
func (b *bench) reach(a *client.Agent, feed string, least uint64) *client.Feed {
	b.Helper()
	f := a.Feeds[feed]
	for f.Offset < max(f.Head, least) {
		if _, err := a.Await(b.ctx, client.KindDelta); err != nil {
			b.Fatalf("%s at %d of %d: %v", feed, f.Offset, max(f.Head, least), err)
		}
	}
	return f
}

// TestFeedsByDelta follows the store, the catalogue and the prices from their
// start, and then what changes.
func TestFeedsByDelta(t *testing.T) {
	b := newBench(t, shared)
	zone := "z-" + b.store
	load(b, "prices", price{Zone: zone, Code: "PEN-01", Minor: 199, From: "2026-01-01"})
	load(b, "taxes", tax{Zone: zone, Code: "STD", Rate: 200_000, Inclusive: true, From: "2026-01-01"})
	a := b.open("a", "store/"+b.store, "catalog", "price/"+zone)

	record := client.ParseMessage(b.reach(a, "store/"+b.store, 1).Rows["store"])
	if record.Text(1) != b.store || record.Text(2) != "Shop" || record.Text(5) != "Europe/London" || record.Text(9) != zone {
		t.Errorf("the store's record is %v", record)
	}
	items := b.reach(a, "catalog", 2).Rows
	pen, slash := client.ParseMessage(items["item/PEN-01"]), client.ParseMessage(items["item/a/b"])
	if pen.Text(2) != "04006381333931" || pen.Text(4) != "Pen" || pen.Sint(9) != 250 || pen.Uint(12) != 1 || pen.Uint(7) != 1 || slash.Text(1) != "a/b" {
		t.Errorf("the catalogue has %v and %v", pen, slash)
	}
	rows := b.reach(a, "price/"+zone, 2).Rows
	list, rate := client.ParseMessage(rows["price/PEN-01"]), client.ParseMessage(rows["tax/STD"])
	if list.Text(1) != zone || list.List(3)[0].Sint(1) != 199 || rate.Uint(4) != 1 || rate.List(5)[0].Sint(1) != 200_000 {
		t.Errorf("the zone has %v and %v", list, rate)
	}

	// What changes later is broadcast.
	offset := a.Feeds["price/"+zone].Offset
	load(b, "prices", price{Zone: zone, Code: "a/b", Minor: 77, From: "2026-01-01"})
	rows = b.reach(a, "price/"+zone, offset+1).Rows
	if list := client.ParseMessage(rows["price/a/b"]); list.List(3)[0].Sint(1) != 77 {
		t.Errorf("the new price came as %v", list)
	}
	if record = client.ParseMessage(b.reach(a, "store/"+b.store, 2).Rows["store"]); record.Text(16) != a.Log.Agent {
		t.Errorf("the primary is %q", record.Text(16))
	}
}

// TestDackResends states one cursor twice, as after a loss, and a cursor of a
// feed that is not one's own.
func TestDackResends(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a", "catalog")
	before := maps.Clone(b.reach(a, "catalog", 2).Rows)
	clear(a.Feeds["catalog"].Rows)
	for range 2 {
		a.Feeds["catalog"].Offset = 0
		b.check(a.Dack(b.ctx, a.Feeds["catalog"]))
		if in, err := a.Await(b.ctx, client.KindDelta); err != nil || in.Body.Uint(4) != 0 || !bytes.Equal(in.Body.Bytes(1), a.Session) {
			t.Errorf("asked from the start, the hub sends %v, %v", in.Body, err)
		}
	}
	if after := b.reach(a, "catalog", 2).Rows; !maps.EqualFunc(before, after, bytes.Equal) {
		t.Errorf("%d rows came again, and had been %d", len(after), len(before))
	}
	foreign := client.NewFeed("store/elsewhere")
	b.check(a.Dack(b.ctx, foreign))
	if m := b.await(a, int32(client.KindFence)); m.Text(3) != "conflict" {
		t.Errorf("a feed of another store is answered with %v", m)
	}
}

// TestSnapshotEqualsDeltas loads a feed in both ways.
func TestSnapshotEqualsDeltas(t *testing.T) {
	b := newBench(t, shared)
	zone := "z-" + b.store
	var list []price
	for i := range 1300 {
		list = append(list, price{Zone: zone, Code: "PEN-01", Minor: int64(i), From: fmt.Sprintf("20%02d-01-01", i%80+10)})
	}
	load(b, "prices", list...)
	feeds := []string{"catalog", "price/" + zone, "store/" + b.store}
	a := b.open("a", feeds...)
	for _, id := range feeds {
		byDelta := b.reach(a, id, 1)
		s, err := client.FetchSnapshot(b.ctx, b.hub.URL(""), id)
		b.check(err)
		loaded := client.NewFeed(id)
		b.check(loaded.Load(s))
		b.reach(a, id, s.Offset)
		if s.Epoch != a.Epoch || loaded.Offset != byDelta.Offset || !maps.EqualFunc(loaded.Rows, byDelta.Rows, bytes.Equal) {
			t.Errorf("%s: the snapshot has %d rows at %d, the deltas %d at %d", id, len(loaded.Rows), loaded.Offset, len(byDelta.Rows), byDelta.Offset)
		}
		// On from the snapshot by DACK.
		a.Feeds[id] = loaded
		b.check(a.Dack(b.ctx, loaded))
		if _, err := a.Await(b.ctx, client.KindDelta); err != nil {
			t.Error(err)
		}
	}
	for _, id := range []string{"price/nobody", "peer/" + b.store} {
		if s, err := client.FetchSnapshot(b.ctx, b.hub.URL(""), id); err != nil || s.Status != 200 || s.Offset != 0 || len(s.Deltas) != 0 {
			t.Errorf("the empty feed %s gives %+v, %v", id, s, err)
		}
	}
	if s, err := client.FetchSnapshot(b.ctx, b.hub.URL(""), "weather"); err != nil || s.Status != 404 {
		t.Errorf("weather gives %+v, %v", s, err)
	}
}

// TestVerdicts says Hello with cursors of each kind.
func TestVerdicts(t *testing.T) {
	b := newBench(t, shared)
	peer := "peer/" + b.store
	a := b.agent("a", "catalog", peer, "store/"+b.store, "store/elsewhere")
	verdicts := func() map[string]uint64 {
		t.Helper()
		found := map[string]uint64{}
		for _, v := range b.welcome(a).List(10) {
			found[v.Text(1)] = v.Uint(4)
			if v.Uint(2) != a.Epoch {
				t.Errorf("the verdict of %s is of epoch %d", v.Text(1), v.Uint(2))
			}
		}
		return found
	}
	const tail, resync = 1, 2
	a.Feeds["catalog"].Epoch = 1 // With offset 0 the epoch does not matter.
	if got, want := verdicts(), map[string]uint64{"catalog": tail, peer: tail, "store/" + b.store: tail}; !maps.Equal(got, want) {
		t.Errorf("verdicts %v, want %v", got, want)
	}
	b.reach(a, "catalog", 2)
	a.Feeds["catalog"].Epoch = 1
	a.Feeds["store/"+b.store].Epoch, a.Feeds["store/"+b.store].Offset = a.Epoch, 1_000_000
	a.Feeds[peer].Epoch, a.Feeds[peer].Offset = a.Epoch, 9
	if got, want := verdicts(), map[string]uint64{"catalog": resync, peer: resync, "store/" + b.store: resync}; !maps.Equal(got, want) {
		t.Errorf("verdicts %v, want %v", got, want)
	}
}

// TestLongFeedAsksForASnapshot is more than 2,000 changes behind.
func TestLongFeedAsksForASnapshot(t *testing.T) {
	b := newBench(t, shared)
	zone := "z-" + b.store
	var list []tax
	for i := range 2001 {
		list = append(list, tax{Zone: zone, Code: fmt.Sprintf("T%d", i), Rate: 1, From: "2026-01-01"})
	}
	load(b, "taxes", list...)
	a := b.agent("a", "price/"+zone)
	if v := b.welcome(a).List(10)[0]; v.Uint(3) != 2001 || v.Uint(4) != 2 {
		t.Fatalf("the verdict is %v", v)
	}
	s, err := client.FetchSnapshot(b.ctx, b.hub.URL(""), "price/"+zone)
	b.check(err)
	b.check(a.Feeds["price/"+zone].Load(s))
	if n := len(a.Feeds["price/"+zone].Rows); n != 2001 {
		t.Errorf("the snapshot has %d rows", n)
	}
	// Without it the rows come in several Deltas, as fast as they are
	// acknowledged.
	again := b.open("b", "price/"+zone)
	b.check(again.Dack(b.ctx, again.Feeds["price/"+zone]))
	if n := len(b.reach(again, "price/"+zone, 2001).Rows); n != 2001 {
		t.Errorf("the deltas have %d rows", n)
	}
}

// TestPeersSeeEachOther lets two agents of a store and the hub write.
func TestPeersSeeEachOther(t *testing.T) {
	b := newBench(t, shared)
	feed := "peer/" + b.store
	a, c := b.open("a", feed), b.open("c", feed)
	b.log(a, pens(1, 2).Event("PEN-01"), pens(2, 1).Event("PEN-01"))
	m := b.upload(a, 1, 2)
	if own := m.Inner(7); m.Has(7) && (own.Text(1) != feed || own.Uint(2) != a.Epoch || own.Uint(4)-own.Uint(3) != 2) {
		t.Errorf("the acknowledgement names the stretch %v", own)
	}
	b.reach(c, feed, 2)
	count := client.Movement{Type: client.Count, Lines: []client.MovementLine{{SKU: "PEN-01", Quantity: 5000, Book: -2000}}, Seen: []client.StreamPos{{Inc: a.Log.Inc, Seq: 1}}}
	b.log(c, count.Event())
	b.upload(c, 1, 1)
	b.reach(a, feed, 3)
	b.log(a, client.CountSeen(client.StreamPos{Inc: c.Log.Inc, Seq: 1}, "PEN-01"))
	b.upload(a, 3, 1)
	b.wantRecount(true)

	// A load is the hub's own event on the same feed.
	if _, err := process.Load(b.ctx, b.hub, "stock?store="+b.store, []struct {
		Code   string `json:"code"`
		OnHand int    `json:"on_hand"`
	}{{"PEN-01", 40}}); err != nil {
		t.Fatal(err)
	}
	for _, reader := range []*client.Agent{a, c} {
		f := b.reach(reader, feed, 5)
		for s, l := range f.Streams {
			switch {
			case s.Agent == "hub" && s.Store == b.store && l.Last() == 1:
			case s == a.Log.Stream && (reader == a || l.Last() == 3 && l.Hash(3) == a.Log.Hash(3)):
			case s == c.Log.Stream && (reader == c || l.Last() == 1 && l.Hash(1) == c.Log.Hash(1)):
			default:
				t.Errorf("%s has %d events of %s", reader.Log.Agent, l.Last(), s.Agent)
			}
		}
	}
	b.applyLoad(a, c)
}

// wantRecount asks whether the hub suggests to count the pens again.
func (b *bench) wantRecount(want bool) {
	b.Helper()
	b.check(process.Stream(b.ctx, b.hub.Client, "/v1/stock?store="+b.store, func(l *struct {
		SKU     string `json:"sku"`
		Recount bool   `json:"recount_suggested"`
	},
	) error {
		if l.SKU == "PEN-01" && l.Recount != want {
			return errors.New("recount suggested is not as it should be")
		}
		return nil
	}))
}

// applyLoad counts what the load says, as the store's primary does.
func (b *bench) applyLoad(primary, other *client.Agent) {
	b.Helper()
	for s, l := range other.Feeds["peer/"+b.store].Streams {
		if s.Agent != "hub" {
			continue
		}
		event := client.ParseMessage(l.Record(1).Body)
		rows := event.Inner(19)
		if event.Uint(1) != client.KindStockLoad || rows.Uint(3) != 1 || rows.Text(4) != "PEN-01" || client.Column(rows.Bytes(5))[0] != 40000 {
			b.Fatalf("the load came as %v", rows)
		}
		count := client.Movement{
			Type: client.Count, Lines: []client.MovementLine{{SKU: "PEN-01", Quantity: 40000, Book: 4000}},
			Seen: []client.StreamPos{{Inc: primary.Log.Inc, Seq: 3}, {Inc: other.Log.Inc, Seq: 1}}, Load: rows.Text(1), LoadRows: 1,
		}
		b.log(primary, count.Event())
		b.upload(primary, 4, 1)
		b.wantStock("PEN-01", 40000)
		b.wantRecount(false)
		return
	}
	b.Fatal("there is no load")
}

// TestHubCrash kills the hub between a commit and what follows.
func TestHubCrash(t *testing.T) {
	hub, err := host.StartHub(t.Context(), fmt.Sprintf("crashing-%d", stores.Add(1)), "GBP")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, hub)
	l := client.NewLog(client.Stream{Store: b.store, Agent: "a", Inc: client.RandomInc()})
	a := b.start(l, "store/"+b.store)
	b.welcome(a)
	b.log(a, pens(1, 1).Event("PEN-01"))
	b.upload(a, 1, 1)
	b.reach(a, "store/"+b.store, 2)
	epoch := a.Epoch
	b.check(hub.Crash(b.ctx))

	b.log(a, pens(2, 1).Event("PEN-01"))
	again := b.start(l, "store/"+b.store)
	if m := b.welcome(again); m.Uint(5) != 1 || again.Epoch != epoch {
		t.Errorf("after a crash the hub welcomes with %v", m)
	}
	b.upload(again, 2, 1)
	b.wantStream(l, 2)
	b.wantSales(again, "sale 1-1-1 1 lines 250", "sale 1-1-2 1 lines 250")
}
