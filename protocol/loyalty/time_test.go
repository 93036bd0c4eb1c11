package loyalty_test

import (
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"

	"pgregory.net/rapid"
)

// TestCelebrates: the days of a birthday begin at midnight in the store, and may go
// on into the next year.
func TestCelebrates(t *testing.T) {
	baku := time.FixedZone("Baku", 4*60*60)
	for _, c := range []struct {
		birthday, at string
		days         uint32
		want         bool
	}{
		{"1990-11-21", "2026-11-21T10:00:00Z", 1, true},
		{"1990-11-21", "2026-11-20T20:00:00Z", 1, true}, // midnight in Baku
		{"1990-11-21", "2026-11-20T19:59:59Z", 1, false},
		{"1990-11-21", "2026-11-21T20:00:00Z", 1, false},
		{"1990-11-21", "2026-11-21T20:00:00Z", 2, true},
		{"1990-12-30", "2027-01-03T10:00:00Z", 5, true},
		{"1990-12-30", "2027-01-04T10:00:00Z", 5, false},
		{"2000-02-29", "2027-03-01T10:00:00Z", 1, true},
		{"2000-02-29", "2028-02-29T10:00:00Z", 1, true},
		{"2000-02-29", "2028-03-01T10:00:00Z", 1, false},
		{"2027-11-21", "2026-11-21T10:00:00Z", 1, false}, // not born yet
		{"", "2026-11-21T10:00:00Z", 31, false},
		{"yesterday", "2026-11-21T10:00:00Z", 31, false},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		p := &protocol.Programme{Birthday: &protocol.BirthdayRule{Factor: 2_000_000, Days: c.days}}
		if got := loyalty.Celebrates(p, c.birthday, at, baku); got != c.want {
			t.Errorf("%q at %s, %d days: %t", c.birthday, c.at, c.days, got)
		}
	}
	if loyalty.Celebrates(&protocol.Programme{}, "1990-11-21", time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), time.UTC) {
		t.Error("a programme without the rule celebrates")
	}
}

// TestEarnOnABirthday: of campaign and birthday the larger counts, once.
func TestEarnOnABirthday(t *testing.T) {
	p := &protocol.Programme{
		Earn: []protocol.EarnRule{{PerMinor: 100, Points: 1}}, Birthday: &protocol.BirthdayRule{Factor: 3_000_000, Days: 1},
		Campaigns: []protocol.Campaign{{ID: "c1", Factor: 2_000_000}}, Tiers: []protocol.Tier{{Name: "gold", Factor: 1_500_000}},
	}
	s := &protocol.Sale{Type: protocol.SaleSale, Lines: []protocol.SaleLine{{Amount: 1000}}, Tenders: []protocol.Tender{{Type: protocol.Card, Amount: 1000}}}
	for _, c := range []struct {
		tier     string
		birthday bool
		want     protocol.Points
	}{{"", false, 20}, {"", true, 30}, {"gold", true, 45}, {"gold", false, 30}, {"bronze", false, 20}} {
		earned := loyalty.Earn(p, loyalty.Basket{Sale: s, Tier: c.tier, Birthday: c.birthday, Zone: time.UTC})
		if earned.Total != c.want {
			t.Errorf("%q, birthday %t: %d, want %d", c.tier, c.birthday, earned.Total, c.want)
		}
	}
}

// TestExpiring compares with points that are kept apart by the day on which they
// were earned, and of which the oldest are spent first.
func TestExpiring(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const lasts = 10
		var account loyalty.Account
		days := map[int]protocol.Points{} // left of what each day earned
		earned := map[int]protocol.Points{}
		// Who spends what people gave has it back from what is earned next.
		gift, owed := protocol.Points(0), protocol.Points(0)
		take := func(points protocol.Points) {
			for day := 0; day <= 40 && points > 0; day++ {
				part := min(points, days[day])
				days[day] -= part
				points -= part
			}
			gift -= points
			owed += points
		}
		balance := func() (sum protocol.Points) {
			for _, n := range days {
				sum += n
			}
			return sum + gift
		}
		for today := range 40 {
			for range rapid.IntRange(0, 3).Draw(t, "what happens") {
				points := protocol.Points(rapid.IntRange(1, 50).Draw(t, "points"))
				switch rapid.SampledFrom([]string{"earn", "earn", "redeem", "gift"}).Draw(t, "kind") {
				case "earn":
					account.Earned += points
					back := min(points, owed)
					owed, gift = owed-back, gift+back
					days[today] += points - back
					earned[today] += points
				case "redeem":
					points = min(points, balance())
					account.Redeemed += points
					take(points)
				case "gift":
					account.Adjusted += points
					gift += points
				}
			}
			fresh, old := protocol.Points(0), protocol.Points(0)
			for day := 0; day <= today; day++ {
				if day > today-lasts {
					fresh += earned[day]
				} else {
					old += days[day]
				}
			}
			if got := loyalty.Expiring(&account, fresh); got != old {
				t.Fatalf("day %d: %d expire, want %d of %+v", today, got, old, account)
			}
			if rapid.Bool().Draw(t, "swept") {
				account.Expired -= old
				for day := 0; day <= today-lasts; day++ {
					days[day] = 0
				}
			}
			if account.Balance() != balance() {
				t.Fatalf("day %d: %d points, want %d", today, account.Balance(), balance())
			}
		}
	})
}
