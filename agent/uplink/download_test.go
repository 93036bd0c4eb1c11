package uplink_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

var (
	errUnavailable = errors.New("hub answered 503")
	errFull        = &protocol.Error{Code: protocol.DiskFull, Message: "no room"}
	peer           = protocol.PeerFeed(engineOrigin.Store)
)

func cursorAt(feed protocol.FeedID, epoch, offset uint64) ledger.Cursor {
	return ledger.Cursor{FeedPos: protocol.FeedPos{Feed: feed, Epoch: epoch, Offset: offset}, Tail: true}
}

func verdictOf(verdict protocol.Verdict, feed protocol.FeedID, epoch, head uint64) protocol.FeedVerdict {
	return protocol.FeedVerdict{Feed: feed, Epoch: epoch, Head: head, Verdict: verdict}
}

// feed is what the engine shows of its only feed.
func (r *engineRig) feed() uplink.FeedStatus {
	r.t.Helper()
	list := r.engine.Feeds()
	if len(list) != 1 {
		r.t.Fatalf("%d feeds are followed", len(list))
	}
	return list[0]
}

func TestFailedSnapshotIsFetchedAgain(t *testing.T) {
	r := newEngineRig(t, 0, nil, cursorAt(protocol.FeedCatalog, 1, 500))
	r.answerBeats(protocol.FeedPos{Feed: protocol.FeedCatalog, Epoch: 2, Offset: 110})
	r.open(2, verdictOf(protocol.VerdictResync, protocol.FeedCatalog, 2, 100))
	if f := r.feed(); f.State != "snapshot" || len(asked[uplink.Fetch](r.take())) != 1 {
		t.Fatalf("the feed shows %+v, and no snapshot is fetched", f)
	}
	for try := range 5 {
		r.step(uplink.Applied{Feed: protocol.FeedCatalog, Err: errUnavailable})
		if f := r.feed(); f.State != "waiting" {
			t.Errorf("try %d: the feed shows %+v", try, f)
		}
		r.hears(&protocol.Delta{Feed: protocol.FeedCatalog, Epoch: 2, After: 500, Upto: 501})
		r.pass(3 * time.Second)
		outs := r.take()
		if n := len(asked[uplink.Fetch](outs)); n != 1 {
			t.Errorf("try %d: %d fetches within 3 s", try, n)
		}
		if len(sent[*protocol.Dack](outs)) > 0 || len(asked[uplink.Apply](outs)) > 0 {
			t.Errorf("try %d: a cursor of the old epoch was used: %v", try, outs)
		}
	}
	r.step(uplink.Applied{Feed: protocol.FeedCatalog, Cursor: cursorAt(protocol.FeedCatalog, 2, 100)})
	asks := sent[*protocol.Dack](r.take())
	if len(asks) != 1 || asks[0].Epoch != 2 || asks[0].Offset != 100 {
		t.Errorf("after the snapshot it asked %+v", asks)
	}
	r.hears(&protocol.Delta{Session: engineSession, Feed: protocol.FeedCatalog, Epoch: 2, After: 100, Upto: 110})
	if applies := asked[uplink.Apply](r.take()); len(applies) != 1 || applies[0].Head != 110 {
		t.Errorf("then it applied %+v", applies)
	}
	if f := r.feed(); f.State != "tail" {
		t.Errorf("the feed shows %+v", f)
	}
}

