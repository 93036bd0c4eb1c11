package bolt_test

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"counterpart/protocol/ledger"
)

// together runs n functions at once and waits for all.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

func TestWritersShareCommits(t *testing.T) {
	const writers, each = 8, 100
	db := open(t, filepath.Join(t.TempDir(), "store.db"), agent)
	together(writers, func(i int) {
		for j := range each {
			if err := put(t.Context(), db, ledger.Row{Key: key(i*each + j), Value: []byte{byte(i*each + j)}}); err != nil {
				t.Errorf("Update: %v", err)
			}
		}
	})
	expectRows(t, db, writers*each)
	s := db.Stats()
	t.Logf("%d calls in %d commits", s.Calls, s.Commits)
	if s.Calls != writers*each || s.Commits > writers*each/2 {
		t.Errorf("%d calls in %d commits", s.Calls, s.Commits)
	}
}

func TestOneWriterCommitsEachCall(t *testing.T) {
	const calls = 50
	db := open(t, filepath.Join(t.TempDir(), "store.db"), agent)
	pagesBefore, before := db.Written()
	fillOne := func(i int) {
		if err := put(t.Context(), db, ledger.Row{Key: key(i), Value: []byte{byte(i)}}); err != nil {
			t.Errorf("Update: %v", err)
		}
	}
	for i := range calls {
		fillOne(i)
	}
	pages, commits := db.Written()
	if commits-before != calls || pages-pagesBefore < 3*calls {
		t.Errorf("%d commits of %d pages for %d calls", commits-before, pages-pagesBefore, calls)
	}
	// What changes nothing costs no commit.
	err := db.Update(t.Context(), func(tx ledger.Tx) error {
		_, err := tx.Load([]ledger.Key{key(1)})
		return err
	})
	if _, after := db.Written(); err != nil || after != commits {
		t.Errorf("%d commits for a call without rows, %v", after-commits, err)
	}
}

// grouped runs calls in one transaction: it holds the committer inside a first
// call, which writes nothing, until the others are waiting. Each call gets its
// own answer.
func grouped(t *testing.T, db ledger.Driver, calls ...func(ledger.Tx) error) []error {
	t.Helper()
	inside, proceed := make(chan struct{}), make(chan struct{})
	errs := make([]error, len(calls))
	var wg sync.WaitGroup
	entered := sync.OnceFunc(func() { close(inside) })
	wg.Go(func() {
		err := db.Update(t.Context(), func(ledger.Tx) error {
			entered()
			<-proceed
			return nil
		})
		if err != nil {
			t.Errorf("Update: %v", err)
		}
	})
	<-inside
	for i, fn := range calls {
		// One after the other into the queue, so that their order is known.
		queued := make(chan struct{})
		wg.Go(func() {
			errs[i] = errExited
			errs[i] = db.Update(&arrival{Context: t.Context(), arrived: queued}, fn)
		})
		<-queued
	}
	close(proceed)
	wg.Wait()
	return errs
}

// TestGroupTakesLateCalls lets a second call arrive while the first one runs:
// both are in one commit.
func TestGroupTakesLateCalls(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "store.db"), agent)
	before := db.Stats().Commits
	inside, proceed, queued := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := db.Update(t.Context(), func(tx ledger.Tx) error {
			close(inside)
			<-proceed
			return tx.Write([]ledger.Row{{Key: key(1), Value: []byte{1}}})
		})
		if err != nil {
			t.Errorf("Update: %v", err)
		}
	})
	<-inside
	wg.Go(func() {
		err := db.Update(&arrival{Context: t.Context(), arrived: queued}, func(tx ledger.Tx) error {
			return tx.Write([]ledger.Row{{Key: key(2), Value: []byte{2}}})
		})
		if err != nil {
			t.Errorf("Update: %v", err)
		}
	})
	<-queued
	close(proceed)
	wg.Wait()
	expectRows(t, db, 2)
	if n := db.Stats().Commits - before; n != 1 {
		t.Errorf("%d commits for two calls", n)
	}
}

