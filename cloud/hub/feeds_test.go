package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
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
		{"beyond the head", held, protocol.FeedPos{Feed: feed, Epoch: c.Epoch(), Offset: 99}, protocol.VerdictResync, 11},
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
