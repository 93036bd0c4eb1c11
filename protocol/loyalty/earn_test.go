package loyalty_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// receipt is a sale of lines with amounts, paid as told.
func receipt(amounts []protocol.Money, tenders ...protocol.Tender) *protocol.Sale {
	s := &protocol.Sale{Type: protocol.SaleSale, PricesIncludeTax: true, Tenders: tenders}
	for _, amount := range amounts {
		s.Lines = append(s.Lines, protocol.SaleLine{Quantity: 1000, Amount: amount})
	}
	return s
}

func paid(t protocol.TenderType, amount protocol.Money) protocol.Tender {
	return protocol.Tender{Type: t, Amount: amount}
}

func amounts(list ...protocol.Money) []protocol.Money { return list }

// Rules of which the tests of Earn are made.
var (
	one     = []protocol.EarnRule{{PerMinor: 100, Points: 1}}
	byMinor = []protocol.EarnRule{{PerMinor: 1, Points: 1}}
	three   = []protocol.EarnRule{{PerMinor: 100, Points: 1}, {PerMinor: 100, Points: 3, Category: "toys"}, {PerMinor: 1, Category: "tobacco"}}
	byCard  = []protocol.EarnRule{{PerMinor: 100, Points: 1}, {PerMinor: 100, Points: 2, Tender: protocol.Card}}
)

func card(m protocol.Money) protocol.Tender { return paid(protocol.Card, m) }

func cash(m protocol.Money) protocol.Tender { return paid(protocol.Cash, m) }

func changed(s *protocol.Sale, change, rounding protocol.Money) *protocol.Sale {
	s.Change, s.Rounding = change, rounding
	return s
}

