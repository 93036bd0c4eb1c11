package agent

import (
	"context"
	"time"

	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Times of upkeep.
const (
	upkeepEvery = 30 * time.Second
	lookEvery   = 5 * time.Second
	// lookOften is the pace while there is too little room, so that selling
	// goes on at once when there is some again.
	lookOften   = time.Second
	tellTimeout = 100 * time.Millisecond
)

// keepFor is how long events are kept after they were safe at the hub. With one
// copy at the hub, "safe" is that copy: what is kept beyond it is there for the
// day on which the hub loses its disk, and to show a receipt again. Space
// permitting, that is two weeks. A full disk keeps nothing, so that a store
// which has reached its hub sells on without anybody making room.
func keepFor(s stage) time.Duration {
	switch s {
	case stageOK:
		return 14 * 24 * time.Hour
	case stageTrim:
		return 2 * 24 * time.Hour
	case stageLow:
		return 24 * time.Hour
	case stageReserve:
		return time.Hour
	}
	return 0
}

// Trimming takes steps of trimStep events, each a commit for which a sale may
// have to wait, and rests for trimRest times as long as the step took. At one
// millisecond a step that is 5,000 events a second, and a disk that needs a
// second still sheds more in a day than a busy store sells.
const (
	trimStep    = 500
	trimRest    = 20
	trimRestMin = 100 * time.Millisecond
)

// upkeep watches the disk and trims what is long safe at the hub.
func (a *Agent) upkeep(ctx context.Context) error {
	look, trim := time.NewTimer(0), time.NewTimer(0)
	defer look.Stop()
	defer trim.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			a.lookAtDisk(ctx, trim)
			a.keepHeard(ctx)
			look.Reset(lookPace(a.disk.stage()))
		case <-a.disk.wake:
			a.tellDisk(ctx)
			look.Reset(lookPace(a.disk.stage()))
		case <-trim.C:
			trim.Reset(a.trimSome(ctx))
		}
	}
}

func lookPace(s stage) time.Duration {
	if s >= stageReserve {
		return lookOften
	}
	return lookEvery
}

// lookAtDisk looks, and begins to trim at once where the stage has risen.
func (a *Agent) lookAtDisk(ctx context.Context, trim *time.Timer) {
	before := a.disk.stage()
	now := a.disk.look()
	a.tellDisk(ctx)
	if now > before {
		trim.Reset(0)
	}
}

// tellDisk tells the link, unless that is not listening just now: it is told
// again after the next look.
func (a *Agent) tellDisk(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	d := a.disk.read()
	a.uplink().SetDisk(ctx, d.State, uint64(max(d.FreeBytes, 0)))
}

// trimSome does one step and returns when the next one is due.
func (a *Agent) trimSome(ctx context.Context) time.Duration {
	up := a.uplink().Status()
	if !up.HubHeard {
		return lookEvery // Only a hub that was heard since the start can say what it has.
	}
	began := time.Now()
	before := began.Add(-keepFor(a.disk.stage()))
	more, err := a.trim(ctx, a.origin().Inc, up.Safe, before)
	if err == nil && !more {
		more, err = a.trimOthers(ctx, up.OthersSafe, before)
	}
	switch {
	case err != nil:
		if ctx.Err() == nil {
			a.log.Error("log not trimmed", "error", err)
		}
		return upkeepEvery
	case more:
		return max(trimRestMin, trimRest*time.Since(began))
	case a.disk.stage() > stageOK:
		return lookEvery
	}
	return upkeepEvery
}

// trimOthers does a step in one of the store's other streams.
func (a *Agent) trimOthers(ctx context.Context, heads []protocol.StreamHead, before time.Time) (more bool, err error) {
	for _, h := range heads {
		var safe protocol.Seq
		err := a.db.View(ctx, func(r ledger.Reader) (err error) {
			safe, err = a.spare(r, h)
			return err
		})
		if err == nil && safe > 0 {
			more, err = a.trim(ctx, h.Inc, safe, before)
		}
		if err != nil || more {
			return more, err
		}
	}
	return false, nil
}

// spare is up to where this machine can do without the events of another
// stream that the hub holds safely: they are the same events, and it has done
// its part of what follows from them.
func (a *Agent) spare(r ledger.Reader, h protocol.StreamHead) (protocol.Seq, error) {
	hash, ok, err := ledger.HashAt(r, protocol.EventID{Inc: h.Inc, Seq: h.Seq})
	if err != nil || !ok || hash != h.Hash || h.Inc == a.origin().Inc {
		return 0, err
	}
	if h.Agent != protocol.HubAgent {
		looked, err := till.Looked(r, h.Inc)
		return min(h.Seq, looked), err
	}
	loads, err := ledger.Loads(r, a.origin().Store)
	for _, l := range loads {
		if l.Applied < l.Total {
			return 0, err
		}
	}
	return h.Seq, err
}

// trim deletes a step of a stream's events below the number that the hub has
// safely (I7), where they are older than a time, and tells whether more may be
// left.
func (a *Agent) trim(ctx context.Context, inc protocol.Inc, safe protocol.Seq, before time.Time) (more bool, err error) {
	var below protocol.Seq
	n := 0
	err = a.db.View(ctx, func(r ledger.Reader) error {
		return ledger.ScanEvents(r, inc, 1, func(seq protocol.Seq, _ protocol.Hash, rec protocol.Record) (bool, error) {
			if seq >= safe || rec.WallMs >= before.UnixMilli() || n >= trimStep {
				return false, nil
			}
			n++
			below = seq
			return true, nil
		})
	})
	if err != nil || n < 2 {
		return false, err
	}
	step := func(tx ledger.Tx) error {
		_, err := ledger.TrimEvents(tx, inc, below, trimStep)
		return err
	}
	err = a.db.Update(ctx, step)
	if protocol.CodeOf(err) == protocol.DiskFull {
		a.disk.noTrim()
		err = a.db.Update(ctx, step)
	}
	return n >= trimStep, err
}
