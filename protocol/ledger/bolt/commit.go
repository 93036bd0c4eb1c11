package bolt

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	bbolt "go.etcd.io/bbolt"

	"counterpart/protocol/ledger"
)

// groupMax is how many calls one transaction takes.
const groupMax = 64

// activeFor is how many times GroupWait the memory of other writers lasts.
const activeFor = 10

// The states of a call. Whoever moves it out of callWaiting decides: the
// committer starts it, or the caller drops it.
const (
	callWaiting int32 = iota
	callStarted
	callDropped
)

// call is one Update on its way through the committer.
type call struct {
	fn    func(ledger.Tx) error
	tx    tx
	state atomic.Int32
	done  chan struct{}

	// The answer. It counts when done is closed.
	err    error
	thrown any  // what fn panicked with
	exited bool // fn called runtime.Goexit
	// decided means that fn has failed. Its answer is given out only after the
	// calls before it, which it has seen, are committed.
	decided bool
}

// committer is the state of the one goroutine that writes.
type committer struct {
	group   []*call
	running *call
	session session
	solo    bool // each call of the group gets its own transaction
	wedged  bool // bbolt stopped half-way and holds its locks

	active  int64     // callers that were there when the last group ended
	lastEnd time.Time // when that was
	timer   *time.Timer
}

// Update runs fn and commits what it wrote, together with other calls that are
// there at the same time. Each sees what those before it wrote.
func (db *DB) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.calls.Done()
	db.inflight.Add(1)
	defer db.inflight.Add(-1)
	c := &call{fn: fn, done: make(chan struct{})}
	select {
	case db.queue <- c:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(callWaiting, callDropped) {
			return ctx.Err()
		}
		<-c.done
	}
	switch {
	case c.exited:
		runtime.Goexit()
	case c.thrown != nil:
		panic(c.thrown)
	}
	return c.err
}

// commitLoop is the only writer of the file. It is started again when a
// function ends it by runtime.Goexit, as a failed test does.
func (db *DB) commitLoop() {
	finished := false
	defer func() {
		if !finished {
			db.afterExit()
			go db.commitLoop()
		}
	}()
	debug.SetPanicOnFault(true)
	m := &db.committer
	for {
		db.settle()
		select {
		case c := <-db.queue:
			m.group = append(m.group, c)
		case <-db.quit:
			finished = true
			close(db.stopped)
			return
		}
		db.gather()
	}
}

// gather adds the calls that are waiting already. It waits for more only while
// other writers were there a moment ago: as many as at the end of the last
// group, and no longer than GroupWait. A lone writer never waits.
func (db *DB) gather() {
	m := &db.committer
	var expired <-chan time.Time
	for len(m.group) < groupMax {
		select {
		case c := <-db.queue:
			m.group = append(m.group, c)
			continue
		default:
		}
		if db.o.NoWait || int64(len(m.group)) >= m.active {
			return
		}
		if expired == nil {
			if time.Since(m.lastEnd) > activeFor*db.o.GroupWait {
				return
			}
			m.timer.Reset(db.o.GroupWait)
			expired = m.timer.C
		}
		select {
		case c := <-db.queue:
			m.group = append(m.group, c)
		case <-expired:
			return
		}
	}
}

// settle runs transactions until every call of the group has its answer.
func (db *DB) settle() {
	m := &db.committer
	for len(m.group) > 0 {
		batch := m.group
		if m.solo {
			batch = batch[:1]
		}
		if db.attempt(batch) {
			db.release(len(batch))
		}
	}
	m.solo = false
}

// release answers the first n calls of the group.
func (db *DB) release(n int) {
	m := &db.committer
	m.active, m.lastEnd = db.inflight.Load(), time.Now()
	for _, c := range m.group[:n] {
		db.answered.Add(1)
		close(c.done)
	}
	rest := copy(m.group, m.group[n:])
	clear(m.group[rest:])
	m.group = m.group[:rest]
}

// attempt runs a batch in one transaction and reports whether its answers are
// final. They are not when a call failed after it had written, or when the
// batch did not fit on the disk as a whole.
func (db *DB) attempt(batch []*call) bool {
	m := &db.committer
	select {
	case <-db.failed:
		return answer(batch, db.failure)
	default:
	}
	btx, err := db.begin()
	if err != nil {
		db.fail(err)
		return answer(batch, db.failure)
	}
	m.session.begin(btx)
	wrote := false
	for _, c := range batch {
		if c.decided || !c.start() {
			continue
		}
		m.running = c
		c.run(&m.session)
		m.running = nil
		if c.decided && c.tx.wrote {
			db.rollback(btx)
			return false
		}
		wrote = wrote || c.tx.wrote
	}
	if !wrote {
		db.rollback(btx)
		return true
	}
	err = db.commit(btx)
	switch {
	case err == nil:
		db.commits.Add(1)
		return true
	case !isDiskFull(err):
		db.fail(err)
		return answer(batch, db.failure)
	case len(batch) > 1:
		// One of them may be the one that makes room, and a call that failed
		// has seen rows that do not exist now.
		m.solo = true
		for _, c := range batch {
			c.decided, c.err, c.thrown = c.exited, nil, nil
		}
		return false
	default:
		return answer(batch, diskFull(db.path, err))
	}
}

// answer gives every call of a batch the same error.
func answer(batch []*call, err error) bool {
	for _, c := range batch {
		c.err, c.thrown = err, nil
	}
	return true
}

// start claims the call, unless its caller has dropped it.
func (c *call) start() bool {
	return c.state.CompareAndSwap(callWaiting, callStarted) || c.state.Load() == callStarted
}

// run gives the call its turn in the transaction.
func (c *call) run(s *session) {
	c.tx = tx{s: s}
	defer func() {
		c.tx.s = nil
		if r := recover(); isFault(r) {
			c.err = corrupt(s.path, recovered(r))
		} else if r != nil {
			c.thrown = r
		}
		c.decided = c.err != nil || c.thrown != nil
	}()
	c.err = c.fn(&c.tx)
	if c.err == nil {
		c.err = c.tx.err
	}
}

// afterExit answers the call whose function ended the goroutine. The others
// run again.
func (db *DB) afterExit() {
	m := &db.committer
	c := m.running
	m.running = nil
	c.exited = true
	c.decided = true
	db.rollback(m.session.tx)
}

// begin, commit and rollback turn a panic inside bbolt into an error. After one
// the state of bbolt is unknown and its locks are held, so the store is wedged.

func (db *DB) begin() (btx *bbolt.Tx, err error) {
	defer db.wedge(&err)
	return db.handle.bolt.Begin(true)
}

func (db *DB) commit(btx *bbolt.Tx) (err error) {
	defer db.wedge(&err)
	m := &db.committer
	if limit := db.sizeMax(); limit > 0 && m.session.deletes > 0 && m.session.deletes >= m.session.puts {
		db.handle.bolt.MaxSize = limit + limit/8 + 256<<10
		defer func() { db.handle.bolt.MaxSize = limit }()
	}
	return btx.Commit()
}

func (db *DB) rollback(btx *bbolt.Tx) {
	var err error
	func() {
		defer db.wedge(&err)
		err = btx.Rollback()
	}()
	if err != nil {
		db.fail(err)
	}
}

func (db *DB) wedge(err *error) {
	if r := recover(); r != nil {
		db.committer.wedged = true
		*err = corrupt(db.path, recovered(r))
	}
}
