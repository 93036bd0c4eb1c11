package sale

import (
	"cmp"
	"slices"

	"counterpart/protocol"
)

// promotionStepsMax bounds the exact search: the pieces that promotions for groups
// compete for, times the ways in which their groups can be begun. It is ten
// milliseconds of one core. A receipt of 100 pieces reaches it with six promotions
// of three pieces that all hold for the same goods.
const promotionStepsMax = 100_000

// usesMax bounds the promotions for groups on one receipt, so that no line has more
// discounts than an event can hold.
const usesMax = 250

// plan says which pieces are part of which groups.
type plan struct {
	goods []goods
	free  []int64 // pieces of each goods that are in no group
	uses  []use
}

// use is a promotion with the pieces that are part of its groups.
type use struct {
	by     *protocol.Promotion
	pieces []int64 // of each goods
	off    int64   // what its groups take off, in minor units
}

func newPlan(list []goods) *plan {
	p := &plan{goods: list, free: make([]int64, len(list))}
	for i := range list {
		p.free[i] = list[i].pieces
	}
	return p
}

// contest is promotions for groups that compete for the same goods.
type contest struct {
	rules []*protocol.Promotion
	goods []int    // whose pieces any of the rules is about, dearest first
	about [][]bool // by rule and place in goods
}

// group puts pieces into groups. Promotions that have no goods in common do not
// stand in each other's way, so each lot of those that have is looked at alone.
func (p *plan) group(rules []*protocol.Promotion) {
	for _, c := range p.contests(rules) {
		if len(p.uses)+len(c.rules) > usesMax || !p.groupBest(c) {
			p.groupWell(c)
		}
	}
}

// contests sorts promotions into lots that have goods in common.
func (p *plan) contests(rules []*protocol.Promotion) []*contest {
	lot := make([]int, len(p.goods)) // of goods, from 1; 0: none
	var lots [][]int                 // of rules
	for n, rule := range rules {
		pieces := int64(0)
		var mine []int
		for i := range p.goods {
			if g := &p.goods[i]; g.pieces > 0 && about(rule, g.sku, g.category) {
				mine = append(mine, i)
				pieces += g.pieces
			}
		}
		if pieces < int64(rule.N) {
			continue
		}
		lots = append(lots, []int{n})
		into := len(lots)
		for _, i := range mine {
			if old := lot[i]; old != 0 && old != into {
				lots[into-1] = append(lots[into-1], lots[old-1]...)
				lots[old-1] = nil
				for k := range lot {
					if lot[k] == old {
						lot[k] = into
					}
				}
			}
			lot[i] = into
		}
	}
	var list []*contest
	for n, numbers := range lots {
		if len(numbers) == 0 {
			continue
		}
		slices.Sort(numbers)
		c := &contest{}
		for _, number := range numbers {
			c.rules = append(c.rules, rules[number])
		}
		p.fill(c, func(i int) bool { return lot[i] == n+1 })
		list = append(list, c)
	}
	return list
}

// fill gives a contest its goods.
func (p *plan) fill(c *contest, in func(int) bool) {
	c.about = make([][]bool, len(c.rules))
	for i := range p.goods {
		if in(i) {
			c.goods = append(c.goods, i)
		}
	}
	slices.SortStableFunc(c.goods, func(a, b int) int {
		return cmp.Or(cmp.Compare(p.goods[b].value, p.goods[a].value), cmp.Compare(p.goods[a].sku, p.goods[b].sku))
	})
	for r, rule := range c.rules {
		c.about[r] = make([]bool, len(c.goods))
		for k, i := range c.goods {
			c.about[r][k] = about(rule, p.goods[i].sku, p.goods[i].category)
		}
	}
}

// groupWell is for receipts beyond the exact search. Each promotion would by itself
// make groups of its goods from the dearest down, those that take off more than
// percentages would. The promotion that would gain most goes first, the others
// follow with what is left.
func (p *plan) groupWell(c *contest) {
	order := make([]int, len(c.rules))
	gains := make([]int64, len(c.rules))
	for r := range c.rules {
		order[r] = r
		_, gains[r] = p.alone(c, r)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(gains[b], gains[a]) })
	for _, r := range order {
		if len(p.uses) >= usesMax {
			break
		}
		if u, gain := p.alone(c, r); gain > 0 {
			for i, n := range u.pieces {
				p.free[i] -= n
			}
			p.uses = append(p.uses, u)
		}
	}
}

