package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// ending is a driver whose process ends at one of its steps, a commit or the
// overwriting of what was deleted: before it, or when it is done and nobody was
// told.
type ending struct {
	ledger.Scrubber
	left  int // steps until then
	after bool
	ended bool
}

var errEnded = errors.New("the process has ended")

func (e *ending) step(do func() error) error {
	if e.ended {
		return errEnded
	}
	if e.left--; e.left > 0 {
		return do()
	}
	e.ended = true
	if e.after {
		if err := do(); err != nil {
			return err
		}
	}
	return errEnded
}

func (e *ending) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return e.step(func() error { return e.Scrubber.Update(ctx, fn) })
}

func (e *ending) Scrub(ctx context.Context) error {
	return e.step(func() error { return e.Scrubber.Scrub(ctx) })
}

// ringSurvives ends the process at each step of each change. The ring then opens
// and holds all of the change or nothing, and of what was erased nothing is in
// the file.
func ringSurvives(t *testing.T, d ringDisk) {
	subjects := []string{"m-1", "m-2", "m-3", "m-4"}
	before, more := newKeys("m-1", "m-2"), newKeys("m-1", "m-2", "m-3", "m-4")
	changes := []struct {
		name  string
		wrap  [32]byte
		do    func(*ledger.KeyRing) error
		after map[string]protocol.SubjectKey
		gone  string // whose row must not be in the file after the change
	}{
		{"put", wrapOne, func(r *ledger.KeyRing) error { return r.Put(t.Context(), newKeys("m-3", "m-4")) }, more, ""},
		{"erase", wrapOne, func(r *ledger.KeyRing) error { return r.Erase(t.Context(), []string{"m-2", "m-4"}) }, newKeys("m-1"), "m-2"},
		{"begin anew", wrapTwo, func(r *ledger.KeyRing) error { return r.Put(t.Context(), newKeys("m-3")) }, newKeys("m-3"), "m-1"},
	}
	for _, c := range changes {
		for _, after := range []bool{false, true} {
			for left := 1; ; left++ {
				wipe(t, d)
				putKeys(t, openRing(t, d, wrapOne, 1), before)
				var row []byte
				if c.gone != "" {
					row = ringRow(t, d, "key", c.gone)
				}
				e := &ending{Scrubber: d.Scrubber, left: left, after: after}
				err := c.do(openRing(t, e, c.wrap, 2))
				r := openRing(t, d, c.wrap, 3)
				switch done := isDone(t, r, subjects, c.after); {
				case err == nil && !done:
					t.Fatalf("%s, step %d: confirmed and not done", c.name, left)
				case !done && c.wrap == wrapOne:
					expectKeys(t, r, subjects, before)
					expectErased(t, r)
				case !done && !r.Locked():
					t.Errorf("%s, step %d: half begun", c.name, left)
				case done && row != nil && d.file != nil && bytes.Contains(d.file(), row):
					t.Errorf("%s, step %d (after it: %v): what is gone is in the file still", c.name, left, after)
				}
				// The second try succeeds, whatever the first has left.
				if err := c.do(r); err != nil || !isDone(t, r, subjects, c.after) {
					t.Errorf("%s, step %d: again: %v", c.name, left, err)
				}
				if !e.ended {
					if left < 2 {
						t.Errorf("%s took no step", c.name)
					}
					break
				}
			}
		}
	}
}

// isDone tells whether the ring holds exactly these keys.
func isDone(t *testing.T, r *ledger.KeyRing, subjects []string, want map[string]protocol.SubjectKey) bool {
	t.Helper()
	if r.Locked() {
		return false
	}
	got, err := r.Keys(t.Context(), subjects)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		return false
	}
	for s, key := range want {
		if got[s] != key {
			return false
		}
	}
	return true
}

// wipe deletes all that is in the store.
func wipe(t *testing.T, d ledger.Driver) {
	t.Helper()
	err := d.Update(t.Context(), func(tx ledger.Tx) error {
		var rows []ledger.Row
		err := tx.Scan(ledger.Notes, "", "", func(id string, _ []byte) (bool, error) {
			rows = append(rows, ledger.Row{Key: ledger.Key{Table: ledger.Notes, ID: id}})
			return true, nil
		})
		if err != nil {
			return err
		}
		return tx.Write(rows)
	})
	if err != nil {
		t.Fatal(err)
	}
}
