package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// session is one agent's conversation. A new Hello replaces it, and messages
// of a replaced session are answered with a fence and change nothing (I16).
type session struct {
	id            protocol.Session
	origin        protocol.Origin
	bootID        uint64
	down          string // the agent's topic
	online        bool
	fenced        bool
	opened        time.Duration // running time of the Hello
	seen          time.Duration // running time of the last sign of life
	seenAt        time.Time
	lastSeq       protocol.Seq
	clockOffsetMs int64
	disk          string
	caughtUpAt    time.Time
	caughtEra     uint64 // of the clock that showed it
	cursor        protocol.Seq
	nackedWant    protocol.Seq
	// ownAfter and ownUpto bound the last stretch of the store's event feed
	// that holds nothing but this stream.
	ownAfter, ownUpto uint64
	feeds             map[protocol.FeedID]*follower
	boots             []bootSeen
	nonce             uint64
	welcome           *protocol.Welcome
	// carries are streams of others that the agent sends on their behalf.
	carries map[protocol.Inc]protocol.Origin
	// expects is up to where the hub lacks events that the agent holds.
	expects    map[protocol.Inc]protocol.Seq
	checkpoint checkpointing
	standing   standing
	// beats counts the Beats that were answered.
	beats int
	// safeNews says that safe was raised and told since the last Beat.
	safeNews bool
}

// bootSeen is a start of the agent's process and when it first said hello.
type bootSeen struct {
	id   uint64
	seen time.Duration
}

const (
	windowBatches      = 32
	alternationsMax    = 3
	alternationsWithin = 10 * time.Minute
	retryUnknownStore  = 2 * time.Second
	retryRefused       = 60 * time.Second
	hellosPerSecond    = 200
)

// hello opens a session or refuses it with the reason.
func (h *Hub) hello(ctx context.Context, t protocol.Topic, m *protocol.Hello) error {
	origin := protocol.Origin{Store: m.Store, Agent: m.Agent, Inc: m.Inc}
	if s := h.repeated(origin, m); s != nil {
		h.post(s.down, s.welcome)
		return nil
	}
	if err := h.compareEpochs(ctx, m, origin); err != nil {
		return err
	}
	stream, refusal, err := h.admit(ctx, t, m, origin)
	if err != nil {
		return err
	}
	if refusal != nil {
		refusal.Nonce = m.Nonce
		h.log.Warn("agent refused", "agent", t.Agent, "store", t.Store, "reason", refusal.Reason)
		h.markFenced(t, m, refusal)
		h.post(protocol.TopicDown(t.Store, t.Agent), refusal)
		return nil
	}
	now := h.now()
	row := agentRow{Agent: m.Agent, Store: m.Store, Inc: m.Inc.String(), Build: m.Build, Protocol: m.Version, SeenMs: now.UnixMilli()}
	if err := h.register(ctx, row, m.SeenEpoch > 0 && m.SeenEpoch != h.Epoch()); err != nil {
		return err
	}
	s := &session{
		nonce: m.Nonce, origin: origin, bootID: m.BootID, down: protocol.TopicDown(m.Store, m.Agent), online: true, opened: h.mono(), seen: h.mono(), seenAt: now,
		lastSeq: m.LastSeq, clockOffsetMs: m.Clock.WallMs - now.UnixMilli(), disk: m.DiskState, cursor: stream.Seq, feeds: map[protocol.FeedID]*follower{},
	}
	h.random(s.id[:])
	verdicts, err := h.verdicts(ctx, s, m)
	if err != nil {
		return err
	}
	wants, err := h.wants(ctx, s, m)
	if err != nil {
		return err
	}
	given, err := h.lacks(ctx, m, stream.Stream)
	if err != nil {
		return err
	}
	lookup := h.keyForLookups(ctx)
	h.mu.Lock()
	if old := h.sessionOf(m.Agent, m.Inc); old != nil {
		s.boots, s.caughtUpAt, s.caughtEra, s.standing = old.boots, old.caughtUpAt, old.caughtEra, old.standing
	}
	s.boots = appendBoot(s.boots, m.BootID, s.seen)
	s.expects = expects(m, wants, s.cursor)
	h.noteCaughtUp(s, now)
	h.brought(s, s.origin.Inc, s.cursor, false)
	h.setSession(s)
	s.welcome = &protocol.Welcome{
		Nonce: m.Nonce, Epoch: h.Epoch(), Session: s.id, HubTimeMs: now.UnixMilli(), CursorSeq: stream.Seq, CursorHash: stream.Head(),
		Safe: h.safety.safe(m.Inc, stream.Seq), Window: windowBatches, StartAfterMs: h.startAfter(now), Feeds: verdicts, Wants: wants, Checkpoint: given,
		LookupKey: lookup,
	}
	h.notify()
	h.mu.Unlock()
	h.post(s.down, s.welcome)
	return h.pumpAll(ctx, s)
}

