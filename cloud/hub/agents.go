package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// agentRow is what the hub remembers of an agent between its sessions. It is
// bookkeeping of the connection, not of the shop, and so not an event.
type agentRow struct {
	Agent    protocol.AgentID `json:"agent"`
	Store    protocol.StoreID `json:"store"`
	Inc      string           `json:"inc"`               // the stream that it writes
	Earlier  []string         `json:"earlier,omitempty"` // streams that it wrote before
	Build    string           `json:"build"`
	Protocol uint32           `json:"protocol"`
	SeenMs   int64            `json:"seen_ms"`
	CaughtMs int64            `json:"caught_ms"`           // when the hub last had all that the agent told of; 0: never
	ClockEra uint64           `json:"clock_era,omitempty"` // of the clock that said so
	Told     uint64           `json:"told,omitempty"`      // the epoch in which it last told all that it holds
}

// writes tells whether a stream is known to be the agent's; no event of it need
// have come.
func (row *agentRow) writes(inc protocol.Inc) bool {
	return row.Inc == inc.String() || slices.Contains(row.Earlier, inc.String())
}

// offlineAfter is how long an agent may be silent before it counts as offline:
// two and a half beats.
const offlineAfter = 25 * time.Second

// Presence is what the hub knows of an agent's connection.
type Presence struct {
	Agent         protocol.AgentID
	Store         protocol.StoreID
	Build         string
	Protocol      uint32
	Link          string       // online, offline, never or fenced
	LastSeen      time.Time    // zero: never
	LastSeq       protocol.Seq // as the agent reported
	ClockOffsetMs int64
	Disk          string
	// CaughtUpAt is when the hub's cursor last equalled what the agent
	// reported; zero means never. It survives a restart of the hub.
	CaughtUpAt time.Time
	era        uint64 // of the clock that showed CaughtUpAt
	inc        string // the stream that LastSeq is of
}

// presence lists every agent that ever said hello.
func (h *Hub) presence() map[protocol.AgentID]Presence {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make(map[protocol.AgentID]Presence, len(h.agents))
	for id, row := range h.agents {
		all[id] = h.presenceOf(row)
	}
	return all
}

// presenceOf is what the hub knows of one agent's connection; h.mu is held.
func (h *Hub) presenceOf(row *agentRow) Presence {
	id := row.Agent
	p := Presence{Agent: id, Store: row.Store, Build: row.Build, Protocol: row.Protocol, Link: "offline", inc: row.Inc, LastSeen: time.UnixMilli(row.SeenMs).UTC(), Disk: "ok"}
	if row.CaughtMs > 0 {
		p.CaughtUpAt, p.era = time.UnixMilli(row.CaughtMs).UTC(), row.ClockEra
	}
	if s := h.latest(id); s != nil {
		p.inc = s.origin.Inc.String()
		p.LastSeen, p.LastSeq, p.ClockOffsetMs, p.Disk = s.seenAt, s.lastSeq, s.clockOffsetMs, s.disk
		if s.caughtUpAt.After(p.CaughtUpAt) || !s.caughtUpAt.IsZero() && s.caughtEra > p.era {
			p.CaughtUpAt, p.era = s.caughtUpAt, s.caughtEra
		}
		switch {
		case s.fenced:
			p.Link = "fenced"
		case s.online && h.mono()-s.seen <= offlineAfter:
			p.Link = "online"
		}
	}
	return p
}

// remember keeps the row of an agent; h.mu is held, or nobody else knows of h.
func (h *Hub) remember(row *agentRow) {
	if h.agents[row.Agent] == nil {
		h.members[row.Store] = append(h.members[row.Store], row.Agent)
	}
	h.agents[row.Agent] = row
}

func (h *Hub) loadAgents(ctx context.Context) error {
	return h.driver.View(ctx, func(r ledger.Reader) error {
		return r.Scan(ledger.Notes, "agent\x00", "agent\x01", func(id string, v []byte) (bool, error) {
			row := &agentRow{}
			if err := json.Unmarshal(v, row); err != nil {
				return false, fmt.Errorf("row %q: %w", id, err)
			}
			h.remember(row)
			return true, nil
		})
	})
}

