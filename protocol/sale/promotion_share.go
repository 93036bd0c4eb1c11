package sale

import (
	"cmp"
	"math/bits"
	"slices"
)

// millionth is the denominator of a rate.
const millionth = 1_000_000

// share shares a total out in proportion to weights by largest remainder: each
// share is rounded down, and those that lost most, the first of equals, get one
// more until the shares come to the total. So a share is never above its weight
// where the total is not above their sum. Nothing is below 0.
func share(total int64, weights []int64) []int64 {
	shares := make([]int64, len(weights))
	sum := uint64(0)
	for _, w := range weights {
		sum += uint64(w)
	}
	if sum == 0 {
		return shares
	}
	lost := make([]uint64, len(weights))
	left := total
	for i, w := range weights {
		high, low := bits.Mul64(uint64(total), uint64(w))
		quotient, rest := bits.Div64(high, low, sum)
		shares[i], lost[i] = int64(quotient), rest
		left -= shares[i]
	}
	giveToTheMostLost(shares, lost, left)
	return shares
}

// roundShares rounds millionths: their sum half up, and each of them so that they
// come to it, by largest remainder.
func roundShares(millionths []int64) []int64 {
	shares := make([]int64, len(millionths))
	lost := make([]uint64, len(millionths))
	sum, whole := int64(0), int64(0)
	for i, m := range millionths {
		shares[i], lost[i] = m/millionth, uint64(m%millionth)
		sum += m % millionth
		whole += shares[i]
	}
	giveToTheMostLost(shares, lost, (sum+millionth/2)/millionth)
	return shares
}

// giveToTheMostLost adds 1 to as many shares as left says.
func giveToTheMostLost(shares []int64, lost []uint64, left int64) {
	if left == 0 {
		return
	}
	order := make([]int, len(lost))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lost[b], lost[a]) })
	for _, i := range order[:left] {
		shares[i]++
	}
}
