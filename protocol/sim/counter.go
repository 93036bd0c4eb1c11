package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// What was done about an order, beside the acts of staff.
const (
	didOrder = "order"
	didSell  = "sale" // of an order that was due, which hands it over
)

// takeIn records a delivery.
func (s *staff) takeIn(sku protocol.SKU, q protocol.Quantity) bool {
	ev := &protocol.Event{
		Kind: protocol.KindMovement, Boot: s.m.identity.Boot, Moves: []protocol.Move{{SKU: sku, State: protocol.OnHand, Delta: q}},
		Movement: &protocol.Movement{Type: protocol.Receipt, Reference: "delivery", Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: sku}, Quantity: q}}},
	}
	return s.log(&act{}, func(ledger.Tx) (*protocol.Event, error) { return ev, nil })
}

// visit does some steps about an order, one after another.
func (s *staff) visit(p *promise, steps int) {
	switch {
	case steps == 0, s.m.w.quiet:
	case !s.m.running():
		s.m.w.schedule(s.m.w.shop.someTime(), func() { s.visit(p, steps) })
	default:
		s.fulfil(p, s.nextAsk)
		s.m.w.after(upTo(s.orders, s.m.w.plan.pace()), func() { s.visit(p, steps-1) })
	}
}

// finish does what is left to do about an order.
func (s *staff) finish(p *promise) { s.fulfil(p, s.lastAsk) }

// clerk is somebody who picks.
func (s *staff) clerk() protocol.StaffID {
	return []protocol.StaffID{"ann", "ben"}[s.orders.IntN(2)]
}

// fulfil does something about an order, and holds what the machine allows and
// answers to what staff there have seen.
func (s *staff) fulfil(p *promise, choose func(*pickup.State, bool) pickup.Ask) {
	m, w := s.m, s.m.w
	a := &act{part: p.PartID}
	wrong := ""
	s.record(a, func(tx ledger.Tx, clock protocol.Clock) (ledger.Result, error) {
		state, err := w.partAt(tx, p)
		if err != nil || state.Order == nil {
			return ledger.Result{}, cmp.Or(err, errNothing)
		}
		seen := m.knows(p)
		ask := choose(&state, state.Hub >= pickup.CancelRequested)
		if ask.Act == "" || ask.Act == protocol.HandOver && (p.left || w.shop.code(p) == "") {
			return ledger.Result{}, errNothing
		}
		a.seenPart, a.did, a.by, a.from, a.took = seen.acts, string(ask.Act), ask.Staff, "", nil
		if seen.clear {
			a.from = seen.state
		}
		ev, err := s.planned(tx, p, a, &state, ask)
		refused := err != nil
		if refused && protocol.CodeOf(err) == protocol.Internal {
			return ledger.Result{}, err
		}
		if seen.clear && refused == (seen.allows(ask) && p.yields(ask)) {
			wrong = fmt.Sprintf("%s by %q of order %s, which is %s: %v (I15, I22)", ask.Act, ask.Staff, p.PartID, seen.state, err)
		}
		if refused {
			return ledger.Result{}, errNothing
		}
		a.kind, a.moves = ev.Kind, ev.Moves
		if why := p.misplaced(a); why != "" || seen.clear && !seen.wholly(p, a) {
			wrong = fmt.Sprintf("order %s has %v set aside: %s", p.PartID, seen.aside, why)
		}
		res, err := ledger.Log(tx, m.origin, clock, ev)
		if err != nil {
			return res, err
		}
		after, err := w.partAt(tx, p)
		want := leadsTo(p, a, seen.state)
		if err == nil && seen.clear && after.Store.String() != want {
			wrong = fmt.Sprintf("%s of order %s leads from %s to %s (I15)", a.did, p.PartID, seen.state, after.Store)
		}
		return res, err
	})
	if a.id.Seq > 0 {
		w.tell("%s: %s of order %s, %v %v, as %d", m.disk.name, a.did, p.PartID, a.took, a.moves, a.id.Seq)
	}
	if wrong != "" && !w.setAside(m) {
		w.fail("%s: %s", m.disk.name, wrong)
	}
}

