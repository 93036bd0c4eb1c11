package sale

import (
	"cmp"
	"slices"
	"strings"

	"counterpart/protocol"
)

// How promotions are applied is a rule of our own. Each piece of goods is part of
// one promotion at most, and of all ways to apply them the cheapest for the
// shopper is taken; then one amount_off at most takes a sum off what is left.
//
// It is reckoned on what is left of a line after its own discounts. Lines whose
// price or amount the till gave take no part, since somebody decided that price, nor
// do those that cost nothing, so that a gift does not complete a group.
// Only whole pieces of a known price can be grouped; goods that are weighed, or
// whose code carries a price, take part in percent and amount_off alone.
//
// The total follows from the goods, not from the order of their lines. Up to
// promotionStepsMax the combination is the best there is. So a coupon more, or a
// promotion, never makes the receipt dearer, and a line more never costs more than
// itself; it may make the receipt cheaper, by what a group, a minimum or a free
// piece that it completes takes off. Beyond that bound the total is never above
// what any single promotion for groups comes to together with all percentages.

// Promotion is a promotion of the store's zone at the moment of a receipt.
type Promotion struct {
	*protocol.Promotion
	Validity Validity
}

// Validity tells whether a promotion is in force, and if not why. Of several that
// hold for one coupon the first is the one that staff are told.
type Validity int

// The validities.
const (
	InForce    Validity = iota
	OtherHours          // in force on this day or in this week, but not now
	NotYet
	Over
)

// DiscountPromotion is the type of a discount that a promotion makes. Its id is the
// promotion's, its reason the promotion's name.
const DiscountPromotion = "promotion"

// promotedDiscountsMax is how many discounts of its own a line may have and still
// take part. It leaves room for those of promotions in an event.
const promotedDiscountsMax = 500

// WarnCouponUnused says that a coupon took nothing off.
const WarnCouponUnused = "coupon_unused"

// couponWords are what staff read of a coupon that took nothing off, by why.
var couponWords = [...]string{
	InForce:    "does not count here: its goods are not on this receipt or are too few, or another promotion takes off more",
	OtherHours: "is not valid at this hour",
	NotYet:     "is not valid yet",
	Over:       "is no longer valid",
}

// promote takes promotions off the lines of a sale that was made here.
func (b *builder) promote(s *protocol.Sale, r Request, lines []Resolved) {
	if b.external != nil || len(b.t.Promotions) == 0 && len(r.Coupons) == 0 {
		return
	}
	rules := b.applicable(r)
	used := map[string]bool{}
	if len(rules) > 0 {
		if basket := newBasket(s, r, lines); basket != nil {
			for _, off := range basket.promote(rules) {
				line := &s.Lines[off.line]
				line.Amount -= off.amount
				line.Discounts = append(line.Discounts, protocol.Discount{
					Type: DiscountPromotion, ID: string(off.by.ID), Reason: off.by.Name, Amount: off.amount,
				})
				used[couponKey(off.by.Coupon)] = true
			}
		}
	}
	b.warnOfCoupons(r, used)
}

// couponKey makes two spellings of a coupon one.
func couponKey(coupon string) string { return strings.ToUpper(strings.TrimSpace(coupon)) }

// applicable are the promotions that hold for this shopper, those without a coupon
// first, then by id: where two are as good, that one stands.
func (b *builder) applicable(r Request) []*protocol.Promotion {
	presented := map[string]bool{}
	for _, c := range r.Coupons {
		presented[couponKey(c)] = true
	}
	for _, id := range r.Offers {
		presented[couponKey(id)] = true
	}
	var rules []*protocol.Promotion
	for _, p := range b.t.Promotions {
		if p.Validity == InForce && b.followed(p.Promotion) && (!p.MembersOnly || r.MemberID != "") && (p.Coupon == "" || presented[couponKey(p.Coupon)]) {
			rules = append(rules, p.Promotion)
		}
	}
	slices.SortStableFunc(rules, func(a, b *protocol.Promotion) int {
		return cmp.Or(cmp.Compare(min(1, len(a.Coupon)), min(1, len(b.Coupon))), cmp.Compare(a.ID, b.ID))
	})
	return rules
}

// groupPiecesMax bounds the pieces of one group.
const groupPiecesMax = 1000

// followed tells whether this version can follow a promotion in this store.
func (b *builder) followed(p *protocol.Promotion) bool {
	ours := p.Currency == "" || p.Currency == b.t.Currency
	switch p.Kind {
	case protocol.NForPrice:
		return ours && p.N >= 1 && p.N <= groupPiecesMax && p.Price <= protocol.MoneyMax
	case protocol.CheapestFree:
		return p.N >= 2 && p.N <= groupPiecesMax && p.Free >= 1 && p.Free < p.N
	case protocol.PercentOff:
		return p.Rate >= 1
	case protocol.AmountOff:
		return ours && p.Amount >= 1 && len(p.SKUs) == 0 && p.Category == ""
	}
	return false
}

// warnOfCoupons says of each coupon that took nothing off why. Nothing is refused:
// the shopper stands at the counter, and decides.
func (b *builder) warnOfCoupons(r Request, used map[string]bool) {
	told := map[string]bool{"": true}
	for _, coupon := range r.Coupons {
		key := couponKey(coupon)
		if told[key] || used[key] {
			continue
		}
		told[key] = true
		b.warn(WarnCouponUnused, 0, "Coupon "+strings.TrimSpace(coupon)+" "+b.unused(key, r)+". Nothing is taken off for it.")
	}
}

