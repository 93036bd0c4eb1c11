// Package sim runs the production cores, the agents' sync engine and the hub,
// with the production fold, on a simulated network, clock and disk, and audits
// what they do against books of its own.
//
// A run is a function of its plan alone: one thread, one order of things to
// come, and every random choice drawn from the seed. Time in which nothing can
// happen is skipped: when every machine has delivered and received everything,
// or waits for a line that is down, all running clocks stand still until the
// next thing that the plan has in store. An idle machine's beats lead it back
// to where it was, so a stretch of them is the same as none.
package sim

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"counterpart/protocol"
)

// epochStart is the true time at which every run starts.
var epochStart = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// quietFor is how long faults have stopped at the end of a run. Everything
// converges within it (I20).
const quietFor = 30 * time.Minute

// stepsMax is how many steps a run takes at most: tens of times what any needs.
const stepsMax = 300_000

// world is one simulated chain.
type world struct {
	plan Plan
	ctx  context.Context
	// now is running time, which no skipped stretch is part of; skipped is what
	// true time is ahead of it.
	now, skipped time.Duration
	soon         schedule // in running time: messages, timers, work
	calendar     schedule // in true time: what staff, operators and misfortune do
	order        uint64
	pending      int // of soon, without timers
	stirred      time.Duration

	quiet bool // faults have stopped
	// rightClocks makes all clocks right, whatever the plan does to them.
	rightClocks bool
	// forked says that some stream was begun anew, so that events may have been
	// logged again.
	forked bool
	// void ends a run without a verdict: a machine that was away holds the first
	// part of a gap, and the protocol does not say how it goes on.
	void bool
	// unwrapped is what each record that was looked at logs again, by its
	// fingerprint.
	unwrapped map[uint64]reissued
	readings  readings
	broker    broker
	cloud     *cloud
	shop      *shop // nil: nobody orders
	carts     *carts
	fetching  *fetching
	courier   *courier
	club      *club // nil: nobody is a member
	agents    []*machine
	books     books
	trace     trace
	counts    Counts
	err       error
	story     io.Writer // nil: nobody reads along
	log       *slog.Logger
}

// source is the random numbers of one purpose, so that what one part of a run
// draws does not change what others do.
func (w *world) source(purpose string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	return rand.New(rand.NewPCG(w.plan.Seed, h.Sum64()))
}

// truth is the true time since the start of the run.
func (w *world) truth() time.Duration { return w.now + w.skipped }

// fail keeps the first thing that went wrong.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("seed %d after %v: %s", w.plan.Seed, w.truth(), fmt.Sprintf(format, args...))
		w.tell("FAILED: %v", w.err)
	}
}

// tell adds a line to the story of the run.
func (w *world) tell(format string, args ...any) {
	if w.story != nil {
		fmt.Fprintf(w.story, "%v (%v) %s\n", w.truth(), w.now, fmt.Sprintf(format, args...))
	}
}

// after runs fn when the given running time has passed.
func (w *world) after(delay time.Duration, fn func()) {
	w.order++
	w.pending++
	w.soon.push(coming{at: w.now + max(delay, 0), order: w.order, fn: fn})
}

// timer is after for an engine's deadline, which keeps no idle time from being
// skipped.
func (w *world) timer(at time.Duration, fn func()) {
	w.order++
	w.soon.push(coming{at: max(at, w.now), order: w.order, fn: fn, timer: true})
}

// schedule runs fn when the given true time has passed.
func (w *world) schedule(delay time.Duration, fn func()) {
	w.order++
	w.calendar.push(coming{at: w.truth() + max(delay, 0), order: w.order, fn: fn})
}

// latent is schedule for what is of no interest by itself: it ends no idle
// time.
func (w *world) latent(delay time.Duration, fn func()) {
	w.order++
	w.calendar.push(coming{at: w.truth() + max(delay, 0), order: w.order, fn: fn, timer: true})
}

// every runs fn again and again at random times, the given hours apart in the
// mean, until faults stop.
func (w *world) every(rnd *rand.Rand, mean float64, fn func()) {
	if mean == 0 {
		return
	}
	w.schedule(time.Duration(rnd.ExpFloat64()*float64(hours(mean))), func() {
		if !w.quiet {
			fn()
			w.every(rnd, mean, fn)
		}
	})
}

// run lets true time pass until the given instant.
func (w *world) run(until time.Duration) {
	for w.err == nil && !w.void {
		next, planned := until-w.skipped, false
		if len(w.calendar) > 0 && w.calendar[0].at <= until {
			next, planned = w.calendar[0].at-w.skipped, true
		}
		if len(w.soon) > 0 && w.soon[0].at <= next {
			if w.soon[0].timer && next > w.now && w.idle() {
				w.skip(next - w.now)
				continue
			}
			c := w.soon.pop()
			if !c.timer {
				w.pending--
			}
			w.now = c.at
			if w.counts.Steps++; w.counts.Steps > stepsMax {
				w.fail("it does not come to rest (I20)")
			}
			c.fn()
			continue
		}
		w.now = max(w.now, next)
		if !planned {
			return
		}
		c := w.calendar.pop()
		if !c.timer {
			w.stirred = w.now
		}
		c.fn()
	}
}

// skip lets true time pass while running time stands still.
func (w *world) skip(d time.Duration) {
	w.skipped += d
	w.trace.mark('~', 0, w.truth(), 0)
}

// idle tells whether nothing can happen but that time passes.
func (w *world) idle() bool {
	if w.pending > 0 || w.now-w.stirred < time.Duration(w.plan.LingerMs)*time.Millisecond {
		return false
	}
	for _, m := range w.agents {
		if !m.settled() {
			return false
		}
	}
	return true
}

// coming is something that will happen.
type coming struct {
	at    time.Duration
	order uint64
	timer bool
	fn    func()
}

// schedule is a heap of what is to come, earliest first.
type schedule []coming

func (s schedule) less(i, j int) bool {
	return s[i].at < s[j].at || s[i].at == s[j].at && s[i].order < s[j].order
}

func (s *schedule) push(c coming) {
	*s = append(*s, c)
	h := *s
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(i, up) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (s *schedule) pop() coming {
	h := *s
	c := h[0]
	last := len(h) - 1
	h[0], h[last] = h[last], coming{}
	h = h[:last]
	*s = h
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			return c
		}
		if down+1 < last && h.less(down+1, down) {
			down++
		}
		if !h.less(down, i) {
			return c
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
}

// clock is a wall clock, as wrong as a plan makes it.
type clock struct {
	w      *world
	ahead  time.Duration
	frozen bool
	stands time.Time
}

func (c *clock) wall() time.Time {
	if c.w.rightClocks {
		return epochStart.Add(c.w.truth())
	}
	if c.frozen {
		return c.stands
	}
	return epochStart.Add(c.w.truth() + c.ahead)
}

// years is how far clocks may be off.
const years = 10 * 365 * 24 * time.Hour

// derange sets the clock wrong in some way, or right again.
func (c *clock) derange(rnd *rand.Rand) {
	switch rnd.IntN(6) {
	case 0:
		c.ahead, c.frozen = years, false
	case 1:
		c.ahead, c.frozen = -years, false
	case 2:
		c.ahead, c.frozen = time.Duration(rnd.Int64N(int64(2*time.Hour)))-time.Hour, false
	case 3:
		c.ahead, c.frozen = 0, false
	default:
		c.frozen, c.stands = true, c.wall()
	}
}

// incOf draws the identifier of a new stream.
func incOf(rnd *rand.Rand) (inc protocol.Inc) {
	for i := range inc {
		inc[i] = byte(rnd.Uint32())
	}
	return inc
}