// planned makes the event that an ask becomes, as the till does.
func (s *staff) planned(tx ledger.Tx, p *promise, a *act, state *pickup.State, ask pickup.Ask) (*protocol.Event, error) {
	var problem error
	free := func(sku protocol.SKU) protocol.Quantity {
		level, err := ledger.ReadLevel(tx, p.store, sku)
		if err != nil {
			problem = err
			return 0
		}
		return level.Allotment(0)
	}
	f, moves, err := state.Plan(ask, free)
	if err == nil {
		err = problem
	}
	if err != nil {
		return nil, err
	}
	a.took = f.Lines
	if ask.Act == protocol.HandOver {
		if err := s.confirmed(p, state, a); err != nil {
			return nil, err
		}
		if !state.Paid {
			return s.sellOrder(tx, p, a, f, moves)
		}
	}
	return &protocol.Event{Kind: protocol.KindFulfilment, Boot: s.m.identity.Boot, Fulfilment: f, Moves: moves}, nil
}

// confirmed has the shopper prove whose the goods are. A code that is not the
// order's has to be refused, and then the right one is asked for.
func (s *staff) confirmed(p *promise, state *pickup.State, a *act) error {
	for range s.orders.IntN(3) {
		other := s.m.w.shop.promises[s.orders.IntN(len(s.m.w.shop.promises))]
		for _, wrong := range []string{other.code, other.token, strings.Repeat("0", 8)} {
			if wrong != "" && other.Order != p.Order && state.Confirms(p.store, &pickup.Request{PickupCode: wrong}, pickup.ShopperDocument{}) == nil {
				s.m.w.fail("%s: order %s is handed over for a code of %s", s.m.disk.name, p.PartID, other.PartID)
			}
		}
	}
	r := &pickup.Request{PickupCode: p.code}
	if s.orders.IntN(2) == 0 && p.token != "" {
		r.PickupCode = p.token
	}
	return state.Confirms(p.store, r, pickup.ShopperDocument{})
}

// sellOrder hands over what was due: one event is the receipt and the hand-over.
func (s *staff) sellOrder(tx ledger.Tx, p *promise, a *act, f *protocol.Fulfilment, moves []protocol.Move) (*protocol.Event, error) {
	n, err := s.number(tx)
	if err != nil {
		return nil, err
	}
	a.did, a.items, a.lines = didSell, nil, nil
	sale := s.receipt(a, protocol.SaleSale, n)
	sale.Part, sale.PartAfter = p.PartID, f.After
	for _, l := range f.Lines {
		i := int(l.Line) - 1
		item, _ := p.takes(l)
		a.items, a.lines = append(a.items, item.item), append(a.lines, l.Quantity)
		amount, _ := l.Quantity.Times(p.price[i])
		sale.Lines = append(sale.Lines, protocol.SaleLine{
			Item: protocol.ItemRef{SKU: item.item}, Quantity: l.Quantity, UnitPrice: p.price[i], Amount: amount, OriginalLine: l.Line,
		})
	}
	return &protocol.Event{Kind: protocol.KindSale, Boot: s.m.identity.Boot, Sale: sale, Moves: moves}, nil
}

