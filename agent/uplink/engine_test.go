package uplink_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"

	"pgregory.net/rapid"
)

var (
	engineOrigin  = protocol.Origin{Store: "s1", Agent: "a1", Inc: protocol.Inc{1}}
	engineSession = protocol.Session{7}
	errUnreadable = errors.New("the log cannot be read")
)

// fakeLog is an agent's log in memory, of which reading can be made to fail.
type fakeLog struct {
	uplink.Outbox
	driver     *ledger.Memory
	most       int          // events per Read; 0 for all
	failing    bool         // nothing can be read
	unreadable protocol.Seq // events from here on cannot be read; 0 for none
}

func (l *fakeLog) Head() (protocol.Seq, protocol.Hash, error) {
	if l.failing {
		return 0, protocol.Hash{}, errUnreadable
	}
	return l.Outbox.Head()
}

func (l *fakeLog) Read(o protocol.Origin, first protocol.Seq) ([]protocol.Record, protocol.Hash, error) {
	if l.failing || l.unreadable > 0 && first >= l.unreadable {
		return nil, protocol.Hash{}, errUnreadable
	}
	records, prev, err := l.Outbox.Read(o, first)
	if l.most > 0 && len(records) > l.most {
		records = records[:l.most]
	}
	return records, prev, err
}

// engineRig drives an engine by hand: it is the clock, the log and the hub.
type engineRig struct {
	t      rapid.TB
	engine *uplink.Engine
	log    *fakeLog
	now    time.Duration
	outs   []any // what the engine asked for since take
	hello  *protocol.Hello
	ticks  int
	// answer, when set, reacts to what the engine asks for, after each step.
	answer func(out any)
}

