package sim

import (
	"maps"
	"slices"
	"strings"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// readGaps reads the gaps that a commit records, if it does. They leave no event
// behind over which the watch could follow their streams.
func (v *watch) readGaps(tx ledger.Reader, rows []ledger.Row) {
	v.gaps = nil
	recorded := func(r ledger.Row) bool { return r.Key.Table == ledger.States && strings.HasPrefix(r.Key.ID, "gap\x00") }
	if !slices.ContainsFunc(rows, recorded) {
		return
	}
	var err error
	if v.gaps, err = ledger.Gaps(tx, ""); err != nil {
		v.w.fail("%s: %v", v.disk.name, err)
	}
}

// jump lets the watch follow streams over the gaps at which they stand.
func (v *watch) jump() {
	for _, g := range v.gaps {
		if v.head(g.Origin.Inc).seq+1 != g.From {
			continue
		}
		v.staged[g.Origin.Inc] = head{g.To, g.Hash}
		if v.disk == v.w.cloud.disk {
			v.w.give(g)
		}
	}
}

// give notes which acts the hub has given up. No machine that is in session may
// hold one of them: it would have carried it (I2).
func (w *world) give(g ledger.Gap) {
	if w.plan.Disaster.Gap == 0 {
		w.fail("events %d to %d of %s are given up, and nobody accepted that (I5)", g.From, g.To, g.Origin.Agent)
	}
	for _, m := range w.agents {
		if at := m.disk.watch.heads[g.Origin.Inc].seq; m.origin.Inc != g.Origin.Inc && at >= g.From && at < g.To {
			w.void = true
		}
	}
	for seq := g.From; seq <= g.To; seq++ {
		for _, a := range w.books.acts[protocol.EventID{Inc: g.Origin.Inc, Seq: seq}] {
			a.given = true
			for _, m := range w.agents {
				if m.origin.Store == a.store && m.engine != nil && m.engine.Link().State == uplink.Online && m.disk.watch.holds(a) {
					w.fail("event %d of %s is given up while %s holds it (I2)", seq, g.Origin.Agent, m.disk.name)
				}
			}
		}
	}
}

// auditGaps returns the acts that the hub has given up, as its gaps tell: their
// moves count although nothing else is known of them.
func (w *world) auditGaps(r ledger.Reader, held map[*act]bool) (map[*act]bool, error) {
	gaps, err := ledger.Gaps(r, "")
	counted := maps.Clone(held)
	for _, g := range gaps {
		for seq := g.From; seq <= g.To; seq++ {
			for _, a := range w.books.acts[protocol.EventID{Inc: g.Origin.Inc, Seq: seq}] {
				counted[a] = true
				w.counts.Gone++
			}
		}
	}
	return counted, err
}

// gone tells whether a row tells of an act of which the hub knows the moves
// alone.
func (w *world) gone(id string) bool {
	if w.plan.Disaster.Gap == 0 {
		return false
	}
	if strings.HasPrefix(id, "stream\x00") {
		return true
	}
	no := protocol.ReceiptNo(strings.TrimPrefix(id, "receipt\x00"))
	return slices.ContainsFunc(w.books.order, func(a *act) bool {
		return (a.given || a.lost) && (a.receipt == no || a.original != nil && a.original.receipt == no)
	})
}

// miss marks acts as lost that a machine has deleted in good faith and nobody
// else holds.
func (w *world) miss(ids []protocol.EventID) {
	for _, id := range ids {
		for _, a := range w.books.acts[id] {
			a.lost = !w.anywhere(a)
		}
	}
}
