package ledger_test

import (
	"fmt"
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