// repeated finds the session that the same Hello opened already. It is answered
// with the same Welcome at next to no cost, so that agents which repeat their
// Hello to a slow hub do not make it slower still.
func (h *Hub) repeated(o protocol.Origin, m *protocol.Hello) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sessionOf(m.Agent, m.Inc)
	if s == nil || s.nonce != m.Nonce || s.bootID != m.BootID || s.origin != o || s.cursor != s.welcome.CursorSeq {
		return nil
	}
	return s
}

// admit decides whether a Hello may open a session.
func (h *Hub) admit(ctx context.Context, t protocol.Topic, m *protocol.Hello, origin protocol.Origin) (ledger.StreamInfo, *protocol.Fence, error) {
	info := ledger.StreamInfo{Origin: origin}
	if m.Version < protocol.VersionMin || m.Version > protocol.Version {
		return info, fence(protocol.VersionRefused, retryRefused, "This agent speaks protocol version %d, the hub %d to %d. The store sells on and nothing is lost. Update the agent or the hub.", m.Version, protocol.VersionMin, protocol.Version), nil
	}
	if m.Store != t.Store || m.Agent != t.Agent || m.Agent == protocol.HubAgent || m.Inc.IsZero() {
		return info, fence(protocol.Forbidden, retryRefused, "The hello names another agent than its topic. Nothing was taken. Check the agent's configuration."), nil
	}
	var store *protocol.StoreRecord
	var known []ledger.StreamInfo
	err := h.view(ctx, func(r ledger.Reader) (err error) {
		if store, err = ledger.ReadStore(r, m.Store); err != nil {
			return err
		}
		known, err = ledger.Streams(r, m.Store, m.Agent)
		return err
	})
	if err != nil {
		return info, nil, err
	}
	if store == nil {
		return info, fence(protocol.UnknownStore, retryUnknownStore, "The hub does not know store %s. Nothing is lost. Import the store at the hub, or correct --store.", m.Store), nil
	}
	for _, k := range known {
		if k.Origin.Inc == m.Inc {
			info.Stream = k.Stream
		}
	}
	return info, h.judge(m, info), nil
}

// judge decides whether the stream of a Hello may be written by who says it.
func (h *Hub) judge(m *protocol.Hello, info ledger.StreamInfo) *protocol.Fence {
	h.mu.Lock()
	defer h.mu.Unlock()
	row, old := h.agents[m.Agent], h.sessionOf(m.Agent, m.Inc)
	switch {
	case row != nil && row.Store != m.Store:
		return fence(protocol.DuplicateIdentity, retryRefused, "Agent %s belongs to store %s at the hub. This machine sells on and keeps what it sold. Give it an agent name of its own.", m.Agent, row.Store)
	case row != nil && m.ForkCause == "" && info.Seq == 0 && !row.writes(m.Inc):
		return fence(protocol.DuplicateIdentity, retryRefused, "Agent %s of store %s is registered with other data than this machine holds. Both keep what they sold. If that machine is lost, prepare this one with the command replace; else give it an agent name of its own.", m.Agent, m.Store)
	case m.LastSeq < info.Seq || m.LastSeq == info.Seq && m.LastHash != info.Head():
		return forked(m)
	case old != nil && alternations(old.boots, m.BootID, h.mono()) >= alternationsMax:
		h.addTwins(info.Origin, m.Inc)
		return forked(m)
	}
	return nil
}

