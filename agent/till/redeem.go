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

// programmeAt is the points programme in force, nil for none.
func (d *desk) programmeAt(at time.Time) (*protocol.Programme, error) {
	list, err := ledger.ReadProgrammes(d.r)
	if err != nil {
		return nil, err
	}
	return loyalty.InForce(list, at, d.shop.loc), nil
}

// left is what this machine's stream may still spend of a member's points. Until
// the hub has confirmed the head of the stream it is nothing: a machine that was
// restored from an older copy must not spend twice (I13).
func (t *Till) left(r ledger.Reader, at protocol.Origin, member protocol.MemberID) (protocol.Points, error) {
	if member == "" || !t.o.Confirmed(at.Inc) {
		return 0, nil
	}
	lease, err := ledger.ReadLease(r, ledger.MemberAt{Store: at.Store, Member: member}, at.Inc)
	return lease.Left(), err
}

// mayRedeem refuses a sale that spends more points than this stream holds. It is
// asked in the transaction that logs the sale, so that two tills never spend the
// same points. What another POS took is taken down and asked of no lease.
func (a *act) mayRedeem(s *protocol.Sale, p *protocol.Programme) error {
	if s.PointsRedeemed <= 0 || s.External != nil {
		return nil
	}
	left, err := a.left(a.tx, a.origin(), s.Member)
	if err != nil || s.PointsRedeemed <= left {
		return err
	}
	here := loyalty.Spendable(p, left, protocol.MoneyMax)
	next := "Take another payment; the points stay on the account."
	var refusal *protocol.Error
	switch {
	case !a.o.Confirmed(a.origin().Inc):
		refusal = sale.RefusePoints(pointsUnconfirmed, "This machine was started while head office could not be reached, and spends no points before it has been heard.", next)
	case here == 0:
		refusal = sale.RefusePoints(pointsNoLease, "None of this member's points may be spent here without asking head office.", next)
	default:
		n := strconv.FormatInt(int64(here), 10)
		refusal = sale.RefusePoints(pointsLease, "Only "+n+" of this member's points may be spent here without asking head office.", "Spend at most "+n+" points, or take another payment.")
	}
	return refusal.With("spendable_here", int64(here))
}

// withSpendable adds to a refusal of points how many may be spent here.
func (a *act) withSpendable(err error, member protocol.MemberID, p *protocol.Programme) error {
	if protocol.CodeOf(err) != protocol.PointsUnavailable {
		return err
	}
	left, readErr := a.left(a.tx, a.origin(), member)
	if readErr != nil {
		return readErr
	}
	return protocol.AsError(err).With("spendable_here", int64(loyalty.Spendable(p, left, protocol.MoneyMax)))
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
// for more of them, once. Sales that spend no points never wait for anybody (I22).
func (t *Till) sellWithPoints(ctx context.Context, member protocol.MemberID, points protocol.Points, sell func() (protocol.Answer, error)) (protocol.Answer, error) {
	answer, err := sell()
	if !moreMayHelp(err) {
		return answer, err
	}
	got, balance := t.fetchPoints(ctx, member, points)
	if got {
		return sell()
	}
	if balance != nil && *balance < points {
		n := strconv.FormatInt(int64(max(0, *balance)), 10)
		here := protocol.AsError(err).Members["spendable_here"]
		err = sale.RefusePoints(pointsBalance, "This member has "+n+" points in all.", "Spend fewer of them, or take another payment.").
			With("spendable_here", here).With("balance", int64(*balance))
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
