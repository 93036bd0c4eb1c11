package ledger_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// orders calls fn with every order of a list.
func orders[T any](list []T, fn func([]T)) {
	if len(list) < 2 {
		fn(slices.Clone(list))
		return
	}
	for i := range list {
		rest := slices.Delete(slices.Clone(list), i, i+1)
		orders(rest, func(tail []T) { fn(append([]T{list[i]}, tail...)) })
	}
}

// states is every row of the state.
func states(t *testing.T, d ledger.Driver) map[string]string {
	t.Helper()
	rows := map[string]string{}
	view(t, d, func(r ledger.Reader) error {
		return r.Scan(ledger.States, "", "", func(id string, v []byte) (bool, error) {
			rows[id] = string(v)
			return true, nil
		})
	})
	return rows
}

// TestExceptionsCommute folds streams in every order: an exception stands in
// the end if and only if the receipts break the rule in the end (I8).
func TestExceptionsCommute(t *testing.T) {
	a, again, b, c := originOf("a1", 1), originOf("a1", 9), originOf("b", 2), originOf("c", 3)
	void := receiptOf(1, -5000, "a1-1-1-1")
	void.Sale.Type = protocol.SaleVoid
	for name, tt := range map[string]struct {
		streams map[protocol.Origin]*protocol.Event
		want    []string
	}{
		"too much comes back": {map[protocol.Origin]*protocol.Event{
			a: receiptOf(1, 5000, ""), b: receiptOf(1, -3000, "a1-1-1-1"), c: receiptOf(1, -3000, "a1-1-1-1"),
		}, []string{ledger.ExceptionOverReturn}},
		"a return that un-returns": {map[protocol.Origin]*protocol.Event{
			a: receiptOf(1, 5000, ""), b: receiptOf(1, -6000, "a1-1-1-1"), c: receiptOf(1, 2000, "a1-1-1-1"),
		}, nil},
		"twins of which the first sold enough": {map[protocol.Origin]*protocol.Event{
			a: receiptOf(1, 5000, ""), again: receiptOf(1, 1000, ""), b: receiptOf(1, -3000, "a1-1-1-1"),
		}, []string{ledger.ExceptionReceiptTwice}},
		"twins of which the second sold enough": {map[protocol.Origin]*protocol.Event{
			a: receiptOf(1, 1000, ""), again: receiptOf(1, 5000, ""), b: receiptOf(1, -3000, "a1-1-1-1"),
		}, []string{ledger.ExceptionOverReturn, ledger.ExceptionReceiptTwice}},
		"twins, a void and a return": {map[protocol.Origin]*protocol.Event{
			a: receiptOf(1, 5000, ""), again: receiptOf(1, 5000, ""), b: void, c: receiptOf(1, -1000, "a1-1-1-1"),
		}, []string{ledger.ExceptionReceiptTwice, ledger.ExceptionVoidAndReturn}},
	} {
		t.Run(name, func(t *testing.T) {
			var first map[string]string
			orders(slices.Collect(maps.Keys(tt.streams)), func(order []protocol.Origin) {
				d := ledger.NewMemory()
				for _, o := range order {
					applyAll(t, d, o, recordOf(t, tt.streams[o]))
				}
				if got := states(t, d); first == nil {
					first = got
				} else if !maps.Equal(first, got) {
					t.Errorf("the order %v gives another state", order)
				}
				var kinds []string
				view(t, d, func(r ledger.Reader) error {
					list, err := ledger.Exceptions(r)
					for _, e := range list {
						kinds = append(kinds, e.Kind)
					}
					return err
				})
				slices.Sort(kinds)
				if !slices.Equal(kinds, tt.want) {
					t.Errorf("the order %v raises %v, want %v", order, kinds, tt.want)
				}
			})
		})
	}
}

// TestRecordsOfATrimmedLog: what is no longer there is never given other
// numbers.
func TestRecordsOfATrimmedLog(t *testing.T) {
	o, d := originOf("a1", 1), ledger.NewMemory()
	update := func(fn func(tx ledger.Tx) error) {
		t.Helper()
		if err := d.Update(context.Background(), fn); err != nil {
			t.Fatal(err)
		}
	}
	for n := range uint64(10) {
		update(func(tx ledger.Tx) error {
			_, err := ledger.Log(tx, o, protocol.Clock{}, receiptOf(n+1, 1000, ""))
			return err
		})
	}
	update(func(tx ledger.Tx) error {
		n, err := ledger.TrimEvents(tx, o.Inc, 6, 100)
		if n != 5 {
			t.Errorf("%d events were trimmed", n)
		}
		return err
	})
	view(t, d, func(r ledger.Reader) error {
		for first := protocol.Seq(1); first <= 11; first++ {
			records, prev, err := ledger.Records(r, o, first, 256, 1<<20)
			if first < 6 {
				if !errors.Is(err, ledger.ErrTrimmed) || len(records) > 0 {
					t.Errorf("from %d on: %d records, %v", first, len(records), err)
				}
				continue
			}
			if err != nil || len(records) != int(11-first) {
				t.Errorf("from %d on: %d records, %v", first, len(records), err)
			}
			for _, rec := range records {
				prev = prev.Next(rec)
			}
			if s, err := ledger.ReadStream(r, o); err != nil || prev != s.Hash {
				t.Errorf("from %d on the chain does not end at the cursor: %v", first, err)
			}
		}
		return nil
	})
}
