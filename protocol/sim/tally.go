package sim

import (
	"fmt"
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// tally is what acts about an order come to by line, added up by the auditor.
type tally struct {
	*promise
	committed, staged, handed, released, asked, elsewhere, unplaced []protocol.Quantity

	aside map[taken]protocol.Quantity // what is staged, by what it is for
	given map[taken]protocol.Quantity // what the hub took from it

	acts     []*act
	prepaid  bool           // the shop has the shopper's money
	picked   bool           // the store said what it found
	ready    bool           // the store said that it looks for nothing more
	back     bool           // the store said that it keeps nothing
	amount   protocol.Money // that the shop was asked to pay back
	requests map[bool]int   // to pay back, for shortages and for all else
	refunds  map[bool]int

	instead []*promise // the parts that stand in for it
	whole   bool       // they are all known
}

func (p *promise) tally(list []*act) *tally {
	n := len(p.lines)
	quantities := func() []protocol.Quantity { return make([]protocol.Quantity, n) }
	t := &tally{
		promise: p, committed: slices.Clone(p.lines), staged: quantities(), handed: quantities(), released: quantities(),
		asked: quantities(), elsewhere: quantities(), unplaced: quantities(),
		aside: map[taken]protocol.Quantity{}, given: map[taken]protocol.Quantity{}, acts: list, prepaid: p.paid, requests: map[bool]int{}, refunds: map[bool]int{},
	}
	for _, a := range list {
		from, to := t.shelves(a)
		for _, l := range a.took {
			i := int(l.Line) - 1
			if i < 0 || i >= n {
				continue
			}
			if from != nil {
				from[i] -= l.Quantity
			}
			if to != nil {
				to[i] += l.Quantity
			}
		}
		p.addTaken(t.aside, a)
		short := a.reason == protocol.ShortageReason
		switch a.did {
		case string(protocol.CorrectedGoods):
			p.addTaken(t.given, a)
		case string(protocol.PaidOrder):
			t.prepaid = true
		case string(protocol.Pick):
			t.picked = t.picked || len(a.took) > 0
		case string(protocol.Ready), string(protocol.HandOver), didSell:
			t.picked, t.ready = true, true
		case string(protocol.Reject):
			t.back = true
		case string(protocol.PutBack):
			// What is put back after a hand-over had been picked twice.
			t.back = t.back || a.from != "picked_up"
		case string(protocol.RefundRequested):
			t.amount += a.amount
			t.requests[short]++
		case string(protocol.Refunded):
			t.refunds[short]++
		}
	}
	return t
}

// shelves are where an act takes goods from, and where it puts them.
func (t *tally) shelves(a *act) (from, to []protocol.Quantity) {
	switch a.did {
	case string(protocol.Pick):
		return t.committed, t.staged
	case string(protocol.Undo):
		return t.staged, t.committed
	case string(protocol.PutBack):
		return t.staged, nil
	case string(protocol.HandOver), didSell:
		return t.staged, t.handed
	case string(protocol.ReleasedGoods):
		return t.committed, t.released
	case string(protocol.CorrectedGoods):
		return t.staged, nil
	case string(protocol.RefundRequested):
		return nil, t.asked
	case string(protocol.Rerouted):
		return nil, t.elsewhere
	case string(protocol.Unplaced):
		return nil, t.unplaced
	}
	return nil, nil
}

func (t *tally) did(names ...protocol.Change) bool {
	return slices.ContainsFunc(t.acts, func(a *act) bool { return slices.Contains(names, protocol.Change(a.did)) })
}

func (t *tally) collected() bool { return t.did(protocol.Change(protocol.HandOver), didSell) }

// lost is how much of a line the store has said that it will not hand over.
func (t *tally) lost(i int) protocol.Quantity {
	switch {
	case t.back:
		return t.lines[i] - t.handed[i]
	case !t.ready:
		return 0
	}
	return min(t.released[i], t.lines[i]-t.handed[i])
}

// heldAtHub are the acts about an order that the hub holds, and those that it
// commits beside.
func (w *world) heldAtHub(part protocol.PartID, beside []*act) (list []*act) {
	for _, a := range w.books.parts[part] {
		if w.cloud.book.counted[a] || slices.Contains(beside, a) {
			list = append(list, a)
		}
	}
	return list
}

// settledTwice tells whether more was to be paid back, or moved, than was ordered
// and not handed over.
func (t *tally) settledTwice() bool {
	closed := slices.ContainsFunc(t.acts, ends)
	for i, q := range t.lines {
		gone := t.asked[i] + t.elsewhere[i]
		if gone > q || !closed && gone > 0 && gone+t.handed[i] > q {
			return true
		}
	}
	return false
}

// judge holds what the hub does about an order to what it knows in that moment;
// beside is what it commits in the same transaction.
func (w *world) judge(a *act, beside []*act) {
	if a.did == didOrder {
		w.judgeOrder(a, beside)
		return
	}
	p := w.shop.byID[a.part]
	if p == nil {
		w.fail("the hub writes %s of order %s, which nobody placed", a.did, a.part)
		return
	}
	if why := p.misplaced(a); why != "" {
		w.fail("order %s: %s", a.part, why)
	}
	t := p.tally(slices.DeleteFunc(w.heldAtHub(a.part, beside), func(b *act) bool { return b == a }))
	w.judgeTime(a, t)
	if why := t.forbids(a); why != "" {
		w.fail("order %s is %s %q with %v: %s (I15)", a.part, a.did, a.reason, a.took, why)
	}
	for _, l := range a.took {
		if why := t.forbidsLine(a, l); why != "" {
			w.fail("order %s is %s %q with %v: %s (I12, I15)", a.part, a.did, a.reason, a.took, why)
		}
	}
}

// answersKept is for how long of the hub's running time a request that is sent again
// is known: the least that the interface says.
const answersKept = 7 * 24 * time.Hour

// judgeOrder holds a promise to the goods that the hub knows of, and to its
// request.
func (w *world) judgeOrder(a *act, beside []*act) {
	key := w.shop.byID[a.part].key
	again := func(p *promise) bool {
		return p.key == key && p.PartID != a.part && w.cloud.running()-p.placed < answersKept
	}
	if !w.cloud.renewed && key != "" && slices.ContainsFunc(w.shop.promises, again) {
		w.fail("request %s is ordered twice (I3)", key)
	}
	if p := w.shop.byID[a.part]; p.insteadOf > 0 {
		first := w.shop.byID[protocol.PartID{Order: p.Order, Part: p.insteadOf}]
		if first == nil || first.tally(w.heldAtHub(first.PartID, beside)).prepaid != p.paid {
			w.fail("order %s stands in for part %d, paid %v (I15)", a.part, p.insteadOf, p.paid)
		}
	}
	hold := w.carts.holdOf(w.shop.byID[a.part])
	for _, m := range a.moves {
		if have := w.promisable(shelf{a.store, m.SKU}, hold); m.State != protocol.Committed || m.Delta > have {
			w.fail("order %s promises %d of %s at %s, of which the acknowledged events allow %d (I12)", a.part, m.Delta, m.SKU, a.store, have)
		}
	}
}

// forbids tells why the hub must not write a change, after what it knows.
func (t *tally) forbids(a *act) string {
	closed, short := slices.ContainsFunc(t.acts, closes), a.reason == protocol.ShortageReason
	switch protocol.Change(a.did) {
	case protocol.CancelRequested:
		if t.collected() || t.did(protocol.CancelRequested) || slices.ContainsFunc(t.acts, ends) {
			return "it was handed over or canceled"
		}
	case protocol.PaidOrder, protocol.Expired, protocol.Withdrawn:
		if closed || t.collected() && protocol.Change(a.did) != protocol.PaidOrder {
			return "it was handed over or canceled"
		}
		if protocol.Change(a.did) == protocol.Withdrawn && !t.movable {
			return "the shopper chose its store"
		}
	case protocol.Canceled:
		if !t.back || slices.ContainsFunc(t.acts, ends) {
			return "its store did not say that the goods are back, or it is over"
		}
	case protocol.Overdue:
		if t.collected() || closed {
			return "nothing is late"
		}
	case protocol.RefundRequested:
		if !t.prepaid {
			return "nobody has paid"
		}
	case protocol.Refunded:
		if t.refunds[short] >= t.requests[short] {
			return "nobody has asked for it"
		}
	case protocol.Rerouted:
		if !t.movable || t.did(protocol.CancelRequested, protocol.Expired) {
			return "the shopper wants it from nowhere else"
		}
	}
	return ""
}

// forbidsLine tells why the hub must not write a change of a quantity of a line.
func (t *tally) forbidsLine(a *act, l protocol.PartLine) string {
	i, q := int(l.Line)-1, l.Quantity
	if i < 0 || i >= len(t.lines) {
		return "it has no such line"
	}
	// towards tells whether q brings a quantity nearer to nothing, and not beyond.
	towards := func(there protocol.Quantity) bool { return 0 < q && q <= there || there <= q && q < 0 }
	switch protocol.Change(a.did) {
	case protocol.ReleasedGoods:
		if !towards(t.committed[i]) {
			return fmt.Sprintf("%d are promised", t.committed[i])
		}
		if q > 0 && !t.back && !t.picked {
			return "its store did not say what is missing"
		}
	case protocol.CorrectedGoods:
		item, _ := t.takes(l)
		if there, gave := t.aside[item], t.given[item]; !towards(there) || q > 0 && gave <= 0 {
			return fmt.Sprintf("%d of %s are staged, %d were put there", there, item.item, gave)
		}
	case protocol.RefundRequested, protocol.Rerouted, protocol.Unplaced:
		if gone := t.asked[i] + t.elsewhere[i]; q <= 0 || gone+q > t.lost(i) {
			return fmt.Sprintf("its store gave up %d, of which %d are looked after", t.lost(i), gone)
		}
	}
	return ""
}

// auditPromises demands that every promise has come to one end, and only one:
// the goods were collected, or the store gave them back, and what the shopper
// did not get is paid back or comes from another store. What two machines did at
// once a person looks at.
func (w *world) auditPromises(r ledger.Reader, held map[*act]bool) error {
	if w.shop == nil {
		return nil
	}
	found, _ := w.orderExceptions(held)
	for _, p := range w.shop.promises {
		var list []*act
		for _, a := range w.books.parts[p.PartID] {
			if held[a] {
				list = append(list, a)
			}
		}
		// What was late or sold away has to come to an end all the same.
		open := slices.ContainsFunc([]string{pickup.UnknownOrder, pickup.AtOnce, pickup.HandedTwice, pickup.HandedAfterCancel, pickup.SettledTwice}, func(kind string) bool { return found[kind+" "+p.PartID.String()] })
		if len(list) == 0 || w.unattended(p.store) || w.twice(held) {
			w.counts.OrdersOpen++
			continue
		}
		state, err := w.partAt(r, p)
		if err != nil {
			return err
		}
		t := p.tally(list)
		checks := []func(*pickup.State) error{func(*pickup.State) error { return w.auditStandIns(t) }, t.auditGoods, t.auditEnd, t.auditMoney}
		if open {
			w.counts.OrdersOpen++
			checks = []func(*pickup.State) error{t.auditTakenOnce}
		}
		for _, check := range checks {
			if err := check(&state); err != nil {
				return fmt.Errorf("order %s at %s: %w", p.PartID, p.store, err)
			}
		}
		if open {
			continue
		}
		if t.collected() {
			w.counts.OrdersCollected++
		}
		if t.did(protocol.Expired) {
			w.counts.OrdersExpired++
		}
	}
	return nil
}

// auditPaidBack demands that what the hub owes a part of an order is logged when it
// answers whoever asked for something.
func (w *world) auditPaidBack(p *promise) {
	if w.cloud.process.usable() != nil {
		return
	}
	w.view(w.cloud.disk, func(r ledger.Reader) error {
		state, err := w.partAt(r, p)
		if owed := state.Owed(); err == nil && len(owed) > 0 {
			err = fmt.Errorf("order %s at %s: %s is owed after the answer (I15)", p.PartID, p.store, owed[0].Change)
		}
		return err
	})
}

// auditGoods demands that nothing of an order is promised or staged in the end,
// by its moves as by its lines.
func (t *tally) auditGoods(*pickup.State) error {
	sums := map[protocol.Move]protocol.Quantity{}
	for _, a := range t.acts {
		for _, m := range a.moves {
			sums[protocol.Move{SKU: m.SKU, State: m.State}] += m.Delta
		}
	}
	for at, q := range sums {
		if q != 0 && (at.State == protocol.Committed || at.State == protocol.Staged) {
			return fmt.Errorf("%d of %s are still %s in the end (I12)", q, at.SKU, at.State)
		}
	}
	for item, q := range t.aside {
		if q != 0 {
			return fmt.Errorf("%d of %s are still staged for line %d in the end (I12)", q, item.item, item.line)
		}
	}
	for i, sku := range t.items {
		if t.committed[i] != 0 || t.staged[i] != 0 {
			return fmt.Errorf("%d of %s are still committed in the end, %d staged (I12)", t.committed[i], sku, t.staged[i])
		}
	}
	return nil
}

// auditTakenOnce demands of what a person has to look at that two who took the same
// goods have not left the book with less than nothing.
func (t *tally) auditTakenOnce(*pickup.State) error {
	for i, sku := range t.items {
		if t.committed[i] < 0 || t.staged[i] < 0 {
			return fmt.Errorf("%d of %s are committed in the end, %d staged (I12)", t.committed[i], sku, t.staged[i])
		}
	}
	return nil
}

// auditEnd demands that an order has come to one end, which its registers tell.
func (t *tally) auditEnd(state *pickup.State) error {
	collected := t.collected()
	switch {
	case collected == t.back:
		return fmt.Errorf("in the end it is %s and %s, collected %v, given back %v (I15)", state.Hub, state.Store, collected, t.back)
	case collected != (state.Store == pickup.PickedUp):
		return fmt.Errorf("in the end it is %s, collected %v (I15)", state.Store, collected)
	case t.back && !slices.ContainsFunc(t.acts, ends):
		return fmt.Errorf("its goods are back and it is %s (I15)", state.Hub)
	}
	return nil
}

// auditStandIns demands that what went elsewhere is what another part was to bring,
// and finds those parts. A hub that was restored may have sent the same goods on
// twice, and knows only of one.
func (w *world) auditStandIns(t *tally) error {
	t.whole = !w.cloud.renewed
	for _, a := range t.acts {
		if a.did != string(protocol.Rerouted) || w.cloud.renewed {
			continue
		}
		p := w.shop.byID[protocol.PartID{Order: t.Order, Part: a.instead}]
		if p == nil || p.insteadOf != t.Part || len(p.lines) != len(a.took) {
			return fmt.Errorf("%v of it went to part %d, which does not stand in for it (I15)", a.took, a.instead)
		}
		for _, l := range a.took {
			i := slices.Index(p.numbers, t.numbers[l.Line-1])
			if i < 0 || p.lines[i] != l.Quantity || p.items[i] != t.items[l.Line-1] {
				return fmt.Errorf("%v of it went to part %d, which has %v (I15)", a.took, a.instead, p.lines)
			}
		}
		t.instead = append(t.instead, p)
	}
	return nil
}

// auditMoney demands that what was handed over, paid back and moved elsewhere is
// what was ordered, in goods and in money.
func (t *tally) auditMoney(*pickup.State) error {
	byShopper := t.did(protocol.CancelRequested, protocol.Expired)
	var all, least, most protocol.Money
	for i, q := range t.lines {
		gone := t.asked[i] + t.elsewhere[i]
		switch {
		case t.prepaid && t.handed[i]+gone != q:
			return fmt.Errorf("%d of %s were paid, %d handed over, %d paid back, %d moved (I15)", q, t.items[i], t.handed[i], t.asked[i], t.elsewhere[i])
		case !t.prepaid && (t.asked[i] > 0 || t.handed[i]+gone > q):
			return fmt.Errorf("nobody paid, of %d of %s %d were handed over, %d paid back, %d moved (I15)", q, t.items[i], t.handed[i], t.asked[i], t.elsewhere[i])
		case t.back && t.movable && !byShopper && gone+t.unplaced[i] < q-t.handed[i]:
			return fmt.Errorf("of %d of %s %d were handed over, %d moved and %d found no store (I15)", q, t.items[i], t.handed[i], t.elsewhere[i], t.unplaced[i])
		}
		// The auditor's own rounding: a share is within a penny of the exact one.
		share := protocol.Money(int64(t.amounts[i]) * int64(gone) / int64(q))
		all += share
		if gone > 0 && gone < q {
			least, most = least-1, most+1
		}
	}
	moved := protocol.Money(0)
	for _, p := range t.instead {
		for _, amount := range p.amounts {
			moved += amount
		}
	}
	if back := t.amount + moved - all; t.prepaid && t.whole && (back < least || back > most) {
		return fmt.Errorf("%d were to be paid back and %d went elsewhere, of %d (I15)", t.amount, moved, all)
	}
	for _, short := range []bool{true, false} {
		if t.requests[short] != t.refunds[short] {
			return fmt.Errorf("%d refunds were asked for, %d made, for a shortage %v (I15)", t.requests[short], t.refunds[short], short)
		}
	}
	return nil
}
