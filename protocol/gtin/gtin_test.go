package gtin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"counterpart/protocol/gtin"
)

func TestCheckDigit(t *testing.T) {
	tests := []struct {
		digits string
		want   byte
		err    error
	}{
		{"9501234", '6', nil},
		{"950110153100", '0', nil},
		{"400638133393", '1', nil},
		{"01234567890", '5', nil},
		{"37610425002123456", '9', nil}, // an SSCC
		{"0", '0', nil},
		{strings.Repeat("9", 10_000), '0', nil},
		{"", 0, gtin.ErrLength},
		{"95012a4", 0, gtin.ErrNotDigits},
		{"۹۵۰۱۲۳۴", 0, gtin.ErrNotDigits},
	}
	for _, tt := range tests {
		got, err := gtin.CheckDigit(tt.digits)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("CheckDigit(%.20q) = %q, %v; want %q, %v", tt.digits, got, err, tt.want, tt.err)
		}
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		text string
		want gtin.GTIN
		err  error
	}{
		{"95012346", "00000095012346", nil},
		{"012345678905", "00012345678905", nil},
		{"0012345678905", "00012345678905", nil},
		{"00012345678905", "00012345678905", nil},
		{"4006381333931", "04006381333931", nil},
		{"9501101531000", "09501101531000", nil},
		{" \t4006381333931\r\n", "04006381333931", nil},
		{"09521234543213", "09521234543213", nil},
		{"2012345928756", "02012345928756", nil}, // restricted, and sound
		{"04252614", "", gtin.ErrCheckDigit},     // a UPC-E is not read as one
		{"4006381333932", "", gtin.ErrCheckDigit},
		{"400638133393", "", gtin.ErrCheckDigit},
		{"", "", gtin.ErrLength},
		{"  ", "", gtin.ErrLength},
		{"123", "", gtin.ErrLength},
		{"123456789", "", gtin.ErrLength},
		{"1254663801", "", gtin.ErrLength},
		{"01110869630", "", gtin.ErrLength},
		{"004006381333931", "", gtin.ErrLength},
		{strings.Repeat("0", 1_000_000), "", gtin.ErrLength},
		{"4006381 333931", "", gtin.ErrNotDigits},
		{"4006381-333931", "", gtin.ErrNotDigits},
		{"PEN-01", "", gtin.ErrNotDigits},
		{"۴۰۰۶۳۸۱۳۳۳۹۳۱", "", gtin.ErrNotDigits},
		{"+95012346", "", gtin.ErrNotDigits},
	}
	for _, tt := range tests {
		got, err := gtin.Parse(tt.text)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("Parse(%.20q) = %q, %v; want %q, %v", tt.text, got, err, tt.want, tt.err)
		}
	}
}

func TestParseGlobal(t *testing.T) {
	tests := []struct {
		text string
		want gtin.GTIN
		err  error
	}{
		{"4006381333931", "04006381333931", nil},
		{"95012346", "00000095012346", nil},
		{withCheck("10"), "", gtin.ErrLength},
		{"00100861", "", gtin.ErrRestricted},
		{withCheck("2001234"), "", gtin.ErrRestricted},
		{withCheck("1001234"), "00000010012345", nil},
		{"2012345928756", "", gtin.ErrRestricted},
		{withCheck("019999999999"), gtin.GTIN("0" + withCheck("019999999999")), nil},
		{withCheck("020000000000"), "", gtin.ErrRestricted},
		{withCheck("029999999999"), "", gtin.ErrRestricted},
		{withCheck("030000000000"), gtin.GTIN("0" + withCheck("030000000000")), nil},
		{withCheck("039999999999"), gtin.GTIN("0" + withCheck("039999999999")), nil},
		{withCheck("040000000000"), "", gtin.ErrRestricted},
		{withCheck("049999999999"), "", gtin.ErrRestricted},
		{withCheck("050000000000"), gtin.GTIN("0" + withCheck("050000000000")), nil},
		{withCheck("199999999999"), gtin.GTIN("0" + withCheck("199999999999")), nil},
		{withCheck("200000000000"), "", gtin.ErrRestricted},
		{withCheck("299999999999"), "", gtin.ErrRestricted},
		{withCheck("300000000000"), gtin.GTIN("0" + withCheck("300000000000")), nil},
		{withCheck("20000000000"), "", gtin.ErrRestricted},   // 12 digits
		{withCheck("1200000000000"), "", gtin.ErrRestricted}, // a case
		{withCheck("2400638133393"), gtin.GTIN(withCheck("2400638133393")), nil},
		{"0000000000178", "", gtin.ErrRestricted},
		{"00000000000000", "", gtin.ErrRestricted},
		{withCheck("000000009999"), "", gtin.ErrRestricted},
		{withCheck("000000010000"), gtin.GTIN("0" + withCheck("000000010000")), nil},
		{"2012345928757", "", gtin.ErrCheckDigit},
		{"123", "", gtin.ErrLength},
		{"PEN-01", "", gtin.ErrNotDigits},
	}
	for _, tt := range tests {
		got, err := gtin.ParseGlobal(tt.text)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("ParseGlobal(%q) = %q, %v; want %q, %v", tt.text, got, err, tt.want, tt.err)
		}
	}
}

