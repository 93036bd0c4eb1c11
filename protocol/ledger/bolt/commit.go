package bolt

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bbolt "go.etcd.io/bbolt"

	"counterpart/protocol/ledger"
)

// groupMax is how many calls one transaction takes.
const groupMax = 64

// groupWaitMax bounds the wait for other writers, however slow the disk is.
const groupWaitMax = 5 * time.Millisecond

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
	done  chan struct{} // nil while only the caller's own goroutine knows the call

	// The answer. It counts when done is closed.
	err    error
	thrown any  // what fn panicked with
	exited bool // fn called runtime.Goexit
	// decided means that fn has failed. Its answer is given out only after the
	// calls before it, which it has seen, are committed.
	decided bool
}

// committer is the state of the one goroutine that writes: whichever holds turn.
type committer struct {
	turn sync.Mutex

	group   []*call
	running *call
	session session
	wrote   bool // a call of the open transaction wrote
	ran     int  // how many calls of the group ran in it
	lone    bool // the caller of the group's only call runs it
	half    bool // the transaction is left open for commitLoop
	solo    bool // each call of the group gets its own transaction
	wedged  bool // bbolt stopped half-way and holds its locks

	active  int64         // callers that were there when the last group ended
	lastEnd time.Time     // when that was
	waitEnd time.Time     // until when the group waits for others; zero: not yet
	took    time.Duration // how long the last commit took
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
	c := &call{fn: fn}
	if !db.commitAlone(c) {
		if err := db.enqueue(ctx, c); err != nil {
			return err
		}
	}
	switch {
	case c.exited:
		runtime.Goexit()
	case c.thrown != nil:
		panic(c.thrown)
	}
	return c.err
}

