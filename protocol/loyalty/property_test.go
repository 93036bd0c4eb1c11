package loyalty_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

var (
	genCategory = rapid.SampledFrom([]string{"", "toys", "food", "tobacco"})
	genTender   = rapid.SampledFrom([]protocol.TenderType{protocol.Cash, protocol.Card, protocol.Voucher, protocol.GiftCard, protocol.PointsPay})
	genFactor   = rapid.Custom(func(t *rapid.T) protocol.RatePPM {
		return protocol.RatePPM(rapid.Int64Range(1_000_000, 4_000_000).Draw(t, "factor"))
	})
)

func few[T any](t *rapid.T, what string, g *rapid.Generator[T], n int) []T {
	return rapid.SliceOfN(g, 0, n).Draw(t, what)
}

// genProgramme draws rules that name tenders only where byTender is set.
func genProgramme(byTender bool) *rapid.Generator[*protocol.Programme] {
	return rapid.Custom(func(t *rapid.T) *protocol.Programme {
		return &protocol.Programme{
			Rounding: rapid.SampledFrom([]protocol.PointsRounding{protocol.RoundDown, protocol.RoundHalfUp}).Draw(t, "rounding"),
			Earn: few(t, "earn", rapid.Custom(func(t *rapid.T) protocol.EarnRule {
				rule := protocol.EarnRule{
					PerMinor: protocol.Money(rapid.Int64Range(1, 300).Draw(t, "per")), Points: protocol.Points(rapid.Int64Range(0, 9).Draw(t, "points")),
					Category: genCategory.Draw(t, "category"),
				}
				if byTender && rapid.Bool().Draw(t, "by tender") {
					rule.Tender = genTender.Draw(t, "tender")
				}
				return rule
			}), 5),
			Tiers: []protocol.Tier{{Name: "gold", Factor: genFactor.Draw(t, "tier")}},
			Campaigns: few(t, "campaigns", rapid.Custom(func(t *rapid.T) protocol.Campaign {
				return protocol.Campaign{Category: genCategory.Draw(t, "category"), Factor: genFactor.Draw(t, "factor")}
			}), 3),
		}
	})
}

// genBasket draws a sale that its tenders pay, with change and coins of 5.
func genBasket(t *rapid.T) loyalty.Basket {
	b := loyalty.Basket{Store: "s1", At: noon, Zone: time.UTC, Tier: rapid.SampledFrom([]string{"", "gold"}).Draw(t, "tier")}
	s := receipt(nil)
	var due protocol.Money
	for range rapid.IntRange(1, 8).Draw(t, "lines") {
		amount := protocol.Money(rapid.Int64Range(0, 5000).Draw(t, "amount"))
		s.Lines = append(s.Lines, protocol.SaleLine{Quantity: 1000, Amount: amount})
		b.Categories = append(b.Categories, genCategory.Draw(t, "category"))
		due += amount
	}
	for _, tender := range few(t, "tenders", genTender, 3) {
		part := protocol.Money(rapid.Int64Range(0, int64(due)).Draw(t, "part"))
		if tender != protocol.Cash {
			s.Tenders, due = append(s.Tenders, paid(tender, part)), due-part
		}
	}
	payRest(s, due, protocol.Money(rapid.Int64Range(0, 1000).Draw(t, "change")))
	b.Sale = s
	return b
}

// payRest pays what is due in cash, in coins of 5.
func payRest(s *protocol.Sale, due, change protocol.Money) {
	s.Rounding, s.Change = (due+2)/5*5-due, change
	s.Tenders = append(s.Tenders, paid(protocol.Cash, due+s.Rounding+change))
}

func wantClosed(t *rapid.T, got loyalty.Earned, lines int) {
	t.Helper()
	var sum protocol.Points
	for _, points := range got.Lines {
		if sum += points; points < 0 {
			t.Fatalf("a line earned %d", points)
		}
	}
	if sum != got.Total || len(got.Lines) != lines || got.Total > protocol.PointsMax {
		t.Fatalf("%d lines: %v earned %d of %d", lines, got.Lines, sum, got.Total)
	}
}

