// Package bolt is the ledger's driver on bbolt: the agent's store, and the
// hub's where one machine is enough.
//
// What Update returned nil for is on the disk. A file that this package does
// not understand is refused and left byte for byte as it was. After the first
// failed sync nothing is written any more, because the kernel may have dropped
// the pages and a second sync would report success for them.
package bolt

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bbolt "go.etcd.io/bbolt"

	"counterpart/protocol/ledger"
)

const isWindows = runtime.GOOS == "windows"

// The defaults of Options.
const (
	lockTimeoutDefault = 2 * time.Second
	groupWaitDefault   = 300 * time.Microsecond
)

// Options say whose file it is and what it may use.
type Options struct {
	// Kind is "agent", "hub" or "keys". It is written into a new file, and a file of
	// another kind is refused.
	Kind string
	// Owner is the id of the agent or hub. It is written into a new file or
	// into one that has no owner yet; a file of another owner is refused. Empty
	// means that any owner is accepted.
	Owner string
	// SizeMax is the size in bytes that the file may grow to; 0 means no limit.
	// A change that only deletes may exceed it a little: otherwise a full store
	// could never be trimmed.
	SizeMax int64
	// LockTimeout is how long Open waits for another process to close the file.
	LockTimeout time.Duration
	// GroupWait is how long a commit waits for other writers, and only while
	// others are active. Where commits take longer, it waits as long as one.
	GroupWait time.Duration
	// NoWait makes a commit take the calls that are already there, and no others.
	NoWait bool
	// Verify makes Open read every page before it uses the file. It is meant
	// for the start after an unclean stop: it costs time with the file's size.
	Verify bool
	// CheckUnclean checks a file that was not closed in order, before it is used.
	// See CheckApart. Nil means that Open looks at the first pages only.
	CheckUnclean func(path string) error
	// Room tells how many bytes there are for another file in a folder, less
	// than 0 when that is not known. With it Open compacts a file that is mostly
	// free pages.
	Room func(dir string) int64
	// Log gets what staff should know and no caller is told.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.LockTimeout <= 0 {
		o.LockTimeout = lockTimeoutDefault
	}
	if o.GroupWait <= 0 {
		o.GroupWait = groupWaitDefault
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Stats counts since Open.
type Stats struct {
	// Calls is how many calls of Update were answered.
	Calls int64
	// Commits is how many transactions were written for them.
	Commits int64
}

// DB is an open file. It implements ledger.Driver.
type DB struct {
	path   string
	o      Options
	handle handle
	log    *slog.Logger

	// mu and the calls guard the way from open to closed.
	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup

	queue    chan *call
	wake     chan struct{}
	quit     chan struct{}
	stopped  chan struct{}
	inflight atomic.Int64
	answered atomic.Int64
	begun    atomic.Int64 // transactions, as unmap counts them
	commits  atomic.Int64

	failOnce sync.Once
	failed   chan struct{}
	failure  error // set before failed is closed
	sound    bool  // the file was closed in order before, or checked
	settled  settled

	backups   sync.Mutex
	committer committer
}

var _ ledger.Scrubber = (*DB)(nil)

// View runs fn on the state that was committed last. All of it is on the disk.
//
// The pages of that state cannot be used again before fn returns, so a view
// that lasts makes the file grow.
func (db *DB) View(ctx context.Context, fn func(ledger.Reader) error) (err error) {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.calls.Done()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	btx, err := db.handle.bolt.Begin(false)
	if err != nil {
		return broken(db.path, err)
	}
	if ok, err := db.settled.await(ctx, btx.ID(), db.failed); !ok {
		_ = btx.Rollback()
		return cmp.Or(err, db.failure)
	}
	db.unmap(btx)
	s := session{path: db.path, tx: btx}
	t := tx{s: &s}
	defer func() {
		t.s = nil
		_ = btx.Rollback()
		if r := recover(); isFault(r) {
			err = corrupt(db.path, recovered(r))
		} else if r != nil {
			panic(r)
		}
	}()
	if err := fn(reader{&t}); err != nil {
		return err
	}
	return t.err
}

// enter lets a call in, unless the store is closed or has failed.
func (db *DB) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-db.failed:
		return db.failure
	default:
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return ErrClosed
	}
	db.calls.Add(1)
	return nil
}

// Failed is closed when the disk refused a commit. Nothing can be written or
// read any more; the process should stop and be started again.
func (db *DB) Failed() <-chan struct{} { return db.failed }

func (db *DB) fail(cause error) {
	db.failOnce.Do(func() {
		db.failure = broken(db.path, cause)
		db.log.Error("store failed", "path", db.path, "error", cause)
		close(db.failed)
	})
}

// Close waits for running calls and releases the file. A second Close does
// nothing.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	db.mu.Unlock()
	db.calls.Wait()
	close(db.quit)
	<-db.stopped
	if !db.committer.wedged {
		db.noteClean()
	}
	return db.handle.close(db.committer.wedged)
}

// Stats returns the counts since Open.
func (db *DB) Stats() Stats {
	return Stats{Calls: db.answered.Load(), Commits: db.commits.Load()}
}

// SizeBytes is the length of the file, including pages that are free. It is 0
// once the store is closed.
func (db *DB) SizeBytes() int64 {
	info, err := db.handle.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// UsedBytes is how much of the file is in use: what a copy would need. It is 0
// once the store is closed.
func (db *DB) UsedBytes() int64 {
	if err := db.enter(context.Background()); err != nil {
		return 0
	}
	defer db.calls.Done()
	btx, err := db.handle.bolt.Begin(false)
	if err != nil {
		return 0
	}
	defer func() { _ = btx.Rollback() }()
	return btx.Size() - int64(db.handle.bolt.Stats().FreePageN)*pageSize
}

// SizeMax is what UsedBytes can come to before a change is refused, 0 for no
// limit.
func (db *DB) SizeMax() int64 {
	if db.o.SizeMax <= 0 {
		return 0
	}
	return db.o.SizeMax - int64(db.allocSize())
}

// Check reads every page and reports what does not fit. Writers wait until it
// is done. The first pass reads the file with bounds of its own, because the
// check of bbolt may run into memory that is not there on a damaged file, in a
// goroutine where nobody can recover.
func (db *DB) Check(ctx context.Context) (err error) {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.calls.Done()
	btx, err := db.handle.bolt.Begin(true)
	if err != nil {
		return broken(db.path, err)
	}
	defer func() { _ = btx.Rollback() }()
	if err := inspect(db.path, db.handle.file, true, db.log); err != nil {
		return err
	}
	return pageErrors(db.path, btx)
}

// handle is a bbolt database together with the file below it, so that the file
// and its lock can be released when bbolt stopped half-way.
type handle struct {
	bolt *bbolt.DB
	file *os.File
}

// close releases the file. A wedged database holds locks that will never be
// given back: asking bbolt to close it would wait for ever.
func (h handle) close(wedged bool) error {
	if wedged || h.bolt == nil {
		if h.file == nil {
			return nil
		}
		return h.file.Close()
	}
	return h.bolt.Close()
}
