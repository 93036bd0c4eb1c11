package uplink_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
)

// batches returns the numbers of the events that were sent since take, which
// are one to a batch.
func (r *engineRig) batches() []protocol.Seq {
	r.t.Helper()
	var list []protocol.Seq
	for _, b := range sent[*protocol.Batch](r.take()) {
		if b.Session != engineSession || b.Count != 1 || b.PrevHash != r.hashAt(b.FirstSeq-1) || b.Checksum != protocol.FrameChecksum(b.Frame) {
			r.t.Errorf("the batch %+v is not as it must be", b)
		}
		list = append(list, b.FirstSeq)
	}
	return list
}

func (r *engineRig) expect(what string, want ...protocol.Seq) {
	r.t.Helper()
	if got := r.batches(); !slices.Equal(got, want) {
		r.t.Errorf("%s: sent %d, want %d", what, got, want)
	}
}

func (r *engineRig) ack(seq protocol.Seq, credit uint32) {
	r.t.Helper()
	r.hears(&protocol.Ack{Session: engineSession, Inc: engineOrigin.Inc, Seq: seq, Safe: seq, Credit: credit})
}

// openEmpty brings the engine into a session with a hub that has no events.
func (r *engineRig) openEmpty(window, startAfterMs uint32) {
	r.t.Helper()
	r.dial()
	m := r.welcome(0)
	m.Window, m.StartAfterMs = window, startAfterMs
	r.take()
	r.hears(m)
}

