package gtin

import (
	"strings"
	"unicode"
)

// Form says how a number was written in a scanned text.
type Form string

// The forms of a candidate.
const (
	FormGTIN8       Form = "gtin8"
	FormGTIN12      Form = "gtin12"
	FormGTIN13      Form = "gtin13"
	FormGTIN14      Form = "gtin14"
	FormUPCE        Form = "upce"
	FormGS1         Form = "gs1"
	FormDigitalLink Form = "digital_link"
)

// Candidate is one reading of a scanned text. Digits are the ASCII digits that
// were read, before padding or expansion: the form to keep beside the GTIN, and
// the one to match against a Pattern.
type Candidate struct {
	GTIN   GTIN
	Form   Form
	Digits string
}

// scanSizeMax bounds a scanned text in bytes; no symbol that names an item
// comes near it.
const scanSizeMax = 2048

// groupSeparator ends an element string of variable length. It is what a
// scanner sends for the FNC1 character (GS1 General Specifications 7.8).
const groupSeparator = '\x1d'

// gtinPath is where a GS1 Digital Link names its GTIN.
const gtinPath = "/01/"

// Scan reads what a scanner or a keyboard sent and returns the numbers that it
// can stand for, the likeliest first. The caller takes the candidate that is
// in its catalogue; when two are, it asks the cashier. Restricted codes are
// candidates too.
//
// Persian and Arabic-Indic digits count as ASCII digits. An AIM symbology
// prefix (ISO/IEC 15424) is dropped and narrows the readings:
//
//   - ]E4 is an EAN-8 and nothing else,
//   - ]E0 is an EAN-13, a UPC-A, or a UPC-E in eight digits,
//   - ]C1, ]e0, ]d2 and ]Q3 carry GS1 element strings or a Digital Link, and
//   - any other prefix is dropped without a further meaning.
//
// Without a prefix, eight digits may be a GTIN-8 or a UPC-E. A parenthesised
// (01), element strings that start with 01 or hold a group separator, and an
// address with /01/ in its path are recognised by their shape.
//
// When there is no candidate the error says why: ErrNotDigits, ErrLength or
// ErrCheckDigit. There is never both a candidate and an error.
func Scan(text string) ([]Candidate, error) {
	if len(text) > scanSizeMax {
		return nil, ErrLength
	}
	aim, text := cutAIM(trimmed(strings.Map(asciiDigit, text)))
	text = trimmed(text)
	switch aim {
	case "]E4":
		return scanEAN8(text)
	case "]E0":
		return scanUPC(text)
	case "]C1", "]e0", "]d2", "]Q3":
		return scanGS1(text)
	}
	if looksLikeGS1(text) {
		return scanGS1(text)
	}
	return scanPlain(text)
}

// trimmed drops space and group separators around a text.
func trimmed(text string) string {
	return strings.TrimFunc(text, func(r rune) bool {
		return r == groupSeparator || unicode.IsSpace(r)
	})
}

// asciiDigit maps the digits that a Persian or Arabic keyboard layout makes of
// a scanner's key strokes.
func asciiDigit(r rune) rune {
	switch {
	case '\u06F0' <= r && r <= '\u06F9':
		return '0' + r - '\u06F0'
	case '\u0660' <= r && r <= '\u0669':
		return '0' + r - '\u0660'
	}
	return r
}

// cutAIM splits off an AIM symbology prefix: a bracket, the letter of the
// symbology and a modifier. No code starts with a bracket otherwise.
func cutAIM(text string) (aim, rest string) {
	if len(text) < 3 || text[0] != ']' || !isLetter(text[1]) || !isDigit(text[2]) && !isLetter(text[2]) {
		return "", text
	}
	return text[:3], text[3:]
}

func isLetter(b byte) bool {
	return 'A' <= b && b <= 'Z' || 'a' <= b && b <= 'z'
}

// scanEAN8 reads a text that the scanner has declared to be an EAN-8.
func scanEAN8(text string) ([]Candidate, error) {
	if allDigits(text) && len(text) != 8 {
		return nil, ErrLength
	}
	g, err := parseDigits(text)
	return one(g, FormGTIN8, text, err)
}

// scanUPC reads a text that the scanner has declared to be an EAN-13, a UPC-A
// or a UPC-E. Eight digits cannot be an EAN-8, which would have said so.
func scanUPC(text string) ([]Candidate, error) {
	switch {
	case !allDigits(text):
		return nil, ErrNotDigits
	case len(text) == 8:
		g, err := ExpandUPCE(text)
		return one(g, FormUPCE, text, err)
	case len(text) == canonicalDigits:
		return nil, ErrLength
	}
	return scanPlain(text)
}