func newEngineRig(t rapid.TB, events int, change func(*uplink.Config), follow ...ledger.Cursor) *engineRig {
	driver := ledger.NewMemory()
	r := &engineRig{t: t, log: &fakeLog{Outbox: uplink.NewOutbox(driver, engineOrigin), driver: driver, most: 1}}
	r.sell(events)
	c := uplink.Config{
		Origin: engineOrigin, Build: "test", BootID: 1, Outbox: r.log, Follow: follow,
		Rand: rand.New(rand.NewPCG(1, 2)), Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	r.engine = uplink.New(c)
	return r
}

// sell logs events that nobody is told of.
func (r *engineRig) sell(events int) {
	r.t.Helper()
	for range events {
		err := r.log.driver.Update(context.Background(), func(tx ledger.Tx) error {
			_, err := ledger.Log(tx, engineOrigin, protocol.Clock{WallMs: r.wall().UnixMilli()}, &protocol.Event{
				Kind: "noted", Moves: []protocol.Move{{SKU: "PEN", State: protocol.OnHand, Delta: -1000}},
			})
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *engineRig) wall() time.Time { return time.UnixMilli(1_795_000_000_000).Add(r.now) }

func (r *engineRig) step(in any) {
	outs := r.engine.Step(uplink.Instant{Mono: r.now, Wall: r.wall()}, in)
	r.outs = append(r.outs, outs...)
	for _, out := range outs {
		if send, ok := out.(uplink.Send); ok {
			if hello, ok := send.Message.(*protocol.Hello); ok {
				r.hello = hello
			}
		}
		if r.answer != nil {
			r.answer(out)
		}
	}
}

// hears delivers a message of the hub.
func (r *engineRig) hears(m protocol.Message) {
	r.t.Helper()
	payload, err := protocol.EncodeMessage(m)
	if err != nil {
		r.t.Fatal(err)
	}
	r.step(uplink.Received{Payload: payload})
}

// pass lets time pass as Run does: with a tick whenever one is due, and never
// two within a millisecond.
func (r *engineRig) pass(d time.Duration) {
	for until := r.now + d; ; {
		next := max(r.engine.Next(), r.now+time.Millisecond)
		if next > until {
			r.now = until
			return
		}
		r.now = next
		r.ticks++
		r.step(uplink.Tick{})
	}
}

// take returns what the engine asked for since it was last called.
func (r *engineRig) take() []any {
	outs := r.outs
	r.outs = nil
	return outs
}

// sent picks the messages of one type out of outputs.
func sent[M protocol.Message](outs []any) []M {
	var list []M
	for _, out := range outs {
		if send, ok := out.(uplink.Send); ok {
			if m, ok := send.Message.(M); ok {
				list = append(list, m)
			}
		}
	}
	return list
}

// asked picks the outputs of one type.
func asked[T any](outs []any) []T {
	var list []T
	for _, out := range outs {
		if o, ok := out.(T); ok {
			list = append(list, o)
		}
	}
	return list
}

func (r *engineRig) dial() {
	r.step(uplink.Tick{})
	r.step(uplink.Dialed{})
}

// hashAt is the hash of the log after an event.
func (r *engineRig) hashAt(seq protocol.Seq) protocol.Hash {
	r.t.Helper()
	last, hash, err := r.log.Outbox.Head()
	if err == nil && seq < last {
		_, hash, err = r.log.Outbox.Read(engineOrigin, seq+1)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return hash
}

// welcome answers the last Hello; the hub has the events up to cursor.
func (r *engineRig) welcome(cursor protocol.Seq, feeds ...protocol.FeedVerdict) *protocol.Welcome {
	r.t.Helper()
	return &protocol.Welcome{
		Nonce: r.hello.Nonce, Epoch: 1, Session: engineSession, HubTimeMs: r.wall().UnixMilli(),
		CursorSeq: cursor, CursorHash: r.hashAt(cursor), Safe: cursor, Window: 8, Feeds: feeds,
	}
}

// open brings the engine into a session with a hub that has everything.
func (r *engineRig) open(epoch uint64, feeds ...protocol.FeedVerdict) {
	r.t.Helper()
	r.dial()
	last, _, err := r.log.Outbox.Head()
	if err != nil {
		r.t.Fatal(err)
	}
	m := r.welcome(last, feeds...)
	m.Epoch = epoch
	r.hears(m)
	if r.engine.Link().State != uplink.Online {
		r.t.Fatalf("not online but %+v", r.engine.Link())
	}
}

// answerBeats makes the hub answer every Beat at once.
func (r *engineRig) answerBeats(heads ...protocol.FeedPos) {
	r.answer = func(out any) {
		if send, ok := out.(uplink.Send); ok {
			if beat, ok := send.Message.(*protocol.Beat); ok {
				r.hears(&protocol.Beat{Session: beat.Session, ClockMs: r.wall().UnixMilli(), Feeds: heads})
			}
		}
	}
}

func TestHelloIsRepeatedWithItsNonce(t *testing.T) {
	r := newEngineRig(t, 3, nil)
	r.dial()
	first := r.hello.Nonce
	at := []time.Duration{r.now}
	r.answer = func(out any) {
		if len(sent[*protocol.Hello]([]any{out})) > 0 {
			at = append(at, r.now)
		}
	}
	jittered := false
	r.take()
	r.pass(4 * time.Minute)
	outs := r.take()
	for _, m := range sent[*protocol.Hello](outs) {
		if m.Nonce != first {
			t.Errorf("a repeated Hello has the nonce %d, the first had %d", m.Nonce, first)
		}
	}
	for i, least := range []time.Duration{3, 6, 12, 24, 48} {
		least *= time.Second
		if i+1 >= len(at) {
			t.Fatalf("only %d Hellos in 4 minutes", len(at))
		}
		wait := at[i+1] - at[i]
		if wait < least || wait > least+least/4 {
			t.Errorf("Hello %d came after %v, want %v and up to a quarter more", i+2, wait, least)
		}
		jittered = jittered || wait != least
	}
	if !jittered {
		t.Error("the waits are the same for every agent")
	}
	if len(asked[uplink.Hangup](outs)) > 0 {
		t.Error("the connection was given up although the hub may only be slow")
	}
	r.answer = nil
	r.pass(3 * time.Minute)
	if outs = r.take(); len(asked[uplink.Hangup](outs)) != 1 || len(asked[uplink.Connect](outs)) != 1 {
		t.Errorf("a hub that never answers was not dialled anew: %v", outs)
	}
	r.step(uplink.Dialed{})
	if r.hello.Nonce == first {
		t.Error("the Hello of a new connection has the nonce of the old one")
	}
}

func TestLateWelcomeIsAccepted(t *testing.T) {
	r := newEngineRig(t, 3, nil)
	r.dial()
	late := r.welcome(1)
	r.pass(30 * time.Second)
	if n := len(sent[*protocol.Hello](r.take())); n < 3 {
		t.Fatalf("%d Hellos in 30 s", n)
	}
	foreign := *late
	foreign.Nonce++
	r.hears(&foreign)
	if s := r.engine.Link().State; s == uplink.Online {
		t.Fatal("the answer to another Hello opened a session")
	}
	r.hears(late)
	if s := r.engine.Link().State; s != uplink.Online {
		t.Fatalf("the late answer was not taken: %v", s)
	}
	if batches := sent[*protocol.Batch](r.take()); len(batches) != 2 || batches[0].FirstSeq != 2 || batches[0].PrevHash != r.hashAt(1) {
		t.Errorf("after it %+v was sent, want events 2 and 3", batches)
	}
}

// TestI5_GapBlocksTheWayUpOnly: a hub that asks for what was trimmed gets nothing
// of the own log until it has closed the gap; then the log goes on behind it.
func TestI5_GapBlocksTheWayUpOnly(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		r := newEngineRig(t, 6, nil)
		r.dial()
		m := r.welcome(1)
		m.Checkpoint = accepted
		hash := r.hashAt(3)
		err := r.log.driver.Update(context.Background(), func(tx ledger.Tx) error {
			_, err := ledger.TrimEvents(tx, engineOrigin.Inc, 4, 10)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		r.take()
		r.hears(m)
		if l := r.engine.Link(); l.State != uplink.Offline || l.Cause != string(uplink.CauseHubError) || l.Message == "" {
			t.Errorf("the link shows %+v", l)
		}
		r.pass(2 * time.Second)
		outs := r.take()
		if b := sent[*protocol.Batch](outs); len(b) > 0 {
			t.Errorf("%+v was sent over a gap", b)
		}
		points := sent[*protocol.Checkpoint](outs)
		if want := map[bool]int{true: 1}[accepted]; len(points) != want {
			t.Fatalf("%d checkpoints were sent, want %d", len(points), want)
		}
		if accepted && (points[0].Seq != 3 || points[0].Hash != hash) {
			t.Errorf("the checkpoint is at %d", points[0].Seq)
		}
		r.hears(&protocol.Ack{Session: engineSession, Inc: engineOrigin.Inc, Seq: 3, Credit: 8})
		if b := sent[*protocol.Batch](r.take()); len(b) > 0 {
			t.Errorf("%+v was sent after an acknowledgement of another history", b)
		}
		r.hears(&protocol.Ack{Session: engineSession, Inc: engineOrigin.Inc, Seq: 3, Hash: hash, Credit: 8})
		b := sent[*protocol.Batch](r.take())
		if len(b) == 0 || b[0].FirstSeq != 4 || b[0].PrevHash != hash || r.engine.Link().State != uplink.Online {
			t.Errorf("behind the gap %+v was sent, the link is %+v", b, r.engine.Link())
		}
	}
}

// TestWelcomeOfAnotherHistory: a hub that holds other events of the stream, or
// more, must never get different ones under the same numbers. The log goes on in
// a new stream, and this engine is at its end.
func TestWelcomeOfAnotherHistory(t *testing.T) {
	for name, hub := range map[string]func(*engineRig) *protocol.Welcome{
		"more events": func(r *engineRig) *protocol.Welcome {
			m := r.welcome(5)
			m.CursorSeq = 6
			return m
		},
		"another history": func(r *engineRig) *protocol.Welcome {
			m := r.welcome(3)
			m.CursorHash[0] ^= 1
			return m
		},
		"another last event": func(r *engineRig) *protocol.Welcome {
			m := r.welcome(5)
			m.CursorHash[0] ^= 1
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newEngineRig(t, 5, nil)
			r.dial()
			m := hub(r)
			r.take()
			r.hears(m)
			outs := r.take()
			if len(outs) != 1 || outs[0] != (uplink.Fork{Cause: ledger.CauseHub}) {
				t.Fatalf("it asked for %v, want a fork", outs)
			}
			r.step(uplink.Lost{})
			r.step(uplink.HubStarted{})
			r.step(uplink.Appended{})
			r.pass(time.Hour)
			if outs := r.take(); len(outs) > 0 {
				t.Errorf("after the fork it asked for %v", outs)
			}
		})
	}
}

func TestWelcomeThatDoesNotFitTheLog(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hub   func(*engineRig) *protocol.Welcome
		state uplink.State
		cause string
	}{
		{"cannot be compared", func(r *engineRig) *protocol.Welcome {
			m := r.welcome(3)
			r.log.failing = true
			return m
		}, uplink.Offline, string(uplink.CauseHubError)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newEngineRig(t, 5, nil)
			r.dial()
			m := tt.hub(r)
			r.take()
			r.hears(m)
			if l := r.engine.Link(); l.State != tt.state || l.Cause != tt.cause || l.Message == "" {
				t.Errorf("the link shows %+v, want %s because of %s with a message", l, tt.state, tt.cause)
			}
			r.pass(30*time.Second - time.Millisecond)
			if outs := r.take(); len(outs) > 0 {
				t.Errorf("it asked for %v within 30 s", outs)
			}
			r.log.failing = false
			r.pass(30*time.Second + time.Millisecond)
			if n := len(sent[*protocol.Hello](r.take())); n == 0 {
				t.Error("no Hello within the second half minute")
			}
		})
	}
}

// TestSafeFollowsTheWelcome: what an earlier hub had confirmed as safe is not
// safe at a hub that does not have it, and events may be trimmed by it.
func TestSafeFollowsTheWelcome(t *testing.T) {
	r := newEngineRig(t, 12, func(c *uplink.Config) { c.Acked, c.Safe = 10, 10 })
	if m := r.engine.Marks(); m.Acked != 10 || m.Safe != 10 {
		t.Errorf("remembered are %d and %d", m.Acked, m.Safe)
	}
	for _, tt := range []struct{ cursor, said, ack, safe protocol.Seq }{{4, 3, 4, 3}, {2, 9, 2, 2}, {0, 0, 0, 0}, {12, 12, 12, 12}} {
		r.dial()
		m := r.welcome(tt.cursor)
		m.Safe = tt.said
		r.hears(m)
		if m := r.engine.Marks(); m.Acked != tt.ack || m.Safe != tt.safe {
			t.Errorf("a hub with %d, safe %d, gives the marks %d and %d, want %d and %d", tt.cursor, tt.said, m.Acked, m.Safe, tt.ack, tt.safe)
		}
		r.step(uplink.Lost{})
	}
}

func TestDialsGoOnWhileNothingAnswers(t *testing.T) {
	for _, cause := range []uplink.DialCause{uplink.CauseNoRoute, uplink.CauseDNS, uplink.CauseRefused, uplink.CauseTimeout, uplink.CauseTLS, uplink.CauseHubError} {
		r := newEngineRig(t, 0, nil)
		dials := dialTimes(r, uplink.DialFailed{Cause: cause}, 5*time.Minute)
		for i := 1; i < len(dials); i++ {
			if gap := dials[i] - dials[i-1]; gap > 500*time.Millisecond || gap < 100*time.Millisecond {
				t.Fatalf("%s: dial %d came after %v", cause, i+1, gap)
			}
		}
		if len(dials) < 590 {
			t.Errorf("%s: %d dials in 5 minutes", cause, len(dials))
		}
	}
}

// dialTimes fails every dial alike and returns when they were made.
func dialTimes(r *engineRig, failed uplink.DialFailed, d time.Duration) []time.Duration {
	var dials []time.Duration
	for until := r.now + d; r.now < until; {
		r.take()
		r.step(uplink.Tick{})
		if len(asked[uplink.Connect](r.take())) > 0 {
			dials = append(dials, r.now)
			r.now += time.Millisecond
			r.step(failed)
		}
		r.now = max(r.engine.Next(), r.now+time.Millisecond)
	}
	return dials
}

func TestOnlyRefusalsBackOff(t *testing.T) {
	for _, cause := range []uplink.DialCause{uplink.CauseAuth, uplink.CauseHubError, uplink.CauseVersion} {
		r := newEngineRig(t, 0, nil)
		dials := dialTimes(r, uplink.DialFailed{Cause: cause, Refused: true}, 30*time.Minute)
		gaps := map[time.Duration]bool{}
		longest := time.Duration(0)
		for i := 1; i < len(dials); i++ {
			gap := dials[i] - dials[i-1]
			top := min(time.Second<<min(i-1, 7), 2*time.Minute) + 2*time.Millisecond
			if gap < 500*time.Millisecond || gap > top {
				t.Errorf("%s: dial %d came after %v, want 0.5 s to %v", cause, i+1, gap, top)
			}
			gaps[gap], longest = true, max(longest, gap)
		}
		if longest < 10*time.Second || len(gaps) < len(dials)/2 {
			t.Errorf("%s: %d dials in 30 minutes, at most %v apart, %d different waits", cause, len(dials), longest, len(gaps))
		}
		// Once nothing answers any more, the next answer is not waited for.
		dials = dialTimes(r, uplink.DialFailed{Cause: uplink.CauseRefused}, 3*time.Minute)
		for i := 2; i < len(dials); i++ {
			if gap := dials[i] - dials[i-1]; gap > 500*time.Millisecond {
				t.Fatalf("after refusals a dial came after %v", gap)
			}
		}
	}
}

func TestLinkTransitions(t *testing.T) {
	r := newEngineRig(t, 1, nil)
	since := map[uplink.State]time.Time{}
	shows := func(what string, state uplink.State, cause string, changed bool) {
		t.Helper()
		l := r.engine.Link()
		if l.State != state || l.Cause != cause {
			t.Errorf("%s: the link shows %+v, want %s %q", what, l, state, cause)
		}
		if changed {
			since[state] = r.wall()
		}
		if !l.Since.Equal(since[state]) {
			t.Errorf("%s: since %v, want %v", what, l.Since, since[state])
		}
		r.now += 7 * time.Second
	}
	r.step(uplink.Tick{})
	shows("first step", uplink.Connecting, "", true)
	r.step(uplink.DialFailed{Cause: uplink.CauseDNS})
	shows("no name", uplink.Offline, "dns", true)
	r.step(uplink.Tick{})
	r.step(uplink.DialFailed{Cause: uplink.CauseAuth, Refused: true})
	shows("another cause", uplink.Offline, "auth", false)
	r.pass(10 * time.Second)
	r.step(uplink.Dialed{})
	shows("connected", uplink.Offline, "auth", false)
	r.step(uplink.Tick{})
	shows("no answer", uplink.Offline, "timeout", false)
	r.hears(r.welcome(0))
	shows("welcome", uplink.Online, "", true)
	r.step(uplink.HubStarted{})
	shows("new hub", uplink.Connecting, "", true)
	r.hears(&protocol.Fence{Nonce: r.hello.Nonce, Reason: protocol.UnknownStore, Action: protocol.FenceRetry, RetryAfterMs: 2000, Message: "Import the store."})
	shows("unknown store", uplink.Unprovisioned, string(protocol.UnknownStore), true)
	r.step(uplink.Tick{})
	r.hears(&protocol.Fence{Nonce: r.hello.Nonce, Reason: protocol.VersionRefused, Action: protocol.FenceRetry, RetryAfterMs: 60_000, Message: "Update."})
	shows("version", uplink.Offline, "version", true)
	r.step(uplink.Lost{})
	shows("lost while refused", uplink.Offline, "version", false)
	r.dial()
	r.hears(r.welcome(1))
	shows("welcome again", uplink.Online, "", true)
	r.hears(&protocol.Fence{Session: engineSession, Reason: protocol.DuplicateIdentity, Action: protocol.FenceStop, Message: "Stop the copy."})
	shows("fenced", uplink.Fenced, string(protocol.DuplicateIdentity), true)
	r.take()
	r.pass(24 * time.Hour)
	if outs := r.take(); len(outs) > 0 {
		t.Errorf("told to stop, it asked for %v", outs)
	}
}

// TestUnknownPayloadsChangeNothing feeds what is no message of the hub.
func TestUnknownPayloadsChangeNothing(t *testing.T) {
	r := newEngineRig(t, 2, nil)
	r.open(1)
	before := r.engine.Link()
	for _, payload := range [][]byte{nil, {0xff}, bytes.Repeat([]byte{0x0a}, 100)} {
		r.take()
		r.step(uplink.Received{Payload: payload})
		if outs := r.take(); len(outs) > 0 || !reflect.DeepEqual(before, r.engine.Link()) {
			t.Errorf("payload %x: %v, %+v", payload, outs, r.engine.Link())
		}
	}
}