// earnTests are sums that were worked out by hand.
var earnTests = []struct {
	name       string
	p          protocol.Programme
	sale       *protocol.Sale
	categories []string
	tier       string
	want       string
}{
	{"change is not paid", protocol.Programme{Earn: one}, changed(receipt(amounts(1250), cash(2000)), 750, 0), nil, "", "12 [12]"},
	{"half up", protocol.Programme{Earn: one, Rounding: protocol.RoundHalfUp}, receipt(amounts(1250), card(1250)), nil, "", "13 [13]"},
	{"a later rounding is down", protocol.Programme{Earn: one, Rounding: "up"}, receipt(amounts(1299), card(1299)), nil, "", "12 [12]"},
	{"rounded on the receipt", protocol.Programme{Earn: one}, receipt(amounts(50, 50), card(100)), nil, "", "1 [1 0]"},
	{"each rule by itself", protocol.Programme{Earn: three}, receipt(amounts(1050, 475), card(1525)), []string{"toys", "food"}, "", "35 [31 4]"},
	{"a rule of nothing", protocol.Programme{Earn: three}, receipt(amounts(1050, 900), card(1950)), []string{"toys", "tobacco"}, "", "31 [31 0]"},
	{"by tender", protocol.Programme{Earn: byCard}, receipt(amounts(1000, 500), card(900), cash(600)), nil, "", "24 [16 8]"},
	{
		"category before tender",
		protocol.Programme{Earn: append(byCard, protocol.EarnRule{PerMinor: 100, Points: 5, Category: "toys"})},
		receipt(amounts(1000, 500), card(1500)),
		[]string{"toys"},
		"", "60 [50 10]",
	},
	{
		"category and tender before category",
		protocol.Programme{Earn: append(three, protocol.EarnRule{PerMinor: 100, Points: 9, Category: "toys", Tender: protocol.Cash})},
		receipt(amounts(1000), card(500), cash(500)),
		[]string{"toys"},
		"", "60 [60]",
	},
	{"the first of two rules", protocol.Programme{Earn: append(one, protocol.EarnRule{PerMinor: 1, Points: 9})}, receipt(amounts(1000), card(1000)), nil, "", "10 [10]"},
	{"points earn nothing", protocol.Programme{Earn: one}, receipt(amounts(1000), paid(protocol.PointsPay, 400), card(600)), nil, "", "6 [6]"},
	{
		"whatever a rule says",
		protocol.Programme{Earn: []protocol.EarnRule{{PerMinor: 1, Points: 1, Tender: protocol.PointsPay}, {PerMinor: 1, Points: 1, Tender: protocol.GiftCard}}},
		receipt(amounts(1000), paid(protocol.PointsPay, 400), paid(protocol.GiftCard, 600)), nil, "", "0 [0]",
	},
	{"a gift card earns nothing", protocol.Programme{Earn: one}, receipt(amounts(1000, 1000), paid(protocol.GiftCard, 500), paid("later", 1500)), nil, "", "15 [8 7]"},
	{"rounded up in cash", protocol.Programme{Earn: byMinor}, changed(receipt(amounts(998), cash(1000)), 0, 2), nil, "", "998 [998]"},
	{"rounded down in cash", protocol.Programme{Earn: byMinor}, changed(receipt(amounts(997), cash(2000)), 1005, -2), nil, "", "997 [997]"},
	{"tax on top", protocol.Programme{Earn: one}, receipt(amounts(1000), card(1200)), nil, "", "10 [10]"},
	{"largest remainder", protocol.Programme{Earn: []protocol.EarnRule{{PerMinor: 150, Points: 1}}}, receipt(amounts(100, 100, 100), card(300)), nil, "", "2 [1 1 0]"},
	{"a line below 0", protocol.Programme{Earn: one}, receipt(amounts(1000, -200), card(800)), nil, "", "8 [8 0]"},
	{"more back than bought", protocol.Programme{Earn: one}, receipt(amounts(200, -1000), card(800)), nil, "", "0 [0 0]"},
	{"change of a voucher", protocol.Programme{Earn: one}, changed(receipt(amounts(1000), paid(protocol.Voucher, 1200)), 200, 0), nil, "", "10 [10]"},
	{"nothing paid", protocol.Programme{Earn: one}, receipt(amounts(0, 0)), nil, "", "0 [0 0]"},
	{"beyond what the wire holds", protocol.Programme{Earn: one}, receipt(amounts(100), card(math.MaxInt64), card(math.MaxInt64)), nil, "", "1 [1]"},
	{"no rules", protocol.Programme{}, receipt(amounts(1000), card(1000)), nil, "", "0 [0]"},
	{
		"the largest campaign times the tier",
		protocol.Programme{
			Earn: one, Tiers: []protocol.Tier{{Name: "silver", Factor: 1_100_000}, {Name: "gold", Factor: 1_500_000}},
			Campaigns: []protocol.Campaign{
				{ID: "c1", Category: "toys", Factor: 2_000_000},
				{ID: "c2", Store: "s1", From: "2026-11-21", To: "2026-11-22", Factor: 3_000_000},
				{ID: "c3", Store: "s2", Factor: 9_000_000},
				{ID: "c4", From: "2026-11-22", Factor: 9_000_000},
				{ID: "c5", To: "2026-11-21T12:00:00Z", Factor: 9_000_000},
				{ID: "c6", Category: "food", Factor: 5_000_000},
				{ID: "c7", From: "?", Factor: 9_000_000},
				{ID: "c8", To: "?", Factor: 9_000_000},
			},
		},
		receipt(amounts(1000, 100), card(1100)),
		[]string{"toys", "food"},
		"gold", "52 [45 7]",
	},
	{"a factor is never below once", protocol.Programme{Earn: one, Tiers: []protocol.Tier{{Name: "x"}}, Campaigns: []protocol.Campaign{{ID: "c1", Factor: 5}}}, receipt(amounts(1000), card(1000)), nil, "x", "10 [10]"},
	{
		"factors before rounding",
		protocol.Programme{Earn: one, Campaigns: []protocol.Campaign{{ID: "c1", Factor: 2_000_000}}},
		receipt(amounts(1250), card(1250)), nil, "", "25 [25]",
	},
	{"at most so many", protocol.Programme{Earn: []protocol.EarnRule{{PerMinor: 1, Points: protocol.PointsMax}, {PerMinor: 1, Points: 7, Category: "toys"}}}, receipt(amounts(2, 1), card(3)), []string{"", "toys"}, "", "1000000000000 [1000000000000 0]"},
}

func TestEarn(t *testing.T) {
	for _, tt := range earnTests {
		t.Run(tt.name, func(t *testing.T) {
			got := loyalty.Earn(&tt.p, loyalty.Basket{Sale: tt.sale, Categories: tt.categories, Store: "s1", At: noon, Zone: time.UTC, Tier: tt.tier})
			if s := fmt.Sprint(got.Total, " ", got.Lines); s != tt.want {
				t.Errorf("earned %s, want %s", s, tt.want)
			}
		})
	}
}

