package gtin_test

import (
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"counterpart/protocol/gtin"
)

// dataFolder returns where the real retail data lies, if it is there. A folder
// named by COUNTERPART_DATA must exist.
func dataFolder(t *testing.T) (string, bool) {
	t.Helper()
	folder, named := os.LookupEnv("COUNTERPART_DATA")
	if !named {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(folder); err != nil {
		if named {
			t.Fatalf("COUNTERPART_DATA: %v", err)
		}
		t.Logf("the data is absent, nothing was checked: %v", err)
		return "", false
	}
	return folder, true
}

// eachCode calls f with the first column of every row but the header, and
// returns the number of rows.
func eachCode(t *testing.T, path string, f func(code string)) int {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows := csv.NewReader(file)
	for n := -1; ; n++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		if n >= 0 {
			f(row[0])
		}
	}
}

// TestRealCodes runs the import rule over real codes. Among the bad barcodes
// are short in-store codes whose check digit happens to be right, some of them
// padded with zeros; these are refused as restricted.
func TestRealCodes(t *testing.T) {
	folder, ok := dataFolder(t)
	if !ok {
		return
	}
	tests := []struct {
		file string
		want []string // API codes; the empty one is a sound code
	}{
		{"catalog.csv", []string{""}},
		{"prices.csv", []string{""}},
		{"bad_barcodes.csv", []string{"bad_check_digit", "bad_length", "restricted_code"}},
		{"instore_codes.csv", []string{"restricted_code"}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			got := map[string]int{}
			rows := eachCode(t, filepath.Join(folder, tt.file), func(code string) {
				g, err := gtin.ParseGlobal(code)
				if err == nil && g.Restricted() {
					t.Errorf("ParseGlobal(%q) = %q, which is restricted", code, g)
				}
				api := gtin.Code(err)
				if !slices.Contains(tt.want, api) {
					t.Errorf("ParseGlobal(%q) = %q, %v", code, g, err)
				}
				got[api]++
			})
			t.Logf("%d rows: %v", rows, got)
			for _, api := range tt.want {
				if got[api] == 0 {
					t.Errorf("no row is %q", api)
				}
			}
		})
	}
}