// TestCursorOfAnotherEpochIsNeverSent: offsets of two epochs have nothing to do
// with each other.
func TestCursorOfAnotherEpochIsNeverSent(t *testing.T) {
	never := func(r *engineRig) {
		t.Helper()
		for _, m := range sent[*protocol.Dack](r.outs) {
			if m.Offset > 0 {
				t.Errorf("sent %+v", m)
			}
		}
	}
	t.Run("snapshot of the hub before", func(t *testing.T) {
		r := newEngineRig(t, 0, nil, cursorAt(protocol.FeedCatalog, 1, 500))
		r.open(2, verdictOf(protocol.VerdictResync, protocol.FeedCatalog, 2, 100))
		r.step(uplink.Lost{})
		r.open(3, verdictOf(protocol.VerdictResync, protocol.FeedCatalog, 3, 300))
		r.take()
		r.step(uplink.Applied{Feed: protocol.FeedCatalog, Cursor: cursorAt(protocol.FeedCatalog, 2, 100)})
		never(r)
		if len(asked[uplink.Fetch](r.take())) != 1 {
			t.Error("the snapshot of the new hub was not fetched")
		}
	})
	t.Run("delta of the hub before", func(t *testing.T) {
		r := newEngineRig(t, 0, nil, cursorAt(protocol.FeedCatalog, 1, 500))
		r.open(1, verdictOf(protocol.VerdictTail, protocol.FeedCatalog, 1, 501))
		r.hears(&protocol.Delta{Feed: protocol.FeedCatalog, Epoch: 1, After: 500, Upto: 501})
		r.step(uplink.Lost{})
		r.open(2, verdictOf(protocol.VerdictResync, protocol.FeedCatalog, 2, 900))
		r.take()
		r.step(uplink.Applied{Feed: protocol.FeedCatalog, Cursor: cursorAt(protocol.FeedCatalog, 1, 501)})
		never(r)
		if len(asked[uplink.Fetch](r.take())) != 1 {
			t.Error("the snapshot was not fetched after the Apply had ended")
		}
	})
	t.Run("feed that a new store record names", func(t *testing.T) {
		r := newEngineRig(t, 0, nil)
		r.open(2)
		r.step(uplink.Follow{Feeds: []ledger.Cursor{cursorAt("price/north", 1, 40)}})
		never(r)
		outs := r.take()
		if len(asked[uplink.Subscribe](outs)) != 1 || len(asked[uplink.Fetch](outs)) != 1 {
			t.Errorf("it asked for %v", outs)
		}
	})
}

// TestHeadOfAnotherEpochIsForgotten: a feed that is shorter in the new epoch is
// not asked for the end that it had in the old one.
func TestHeadOfAnotherEpochIsForgotten(t *testing.T) {
	const price = protocol.FeedID("price/north")
	resync := verdictOf(protocol.VerdictResync, price, 2, 3)
	for _, tt := range []struct {
		name   string
		follow []ledger.Cursor
		begin  func(r *engineRig)
	}{
		{"feed that a new store record names", nil, func(r *engineRig) {
			r.open(2)
			r.step(uplink.Follow{Feeds: []ledger.Cursor{cursorAt(price, 1, 40)}})
		}},
		{"feed that a new store record named between hello and welcome", nil, func(r *engineRig) {
			r.dial()
			r.step(uplink.Follow{Feeds: []ledger.Cursor{cursorAt(price, 1, 40)}})
			m := r.welcome(0)
			m.Epoch = 2
			r.hears(m)
		}},
		{"snapshot of the hub before", []ledger.Cursor{cursorAt(price, 0, 40)}, func(r *engineRig) {
			r.open(1, verdictOf(protocol.VerdictResync, price, 1, 40))
			r.step(uplink.Lost{})
			r.open(2, resync)
			r.step(uplink.Applied{Feed: price, Cursor: cursorAt(price, 1, 40)})
		}},
		{"delta of the hub before", []ledger.Cursor{cursorAt(price, 1, 39)}, func(r *engineRig) {
			r.open(1, verdictOf(protocol.VerdictTail, price, 1, 40))
			r.hears(&protocol.Delta{Feed: price, Epoch: 1, After: 39, Upto: 40})
			r.step(uplink.Lost{})
			r.open(2, resync)
			r.step(uplink.Applied{Feed: price, Cursor: cursorAt(price, 1, 40)})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newEngineRig(t, 0, nil, tt.follow...)
			r.answerBeats(protocol.FeedPos{Feed: price, Epoch: 2, Offset: 3})
			tt.begin(r)
			if n := len(asked[uplink.Fetch](r.take())); n == 0 {
				t.Fatal("no snapshot was fetched")
			}
			r.step(uplink.Applied{Feed: price, Cursor: cursorAt(price, 2, 3)})
			r.take()
			r.pass(30 * time.Second)
			if f := r.feed(); f.State != "tail" || f.Behind != 0 {
				t.Errorf("the feed shows %+v", f)
			}
			if asks := sent[*protocol.Dack](r.take()); len(asks) > 0 {
				t.Errorf("at the feed's end it went on asking: %+v", asks[0])
			}
		})
	}
}

