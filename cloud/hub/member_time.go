package hub

import (
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// What the time that goes by makes of members: tiers, which follow from what was
// earned within a period, and points that expire. Both are worked out anew from the
// rows, after each change of a member and once a day by the sweep, and logged like
// leases, under the condition that the transaction finds the same. So stores learn
// of them by events alone, and a till reckons with the tier that it was told.

// period is how long a number of days is. Periods of a programme are counted from
// the moment, not from midnight, so that they are the same in every zone.
func period(days uint32) time.Duration { return time.Duration(days) * 24 * time.Hour }

// owedByTime is what the hub has to log of a member's tier and of points that have
// expired. What it lets expire leaves the purse. Of points that have expired and
// that stores hold, rest says how many have to be asked back first.
func (h *Hub) owedByTime(r ledger.Reader, p *purse) (deeds []deed, rest protocol.Points, err error) {
	if p.id.Account() != protocol.PointsAccount {
		deeds, rest = h.expired(p)
		return deeds, rest, nil
	}
	if !p.active() {
		return nil, 0, nil
	}
	rules, err := h.programmeOf(r, p.member.HomeStore)
	if err != nil || rules == nil {
		return nil, 0, err
	}
	tier, err := h.tierDue(r, p, rules)
	if err != nil {
		return nil, 0, err
	}
	if tier != nil {
		deeds = append(deeds, *tier)
	}
	if rules.ExpireAfterDays == 0 || h.awaitsAgents() {
		return deeds, 0, nil
	}
	_, fresh, err := p.earnedSince(r, h.now().Add(-period(rules.ExpireAfterDays)))
	if err != nil {
		return nil, 0, err
	}
	expiring := loyalty.Expiring(&p.sums, fresh)
	points := min(expiring, p.free())
	if points > 0 {
		store := p.member.HomeStore
		if store == "" {
			store = p.row
		}
		deeds = append(deeds, deed{store: store, events: []*protocol.Event{{
			Kind: protocol.KindPointsChange, PointsChange: &protocol.PointsChange{Member: p.id, Change: protocol.PointsExpired, Points: -points},
		}}})
		p.balance -= points
	}
	return deeds, expiring - points, nil
}

// tierDue is the version of a member that has another tier than now, nil where it
// stays.
func (h *Hub) tierDue(r ledger.Reader, p *purse, rules *protocol.Programme) (*deed, error) {
	if p.member.Status != protocol.MemberActive || len(rules.Tiers) == 0 && p.member.Tier == "" {
		return nil, nil
	}
	var failed error
	tier := loyalty.TierOf(rules, func(days uint32) protocol.Points {
		earned, _, err := p.earnedSince(r, h.now().Add(-period(days)))
		if err != nil {
			failed = err
		}
		return earned
	})
	if failed != nil || tier == p.member.Tier {
		return nil, failed
	}
	next := p.member.Next()
	next.Tier = tier
	return &deed{store: p.row, events: []*protocol.Event{{Kind: protocol.KindMember, Member: next}}}, nil
}

// earnedSince is ledger.EarnedSince over all of the group.
func (p *purse) earnedSince(r ledger.Reader, since time.Time) (net, gross protocol.Points, err error) {
	for _, id := range p.group {
		n, g, err := ledger.EarnedSince(r, id, since)
		if err != nil {
			return 0, 0, err
		}
		net, gross = net+n, gross+g
	}
	return net, gross, nil
}

// programmeOf is the programme in force in a store; where a member has no home
// store dates are midnight UTC.
func (h *Hub) programmeOf(r ledger.Reader, id protocol.StoreID) (*protocol.Programme, error) {
	list := h.leasing.rules.Load()
	if list == nil {
		return nil, nil
	}
	place := time.UTC
	if id != "" {
		store, err := ledger.ReadStore(r, id)
		if err != nil {
			return nil, err
		}
		if store != nil {
			place = h.timesOf(store).place
		}
	}
	return loyalty.InForce(*list, h.now(), place), nil
}

// timely tells whether what time makes of members is owed at all.
func timely(p *protocol.Programme) bool { return p.ExpireAfterDays > 0 || len(p.Tiers) > 0 }
