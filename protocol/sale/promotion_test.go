package sale_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"counterpart/protocol"
	"counterpart/protocol/sale"
)

// piece is goods on a receipt, n pieces of an item for a price each.
type piece struct {
	item  *protocol.Item
	price protocol.Money
	n     int64
}

func thing(sku protocol.SKU, category string) *protocol.Item {
	return &protocol.Item{SKU: sku, Category: category, Name: string(sku), Unit: protocol.Each, Stocked: true}
}

var (
	apple = thing("APPLE", "fruit")
	berry = thing("BERRY", "fruit")
	chair = thing("CHAIR", "")
)

// force puts promotions into force.
func force(rules ...protocol.Promotion) []sale.Promotion {
	list := make([]sale.Promotion, len(rules))
	for i := range rules {
		list[i].Promotion = &rules[i]
		list[i].ID = protocol.PromotionID(fmt.Sprintf("p%d", i))
		list[i].Name = fmt.Sprintf("Rule %d", i)
	}
	return list
}

// promoted sells pieces, one line for each, under promotions.
func promoted(t interface{ Fatal(...any) }, rules []sale.Promotion, pieces []piece, change func(*sale.Request)) *protocol.Sale {
	terms := terms()
	terms.Promotions = rules
	r := sale.Request{Tenders: []sale.Tender{tender("cash", protocol.MoneyMax)}}
	resolved := make([]sale.Resolved, len(pieces))
	for i, p := range pieces {
		quantity := protocol.Quantity(p.n) * 1000
		r.Lines = append(r.Lines, sale.Line{Code: string(p.item.SKU), Qty: &quantity})
		resolved[i] = of(p.item, p.price)
	}
	if change != nil {
		change(&r)
	}
	s, _, err := sale.Build(terms, r, resolved)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// amounts are what the lines of a receipt come to.
func amounts(s *protocol.Sale) []protocol.Money {
	list := make([]protocol.Money, len(s.Lines))
	for i := range s.Lines {
		list[i] = s.Lines[i].Amount
	}
	return list
}

func nFor(n uint32, price protocol.Money) protocol.Promotion {
	return protocol.Promotion{Kind: protocol.NForPrice, N: n, Price: price}
}

func free(n, count uint32) protocol.Promotion {
	return protocol.Promotion{Kind: protocol.CheapestFree, N: n, Free: count}
}

func percent(rate protocol.RatePPM) protocol.Promotion {
	return protocol.Promotion{Kind: protocol.PercentOff, Rate: rate}
}

func amountOff(amount, minimum protocol.Money) protocol.Promotion {
	return protocol.Promotion{Kind: protocol.AmountOff, Amount: amount, Minimum: minimum}
}

func ofSKUs(p protocol.Promotion, skus ...protocol.SKU) protocol.Promotion {
	p.SKUs = skus
	return p
}

func ofCategory(p protocol.Promotion, category string) protocol.Promotion {
	p.Category = category
	return p
}

// TestPromotions names what each kind does, and what wins.
func TestPromotions(t *testing.T) {
	limited := nFor(2, 100)
	limited.Limit = 1
	limited2 := nFor(3, 100)
	limited2.Limit = 2
	euro := nFor(2, 1)
	euro.Currency = "EUR"
	for name, c := range map[string]struct {
		rules  []protocol.Promotion
		pieces []piece
		want   []protocol.Money
	}{
		"3 for 5.00, shared over the lines":      {[]protocol.Promotion{nFor(3, 500)}, []piece{{apple, 200, 2}, {berry, 250, 1}}, []protocol.Money{308, 192}},
		"what is no whole group costs its price": {[]protocol.Promotion{nFor(3, 500)}, []piece{{apple, 200, 5}}, []protocol.Money{900}},
		"the dearest go into the group":          {[]protocol.Promotion{nFor(2, 300)}, []piece{{apple, 200, 1}, {berry, 250, 2}}, []protocol.Money{200, 300}},
		"a group that saves nothing is none":     {[]protocol.Promotion{nFor(2, 500)}, []piece{{apple, 200, 2}}, []protocol.Money{400}},
		"3 for 2, the cheapest is free":          {[]protocol.Promotion{free(3, 1)}, []piece{{apple, 300, 1}, {berry, 200, 1}, {chair, 100, 1}}, []protocol.Money{250, 167, 83}},
		"6 pieces in the best groups":            {[]protocol.Promotion{free(3, 1)}, []piece{{apple, 300, 3}, {berry, 100, 3}}, []protocol.Money{600, 200}},
		"a percentage is rounded once":           {[]protocol.Promotion{percent(100_000)}, []piece{{apple, 4, 1}, {berry, 4, 1}, {chair, 4, 1}}, []protocol.Money{3, 4, 4}},
		"the best percentage wins":               {[]protocol.Promotion{percent(100_000), ofCategory(percent(250_000), "fruit")}, []piece{{apple, 1000, 1}, {chair, 1000, 1}}, []protocol.Money{750, 900}},
		"the limit":                              {[]protocol.Promotion{limited}, []piece{{apple, 200, 6}}, []protocol.Money{900}},
		"the limit beyond the exact search":      {[]protocol.Promotion{limited2}, []piece{{chair, 500, 1}, {apple, 200, 200_000}}, []protocol.Money{67, 39_999_133}},
		"a percentage is better than a group, beyond the exact search": {
			[]protocol.Promotion{free(2, 1), ofSKUs(percent(600_000), "APPLE")},
			[]piece{{apple, 200, 100_000}, {berry, 100, 100_000}},
			[]protocol.Money{80 * 100_000, 50 * 100_000},
		},
		"no piece twice, the best together": {
			[]protocol.Promotion{ofSKUs(nFor(2, 100), "APPLE"), nFor(3, 400), percent(100_000)},
			[]piece{{apple, 200, 2}, {berry, 300, 3}},
			[]protocol.Money{100, 400},
		},
		"a percentage is better than a group for some": {
			[]protocol.Promotion{nFor(2, 350), ofSKUs(percent(500_000), "BERRY")},
			[]piece{{apple, 200, 2}, {berry, 200, 2}},
			[]protocol.Money{350, 200},
		},
		"one amount off, the best, after the others": {
			[]protocol.Promotion{amountOff(100, 0), amountOff(300, 2000), amountOff(900, 2001), percent(500_000)},
			[]piece{{apple, 1000, 1}, {berry, 1000, 1}},
			[]protocol.Money{350, 350},
		},
		"an amount is never more than the goods": {[]protocol.Promotion{amountOff(5000, 0)}, []piece{{apple, 100, 1}, {chair, 900, 1}}, []protocol.Money{0, 0}},
		"an amount is never off some goods":      {[]protocol.Promotion{ofCategory(amountOff(50, 0), "fruit")}, []piece{{apple, 100, 1}}, []protocol.Money{100}},
		"another currency, another kind":         {[]protocol.Promotion{euro, {Kind: "later", N: 2, Rate: 500_000}, free(2, 2), nFor(0, 1)}, []piece{{apple, 200, 2}}, []protocol.Money{400}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := amounts(promoted(t, force(c.rules...), c.pieces, nil)); !slices.Equal(got, c.want) {
				t.Errorf("lines come to %v, want %v", got, c.want)
			}
		})
	}
}

