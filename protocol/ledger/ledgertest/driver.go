// Package ledgertest has one conformance suite and one benchmark for every
// driver of the ledger.
package ledgertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"counterpart/protocol/ledger"
)

// TestDriver holds a driver to the contract in ledger/driver.go. open returns
// an empty store; the suite closes it.
func TestDriver(t *testing.T, open func(t *testing.T) ledger.Driver) {
	cases := []struct {
		name string
		run  func(*testing.T, ledger.Driver)
	}{
		{"LoadsWhatWasWritten", loadsWhatWasWritten},
		{"KeepsAnEmptyValueApartFromNone", keepsEmptyValue},
		{"ReadsItsOwnWrites", readsItsOwnWrites},
		{"KeepsTablesApart", keepsTablesApart},
		{"OrdersIDsByBytes", ordersByBytes},
		{"ScansBetweenBounds", scansBetweenBounds},
		{"StopsAScan", stopsAScan},
		{"ScansWhileWriting", scansWhileWriting},
		{"TakesTheLaterOfTwoRows", takesTheLaterRow},
		{"LeavesNothingOfAFailedCall", leavesNothingOfAFailedCall},
		{"RefusesRowsItCannotStore", refusesRows},
		{"PassesAPanicToItsCaller", passesAPanic},
		{"DropsACallWhoseContextEnded", dropsCancelled},
		{"CutsOffATransactionThatEnded", cutsOffEnded},
		{"LosesNoUpdate", losesNoUpdate},
		{"GivesEachWriterItsOwnAnswer", givesOwnAnswers},
		{"ViewsOneStateBesideWriters", viewsOneState},
		{"AnswersAViewDuringAnUpdate", viewsDuringUpdate},
		{"RefusesCallsAfterClose", refusesAfterClose},
		{"FollowsRandomHistories", followsRandomHistories},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := open(t)
			c.run(t, d)
			if err := d.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

var errWanted = errors.New("wanted")

func state(id string) ledger.Key { return ledger.Key{Table: ledger.States, ID: id} }

func row(id, value string) ledger.Row { return ledger.Row{Key: state(id), Value: []byte(value)} }

func gone(id string) ledger.Row { return ledger.Row{Key: state(id)} }

func write(t *testing.T, d ledger.Driver, rows ...ledger.Row) {
	t.Helper()
	if err := d.Update(t.Context(), func(tx ledger.Tx) error { return tx.Write(rows) }); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// load returns one value as text, and whether there is one.
func load(r ledger.Reader, k ledger.Key) (string, bool, error) {
	values, err := r.Load([]ledger.Key{k})
	if err != nil {
		return "", false, err
	}
	if len(values) != 1 {
		return "", false, fmt.Errorf("%d values for one key", len(values))
	}
	return string(values[0]), values[0] != nil, nil
}

// scan returns the rows as "id=value" in the order in which they came.
func scan(r ledger.Reader, table ledger.Table, from, to string) ([]string, error) {
	var rows []string
	err := r.Scan(table, from, to, func(id string, value []byte) (bool, error) {
		rows = append(rows, id+"="+string(value))
		return true, nil
	})
	return rows, err
}

func expect(t *testing.T, d ledger.Driver, from, to string, want ...string) {
	t.Helper()
	err := d.View(t.Context(), func(r ledger.Reader) error {
		got, err := scan(r, ledger.States, from, to)
		if err == nil && strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("Scan(%q, %q) = %q, want %q", from, to, got, want)
		}
		return err
	})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
}

func loadsWhatWasWritten(t *testing.T, d ledger.Driver) {
	write(t, d, row("b", "2"), row("a", "1"), row("c", "3"))
	write(t, d, row("b", "two"), gone("c"), gone("never"))
	err := d.View(t.Context(), func(r ledger.Reader) error {
		values, err := r.Load([]ledger.Key{state("c"), state("b"), state("a"), state("b"), state("x"), state("")})
		if err != nil {
			return err
		}
		for i, want := range []string{"", "two", "1", "two", "", ""} {
			if string(values[i]) != want || (values[i] == nil) != (want == "") {
				t.Errorf("value %d is %q, want %q", i, values[i], want)
			}
		}
		if values, err = r.Load(nil); err != nil || len(values) != 0 {
			t.Errorf("Load(nil) = %v, %v", values, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, d, "", "", "a=1", "b=two")
}

func keepsEmptyValue(t *testing.T, d ledger.Driver) {
	empty := ledger.Row{Key: state("empty"), Value: []byte{}}
	look := func(r ledger.Reader) error {
		if _, there, err := load(r, state("empty")); err != nil || !there {
			t.Errorf("the empty value is there: %v, %v", there, err)
		}
		return r.Scan(ledger.States, "", "", func(id string, value []byte) (bool, error) {
			if value == nil {
				t.Errorf("Scan gave nil for %q", id)
			}
			return true, nil
		})
	}
	err := d.Update(t.Context(), func(tx ledger.Tx) error {
		return errors.Join(tx.Write([]ledger.Row{empty}), look(tx))
	})
	if err = errors.Join(err, d.View(t.Context(), look)); err != nil {
		t.Fatal(err)
	}
	write(t, d, gone("empty"))
	expect(t, d, "", "")
}

func readsItsOwnWrites(t *testing.T, d ledger.Driver) {
	write(t, d, row("a", "old"), row("b", "old"))
	err := d.Update(t.Context(), func(tx ledger.Tx) error {
		if err := tx.Write([]ledger.Row{row("a", "new"), gone("b"), row("c", "new")}); err != nil {
			return err
		}
		for id, want := range map[string]string{"a": "new", "b": "", "c": "new"} {
			if got, there, err := load(tx, state(id)); err != nil || got != want || there != (want != "") {
				t.Errorf("%s is %q, %v, %v in the same call", id, got, there, err)
			}
		}
		rows, err := scan(tx, ledger.States, "", "")
		if got := strings.Join(rows, "|"); err != nil || got != "a=new|c=new" {
			t.Errorf("Scan in the same call = %s, %v", got, err)
		}
		return tx.Write([]ledger.Row{row("b", "again"), gone("c")})
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, d, "", "", "a=new", "b=again")
}

func keepsTablesApart(t *testing.T, d ledger.Driver) {
	for table := range ledger.TableCount {
		write(t, d, ledger.Row{Key: ledger.Key{Table: table, ID: "same"}, Value: []byte{'0' + byte(table)}})
	}
	write(t, d, ledger.Row{Key: ledger.Key{Table: ledger.Feeds, ID: "same"}})
	err := d.View(t.Context(), func(r ledger.Reader) error {
		for table := range ledger.TableCount {
			want := []string{"same=" + string('0'+byte(table))}
			if table == ledger.Feeds {
				want = nil
			}
			if got, err := scan(r, table, "", ""); err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
				t.Errorf("table %d has %q, want %q, %v", table, got, want, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ordersByBytes(t *testing.T, d ledger.Driver) {
	ids := []string{"\x00", "\x00\x00", "\x00\xff", "A", "a", "a\x00", "a\x00b", "aa", "a\xff", "b", "ä", "\xff", "\xff\x00", "\xff\xff"}
	var rows []ledger.Row
	var want []string
	for i := range ids {
		rows = append(rows, row(ids[(i*5)%len(ids)], "v"))
		want = append(want, ids[i]+"=v")
	}
	write(t, d, rows...)
	expect(t, d, "", "", want...)
	expect(t, d, "a", "b", want[4:9]...)
	expect(t, d, "a\x00", "a\xff", want[5:8]...)
	expect(t, d, "\xff", "", want[11:]...)
	write(t, d, gone("a\x00"), gone("\xff"))
	expect(t, d, "a", "aa", "a=v", "a\x00b=v")
	expect(t, d, "\xff", "", "\xff\x00=v", "\xff\xff=v")
}

func scansBetweenBounds(t *testing.T, d ledger.Driver) {
	expect(t, d, "", "")
	write(t, d, row("b", "2"), row("d", "4"), row("f", "6"))
	expect(t, d, "", "b")
	expect(t, d, "", "c", "b=2")
	expect(t, d, "b", "d", "b=2")
	expect(t, d, "c", "f", "d=4")
	expect(t, d, "c", "", "d=4", "f=6")
	expect(t, d, "d", "d")
	expect(t, d, "f", "b")
	expect(t, d, "g", "")
}

func stopsAScan(t *testing.T, d ledger.Driver) {
	write(t, d, row("a", "1"), row("b", "2"), row("c", "3"))
	err := d.View(t.Context(), func(r ledger.Reader) error {
		seen := 0
		err := r.Scan(ledger.States, "", "", func(string, []byte) (bool, error) {
			seen++
			return seen < 2, nil
		})
		if err != nil || seen != 2 {
			t.Errorf("saw %d rows, %v, want 2", seen, err)
		}
		err = r.Scan(ledger.States, "", "", func(string, []byte) (bool, error) {
			seen++
			return true, errWanted
		})
		if !errors.Is(err, errWanted) || seen != 3 {
			t.Errorf("saw %d rows, %v, want 3 and the error of the function", seen, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = d.View(t.Context(), func(ledger.Reader) error { return errWanted })
	if !errors.Is(err, errWanted) {
		t.Errorf("View = %v, want the error of its function", err)
	}
}

// scansWhileWriting deletes, adds and loads from inside a scan, also across the
// pages of a large table.
func scansWhileWriting(t *testing.T, d ledger.Driver) {
	const count = 2000
	rows := make([]ledger.Row, count)
	for i := range rows {
		rows[i] = row(fmt.Sprintf("%06d", i), strings.Repeat("x", 40))
	}
	write(t, d, rows...)
	seen := 0
	err := d.Update(t.Context(), func(tx ledger.Tx) error {
		seen = 0
		return tx.Scan(ledger.States, "", "", func(id string, value []byte) (bool, error) {
			if id == "zz" {
				return true, nil
			}
			if want := fmt.Sprintf("%06d", seen); id != want || len(value) != 40 {
				return false, fmt.Errorf("row %q with %d bytes, want %q", id, len(value), want)
			}
			seen++
			if _, there, err := load(tx, state(id)); err != nil || !there {
				return false, fmt.Errorf("%q is not there: %w", id, err)
			}
			if seen%3 == 0 {
				return true, nil
			}
			// The row before, this row, one that is passed already, and one ahead.
			return true, tx.Write([]ledger.Row{gone(id), row("0", "behind"), row("zz", "ahead")})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	err = d.View(t.Context(), func(r ledger.Reader) error {
		return r.Scan(ledger.States, "", "", func(string, []byte) (bool, error) { left++; return true, nil })
	})
	if want := count/3 + 2; err != nil || seen != count || left != want {
		t.Errorf("saw %d rows and left %d, %v, want %d and %d", seen, left, err, count, want)
	}
}

func takesTheLaterRow(t *testing.T, d ledger.Driver) {
	write(t, d, row("b", "1"), row("a", "1"), row("b", "2"), gone("a"), row("c", "1"), gone("c"), row("c", "2"))
	expect(t, d, "", "", "b=2", "c=2")
}

func leavesNothingOfAFailedCall(t *testing.T, d ledger.Driver) {
	write(t, d, row("a", "1"))
	err := d.Update(t.Context(), func(tx ledger.Tx) error {
		if err := tx.Write([]ledger.Row{row("a", "2"), row("b", "2")}); err != nil {
			return err
		}
		return errWanted
	})
	if !errors.Is(err, errWanted) {
		t.Errorf("Update = %v, want the error of its function", err)
	}
	expect(t, d, "", "", "a=1")
	write(t, d, row("c", "3"))
	expect(t, d, "", "", "a=1", "c=3")
}

// refusesRows overlooks the error of Write, as a careless function would. The
// rows beside the refused one are not stored either.
func refusesRows(t *testing.T, d ledger.Driver) {
	for name, bad := range map[string]ledger.Key{
		"no ID": state(""), "no table": {Table: ledger.TableCount, ID: "a"}, "long ID": state(strings.Repeat("x", 32<<10+1)),
	} {
		err := d.Update(t.Context(), func(tx ledger.Tx) error {
			_ = tx.Write([]ledger.Row{row("a", "1"), {Key: bad, Value: []byte("1")}, row("b", "1")})
			return nil
		})
		if err == nil {
			t.Errorf("a row with %s was taken", name)
		}
	}
	expect(t, d, "", "")
}

func passesAPanic(t *testing.T, d ledger.Driver) {
	func() {
		defer func() {
			if r := recover(); r != errWanted {
				t.Errorf("recovered %v, want the panic of the function", r)
			}
		}()
		_ = d.Update(t.Context(), func(tx ledger.Tx) error {
			if err := tx.Write([]ledger.Row{row("a", "1")}); err != nil {
				return err
			}
			panic(errWanted)
		})
	}()
	expect(t, d, "", "")
	write(t, d, row("b", "1"))
	expect(t, d, "", "", "b=1")
}

func dropsCancelled(t *testing.T, d ledger.Driver) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := d.Update(ctx, func(tx ledger.Tx) error { return tx.Write([]ledger.Row{row("a", "1")}) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Update = %v, want the error of the context", err)
	}
	if err := d.View(ctx, func(ledger.Reader) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("View = %v, want the error of the context", err)
	}
	expect(t, d, "", "")
	ctx, cancel = context.WithCancel(t.Context())
	err = d.Update(ctx, func(tx ledger.Tx) error {
		cancel()
		return tx.Write([]ledger.Row{row("b", "1")})
	})
	if err != nil {
		t.Errorf("Update = %v for a call that had begun", err)
	}
	expect(t, d, "", "", "b=1")
}

func cutsOffEnded(t *testing.T, d ledger.Driver) {
	var kept ledger.Tx
	err := d.Update(t.Context(), func(tx ledger.Tx) error {
		kept = tx
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Write([]ledger.Row{row("a", "1")}); err == nil {
		t.Error("a transaction that ended took a row")
	}
	if _, err := kept.Load([]ledger.Key{state("a")}); err == nil {
		t.Error("a transaction that ended loaded a row")
	}
	err = d.View(t.Context(), func(r ledger.Reader) error {
		if _, ok := r.(ledger.Tx); ok {
			t.Error("a view can be turned into a writer")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, d, "", "")
}

func refusesAfterClose(t *testing.T, d ledger.Driver) {
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Update(t.Context(), func(ledger.Tx) error { return nil }); err == nil {
		t.Error("Update worked after Close")
	}
	if err := d.View(t.Context(), func(ledger.Reader) error { return nil }); err == nil {
		t.Error("View worked after Close")
	}
}

// count reads a counter, which begins at 0.
func count(r ledger.Reader, id string) (uint64, error) {
	value, there, err := load(r, state(id))
	if err != nil || !there {
		return 0, err
	}
	return binary.BigEndian.Uint64([]byte(value)), nil
}

func counter(id string, n uint64) ledger.Row {
	return ledger.Row{Key: state(id), Value: binary.BigEndian.AppendUint64(nil, n)}
}

// add raises the counters by one each.
func add(tx ledger.Tx, ids ...string) error {
	for _, id := range ids {
		n, err := count(tx, id)
		if err == nil {
			err = tx.Write([]ledger.Row{counter(id, n+1)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// together runs n functions at once and waits for all.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}
