package main

import (
	"math"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/stock"
)

// A shelf is what a shop has of one item, and what the hub knows of it.
type shelf struct {
	goods protocol.Quantity // that are there
	known stock.Level       // at the hub: goods as last heard of, and open promises
	open  []promise         // accepted while dark, in their order
	dirty bool              // whether the hub has to be told at reconnection

	demand stock.Demand // what the hub knows of walk-in sales
	unseen stock.Demand // walk-in sales that it has not heard of

	weeks  [warmWeeks]protocol.Quantity // demand of the last weeks, of all kinds
	weekly protocol.Quantity            // the demand of a week, from those
}

// A promise is an accepted line that has not been picked.
type promise struct{ quantity protocol.Quantity }

// A shopModel is one shop of a chainModel.
type shopModel struct {
	shelves []shelf
	pool    stock.Pool
	dark    bool
	since   time.Duration // of the silence
	dirty   []int
}

// A chainModel plays a scenario under one rule.
type chainModel struct {
	*scenario
	rule     rule
	now      time.Duration
	shops    []*shopModel
	silences stock.Silences
	week     int
	tally    tally
}

// play is what a rule comes to in a scenario.
func play(s *scenario, r rule) *tally {
	c := &chainModel{scenario: s, rule: r}
	for range s.trade.shops {
		c.shops = append(c.shops, &shopModel{shelves: make([]shelf, len(s.items))})
	}
	for _, step := range s.steps {
		c.now = step.at
		switch step.what {
		case linked:
			c.reconnect(step.shop)
		case filled:
			c.week++
			for shop := range c.shops {
				c.fillUp(shop)
			}
		case dark:
			shop := c.shops[step.shop]
			shop.dark, shop.since = true, c.now
		case wanted:
			c.serve(step.want)
		}
	}
	for shop := range c.shops {
		c.reconnect(shop)
	}
	return &c.tally
}

// warm tells whether the first weeks are over, in which there is no stock and
// every sale is taken to have been served.
func (c *chainModel) warm() bool { return c.week >= warmWeeks }

// change moves goods, and tells the hub if the line is up.
func (c *chainModel) change(shop, item int, delta protocol.Quantity) {
	s := c.shops[shop]
	f := &s.shelves[item]
	f.goods += delta
	if !s.dark {
		f.known.Add(protocol.OnHand, delta)
	} else {
		c.mark(shop, item)
	}
}

// fillUp brings every shelf of a shop to two weeks of the demand of the last
// four, as far as the shop judges it rightly.
func (c *chainModel) fillUp(shop int) {
	for item := range c.shops[shop].shelves {
		f := &c.shops[shop].shelves[item]
		var all protocol.Quantity
		for _, q := range f.weeks {
			all += q
		}
		f.weeks[c.week%warmWeeks] = 0
		f.weekly = all / warmWeeks
		if !c.warm() || all == 0 {
			continue
		}
		pieces := math.Ceil(float64(all) / 1000 * 2 / warmWeeks * c.factor(shop, item, c.week))
		if more := protocol.Quantity(pieces)*1000 - f.goods; more > 0 {
			c.change(shop, item, more)
		}
		if c.rule.demand {
			c.record(shop, item, 0)
		}
	}
}

// serve answers somebody who wants to buy.
func (c *chainModel) serve(i int) {
	w := c.wants[i]
	f := &c.shops[w.shop].shelves[w.item]
	f.weeks[c.week%warmWeeks] += w.quantity
	switch {
	case c.online[i] && c.warm():
		c.order(w)
	case !c.online[i]:
		c.sell(w)
	}
}

// sell hands a walk-in shopper what is there of it.
func (c *chainModel) sell(w want) {
	s := c.shops[w.shop]
	f := &s.shelves[w.item]
	q := w.quantity
	if c.warm() {
		q = min(q, f.goods)
		c.tally.missed += w.quantity - q
		c.tally.sold += q
	}
	if q <= 0 {
		return
	}
	if c.warm() {
		c.change(w.shop, w.item, -q)
	}
	if c.rule.demand {
		c.record(w.shop, w.item, q)
	}
}

// record tells the hub's record of an item of a sale, or with a quantity of 0
// that the item is in the shop: since the study began, or since now. The hub
// hears of it when the line is up.
func (c *chainModel) record(shop, item int, q protocol.Quantity) {
	s := c.shops[shop]
	f := &s.shelves[item]
	var sale stock.Demand
	if c.week <= warmWeeks {
		sale.Begin(0)
	}
	sale.Begin(c.now)
	sale.Add(c.now, q)
	if s.dark {
		f.unseen.Merge(&sale)
		c.mark(shop, item)
		return
	}
	s.pool.Merge(&f.demand, &sale)
}

