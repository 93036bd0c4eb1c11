package sim

import (
	"fmt"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// closing are the changes by the hub after which an order is not handed over any
// more.
var closing = []string{string(protocol.CancelRequested), string(protocol.Canceled), string(protocol.Expired), string(protocol.Refunded)}

// over are those after which the shopper has no claim on the goods.
var over = closing[1:]

// hubAct is what the hub wrote about an order, nil for all else. It is entered
// into the books when the hub commits it.
func (w *world) hubAct(id protocol.EventID, o protocol.Origin, record []byte) *act {
	rec, err := protocol.RecordFromBytes(record)
	if err != nil {
		return nil
	}
	ev, err := protocol.DecodeEvent(rec.Body)
	if err != nil {
		return nil
	}
	a := &act{id: id, print: fingerprint(record), store: o.Store, kind: ev.Kind, moves: ev.Moves}
	switch {
	case ev.Order != nil:
		a.did, a.part = didOrder, ev.Order.PartID
		p := &promise{PartID: a.part, store: o.Store, paid: ev.Order.Paid}
		if ev.Idempotency != nil {
			p.key = ev.Idempotency.Key
		}
		for _, l := range ev.Order.Lines {
			p.items, p.lines, p.price = append(p.items, l.Item.SKU), append(p.lines, l.Quantity), append(p.price, l.UnitPrice)
		}
		w.shop.promises = append(w.shop.promises, p)
		w.shop.byID[p.PartID] = p
	case ev.OrderChange != nil:
		a.did, a.part = string(ev.OrderChange.Change), ev.OrderChange.PartID
	case ev.Fulfilment != nil:
		a.did, a.part = string(ev.Fulfilment.Act), ev.Fulfilment.PartID
	default:
		return nil
	}
	return a
}

// arrives is told of every event that the hub commits, before it is there.
func (v *watch) arrives(id protocol.EventID, o protocol.Origin, record []byte) {
	w := v.w
	if w.shop == nil || o.Store == protocol.ChainStore {
		return
	}
	print := fingerprint(record)
	if w.forked {
		if again, ok := w.unwrap(record); ok {
			id, print = again.id, again.print
		}
	}
	a := w.books.find(id, print)
	if a == nil && o.Agent == protocol.HubAgent {
		if a = w.hubAct(id, o, record); a != nil {
			w.books.enter(a)
			w.judge(a)
			w.tell("hub: %s of order %s, %v", a.did, a.part, a.moves)
		}
	}
	if a != nil {
		v.arrived = append(v.arrived, a)
	}
}

// judge holds what the hub does about an order to what it knows in that moment.
func (w *world) judge(a *act) {
	handed, back, closed, requested := w.heldAtHub(a.part, string(protocol.HandOver), didSell), w.heldAtHub(a.part, string(protocol.Reject), string(protocol.PutBack)),
		w.heldAtHub(a.part, over...), w.heldAtHub(a.part, closing...)
	switch a.did {
	case didOrder:
		key := w.shop.byID[a.part].key
		if !w.cloud.renewed && slices.ContainsFunc(w.shop.promises, func(p *promise) bool { return p.key == key && p.PartID != a.part }) {
			w.fail("request %s is ordered twice (I3)", key)
		}
		for _, m := range a.moves {
			if have := w.cloud.book.promisable(shelf{a.store, m.SKU}); m.State != protocol.Committed || m.Delta > have {
				w.fail("order %s promises %d of %s at %s, of which the acknowledged events allow %d (I12)", a.part, m.Delta, m.SKU, a.store, have)
			}
		}
	case string(protocol.CancelRequested):
		if handed || requested {
			w.fail("order %s is canceled after it was handed over or canceled (I15)", a.part)
		}
	case string(protocol.PaidOrder):
		if requested {
			w.fail("order %s is paid after it was canceled (I15)", a.part)
		}
	case string(protocol.Canceled), string(protocol.Expired), string(protocol.Refunded), string(protocol.RefundRequested):
		if !back {
			w.fail("order %s is %s, and its store did not say that the goods are back (I15)", a.part, a.did)
		}
		if a.did == string(protocol.Canceled) && closed {
			w.fail("order %s is %s twice (I15)", a.part, a.did)
		}
	}
}

// heldAtHub tells whether the hub holds one of some acts about an order.
func (w *world) heldAtHub(part protocol.PartID, did ...string) bool {
	return slices.ContainsFunc(w.books.parts[part], func(a *act) bool { return w.cloud.book.counted[a] && slices.Contains(did, a.did) })
}

// climbs holds the registers of an order to never going down at one place (I15).
func (v *watch) climbs(r ledger.Row) {
	part, err := pickup.DecodePart(r.Value)
	if err != nil {
		v.w.fail("%s: %v", v.disk.name, err)
		return
	}
	s := part.State()
	now := register{hub: s.Hub, attempt: s.Attempt, store: s.Store}
	before := v.registers[r.Key.ID]
	down := now.attempt < before.attempt || now.attempt == before.attempt && now.store < before.store
	if now.hub < before.hub || now.store != pickup.PickedUp && (down || before.store == pickup.PickedUp) {
		v.w.fail("%s: order %q goes from %+v to %+v (I15)", v.disk.name, r.Key.ID, before, now)
	}
	v.registers[r.Key.ID] = now
}

// register is what one place says of an order.
type register struct {
	hub     pickup.HubState
	attempt uint32
	store   pickup.StoreState
}

// known is what the staff at one machine can know of an order.
type known struct {
	acts []*act // by staff, arrivals left out, in the order in which they were done
	// clear says that the acts were done one after another, by people who knew of
	// all that came before, so that what they come to is beyond doubt.
	clear  bool
	closed bool // the hub has canceled the order, or something like it
	staged protocol.Quantity
	state  string
	picker protocol.StaffID
}

// knows is what the machine holds of an order.
func (m *machine) knows(p *promise) known {
	k := known{clear: true, state: "received"}
	watch := m.disk.watch
	for _, a := range m.w.books.parts[p.PartID] {
		if watch.heads[a.id.Inc].seq < a.id.Seq && !slices.Contains(watch.again[a.id], a.print) {
			continue
		}
		if len(m.w.books.acts[a.id]) > 1 {
			k.clear = false // A copy has used the same number.
		}
		for _, move := range a.moves {
			if move.State == protocol.Staged {
				k.staged += move.Delta
			}
		}
		switch {
		case slices.Contains(closing, a.did):
			k.closed = true
		case byStaff(a):
			k.clear = k.clear && len(a.seenPart) == len(k.acts)
			k.state, k.picker = leadsTo(p, a, k.state), a.by
			k.acts = append(k.acts, a)
		}
	}
	return k
}

// byStaff tells whether an act moves the store's register.
func byStaff(a *act) bool {
	switch protocol.Act(a.did) {
	case protocol.Accept, protocol.Reject, protocol.Pick, protocol.Ready, protocol.HandOver, protocol.PutBack, protocol.Undo, didSell:
		return true
	}
	return false
}

// leadsTo is the store's state after an act.
func leadsTo(p *promise, a *act, from string) string {
	switch protocol.Act(a.did) {
	case protocol.Accept:
		return "accepted"
	case protocol.Reject:
		return "rejected"
	case protocol.Ready:
		return "ready"
	case protocol.Undo:
		return "received"
	case protocol.HandOver, didSell:
		return "picked_up"
	case protocol.PutBack:
		if from != "picked_up" {
			return "put_back"
		}
	case protocol.Pick:
		if len(a.took) == 0 {
			return "picking"
		}
		found := make([]protocol.Quantity, len(p.lines))
		for _, l := range a.took {
			found[l.Line-1] += l.Quantity
		}
		if slices.Equal(found, p.lines) {
			return "picked"
		}
		return "partially_picked"
	}
	return from
}

// allows tells whether staff may do something about an order, by the table of
// the shop floor.
func (k *known) allows(ask pickup.Ask) bool {
	if k.state == "picking" && ask.Act != protocol.Arrive && ask.Staff != k.picker {
		return false
	}
	if ask.Act == protocol.PutBack {
		if k.state == "picked_up" {
			return k.staged > 0
		}
		return k.closed && k.state != "rejected" && (k.state != "put_back" || k.staged > 0)
	}
	if k.closed {
		return false
	}
	from := map[protocol.Act][]string{
		protocol.Accept: {"received"}, protocol.Reject: {"received", "accepted", "picking"}, protocol.Pick: {"received", "accepted", "picking"},
		protocol.Ready: {"partially_picked", "picked"}, protocol.HandOver: {"partially_picked", "picked", "ready"},
		protocol.Undo: {"accepted", "picking", "partially_picked", "picked"}, protocol.Arrive: {"received", "accepted", "picking", "partially_picked", "picked", "ready"},
	}[ask.Act]
	return slices.Contains(from, k.state) && (k.staged > 0 || ask.Act != protocol.Ready && ask.Act != protocol.HandOver)
}

// orderExceptions are what acts about orders break together. What cannot be
// told, because acts between them are lost, is in doubt.
func (w *world) orderExceptions(held map[*act]bool) (found, doubt map[string]bool) {
	found, doubt = map[string]bool{}, map[string]bool{}
	for part, all := range w.books.parts {
		list := slices.DeleteFunc(slices.Clone(all), func(a *act) bool { return !held[a] })
		count := func(did ...string) (n int) {
			for _, a := range list {
				if slices.Contains(did, a.did) {
					n++
				}
			}
			return n
		}
		raise := func(kind string, broken bool) {
			if broken {
				found[kind+" "+part.String()] = true
			}
			if len(list) < len(all) {
				doubt[kind+" "+part.String()] = true
			}
		}
		handed := count(string(protocol.HandOver), didSell)
		raise(pickup.HandedTwice, handed > 1)
		raise(pickup.HandedAfterCancel, handed > 0 && count(over...) > 0)
		raise(pickup.UnknownOrder, len(list) > 0 && count(didOrder) == 0)
		raise(pickup.AtOnce, slices.ContainsFunc(list, func(a *act) bool {
			return slices.ContainsFunc(list, func(b *act) bool { return apart(a, b) })
		}))
	}
	return found, doubt
}

// apart tells whether two acts were done by people who did not know of each
// other, at two machines.
func apart(a, b *act) bool {
	return byStaff(a) && byStaff(b) && a.did != didSell && b.did != didSell && a.id.Inc != b.id.Inc &&
		!slices.Contains(a.seenPart, b) && !slices.Contains(b.seenPart, a)
}

// auditPromises demands that every promise has come to one end, and only one:
// the goods were collected, or the store gave them back, and then the shopper
// has the money back too. What two machines did at once a person looks at.
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
		open := slices.ContainsFunc(pickup.BrokenKinds, func(kind string) bool { return found[kind+" "+p.PartID.String()] })
		if len(list) == 0 || open || w.unattended(p.store) || w.twice(held) {
			w.counts.OrdersOpen++
			continue
		}
		if err := w.auditPromise(r, p, list); err != nil {
			return fmt.Errorf("order %s at %s: %w", p.PartID, p.store, err)
		}
	}
	return nil
}

