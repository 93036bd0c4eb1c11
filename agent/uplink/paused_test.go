package uplink_test

import (
	"testing"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
)

// TestNothingComesDownWithoutRoom pauses the way down at each stage that has no
// room for it. Nothing is applied, fetched or asked for; what is sold goes up.
// When the pause ends the feed goes on where it stood.
func TestNothingComesDownWithoutRoom(t *testing.T) {
	down := func(outs []any) int {
		return len(asked[uplink.Apply](outs)) + len(asked[uplink.Fetch](outs)) + len(asked[uplink.Reset](outs)) + len(sent[*protocol.Dack](outs))
	}
	delta := func(after uint64) *protocol.Delta {
		return &protocol.Delta{Session: engineSession, Feed: protocol.FeedCatalog, Epoch: 1, After: after, Upto: after + 1}
	}
	for _, state := range []string{"low", "reserve", "full"} {
		r := newEngineRig(t, 1, nil, cursorAt(protocol.FeedCatalog, 1, 10))
		r.answerBeats(protocol.FeedPos{Feed: protocol.FeedCatalog, Epoch: 1, Offset: 14})
		r.open(1, verdictOf(protocol.VerdictTail, protocol.FeedCatalog, 1, 12))
		r.hears(delta(10))
		if n := len(asked[uplink.Apply](r.take())); n != 1 {
			t.Fatalf("%s: %d Applies before the pause", state, n)
		}
		r.step(uplink.Disk{State: state})
		r.hears(delta(11))
		r.step(uplink.Applied{Feed: protocol.FeedCatalog, Cursor: cursorAt(protocol.FeedCatalog, 1, 11)})
		r.hears(delta(12))
		r.pass(time.Minute)
		r.sell(1)
		r.step(uplink.Appended{})
		outs := r.take()
		if n := down(outs); n > 0 {
			t.Errorf("%s: the way down was asked for something %d times: %v", state, n, outs)
		}
		if len(sent[*protocol.Batch](outs)) != 1 || r.engine.Link().State != uplink.Online {
			t.Errorf("%s: %d batches went up, the link is %s", state, len(sent[*protocol.Batch](outs)), r.engine.Link().State)
		}
		if f := r.feed(); f.Offset != 11 || f.Behind != 3 {
			t.Errorf("%s: the feed shows %+v", state, f)
		}
		r.step(uplink.Disk{State: "trim"})
		asks := sent[*protocol.Dack](r.take())
		if len(asks) != 1 || asks[0].Offset != 11 || !asks[0].Again {
			t.Errorf("%s: after the pause it asked %+v", state, asks)
		}
		r.hears(delta(11))
		if n := len(asked[uplink.Apply](r.take())); n != 1 {
			t.Errorf("%s: %d Applies after the pause", state, n)
		}
	}
}

// TestSnapshotWaitsForRoom lets a feed need a snapshot while there is no room.
func TestSnapshotWaitsForRoom(t *testing.T) {
	r := newEngineRig(t, 0, nil, cursorAt(protocol.FeedCatalog, 1, 500))
	r.answerBeats(protocol.FeedPos{Feed: protocol.FeedCatalog, Epoch: 2, Offset: 110})
	r.step(uplink.Disk{State: "low"})
	r.open(2, verdictOf(protocol.VerdictResync, protocol.FeedCatalog, 2, 100))
	r.pass(time.Minute)
	if n := len(asked[uplink.Fetch](r.take())); n > 0 {
		t.Errorf("%d snapshots were fetched without room", n)
	}
	r.step(uplink.Disk{State: "ok"})
	if n := len(asked[uplink.Fetch](r.take())); n != 1 {
		t.Errorf("%d snapshots were fetched with room", n)
	}
}
