package gtin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"counterpart/protocol/gtin"
)

// both is eight digits that are a sound GTIN-8 and a sound UPC-E at once.
func both(t *testing.T) string {
	t.Helper()
	for _, six := range []string{"100001", "100002", "100003", "123450", "123451", "123452", "123456", "123457", "123458"} {
		for _, system := range []string{"0", "1"} {
			code := withCheck(system + six)
			if _, err := gtin.ExpandUPCE(code); err == nil {
				return code
			}
		}
	}
	t.Fatal("no such code among those tried")
	return ""
}

func TestScan(t *testing.T) {
	const pen = gtin.GTIN("04006381333931")
	const vector = gtin.GTIN("09521234543213")
	const gs = "\x1d"
	tests := []struct {
		name string
		text string
		want []gtin.Candidate
	}{
		{"gtin13", "4006381333931", []gtin.Candidate{{pen, gtin.FormGTIN13, "4006381333931"}}},
		{"line end", "4006381333931\r\n", []gtin.Candidate{{pen, gtin.FormGTIN13, "4006381333931"}}},
		{"gtin12", "012345678905", []gtin.Candidate{{"00012345678905", gtin.FormGTIN12, "012345678905"}}},
		{"gtin14", "09521234543213", []gtin.Candidate{{vector, gtin.FormGTIN14, "09521234543213"}}},
		{"gtin8", "95012346", []gtin.Candidate{{"00000095012346", gtin.FormGTIN8, "95012346"}}},
		{"upce", "04252614", []gtin.Candidate{{"00042100005264", gtin.FormUPCE, "04252614"}}},
		{"restricted", "2012345928756", []gtin.Candidate{{"02012345928756", gtin.FormGTIN13, "2012345928756"}}},
		{"all zeros once", "00000000", []gtin.Candidate{{"00000000000000", gtin.FormGTIN8, "00000000"}}},
		{"persian digits", "۴۰۰۶۳۸۱۳۳۳۹۳۱", []gtin.Candidate{{pen, gtin.FormGTIN13, "4006381333931"}}},
		{"arabic-indic digits", "٤٠٠٦٣٨١٣٣٣٩٣١", []gtin.Candidate{{pen, gtin.FormGTIN13, "4006381333931"}}},
		{"E4", "]E495012346", []gtin.Candidate{{"00000095012346", gtin.FormGTIN8, "95012346"}}},
		{"E0 13", "]E04006381333931", []gtin.Candidate{{pen, gtin.FormGTIN13, "4006381333931"}}},
		{"E0 persian digit", "]E۰۴۰۰۶۳۸۱۳۳۳۹۳۱", []gtin.Candidate{{pen, gtin.FormGTIN13, "4006381333931"}}},
		{"E0 12", "]E0012345678905", []gtin.Candidate{{"00012345678905", gtin.FormGTIN12, "012345678905"}}},
		{"E0 upce", "]E004252614", []gtin.Candidate{{"00042100005264", gtin.FormUPCE, "04252614"}}},
		{"other symbology", "]I109521234543213", []gtin.Candidate{{vector, gtin.FormGTIN14, "09521234543213"}}},
		{"C1", "]C10109521234543213", []gtin.Candidate{{vector, gtin.FormGS1, "09521234543213"}}},
		{"e0", "]e00109521234543213", []gtin.Candidate{{vector, gtin.FormGS1, "09521234543213"}}},
		{"d2 lot and date", "]d2010952123454321310ABC123" + gs + "17261231", []gtin.Candidate{{vector, gtin.FormGS1, "09521234543213"}}},
		{"Q3 date first", "]Q3172612310109521234543213", []gtin.Candidate{{vector, gtin.FormGS1, "09521234543213"}}},
		{"lot first", "]C110ABC123" + gs + "0109521234543213", []gtin.Candidate{{vector, gtin.FormGS1, "09521234543213"}}},
		{"after all predefined lengths", "]C100" + strings.Repeat("1", 18) + "04" + strings.Repeat("1", 16) + "414" + strings.Repeat("1", 13) +
			"2001" + "3103001250" + "0109521234543213", []gtin.Candidate{{vector, gtin.FormGS1, "09521234543213"}}},
		{"leading separator", gs + "010952123454321321XYZ", []gtin.Candidate{{vector, gtin.FormGS1, "09521234543213"}}},
		{"lot with an address", "010952123454321310A/01/04006381333931", []gtin.Candidate{{vector, gtin.FormGS1, "09521234543213"}}},
		{"bare element string", "010952123454321317261231", []gtin.Candidate{{vector, gtin.FormGS1, "09521234543213"}}},
		{"brackets", "(01)09521234543213(17)261231", []gtin.Candidate{{vector, gtin.FormGS1, "09521234543213"}}},
		{"brackets, date first", "(17)261231(01) 09521234543213", []gtin.Candidate{{vector, gtin.FormGS1, "09521234543213"}}},
		{"link", "https://id.gs1.org/01/09521234543213/10/ABC123?17=261231", []gtin.Candidate{{vector, gtin.FormDigitalLink, "09521234543213"}}},
		{"link in capitals", "HTTPS://ID.GS1.ORG/01/09521234543213", []gtin.Candidate{{vector, gtin.FormDigitalLink, "09521234543213"}}},
		{"link, path before", "https://shop.example/a/01/b/01/09521234543213#x", []gtin.Candidate{{vector, gtin.FormDigitalLink, "09521234543213"}}},
		{"link, 01 twice", "https://shop.example/01/01/09521234543213/", []gtin.Candidate{{vector, gtin.FormDigitalLink, "09521234543213"}}},
		{"link, serial after", "https://shop.example/01/09521234543213/10/01/21/5", []gtin.Candidate{{vector, gtin.FormDigitalLink, "09521234543213"}}},
		{"link, short gtin", "https://shop.example/01/4006381333931", []gtin.Candidate{{pen, gtin.FormDigitalLink, "4006381333931"}}},
		{"link, no scheme", "id.gs1.org/01/09521234543213", []gtin.Candidate{{vector, gtin.FormDigitalLink, "09521234543213"}}},
		{"link in Q3", "]Q3https://id.gs1.org/01/09521234543213", []gtin.Candidate{{vector, gtin.FormDigitalLink, "09521234543213"}}},
		{"link in Q1", "]Q1https://id.gs1.org/01/09521234543213", []gtin.Candidate{{vector, gtin.FormDigitalLink, "09521234543213"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := gtin.Scan(tt.text)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("Scan(%q) = %v, %v; want %v", tt.text, got, err, tt.want)
			}
		})
	}
}

