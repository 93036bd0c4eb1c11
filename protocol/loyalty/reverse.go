package loyalty

import (
	"math"

	"counterpart/protocol"
)

// Returned is a line of a sale of which something comes back.
type Returned struct {
	Earned protocol.Points   // by the line
	Sold   protocol.Quantity // on the line
	Before protocol.Quantity // that came back earlier
	Now    protocol.Quantity // that comes back now
}

// Reversal is how many points a return takes back: the line's points in proportion
// to what came back by now, rounded half up, less the same of before (our own
// rule, the one by which money is refunded). So returns in any parts take back, all
// together, exactly what was earned once all came back, and never more, also where
// more comes back than was sold. Where Now is below 0 the goods went out again, and
// the points are given again: the result is then below 0.
func Reversal(r Returned) protocol.Points {
	return r.takenBack(sum(r.Before, r.Now)) - r.takenBack(r.Before)
}

// takenBack is what is taken back in all once a quantity came back.
func (r Returned) takenBack(q protocol.Quantity) protocol.Points {
	if r.Earned <= 0 || r.Sold <= 0 {
		return 0
	}
	q = max(0, min(q, r.Sold))
	// The earned points bound the result, so that it always fits.
	points, _ := protocol.MulDiv(int64(min(r.Earned, protocol.PointsMax)), int64(q), int64(r.Sold))
	return protocol.Points(points)
}

// sum is a + b, or the nearest that there is.
func sum(a, b protocol.Quantity) protocol.Quantity {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}
