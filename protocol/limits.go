package protocol

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// What the encodings hold at most. Whoever writes refuses what is beyond, and
// whoever reads takes an event beyond as malformed.
const (
	SaleLinesMax = 2_000  // lines of a sale
	MovesMax     = 10_000 // moves of an event
	RowsMax      = 10_000 // rows or lines of any other body
	TextBytesMax = 65_536 // bytes of any free text

	// AmountMax bounds every quantity, delta and amount of money on the wire,
	// either sign. It is above what may be entered, so that sums fit.
	AmountMax = 10_000_000_000_000

	smallListMax = 1_000 // discounts of a line, tenders, codes of an item and the like
	wordBytesMax = 64    // kinds, types and units
	nameBytesMax = 512   // texts by which something is found again
)

// check collects the first thing that is wrong with a value. Text is not
// checked for UTF-8 here, because marshalling and unmarshalling both do.
type check struct{ err error }

func (c *check) failf(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// amount checks a quantity or an amount of money.
func (c *check) amount(what string, n int64) {
	if n > AmountMax || n < -AmountMax {
		c.failf("%s %d is out of range", what, n)
	}
}

// natural checks a number that counts something.
func (c *check) natural(what string, n int64) {
	if n < 0 || n > AmountMax {
		c.failf("%s %d is out of range", what, n)
	}
}

// count checks the length of a list.
func (c *check) count(what string, n, limit int) {
	if n > limit {
		c.failf("%d %s are more than %d", n, what, limit)
	}
}

// column checks that a column has an entry for each of n lines, or none.
func (c *check) column(what string, length, n int) {
	if length != 0 && length != n {
		c.failf("column %s has %d entries for %d lines", what, length, n)
	}
}

// text checks free text, which may be empty.
func (c *check) text(what, s string) {
	if len(s) > TextBytesMax {
		c.failf("%s of %d bytes is too long", what, len(s))
	}
}

// name checks a text by which something is found again, such as the id that
// another system gave a sale. It is short and without control characters, so
// that it can be part of a key.
func (c *check) name(what, s string) {
	if !ValidText(s, nameBytesMax) {
		c.failf("%s %q cannot be a name", what, clip(s))
	}
}

// id checks an identifier of ours.
func (c *check) id(what, s string) {
	if !ValidID(s) {
		c.failf("%s %q is not an identifier", what, clip(s))
	}
}

// idOrNone checks an identifier of ours that may be left out.
func (c *check) idOrNone(what, s string) {
	if s != "" {
		c.id(what, s)
	}
}

// sku checks a SKU.
func (c *check) sku(s SKU) {
	if !ValidSKU(string(s)) {
		c.failf("%q is not a SKU", clip(string(s)))
	}
}

// gtin checks a canonical GTIN that may be left out. Its check digit is the
// business of whoever scans.
func (c *check) gtin(s string) {
	if s != "" && (len(s) != 14 || !digits(s)) {
		c.failf("GTIN %q is not 14 digits", clip(s))
	}
}

// word checks the name of a kind, a type or a unit, which may be empty only
// where none is required.
func (c *check) word(what, s string, required bool) {
	if s == "" {
		if required {
			c.failf("%s is missing", what)
		}
		return
	}
	if len(s) > wordBytesMax {
		c.failf("%s of %d bytes is too long", what, len(s))
		return
	}
	for i := range len(s) {
		if !ValidID(s[i:i+1]) && s[i] != '.' {
			c.failf("%s %q is not a word", what, s)
			return
		}
	}
}

// currency checks an ISO 4217 code that may be left out.
func (c *check) currency(s string) {
	if s == "" {
		return
	}
	if len(s) != 3 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' || s[2] < 'A' || s[2] > 'Z' {
		c.failf("currency %q is not three capital letters", clip(s))
	}
}

// state checks one of the states of a level.
func (c *check) state(s State) {
	if s >= StateCount {
		c.failf("state %d is not known", s)
	}
}

// eventID checks the name of an event.
func (c *check) eventID(what string, id EventID) {
	if id.Inc.IsZero() || id.Seq == 0 {
		c.failf("%s names no event", what)
	}
}

// degrees checks a coordinate that may be left out.
func (c *check) degrees(what string, v *float64, limit float64) {
	if v != nil && !(math.Abs(*v) <= limit) { // NaN is within nothing
		c.failf("%s %v is out of range", what, *v)
	}
}

var errDate = errors.New("not a date written YYYY-MM-DD")

// dateNumber turns YYYY-MM-DD into the number YYYYMMDD, and no date into 0.
func dateNumber(date string) (uint32, error) {
	if date == "" {
		return 0, nil
	}
	if len(date) != 10 || date[4] != '-' || date[7] != '-' || !digits(date[:4]) || !digits(date[5:7]) || !digits(date[8:]) {
		return 0, fmt.Errorf("%q is %w", clip(date), errDate)
	}
	var n uint32
	for i := range len(date) {
		if date[i] != '-' {
			n = n*10 + uint32(date[i]-'0')
		}
	}
	return n, realDate(n)
}

// dateText is the inverse of dateNumber.
func dateText(n uint32) (string, error) {
	if n == 0 {
		return "", nil
	}
	if err := realDate(n); err != nil {
		return "", err
	}
	b := [10]byte{4: '-', 7: '-'}
	for _, i := range [8]int{9, 8, 6, 5, 3, 2, 1, 0} {
		b[i] = '0' + byte(n%10)
		n /= 10
	}
	return string(b[:]), nil
}

func realDate(n uint32) error {
	year, month, day := int(n/10_000), time.Month(n/100%100), int(n%100)
	if year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Day() != day {
		return fmt.Errorf("%d is %w", n, errDate)
	}
	return nil
}