func TestScanRefuses(t *testing.T) {
	tests := []struct {
		text string
		want error
	}{
		{"", gtin.ErrLength},
		{"\x1d", gtin.ErrLength},
		{"]C1", gtin.ErrLength},
		{"123", gtin.ErrLength},
		{"425261", gtin.ErrLength},
		{"4006381333932", gtin.ErrCheckDigit},
		{"95012347", gtin.ErrCheckDigit},
		{"PEN-01", gtin.ErrNotDigits},
		{"]E4", gtin.ErrLength},
		{"]E44006381333931", gtin.ErrLength},
		{"]E404252614", gtin.ErrCheckDigit},
		{"]E495O12346", gtin.ErrNotDigits},
		{"]E095012346", gtin.ErrLength},
		{"]E004252615", gtin.ErrCheckDigit},
		{"]E009521234543213", gtin.ErrLength},
		{"]E0https://id.gs1.org/01/09521234543213", gtin.ErrNotDigits},
		{"]C110012345", gtin.ErrLength},        // a lot, not a GTIN-8
		{"]C104006381333931", gtin.ErrLength},  // AI 04, cut short
		{"]C1010952123454321", gtin.ErrLength}, // AI 01, cut short
		{"]C10109521234543214", gtin.ErrCheckDigit},
		{"]C101O9521234543213", gtin.ErrNotDigits},
		{"]C10209521234543213", gtin.ErrLength}, // the content of a pallet
		{"]C110A/01/09521234543213", gtin.ErrLength},
		{"]C1PEN", gtin.ErrNotDigits},
		{"0109521234543214", gtin.ErrCheckDigit},
		{"9901095212345432131", gtin.ErrLength},
		{"(01)4006381333931", gtin.ErrLength},
		{"(01)09521234543214", gtin.ErrCheckDigit},
		{"(01", gtin.ErrLength},
		{"(10)A", gtin.ErrLength},
		{"https://id.gs1.org/", gtin.ErrNotDigits},
		{"https://id.gs1.org/01/", gtin.ErrLength},
		{"https://id.gs1.org/01/09521234543214", gtin.ErrCheckDigit},
		{"https://id.gs1.org/01/123?x=/01/09521234543213", gtin.ErrLength},
		{"https://shop.example/?x=/01/09521234543213", gtin.ErrNotDigits},
		{strings.Repeat("0", 5000), gtin.ErrLength},
		{"\xff\xfe", gtin.ErrNotDigits},
	}
	for _, tt := range tests {
		got, err := gtin.Scan(tt.text)
		if got != nil || !errors.Is(err, tt.want) {
			t.Errorf("Scan(%.60q) = %v, %v; want %v", tt.text, got, err, tt.want)
		}
	}
}

// TestScanAmbiguous checks that eight digits which fit two readings yield
// both, and that a symbology prefix settles the matter.
func TestScanAmbiguous(t *testing.T) {
	code := both(t)
	short, err := gtin.Parse(code)
	if err != nil {
		t.Fatal(err)
	}
	long, err := gtin.ExpandUPCE(code)
	if err != nil {
		t.Fatal(err)
	}
	asGTIN8 := gtin.Candidate{GTIN: short, Form: gtin.FormGTIN8, Digits: code}
	asUPCE := gtin.Candidate{GTIN: long, Form: gtin.FormUPCE, Digits: code}
	for text, want := range map[string][]gtin.Candidate{
		code:         {asGTIN8, asUPCE},
		"]E4" + code: {asGTIN8},
		"]E0" + code: {asUPCE},
	} {
		got, err := gtin.Scan(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Scan(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"4006381333931", "04252614", "۴۰۰۶۳۸۱۳۳۳۹۳۱", "]E495012346", "]E004252614", "]C10109521234543213",
		"]d2010952123454321310ABC123\x1d17261231", "(01)09521234543213(17)261231",
		"https://id.gs1.org/01/09521234543213/10/ABC123?17=261231", "]Q3", "(", "/01/", "\x1d",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, err := gtin.Scan(text)
		if (err == nil) != (len(found) > 0) || len(found) > 2 {
			t.Fatalf("Scan(%q) = %v, %v", text, found, err)
		}
		if len(found) == 2 && found[0].GTIN == found[1].GTIN {
			t.Fatalf("Scan(%q) names one GTIN twice: %v", text, found)
		}
		for _, c := range found {
			mustBeCanonical(t, c.GTIN)
			again, err := gtin.Scan(c.Digits)
			if err != nil || !slices.ContainsFunc(again, func(a gtin.Candidate) bool { return a.GTIN == c.GTIN }) {
				t.Fatalf("Scan(%q) = %v, but its digits give %v, %v", text, found, again, err)
			}
		}
	})
}
