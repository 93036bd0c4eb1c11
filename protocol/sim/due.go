package sim

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// The deadlines of an order in running time, as they are promised to shops.
const (
	dueAccept   = 30 * time.Minute
	duePickSoon = 90 * time.Minute
	duePick     = 2 * time.Hour
	dueFetch    = 7 * 24 * time.Hour // for a shopper who named no time
	dueNotice   = 24 * time.Hour     // before the end, or half of the time if that is less
)

// fetching are shoppers who say until when they come, some of whom never do.
type fetching struct {
	w    *world
	rnd  *rand.Rand
	left map[string]bool // orders that nobody fetches, by their keys
}

func (w *world) newFetching() *fetching {
	if w.plan.Orders == 0 || w.plan.PickupBy == 0 {
		return nil
	}
	return &fetching{w: w, rnd: w.source("pickup by"), left: map[string]bool{}}
}

// plan lets time pass for the hub more often than it does otherwise.
func (f *fetching) plan() {
	if f == nil {
		return
	}
	for range f.w.plan.PickupBy {
		lapse := time.Duration(math.Exp(f.rnd.Float64()*7) * float64(time.Minute))
		f.w.schedule(upTo(f.rnd, time.Duration(f.w.plan.Hours)*time.Hour), func() { f.w.cloud.lapse(lapse) })
	}
}

// lapse lets time pass for the hub, and has it look at what is due.
func (c *cloud) lapse(d time.Duration) {
	c.w.tell("%v pass for the hub", d)
	c.lapsed += d
	c.tick()
}

// limit has a shopper say until when the goods are fetched: between a minute and
// two days, by the clock that the hub has.
func (f *fetching) limit(r *pickup.PlaceRequest) {
	if f == nil || f.rnd.IntN(3) == 0 {
		return
	}
	within := time.Duration(math.Exp(f.rnd.Float64()*8) * float64(time.Minute))
	r.PickupBy = f.w.cloud.clock.wall().Add(within).UTC().Format(time.RFC3339)
}

// requested notes whether somebody comes for an order.
func (f *fetching) requested(key string, r *pickup.PlaceRequest) {
	if f != nil && r.PickupBy != "" && f.rnd.IntN(2) == 0 {
		f.left[key] = true
	}
}

// tooLate tells whether an order is refused because its time is over before the
// hub has heard of it.
func (f *fetching) tooLate(r *pickup.PlaceRequest, code protocol.Code) bool {
	if f == nil || r.PickupBy == "" || code != protocol.OutOfRangeCode {
		return false
	}
	at, err := time.Parse(time.RFC3339, r.PickupBy)
	return err == nil && !at.After(f.w.cloud.clock.wall())
}

// leaves tells whether nobody comes for an order, nor for what stands in for it.
func (f *fetching) leaves(p *promise) bool {
	if f == nil {
		return false
	}
	if first := f.w.shop.byID[protocol.PartID{Order: p.Order, Part: p.insteadOf}]; first != nil {
		return first.left
	}
	return f.left[p.key]
}

// running is the running time of the hub as the auditor counts it: what was
// written down when the process began, and what it has lived through since.
func (c *cloud) running() time.Duration { return c.ranBefore + c.w.now + c.lapsed - c.started }

// ran is what the database says of its running time.
func (c *cloud) ran() time.Duration {
	b := c.disk.row(ledger.Key{Table: ledger.Notes, ID: noteRunning})
	if len(b) != 8 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint64(b)) * time.Millisecond
}

const noteRunning = "running"

// timed holds what the hub writes down of its running time to the time that it has
// lived through (I17).
func (w *world) timed(rows []ledger.Row) {
	if w.shop == nil {
		return
	}
	for _, r := range rows {
		if r.Key.Table == ledger.Notes && r.Key.ID == noteRunning && len(r.Value) == 8 {
			if ran := time.Duration(binary.BigEndian.Uint64(r.Value)) * time.Millisecond; ran > w.cloud.running() {
				w.fail("the hub has run for %v, and says %v (I17)", w.cloud.running(), ran)
			}
		}
	}
}

// times are the deadlines of a promise in the hub's running time. The hub counts
// in milliseconds.
type times struct {
	placed time.Duration
	// from is the earliest running time at which it may expire, by the latest at
	// which it has to; both are zero where that is not known, because the hub had
	// forgotten the order meanwhile.
	from, by time.Duration
}

