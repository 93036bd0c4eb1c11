package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/bolt"
	"counterpart/protocol/ledger/ledgertest"
)

func contents(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeyRing(t *testing.T) {
	ledgertest.TestKeyRing(t, func(t *testing.T) (ledger.Scrubber, func() []byte) {
		path := filepath.Join(t.TempDir(), "keys.db")
		return open(t, path, bolt.Options{Kind: "keys", SizeMax: 64 << 20}), func() []byte { return contents(t, path) }
	})
}

// scrubValue is a value that names its row; some are larger than a page.
func scrubValue(i int) []byte {
	size := 50
	if i%40 == 0 {
		size = 20_000
	}
	return append(bytes.Repeat([]byte{byte(i)}, size), fmt.Sprintf("row %08d", i)...)
}

func scrubRows(t *testing.T, db *bolt.DB, rows int) {
	t.Helper()
	for i := 0; i < rows; i += 50 {
		var batch []ledger.Row
		for n := i; n < i+50; n++ {
			batch = append(batch, ledger.Row{Key: key(n), Value: scrubValue(n)})
		}
		if err := put(t.Context(), db, batch...); err != nil {
			t.Fatal(err)
		}
	}
}

// TestScrubLeavesWhatIsThere overwrites a file of many pages, large rows among
// them, from which half was deleted. The rest is there, the file is whole, and
// what was deleted is not in it.
func TestScrubLeavesWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	small := agent
	small.SizeMax = 4 << 20
	db := open(t, path, small)
	ctx := t.Context()
	const rows = 2000
	scrubRows(t, db, rows)
	var gone []ledger.Row
	for i := 1; i < rows; i += 2 {
		gone = append(gone, ledger.Row{Key: key(i)})
	}
	gone = append(gone, ledger.Row{Key: key(40)})
	if err := put(ctx, db, gone...); err != nil {
		t.Fatal(err)
	}
	traces := func() (is [rows]bool) {
		b := contents(t, path)
		for i := range is {
			is[i] = bytes.Contains(b, fmt.Appendf(nil, "row %08d", i))
		}
		return is
	}
	if is := traces(); !is[1] || !is[40] {
		t.Fatal("what was deleted is not in the file: this test shows nothing")
	}
	for range 2 {
		if err := db.Scrub(ctx); err != nil {
			t.Fatal(err)
		}
		for i, is := range traces() {
			if deleted := i%2 == 1 || i == 40; deleted == is {
				t.Fatalf("row %d is in the file: %v", i, is)
			}
		}
		if err := db.Check(ctx); err != nil {
			t.Fatalf("Check: %v", err)
		}
		// The file goes on as before.
		if err := put(ctx, db, ledger.Row{Key: key(rows), Value: []byte("more")}); err != nil {
			t.Fatal(err)
		}
		closeDB(t, db)
		small.Verify = true
		db = open(t, path, small)
	}
	err := db.View(ctx, func(r ledger.Reader) error {
		for i := range rows {
			values, err := r.Load([]ledger.Key{key(i)})
			if err != nil {
				return err
			}
			if deleted := i%2 == 1 || i == 40; deleted && values[0] != nil || !deleted && !bytes.Equal(values[0], scrubValue(i)) {
				t.Errorf("row %d is there: %v", i, values[0] != nil)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestScrubBesideOthers overwrites while others read and write.
func TestScrubBesideOthers(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "store.db"), agent)
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	for w := range 3 {
		others.Go(func() {
			for i := w; ctx.Err() == nil; i += 3 {
				row := ledger.Row{Key: key(i % 500), Value: bytes.Repeat([]byte{1 + byte(i%200)}, 200)}
				if err := put(ctx, db, row); err != nil && ctx.Err() == nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
		others.Go(func() {
			for ctx.Err() == nil {
				err := db.View(ctx, func(r ledger.Reader) error {
					return r.Scan(ledger.Events, "", "", func(id string, v []byte) (bool, error) {
						if len(v) != 200 || v[0] == 0 || bytes.Count(v, v[:1]) != len(v) {
							return false, fmt.Errorf("row %s is %x", id, v)
						}
						return true, nil
					})
				})
				if err != nil && ctx.Err() == nil {
					t.Errorf("View: %v", err)
				}
			}
		})
	}
	for range 30 {
		if err := db.Scrub(ctx); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	others.Wait()
	if err := db.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	closeDB(t, db)
	if err := db.Scrub(t.Context()); !errors.Is(err, bolt.ErrClosed) {
		t.Errorf("Scrub after Close: %v", err)
	}
}

// TestScrubOfAFailedStore leaves a store alone that the disk has failed.
func TestScrubOfAFailedStore(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "store.db"), agent)
	db.BreakDisk()
	if err := put(t.Context(), db, ledger.Row{Key: key(1), Value: []byte("x")}); err == nil {
		t.Fatal("a broken disk was written")
	}
	if err := db.Scrub(t.Context()); err == nil {
		t.Error("a broken disk was overwritten")
	}
}