// stretch is pieces of equal goods, in a group or waiting for one.
type stretch struct {
	goods  int
	pieces int64
}

// alone is what a promotion makes of the free pieces by itself, and by how many
// millionths that is better than percentages.
func (p *plan) alone(c *contest, r int) (use, int64) {
	rule := c.rules[r]
	var list []stretch
	for k, i := range c.goods {
		if c.about[r][k] && p.free[i] > 0 {
			list = append(list, stretch{i, p.free[i]})
		}
	}
	if rule.Kind == protocol.NForPrice {
		// Of groups that cost the same the best are those of the goods that are
		// worth most beyond what a percentage would take off.
		worth := func(s stretch) int64 { g := &p.goods[s.goods]; return g.value*millionth - g.percentOff }
		slices.SortStableFunc(list, func(a, b stretch) int { return cmp.Compare(worth(b), worth(a)) })
	}
	u := use{by: rule, pieces: make([]int64, len(p.goods))}
	total, groups := int64(0), int64(0)
	for len(list) > 0 && (rule.Limit == 0 || groups < int64(rule.Limit)) {
		one, times, rest := nextGroup(list, int64(rule.N))
		if times == 0 {
			break
		}
		list = rest
		off, gain := p.groupOff(rule, one)
		if gain <= 0 {
			continue
		}
		if rule.Limit > 0 {
			times = min(times, int64(rule.Limit)-groups)
		}
		groups += times
		total += gain * times
		u.off += off * times
		for _, s := range one {
			u.pieces[s.goods] += s.pieces * times
		}
	}
	return u, total
}

// nextGroup takes the first n pieces off a list, and as many groups of the same
// pieces as follow; times is 0 where there are not enough.
func nextGroup(list []stretch, n int64) (one []stretch, times int64, rest []stretch) {
	if list[0].pieces >= n {
		times = list[0].pieces / n
		one = []stretch{{list[0].goods, n}}
		if list[0].pieces -= times * n; list[0].pieces == 0 {
			list = list[1:]
		}
		return one, times, list
	}
	for need := n; need > 0; {
		if len(list) == 0 {
			return nil, 0, nil
		}
		some := min(need, list[0].pieces)
		one = append(one, stretch{list[0].goods, some})
		need -= some
		if list[0].pieces -= some; list[0].pieces == 0 {
			list = list[1:]
		}
	}
	return one, 1, list
}

// groupOff is what one group takes off, and by how many millionths that is better
// than percentages. The pieces stand with the dearest first where some are free.
func (p *plan) groupOff(rule *protocol.Promotion, one []stretch) (off, gain int64) {
	costs := int64(rule.N) - int64(rule.Free) // pieces that are not free
	percent := int64(0)
	for _, s := range one {
		g := &p.goods[s.goods]
		percent += g.percentOff * s.pieces
		if rule.Kind == protocol.NForPrice {
			off += g.value * s.pieces
			continue
		}
		paid := min(costs, s.pieces)
		costs -= paid
		off += g.value * (s.pieces - paid)
	}
	if rule.Kind == protocol.NForPrice {
		off -= int64(rule.Price)
	}
	return off, off*millionth - percent
}

// reductions are what groups and percentages take off each line. What a promotion
// for groups takes off is shared over the goods in its groups in proportion to
// their value, so that a return of any of them gives back what was paid for it.
func (p *plan) reductions() []reduction {
	var list []reduction
	for _, u := range p.uses {
		weights := make([]int64, len(p.goods))
		for i, n := range u.pieces {
			weights[i] = n * p.goods[i].value
		}
		for i, amount := range share(u.off, weights) {
			list = add(list, reduction{p.goods[i].line, u.by, protocol.Money(amount)})
		}
	}
	millionths := make([]int64, len(p.goods))
	for i := range p.goods {
		if p.goods[i].pieces == 0 {
			millionths[i] = p.goods[i].percentOff
			continue
		}
		millionths[i] = p.goods[i].percentOff * p.free[i]
	}
	for i, amount := range roundShares(millionths) {
		list = add(list, reduction{p.goods[i].line, p.goods[i].percent, protocol.Money(amount)})
	}
	return list
}

// add notes a reduction, together with that of the same line and promotion.
func add(list []reduction, r reduction) []reduction {
	if r.amount == 0 {
		return list
	}
	if n := len(list); n > 0 && list[n-1].line == r.line && list[n-1].by == r.by {
		list[n-1].amount += r.amount
		return list
	}
	return append(list, r)
}