// TestPromotionIsStored: the receipt says what was taken off, and why.
func TestPromotionIsStored(t *testing.T) {
	s := promoted(t, force(nFor(2, 300)), []piece{{apple, 200, 2}}, func(r *sale.Request) {
		r.Lines[0].Discounts = []sale.Discount{{AmountMinor: ptr(protocol.Money(50))}}
	})
	want := []protocol.Discount{{Type: "manual", Amount: 50}, {Type: "promotion", ID: "p0", Reason: "Rule 0", Amount: 50}}
	if got := s.Lines[0]; !slices.Equal(got.Discounts, want) || got.Amount != 300 || s.Total != 300 {
		t.Errorf("line %+v of a receipt of %d", got, s.Total)
	}
}

// TestNoPromotion names the lines that take no part.
func TestNoPromotion(t *testing.T) {
	rules := force(percent(500_000), amountOff(100, 0))
	weighed := *apple
	weighed.Unit = protocol.Kg
	for name, c := range map[string]struct {
		change func(*sale.Request)
		want   protocol.Money
	}{
		"price by hand":  {func(r *sale.Request) { r.Lines[0].UnitPriceMinor = ptr(protocol.Money(1000)) }, 1000},
		"amount by hand": {func(r *sale.Request) { r.Lines[0].AmountMinor = ptr(protocol.Money(1000)) }, 1000},
		"another POS": {func(r *sale.Request) {
			r.External = &sale.External{Source: "x", ID: "1", TotalMinor: ptr(protocol.Money(1000))}
			r.Coupons = []string{"C"}
		}, 1000},
		"the price of the item": {nil, 400},
	} {
		s := promoted(t, rules, []piece{{apple, 1000, 1}}, c.change)
		if s.Lines[0].Amount != c.want {
			t.Errorf("%s: %d, want %d", name, s.Lines[0].Amount, c.want)
		}
		for _, w := range s.Warnings {
			if w.Code == sale.WarnCouponUnused {
				t.Errorf("%s: %s", name, w.Message)
			}
		}
	}
	s := promoted(t, force(nFor(2, 1), free(2, 1), percent(100_000)), []piece{{&weighed, 1000, 2}}, nil)
	if s.Lines[0].Amount != 1800 {
		t.Errorf("weighed goods cost %d, want 1800", s.Lines[0].Amount)
	}
}

