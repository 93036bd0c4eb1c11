package main

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"counterpart/protocol"
)

// What the study takes from a file, and the days that it gives the shops.
const (
	opensAt   = 8 * time.Hour
	closesAt  = 20 * time.Hour
	openDay   = closesAt - opensAt
	openWeek  = 7 * openDay
	warmWeeks = 4
	// weighedAbove is where a grocery file's quantity is fuel in thousandths of
	// a gallon.
	weighedAbove = 500
)

// notGoods are what the wholesaler's file books beside goods.
var notGoods = []string{"POST", "DOT", "M", "D", "S", "C2", "AMAZONFEE", "BANK CHARGES", "gift_0001_10", "gift_0001_20", "gift_0001_30", "gift_0001_40", "gift_0001_50", "PADS", "CRUK"}

// A want is one line that somebody wanted to buy in one shop, at a moment of
// opening time since the first day of the file.
type want struct {
	at       time.Duration
	shop     int
	item     int
	quantity protocol.Quantity
}

// A trade is the demand of a file, in the order of time.
type trade struct {
	shops int
	items []string
	wants []want
	lines []int // of each item, in all shops
	days  int
}

// half tells which half of the items a SKU belongs to.
func half(sku string) int {
	hash := fnv.New32a()
	hash.Write([]byte("half " + sku))
	return int(hash.Sum32() % 2)
}

// tradeOf takes the goods that were sold from a file: those of one half, or of
// both where that is below 0, with at least so many lines.
func tradeOf(in *input, part, linesMin int) *trade {
	lines := map[string]int{}
	for _, b := range in.baskets {
		for _, l := range b.lines {
			if counts(in, b, l, part) {
				lines[l.sku]++
			}
		}
	}
	t := &trade{shops: len(in.shops)}
	index := map[string]int{}
	var first time.Time
	for _, b := range in.baskets {
		for _, l := range b.lines {
			if counts(in, b, l, part) && (first.IsZero() || b.at.Before(first)) {
				first = b.at
			}
		}
	}
	for _, b := range in.baskets {
		for _, l := range b.lines {
			if !counts(in, b, l, part) || lines[l.sku] < linesMin {
				continue
			}
			i, ok := index[l.sku]
			if !ok {
				i = len(t.items)
				index[l.sku], t.items, t.lines = i, append(t.items, l.sku), append(t.lines, lines[l.sku])
			}
			day := daysBetween(first, b.at)
			t.days = max(t.days, day+1)
			t.wants = append(t.wants, want{openTime(day, b.at), b.shop, i, protocol.Quantity(l.pieces) * 1000})
		}
	}
	slices.SortStableFunc(t.wants, func(a, b want) int { return cmp.Compare(a.at, b.at) })
	return t
}

// counts tells whether a line is goods that went out.
func counts(in *input, b basket, l line, part int) bool {
	switch {
	case b.kind != sold || l.pieces <= 0 || slices.Contains(notGoods, l.sku):
		return false
	case in.format == "grocery" && l.pieces > weighedAbove:
		return false
	}
	return part < 0 || half(l.sku) == part
}

// daysBetween counts calendar days, whatever the clocks did in between.
func daysBetween(first, at time.Time) int {
	midnight := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) }
	return int(midnight(at).Sub(midnight(first)) / (24 * time.Hour))
}

// openTime is the opening time that has gone by at a moment of a day. What the
// file books before opening happens then, and what it books after closing in
// the last second before.
func openTime(day int, at time.Time) time.Duration {
	clock := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second
	return opened(time.Duration(day)*24*time.Hour + min(clock, closesAt-time.Second))
}

// opened is the opening time within a stretch of time that begins at midnight.
func opened(wall time.Duration) time.Duration {
	days := wall / (24 * time.Hour)
	return days*openDay + min(max(wall%(24*time.Hour)-opensAt, 0), openDay)
}
