// Package uplink carries an agent's events to the hub and the hub's feeds to
// the agent.
//
// The engine is a pure state machine: inputs and the time go in, outputs come
// out. Its adapters, in run.go, mqtt.go and snapshot.go, own the sockets and
// the goroutines. The broker between is a lossy wire: nothing counts as
// delivered before the hub has acknowledged it after its commit.
package uplink

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Instant is the time of a step: running time for every deadline, wall time
// only to be told.
type Instant struct {
	Mono time.Duration
	Wall time.Time
}

// Outbox is what the agent holds that may have to go up: its own log, and the
// store's other streams as they came down.
type Outbox interface {
	// Head is the own log's last event's number and hash.
	Head() (protocol.Seq, protocol.Hash, error)
	// Trimmed is up to where the own log was deleted, and what the deleted
	// events had added to the levels.
	Trimmed() (ledger.Trimmed, error)
	Sums() ([]protocol.Move, error)
	// Others lists the heads of the store's other streams.
	Others() ([]protocol.StreamHead, error)
	// Read returns a stream's events from first on, about one frame's worth and
	// at least one, and the hash before the first of them.
	Read(o protocol.Origin, first protocol.Seq) ([]protocol.Record, protocol.Hash, error)
}

// Config is what an engine is made of.
type Config struct {
	Origin protocol.Origin
	Build  string
	BootID uint64
	Outbox Outbox
	// Parent and Cause say where the stream came from, if it is not the first.
	Parent protocol.StreamPos
	Cause  ledger.ForkCause
	// Acked and Safe are as remembered from earlier runs, and AckedEpoch is the
	// hub's epoch in which Acked was told.
	Acked, Safe protocol.Seq
	AckedEpoch  uint64
	// Follow are the feeds with their cursors as stored.
	Follow []ledger.Cursor
	// StateBehind is how many events the store's event feed may be ahead before
	// the state that it made is fetched instead; 0 is never.
	StateBehind uint64
	// Keys are the keys of members whom events enrol, which go up beside them; nil
	// for none.
	Keys func([]protocol.Record) ([]protocol.MemberKey, error)
	Rand *rand.Rand
	Log  *slog.Logger
}

// State is where the link to the hub stands.
type State string

// The states, as GET /v1/status shows them.
const (
	Online        State = "online"
	Connecting    State = "connecting"
	Offline       State = "offline"
	Fenced        State = "fenced"
	Unprovisioned State = "unprovisioned"
)

// Inputs of a step.
type (
	// Tick lets time pass.
	Tick struct{}
	// Dialed tells that the connection is up and subscribed.
	Dialed struct{}
	// DialFailed tells why there is no connection, and whether a hub or broker
	// that is there refused it.
	DialFailed struct {
		Cause   DialCause
		Refused bool
	}
	// Lost tells that the connection is gone.
	Lost struct{}
	// Received is a payload from the hub.
	Received struct{ Payload []byte }
	// HubStarted tells that the hub came to the broker anew: it no longer knows
	// our session.
	HubStarted struct{}
	// Appended tells that the log has grown.
	Appended struct{}
	// Applied answers an Apply, Fetch or Reset with the feed's cursor as it now
	// is. Aside is how many parts of it were set aside.
	Applied struct {
		Feed   protocol.FeedID
		Cursor ledger.Cursor
		Aside  int
		Err    error
	}
	// Follow names the feeds to follow, after the store record changed.
	Follow struct{ Feeds []ledger.Cursor }
	// Disk reports the state of the disk, for Hello and Beat.
	Disk struct {
		State string
		Free  uint64
	}
)

// Outputs of a step.
type (
	// Connect asks for a new connection; Dialed or DialFailed answers.
	Connect struct{}
	// Hangup ends the connection; no Lost follows.
	Hangup struct{}
	// Send is a message for the agent's up topic.
	Send struct{ Message protocol.Message }
	// Subscribe asks for one more feed topic.
	Subscribe struct{ Feed protocol.FeedID }
	// Apply asks to apply a Delta; Applied answers. Own, when set, is the
	// cursor to store before: the feed up to there is this agent's own events.
	Apply struct {
		Tried
		Delta *protocol.Delta
		Head  uint64
		Own   *protocol.FeedPos
	}
	// Fetch asks for a feed's snapshot; Applied answers.
	Fetch struct {
		Tried
		Feed protocol.FeedID
	}
	// Lookup is the chain's key under which members are looked up, to be kept.
	Lookup struct{ Key protocol.LookupKey }
	// Fork asks to begin a new stream, because the hub holds other events of
	// this one. The engine does nothing more: the new stream has one of its own.
	Fork struct{ Cause ledger.ForkCause }
	// Reset asks to set an event feed's cursor back, to where the hub says that
	// everything is here; Applied answers.
	Reset struct {
		Feed   protocol.FeedID
		Epoch  uint64
		Offset uint64
	}
)