// register remembers an agent and, where the store has no primary yet, makes it
// the primary. pastLife says that another epoch of the hub knew it. h.mu is not held.
func (h *Hub) register(ctx context.Context, row agentRow, pastLife bool) error {
	h.mu.Lock()
	old := h.agents[row.Agent]
	if old != nil {
		row.CaughtMs, row.ClockEra, row.Told, row.Earlier = old.CaughtMs, old.ClockEra, old.Told, old.Earlier
		if old.Inc != row.Inc {
			row.Earlier = slices.DeleteFunc(append(slices.Clone(old.Earlier), old.Inc), func(inc string) bool { return inc == row.Inc })
		}
	}
	h.mu.Unlock()
	if old == nil || old.Inc != row.Inc || old.Build != row.Build {
		b, err := json.Marshal(row)
		if err != nil {
			return err
		}
		err = h.driver.Update(ctx, func(tx ledger.Tx) error { return ledger.SetNote(tx, b, "agent", string(row.Agent)) })
		if err != nil {
			return err
		}
	}
	h.mu.Lock()
	h.remember(&row)
	if old == nil && pastLife {
		h.await(row.Agent)
	}
	h.mu.Unlock()
	if old == nil || old.Inc != row.Inc {
		h.sweepSoon()
	}
	return h.ensurePrimary(ctx, row)
}

// seenSaveEvery is how often the signs of life of all agents are written down,
// in one transaction.
const seenSaveEvery = 30 * time.Second

// saveSeen writes down when agents were last heard and had told everything, so
// that a restart of the hub does not make old knowledge look like none.
func (h *Hub) saveSeen(ctx context.Context) error {
	h.mu.Lock()
	if h.mono()-h.seenSaved < seenSaveEvery {
		h.mu.Unlock()
		return nil
	}
	h.seenSaved = h.mono()
	var rows []agentRow
	for id := range h.sessions {
		s, row := h.latest(id), h.agents[id]
		if s == nil || row == nil {
			continue
		}
		before := *row
		row.SeenMs = s.seenAt.UnixMilli()
		if !s.caughtUpAt.IsZero() {
			row.CaughtMs, row.ClockEra = s.caughtUpAt.UnixMilli(), s.caughtEra
		}
		if row.SeenMs != before.SeenMs || row.CaughtMs != before.CaughtMs || row.ClockEra != before.ClockEra {
			rows = append(rows, *row)
		}
	}
	h.mu.Unlock()
	if len(rows) == 0 {
		return nil
	}
	slices.SortFunc(rows, func(a, b agentRow) int { return strings.Compare(string(a.Agent), string(b.Agent)) })
	return h.driver.Update(ctx, func(tx ledger.Tx) error {
		for _, row := range rows {
			b, err := json.Marshal(row)
			if err != nil {
				return err
			}
			if err := ledger.SetNote(tx, b, "agent", string(row.Agent)); err != nil {
				return err
			}
		}
		return nil
	})
}

// isAgentOf tells whether an agent said hello for a store.
func isAgentOf(r ledger.Reader, id protocol.AgentID, store protocol.StoreID) (bool, error) {
	b, err := ledger.Note(r, "agent", string(id))
	if err != nil || b == nil {
		return false, err
	}
	var row agentRow
	err = json.Unmarshal(b, &row)
	return row.Store == store, err
}

// ensurePrimaries makes an agent that is online the primary of each store that
// has none; where none is online the next one that says hello becomes it.
func (h *Hub) ensurePrimaries(ctx context.Context) error {
	var online []agentRow
	for id, p := range h.presence() {
		if p.Link == linkOnline {
			online = append(online, agentRow{Agent: id, Store: p.Store})
		}
	}
	slices.SortFunc(online, func(a, b agentRow) int { return strings.Compare(string(a.Agent), string(b.Agent)) })
	err := h.view(ctx, func(r ledger.Reader) (err error) {
		online = slices.DeleteFunc(online, func(row agentRow) bool {
			st, readErr := ledger.ReadStore(r, row.Store)
			err = errors.Join(err, readErr)
			return st == nil || st.Primary != ""
		})
		return err
	})
	if err != nil {
		return err
	}
	for _, row := range online {
		if err := h.ensurePrimary(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// ensurePrimary makes an agent the primary of its store where there is none.
func (h *Hub) ensurePrimary(ctx context.Context, row agentRow) error {
	missing := false
	err := h.view(ctx, func(r ledger.Reader) error {
		st, err := ledger.ReadStore(r, row.Store)
		missing = st != nil && st.Primary == ""
		return err
	})
	if err != nil || !missing {
		return err
	}
	_, err = h.act(ctx, protocol.ChainStore, func(tx ledger.Tx) (*protocol.Event, error) {
		st, err := ledger.ReadStore(tx, row.Store)
		if err != nil || st == nil || st.Primary != "" {
			return nil, err
		}
		st.Primary = row.Agent
		return &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Stores: []protocol.StoreRecord{*st}}}, nil
	})
	return err
}
