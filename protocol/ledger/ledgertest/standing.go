package ledgertest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestStanding lets an agent that holds any part of a random history load what
// the hub's part of it has made of the store, while it goes on selling. It
// demands that a snapshot is what a replay of the store's own streams gives,
// that the agent then holds exactly what both parts together give, and that a
// second snapshot and the rest of the history join that just as well (I3, I11).
func TestStanding(t *testing.T, open func(t *testing.T) ledger.Driver, histories uint64) {
	for seed := range histories {
		h := newHistory(seed)
		elsewhere := newHistoryOf(seed+histories, "s2", "b1", "b2", h)
		h.sold, h.agents = append(h.sold, elsewhere.sold...), append(h.agents, elsewhere.agents...)
		for range 10 {
			h.reversal(h.till())
			h.sale(h.streams[0])
		}
		s := &standing{
			t: t, seed: seed, h: h, hub: ledger.NewMemory(), below: open(t), own: h.streams[0],
			atHub: make([]int, len(h.streams)), here: make([]int, len(h.streams)),
		}
		s.agent = ledger.Standing(s.below)
		for _, b := range elsewhere.inOrder() {
			s.update(s.hub, func(tx ledger.Tx) error { return deliver(tx, b) })
		}
		s.run()
		if err := s.below.Close(); err != nil {
			s.fatal("%v", err)
		}
	}
}

// standing is a hub and an agent that hold parts of one store's history.
type standing struct {
	t            *testing.T
	seed         uint64
	h            *history
	hub          ledger.Driver
	below, agent ledger.Driver // the agent's rows as they are kept, and as they are live
	own          *stream       // that the agent writes
	atHub, here  []int         // how many events of each stream
}

func (s *standing) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("seed %d: "+format, append([]any{s.seed}, args...)...)
}

func (s *standing) update(d ledger.Driver, fn func(ledger.Tx) error) {
	s.t.Helper()
	if err := d.Update(context.Background(), fn); err != nil {
		s.fatal("%v", err)
	}
}

// receive applies a batch and puts it on the store's event feed as a hub does,
// which keeps it packed as it came.
func receive(tx ledger.Tx, b ledger.Batch) (err error) {
	if b.Frame, err = protocol.EncodeFrame(b.Records); err != nil {
		return err
	}
	group := ledger.NewGroup(tx)
	res, err := group.Apply(b)
	if err == nil && res.Applied > 0 {
		_, err = group.AppendPeer(b.Origin, res.Stream.Seq-protocol.Seq(res.Applied)+1, res.Applied)
	}
	return errors.Join(err, group.Flush())
}

// deliver applies a batch as it comes down to an agent.
func deliver(tx ledger.Tx, b ledger.Batch) error {
	res, err := ledger.Apply(tx, b)
	if err == nil && res.Applied > 0 {
		_, err = ledger.AppendPeer(tx, b.Origin, res.Stream.Seq-protocol.Seq(res.Applied)+1, res.Applied)
	}
	return err
}

func (s *standing) batch(i, from, to int) ledger.Batch {
	st := s.h.streams[i]
	return ledger.Batch{Origin: st.origin, First: protocol.Seq(from + 1), Prev: st.hashBefore(from), Records: st.records[from:to]}
}

// more lets a machine hear of more events of a stream.
func (s *standing) more(d ledger.Driver, have []int, i, to int) {
	s.t.Helper()
	if to <= have[i] {
		return
	}
	hand := deliver
	if d == s.hub {
		hand = receive
	}
	s.update(d, func(tx ledger.Tx) error { return hand(tx, s.batch(i, have[i], to)) })
	have[i] = to
}

