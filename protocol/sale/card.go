package sale

import (
	"slices"
	"strings"
	"unicode"

	"counterpart/protocol"
)

// Card numbers have 13 to 19 digits (ISO/IEC 7812-1).
const (
	cardDigitsMin = 13
	cardDigitsMax = 19
)

// cardPrefixes are the ranges of the first four digits that issuers of payment
// cards use. Lengths are not told apart by issuer: HTTP.md refuses every length.
var cardPrefixes = [...]struct{ from, to int }{
	{2200, 2204}, // Mir
	{2221, 2720}, // Mastercard
	{3000, 3059}, // Diners Club
	{3400, 3499}, // American Express
	{3528, 3589}, // JCB
	{3600, 3699}, // Diners Club
	{3700, 3799}, // American Express
	{3800, 3999}, // Diners Club
	{4000, 4999}, // Visa
	{5000, 5099}, // Maestro
	{5100, 5599}, // Mastercard
	{5600, 5899}, // Maestro
	{6000, 6999}, // Maestro, and in it Discover 6011, 644–649 and 65, UnionPay 62
	{9792, 9792}, // Troy
}

// ContainsCardNumber tells whether s holds what is, as far as anyone can tell,
// the number of a payment card: 13 to 19 digits that start as an issuer's
// numbers do and pass the Luhn check, written together or in groups with one
// space or dash between. Persian, Arabic and full-width digits count.
//
// Free text must never hold one: card numbers are not ours to keep (DESIGN.md
// section 10), and an event can never be edited afterwards. About one long
// number in thirty passes by chance; whoever typed it is asked to leave it out.
func ContainsCardNumber(s string) bool {
	if len(s) < cardDigitsMin {
		return false
	}
	var run digitRun
	for _, r := range s {
		switch d := digitOf(r); {
		case d >= 0:
			run.digit(byte(d))
		case isGroupSeparator(r) && run.open:
			if run.close() {
				return true
			}
		default:
			if run.open && run.close() {
				return true
			}
			run = digitRun{digits: run.digits[:0], starts: run.starts[:0]}
		}
	}
	return run.open && run.close()
}

// RefuseCardNumbers refuses texts about a person of which one holds the number of a
// payment card.
func RefuseCardNumbers(texts ...string) error {
	if !slices.ContainsFunc(texts, ContainsCardNumber) {
		return nil
	}
	return protocol.Refuse(protocol.CardNumber, "A field holds what looks like the number of a payment card. Nothing was recorded, and the number was not kept. Take it out and send the rest again.")
}

// digitRun is a stretch of groups of digits with single separators between.
type digitRun struct {
	digits []byte // their values
	starts []int  // where each group starts
	open   bool   // whether the last character was a digit
}

func (r *digitRun) digit(d byte) {
	if !r.open {
		r.starts = append(r.starts, len(r.digits))
		r.open = true
	}
	r.digits = append(r.digits, d)
}

// close ends a group and tells whether it completes a card number that started
// with it or with an earlier group.
func (r *digitRun) close() bool {
	r.open = false
	for i := len(r.starts) - 1; i >= 0; i-- {
		number := r.digits[r.starts[i]:]
		if len(number) > cardDigitsMax {
			return false
		}
		if len(number) >= cardDigitsMin && hasIssuer(number) && passesLuhn(number) {
			return true
		}
	}
	return false
}

func hasIssuer(number []byte) bool {
	prefix := 0
	for _, d := range number[:4] {
		prefix = prefix*10 + int(d)
	}
	for _, p := range cardPrefixes {
		if prefix >= p.from && prefix <= p.to {
			return true
		}
	}
	return false
}

// passesLuhn is the check of ISO/IEC 7812-1 annex B: from the right, every
// second digit counts double, its two digits added; the sum ends in 0.
func passesLuhn(number []byte) bool {
	sum := 0
	for i, d := range number {
		n := int(d)
		if (len(number)-i)%2 == 0 {
			n *= 2
			if n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

// digitOf is the value of a digit on a Latin, Persian, Arabic or full-width
// keyboard, or -1.
func digitOf(r rune) int {
	for _, zero := range [...]rune{'0', '\u0660', '\u06F0', '\uFF10'} {
		if r >= zero && r <= zero+9 {
			return int(r - zero)
		}
	}
	return -1
}

func isGroupSeparator(r rune) bool {
	return r == '-' || r >= '\u2010' && r <= '\u2014' || unicode.Is(unicode.Zs, r)
}

// signatureHoldsCard is ContainsCardNumber for the signature of a fiscal
// device. Words that hold anything but digits and dashes are left out, since
// in a long hexadecimal or base64 signature a stretch of digits between
// letters passes for a card number by chance, and a sale that has happened
// must not be refused for that.
func signatureHoldsCard(s string) bool {
	words := strings.Fields(s)
	for i, word := range words {
		if strings.ContainsFunc(word, func(r rune) bool { return digitOf(r) < 0 && !isGroupSeparator(r) }) {
			words[i] = "x"
		}
	}
	return ContainsCardNumber(strings.Join(words, " "))
}