// byFractions is Earn's total in the words of its comment, in fractions. rules
// lists them by how much they say.
func byFractions(p *protocol.Programme, b loyalty.Basket) protocol.Points {
	counts := map[protocol.TenderType]int64{}
	for _, t := range b.Sale.Tenders {
		counts[t.Type] += int64(t.Amount)
	}
	counts[protocol.Cash] -= int64(b.Sale.Change + b.Sale.Rounding)
	var all int64
	for _, n := range counts {
		all += n
	}
	if all == 0 {
		return 0
	}
	find := func(category string, tender protocol.TenderType) int {
		for _, about := range [...]protocol.EarnRule{{Category: category, Tender: tender}, {Category: category}, {Tender: tender}, {}} {
			for i, r := range p.Earn {
				if r.Category == about.Category && r.Tender == about.Tender {
					return i
				}
			}
		}
		return -1
	}
	sums := make([]*big.Rat, len(p.Earn))
	for i := range sums {
		sums[i] = new(big.Rat)
	}
	for i, line := range b.Sale.Lines {
		factor := int64(1_000_000)
		for _, c := range p.Campaigns {
			if c.Category == "" || c.Category == b.Categories[i] {
				factor = max(factor, int64(c.Factor))
			}
		}
		for tender, n := range counts {
			at := find(b.Categories[i], tender)
			if at < 0 || tender == protocol.PointsPay || tender == protocol.GiftCard {
				continue
			}
			part := new(big.Rat).Mul(big.NewRat(int64(line.Amount), 1), big.NewRat(n, all))
			sums[at].Add(sums[at], part.Mul(part, big.NewRat(factor, 1_000_000)))
		}
	}
	var total protocol.Points
	for i, r := range p.Earn {
		points := sums[i].Mul(sums[i], big.NewRat(int64(r.Points), int64(r.PerMinor)))
		if b.Tier == "gold" {
			points.Mul(points, big.NewRat(int64(p.Tiers[0].Factor), 1_000_000))
		}
		if p.Rounding == protocol.RoundHalfUp {
			points.Add(points, big.NewRat(1, 2))
		}
		total += protocol.Points(new(big.Int).Quo(points.Num(), points.Denom()).Int64())
	}
	return total
}

// TestEarnIsExact compares with fractions, and holds that what lines earned adds
// up to the total.
func TestEarnIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, b := genProgramme(true).Draw(t, "programme"), genBasket(t)
		got := loyalty.Earn(p, b)
		wantClosed(t, got, len(b.Sale.Lines))
		if want := byFractions(p, b); got.Total != want {
			t.Fatalf("earned %d, want %d", got.Total, want)
		}
	})
}

// TestOrderOfLinesDoesNotMatter for what a sale earns.
func TestOrderOfLinesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, b := genProgramme(true).Draw(t, "programme"), genBasket(t)
		before := loyalty.Earn(p, b).Total
		order := make([]int, len(b.Categories))
		for i := range order {
			order[i] = i
		}
		s, c := *b.Sale, b
		s.Lines, c.Sale, c.Categories = nil, &s, nil
		for _, i := range rapid.Permutation(order).Draw(t, "order") {
			s.Lines, c.Categories = append(s.Lines, b.Sale.Lines[i]), append(c.Categories, b.Categories[i])
		}
		if got := loyalty.Earn(p, c).Total; got != before {
			t.Fatalf("in another order %d points instead of %d", got, before)
		}
	})
}

// TestMoreSpentNeverEarnsLess: what is bought besides, for cash, takes nothing
// away, also where part of the sale was paid with points. Rules for tenders are
// left out, since more cash leaves less of each line to the other tenders.
func TestMoreSpentNeverEarnsLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, b := genProgramme(false).Draw(t, "programme"), genBasket(t)
		before := loyalty.Earn(p, b).Total
		more := protocol.Money(rapid.Int64Range(1, 3000).Draw(t, "more"))
		b.Sale.Lines[rapid.IntRange(0, len(b.Sale.Lines)-1).Draw(t, "line")].Amount += more
		b.Sale.Tenders = append(b.Sale.Tenders, paid(protocol.Cash, more))
		if after := loyalty.Earn(p, b).Total; after < before {
			t.Fatalf("%d more earned %d instead of %d", more, after, before)
		}
	})
}

