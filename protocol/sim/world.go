// Package sim runs the production cores, the agents' sync engine and the hub,
// with the production fold, on a simulated network, clock and disk.
//
// A run is a function of its seed alone: one thread, one queue of things to
// come, and every random choice drawn from the seed. Stretches in which
// nothing happens are skipped, not waited through.
package sim

import (
	"container/heap"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"counterpart/cloud/hub"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// Faults are what the network may do, as chances of a message.
type Faults struct {
	Drop      float64
	Duplicate float64
	Reorder   float64
	// CutEvery is the mean time between cuts of an agent's connection, 0 for
	// none; a cut lasts up to CutFor.
	CutEvery, CutFor time.Duration
	// CrashEvery is the mean time between crashes of an agent or the hub.
	CrashEvery time.Duration
}

// world is one simulated chain.
type world struct {
	seed    uint64
	rnd     *rand.Rand
	now     time.Duration
	queue   schedule
	order   uint64
	faults  Faults
	quiet   bool // faults have stopped
	hubDB   *ledger.Memory
	hub     *hub.Hub
	hubBoot int
	agents  []*machine
	err     error
	log     *slog.Logger
}

// epochStart is the wall time at which every run starts.
var epochStart = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

func newWorld(seed uint64, faults Faults) *world {
	w := &world{seed: seed, rnd: rand.New(rand.NewPCG(seed, 0x77686f6c65)), faults: faults, hubDB: ledger.NewMemory(), log: slog.New(slog.DiscardHandler)}
	w.startHub()
	return w
}

func (w *world) wall() time.Time { return epochStart.Add(w.now) }

// fail keeps the first thing that went wrong.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("seed %d at %v: %s", w.seed, w.now, fmt.Sprintf(format, args...))
	}
}

func (w *world) chance(p float64) bool { return !w.quiet && w.rnd.Float64() < p }

// startHub opens the hub's core over its database, as a new process would.
func (w *world) startHub() {
	w.hubBoot++
	boot, started := w.hubBoot, w.now
	h, err := hub.New(context.Background(), hub.Options{
		Driver: w.hubDB, Currency: "GBP", Now: w.wall, Mono: func() time.Duration { return w.now - started },
		Random: func(b []byte) {
			for i := range b {
				b[i] = byte(w.rnd.Uint32())
			}
		},
		Send: func(topic string, payload []byte, _ bool) {
			if boot == w.hubBoot {
				w.down(topic, payload)
			}
		},
		Log: w.log,
	})
	if err != nil {
		w.fail("hub does not start: %v", err)
		return
	}
	w.hub = h
}

// load imports a CSV text the way the HTTP side does.
func (w *world) load(table hub.Table, csv string, into func(context.Context, hub.RowReader) (hub.Report, error)) {
	rows, err := hub.ReadRows(table, hub.FormatCSV, strings.NewReader(csv))
	if err != nil {
		w.fail("import: %v", err)
		return
	}
	if rep, err := into(context.Background(), rows); err != nil || rep.Rejected > 0 {
		w.fail("import: %+v %v", rep, err)
	}
}

// at runs fn after a delay.
func (w *world) at(delay time.Duration, fn func()) {
	w.order++
	heap.Push(&w.queue, coming{at: w.now + max(delay, 0), order: w.order, fn: fn})
}

// run lets time pass until the given instant.
func (w *world) run(until time.Duration) {
	for w.err == nil && len(w.queue) > 0 && w.queue[0].at <= until {
		c := heap.Pop(&w.queue).(coming)
		w.now = c.at
		c.fn()
	}
	w.now = max(w.now, until)
}

// latency is how long a message takes.
func (w *world) latency() time.Duration {
	d := time.Millisecond + time.Duration(w.rnd.Int64N(int64(20*time.Millisecond)))
	if w.chance(w.faults.Reorder) {
		d += time.Duration(w.rnd.Int64N(int64(2 * time.Second)))
	}
	return d
}

// up carries a payload from a machine's connection to the hub.
func (w *world) up(m *machine, topic string, payload []byte) {
	connection := m.connection
	n := 1
	if w.chance(w.faults.Drop) {
		n = 0
	} else if w.chance(w.faults.Duplicate) {
		n = 2
	}
	for range n {
		boot := w.hubBoot
		w.at(m.lineDelay(w.latency(), &m.upFree), func() {
			if m.connection != connection || boot != w.hubBoot {
				return
			}
			if err := w.hub.Receive(context.Background(), []hub.Inbound{{Topic: topic, Payload: payload}}); err != nil {
				w.fail("hub: %v", err)
			}
		})
	}
}

// down carries a payload from the hub to every connection that subscribed to
// its topic.
func (w *world) down(topic string, payload []byte) {
	for _, m := range w.agents {
		if m.connection == 0 || !m.subscribed[topic] {
			continue
		}
		connection := m.connection
		n := 1
		if w.chance(w.faults.Drop) {
			n = 0
		} else if w.chance(w.faults.Duplicate) {
			n = 2
		}
		for range n {
			w.at(m.lineDelay(w.latency(), &m.downFree), func() {
				if m.connection == connection {
					m.received(payload)
				}
			})
		}
	}
}

// crashHub stops the hub's process and starts it anew over its database.
// Whatever it had not sent is gone.
func (w *world) crashHub() {
	w.startHub()
	for _, m := range w.agents {
		m.drop()
	}
}

// mean draws a time whose mean is d.
func (w *world) mean(d time.Duration) time.Duration {
	return time.Duration(w.rnd.ExpFloat64() * float64(d))
}

func incOf(rnd *rand.Rand) (inc protocol.Inc) {
	binary.BigEndian.PutUint64(inc[:8], rnd.Uint64())
	binary.BigEndian.PutUint64(inc[8:], rnd.Uint64())
	return inc
}

// coming is something that will happen.
type coming struct {
	at    time.Duration
	order uint64
	fn    func()
}

// schedule is a heap of what is to come, earliest first.
type schedule []coming

func (s schedule) Len() int { return len(s) }
func (s schedule) Less(i, j int) bool {
	if s[i].at != s[j].at {
		return s[i].at < s[j].at
	}
	return s[i].order < s[j].order
}
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }

// Push is for container/heap.
func (s *schedule) Push(x any) { *s = append(*s, x.(coming)) }

// Pop is for container/heap.
func (s *schedule) Pop() any {
	old := *s
	c := old[len(old)-1]
	*s = old[:len(old)-1]
	return c
}
