package till

import (
	"context"
	"strconv"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/sale"
)

// Why points cannot be spent here, beside what package sale finds wrong with the
// request.
const (
	pointsUnconfirmed sale.NoPoints = "not_confirmed" // the hub has not confirmed this machine's log since its start
	pointsNoLease     sale.NoPoints = "no_lease"      // nothing of the member's may be spent here
	pointsLease       sale.NoPoints = "lease"         // less than that may
	pointsBalance     sale.NoPoints = "balance"       // the member has fewer, the hub says
)

// knownRules are points programmes and the rows that they were made of.
type knownRules struct {
	programmes []*protocol.Programme
	rows       *reading
}

// programmes reads the points programmes, or finds that those read last still hold.
func (t *Till) programmes(r ledger.Reader) ([]*protocol.Programme, error) {
	if known := t.rules.Load(); known != nil {
		if same, err := known.rows.same(r); err != nil || same {
			return known.programmes, err
		}
	}
	rows := &reading{Reader: r}
	list, err := ledger.ReadProgrammes(ledger.Live(rows))
	if err != nil {
		return nil, err
	}
	rows.Reader = nil // it ends with the transaction
	t.rules.Store(&knownRules{list, rows})
	return list, nil
}

// programmeNow is the points programme in force at this moment, nil for none.
func (t *Till) programmeNow(r ledger.Reader) (*protocol.Programme, error) {
	list, err := t.programmes(r)
	if err != nil {
		return nil, err
	}
	s, err := t.readShop(r)
	if err != nil {
		return nil, err
	}
	return loyalty.InForce(list, t.o.Now(), s.loc), nil
}

// programmeAt is the points programme in force, nil for none.
func (d *desk) programmeAt(at time.Time) (*protocol.Programme, error) {
	list, err := d.programmes(d.r)
	if err != nil {
		return nil, err
	}
	return loyalty.InForce(list, at, d.shop.loc), nil
}

// left is what this machine's stream may still spend of a member's points. Until
// the hub has confirmed the head of the stream it is nothing: a machine that was
// restored from an older copy must not spend twice (I13).
func (t *Till) left(r ledger.Reader, at protocol.Origin, member protocol.MemberID) (protocol.Points, error) {
	left, _, err := t.leftUnder(r, at, member)
	return left, err
}

// leftUnder is left, and under which id of the member's group so much may be spent:
// what was lent before a merge names who was merged. A sale spends under one id.
func (t *Till) leftUnder(r ledger.Reader, at protocol.Origin, member protocol.MemberID) (left protocol.Points, under protocol.MemberID, err error) {
	held, err := t.heldUnder(holdingsOf(r, at), at, member)
	return held.left, held.under, err
}

// heldUnder is what this machine's stream holds of a group.
type heldUnder struct {
	left  protocol.Points
	under protocol.MemberID
	risk  loyalty.Risk // of the whole group
}

func (t *Till) heldUnder(all *ledger.Holdings, at protocol.Origin, member protocol.MemberID) (h heldUnder, err error) {
	h.under = member
	if member == "" || !t.o.Confirmed(at.Inc) {
		return h, nil
	}
	group, err := all.Of(member)
	if err != nil {
		return h, err
	}
	h.under = group.IDs[0]
	for i, id := range group.IDs {
		lease := group.Leases[i]
		h.risk.Risked += lease.Risk.Risked
		h.risk.Settled += lease.Risk.Settled
		if lease.Left() > h.left {
			h.left, h.under = lease.Left(), id
		}
	}
	return h, nil
}

// mayRedeem refuses a sale that spends more points than this stream holds and may
// spend at risk, notes how many are at risk, and names in it under whom it spends
// them. It is asked in the transaction that logs the sale, so that two tills never
// spend the same points. What another POS took is taken down and asked of no lease.
func (a *act) mayRedeem(s *protocol.Sale, p *protocol.Programme, risk *riskTerms) error {
	if s.PointsRedeemed <= 0 || s.External != nil {
		return nil
	}
	purse, err := a.purse(a.holdings(), a.origin(), s.Member, p, risk.told)
	if err != nil {
		return err
	}
	if s.PointsRedeemed <= purse.left {
		s.Member = purse.under
		return nil
	}
	beyond := s.PointsRedeemed - purse.left
	if risk.allowed && beyond <= purse.room {
		s.Member, s.PointsAtRisk = purse.under, beyond
		return nil
	}
	risk.mode = purse.bound != loyalty.RiskOff
	return a.refusePoints(&purse, p, risk)
}

// withSpendable adds to a refusal of points how many may be spent here.
func (a *act) withSpendable(err error, member protocol.MemberID, p *protocol.Programme) error {
	if protocol.CodeOf(err) != protocol.PointsUnavailable {
		return err
	}
	purse, readErr := a.purse(a.holdings(), a.origin(), member, p, nil)
	if readErr != nil {
		return readErr
	}
	return protocol.AsError(err).With("spendable_here", int64(loyalty.Spendable(p, purse.spendable(), protocol.MoneyMax)))
}

// moreMayHelp tells whether a sale was refused for points that head office may
// still give this machine.
func moreMayHelp(err error) bool {
	if protocol.CodeOf(err) != protocol.PointsUnavailable {
		return false
	}
	why := protocol.AsError(err).Members["why"]
	return why == string(pointsNoLease) || why == string(pointsLease)
}

// sellWithPoints sells, and where the points here do not suffice asks head office
// for more of them, once. What that cannot give is spent at risk, if the programme
// lets it be; where head office cannot be asked, at once. Sales that spend no points
// never wait for anybody (I22).
func (t *Till) sellWithPoints(ctx context.Context, member protocol.MemberID, points protocol.Points, sell func(protocol.MemberID, *riskTerms) (protocol.Answer, error)) (protocol.Answer, error) {
	risk := riskTerms{allowed: !t.asks(t.origin().Inc)}
	answer, err := sell(member, &risk)
	if !moreMayHelp(err) {
		return answer, err
	}
	told := t.fetchPoints(ctx, member, points)
	if told.got || risk.mode {
		risk = riskTerms{allowed: true, told: told.balance}
		if told.refused {
			risk = riskTerms{told: new(protocol.Points)} // So that the refusal says what the lease alone pays.
		}
		answer, err = sell(told.under, &risk)
		if err == nil || protocol.CodeOf(err) != protocol.PointsUnavailable {
			return answer, err
		}
	}
	if told.balance != nil && *told.balance < points {
		n := strconv.FormatInt(int64(max(0, *told.balance)), 10)
		here := protocol.AsError(err).Members["spendable_here"]
		err = sale.RefusePoints(pointsBalance, "This member has "+n+" points in all.", "Spend fewer of them, or take another payment.").
			With("spendable_here", here).With("balance", int64(*told.balance))
	}
	return answer, err
}

// pointsBack is what refunds of a receipt have given back as points. It needs the
// events of all of them; ok is false where one is no longer here.
func (a *act) pointsBack(receipt *ledger.Receipt) (sum protocol.Money, ok bool, err error) {
	for _, reversal := range receipt.Reversals {
		e, ok, err := readLogged(a.tx, reversal.Event)
		if err != nil || !ok || e.event.Sale == nil {
			return 0, false, err
		}
		sum -= sale.PaidWithPoints(e.event.Sale)
	}
	return max(0, sum), true, nil
}
