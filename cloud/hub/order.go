package hub

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
)

// placeTries is how often stores near a place are chosen anew because another
// order was faster.
const placeTries = 4

// PlaceOrder has stores keep goods for a shopper and answers 201 with the order.
// All of it is promised in one transaction, within what each store may promise in
// that moment (I12), or nothing is and the answer says what is short.
func (h *Hub) PlaceOrder(ctx context.Context, c protocol.Call, r pickup.PlaceRequest) (protocol.Answer, error) {
	return h.onceSigned(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
		if err := r.Validate(h.now(), sale.ContainsCardNumber); err != nil {
			return answer, err
		}
		for range placeTries {
			var parcels []parcel
			err = h.view(ctx, func(v ledger.Reader) error {
				// Most of those who come too late are turned away without a transaction.
				parcels, err = h.parcels(v, &r)
				return err
			})
			if err != nil {
				return answer, err
			}
			var whom orderSeal
			if whom, err = h.whom(ctx, &r); err != nil {
				return answer, err
			}
			answer, err = h.place(ctx, wish{c, &r, parcels, &whom}, keep)
			if err == nil || r.Near == nil || protocol.CodeOf(err) != protocol.Short {
				return answer, err
			}
		}
		return answer, err
	})
}

// wish is an order that is asked for, with the parcels that its stores keep.
type wish struct {
	call    protocol.Call
	request *pickup.PlaceRequest
	parcels []parcel
	whom    *orderSeal
}

// place promises parcels in one transaction.
func (h *Hub) place(ctx context.Context, p wish, keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
	var taken *holdRow
	r, parcels := p.request, p.parcels
	_, err = h.actIn(ctx, storesOf(parcels), func(tx ledger.Tx, own map[protocol.StoreID]protocol.Origin) (deeds []deed, err error) {
		stream, err := ledger.ReadStream(tx, own[parcels[0].store.ID])
		if err != nil {
			return nil, err
		}
		order, err := h.order(r)
		if err != nil {
			return nil, err
		}
		order.Order = protocol.NewOrderID(protocol.EventID{Inc: own[parcels[0].store.ID].Inc, Seq: stream.Seq + 1})
		if err := h.sealOrder(tx, order, p.whom); err != nil {
			return nil, err
		}
		for i := range parcels {
			order.Part = uint32(i + 1)
			ev, err := h.orderEvent(tx, *order, &parcels[i], r.Partial)
			if err != nil {
				return nil, err
			}
			if i == 0 && p.call.Key != "" {
				ev.Idempotency = &protocol.Idempotency{Route: p.call.Route, Key: p.call.Key, Body: p.whom.bodySum(order, p.call)}
			}
			deeds = append(deeds, deed{store: parcels[i].store.ID, events: []*protocol.Event{ev}})
		}
		if r.Hold != "" {
			taken, err = h.takeHold(tx, r.Hold, parcels[0].store.ID)
		}
		return deeds, err
	}, func(tx ledger.Tx, deeds []deed) error {
		for _, d := range deeds {
			if err := h.arm(tx, d.store, d.events[0].Order, h.expiry(d.events[0].Order)); err != nil {
				return err
			}
		}
		if answer, err = answerJSON(http.StatusCreated, h.placedDocument(parcels, deeds)); err != nil {
			return err
		}
		return keep(tx, answer)
	})
	if err == nil && taken != nil {
		h.holds.drop(taken)
	}
	return answer, err
}

func storesOf(parcels []parcel) (list []protocol.StoreID) {
	for i := range parcels {
		list = append(list, parcels[i].store.ID)
	}
	return list
}

// order is what all parts of an order have in common.
func (h *Hub) order(r *pickup.PlaceRequest) (*protocol.Order, error) {
	by, err := r.PickupByTime(h.now())
	if err != nil {
		return nil, err
	}
	o := &protocol.Order{
		Method: r.Method, Paid: r.Payment.Status == "paid", PaymentReference: r.Payment.Reference, Substitutes: r.Substitutes, Sourcing: r.Sourcing,
	}
	if !by.IsZero() {
		o.PickupByMs = by.UnixMilli()
	}
	return o, nil
}

// orderEvent asks a store to keep a parcel, within what it may promise now.
func (h *Hub) orderEvent(tx ledger.Reader, o protocol.Order, p *parcel, partial bool) (ev *protocol.Event, err error) {
	if o.Lines, err = h.orderLines(tx, p, partial); err != nil {
		return nil, err
	}
	o.Currency = p.store.Currency
	o.Number = orderNumber(o.Order)
	o.CodeSum = pickup.CodeSum(o.PartID, h.pickupCode(o.Order))
	o.TokenKey = [ed25519.PublicKeySize]byte(h.tokenKey(o.Order).Public().(ed25519.PublicKey))
	ev = &protocol.Event{Kind: protocol.KindOrder, Order: &o}
	for _, l := range o.Lines {
		ev.Moves = addMove(ev.Moves, protocol.Move{SKU: l.Item.SKU, State: protocol.Committed, Delta: l.Quantity})
	}
	return ev, nil
}

