package gtin

import (
	"errors"
	"fmt"
	"strings"
)

// ErrVerifier is returned when the price or weight inside a code contradicts
// its verifier digit. The item is known, its price is not: the till asks for
// it and never sells at a guess.
var ErrVerifier = errors.New("code has a wrong price verifier")

// errTwoWeights refuses a pattern; nobody branches on it.
var errTwoWeights = errors.New("there is more than one weight")

// Pattern is the layout of the in-store codes that a scale or a label printer
// makes. Layouts are national and a chain may have several, so they are
// configuration. A pattern has one character for each digit of the code:
//
//	0-9      this digit, as it stands
//	X I R    a digit of the item reference; the letters mean the same
//	P        a digit of the price, which is in minor units of the currency
//	W        a digit of the weight, which is in grams
//	{NNDDD}  digits of the weight in kilograms, N before the decimal point
//	         and at most three D behind it
//	V        the verifier of the four or five digits of the price or weight
//	C        the check digit, always the last
//
// Spaces are for the reader only. Examples:
//
//	20 XXX RR V PPPP C   Britain: price with verifier
//	20 XXXX V PPPPP C    the same with a price of five digits
//	2 XXXXX V PPPP C     North America: a UPC-A
//	21 XXXXX {NNDDD} C   weight, 01250 is 1.250 kg
//	28 XXXXX WWWWW C     weight in grams
//
// A pattern has 8, 12 or 13 digits, starts with digits that GS1 leaves to the
// chains (02, 04 or 2 in thirteen digits, 0 or 2 in eight), has at least one
// item digit, and one run of price digits or of weight digits or of both. A
// verifier needs exactly one such run. The zero Pattern matches nothing.
type Pattern struct {
	text string
	// cells holds fourteen characters, zeros in front: a digit stands for
	// itself, and the others are X, P, W, V and C.
	cells string
	// weightScale is how many thousandths of the unit the last weight digit
	// counts.
	weightScale int64
}

// Weighed is what a weighed or priced code says. Item holds the item digits in
// their order. The weight is in thousandths of a kilogram. A price or weight
// of all zeros says nothing, so its Has field is false and the till must ask.
type Weighed struct {
	Item              string
	PriceMinor        int64
	WeightThousandths int64
	HasPrice          bool
	HasWeight         bool
}

// ParsePattern reads a pattern in the language that Pattern describes. Its
// error is a sentence for whoever wrote the configuration.
func ParsePattern(text string) (Pattern, error) {
	cells, scale, err := patternCells(text)
	if err == nil {
		err = checkCells(cells)
	}
	if err != nil {
		return Pattern{}, fmt.Errorf("in-store pattern %.40q: %w", text, err)
	}
	return Pattern{text: text, cells: padded(cells), weightScale: scale}, nil
}

// String returns the pattern as it was written.
func (p Pattern) String() string {
	return p.text
}

// Match reads a code by the pattern. The code may be written with 8, 12, 13 or
// 14 digits: a scanner drops the zero in front of a UPC-A, and the pattern
// fits all the same. It reports false without an error when the code is none
// of this pattern.
//
// A code of the pattern with a wrong check digit is ErrCheckDigit, and nothing
// in it is believed. With a wrong verifier it is ErrVerifier: Match then
// reports true and returns the item, without price and weight.
func (p Pattern) Match(code string) (Weighed, bool, error) {
	code = strings.TrimSpace(code)
	if len(code) > canonicalDigits || !allDigits(code) || !p.fits(padded(code)) {
		return Weighed{}, false, nil
	}
	g, err := parseDigits(code)
	if errors.Is(err, ErrLength) {
		return Weighed{}, false, nil
	}
	if err != nil {
		return Weighed{}, false, err
	}
	price, weight := p.field(g, 'P'), p.field(g, 'W')
	found := Weighed{Item: p.field(g, 'X')}
	if verifier := p.field(g, 'V'); verifier != "" && priceVerifier(price+weight) != verifier[0] {
		return found, true, ErrVerifier
	}
	found.PriceMinor = number(price)
	found.HasPrice = found.PriceMinor > 0
	found.WeightThousandths = number(weight) * p.weightScale
	found.HasWeight = found.WeightThousandths > 0
	return found, true, nil
}

// fits reports whether the fixed digits of the pattern are those of the code.
func (p Pattern) fits(canonical string) bool {
	if p.cells == "" {
		return false
	}
	for i := range canonicalDigits {
		if isDigit(p.cells[i]) && p.cells[i] != canonical[i] {
			return false
		}
	}
	return true
}

// field returns the digits of the code at the cells of one kind.
func (p Pattern) field(g GTIN, kind byte) string {
	var digits []byte
	for i := range canonicalDigits {
		if p.cells[i] == kind {
			digits = append(digits, g[i])
		}
	}
	return string(digits)
}