func TestRestricted(t *testing.T) {
	tests := []struct {
		code gtin.GTIN
		want bool
	}{
		{"04006381333931", false},
		{"00000095012346", false},
		{"00000010017111", false},
		{"02012345928756", true},
		{"12012345928753", true},
		{"00212345678901", true},
		{"00412345678901", true},
		{"00312345678901", false},
		{"00000000100861", true},
		{"00000020012347", true},
		{"", true},
		{"4006381333931", true},
	}
	for _, tt := range tests {
		if got := tt.code.Restricted(); got != tt.want {
			t.Errorf("GTIN(%q).Restricted() = %v, want %v", tt.code, got, tt.want)
		}
	}
}

func TestCodeIsTotal(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{nil, ""},
		{gtin.ErrCheckDigit, "bad_check_digit"},
		{gtin.ErrVerifier, "bad_check_digit"},
		{gtin.ErrLength, "bad_length"},
		{gtin.ErrNotDigits, "bad_length"},
		{gtin.ErrRestricted, "restricted_code"},
		{fmt.Errorf("row 3: %w", gtin.ErrRestricted), "restricted_code"},
		{errors.New("something else"), "bad_length"},
	}
	for _, tt := range tests {
		if got := gtin.Code(tt.err); got != tt.want {
			t.Errorf("Code(%v) = %q, want %q", tt.err, got, tt.want)
		}
	}
}

// TestSingleDigitChange holds the check digit to its promise: no change of one
// digit goes unnoticed, in any length.
func TestSingleDigitChange(t *testing.T) {
	for _, code := range []string{"95012346", "012345678905", "4006381333931", "09521234543213"} {
		for i := range code {
			for d := byte('0'); d <= '9'; d++ {
				changed := code[:i] + string(d) + code[i+1:]
				_, err := gtin.Parse(changed)
				if changed == code && err != nil {
					t.Errorf("Parse(%q): %v", changed, err)
				}
				if changed != code && !errors.Is(err, gtin.ErrCheckDigit) {
					t.Errorf("Parse(%q) = %v, want ErrCheckDigit", changed, err)
				}
			}
		}
	}
}

// TestRestrictedCoversImport states how ParseGlobal and Restricted relate:
// whatever the import refuses as restricted is restricted, and whatever is not
// restricted the import accepts.
func TestRestrictedCoversImport(t *testing.T) {
	for prefix := range 1000 {
		for _, body := range []string{
			fmt.Sprintf("%03d123456789", prefix),
			fmt.Sprintf("%03d1234", prefix),
			fmt.Sprintf("%03d12345678", prefix),
			fmt.Sprintf("3%03d123456789", prefix),
			fmt.Sprintf("%012d", prefix*7),
		} {
			code := withCheck(body)
			g, err := gtin.Parse(code)
			if err != nil {
				t.Fatalf("Parse(%q): %v", code, err)
			}
			_, err = gtin.ParseGlobal(code)
			if refused := errors.Is(err, gtin.ErrRestricted); refused != (err != nil) || refused && !g.Restricted() {
				t.Errorf("ParseGlobal(%q) = %v, Restricted = %v", code, err, g.Restricted())
			}
			if !g.Restricted() && err != nil {
				t.Errorf("ParseGlobal(%q) = %v for a code that is not restricted", code, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"95012346", "012345678905", "4006381333931", "09521234543213", "2012345928756", "", " 1 ", "PEN-01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := gtin.Parse(text)
		if (err == nil) != (g != "") {
			t.Fatalf("Parse(%q) = %q, %v", text, g, err)
		}
		global, globalErr := gtin.ParseGlobal(text)
		if err != nil {
			if !errors.Is(globalErr, err) {
				t.Fatalf("ParseGlobal(%q) = %v, Parse gives %v", text, globalErr, err)
			}
			return
		}
		mustBeCanonical(t, g)
		if globalErr == nil && global != g {
			t.Fatalf("ParseGlobal(%q) = %q, Parse gives %q", text, global, g)
		}
		if globalErr != nil && !g.Restricted() {
			t.Fatalf("ParseGlobal(%q) = %v, but it is not restricted", text, globalErr)
		}
	})
}

// mustBeCanonical checks the invariant of the GTIN type.
func mustBeCanonical(t *testing.T, g gtin.GTIN) {
	t.Helper()
	again, err := gtin.Parse(string(g))
	if len(g) != 14 || err != nil || again != g {
		t.Fatalf("%q is not canonical: %q, %v", g, again, err)
	}
}

// withCheck appends the check digit.
func withCheck(digits string) string {
	check, err := gtin.CheckDigit(digits)
	if err != nil {
		panic(err)
	}
	return digits + string(check)
}
