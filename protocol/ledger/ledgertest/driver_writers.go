package ledgertest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"counterpart/protocol/ledger"
)

const (
	writers = 16
	rounds  = 40
)

func expectCount(t *testing.T, d ledger.Driver, id string, want uint64) {
	t.Helper()
	err := d.View(t.Context(), func(r ledger.Reader) error {
		got, err := count(r, id)
		if err == nil && got != want {
			t.Errorf("counter %s is %d, want %d", id, got, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func losesNoUpdate(t *testing.T, d ledger.Driver) {
	together(writers, func(i int) {
		for range rounds {
			own := fmt.Sprintf("own-%d", i)
			if err := d.Update(t.Context(), func(tx ledger.Tx) error { return add(tx, "all", own) }); err != nil {
				t.Errorf("Update: %v", err)
			}
		}
	})
	expectCount(t, d, "all", writers*rounds)
	for i := range writers {
		expectCount(t, d, fmt.Sprintf("own-%d", i), rounds)
	}
}

// givesOwnAnswers mixes calls that succeed with calls that fail before and
// after they wrote, and with calls that panic. Whatever shares a transaction,
// each caller gets the answer of its own function, and only the rows of the
// calls that succeeded stay.
func givesOwnAnswers(t *testing.T, d ledger.Driver) {
	var good atomic.Uint64
	one := func(kind int) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = r.(error)
			}
		}()
		return d.Update(t.Context(), func(tx ledger.Tx) error {
			if kind == 1 {
				return errWanted
			}
			if err := add(tx, "all"); err != nil {
				return err
			}
			switch kind {
			case 2:
				return errWanted
			case 3:
				panic(errWanted)
			}
			return nil
		})
	}
	together(writers, func(i int) {
		for j := range rounds {
			kind := (i + j*7) % 6
			err := one(kind)
			switch failing := kind >= 1 && kind <= 3; {
			case failing && !errors.Is(err, errWanted):
				t.Errorf("a failing call got %v", err)
			case !failing && err != nil:
				t.Errorf("a good call got %v", err)
			case !failing:
				good.Add(1)
			}
		}
	})
	expectCount(t, d, "all", good.Load())
}

// viewsOneState moves units between two counters and looks at both all the
// time: their sum never changes.
func viewsOneState(t *testing.T, d ledger.Driver) {
	const sum = 1000
	write(t, d, counter("left", sum), counter("right", 0))
	done := make(chan struct{})
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			err := d.View(t.Context(), func(r ledger.Reader) error {
				left, errLeft := count(r, "left")
				right, errRight := count(r, "right")
				if left+right != sum {
					t.Errorf("%d + %d is not %d", left, right, sum)
				}
				return errors.Join(errLeft, errRight)
			})
			if err != nil {
				t.Errorf("View: %v", err)
				return
			}
		}
	}()
	together(4, func(int) {
		for range rounds {
			err := d.Update(t.Context(), func(tx ledger.Tx) error {
				left, err := count(tx, "left")
				if err != nil {
					return err
				}
				// Two writes: a reader must never see the first one alone.
				return errors.Join(tx.Write([]ledger.Row{counter("left", left-1)}), add(tx, "right"))
			})
			if err != nil {
				t.Errorf("Update: %v", err)
			}
		}
	})
	close(done)
	<-looked
	expectCount(t, d, "right", 4*rounds)
}

// viewsDuringUpdate would never end if a view waited for the writer.
func viewsDuringUpdate(t *testing.T, d ledger.Driver) {
	write(t, d, row("a", "old"))
	inside, proceed := make(chan struct{}), make(chan struct{})
	finished := make(chan error, 1)
	go func() {
		first := true
		finished <- d.Update(t.Context(), func(tx ledger.Tx) error {
			err := tx.Write([]ledger.Row{row("a", "new")})
			if first {
				first = false
				close(inside)
				<-proceed
			}
			return err
		})
	}()
	<-inside
	expect(t, d, "", "", "a=old")
	close(proceed)
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	expect(t, d, "", "", "a=new")

	// The other way round: a view that has begun keeps its state while a writer
	// commits, and the writer does not wait for it.
	err := d.View(t.Context(), func(r ledger.Reader) error {
		write(t, d, row("a", "newer"))
		if got, _, err := load(r, state("a")); err != nil || got != "new" {
			t.Errorf("the view sees %q, %v, want what was there when it began", got, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, d, "", "", "a=newer")
}