// TestCoupons names why a coupon took nothing off.
func TestCoupons(t *testing.T) {
	with := func(p protocol.Promotion, coupon string) protocol.Promotion {
		p.Coupon = coupon
		return p
	}
	members := with(percent(100_000), "club")
	members.MembersOnly = true
	rules := force(
		with(percent(200_000), "Spring 20"), with(ofSKUs(percent(900_000), "CHAIR"), "CHAIRS"), with(percent(100_000), "LITTLE"),
		with(percent(990_000), "EARLY"), with(percent(990_000), "LATE"), with(percent(990_000), "NIGHT"), members, with(percent(980_000), "LATE"),
	)
	rules[3].Validity, rules[4].Validity, rules[5].Validity, rules[7].Validity = sale.NotYet, sale.Over, sale.OtherHours, sale.NotYet
	for coupons, want := range map[string]struct {
		amount protocol.Money
		words  string
	}{
		"":                 {1000, ""},
		" spring 20 ":      {800, ""},
		"spring 20|LITTLE": {800, "Coupon LITTLE does not count here"},
		"chairs":           {1000, "Coupon chairs does not count here"},
		"EARLY":            {1000, "not valid yet"},
		"LATE|late":        {1000, "not valid yet"},
		"NIGHT":            {1000, "not valid at this hour"},
		"CLUB":             {1000, "for members"},
		"OTHER":            {1000, "not known in this store"},
	} {
		s := promoted(t, rules, []piece{{apple, 1000, 1}}, func(r *sale.Request) {
			if coupons != "" {
				r.Coupons = strings.Split(coupons, "|")
			}
		})
		told := ""
		for _, w := range s.Warnings {
			if w.Code != "coupon_unused" || w.Line != 0 || told != "" {
				t.Errorf("%q: warning %+v", coupons, w)
			}
			told += w.Message
		}
		if s.Lines[0].Amount != want.amount || !strings.Contains(told, want.words) || (want.words == "") != (told == "") {
			t.Errorf("%q: %d, %q; want %d, %q", coupons, s.Lines[0].Amount, told, want.amount, want.words)
		}
	}
	s := promoted(t, rules, []piece{{apple, 1000, 1}}, func(r *sale.Request) { r.Coupons, r.MemberID = []string{"CLUB"}, "m-1" })
	if s.Lines[0].Amount != 900 || len(s.Warnings) > 0 {
		t.Errorf("a member's coupon: %d, %v", s.Lines[0].Amount, s.Warnings)
	}
}

