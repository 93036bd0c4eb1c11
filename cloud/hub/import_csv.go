package hub

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"

	"counterpart/protocol"
)

// csvRows reads RFC 4180 with a header. A row whose quotes are wrong is its
// first line alone, and reading goes on at the next line: a quote that is never
// closed must not swallow the rows behind it.
type csvRows struct {
	ahead   lookAhead
	columns []string // of the file, by position
	number  int64
	line    int64 // of the file, of the record that was read last
	next    int64 // the line that follows it
}

func newCSVRows(table Table, columns []string, body io.Reader) (RowReader, error) {
	rows := &csvRows{ahead: lookAhead{from: body, buffer: make([]byte, 2*rowBytesMax)}, next: 1}
	rows.ahead.skip("\uFEFF")
	header, wrong, err := rows.record()
	switch {
	case err == io.EOF:
		return rows, nil
	case err != nil:
		return nil, err
	case wrong != nil && wrong.Code == protocol.TooLarge:
		return nil, protocol.Refuse(protocol.TooLarge, "The first row of the file is too long for names of columns. Nothing was recorded. Send a CSV file whose first row names its columns.")
	case wrong != nil:
		return nil, protocol.Refuse(protocol.BadJSON, "The first row of the file is not CSV: a quote in it is in the wrong place or never closed. Nothing was recorded. Correct its quotes and send it again.")
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

func (c *csvRows) Next() (Row, error) {
	record, wrong, err := c.record()
	if err != nil {
		return Row{}, err
	}
	c.number++
	row := Row{Number: c.number, columns: c.columns, Problem: wrong}
	if wrong == nil && len(record) != len(c.columns) {
		row.Problem = wrongRow(protocol.BadJSON, "has "+strconv.Itoa(len(record))+" cells where the first row names "+strconv.Itoa(len(c.columns))+" columns. It was not applied.")
	}
	if row.Problem != nil {
		return row, nil
	}
	row.cells = make([]cell, len(record))
	for i, text := range record {
		row.cells[i] = cell{given: true, text: text}
		row.size += len(text)
	}
	return row, nil
}

// record reads the cells of the next row that is not an empty line, or says
// what is wrong with it.
func (c *csvRows) record() ([]string, *RowError, error) {
	for {
		c.line = c.next
		end, how, err := c.ahead.recordEnd()
		if err != nil {
			return nil, nil, err
		}
		if how != sound {
			c.next++
			return nil, wrongRecord(how, c.line), c.ahead.dropLine()
		}
		text := c.ahead.take(end)
		c.next += int64(strings.Count(text, "\n"))
		if text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"); text != "" {
			return splitCells(text), nil, nil
		}
	}
}

// wrongRecord says what is wrong with the record that begins in a line.
func wrongRecord(how verdict, line int64) *RowError {
	where := " (line " + strconv.FormatInt(line, 10) + " of the file). It was not applied."
	switch how {
	case misquoted:
		return wrongRow(protocol.BadJSON, "has a quote in the wrong place"+where+" Write a quote within a quoted cell twice.")
	case unclosed:
		return wrongRow(protocol.BadJSON, "opens a quote that is never closed"+where+" Close the quote, or write it twice within a quoted cell.")
	}
	return wrongRow(protocol.TooLarge, "is longer than "+strconv.Itoa(rowBytesMax>>10)+" KiB"+where)
}

// splitCells takes a record whose quotes are sound apart.
func splitCells(text string) []string {
	var cells []string
	for {
		if !strings.HasPrefix(text, `"`) {
			head, rest, more := strings.Cut(text, ",")
			cells = append(cells, head)
			if !more {
				return cells
			}
			text = rest
			continue
		}
		end := 1
		for end < len(text) && (text[end] != '"' || strings.HasPrefix(text[end+1:], `"`)) {
			if text[end] == '"' {
				end++
			}
			end++
		}
		cells = append(cells, strings.ReplaceAll(text[1:end], `""`, `"`))
		if end+1 >= len(text) {
			return cells
		}
		text = text[end+2:]
	}
}

// verdict is how a record stands.
type verdict int

const (
	sound     verdict = iota
	misquoted         // a quote where none may be
	unclosed          // no closing quote within the bound, or before the file ends
	tooLong           // no end within the bound
)

// lookAhead is a file of which the next rowBytesMax bytes can be seen before
// they are taken.
type lookAhead struct {
	from    io.Reader
	buffer  []byte
	at, end int   // what is seen is buffer[at:end]
	err     error // why reading ended, io.EOF where the file did
}

// idleReadsMax is how often a reader may give nothing before it counts as broken.
const idleReadsMax = 100

// see tells whether the file has a byte at position i from here, within the
// bound. It reads on where it has to.
func (l *lookAhead) see(i int) bool {
	if i >= rowBytesMax {
		return false
	}
	for idle := 0; l.at+i >= l.end; idle++ {
		if l.err != nil {
			return false
		}
		if l.end == len(l.buffer) {
			l.at, l.end = 0, copy(l.buffer, l.buffer[l.at:l.end])
		}
		n, err := l.from.Read(l.buffer[l.end:])
		if l.end, l.err = l.end+n, err; n > 0 {
			idle = 0
		}
		if err == nil && idle == idleReadsMax {
			l.err = io.ErrNoProgress
		}
	}
	return true
}

// broken is why the file ended, nil where it is whole.
func (l *lookAhead) broken() error {
	if l.err == io.EOF {
		return nil
	}
	return l.err
}

// skip leaves out a mark at the beginning.
func (l *lookAhead) skip(mark string) {
	if l.see(len(mark)-1) && string(l.buffer[l.at:l.at+len(mark)]) == mark {
		l.at += len(mark)
	}
}

// take takes the next n bytes.
func (l *lookAhead) take(n int) string {
	text := string(l.buffer[l.at : l.at+n])
	l.at += n
	return text
}

// recordEnd is how many bytes the next record takes, its line break included.
// It says that for a sound record only.
func (l *lookAhead) recordEnd() (int, verdict, error) {
	quoted, fresh := false, true // within a quoted cell; at the beginning of a cell
	for i := 0; ; i++ {
		if !l.see(i) {
			switch {
			case i < rowBytesMax && l.broken() != nil:
				return 0, sound, l.err
			case quoted:
				return 0, unclosed, nil
			case i >= rowBytesMax:
				return 0, tooLong, nil
			case i == 0:
				return 0, sound, io.EOF
			}
			return i, sound, nil
		}
		c := l.buffer[l.at+i]
		switch {
		case quoted && c == '"':
			if l.see(i+1) && l.buffer[l.at+i+1] == '"' {
				i++
			} else if quoted = false; !l.cellEnds(i + 1) {
				return 0, misquoted, nil
			}
		case quoted:
		case c == '"' && fresh:
			quoted, fresh = true, false
		case c == '"':
			return 0, misquoted, nil
		case c == '\n':
			return i + 1, sound, nil
		default:
			fresh = c == ','
		}
	}
}

// cellEnds tells whether a cell may end before position i.
func (l *lookAhead) cellEnds(i int) bool {
	if !l.see(i) {
		return true
	}
	switch l.buffer[l.at+i] {
	case ',', '\n':
		return true
	case '\r':
		return !l.see(i+1) || l.buffer[l.at+i+1] == '\n'
	}
	return false
}

// dropLine leaves out the next line, however long it is.
func (l *lookAhead) dropLine() error {
	for {
		if i := bytes.IndexByte(l.buffer[l.at:l.end], '\n'); i >= 0 {
			l.at += i + 1
			return nil
		}
		if l.at = l.end; !l.see(0) {
			return l.broken()
		}
	}
}