// forked asks a machine whose log is not the one that the hub knows to go on in
// a new stream.
func forked(m *protocol.Hello) *protocol.Fence {
	f := fence(protocol.DuplicateIdentity, retryRefused, "The hub holds other events of agent %s than this machine does: it was restored, or its disk was copied. It sells on, and its log goes on as a new one. Nothing is lost.", m.Agent)
	f.Fork = true
	return f
}

// compareEpochs finds out that the database was replaced by an older copy: in
// what claims to be the same epoch, an agent was told that more of its events
// are held, has followed a feed further than it leads, or holds events of the
// hub's own that the hub has not.
func (h *Hub) compareEpochs(ctx context.Context, m *protocol.Hello, o protocol.Origin) error {
	older, seen := false, uint64(0)
	err := h.view(ctx, func(r ledger.Reader) error {
		older, seen = false, m.SeenEpoch
		if m.AckedSeq > 0 && m.SeenEpoch >= h.Epoch() {
			here, err := ledger.ReadStream(r, o)
			if err != nil {
				return err
			}
			older = m.SeenEpoch > h.Epoch() || m.AckedSeq > here.Seq
		}
		for _, head := range m.Streams[:min(len(m.Streams), streamsCarriedMax)] {
			own := protocol.Origin{Store: m.Store, Agent: head.Agent, Inc: head.Inc}
			if own.Agent != protocol.HubAgent || !h.ofThisEpoch(own) {
				continue
			}
			here, err := ledger.ReadStream(r, own)
			if err != nil {
				return err
			}
			older, seen = older || head.Seq > here.Seq, max(seen, h.Epoch())
		}
		for _, p := range m.Feeds {
			if p.Offset == 0 || p.Epoch < h.Epoch() || !mayFollow(o, p.Feed) {
				continue
			}
			head, err := ledger.FeedHead(r, p.Feed)
			if err != nil {
				return err
			}
			older = older || p.Epoch > h.Epoch() || p.Offset > head
			seen = max(seen, p.Epoch)
		}
		return nil
	})
	if err != nil || !older {
		return err
	}
	return h.renew(ctx, seen)
}

func fence(reason protocol.Code, retry time.Duration, format string, args ...any) *protocol.Fence {
	return &protocol.Fence{Reason: reason, Message: fmt.Sprintf(format, args...), Action: protocol.FenceRetry, RetryAfterMs: uint32(retry.Milliseconds())}
}

// appendBoot notes which start of the process speaks, the latest last.
func appendBoot(boots []bootSeen, id uint64, at time.Duration) []bootSeen {
	if len(boots) > 0 && boots[len(boots)-1].id == id {
		return boots
	}
	boots = append(boots, bootSeen{id, at})
	if len(boots) > 2*alternationsMax+2 {
		boots = boots[1:]
	}
	return boots
}

// alternations counts how often an earlier start of the process came back
// lately: a machine that is started anew never does, two machines with one
// identity do all the time.
func alternations(boots []bootSeen, next uint64, now time.Duration) int {
	n := 0
	seen := map[uint64]bool{}
	for _, b := range append(boots[:len(boots):len(boots)], bootSeen{next, now}) {
		if now-b.seen > alternationsWithin {
			continue
		}
		if seen[b.id] {
			n++
		}
		seen[b.id] = true
	}
	if len(boots) > 0 && boots[len(boots)-1].id == next {
		n--
	}
	return n
}

// markFenced shows a refused agent as fenced, unless another machine holds its
// session.
func (h *Hub) markFenced(t protocol.Topic, m *protocol.Hello, f *protocol.Fence) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessionOf(t.Agent, m.Inc); s != nil && s.bootID == m.BootID && f.Reason == protocol.DuplicateIdentity {
		s.fenced = true
		h.notify()
	}
}

