package sim

import (
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// closes tells whether an act is the hub's word that an order is not handed over
// any more.
func closes(a *act) bool {
	return a.did == string(protocol.CancelRequested) || a.did == string(protocol.Withdrawn) || ends(a)
}

// ends tells whether the shopper has no claim on the goods after it. What was
// short is paid back, and the rest of the order goes on.
func ends(a *act) bool {
	return a.did == string(protocol.Canceled) || a.did == string(protocol.Expired) || a.did == string(protocol.Refunded) && a.reason != protocol.ShortageReason
}

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
		p := &promise{PartID: a.part, store: o.Store, paid: ev.Order.Paid, insteadOf: ev.Order.InsteadOf, movable: ev.Order.Sourcing != "", substitutes: ev.Order.Substitutes}
		if ev.Idempotency != nil {
			p.key, p.placed = ev.Idempotency.Key, w.cloud.running()
		}
		p.due, p.left = w.shop.timesOf(p, ev.Order), w.fetching.leaves(p)
		for _, l := range ev.Order.Lines {
			p.items, p.lines, p.price = append(p.items, l.Item.SKU), append(p.lines, l.Quantity), append(p.price, l.UnitPrice)
			p.numbers, p.amounts = append(p.numbers, l.Number), append(p.amounts, l.Amount)
		}
		w.shop.promises = append(w.shop.promises, p)
		w.shop.byID[p.PartID] = p
		if p.insteadOf > 0 {
			w.schedule(0, func() { w.shop.planVisits(p) })
		}
	case ev.OrderChange != nil:
		c := ev.OrderChange
		a.did, a.part, a.took, a.reason, a.amount, a.instead = string(c.Change), c.PartID, c.Lines, c.Reason, c.Amount, c.Instead
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
	if w.shop == nil && w.club == nil || o.Store == protocol.ChainStore {
		return
	}
	print := fingerprint(record)
	if w.forked {
		if again, ok := w.unwrap(record); ok {
			id, print = again.id, again.print
		}
	}
	a := w.books.find(id, print)
	if a == nil && o.Agent == protocol.HubAgent && w.club != nil {
		if a = w.hubCredit(id, o, record); a != nil {
			w.books.enter(a)
			w.club.enter(a)
			w.judgeMembers(a, v.arrived)
			w.tell("hub: %s", a.credit.describe())
		}
	}
	if a == nil && o.Agent == protocol.HubAgent && w.shop != nil {
		if a = w.hubAct(id, o, record); a != nil {
			w.books.enter(a)
			w.judge(a, v.arrived)
			w.tell("hub: %s of order %s, %v", a.did, a.part, a.moves)
		}
	}
	if a != nil {
		v.arrived = append(v.arrived, a)
	}
}

// climbs holds the registers of an order to never going down at one place (I15).
func (v *watch) climbs(r ledger.Row) {
	s, err := v.w.partState(r.Value, func() (*pickup.Part, error) { return pickup.DecodePart(r.Value) })
	if err != nil {
		v.w.fail("%s: %v", v.disk.name, err)
		return
	}
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
	aside  map[taken]protocol.Quantity // what is staged, by what it is for
	state  string
	picker protocol.StaffID
}

// knows is what the machine holds of an order.
func (m *machine) knows(p *promise) known {
	k := known{clear: true, state: "received", aside: map[taken]protocol.Quantity{}}
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
		p.addTaken(k.aside, a)
		switch {
		case closes(a):
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
	if k.state == "picking" && ask.Act != protocol.Arrive && ask.Act != protocol.PutBack && ask.Act != protocol.Undo && ask.Staff != k.picker {
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
		raise(pickup.HandedAfterCancel, handed > 0 && slices.ContainsFunc(list, ends))
		raise(pickup.PaidTwice, count(didSell) > 0 && count(string(protocol.PaidOrder)) > 0)
		p := w.shop.byID[part]
		raise(pickup.SettledTwice, p != nil && p.tally(list).settledTwice())
		raise(pickup.TooLate, count(string(protocol.Overdue)) > 0)
		raise(pickup.BookBreached, count(string(protocol.Breached)) > 0 && count(string(protocol.Withdrawn)) == 0)
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
	return byStaff(a) && byStaff(b) && a.id.Inc != b.id.Inc &&
		!slices.Contains(a.seenPart, b) && !slices.Contains(b.seenPart, a)
}

// unattended tells whether every machine of a store has set something aside, so
// that nobody there may know of all orders.
func (w *world) unattended(store protocol.StoreID) bool {
	return !slices.ContainsFunc(w.agents, func(m *machine) bool { return m.origin.Store == store && m.running() && !w.setAside(m) })
}