// timesOf are the deadlines of an order that the hub commits now.
func (s *shop) timesOf(p *promise, o *protocol.Order) times {
	c := s.w.cloud
	now := c.running().Truncate(time.Millisecond)
	end := now + dueFetch
	if o.PickupByMs > 0 {
		end = now + max(0, time.UnixMilli(o.PickupByMs).Sub(c.clock.wall())).Truncate(time.Millisecond)
	}
	t := times{placed: now, from: end, by: end}
	if first := s.byID[protocol.PartID{Order: p.Order, Part: p.insteadOf}]; first != nil {
		// Time goes on for the shopper, unless the hub has closed the first already.
		if first.due == (times{}) {
			return times{}
		}
		t.from, t.by = min(end, first.due.from), max(end, first.due.by)
	}
	return t
}

// forget drops the deadlines of the orders that the hub's database does not hold
// any more: when they come back, their time begins anew.
func (s *shop) forget() {
	if s == nil {
		return
	}
	for _, p := range s.promises {
		if !s.w.cloud.book.holdsOrder(p) {
			p.due = times{}
		}
	}
}

// judgeTime holds what the hub does because a time is over to the running time
// that was promised (I17). The hub is slow by a millisecond at most. A hub that was
// restored may say again what it does not yet know that it said.
func (w *world) judgeTime(a *act, t *tally) {
	p := t.promise
	if p.due == (times{}) {
		return
	}
	notBefore := time.Duration(0)
	switch about := a.reason; protocol.Change(a.did) {
	case protocol.Expired:
		notBefore = p.due.from
	case protocol.Overdue, protocol.Withdrawn, protocol.Reminded:
		notBefore = map[string]time.Duration{pickup.AcceptBy: p.due.placed + dueAccept, pickup.PickBy: p.due.placed + duePick}[about]
		if protocol.Change(a.did) == protocol.Reminded {
			notBefore = p.due.placed + duePickSoon
			if about == pickup.FetchBy {
				notBefore = p.due.from - min(dueNotice, (p.due.from-p.due.placed)/2)
			}
		} else if !w.cloud.renewed && slices.ContainsFunc(t.acts, func(b *act) bool { return b.did == a.did && b.reason == about && about != "breach" }) {
			w.fail("order %s is %s %q twice (I17)", a.part, a.did, about)
		}
	}
	if now := w.cloud.running(); now < notBefore-time.Millisecond {
		w.fail("order %s is %s %q at %v, before %v (I17)", a.part, a.did, a.reason, now, notBefore)
	}
}

// late demands, after the hub has looked at what is due, that no order goes on
// beyond its time (I17).
func (s *shop) late() {
	w := s.w
	if w.plan.PickupBy == 0 || w.cloud.hub == nil || w.cloud.process.usable() != nil || w.cloud.disk.full {
		return
	}
	for _, p := range s.promises {
		// The time that a shopper named has milliseconds, which the hub's clock parts.
		if p.due.by == 0 || p.due.by > w.cloud.running()-time.Millisecond {
			continue
		}
		list := w.heldAtHub(p.PartID, nil)
		if t := p.tally(list); len(list) > 0 && !t.collected() && !t.back && !slices.ContainsFunc(list, closes) {
			w.fail("order %s was to be fetched by %v and goes on at %v (I17)", p.PartID, p.due.by, w.cloud.running())
		}
	}
}

// lapseAll lets the time of every order that nobody fetches pass. Where nobody
// knows when it is over, somebody comes after all.
func (f *fetching) lapseAll() {
	if f == nil {
		return
	}
	last := time.Duration(0)
	for _, p := range f.w.shop.promises {
		p.left = p.left && p.due.by > 0
		if p.left {
			last = max(last, p.due.by)
		}
	}
	f.w.cloud.lapse(max(0, last-f.w.cloud.running()) + time.Second)
}

// lookAgain has the hub look at what is due in the end, of orders and of messages.
func (s *shop) lookAgain() {
	if s.w.fetching != nil || s.w.courier != nil {
		s.w.cloud.lapse(outboxPause)
	}
}

// outboxPause is longer than the hub waits before it tells of stock.
const outboxPause = 10 * time.Second
