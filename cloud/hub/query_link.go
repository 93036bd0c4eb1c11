package hub

import (
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// The states of a connection.
const (
	linkOnline  = "online"
	linkOffline = "offline"
	linkNever   = "never"
	linkFenced  = "fenced"
)

// The ages of what the hub knows of a store.
const (
	freshLive   = "live"
	freshRecent = "recent"
	freshStale  = "stale"
	freshNever  = "never"

	liveWithin   = 15 * time.Second
	recentWithin = 15 * time.Minute
)

// linkRanks are the states in their order: that of a store is the best of its
// machines'.
var linkRanks = [...]string{linkNever, linkOffline, linkFenced, linkOnline}

// connections is what is known of agents at one moment.
type connections struct {
	now    time.Time
	agents map[protocol.AgentID]Presence
	clock  clock
}

func (h *Hub) connections() connections {
	c := h.noConnections()
	c.agents = h.presence()
	return c
}

// connectionsOf is what is known of the agents of one store.
func (h *Hub) connectionsOf(store protocol.StoreID) connections {
	c := h.noConnections()
	h.turnTo(&c, store)
	return c
}

// turnTo replaces the agents that are known by those of one store. The moment
// stays, so that whoever looks at many stores sees them at one.
func (h *Hub) turnTo(c *connections, store protocol.StoreID) {
	if c.agents == nil {
		c.agents = map[protocol.AgentID]Presence{}
	}
	clear(c.agents)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range h.members[store] {
		c.agents[id] = h.presenceOf(h.agents[id])
	}
}

func (h *Hub) noConnections() connections {
	h.mu.Lock()
	defer h.mu.Unlock()
	return connections{now: h.now(), clock: h.clock}
}

// storeState is what is known of a store's connection.
type storeState struct {
	link     string
	lastSeen time.Time // zero: never
	waiting  uint64
	asOf     time.Time // the hub had everything then; zero: never
}

// store puts together the agents of a store. streams are those of the store.
func (c *connections) store(record *protocol.StoreRecord, streams []ledger.StreamInfo) storeState {
	state := storeState{link: linkNever}
	best := 0
	for id, p := range c.agents {
		if p.Store != record.ID {
			continue
		}
		if p.LastSeen.After(state.lastSeen) {
			state.lastSeen = p.LastSeen
		}
		if rank := slices.Index(linkRanks[:], p.Link); rank > best {
			best, state.link = rank, p.Link
		}
		state.waiting += c.pending(id, streams)
	}
	if p, ok := c.agents[record.Primary]; ok && p.Store == record.ID {
		state.link = p.Link
	}
	state.asOf = c.asOf(record.ID, streams)
	return state
}

// pending is how many events of an agent the hub does not have yet, as far as
// the agent told: 0 where it told nothing since the hub started.
func (c *connections) pending(agent protocol.AgentID, streams []ledger.StreamInfo) uint64 {
	p := c.agents[agent]
	told := p.LastSeq
	if told == 0 {
		return 0
	}
	for i := range streams {
		if s := &streams[i]; s.Origin.Agent == agent && s.Origin.Inc.String() == p.inc {
			return uint64(told - min(told, s.Seq))
		}
	}
	return uint64(told)
}

// asOf is the moment up to which the hub had everything of every machine and
// every open stream of the store: a dark till does not hide behind a live one.
func (c *connections) asOf(store protocol.StoreID, streams []ledger.StreamInfo) (at time.Time) {
	for _, id := range c.machines(store, streams) {
		caught := c.agents[id].CaughtUpAt
		if caught.IsZero() {
			return time.Time{}
		}
		if at.IsZero() || caught.Before(at) {
			at = caught
		}
	}
	return at
}

// machines are the agents of a store that may be selling: those that ever said
// hello for it, and the writers of its open streams. One may be named twice.
func (c *connections) machines(store protocol.StoreID, streams []ledger.StreamInfo) []protocol.AgentID {
	var machines []protocol.AgentID
	for id, p := range c.agents {
		if p.Store == store {
			machines = append(machines, id)
		}
	}
	for _, s := range streams {
		if s.Origin.Agent != protocol.HubAgent && !s.Closed {
			machines = append(machines, s.Origin.Agent)
		}
	}
	return machines
}

// freshness is how old what was known at a moment is, in seconds and in a word.
func (c *connections) freshness(at time.Time) (ageS *int64, word string) {
	if at.IsZero() {
		return nil, freshNever
	}
	age := max(0, c.now.Sub(at))
	seconds := int64(age / time.Second)
	switch {
	case age <= liveWithin:
		return &seconds, freshLive
	case age <= recentWithin:
		return &seconds, freshRecent
	}
	return &seconds, freshStale
}

// timeText writes a moment, null where there is none.
func timeText(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.Format(protocol.TimeLayout)
	return &s
}

// orNull is null for empty text.
func orNull[T ~string](s T) *string {
	if s == "" {
		return nil
	}
	text := string(s)
	return &text
}
