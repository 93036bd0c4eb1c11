package till

import (
	"context"
	"strconv"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
)

// Why points cannot be spent here in risk mode.
const (
	pointsMemberCap sale.NoPoints = "member_cap" // as many of the member's are spent without asking as may be
	pointsPool      sale.NoPoints = "pool"       // as many of all members'
)

// riskTerms say whether a sale may spend beyond the lease, and what head office
// said just now of the member's balance.
type riskTerms struct {
	allowed bool
	told    *protocol.Points // nil: nothing
	// mode tells whoever asked without being allowed that the programme would let
	// points be spent at risk.
	mode bool
}

// purse is what this machine's stream may spend of a member's points.
type purse struct {
	left  protocol.Points   // under the lease
	under protocol.MemberID // of the group, who is named in it
	room  protocol.Points   // beyond it, at risk
	bound loyalty.RiskBound // what keeps it from more
	all   protocol.Points   // the member's balance as far as it is known here
}

// spendable is how many points may be spent without asking anybody.
func (p *purse) spendable() protocol.Points { return p.left + p.room }

// purse reads what may be spent of a member's points here. Until the hub has
// confirmed the head of the stream it is nothing, at risk as well: a machine that
// was restored from an older copy has forgotten what it spent (I13). Where the
// balance is known, by the member feed or told just now, nothing is spent beyond it.
func (t *Till) purse(all *ledger.Holdings, at protocol.Origin, member protocol.MemberID, p *protocol.Programme, told *protocol.Points) (purse, error) {
	none := purse{bound: loyalty.RiskOff, under: member}
	if member == "" || !t.o.Confirmed(at.Inc) {
		return none, nil
	}
	lease, err := t.heldUnder(all, at, member)
	if err != nil {
		return none, err
	}
	none.left, none.under = lease.left, lease.under
	if p == nil || !p.RiskMode.Enabled {
		return none, nil
	}
	group, err := all.Of(member)
	if err != nil {
		return none, err
	}
	held := group.Held
	if held != nil && (held.Member.Status == protocol.MemberErased || held.Member.Status == protocol.MemberMerged) {
		return none, nil
	}
	pool, err := all.Risk()
	if err != nil {
		return none, err
	}
	ask := loyalty.RiskAsk{Programme: p, Member: lease.risk, Pool: *pool}
	known := purse{left: lease.left, under: lease.under}
	bound := func(balance protocol.Points) {
		beyond := balance - known.left
		if ask.Beyond == nil || beyond < *ask.Beyond {
			ask.Beyond, known.all = &beyond, balance
		}
	}
	if held != nil {
		bound(held.Balance)
	}
	if told != nil {
		// Head office may not have heard yet of what was spent here.
		bound(*told - lease.risk.Outstanding())
	}
	known.room, known.bound = loyalty.RiskRoom(&ask)
	return known, nil
}

// Spendable is what this machine may spend of a member's points without asking,
// where head office just told the balance.
func (t *Till) Spendable(ctx context.Context, member protocol.MemberID, told protocol.Points) (points protocol.Points, err error) {
	as := t.origin()
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		live := ledger.Live(r)
		programme, err := t.programmeNow(live)
		if err != nil {
			return err
		}
		p, err := t.purse(holdingsOf(live, as), as, member, programme, &told)
		points = p.spendable()
		return err
	})
	return points, err
}

// refusePoints says why so many points cannot be spent here.
func (a *act) refusePoints(p *purse, rules *protocol.Programme, risk *riskTerms) error {
	here := loyalty.Spendable(rules, p.spendable(), protocol.MoneyMax)
	n := strconv.FormatInt(int64(here), 10)
	next := "Take another payment; the points stay on the account."
	if here > 0 {
		next = "Spend at most " + n + " points, or take another payment."
	}
	var refusal *protocol.Error
	switch {
	case !a.o.Confirmed(a.origin().Inc):
		refusal = sale.RefusePoints(pointsUnconfirmed, "This machine was started while head office could not be reached, and spends no points before it has been heard.", next)
	case risk.allowed && p.bound == loyalty.RiskBalance:
		all := max(0, p.all)
		refusal = sale.RefusePoints(pointsBalance, "This member has "+strconv.FormatInt(int64(all), 10)+" points in all.", next).With("balance", int64(p.all))
	case risk.allowed && p.bound == loyalty.RiskMemberCap:
		refusal = sale.RefusePoints(pointsMemberCap, "So many of this member's points cannot be spent here without head office.", next)
	case risk.allowed && p.bound == loyalty.RiskPool:
		refusal = sale.RefusePoints(pointsPool, "So many points cannot be spent here without head office, which has not counted yet what other members have spent here.", next)
	case here == 0:
		refusal = sale.RefusePoints(pointsNoLease, "None of this member's points may be spent here without asking head office.", next)
	default:
		refusal = sale.RefusePoints(pointsLease, "Only "+n+" of this member's points may be spent here without asking head office.", next)
	}
	return refusal.With("spendable_here", int64(here))
}
