package hub

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"counterpart/protocol"
)

// Table is one kind of reference data that is imported.
type Table string

// The tables.
const (
	ItemsTable      Table = "items"
	PricesTable     Table = "prices"
	TaxesTable      Table = "taxes"
	PromotionsTable Table = "promotions"
	StoresTable     Table = "stores"
	StockTable      Table = "stock"
)

// tableColumns are the columns that a file of each table may have. Others are
// refused, so that no misspelt one is silently without effect.
var tableColumns = map[Table][]string{
	ItemsTable: {
		"sku", "gtin", "name", "brand", "category", "unit", "price_minor", "currency", "tax_code", "stocked", "blocked",
		"min_age", "parent_sku", "attributes", "codes", "source",
	},
	PricesTable: {"zone", "code", "price_minor", "currency", "valid_from", "valid_to"},
	TaxesTable:  {"zone", "tax_code", "name", "rate_ppm", "prices_include_tax", "valid_from"},
	PromotionsTable: {
		"zone", "id", "name", "kind", "valid_from", "valid_to", "hours", "coupon", "members_only", "limit", "skus", "category",
		"n", "price_minor", "currency", "rate_ppm", "free", "amount_minor", "minimum_minor",
	},
	StoresTable: {
		"id", "name", "lat", "lon", "timezone", "country", "city", "currency", "price_zone", "legal_name", "tax_id", "address",
		"cash_rounding_minor", "opening_hours", "fiscal", "primary_agent", "source",
	},
	StockTable: {"code", "on_hand"},
}

// rowBytesMax bounds one row of a file as it came.
const rowBytesMax = 256 << 10

// Row is one row of a file. A column that the file does not have is absent; an
// empty cell is there and empty.
type Row struct {
	Number int64 // from 1, the first row of data
	// Problem is set where the row could not be read; its cells are absent.
	Problem *RowError
	columns []string
	cells   []cell // by column
	size    int    // bytes, about
}

type cell struct {
	given bool
	text  string
}

// cell is what the row says of a column.
func (r *Row) cell(column string) cell {
	for i, name := range r.columns {
		if name == column {
			if i < len(r.cells) {
				return r.cells[i]
			}
			break
		}
	}
	return cell{}
}

// Cell is the text of a column, nil where the file does not have it.
func (r *Row) Cell(column string) *string {
	if c := r.cell(column); c.given {
		return &c.text
	}
	return nil
}

// RowReader yields the rows of a file, then io.EOF. Any other error ends the
// file; a row that is wrong by itself comes with a Problem instead.
type RowReader interface{ Next() (Row, error) }

// The formats of files, as media types.
const (
	FormatCSV    = "text/csv"
	FormatNDJSON = "application/x-ndjson"
)

// ReadRows reads a file of a table. It holds one row in memory at a time.
func ReadRows(table Table, format string, body io.Reader) (RowReader, error) {
	columns, ok := tableColumns[table]
	if !ok {
		return nil, protocol.Refuse(protocol.NotFound, "There is no table "+clip(string(table))+". Nothing was recorded. The tables are items, stores, prices, taxes, promotions and stock.")
	}
	switch format {
	case FormatCSV:
		return newCSVRows(table, columns, body)
	case FormatNDJSON:
		return newJSONRows(table, columns, body), nil
	}
	return nil, protocol.Refuse(protocol.BadJSON, "A file is sent as text/csv or application/x-ndjson, not as "+clip(format)+". Nothing was recorded. Send it with one of these.")
}

// unknownColumn refuses a file for a column that its table does not have.
func unknownColumn(table Table, columns []string, name, safe string) *protocol.Error {
	return protocol.Refuse(protocol.UnknownField, "The file has a column that "+string(table)+" do not know: \""+clip(name)+"\". "+safe+
		" The columns are: "+strings.Join(columns, ", ")+".").With("field", clip(name)).With("known", columns)
}

// RowError says why a row was refused.
type RowError struct {
	Row     int64         `json:"row"`
	Field   *string       `json:"field"`
	Value   *string       `json:"value"`
	Code    protocol.Code `json:"code"`
	Message string        `json:"message"`
}

// wrongRow refuses a row as a whole; message continues "This row ".
func wrongRow(code protocol.Code, message string) *RowError {
	return &RowError{Code: code, Message: "This row " + message}
}

// wrongCell refuses a row for one of its cells.
func wrongCell(code protocol.Code, column string, c cell, message string) *RowError {
	e := &RowError{Field: &column, Code: code, Message: message}
	if c.given {
		value := clip(c.text)
		e.Value = &value
	}
	return e
}

// echoBytesMax bounds what a message repeats of a file or an address.
const echoBytesMax = 64

// clip bounds text that a message repeats, on a character's border.
func clip(s string) string {
	if len(s) <= echoBytesMax {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	end := echoBytesMax
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.ToValidUTF8(s[:end], "\uFFFD") + "…"
}

// Report is what became of a file. Read is always the sum of Applied, Unchanged
// and Rejected; Errors holds the first of the rejected.
type Report struct {
	Read      int64      `json:"read"`
	Applied   int64      `json:"applied"`
	Unchanged int64      `json:"unchanged"`
	Rejected  int64      `json:"rejected"`
	LoadID    *string    `json:"load_id"`
	Errors    []RowError `json:"errors"`
}

// reportErrorsMax is how many refused rows a report names.
const reportErrorsMax = 1000

// NothingGood tells whether there were rows and all of them were refused.
func (r *Report) NothingGood() bool { return r.Applied+r.Unchanged == 0 && r.Rejected > 0 }

func (r *Report) reject(row int64, e *RowError) {
	r.Read++
	r.Rejected++
	if len(r.Errors) < reportErrorsMax {
		named := *e
		named.Row = row
		r.Errors = append(r.Errors, named)
	}
}

// count notes a row that was good.
func (r *Report) count(changed bool) {
	r.Read++
	if changed {
		r.Applied++
	} else {
		r.Unchanged++
	}
}

// add takes over what another report counted.
func (r *Report) add(o Report) {
	r.Read += o.Read
	r.Applied += o.Applied
	r.Unchanged += o.Unchanged
	r.Rejected += o.Rejected
	r.Errors = append(r.Errors, o.Errors[:min(len(o.Errors), reportErrorsMax-len(r.Errors))]...)
}

// addInOrder takes over what became of the next rows of the file. Some of them
// were found to be wrong when they were read and some when they were applied;
// they are named in the order of the file.
func (r *Report) addInOrder(next Report) {
	slices.SortStableFunc(next.Errors, func(a, b RowError) int { return cmp.Compare(a.Row, b.Row) })
	r.add(next)
}
