package gtin_test

import (
	"errors"
	"fmt"
	"testing"

	"counterpart/protocol/gtin"
)

func TestExpandUPCE(t *testing.T) {
	tests := []struct {
		text string
		want gtin.GTIN
		err  error
	}{
		{"04252614", "00042100005264", nil},
		{" 04252614\n", "00042100005264", nil},
		{"01234565", "00012345000065", nil},
		{withUPCECheck("0123450"), "00012000003455", nil},
		{withUPCECheck("0123451"), "00012100003454", nil},
		{withUPCECheck("0123452"), "00012200003453", nil},
		{withUPCECheck("0123453"), "00012300000451", nil},
		{withUPCECheck("0123454"), "00012340000053", nil},
		{withUPCECheck("0123459"), "00012345000096", nil},
		{withUPCECheck("1234567"), "00123456000070", nil},
		{"04252615", "", gtin.ErrCheckDigit},
		{"24252614", "", gtin.ErrLength},
		{"425261", "", gtin.ErrLength},
		{"0425261", "", gtin.ErrLength},
		{"042100005264", "", gtin.ErrLength},
		{"", "", gtin.ErrLength},
		{"0425261x", "", gtin.ErrNotDigits},
	}
	for _, tt := range tests {
		got, err := gtin.ExpandUPCE(tt.text)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("ExpandUPCE(%q) = %q, %v; want %q, %v", tt.text, got, err, tt.want, tt.err)
		}
	}
}

// TestUPCERoundTrip shortens UPC-A numbers by the rules that a printer applies
// and expands them again.
func TestUPCERoundTrip(t *testing.T) {
	shortened := 0
	for maker := 0; maker < 100_000; maker += 25 {
		for _, product := range []int{0, 5, 9, 10, 99, 100, 999, 1000} {
			for system := range 2 {
				body := fmt.Sprintf("%d%05d%05d", system, maker, product)
				short, ok := shorten(body)
				if !ok {
					continue
				}
				shortened++
				long := withCheck(body)
				got, err := gtin.ExpandUPCE(short + long[11:])
				if err != nil || got != gtin.GTIN("00"+long) {
					t.Fatalf("ExpandUPCE(%q) = %q, %v; want %q", short+long[11:], got, err, long)
				}
			}
		}
	}
	if shortened < 1000 {
		t.Fatalf("only %d numbers had a short form", shortened)
	}
}

// shorten returns the number system and six digits of a UPC-E for the first
// eleven digits of a UPC-A, when it has one.
func shorten(body string) (string, bool) {
	system, m, p := body[:1], body[1:6], body[6:]
	switch {
	case m[2] <= '2' && m[3:] == "00" && p[:2] == "00":
		return system + m[:2] + p[2:] + m[2:3], true
	case m[3:] == "00" && p[:3] == "000":
		return system + m[:3] + p[3:] + "3", true
	case m[4:] == "0" && p[:4] == "0000":
		return system + m[:4] + p[4:] + "4", true
	case p[:4] == "0000" && p[4] >= '5':
		return system + m + p[4:], true
	}
	return "", false
}

// withUPCECheck appends the one check digit that the expansion accepts.
func withUPCECheck(seven string) string {
	for d := byte('0'); d <= '9'; d++ {
		if _, err := gtin.ExpandUPCE(seven + string(d)); err == nil {
			return seven + string(d)
		}
	}
	panic("no check digit fits " + seven)
}
