package bolt_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	bbolt "go.etcd.io/bbolt"

	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
	"counterpart/protocol/ledger/ledgertest"
)

func BenchmarkBolt(b *testing.B) {
	ledgertest.BenchmarkDriver(b, func(b *testing.B) ledger.Driver {
		return open(b, filepath.Join(b.TempDir(), "store.db"), bolt.Options{Kind: "agent"})
	})
}

func BenchmarkApplyOnBolt(b *testing.B) {
	ledgertest.BenchmarkApply(b, func(b *testing.B) ledger.Driver {
		return open(b, filepath.Join(b.TempDir(), "store.db"), bolt.Options{Kind: "hub"})
	})
}

// BenchmarkAgainstBare runs the same updates through the driver and through
// bare bbolt, in turns in one run, because a disk has moods. It reports how
// many times as many updates the driver makes: for eight writers against Batch
// with the same size and delay, and against one transaction each.
func BenchmarkAgainstBare(b *testing.B) {
	b.Run("Writer1/Update", func(b *testing.B) { against(b, 1, (*bbolt.DB).Update) })
	b.Run("Writer8/Batch", func(b *testing.B) { against(b, 8, (*bbolt.DB).Batch) })
	b.Run("Writer8/Update", func(b *testing.B) { against(b, 8, (*bbolt.DB).Update) })
}

func against(b *testing.B, writers int, update func(*bbolt.DB, func(*bbolt.Tx) error) error) {
	db := open(b, filepath.Join(b.TempDir(), "store.db"), bolt.Options{Kind: "agent"})
	ledgertest.Fill(b, db)
	bare := openBare(b)
	err := bare.Update(func(tx *bbolt.Tx) error { return putBare(tx, ledgertest.FillRows()) })
	if err != nil {
		b.Fatal(err)
	}
	ours := func(rows []ledger.Row) error { return put(b.Context(), db, rows...) }
	theirs := func(rows []ledger.Row) error {
		return update(bare, func(tx *bbolt.Tx) error { return putBare(tx, rows) })
	}
	turn := 25 * writers
	var spentOurs, spentTheirs time.Duration
	b.ResetTimer()
	for done := 0; done < b.N; done += turn {
		n := min(turn, b.N-done)
		spentOurs += race(b, writers, done, n, ours)
		b.StopTimer()
		spentTheirs += race(b, writers, done, n, theirs)
		b.StartTimer()
	}
	b.StopTimer()
	b.ReportMetric(spentTheirs.Seconds()/spentOurs.Seconds(), "x-bare")
	b.ReportMetric(float64(b.N)/spentOurs.Seconds(), "updates/s")
	b.ReportMetric(float64(b.N)/spentTheirs.Seconds(), "bare-updates/s")
}

// race measures n updates by the writers together.
func race(b *testing.B, writers, from, n int, update func([]ledger.Row) error) time.Duration {
	var next atomic.Int64
	begin := time.Now()
	together(writers, func(int) {
		for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
			if err := update(ledgertest.BenchRows(from + int(i))); err != nil {
				b.Errorf("update: %v", err)
				return
			}
		}
	})
	return time.Since(begin)
}

func openBare(b *testing.B) *bbolt.DB {
	b.Helper()
	bare, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = bare.Close() })
	bare.MaxBatchSize, bare.MaxBatchDelay = 8, 300*time.Microsecond
	err = bare.Update(func(tx *bbolt.Tx) error {
		for table := range ledger.TableCount {
			if _, err := tx.CreateBucket([]byte{byte(table)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return bare
}

func putBare(tx *bbolt.Tx, rows []ledger.Row) error {
	for i := range rows {
		bucket := tx.Bucket([]byte{byte(rows[i].Key.Table)})
		if err := bucket.Put([]byte(rows[i].Key.ID), rows[i].Value); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkOpen measures the way from a closed file with 200,000 items to the
// first lookup, beside bare bbolt.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "store.db")
	db := open(b, path, bolt.Options{Kind: "agent"})
	const items = 200_000
	for from := 0; from < items; from += 1000 {
		rows := make([]ledger.Row, 1000)
		for i := range rows {
			rows[i] = ledger.Row{Key: key((from + i) * 7919 % items), Value: make([]byte, 128)}
		}
		if err := put(b.Context(), db, rows...); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	for name, verify := range map[string]bool{"Quick": false, "Verify": true} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				db, err := bolt.Open(path, bolt.Options{Kind: "agent", Verify: verify})
				if err != nil {
					b.Fatal(err)
				}
				err = db.View(b.Context(), func(r ledger.Reader) error {
					_, err := r.Load([]ledger.Key{key(items / 2)})
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
				_ = db.Close()
			}
		})
	}
	b.Run("Bare", func(b *testing.B) {
		for range b.N {
			bare, err := bbolt.Open(path, 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType})
			if err != nil {
				b.Fatal(err)
			}
			_ = bare.View(func(tx *bbolt.Tx) error {
				tx.Bucket([]byte("events")).Get([]byte(key(items / 2).ID))
				return nil
			})
			_ = bare.Close()
		}
	})
}
