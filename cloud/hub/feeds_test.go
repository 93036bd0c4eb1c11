package hub

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"

	"github.com/klauspost/compress/zstd"
)

// heads lists where the logs of players are.
func headsOf(players ...*player) (list []protocol.StreamHead) {
	for _, p := range players {
		list = append(list, protocol.StreamHead{Agent: p.origin.Agent, Inc: p.origin.Inc, Seq: p.hello.LastSeq, Hash: p.hello.LastHash})
	}
	return list
}

// TestI10_ResyncGoesOnFromWhatIsHeld: an agent whose cursor is void gets the
// events that it does not hold, all of them, and few others.
func TestI10_ResyncGoesOnFromWhatIsHeld(t *testing.T) {
	c := newCore(t)
	a, b := c.player("s1", "a1", 1), c.player("s1", "a2", 2)
	a.greet()
	b.greet()
	for range 5 {
		c.receive(a.sell("PEN"), b.sell("CUP"))
	}
	held := headsOf(b)
	for range 3 {
		c.receive(a.sell("PEN"), b.sell("CUP"))
	}
	feed := protocol.PeerFeed("s1")
	for _, tt := range []struct {
		name    string
		streams []protocol.StreamHead
		pos     protocol.FeedPos
		verdict protocol.Verdict
		from    uint64
	}{
		{"no list, another epoch", nil, protocol.FeedPos{Feed: feed, Epoch: 1, Offset: 5}, protocol.VerdictResync, 0},
		{"no list, from the start", nil, protocol.FeedPos{Feed: feed}, protocol.VerdictTail, 0},
		{"another epoch", held, protocol.FeedPos{Feed: feed, Epoch: 1, Offset: 5}, protocol.VerdictResync, 11},
		{"from the start", held, protocol.FeedPos{Feed: feed}, protocol.VerdictResync, 11},
		{"all is held", headsOf(b), protocol.FeedPos{Feed: feed}, protocol.VerdictResync, 16},
		{"a cursor that stands", held, protocol.FeedPos{Feed: feed, Epoch: c.Epoch(), Offset: 4}, protocol.VerdictTail, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.hello.Streams = tt.streams
			w := a.greet(tt.pos)
			if len(w.Feeds) != 1 || w.Feeds[0].Verdict != tt.verdict || w.Feeds[0].From != tt.from || w.Feeds[0].Head != 16 {
				t.Fatalf("the verdict is %+v", w.Feeds)
			}
			if tt.from == 0 {
				return
			}
			c.take("")
			c.receive(payload(t, a.up(), &protocol.Dack{Session: a.session, Feed: feed, Epoch: c.Epoch(), Offset: tt.from, Credit: 16}))
			var got []string
			for _, d := range only[*protocol.Delta](c.take(a.down())) {
				for _, p := range d.Events {
					got = append(got, fmt.Sprintf("%s %d+%d", p.Origin.Agent, p.FirstSeq, p.Count))
				}
			}
			want := []string{"a2 6+1", "a1 7+1", "a2 7+1", "a1 8+1", "a2 8+1"}
			if tt.from == 16 {
				want = nil
			}
			if !slices.Equal(got, want) {
				t.Errorf("then came %q, want %q", got, want)
			}
		})
	}
}

// unpack reads the parts of a snapshot.
func unpack(t *testing.T, s *Snapshot) (parts []*protocol.Delta) {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(s.Body))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for in := bufio.NewReader(z); ; {
		size, err := binary.ReadUvarint(in)
		if errors.Is(err, io.EOF) {
			return parts
		}
		part := make([]byte, size)
		if _, readErr := io.ReadFull(in, part); errors.Join(err, readErr) != nil {
			t.Fatal(errors.Join(err, readErr))
		}
		m, err := protocol.DecodeMessage(part)
		d, ok := m.(*protocol.Delta)
		if !ok || err != nil {
			t.Fatalf("a part is %+v: %v", m, err)
		}
		parts = append(parts, d)
	}
}

// packed lists the rows of a state in their order.
func packed(t *testing.T, s *Snapshot) (names []string) {
	t.Helper()
	for _, d := range unpack(t, s) {
		if d.After != uint64(len(names)) || d.Upto != d.After+uint64(len(d.Rows)) {
			t.Fatalf("behind row %d comes %+v", len(names), d)
		}
		for _, row := range d.Rows {
			names = append(names, row.Key)
		}
	}
	return names
}

