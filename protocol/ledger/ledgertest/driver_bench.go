package ledgertest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"counterpart/protocol/ledger"
)

const (
	benchItems = 10000
	benchRows  = 8
	benchBytes = 128
)

// BenchmarkDriver measures what an agent and a hub do most: a small durable
// update by one and by eight writers, a load and a scan. open returns an empty
// store; the benchmark closes it.
func BenchmarkDriver(b *testing.B, open func(b *testing.B) ledger.Driver) {
	start := func(b *testing.B) ledger.Driver {
		d := open(b)
		b.Cleanup(func() { _ = d.Close() })
		Fill(b, d)
		b.ReportAllocs()
		b.ResetTimer()
		return d
	}
	b.Run("Update1", func(b *testing.B) { benchUpdate(b, start(b), 1) })
	b.Run("Update8", func(b *testing.B) { benchUpdate(b, start(b), 8) })
	b.Run("Load8", func(b *testing.B) {
		d := start(b)
		keys := make([]ledger.Key, benchRows)
		for i := range b.N {
			for j, r := range BenchRows(i) {
				keys[j] = r.Key
			}
			err := d.View(b.Context(), func(r ledger.Reader) error {
				_, err := r.Load(keys)
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Scan100", func(b *testing.B) {
		d := start(b)
		for i := range b.N {
			err := d.View(b.Context(), func(r ledger.Reader) error {
				seen := 0
				return r.Scan(ledger.States, benchID(i%(benchItems-100)), "", func(string, []byte) (bool, error) {
					seen++
					return seen < 100, nil
				})
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Fill writes the rows that the benchmarks change.
func Fill(b *testing.B, d ledger.Driver) {
	b.Helper()
	rows := FillRows()
	if err := d.Update(b.Context(), func(tx ledger.Tx) error { return tx.Write(rows) }); err != nil {
		b.Fatal(err)
	}
}

// FillRows are the states that the benchmarks begin with.
func FillRows() []ledger.Row {
	rows := make([]ledger.Row, benchItems)
	for i := range rows {
		rows[i] = ledger.Row{Key: state(benchID(i)), Value: make([]byte, benchBytes)}
	}
	return rows
}

// BenchRows are the rows of the i-th update: one new event and seven states.
// They are the same for every driver and for the bare engine below it.
func BenchRows(i int) []ledger.Row {
	rows := make([]ledger.Row, benchRows)
	for j := range rows {
		rows[j] = ledger.Row{Key: state(benchID((i*7919 + j*1237) % benchItems)), Value: make([]byte, benchBytes)}
	}
	rows[0].Key = ledger.Key{Table: ledger.Events, ID: fmt.Sprintf("agent/%012d", i)}
	return rows
}

func benchID(i int) string { return fmt.Sprintf("item/%08d", i) }

func benchUpdate(b *testing.B, d ledger.Driver, writers int) {
	var next atomic.Int64
	together(writers, func(int) {
		for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
			rows := BenchRows(int(i))
			if err := d.Update(b.Context(), func(tx ledger.Tx) error { return tx.Write(rows) }); err != nil {
				b.Errorf("Update: %v", err)
				return
			}
		}
	})
}
