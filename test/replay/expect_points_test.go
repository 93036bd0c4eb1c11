package main

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// TestExpectPoints holds the independent pass against points that were reckoned by
// hand. A0 is of the club and A1 is not; basket 70 is paid by card and those with
// odd numbers are not.
func TestExpectPoints(t *testing.T) {
	const head = "basket,timestamp,customer,store,sku,description,qty,line_total_minor,retail_disc_minor,coupon_disc_minor,currency\n"
	for _, c := range []struct {
		name, rows string
		native     bool
		want       map[string]int64
	}{
		// 149/60 is 2.48, 25 × 2/100 is a half.
		{"by card", "70,2017-01-01T08:00:00,5,1,A1,,1,149,0,0,USD\n70,2017-01-01T08:00:00,5,1,A0,,1,25,0,0,USD\n", false, map[string]int64{"5": 3}},
		// 1.49, and half as much again: 2.235.
		{"another way", "71,2017-01-01T08:00:00,5,1,A1,,1,149,0,0,USD\n", false, map[string]int64{"5": 1}},
		{"in the campaign", "71,2017-03-01T00:00:00,5,1,A1,,1,149,0,0,USD\n", false, map[string]int64{"5": 2}},
		{"after it", "71,2017-04-01T00:00:00,5,1,A1,,1,149,0,0,USD\n", false, map[string]int64{"5": 1}},
		{"today", "71,2017-03-01T00:00:00,5,1,A1,,1,149,0,0,USD\n", true, map[string]int64{"5": 1}},
		{"two baskets", "71,2017-01-01T08:00:00,5,1,A1,,1,149,0,0,USD\n73,2017-01-01T08:00:00,5,1,A1,,1,149,0,0,USD\n", false, map[string]int64{"5": 2}},
		// 3 would be earned by the goods of the club; nothing was paid.
		{"below zero", "71,2017-01-01T08:00:00,5,1,A1,,-1,-200,0,0,USD\n71,2017-01-01T08:00:00,5,1,A0,,1,150,0,0,USD\n", false, map[string]int64{"5": 0}},
		{"what a till of ours leaves out", "71,2017-01-01T08:00:00,5,1,A1,,-1,-200,0,0,USD\n71,2017-01-01T08:00:00,5,1,A0,,1,150,0,0,USD\n", true, map[string]int64{"5": 3}},
		{"a stranger", "71,2017-01-01T08:00:00,,1,A1,,1,149,0,0,USD\n", false, map[string]int64{}},
		{"another store", "71,2017-01-01T08:00:00,5,1,A1,,1,149,0,0,USD\n73,2017-01-01T08:00:00,6,2,A1,,1,149,0,0,USD\n", false, map[string]int64{"5": 1}},
	} {
		if got := pointsOf(t, head+c.rows, c.native); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestExpectPointsOfInvoices: what comes back gives and takes none.
func TestExpectPointsOfInvoices(t *testing.T) {
	const rows = "invoice,timestamp,customer,sku,description,qty,unit_price_minor,currency,country\n" +
		"71,2011-01-01T08:00:00,5,A1,,3,100,GBP,\n71,2011-01-01T08:00:00,5,A1,,-2,100,GBP,\nC71,2011-01-01T09:00:00,5,A1,,-3,100,GBP,\n"
	if got, want := pointsOf(t, rows, false), map[string]int64{"5": 3}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func pointsOf(t *testing.T, text string, native bool) map[string]int64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	points, err := expectPoints(path, 1, native)
	if err != nil {
		t.Fatal(err)
	}
	return points
}
