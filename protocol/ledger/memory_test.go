package ledger_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"counterpart/protocol/ledger"
	"counterpart/protocol/ledger/ledgertest"
)

func TestMemory(t *testing.T) {
	ledgertest.TestDriver(t, func(*testing.T) ledger.Driver { return ledger.NewMemory() })
}

func BenchmarkMemory(b *testing.B) {
	ledgertest.BenchmarkDriver(b, func(*testing.B) ledger.Driver { return ledger.NewMemory() })
}

func BenchmarkApplyInMemory(b *testing.B) {
	ledgertest.BenchmarkApply(b, func(*testing.B) ledger.Driver { return ledger.NewMemory() })
}

// TestMemoryCloneIsASnapshot writes to both sides of a clone, and to a clone of
// a store that was closed, as a simulated restart does.
func TestMemoryCloneIsASnapshot(t *testing.T) {
	put := func(m *ledger.Memory, value string) {
		t.Helper()
		err := m.Update(t.Context(), func(tx ledger.Tx) error {
			for i := range 100 {
				k := ledger.Key{Table: ledger.States, ID: fmt.Sprint(i)}
				if err := tx.Write([]ledger.Row{{Key: k, Value: []byte(value)}}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	holds := func(m *ledger.Memory, want string) {
		t.Helper()
		rows := 0
		err := m.View(t.Context(), func(r ledger.Reader) error {
			return r.Scan(ledger.States, "", "", func(id string, value []byte) (bool, error) {
				rows++
				if string(value) != want {
					t.Errorf("%s is %q, want %q", id, value, want)
				}
				return true, nil
			})
		})
		if err != nil || rows != 100 {
			t.Fatalf("%d rows, %v", rows, err)
		}
	}
	m := ledger.NewMemory()
	put(m, "first")
	before := m.Clone()
	put(m, "second")
	other := m.Clone()
	put(other, "third")
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	again := m.Clone()
	holds(before, "first")
	holds(other, "third")
	holds(again, "second")
}

// TestMemoryKeepsManyRows compares what stands in many blocks with a map, while
// rows come and go in random places, also within a transaction that reads them.
func TestMemoryKeepsManyRows(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	m, want := ledger.NewMemory(), map[string]string{}
	for round := range 60 {
		err := m.Update(t.Context(), func(tx ledger.Tx) error {
			for range 100 {
				id := fmt.Sprint(rnd.IntN(3000))
				row := ledger.Row{Key: ledger.Key{Table: ledger.Events, ID: id}}
				if delete(want, id); rnd.IntN(60) > round/2 {
					row.Value = fmt.Append(nil, id, round)
					want[id] = string(row.Value)
				}
				if err := tx.Write([]ledger.Row{row}); err != nil {
					return err
				}
			}
			return holdsRows(tx, want)
		})
		if err == nil {
			err = m.View(t.Context(), func(r ledger.Reader) error { return holdsRows(r, want) })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func holdsRows(r ledger.Reader, want map[string]string) error {
	ids := slices.Sorted(maps.Keys(want))
	from := len(ids) / 3
	left := ids[from:]
	err := r.Scan(ledger.Events, ids[from], "", func(id string, value []byte) (bool, error) {
		if len(left) == 0 || left[0] != id || want[id] != string(value) {
			return false, fmt.Errorf("%s is %q, want %.3q to follow", id, value, left)
		}
		left = left[1:]
		return true, nil
	})
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%d rows are missing", len(left))
	}
	for _, id := range ids {
		values, failed := r.Load([]ledger.Key{{Table: ledger.Events, ID: id}})
		if failed != nil || string(values[0]) != want[id] {
			return fmt.Errorf("%s is %q: %w", id, values, failed)
		}
	}
	return err
}