// mark has the hub told of an item at reconnection.
func (c *chainModel) mark(shop, item int) {
	s := c.shops[shop]
	if f := &s.shelves[item]; !f.dirty {
		f.dirty, s.dirty = true, append(s.dirty, item)
	}
}

// order accepts a line of an online shopper or refuses it. A shop that is linked
// picks it at once.
func (c *chainModel) order(w want) {
	s := c.shops[w.shop]
	f := &s.shelves[w.item]
	var silence time.Duration
	if s.dark {
		silence = c.now - s.since
	}
	policy := stock.Policy{Online: true}
	accepted := policy.Promisable(&f.known, 0) >= w.quantity && // which spares most buffers
		policy.Promisable(&f.known, c.rule.hold(c, w.shop, w.item, silence)) >= w.quantity
	had := f.goods-f.known.Quantity(protocol.Committed) >= w.quantity
	class := &c.tally.classes[c.classOf(w.item)]
	class.asked++
	switch {
	case !accepted && had:
		class.refused++
	case !accepted:
		class.empty++
	case s.dark:
		class.accepted++
		class.acceptedDark++
		f.known.Add(protocol.Committed, w.quantity)
		f.open = append(f.open, promise{w.quantity})
		c.mark(w.shop, w.item)
	default:
		class.accepted++
		if f.goods < w.quantity {
			class.unfulfillable++
			return
		}
		c.tally.picked += w.quantity
		c.change(w.shop, w.item, -w.quantity)
	}
}

// reconnect lets staff pick what was promised, and then tells the hub what
// happened.
func (c *chainModel) reconnect(shop int) {
	s := c.shops[shop]
	if !s.dark {
		return
	}
	s.dark = false
	c.silences.Add(c.now - s.since)
	for _, item := range s.dirty {
		f := &s.shelves[item]
		f.dirty = false
		for _, p := range f.open {
			f.known.Add(protocol.Committed, -p.quantity)
			if f.goods >= p.quantity {
				f.goods -= p.quantity
				c.tally.picked += p.quantity
				continue
			}
			class := &c.tally.classes[c.classOf(item)]
			class.unfulfillable++
			class.unfulfillableDark++
		}
		f.open = f.open[:0]
		f.known.Add(protocol.OnHand, f.goods-f.known.OnHand())
		if c.rule.demand {
			s.pool.Merge(&f.demand, &f.unseen)
			f.unseen = stock.Demand{}
		}
	}
	s.dirty = s.dirty[:0]
}

// classOf sorts items by how fast they sell.
func (c *chainModel) classOf(item int) int {
	perWeek := float64(c.lines[item]) / float64(c.trade.shops) / (float64(c.days) / 7)
	for i, above := range speeds {
		if perWeek < above.below {
			return i
		}
	}
	return len(speeds) - 1
}

// speeds are the classes of items, by lines of all kinds in a week and shop.
var speeds = []struct {
	name  string
	below float64
}{{"below 0.25", 0.25}, {"0.25 to 0.5", 0.5}, {"0.5 to 1", 1}, {"1 to 3", 3}, {"3 and above", math.Inf(1)}}

// A tally counts the lines that online shoppers asked for, by class of item.
type tally struct {
	classes [5]lineCounts
	// Walk-in sales after the warm-up, what walk-in shoppers did not find, and
	// what staff picked.
	sold, missed, picked protocol.Quantity
}

// lineCounts are the lines of one class.
type lineCounts struct {
	asked, accepted, acceptedDark int
	refused                       int // though the shelf had it
	empty                         int // refused, and the shelf had not
	unfulfillable                 int
	unfulfillableDark             int
}

func (t *tally) add(o *tally) {
	for i := range t.classes {
		t.classes[i].add(o.classes[i])
	}
	t.sold, t.missed, t.picked = t.sold+o.sold, t.missed+o.missed, t.picked+o.picked
}

func (c *lineCounts) add(o lineCounts) {
	c.asked, c.accepted, c.acceptedDark = c.asked+o.asked, c.accepted+o.accepted, c.acceptedDark+o.acceptedDark
	c.refused, c.empty = c.refused+o.refused, c.empty+o.empty
	c.unfulfillable, c.unfulfillableDark = c.unfulfillable+o.unfulfillable, c.unfulfillableDark+o.unfulfillableDark
}

// all adds up the classes.
func (t *tally) all() (sum lineCounts) {
	for _, c := range t.classes {
		sum.add(c)
	}
	return sum
}
