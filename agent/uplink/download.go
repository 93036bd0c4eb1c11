package uplink

import (
	"errors"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// feed is the way down for one feed. At most one Apply, Fetch or Reset of a
// feed is out at a time; Deltas that follow wait in their order.
type feed struct {
	cursor ledger.Cursor
	// head is the feed's end in the hub's present epoch as last heard, never an
	// offset of another epoch: a feed that is shorter there would be asked for
	// its end for ever. It is 0 until something was heard.
	head    uint64
	busy    uint64 // the Upto of the Apply that is out; 0 for none
	whole   bool   // a Fetch or Reset is out
	waiting []*protocol.Delta
	askedAt time.Duration
	// own says that the cursor in memory is ahead of the stored one, by events
	// that this agent wrote itself.
	own bool
	// from is where the hub says that a Reset may begin.
	from uint64
	// failures counts what speaks against the step that is being tried, faults
	// everything else that failed since something was applied.
	failures, faults int
	// tried says that a job of the feed was out since the process started.
	tried bool
	// healed is where the feed was when it was last begun anew because events
	// were missing; up to there that is not tried again.
	healed uint64
	// missed says that a Delta came that could not be kept, so that the hub
	// has to go back to the cursor.
	missed bool
	// resync says that the hub cannot go on from the cursor; it stands until a
	// Fetch or Reset has succeeded.
	resync bool
	// far says that the state of an event feed is to be fetched, since the way
	// over its events is long. It is tried once in a session.
	far bool
	// denied says that this session's Welcome has no word on the feed: the hub does
	// not know it, or this agent may not follow it.
	denied bool
}

func (f *feed) behind() bool { return f.resync || f.head > f.cursor.Offset || !f.cursor.Tail }

// asks tells whether the feed waits for something that can be asked for now.
func (e *Engine) asks(f *feed) bool {
	return f.behind() && f.busy == 0 && !f.whole && !f.denied && !e.paused()
}

// paused tells whether the disk has too little room for what comes down. What
// goes up is not held back: it needs none.
func (e *Engine) paused() bool {
	switch e.disk.State {
	case "low", "reserve", "full":
		return true
	}
	return false
}

// diskNow takes note of the disk. When a pause ends each feed is asked for what
// was not kept meanwhile.
func (e *Engine) diskNow(d Disk) {
	was := e.paused()
	e.disk = d
	if !was || e.paused() {
		return
	}
	for _, id := range e.order {
		if f := e.down[id]; e.asks(f) {
			f.missed = true
			e.ask(f)
		}
	}
}

func (f *feed) forget() { f.waiting = nil }

// FeedStatus is a feed as GET /v1/status shows it.
type FeedStatus struct {
	Feed   protocol.FeedID
	Epoch  uint64
	Offset uint64
	State  string // waiting, snapshot or tail
	Behind uint64
}

// Feeds lists the followed feeds in their order.
func (e *Engine) Feeds() []FeedStatus {
	list := make([]FeedStatus, 0, len(e.order))
	for _, id := range e.order {
		f := e.down[id]
		s := FeedStatus{Feed: id, Epoch: f.cursor.Epoch, Offset: f.cursor.Offset, State: "waiting", Behind: max(f.head, f.cursor.Offset) - f.cursor.Offset}
		switch {
		case f.whole:
			s.State = "snapshot"
		case f.cursor.Tail && !f.resync:
			s.State = "tail"
		}
		list = append(list, s)
	}
	return list
}

func (e *Engine) addFeed(c ledger.Cursor) {
	e.down[c.Feed] = &feed{cursor: c}
	e.order = append(e.order, c.Feed)
}

// follow adds feeds that the store record names now. A feed that is no longer
// named is still read; it costs little and ends with the process.
func (e *Engine) follow(list []ledger.Cursor) {
	for _, c := range list {
		if e.down[c.Feed] != nil {
			continue
		}
		e.addFeed(c)
		e.emit(Subscribe{c.Feed})
		if e.phase == phaseOpen {
			e.begin(e.down[c.Feed])
		}
	}
}

// begin asks for a feed of which this session's Welcome says nothing.
func (e *Engine) begin(f *feed) {
	if f.cursor.Offset == 0 {
		e.fetch(f)
		return
	}
	e.ask(f)
}

// verdicts takes the hub's word on the feeds that the Hello named; one without
// a verdict is one that this agent may not follow. A feed that is followed since
// the Hello is begun, since the hub does not know of it.
func (e *Engine) verdicts(list []protocol.FeedVerdict) {
	told := map[protocol.FeedID]bool{}
	for _, v := range list {
		told[v.Feed] = true
		e.verdict(v)
	}
	for i, id := range e.order {
		e.down[id].denied = i < e.named && !told[id]
		if i >= e.named && !told[id] {
			e.begin(e.down[id])
		}
	}
}

func (e *Engine) verdict(v protocol.FeedVerdict) {
	f := e.down[v.Feed]
	if f == nil {
		return
	}
	f.head = v.Head
	f.askedAt = e.now.Mono
	f.resync, f.from = v.Verdict == protocol.VerdictResync, v.From
	f.far = e.far(f)
	if f.resync || f.far {
		e.fetch(f)
	}
}

// far tells whether the store's event feed is so long from where it would be
// gone on with that the state it has made is the shorter way.
func (e *Engine) far(f *feed) bool {
	if e.cfg.StateBehind == 0 || f.cursor.Feed != protocol.PeerFeed(e.cfg.Origin.Store) {
		return false
	}
	from := f.cursor.Offset
	if f.resync {
		from = f.from
	}
	return f.head-min(f.head, from) > e.cfg.StateBehind
}

// fetch begins a feed anew: a state feed with its snapshot, the store's event
// feed with the state that it made where it is far ahead, else from its start,
// since events that are known already are skipped.
func (e *Engine) fetch(f *feed) {
	if f.whole || f.busy > 0 {
		return
	}
	if e.paused() {
		f.resync = true
		return
	}
	f.whole, f.own, f.waiting, f.askedAt = true, false, nil, e.now.Mono
	if f.cursor.Feed == protocol.PeerFeed(e.cfg.Origin.Store) && !f.far {
		e.emit(Reset{Feed: f.cursor.Feed, Epoch: e.epoch, Offset: f.from})
		return
	}
	e.emit(Fetch{Tried: f.try(), Feed: f.cursor.Feed})
}

// try says what is known of the job that goes out now.
func (f *feed) try() Tried {
	t := Tried{First: !f.tried, Failures: f.failures}
	f.tried = true
	return t
}

// ask states the cursor; the hub sends what follows.
func (e *Engine) ask(f *feed) {
	if e.phase != phaseOpen || f.whole || e.paused() {
		return
	}
	if f.resync || f.far || f.cursor.Offset > 0 && f.cursor.Epoch != e.epoch {
		// A cursor of another epoch means nothing here.
		e.fetch(f)
		return
	}
	f.askedAt = e.now.Mono
	e.emit(Send{&protocol.Dack{Session: e.session, Feed: f.cursor.Feed, Epoch: e.epoch, Offset: f.cursor.Offset, Credit: deltaCredit, Again: f.missed}})
	f.missed = false
}

func (e *Engine) delta(m *protocol.Delta) {
	f := e.down[m.Feed]
	if f == nil || e.phase != phaseOpen || m.Epoch != e.epoch || f.whole || f.resync {
		return
	}
	if m.Session != (protocol.Session{}) {
		if m.Session != e.session {
			return
		}
		e.heard = e.now.Mono
	}
	f.head = max(f.head, m.Upto)
	if e.paused() {
		f.missed = true
		return
	}
	reached := f.cursor.Offset
	if f.busy > 0 {
		reached = f.busy
	}
	if n := len(f.waiting); n > 0 {
		reached = f.waiting[n-1].Upto
	}
	switch {
	case m.Upto < reached || m.Upto == reached && f.cursor.Tail:
		return
	case m.After > reached, len(f.waiting) >= deltasWaiting:
		f.missed = true
		if f.busy == 0 && len(f.waiting) == 0 && e.now.Mono-f.askedAt >= askEvery/3 {
			e.ask(f)
		}
		return
	}
	f.waiting = append(f.waiting, m)
	e.applyNext(f)
}

func (e *Engine) applyNext(f *feed) {
	if e.paused() && len(f.waiting) > 0 {
		f.waiting, f.missed = nil, true
	}
	if f.busy > 0 || f.whole || len(f.waiting) == 0 {
		return
	}
	d := f.waiting[0]
	f.waiting = f.waiting[1:]
	f.busy = max(d.Upto, 1)
	out := Apply{Tried: f.try(), Delta: d, Head: f.head}
	if f.own {
		pos := f.cursor.FeedPos
		out.Own, f.own = &pos, false
	}
	e.emit(out)
}

// deltaCredit is how many Deltas may be on the way to this agent.
const deltaCredit = 4

const (
	// failuresMax is how often a feed may fail before something else is tried:
	// to begin it anew, or to set aside what fails (I18).
	failuresMax = 3
	// fetchWaitMax bounds the wait after a snapshot that failed again and again.
	fetchWaitMax = 5 * time.Minute
)

func (e *Engine) applied(in Applied) {
	f := e.down[in.Feed]
	if f == nil {
		return
	}
	if in.Aside > 0 {
		e.cfg.Log.Error("parts of a feed cannot be applied and were set aside", "feed", in.Feed, "parts", in.Aside)
	}
	if in.Err != nil {
		e.applyFailed(f, in)
		return
	}
	targeted := f.whole
	f.busy, f.whole = 0, false
	if targeted {
		f.resync, f.from, f.far = false, 0, false
	}
	f.cursor, f.failures, f.faults = in.Cursor, 0, 0
	if f.cursor.Epoch == e.epoch {
		f.head = max(f.head, f.cursor.Offset)
	}
	e.applyNext(f)
	if targeted || f.behind() && (f.busy == 0 || !f.missed && len(f.waiting) < deltasWaiting/2) {
		e.ask(f)
	}
}

// applyFailed decides how a feed goes on. A step that fails is tried again, and
// the third failure lets the next try set aside what is wrong in it. Before
// that events that are missing are fetched once, from as far back as needed.
func (e *Engine) applyFailed(f *feed, in Applied) {
	upto, whole, far := f.busy, f.whole, f.far
	f.busy, f.whole, f.waiting, f.askedAt, f.far = 0, false, nil, e.now.Mono, false
	var poison *stepError
	switch {
	case far && whole:
		// The events themselves are a way that always leads there.
		e.cfg.Log.Warn("the store's state cannot be fetched; its events are", "error", in.Err)
		f.missed = true
		e.ask(f)
		return
	case errors.Is(in.Err, ledger.ErrFeedGap):
		// After any other error the cursor may be one that was not committed.
		f.cursor = in.Cursor
		f.faults++
		f.resync = f.resync || f.faults%failuresMax == 0
		return
	case errors.As(in.Err, &poison):
		f.failures++
		var gap *ledger.GapError
		if errors.As(in.Err, &gap) && f.failures >= failuresMax && f.cursor.Offset >= f.healed {
			f.resync, f.from, f.healed = true, 0, upto
		}
		f.resync = f.resync || f.failures%(2*failuresMax) == 0
	default:
		f.faults++
		if wait := f.faults - failuresMax - 3; whole && wait >= 0 {
			f.askedAt += min(askEvery<<min(wait, 10), fetchWaitMax)
		}
	}
	e.cfg.Log.Error("feed cannot be applied", "feed", in.Feed, "failures", f.failures+f.faults, "error", in.Err)
}

// ownEvents moves the cursor of the store's event feed over events that this
// agent wrote itself, so that they need not come down again.
func (e *Engine) ownEvents(r *protocol.OwnRun) {
	f := e.down[r.Feed]
	if f == nil || r.Epoch != e.epoch || f.resync || f.cursor.Offset > 0 && f.cursor.Epoch != r.Epoch {
		return
	}
	f.head = max(f.head, r.Upto)
	if f.busy > 0 || f.whole || len(f.waiting) > 0 || !f.cursor.Tail || f.cursor.Offset < r.After || f.cursor.Offset >= r.Upto {
		return
	}
	f.cursor.Offset, f.cursor.Epoch, f.own = r.Upto, r.Epoch, true
}
