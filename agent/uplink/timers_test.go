package uplink_test

import (
	"testing"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"

	"pgregory.net/rapid"
)

// ticksPerMinute is more than the busiest state needs: a dial each half second,
// or three feeds asked for every three seconds beside Beats and repetitions. An
// engine whose next deadline stays in the past ticks a thousand times a second.
const ticksPerMinute = 150

// quiet lets time pass and demands that the engine rests in it.
func (r *engineRig) quiet(d time.Duration) {
	r.t.Helper()
	r.ticks = 0
	r.pass(d)
	if limit := 10 + int(d*ticksPerMinute/time.Minute); r.ticks > limit {
		r.t.Fatalf("%d ticks in %v, the link shows %+v, the feeds %+v", r.ticks, d, r.engine.Link(), r.engine.Feeds())
	}
	// What is due now may take a tick or two: a dial after a hangup.
	for range 3 {
		r.step(uplink.Tick{})
	}
	if next := r.engine.Next(); next <= r.now {
		r.t.Fatalf("after ticks at %v the next deadline is %v", r.now, next)
	}
}

var (
	timerFeeds = []protocol.FeedID{protocol.FeedCatalog, protocol.StoreFeed(engineOrigin.Store), peer}
	timerTime  = rapid.Map(rapid.IntRange(0, 90_000), func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond })
)

// TestEngineRests feeds the engine anything in any order and demands that it
// never ticks without rest, whether or not anybody answers it (property).
func TestEngineRests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		follow := []ledger.Cursor{cursorAt(peer, 1, 5), {FeedPos: protocol.FeedPos{Feed: protocol.FeedCatalog}}, cursorAt(timerFeeds[1], 2, 9)}
		r := newEngineRig(t, 5, nil, follow...)
		r.log.most = rapid.IntRange(0, 2).Draw(t, "events to a batch")
		if rapid.Bool().Draw(t, "refuses at once") {
			r.answer = func(out any) {
				if _, ok := out.(uplink.Connect); ok {
					r.step(uplink.DialFailed{Cause: uplink.CauseRefused})
				}
			}
		}
		for range rapid.IntRange(1, 25).Draw(t, "inputs") {
			r.step(timerInput(t, r))
			r.quiet(timerTime.Draw(t, "pause"))
		}
	})
}

// timerInput draws an input, now and then together with another state of the
// log.
func timerInput(t *rapid.T, r *engineRig) any {
	feed := rapid.SampledFrom(timerFeeds).Draw(t, "feed")
	offset := rapid.Uint64Range(0, 12).Draw(t, "offset")
	seq := protocol.Seq(rapid.IntRange(0, 6).Draw(t, "seq"))
	cursor := cursorAt(feed, rapid.Uint64Range(1, 2).Draw(t, "epoch"), offset)
	cursor.Tail = rapid.Bool().Draw(t, "tail")
	switch rapid.IntRange(0, 13).Draw(t, "input") {
	case 0:
		return uplink.Tick{}
	case 1:
		return uplink.DialFailed{Cause: uplink.CauseAuth, Refused: true}
	case 2:
		return uplink.Lost{}
	case 3:
		return uplink.HubStarted{}
	case 4:
		r.log.failing = rapid.Bool().Draw(t, "log fails")
		return uplink.Appended{}
	case 5:
		r.log.unreadable = seq
		return uplink.Appended{}
	case 6:
		return uplink.Applied{Feed: feed, Cursor: cursor}
	case 7:
		return uplink.Applied{Feed: feed, Cursor: cursor, Err: ledger.ErrFeedGap}
	case 8:
		return uplink.Applied{Feed: feed, Err: errUnavailable}
	case 9:
		r.sell(1)
		return uplink.Appended{}
	case 10:
		return uplink.Dialed{}
	}
	return timerMessage(t, r, cursor, seq)
}

