package sale_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"counterpart/protocol/gtin"
	"counterpart/protocol/sale"
)

// The numbers are the test numbers that issuers and acquirers publish, and for
// issuers without one a number made for its prefix.
func TestContainsCardNumber(t *testing.T) {
	cards := map[string]string{
		"Visa":                 "4111111111111111",
		"Visa 13":              "4222222222222",
		"Visa 19":              withLuhn("400000000000000000"),
		"Mastercard":           "5555555555554444",
		"Mastercard 2":         "2223003122003222",
		"Mastercard 2 lowest":  withLuhn("222100000000000"),
		"Mastercard 2 highest": withLuhn("272099999999999"),
		"American Express":     "378282246310005",
		"American Express 34":  "343434343434343",
		"Discover":             "6011111111111117",
		"Discover 644":         withLuhn("644000000000000"),
		"Discover 65":          withLuhn("650000000000000"),
		"UnionPay":             "6200000000000005",
		"JCB":                  "3530111333300000",
		"Diners":               "30569309025904",
		"Diners 36":            "36227206271667",
		"Diners 38":            "38520000023237",
		"Maestro":              "6759649826438453",
		"Maestro 50":           withLuhn("501800000000000"),
		"Maestro 58":           withLuhn("589300000000000"),
		"Mir":                  "2200000000000053",
		"Troy":                 withLuhn("979200000000000"),

		"in groups":         "4111 1111 1111 1111",
		"with dashes":       "4111-1111-1111-1111",
		"unequal groups":    "3782 822463 10005",
		"no-break space":    "4111\u00a01111\u00a01111\u00a01111",
		"inside text":       "paid by card 4111111111111111, thanks",
		"between letters":   "x4111111111111111y",
		"after a number":    "till 12 4111111111111111",
		"before a number":   "4111111111111111 12/27",
		"Persian digits":    "۴۱۱۱۱۱۱۱۱۱۱۱۱۱۱۱",
		"Arabic digits":     "٤١١١ ١١١١ ١١١١ ١١١١",
		"full-width digits": "４１１１１１１１１１１１１１１１",
		"second of two":     "4111111111111112;4111111111111111",
	}
	for name, text := range cards {
		if !sale.ContainsCardNumber(text) {
			t.Errorf("%s: %q was not found", name, text)
		}
	}
	others := map[string]string{
		"empty":              "",
		"Luhn fails":         "4111111111111112",
		"12 digits":          withLuhn("41111111111"),
		"20 digits":          withLuhn("4111111111111111111"),
		"no issuer":          withLuhn("100000000000000"),
		"below Mastercard 2": withLuhn("222000000000000"),
		"above Mastercard 2": withLuhn("272100000000000"),
		"above Mir":          withLuhn("220500000000000"),
		"GTIN-13":            gtinWithLuhn("869"),
		"GTIN-13 of books":   gtinWithLuhn("978"),
		"GTIN-14":            "0" + gtinWithLuhn("869"),
		"phone":              "+994501234567",
		"long phone":         "+98 912 345 6789",
		"two spaces":         "4111 1111  1111 1111",
		"letters between":    "4111x1111x1111x1111",
		"date and time":      "2026-11-21T10:02:12+00:00",
		"receipt":            "a1-1-1-318",
	}
	for name, text := range others {
		if sale.ContainsCardNumber(text) {
			t.Errorf("%s: %q was taken for a card number", name, text)
		}
	}
}

// gtinWithLuhn finds a GTIN-13 that passes the Luhn check by chance.
func gtinWithLuhn(prefix string) string {
	for n := range 1000 {
		digits := fmt.Sprintf("%s%09d", prefix, n)
		check, err := gtin.CheckDigit(digits)
		if number := digits + string(check); err == nil && number == withLuhn(digits) {
			return number
		}
	}
	panic("no such number")
}

// withLuhn appends the check digit.
func withLuhn(digits string) string {
	sum := 0
	for i := range len(digits) {
		n := int(digits[len(digits)-1-i] - '0')
		if i%2 == 0 {
			n *= 2
		}
		sum += n/10 + n%10
	}
	return digits + strconv.Itoa((10-sum%10)%10)
}

func FuzzContainsCardNumber(f *testing.F) {
	for _, seed := range []string{"", "4111 1111 1111 1111", "12-4111111111111111", "\xff4111111111111111"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found := sale.ContainsCardNumber(text)
		if !found && sale.ContainsCardNumber(text+" 4111111111111111") == false {
			t.Fatalf("a card number behind %q was not found", text)
		}
		if found && !sale.ContainsCardNumber("x"+text+"x") {
			t.Fatalf("letters around %q hid the number", text)
		}
		digits := strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' || r >= 0x660 && r <= 0x669 || r >= 0x6f0 && r <= 0x6f9 || r >= 0xff10 && r <= 0xff19 {
				return r
			}
			return -1
		}, text)
		if found && len([]rune(digits)) < 13 {
			t.Fatalf("%q has too few digits for a card number", text)
		}
	})
}
