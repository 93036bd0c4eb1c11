package hub

import (
	"context"
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

// running is the running time now. It is safe for concurrent use.
func (h *Hub) running() time.Duration { return h.ran.before + h.mono() }

func (h *Hub) loadRunning(r ledger.Reader) error {
	ms, err := counter(r, noteRunning)
	total := time.Duration(ms) * time.Millisecond
	h.ran = running{before: total - h.mono(), saved: total}
	return err
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
	if protocol.CodeOf(err) == protocol.DiskFull {
		h.log.Error("the hub's disk is full; deadlines wait", "error", err)
		return nil
	}
	return err
}

func (h *Hub) saveRunning(ctx context.Context) error {
	now := h.running()
	if now-h.ran.saved < runningSaveEvery {
		return nil
	}
	err := h.driver.Update(ctx, func(tx ledger.Tx) error {
		return setCounter(tx, noteRunning, uint64(now.Milliseconds()))
	})
	if err == nil {
		h.ran.saved = now
	}
	return err
}
