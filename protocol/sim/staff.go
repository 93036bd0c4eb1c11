package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// staff are the people at one machine, and the part of its program that turns
// what they do into events.
type staff struct {
	m       *machine
	rnd     *rand.Rand
	orders  *rand.Rand        // of what they do about orders
	swaps   *rand.Rand        // of what they pick in the place of something else
	printed map[string]uint64 // the last number of each series
	doubt   *act              // the process ended before it answered
	looking bool
}

func newStaff(m *machine) *staff {
	return &staff{m: m, rnd: m.w.source("staff of " + m.disk.name), orders: m.w.source("orders of " + m.disk.name), swaps: m.w.source("substitutes of " + m.disk.name), printed: map[string]uint64{}}
}

// work plans the bursts in which the machine's share of the acts is done.
func (s *staff) work(acts int, within time.Duration) {
	burst := s.m.w.plan.Burst
	for ; acts > 0; acts -= burst {
		n := min(burst, acts)
		s.m.w.schedule(time.Duration(s.rnd.Int64N(int64(within))), func() { s.burst(n) })
	}
}

// burst does n acts one after another. Where the machine is down or its disk
// full, people wait.
func (s *staff) burst(n int) {
	if n == 0 {
		return
	}
	wait := upTo(s.rnd, s.m.w.plan.pace())
	if s.rnd.IntN(24) == 0 {
		wait = time.Duration(s.rnd.Int64N(int64(8 * time.Second)))
	}
	if n == s.m.w.plan.Burst {
		s.m.w.troubleWork(s.m)
	}
	switch {
	case !s.m.running():
		s.m.w.schedule(time.Minute, func() { s.burst(n) })
		return
	case s.act():
		n--
	default:
		wait = 5 * time.Second
	}
	if wait < time.Second {
		s.m.w.after(wait, func() { s.burst(n) })
	} else {
		s.m.w.schedule(wait, func() { s.burst(n) })
	}
}

// act does something, and tells whether it was recorded.
func (s *staff) act() bool {
	if done, recorded := s.m.counter.serve(); done {
		return recorded
	}
	b, x := s.m.w.plan.Business, s.rnd.IntN(100)
	switch {
	case x < 8:
		return s.reverse()
	case x < 14:
		return s.move()
	case x < 19 && b.Counts:
		return s.count()
	case x < 22 && b.Unknown:
		return s.unknown()
	case x < 25 && b.Poison:
		return s.poison()
	case x < 27 && x > 25:
		return s.digest()
	case x < 26 && b.Oversized && s.rnd.IntN(4) == 0:
		return s.oversized()
	}
	return s.sell()
}

func (s *staff) sku() protocol.SKU { return protocol.SKU(fmt.Sprintf("SKU%d", s.rnd.IntN(skus))) }

func (s *staff) quantity() protocol.Quantity { return protocol.Quantity(1+s.rnd.IntN(3)) * 1000 }

// log records one event of the machine's own, and enters it into the books as
// soon as it is certain to stay.
func (s *staff) log(a *act, build func(tx ledger.Tx) (*protocol.Event, error)) bool {
	return s.record(a, func(tx ledger.Tx, clock protocol.Clock) (ledger.Result, error) {
		ev, err := build(tx)
		if err != nil {
			return ledger.Result{}, err
		}
		a.kind, a.moves = ev.Kind, ev.Moves
		return ledger.Log(tx, s.m.origin, clock, ev)
	})
}

func (s *staff) record(a *act, write func(ledger.Tx, protocol.Clock) (ledger.Result, error)) bool {
	m, w := s.m, s.m.w
	a.store, a.unaware = m.origin.Store, m.unaware
	clock := protocol.Clock{WallMs: m.clock.wall().UnixMilli(), MonoMs: m.instant().Mono.Milliseconds()}
	return s.answered(a, m.process.Update(w.ctx, func(tx ledger.Tx) error {
		res, err := write(tx, clock)
		if err != nil {
			return err
		}
		a.id, a.hash = protocol.EventID{Inc: m.origin.Inc, Seq: res.Stream.Seq}, res.Stream.Hash
		rec, _, err := ledger.ReadRecord(tx, a.id)
		a.print = fingerprint(rec.AppendTo(nil))
		return err
	}))
}