// startAfter spreads agents that all come back at once; h.mu is held.
func (h *Hub) startAfter(now time.Time) uint32 {
	if second := now.Unix(); second != h.helloMs {
		h.helloMs, h.hellos = second, 0
	}
	h.hellos++
	return uint32(max(0, h.hellos-hellosPerSecond)) * 1000 / hellosPerSecond
}

// noteCaughtUp remembers when the hub had all that the agent told of; h.mu is
// held.
func (h *Hub) noteCaughtUp(s *session, now time.Time) {
	if s.cursor >= s.lastSeq {
		from, era := s.caughtUpAt, s.caughtEra
		if row := h.agents[s.origin.Agent]; from.IsZero() && row != nil && row.CaughtMs > 0 {
			from, era = time.UnixMilli(row.CaughtMs), row.ClockEra
		}
		if !from.IsZero() && era == h.clock.era {
			h.demand.ended(s.origin.Store, from, now)
		}
		s.caughtUpAt, s.caughtEra = now, h.clock.era
	}
}

var errStaleSession = errors.New("message of a session that is no longer open")

// alive finds the session that a message belongs to and notes the sign of
// life. h.mu is held.
func (h *Hub) alive(t protocol.Topic, id protocol.Session) (*session, error) {
	at := slices.IndexFunc(h.sessions[t.Agent], func(s *session) bool { return s.id == id && s.origin.Store == t.Store })
	if at < 0 {
		return nil, errStaleSession
	}
	s := h.sessions[t.Agent][at]
	h.noteTwin(s)
	if !s.online {
		s.online = true
		h.notify()
	}
	s.seen, s.seenAt = h.mono(), h.now()
	return s, nil
}

// rebuff tells an agent that its session is gone, so that it says hello.
func (h *Hub) rebuff(t protocol.Topic, id protocol.Session) {
	h.post(protocol.TopicDown(t.Store, t.Agent), &protocol.Fence{
		Session: id, Reason: protocol.Conflict, Action: protocol.FenceRetry,
		Message: "The hub no longer knows this session. Nothing is lost: the agent says hello and goes on.",
	})
}

// told are the feeds whose heads a Beat tells: those that the agent follows and
// those that it said hello with. It may have begun one anew and asked for what
// follows, and the asking may be lost; from the head it sees that it is behind.
func (s *session) told() (list []protocol.FeedID) {
	for f := range s.feeds {
		list = append(list, f)
	}
	for _, v := range s.welcome.Feeds {
		if s.feeds[v.Feed] == nil {
			list = append(list, v.Feed)
		}
	}
	return list
}

func (h *Hub) beat(ctx context.Context, t protocol.Topic, m *protocol.Beat) error {
	h.mu.Lock()
	s, err := h.alive(t, m.Session)
	if err != nil {
		h.mu.Unlock()
		h.rebuff(t, m.Session)
		return nil
	}
	s.lastSeq = max(s.lastSeq, m.LastSeq)
	s.clockOffsetMs, s.disk = m.ClockMs-s.seenAt.UnixMilli(), m.Disk
	h.noteCaughtUp(s, s.seenAt)
	feeds := s.told()
	tell := s.beats%othersSafeEvery == 0
	s.beats++
	h.notify()
	h.mu.Unlock()
	heads, err := h.heads(feeds)
	if err != nil {
		return err
	}
	answer := &protocol.Beat{Session: s.id, LastSeq: s.cursor, ClockMs: h.now().UnixMilli(), Feeds: heads}
	if tell {
		if answer.Safe, err = h.othersSafe(ctx, s.origin); err != nil {
			return err
		}
	}
	h.post(s.down, answer)
	return h.repeatSafe(ctx, s)
}

// status takes the retained status of an agent's topic: its last will tells at
// once that the connection is gone.
func (h *Hub) status(t protocol.Topic, payload []byte) {
	st, err := protocol.DecodeStatus(payload)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions[t.Agent] {
		if s.bootID == st.BootID && s.online && !st.Online {
			s.online = false
			h.notify()
		}
	}
}
