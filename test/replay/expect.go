package main

import (
	"bufio"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
)

// This file is the independent pass: it goes over the file a second time and
// adds up what has to be at the hub in the end. It shares no code with what
// feeds the agents (input.go, grocery.go, wholesale.go, feed.go) except the
// unpacking, and it computes with nothing but whole numbers. So a mistake in
// reading, splitting or feeding shows as a difference and does not hide in a
// total that was made the same way.

// expected is what the hub has to say about one store.
type expected struct {
	sales, returns, adjustments int // documents
	lines, adjustedLines        int
	pieces, money               map[string]int64 // sold less returned, by SKU
	stock                       map[string]int64 // pieces on hand, by SKU
}

func newExpected() *expected {
	return &expected{pieces: map[string]int64{}, money: map[string]int64{}, stock: map[string]int64{}}
}

// total is the money of all SKUs.
func (e *expected) total() int64 {
	var sum int64
	for _, money := range e.money {
		sum += money
	}
	return sum
}

// documentLines is how many lines a document of any kind can hold.
const documentLines = 2000

// documents is how many documents a number of lines needs.
func documents(lines int) int { return (lines + documentLines - 1) / documentLines }

// expect adds up a file by store, under the identifiers that the hub knows.
// native leaves out what a till of ours refuses.
func expect(path string, stores int, native bool) (map[string]*expected, error) {
	rows, err := readCells(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("%s holds no row", path)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for i, row := range rows {
		if len(row) != len(rows[0]) {
			return nil, fmt.Errorf("%s: line %d has %d cells, the header %d", path, i+1, len(row), len(rows[0]))
		}
	}
	if _, ok := column["line_total_minor"]; ok {
		return expectGrocery(rows[1:], column, stores, native)
	}
	return expectWholesale(rows[1:], column, stores)
}

// readCells reads a file whose cells hold no line ends.
func readCells(path string) ([][]string, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var rows [][]string
	for text := bufio.NewReader(file); ; {
		row, err := text.ReadString('\n')
		if row = strings.TrimRight(row, "\r\n"); row != "" {
			rows = append(rows, cells(row))
		}
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// cells splits a row at its commas, but not inside quotes. A doubled quote
// inside quotes is one quote.
func cells(row string) []string {
	var list []string
	var cell strings.Builder
	quoted := false
	for i := 0; i < len(row); i++ {
		switch c := row[i]; {
		case quoted && c == '"' && i+1 < len(row) && row[i+1] == '"':
			cell.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			list = append(list, cell.String())
			cell.Reset()
		default:
			cell.WriteByte(c)
		}
	}
	return append(list, cell.String())
}

func expectGrocery(rows [][]string, column map[string]int, stores int, native bool) (map[string]*expected, error) {
	basket, store, sku := column["basket"], column["store"], column["sku"]
	names := busyStores(rows, column, stores)
	result := map[string]*expected{}
	for _, name := range names {
		result["s"+name] = newExpected()
	}
	lines := map[string]int{}       // of each basket
	owner := map[string]*expected{} // of each basket
	for i, row := range rows {
		e := result["s"+row[store]]
		if e == nil {
			continue
		}
		quantity, err := strconv.ParseInt(row[column["qty"]], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		paid, err := strconv.ParseInt(row[column["line_total_minor"]], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		if quantity == 0 || native && (quantity < 0 || paid < 0) {
			continue
		}
		e.pieces[row[sku]] += quantity
		e.money[row[sku]] += paid
		e.stock[row[sku]] -= quantity
		e.lines++
		lines[row[basket]]++
		owner[row[basket]] = e
	}
	for name, n := range lines {
		owner[name].sales += documents(n)
	}
	return result, nil
}

// busyStores are the stores of a grocery file with most baskets.
func busyStores(rows [][]string, column map[string]int, stores int) []string {
	basket, store := column["basket"], column["store"]
	all := map[string]map[string]bool{} // the baskets of each store
	for _, row := range rows {
		if all[row[store]] == nil {
			all[row[store]] = map[string]bool{}
		}
		all[row[store]][row[basket]] = true
	}
	var names []string
	for name := range all {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := len(all[names[i]]), len(all[names[j]])
		return a > b || a == b && names[i] < names[j]
	})
	return names[:min(len(names), stores)]
}

// fnv1a is the 32-bit hash of Fowler, Noll and Vo, variant 1a.
func fnv1a(text string) uint32 {
	hash := uint32(2166136261)
	for i := 0; i < len(text); i++ {
		hash ^= uint32(text[i])
		hash *= 16777619
	}
	return hash
}

func expectWholesale(rows [][]string, column map[string]int, stores int) (map[string]*expected, error) {
	result := map[string]*expected{}
	for i := 1; i <= stores; i++ {
		result["s"+strconv.Itoa(i)] = newExpected()
	}
	taken, given, corrected := map[string]int{}, map[string]int{}, map[string]int{} // lines by invoice
	storeOf := func(invoice string) *expected {
		return result["s"+strconv.Itoa(1+int(fnv1a(invoice)%uint32(stores)))]
	}
	for i, row := range rows {
		invoice, sku := row[column["invoice"]], row[column["sku"]]
		quantity, err := strconv.ParseInt(row[column["qty"]], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		price, err := strconv.ParseInt(row[column["unit_price_minor"]], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		e := storeOf(invoice)
		// Whatever the kind, a positive quantity leaves the shelf and a negative
		// one, if goods come back, returns to it; a correction has its own sign.
		switch {
		case quantity == 0:
			continue
		case !strings.HasPrefix(invoice, "C") && quantity < 0:
			corrected[invoice]++
			e.adjustedLines++
			e.stock[sku] += quantity
			continue
		case strings.HasPrefix(invoice, "C"):
			given[invoice]++
		default:
			taken[invoice]++
		}
		e.lines++
		e.pieces[sku] += quantity
		e.money[sku] += quantity * price
		e.stock[sku] -= quantity
	}
	for invoice, n := range taken {
		storeOf(invoice).sales += documents(n)
	}
	for invoice, n := range given {
		storeOf(invoice).returns += documents(n)
	}
	for invoice, n := range corrected {
		storeOf(invoice).adjustments += documents(n)
	}
	return result, nil
}
