package protocol_test

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"counterpart/protocol"
)

func TestParseQuantity(t *testing.T) {
	for s, want := range map[string]protocol.Quantity{
		"0": 0, "-0": 0, "0.000": 0, "2": 2000, "-0.5": -500, "1.250": 1250, "0.001": 1, "0010": 10_000, "1.0000": 1000,
		"1e3": 1_000_000, "1E+1": 10_000, "15e-1": 1500, "1e-3": 1, "0e16": 0,
		"10000000": protocol.QuantityMax, "-10000000.000": -protocol.QuantityMax,
	} {
		if got, err := protocol.ParseQuantity(s); err != nil || got != want {
			t.Errorf("%q is %d (%v), want %d", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "-", "+1", "--1", ".5", "1.", "1.2.3", "1,5", " 1", "1 ", "0x10", "1_000", "NaN", "Inf", "١", "1e", "e3", "1e1.5", "1e17", "1e-17",
		"0.0001", "1e-4", "10000000.001", "10000001", "-10000001", "99999999999999999999999", "1e16", "1234567890123456789012345", "null", `"2"`,
	} {
		if got, err := protocol.ParseQuantity(s); err == nil {
			t.Errorf("%q is read as %s", s, got)
		}
	}
}

// A quantity is written as the number that it is read from.
func TestQuantityRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := protocol.Quantity(rapid.Int64Range(-int64(protocol.QuantityMax), int64(protocol.QuantityMax)).Draw(t, "quantity"))
		if got, err := protocol.ParseQuantity(q.String()); err != nil || got != q {
			t.Fatalf("%d is written %s and read %d (%v)", int64(q), q, int64(got), err)
		}
		b, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		var got protocol.Quantity
		if err := json.Unmarshal(b, &got); err != nil || got != q {
			t.Fatalf("%d is JSON %s and read %d (%v)", int64(q), b, int64(got), err)
		}
	})
	if got := protocol.Quantity(math.MinInt64).String(); got != "-9223372036854775.808" {
		t.Errorf("the least quantity is written %s", got)
	}
}

func TestQuantityRefusesOtherJSON(t *testing.T) {
	for _, s := range []string{`"2"`, `true`, `0.0001`, `[1]`} {
		var q protocol.Quantity
		if err := json.Unmarshal([]byte(s), &q); err == nil {
			t.Errorf("%s is read as %s", s, q)
		}
	}
}

// MulDiv is exact, against arithmetic of any size.
func TestMulDiv(t *testing.T) {
	check := func(t fataler, a, b, c int64) {
		t.Helper()
		exact := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(a), big.NewInt(b)), big.NewInt(c))
		half := big.NewRat(int64(exact.Sign()), 2)
		exact.Add(exact, half)
		want := new(big.Int).Quo(exact.Num(), exact.Denom()) // truncates toward zero
		fits := want.CmpAbs(big.NewInt(int64(protocol.MoneyMax))) <= 0
		got, ok := protocol.MulDiv(a, b, c)
		if ok != fits || ok && int64(got) != want.Int64() {
			t.Fatalf("%d × %d ÷ %d is %d (%v), want %s (%v)", a, b, c, got, ok, want, fits)
		}
	}
	edges := []int64{math.MinInt64, math.MinInt64 + 1, -1500, -1, 0, 1, 2, 999, int64(protocol.MoneyMax), int64(protocol.MoneyMax) + 1, math.MaxInt64}
	for _, a := range edges {
		for _, b := range edges {
			for _, c := range edges {
				if c > 0 {
					check(t, a, b, c)
				}
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b"), rapid.Int64Min(1).Draw(t, "c"))
	})
}

func TestTimesRoundsHalfAwayFromZero(t *testing.T) {
	for _, test := range []struct {
		quantity protocol.Quantity
		price    protocol.Money
		want     protocol.Money
	}{{450, 1199, 540}, {500, 1, 1}, {-500, 1, -1}, {500, -1, -1}, {499, 1, 0}, {1500, 1, 2}, {2000, 250, 500}} {
		if got, ok := test.quantity.Times(test.price); !ok || got != test.want {
			t.Errorf("%s × %d is %d, want %d", test.quantity, test.price, got, test.want)
		}
	}
}
