package sim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"counterpart/protocol"
)

// Counts say how much happened in a run.
type Counts struct {
	Events             int // confirmed to staff
	Refused            int // by a full disk
	Doubted            int // the process ended before it answered
	Commits            int
	Messages           int
	Crashes            int
	Disasters          int
	Aside              int // machines that gave up a part of a feed
	Void               int // runs without a verdict
	Gone               int // events that no disk held any more, whose moves a gap stands for
	Trimmed, Snapshots int
	Orders             int // promised to shoppers
	OrdersRefused      int
	OrdersCollected    int // with nothing left to look at
	OrdersOpen         int // a person has to look, or too much of them is lost
	OrdersExpired      int // nobody fetched them
	Holds              int // that carts were given
	HoldsRefused       int
	Told               int // messages that an endpoint was sent, each once
	Members            int // who were enrolled
	MemberSales        int
	PointsSpent        int // sales that were paid with points
	PointsRefused      int
	Lent               int // how often the hub lent points
	Erased             int
	Steps              int
	Simulated, Skipped time.Duration
}

// Outcome is what a run came to.
type Outcome struct {
	// Err says what did not hold; nil is a run without fault.
	Err error
	// Trace is the same for every run of one plan with one build. Shape is
	// like it, but leaves out what wall clocks write into bytes.
	Trace, Shape uint64
	// State is a fingerprint of the levels, receipts and exceptions at the end.
	State  uint64
	Counts Counts
}

// Run simulates a plan: machines in two stores trade through the plan's faults,
// then the faults stop, and within 30 minutes everything has to agree (I20).
// Where a plan has clocks wrong, a share of the runs is repeated with the
// clocks right, and has to take the same course (I17). A story, if it is not
// nil, is told what happens.
func Run(p Plan, story io.Writer) Outcome {
	out := run(p, false, story)
	if out.Err != nil || !p.twin() {
		return out
	}
	switch twin := run(p, true, story); {
	case twin.Err != nil:
		out.Err = fmt.Errorf("with right clocks: %w", twin.Err)
	case twin.Shape != out.Shape || twin.State != out.State:
		out.Err = fmt.Errorf("seed %d takes another course with right clocks (I17)", p.Seed)
	}
	return out
}

// twin tells whether a run is compared with one whose clocks are right. Faults
// that strike by the number of a hub's commits are left out: how often the hub
// writes down who was seen may depend on what its clock shows.
func (p Plan) twin() bool {
	// How long a store was silent is told by the hub's clock, and bounds what is
	// promised.
	return (p.Cloud.Clock && p.Orders == 0 || p.Machine.Clock && !p.Cloud.Clock) && p.Cloud.CommitCrash == 0 && p.Seed%8 == 0
}

func run(p Plan, rightClocks bool, story io.Writer) (out Outcome) {
	w := &world{plan: p, rightClocks: rightClocks, ctx: context.Background(), books: newBooks(), unwrapped: map[uint64]reissued{}, readings: newReadings(), story: story, log: slog.New(slog.DiscardHandler)}
	defer func() {
		if r := recover(); r != nil {
			out.Err = fmt.Errorf("seed %d after %v: panic: %v\n%s", p.Seed, w.truth(), r, debug.Stack())
		}
	}()
	if story != nil {
		w.log = slog.New(slog.NewTextHandler(story, nil))
	}
	w.broker = broker{w: w, rnd: w.source("broker"), retained: map[protocol.AgentID][]byte{}}
	w.cloud = w.newCloud()
	w.shop, w.carts, w.fetching, w.courier, w.club = w.newShop(), w.newCarts(), w.newFetching(), w.newCourier(), w.newClub()
	w.open()
	w.shop.open()
	w.carts.plan()
	w.fetching.plan()
	w.club.plan()
	busy := time.Duration(p.Hours) * time.Hour
	w.misfortune()
	for i, m := range w.agents {
		share := p.Acts / len(w.agents)
		if i == 0 {
			share += p.Acts % len(w.agents)
		}
		m.staff.work(share, busy)
	}
	w.run(busy)
	w.calm()
	w.run(w.truth() + quietFor)
	if w.err == nil && !w.void && (w.shop != nil || w.club != nil) {
		w.shop.close()
		w.club.close()
		w.run(w.truth() + quietFor)
	}
	if w.err == nil && !w.void {
		w.audit()
	}
	c := w.counts
	if w.void {
		c.Void++
	}
	c.Events, c.Refused, c.Doubted, c.Simulated, c.Skipped = w.books.told, w.books.refused, w.books.doubted, w.truth(), w.skipped
	for _, m := range w.agents {
		c.Trimmed += m.disk.watch.trimmed
	}
	return Outcome{Err: w.err, Trace: w.trace.sum, Shape: w.trace.shape, State: w.stateprint(), Counts: c}
}

// open starts the hub and the machines, before any fault.
func (w *world) open() {
	w.quiet = true
	w.cloud.start()
	if w.err == nil {
		if err := w.cloud.furnish(); err != nil {
			w.fail("furnish: %v", err)
			return
		}
	}
	for i := range w.plan.Machines {
		store := protocol.StoreID("s1")
		if i >= 2 && i%2 == 0 {
			store = "s2"
		}
		w.addMachine(store, protocol.AgentID(fmt.Sprintf("a%d", i+1)))
	}
	w.quiet = false
}

// calm ends all faults: lines are whole, disks have room, and what was switched
// off runs. Clocks stay as wrong as they are.
func (w *world) calm() {
	w.tell("faults stop")
	w.quiet = true
	w.cloud.disk.full = false
	if w.cloud.hub == nil {
		w.cloud.start()
	}
	for _, m := range w.agents {
		m.disk.full, m.blockedUp, m.blockedDown, m.cutUntil = false, false, false, 0
		if !m.up {
			m.start()
		}
		m.wake()
		m.staff.look()
	}
}

// Add joins the counts of two runs.
func (c *Counts) Add(o Counts) {
	c.Events += o.Events
	c.Refused += o.Refused
	c.Doubted += o.Doubted
	c.Commits += o.Commits
	c.Messages += o.Messages
	c.Crashes += o.Crashes
	c.Disasters += o.Disasters
	c.Aside += o.Aside
	c.Void += o.Void
	c.Gone += o.Gone
	c.Trimmed += o.Trimmed
	c.Snapshots += o.Snapshots
	c.Orders += o.Orders
	c.OrdersRefused += o.OrdersRefused
	c.OrdersCollected += o.OrdersCollected
	c.OrdersOpen += o.OrdersOpen
	c.OrdersExpired += o.OrdersExpired
	c.Holds += o.Holds
	c.HoldsRefused += o.HoldsRefused
	c.Told += o.Told
	c.Members += o.Members
	c.MemberSales += o.MemberSales
	c.PointsSpent += o.PointsSpent
	c.PointsRefused += o.PointsRefused
	c.Lent += o.Lent
	c.Erased += o.Erased
	c.Steps += o.Steps
	c.Simulated += o.Simulated
	c.Skipped += o.Skipped
}