// TestCouponsAreChecked refuses what no coupon is, card numbers above all.
func TestCouponsAreChecked(t *testing.T) {
	for want, coupons := range map[protocol.Code][]string{
		protocol.CardNumber:     {"4111 1111 1111 1111"},
		protocol.OutOfRangeCode: {" "},
	} {
		r := sale.Request{Lines: []sale.Line{line("APPLE", "1")}, Coupons: coupons}
		if err := r.Validate(); protocol.CodeOf(err) != want {
			t.Errorf("%q: %v, want %s", coupons, err, want)
		}
	}
	for _, coupons := range [][]string{{strings.Repeat("x", 65)}, {"a\nb"}, slices.Repeat([]string{"A"}, 21)} {
		r := sale.Request{Lines: []sale.Line{line("APPLE", "1")}, Coupons: coupons}
		if err := r.Validate(); protocol.CodeOf(err) != protocol.OutOfRangeCode {
			t.Errorf("%q: %v", coupons, err)
		}
	}
}

// randomRule draws a promotion of few numbers, so that many are as good as others.
func randomRule(t *rapid.T) protocol.Promotion {
	rule := rapid.SampledFrom([]protocol.Promotion{
		nFor(2, 300), nFor(3, 350), nFor(3, 0), nFor(1, 120), free(2, 1), free(3, 1), free(3, 2), percent(100_000), percent(333_333), percent(1_000_000), amountOff(150, 0), amountOff(400, 900),
	}).Draw(t, "rule")
	switch about := rapid.IntRange(0, 3).Draw(t, "about"); {
	case rule.Kind == protocol.AmountOff:
	case about == 0:
		rule.Category = "fruit"
	case about == 1:
		rule.SKUs = []protocol.SKU{"APPLE", "CHAIR"}
	}
	if rule.N > 0 {
		rule.Limit = uint32(rapid.IntRange(0, 2).Draw(t, "limit"))
	}
	return rule
}

func randomPieces(t *rapid.T, most int64) []piece {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) piece {
		return piece{
			rapid.SampledFrom([]*protocol.Item{apple, berry, chair}).Draw(t, "item"),
			protocol.Money(rapid.SampledFrom([]int64{0, 1, 7, 99, 100, 149, 250}).Draw(t, "price")), rapid.Int64Range(1, most).Draw(t, "n"),
		}
	}), 1, 4).Draw(t, "pieces")
}

func sum(list []protocol.Money) (total protocol.Money) {
	for _, m := range list {
		total += m
	}
	return total
}

// wantSound fails unless a receipt's lines are above 0 and their discounts add up.
func wantSound(t *rapid.T, s *protocol.Sale) {
	for i, l := range s.Lines {
		gross, _ := l.Quantity.Times(l.UnitPrice)
		for _, d := range l.Discounts {
			if d.Amount <= 0 {
				t.Fatalf("line %d has the discount %+v", i+1, d)
			}
			gross -= d.Amount
		}
		if l.Amount < 0 || l.Amount != gross {
			t.Fatalf("line %d comes to %d, its parts to %d", i+1, l.Amount, gross)
		}
	}
}