func (w *world) auditPromise(r ledger.Reader, p *promise, list []*act) error {
	did := func(names ...string) bool {
		return slices.ContainsFunc(list, func(a *act) bool { return slices.Contains(names, a.did) })
	}
	sums := map[protocol.Move]protocol.Quantity{}
	for _, a := range list {
		for _, m := range a.moves {
			sums[protocol.Move{SKU: m.SKU, State: m.State}] += m.Delta
		}
	}
	for at, q := range sums {
		if q != 0 && (at.State == protocol.Committed || at.State == protocol.Staged) {
			return fmt.Errorf("%d of %s are still %s in the end (I12)", q, at.SKU, at.State)
		}
	}
	state, err := partAt(r, p)
	if err != nil {
		return err
	}
	collected := did(string(protocol.HandOver), didSell)
	back := slices.ContainsFunc(list, func(a *act) bool {
		// What is put back after a hand-over had been picked twice.
		return a.did == string(protocol.Reject) || a.did == string(protocol.PutBack) && a.from != "picked_up"
	})
	paid := p.paid || did(string(protocol.PaidOrder))
	refunded := did(string(protocol.Refunded))
	switch {
	case collected == back:
		return fmt.Errorf("in the end it is %s and %s, collected %v, given back %v (I15)", state.Hub, state.Store, collected, back)
	case collected != (state.Store == pickup.PickedUp):
		return fmt.Errorf("in the end it is %s, collected %v (I15)", state.Store, collected)
	case back && paid != refunded:
		return fmt.Errorf("its goods are back, paid %v, refunded %v (I15)", paid, refunded)
	case collected && refunded:
		return fmt.Errorf("it is collected and refunded, and nobody looks at it (I15)")
	case did(string(protocol.PutBack)) && !did(over...):
		return fmt.Errorf("it was put back and is %s (I15)", state.Hub)
	}
	if collected {
		w.counts.OrdersCollected++
	}
	return nil
}

// unattended tells whether every machine of a store has set something aside, so
// that nobody there may know of all orders.
func (w *world) unattended(store protocol.StoreID) bool {
	return !slices.ContainsFunc(w.agents, func(m *machine) bool { return m.origin.Store == store && m.running() && !w.setAside(m) })
}
