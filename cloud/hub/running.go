package hub

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

const (
	noteRunning = "running"
	// runningSaveEvery is how much running time a crash may lose.
	runningSaveEvery = 10 * time.Second
	// TickEvery is how often Tick is to be called.
	TickEvery = time.Second
)

// running is the time for which this database has been served, over all starts.
// It never goes back and no clock moves it, so that deadlines are counted in it
// (I17): while the hub is down it stands still, and a crash takes back the last
// seconds, which only delays what is due.
type running struct {
	before time.Duration // what was written down, less the process's own time then
	saved  time.Duration // the running time that is written down
}

// clock is how far the wall clock has been. Where it falls behind that, nobody
// knows how long ago anything was that it was asked about before: era counts how
// often that happened.
type clock struct {
	high time.Time // the latest that it showed
	era  uint64
}

const (
	noteClock = "clock"
	// clockSlack is how far the clock may be corrected backwards without any
	// consequence but that time seems to stand still so long.
	clockSlack = time.Minute
)

// watchClock takes in what the wall clock shows, and tells whether it has fallen
// behind; h.mu is held.
func (h *Hub) watchClock() bool {
	now := h.now()
	switch {
	case now.After(h.clock.high):
		h.clock.high = now
	case h.clock.high.Sub(now) > clockSlack:
		h.log.Warn("the clock was set back; how long stores have been silent is unknown until they are heard", "from", h.clock.high, "to", now)
		h.clock = clock{high: now, era: h.clock.era + 1}
		return true
	}
	return false
}

// running is the running time now. It is safe for concurrent use.
func (h *Hub) running() time.Duration { return h.ran.before + h.mono() }

func (h *Hub) loadRunning(r ledger.Reader) error {
	ms, err := counter(r, noteRunning)
	total := time.Duration(ms) * time.Millisecond
	h.ran = running{before: total - h.mono(), saved: total}
	if err != nil {
		return err
	}
	b, err := ledger.Note(r, noteClock)
	if err == nil && len(b) == 16 {
		h.clock = clock{high: time.UnixMilli(int64(binary.BigEndian.Uint64(b))), era: binary.BigEndian.Uint64(b[8:])}
	}
	return err
}

func (h *Hub) setRunning(tx ledger.Tx, now time.Duration, c clock) error {
	b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(c.high.UnixMilli())), c.era)
	if err := ledger.SetNote(tx, b, noteClock); err != nil {
		return err
	}
	return setCounter(tx, noteRunning, uint64(now.Milliseconds()))
}

// Tick does what is due. It is called every TickEvery, never twice at a time. A
// full disk delays it.
func (h *Hub) Tick(ctx context.Context) error {
	err := h.passDeadlines(ctx)
	if err == nil {
		err = h.saveRunning(ctx)
	}
	if err == nil {
		err = h.tickOutbox(ctx)
	}
	if err == nil {
		err = errors.Join(h.endClaims(ctx), h.sweepLeases(ctx), h.endHolds(ctx), h.saveDemand(ctx), h.pruneReports(ctx), h.forgetGuestCarts(ctx), h.forgetOrders(ctx))
	}
	if protocol.CodeOf(err) == protocol.DiskFull {
		h.log.Error("the hub's disk is full; deadlines wait", "error", err)
		return nil
	}
	return err
}

func (h *Hub) saveRunning(ctx context.Context) error {
	now := h.running()
	h.mu.Lock()
	fell := h.watchClock()
	mark := h.clock
	h.mu.Unlock()
	if !fell && now-h.ran.saved < runningSaveEvery {
		return nil
	}
	err := h.driver.Update(ctx, func(tx ledger.Tx) error { return h.setRunning(tx, now, mark) })
	if err == nil {
		h.ran.saved = now
	}
	return err
}
