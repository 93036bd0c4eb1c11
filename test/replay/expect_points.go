package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// This file is the independent pass over points. Like expect it shares nothing with
// what feeds the agents, nor with what reckons points in a till.

// bonusDays are days on which a point is worth one and a half: from, before.
var bonusDays = [][2]string{{"2011-03-01", "2011-04-01"}, {"2017-03-01", "2017-04-01"}, {"2026-03-03", "2026-03-05"}}

// receipt is what one document comes to, by the rule that its goods meet.
type receipt struct {
	customer         string
	bonus, card      bool
	club, rest, rows int64
}

// earned are the points of a document, in whole numbers: points over amounts are
// 1/100 and, for the club's goods, 2/100; by card 1/60 for the others.
func (r *receipt) earned() int64 {
	if r.club+r.rest <= 0 {
		return 0
	}
	per := int64(100)
	if r.card {
		per = 60
	}
	return halfUp(r.club*2, 100, r.bonus) + halfUp(r.rest, per, r.bonus)
}

// halfUp is n/d, or half as much again, rounded half up, and 0 below it.
func halfUp(n, d int64, bonus bool) int64 {
	if bonus {
		n, d = 3*n, 2*d
	}
	return max(0, (2*max(n, 0)+d)/(2*d))
}

// expectPoints adds up what every customer of the fed stores has to have.
func expectPoints(path string, stores int, native bool) (map[string]int64, error) {
	rows, err := readCells(path)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errors.New("the file is empty")
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	rows = rows[1:]
	_, grocery := column["line_total_minor"]
	open := map[string]bool{}
	if grocery {
		for _, store := range busyStores(rows, column, stores) {
			open[store] = true
		}
	}
	points, last := map[string]int64{}, map[string]*receipt{}
	var all []*receipt
	for i, row := range rows {
		l, err := readPaid(row, column, grocery)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		if !l.counts(native) || grocery && !open[row[column["store"]]] {
			continue
		}
		r := last[l.document]
		if r == nil || r.rows == documentLines {
			first := r
			r = &receipt{customer: row[column["customer"]], bonus: !native && bonusDay(row[column["timestamp"]]), card: fnv1a(l.document)%2 == 0}
			if first != nil {
				r.bonus = first.bonus
			}
			last[l.document], all = r, append(all, r)
		}
		r.add(row[column["sku"]], l.amount)
	}
	for _, r := range all {
		if r.customer != "" {
			points[r.customer] += r.earned()
		}
	}
	return points, nil
}

// paid is a row as far as it is paid.
type paid struct {
	document         string
	pieces, amount   int64
	grocery, goneOut bool
}

func readPaid(row []string, column map[string]int, grocery bool) (paid, error) {
	l := paid{grocery: grocery, goneOut: true}
	var err error
	if l.pieces, err = wholeNumber(row[column["qty"]]); err != nil {
		return l, err
	}
	if grocery {
		l.document = row[column["basket"]]
		l.amount, err = wholeNumber(row[column["line_total_minor"]])
		return l, err
	}
	l.document = row[column["invoice"]]
	l.goneOut = !strings.HasPrefix(l.document, "C") && l.pieces > 0
	price, err := wholeNumber(row[column["unit_price_minor"]])
	l.amount = l.pieces * price
	return l, err
}

// counts tells whether a row is on a receipt of a sale.
func (l paid) counts(native bool) bool {
	return l.goneOut && l.pieces != 0 && (!native || l.pieces > 0 && l.amount >= 0)
}

func (r *receipt) add(sku string, amount int64) {
	r.rows++
	if fnv1a(sku)%4 == 0 {
		r.club += amount
	} else {
		r.rest += amount
	}
}

func bonusDay(timestamp string) bool {
	return slices.ContainsFunc(bonusDays, func(days [2]string) bool { return timestamp[:10] >= days[0] && timestamp[:10] < days[1] })
}

func wholeNumber(cell string) (int64, error) { return strconv.ParseInt(cell, 10, 64) }
