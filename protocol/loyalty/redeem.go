package loyalty

import (
	"strconv"

	"counterpart/protocol"
)

// errUnspendable refuses to turn points into money where no rule says how.
func errUnspendable() *protocol.Error {
	return protocol.Refuse(protocol.PointsUnavailable,
		"The points programme does not let points be spent now. Nothing was recorded. Take another payment; the points stay on the account.")
}

// steps checks that points can be spent in one payment, and says how many steps
// they are.
func steps(r *protocol.RedeemRule, points protocol.Points, field, value string) (int64, error) {
	if least := max(r.Minimum, r.Points); points < least {
		return 0, protocol.OutOfRange(field, value, "less than the "+number(least)+" points that can be spent at least")
	}
	if points > protocol.PointsMax {
		return 0, protocol.OutOfRange(field, value, "more than "+number(protocol.PointsMax)+" points")
	}
	if points%r.Points != 0 {
		return 0, protocol.OutOfRange(field, value, "not a whole number of steps of "+number(r.Points)+" points")
	}
	return int64(points / r.Points), nil
}

func number(p protocol.Points) string { return strconv.FormatInt(int64(p), 10) }

// rule is how points are spent, or nil where they are not, which is so too where a
// row does not make sense.
func rule(p *protocol.Programme) *protocol.RedeemRule {
	if p == nil || p.Redeem == nil || p.Redeem.Points <= 0 || p.Redeem.Value <= 0 {
		return nil
	}
	return p.Redeem
}

// Redeems tells whether a programme lets points be spent.
func Redeems(p *protocol.Programme) bool { return rule(p) != nil }

// Value is what points pay. They are spent in whole steps of the redemption rule's
// points and not below its minimum (our own rule); all else is refused, as is an
// amount beyond protocol.MoneyMax.
func Value(p *protocol.Programme, points protocol.Points) (protocol.Money, error) {
	r := rule(p)
	if r == nil {
		return 0, errUnspendable()
	}
	n, err := steps(r, points, "redeem_points", number(points))
	if err != nil {
		return 0, err
	}
	value, ok := protocol.MulDiv(n, int64(r.Value), 1)
	if !ok {
		return 0, protocol.OutOfRange("redeem_points", number(points), "worth more than "+strconv.FormatInt(int64(protocol.MoneyMax), 10)+" minor units")
	}
	return value, nil
}

// PointsFor is how many points pay an amount exactly: what Value turns into that
// amount. An amount that no number of points pays is refused (our own rule).
func PointsFor(p *protocol.Programme, amount protocol.Money) (protocol.Points, error) {
	r := rule(p)
	if r == nil {
		return 0, errUnspendable()
	}
	value := strconv.FormatInt(int64(amount), 10)
	if amount <= 0 || amount > protocol.MoneyMax || amount%r.Value != 0 {
		return 0, protocol.OutOfRange("amount_minor", value, "not a whole number of steps of "+strconv.FormatInt(int64(r.Value), 10)+" minor units, which "+number(r.Points)+" points pay")
	}
	points, ok := protocol.MulDiv(int64(amount/r.Value), int64(r.Points), 1)
	if !ok {
		return 0, protocol.OutOfRange("amount_minor", value, "worth more than "+number(protocol.PointsMax)+" points")
	}
	if _, err := steps(r, protocol.Points(points), "amount_minor", value); err != nil {
		return 0, err
	}
	return protocol.Points(points), nil
}

// Spendable is the most of some points that can pay towards an amount: whole steps
// that are worth no more than it, and 0 where that is below the minimum (our own
// rule: points give no change).
func Spendable(p *protocol.Programme, points protocol.Points, amount protocol.Money) protocol.Points {
	r := rule(p)
	if r == nil || points <= 0 || amount <= 0 {
		return 0
	}
	n := min(int64(min(points, protocol.PointsMax)/r.Points), int64(min(amount, protocol.MoneyMax)/r.Value))
	if most := protocol.Points(n) * r.Points; most >= r.Minimum {
		return most
	}
	return 0
}
