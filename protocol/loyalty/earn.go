package loyalty

import (
	"math/big"
	"slices"
	"time"

	"counterpart/protocol"
)

// Basket is a sale with what the rules ask beyond its receipt.
type Basket struct {
	Sale       *protocol.Sale
	Categories []string // of each line's item; missing ones are none
	Store      protocol.StoreID
	At         time.Time
	Zone       *time.Location // the store's, in which dates of campaigns begin
	Tier       string         // the member's, by name; empty for none
	Birthday   bool           // the member has the programme's days of their birthday
}

// Earned is what a sale earned. Lines add up to Total and none is below 0, so that
// a return can take back what one line earned.
type Earned struct {
	Total protocol.Points
	Lines []protocol.Points
}

// Earn reckons the points of a sale. The rules are our own:
//
//   - What was paid with points or a gift card earns nothing, whatever rules say:
//     points earned points when they were, and a gift card is paid by somebody else.
//   - A line that puts money on a gift card of the chain earns nothing: it is no
//     purchase.
//   - Cash counts less change and less cash rounding, so that what was paid is
//     what lines and taxes come to.
//   - A line counts with its amount on the receipt, after discounts. Where tax
//     is added to prices it is not part of that.
//   - The part of a line that was paid in one way is its amount × what was paid
//     that way ÷ all that was paid. It earns under the first rule that there is
//     of: category and tender, category, tender, neither.
//   - Of the campaigns that are in force for a line, and the birthday's, the largest
//     factor counts; they do not multiply each other. The factor of the member's tier multiplies
//     that. Neither makes less than once.
//   - All of this is exact. The sum of each rule over the receipt is rounded, once,
//     as the programme says. Below 0 it is 0, which lines below 0 may lead to.
//   - The points of a rule are shared out to its lines above 0 in proportion, by
//     the largest remainder, the first line first.
//   - Nothing is earned by a return, a void or a training sale, and no sale earns
//     more than protocol.PointsMax.
//
// Spending more in the same way never earns less. Where rules differ by tender,
// paying more of the same goods in another way may.
func Earn(p *protocol.Programme, b Basket) Earned {
	earned := Earned{Lines: make([]protocol.Points, len(b.Sale.Lines))}
	if p == nil || b.Sale.Type != protocol.SaleSale || b.Sale.Training {
		return earned
	}
	r := reckoning{p: p, b: b, sums: make([]ruleSum, len(p.Earn)), known: map[string]terms{}}
	if r.pay(b.Sale); r.whole == 0 {
		return earned
	}
	r.campaigns = inForce(p.Campaigns, b)
	for i := range b.Sale.Lines {
		if !loads(b.Sale, i) {
			r.line(i)
		}
	}
	for i := range r.sums {
		points := min(r.round(i), protocol.PointsMax-earned.Total)
		earned.Total += points
		r.sums[i].share(points, earned.Lines)
	}
	return earned
}

// loads tells whether a line puts money on a gift card.
func loads(s *protocol.Sale, line int) bool {
	return slices.ContainsFunc(s.Accounts, func(e protocol.AccountEntry) bool { return e.Line == uint32(line)+1 })
}

// factorOnce multiplies by one, factorMax by the most that is reckoned with.
const (
	factorOnce protocol.RatePPM = 1_000_000
	factorMax  protocol.RatePPM = 100_000_000
)

// reckoning is one call of Earn.
type reckoning struct {
	p         *protocol.Programme
	b         Basket
	paid      []payment // above 0
	whole     int64     // the sum of paid
	campaigns []*protocol.Campaign
	known     map[string]terms // by category
	sums      []ruleSum        // by rule
}

// payment is what was paid in one way.
type payment struct {
	tender protocol.TenderType
	amount int64
}

// terms are what a line of one category earns by.
type terms struct {
	paid   []int64 // what was paid under each rule; rules behind the last are 0
	factor protocol.RatePPM
}

// ruleSum is what one rule finds on the receipt: weights of lines in minor units ×
// paid under the rule × factor in millionths.
type ruleSum struct {
	lines   []int
	weights []*big.Int
	sum     big.Int
}

// bounded keeps an amount within what the wire can hold, so that sums of them fit.
func bounded(m protocol.Money) int64 {
	return max(-protocol.AmountMax, min(int64(m), protocol.AmountMax))
}

// pay sums up what was paid in each way. A way that gave back more than it brought
// paid nothing.
func (r *reckoning) pay(s *protocol.Sale) {
	add := func(tender protocol.TenderType, amount int64) {
		i := slices.IndexFunc(r.paid, func(p payment) bool { return p.tender == tender })
		if i < 0 {
			i, r.paid = len(r.paid), append(r.paid, payment{tender: tender})
		}
		r.paid[i].amount += amount
	}
	for _, t := range s.Tenders {
		add(t.Type, bounded(t.Amount))
	}
	if back := bounded(s.Change) + bounded(s.Rounding); back != 0 {
		add(protocol.Cash, -back)
	}
	r.paid = slices.DeleteFunc(r.paid, func(p payment) bool { return p.amount <= 0 })
	for _, p := range r.paid {
		r.whole += p.amount
	}
}

