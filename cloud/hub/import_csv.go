package hub

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"

	"counterpart/protocol"
)

// csvRows reads RFC 4180 with a header. The package csv reads a quoted cell to
// the end of the file where its closing quote is missing; source keeps that
// within rowBytesMax.
type csvRows struct {
	source  *boundedReader
	reader  *csv.Reader
	columns []string // of the file, by position
	number  int64
	done    bool
}

// errRowTooLong is what a boundedReader returns beyond its limit.
var errRowTooLong = errors.New("the row is too long")

// boundedReader gives out at most left bytes, and remembers why it ended.
type boundedReader struct {
	from io.Reader
	left int
	err  error
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.err = errRowTooLong
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	b.err = err
	return n, err
}

// csvBufferBytes is how far the reader reads ahead; one row may take that much
// more.
const csvBufferBytes = 64 << 10

func newCSVRows(table Table, columns []string, body io.Reader) (RowReader, error) {
	source := &boundedReader{from: body, left: rowBytesMax + csvBufferBytes}
	buffered := bufio.NewReaderSize(source, csvBufferBytes)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\uFEFF" {
		if _, err := buffered.Discard(3); err != nil {
			return nil, err
		}
	}
	rows := &csvRows{source: source, reader: csv.NewReader(buffered)}
	rows.reader.ReuseRecord = true
	header, err := rows.reader.Read()
	switch {
	case err == io.EOF:
		rows.done = true
		return rows, nil
	case errors.Is(source.err, errRowTooLong) && errors.Is(err, errRowTooLong):
		return nil, protocol.Refuse(protocol.TooLarge, "The first row of the file is too long for names of columns. Nothing was recorded. Send a CSV file whose first row names its columns.")
	case isParseError(err):
		return nil, protocol.Refuse(protocol.BadJSON, "The first row of the file is not CSV: "+err.Error()+". Nothing was recorded. Correct its quotes and send it again.")
	case err != nil:
		return nil, err
	}
	for _, name := range header {
		switch {
		case !slices.Contains(columns, name):
			return nil, unknownColumn(table, columns, name, "Nothing was recorded.")
		case slices.Contains(rows.columns, name):
			return nil, protocol.Refuse(protocol.UnknownField, "The file has the column \""+name+"\" twice. Nothing was recorded. Remove one of them and send it again.").With("field", name)
		}
		rows.columns = append(rows.columns, name)
	}
	return rows, nil
}

func isParseError(err error) bool {
	var parse *csv.ParseError
	return errors.As(err, &parse)
}

func (c *csvRows) Next() (Row, error) {
	if c.done {
		return Row{}, io.EOF
	}
	c.source.left = rowBytesMax
	record, err := c.reader.Read()
	if err == io.EOF {
		c.done = true
		return Row{}, io.EOF
	}
	c.number++
	row := Row{Number: c.number, columns: c.columns}
	var parse *csv.ParseError
	switch {
	case errors.Is(err, errRowTooLong):
		c.done = true
		row.Problem = wrongRow(protocol.TooLarge, "is longer than "+strconv.Itoa(rowBytesMax>>10)+" KiB, and reading stopped here. Rows before it stand. Look for a quote that is never closed, then send the rest again.")
		return row, nil
	case errors.As(err, &parse) && errors.Is(err, csv.ErrFieldCount):
		row.Problem = wrongRow(protocol.BadJSON, "has "+strconv.Itoa(len(record))+" cells where the first row names "+strconv.Itoa(len(c.columns))+" columns. It was not applied.")
		return row, nil
	case errors.As(err, &parse):
		row.Problem = wrongRow(protocol.BadJSON, "has a quote in the wrong place (line "+strconv.Itoa(parse.Line)+" of the file). It was not applied. Write a quote within a quoted cell twice.")
		return row, nil
	case err != nil:
		return Row{}, err
	}
	row.cells = make([]cell, len(record))
	for i, text := range record {
		row.cells[i] = cell{given: true, text: text}
		row.size += len(text)
	}
	return row, nil
}
