package hub

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

var errLostReceipt = errors.New("the event of a known receipt is not in the log")

// List is one page of a listing; Next is where the next one starts, null at the
// end.
type List[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"`
}

// Page says which part of a listing is wanted.
type Page struct {
	Limit int
	After string
}

// cut makes a page of rows that are sorted by key and lie behind p.After.
func cut[T any](p Page, rows []T, key func(*T) string) List[T] {
	list := List[T]{Items: rows}
	if len(rows) > p.Limit {
		list.Items = rows[:p.Limit]
		next := key(&rows[p.Limit-1])
		list.Next = &next
	}
	if list.Items == nil {
		list.Items = []T{}
	}
	return list
}

// StoreDocument is a store with how it is connected.
type StoreDocument struct {
	ID                protocol.StoreID `json:"id"`
	Name              string           `json:"name"`
	Lat               *float64         `json:"lat"`
	Lon               *float64         `json:"lon"`
	Timezone          string           `json:"timezone"`
	Country           *string          `json:"country"`
	City              *string          `json:"city"`
	Currency          string           `json:"currency"`
	PriceZone         protocol.ZoneID  `json:"price_zone"`
	LegalName         *string          `json:"legal_name"`
	TaxID             *string          `json:"tax_id"`
	Address           *string          `json:"address"`
	CashRoundingMinor protocol.Money   `json:"cash_rounding_minor"`
	OpeningHours      *string          `json:"opening_hours"`
	Fiscal            *string          `json:"fiscal"`
	PrimaryAgent      *string          `json:"primary_agent"`
	Source            *string          `json:"source"`
	Link              string           `json:"link"`
	LastSeen          *string          `json:"last_seen"`
	Pending           uint64           `json:"pending"`
}

// Stores lists the stores in the order of their ids.
func (h *Hub) Stores(ctx context.Context, p Page) (List[StoreDocument], error) {
	var rows []StoreDocument
	err := h.eachStore(ctx, func(s *protocol.StoreRecord, state storeState) bool {
		if p.After == "" || string(s.ID) > p.After {
			rows = append(rows, storeDocument(s, state))
		}
		return len(rows) <= p.Limit
	})
	return cut(p, rows, func(s *StoreDocument) string { return string(s.ID) }), err
}

func storeDocument(s *protocol.StoreRecord, state storeState) StoreDocument {
	return StoreDocument{
		ID: s.ID, Name: s.Name, Lat: s.Lat, Lon: s.Lon, Timezone: s.Timezone, Country: orNull(s.Country), City: orNull(s.City),
		Currency: s.Currency, PriceZone: zoneOf(s), LegalName: orNull(s.LegalName), TaxID: orNull(s.TaxID), Address: orNull(s.Address),
		CashRoundingMinor: s.CashRounding, OpeningHours: orNull(s.OpeningHours), Fiscal: orNull(s.Fiscal), PrimaryAgent: orNull(s.Primary),
		Source: orNull(s.Source), Link: state.link, LastSeen: timeText(state.lastSeen), Pending: state.waiting,
	}
}

// eachStore calls fn for every store with its connection until fn returns false.
func (h *Hub) eachStore(ctx context.Context, fn func(*protocol.StoreRecord, storeState) bool) error {
	c := h.connections()
	agents := map[protocol.StoreID]map[protocol.AgentID]Presence{}
	for id, p := range c.agents {
		if agents[p.Store] == nil {
			agents[p.Store] = map[protocol.AgentID]Presence{}
		}
		agents[p.Store][id] = p
	}
	return h.view(ctx, func(r ledger.Reader) error {
		streams, err := ledger.AllStreams(r)
		if err != nil {
			return err
		}
		byStore := map[protocol.StoreID][]ledger.StreamInfo{}
		for _, s := range streams {
			byStore[s.Origin.Store] = append(byStore[s.Origin.Store], s)
		}
		return ledger.ScanStores(r, func(s *protocol.StoreRecord) (bool, error) {
			own := connections{now: c.now, agents: agents[s.ID]}
			return fn(s, own.store(s, byStore[s.ID])), nil
		})
	})
}

// FleetStore is one row of the page for people.
type FleetStore struct {
	ID, Name, City string
	Link           string
	LastSeen       string // RFC 3339, empty: never
	Waiting        uint64
	AsOf           string // the hub had everything then; empty: never
	Freshness      string
}