func (s *standing) run() {
	rnd := s.h.rnd
	for i, st := range s.h.streams {
		least := 0
		if st == s.own {
			// What the hub has of the own stream the agent has too.
			s.more(s.agent, s.here, i, rnd.IntN(len(st.records)+1))
			s.more(s.hub, s.atHub, i, rnd.IntN(s.here[i]+1))
			continue
		}
		s.more(s.hub, s.atHub, i, rnd.IntN(len(st.records)+1))
		s.more(s.agent, s.here, i, least+rnd.IntN(len(st.records)+1))
	}
	for round := range 2 {
		s.load(uint64(round + 1))
		s.compare()
		for i, st := range s.h.streams {
			if st != s.own {
				s.more(s.hub, s.atHub, i, s.atHub[i]+rnd.IntN(len(st.records)-s.atHub[i]+1))
			}
		}
		s.more(s.hub, s.atHub, 0, s.atHub[0]+rnd.IntN(s.here[0]-s.atHub[0]+1))
	}
	for i, st := range s.h.streams {
		s.more(s.agent, s.here, i, len(st.records))
	}
	s.compare()
	s.trim()
}

// trim deletes the first events of every stream, holes or not.
func (s *standing) trim() {
	s.t.Helper()
	for range 2 {
		for i, st := range s.h.streams {
			below := protocol.Seq(1 + s.h.rnd.IntN(s.here[i]+1))
			for n := 1; n > 0; {
				s.update(s.agent, func(tx ledger.Tx) (err error) {
					n, err = ledger.TrimEvents(tx, st.origin.Inc, below, 3)
					return err
				})
			}
		}
		got, err := outcome(s.agent, nil)
		if err != nil {
			s.fatal("%v", err)
		}
		if diff := difference(s.replay(s.here), got); diff != "" {
			s.fatal("after trimming %s", diff)
		}
		err = s.agent.View(context.Background(), func(r ledger.Reader) error {
			rep, err := ledger.Verify(r)
			if err == nil && !rep.OK() {
				s.fatal("verify after trimming: %v", rep.Differences)
			}
			return err
		})
		if err != nil {
			s.fatal("%v", err)
		}
	}
}

// replay is the state that the first events of each stream give.
func (s *standing) replay(have []int) map[string]string {
	s.t.Helper()
	var list []ledger.Batch
	for i, n := range have {
		if n > 0 {
			list = append(list, s.batch(i, 0, n))
		}
	}
	rows, err := outcome(ledger.NewMemory(), list)
	if err != nil {
		s.fatal("%v", err)
	}
	return rows
}

// load carries a snapshot over in small steps, between which the agent sells.
func (s *standing) load(epoch uint64) {
	s.t.Helper()
	rnd := s.h.rnd
	feed := protocol.PeerFeed(store)
	pos := protocol.FeedPos{Feed: feed, Epoch: epoch}
	rows := []protocol.FeedRow{{}}
	got := map[string]string{}
	err := s.hub.View(context.Background(), func(r ledger.Reader) (err error) {
		if pos.Offset, err = ledger.FeedHead(r, feed); err != nil {
			return err
		}
		return ledger.ScanStanding(r, store, func(row ledger.StandingRow) error {
			rows = append(rows, protocol.FeedRow{Key: row.Name, Value: []byte(string(row.Value))})
			if _, again := got[row.Name]; again {
				s.fatal("the snapshot holds %q twice", row.Name)
			}
			got[row.Name] = string(row.Value)
			return nil
		})
	})
	if err != nil {
		s.fatal("%v", err)
	}
	for name := range got {
		if strings.HasPrefix(name, "event\x00") {
			delete(got, name)
		}
	}
	if diff := difference(s.replay(s.atHub), got); diff != "" {
		s.fatal("the snapshot is not what the store's events give: %s", diff)
	}
	head := ledger.StandingHead(uint64(len(rows) - 1))
	rows[0].Key, rows[0].Value = head.Name, head.Value
	sum := string(rune('a' + epoch))
	if rnd.IntN(3) == 0 {
		// It is not the same as the one that follows.
		stray := protocol.FeedRow{Key: "level\x00s1\x00GONE"}
		s.begin(pos, "given up", append([]protocol.FeedRow{rows[0], stray}, rows[1:1+rnd.IntN(len(rows))]...))
	}
	s.begin(pos, sum, rows)
	for more := true; more; {
		s.update(s.agent, func(tx ledger.Tx) (err error) {
			more, err = ledger.JoinStanding(tx, s.own.origin, 1+rnd.IntN(5))
			return err
		})
	}
	s.sell()
	for done := false; !done; {
		s.update(s.agent, func(tx ledger.Tx) error {
			c, swapped, err := ledger.SwapStanding(tx, s.own.origin, pos, rnd.IntN(4))
			if done = swapped; err == nil && done && c.FeedPos != pos {
				s.fatal("the cursor is %v, want %v", c.FeedPos, pos)
			}
			return err
		})
		s.joinSome(pos)
	}
	for i := range s.here {
		s.here[i] = max(s.here[i], s.atHub[i])
	}
}

