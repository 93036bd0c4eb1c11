package stock_test

import (
	"testing"
	"time"

	"counterpart/protocol/stock"
)

// TestOpenHours counts the open time between two moments at places with and
// without daylight saving.
func TestOpenHours(t *testing.T) {
	const week = "Mo-Sa 08:00-20:00; Su 10:00-16:00"
	for _, c := range []struct {
		hours, place, from, to string
		open                   time.Duration
	}{
		{"", "Europe/London", "2026-11-20T12:00:00Z", "2026-11-22T12:00:00Z", 48 * time.Hour},
		{week, "Europe/London", "2026-11-21T19:00:00Z", "2026-11-22T11:00:00Z", 2 * time.Hour}, // Saturday evening to Sunday morning
		{week, "Europe/London", "2026-11-21T20:00:00Z", "2026-11-22T10:00:00Z", 0},
		{week, "Europe/London", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z", 78 * time.Hour},
		{week, "Asia/Baku", "2026-11-21T03:00:00Z", "2026-11-21T05:00:00Z", time.Hour}, // opens at 04:00 UTC
		{week, "Europe/London", "2026-11-21T12:00:00Z", "2026-11-21T11:00:00Z", 0},
		{"Fr 20:00-02:00", "Europe/London", "2026-11-20T23:00:00Z", "2026-11-21T12:00:00Z", 3 * time.Hour},
		{"Fr 20:00-02:00", "Europe/London", "2026-11-21T01:00:00Z", "2026-11-21T12:00:00Z", time.Hour}, // begun the day before
		{"Sa-Mo 10:00-12:00,14:00-15:00", "Europe/London", "2026-11-20T00:00:00Z", "2026-11-25T00:00:00Z", 9 * time.Hour},
		{"Mo-Su 08:00-20:00; Su 10:00-16:00", "Europe/London", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z", 78 * time.Hour}, // the later rule
		{"Mo-Su 09:00-12:00,11:00-13:00", "Europe/London", "2026-11-16T00:00:00Z", "2026-11-17T00:00:00Z", 4 * time.Hour},      // no minute twice
		{"Mo-Su 00:00-24:00", "Europe/London", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z", 24 * time.Hour},
		// The night in which clocks go forward has an hour less, the one in which
		// they go back an hour more.
		{"Su 00:00-06:00", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z", 5 * time.Hour},
		{"Su 00:00-06:00", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z", 7 * time.Hour},
	} {
		h, err := stock.ParseHours(c.hours)
		if err != nil {
			t.Fatal(err)
		}
		place, err := time.LoadLocation(c.place)
		if err != nil {
			t.Fatal(err)
		}
		from, err1 := time.Parse(time.RFC3339, c.from)
		to, err2 := time.Parse(time.RFC3339, c.to)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if got := h.Open(from, to, place); got != c.open {
			t.Errorf("%q at %s from %s to %s: open %v, want %v", c.hours, c.place, c.from, c.to, got, c.open)
		}
	}
}

// TestOpenHoursOfYears counts what is long ago as open.
func TestOpenHoursOfYears(t *testing.T) {
	h, err := stock.ParseHours("Mo 10:00-11:00")
	if err != nil {
		t.Fatal(err)
	}
	to := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	if got, least := h.Open(to.AddDate(-10, 0, 0), to, time.UTC), 8*365*24*time.Hour; got < least {
		t.Errorf("ten years came to %v, not above %v", got, least)
	}
}

func TestOpeningHoursThatAreNone(t *testing.T) {
	for _, text := range []string{"Mo", "Mo 8", "Xx 08:00-20:00", "Mo-Xx 08:00-20:00", "Mo 25:00-26:00", "Mo 08:60-09:00", "Mo 24:01-24:30", ";", "Mo 08:00"} {
		if _, err := stock.ParseHours(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
