package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// sibling is the log of another machine of the store.
type sibling struct {
	origin  protocol.Origin
	records []protocol.Record
	heads   []protocol.Hash // heads[i] is the chain before event i+1
}

func newSibling(agent protocol.AgentID, inc byte) *sibling {
	s := &sibling{origin: protocol.Origin{Store: "s1", Agent: agent, Inc: protocol.Inc{inc}}}
	s.heads = []protocol.Hash{s.origin.Genesis()}
	return s
}

func (s *sibling) note(t testing.TB, sku protocol.SKU, q protocol.Quantity) {
	t.Helper()
	body, err := protocol.EncodeEvent(&protocol.Event{Kind: "noted", Moves: []protocol.Move{{SKU: sku, State: protocol.OnHand, Delta: q}}})
	if err != nil {
		t.Fatal(err)
	}
	s.records = append(s.records, protocol.Record{Clock: protocol.Clock{WallMs: int64(len(s.records))}, Body: body})
	s.heads = append(s.heads, s.heads[len(s.heads)-1].Next(s.records[len(s.records)-1]))
}

// delta carries count events from first on, behind an offset of the feed.
func (s *sibling) delta(t testing.TB, feed protocol.FeedID, after uint64, first protocol.Seq, count int) *protocol.Delta {
	t.Helper()
	frame, n, err := protocol.CutFrame(s.records[first-1 : int(first)-1+count])
	if err != nil || n != count {
		t.Fatalf("%d of %d events fit: %v", n, count, err)
	}
	return &protocol.Delta{Feed: feed, Epoch: 1, After: after, Upto: after + uint64(count), Events: []protocol.PeerEvents{{
		Origin: s.origin, FirstSeq: first, PrevHash: s.heads[first-1], Count: uint32(count), Frame: frame,
	}}}
}

// peerHub is the hub's ledger of a store whose streams were taken in
// interleaved.
type peerHub struct {
	db      *ledger.Memory
	streams []*sibling
	order   []protocol.EventID // of the feed; the event at offset 1 first
}

func newPeerHub(t testing.TB, rnd *rand.Rand, events int) *peerHub {
	h := &peerHub{db: ledger.NewMemory()}
	for i := range 3 {
		h.streams = append(h.streams, newSibling(protocol.AgentID(fmt.Sprint("a", i)), byte(i+1)))
	}
	for len(h.order) < events {
		s := h.streams[rnd.IntN(3)]
		n := 1
		if rnd.IntN(8) == 0 {
			n += rnd.IntN(300)
		}
		h.takeIn(t, s, n)
	}
	return h
}

func (h *peerHub) takeIn(t testing.TB, s *sibling, n int) {
	t.Helper()
	first := protocol.Seq(len(s.records) + 1)
	for range n {
		s.note(t, "PEN", -1)
		h.order = append(h.order, protocol.EventID{Inc: s.origin.Inc, Seq: protocol.Seq(len(s.records))})
	}
	update(t, h.db, func(tx ledger.Tx) error {
		_, err := ledger.Apply(tx, ledger.Batch{Origin: s.origin, First: first, Prev: s.heads[first-1], Records: s.records[first-1:]})
		if err != nil {
			return err
		}
		head, err := ledger.AppendPeer(tx, s.origin, first, n)
		if head != uint64(len(h.order)) {
			t.Errorf("the feed's head is %d after %d events", head, len(h.order))
		}
		return err
	})
}

// rows counts the rows of the feed.
func (h *peerHub) rows(t testing.TB) (n int) {
	view(t, h.db, func(r ledger.Reader) error {
		return r.Scan(ledger.Feeds, "at", "au", func(string, []byte) (bool, error) { n++; return true, nil })
	})
	return n
}

// TestI10_PackedFeedHoldsEveryEvent: however its rows are packed, whoever reads
// on from any offset gets exactly the events behind it, in their order.
func TestI10_PackedFeedHoldsEveryEvent(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	h := newPeerHub(t, rnd, 6000)
	if n := h.rows(t); n > len(h.order)/15 {
		t.Errorf("%d rows for %d events", n, len(h.order))
	}
	starts := []uint64{0, 1, 1023, 1024, 1025, uint64(len(h.order) - 1), uint64(len(h.order))}
	for range 40 {
		starts = append(starts, rnd.Uint64N(uint64(len(h.order))))
	}
	for _, start := range starts {
		got := make([]protocol.EventID, 0, len(h.order))
		for after := start; after < uint64(len(h.order)); {
			var d *protocol.Delta
			view(t, h.db, func(r ledger.Reader) (err error) {
				d, err = ledger.ReadDelta(r, protocol.PeerFeed("s1"), 1, after)
				return err
			})
			if d.Upto <= after {
				t.Fatalf("from %d nothing follows", after)
			}
			n := uint64(0)
			for _, p := range d.Events {
				s := h.streams[slices.IndexFunc(h.streams, func(s *sibling) bool { return s.origin == p.Origin })]
				if p.PrevHash != s.heads[p.FirstSeq-1] {
					t.Fatalf("from %d: event %d comes with another hash before it", after, p.FirstSeq)
				}
				for i := range p.Count {
					got = append(got, protocol.EventID{Inc: p.Origin.Inc, Seq: p.FirstSeq + protocol.Seq(i)})
				}
				n += uint64(p.Count)
			}
			if n != d.Upto-after {
				t.Fatalf("%d events for offsets %d to %d", n, after, d.Upto)
			}
			after = d.Upto
		}
		if !slices.Equal(got, h.order[start:]) {
			t.Fatalf("from %d other events follow than were taken in", start)
		}
	}
}

