package protocol

import (
	"errors"
	"math/bits"
	"strconv"
	"strings"
)

// Quantity is a number of thousandths of an item's unit: 2 pieces are 2000,
// 450 g of an item sold by kg are 450.
type Quantity int64

// QuantityMax bounds what a person or another system may enter: 10,000,000
// units, either sign.
const QuantityMax Quantity = 10_000_000_000

// Money is an amount in minor units of a currency that is known from its place.
type Money int64

// MoneyMax bounds every amount that may be entered or computed, either sign.
const MoneyMax Money = 1_000_000_000_000

// RatePPM is a tax rate or a chance in parts per million: 20 % is 200,000.
type RatePPM int64

// ratePPMWhole is the whole that a rate is a part of.
const ratePPMWhole RatePPM = 1_000_000

// ErrQuantity is returned by ParseQuantity for text that is no decimal number
// with at most three decimals in range.
var ErrQuantity = errors.New("not a number with at most 3 decimals between -10,000,000 and 10,000,000")

// ParseQuantity reads decimal text ("2", "-0.5", "1.250"). Floating point is
// never involved; an exponent is read as JSON allows it, exactly.
func ParseQuantity(s string) (Quantity, error) {
	mantissa, exp, hasExp := strings.Cut(strings.ToLower(s), "e")
	shift := 3
	if hasExp {
		n, err := strconv.Atoi(exp)
		if err != nil || n > 16 || n < -16 {
			return 0, ErrQuantity
		}
		shift += n
	}
	whole, frac, _ := strings.Cut(mantissa, ".")
	negative := strings.HasPrefix(whole, "-")
	whole = strings.TrimPrefix(whole, "-")
	if whole == "" || len(whole) > 24 || len(frac) > 24 || !digits(whole) || !digits(frac) || (strings.Contains(mantissa, ".") && frac == "") {
		return 0, ErrQuantity
	}
	shift -= len(frac)
	all := strings.TrimLeft(whole+frac, "0")
	for shift < 0 && strings.HasSuffix(all, "0") {
		all, shift = all[:len(all)-1], shift+1
	}
	if all == "" {
		return 0, nil
	}
	if shift < 0 || len(all)+shift > 12 {
		return 0, ErrQuantity
	}
	n, err := strconv.ParseInt(all+strings.Repeat("0", shift), 10, 64)
	if err != nil || n > int64(QuantityMax) {
		return 0, ErrQuantity
	}
	if negative {
		n = -n
	}
	return Quantity(n), nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// String writes the shortest exact decimal: 2000 is "2", -500 is "-0.5".
func (q Quantity) String() string {
	sign, n := "", uint64(q)
	if q < 0 {
		sign, n = "-", uint64(-q)
	}
	s := sign + strconv.FormatUint(n/1000, 10)
	if n%1000 != 0 {
		s += "." + strings.TrimRight(strconv.FormatUint(1000+n%1000, 10)[1:], "0")
	}
	return s
}

// MarshalJSON writes q as a decimal number of units.
func (q Quantity) MarshalJSON() ([]byte, error) { return []byte(q.String()), nil }

// UnmarshalJSON reads a JSON number as decimal text; a string or null is refused.
func (q *Quantity) UnmarshalJSON(b []byte) error {
	v, err := ParseQuantity(string(b))
	if err != nil {
		return OutOfRange("qty", string(b), ErrQuantity.Error())
	}
	*q = v
	return nil
}

// Times is q × price, rounded half away from zero to a minor unit. The second
// result is false when the product is outside ±MoneyMax.
func (q Quantity) Times(price Money) (Money, bool) {
	return MulDiv(int64(q), int64(price), 1000)
}

// MulDiv is a × b ÷ c rounded half away from zero, computed without overflow;
// c is above zero. The second result is false outside ±MoneyMax.
func MulDiv(a, b, c int64) (Money, bool) {
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	if high >= uint64(c) {
		return 0, false // the quotient alone exceeds 64 bits
	}
	n, rest := bits.Div64(high, low, uint64(c))
	if n <= uint64(MoneyMax) && rest >= uint64(c)-rest {
		n++
	}
	if n > uint64(MoneyMax) {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -Money(n), true
	}
	return Money(n), true
}

// magnitude is |n|, also for the smallest integer.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}
