package secondcopy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

const (
	// writeBytes is how much is gathered for one write.
	writeBytes = 1 << 20
	// readBytesMax bounds the events of one record before they are packed.
	readBytesMax = 256 << 10
	// retryDelayMax bounds the wait after the disk failed. The first wait is
	// that between two syncs.
	retryDelayMax = 30 * time.Second
)

// Run copies until ctx ends. That the copy's disk fails is no reason to end: it
// is logged and shown, safe stands still, and it is tried again. When it works
// again everything that was missed follows from the database.
func (c *Copy) Run(ctx context.Context) error {
	delay, told := c.tune.every, time.Time{}
	for more := false; ctx.Err() == nil; {
		if !more && !c.sleep(ctx) {
			break
		}
		var err error
		if more, err = c.round(ctx); err != nil {
			c.failed(err)
			pause(ctx, delay)
			delay, more = min(2*delay, retryDelayMax), true
			continue
		}
		c.recovered()
		delay = c.tune.every
		if more && time.Since(told) < c.tune.every {
			continue
		}
		pause(ctx, c.tune.every-time.Since(told))
		c.tell(ctx)
		told = time.Now()
	}
	return nil
}

// sleep waits until something is to be copied; it is false when ctx has ended.
func (c *Copy) sleep(ctx context.Context) bool {
	select {
	case <-c.wake:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// round copies what waits, at most tune.roundBytes, and syncs it. more tells that
// something still waits. After an error nothing of the round counts: what a
// failed sync has left on the disk is not known, so it is cut off and written
// again.
func (c *Copy) round(ctx context.Context) (more bool, err error) {
	if c.f == nil {
		if err := c.reopen(); err != nil {
			return true, err
		}
	}
	w := writer{to: c.f, at: c.end, last: c.last}
	written := map[protocol.Origin]protocol.Seq{}
	var unread error // of streams that the database did not give
	for ctx.Err() == nil && w.at < c.end+c.tune.roundBytes {
		o, from, upto, ok := c.dequeue()
		if !ok {
			break
		}
		// A stream that grew while it was copied waits again in the same round,
		// and what was written counts only after the sync.
		from = max(from, written[o]+1)
		upto, err = c.copyStream(ctx, &w, o, from, upto, c.end+c.tune.roundBytes)
		if read, ok := errors.AsType[*readError](err); ok {
			// One stream must not hold up the others (I18).
			unread, err = read, nil
		}
		if err != nil {
			break
		}
		written[o] = upto
	}
	if err == nil {
		err = w.finish()
	}
	if err == nil && w.at > c.end {
		err = c.f.Sync()
	}
	if err != nil {
		c.giveUp()
		return true, err
	}
	c.end, c.last = w.at, w.last
	return c.count(written), unread
}

// readError says that the database did not give a stream's events; the file is
// not to blame.
type readError struct {
	origin protocol.Origin
	err    error
}

func (e *readError) Error() string {
	return fmt.Sprintf("stream %s of %s: %v", e.origin.Inc, e.origin.Agent, e.err)
}

func (e *readError) Unwrap() error { return e.err }

// dequeue takes the next stream that is behind.
func (c *Copy) dequeue() (o protocol.Origin, from, upto protocol.Seq, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return o, 0, 0, false
	}
	o = c.queue[0]
	c.queue = c.queue[1:]
	s := c.streams[o]
	s.queued = false
	return o, s.synced + 1, s.head, true
}

// copyStream writes the events of a stream until upto is reached or the file is
// as long as stop, and returns the last number that it wrote.
func (c *Copy) copyStream(ctx context.Context, w *writer, o protocol.Origin, from, upto protocol.Seq, stop int64) (protocol.Seq, error) {
	for from <= upto && w.at+int64(len(w.buf)) < stop && ctx.Err() == nil {
		rec := record{epoch: c.o.Epoch()}
		err := c.o.Driver.View(context.WithoutCancel(ctx), func(r ledger.Reader) (err error) {
			rec.PeerEvents, err = readRun(r, o, from, upto)
			return err
		})
		if err != nil {
			return from - 1, &readError{o, err}
		}
		from = rec.FirstSeq + protocol.Seq(rec.Count)
		if rec.Count == 0 {
			continue // A gap reaches up to upto.
		}
		if err := w.add(rec); err != nil {
			return rec.FirstSeq - 1, err
		}
	}
	return from - 1, nil
}

// readRun reads events of a stream from a number on, as many as make a record.
// Where a gap begins there, the run begins behind it: what is lost stands in the
// hub's own stream as an event.
func readRun(r ledger.Reader, o protocol.Origin, from, upto protocol.Seq) (protocol.PeerEvents, error) {
	ev := protocol.PeerEvents{Origin: o, FirstSeq: from}
	records, prev, err := ledger.Records(r, o, from, int(min(upto-from+1, protocol.FrameEventsMax)), readBytesMax)
	if errors.Is(err, ledger.ErrTrimmed) {
		ev.FirstSeq, records, prev, err = readAtGap(r, o, from)
	}
	if err != nil || len(records) == 0 && ev.FirstSeq <= upto {
		return ev, errors.Join(err, ledger.ErrTrimmed)
	}
	frame, n, err := protocol.CutFrame(records)
	ev.PrevHash, ev.Frame, ev.Count = prev, frame, uint32(n)
	return ev, err
}

// readAtGap reads the events before the next gap, or, where from lies in or
// right behind one, those behind it.
func readAtGap(r ledger.Reader, o protocol.Origin, from protocol.Seq) (first protocol.Seq, records []protocol.Record, prev protocol.Hash, err error) {
	gaps, err := gapsOf(r, o)
	if err != nil {
		return from, nil, prev, err
	}
	behind := false
	for _, g := range gaps {
		if g.From <= from && from <= g.To+1 {
			from, prev, behind = g.To+1, g.Hash, true
		}
	}
	stop := from + protocol.FrameEventsMax
	for _, g := range gaps {
		if g.From > from {
			stop = min(stop, g.From)
		}
	}
	if !behind {
		records, prev, err = ledger.Records(r, o, from, int(stop-from), readBytesMax)
		return from, records, prev, err
	}
	bytesLeft := readBytesMax
	err = ledger.ScanEvents(r, o.Inc, from, func(seq protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
		if seq != from+protocol.Seq(len(records)) || seq >= stop {
			return false, nil
		}
		rec.Body = bytes.Clone(rec.Body)
		records = append(records, rec)
		bytesLeft -= len(rec.Body)
		return bytesLeft > 0, nil
	})
	return from, records, prev, err
}

// gapsOf are the gaps of a stream, in their order.
func gapsOf(r ledger.Reader, o protocol.Origin) ([]ledger.Gap, error) {
	all, err := ledger.Gaps(r, o.Store)
	return slices.DeleteFunc(all, func(g ledger.Gap) bool { return g.Origin != o }), err
}

// count takes over what was synced and tells whether streams are left.
func (c *Copy) count(written map[protocol.Origin]protocol.Seq) (more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for o, seq := range written {
		s := c.streams[o]
		if seq > s.synced {
			s.synced = seq
			c.rose(o, s)
		}
		if seq < s.head {
			more = true
		}
		c.enqueue(o, s)
	}
	return more || len(c.queue) > 0
}

// giveUp closes the file, whose end nobody knows any more, and queues what it
// may lack.
func (c *Copy) giveUp() {
	_ = c.shut() // The error that led here says more.
	c.mu.Lock()
	defer c.mu.Unlock()
	for o, s := range c.streams {
		c.enqueue(o, s)
	}
}

func (c *Copy) failed(err error) {
	since := time.Now()
	c.mu.Lock()
	if c.trouble != nil {
		since = c.trouble.Since
	}
	c.trouble = &Trouble{Since: since, Err: err}
	c.mu.Unlock()
	c.o.Log.Error("the second copy cannot be written; the hub goes on, but what it takes in now is not safe if its own disk is lost. Agents keep it meanwhile",
		"path", c.o.Path, "since", since, "error", err)
}

func (c *Copy) recovered() {
	c.mu.Lock()
	was := c.trouble
	c.trouble = nil
	c.mu.Unlock()
	if was != nil {
		c.o.Log.Info("the second copy is written again", "path", c.o.Path, "troubled_since", was.Since)
	}
}

// writer gathers records and writes them behind each other.
type writer struct {
	to   file
	at   int64 // where buf goes
	last int64 // where the last record begins
	buf  []byte
}

func (w *writer) add(rec record) error {
	begins := w.at + int64(len(w.buf))
	b, err := appendRecord(w.buf, rec)
	if err != nil {
		return err
	}
	w.buf, w.last = b, begins
	if len(w.buf) < writeBytes {
		return nil
	}
	return w.finish()
}

// finish writes what was gathered.
func (w *writer) finish() error {
	n, err := w.to.WriteAt(w.buf, w.at)
	w.at += int64(n)
	w.buf = w.buf[:0]
	return err
}
