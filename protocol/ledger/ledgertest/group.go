package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestGroup takes random histories in as a hub does: several batches to a
// working set, and each, where it is new, stored as it was packed. It demands the
// state of the plainest delivery (I3, I8), every event and hash of the log
// wherever one begins to read (I5), and a feed that holds all of them (I10).
func TestGroup(t *testing.T, open func(t *testing.T) ledger.Driver, histories uint64) {
	d := open(t)
	for seed := range histories {
		h := newHistory(seed)
		plain, err := outcome(ledger.NewMemory(), h.inOrder())
		if err != nil {
			t.Fatalf("seed %d: in order: %v", seed, err)
		}
		err = d.Update(context.Background(), func(tx ledger.Tx) error {
			arrived, err := h.group(tx)
			if err != nil {
				return err
			}
			got, err := stateOf(tx)
			if err != nil {
				return err
			}
			if diff := difference(plain, got); diff != "" {
				return errors.New(diff)
			}
			for _, s := range h.streams {
				if err := s.checkLog(tx, h.rnd); err != nil {
					return fmt.Errorf("stream %s: %w", s.origin.Inc, err)
				}
			}
			if err := h.checkFeed(tx, arrived); err != nil {
				return err
			}
			return errRollback
		})
		if !errors.Is(err, errRollback) {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// group applies a shuffled delivery in groups, and returns the events in the
// order in which they arrived.
func (h *history) group(tx ledger.Tx) (arrived []protocol.EventID, err error) {
	var group *ledger.Group
	left := 0
	for _, b := range h.shuffled() {
		if left == 0 {
			group, left = ledger.NewGroup(tx), 1+h.rnd.IntN(6)
		}
		if b.Frame, err = protocol.EncodeFrame(b.Records); err != nil {
			return nil, err
		}
		res, err := group.Apply(b)
		if err != nil {
			return nil, fmt.Errorf("events %d to %d of %s: %w", b.First, int(b.First)+len(b.Records)-1, b.Origin.Inc, err)
		}
		first := res.Stream.Seq - protocol.Seq(res.Applied) + 1
		for i := range res.Applied {
			arrived = append(arrived, protocol.EventID{Inc: b.Origin.Inc, Seq: first + protocol.Seq(i)})
		}
		if res.Applied > 0 {
			if head, err := group.AppendPeer(b.Origin, first, res.Applied); err != nil || head != uint64(len(arrived)) {
				return nil, fmt.Errorf("the feed's head is %d after %d events: %w", head, len(arrived), err)
			}
		}
		if left--; left == 0 {
			if err := group.Flush(); err != nil {
				return nil, err
			}
		}
	}
	if left > 0 {
		err = group.Flush()
	}
	return arrived, err
}

// checkLog reads a stream from everywhere.
func (s *stream) checkLog(r ledger.Reader, rnd *rand.Rand) error {
	for i := range s.records {
		at := protocol.EventID{Inc: s.origin.Inc, Seq: protocol.Seq(i + 1)}
		rec, ok, err := ledger.ReadRecord(r, at)
		if err != nil || !ok || !sameRecord(rec, s.records[i]) {
			return fmt.Errorf("event %d is not what was logged: %w", at.Seq, err)
		}
		if hash, ok, err := ledger.HashAt(r, at); err != nil || !ok || hash != s.hashes[i+1] {
			return fmt.Errorf("the hash of event %d is another: %w", at.Seq, err)
		}
		count := 1 + rnd.IntN(len(s.records))
		list, prev, err := ledger.Records(r, s.origin, at.Seq, count, 1<<20)
		if err != nil || prev != s.hashes[i] || len(list) != min(count, len(s.records)-i) {
			return fmt.Errorf("%d events from %d on: %d: %w", count, at.Seq, len(list), err)
		}
		for j := range list {
			if !sameRecord(list[j], s.records[i+j]) {
				return fmt.Errorf("event %d, read from %d on, is not what was logged", i+j+1, at.Seq)
			}
		}
	}
	end := protocol.EventID{Inc: s.origin.Inc, Seq: protocol.Seq(len(s.records) + 1)}
	if _, ok, err := ledger.ReadRecord(r, end); ok || err != nil {
		return fmt.Errorf("there is an event %d: %w", end.Seq, err)
	}
	return nil
}

func sameRecord(a, b protocol.Record) bool {
	return a.Clock == b.Clock && bytes.Equal(a.Body, b.Body)
}

// checkFeed follows the store's event feed from some offset to its end.
func (h *history) checkFeed(r ledger.Reader, arrived []protocol.EventID) error {
	feed := protocol.PeerFeed(store)
	for at := uint64(h.rnd.IntN(len(arrived))); at < uint64(len(arrived)); {
		d, err := ledger.ReadDelta(r, feed, 1, at)
		if err != nil || d.Upto == at {
			return fmt.Errorf("nothing follows offset %d of %d: %w", at, len(arrived), err)
		}
		for _, p := range d.Events {
			for i := range p.Count {
				if want := (protocol.EventID{Inc: p.Origin.Inc, Seq: p.FirstSeq + protocol.Seq(i)}); arrived[at] != want {
					return fmt.Errorf("at offset %d is %s, not %s", at+1, want, arrived[at])
				}
				at++
			}
		}
		if at != d.Upto {
			return fmt.Errorf("a delta up to %d ends at %d", d.Upto, at)
		}
	}
	return nil
}