// Fleet calls fn for every store, in the order of their ids.
func (h *Hub) Fleet(ctx context.Context, fn func(FleetStore)) error {
	c := connections{now: h.now()}
	return h.eachStore(ctx, func(s *protocol.StoreRecord, state storeState) bool {
		row := FleetStore{ID: string(s.ID), Name: s.Name, City: s.City, Link: state.link, Waiting: state.waiting}
		if t := timeText(state.lastSeen); t != nil {
			row.LastSeen = *t
		}
		if t := timeText(state.asOf); t != nil {
			row.AsOf = *t
		}
		_, row.Freshness = c.freshness(state.asOf)
		fn(row)
		return true
	})
}

// AgentDocument is an agent with its connection and its streams.
type AgentDocument struct {
	Agent         protocol.AgentID `json:"agent"`
	Store         protocol.StoreID `json:"store"`
	Primary       bool             `json:"primary"`
	Version       *string          `json:"version"`
	Protocol      *uint32          `json:"protocol"`
	Link          string           `json:"link"`
	LastSeen      *string          `json:"last_seen"`
	Pending       uint64           `json:"pending"`
	ClockOffsetMs *int64           `json:"clock_offset_ms"`
	Disk          *string          `json:"disk"`
	Streams       []StreamDocument `json:"streams"`
}

// StreamDocument is how far the hub has a stream.
type StreamDocument struct {
	Inc     string        `json:"inc"`
	Seq     protocol.Seq  `json:"seq"`
	Hash    string        `json:"hash"`
	SafeSeq protocol.Seq  `json:"safe_seq"`
	Closed  bool          `json:"closed"`
	Gaps    []GapDocument `json:"gaps"`
}

// GapDocument is a stretch of a stream that no surviving disk holds.
type GapDocument struct {
	From protocol.Seq `json:"from"`
	To   protocol.Seq `json:"to"`
}

// Agents lists the agents that ever spoke to the hub, in the order of their
// ids.
func (h *Hub) Agents(ctx context.Context, p Page) (List[AgentDocument], error) {
	c := h.connections()
	type place struct {
		agent protocol.AgentID
		store protocol.StoreID
	}
	key := func(a place) string { return string(a.agent) + "/" + string(a.store) }
	streams := map[place][]ledger.StreamInfo{}
	for id, presence := range c.agents {
		streams[place{id, presence.Store}] = nil
	}
	after := p.After
	if after != "" && !strings.Contains(after, "/") {
		after += "0" // The character behind the slash: all of that agent.
	}
	var rows []AgentDocument
	err := h.view(ctx, func(r ledger.Reader) error {
		all, err := ledger.AllStreams(r)
		if err != nil {
			return err
		}
		for _, s := range all {
			if s.Origin.Agent != protocol.HubAgent {
				at := place{s.Origin.Agent, s.Origin.Store}
				streams[at] = append(streams[at], s)
			}
		}
		gaps, err := gapDocuments(r)
		if err != nil {
			return err
		}
		places := make([]place, 0, len(streams))
		for at := range streams {
			if key(at) > after {
				places = append(places, at)
			}
		}
		slices.SortFunc(places, func(a, b place) int { return cmp.Compare(key(a), key(b)) })
		for _, at := range places[:min(len(places), p.Limit+1)] {
			store, err := ledger.ReadStore(r, at.store)
			if err != nil {
				return err
			}
			doc := c.agentDocument(at.agent, at.store, streams[at])
			for i, s := range streams[at] {
				doc.Streams[i].SafeSeq = h.safety.safe(s.Origin.Inc, s.Seq)
				doc.Streams[i].Gaps = append(doc.Streams[i].Gaps, gaps[s.Origin]...)
			}
			doc.Primary = store != nil && store.Primary == at.agent
			rows = append(rows, doc)
		}
		return nil
	})
	return cut(p, rows, func(a *AgentDocument) string { return key(place{a.Agent, a.Store}) }), err
}

// gapDocuments are the gaps of every stream.
func gapDocuments(r ledger.Reader) (map[protocol.Origin][]GapDocument, error) {
	list, err := ledger.Gaps(r, "")
	if err != nil {
		return nil, err
	}
	gaps := map[protocol.Origin][]GapDocument{}
	for _, g := range list {
		gaps[g.Origin] = append(gaps[g.Origin], GapDocument{From: g.From, To: g.To})
	}
	return gaps, nil
}

