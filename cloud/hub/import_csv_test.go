package hub

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"counterpart/protocol"
)

// TestImportResumesBehindABrokenQuote lists which rows of a file apply and
// which are refused with what, where a quote is wrong.
func TestImportResumesBehindABrokenQuote(t *testing.T) {
	many := strings.Repeat("more,rows\n", 100_000)
	for name, tt := range map[string]struct {
		rows    string
		applied []string // the names that the items have then
		refused []int64
		read    int64
	}{
		"never closed":              {"A,a\nB,\"b\nC,c\n", []string{"a", "c"}, []int64{2}, 3},
		"never closed, last":        {"A,a\nB,\"b", []string{"a"}, []int64{2}, 2},
		"never closed, large file":  {"A,a\nB,\"b\n" + many + "C,c\n", []string{"a", "c"}, []int64{2}, 100_003},
		"closed by another row":     {"A,a\nB,\"b\nC,c\nD,\"d, too\"\nE,e\n", []string{"a", "c", "d, too", "e"}, []int64{2}, 5},
		"twice":                     {"A,\"a\nB,\"b\nC,c\n", []string{"c"}, []int64{1, 2}, 3},
		"in the middle of a cell":   {"A,a\"\nB,\"b\"x\nC,c\n", []string{"c"}, []int64{1, 2}, 3},
		"line breaks within quotes": {"A,\"a\na\"\r\n\"B\",\"b\r\nb\"\nC,\"say \"\"c\"\"\"\n\n\r\nD,d\r\n", []string{"a a", "b b", `say "c"`, "d"}, nil, 4},
	} {
		t.Run(name, func(t *testing.T) {
			h := importHub(t)
			report, err := takeIn(t, h, ItemsTable, FormatCSV, "sku,name\n"+tt.rows)
			if err != nil || report.Read != tt.read {
				t.Fatalf("%+v, %v", report, err)
			}
			var names []string
			for _, sku := range []protocol.SKU{"A", "B", "C", "D", "E"} {
				if item := itemOf(t, h, sku); item != nil {
					names = append(names, item.Name)
				}
			}
			var refused []int64
			for _, e := range report.Errors {
				refused = append(refused, e.Row)
				if e.Code != protocol.BadJSON || !strings.Contains(e.Message, fmt.Sprintf("(line %d of the file)", e.Row+1)) {
					t.Errorf("%+v", e)
				}
			}
			if !slices.Equal(names, tt.applied) || !slices.Equal(refused, tt.refused) {
				t.Errorf("applied %q, refused %v", names, refused)
			}
		})
	}
}

// TestCSVRowsAgreeWithTheStandardLibrary reads random files both ways. Where
// the library finds a quote in the wrong place it goes on elsewhere, so that
// only sound files are compared.
func TestCSVRowsAgreeWithTheStandardLibrary(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	buffer, sound := make([]byte, 2*rowBytesMax), 0
	for range 50_000 {
		text := make([]byte, random.Intn(24))
		for i := range text {
			text[i] = "ab,,\"\"\n\n\r"[random.Intn(9)]
		}
		reader := csv.NewReader(bytes.NewReader(text))
		reader.FieldsPerRecord = -1
		want, err := reader.ReadAll()
		if err != nil {
			continue
		}
		sound++
		rows := &csvRows{ahead: lookAhead{from: iotest.OneByteReader(bytes.NewReader(text)), buffer: buffer}}
		var got [][]string
		for {
			record, wrong, err := rows.record()
			if err == io.EOF {
				break
			}
			if err != nil || wrong != nil {
				t.Fatalf("%q: %+v, %v", text, wrong, err)
			}
			for i := range record {
				record[i] = strings.ReplaceAll(record[i], "\r\n", "\n") // as the library does
			}
			got = append(got, record)
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("%q is read as %q, want %q", text, got, want)
		}
	}
	if sound < 5000 {
		t.Errorf("only %d of the files were sound", sound)
	}
}

// TestCSVRowsEndWithTheirReader demands that half a row is never taken for one.
func TestCSVRowsEndWithTheirReader(t *testing.T) {
	broken := errors.New("the line broke")
	for _, rest := range []string{"Q,q", "Q,\"q", "Q,\"q\"", "Q,q\"", "Q," + strings.Repeat("x", 2*rowBytesMax)} {
		rows, err := ReadRows(ItemsTable, FormatCSV, io.MultiReader(strings.NewReader("sku,name\nP,p\n"+rest), brokenReader{broken}))
		if err != nil {
			t.Fatal(err)
		}
		if row, err := rows.Next(); err != nil || row.Problem != nil || *row.Cell("sku") != "P" {
			t.Errorf("the whole row: %+v, %v", row, err)
		}
		if row, err := rows.Next(); !errors.Is(err, broken) {
			t.Errorf("half a row: %+v, %v", row, err)
		}
	}
}
