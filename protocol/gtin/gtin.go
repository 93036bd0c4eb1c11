// Package gtin reads the numbers that shops print and scan: GTIN-8, -12, -13
// and -14, UPC-E, GS1 element strings, GS1 Digital Link addresses, and the
// weighed or priced codes that mean something in one chain only.
//
// A number has one canonical form, its fourteen digits, so that the twelve
// digits of a till and the thirteen of a catalogue name the same item. It is
// text, never an integer. The package is pure: it parses an address and never
// fetches it.
package gtin

import (
	"errors"
	"strings"
)

// These errors say why a text is not a usable code. Code gives the API code of
// each; ErrVerifier, of the weighed codes, stands beside Pattern.
var (
	// ErrNotDigits is returned when the text holds anything but the ASCII
	// digits 0 to 9 after surrounding space is gone.
	ErrNotDigits = errors.New("code is not all digits")
	// ErrLength is returned when there are not 8, 12, 13 or 14 digits, or when
	// a scanned text holds no GTIN where its symbology would have it.
	ErrLength = errors.New("code has a wrong number of digits")
	// ErrCheckDigit is returned when the last digit contradicts the others.
	ErrCheckDigit = errors.New("code has a wrong check digit")
	// ErrRestricted is returned when a sound code is for circulation inside one
	// chain, and therefore cannot identify an item to anybody else.
	ErrRestricted = errors.New("code is restricted to one chain")
)

// canonicalDigits is the length of every GTIN.
const canonicalDigits = 14

// globalMin is the smallest number an import accepts as a GTIN. What lies
// below is a short in-store code that some system padded with zeros.
const globalMin = "00000000100000"

// GTIN is a Global Trade Item Number in its canonical form: fourteen ASCII
// digits, padded with zeros on the left, the last of them a valid check digit.
// The functions of this package return no other value; the empty GTIN means
// that an item has none.
type GTIN string

// CheckDigit returns the ASCII check digit that belongs behind digits, which
// are all digits of the number but the last. From the right, the digits weigh
// 3, 1, 3, 1 and so on, and the check digit lifts the sum to a multiple of ten
// (GS1 General Specifications 7.9). GTIN, GLN and SSCC share the rule, so any
// length but zero is accepted. The errors are ErrLength and ErrNotDigits.
func CheckDigit(digits string) (byte, error) {
	if digits == "" {
		return 0, ErrLength
	}
	sum, weight := 0, 3
	for i := len(digits) - 1; i >= 0; i-- {
		if !isDigit(digits[i]) {
			return 0, ErrNotDigits
		}
		sum += weight * int(digits[i]-'0')
		if sum >= 10 {
			sum %= 10
		}
		weight = 4 - weight
	}
	return '0' + byte((10-sum)%10), nil
}

// Parse reads a GTIN-8, -12, -13 or -14, told apart by length alone: eight
// digits are a GTIN-8, never a UPC-E. It drops surrounding space and nothing
// else, and it accepts restricted codes. The errors are ErrNotDigits,
// ErrLength (also for an empty text) and ErrCheckDigit, looked for in this
// order.
func Parse(text string) (GTIN, error) {
	return parseDigits(strings.TrimSpace(text))
}

// ParseGlobal reads a GTIN that is to identify an item for everybody, as an
// import does. On top of Parse it returns ErrRestricted for
//
//   - the GS1 prefixes 020 to 029, 040 to 049 and 200 to 299 of the GTIN-13
//     that ends the number (GS1 General Specifications, GS1 prefixes),
//   - an RCN-8, which is a text of eight digits that starts with 0 or 2, and
//   - a number below 100,000, however many zeros stand before it.
//
// A wrong check digit is reported before a restricted range is.
func ParseGlobal(text string) (GTIN, error) {
	text = strings.TrimSpace(text)
	g, err := parseDigits(text)
	if err != nil {
		return "", err
	}
	if len(text) == 8 && isRCN8(string(g)) || hasRestrictedPrefix(string(g)) || string(g) < globalMin {
		return "", ErrRestricted
	}
	return g, nil
}

// Restricted reports whether the number may mean different items in different
// chains. The canonical form no longer tells how many digits were printed, so
// any number that an RCN-8 could be counts as restricted, also where
// ParseGlobal accepted it because it was written with more than eight digits:
// GS1 gives none of those numbers to a company. A value that is not canonical
// is restricted as well.
func (g GTIN) Restricted() bool {
	text := string(g)
	if len(text) != canonicalDigits {
		return true
	}
	return isRCN8(text) || hasRestrictedPrefix(text)
}

// Code returns the API code of an error of this package: bad_check_digit,
// bad_length or restricted_code. The mapping is total: a code that is not all
// digits is bad_length, a failed price verifier is bad_check_digit, and an
// error that is none of these is bad_length. Only nil has no code.
func Code(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrCheckDigit), errors.Is(err, ErrVerifier):
		return "bad_check_digit"
	case errors.Is(err, ErrRestricted):
		return "restricted_code"
	default:
		return "bad_length"
	}
}

// parseDigits is Parse for a text that is already free of surrounding space.
func parseDigits(text string) (GTIN, error) {
	if !allDigits(text) {
		return "", ErrNotDigits
	}
	switch len(text) {
	case 8, 12, 13, 14:
	default:
		return "", ErrLength
	}
	last := len(text) - 1
	check, err := CheckDigit(text[:last])
	if err != nil {
		return "", err
	}
	if check != text[last] {
		return "", ErrCheckDigit
	}
	return GTIN(padded(text)), nil
}

// isRCN8 reports whether fourteen digits hold nothing but an eight-digit
// number for restricted circulation.
func isRCN8(canonical string) bool {
	return canonical[:6] == "000000" && (canonical[6] == '0' || canonical[6] == '2')
}

// hasRestrictedPrefix looks at the GTIN-13 inside the fourteen digits, so the
// indicator digit of a case does not hide the prefix of its content.
func hasRestrictedPrefix(canonical string) bool {
	prefix := canonical[1:4]
	return prefix[0] == '2' || prefix[:2] == "02" || prefix[:2] == "04"
}

// padded returns at most fourteen digits with zeros in front of them.
func padded(digits string) string {
	const zeros = "00000000000000"
	return zeros[:canonicalDigits-len(digits)] + digits
}

func allDigits(text string) bool {
	for i := range len(text) {
		if !isDigit(text[i]) {
			return false
		}
	}
	return true
}

func isDigit(b byte) bool {
	return '0' <= b && b <= '9'
}