func (c *connections) agentDocument(agent protocol.AgentID, store protocol.StoreID, streams []ledger.StreamInfo) AgentDocument {
	doc := AgentDocument{Agent: agent, Store: store, Link: linkNever, Streams: []StreamDocument{}}
	if p, ok := c.agents[agent]; ok && p.Store == store {
		doc.Version, doc.Link, doc.LastSeen, doc.Disk = orNull(p.Build), p.Link, timeText(p.LastSeen), orNull(p.Disk)
		if p.Protocol != 0 {
			doc.Protocol = &p.Protocol
		}
		if !p.LastSeen.IsZero() {
			doc.ClockOffsetMs = &p.ClockOffsetMs
		}
		doc.Pending = c.pending(agent, streams)
	}
	for _, s := range streams {
		doc.Streams = append(doc.Streams, StreamDocument{
			Inc: s.Origin.Inc.String(), Seq: s.Seq, Hash: s.Head().String(), Closed: s.Closed, Gaps: []GapDocument{},
		})
	}
	return doc
}

// StatusDocument is the hub at a glance. Events are those of the stores that
// are committed and folded.
type StatusDocument struct {
	Version     string `json:"version"`
	Protocol    int    `json:"protocol"`
	Epoch       string `json:"epoch"`
	Database    string `json:"database"`
	SafeMode    string `json:"safe_mode"`
	Agents      int    `json:"agents"`
	Online      int    `json:"online"`
	Streams     int    `json:"streams"`
	Events      uint64 `json:"events"`
	DeadLetters int    `json:"dead_letters"`
	Gaps        int    `json:"gaps"`
	// PointsExposureBound is the most that stores may have spent of points beyond
	// their leases without the hub knowing, PointsAtRisk what they are known to have
	// spent so and is not settled yet.
	PointsExposureBound protocol.Points `json:"points_exposure_bound"`
	PointsAtRisk        protocol.Points `json:"points_at_risk"`
	// DigestsCheckedAt is when an agent's digest last agreed with the hub; it is
	// left out until one did.
	DigestsCheckedAt *string `json:"digests_checked_at,omitempty"`
	// SecondCopy is left out where there is none.
	SecondCopy *SecondCopyDocument `json:"second_copy,omitempty"`
}

// SecondCopyDocument is how the second copy follows.
type SecondCopyDocument struct {
	Behind  uint64  `json:"behind"`  // events that are committed and not safe yet
	Problem *string `json:"problem"` // why it does not follow
	Since   *string `json:"since"`   // since when
}

// Deployment is what the hub's core does not know about itself.
type Deployment struct {
	Version  string
	Database string // bolt or postgres
	SafeMode string // ack, backup or replica
	// SecondCopy is nil where there is none.
	SecondCopy *SecondCopyState
}

// SecondCopyState is how the second copy is.
type SecondCopyState struct {
	Behind  uint64
	Problem error // nil: it follows
	Since   time.Time
}

func (s *SecondCopyState) document() *SecondCopyDocument {
	if s == nil {
		return nil
	}
	doc := &SecondCopyDocument{Behind: s.Behind}
	if s.Problem != nil {
		text := s.Problem.Error()
		doc.Problem, doc.Since = &text, timeText(s.Since)
	}
	return doc
}

// Status counts what the hub holds.
func (h *Hub) Status(ctx context.Context, d Deployment) (StatusDocument, error) {
	doc := StatusDocument{Version: d.Version, Protocol: protocol.Version, Epoch: strconv.FormatUint(h.Epoch(), 10), Database: d.Database, SafeMode: d.SafeMode, DigestsCheckedAt: h.digestsCheckedAt(), SecondCopy: d.SecondCopy.document()}
	agents := map[protocol.AgentID]bool{}
	for id, p := range h.presence() {
		agents[id] = true
		if p.Link == linkOnline {
			doc.Online++
		}
	}
	err := h.view(ctx, func(r ledger.Reader) error {
		streams, err := ledger.AllStreams(r)
		if err != nil {
			return err
		}
		for _, s := range streams {
			if s.Origin.Agent == protocol.HubAgent {
				continue
			}
			agents[s.Origin.Agent] = true
			doc.Streams++
			doc.Events += uint64(s.Seq)
		}
		dead, err := ledger.DeadLetters(r)
		doc.DeadLetters = len(dead)
		if err != nil {
			return err
		}
		gaps, err := ledger.Gaps(r, "")
		doc.Gaps = len(gaps)
		return err
	})
	if err != nil {
		return doc, err
	}
	doc.Agents = len(agents)
	exposure, err := h.Exposure(ctx)
	doc.PointsExposureBound, doc.PointsAtRisk = exposure.Bound, exposure.AtRisk
	return doc, err
}
