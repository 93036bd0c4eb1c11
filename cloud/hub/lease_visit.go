package hub

import (
	"context"
	"slices"
	"strconv"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// VisitRequest asks that an agent's stream may spend points of a member who is in
// its store.
type VisitRequest struct {
	Store protocol.StoreID `json:"store"`
	Agent protocol.AgentID `json:"agent"`
	Inc   string           `json:"inc"`
	// Points are needed in all; 0 is as many as are free.
	Points protocol.Points `json:"points"`
}

// VisitDocument is what became of it.
type VisitDocument struct {
	Member  protocol.MemberID `json:"member_id"` // under whom the points are lent: who stands for the one named
	Balance protocol.Points   `json:"balance"`   // over all stores
	Left    protocol.Points   `json:"left"`      // that the stream may spend, with what is on its way to it
	Coming  bool              `json:"coming"`    // more may come, once other stores have given it back
}

// claimOf is the claim on a member's points that is not over.
func (h *Hub) claimOf(id protocol.MemberID) (claim, bool) {
	h.leasing.mu.Lock()
	defer h.leasing.mu.Unlock()
	c, ok := h.leasing.claims[id]
	return c, ok && h.running() < c.ends
}

// claimNeeds is how many more points a claim needs, and of whom: nil for nobody,
// which is so too where the stream that asked is not its agent's any more.
func (h *Hub) claimNeeds(r ledger.Reader, p *purse, c claim) (*holding, protocol.Points, error) {
	if c.holder.IsZero() {
		return nil, c.points, nil
	}
	asker := &holding{member: p.id, store: c.store, agent: c.agent, holder: c.holder, lease: &loyalty.Lease{}}
	if held := p.of(c.holder); held != nil {
		asker = held
	}
	writers, err := p.writers(h, r, c.store)
	if err != nil {
		return nil, 0, err
	}
	o, ok, err := writers.current(r, c.store, c.agent)
	if err != nil || !ok || o.Inc != c.holder {
		return nil, 0, err
	}
	store, err := ledger.ReadStore(r, c.store)
	if err != nil {
		return nil, 0, err
	}
	lot := h.lotOf(p.id, store)
	if lot == nil || asker.lease.Recalled() {
		return nil, 0, nil
	}
	left, most := asker.lease.Left(), lot.visit
	if c.points > most {
		return asker, 0, nil // It would be of no use.
	}
	if c.points <= left && c.points > 0 {
		return asker, 0, nil
	}
	// What is free goes along, so that a second purchase needs no asking.
	return asker, max(c.points-left, min(most-left, p.free())), nil
}

// visiting tells whether a lease was asked for not long ago.
func (h *Hub) visiting(member protocol.MemberID, holder protocol.Inc) bool {
	h.leasing.mu.Lock()
	defer h.leasing.mu.Unlock()
	since, ok := h.leasing.visits[visitor{member, holder}]
	return ok && h.running()-since < visitLasts
}

// reachable tells whether an agent is in session, so that it can give back what it
// holds.
func (h *Hub) reachable(agent protocol.AgentID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	row := h.agents[agent]
	return row != nil && h.presenceOf(row).Link == linkOnline
}

// claims notes a claim, and the visit that it is for.
func (h *Hub) claims(member protocol.MemberID, c claim) {
	l := &h.leasing
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.claims == nil {
		l.claims, l.visits = map[protocol.MemberID]claim{}, map[visitor]time.Duration{}
	}
	l.claims[member] = c
	if !c.holder.IsZero() {
		l.visits[visitor{member, c.holder}] = h.running()
	}
}

// unclaim takes back a claim that is satisfied or over.
func (h *Hub) unclaim(member protocol.MemberID) {
	h.leasing.mu.Lock()
	defer h.leasing.mu.Unlock()
	delete(h.leasing.claims, member)
}

// satisfied ends a claim whose holder has what it asked for, so that what it gives
// back is not granted to it again.
func (h *Hub) satisfied(ctx context.Context, id protocol.MemberID) error {
	c, ok := h.claimOf(id)
	if !ok || c.holder.IsZero() {
		return nil
	}
	var left protocol.Points
	err := h.view(ctx, func(r ledger.Reader) error {
		p, err := h.readPurse(r, id)
		left = p.left(c.holder)
		return err
	})
	if err != nil || left < c.points {
		return err
	}
	h.unclaim(id)
	return h.lendTo(ctx, id)
}

// Visit grants points of a member to the stream of an agent in whose store the
// member is, if they are free, and asks other stores for what is missing, if they
// can be heard. What comes back is granted when it comes. The agent learns of all
// that by events alone.
func (h *Hub) Visit(ctx context.Context, id protocol.MemberID, q VisitRequest) (VisitDocument, error) {
	inc, err := q.holder()
	if err != nil {
		return VisitDocument{}, err
	}
	if id, err = h.representative(ctx, id); err != nil {
		return VisitDocument{}, err
	}
	if err := h.mayVisit(ctx, id, q, inc); err != nil {
		return VisitDocument{}, err
	}
	h.claims(id, claim{store: q.Store, agent: q.Agent, holder: inc, points: q.Points, ends: h.running() + claimLasts})
	if err := h.lendTo(ctx, id); err != nil {
		h.unclaim(id)
		return VisitDocument{}, err
	}
	var doc VisitDocument
	err = h.view(ctx, func(r ledger.Reader) error {
		p, err := h.readPurse(r, id)
		doc = VisitDocument{Member: p.id, Balance: p.balance, Left: p.left(inc)}
		doc.Coming = doc.Left < q.Points && slices.ContainsFunc(p.holdings, func(held holding) bool {
			return held.holder != inc && held.current && held.lease.Recalled() && h.reachable(held.agent)
		})
		return err
	})
	if err == nil && !doc.Coming {
		h.unclaim(id)
		err = h.lendTo(ctx, id)
	}
	return doc, err
}

// holder reads which stream asks.
func (q *VisitRequest) holder() (protocol.Inc, error) {
	inc, err := protocol.ParseInc(q.Inc)
	switch {
	case !protocol.ValidID(string(q.Store)):
		return inc, protocol.OutOfRange("store", "", "not the id of a store")
	case !protocol.ValidID(string(q.Agent)):
		return inc, protocol.OutOfRange("agent", "", "not the id of an agent")
	case err != nil || inc.IsZero():
		return inc, protocol.OutOfRange("inc", "", "not the id of a stream")
	case q.Points < 0 || q.Points > protocol.PointsMax:
		return inc, protocol.OutOfRange("points", strconv.FormatInt(int64(q.Points), 10), "not 0 to "+strconv.FormatInt(int64(protocol.PointsMax), 10))
	}
	return inc, nil
}

// mayVisit refuses a member whose points are not lent, and a stream that is not
// the one that the agent writes.
func (h *Hub) mayVisit(ctx context.Context, id protocol.MemberID, q VisitRequest, inc protocol.Inc) error {
	return h.view(ctx, func(r ledger.Reader) error {
		p, err := h.readPurse(r, id)
		if err != nil {
			return err
		}
		if err := p.mayLend(); err != nil {
			return err
		}
		writers, err := p.writers(h, r, q.Store)
		if err != nil {
			return err
		}
		o, ok, err := writers.current(r, q.Store, q.Agent)
		if err == nil && (!ok || o.Inc != inc) {
			err = protocol.Refuse(protocol.Conflict, "That is not the stream which this agent writes now. Nothing was recorded. Connect to the hub first.").With("field", "inc")
		}
		return err
	})
}

// mayLend refuses what nobody is lent anything of.
func (p *purse) mayLend() error {
	switch kind := p.id.Account(); {
	case kind != protocol.PointsAccount && p.sums.Events == 0:
		return errNoAccount()
	case kind != protocol.GiftAccount && p.member == nil:
		return errNoMember()
	case p.terms != nil && p.terms.Withdrawn:
		return protocol.Refuse(protocol.Conflict, "This was withdrawn, and is not lent any more. Nothing was recorded.").With("state", stateWithdrawn)
	case !p.active():
		return protocol.Refuse(protocol.Conflict, "This member is "+string(p.member.Status)+", and their points are not lent. Nothing was recorded.").With("state", string(p.member.Status))
	}
	return nil
}

// endClaims lets go of points that nobody took: the home store may have them.
func (h *Hub) endClaims(ctx context.Context) error {
	l := &h.leasing
	l.mu.Lock()
	now := h.running()
	var over []protocol.MemberID
	for id, c := range l.claims {
		if now >= c.ends {
			over = append(over, id)
			delete(l.claims, id)
		}
	}
	for v, since := range l.visits {
		if now-since >= visitLasts {
			over = append(over, v.member)
			delete(l.visits, v)
		}
	}
	l.mu.Unlock()
	slices.Sort(over)
	for _, id := range slices.Compact(over) {
		if err := h.lendTo(ctx, id); err != nil {
			h.sweepSoon() // which looks at those who are left
			return err
		}
	}
	return nil
}