func TestWindowAndCredit(t *testing.T) {
	r := newEngineRig(t, 20, nil)
	r.openEmpty(3, 0)
	r.expect("window 3", 1, 2, 3)
	r.step(uplink.Appended{})
	r.expect("the window is full")
	r.ack(1, 3)
	r.expect("one acknowledged", 4)
	r.ack(2, 1)
	r.expect("less credit than is on the way")
	r.ack(3, 1)
	r.expect("as much credit as is on the way")
	r.ack(4, 5)
	r.expect("more credit", 5, 6, 7, 8, 9)
	r.ack(3, 8)
	r.ack(12, 8)
	r.expect("old and impossible numbers")
	if m := r.engine.Marks(); m.Acked != 4 || m.Safe != 4 {
		t.Errorf("the marks are %d and %d", m.Acked, m.Safe)
	}
	r.ack(9, 200)
	r.expect("all that is left", 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
	r.ack(20, 8)
	r.sell(1)
	r.step(uplink.Appended{})
	r.expect("a new event goes out at once", 21)
}

func TestStartAfter(t *testing.T) {
	r := newEngineRig(t, 2, nil)
	r.openEmpty(8, 1500)
	r.step(uplink.Appended{})
	r.pass(1499 * time.Millisecond)
	r.expect("too early")
	r.pass(time.Millisecond)
	r.expect("in time", 1, 2)
}

func TestNackGoesBack(t *testing.T) {
	r := newEngineRig(t, 9, nil)
	nack := func(want protocol.Seq) {
		r.hears(&protocol.Nack{Session: engineSession, Inc: engineOrigin.Inc, Want: want, Reason: "gap"})
	}
	r.openEmpty(4, 0)
	r.expect("at first", 1, 2, 3, 4)
	nack(2)
	r.expect("the hub lacks 2", 2, 3, 4, 5)
	r.ack(3, 4)
	r.expect("acknowledged up to 3", 6, 7)
	nack(3)
	nack(0)
	nack(9)
	r.expect("what is acknowledged, nothing and what was never sent")
	nack(8)
	r.expect("what comes next anyhow", 8, 9)
}

func TestAnswersOfOtherSessionsAreIgnored(t *testing.T) {
	other := protocol.Session{9}
	for name, m := range map[string]protocol.Message{
		"ack of another session":  &protocol.Ack{Session: other, Inc: engineOrigin.Inc, Seq: 2, Credit: 8},
		"ack of another stream":   &protocol.Ack{Session: engineSession, Inc: protocol.Inc{9}, Seq: 2, Credit: 8},
		"nack of another session": &protocol.Nack{Session: other, Inc: engineOrigin.Inc, Want: 1},
		"nack of another stream":  &protocol.Nack{Session: engineSession, Inc: protocol.Inc{9}, Want: 1},
		"fence of another session": &protocol.Fence{
			Session: other, Reason: protocol.Conflict, Action: protocol.FenceRetry,
		},
		"fence of an older hello": &protocol.Fence{Nonce: 12345, Reason: protocol.Forbidden, Action: protocol.FenceRetry},
	} {
		r := newEngineRig(t, 5, nil)
		r.openEmpty(2, 0)
		r.expect(name, 1, 2)
		r.hears(m)
		if ack := r.engine.Marks().Acked; ack != 0 || len(r.take()) > 0 || r.engine.Link().State != uplink.Online {
			t.Errorf("%s: acknowledged is %d, the link %+v", name, ack, r.engine.Link())
		}
	}
}

// TestAcksAreSignsOfLife: on a slow line a Beat's answer may stand behind much
// else.
func TestAcksAreSignsOfLife(t *testing.T) {
	r := newEngineRig(t, 200, nil)
	r.openEmpty(8, 0)
	for seq := range protocol.Seq(120) {
		r.pass(500 * time.Millisecond)
		r.ack(seq+1, 8)
		if l := r.engine.Link(); l.State != uplink.Online {
			t.Fatalf("after %v of acknowledgements the link shows %+v", r.now, l)
		}
	}
	if n := len(sent[*protocol.Hello](r.take())); n > 0 {
		t.Errorf("%d Hellos", n)
	}
	silent := r.now
	r.pass(3 * time.Second)
	if l := r.engine.Link(); l.State != uplink.Online {
		t.Errorf("after 3 s of silence the link shows %+v", l)
	}
	r.pass(15 * time.Second)
	if l := r.engine.Link(); l.State != uplink.Offline || l.Cause != "timeout" || l.Since.Sub(r.wall()) > silent-r.now+15*time.Second {
		t.Errorf("after 18 s of silence the link shows %+v", l)
	}
}

func TestUnacknowledgedIsSentAgainEverMoreSlowly(t *testing.T) {
	r := newEngineRig(t, 3, nil)
	r.openEmpty(2, 0)
	r.expect("at first", 1, 2)
	r.answerBeats()
	for _, wait := range []time.Duration{5, 10, 20, 40, 80, 80} {
		r.pass(wait*time.Second - time.Millisecond)
		r.expect("before " + (wait * time.Second).String())
		r.pass(time.Millisecond)
		r.expect("after "+(wait*time.Second).String(), 1, 2)
	}
	r.ack(1, 2)
	r.expect("progress", 3)
	r.pass(5*time.Second - time.Millisecond)
	r.expect("before 5 s again")
	r.pass(time.Millisecond)
	r.expect("after 5 s again", 2, 3)
}

// TestLogThatCannotBeReadForAWhile: nothing is lost and the link stays.
func TestLogThatCannotBeReadForAWhile(t *testing.T) {
	r := newEngineRig(t, 4, nil)
	r.answerBeats()
	r.log.unreadable = 2
	r.openEmpty(8, 0)
	r.expect("until it fails", 1)
	r.log.unreadable = 0
	r.step(uplink.Appended{})
	r.expect("not at once")
	r.pass(10 * time.Second)
	r.expect("after 10 s", 1, 2, 3, 4)
	if l := r.engine.Link(); l.State != uplink.Online {
		t.Errorf("the link shows %+v", l)
	}
}

// TestI7_WhatWasSafeElsewhereIsForgotten: what a hub told of the store's other
// streams holds in its session alone, since the next may be with an older copy.
func TestI7_WhatWasSafeElsewhereIsForgotten(t *testing.T) {
	r := newEngineRig(t, 3, nil)
	r.open(1)
	safe := []protocol.StreamHead{{Agent: "a2", Inc: protocol.Inc{2}, Seq: 9, Hash: protocol.Hash{1}}}
	r.hears(&protocol.Beat{Session: protocol.Session{99}, Safe: safe})
	if got := r.engine.OthersSafe(); len(got) > 0 {
		t.Errorf("%v is safe, says another session", got)
	}
	r.hears(&protocol.Beat{Session: engineSession, Safe: safe})
	r.hears(&protocol.Beat{Session: engineSession})
	if got := r.engine.OthersSafe(); !reflect.DeepEqual(got, safe) {
		t.Errorf("%v is safe, the hub said %v", got, safe)
	}
	r.step(uplink.Lost{})
	r.pass(time.Second)
	r.open(1)
	if got := r.engine.OthersSafe(); len(got) > 0 {
		t.Errorf("%v is safe, says a session that is over", got)
	}
}
