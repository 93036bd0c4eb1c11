package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	darkMin   = time.Hour
	darkMax   = 72 * time.Hour
	darkShare = 3 // stores are dark for one part of so many
	// onlineShare is the share of lines that is asked for online, as one in so many.
	onlineShare = 3
)

// What happens at one moment happens in this order.
type happening int

const (
	linked happening = iota // a line is back
	filled                  // all shelves are filled up
	dark                    // a line breaks
	wanted                  // somebody wants to buy
)

// A step is one thing that happens to a chain.
type step struct {
	at   time.Duration // of opening time
	what happening
	shop int // of linked and dark
	want int // index into trade.wants
}

// A scenario is a trade with all that the seed decides. It is the same for
// every policy.
type scenario struct {
	*trade
	seed   uint64
	steps  []step
	online []bool // whether a want comes from the online shop
}

func newScenario(t *trade, seed uint64) *scenario {
	s := &scenario{trade: t, seed: seed, online: make([]bool, len(t.wants))}
	random := rand.New(rand.NewPCG(seed, 5))
	for i, w := range t.wants {
		s.online[i] = random.IntN(onlineShare) == 0
		s.steps = append(s.steps, step{at: w.at, what: wanted, want: i})
	}
	for day := 7; day < t.days; day += 7 {
		s.steps = append(s.steps, step{at: time.Duration(day) * openDay, what: filled})
	}
	for shop := range t.shops {
		s.cut(shop, rand.New(rand.NewPCG(seed, 100+uint64(shop))))
	}
	slices.SortStableFunc(s.steps, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.what, b.what))
	})
	return s
}

// cut makes a shop dark for a third of the time: stretches whose logarithm is
// uniform, with exponential pauses that are twice as long on average.
func (s *scenario) cut(shop int, random *rand.Rand) {
	ratio := math.Log(float64(darkMax) / float64(darkMin))
	mean := float64(darkMax-darkMin) / ratio
	end := time.Duration(s.days) * 24 * time.Hour
	at := time.Duration(0)
	for {
		at += time.Duration(random.ExpFloat64() * mean * (darkShare - 1))
		back := at + time.Duration(float64(darkMin)*math.Exp(ratio*random.Float64()))
		if back >= end {
			return
		}
		if opened(back) > opened(at) { // else nobody noticed
			s.steps = append(s.steps, step{at: opened(at), what: dark, shop: shop}, step{at: opened(back), what: linked, shop: shop})
		}
		at = back
	}
}

// factor is by how much a shop misjudges an item's demand when it is filled up:
// between a half and one and a half.
func (s *scenario) factor(shop, item, week int) float64 {
	random := rand.NewPCG(s.seed^uint64(week)<<32, uint64(shop)<<32^uint64(item)^0x9e3779b97f4a7c15)
	random.Uint64()
	return 0.5 + float64(random.Uint64()>>11)/(1<<53)
}
