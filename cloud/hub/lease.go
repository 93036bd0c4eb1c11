package hub

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// What the hub owes of leases follows from the rows: what a member has and what
// streams hold of it. So it is worked out anew whenever it may have changed, and
// logged under the condition that the transaction finds the same. Nothing that is
// owed is ever needed for safety: until it is logged somebody may spend less.

// leasing is what this process knows of leases beyond the rows.
type leasing struct {
	mu sync.Mutex
	// claims reserve points that somebody asked for and that others hold.
	claims map[protocol.MemberID]claim
	// visits are leases that were granted because somebody asked, with the running
	// time of that. What nobody asked for belongs to the home store's primary.
	visits map[visitor]time.Duration
	// awaited are agents that have not told what they hold since the database
	// was restored.
	awaited map[protocol.AgentID]bool
	// awaitedSince is when that began, by the process's time, awaitedFromMs by the
	// wall clock.
	awaitedSince  time.Duration
	awaitedFromMs int64
	sweep         leaseSweep
	rules         atomic.Pointer[[]*protocol.Programme] // the programmes, by their start
}

type visitor struct {
	member protocol.MemberID
	holder protocol.Inc
}

// claim is a wish for more points than are free. While it lasts nothing is granted
// to the home store, so that what others give back is there for it.
type claim struct {
	store  protocol.StoreID
	agent  protocol.AgentID
	holder protocol.Inc    // zero: nobody is to spend them
	points protocol.Points // that are needed in all
	ends   time.Duration   // running time
}

const (
	// visitLasts is for how long the hub leaves a lease alone that it granted for a
	// visit. The till gives it back earlier, if it can.
	visitLasts = 30 * time.Minute
	// claimLasts is for how long a claim keeps points from the home store. A till
	// waits less than that.
	claimLasts = 5 * time.Second
)

// holding is what one stream holds of a member's points.
type holding struct {
	member  protocol.MemberID // who is named in the lease: one of the group
	store   protocol.StoreID
	agent   protocol.AgentID // empty where none is known that writes the stream
	holder  protocol.Inc
	lease   *loyalty.Lease
	current bool // the agent writes this stream, and it is open
}

// purse is what there is of the points of a member, with all for whom it stands.
type purse struct {
	id       protocol.MemberID   // the representative, who alone is lent points
	group    []protocol.MemberID // with the representative
	member   *protocol.Member    // nil where only the points are known, and of a gift card
	row      protocol.StoreID    // whose row the member is
	terms    *protocol.AccountTerms
	home     protocol.StoreID // that holds what nobody asked for; empty for none
	sums     loyalty.Account  // over all stores
	balance  protocol.Points
	leased   protocol.Points
	holdings []holding // those of which something is left or that are recalled
	// unsettled is what streams spent beyond their leases and were not told of.
	unsettled []unsettled
	asked     map[protocol.StoreID]writers
}

// free is what may be granted: never what somebody else may still spend (I14).
func (p *purse) free() protocol.Points { return max(0, p.balance-p.leased) }

// of is what a stream holds, nil for nothing. What it holds of somebody who was
// merged since is asked back, and is not told of here.
func (p *purse) of(holder protocol.Inc) *holding {
	if i := slices.IndexFunc(p.holdings, func(h holding) bool { return h.holder == holder && h.member == p.id }); i >= 0 {
		return &p.holdings[i]
	}
	return nil
}

func (p *purse) left(holder protocol.Inc) protocol.Points {
	if h := p.of(holder); h != nil {
		return h.lease.Left()
	}
	return 0
}

// readPurse reads what a member has over all stores, with all of the group, and who
// holds what of it.
func (h *Hub) readPurse(r ledger.Reader, id protocol.MemberID) (p purse, err error) {
	group, err := ledger.MemberGroup(r, id)
	if err != nil {
		return p, err
	}
	p.id, p.group = group[0], group
	if err := p.belongs(r); err != nil {
		return p, err
	}
	for _, one := range group {
		if err := p.add(h, r, one); err != nil {
			return p, err
		}
	}
	return p, nil
}