// answered notes what became of an act, and tells whether nothing is left to do.
func (s *staff) answered(a *act, err error) bool {
	m, w := s.m, s.m.w
	switch {
	case err == nil:
		w.books.told++
		w.books.enter(a)
		s.certain(a)
		if w.club != nil {
			m.judgeSale(a)
			w.club.enter(a)
		}
		if w.story != nil {
			w.tell("%s records %s as %d", m.disk.name, a.kind, a.id.Seq)
		}
		m.later(0, func() any { return appended })
		return true
	case errors.Is(err, errNothing):
		return true
	case m.process.usable() != nil:
		if a.id != (protocol.EventID{}) && s.doubt == nil {
			w.books.doubted++
			s.doubt = a
		}
	case protocol.CodeOf(err) == protocol.DiskFull && m.disk.full:
		w.books.refused++
	default:
		w.fail("%s is refused: %v (I19, I22)", m.disk.name, err)
	}
	return false
}

// errNothing ends a transaction that found nothing to do.
var errNothing = errors.New("nothing to do")

// certain notes what the next act builds on.
func (s *staff) certain(a *act) {
	if a.receipt != "" {
		s.printed[a.series] = a.number
	}
}

// settleDoubt finds out, after a start, whether the last act before the end of
// the process is on the disk. Everything that was confirmed is (I1).
func (s *staff) settleDoubt() {
	m := s.m
	a := s.doubt
	s.doubt = nil
	err := m.process.View(m.w.ctx, func(r ledger.Reader) error {
		at, err := ledger.ReadStream(r, m.origin)
		known := m.disk.watch.heads[m.origin.Inc]
		if err == nil && at.Seq != known.seq {
			err = fmt.Errorf("the log ends at %d, %d were committed (I1)", at.Seq, known.seq)
		}
		if a != nil && at.Seq == a.id.Seq && at.Hash == a.hash {
			m.w.books.enter(a)
			m.w.club.enter(a)
			s.certain(a)
		}
		return err
	})
	if err != nil {
		m.w.fail("%s: %v", m.disk.name, err)
	}
}

// number is the next receipt number. Every one that was printed is in the log,
// so that the log alone says which is next.
func (s *staff) number(tx ledger.Tx) (uint64, error) {
	stream, err := ledger.ReadStream(tx, s.m.origin)
	n := stream.LastReceipt("1", s.m.identity.Series) + 1
	// What a copy has sold may have come down into the log of the original.
	if before := s.printed[s.m.identity.Series]; err == nil && n != before+1 && !(s.m.unaware && n > before) {
		s.m.w.fail("%s prints receipt %d after %d (I1, I13)", s.m.disk.name, n, before)
	}
	return n, err
}

// fed is told that a Delta came down: counts of siblings are looked at, and
// stock loads applied.
func (s *staff) fed(d *protocol.Delta) {
	if len(d.Events) == 0 {
		return
	}
	for _, e := range d.Events {
		for seq := e.FirstSeq; seq < e.FirstSeq+protocol.Seq(e.Count); seq++ {
			for _, a := range s.m.w.books.acts[protocol.EventID{Inc: e.Origin.Inc, Seq: seq}] {
				if len(a.counted) > 0 && e.Origin.Inc != s.m.origin.Inc {
					s.m.later(time.Millisecond, func() any { s.see(a); return nil })
				}
			}
			if e.Origin.Agent == protocol.HubAgent {
				s.look()
				s.m.counter.lookSoon()
			}
		}
	}
}

// look applies stock loads soon.
func (s *staff) look() {
	if s.looking {
		return
	}
	s.looking = true
	s.m.w.after(time.Millisecond, func() {
		s.looking = false
		if s.m.running() && !(s.applyLoads() && s.acknowledge()) && s.m.running() && !s.m.w.quiet {
			s.m.w.schedule(10*time.Second, s.look)
		}
	})
}
