package web

import (
	"strconv"
	"strings"

	"counterpart/protocol"
)

// wholeOnly are the currencies whose minor unit is stored but not in use.
var wholeOnly = map[string]bool{"HUF": true, "IRR": true}

var symbols = map[string]string{"GBP": "£", "EUR": "€"}

const (
	noBreakSpace = "\u00a0"
	minusSign    = "\u2212"
)

// formatMoney writes an amount as English readers expect it: £1,234.50, or the
// currency's code where it has no sign of its own. No part of an amount is
// ever left out: what a currency does not use is hidden only where it is 0.
func formatMoney(m protocol.Money, currency string) string {
	digits := protocol.MinorDigits(currency)
	sign, n := "", uint64(m)
	if m < 0 {
		sign, n = minusSign, uint64(-m)
	}
	text := strconv.FormatUint(n, 10)
	if len(text) <= digits {
		text = strings.Repeat("0", digits+1-len(text)) + text
	}
	whole, minor := text[:len(text)-digits], text[len(text)-digits:]
	text = groupThousands(whole)
	if minor != "" && !(wholeOnly[currency] && strings.Trim(minor, "0") == "") {
		text += "." + minor
	}
	switch symbol := symbols[currency]; {
	case symbol != "":
		return sign + symbol + text
	case currency != "":
		return sign + currency + noBreakSpace + text
	}
	return sign + text
}

// formatQuantity writes a quantity with its unit; pieces need none.
func formatQuantity(q protocol.Quantity, unit protocol.Unit) string {
	text := q.String()
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = minusSign, text[1:]
	}
	whole, decimals, found := strings.Cut(text, ".")
	text = sign + groupThousands(whole)
	if found {
		text += "." + decimals
	}
	if unit != "" && unit != protocol.Each {
		text += noBreakSpace + string(unit)
	}
	return text
}

// plainMoney is an amount as a field holds it: digits and a point.
func plainMoney(m protocol.Money, currency string) string {
	digits := protocol.MinorDigits(currency)
	text := strconv.FormatInt(int64(m), 10)
	if digits == 0 {
		return text
	}
	if len(text) <= digits {
		text = strings.Repeat("0", digits+1-len(text)) + text
	}
	return text[:len(text)-digits] + "." + text[len(text)-digits:]
}

// groupThousands puts commas into a row of digits.
func groupThousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
