package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"counterpart/test/process"
)

// realData is the folder of real files beside the repository, or "" where
// there is none. The files are too large, and under licences too different,
// to be part of it.
func realData(t *testing.T) string {
	t.Helper()
	root, err := process.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "..", "shared", "data")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		t.Log("there is no folder of real data beside the repository; only made-up input was tried")
		return ""
	} else if err != nil {
		t.Fatal(err)
	}
	return dir
}

// madeUp writes a made-up file and returns its path.
func madeUp(t *testing.T, stores, baskets int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made-up.csv")
	if err := generate(path, 1, stores, baskets); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string, stores int) *input {
	t.Helper()
	in, err := readInput(path, stores)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// added is what a fed input would come to, for comparison with the independent
// pass.
func added(in *input) map[string]*expected {
	all := map[string]*expected{}
	for _, shop := range in.shops {
		all[shop.ID] = newExpected()
	}
	for _, b := range in.baskets {
		e := all[in.shops[b.shop].ID]
		n := (len(b.lines) + linesMax - 1) / linesMax
		sign := int64(1)
		switch b.kind {
		case sold:
			e.sales += n
		case returned:
			e.returns += n
			sign = -1
		case adjusted:
			e.adjustments += n
			e.adjustedLines += len(b.lines)
			for _, l := range b.lines {
				e.stock[l.sku] += l.pieces
			}
			continue
		}
		e.lines += len(b.lines)
		for _, l := range b.lines {
			e.pieces[l.sku] += sign * l.pieces
			e.money[l.sku] += sign * l.amount
			e.stock[l.sku] -= sign * l.pieces
		}
	}
	return all
}

// TestBothPassesReadTheSame holds the feeding path and the independent pass
// against each other: where they differ without a hub in between, one of them
// misreads the file.
func TestBothPassesReadTheSame(t *testing.T) {
	type file struct {
		path   string
		stores []int
	}
	tried := map[string]file{"made up": {madeUp(t, 5, 600), []int{1, 5, 40}}}
	if dir := realData(t); dir != "" {
		tried["grocery"] = file{filepath.Join(dir, files[0]), []int{40, 1_000}}
		tried["wholesale"] = file{filepath.Join(dir, files[1]), []int{40}}
	}
	for name, f := range tried {
		path := f.path
		for _, stores := range f.stores {
			in := read(t, path, stores)
			for _, native := range []bool{false, true} {
				if native && in.format != "grocery" {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%v", name, stores, native), func(t *testing.T) {
					fed := in
					if native {
						fed = in.native()
					}
					want, err := expect(path, stores, native)
					if err != nil {
						t.Fatal(err)
					}
					if got := added(fed); !reflect.DeepEqual(got, want) {
						t.Errorf("the passes differ: %d and %d stores", len(got), len(want))
					}
				})
			}
		}
	}
}

// TestRealFiles holds the readers to what the data's own description counts.
func TestRealFiles(t *testing.T) {
	dir := realData(t)
	if dir == "" {
		return
	}
	for _, c := range []struct {
		file                       string
		stores, baskets, rows      int
		sales, returns, adjustment int
		skipped                    map[string]int
	}{
		{
			files[0], 1_000, 23_628 - 107, 37_499 - 202, 23_521, 0, 0,
			map[string]int{"rows with quantity 0": 202, "baskets without any line": 107},
		},
		{files[1], 40, 13_936, 270_887, 10_963, 2_170, 803, map[string]int{}},
	} {
		t.Run(c.file, func(t *testing.T) {
			in := read(t, filepath.Join(dir, c.file), c.stores)
			rows, kinds := 0, map[kind]int{}
			for _, b := range in.baskets {
				rows += len(b.lines)
				kinds[b.kind]++
			}
			if len(in.baskets) != c.baskets || rows != c.rows || !reflect.DeepEqual(in.skipped, c.skipped) {
				t.Errorf("%d baskets, %d rows, skipped %v", len(in.baskets), rows, in.skipped)
			}
			if want := (map[kind]int{sold: c.sales, returned: c.returns, adjusted: c.adjustment}); kinds[sold] != want[sold] || kinds[returned] != want[returned] || kinds[adjusted] != want[adjusted] {
				t.Errorf("kinds %v, want %v", kinds, want)
			}
			for _, item := range in.items {
				if strings.TrimSpace(item.Name) == "" || item.Price < 0 {
					t.Errorf("item %+v cannot be imported", item)
				}
			}
		})
	}
}

// TestCellsAreThoseOfTheStandard tries the independent pass's splitting against
// the library's, row by row.
func TestCellsAreThoseOfTheStandard(t *testing.T) {
	rows := []string{`a,b,c`, `,,`, `"a,b",c,`, `"say ""hi""",x,"",""""`, `"Ə",ş,"ی,ك"`}
	if dir := realData(t); dir != "" {
		for _, name := range files {
			file, err := open(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(file)
			if err := errors.Join(err, file.Close()); err != nil {
				t.Fatal(err)
			}
			number := 0
			for row := range strings.Lines(string(text)) {
				// Every row with a quote, and some of the many without.
				if number++; number%100 == 0 || strings.Contains(row, `"`) {
					rows = append(rows, strings.TrimSuffix(row, "\n"))
				}
			}
		}
	}
	for _, row := range rows {
		want, err := csv.NewReader(strings.NewReader(row)).Read()
		if err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		if got := cells(row); !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\n got %q\nwant %q", row, got, want)
		}
	}
}

// TestMadeUpInputIsAwkward would fail if the made-up file had become too tame
// to stand in for a real one.
func TestMadeUpInputIsAwkward(t *testing.T) {
	in := read(t, madeUp(t, 5, 600), 5)
	uneven, free, odd := 0, 0, 0
	for _, b := range in.baskets {
		for _, l := range b.lines {
			if l.price == nil {
				uneven++
			}
			if l.amount == 0 {
				free++
			}
			if l.pieces >= 1_000 {
				odd++
			}
		}
	}
	if uneven < 10 || free < 10 || odd < 10 || in.skipped["rows with quantity 0"] < 5 {
		t.Errorf("%d uneven, %d free, %d odd lines, skipped %v", uneven, free, odd, in.skipped)
	}
	if len(in.shops) != 5 || in.shops[0].ID != "s100" {
		t.Errorf("the shops are %v", in.shops)
	}
}

func TestUnreadableInput(t *testing.T) {
	const header = "basket,timestamp,customer,store,sku,description,qty,line_total_minor,retail_disc_minor,coupon_disc_minor,currency\n"
	for name, text := range map[string]string{
		"no header":         "",
		"another format":    "a,b\n1,2\n",
		"not a number":      header + "1,2017-01-01T07:30:27,9,3,1,TUNA,x,150,0,0,USD\n",
		"not a time":        header + "1,yesterday,9,3,1,TUNA,1,150,0,0,USD\n",
		"cells are missing": header + "1,2017-01-01T07:30:27,9\n",
		"two currencies":    header + "1,2017-01-01T07:30:27,9,3,1,TUNA,1,150,0,0,USD\n2,2017-01-01T07:30:27,9,3,1,TUNA,1,150,0,0,GBP\n",
	} {
		if in, err := readTable(strings.NewReader(text), 5); err == nil {
			t.Errorf("%s: read %d baskets", name, len(in.baskets))
		}
	}
}
