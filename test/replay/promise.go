package main

import (
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/stock"
)

// A rule says what the hub holds back from the last stock that it knows.
type rule struct {
	family string
	knob   float64
	// demand says whether the rule looks at records of demand.
	demand bool
	hold   func(c *chainModel, shop, item int, silence time.Duration) protocol.Quantity
}

// whileDark is the rule without effect on a store that is linked.
func (r rule) whileDark() rule {
	inner := r.hold
	r.family += darkOnly
	r.hold = func(c *chainModel, shop, item int, silence time.Duration) protocol.Quantity {
		if !c.shops[shop].dark {
			return 0
		}
		return inner(c, shop, item, silence)
	}
	return r
}

// The families of rules that are compared.
const (
	noBuffer     = "no buffer"
	static       = "static"
	proportional = "proportional"
	ours         = "ours"

	darkOnly = ", only while dark" // is added to a family's name
)

// shares are the knob of the proportional rule: how many weeks' demand is held
// back.
var shares = []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.2, 2.5, 3, 4}

// targets are the knob of our rule.
var targets = []protocol.RatePPM{1000, 2000, 5000, 10_000, 20_000, 35_000, 40_000, 45_000, 50_000, 55_000, 60_000, 75_000, 100_000, 200_000, 500_000}

// calibrated tells whether a rule's target is one of those that have to mean
// what they say: 0.5, 1 and 2 %.
func (r rule) calibrated() bool {
	return r.family == ours && slices.Contains([]float64{0.5, 1, 2}, r.knob)
}

func rules() []rule {
	all := []rule{{family: noBuffer, hold: func(*chainModel, int, int, time.Duration) protocol.Quantity { return 0 }}}
	for k := range 51 {
		r := rule{family: static, knob: float64(k), hold: func(*chainModel, int, int, time.Duration) protocol.Quantity {
			return protocol.Quantity(k) * 1000
		}}
		all = append(all, r)
	}
	for _, share := range shares {
		r := rule{family: proportional, knob: share, hold: func(c *chainModel, shop, item int, _ time.Duration) protocol.Quantity {
			return protocol.Quantity(share * float64(c.shops[shop].shelves[item].weekly))
		}}
		all = append(all, r)
	}
	for _, r := range slices.Clone(all[1:]) {
		all = append(all, r.whileDark())
	}
	for _, target := range targets {
		all = append(all, rule{family: ours, knob: float64(target) / 10_000, demand: true, hold: func(c *chainModel, shop, item int, silence time.Duration) protocol.Quantity {
			s := c.shops[shop]
			return stock.Buffer(stock.Unseen{
				Item: &s.shelves[item].demand, Pool: &s.pool, Silences: &c.silences, Now: c.now, Silence: silence,
			}, target)
		}})
	}
	return all
}
