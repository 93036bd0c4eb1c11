package sim

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// recent is a hub's database that goes back, by hand and twice, by no more than
// what an operator did last. One machine is away the first time and comes back
// when the database has grown again, to where that machine's cursors point: that
// they are of another history it can only learn from a machine that came before
// it. The second time the process of that machine has ended between loading a
// snapshot and making it live, and the snapshot that it loads next is a shorter
// one.
type recent struct {
	c     *cloud
	rnd   *rand.Rand
	last  backup
	head  uint64 // of the catalogue in it
	late  *machine
	tries int
}

// The times of a recent disaster.
const (
	recentNoticed  = 10 * time.Second // for machines to hear what the backup lacks
	recentDown     = 2 * time.Second
	recentPatience = 30 // seconds, for a machine that shows what the backup lacks
	recentAway     = 2 * time.Minute
	recentSecond   = 10 * time.Minute // the longest time between the two
)

func (c *cloud) bringBackRecent() {
	if c.hub == nil || c.process.ended {
		return
	}
	r := &recent{
		c: c, rnd: c.w.source("operators after a restore"), head: c.feedHead(protocol.FeedCatalog),
		last: backup{db: c.disk.db.Clone(), feeds: maps.Clone(c.feeds), holds: c.w.carts.copy()},
	}
	c.operate("import of items", c.importItems)
	c.w.schedule(recentNoticed, r.begin)
}

// knows tells whether a machine could show the restored hub that it was ahead.
func (r *recent) knows(m *machine) bool {
	if !m.running() || m.engine == nil || !m.reachable() {
		return false
	}
	for _, f := range m.engine.Feeds() {
		if f.Feed == protocol.FeedCatalog {
			return f.Epoch == r.c.epoch && f.Offset > r.head && f.Behind == 0
		}
	}
	return false
}

// begin puts the backup in place while one machine is away. Where fewer than two
// have heard of what it lacks, nobody could notice.
func (r *recent) begin() {
	var list []*machine
	for _, m := range r.c.w.agents {
		if r.knows(m) {
			list = append(list, m)
		}
	}
	if r.c.hub == nil || r.c.process.ended || len(list) < 2 {
		return
	}
	r.late = list[r.rnd.IntN(len(list))]
	r.late.cut(recentAway)
	r.c.replaceBy(r.last, byNobody, recentDown)
	r.c.w.schedule(recentDown, func() { r.goOn(list) })
}

// goOn lets operators go on when a machine that knew more has said hello.
func (r *recent) goOn(list []*machine) {
	told := func(m *machine) bool {
		return m != r.late && r.c.sessions[m.origin.Inc] != protocol.Session{}
	}
	if r.c.hub == nil || !slices.ContainsFunc(list, told) {
		if r.tries++; r.tries < recentPatience {
			r.c.w.schedule(time.Second, func() { r.goOn(list) })
		}
		return
	}
	for range 1 + r.rnd.IntN(2) {
		r.c.operate("import of items", r.c.importItems)
	}
	until := r.c.w.truth() + recentSecond
	r.late.halfway = func() {
		if !r.c.process.ended && r.c.w.truth() < until {
			r.late.cut(recentAway)
			r.c.replaceBy(r.last, byNobody, recentDown)
		}
	}
}

// halfway is a process that ends when it is about to make a snapshot live.
type halfway struct {
	*process
	feed protocol.FeedID
}

// Update implements ledger.Driver.
func (h halfway) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return h.process.Update(ctx, func(tx ledger.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		s, err := ledger.ReadShadow(tx, h.feed)
		if err == nil && s.Sum == "" {
			err = errEnded
		}
		return err
	})
}