// Timers. Dials are at most dialEvery apart while nothing answers; only a
// refusal backs off.
const (
	dialEvery     = 500 * time.Millisecond
	helloTimeout  = 3 * time.Second  // before the second Hello; each further wait is twice as long
	helloWaitMax  = 60 * time.Second // and at most this
	beatEvery     = 10 * time.Second
	beatTimeout   = 4 * time.Second
	ackTimeout    = 5 * time.Second
	askEvery      = 3 * time.Second
	backoffMin    = time.Second
	backoffMax    = 120 * time.Second
	hellosMax     = 8 // unanswered, then the connection is made anew
	deltasWaiting = 16
)

type phase int

const (
	phaseDown    phase = iota // no connection; dialAt says when to try
	phaseDialing              // a Connect is out
	phaseHello                // connected, waiting for a Welcome
	phaseWaiting              // connected and refused; helloAt says when to ask again
	phaseOpen                 // in session
	phaseForked               // a Fork is out; nothing more is done
)

// Engine is not safe for concurrent use.
type Engine struct {
	cfg   Config
	phase phase
	now   Instant
	out   []any

	link      LinkStatus
	dialAt    time.Duration
	helloAt   time.Duration
	helloSent time.Duration
	helloWait time.Duration
	hellos    int
	refusals  int
	nonce     uint64

	session  protocol.Session
	epoch    uint64
	beatAt   time.Duration
	beatSent time.Duration // 0: answered
	heard    time.Duration
	disk     Disk
	offsetMs int64 // our clock less the hub's

	// othersSafe is what the hub told in this session of the store's other
	// streams.
	othersSafe []protocol.StreamHead
	// ackedHigh is the highest acknowledgement in ackedEpoch.
	ackedHigh  protocol.Seq
	ackedEpoch uint64

	up    upload
	gap   gap
	carry []*carried
	down  map[protocol.FeedID]*feed
	// order lists the feeds in the order in which they are followed; the first
	// Hello with the present nonce named so many of them.
	order []protocol.FeedID
	named int
}

// LinkStatus is where the link stands, why, and since when.
type LinkStatus struct {
	State   State
	Cause   string // empty when online
	Since   time.Time
	Message string // for staff, where the hub gave one
}

// New makes an engine that dials at its first step.
func New(c Config) *Engine {
	e := &Engine{cfg: c, down: map[protocol.FeedID]*feed{}, link: LinkStatus{State: Connecting}, disk: Disk{State: "ok"}}
	e.up.acked, e.up.safe, e.up.sent = c.Acked, c.Safe, c.Acked
	e.ackedHigh, e.ackedEpoch = c.Acked, c.AckedEpoch
	for _, cur := range c.Follow {
		e.addFeed(cur)
	}
	return e
}

// Step takes one input and returns what is to be done, in order.
func (e *Engine) Step(now Instant, in any) []any {
	e.now, e.out = now, nil
	if e.link.Since.IsZero() {
		e.link.Since = now.Wall
	}
	switch in := in.(type) {
	case Dialed:
		e.hellos, e.phase = 0, phaseHello
		e.hello()
	case DialFailed:
		e.dialFailed(in)
	case Lost:
		e.lost("")
	case Received:
		e.received(in.Payload)
	case HubStarted:
		if e.phase == phaseOpen || e.phase == phaseHello {
			e.hellos = 0
			e.hello()
		}
	case Applied:
		e.applied(in)
	case Follow:
		e.follow(in.Feeds)
	case Disk:
		e.diskNow(in)
	}
	e.timers()
	e.pump()
	e.pumpCarried()
	return e.out
}