// TestPeerRowsOfBeforeArePacked: a feed that grew without being packed is packed
// in steps.
func TestPeerRowsOfBeforeArePacked(t *testing.T) {
	h := newPeerHub(t, rand.New(rand.NewPCG(3, 4)), 0)
	// What an earlier version left: one row for each event.
	update(t, h.db, func(tx ledger.Tx) error {
		return tx.Write([]ledger.Row{{Key: ledger.Key{Table: ledger.Feeds, ID: "packed\x00peer/s1"}, Value: []byte{0, 0, 0, 0, 0, 1, 0, 0}}})
	})
	for i := range 3000 {
		h.takeIn(t, h.streams[i%3], 1)
	}
	if n := h.rows(t); n != 3000 {
		t.Fatalf("%d rows before", n)
	}
	update(t, h.db, func(tx ledger.Tx) error {
		return tx.Write([]ledger.Row{{Key: ledger.Key{Table: ledger.Feeds, ID: "packed\x00peer/s1"}}})
	})
	for i := range 100 {
		h.takeIn(t, h.streams[i%3], 1)
	}
	if n := h.rows(t); n > 50 {
		t.Errorf("%d rows after", n)
	}
}

// TestI10_CoveredUptoNeverSkipsAnEvent compares with what is plain: walk the
// events and stop at the first that is not held.
func TestI10_CoveredUptoNeverSkipsAnEvent(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for round := range 30 {
		h := newPeerHub(t, rnd, 1+rnd.IntN(2500))
		for range 20 {
			held := map[protocol.Inc]protocol.Seq{}
			var heads []protocol.StreamHead
			for _, s := range h.streams {
				if len(s.records) == 0 || rnd.IntN(6) == 0 {
					continue
				}
				seq := protocol.Seq(rnd.IntN(len(s.records) + 1))
				if rnd.IntN(2) == 0 {
					seq = protocol.Seq(len(s.records) - rnd.IntN(min(len(s.records), 5)))
				}
				head := protocol.StreamHead{Agent: s.origin.Agent, Inc: s.origin.Inc, Seq: seq, Hash: s.heads[seq]}
				switch rnd.IntN(8) {
				case 0:
					head.Hash[0]++ // another history under the same number
					if seq > 0 {
						seq = 0
					}
				case 1:
					head.Seq, seq = head.Seq+1_000_000, 1_000_000 // beyond what the hub has
				}
				heads, held[s.origin.Inc] = append(heads, head), seq
			}
			want := uint64(0)
			for _, id := range h.order {
				if held[id.Inc] < id.Seq {
					break
				}
				want++
			}
			var got uint64
			err := h.db.View(context.Background(), func(r ledger.Reader) (err error) {
				got, err = ledger.CoveredUpto(r, "s1", heads)
				return err
			})
			if err != nil || got != want {
				t.Fatalf("round %d: of %d events %d are covered, want %d; heads %+v, %v", round, len(h.order), got, want, heads, err)
			}
		}
	}
}

// TestStateFeedKeepsOneRowForEachKey: an offset that a later change replaced is
// gone.
func TestStateFeedKeepsOneRowForEachKey(t *testing.T) {
	d := ledger.NewMemory()
	hub := protocol.Origin{Store: protocol.ChainStore, Agent: protocol.HubAgent, Inc: protocol.Inc{1}}
	for i := range 20 {
		update(t, d, func(tx ledger.Tx) error {
			_, err := ledger.Log(tx, hub, protocol.Clock{}, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Items: []protocol.Item{
				{SKU: "A", Name: fmt.Sprint("A", i)}, {SKU: "B", Name: fmt.Sprint("B", i/5)},
			}}})
			return err
		})
	}
	var rows []string
	view(t, d, func(r ledger.Reader) error {
		return r.Scan(ledger.Feeds, "at", "au", func(_ string, v []byte) (bool, error) { rows = append(rows, string(v)); return true, nil })
	})
	if !slices.Equal(rows, []string{"item/B", "item/A"}) {
		t.Errorf("the feed's rows are %q", rows)
	}
}