// number returns the value of at most thirteen digits.
func number(digits string) int64 {
	var value int64
	for i := range len(digits) {
		value = value*10 + int64(digits[i]-'0')
	}
	return value
}

// patternCells turns the text of a pattern into one cell for each digit of the
// code, and returns the scale of the weight beside them.
func patternCells(text string) (cells string, weightScale int64, err error) {
	var out []byte
	braced := false
	weightScale = 1
	for i := 0; i < len(text); i++ {
		if len(out) > canonicalDigits {
			break
		}
		switch c := text[i]; c {
		case ' ':
		case 'X', 'I', 'R':
			out = append(out, 'X')
		case 'W':
			if braced {
				return "", 0, errTwoWeights
			}
			out = append(out, c)
		case 'P', 'V', 'C', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			out = append(out, c)
		case '{':
			inner, _, ok := strings.Cut(text[i+1:], "}")
			decimals := len(strings.TrimLeft(inner, "N"))
			if !ok || inner == "" || strings.TrimRight(strings.TrimLeft(inner, "N"), "D") != "" || decimals > 3 {
				return "", 0, errors.New("braces hold N and then at most three D, as in {NNDDD}")
			}
			if strings.IndexByte(string(out), 'W') >= 0 {
				return "", 0, errTwoWeights
			}
			braced = true
			for range 3 - decimals {
				weightScale *= 10
			}
			out = append(out, strings.Repeat("W", len(inner))...)
			i += len(inner) + 1
		default:
			return "", 0, fmt.Errorf("unknown character at position %d", i+1)
		}
	}
	return string(out), weightScale, nil
}

// checkCells holds the rules for whole patterns that Pattern states.
func checkCells(cells string) error {
	if n := len(cells); n != 8 && n != 12 && n != 13 {
		return errors.New("a pattern has 8, 12 or 13 digits")
	}
	if !chainOwned(cells) {
		return errors.New("a pattern starts with digits for use inside a chain: 02, 04 or 2 in 13 digits, 2 or 4 in 12, 0 or 2 in 8")
	}
	if strings.IndexByte(cells, 'C') != len(cells)-1 {
		return errors.New("the one check digit C comes last")
	}
	if strings.IndexByte(cells, 'X') < 0 {
		return errors.New("there is no item digit")
	}
	price, weight := strings.Count(cells, "P"), strings.Count(cells, "W")
	if price+weight == 0 {
		return errors.New("there is neither a price nor a weight")
	}
	if !strings.Contains(cells, strings.Repeat("P", price)) || !strings.Contains(cells, strings.Repeat("W", weight)) {
		return errors.New("the digits of a price or a weight stand together")
	}
	switch strings.Count(cells, "V") {
	case 0:
		return nil
	case 1:
		if n := price + weight; price > 0 && weight > 0 || n != 4 && n != 5 {
			return errors.New("the verifier V needs one price or weight of four or five digits")
		}
		return nil
	}
	return errors.New("there is more than one verifier V")
}

// chainOwned reports whether the fixed digits in front keep the pattern from
// capturing a number that GS1 gave to a company.
func chainOwned(cells string) bool {
	if len(cells) == 8 {
		return cells[0] == '0' || cells[0] == '2'
	}
	return hasRestrictedPrefix(padded(cells))
}

// The tables hold a digit times its weight, from which the tens are taken (-)
// or to which they are added (+), modulo ten (GS1 General Specifications 7.9,
// price or weight check digits).
const (
	weightTwoMinus  = "0246891357"
	weightFiveMinus = "0594837261"
	weightFivePlus  = "0516273849"
)

// priceVerifier returns the ASCII verifier of a price or weight of four or
// five digits. Four digits weigh 2-, 2-, 3 and 5-, and the verifier is the last
// digit of three times the sum. Five digits weigh 5+, 2-, 5-, 5+ and 2-, and
// the verifier is the digit that would lift the sum to a multiple of ten if it
// weighed 5- itself.
func priceVerifier(digits string) byte {
	weigh := func(table string, i int) int {
		return int(table[digits[i]-'0'] - '0')
	}
	if len(digits) == 4 {
		sum := weigh(weightTwoMinus, 0) + weigh(weightTwoMinus, 1) + 3*int(digits[2]-'0') + weigh(weightFiveMinus, 3)
		return '0' + byte(3*sum%10)
	}
	sum := weigh(weightFivePlus, 0) + weigh(weightTwoMinus, 1) + weigh(weightFiveMinus, 2) +
		weigh(weightFivePlus, 3) + weigh(weightTwoMinus, 4)
	want := '0' + byte((10-sum%10)%10)
	return '0' + byte(strings.IndexByte(weightFiveMinus, want))
}