// timerMessage draws what a hub might say, most of it right.
func timerMessage(t *rapid.T, r *engineRig, cursor ledger.Cursor, seq protocol.Seq) any {
	if r.hello == nil {
		return uplink.Dialed{}
	}
	pause := uint32(rapid.IntRange(0, 5000).Draw(t, "ms"))
	welcome := r.welcome(min(seq, 5))
	welcome.Epoch, welcome.StartAfterMs, welcome.Window = cursor.Epoch, pause, uint32(seq)
	for _, f := range timerFeeds {
		verdict := protocol.Verdict(rapid.IntRange(1, 2).Draw(t, "verdict"))
		welcome.Feeds = append(welcome.Feeds, verdictOf(verdict, f, cursor.Epoch, cursor.Offset))
	}
	m := rapid.SampledFrom([]protocol.Message{
		welcome, welcome, welcome,
		&protocol.Fence{Nonce: r.hello.Nonce, Reason: protocol.UnknownStore, Action: protocol.FenceRetry, RetryAfterMs: pause},
		&protocol.Fence{Session: engineSession, Reason: protocol.Conflict, Action: protocol.FenceRetry},
		&protocol.Ack{Session: engineSession, Inc: engineOrigin.Inc, Seq: seq, Credit: 3, Own: &protocol.OwnRun{Feed: peer, Epoch: cursor.Epoch, After: cursor.Offset, Upto: cursor.Offset + 3}},
		&protocol.Nack{Session: engineSession, Inc: engineOrigin.Inc, Want: seq},
		&protocol.Beat{Session: engineSession, Feeds: []protocol.FeedPos{cursor.FeedPos}},
		&protocol.Delta{Feed: cursor.Feed, Epoch: cursor.Epoch, After: cursor.Offset, Upto: cursor.Offset + 1},
	}).Draw(t, "message")
	payload, err := protocol.EncodeMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	return uplink.Received{Payload: payload}
}

// TestEngineRestsWhere names the states in which it once did not, or might not.
func TestEngineRestsWhere(t *testing.T) {
	catalog := cursorAt(protocol.FeedCatalog, 1, 10)
	resync := verdictOf(protocol.VerdictResync, protocol.FeedCatalog, 1, 9000)
	for name, prepare := range map[string]func(*engineRig){
		"a dial is out":         func(r *engineRig) { r.step(uplink.Tick{}) },
		"no Hello is answered":  (*engineRig).dial,
		"a snapshot is fetched": func(r *engineRig) { r.open(1, resync) },
		"an Apply is out": func(r *engineRig) {
			r.open(1)
			r.hears(&protocol.Delta{Feed: "catalog", Epoch: 1, After: 10, Upto: 11})
		},
		"the log is unreadable": func(r *engineRig) { r.open(1); r.log.failing = true },
		"no batch is answered":  func(r *engineRig) { r.openEmpty(2, 0) },
		"a Delta is never sent": func(r *engineRig) { r.open(1, verdictOf(protocol.VerdictTail, protocol.FeedCatalog, 1, 11)) },
		"every snapshot fails": func(r *engineRig) {
			r.open(1, resync)
			r.failFetches()
			r.step(uplink.Applied{Feed: "catalog", Err: errUnavailable})
		},
		"the rest is unreadable": func(r *engineRig) { r.log.unreadable = 2; r.openEmpty(4, 0) },
		"the hub starts late":    func(r *engineRig) { r.openEmpty(4, 60_000) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, beats := range []bool{false, true} {
				r := newEngineRig(t, 3, nil, catalog)
				if beats {
					r.answerBeats()
				}
				prepare(r)
				for range 40 {
					r.quiet(4 * time.Second)
				}
			}
		})
	}
}

// failFetches fails each snapshot as soon as it is asked for.
func (r *engineRig) failFetches() {
	before := r.answer
	r.answer = func(out any) {
		if before != nil {
			before(out)
		}
		if _, ok := out.(uplink.Fetch); ok {
			r.step(uplink.Applied{Feed: "catalog", Err: errUnavailable})
		}
	}
}
