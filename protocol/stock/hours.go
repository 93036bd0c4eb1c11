package stock

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hours are the times of a week at which a store is open, in the store's own
// time. The zero Hours are those of a store that is always open.
type Hours struct {
	days *[7][]span // by time.Weekday; nil: always open
}

// span is a stretch of a day in minutes from its midnight. It may end on the next
// day.
type span struct{ from, to int }

const minutesOfDay = 24 * 60

var weekdays = map[string]time.Weekday{
	"Su": time.Sunday, "Mo": time.Monday, "Tu": time.Tuesday, "We": time.Wednesday, "Th": time.Thursday, "Fr": time.Friday, "Sa": time.Saturday,
}

// ParseHours reads opening hours such as "Mo-Sa 08:00-20:00; Su 10:00-16:00".
// Of two rules for one day the later stands; a day that no rule names is closed.
// A time that ends before it starts ends on the next day. Empty text means always
// open.
func ParseHours(text string) (Hours, error) {
	if text == "" {
		return Hours{}, nil
	}
	h := Hours{days: &[7][]span{}}
	for rule := range strings.SplitSeq(text, ";") {
		names, times, ok := strings.Cut(strings.TrimSpace(rule), " ")
		if !ok {
			return Hours{}, fmt.Errorf("opening hours %q have no times", rule)
		}
		spans, err := parseSpans(times)
		if err != nil {
			return Hours{}, err
		}
		for name := range strings.SplitSeq(names, ",") {
			first, last, ranged := strings.Cut(name, "-")
			if !ranged {
				last = first
			}
			from, ok1 := weekdays[first]
			to, ok2 := weekdays[last]
			if !ok1 || !ok2 {
				return Hours{}, fmt.Errorf("opening hours name the day %q", name)
			}
			for d := from; ; d = (d + 1) % 7 {
				h.days[d] = spans
				if d == to {
					break
				}
			}
		}
	}
	return h, nil
}

func parseSpans(times string) ([]span, error) {
	var list []span
	for one := range strings.SplitSeq(times, ",") {
		begin, end, _ := strings.Cut(one, "-")
		from, err1 := minuteOfDay(begin)
		to, err2 := minuteOfDay(end)
		if err := cmp.Or(err1, err2); err != nil {
			return nil, err
		}
		if to <= from {
			to += minutesOfDay
		}
		list = append(list, span{from, to})
	}
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	return list, nil
}

func minuteOfDay(text string) (int, error) {
	hour, minute, ok := strings.Cut(text, ":")
	h, err1 := strconv.Atoi(hour)
	m, err2 := strconv.Atoi(minute)
	if !ok || err1 != nil || err2 != nil || h < 0 || h > 24 || m < 0 || m > 59 || h == 24 && m > 0 {
		return 0, fmt.Errorf("opening hours name the time %q", text)
	}
	return h*60 + m, nil
}

// Share is the share of a week in which a store is open, from 0 to 1.
func (h Hours) Share() float64 {
	if h.days == nil {
		return 1
	}
	minutes := 0
	for _, spans := range h.days {
		until := 0
		for _, s := range spans {
			minutes += max(0, s.to-max(s.from, until))
			until = max(until, s.to)
		}
	}
	return min(1, float64(minutes)/(7*minutesOfDay))
}

// hoursLookedAt is how far back opening hours are looked at day by day. What lies
// before counts as open, which only makes a silence longer.
const hoursLookedAt = 400 * 24 * time.Hour

// Open is for how long a store at a place was open between two moments, 0 where
// the second is not after the first.
func (h Hours) Open(from, to time.Time, place *time.Location) time.Duration {
	if !to.After(from) {
		return 0
	}
	if h.days == nil {
		return to.Sub(from)
	}
	var open time.Duration
	if first := to.Add(-hoursLookedAt); from.Before(first) {
		open, from = first.Sub(from), first
	}
	// A stretch of the day before may reach into the first one.
	year, month, day := from.In(place).Date()
	counted := from
	for day--; ; day++ {
		midnight := time.Date(year, month, day, 0, 0, 0, 0, place)
		if !midnight.Before(to) {
			return open
		}
		for _, s := range h.days[midnight.Weekday()] {
			begin := time.Date(year, month, day, 0, s.from, 0, 0, place)
			end := time.Date(year, month, day, 0, s.to, 0, 0, place)
			if begin.Before(counted) {
				begin = counted
			}
			if end.After(to) {
				end = to
			}
			if end.After(begin) {
				open += end.Sub(begin)
				counted = end
			}
		}
	}
}