// belongs reads whose account it is, and where what nobody asked for is held: of a
// gift card where it was sold or issued, of all else in the member's home store.
func (p *purse) belongs(r ledger.Reader) error {
	owner, err := ledger.Representative(r, p.id.Of())
	if err != nil {
		return err
	}
	if p.id.Account() != protocol.PointsAccount {
		if p.terms, err = ledger.ReadTerms(r, p.id); err != nil {
			return err
		}
	}
	if p.terms != nil {
		p.home = p.terms.Home
	}
	if owner == "" {
		return nil
	}
	p.member, p.row, err = ledger.ReadMember(r, owner)
	if p.member != nil && p.home == "" {
		p.home = p.member.HomeStore
	}
	return err
}

// add adds what one of the group has.
func (p *purse) add(h *Hub, r ledger.Reader, id protocol.MemberID) error {
	stores, err := ledger.ReadAccounts(r, id)
	if err != nil {
		return err
	}
	for _, store := range sortedStores(stores) {
		if p.sums.Add(stores[store]); p.home == "" && p.id.Account() == protocol.GiftAccount && stores[store].Earned > 0 {
			p.home = store
		}
		p.balance += stores[store].Balance()
		first := len(p.holdings)
		err := ledger.Leases(r, ledger.MemberAt{Store: store, Member: id}, func(holder protocol.Inc, l *loyalty.Lease) (bool, error) {
			p.leased += l.Left()
			if points := l.Risk.Outstanding(); points > 0 {
				p.unsettled = append(p.unsettled, unsettled{id, store, holder, points})
			}
			if l.Left() > 0 || l.Recalled() {
				p.holdings = append(p.holdings, holding{member: id, store: store, holder: holder, lease: l})
			}
			return true, nil
		})
		if err != nil || len(p.holdings) == first {
			if err != nil {
				return err
			}
			continue
		}
		writers, err := p.writers(h, r, store)
		if err != nil {
			return err
		}
		for i := first; i < len(p.holdings); i++ {
			if err := writers.turnTo(r, &p.holdings[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func sortedStores(accounts map[protocol.StoreID]*loyalty.Account) []protocol.StoreID {
	stores := make([]protocol.StoreID, 0, len(accounts))
	for store := range accounts {
		stores = append(stores, store)
	}
	slices.Sort(stores)
	return stores
}

// writers are the agents of a store as the database has them, so that a grant is
// conditional on the stream that an agent writes.
type writers []agentRow

func (p *purse) writers(h *Hub, r ledger.Reader, store protocol.StoreID) (list writers, err error) {
	if list, ok := p.asked[store]; ok {
		return list, nil
	}
	if list, err = h.writers(r, store); err == nil {
		if p.asked == nil {
			p.asked = map[protocol.StoreID]writers{}
		}
		p.asked[store] = list
	}
	return list, err
}

func (h *Hub) writers(r ledger.Reader, store protocol.StoreID) (list writers, err error) {
	h.mu.Lock()
	ids := slices.Sorted(slices.Values(h.members[store]))
	h.mu.Unlock()
	for _, id := range ids {
		b, err := ledger.Note(r, "agent", string(id))
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		var row agentRow
		if err := json.Unmarshal(b, &row); err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, nil
}

// turnTo says who writes the stream of a holding, and whether it is the one that
// its agent writes now.
func (w writers) turnTo(r ledger.Reader, h *holding) error {
	for i := range w {
		if !w[i].writes(h.holder) {
			continue
		}
		h.agent = w[i].Agent
		stream, err := ledger.ReadStream(r, protocol.Origin{Store: h.store, Agent: h.agent, Inc: h.holder})
		h.current = w[i].Inc == h.holder.String() && !stream.Closed
		return err
	}
	return nil
}

// current is the open stream that an agent of the store writes; ok is false for
// none.
func (w writers) current(r ledger.Reader, store protocol.StoreID, agent protocol.AgentID) (o protocol.Origin, ok bool, err error) {
	i := slices.IndexFunc(w, func(row agentRow) bool { return row.Agent == agent })
	if i < 0 {
		return o, false, nil
	}
	inc, err := protocol.ParseInc(w[i].Inc)
	if err != nil {
		return o, false, err
	}
	o = protocol.Origin{Store: store, Agent: agent, Inc: inc}
	stream, err := ledger.ReadStream(r, o)
	return o, !stream.Closed, err
}

// rulesOf is the programme that a store's till follows now, nil where no points
// are spent.
func (h *Hub) rulesOf(store *protocol.StoreRecord) *protocol.Programme {
	list := h.leasing.rules.Load()
	if list == nil || store == nil {
		return nil
	}
	p := loyalty.InForce(*list, h.now(), h.timesOf(store).place)
	if p == nil || p.Redeem == nil {
		return nil
	}
	return p
}

// loadRules reads the programmes, after each change of them.
func (h *Hub) loadRules(ctx context.Context) error {
	return h.view(ctx, func(r ledger.Reader) error {
		list, err := ledger.ReadProgrammes(r)
		if err == nil {
			h.leasing.rules.Store(&list)
		}
		return err
	})
}

// leaseDeed is an event about a lease, in the hub's stream of its holder's store.
func leaseDeed(store protocol.StoreID, member protocol.MemberID, holder protocol.Inc, change protocol.LeaseChange, points protocol.Points) deed {
	return deed{store: store, events: []*protocol.Event{{Kind: protocol.KindLease, Lease: &protocol.Lease{Member: member, Holder: holder, Change: change, Points: points}}}}
}

// owedLeases is what the hub has to log of a member's leases: what is lent and asked
// back, and what was spent beyond them and is counted.
func (h *Hub) owedLeases(r ledger.Reader, id protocol.MemberID) ([]deed, error) {
	p, err := h.readPurse(r, id)
	if err != nil {
		return nil, err
	}
	deeds, err := h.owedLending(r, &p)
	return append(deeds, h.settles(&p)...), err
}

// owedLending is what time brings, then what the hub has to lend and to ask back:
// recalls first, then what is granted to who asked, then what the home store lacks.
func (h *Hub) owedLending(r ledger.Reader, p *purse) ([]deed, error) {
	deeds, rest, err := h.owedByTime(r, p)
	if err != nil || p.balance <= 0 && len(p.holdings) == 0 {
		return deeds, err
	}
	home, err := h.homeOf(r, p)
	if err != nil {
		return nil, err
	}
	wish, claimed := h.claimOf(p.id)
	need := protocol.Points(0)
	var asker *holding
	if claimed {
		if asker, need, err = h.claimNeeds(r, p, wish); err != nil {
			return nil, err
		}
	}
	short := max(need-p.free(), rest) // what others have to give back
	for i := range p.holdings {
		held := &p.holdings[i]
		if !held.current || held.lease.Recalled() || held.lease.Left() == 0 {
			continue
		}
		own := held.member == p.id
		isHome, asks := own && home != nil && held.holder == home.holder, own && asker != nil && held.holder == asker.holder
		stays := own && p.active() && p.leased <= p.balance && (isHome || asks || h.visiting(p.id, held.holder))
		if !stays || short > 0 && !asks && (rest > 0 || h.reachable(held.agent)) {
			deeds = append(deeds, leaseDeed(held.store, held.member, held.holder, protocol.LeaseRecalled, 0))
			short -= held.lease.Left()
		}
	}
	if !p.active() || h.awaitsAgents() || rest > 0 {
		return deeds, nil
	}
	if claimed {
		if points := min(need, p.free()); points > 0 && asker != nil {
			return h.granted(r, deeds, p, asker, points)
		}
		return deeds, nil
	}
	if home == nil || recalling(deeds, p.id, home.holder) {
		return deeds, nil
	}
	points, err := h.homeLacks(r, p, home)
	if err != nil || points <= 0 {
		return deeds, err
	}
	return h.granted(r, deeds, p, home, points)
}

// active tells whether anything of it may be lent at all.
func (p *purse) active() bool {
	if p.terms != nil && p.terms.Withdrawn {
		return false
	}
	if p.id.Account() == protocol.GiftAccount {
		return true
	}
	return p.member != nil && p.member.Status != protocol.MemberErased && p.member.Status != protocol.MemberMerged
}

func recalling(deeds []deed, member protocol.MemberID, holder protocol.Inc) bool {
	return slices.ContainsFunc(deeds, func(d deed) bool {
		l := d.events[0].Lease
		return l != nil && l.Holder == holder && l.Member == member
	})
}

// homeOf is the stream that holds the member's standing lease, or may: that of the
// home store's primary. It is nil where there is none.
func (h *Hub) homeOf(r ledger.Reader, p *purse) (*holding, error) {
	if p.home == "" {
		return nil, nil
	}
	store, err := ledger.ReadStore(r, p.home)
	if err != nil || store == nil || store.Primary == "" {
		return nil, err
	}
	writers, err := p.writers(h, r, store.ID)
	if err != nil {
		return nil, err
	}
	o, ok, err := writers.current(r, store.ID, store.Primary)
	if err != nil || !ok {
		return nil, err
	}
	if held := p.of(o.Inc); held != nil {
		return held, nil
	}
	return &holding{member: p.id, store: store.ID, agent: o.Agent, holder: o.Inc, lease: &loyalty.Lease{}, current: true}, nil
}

// homeLacks is what the home store's lease is to be filled up by: nothing where
// less than a step is missing, so that not each sale costs an event, or where what
// it would hold could not be spent.
func (h *Hub) homeLacks(r ledger.Reader, p *purse, home *holding) (protocol.Points, error) {
	store, err := ledger.ReadStore(r, home.store)
	if err != nil {
		return 0, err
	}
	lot := h.lotOf(p.id, store)
	if lot == nil || home.lease.Recalled() {
		return 0, nil
	}
	left := home.lease.Left()
	points := min(lot.home-left, p.free())
	if points < lot.step || left+points < lot.least {
		return 0, nil
	}
	return points, nil
}

// lendTo logs what the hub owes of leases of an account and, where that is a
// member's points, of the member's other accounts. It may be asked at any time; what
// is not owed any more is not logged.
func (h *Hub) lendTo(ctx context.Context, id protocol.MemberID) error {
	ids := []protocol.MemberID{id}
	err := h.view(ctx, func(r ledger.Reader) error {
		group, err := ledger.MemberGroup(r, id)
		if err != nil || id.Account() != protocol.PointsAccount {
			return err
		}
		for _, member := range group {
			more, err := ledger.AccountsOf(r, member)
			if err != nil {
				return err
			}
			ids = append(ids, more...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return h.lend(ctx, ids)
}

// lend is lendTo for several members in one transaction. Of those for whom one
// stands only that one is looked at, or what is owed would be logged for each.
func (h *Hub) lend(ctx context.Context, ids []protocol.MemberID) error {
	var due []protocol.MemberID
	var stores []protocol.StoreID
	err := h.view(ctx, func(r ledger.Reader) error {
		due, stores = nil, nil
		all, err := representatives(r, ids)
		if err != nil {
			return err
		}
		for _, id := range all {
			owed, err := h.owedLeases(r, id)
			if err != nil {
				return err
			}
			if len(owed) > 0 {
				due = append(due, id)
			}
			for _, d := range owed {
				stores = append(stores, d.store)
			}
		}
		return nil
	})
	if err != nil || len(due) == 0 {
		return err
	}
	slices.Sort(stores)
	_, err = h.actIn(ctx, slices.Compact(stores), func(tx ledger.Tx, own map[protocol.StoreID]protocol.Origin) (deeds []deed, err error) {
		all, err := representatives(tx, due)
		if err != nil {
			return nil, err
		}
		for _, id := range all {
			owed, err := h.owedLeases(tx, id)
			if err != nil {
				return nil, err
			}
			deeds = append(deeds, slices.DeleteFunc(owed, func(d deed) bool {
				_, named := own[d.store]
				return !named // It is owed since a moment ago, and is asked for again.
			})...)
		}
		return deeds, nil
	}, func(ledger.Tx, []deed) error { return nil })
	for _, id := range due {
		if err == nil {
			err = h.satisfied(ctx, id)
		}
	}
	return err
}

// lendToTouched lends to the members whose points committed batches changed. While
// there is no room what is owed waits for the next change, or the next start.
func (h *Hub) lendToTouched(ctx context.Context, ready []*incoming) error {
	var touched []protocol.MemberID
	for _, in := range ready {
		for _, at := range in.res.Members {
			touched = append(touched, at.Member)
		}
	}
	if !h.lends() {
		touched = slices.DeleteFunc(touched, func(id protocol.MemberID) bool { return id.Account() == protocol.PointsAccount })
	}
	if len(touched) == 0 {
		return nil
	}
	slices.Sort(touched)
	err := h.lend(ctx, slices.Compact(touched))
	if protocol.CodeOf(err) == protocol.DiskFull {
		h.log.Error("the hub's disk is full; points are not yet lent", "error", err)
		return nil
	}
	return err
}

// lends tells whether points are spent at all in this chain, or anything follows
// from them. While nothing does, members cost no look at what they have.
func (h *Hub) lends() bool {
	list := h.leasing.rules.Load()
	return list != nil && slices.ContainsFunc(*list, func(p *protocol.Programme) bool { return p.Redeem != nil || timely(p) })
}