func (b *builder) unused(key string, r Request) string {
	why, known, members := Over, false, false
	for _, p := range b.t.Promotions {
		switch {
		case couponKey(p.Coupon) != key || !b.followed(p.Promotion):
		case p.Validity == InForce && p.MembersOnly && r.MemberID == "":
			members = true
		default:
			why, known = min(why, p.Validity), true
		}
	}
	switch {
	case members && (!known || why != InForce):
		return "is for members, and this receipt names none"
	case !known:
		return "is not known in this store"
	}
	return couponWords[why]
}

// basket is the goods of a receipt that take part in promotions.
type basket struct {
	goods []goods
	left  []protocol.Money // of each line of the receipt, after promotions; 0 where it takes no part
	first []protocol.Money // before them
}

// goods are pieces of one line that have one value, or goods that are not counted
// in pieces.
type goods struct {
	line     int
	sku      protocol.SKU
	category string
	value    int64 // minor units of one piece; of all where it is not counted
	pieces   int64 // 0: not counted
	// The best percentage that holds for the goods: its rule, and what it takes off
	// a piece in millionths of a minor unit.
	percent    *protocol.Promotion
	percentOff int64
}

// reduction is what a promotion takes off a line.
type reduction struct {
	line   int
	by     *protocol.Promotion
	amount protocol.Money
}

// newBasket finds the goods that take part; nil where there are none, or where
// they come to more than a receipt may.
func newBasket(s *protocol.Sale, r Request, lines []Resolved) *basket {
	b := &basket{left: make([]protocol.Money, len(s.Lines)), first: make([]protocol.Money, len(s.Lines))}
	sum := protocol.Money(0)
	for i := range s.Lines {
		in, line, item := &r.Lines[i], &s.Lines[i], lines[i].Item
		byHand := in.UnitPriceMinor != nil || in.AmountMinor != nil || in.GiftCard != ""
		if item == nil || byHand || line.Amount <= 0 || len(line.Discounts) > promotedDiscountsMax {
			continue
		}
		if sum += line.Amount; sum > protocol.MoneyMax {
			return nil
		}
		b.left[i], b.first[i] = line.Amount, line.Amount
		g := goods{line: i, sku: item.SKU, category: item.Category, value: int64(line.Amount)}
		counted := (item.Unit == "" || item.Unit == protocol.Each) && line.Quantity%unitQuantity == 0 &&
			lines[i].AmountFromCode == nil && lines[i].QuantityFromCode == nil
		if !counted {
			b.goods = append(b.goods, g)
			continue
		}
		// What does not go into the pieces evenly is part of the first of them.
		n := int64(line.Quantity / unitQuantity)
		each, dearer := g.value/n, g.value%n
		if dearer > 0 {
			g.value, g.pieces = each+1, dearer
			b.goods = append(b.goods, g)
		}
		g.value, g.pieces = each, n-dearer
		b.goods = append(b.goods, g)
	}
	if len(b.goods) == 0 {
		return nil
	}
	return b
}

// about tells whether a promotion names the goods.
func about(p *protocol.Promotion, sku protocol.SKU, category string) bool {
	if len(p.SKUs) > 0 {
		_, found := slices.BinarySearch(p.SKUs, sku)
		return found
	}
	return p.Category == "" || p.Category == category
}

// promote finds what the rules take off each line: first those about goods, then
// the one amount_off that takes off most.
func (b *basket) promote(rules []*protocol.Promotion) []reduction {
	groups := b.takePercentages(rules)
	plan := newPlan(b.goods)
	plan.group(groups)
	off := plan.reductions()
	for _, r := range off {
		b.left[r.line] -= r.amount
	}
	return append(off, b.amountOff(rules)...)
}

// takePercentages gives goods the best percentage that holds for them, and returns
// the promotions for groups.
func (b *basket) takePercentages(rules []*protocol.Promotion) []*protocol.Promotion {
	var groups []*protocol.Promotion
	for _, p := range rules {
		switch p.Kind {
		case protocol.NForPrice, protocol.CheapestFree:
			groups = append(groups, p)
		case protocol.PercentOff:
			for i := range b.goods {
				g := &b.goods[i]
				if about(p, g.sku, g.category) && (g.percent == nil || p.Rate > g.percent.Rate) {
					g.percent, g.percentOff = p, g.value*int64(p.Rate)
				}
			}
		}
	}
	return groups
}

// amountOff applies the amount_off that takes off most. Whether goods come to its
// minimum is asked of what they cost before promotions, so that no promotion
// stands in the way of another; and it is about all goods, since otherwise what it
// takes off would depend on which of two equal combinations came before it.
func (b *basket) amountOff(rules []*protocol.Promotion) []reduction {
	weights := make([]int64, len(b.left))
	var first, left protocol.Money
	for i := range b.left {
		weights[i] = int64(b.left[i])
		first, left = first+b.first[i], left+b.left[i]
	}
	var best *protocol.Promotion
	var most protocol.Money
	for _, p := range rules {
		if p.Kind != protocol.AmountOff || first < p.Minimum {
			continue
		}
		if off := min(p.Amount, left); off > most {
			best, most = p, off
		}
	}
	var off []reduction
	for line, amount := range share(int64(most), weights) {
		off = add(off, reduction{line, best, protocol.Money(amount)})
	}
	return off
}
