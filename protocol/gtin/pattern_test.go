package gtin_test

import (
	"errors"
	"strings"
	"testing"

	"counterpart/protocol/gtin"
)

func mustPattern(t *testing.T, text string) gtin.Pattern {
	t.Helper()
	p, err := gtin.ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPatternMatch(t *testing.T) {
	const uk = "20XXXRRVPPPPC"
	pence := func(item string, minor int64) gtin.Weighed {
		return gtin.Weighed{Item: item, PriceMinor: minor, HasPrice: true}
	}
	grams := func(item string, weight int64) gtin.Weighed {
		return gtin.Weighed{Item: item, WeightThousandths: weight, HasWeight: true}
	}
	tests := []struct {
		name    string
		pattern string
		code    string
		want    gtin.Weighed
		match   bool
		err     error
	}{
		{"britain", uk, "2012345928756", pence("12345", 2875), true, nil},
		{"canonical", uk, "02012345928756", pence("12345", 2875), true, nil},
		{"spaces", "20 XXX RR V PPPP C", " 2012345928756\n", pence("12345", 2875), true, nil},
		{"0199", uk, withCheck("201234500199"), pence("12345", 199), true, nil},
		{"wrong verifier", uk, withCheck("201234582875"), gtin.Weighed{Item: "12345"}, true, gtin.ErrVerifier},
		{"wrong check digit", uk, "2012345928757", gtin.Weighed{}, false, gtin.ErrCheckDigit},
		{"price of zero", uk, withCheck("201234500000"), gtin.Weighed{Item: "12345"}, true, nil},
		{"other prefix", uk, "4006381333931", gtin.Weighed{}, false, nil},
		{"other prefix, bad check digit", uk, "4006381333932", gtin.Weighed{}, false, nil},
		{"case of it", uk, withCheck("1201234592875"), gtin.Weighed{}, false, nil},
		{"too short", uk, "20123459", gtin.Weighed{}, false, nil},
		{"too long", uk, "002012345928756", gtin.Weighed{}, false, nil},
		{"not digits", uk, "20XXXRRVPPPPC", gtin.Weighed{}, false, nil},
		{"empty", uk, "", gtin.Weighed{}, false, nil},
		{"14685", "20XXXXVPPPPPC", withCheck("201234614685"), pence("1234", 14685), true, nil},
		{"00199", "20XXXXVPPPPPC", withCheck("201234200199"), pence("1234", 199), true, nil},
		{"14685, wrong verifier", "20XXXXVPPPPPC", withCheck("201234714685"), gtin.Weighed{Item: "1234"}, true, gtin.ErrVerifier},
		{"north america", "2XXXXXVPPPPC", withCheck("21234592875"), pence("12345", 2875), true, nil},
		{"north america as EAN-13", "2XXXXXVPPPPC", withCheck("021234592875"), pence("12345", 2875), true, nil},
		{"EAN-13 pattern, zero dropped", "02XXXXXVPPPPC", withCheck("21234592875"), pence("12345", 2875), true, nil},
		{"kilograms", "21XXXXX{NNDDD}C", withCheck("211234501250"), grams("12345", 1250), true, nil},
		{"two decimals", "21XXXXX{NNNDD}C", withCheck("211234501250"), grams("12345", 12500), true, nil},
		{"whole kilograms", "21XXXXX{NNNNN}C", withCheck("211234500012"), grams("12345", 12000), true, nil},
		{"grams", "28XXXXXWWWWWC", withCheck("281234500750"), grams("12345", 750), true, nil},
		{"weight with verifier", "28XXXXVWWWWWC", withCheck("281234614685"), grams("1234", 14685), true, nil},
		{
			"both", "2XXXPPPPWWWWC", withCheck("212302990500"),
			gtin.Weighed{Item: "123", PriceMinor: 299, HasPrice: true, WeightThousandths: 500, HasWeight: true},
			true, nil,
		},
		{"item on both sides", "20XXPPPPXXXXC", withCheck("201202993456"), pence("123456", 299), true, nil},
		{"eight digits", "2XXXPPPC", withCheck("2123299"), pence("123", 299), true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, match, err := mustPattern(t, tt.pattern).Match(tt.code)
			if got != tt.want || match != tt.match || !errors.Is(err, tt.err) {
				t.Errorf("%s: Match(%q) = %+v, %v, %v; want %+v, %v, %v",
					tt.pattern, tt.code, got, match, err, tt.want, tt.match, tt.err)
			}
		})
	}
}

