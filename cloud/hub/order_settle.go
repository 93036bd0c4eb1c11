package hub

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// settle does what the hub owes parts of a store because of what was folded:
// releases, refunds, other stores. What is owed stays owed until it is logged, so
// that a crash before this only delays it.
func (h *Hub) settle(ctx context.Context, store protocol.StoreID, parts []protocol.PartID) error {
	for _, id := range parts {
		for _, step := range []func(context.Context, protocol.StoreID, protocol.PartID) error{h.payDebts, h.rehouse, h.payDebts, h.wind, h.recall} {
			if err := step(ctx, store, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// readState is what a part comes to.
func readState(r ledger.Reader, store protocol.StoreID, id protocol.PartID) (pickup.State, error) {
	part, err := ledger.ReadPart(r, store, id)
	if err != nil {
		return pickup.State{}, err
	}
	return part.State(), nil
}

// payDebts logs what is owed.
func (h *Hub) payDebts(ctx context.Context, store protocol.StoreID, id protocol.PartID) error {
	var owed []*protocol.Event
	read := func(r ledger.Reader) error {
		owed = nil
		s, err := readState(r, store, id)
		for _, c := range s.Owed() {
			owed = append(owed, orderChange(&s, c))
		}
		return err
	}
	if err := h.view(ctx, read); err != nil || len(owed) == 0 {
		return err
	}
	_, err := h.actAll(ctx, store, func(tx ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
		err := read(tx)
		return owed, err
	})
	return err
}

// rehouse finds other stores for what a store does not keep, or says that there
// are none.
func (h *Hub) rehouse(ctx context.Context, store protocol.StoreID, id protocol.PartID) error {
	for range placeTries {
		var parcels []parcel
		homeless := false
		err := h.view(ctx, func(r ledger.Reader) error {
			s, err := readState(r, store, id)
			if err != nil {
				return err
			}
			if homeless = len(s.Homeless()) > 0; homeless {
				parcels, err = h.elsewhere(r, store, &s)
			}
			return err
		})
		if err != nil || !homeless {
			return err
		}
		if err = h.move(ctx, store, id, parcels); protocol.CodeOf(err) != protocol.Short && !errors.Is(err, errMoved) {
			return err
		}
	}
	return h.move(ctx, store, id, nil)
}

// elsewhere finds the stores for what a part does not bring, near the store that
// was to keep it and by the order's rule. Stores that have had a part of the order
// are not asked again. A shopper who comes to a store is sent to one only.
func (h *Hub) elsewhere(r ledger.Reader, store protocol.StoreID, s *pickup.State) ([]parcel, error) {
	record, err := ledger.ReadStore(r, store)
	if err != nil || record == nil || record.Lat == nil || record.Lon == nil {
		return nil, err
	}
	asked, err := ledger.ReadOrder(r, s.Order.Order)
	if err != nil {
		return nil, err
	}
	near, err := h.places(r, AvailabilityQuery{Lat: *record.Lat, Lon: *record.Lon, RadiusKm: orderRadiusKm, Limit: nearMax})
	if err != nil {
		return nil, err
	}
	near = slices.DeleteFunc(near, func(p place) bool {
		return p.store.Currency != s.Order.Currency || slices.ContainsFunc(asked, func(at ledger.PartPlace) bool { return at.Store == p.store.ID })
	})
	wants, err := h.homeless(r, s)
	if err != nil || len(near) == 0 {
		return nil, err
	}
	found, left, err := h.source(r, s.Order.Sourcing, near, wants)
	if comes := s.Order.Method == protocol.InStore || s.Order.Method == protocol.Curbside; comes && (len(left) > 0 || len(found) > 1) {
		return nil, err
	}
	return found, err
}

// homeless are the lines for which another store is to be found.
func (h *Hub) homeless(r ledger.Reader, s *pickup.State) (wants []want, err error) {
	for _, l := range s.Homeless() {
		line := s.Order.Lines[l.Line-1]
		line.Quantity = l.Quantity
		item, err := ledger.ReadItem(r, line.Item.SKU)
		if err != nil {
			return nil, err
		}
		if item != nil {
			wants = append(wants, want{item: item, line: &line})
		}
	}
	return wants, nil
}

// move places parcels of what a part does not bring, at the prices that the
// shopper was told, and says of the rest that no store can keep it.
func (h *Hub) move(ctx context.Context, store protocol.StoreID, id protocol.PartID, parcels []parcel) error {
	whom, err := h.inTheClear(ctx, store, id)
	if err != nil {
		return err
	}
	_, err = h.actIn(ctx, append(storesOf(parcels), store), func(tx ledger.Tx, _ map[protocol.StoreID]protocol.Origin) (deeds []deed, err error) {
		s, err := readState(tx, store, id)
		if err != nil {
			return nil, err
		}
		places, err := ledger.ReadOrder(tx, id.Order)
		if err != nil {
			return nil, err
		}
		left, next := s.Homeless(), uint32(0)
		for _, at := range places {
			next = max(next, at.Part)
		}
		var changes []*protocol.Event
		for i := range parcels {
			order := *s.Order
			if err := h.sealOrder(tx, &order, whom); err != nil {
				return nil, err
			}
			next += h.partStep()
			order.Part, order.InsteadOf, order.Paid = next, id.Part, s.Prepaid
			ev, taken, err := h.standIn(tx, &s, order, &parcels[i], left)
			if err != nil || ev == nil {
				return nil, err
			}
			deeds = append(deeds, deed{store: parcels[i].store.ID, events: []*protocol.Event{ev}})
			changes = append(changes, orderChange(&s, protocol.OrderChange{Change: protocol.Rerouted, Lines: taken, Instead: next}))
			left = slices.DeleteFunc(left, func(l protocol.PartLine) bool { return slices.Contains(taken, l) })
		}
		if len(left) > 0 {
			changes = append(changes, orderChange(&s, protocol.OrderChange{Change: protocol.Unplaced, Lines: left}))
		}
		return append(deeds, deed{store: store, events: changes}), nil
	}, func(tx ledger.Tx, deeds []deed) error {
		fetchBy, err := h.fetchBy(tx, store, id)
		for _, d := range deeds {
			for _, ev := range d.events {
				if err == nil && ev.Order != nil {
					err = h.arm(tx, d.store, ev.Order, fetchBy)
				}
			}
		}
		return err
	})
	return err
}

// partStepMax bounds by how much the number of a part that stands in for another
// is above the numbers that are known.
const partStepMax = 1 << 20

// partStep is how far the number of the next part is above the last one. It is
// drawn, since a hub that was restored from an older copy may have given the next
// number to another store already: that part comes back, and must not be taken for
// this one.
func (h *Hub) partStep() uint32 {
	var b [4]byte
	h.random(b[:])
	return 1 + binary.BigEndian.Uint32(b[:])%partStepMax
}

// errMoved says that what is to be moved has changed meanwhile.
var errMoved = errors.New("what is to be moved has changed")

// standIn is the part that a store keeps in the place of another. taken are the
// lines of that one.
func (h *Hub) standIn(tx ledger.Reader, s *pickup.State, order protocol.Order, p *parcel, left []protocol.PartLine) (ev *protocol.Event, taken []protocol.PartLine, err error) {
	kept := parcel{store: p.store}
	for _, w := range p.wants {
		i := slices.IndexFunc(s.Order.Lines, func(l protocol.OrderLine) bool { return l.Number == w.line.Number })
		l := protocol.PartLine{Line: uint32(i + 1), Quantity: w.line.Quantity}
		if i < 0 || !slices.Contains(left, l) {
			return nil, nil, errMoved
		}
		line := *w.line
		line.UnitPrice, line.Amount = s.Order.Lines[i].UnitPrice, s.ShareOf([]protocol.PartLine{l})
		kept.wants, taken = append(kept.wants, want{w.item, &line}), append(taken, l)
	}
	ev, err = h.orderEvent(tx, order, &kept, false)
	return ev, taken, err
}

// settleTouched settles the parts that committed batches were about, and the
// promises that they broke. While there is no room what is owed waits for the
// next start, or the next act.
func (h *Hub) settleTouched(ctx context.Context, ready []*incoming, short []ledger.ItemAt) error {
	touched := map[protocol.StoreID][]protocol.PartID{}
	for _, in := range ready {
		for _, part := range in.parts {
			if !slices.Contains(touched[in.origin.Store], part) {
				touched[in.origin.Store] = append(touched[in.origin.Store], part)
			}
		}
	}
	if err := h.settleStores(ctx, touched); err != nil {
		return err
	}
	for _, in := range ready {
		for _, id := range in.back {
			if err := h.payBack(ctx, id); protocol.CodeOf(err) == protocol.DiskFull {
				h.log.Error("the hub's disk is full; the shop is not yet asked to pay back", "order", id, "error", err)
			} else if err != nil {
				return err
			}
		}
	}
	for _, at := range short {
		if err := h.compensate(ctx, at); protocol.CodeOf(err) == protocol.DiskFull {
			h.log.Error("the hub's disk is full; orders without goods are not yet looked after", "store", at.Store, "error", err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// settleStores settles parts of several stores, in the order of their names, so
// that a run can be repeated. What is owed may wait for room.
func (h *Hub) settleStores(ctx context.Context, parts map[protocol.StoreID][]protocol.PartID) error {
	for _, store := range slices.Sorted(maps.Keys(parts)) {
		if err := h.settle(ctx, store, parts[store]); protocol.CodeOf(err) == protocol.DiskFull {
			h.log.Error("the hub's disk is full; goods of orders are not yet released", "store", store, "error", err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// partsOf are the parts of orders that events are about; nil stands for an event
// that could not be folded.
func partsOf(events []*protocol.Event) (parts []protocol.PartID) {
	for _, ev := range events {
		if ev = original(ev); ev == nil {
			continue
		}
		if part := ledger.PartOf(ev); part.Part > 0 && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return parts
}

// settleAll is settle for every part of every store that is not over, and for
// everything that came back, at a start.
func (h *Hub) settleAll(ctx context.Context) error {
	open := map[protocol.StoreID][]protocol.PartID{}
	short := map[ledger.ItemAt]bool{}
	err := h.view(ctx, func(r ledger.Reader) error {
		return ledger.ScanStores(r, func(store *protocol.StoreRecord) (bool, error) {
			return true, ledger.Parts(r, store.ID, protocol.PartID{}, func(id protocol.PartID, part *pickup.Part) (bool, error) {
				s := part.State()
				if s.Order == nil {
					return true, nil
				}
				forgotten, err := h.forgottenKey(r, part)
				if err != nil || s.Over() && len(s.Owed())+len(s.Homeless()) == 0 && forgotten == nil {
					return err == nil, err
				}
				open[store.ID] = append(open[store.ID], id)
				for i := range s.Order.Lines {
					short[ledger.ItemAt{Store: store.ID, SKU: s.Order.Lines[i].Item.SKU}] = true
				}
				return true, nil
			})
		})
	})
	for _, store := range slices.Sorted(maps.Keys(open)) {
		if err == nil {
			err = h.settle(ctx, store, open[store])
		}
	}
	items := slices.SortedFunc(maps.Keys(short), func(a, b ledger.ItemAt) int {
		return cmp.Or(cmp.Compare(a.Store, b.Store), cmp.Compare(a.SKU, b.SKU))
	})
	for _, at := range items {
		if err == nil {
			err = h.compensate(ctx, at)
		}
	}
	return errors.Join(err, h.payBackAll(ctx))
}