// Next is the running time of the engine's next deadline; a Tick is due then.
func (e *Engine) Next() time.Duration {
	switch e.phase {
	case phaseDown:
		return e.dialAt
	case phaseHello:
		return e.helloSent + e.helloWait
	case phaseWaiting:
		return e.helloAt
	case phaseOpen:
		next := e.beatAt
		if e.beatSent > 0 {
			next = min(next, max(e.beatSent, e.heard)+beatTimeout)
		}
		if len(e.up.flight) > 0 {
			next = min(next, max(e.up.progressAt+e.up.ackWait, e.up.retryAt))
		}
		if e.up.startAt > e.now.Mono {
			next = min(next, e.up.startAt)
		}
		if e.up.retryAt > e.now.Mono {
			next = min(next, e.up.retryAt)
		}
		for _, id := range e.order {
			if f := e.down[id]; e.asks(f) {
				next = min(next, f.askedAt+askEvery)
			}
		}
		if len(e.carry) > 0 {
			next = min(next, e.carry[0].retryAt())
		}
		if e.gap.open && e.gap.given {
			next = min(next, e.gap.tellAt)
		}
		return next
	}
	return e.now.Mono + time.Hour
}

func (e *Engine) emit(out any) { e.out = append(e.out, out) }

func (e *Engine) setLink(state State, cause, message string) {
	since := e.link.Since
	if e.link.State != state {
		since = e.now.Wall
	}
	e.link = LinkStatus{State: state, Cause: cause, Since: since, Message: message}
}

func (e *Engine) timers() {
	now := e.now.Mono
	switch e.phase {
	case phaseDown:
		if now >= e.dialAt {
			e.phase, e.dialAt = phaseDialing, now+dialEvery
			e.emit(Connect{})
		}
	case phaseHello:
		if now-e.helloSent >= e.helloWait {
			if e.hellos >= hellosMax {
				e.emit(Hangup{})
				e.lost("timeout")
				return
			}
			e.setLink(Offline, "timeout", "")
			e.hello()
		}
	case phaseWaiting:
		if now >= e.helloAt {
			e.hellos = 0
			e.hello()
		}
	case phaseOpen:
		e.openTimers(now)
	}
}

func (e *Engine) openTimers(now time.Duration) {
	if e.beatSent > 0 && now-max(e.beatSent, e.heard) >= beatTimeout {
		// The hub is silent: whatever was sent may be lost.
		e.setLink(Offline, "timeout", "")
		e.hellos = 0
		e.hello()
		return
	}
	if now >= e.beatAt {
		e.beat()
	}
	for _, id := range e.order {
		if f := e.down[id]; e.asks(f) && now-f.askedAt >= askEvery {
			f.missed = true
			e.ask(f)
		}
	}
}

func (e *Engine) dialFailed(in DialFailed) {
	e.phase = phaseDown
	e.setLink(Offline, string(in.Cause), "")
	if !in.Refused {
		e.refusals = 0
		return
	}
	e.dialAt = e.now.Mono + e.backoff(backoffMin)
}

// lost forgets the session. The next dial is due at once, if the last one is
// long enough ago.
func (e *Engine) lost(cause string) {
	if e.phase == phaseForked {
		return
	}
	e.phase, e.carry = phaseDown, nil
	e.up.forget()
	for _, f := range e.down {
		f.forget()
	}
	e.beatSent = 0
	switch {
	case cause != "":
		e.setLink(Offline, cause, "")
	case e.link.State != Offline:
		// Nothing is known yet but that the other side is gone; the next dial
		// tells more.
		e.setLink(Offline, string(CauseRefused), "")
	}
}

// backoff is full jitter over a doubling range that starts at least.
func (e *Engine) backoff(least time.Duration) time.Duration {
	top := min(backoffMax, max(backoffMin, least)<<min(e.refusals, 7))
	e.refusals++
	return least/2 + time.Duration(e.cfg.Rand.Int64N(int64(max(top-least/2, 1))))
}

func (e *Engine) hello() {
	e.phase = phaseHello
	if e.hellos == 0 {
		// A repeated Hello keeps its nonce, so that a slow hub's answer to the
		// first is still an answer.
		e.nonce, e.named = e.cfg.Rand.Uint64(), len(e.order)
	}
	e.helloSent, e.helloWait = e.now.Mono, min(helloTimeout<<e.hellos, helloWaitMax)
	e.helloWait += time.Duration(e.cfg.Rand.Int64N(int64(e.helloWait / 4)))
	e.hellos++
	e.carry = nil
	e.up.forget()
	m, err := e.helloMessage()
	if err != nil {
		e.cfg.Log.Error("log cannot be read", "error", err)
		return
	}
	if e.link.State == Online {
		e.setLink(Connecting, "", "")
	}
	for _, id := range e.order {
		f := e.down[id]
		f.forget()
		m.Feeds = append(m.Feeds, f.cursor.FeedPos)
	}
	e.emit(Send{m})
}

