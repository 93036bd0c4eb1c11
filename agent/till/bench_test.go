package till_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
	"counterpart/protocol/sale"
)

const benchItems = 50_000

func benchShop(b *testing.B) *shopTest {
	s := open(b, boltDriver(b, filepath.Join(b.TempDir(), "agent.db")))
	s.stockUp(benchItems)
	return s
}

func benchSale(i int) sale.Request {
	line := func(n int) sale.Line {
		return sale.Line{Code: benchGTIN(n * 7919 % benchItems)[1:], Qty: units(1), UnitPriceMinor: money(250)}
	}
	return sale.Request{
		Till: fmt.Sprint(i % 8), Staff: "s7",
		Lines:   []sale.Line{line(3 * i), line(3*i + 1), line(3*i + 2)},
		Tenders: []sale.Tender{{Type: "cash", AmountMinor: money(1000)}},
	}
}

// BenchmarkSell is a sale of three lines out of 50,000 items, as one till after
// the other and as eight at once.
func BenchmarkSell(b *testing.B) {
	for _, keyed := range []bool{false, true} {
		for _, tills := range []int{1, 8} {
			b.Run(fmt.Sprintf("key=%v/tills=%d", keyed, tills), func(b *testing.B) {
				s := benchShop(b)
				var n atomic.Int64
				b.ReportAllocs()
				b.SetParallelism(max(1, tills/2))
				b.ResetTimer()
				sell := func() {
					i := int(n.Add(1))
					c := noCall("POST /v1/sales")
					if keyed {
						c = saleCall(fmt.Sprint("key-", i), exampleSale)
					}
					if _, err := s.till.Sell(context.Background(), c, benchSale(i)); err != nil {
						b.Error(err)
					}
				}
				if tills == 1 {
					for b.Loop() {
						sell()
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						sell()
					}
				})
			})
		}
	}
}

// BenchmarkSellMemory is the same without a disk: what a sale costs in the CPU.
func BenchmarkSellMemory(b *testing.B) {
	s := memory(b)
	s.stockUp(benchItems)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := s.till.Sell(context.Background(), noCall("POST /v1/sales"), benchSale(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBareDriver writes the rows that a sale writes, with nothing around
// them: what no till can be faster than.
func BenchmarkBareDriver(b *testing.B) {
	for _, tills := range []int{1, 8} {
		b.Run(fmt.Sprintf("tills=%d", tills), func(b *testing.B) {
			s := benchShop(b)
			written := &recording{Driver: s.driver}
			s.till = bare(b, written, originA, s.clock).till
			if _, err := s.till.Sell(context.Background(), noCall("POST /v1/sales"), benchSale(0)); err != nil {
				b.Fatal(err)
			}
			var n atomic.Int64
			write := func() {
				i := int(n.Add(1))
				rows := written.like(i)
				if err := s.driver.Update(context.Background(), func(tx ledger.Tx) error { return tx.Write(rows) }); err != nil {
					b.Error(err)
				}
			}
			b.ReportAllocs()
			b.SetParallelism(max(1, tills/2))
			b.ResetTimer()
			if tills == 1 {
				for b.Loop() {
					write()
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					write()
				}
			})
			if db, ok := s.driver.(*bolt.DB); ok {
				b.ReportMetric(float64(db.Stats().Calls)/float64(db.Stats().Commits), "calls/commit")
			}
		})
	}
}

// recording is a driver that keeps the rows which were written last.
type recording struct {
	ledger.Driver
	rows []ledger.Row
}

func (d *recording) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return d.Driver.Update(ctx, func(tx ledger.Tx) error { return fn(&recordingTx{tx, d}) })
}

type recordingTx struct {
	ledger.Tx
	d *recording
}

func (t *recordingTx) Write(rows []ledger.Row) error {
	t.d.rows = append(t.d.rows, rows...)
	return t.Tx.Write(rows)
}

// like makes rows of the same sizes whose keys spread as those of sale i would.
func (d *recording) like(i int) []ledger.Row {
	rows := make([]ledger.Row, 0, len(d.rows))
	level := 0
	for _, r := range d.rows {
		id := []byte(r.Key.ID)
		switch {
		case r.Key.Table == ledger.Events:
			copy(id[len(id)-4:], []byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
		case len(id) > 7 && string(id[:7]) == "receipt":
			id = fmt.Appendf(nil, "receipt\x00a1-%d-1-%d", i%8, i/8)
		case len(id) > 5 && string(id[:5]) == "level":
			id = fmt.Appendf(nil, "level\x00s1\x00SKU-%06d", (3*i+level)*7919%benchItems)
			level++
		}
		rows = append(rows, ledger.Row{Key: ledger.Key{Table: r.Key.Table, ID: string(id)}, Value: r.Value})
	}
	return rows
}

// BenchmarkItems is a search over 50,000 items: the first one after the
// catalogue changed, and one more.
func BenchmarkItems(b *testing.B) {
	for _, cold := range []bool{true, false} {
		b.Run(fmt.Sprintf("cold=%v", cold), func(b *testing.B) {
			s := benchShop(b)
			for b.Loop() {
				if cold {
					s.till = bare(b, s.driver, originA, s.clock).till
				}
				if _, _, err := s.till.Items(context.Background(), "kind 4999", 50, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