func TestParsePatternRefuses(t *testing.T) {
	for _, text := range []string{
		"",
		"20XXXRRVPPPP",           // no check digit, 12 digits
		"20XXXRRVPPPPP",          // no check digit
		"20XXXCRVPPPPC",          // two check digits
		"C20XXXRRVPPPP",          // not the last
		"20XXXRRVPPPPCC",         // too long
		"40XXXRRVPPPPC",          // numbers of German companies
		"XXXXXRRVPPPPC",          // everything
		"00XXXRRVPPPPC",          // numbers of North American companies
		"1XXXPPPC",               // GTIN-8 of GS1
		"209999992875C",          // no item, no price
		"20123459PPPPC",          // no item
		"20XXXXXXXXXXC",          // no price, no weight
		"20XXXVVPPPPXC",          // two verifiers
		"20XXXXXXVPPPC",          // verifier of three digits
		"20XXXVPPPPPPC",          // verifier of six digits
		"2VXXPPPPWWWWC",          // verifier of two runs
		"20XXXPPXPPXXC",          // price in two parts
		"20XXXWWXWWXXC",          // weight in two parts
		"21XXXXX{NNDDDC",         // brace left open
		"21XXXXX{}NNDDDC",        // empty braces
		"21XXXXX{DDNNN}C",        // wrong order
		"21XXXXX{NDDDD}C",        // below a gram
		"21XXXXX{NNPPP}C",        // price in braces
		"21XXX{NN}{DDDDD}C",      // two weights
		"21XXXWW{NNDDD}C",        // two weights
		"21XXX{NNDDD}WWC",        // two weights
		"21.....{NNDDD}",         // another program's language
		"20xxxrrvppppc",          // lower case
		"20XXXRRVPPPPC\n",        // control character
		"۲۰XXXRRVPPPPC",          // digits of another script
		strings.Repeat("X", 1e6), // far too long
	} {
		if p, err := gtin.ParsePattern(text); err == nil || p != (gtin.Pattern{}) {
			t.Errorf("ParsePattern(%.40q) = %v, %v; want an error", text, p, err)
		} else if len(err.Error()) > 300 {
			t.Errorf("ParsePattern(%.40q): the error has %d bytes", text, len(err.Error()))
		}
	}
}

func TestZeroPattern(t *testing.T) {
	got, match, err := gtin.Pattern{}.Match("2012345928756")
	if got != (gtin.Weighed{}) || match || err != nil {
		t.Errorf("zero Pattern: Match = %+v, %v, %v", got, match, err)
	}
}

func TestPatternString(t *testing.T) {
	const text = "20 XXX RR V PPPP C"
	if got := mustPattern(t, text).String(); got != text {
		t.Errorf("String() = %q, want %q", got, text)
	}
}

// TestVerifierSingleDigitChange holds the verifier to its promise: no change of
// one price digit goes unnoticed, even when the check digit is made to fit.
func TestVerifierSingleDigitChange(t *testing.T) {
	for _, layout := range []struct{ pattern, front, verifier, price string }{
		{"20XXXRRVPPPPC", "2012345", "9", "2875"},
		{"20XXXRRVPPPPC", "2012345", "0", "0199"},
		{"20XXXXVPPPPPC", "201234", "6", "14685"},
		{"20XXXXVPPPPPC", "201234", "2", "00199"},
	} {
		p := mustPattern(t, layout.pattern)
		for i := range layout.price {
			for d := byte('0'); d <= '9'; d++ {
				price := layout.price[:i] + string(d) + layout.price[i+1:]
				got, match, err := p.Match(withCheck(layout.front + layout.verifier + price))
				if price == layout.price {
					if err != nil || !got.HasPrice {
						t.Errorf("price %s: %+v, %v", price, got, err)
					}
					continue
				}
				if !match || got.HasPrice || got.PriceMinor != 0 || !errors.Is(err, gtin.ErrVerifier) {
					t.Errorf("price %s with the verifier of %s: %+v, %v, %v", price, layout.price, got, match, err)
				}
			}
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("20XXXRRVPPPPC", "2012345928756")
	f.Add("20 XXXX V PPPPP C", "2012346146857")
	f.Add("21XXXXX{NNDDD}C", "2112345012508")
	f.Add("2XXXPPPC", "21232991")
	f.Add("{", "")
	f.Fuzz(func(t *testing.T, text, code string) {
		p, err := gtin.ParsePattern(text)
		if err != nil {
			if p != (gtin.Pattern{}) {
				t.Fatalf("ParsePattern(%q) = %v, %v", text, p, err)
			}
			return
		}
		got, match, err := p.Match(code)
		if !match && got != (gtin.Weighed{}) || match && got.Item == "" {
			t.Fatalf("%q: Match(%q) = %+v, %v, %v", text, code, got, match, err)
		}
		if err != nil && (got.HasPrice || got.HasWeight) {
			t.Fatalf("%q: Match(%q) = %+v beside %v", text, code, got, err)
		}
		if got.HasPrice != (got.PriceMinor > 0) || got.HasWeight != (got.WeightThousandths > 0) {
			t.Fatalf("%q: Match(%q) = %+v", text, code, got)
		}
		if match {
			g, err := gtin.Parse(code)
			if err != nil || !g.Restricted() {
				t.Fatalf("%q matches %q, which is not a code of a chain: %v", text, code, err)
			}
		}
	})
}