// scanPlain reads bare digits.
func scanPlain(text string) ([]Candidate, error) {
	g, err := parseDigits(text)
	switch len(text) {
	case 12:
		return one(g, FormGTIN12, text, err)
	case 13:
		return one(g, FormGTIN13, text, err)
	case 14:
		return one(g, FormGTIN14, text, err)
	}
	found, err := one(g, FormGTIN8, text, err)
	if long, upceErr := ExpandUPCE(text); upceErr == nil && (err != nil || long != g) {
		return append(found, Candidate{GTIN: long, Form: FormUPCE, Digits: text}), nil
	}
	return found, err
}

// looksLikeGS1 reports whether a text without a telling prefix has the shape
// of element strings or of a Digital Link. Bare digits only count when they
// start with a whole AI 01: a long number of another kind must not yield a
// GTIN from its middle.
func looksLikeGS1(text string) bool {
	const first = len("01") + canonicalDigits
	return strings.HasPrefix(text, "(") ||
		strings.IndexByte(text, groupSeparator) >= 0 ||
		strings.HasPrefix(text, "01") && len(text) >= first && allDigits(text[:first]) ||
		isAddress(text)
}

// isAddress reports whether the text may be a Digital Link. Element strings
// start with a digit, and a lot number in them may contain the same path.
func isAddress(text string) bool {
	return text != "" && !isDigit(text[0]) && strings.Contains(text, gtinPath)
}

// scanGS1 reads a text that holds its GTIN under AI 01.
func scanGS1(text string) ([]Candidate, error) {
	if strings.HasPrefix(text, "(") {
		return scanAI(bracketedGTIN(text))
	}
	if isAddress(text) {
		return scanDigitalLink(text)
	}
	return scanAI(elementGTIN(text))
}

// scanAI makes a candidate of the value of AI 01, which is always written with
// fourteen digits.
func scanAI(digits string, err error) ([]Candidate, error) {
	if err != nil {
		return nil, err
	}
	if allDigits(digits) && len(digits) != canonicalDigits {
		return nil, ErrLength
	}
	g, err := parseDigits(digits)
	return one(g, FormGS1, digits, err)
}

// bracketedGTIN returns the value of AI 01 in the form printed for people,
// such as (01)09521234543213(17)261231.
func bracketedGTIN(text string) (string, error) {
	for rest := text; strings.HasPrefix(rest, "("); {
		ai, tail, ok := strings.Cut(rest[1:], ")")
		if !ok {
			break
		}
		end := strings.IndexByte(tail, '(')
		if end < 0 {
			end = len(tail)
		}
		if ai == "01" {
			return strings.TrimSpace(tail[:end]), nil
		}
		rest = tail[end:]
	}
	return "", ErrLength
}

// elementGTIN returns the value of AI 01 in concatenated element strings. It
// steps over those of a predefined length by that length and over others up to
// their separator.
func elementGTIN(text string) (string, error) {
	for rest := text; len(rest) >= 2 && allDigits(rest[:2]); {
		size := elementSize(rest[:2])
		if size == 0 {
			size = strings.IndexByte(rest, groupSeparator)
		}
		if size < 0 || size > len(rest) {
			break
		}
		if rest[:2] == "01" {
			return rest[2:size], nil
		}
		rest = strings.TrimLeft(rest[size:], string(groupSeparator))
	}
	if text != "" && !isDigit(text[0]) {
		return "", ErrNotDigits
	}
	return "", ErrLength
}

// elementSize returns the length of an element string, its AI included, when
// the first two digits of the AI predefine it, and else 0 (GS1 General
// Specifications 7.8, element strings with predefined length).
func elementSize(ai string) int {
	switch ai {
	case "00":
		return 20
	case "04":
		return 18
	case "01", "02", "03", "41":
		return 16
	case "11", "12", "13", "14", "15", "16", "17", "18", "19":
		return 8
	case "20":
		return 4
	case "31", "32", "33", "34", "35", "36":
		return 10
	}
	return 0
}

// scanDigitalLink reads the GTIN from the path of a GS1 Digital Link. Any
// domain and any path before the GTIN are legal, so the first /01/ that a
// sound GTIN follows counts; query and fragment do not. Older links hold
// shorter GTINs than the fourteen digits of today.
func scanDigitalLink(text string) ([]Candidate, error) {
	if end := strings.IndexAny(text, "?#"); end >= 0 {
		text = text[:end]
	}
	firstErr := ErrNotDigits
	for seen := 0; ; seen++ {
		at := strings.Index(text, gtinPath)
		if at < 0 {
			break
		}
		// The slash that ends this segment may start the next /01/.
		text = text[at+len(gtinPath)-1:]
		digits, _, _ := strings.Cut(text[1:], "/")
		g, err := parseDigits(digits)
		if err == nil {
			return one(g, FormDigitalLink, digits, nil)
		}
		if seen == 0 {
			firstErr = err
		}
	}
	return nil, firstErr
}

// one wraps a single reading, or passes on why there is none.
func one(g GTIN, form Form, digits string, err error) ([]Candidate, error) {
	if err != nil {
		return nil, err
	}
	return []Candidate{{GTIN: g, Form: form, Digits: digits}}, nil
}