// TestLoneCallEndsItsGoroutine ends a goroutine within a call that nobody else
// waits behind, and one within a call that was taken along by another. Neither
// leaves anything, and neither takes another caller with it.
func TestLoneCallEndsItsGoroutine(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "store.db"), agent)
	leave := func(tx ledger.Tx) error {
		_ = tx.Write([]ledger.Row{{Key: key(666), Value: []byte{1}}})
		runtime.Goexit()
		return nil
	}
	together(1, func(int) { _ = db.Update(t.Context(), leave) })
	if err := put(t.Context(), db, ledger.Row{Key: key(1), Value: []byte{1}}); err != nil {
		t.Errorf("Update = %v", err)
	}
	inside, proceed, queued := make(chan struct{}), make(chan struct{}), make(chan struct{})
	first := errExited
	entered := sync.OnceFunc(func() { close(inside) })
	var wg sync.WaitGroup
	wg.Go(func() {
		first = db.Update(t.Context(), func(tx ledger.Tx) error {
			entered()
			<-proceed
			return tx.Write([]ledger.Row{{Key: key(2), Value: []byte{2}}})
		})
	})
	<-inside
	wg.Go(func() { _ = db.Update(&arrival{Context: t.Context(), arrived: queued}, leave) })
	<-queued
	close(proceed)
	wg.Wait()
	if first != nil {
		t.Errorf("Update = %v", first)
	}
	expectRows(t, db, 2)
}

// arrival is a context that tells when Update has put its call into the queue:
// the second time it asks for Done.
type arrival struct {
	context.Context
	arrived chan struct{}
	asked   int
}

func (a *arrival) Done() <-chan struct{} {
	if a.asked++; a.asked == 2 {
		close(a.arrived)
	}
	return a.Context.Done()
}

var (
	errExited = errors.New("the goroutine ended")
	errBefore = errors.New("failed before writing")
	errAfter  = errors.New("failed after writing")
)

// TestGroupReruns puts good calls around those that fail before writing, after
// writing, and by ending their goroutine. The good ones are all stored, in one
// commit, and a call that failed after writing has left nothing that another
// one saw.
func TestGroupReruns(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "store.db"), agent)
	good := func(i int) func(ledger.Tx) error {
		return func(tx ledger.Tx) error {
			if values, err := tx.Load([]ledger.Key{key(666)}); err != nil || values[0] != nil {
				return errors.New("saw a row of a failed call")
			}
			return tx.Write([]ledger.Row{{Key: key(i), Value: []byte{byte(i)}}})
		}
	}
	write := func(tx ledger.Tx) { _ = tx.Write([]ledger.Row{{Key: key(666), Value: []byte{1}}}) }
	_, before := db.Written()
	errs := grouped(t, db,
		good(1),
		func(ledger.Tx) error { return errBefore },
		good(2),
		func(tx ledger.Tx) error { write(tx); return errAfter },
		good(3),
		func(tx ledger.Tx) error { write(tx); runtime.Goexit(); return nil },
		good(4),
	)
	for i, want := range []error{nil, errBefore, nil, errAfter, nil, errExited, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("call %d got %v, want %v", i, errs[i], want)
		}
	}
	expectRows(t, db, 4)
	if _, after := db.Written(); after-before != 1 {
		t.Errorf("%d commits for one group", after-before)
	}
}

// TestGroupDropsCancelledCalls cancels a call that waits behind another one.
func TestGroupDropsCancelledCalls(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "store.db"), agent)
	inside, proceed := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- db.Update(t.Context(), func(tx ledger.Tx) error {
			close(inside)
			<-proceed
			return tx.Write([]ledger.Row{{Key: key(1), Value: []byte{1}}})
		})
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	queued := make(chan struct{})
	second := make(chan error, 1)
	go func() {
		second <- put(&arrival{Context: ctx, arrived: queued}, db, ledger.Row{Key: key(2), Value: []byte{2}})
	}()
	<-queued
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("Update = %v", err)
	}
	close(proceed)
	if err := <-first; err != nil {
		t.Errorf("Update = %v", err)
	}
	expectRows(t, db, 1)
}
