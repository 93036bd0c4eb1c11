package sale

import (
	"slices"
	"strconv"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

// NoPoints says why points cannot be spent, in the member why of a refusal with
// the code points_unavailable.
type NoPoints string

// The reasons that lie in the request or the programme. Those that lie in what the
// machine holds are the till's.
const (
	PointsInTraining  NoPoints = "training"
	PointsOfNobody    NoPoints = "no_member"
	PointsNoProgramme NoPoints = "no_programme" // none is in force, or it lets no points be spent
	PointsMinimum     NoPoints = "minimum"
	PointsSteps       NoPoints = "steps"
	PointsAmount      NoPoints = "amount" // more than is to be paid
)

// RefusePoints refuses to spend points: what happened, and what to do next.
func RefusePoints(why NoPoints, what, next string) *protocol.Error {
	return protocol.Refuse(protocol.PointsUnavailable, what+" Nothing was sold. "+next).With("why", string(why))
}

// redeem pays with points what the request asks for, and gives the tenders that
// the sale then has. Points are paid by redeem_points alone, so that no receipt
// shows points that no account was asked for. Another POS has taken its payments
// already: they stay as they were given, and the points go off the account.
func (b *builder) redeem(s *protocol.Sale, r *Request) ([]Tender, error) {
	points := protocol.Points(0)
	if r.RedeemPoints != nil {
		points = protocol.Points(*r.RedeemPoints)
	}
	if b.external != nil {
		b.redeemed(s, points)
		return r.Tenders, nil
	}
	if slices.ContainsFunc(r.Tenders, func(t Tender) bool { return t.Type == string(protocol.PointsPay) }) {
		return nil, b.outOfRange(0, "tenders", string(protocol.PointsPay), "a payment that redeem_points makes (say there how many points are spent, and leave the payment out)")
	}
	if points == 0 {
		return r.Tenders, nil
	}
	value, err := b.worth(s, points)
	if err != nil {
		return nil, err
	}
	s.PointsRedeemed, s.Programme = points, b.t.Programme.ValidFrom
	return append(slices.Clip(r.Tenders), Tender{Type: string(protocol.PointsPay), AmountMinor: &value}), nil
}

// worth is what points pay towards a sale.
func (b *builder) worth(s *protocol.Sale, points protocol.Points) (protocol.Money, error) {
	switch {
	case s.Training:
		return 0, RefusePoints(PointsInTraining, "Points are never spent in training.", "Practise with another payment.")
	case s.Member == "":
		return 0, RefusePoints(PointsOfNobody, "No member was named whose points are to be spent.", "Scan the member's card first.")
	}
	value, err := loyalty.Value(b.t.Programme, points)
	if err != nil {
		return 0, b.unspendable(points, err)
	}
	if total := due(s); value > total {
		most := loyalty.Spendable(b.t.Programme, points, total)
		return 0, RefusePoints(PointsAmount, strconv.FormatInt(int64(points), 10)+" points pay "+money(value)+", which is more than the "+money(total)+
			" (in the smallest unit of "+s.Currency+") that is to be paid, and points give no change.",
			"At most "+strconv.FormatInt(int64(most), 10)+" points can be spent on it.").With("most", int64(most)).With("due_minor", int64(total))
	}
	return value, nil
}

// unspendable says why the programme does not let so many points be spent.
func (b *builder) unspendable(points protocol.Points, err error) error {
	if protocol.CodeOf(err) != protocol.OutOfRangeCode {
		return RefusePoints(PointsNoProgramme, "The points programme does not let points be spent now.", "Take another payment; the points stay on the account.")
	}
	rule := b.t.Programme.Redeem
	step, least := strconv.FormatInt(int64(rule.Points), 10), max(rule.Minimum, rule.Points)
	switch {
	case points < least:
		return RefusePoints(PointsMinimum, "At least "+strconv.FormatInt(int64(least), 10)+" points can be spent at a time.", "Spend more of them, or take another payment.").With("minimum", int64(least))
	case points%rule.Points != 0:
		return RefusePoints(PointsSteps, "Points are spent in whole steps of "+step+".", "Spend a multiple of "+step+" points.").With("step", int64(rule.Points))
	}
	return RefusePoints(PointsAmount, "So many points are worth more than a sale can come to.", "Spend fewer of them.")
}

// redeemed takes down what another POS says that it took. Without a member there
// is no account to take it off.
func (b *builder) redeemed(s *protocol.Sale, points protocol.Points) {
	switch {
	case points <= 0:
	case s.Member == "":
		b.warn(WarnPoints, 0, "Points were spent at the other till, and no member was named. They were not taken off an account.")
	default:
		s.PointsRedeemed = points
	}
}

// pointsBack notes the points that a refund gives back: of what was paid with
// points on the receipt, the part that comes back now, at the value that they had
// on it. It is rounded half up on the running sum, as money is (our own rule), so
// that refunds in any parts give back exactly what was spent.
func (b *refund) pointsBack(s *protocol.Sale) error {
	var now protocol.Money
	for _, t := range s.Tenders {
		if t.Type == protocol.PointsPay {
			now -= t.Amount
		}
	}
	if now == 0 {
		return nil
	}
	var spent protocol.Points
	var paidSo, before protocol.Money
	if b.original != nil {
		spent, paidSo, before = b.original.Sale.PointsRedeemed, PaidWithPoints(b.original.Sale), b.original.PointsBack
	}
	left := max(0, paidSo-before)
	if now > left || now < 0 || spent <= 0 {
		if b.external == nil {
			return b.refuse(protocol.OutOfRangeCode, 0, "Of what was paid with points on this receipt "+money(left)+" (in the smallest unit of "+s.Currency+
				") can still be given back as points, not "+money(now)+".", "Refund the rest in another way.").With("field", "tenders").With("remaining_minor", int64(left))
		}
		b.warn(WarnPoints, 0, "The other till gave back points that were not spent on a receipt which is known here. They were not put on an account.")
		return nil
	}
	after, ok := protocol.MulDiv(int64(spent), int64(before+now), int64(paidSo))
	earlier, ok2 := protocol.MulDiv(int64(spent), int64(before), int64(paidSo))
	if !ok || !ok2 {
		return b.outOfRange(0, "tenders", "", "too much for the points that were spent")
	}
	s.PointsRedeemed = -protocol.Points(after - earlier)
	return nil
}

// PaidWithPoints is what a receipt's payments of type points come to: above zero of
// a sale, below of what reverses one.
func PaidWithPoints(s *protocol.Sale) (sum protocol.Money) {
	for _, t := range s.Tenders {
		if t.Type == protocol.PointsPay {
			sum += t.Amount
		}
	}
	return sum
}