// TestI11_StateOfAStoreIsThatOfItsHead: the state of a store is the one at the
// offset that it names, one agent can load it and go on from there, and a fetch
// that is resumed finds the body that it began with.
func TestI11_StateOfAStoreIsThatOfItsHead(t *testing.T) {
	c := newCore(t)
	p := c.player("s1", "a1", 1)
	p.greet()
	for range 64 {
		p.send(p.sell("PEN"))
	}
	feed := protocol.PeerFeed("s1")
	snapshot := func() *Snapshot {
		t.Helper()
		s, err := c.Snapshot(t.Context(), feed)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := snapshot()
	rows, head := map[string]bool{}, uint64(0)
	err := c.view(t.Context(), func(r ledger.Reader) (err error) {
		if head, err = ledger.FeedHead(r, feed); err != nil {
			return err
		}
		return ledger.ScanStanding(r, "s1", func(row ledger.StandingRow) error {
			rows[row.Name] = true
			return nil
		})
	})
	if err != nil || first.Offset != head || first.Epoch != c.Epoch() {
		t.Fatalf("the state is at %d of epoch %d, the feed at %d: %v", first.Offset, first.Epoch, head, err)
	}
	for _, name := range packed(t, first) {
		delete(rows, name)
	}
	if len(rows) > 0 {
		t.Errorf("the body lacks %v", rows)
	}
	for range 4 {
		p.send(p.sell("PEN"))
	}
	if s := snapshot(); s != first {
		t.Errorf("after 4 events of 64 another state was packed, at %d", s.Offset)
	}
	p.send(p.sell("PEN"))
	if s := snapshot(); s.Offset != head+5 {
		t.Errorf("after 5 events of 64 the state is at %d, want %d", s.Offset, head+5)
	}
	for i := range standingsMax + 2 {
		c.snapshots.keep(&Snapshot{Feed: protocol.PeerFeed(protocol.StoreID(fmt.Sprint("x", i))), Offset: 1}, 0)
	}
	if n := len(c.snapshots.list); n != standingsMax {
		t.Errorf("%d states are kept, want %d", n, standingsMax)
	}
}

// TestI10_CursorBeyondTheHeadIsOfANewerDatabase: an older copy of the database
// was put in place and nothing tells but how far an agent has followed a feed.
// In that epoch the same offsets would come to mean other events.
func TestI10_CursorBeyondTheHeadIsOfANewerDatabase(t *testing.T) {
	c := newCore(t)
	a, b := c.player("s1", "a1", 1), c.player("s1", "a2", 2)
	a.greet()
	b.greet()
	c.receive(a.sell("PEN"))
	older := c.disk.Driver.(*ledger.Memory).Clone()
	c.receive(a.sell("PEN"))
	c.disk.Driver = older
	before := protocol.FeedPos{Feed: protocol.PeerFeed("s1"), Epoch: c.Epoch(), Offset: 2}
	if w := b.greet(before); w.Epoch <= before.Epoch || w.Feeds[0].Verdict != protocol.VerdictResync {
		t.Errorf("whoever followed further than the feed leads is answered %+v", w)
	}
	c.receive(b.sell("CUP"), b.sell("CUP"))
	if w := a.greet(before); w.Feeds[0].Head != 3 || w.Feeds[0].Verdict != protocol.VerdictResync {
		t.Errorf("a cursor that the feed has grown past is answered %+v", w.Feeds)
	}
}

// TestI10_BeatTellsOfFeedsThatAreBegunAnew: what an agent asks for when it has begun
// a feed anew may be lost. The Beat tells the head all the same, so that it asks
// again, though nobody follows the feed yet.
func TestI10_BeatTellsOfFeedsThatAreBegunAnew(t *testing.T) {
	c := newCore(t)
	a, feed := c.player("s1", "a1", 1), protocol.PeerFeed("s1")
	a.greet(protocol.FeedPos{Feed: feed, Epoch: c.Epoch()})
	c.receive(a.sell("PEN"))
	if w := a.greet(protocol.FeedPos{Feed: feed, Epoch: c.Epoch() - 1, Offset: 1}); w.Feeds[0].Verdict != protocol.VerdictResync {
		t.Fatalf("answered %+v", w.Feeds)
	}
	mustTakeIn(t, c.Hub, StoresTable, "id,name,timezone\ns1,One,Europe/London\n")
	c.take("")
	c.receive(payload(t, a.up(), &protocol.Beat{Session: a.session, LastSeq: a.hello.LastSeq}))
	want := protocol.FeedPos{Feed: feed, Epoch: c.Epoch(), Offset: 1}
	if beats := only[*protocol.Beat](c.take(a.down())); len(beats) != 1 || !slices.Equal(beats[0].Feeds, []protocol.FeedPos{want}) {
		t.Errorf("told %+v, want %+v", beats, want)
	}
}

// TestI11_SnapshotAndTailAreTheState: a snapshot that is a little behind is as
// good as the newest, and a fetch that is resumed finds the body that it began
// with.
func TestI11_SnapshotAndTailAreTheState(t *testing.T) {
	c := newCore(t)
	csv := strings.Builder{}
	csv.WriteString("sku,name,price_minor\n")
	for i := range 64 {
		fmt.Fprintf(&csv, "SKU-%d,Item,250\n", i)
	}
	mustTakeIn(t, c.Hub, ItemsTable, csv.String())
	snapshot := func() *Snapshot {
		t.Helper()
		s, err := c.Snapshot(t.Context(), protocol.FeedCatalog)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := snapshot()
	for i := range 4 {
		mustTakeIn(t, c.Hub, ItemsTable, fmt.Sprintf("sku,name,price_minor\nSKU-%d,Changed,260\n", i))
		if s := snapshot(); s != first {
			t.Errorf("after %d changes another snapshot was built, at %d", i+1, s.Offset)
		}
	}
	mustTakeIn(t, c.Hub, ItemsTable, "sku,name,price_minor\nSKU-9,Changed,260\n")
	second := snapshot()
	if second.Offset != first.Offset+5 {
		t.Errorf("after 5 changes of 64 the snapshot is at %d", second.Offset)
	}
	err := c.view(t.Context(), func(r ledger.Reader) error {
		d, err := ledger.ReadDelta(r, protocol.FeedCatalog, first.Epoch, first.Offset)
		if err == nil && (d.After != first.Offset || d.Upto != second.Offset || len(d.Rows) != 5) {
			t.Errorf("behind the first snapshot come %d rows, %d to %d", len(d.Rows), d.After, d.Upto)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
