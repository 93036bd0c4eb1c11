package loyalty

import (
	"time"

	"counterpart/protocol"
)

// Celebrates tells whether at is one of the programme's days of a birthday
// (YYYY-MM-DD), in the store's zone. Who was born on the 29th of February has it on
// the 1st of March of other years.
func Celebrates(p *protocol.Programme, birthday string, at time.Time, zone *time.Location) bool {
	if p == nil || p.Birthday == nil {
		return false
	}
	born, err := time.Parse(time.DateOnly, birthday)
	if err != nil {
		return false
	}
	year := at.In(zone).Year()
	for _, y := range []int{year - 1, year} { // The days may go on into the next year.
		day := func(n int) time.Time { return time.Date(y, born.Month(), born.Day()+n, 0, 0, 0, 0, zone) }
		if y >= born.Year() && !at.Before(day(0)) && at.Before(day(int(p.Birthday.Days))) {
			return true
		}
	}
	return false
}

// TierOf is the name of a member's tier: the last of the list whose threshold was
// reached, or empty. earned tells the points that the member earned within so many
// days; what was spent does not count (our own rule).
func TierOf(p *protocol.Programme, earned func(withinDays uint32) protocol.Points) string {
	for i := len(p.Tiers) - 1; i >= 0; i-- {
		if t := &p.Tiers[i]; earned(t.WithinDays) >= t.Points {
			return t.Name
		}
	}
	return ""
}

// Expiring is how many points have outlived a programme that lets them expire:
// those that were earned before the window of that many days, less what was spent
// since, the oldest first. fresh is what receipts earned within the window, those
// that took points back left out, so that goods that came back use up the oldest
// points. What people gave does not expire, and what they took counts as spent (our
// own rule).
func Expiring(a *Account, fresh protocol.Points) protocol.Points {
	spent := a.Redeemed - a.Expired - min(0, a.Adjusted)
	return max(0, min(a.Earned-fresh-spent, a.Balance()))
}
