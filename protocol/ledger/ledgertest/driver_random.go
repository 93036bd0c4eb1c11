package ledgertest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"counterpart/protocol/ledger"
)

// model is what a store should hold.
type model map[ledger.Key]string

func (m model) scan(table ledger.Table, from, to string) []string {
	var rows []string
	for k, v := range m {
		if k.Table == table && k.ID >= from && (to == "" || k.ID < to) {
			rows = append(rows, k.ID+"="+v)
		}
	}
	slices.SortFunc(rows, func(a, b string) int {
		x, _, _ := strings.Cut(a, "=")
		y, _, _ := strings.Cut(b, "=")
		return strings.Compare(x, y)
	})
	return rows
}

func (m model) apply(rows []ledger.Row) {
	for _, r := range rows {
		if r.Value == nil {
			delete(m, r.Key)
		} else {
			m[r.Key] = string(r.Value)
		}
	}
}

var (
	someTable = rapid.Custom(func(t *rapid.T) ledger.Table {
		return ledger.Table(rapid.IntRange(0, int(ledger.TableCount)-1).Draw(t, "table"))
	})
	// Few letters make many equal IDs, prefixes and neighbours.
	someID = rapid.Custom(func(t *rapid.T) string {
		letters := rapid.SliceOfN(rapid.SampledFrom([]byte{0x00, 'a', 'b', 0x7f, 0xff}), 1, 4)
		return string(letters.Draw(t, "id"))
	})
	someRows = rapid.Custom(func(t *rapid.T) []ledger.Row {
		rows := make([]ledger.Row, rapid.IntRange(0, 8).Draw(t, "rows"))
		for i := range rows {
			rows[i].Key = ledger.Key{Table: someTable.Draw(t, "table"), ID: someID.Draw(t, "id")}
			if size := rapid.SampledFrom([]int{-1, 0, 1, 30, 600, 9000}).Draw(t, "size"); size >= 0 {
				rows[i].Value = []byte(strings.Repeat(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "byte"), size))
			}
		}
		return rows
	})
)

// followsRandomHistories runs one store through many random histories. Each
// begins by deleting what the one before left.
func followsRandomHistories(t *testing.T, d ledger.Driver) {
	rapid.Check(t, func(rt *rapid.T) {
		m := model{}
		if err := d.Update(t.Context(), clearAll); err != nil {
			rt.Fatal(err)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"update": func(rt *rapid.T) { randomUpdate(t, rt, d, m) },
			"view": func(rt *rapid.T) {
				if err := d.View(t.Context(), func(r ledger.Reader) error { return compare(rt, r, m) }); err != nil {
					rt.Fatal(err)
				}
			},
		})
	})
}

func clearAll(tx ledger.Tx) error {
	for table := range ledger.TableCount {
		var rows []ledger.Row
		err := tx.Scan(table, "", "", func(id string, _ []byte) (bool, error) {
			rows = append(rows, ledger.Row{Key: ledger.Key{Table: table, ID: id}})
			return true, nil
		})
		if err = errors.Join(err, tx.Write(rows)); err != nil {
			return err
		}
	}
	return nil
}

// randomUpdate draws everything before the call, because a driver may run the
// function twice.
func randomUpdate(t *testing.T, rt *rapid.T, d ledger.Driver, m model) {
	steps := rapid.SliceOfN(someRows, 0, 4).Draw(rt, "steps")
	fails := rapid.Bool().Draw(rt, "fails") && rapid.Bool().Draw(rt, "really")
	var after model
	err := d.Update(t.Context(), func(tx ledger.Tx) error {
		after = maps.Clone(m)
		for _, rows := range steps {
			if err := tx.Write(rows); err != nil {
				return err
			}
			after.apply(rows)
			if err := compare(rt, tx, after); err != nil {
				return err
			}
		}
		if fails {
			return errWanted
		}
		return nil
	})
	if fails != errors.Is(err, errWanted) || (err != nil && !fails) {
		rt.Fatalf("Update = %v, fails is %v", err, fails)
	}
	if !fails {
		clear(m)
		maps.Copy(m, after)
	}
}

// compare looks at every row of the model and at one random range per table.
func compare(rt *rapid.T, r ledger.Reader, m model) error {
	for table := range ledger.TableCount {
		got, err := scan(r, table, "", "")
		if want := m.scan(table, "", ""); err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("table %d holds %q, want %q: %w", table, got, want, err)
		}
	}
	keys := slices.Collect(maps.Keys(m))
	values, err := r.Load(keys)
	if err != nil {
		return err
	}
	for i, k := range keys {
		if values[i] == nil || string(values[i]) != m[k] {
			return fmt.Errorf("%v is %q, want %q", k, values[i], m[k])
		}
	}
	table, from, to := someTable.Draw(rt, "scanned"), someID.Draw(rt, "from"), someID.Draw(rt, "to")
	got, err := scan(r, table, from, to)
	if want := m.scan(table, from, to); err != nil || !slices.Equal(got, want) {
		return fmt.Errorf("Scan(%d, %q, %q) = %q, want %q: %w", table, from, to, got, want, err)
	}
	return nil
}
