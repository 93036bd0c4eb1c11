package sale

import (
	"math"

	"counterpart/protocol"
)

// The exact search goes over the pieces once, the dearest first, and keeps for each
// way in which groups can be begun the most that can have been taken off so far.
// That is enough, because it does not matter which pieces of equal standing a group
// of n_for_price holds, and for cheapest_free no grouping of given pieces takes off
// more than n at a time in the order of their value.

// unreachable is the worth of a state that nothing leads to.
const unreachable = math.MinInt64

// counter is how many pieces the groups of a rule hold, as a digit of a state.
type counter struct {
	rule    *protocol.Promotion
	stride  int
	size    int  // of the digit
	bounded bool // the digit counts all pieces up to the limit, else those of the last group
}

// next is the state after one piece more goes into the rule's groups, which hold
// count in a state, and the place of that piece in its group; ok is false beyond the
// limit.
func (c *counter) next(state, count int) (to, place int, ok bool) {
	switch {
	case !c.bounded && count == c.size-1:
		return state - count*c.stride, count, true
	case !c.bounded:
		return state + c.stride, count, true
	}
	return state + c.stride, count % int(c.rule.N), count < c.size-1
}

// off is what the piece at a place in its group takes off, in minor units. The
// last piece of a group brings its price.
func (c *counter) off(place int, value int64) int64 {
	n := int(c.rule.N)
	switch {
	case c.rule.Kind == protocol.CheapestFree && place < n-int(c.rule.Free):
		return 0
	case c.rule.Kind == protocol.NForPrice && place == n-1:
		return value - int64(c.rule.Price)
	}
	return value
}

// before is the state from which next led here.
func (c *counter) before(state int) int {
	if state/c.stride%c.size == 0 {
		return state + (int(c.rule.N)-1)*c.stride
	}
	return state - c.stride
}

// whole tells whether every group of the rule is complete.
func (c *counter) whole(state int) bool { return state/c.stride%c.size%int(c.rule.N) == 0 }

// search is the exact search over one contest.
type search struct {
	counters []counter
	counts   []int // the digits of the state at hand, by counter
	states   int
	pieces   []int   // the place in the contest's goods of each piece, dearest first
	choices  []uint8 // by piece and state after it: the rule from 1, 0 for none
}

// newSearch is nil where the search would take too long.
func (p *plan) newSearch(c *contest) *search {
	if len(c.rules) > math.MaxUint8 {
		return nil
	}
	total := int64(0)
	for _, i := range c.goods {
		total += p.goods[i].pieces
	}
	s := &search{states: 1}
	for r, rule := range c.rules {
		mine := int64(0)
		for k, i := range c.goods {
			if c.about[r][k] {
				mine += p.goods[i].pieces
			}
		}
		digit := counter{rule: rule, stride: s.states, size: int(rule.N)}
		if limit := int64(rule.Limit); limit > 0 && limit < mine/int64(rule.N) {
			if limit > promotionStepsMax {
				return nil
			}
			digit.bounded, digit.size = true, int(limit)*int(rule.N)+1
		}
		if s.states *= digit.size; int64(s.states) > promotionStepsMax || total > promotionStepsMax/int64(s.states) {
			return nil
		}
		s.counters = append(s.counters, digit)
	}
	for k, i := range c.goods {
		for range p.goods[i].pieces {
			s.pieces = append(s.pieces, k)
		}
	}
	s.counts = make([]int, len(s.counters))
	s.choices = make([]uint8, len(s.pieces)*s.states)
	return s
}

// groupBest finds the best groups, and tells whether it did.
func (p *plan) groupBest(c *contest) bool {
	s := p.newSearch(c)
	if s == nil {
		return false
	}
	best, next := make([]int64, s.states), make([]int64, s.states)
	for i := range best {
		best[i] = unreachable
	}
	best[0] = 0
	for at, k := range s.pieces {
		for i := range next {
			next[i] = unreachable
		}
		s.step(c, k, &p.goods[c.goods[k]], best, next, s.choices[at*s.states:])
		best, next = next, best
	}
	end := 0
	for state, off := range best {
		if off > best[end] && s.whole(state) {
			end = state
		}
	}
	p.take(c, s, end)
	return true
}

// step decides about one piece. A state that lies further below 0 than a receipt
// can come to is of no use to anybody, and is dropped before it could overflow.
func (s *search) step(c *contest, k int, g *goods, best, next []int64, choices []uint8) {
	reach := func(state int, off int64, choice int) {
		if off > next[state] && off >= -int64(protocol.MoneyMax)*millionth {
			next[state], choices[state] = off, uint8(choice)
		}
	}
	clear(s.counts)
	for state, off := range best {
		if off != unreachable {
			reach(state, off+g.percentOff, 0)
			for r := range s.counters {
				if !c.about[r][k] {
					continue
				}
				if to, place, ok := s.counters[r].next(state, s.counts[r]); ok {
					reach(to, off+s.counters[r].off(place, g.value)*millionth, r+1)
				}
			}
		}
		s.count()
	}
}

// count makes counts those of the next state.
func (s *search) count() {
	for r := range s.counts {
		if s.counts[r]++; s.counts[r] < s.counters[r].size {
			return
		}
		s.counts[r] = 0
	}
}

func (s *search) whole(state int) bool {
	for r := range s.counters {
		if !s.counters[r].whole(state) {
			return false
		}
	}
	return true
}

// take goes back from the state at the end and puts the pieces into their groups.
func (p *plan) take(c *contest, s *search, state int) {
	chosen := make([]uint8, len(s.pieces))
	for at := len(s.pieces) - 1; at >= 0; at-- {
		choice := s.choices[at*s.states+state]
		if chosen[at] = choice; choice > 0 {
			state = s.counters[choice-1].before(state)
		}
	}
	uses := make([]use, len(s.counters))
	counts := make([]int, len(s.counters))
	for at, choice := range chosen {
		if choice == 0 {
			continue
		}
		r, i := choice-1, c.goods[s.pieces[at]]
		if uses[r].pieces == nil {
			uses[r] = use{by: c.rules[r], pieces: make([]int64, len(p.goods))}
		}
		uses[r].pieces[i]++
		uses[r].off += s.counters[r].off(counts[r]%int(c.rules[r].N), p.goods[i].value)
		counts[r]++
		p.free[i]--
	}
	for _, u := range uses {
		if u.pieces != nil {
			p.uses = append(p.uses, u)
		}
	}
}
