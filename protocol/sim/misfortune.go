package sim

import (
	"math/rand/v2"
	"time"
)

// fullMax is how long a disk is full at most.
const fullMax = 2 * time.Minute

// misfortune puts the plan's faults, and what operators do, into the calendar.
func (w *world) misfortune() {
	rnd := w.source("misfortune")
	l := w.plan.Line
	for _, m := range w.agents {
		w.every(rnd, l.CutEvery, func() { m.cut(upTo(rnd, time.Duration(l.CutForMin)*time.Minute)) })
		w.every(rnd, l.OneWayEvery, func() { m.oneWay(upTo(rnd, time.Hour>>rnd.IntN(8))) })
		w.every(rnd, l.TakeEvery, func() { m.drop() })
		w.every(rnd, w.plan.Machine.CrashEvery, func() { m.crash(upTo(rnd, time.Hour>>rnd.IntN(10))) })
		if w.plan.Machine.Clock {
			w.derange(&m.clock, string(m.origin.Agent))
		}
	}
	if l.OutageDays > 0 {
		w.outage(rnd, time.Duration(l.OutageDays)*24*time.Hour)
	}
	w.every(rnd, l.HerdEvery, func() { w.tell("herd"); w.broker.herd() })
	w.every(rnd, l.WipeEvery, w.broker.wipe)
	c := w.plan.Cloud
	w.every(rnd, c.CrashEvery, func() { w.cloud.crash(upTo(rnd, time.Duration(c.DownForMin)*time.Minute+time.Second)) })
	if c.Clock {
		w.derange(&w.cloud.clock, "hub")
	}
	w.operators(rnd)
	w.disasters()
	if w.plan.Machine.FullAtEnd {
		w.schedule(time.Duration(w.plan.Hours)*time.Hour-time.Minute, w.fillLast)
	}
}

// fillLast makes the disk of the first machine full while what its sibling does
// last comes down.
func (w *world) fillLast() {
	w.fill(w.agents[0].disk, fullMax)
	for range 3 {
		w.schedule(upTo(w.agents[0].rnd, 40*time.Second), func() {
			if m := w.agents[1]; m.running() {
				m.staff.sell()
			}
		})
	}
}

// disasters plan what happens to disks.
func (w *world) disasters() {
	d, rnd := w.plan.Disaster, w.source("disasters")
	if d == (Disaster{}) {
		return
	}
	within := time.Duration(w.plan.Hours-1) * time.Hour
	for _, m := range w.agents {
		w.every(rnd, 5, m.keepCopy)
	}
	w.every(rnd, 6, w.cloud.keepBackup)
	for range d.Backup {
		w.schedule(upTo(rnd, within), func() { w.cloud.bringBack(byCommand) })
	}
	for range d.Older {
		w.schedule(upTo(rnd, within), func() { w.cloud.bringBack(byNobody) })
	}
	for range d.Recent {
		w.schedule(upTo(rnd, within), w.cloud.bringBackRecent)
	}
	for range d.Gap {
		w.schedule(within/2+upTo(rnd, within/2), func() { w.cloud.bringBack(byCommandWithGaps) })
	}
	some := func(n int, fn func(*machine)) {
		for range n {
			w.schedule(upTo(rnd, within), func() { fn(w.agents[rnd.IntN(len(w.agents))]) })
		}
	}
	some(d.Restore, func(m *machine) { m.rollBack("restore") })
	some(d.Witness, func(m *machine) { m.rollBack("witness") })
	some(d.Silent, func(m *machine) { m.rollBack("silent") })
	some(d.Cloned, func(m *machine) { m.clone("witness") })
	some(d.Twin, func(m *machine) { m.clone("silent") })
	some(d.Replace, (*machine).replace)
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
	w.schedule(long, func() { d.full = false })
}

// troubleWork now and then lets a disk become full, or a connection end, while
// people work.
func (w *world) troubleWork(m *machine) {
	if chance := w.plan.Line.TakeAtWork; chance > 0 && !w.quiet && m.rnd.Float64() < chance {
		w.after(upTo(m.rnd, w.plan.pace()*time.Duration(w.plan.Burst)), m.drop)
	}
	if m.rnd.Float64() < w.plan.Machine.Full {
		w.fill(m.disk, upTo(m.rnd, fullMax))
	}
	if m.rnd.Float64() < w.plan.Cloud.Full {
		w.fill(w.cloud.disk, upTo(m.rnd, fullMax))
	}
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