// joinSome makes room for a swap that found too much left; after the swap there
// is nothing to join.
func (s *standing) joinSome(pos protocol.FeedPos) {
	s.update(s.agent, func(tx ledger.Tx) error {
		shadow, err := ledger.ReadShadow(tx, pos.Feed)
		if err != nil || shadow.Sum == "" {
			return err
		}
		_, err = ledger.JoinStanding(tx, s.own.origin, 2)
		return err
	})
}

// begin loads rows in parts, some of them twice.
func (s *standing) begin(pos protocol.FeedPos, sum string, rows []protocol.FeedRow) {
	s.t.Helper()
	s.update(s.agent, func(tx ledger.Tx) error {
		_, err := ledger.BeginShadow(tx, pos, sum)
		return err
	})
	for i := range rows {
		rows[i].Offset = uint64(i + 1)
	}
	for from := 0; from < len(rows); {
		to := min(len(rows), from+1+s.h.rnd.IntN(9))
		d := &protocol.Delta{Feed: pos.Feed, Epoch: pos.Epoch, After: uint64(from), Upto: uint64(to), Rows: rows[from:to]}
		for range 1 + s.h.rnd.IntN(2) {
			s.update(s.agent, func(tx ledger.Tx) error { return ledger.LoadStanding(tx, store, d) })
		}
		from = to
		if s.h.rnd.IntN(4) == 0 {
			s.sell()
		}
	}
}

// sell lets the agent log one more event, unless its history is at its end.
func (s *standing) sell() {
	s.more(s.agent, s.here, 0, min(s.here[0]+1, len(s.own.records)))
}

// compare holds the agent's rows against a replay, before and after those of
// earlier generations are gone.
func (s *standing) compare() {
	s.t.Helper()
	want := s.replay(s.here)
	for range 2 {
		got, err := outcome(s.agent, nil)
		if err != nil {
			s.fatal("%v", err)
		}
		if diff := difference(want, got); diff != "" {
			s.fatal("%s", diff)
		}
		s.verify()
		for more := true; more; {
			s.update(s.agent, func(tx ledger.Tx) (err error) {
				more, err = ledger.Sweep(tx, 7)
				return err
			})
		}
	}
	kept := 0
	err := s.below.View(context.Background(), func(r ledger.Reader) error {
		return r.Scan(ledger.States, "", "", func(id string, _ []byte) (bool, error) {
			if !strings.HasPrefix(id, "event@") {
				kept++
			}
			return true, nil
		})
	})
	if err != nil || kept != len(want) {
		s.fatal("%d rows are kept for %d: %v", kept, len(want), err)
	}
}

// verify checks the agent's chains and sums, and that every event that the hub
// has can still be read.
func (s *standing) verify() {
	s.t.Helper()
	err := s.agent.View(context.Background(), func(r ledger.Reader) error {
		rep, err := ledger.Verify(r)
		if err == nil && !rep.OK() {
			s.fatal("verify: %v", rep.Differences)
		}
		for i, st := range s.h.streams {
			for seq := 1; seq <= s.here[i] && err == nil; seq++ {
				rec, ok, readErr := ledger.ReadEvent(r, protocol.EventID{Inc: st.origin.Inc, Seq: protocol.Seq(seq)})
				if err = readErr; err == nil && (!ok || string(rec.Body) != string(st.records[seq-1].Body)) {
					s.fatal("event %d of stream %d cannot be read", seq, i)
				}
			}
		}
		return err
	})
	if err != nil {
		s.fatal("%v", err)
	}
}