// helloMessage says what this machine holds.
func (e *Engine) helloMessage() (*protocol.Hello, error) {
	seq, hash, err := e.cfg.Outbox.Head()
	if err != nil {
		return nil, err
	}
	trimmed, err := e.cfg.Outbox.Trimmed()
	if err != nil {
		return nil, err
	}
	others, err := e.cfg.Outbox.Others()
	if err != nil {
		return nil, err
	}
	m := &protocol.Hello{
		Version: protocol.Version, Build: e.cfg.Build, Nonce: e.nonce, Store: e.cfg.Origin.Store, Agent: e.cfg.Origin.Agent, Inc: e.cfg.Origin.Inc,
		BootID: e.cfg.BootID, LastSeq: seq, LastHash: hash, BaseSeq: trimmed.Seq + 1, SafeSeen: e.up.safe, ForkCause: string(e.cfg.Cause),
		Clock: protocol.Clock{WallMs: e.now.Wall.UnixMilli(), MonoMs: e.now.Mono.Milliseconds()}, DiskState: e.disk.State, DiskFree: e.disk.Free,
		Streams: others, SeenEpoch: e.ackedEpoch, AckedSeq: e.ackedHigh,
	}
	if !e.cfg.Parent.Inc.IsZero() {
		parent := e.cfg.Parent
		m.Parent = &parent
	}
	return m, nil
}

func (e *Engine) beat() {
	e.beatAt = e.now.Mono + beatEvery
	seq, hash, err := e.cfg.Outbox.Head()
	if err != nil {
		e.cfg.Log.Error("log cannot be read", "error", err)
		return
	}
	e.beatSent = max(e.now.Mono, 1)
	e.emit(Send{&protocol.Beat{Session: e.session, LastSeq: seq, LastHash: hash, ClockMs: e.now.Wall.UnixMilli(), Disk: e.disk.State}})
}

func (e *Engine) received(payload []byte) {
	m, err := protocol.DecodeMessage(payload)
	if err != nil {
		e.cfg.Log.Warn("payload cannot be read", "error", err)
		return
	}
	switch m := m.(type) {
	case *protocol.Welcome:
		e.welcome(m)
	case *protocol.Fence:
		e.fence(m)
	case *protocol.Delta:
		e.delta(m)
	default:
		if e.phase == phaseOpen {
			e.inSession(m)
		}
	}
}

// inSession handles what belongs to the open session and ignores the rest.
func (e *Engine) inSession(m protocol.Message) {
	switch m := m.(type) {
	case *protocol.Ack:
		if m.Session != e.session {
			return
		}
		e.heard = e.now.Mono
		if m.Inc == e.cfg.Origin.Inc {
			e.ack(m)
		} else {
			e.carriedAck(m)
		}
	case *protocol.Nack:
		if m.Session != e.session {
			return
		}
		e.heard = e.now.Mono
		if m.Inc == e.cfg.Origin.Inc {
			if m.Reason == protocol.NackFrame {
				e.up.unread()
			}
			e.up.goBack(m.Want)
		} else {
			e.carriedNack(m)
		}
	case *protocol.Beat:
		if m.Session == e.session {
			e.heard, e.beatSent = e.now.Mono, 0
			e.offsetMs = e.now.Wall.UnixMilli() - m.ClockMs
			if len(m.Safe) > 0 {
				e.othersSafe = m.Safe
			}
			for _, p := range m.Feeds {
				if f := e.down[p.Feed]; f != nil && p.Epoch == e.epoch {
					f.head = max(f.head, p.Offset)
				}
			}
		}
	}
}

// Link is where the link stands.
func (e *Engine) Link() LinkStatus { return e.link }

// ClockOffset is how far this machine's clock is ahead of the hub's.
func (e *Engine) ClockOffset() time.Duration { return time.Duration(e.offsetMs) * time.Millisecond }

// HubHeard tells whether the hub told its time since the process started.
func (e *Engine) HubHeard() bool { return e.heard > 0 }

// Heard is the running time at which the hub was last heard; 0 for never.
func (e *Engine) Heard() time.Duration { return e.heard }

// OthersSafe is up to where the store's other streams are safe at the hub, as it
// told in this session. What it told before may be of another database.
func (e *Engine) OthersSafe() []protocol.StreamHead { return e.othersSafe }

// Marks is what the hub has said of the own stream, to be remembered.
type Marks struct {
	Acked, Safe protocol.Seq
	AckedEpoch  uint64 // the hub's epoch in which Acked was told
}

// Marks is what the hub has said of the own stream.
func (e *Engine) Marks() Marks {
	return Marks{Acked: e.up.acked, Safe: e.up.safe, AckedEpoch: e.ackedEpoch}
}