// TestFeedOfWhichTheWelcomeSaysNothing: one that is followed since the Hello is
// asked for; one that the Hello named may not be followed, and asking would only
// end the session.
func TestFeedOfWhichTheWelcomeSaysNothing(t *testing.T) {
	const price = protocol.FeedID("price/north")
	for _, tt := range []struct {
		name          string
		offset        uint64
		hellos        int // before the feed is followed
		again         int // and after it
		asks, fetches int
	}{
		{"known", 40, 1, 0, 1, 0},
		{"never read", 0, 1, 0, 0, 1},
		{"named by a Hello that was lost", 40, 1, 1, 1, 0},
		{"named by the Hello", 40, 0, 1, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newEngineRig(t, 0, nil)
			if tt.hellos > 0 {
				r.dial()
			}
			r.step(uplink.Follow{Feeds: []ledger.Cursor{cursorAt(price, 1, tt.offset)}})
			switch {
			case tt.hellos > 0 && tt.again > 0:
				r.pass(5 * time.Second)
				if n := len(sent[*protocol.Hello](r.outs)); n != 2 {
					t.Fatalf("it said hello %d times", n)
				}
			case tt.again > 0:
				r.dial()
			}
			r.hears(r.welcome(0))
			outs := r.take()
			if len(sent[*protocol.Dack](outs)) != tt.asks || len(asked[uplink.Fetch](outs)) != tt.fetches {
				t.Errorf("it asked for %v", outs)
			}
		})
	}
}

func TestOwnRun(t *testing.T) {
	run := func(epoch, after, upto uint64) *protocol.OwnRun {
		return &protocol.OwnRun{Feed: peer, Epoch: epoch, After: after, Upto: upto}
	}
	for _, tt := range []struct {
		name   string
		cursor ledger.Cursor
		run    *protocol.OwnRun
		want   uint64
	}{
		{"from its start", cursorAt(peer, 1, 50), run(1, 50, 60), 60},
		{"from within", cursorAt(peer, 1, 55), run(1, 50, 60), 60},
		{"events of others between", cursorAt(peer, 1, 49), run(1, 50, 60), 49},
		{"at its end", cursorAt(peer, 1, 60), run(1, 50, 60), 60},
		{"beyond its end", cursorAt(peer, 1, 70), run(1, 50, 60), 70},
		{"another epoch", cursorAt(peer, 1, 50), run(2, 50, 60), 50},
		{"a cursor of another epoch", cursorAt(peer, 3, 50), run(1, 50, 60), 50},
		{"tail not reached", ledger.Cursor{FeedPos: protocol.FeedPos{Feed: peer, Epoch: 1, Offset: 50}}, run(1, 50, 60), 50},
		{"a feed that is not followed", cursorAt(peer, 1, 50), &protocol.OwnRun{Feed: "peer/s2", Epoch: 1, After: 50, Upto: 60}, 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newEngineRig(t, 1, nil, tt.cursor)
			r.open(1, verdictOf(protocol.VerdictTail, peer, 1, tt.cursor.Offset))
			r.hears(&protocol.Ack{Session: engineSession, Inc: engineOrigin.Inc, Seq: 1, Credit: 8, Own: tt.run})
			if f := r.feed(); f.Offset != tt.want {
				t.Errorf("the cursor is at %d, want %d", f.Offset, tt.want)
			}
		})
	}
}

// TestOwnRunIsStoredWithTheNextDelta: until then the cursor is ahead in memory
// only, and a Delta applies to the stored one.
func TestOwnRunIsStoredWithTheNextDelta(t *testing.T) {
	r := newEngineRig(t, 1, nil, cursorAt(peer, 1, 50))
	r.open(1, verdictOf(protocol.VerdictTail, peer, 1, 50))
	r.hears(&protocol.Ack{Session: engineSession, Inc: engineOrigin.Inc, Seq: 1, Credit: 8, Own: &protocol.OwnRun{Feed: peer, Epoch: 1, After: 50, Upto: 60}})
	r.take()
	r.hears(&protocol.Delta{Feed: peer, Epoch: 1, After: 60, Upto: 61})
	applies := asked[uplink.Apply](r.take())
	if len(applies) != 1 || applies[0].Own == nil || *applies[0].Own != (protocol.FeedPos{Feed: peer, Epoch: 1, Offset: 60}) {
		t.Fatalf("applied %+v", applies)
	}
	d := ledger.NewMemory()
	err := d.Update(t.Context(), func(tx ledger.Tx) error { return ledger.WriteCursor(tx, cursorAt(peer, 1, 50)) })
	if err != nil {
		t.Fatal(err)
	}
	if in := uplink.ApplyDelta(t.Context(), d, applies[0]); in.Err != nil || in.Cursor != cursorAt(peer, 1, 61) {
		t.Errorf("applied as %+v", in)
	}
}