// TestPromotionsAreTheBest compares with all ways in which each piece can be part
// of one promotion or of none.
func TestPromotionsAreTheBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(randomRule), 1, 3).Draw(t, "rules")
		pieces := randomPieces(t, 2)
		s := promoted(t, force(rules...), pieces, nil)
		wantSound(t, s)
		if got, want := sum(amounts(s)), leastOf(rules, pieces); got != want {
			t.Fatalf("comes to %d, can be had for %d", got, want)
		}
	})
}

// leastOf is the least that pieces can come to, by trying.
func leastOf(rules []protocol.Promotion, pieces []piece) protocol.Money {
	var goods []piece
	var full protocol.Money
	for _, p := range pieces {
		for range p.n {
			if p.price == 0 {
				continue // what costs nothing takes no part
			}
			goods, full = append(goods, p), full+p.price
		}
	}
	names := func(r *protocol.Promotion, p piece) bool {
		return len(r.SKUs) == 0 && (r.Category == "" || r.Category == p.item.Category) || slices.Contains(r.SKUs, p.item.SKU)
	}
	most, chosen := int64(0), make([]int, len(goods))
	var try func(at int)
	try = func(at int) {
		if at == len(goods) {
			most = max(most, offOf(rules, goods, chosen))
			return
		}
		for r := -1; r < len(rules); r++ {
			if r < 0 || rules[r].Kind != protocol.AmountOff && names(&rules[r], goods[at]) {
				chosen[at] = r
				try(at + 1)
			}
		}
	}
	try(0)
	left := full - protocol.Money((most+500_000)/1_000_000)
	best := protocol.Money(0)
	for i := range rules {
		if r := &rules[i]; r.Kind == protocol.AmountOff && full >= r.Minimum {
			best = max(best, min(r.Amount, left))
		}
	}
	return left - best
}

// offOf is what one choice takes off, in millionths; below 0 where it is none.
func offOf(rules []protocol.Promotion, goods []piece, chosen []int) (off int64) {
	for r := range rules {
		rule := &rules[r]
		var prices []int64
		for i := range goods {
			if chosen[i] == r {
				prices = append(prices, int64(goods[i].price))
			}
		}
		slices.Sort(prices)
		slices.Reverse(prices)
		if n := int(rule.N); n > 0 && (len(prices)%n != 0 || rule.Limit > 0 && len(prices)/n > int(rule.Limit)) {
			return -1
		}
		for i, p := range prices {
			switch {
			case rule.Kind == protocol.PercentOff:
				off += p * int64(rule.Rate)
			case rule.Kind == protocol.NForPrice:
				off += p * 1_000_000
			case i%int(rule.N) >= int(rule.N-rule.Free):
				off += p * 1_000_000
			}
		}
		if rule.Kind == protocol.NForPrice {
			off -= int64(len(prices)) / int64(rule.N) * int64(rule.Price) * 1_000_000
		}
	}
	return off
}

// TestPromotionsFollowTheGoods: the order of lines changes nothing, a promotion more
// makes nothing dearer, and a line more costs no more than itself.
func TestPromotionsFollowTheGoods(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(randomRule), 1, 5).Draw(t, "rules")
		pieces := randomPieces(t, 6)
		s := promoted(t, force(rules...), pieces, nil)
		total := sum(amounts(s))
		shuffled := rapid.Permutation(pieces).Draw(t, "other order")
		if got := sum(amounts(promoted(t, force(rules...), shuffled, nil))); got != total {
			t.Fatalf("comes to %d and in another order to %d", total, got)
		}
		if got := sum(amounts(promoted(t, force(rules[1:]...), pieces, nil))); got < total {
			t.Fatalf("comes to %d and with one promotion less to %d", total, got)
		}
		more := append(slices.Clone(pieces), randomPieces(t, 1)[0])
		extra := more[len(more)-1]
		with := promoted(t, force(rules...), more, nil)
		wantSound(t, with)
		if got := sum(amounts(with)); got > total+extra.price {
			t.Fatalf("comes to %d, and with one more for %d to %d", total, extra.price, got)
		}
	})
}

