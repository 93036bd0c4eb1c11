package till_test

import (
	"context"
	"testing"

	"counterpart/protocol/ledger"
)

type counting struct {
	ledger.Driver
	loads, keys, scans int
}

func (d *counting) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return d.Driver.Update(ctx, func(tx ledger.Tx) error { return fn(countingTx{tx, d}) })
}
func (d *counting) View(ctx context.Context, fn func(ledger.Reader) error) error {
	return d.Driver.View(ctx, func(r ledger.Reader) error { return fn(countingR{r, d}) })
}

type countingTx struct {
	ledger.Tx
	d *counting
}
type countingR struct {
	ledger.Reader
	d *counting
}

func (t countingTx) Load(k []ledger.Key) ([][]byte, error) {
	t.d.loads++
	t.d.keys += len(k)
	return t.Tx.Load(k)
}
func (t countingR) Load(k []ledger.Key) ([][]byte, error) {
	t.d.loads++
	t.d.keys += len(k)
	return t.Reader.Load(k)
}

func TestCountLookups(t *testing.T) {
	s := memory(t)
	s.stockUp(benchItems)
	d := &counting{Driver: s.driver}
	s.till = bare(t, d, originA, s.clock).till
	for i := range 3 {
		d.loads, d.keys = 0, 0
		if _, err := s.till.Sell(context.Background(), noCall("POST /v1/sales"), benchSale(i*3)); err != nil {
			t.Log(err)
		}
		t.Log(d.loads, d.keys)
	}
}