// orderLines are the lines of a parcel as far as its store may promise them now:
// all, or, where a part is enough, what there is. Else they are refused.
func (h *Hub) orderLines(r ledger.Reader, p *parcel, partial bool) (lines []protocol.OrderLine, err error) {
	have, err := h.keepable(r, p)
	if err != nil {
		return nil, err
	}
	var short []shortLine
	for i, w := range p.wants {
		line := *w.line
		if have[i] < w.line.Quantity {
			promises := h.promises(r)
			promises.hold = p.hold
			left, err := promises.of(p.store, w.item.SKU, w.item)
			if err != nil {
				return nil, err
			}
			short = append(short, shortLine{Line: int(line.Number), item: w.item, Promisable: left})
			if have[i] <= 0 {
				continue
			}
			line.Quantity = have[i]
			line.Amount, _ = line.Quantity.Times(line.UnitPrice)
		}
		lines = append(lines, line)
	}
	if len(short) > 0 && (!partial || len(lines) == 0) {
		return nil, h.errShort(r, short, p.store)
	}
	return lines, nil
}

// addMove adds a move to a list that has one for each item.
func addMove(moves []protocol.Move, m protocol.Move) []protocol.Move {
	for i := range moves {
		if moves[i].SKU == m.SKU && moves[i].State == m.State {
			moves[i].Delta += m.Delta
			return moves
		}
	}
	return append(moves, m)
}

// orderNumber is what people call an order by: short, and not unique.
func orderNumber(id protocol.OrderID) string {
	sum := sha256.Sum256([]byte(id))
	return pickup.NewCode([8]byte(sum[:8]))
}

// pickupCode is the code that the shopper is told. It follows from the hub's
// secret, so that nothing that is written down holds it.
func (h *Hub) pickupCode(id protocol.OrderID) string {
	mac := hmac.New(sha256.New, h.secret)
	mac.Write([]byte("pickup code\n" + string(id)))
	return pickup.NewCode([8]byte(mac.Sum(nil)[:8]))
}

// Order shows an order.
func (h *Hub) Order(ctx context.Context, id protocol.OrderID) (doc pickup.Document, err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		doc, err = h.orderDocument(r, id)
		return err
	})
	if err == nil {
		doc.Shopper, err = h.shopperOf(ctx, id)
	}
	if err == nil {
		*doc.PickupToken = h.signToken(*doc.PickupToken)
	}
	return doc, err
}

// parts are the parts of an order, with those that are known by name only left
// out.
func (h *Hub) parts(r ledger.Reader, id protocol.OrderID) (list []pickup.Placement, exceptions []string, err error) {
	places, err := ledger.ReadOrder(r, id)
	if err != nil {
		return nil, nil, err
	}
	for _, at := range places {
		name := protocol.PartID{Order: id, Part: at.Part}
		part, err := ledger.ReadPart(r, at.Store, name)
		if err != nil {
			return nil, nil, err
		}
		exceptions = append(exceptions, ledger.PartExceptions(name, part)...)
		if s := part.State(); s.Order != nil {
			list = append(list, pickup.Placement{Store: at.Store, State: s})
		}
	}
	if len(list) == 0 {
		return nil, nil, protocol.Refuse(protocol.NotFound, "There is no order "+clip(string(id))+". Nothing was recorded. Check its id.")
	}
	return list, exceptions, nil
}

// orderDocument shows an order, with a pickup token that is yet to be signed, and
// without the shopper.
func (h *Hub) orderDocument(r ledger.Reader, id protocol.OrderID) (pickup.Document, error) {
	list, exceptions, err := h.parts(r, id)
	if err != nil {
		return pickup.Document{}, err
	}
	record, err := ledger.ReadStore(r, list[len(list)-1].Store)
	if err != nil {
		return pickup.Document{}, err
	}
	items := map[protocol.SKU]*protocol.Item{}
	for _, p := range list {
		for _, sku := range p.State.Items() {
			if items[sku], err = ledger.ReadItem(r, sku); err != nil {
				return pickup.Document{}, err
			}
		}
	}
	placed, _, err := ledger.ReadEvent(r, list[len(list)-1].State.Placed)
	if err != nil {
		return pickup.Document{}, err
	}
	return h.documentOf(list, exceptions, record, items, placed.WallMs), nil
}

// placedDocument is orderDocument for an order that was placed just now. All that
// it says is at hand, and orders of an item wait for each other meanwhile.
func (h *Hub) placedDocument(parcels []parcel, deeds []deed) pickup.Document {
	list, items := make([]pickup.Placement, len(deeds)), map[protocol.SKU]*protocol.Item{}
	for i, d := range deeds {
		var part pickup.Part
		part.Add(protocol.EventID{}, d.events[0], nil, "")
		list[i] = pickup.Placement{Store: d.store, State: part.State()}
		for _, w := range parcels[i].wants {
			items[w.item.SKU] = w.item
		}
	}
	return h.documentOf(list, nil, parcels[len(parcels)-1].store, items, deeds[len(deeds)-1].wallMs)
}

func (h *Hub) documentOf(list []pickup.Placement, exceptions []string, last *protocol.StoreRecord, items map[protocol.SKU]*protocol.Item, placedMs int64) pickup.Document {
	zone := time.UTC
	if last != nil {
		zone = h.timesOf(last).place
	}
	return pickup.NewDocument(pickup.Meta{
		PickupToken: unsignedToken,
		Item:        func(sku protocol.SKU) *protocol.Item { return items[sku] }, PickupCode: h.pickupCode(list[0].State.Order.Order),
		Exceptions: exceptions, Zone: zone, AsOf: h.now().In(zone).Format(protocol.TimeLayout), PlacedMs: placedMs,
	}, list)
}