// nextAsk is what staff do next: mostly what is next, now and then anything.
func (s *staff) nextAsk(state *pickup.State, closed bool) pickup.Ask {
	ask := pickup.Ask{Staff: s.clerk(), Reason: "because"}
	acts := []protocol.Act{protocol.Accept, protocol.Reject, protocol.Pick, protocol.Ready, protocol.Arrive, protocol.HandOver, protocol.PutBack, protocol.Undo}
	next := map[pickup.StoreState][]protocol.Act{
		pickup.Received: {protocol.Accept, protocol.Accept, protocol.Pick, protocol.Pick, protocol.Reject}, pickup.Accepted: {protocol.Pick, protocol.Pick, protocol.Pick, protocol.Undo},
		pickup.Picking: {protocol.Pick, protocol.Pick, protocol.Undo}, pickup.PartiallyPicked: {protocol.Ready, protocol.HandOver, protocol.Undo},
		pickup.Picked: {protocol.Ready, protocol.Ready, protocol.HandOver, protocol.Undo}, pickup.Ready: {protocol.HandOver, protocol.HandOver, protocol.Arrive},
	}[state.Store]
	switch {
	case s.orders.IntN(8) == 0 || len(next) == 0 && !closed:
		ask.Act = acts[s.orders.IntN(len(acts))]
	case closed:
		// The shopper may stand there all the same.
		ask.Act = []protocol.Act{protocol.PutBack, protocol.PutBack, protocol.HandOver}[s.orders.IntN(3)]
	default:
		ask.Act = next[s.orders.IntN(len(next))]
	}
	if ask.Act == protocol.Pick && (state.Store == pickup.Picking || s.orders.IntN(2) == 0) {
		ask.Lines = s.found(state)
	}
	if state.Store == pickup.Picking && s.orders.IntN(3) > 0 {
		ask.Staff = state.Picker
	}
	return ask
}

// found is what a clerk finds of the goods: all of them, or less.
func (s *staff) found(state *pickup.State) (lines []protocol.PartLine) {
	short := s.orders.IntN(4) == 0
	for i, q := range state.Committed {
		if short {
			q = protocol.Quantity(s.orders.Int64N(int64(max(q, 0)/1000+1))) * 1000
		}
		lines = append(lines, protocol.PartLine{Line: uint32(i + 1), Quantity: max(q, 0)})
	}
	return s.replaced(state, lines)
}

// lastAsk brings an order nearer to its end.
func (s *staff) lastAsk(state *pickup.State, closed bool) pickup.Ask {
	staged := slices.ContainsFunc(state.Staged, func(q protocol.Quantity) bool { return q > 0 })
	ask := pickup.Ask{Staff: s.clerk(), Reason: "the end of the run"}
	if state.Store == pickup.Picking {
		ask.Staff = state.Picker
	}
	switch {
	case state.Store == pickup.Rejected, state.Store == pickup.PickedUp && !staged:
	case state.Store == pickup.PickedUp, closed && (staged || state.Store != pickup.PutBack):
		ask.Act = protocol.PutBack
	case closed:
	case state.Store >= pickup.PartiallyPicked && staged:
		ask.Act = protocol.HandOver
	case state.Store >= pickup.PartiallyPicked && state.Store < pickup.Ready:
		ask.Act = protocol.Undo
	case slices.ContainsFunc(state.Committed, func(q protocol.Quantity) bool { return q > 0 }):
		ask.Act, ask.Lines = protocol.Pick, s.found(state)
	case state.Store < pickup.PartiallyPicked:
		ask.Act = protocol.Reject
	}
	return ask
}

// acknowledge answers, if this is the store's primary, cancellations of which
// nothing is staged. It tells whether nothing is left to answer.
func (s *staff) acknowledge() bool {
	w := s.m.w
	if w.shop == nil || !s.primary() {
		return true
	}
	for _, p := range w.shop.promises {
		if p.store != s.m.origin.Store || !s.m.running() {
			continue
		}
		s.fulfil(p, func(state *pickup.State, _ bool) pickup.Ask {
			if !state.Acknowledges() {
				return pickup.Ask{}
			}
			return pickup.Acknowledge
		})
	}
	return s.m.running() && !s.m.disk.full
}

// primary tells whether the machine acts for its store.
func (s *staff) primary() (yes bool) {
	err := s.m.process.View(s.m.w.ctx, func(r ledger.Reader) error {
		record, err := ledger.ReadStore(r, s.m.origin.Store)
		yes = err == nil && record != nil && record.Primary == s.m.origin.Agent
		return err
	})
	return err == nil && yes
}
