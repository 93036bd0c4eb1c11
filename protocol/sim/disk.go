package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// disk is what of a computer outlives its processes. Every commit may be the
// last thing that a process does: before it, or after it and before anybody
// hears of it. A commit may also be reported as failed, kept or not; from then
// on nothing is read or written until another process starts. What was reported
// as committed is never lost.
type disk struct {
	w     *world
	name  string
	who   int // in the trace
	db    *ledger.Memory
	keys  *ledger.Memory // the file of keys beside it; nil: there is none
	watch *watch
	rnd   *rand.Rand
	full  bool
	// version is another number after every commit.
	version uint64
	// crash and fault are the chances of a commit that the process ends with
	// it, and that it is reported as failed.
	crash, fault float64
	recorder     recorder // of the transaction at hand
}

func (w *world) newDisk(name string, who int, crash, fault float64) *disk {
	d := &disk{w: w, name: name, who: who, db: ledger.NewMemory(), rnd: w.source(name + " disk"), crash: crash, fault: fault}
	d.watch = newWatch(w, d)
	return d
}

// process is one run of a program over a disk, the Driver that it has. When it
// has ended, whatever still runs of it can neither read nor write.
type process struct {
	disk   *disk
	failed bool // a commit failed; the process is about to stop
	ended  bool
	died   func() // called soon after the process ended by itself
	// between, if it is not nil, runs after each reading, as what others do at the
	// same time.
	between func()
}

var (
	errEnded = errors.New("the process has ended")
	errFault = errors.New("the disk does not write")
)

type fate uint8

const (
	fateDone  fate = iota
	fateEarly      // the process ends before the commit
	fateLate       // the process ends after the commit, before its answer
	fateFault      // the commit is reported as failed, and is lost
	fateTorn       // the commit is reported as failed, and is there
)

func (d *disk) fate() fate {
	if d.w.quiet || d.crash == 0 && d.fault == 0 {
		return fateDone
	}
	x := d.rnd.Float64()
	switch {
	case x < d.crash/2:
		return fateEarly
	case x < d.crash:
		return fateLate
	case x < d.crash+d.fault/2:
		return fateFault
	case x < d.crash+d.fault:
		return fateTorn
	}
	return fateDone
}

// Update runs fn as the disk's state and the process's fate allow.
func (p *process) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if err := p.usable(); err != nil {
		return err
	}
	d, f := p.disk, p.disk.fate()
	rec := &d.recorder
	rec.rows = rec.rows[:0]
	err := d.db.Update(ctx, func(tx ledger.Tx) error {
		rec.Tx, rec.rows = tx, rec.rows[:0]
		if err := fn(rec); err != nil {
			return err
		}
		switch {
		case len(rec.rows) == 0:
		case f == fateEarly:
			return errEnded
		case f == fateFault:
			return errFault
		case d.full && !d.w.quiet:
			return &protocol.Error{Code: protocol.DiskFull, Message: "The disk is full. Nothing was recorded."}
		}
		return d.watch.inspect(tx, rec.rows)
	})
	if len(rec.rows) == 0 {
		return err
	}
	if err == nil {
		d.version++
		d.watch.commit()
		d.w.miss(d.watch.forgotten)
		d.w.counts.Commits++
		d.traced(rec.rows)
	}
	return p.meet(f, err)
}

// usable tells why the process cannot use its disk any more.
func (p *process) usable() error {
	switch {
	case p.ended:
		return errEnded
	case p.failed:
		return errFault
	}
	return nil
}

// meet lets the process meet its fate after a commit, or without one.
func (p *process) meet(f fate, err error) error {
	w := p.disk.w
	switch {
	case errors.Is(err, errEnded), err == nil && f == fateLate:
		w.tell("%s: process ends at a commit, kept: %v", p.disk.name, err == nil)
		p.end()
		return errEnded
	case errors.Is(err, errFault), err == nil && f == fateTorn:
		w.tell("%s: a commit fails, kept: %v", p.disk.name, err == nil)
		p.failed = true
		w.after(upTo(p.disk.rnd, 20*time.Millisecond), p.end)
		return errFault
	}
	return err
}

// end ends the process in the middle of whatever it does.
func (p *process) end() {
	if !p.ended {
		p.ended = true
		p.disk.w.counts.Crashes++
		p.disk.w.after(0, p.died)
	}
}

// View reads, as long as the process lives.
func (p *process) View(ctx context.Context, fn func(ledger.Reader) error) error {
	if err := p.usable(); err != nil {
		return err
	}
	err := p.disk.db.View(ctx, fn)
	if p.between != nil {
		p.between()
	}
	return err
}

// Close leaves the disk as it is.
func (p *process) Close() error { return nil }

// recorder is a Tx that remembers what was written.
type recorder struct {
	ledger.Tx
	rows []ledger.Row
}

func (r *recorder) Write(rows []ledger.Row) error {
	r.rows = append(r.rows, rows...)
	return r.Tx.Write(rows)
}

// traced adds a commit to the trace. Of commits without events, such as of who
// was seen when, a wrong clock may make more or fewer.
func (d *disk) traced(rows []ledger.Row) {
	events := uint64(0)
	for _, r := range rows {
		if r.Key.Table == ledger.Events {
			events++
		}
		d.w.trace.bytes(r.Value)
	}
	if events > 0 {
		d.w.trace.mark('c', d.who, d.w.now, events)
	}
}
