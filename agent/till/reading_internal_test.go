package till

import (
	"testing"

	"counterpart/protocol/ledger"
)

// TestReading changes what a reading has seen, and what it has not.
func TestReading(t *testing.T) {
	key := func(id string) ledger.Key { return ledger.Key{Table: ledger.States, ID: id} }
	row := func(id string, value []byte) ledger.Row { return ledger.Row{Key: key(id), Value: value} }
	before := []ledger.Row{row("a", []byte("1")), row("empty", []byte{}), row("list/1", []byte("x")), row("list/3", []byte("y")), row("list/4", []byte("z"))}
	for _, c := range []struct {
		name   string
		change ledger.Row
		stops  bool // the scan ends at its second row
		same   bool
	}{
		{"nothing", row("a", []byte("1")), false, true},
		{"a row that was not read", row("b", []byte("2")), false, true},
		{"a row", row("a", []byte("2")), false, false},
		{"a row is gone", row("a", nil), false, false},
		{"an empty row is gone", row("empty", nil), false, false},
		{"a row that was missing", row("none", []byte{}), false, false},
		{"a row of a scan", row("list/3", []byte("Y")), false, false},
		{"a scan has one more in the middle", row("list/2", []byte("n")), false, false},
		{"a scan has one more at the end", row("list/5", []byte("n")), false, false},
		{"a scan has one less", row("list/4", nil), false, false},
		{"a scan has one less before its stop", row("list/1", nil), true, false},
		{"behind the stop of a scan", row("list/4", nil), true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			driver := ledger.NewMemory()
			write := func(rows ...ledger.Row) {
				if err := driver.Update(t.Context(), func(tx ledger.Tx) error { return tx.Write(rows) }); err != nil {
					t.Fatal(err)
				}
			}
			view := func(fn func(ledger.Reader) error) {
				if err := driver.View(t.Context(), fn); err != nil {
					t.Fatal(err)
				}
			}
			write(before...)
			var seen reading
			view(func(r ledger.Reader) error {
				seen.Reader = r
				if _, err := seen.Load([]ledger.Key{key("a"), key("empty"), key("none")}); err != nil {
					return err
				}
				return seen.Scan(ledger.States, "list/", "list0", func(id string, _ []byte) (bool, error) { return !c.stops || id != "list/3", nil })
			})
			write(c.change)
			view(func(r ledger.Reader) error {
				same, err := seen.same(r)
				if same != c.same {
					t.Errorf("same = %v", same)
				}
				return err
			})
		})
	}
}
