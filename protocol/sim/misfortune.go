package sim

import (
	"math/rand/v2"
	"time"
)

// fullMax is how long a disk is full at most.
const fullMax = 4 * time.Minute

// misfortune puts the plan's faults, and what operators do, into the calendar.
func (w *world) misfortune() {
	rnd := w.source("misfortune")
	l := w.plan.Line
	for _, m := range w.agents {
		w.every(rnd, l.CutEvery, func() { m.cut(upTo(rnd, time.Duration(l.CutForMin)*time.Minute)) })
		w.every(rnd, l.OneWayEvery, func() { m.oneWay(upTo(rnd, time.Hour>>rnd.IntN(8))) })
		w.every(rnd, l.TakeEvery, func() { m.drop() })
		w.every(rnd, w.plan.Machine.CrashEvery, func() { m.crash(upTo(rnd, time.Hour>>rnd.IntN(10))) })
		w.every(rnd, w.plan.Machine.FullEvery, func() { w.fill(m.disk, upTo(rnd, fullMax)) })
		if w.plan.Machine.Clock {
			w.derange(&m.clock, string(m.origin.Agent))
		}
		if w.plan.Machine.Trim {
			w.every(rnd, 6, m.trim)
		}
	}
	if l.OutageDays > 0 {
		w.outage(rnd, time.Duration(l.OutageDays)*24*time.Hour)
	}
	w.every(rnd, l.HerdEvery, func() { w.tell("herd"); w.broker.herd() })
	w.every(rnd, l.WipeEvery, w.broker.wipe)
	c := w.plan.Cloud
	w.every(rnd, c.CrashEvery, func() { w.cloud.crash(upTo(rnd, time.Duration(c.DownForMin)*time.Minute+time.Second)) })
	w.every(rnd, c.FullEvery, func() { w.fill(w.cloud.disk, upTo(rnd, fullMax)) })
	if c.Clock {
		w.derange(&w.cloud.clock, "hub")
	}
	w.operators(rnd)
}

// derange sets a clock wrong, differently every so often.
func (w *world) derange(c *clock, whose string) {
	rnd := w.source("clock of " + whose)
	c.derange(rnd)
	w.every(rnd, 15, func() { c.derange(rnd) })
}

// upTo draws a length of time.
func upTo(rnd *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(rnd.Int64N(int64(max(most, 1))))
}

// outage cuts one machine off, or all, for days.
func (w *world) outage(rnd *rand.Rand, d time.Duration) {
	one := rnd.IntN(2 * len(w.agents))
	w.schedule(upTo(rnd, 48*time.Hour), func() {
		for i, m := range w.agents {
			if one >= len(w.agents) || one == i {
				m.cut(d)
			}
		}
	})
}

// fill makes a disk full for a while.
func (w *world) fill(d *disk, long time.Duration) {
	w.tell("%s: disk full for %v", d.name, long)
	d.full = true
	w.after(long, func() { d.full = false })
}

// operators plan what is asked of the hub.
func (w *world) operators(rnd *rand.Rand) {
	within := time.Duration(w.plan.Hours) * time.Hour
	c, b := w.cloud, w.plan.Business
	for range b.Imports {
		w.schedule(upTo(rnd, within), func() { c.operate("import of items", c.importItems) })
	}
	for range b.Primaries {
		w.schedule(upTo(rnd, within), func() { c.operate("change of a store", c.elect) })
	}
	for range b.Loads {
		w.schedule(upTo(rnd, within), func() { c.operate("stock load", c.stock) })
	}
}