// TestOwnRunDuringAResync: while the hub's new epoch has not been begun, the
// events of siblings in it are still to come (I10).
func TestOwnRunDuringAResync(t *testing.T) {
	r := newEngineRig(t, 1, nil, cursorAt(peer, 1, 500))
	r.open(2, verdictOf(protocol.VerdictResync, peer, 2, 400))
	if resets := asked[uplink.Reset](r.take()); len(resets) != 1 || resets[0].Epoch != 2 {
		t.Fatalf("it asked for %+v", resets)
	}
	own := &protocol.Ack{Session: engineSession, Inc: engineOrigin.Inc, Seq: 1, Credit: 8, Own: &protocol.OwnRun{Feed: peer, Epoch: 2, After: 450, Upto: 550}}
	r.hears(own)
	r.step(uplink.Applied{Feed: peer, Err: errFull})
	r.hears(own)
	if f := r.feed(); f.Epoch != 1 || f.Offset != 500 || f.State != "waiting" {
		t.Errorf("the feed shows %+v", f)
	}
	r.pass(3 * time.Second)
	if resets := asked[uplink.Reset](r.take()); len(resets) != 1 || resets[0].Epoch != 2 {
		t.Errorf("then it asked for %+v", resets)
	}
	r.step(uplink.Applied{Feed: peer, Cursor: cursorAt(peer, 2, 0)})
	if asks := sent[*protocol.Dack](r.take()); len(asks) != 1 || asks[0].Epoch != 2 || asks[0].Offset != 0 {
		t.Errorf("after the reset it asked %+v", asks)
	}
}

// commitFails is a driver whose disk is full when a transaction is committed.
type commitFails struct{ ledger.Driver }

func (d commitFails) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return d.Driver.Update(ctx, func(tx ledger.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errFull
	})
}

// TestCursorOfAFailedCommitIsNotBelieved: what was not committed comes again.
func TestCursorOfAFailedCommitIsNotBelieved(t *testing.T) {
	r := newEngineRig(t, 0, nil, cursorAt(protocol.FeedCatalog, 1, 0))
	d := ledger.NewMemory()
	r.open(1, verdictOf(protocol.VerdictTail, protocol.FeedCatalog, 1, 1))
	r.take()
	delta := &protocol.Delta{Session: engineSession, Feed: protocol.FeedCatalog, Epoch: 1, Upto: 1}
	r.hears(delta)
	applies := asked[uplink.Apply](r.take())
	if len(applies) != 1 {
		t.Fatalf("applied %+v", applies)
	}
	r.step(uplink.ApplyDelta(t.Context(), commitFails{d}, applies[0]))
	if f := r.feed(); f.Offset != 0 || f.Behind != 1 {
		t.Errorf("the feed shows %+v although nothing was committed", f)
	}
	r.pass(3 * time.Second)
	asks := sent[*protocol.Dack](r.take())
	if len(asks) != 1 || asks[0].Offset != 0 || !asks[0].Again {
		t.Fatalf("it asked %+v", asks)
	}
	r.hears(delta)
	for _, a := range asked[uplink.Apply](r.take()) {
		r.step(uplink.ApplyDelta(t.Context(), d, a))
	}
	if f := r.feed(); f.Offset != 1 || f.State != "tail" || f.Behind != 0 {
		t.Errorf("in the end the feed shows %+v", f)
	}
}

// TestMissedDeltaIsAskedFor: a gap is asked about once, and again only after a
// while.
func TestMissedDeltaIsAskedFor(t *testing.T) {
	r := newEngineRig(t, 0, nil, cursorAt(protocol.FeedCatalog, 1, 10))
	r.open(1, verdictOf(protocol.VerdictTail, protocol.FeedCatalog, 1, 10))
	r.pass(2 * time.Second)
	r.take()
	for after := uint64(11); after < 30; after++ {
		r.hears(&protocol.Delta{Feed: protocol.FeedCatalog, Epoch: 1, After: after, Upto: after + 1})
	}
	outs := r.take()
	if asks := sent[*protocol.Dack](outs); len(asks) != 1 || asks[0].Offset != 10 || !asks[0].Again || len(asked[uplink.Apply](outs)) > 0 {
		t.Errorf("nineteen Deltas behind a gap: %v", outs)
	}
	r.answerBeats()
	r.pass(10 * time.Second)
	if n := len(sent[*protocol.Dack](r.take())); n < 2 || n > 4 {
		t.Errorf("then it asked %d times in 10 s", n)
	}
}
