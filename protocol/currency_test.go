package protocol_test

import (
	"testing"

	"counterpart/protocol"
)

func TestMoneyDecimal(t *testing.T) {
	for _, c := range []struct {
		amount   protocol.Money
		currency string
		want     string
	}{
		{250, "GBP", "2.50"},
		{5, "EUR", "0.05"},
		{0, "GBP", "0.00"},
		{-1005, "GBP", "-10.05"},
		{250, "JPY", "250"},
		{1250, "KWD", "1.250"},
		{7, "CLF", "0.0007"},
		{protocol.MoneyMax, "GBP", "10000000000.00"},
	} {
		if got := c.amount.Decimal(c.currency); got != c.want {
			t.Errorf("%d %s is %s, want %s", c.amount, c.currency, got, c.want)
		}
	}
}
