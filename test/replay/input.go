package main

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"counterpart/test/retail"
)

// kind is what became of a basket.
type kind int

const (
	sold     kind = iota // goods went out
	returned             // goods came back, without a receipt
	adjusted             // the book was put right: goods are gone, nobody paid
)

func (k kind) String() string { return [...]string{"sale", "return", "adjustment"}[k] }

// A basket is what one customer took or brought at once, or one correction.
type basket struct {
	id       string
	customer string // empty where the file does not say
	shop     int    // index into input.shops
	at       time.Time
	kind     kind
	lines    []line
}

// A line is one line of a basket. Pieces and amounts are above zero for what
// goes out in a sale, and also for what comes back in a return.
type line struct {
	sku    string
	note   string // what the file says about it
	pieces int64
	// price is of one piece. It is nil where the file knows only the line's
	// amount and that does not divide.
	price  *int64
	amount int64
}

// An input is a file as it is to be fed.
type input struct {
	format   string // grocery or wholesale
	currency string
	country  string
	timezone string
	shops    []retail.Store
	items    []item
	baskets  []basket
	skipped  map[string]int // rows that are not fed, by reason
}

// An item is a row of the hub's bulk load of items.
type item struct {
	SKU      string `json:"sku"`
	Name     string `json:"name"`
	Category string `json:"category,omitempty"`
	Price    int64  `json:"price_minor"`
}

// agentOf is the only agent of a shop.
func (in *input) agentOf(shop int) string { return "a" + strings.TrimPrefix(in.shops[shop].ID, "s") }

// open opens a file, unpacked if its name says that it is packed.
func open(path string) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return file, err
	}
	packed, err := gzip.NewReader(file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return unpacked{packed, file}, nil
}

// unpacked closes the file under the packing too.
type unpacked struct {
	*gzip.Reader
	file *os.File
}

func (u unpacked) Close() error { return errors.Join(u.Reader.Close(), u.file.Close()) }

// A table reads a file with a header, row by row.
type table struct {
	rows   *csv.Reader
	column map[string]int
	row    []string
	number int // of the row, from 1
	err    error
}

func newTable(r io.Reader) (*table, error) {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	header, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	t := &table{rows: rows, column: map[string]int{}}
	for i, name := range header {
		t.column[name] = i
	}
	return t, nil
}

// has tells whether the table has all the columns.
func (t *table) has(columns ...string) bool {
	for _, name := range columns {
		if _, ok := t.column[name]; !ok {
			return false
		}
	}
	return true
}

// next moves to the next row. At the end, or at an error, it is false.
func (t *table) next() bool {
	if t.err != nil {
		return false
	}
	t.row, t.err = t.rows.Read()
	t.number++
	return t.err == nil
}

// failure is what ended the reading, other than the end.
func (t *table) failure() error {
	if errors.Is(t.err, io.EOF) {
		return nil
	}
	return t.err
}

// text is a cell of the present row.
func (t *table) text(name string) string { return strings.Clone(t.row[t.column[name]]) }

// integer is a cell that holds a whole number. The first that does not ends
// the reading.
func (t *table) integer(name string) int64 {
	n, err := strconv.ParseInt(t.row[t.column[name]], 10, 64)
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("row %d, column %s: %w", t.number, name, err)
	}
	return n
}

// moment is a cell that holds a local time.
func (t *table) moment(name string, zone *time.Location) time.Time {
	at, err := time.ParseInLocation("2006-01-02T15:04:05", t.row[t.column[name]], zone)
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("row %d, column %s: %w", t.number, name, err)
	}
	return at
}

// readInput reads a file of either format, which its header tells.
func readInput(path string, stores int) (*input, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	in, err := readTable(file, stores)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return in, nil
}

func readTable(file io.Reader, stores int) (*input, error) {
	t, err := newTable(file)
	switch {
	case err != nil:
		return nil, err
	case t.has("basket", "timestamp", "customer", "store", "sku", "description", "qty", "line_total_minor", "currency"):
		return readGrocery(t, stores)
	case t.has("invoice", "timestamp", "customer", "sku", "description", "qty", "unit_price_minor", "currency"):
		return readWholesale(t, stores)
	}
	return nil, errors.New("the columns are those of no known format")
}

// A catalogue collects items as rows go by: the last name and price stand.
type catalogue struct {
	at   map[string]int
	list []item
}

// add files what a row says about an item. An item needs a name, and its price
// cannot be below zero.
func (c *catalogue) add(sku, name string, price int64) {
	if c.at == nil {
		c.at = map[string]int{}
	}
	i, ok := c.at[sku]
	if !ok {
		i = len(c.list)
		c.at[sku] = i
		c.list = append(c.list, item{SKU: sku, Name: sku, Category: categoryOf(sku)})
	}
	if strings.TrimSpace(name) != "" {
		c.list[i].Name = name
	}
	if price > 0 {
		c.list[i].Price = price
	}
}

// currencyOf holds a file to one currency.
func (in *input) currencyOf(t *table) {
	currency := t.text("currency")
	if in.currency == "" {
		in.currency = currency
	}
	if in.currency != currency && t.err == nil {
		t.err = fmt.Errorf("row %d: currency %s in a file of %s", t.number, currency, in.currency)
	}
}
