package sim

import (
	"fmt"
	"strings"
	"time"

	"counterpart/cloud/hub"
)

// Lengths of a run.
const (
	busyFor  = 8 * time.Hour
	quietFor = 30 * time.Minute
	saleMean = 3 * time.Minute
)

// Run simulates one seed: three machines in two stores sell for eight simulated hours
// through the faults that the seed draws, then the faults stop, and everything
// must agree within 30 minutes (I20). The error says what did not hold.
func Run(seed uint64) error {
	w := newWorld(seed, Faults{})
	w.faults = w.drawFaults()
	w.load(hub.StoresTable, "id,name,timezone\ns1,High Street,Europe/London\ns2,Station,Europe/London\n", w.hub.ImportStores)
	var items strings.Builder
	items.WriteString("sku,name,price_minor\n")
	for i := range 5 {
		fmt.Fprintf(&items, "SKU%d,Item %d,100\n", i, i)
	}
	w.load(hub.ItemsTable, items.String(), w.hub.ImportItems)
	w.addMachine("s1", "a1")
	w.addMachine("s1", "a2")
	w.addMachine("s2", "a3")
	for _, m := range w.agents {
		w.keepSelling(m)
		w.keepCutting(m)
		w.keepCrashing(m)
	}
	w.crashHubs()
	w.run(busyFor)
	w.quiet = true
	for _, m := range w.agents {
		m.cutUntil = w.now
	}
	w.run(busyFor + quietFor)
	if w.err == nil {
		w.audit()
	}
	return w.err
}

// drawFaults switches a random subset of faults on.
func (w *world) drawFaults() Faults {
	var f Faults
	on := func() bool { return w.rnd.IntN(2) == 0 }
	if on() {
		f.Drop = w.rnd.Float64() * 0.3
	}
	if on() {
		f.Duplicate = w.rnd.Float64() * 0.2
	}
	if on() {
		f.Reorder = w.rnd.Float64() * 0.3
	}
	if on() {
		f.CutEvery = time.Duration(1+w.rnd.IntN(120)) * time.Minute
		f.CutFor = time.Duration(1+w.rnd.IntN(240)) * time.Minute
	}
	if on() {
		f.CrashEvery = time.Duration(10+w.rnd.IntN(300)) * time.Minute
	}
	return f
}

func (w *world) keepSelling(m *machine) {
	w.at(w.mean(saleMean), func() {
		if w.quiet {
			return
		}
		for range 1 + w.rnd.IntN(3) {
			m.sell()
		}
		w.keepSelling(m)
	})
}

func (w *world) keepCutting(m *machine) {
	if w.faults.CutEvery == 0 {
		return
	}
	w.at(w.mean(w.faults.CutEvery), func() {
		if w.quiet {
			return
		}
		m.cutUntil = w.now + time.Duration(w.rnd.Int64N(int64(w.faults.CutFor)))
		m.drop()
		w.keepCutting(m)
	})
}

func (w *world) keepCrashing(m *machine) {
	if w.faults.CrashEvery == 0 {
		return
	}
	w.at(w.mean(w.faults.CrashEvery), func() {
		if w.quiet {
			return
		}
		m.crash()
		w.keepCrashing(m)
	})
}

func (w *world) crashHubs() {
	if w.faults.CrashEvery == 0 {
		return
	}
	w.at(w.mean(w.faults.CrashEvery), func() {
		if w.quiet {
			return
		}
		w.crashHub()
		w.crashHubs()
	})
}
