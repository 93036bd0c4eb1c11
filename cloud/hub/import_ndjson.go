package hub

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"unicode/utf8"

	"counterpart/protocol"
)

// jsonRows reads one JSON object a line. Numbers stay the decimal text that
// they were; null clears, a member that is left out keeps.
type jsonRows struct {
	table   Table
	columns []string
	reader  *bufio.Reader
	number  int64
}

func newJSONRows(table Table, columns []string, body io.Reader) *jsonRows {
	r := &jsonRows{table: table, columns: columns, reader: bufio.NewReaderSize(body, rowBytesMax)}
	if mark, err := r.reader.Peek(3); err == nil && string(mark) == "\uFEFF" {
		_, _ = r.reader.Discard(3) // what was peeked at is there
	}
	return r
}

func (j *jsonRows) Next() (Row, error) {
	for {
		line, err := j.reader.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			j.number++
			for err == bufio.ErrBufferFull {
				_, err = j.reader.ReadSlice('\n')
			}
			if err != nil && err != io.EOF {
				return Row{}, err
			}
			return Row{Number: j.number, Problem: wrongRow(protocol.TooLarge, "is longer than "+strconv.Itoa(rowBytesMax>>10)+" KiB. It was not applied.")}, nil
		}
		if err != nil && err != io.EOF {
			return Row{}, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			if err == io.EOF {
				return Row{}, io.EOF
			}
			continue
		}
		j.number++
		row := Row{Number: j.number, columns: j.columns, size: len(line)}
		row.cells = make([]cell, len(j.columns))
		if row.Problem, err = j.object(line, row.cells); row.Problem != nil {
			row.cells = nil
		}
		return row, err
	}
}

// object reads the members of one line. An unknown one refuses the file.
func (j *jsonRows) object(line []byte, cells []cell) (*RowError, error) {
	notJSON := wrongRow(protocol.BadJSON, "is not one JSON object on one line. It was not applied.")
	if !utf8.Valid(line) {
		return wrongRow(protocol.BadJSON, "is not UTF-8. It was not applied."), nil
	}
	if line[0] != '{' || !json.Valid(line) {
		return notJSON, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	if _, err := decoder.Token(); err != nil {
		return notJSON, nil
	}
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		var raw json.RawMessage
		if err != nil || !ok || decoder.Decode(&raw) != nil {
			return notJSON, nil
		}
		at := slices.Index(j.columns, name)
		if at < 0 {
			return nil, unknownColumn(j.table, j.columns, name, "It stands in row "+strconv.FormatInt(j.number, 10)+". Rows before it may have been applied; sending the file again is safe.")
		}
		if cells[at].given {
			return wrongCell(protocol.BadJSON, name, cell{}, "The row gives "+name+" twice. It was not applied."), nil
		}
		if cells[at], ok = jsonCell(name, raw); !ok {
			return wrongCell(protocol.BadJSON, name, cell{given: true, text: string(raw)}, "The value of "+name+" has to be text, a number, true, false or null. The row was not applied."), nil
		}
	}
	return nil, nil
}

// jsonCell is the text of a member's value. Only codes, skus and attributes may have
// values of their own shape; their text is then JSON, which their readers know.
func jsonCell(name string, raw json.RawMessage) (cell, bool) {
	switch raw[0] {
	case 'n':
		return cell{given: true}, true
	case '"':
		var text string
		err := json.Unmarshal(raw, &text)
		return cell{given: true, text: text}, err == nil
	case '[':
		return cell{given: true, text: string(raw)}, name == "codes" || name == "skus"
	case '{':
		return cell{given: true, text: string(raw)}, name == "attributes"
	}
	return cell{given: true, text: string(raw)}, true
}