// TestOnlySalesEarn: returns, voids and training earn nothing, nor does a sale
// before the first programme.
func TestOnlySalesEarn(t *testing.T) {
	p := &protocol.Programme{Earn: []protocol.EarnRule{{PerMinor: 1, Points: 1}}}
	for name, change := range map[string]func(*protocol.Sale) *protocol.Programme{
		"return":       func(s *protocol.Sale) *protocol.Programme { s.Type = protocol.SaleReturn; return p },
		"void":         func(s *protocol.Sale) *protocol.Programme { s.Type = protocol.SaleVoid; return p },
		"training":     func(s *protocol.Sale) *protocol.Programme { s.Training = true; return p },
		"no programme": func(*protocol.Sale) *protocol.Programme { return nil },
	} {
		s := receipt(amounts(100), paid(protocol.Card, 100))
		if got := loyalty.Earn(change(s), loyalty.Basket{Sale: s, At: noon, Zone: time.UTC}); got.Total != 0 || len(got.Lines) != 1 || got.Lines[0] != 0 {
			t.Errorf("%s earned %+v", name, got)
		}
	}
}

// TestInForce: dates are midnight in the store, the one that began last stands,
// and neither the order of the list nor what cannot be read matters.
func TestInForce(t *testing.T) {
	baku := time.FixedZone("", 4*3600)
	all := []*protocol.Programme{{ValidFrom: "2026-11-21"}, {ValidFrom: "2026-11-20T20:00:00Z"}, {ValidFrom: "2026-12-01T00:00:00.5Z"}, {ValidFrom: "soon"}, {ValidFrom: "2020-01-01"}}
	for _, tt := range []struct {
		at   string
		zone *time.Location
		want string
	}{
		{"2019-12-31T23:59:59Z", time.UTC, "none"},
		{"2020-01-01T00:00:00Z", time.UTC, "2020-01-01"},
		{"2019-12-31T20:00:00Z", baku, "2020-01-01"},
		{"2026-11-20T20:00:00Z", time.UTC, "2026-11-20T20:00:00Z"},
		{"2026-11-20T19:59:59Z", baku, "2020-01-01"},
		{"2026-11-20T20:00:00Z", baku, "2026-11-21"}, // both begin then
		{"2026-11-21T00:00:00Z", time.UTC, "2026-11-21"},
		{"2026-12-01T00:00:00Z", time.UTC, "2026-11-21"},
		{"2026-12-01T00:00:01Z", time.UTC, "2026-12-01T00:00:00.5Z"},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got := "none"
			if p := loyalty.InForce(all, at, tt.zone); p != nil {
				got = p.ValidFrom
			}
			if got != tt.want {
				t.Errorf("at %s in %s: %s, want %s", tt.at, tt.zone, got, tt.want)
			}
			all[0], all[1], all[2], all[4] = all[4], all[2], all[1], all[0]
		}
	}
}

func TestTierOf(t *testing.T) {
	p := &protocol.Programme{Tiers: []protocol.Tier{{Name: "silver", Points: 100, WithinDays: 30}, {Name: "gold", Points: 500, WithinDays: 365}}}
	for _, tt := range []struct {
		month, year protocol.Points
		want        string
	}{{0, 0, ""}, {99, 499, ""}, {100, 499, "silver"}, {99, 500, "gold"}, {100, 500, "gold"}} {
		got := loyalty.TierOf(p, func(days uint32) protocol.Points { return map[uint32]protocol.Points{30: tt.month, 365: tt.year}[days] })
		if got != tt.want {
			t.Errorf("of %d and %d points the tier is %q, want %q", tt.month, tt.year, got, tt.want)
		}
	}
}

// BenchmarkEarn is a basket of three lines under a campaign.
func BenchmarkEarn(b *testing.B) {
	p := &protocol.Programme{
		Earn:      []protocol.EarnRule{{PerMinor: 100, Points: 1}, {PerMinor: 100, Points: 3, Category: "toys"}},
		Campaigns: []protocol.Campaign{{ID: "c1", Category: "toys", From: "2026-11-01", To: "2026-12-01", Factor: 2_000_000}},
	}
	basket := loyalty.Basket{
		Sale: receipt(amounts(250, 1999, 120), paid(protocol.Cash, 2369)), Categories: []string{"food", "toys", "food"}, Store: "s1", At: noon, Zone: time.UTC,
	}
	b.ReportAllocs()
	for b.Loop() {
		loyalty.Earn(p, basket)
	}
}