// TestPromotionsOfManyPieces is beyond the exact search: the total is never above
// that of one promotion for groups with all percentages, and follows from the goods.
func TestPromotionsOfManyPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(randomRule), 1, 4).Draw(t, "rules")
		pieces := randomPieces(t, 200_000)
		for i := range pieces {
			pieces[i].n += 100_000
		}
		s := promoted(t, force(rules...), pieces, nil)
		wantSound(t, s)
		total := sum(amounts(s))
		if got := sum(amounts(promoted(t, force(rules...), rapid.Permutation(pieces).Draw(t, "other order"), nil))); got != total {
			t.Fatalf("comes to %d and in another order to %d", total, got)
		}
		without := slices.DeleteFunc(slices.Clone(rules), func(p protocol.Promotion) bool { return p.N > 0 })
		if got := sum(amounts(promoted(t, force(without...), pieces, nil))); got < total {
			t.Fatalf("comes to %d, and without promotions for groups to %d", total, got)
		}
		for i, one := range rules {
			others := slices.DeleteFunc(slices.Clone(rules), func(p protocol.Promotion) bool { return p.N > 0 })
			if one.N > 0 {
				others = append(others, one)
			}
			if got := sum(amounts(promoted(t, force(others...), pieces, nil))); got < total {
				t.Fatalf("comes to %d, and with promotion %d alone to %d", total, i, got)
			}
		}
	})
}

// TestReturnsOfPromotedGoods: what comes back piece by piece is what was paid.
func TestReturnsOfPromotedGoods(t *testing.T) {
	s := promoted(t, force(free(3, 1), percent(70_000)), []piece{{apple, 333, 4}, {berry, 100, 1}}, nil)
	paid := s.Lines[0].Amount
	original := &sale.Original{Sale: s, ReceiptNo: s.ReceiptNo("a1"), Returned: make([]protocol.Quantity, 2)}
	var back protocol.Money
	for range 4 {
		one := qty("1")
		r := sale.ReturnRequest{ReceiptNo: "a1-1-1-318", Lines: []sale.ReturnLine{{Line: 1, Qty: one}}}
		expected := paid*protocol.Money(original.Returned[0]/1000+1)/4 - back
		r.Tenders = []sale.Tender{tender("card", expected)}
		terms := terms()
		terms.Promotions = force(percent(990_000))
		got, _, err := sale.BuildReturn(terms, r, original, nil)
		if err != nil {
			r.Tenders = []sale.Tender{tender("card", expected+1)}
			if got, _, err = sale.BuildReturn(terms, r, original, nil); err != nil {
				t.Fatal(err)
			}
		}
		back -= got.Total
		original.Returned[0] += 1000
	}
	if back != paid || paid >= 4*333 {
		t.Errorf("%d came back of %d", back, paid)
	}
}

// BenchmarkPromotions is a basket of ten pieces under as many promotions as a chain
// may have, and the largest exact search.
func BenchmarkPromotions(b *testing.B) {
	var many, hard []protocol.Promotion
	for i := range 200 {
		many = append(many, ofSKUs(percent(protocol.RatePPM(1000+i)), protocol.SKU(fmt.Sprintf("SKU-%d", i))))
	}
	for range 6 {
		hard = append(hard, nFor(3, 350))
	}
	for name, c := range map[string]struct {
		rules  []sale.Promotion
		pieces []piece
	}{
		"none": {nil, []piece{{apple, 200, 3}, {berry, 250, 3}, {chair, 999, 4}}},
		"200":  {force(append(many, nFor(3, 500), free(4, 1))...), []piece{{apple, 200, 3}, {berry, 250, 3}, {chair, 999, 4}}},
		"hard": {force(hard...), []piece{{apple, 200, 46}, {berry, 250, 46}, {chair, 999, 45}}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				promoted(b, c.rules, c.pieces, nil)
			}
		})
	}
}
