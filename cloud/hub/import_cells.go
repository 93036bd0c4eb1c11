package hub

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"counterpart/protocol"
	"counterpart/protocol/gtin"
)

// given is what a row says of a value: nothing, so that it stays, or the new
// value, which is the default where the cell is empty.
type given[T any] struct {
	set   bool
	value T
}

// onto puts the value in place where there is one.
func (g given[T]) onto(place *T) {
	if g.set {
		*place = g.value
	}
}

func giveAs[T any](v T) given[T] { return given[T]{set: true, value: v} }

// cells reads the cells of one row and keeps the first thing that is wrong.
type cells struct {
	row *Row
	err *RowError
}

func (c *cells) wrong(code protocol.Code, column, rule string) {
	if c.err == nil {
		c.err = wrongCell(code, column, c.row.cell(column), rule)
	}
}

// outOfRange refuses a value; rule continues "The value of column ".
func (c *cells) outOfRange(column, rule string) {
	c.wrong(protocol.OutOfRangeCode, column, "The value of "+column+" "+rule+". The row was not applied.")
}

// Bounds of free text in bytes. They keep any row well within one event.
const (
	wordBytesMax = 128
	textBytesMax = 1000
	longBytesMax = 8000
)

// text reads free text, on one line.
func (c *cells) text(column string, bytesMax int) (g given[string]) {
	v := c.row.cell(column)
	if !v.given {
		return g
	}
	text := oneLine(v.text)
	switch {
	case len(text) > bytesMax:
		c.outOfRange(column, "is longer than "+strconv.Itoa(bytesMax)+" bytes")
	case !protocol.ValidText(text, bytesMax):
		c.outOfRange(column, "holds control characters or is not UTF-8")
	}
	return giveAs(text)
}

// oneLine turns line breaks and tabs, which addresses of other systems hold,
// into spaces, and drops the characters U+0080 to U+009F, which print nothing
// and are what a wrong code page leaves of quotes and trade marks.
func oneLine(text string) string {
	if !utf8.ValidString(text) || !strings.ContainsFunc(text, unicode.IsControl) {
		return text
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r':
			return ' '
		case r >= 0x80 && r <= 0x9f:
			return -1
		}
		return r
	}, text)
}

// word reads text without space around it that is empty or passes valid.
func (c *cells) word(column, standard string, valid func(string) bool, rule string) (g given[string]) {
	v := c.row.cell(column)
	text := strings.TrimSpace(v.text)
	switch {
	case !v.given:
		return g
	case text == "":
		return giveAs(standard)
	case !valid(text):
		c.outOfRange(column, rule)
	}
	return giveAs(text)
}

const ruleID = "has to be 1 to 64 letters A to Z, digits, - or _"

// id reads an identifier of ours.
func (c *cells) id(column, standard string) given[string] {
	return c.word(column, standard, protocol.ValidID, ruleID)
}

// sku reads a SKU, exactly as it is written.
func (c *cells) sku(column string) (g given[protocol.SKU]) {
	v := c.row.cell(column)
	if !v.given {
		return g
	}
	if v.text != "" && !protocol.ValidSKU(v.text) {
		c.outOfRange(column, "has to be at most 64 bytes without control characters")
	}
	return giveAs(protocol.SKU(v.text))
}

// currency reads an ISO 4217 code.
func (c *cells) currency(column, standard string) given[string] {
	return c.word(column, standard, func(s string) bool {
		return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
	}, "has to be three capital letters, such as EUR")
}

// integer reads a whole number.
func (c *cells) integer(column string, least, most int64) (g given[*int64]) {
	v := c.row.cell(column)
	text := strings.TrimSpace(v.text)
	if !v.given {
		return g
	}
	if text == "" {
		return giveAs[*int64](nil)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most || text[0] == '+' {
		c.outOfRange(column, "has to be a whole number from "+strconv.FormatInt(least, 10)+" to "+strconv.FormatInt(most, 10))
	}
	return giveAs(&n)
}

// money reads an amount that may not be below zero.
func (c *cells) money(column string) (g given[*protocol.Money]) {
	n := c.integer(column, 0, int64(protocol.MoneyMax))
	return given[*protocol.Money]{set: n.set, value: (*protocol.Money)(n.value)}
}

// boolean reads true, false, 1 or 0.
func (c *cells) boolean(column string, standard bool) (g given[bool]) {
	v := c.row.cell(column)
	if !v.given {
		return g
	}
	switch strings.ToLower(strings.TrimSpace(v.text)) {
	case "":
		return giveAs(standard)
	case "true", "1":
		return giveAs(true)
	case "false", "0":
		return giveAs(false)
	}
	c.outOfRange(column, "has to be true, false, 1 or 0")
	return g
}

// degrees reads a coordinate.
func (c *cells) degrees(column string, limit float64) (g given[*float64]) {
	v := c.row.cell(column)
	text := strings.TrimSpace(v.text)
	if !v.given {
		return g
	}
	if text == "" {
		return giveAs[*float64](nil)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(math.Abs(f) <= limit) {
		l := strconv.FormatFloat(limit, 'f', -1, 64)
		c.outOfRange(column, "has to be a number of degrees from -"+l+" to "+l)
	}
	return giveAs(&f)
}

// quantity reads a quantity that may not be below zero.
func (c *cells) quantity(column string) (g given[*protocol.Quantity]) {
	v := c.row.cell(column)
	text := strings.TrimSpace(v.text)
	if !v.given {
		return g
	}
	if text == "" {
		return giveAs[*protocol.Quantity](nil)
	}
	q, err := protocol.ParseQuantity(text)
	if err != nil || q < 0 {
		c.outOfRange(column, "has to be a number from 0 to 10,000,000 with at most 3 decimals")
	}
	return giveAs(&q)
}

// moment reads an RFC 3339 time or a date. Times are kept in UTC, so that one
// instant is one key however it was written.
func (c *cells) moment(column string) (g given[string]) {
	v := c.row.cell(column)
	text := strings.TrimSpace(v.text)
	if !v.given {
		return g
	}
	if text == "" {
		return giveAs("")
	}
	if _, err := time.Parse(time.DateOnly, text); err == nil {
		return giveAs(text)
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		c.outOfRange(column, "has to be a date such as 2026-11-21 or a time such as 2026-11-21T10:02:11+00:00")
	}
	return giveAs(t.UTC().Format(time.RFC3339Nano))
}

// gtin reads a number that identifies an item for everybody.
func (c *cells) gtin(column string) (g given[string]) {
	v := c.row.cell(column)
	text := strings.TrimSpace(v.text)
	if !v.given {
		return g
	}
	if text == "" {
		return giveAs("")
	}
	number, err := gtin.ParseGlobal(text)
	if err != nil {
		code := protocol.Code(gtin.Code(err))
		c.wrong(code, column, wrongBarcode(code, text)+" The row was not applied.")
	}
	return giveAs(string(number))
}

// wrongBarcode says what is wrong with a number.
func wrongBarcode(code protocol.Code, text string) string {
	switch code {
	case protocol.BadCheckDigit:
		return "Barcode " + clip(text) + " is wrong (last digit)."
	case protocol.RestrictedCode:
		return "Barcode " + clip(text) + " is an in-store code, which means something in one chain only. Give the item a SKU and list the number under codes."
	}
	return "Barcode " + clip(text) + " has to be 8, 12, 13 or 14 digits."
}

// required refuses a row in which a value is missing in the end.
func required(column string, c cell) *RowError {
	return wrongCell(protocol.OutOfRangeCode, column, c, "The row has no "+column+", which is required. It was not applied.")
}