func inForce(campaigns []protocol.Campaign, b Basket) []*protocol.Campaign {
	var list []*protocol.Campaign
	for i := range campaigns {
		c := &campaigns[i]
		if (c.Store == "" || c.Store == b.Store) && running(c, b.At, b.Zone) {
			list = append(list, c)
		}
	}
	return list
}

// termsOf are the terms of a category, which are the same for all its lines.
func (r *reckoning) termsOf(category string) terms {
	if t, ok := r.known[category]; ok {
		return t
	}
	t := terms{paid: make([]int64, len(r.p.Earn)), factor: factorOnce}
	for _, paid := range r.paid {
		if rule, ok := ruleFor(r.p.Earn, category, paid.tender); ok {
			t.paid[rule] += paid.amount
		}
	}
	for _, c := range r.campaigns {
		if c.Category == "" || c.Category == category {
			t.factor = max(t.factor, min(c.Factor, factorMax))
		}
	}
	if r.b.Birthday && r.p.Birthday != nil {
		t.factor = max(t.factor, min(r.p.Birthday.Factor, factorMax))
	}
	r.known[category] = t
	return t
}

// earnsNothing tells whether no rule is about what is paid in a way.
func earnsNothing(t protocol.TenderType) bool {
	return t == protocol.PointsPay || t == protocol.GiftCard
}

// ruleFor finds the rule that says most of goods of a category paid with a tender;
// of two that say the same of them the first stands.
func ruleFor(rules []protocol.EarnRule, category string, tender protocol.TenderType) (found int, ok bool) {
	if earnsNothing(tender) {
		return 0, false
	}
	most := -1
	for i := range rules {
		rule := &rules[i]
		if rule.Category != "" && rule.Category != category || rule.Tender != "" && rule.Tender != tender {
			continue
		}
		says := 0
		if rule.Category != "" {
			says += 2
		}
		if rule.Tender != "" {
			says++
		}
		if says > most {
			found, most = i, says
		}
	}
	return found, most >= 0
}

// line adds a line to the sums of the rules that it earns under.
func (r *reckoning) line(i int) {
	category := ""
	if i < len(r.b.Categories) {
		category = r.b.Categories[i]
	}
	t := r.termsOf(category)
	amount := bounded(r.b.Sale.Lines[i].Amount)
	if amount == 0 {
		return
	}
	for rule, paid := range t.paid {
		if paid == 0 {
			continue
		}
		weight := product(amount, paid, int64(t.factor))
		s := &r.sums[rule]
		s.sum.Add(&s.sum, weight)
		if weight.Sign() > 0 {
			s.lines, s.weights = append(s.lines, i), append(s.weights, weight)
		}
	}
}

// product multiplies without overflow.
func product(first int64, others ...int64) *big.Int {
	p, next := big.NewInt(first), new(big.Int)
	for _, n := range others {
		p.Mul(p, next.SetInt64(n))
	}
	return p
}

// round is what a rule gives for its sum.
func (r *reckoning) round(rule int) protocol.Points {
	e, s := &r.p.Earn[rule], &r.sums[rule]
	if s.sum.Sign() <= 0 || e.Points <= 0 || e.PerMinor <= 0 {
		return 0
	}
	exact := product(int64(e.Points), int64(r.tier()))
	exact.Mul(exact, &s.sum)
	unit := product(int64(e.PerMinor), r.whole, int64(factorOnce), int64(factorOnce))
	if r.p.Rounding == protocol.RoundHalfUp {
		exact.Lsh(exact, 1).Add(exact, unit)
		unit.Lsh(unit, 1)
	}
	if exact.Quo(exact, unit); !exact.IsInt64() {
		return protocol.PointsMax
	}
	return min(protocol.Points(exact.Int64()), protocol.PointsMax)
}

// tier is the factor of the member's tier.
func (r *reckoning) tier() protocol.RatePPM {
	for i := range r.p.Tiers {
		if t := &r.p.Tiers[i]; t.Name == r.b.Tier {
			return max(factorOnce, min(t.Factor, factorMax))
		}
	}
	return factorOnce
}

// share adds points to the lines that earned them, in proportion to their weights,
// by the largest remainder (A. Hamilton's method of apportionment).
func (s *ruleSum) share(points protocol.Points, lines []protocol.Points) {
	if points <= 0 {
		return
	}
	all := new(big.Int)
	for _, w := range s.weights {
		all.Add(all, w)
	}
	type rest struct {
		line int
		left *big.Int
	}
	rests := make([]rest, len(s.lines))
	whole, n, given := new(big.Int), big.NewInt(int64(points)), protocol.Points(0)
	for i, w := range s.weights {
		left := new(big.Int)
		whole.QuoRem(w.Mul(w, n), all, left)
		part := protocol.Points(whole.Int64())
		lines[s.lines[i]] += part
		given += part
		rests[i] = rest{s.lines[i], left}
	}
	slices.SortStableFunc(rests, func(a, b rest) int { return b.left.Cmp(a.left) })
	for _, r := range rests[:points-given] {
		lines[r.line]++
	}
}
