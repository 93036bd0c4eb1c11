package hub

import (
	"context"
	"strconv"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// leaseSweep goes through all members, a step with each tick: after a start, since
// a crash may have come between a commit and what it owed; after a change of the
// programme, a store or the stream that an agent writes, each of which concerns
// members whom nobody touches; and each day of running time, and of the calendar where
// the time that goes by makes something of members. It is in memory, and a start begins
// anew.
type leaseSweep struct {
	asked     bool // to begin, once the one under way is through
	under     bool // way
	at        protocol.MemberID
	programme string // that was in force at the last look, and the days
}

// sweepStep bounds how many members one tick looks at: a millisecond or so for
// twenty of them.
const sweepStep = 1000

// sweepSoon asks for a look at all members.
func (h *Hub) sweepSoon() {
	h.leasing.mu.Lock()
	defer h.leasing.mu.Unlock()
	h.leasing.sweep.asked = true
}

// nextSweep is where the look goes on; ok is false where none is asked for. A
// programme that begins today is a reason as well.
func (h *Hub) nextSweep() (at protocol.MemberID, ok bool) {
	began := strconv.FormatInt(int64(h.running()/(24*time.Hour)), 10)
	if list := h.leasing.rules.Load(); list != nil {
		if p := loyalty.InForce(*list, h.now(), time.UTC); p != nil {
			began += " " + p.ValidFrom
			if timely(p) {
				began += " " + h.now().UTC().Format(time.DateOnly)
			}
		}
	}
	h.leasing.mu.Lock()
	defer h.leasing.mu.Unlock()
	s := &h.leasing.sweep
	if began != s.programme {
		s.programme, s.asked = began, true
	}
	if !s.under && s.asked {
		*s = leaseSweep{under: true, programme: began}
	}
	return s.at, s.under
}

// sweepLeases takes one step through the members.
func (h *Hub) sweepLeases(ctx context.Context) error {
	at, ok := h.nextSweep()
	if !ok {
		return nil
	}
	var owed []protocol.MemberID
	seen := 0
	err := h.view(ctx, func(r ledger.Reader) error {
		return ledger.Members(r, at, func(id protocol.MemberID) (bool, error) {
			owed, at = append(owed, id), id
			seen++
			return seen < sweepStep, nil
		})
	})
	if err != nil {
		return err
	}
	if err := h.lend(ctx, owed); err != nil {
		return err // The same step is taken again.
	}
	if err := h.endVisits(ctx, owed); err != nil {
		return err
	}
	h.leasing.mu.Lock()
	h.leasing.sweep.at, h.leasing.sweep.under = at, seen == sweepStep
	h.leasing.mu.Unlock()
	return nil
}

// A hub that was restored from an older copy does not know what it had lent since.
// Its own events of that time come back from the stores, with what was spent. So it
// lends nothing before every agent that it knows has told, once in this epoch, all
// that it holds of its own stream and of the others of its store. Stores go on
// spending what they hold.

// awaitsAgents tells whether somebody may still hold what the hub has forgotten.
func (h *Hub) awaitsAgents() bool {
	h.leasing.mu.Lock()
	defer h.leasing.mu.Unlock()
	return len(h.leasing.awaited) > 0
}

// loadAwaited finds out whom this start has to wait for: nobody, if the database was
// never put back.
func (h *Hub) loadAwaited(ctx context.Context) error {
	h.leasing.awaited = map[protocol.AgentID]bool{}
	return h.view(ctx, func(r ledger.Reader) error {
		renewed, err := ledger.Note(r, noteAcceptGaps) // Renew writes it, be it with 0.
		if renewed != nil {
			h.awaitAgents()
		}
		return err
	})
}

// awaitAgents notes which agents have not told what they hold, in a database that
// was put back; h.mu is held, or nobody else knows of h.
func (h *Hub) awaitAgents() {
	awaited, epoch := map[protocol.AgentID]bool{}, h.Epoch()
	for id, row := range h.agents {
		if row.Told != epoch {
			awaited[id] = true
		}
	}
	h.leasing.mu.Lock()
	defer h.leasing.mu.Unlock()
	h.leasing.awaited, h.leasing.awaitedSince, h.leasing.awaitedFromMs = awaited, h.mono(), h.now().UnixMilli()
}

// await notes that an agent that was not known has a past with this chain; h.mu is
// held.
func (h *Hub) await(id protocol.AgentID) {
	h.leasing.mu.Lock()
	defer h.leasing.mu.Unlock()
	if len(h.leasing.awaited) == 0 {
		h.leasing.awaitedSince, h.leasing.awaitedFromMs = h.mono(), h.now().UnixMilli()
	}
	h.leasing.awaited[id] = true
}

// expects is up to where a session is to bring what its Hello says the agent holds
// and the hub does not.
func expects(m *protocol.Hello, wants []protocol.StreamPos, cursor protocol.Seq) map[protocol.Inc]protocol.Seq {
	up := map[protocol.Inc]protocol.Seq{}
	if m.LastSeq > cursor {
		up[m.Inc] = m.LastSeq
	}
	for _, head := range m.Streams {
		for _, w := range wants {
			if w.Inc == head.Inc {
				up[head.Inc] = max(up[head.Inc], head.Seq)
			}
		}
	}
	return up
}

// brought notes how far a stream has come. What can never be brought is waited for
// no longer. h.mu is held.
func (h *Hub) brought(s *session, inc protocol.Inc, upto protocol.Seq, never bool) {
	if want, ok := s.expects[inc]; ok && (never || upto >= want) {
		delete(s.expects, inc)
	}
	row := h.agents[s.origin.Agent]
	if len(s.expects) > 0 || row == nil || row.Told == h.Epoch() {
		return
	}
	row.Told = h.Epoch()
	h.waitsNoMore(row.Agent)
}

// settleShop takes in that the programme or stores have changed.
func (h *Hub) settleShop(ctx context.Context, deeds []deed) error {
	rules, shop := false, false
	for _, d := range deeds {
		for _, ev := range d.events {
			if c := ev.Catalog; c != nil {
				rules, shop = rules || len(c.Programmes) > 0, shop || len(c.Stores) > 0
			}
		}
	}
	if rules {
		if err := h.loadRules(ctx); err != nil {
			return err
		}
	}
	if rules || shop {
		h.sweepSoon()
	}
	return nil
}