// enqueue gives the call to commitLoop and waits for its answer. It fails only
// where the call will never run. A call that has run already only waits.
func (db *DB) enqueue(ctx context.Context, c *call) error {
	if c.done == nil {
		c.done = make(chan struct{})
		select {
		case db.queue <- c:
			db.wakeCommitLoop()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(callWaiting, callDropped) {
			return ctx.Err()
		}
		<-c.done
	}
	return nil
}

// wakeCommitLoop tells it that there is something for it to do. One word is
// enough for many calls.
func (db *DB) wakeCommitLoop() {
	select {
	case db.wake <- struct{}{}:
	default:
	}
}

// commitAlone runs the call and commits it in the caller's own goroutine, which
// saves two changes of goroutine, each with a core that has to wake up. It does
// so only while nobody else writes and lately nobody did. It reports false when
// commitLoop has to answer the call.
//
// Only the caller's own function runs here, because one that ends its goroutine
// must not end another caller's. Where others came while it ran, the
// transaction is left to commitLoop, which takes them along.
func (db *DB) commitAlone(c *call) bool {
	m := &db.committer
	if db.inflight.Load() > 1 || !m.turn.TryLock() {
		return false
	}
	if m.half || len(m.group) > 0 || m.shared(db.o.GroupWait) {
		m.turn.Unlock()
		return false
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	m.lone, m.group = true, append(m.group, c)
	finished := false
	defer func() {
		if !finished {
			db.afterExit()
			db.release(1)
		}
		m.lone, m.solo = false, false
		m.turn.Unlock()
	}()
	n := db.attempt()
	for n == 0 && !m.half {
		n = db.attempt()
	}
	finished = true
	if m.half {
		c.done = make(chan struct{})
		db.wakeCommitLoop()
		return false
	}
	db.release(n)
	return true
}

// shared tells whether others wrote too a moment ago.
func (m *committer) shared(groupWait time.Duration) bool {
	return m.active > 1 && time.Since(m.lastEnd) <= activeFor*groupWait
}

// Idle tells whether an Update that came now would be alone, so that a caller
// holds nobody up who does all of its work in there.
func (db *DB) Idle() bool {
	m := &db.committer
	if db.inflight.Load() > 0 || !m.turn.TryLock() {
		return false
	}
	defer m.turn.Unlock()
	return !m.shared(db.o.GroupWait)
}

// commitLoop writes what commitAlone does not. It is started again, with the
// turn that it had, when a function ends it by runtime.Goexit, as a failed test
// does.
func (db *DB) commitLoop(hasTurn bool) {
	finished := false
	defer func() {
		if !finished {
			db.afterExit()
			go db.commitLoop(true)
		}
	}()
	debug.SetPanicOnFault(true)
	m := &db.committer
	for {
		if !hasTurn {
			select {
			case <-db.wake:
			case <-db.quit:
				finished = true
				close(db.stopped)
				return
			}
			m.turn.Lock()
			if m.half {
				m.half = false
				db.release(db.resume())
			} else {
				// To run the first call at once, while others are on their way,
				// was tried: it takes the CPU from them and makes smaller groups.
				for db.gather() {
				}
			}
		}
		db.settle()
		if hasTurn = false; len(db.queue) > 0 {
			db.wakeCommitLoop()
		}
		m.turn.Unlock()
	}
}

// gather adds one more call to the group, if there is one. It waits for it only
// while other writers were there a moment ago: for as many as at the end of the
// last group, and no longer than GroupWait or a commit takes, since whoever
// comes too late has to wait for a whole one. A lone writer never waits.
func (db *DB) gather() bool {
	m := &db.committer
	if len(m.group) >= groupMax {
		return false
	}
	select {
	case c := <-db.queue:
		m.group = append(m.group, c)
		return true
	default:
	}
	if db.o.NoWait || len(m.group) == 0 || int64(len(m.group)) >= m.active {
		return false
	}
	now := time.Now()
	if m.waitEnd.IsZero() {
		if now.Sub(m.lastEnd) > activeFor*db.o.GroupWait {
			return false
		}
		m.waitEnd = now.Add(max(db.o.GroupWait, min(m.took, groupWaitMax)))
	}
	left := m.waitEnd.Sub(now)
	if left <= 0 {
		return false
	}
	m.timer.Reset(left)
	select {
	case c := <-db.queue:
		m.group = append(m.group, c)
		return true
	case <-m.timer.C:
		return false
	}
}

// settle runs transactions until every call of the group has its answer.
func (db *DB) settle() {
	m := &db.committer
	for len(m.group) > 0 {
		db.release(db.attempt())
	}
	m.solo = false
}

// release answers the first n calls of the group.
func (db *DB) release(n int) {
	if n == 0 {
		return
	}
	m := &db.committer
	m.active, m.lastEnd, m.waitEnd = db.inflight.Load(), time.Now(), time.Time{}
	for _, c := range m.group[:n] {
		db.answered.Add(1)
		if c.done != nil {
			close(c.done)
		}
	}
	rest := copy(m.group, m.group[n:])
	clear(m.group[rest:])
	m.group = m.group[:rest]
}

// attempt runs the group in one transaction and returns how many of its calls
// have their final answers. There are none when a call failed after it had
// written, when the group did not fit on the disk as a whole, or when the
// transaction is left half done for commitLoop.
func (db *DB) attempt() int {
	m := &db.committer
	select {
	case <-db.failed:
		return answer(m.group, db.failure)
	default:
	}
	btx, err := db.begin()
	if err != nil {
		db.fail(err)
		return answer(m.group, db.failure)
	}
	db.unmap(btx)
	m.session.begin(btx)
	m.ran, m.wrote = 0, false
	return db.resume()
}

// resume goes on with the transaction that attempt has begun. Calls that come
// while others run are taken along.
func (db *DB) resume() int {
	m := &db.committer
	btx, n := m.session.tx, m.ran
	for n == 0 || !m.solo {
		if n == len(m.group) {
			if m.lone && len(db.queue) > 0 {
				m.half, m.ran = true, n
				return 0
			}
			if m.lone || !db.gather() {
				break
			}
		}
		c := m.group[n]
		n++
		if c.decided || !c.start() {
			continue
		}
		m.running = c
		c.run(&m.session)
		m.running = nil
		if c.decided && c.tx.wrote {
			db.rollback(btx)
			return 0
		}
		m.wrote = m.wrote || c.tx.wrote
	}
	batch := m.group[:n]
	if !m.wrote {
		db.rollback(btx)
		return n
	}
	err := db.commit(btx)
	switch {
	case err == nil:
		db.commits.Add(1)
		return n
	case !isDiskFull(err):
		db.fail(err)
		return answer(batch, db.failure)
	case n > 1:
		// One of them may be the one that makes room, and a call that failed
		// has seen rows that do not exist now.
		m.solo = true
		for _, c := range batch {
			c.decided, c.err, c.thrown = c.exited, nil, nil
		}
		return 0
	default:
		return answer(batch, diskFull(db.path, err))
	}
}

// answer gives every call of a batch the same error.
func answer(batch []*call, err error) int {
	for _, c := range batch {
		c.err, c.thrown = err, nil
	}
	return len(batch)
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
	id, start := btx.ID(), time.Now()
	if err = btx.Commit(); err == nil {
		db.settled.reach(id)
	}
	m.took = time.Since(start)
	return err
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
