package till_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/test/bench/floor"
)

// rowsVariable names the file to which BenchmarkFloor writes what it found, for
// whoever measures the same sale from outside.
const rowsVariable = "COUNTERPART_FLOOR_ROWS"

// rowsSales is how many sales that file holds.
const rowsSales = 400

// floorTurn is how many sales a till makes before the other side has its turn.
const floorTurn = 25

// twin is the same shop on no disk: it tells which rows a sale writes, with the
// very keys and values.
type twin struct {
	shop *shopTest
	rows *recording
}

func newTwin(b *testing.B) *twin {
	rows := &recording{Driver: ledger.NewMemory()}
	t := &twin{shop: open(b, rows), rows: rows}
	t.shop.stockUp(benchItems)
	return t
}

// everything is what stands in the twin's database.
func (t *twin) everything(b *testing.B) []floor.Row {
	var list []floor.Row
	err := t.rows.View(context.Background(), func(r ledger.Reader) error {
		for table := range ledger.TableCount {
			err := r.Scan(table, "", "", func(id string, value []byte) (bool, error) {
				list = append(list, floor.Row{Bucket: bucket(table), Key: []byte(id), Value: bytes.Clone(value)})
				return true, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return list
}

// sell sells and returns what that wrote, in the order in which the driver puts
// it.
func (t *twin) sell(b *testing.B, i int, c protocol.Call) []floor.Row {
	t.rows.rows = nil
	if _, err := t.shop.till.Sell(context.Background(), c, benchSale(i)); err != nil {
		b.Fatal(err)
	}
	slices.SortStableFunc(t.rows.rows, func(a, b ledger.Row) int {
		if a.Key.Table != b.Key.Table {
			return int(a.Key.Table) - int(b.Key.Table)
		}
		return strings.Compare(a.Key.ID, b.Key.ID)
	})
	var list []floor.Row
	for _, r := range t.rows.rows {
		list = append(list, floor.Row{Bucket: bucket(r.Key.Table), Key: []byte(r.Key.ID), Value: bytes.Clone(r.Value)})
	}
	return list
}

func bucket(t ledger.Table) []byte { return fmt.Appendf(nil, "table%d", t) }

// bareStore is bare bbolt with the same buckets and the same content.
func bareStore(b *testing.B, content []floor.Row) *floor.Store {
	var names []string
	for table := range ledger.TableCount {
		names = append(names, string(bucket(table)))
	}
	store, err := floor.Open(filepath.Join(b.TempDir(), "bare.db"), names...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	for chunk := range slices.Chunk(content, 5_000) {
		if err := store.Update(chunk); err != nil {
			b.Fatal(err)
		}
	}
	return store
}

// BenchmarkFloor makes sales of three lines and, in turns in one run, puts what
// each of them wrote into bare bbolt: the same keys and values into as many
// buckets, an Update a sale for one till and Batch for eight.
func BenchmarkFloor(b *testing.B) {
	for _, tills := range []int{1, 8} {
		shop, double := benchShop(b), newTwin(b)
		store := bareStore(b, double.everything(b))
		put := store.Update
		if tills > 1 {
			put = store.Batch
		}
		sold := 0
		b.Run(fmt.Sprintf("tills=%d", tills), func(b *testing.B) {
			b.StopTimer()
			var ours, bare []float64
			var spentOurs, spentBare time.Duration
			for done := 0; done < b.N; {
				n := min(floorTurn*tills, b.N-done)
				first := sold
				rows := make([][]floor.Row, n)
				puts := 0
				for i := range rows {
					rows[i] = double.sell(b, first+i, noCall("POST /v1/sales"))
					puts += len(rows[i])
				}
				b.StartTimer()
				spentOurs += inTurns(b, tills, n, &ours, func(i int) error {
					_, err := shop.till.Sell(context.Background(), noCall("POST /v1/sales"), benchSale(first+i))
					return err
				})
				b.StopTimer()
				spentBare += inTurns(b, tills, n, &bare, func(i int) error { return put(rows[i]) })
				done, sold = done+n, sold+n
				b.ReportMetric(float64(puts)/float64(n), "puts")
			}
			b.ReportMetric(at(ours, 50), "p50-us")
			b.ReportMetric(at(ours, 99), "p99-us")
			b.ReportMetric(at(bare, 50), "bare-p50-us")
			b.ReportMetric(at(bare, 99), "bare-p99-us")
			b.ReportMetric(float64(b.N)/spentOurs.Seconds(), "sales/s")
			b.ReportMetric(float64(b.N)/spentBare.Seconds(), "bare-sales/s")
		})
		if file := os.Getenv(rowsVariable); file != "" && tills == 1 {
			writeRows(b, file, double)
		}
	}
}

// inTurns makes n calls by so many tills and adds how long each took.
func inTurns(b *testing.B, tills, n int, took *[]float64, call func(int) error) time.Duration {
	var next atomic.Int64
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := time.Now()
	for range tills {
		all.Go(func() {
			var mine []float64
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				start := time.Now()
				if err := call(i); err != nil {
					b.Error(err)
				}
				mine = append(mine, float64(time.Since(start).Nanoseconds())/1e3)
			}
			mu.Lock()
			defer mu.Unlock()
			*took = append(*took, mine...)
		})
	}
	all.Wait()
	return time.Since(begin)
}

// at is a percentile.
func at(values []float64, percent int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)*percent/100]
}

// writeRows writes a database and what sales with an idempotency key write to
// it.
func writeRows(b *testing.B, path string, t *twin) {
	content := floor.Rows{Content: t.everything(b)}
	for i := range rowsSales {
		content.Sales = append(content.Sales, t.sell(b, i, saleCall(fmt.Sprint("bench-", i), exampleSale)))
	}
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	if err := gob.NewEncoder(file).Encode(content); err != nil {
		b.Fatal(err)
	}
}
