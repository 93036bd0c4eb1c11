package hub

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
)

// placeTries is how often a store near a place is chosen anew because another
// order was faster.
const placeTries = 4

// PlaceOrder has a store keep goods for a shopper and answers 201 with the
// order. All of it is promised in one transaction, within what that store may
// promise in that moment (I12), or nothing is and the answer says what is short.
func (h *Hub) PlaceOrder(ctx context.Context, c protocol.Call, r pickup.PlaceRequest) (protocol.Answer, error) {
	return h.once(ctx, c, func(keep func(ledger.Tx, protocol.Answer) error) (protocol.Answer, error) {
		if err := r.Validate(h.now(), sale.ContainsCardNumber); err != nil {
			return protocol.Answer{}, err
		}
		var err error
		for range placeTries {
			store := r.Store
			if r.Near != nil {
				if store, err = h.chooseStore(ctx, &r); err != nil {
					return protocol.Answer{}, err
				}
			}
			var answer protocol.Answer
			if answer, err = h.placeAt(ctx, c, &r, store, keep); err == nil || r.Near == nil || protocol.CodeOf(err) != protocol.Short {
				return answer, err
			}
		}
		return protocol.Answer{}, err
	})
}

// placeAt places an order at one store.
func (h *Hub) placeAt(ctx context.Context, c protocol.Call, r *pickup.PlaceRequest, store protocol.StoreID, keep func(ledger.Tx, protocol.Answer) error) (answer protocol.Answer, err error) {
	err = h.view(ctx, func(v ledger.Reader) error {
		if err := knownStore(v, store); err != nil {
			return err
		}
		// Most of those who come too late are turned away without a transaction.
		record, err := ledger.ReadStore(v, store)
		if err == nil {
			_, err = h.order(v, r, record)
		}
		return err
	})
	if err != nil {
		return answer, err
	}
	_, err = h.actAfter(ctx, store, func(tx ledger.Tx, origin protocol.Origin) ([]*protocol.Event, error) {
		record, err := ledger.ReadStore(tx, store)
		if err != nil {
			return nil, err
		}
		stream, err := ledger.ReadStream(tx, origin)
		if err != nil {
			return nil, err
		}
		order, err := h.order(tx, r, record)
		if err != nil {
			return nil, err
		}
		order.PartID = protocol.PartID{Order: protocol.NewOrderID(protocol.EventID{Inc: origin.Inc, Seq: stream.Seq + 1}), Part: 1}
		order.Number = orderNumber(order.Order)
		order.CodeSum = pickup.CodeSum(order.PartID, h.pickupCode(order.Order))
		order.TokenKey = [ed25519.PublicKeySize]byte(h.tokenKey(order.PartID).Public().(ed25519.PublicKey))
		ev := &protocol.Event{Kind: protocol.KindOrder, Order: order}
		for _, l := range order.Lines {
			ev.Moves = addMove(ev.Moves, protocol.Move{SKU: l.Item.SKU, State: protocol.Committed, Delta: l.Quantity})
		}
		if c.Key != "" {
			ev.Idempotency = &protocol.Idempotency{Route: c.Route, Key: c.Key, Body: c.BodySum()}
		}
		return []*protocol.Event{ev}, nil
	}, func(tx ledger.Tx, events []*protocol.Event) error {
		doc, err := h.orderDocument(tx, events[0].Order.Order)
		if err != nil {
			return err
		}
		if answer, err = answerJSON(http.StatusCreated, doc); err != nil {
			return err
		}
		return keep(tx, answer)
	})
	return answer, err
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

// order resolves the lines of a request at a store, and refuses what is short.
func (h *Hub) order(tx ledger.Reader, r *pickup.PlaceRequest, store *protocol.StoreRecord) (*protocol.Order, error) {
	by, err := r.PickupByTime(h.now())
	if err != nil {
		return nil, err
	}
	o := &protocol.Order{
		Method: r.Method, Currency: store.Currency, Paid: r.Payment.Status == "paid", PaymentReference: r.Payment.Reference,
		Substitutes: r.Substitutes, Shopper: protocol.Shopper{Name: r.Shopper.Name, Phone: r.Shopper.Phone},
	}
	if !by.IsZero() {
		o.PickupByMs = by.UnixMilli()
	}
	var short []shortLine
	left := map[protocol.SKU]protocol.Quantity{}
	for i, l := range r.Lines {
		line, item, err := h.orderLine(tx, l, store)
		if err != nil {
			return nil, atOrderLine(err, i+1)
		}
		if _, ok := left[item.SKU]; !ok {
			level, err := ledger.ReadLevel(tx, store.ID, item.SKU)
			if err != nil {
				return nil, err
			}
			left[item.SKU] = promisable(level, item)
		}
		if have := left[item.SKU]; line.Quantity > have {
			short = append(short, shortLine{Line: i + 1, item: item, Promisable: have})
			if !r.Partial || have <= 0 {
				continue
			}
			line.Amount, _ = have.Times(line.UnitPrice)
			line.Quantity = have
		}
		left[item.SKU] -= line.Quantity
		o.Lines = append(o.Lines, line)
	}
	if len(short) > 0 && (!r.Partial || len(o.Lines) == 0) {
		return nil, h.errShort(tx, short, store)
	}
	return o, nil
}

func atOrderLine(err error, line int) error {
	var e *protocol.Error
	if errors.As(err, &e) {
		return e.With("line", line)
	}
	return err
}

// orderLine finds out what one line means and costs at a store.
func (h *Hub) orderLine(r ledger.Reader, l pickup.PlaceLine, store *protocol.StoreRecord) (protocol.OrderLine, *protocol.Item, error) {
	var line protocol.OrderLine
	item, err := namedByCode(r, l.Code)
	if err != nil {
		return line, nil, err
	}
	o, _, err := owner(r, l.Code)
	if err != nil {
		return line, nil, err
	}
	prices, err := ledger.ReadPrices(r, zoneOf(store), []protocol.SKU{item.SKU})
	if err != nil {
		return line, nil, err
	}
	price := priceAt(store, item, prices[0], h.now())
	if price == nil {
		return line, nil, protocol.Refuse(protocol.PriceMissing, item.Name+" has no price in this store. Nothing was ordered. Import a price first.").With("value", clip(l.Code))
	}
	line = protocol.OrderLine{Item: protocol.ItemRef{SKU: item.SKU}, Quantity: *l.Qty * o.Multiplier / 1000, UnitPrice: *price}
	if item.Unit != protocol.Each {
		line.Item.Unit = item.Unit
	}
	var ok bool
	if line.Amount, ok = line.Quantity.Times(line.UnitPrice); !ok || line.Quantity <= 0 || line.Quantity > pickup.QuantityMax {
		return line, nil, protocol.OutOfRange("qty", l.Qty.String(), "more than an order can hold")
	}
	return line, item, nil
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

// tokenKey signs the pickup token of a part. Each part has a key of its own,
// which follows from the hub's secret; its other half goes with the order.
func (h *Hub) tokenKey(part protocol.PartID) ed25519.PrivateKey {
	mac := hmac.New(sha256.New, h.secret)
	mac.Write([]byte("pickup token\n" + part.String()))
	return ed25519.NewKeyFromSeed(mac.Sum(nil))
}

// Order shows an order.
func (h *Hub) Order(ctx context.Context, id protocol.OrderID) (doc pickup.Document, err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		doc, err = h.orderDocument(r, id)
		return err
	})
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

func (h *Hub) orderDocument(r ledger.Reader, id protocol.OrderID) (pickup.Document, error) {
	list, exceptions, err := h.parts(r, id)
	if err != nil {
		return pickup.Document{}, err
	}
	zone := time.UTC
	record, err := ledger.ReadStore(r, list[len(list)-1].Store)
	if err != nil {
		return pickup.Document{}, err
	}
	if record != nil {
		if z, err := time.LoadLocation(record.Timezone); err == nil {
			zone = z
		}
	}
	items := map[protocol.SKU]*protocol.Item{}
	for _, p := range list {
		for i := range p.State.Order.Lines {
			sku := p.State.Order.Lines[i].Item.SKU
			if items[sku], err = ledger.ReadItem(r, sku); err != nil {
				return pickup.Document{}, err
			}
		}
	}
	last := list[len(list)-1]
	placed, _, err := ledger.ReadEvent(r, last.State.Placed)
	if err != nil {
		return pickup.Document{}, err
	}
	return pickup.NewDocument(pickup.Meta{
		PickupToken: pickup.NewToken(h.tokenKey(last.State.Order.PartID), last.Store, last.State.Order.PartID),
		Item:        func(sku protocol.SKU) *protocol.Item { return items[sku] }, PickupCode: h.pickupCode(id),
		Exceptions: exceptions, Zone: zone, AsOf: h.now().In(zone).Format(offsetLayout), PlacedMs: placed.WallMs,
	}, list), nil
}
