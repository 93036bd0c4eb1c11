package loyalty_test

import (
	"fmt"
	"math"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

// TestReversal compares with what was worked out by hand.
func TestReversal(t *testing.T) {
	for _, tt := range []struct {
		r    loyalty.Returned
		want protocol.Points
	}{
		{loyalty.Returned{Earned: 10, Sold: 3000, Now: 1000}, 3},
		{loyalty.Returned{Earned: 10, Sold: 3000, Before: 1000, Now: 1000}, 4},
		{loyalty.Returned{Earned: 10, Sold: 3000, Before: 2000, Now: 1000}, 3},
		{loyalty.Returned{Earned: 5, Sold: 2000, Now: 1000}, 3},
		{loyalty.Returned{Earned: 10, Sold: 1000, Now: 5000}, 10},
		{loyalty.Returned{Earned: 10, Sold: 1000, Before: 1000, Now: 1000}, 0},
		{loyalty.Returned{Earned: 10, Sold: 2000, Before: 2000, Now: -1000}, -5},
		{loyalty.Returned{Earned: 10, Sold: 2000, Before: math.MaxInt64, Now: math.MaxInt64}, 0},
		{loyalty.Returned{Earned: 10, Sold: 2000, Before: math.MinInt64, Now: math.MinInt64}, 0},
		{loyalty.Returned{Earned: 10, Now: 1000}, 0},
		{loyalty.Returned{Earned: 10, Sold: -1000, Now: -1000}, 0},
		{loyalty.Returned{Earned: -10, Sold: 1000, Now: 1000}, 0},
		{loyalty.Returned{Earned: math.MaxInt64, Sold: math.MaxInt64, Now: math.MaxInt64}, protocol.PointsMax},
	} {
		if got := loyalty.Reversal(tt.r); got != tt.want {
			t.Errorf("%+v takes back %d, want %d", tt.r, got, tt.want)
		}
	}
}

func TestValue(t *testing.T) {
	p := &protocol.Programme{Redeem: &protocol.RedeemRule{Points: 100, Value: 50, Minimum: 250}}
	dear := &protocol.Programme{Redeem: &protocol.RedeemRule{Points: 1, Value: protocol.MoneyMax}}
	odd := &protocol.Programme{Redeem: &protocol.RedeemRule{}}
	for _, tt := range []struct {
		p      *protocol.Programme
		points protocol.Points
		want   string
	}{
		{p, 300, "150"},
		{p, 1_000_000_000_000, "500000000000"},
		{p, 0, "out_of_range redeem_points"},
		{p, -300, "out_of_range redeem_points"},
		{p, 200, "out_of_range redeem_points"},
		{p, 350, "out_of_range redeem_points"},
		{p, 1_000_000_000_100, "out_of_range redeem_points"},
		{&protocol.Programme{Redeem: &protocol.RedeemRule{Points: 100, Value: 50}}, 0, "out_of_range redeem_points"},
		{dear, 1, "1000000000000"},
		{dear, 2, "out_of_range redeem_points"},
		{dear, protocol.PointsMax, "out_of_range redeem_points"},
		{&protocol.Programme{}, 300, "points_unavailable <nil>"},
		{odd, 300, "points_unavailable <nil>"},
		{nil, 300, "points_unavailable <nil>"},
	} {
		value, err := loyalty.Value(tt.p, tt.points)
		if got := answer(int64(value), err); got != tt.want {
			t.Errorf("%d points are worth %s, want %s", tt.points, got, tt.want)
		}
	}
}

func TestPointsFor(t *testing.T) {
	p := &protocol.Programme{Redeem: &protocol.RedeemRule{Points: 100, Value: 50, Minimum: 250}}
	dear := &protocol.Programme{Redeem: &protocol.RedeemRule{Points: protocol.PointsMax, Value: 1}}
	for _, tt := range []struct {
		p      *protocol.Programme
		amount protocol.Money
		want   string
	}{
		{p, 150, "300"},
		{p, 100, "out_of_range amount_minor"},
		{p, 151, "out_of_range amount_minor"},
		{p, 0, "out_of_range amount_minor"},
		{p, -150, "out_of_range amount_minor"},
		{p, math.MaxInt64, "out_of_range amount_minor"},
		{dear, 1, "1000000000000"},
		{dear, 2, "out_of_range amount_minor"},
		{nil, 150, "points_unavailable <nil>"},
	} {
		points, err := loyalty.PointsFor(tt.p, tt.amount)
		if got := answer(int64(points), err); got != tt.want {
			t.Errorf("%d minor units are %s, want %s", tt.amount, got, tt.want)
		}
	}
	for _, none := range []*protocol.Programme{nil, {}} {
		if got := loyalty.Spendable(none, 1000, 1000); got != 0 {
			t.Errorf("without a rule %d points can be spent", got)
		}
	}
	if got := loyalty.Spendable(p, math.MaxInt64, math.MaxInt64); got != protocol.PointsMax {
		t.Errorf("of all points %d can be spent", got)
	}
}

// answer is a number, or code and field of a refusal.
func answer(n int64, err error) string {
	if err != nil {
		e := protocol.AsError(err)
		return fmt.Sprint(e.Code, " ", e.Members["field"])
	}
	return fmt.Sprint(n)
}
