package hub

import (
	"context"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// What a stream spends of points beyond its leases the hub learns with the sale. It
// then says so, which gives the stream that much of its bounds back: until then the
// stream counts it as outstanding. So what the hub does not know of never exceeds
// the bounds, however late either is heard.

// unsettled is what a stream spent of a member's points at risk and the hub has not
// said to have counted.
type unsettled struct {
	member protocol.MemberID // one of the group
	store  protocol.StoreID
	holder protocol.Inc
	points protocol.Points
}

// settles says which of them are counted. A hub that was put back to an older copy
// may have said so already: it waits for what the stores hold, as it does before it
// lends.
func (h *Hub) settles(p *purse) (deeds []deed) {
	if h.awaitsAgents() {
		return nil
	}
	for _, u := range p.unsettled {
		deeds = append(deeds, leaseDeed(u.store, u.member, u.holder, protocol.LeaseSettled, u.points))
	}
	return deeds
}

// Exposure is what points that are spent at risk may cost the chain.
type Exposure struct {
	// Bound is the most that all stores together may have spent beyond their
	// leases without the hub knowing; 0 where risk mode is off.
	Bound protocol.Points
	// AtRisk is what was spent so, and is not settled yet, as far as the hub knows.
	AtRisk protocol.Points
}

// Exposure adds up the pools of the open streams that agents write now, each by the
// programme in force in its store. A store that has not heard of a change follows
// the programme before.
func (h *Hub) Exposure(ctx context.Context) (e Exposure, err error) {
	agents := h.presence()
	err = h.view(ctx, func(r ledger.Reader) error {
		e = Exposure{}
		stores := map[protocol.StoreID]protocol.Points{}
		err := ledger.ScanStores(r, func(s *protocol.StoreRecord) (bool, error) {
			stores[s.ID] = loyalty.Exposure(h.rulesOf(s))
			return true, nil
		})
		if err != nil {
			return err
		}
		for _, a := range agents {
			pool := stores[a.Store]
			if pool == 0 {
				continue
			}
			inc, err := protocol.ParseInc(a.inc)
			if err != nil {
				return err
			}
			stream, err := ledger.ReadStream(r, protocol.Origin{Store: a.Store, Agent: a.Agent, Inc: inc})
			if err != nil {
				return err
			}
			if !stream.Closed {
				e.Bound += pool
			}
		}
		return ledger.Risks(r, func(_ protocol.StoreID, _ protocol.Inc, risk *loyalty.Risk) (bool, error) {
			e.AtRisk += risk.Outstanding()
			return true, nil
		})
	})
	return e, err
}