// TestEarnNeverOverflows: whatever numbers rules and receipt hold, also those that
// no till writes.
func TestEarnNeverOverflows(t *testing.T) {
	whole := rapid.OneOf(rapid.Int64Range(-1000, 1000), rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, protocol.AmountMax, int64(protocol.PointsMax)}))
	rapid.Check(t, func(t *rapid.T) {
		money := func(what string) protocol.Money { return protocol.Money(whole.Draw(t, what)) }
		p := &protocol.Programme{
			Rounding: protocol.RoundHalfUp, Tiers: []protocol.Tier{{Name: "gold", Factor: protocol.RatePPM(whole.Draw(t, "tier"))}},
			Campaigns: []protocol.Campaign{{Factor: protocol.RatePPM(whole.Draw(t, "factor"))}},
			Earn:      []protocol.EarnRule{{PerMinor: money("per"), Points: protocol.Points(whole.Draw(t, "points"))}, {PerMinor: 1, Points: protocol.PointsMax, Category: "toys"}},
		}
		b := loyalty.Basket{At: noon, Zone: time.UTC, Tier: "gold", Sale: receipt(nil)}
		for range rapid.IntRange(0, 4).Draw(t, "lines") {
			b.Sale.Lines = append(b.Sale.Lines, protocol.SaleLine{Amount: money("amount")})
			b.Categories = append(b.Categories, genCategory.Draw(t, "category"))
		}
		for range rapid.IntRange(0, 4).Draw(t, "tenders") {
			b.Sale.Tenders = append(b.Sale.Tenders, paid(genTender.Draw(t, "tender"), money("paid")))
		}
		b.Sale.Change, b.Sale.Rounding = money("change"), money("rounding")
		wantClosed(t, loyalty.Earn(p, b), len(b.Sale.Lines))
	})
}

// TestReturnsTakeBackWhatWasEarned: in parts of any size, never more meanwhile, and
// exactly that at the end, also where more comes back than was sold, or some of it
// goes out again.
func TestReturnsTakeBackWhatWasEarned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := loyalty.Returned{
			Earned: protocol.Points(rapid.OneOf(rapid.Int64Range(0, 50), rapid.Int64Range(0, int64(protocol.PointsMax))).Draw(t, "earned")),
			Sold:   protocol.Quantity(rapid.OneOf(rapid.Int64Range(1, 5000), rapid.Int64Range(1, 1<<60)).Draw(t, "sold")),
		}
		var back protocol.Points
		for _, now := range few(t, "parts", rapid.OneOf(rapid.Int64Range(-1000, 3000), rapid.Int64Range(-1<<60, 1<<60)), 6) {
			r.Now = protocol.Quantity(now)
			got := loyalty.Reversal(r)
			if now >= 0 && got < 0 || now < 0 && got > 0 {
				t.Fatalf("a part of %d took back %d", now, got)
			}
			if back += got; back < 0 || back > r.Earned {
				t.Fatalf("%d of %d are taken back", back, r.Earned)
			}
			r.Before += r.Now
		}
		if r.Now = math.MaxInt64; back+loyalty.Reversal(r) != r.Earned {
			t.Fatalf("at the end %d of %d are taken back", back+loyalty.Reversal(r), r.Earned)
		}
	})
}

// TestPointsAndMoneyAreOne: what Value gives PointsFor turns back, and Spendable is
// the most that Value takes within the points and the amount.
func TestPointsAndMoneyAreOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := protocol.RedeemRule{
			Points: protocol.Points(rapid.Int64Range(1, 200).Draw(t, "points")), Value: protocol.Money(rapid.Int64Range(1, 200).Draw(t, "value")),
			Minimum: protocol.Points(rapid.Int64Range(0, 500).Draw(t, "minimum")),
		}
		p := &protocol.Programme{Redeem: &r}
		have := protocol.Points(rapid.Int64Range(-10, 2000).Draw(t, "have"))
		due := protocol.Money(rapid.Int64Range(-10, 2000).Draw(t, "due"))
		var most protocol.Points
		for points := protocol.Points(1); points <= have; points++ {
			value, err := loyalty.Value(p, points)
			if err != nil {
				continue
			}
			if back, err := loyalty.PointsFor(p, value); err != nil || back != points {
				t.Fatalf("%d points pay %d, which %d points pay (%v)", points, value, back, err)
			}
			if value <= due {
				most = points
			}
		}
		if got := loyalty.Spendable(p, have, due); got != most {
			t.Fatalf("of %d points %d can pay towards %d, want %d", have, got, due, most)
		}
	})
}
