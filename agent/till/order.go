package till

import (
	"context"
	"net/http"
	"slices"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
)

// OrderRoute begins the routes of calls about an order.
const OrderRoute = "POST /v1/orders/"

// orderOf is the order that an event of this machine is about.
func orderOf(ev *protocol.Event) protocol.OrderID {
	if ev.Fulfilment != nil {
		return ev.Fulfilment.Order
	}
	if ev.Sale != nil {
		return ev.Sale.Part.Order
	}
	return ""
}

// Fulfil does what staff ask for about the part of an order that this store
// keeps, and answers 200 with the order. The hub has no part in it.
func (t *Till) Fulfil(ctx context.Context, c protocol.Call, id protocol.OrderID, action string, r pickup.Request) (protocol.Answer, error) {
	ask, err := r.Validate(action, sale.ContainsCardNumber)
	if err != nil {
		return protocol.Answer{}, err
	}
	shopper, err := t.asked(ctx, id, &r)
	if err != nil {
		return protocol.Answer{}, err
	}
	guessing := ask.Act == protocol.HandOver && (r.PickupCode != "" || r.Check != nil)
	if guessing {
		if err := t.guesses.begin(id, t.o.Mono()); err != nil {
			return protocol.Answer{}, err
		}
	}
	answer, err := t.asking(ctx, func(protocol.MemberID) (protocol.Answer, error) {
		return t.do(ctx, c, nil, func(a *act) (outcome, error) {
			state, err := a.part(a.tx, id)
			if err != nil {
				return outcome{}, err
			}
			own := ask // This may run again.
			own.Lines = state.LinesOf(ask.Lines)
			if err := a.substitutes(state, &own, r.Lines); err != nil {
				return outcome{}, err
			}
			a.sensitive = r.Check != nil
			if err := a.fulfil(state, own, r, shopper); err != nil {
				return outcome{}, err
			}
			doc, err := a.orderDocument(a.tx, id, a.now)
			return outcome{http.StatusOK, doc}, err
		})
	})
	if guessing {
		t.guesses.end(id, err)
	}
	if err != nil {
		return answer, err
	}
	return t.reveal(ctx, answer)
}

// asked is the shopper of an order, where a request asks for the phone number. It is
// read ahead of the transaction, which must not wait for the key.
func (t *Till) asked(ctx context.Context, id protocol.OrderID, r *pickup.Request) (s pickup.ShopperDocument, err error) {
	if r.Check == nil {
		return s, nil
	}
	err = t.o.Driver.View(ctx, func(v ledger.Reader) error {
		state, err := t.part(v, id)
		if err == nil && state.Order != nil {
			s = t.shopper(state.Order)
		}
		return err
	})
	if protocol.CodeOf(err) == protocol.NotFound {
		return s, nil // The transaction says so, or answers a call of before.
	}
	return s, err
}

// shopper shows whom the goods of an order are for.
func (t *Till) shopper(o *protocol.Order) pickup.ShopperDocument {
	if len(o.Sealed) == 0 {
		return pickup.ShopperOf(o, protocol.SubjectKey{}, false)
	}
	key, ok := t.o.Key(o.Subject())
	return pickup.ShopperOf(o, key, ok)
}

// Locked lists orders of this store that are not over and whose key is not here.
func (t *Till) Locked(ctx context.Context) (ids []protocol.OrderID, err error) {
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		ids = nil
		open, err := t.open.follow(t, r)
		if err != nil {
			return err
		}
		for _, id := range open {
			part, err := ledger.ReadPart(r, t.origin().Store, id)
			if err != nil {
				return err
			}
			o, _ := part.Order()
			if o == nil || len(o.Sealed) == 0 {
				continue
			}
			if _, ok := t.o.Key(o.Subject()); !ok {
				ids = append(ids, o.Order)
			}
		}
		return nil
	})
	return slices.Compact(ids), err
}

// reveal puts the shopper into the answer of a call about an order, which was kept
// without.
func (t *Till) reveal(ctx context.Context, answer protocol.Answer) (protocol.Answer, error) {
	id := pickup.Unrevealed(answer.Body)
	if id == "" {
		return answer, nil
	}
	err := t.o.Driver.View(ctx, func(r ledger.Reader) error {
		state, err := t.part(r, id)
		if err == nil && state.Order != nil {
			answer.Body = pickup.Reveal(answer.Body, t.shopper(state.Order))
		}
		return err
	})
	return answer, err
}

// part is the part of an order that this store keeps: the last, where the order
// came back to it.
func (t *Till) part(r ledger.Reader, id protocol.OrderID) (*pickup.State, error) {
	places, err := ledger.ReadOrder(r, id)
	if err != nil {
		return nil, err
	}
	for i := len(places) - 1; i >= 0; i-- {
		if places[i].Store != t.origin().Store {
			continue
		}
		part, err := ledger.ReadPart(r, places[i].Store, protocol.PartID{Order: id, Part: places[i].Part})
		if err != nil {
			return nil, err
		}
		state := part.State()
		return &state, nil
	}
	return nil, protocol.Refuse(protocol.NotFound, "This store does not keep order "+string(id)+". Nothing was recorded. Check the number, and which store the shopper was told; if the order is new, wait until this machine is online.")
}

func (a *act) fulfil(state *pickup.State, ask pickup.Ask, r pickup.Request, shopper pickup.ShopperDocument) error {
	var problem error
	free := func(sku protocol.SKU) protocol.Quantity {
		level, err := ledger.ReadLevel(a.tx, a.origin().Store, sku)
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
		return err
	}
	if ask.Act == protocol.HandOver {
		if err := state.Confirms(a.origin().Store, &r, shopper); err != nil {
			return err
		}
		if !state.Paid {
			return a.sellOrder(state, f, moves, r)
		}
		if len(r.Tenders) > 0 {
			return protocol.Refuse(protocol.Conflict, "The order is paid. Nothing was recorded and nothing is to be paid. Send it without payments.").
				With("hub_state", state.Hub.String()).With("store_state", state.Store.String())
		}
		if r.PickupCode == "" && r.Check != nil {
			f.Reason = "without the code, by the phone number"
		}
	}
	return a.log(&protocol.Event{Kind: protocol.KindFulfilment, Moves: moves, Fulfilment: f})
}

// sellOrder hands over an order that was due: one event is the receipt and the
// hand-over. The items are those that are handed over, the prices those of the
// order.
func (a *act) sellOrder(state *pickup.State, f *protocol.Fulfilment, moves []protocol.Move, r pickup.Request) error {
	request := sale.Request{Till: r.Till, Staff: string(f.Staff)}
	for _, t := range r.Tenders {
		request.Tenders = append(request.Tenders, sale.Tender(t))
	}
	codes, priced := []string{}, []bool{}
	amounts := comesTo(state.Order, f.Lines)
	for i, l := range f.Lines {
		entry := sale.Line{Code: string(state.SKU(l)), Qty: &l.Quantity, UnitPriceMinor: &state.Order.Lines[l.Line-1].UnitPrice, AmountMinor: &amounts[i]}
		request.Lines = append(request.Lines, entry)
		codes, priced = append(codes, entry.Code), append(priced, true)
	}
	if err := request.Validate(); err != nil {
		return err
	}
	lines, err := a.resolveForSale(codes, priced, false, a.now, "Nothing was handed over.")
	if err != nil {
		return err
	}
	s, _, err := sale.Build(a.terms(protocol.TillID(request.Till), false, a.now, lines), request, lines)
	if err != nil {
		return err
	}
	if err := a.begin(moves); err != nil {
		return err
	}
	s.Part, s.PartAfter, s.Member = state.Order.PartID, f.After, state.Order.Member
	if err := a.standIn(s); err != nil {
		return err
	}
	for i := range s.Lines {
		s.Lines[i].OriginalLine = f.Lines[i].Line
	}
	if s.Number, err = a.nextNumber(s.Till, s.Series); err != nil {
		return err
	}
	_, err = a.logSale(s, moves, lines)
	return err
}

// Order shows the part of an order that this store keeps.
func (t *Till) Order(ctx context.Context, id protocol.OrderID) (doc pickup.Document, err error) {
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		doc, err = t.orderNow(r, id)
		return err
	})
	return doc, err
}

func (t *Till) orderNow(r ledger.Reader, id protocol.OrderID) (pickup.Document, error) {
	shop, err := t.readShop(r)
	if err != nil {
		return pickup.Document{}, err
	}
	d := desk{Till: t, r: r, now: t.o.Now(), shop: shop}
	return d.orderDocument(r, id, d.now)
}

func (d *desk) orderDocument(r ledger.Reader, id protocol.OrderID, now time.Time) (pickup.Document, error) {
	state, err := d.part(r, id)
	if err != nil {
		return pickup.Document{}, err
	}
	return d.partDocument(r, state, now)
}

func (d *desk) partDocument(r ledger.Reader, state *pickup.State, now time.Time) (pickup.Document, error) {
	store := d.Till.origin().Store
	part, err := ledger.ReadPart(r, store, state.Order.PartID)
	if err != nil {
		return pickup.Document{}, err
	}
	skus := state.Items()
	items, err := ledger.ReadItems(ledger.Live(r), skus)
	if err != nil {
		return pickup.Document{}, err
	}
	known := make(map[protocol.SKU]*protocol.Item, len(items))
	for i, sku := range skus {
		known[sku] = items[i]
	}
	placed, _, err := ledger.ReadEvent(r, state.Placed)
	if err != nil {
		return pickup.Document{}, err
	}
	var shopper pickup.ShopperDocument
	if !d.kept {
		shopper = d.Till.shopper(state.Order)
	}
	return pickup.NewDocument(pickup.Meta{
		Shopper:    shopper,
		Item:       func(sku protocol.SKU) *protocol.Item { return known[sku] },
		Exceptions: ledger.PartExceptions(state.Order.PartID, part), Zone: d.shop.loc, AsOf: d.shop.display(now), PlacedMs: placed.WallMs,
	}, []pickup.Placement{{Store: store, State: *state}}), nil
}

// Orders lists the parts that this store keeps, of one state or, where state is
// empty, of all, behind one and at most limit. next is where the following page
// starts, nil for none.
func (t *Till) Orders(ctx context.Context, state string, limit int, after string) (docs []pickup.Document, next *string, err error) {
	behind, err := pickup.ParsePartID(after)
	if err != nil {
		return nil, nil, err
	}
	err = t.o.Driver.View(ctx, func(r ledger.Reader) error {
		shop, err := t.readShop(r)
		if err != nil {
			return err
		}
		d := desk{Till: t, r: r, now: t.o.Now(), shop: shop}
		if state == stateOpen {
			docs, next, err = d.openOrders(r, behind, limit)
		} else {
			docs, next, err = d.orders(r, state, behind, limit)
		}
		return err
	})
	return docs, next, err
}

func (d *desk) orders(r ledger.Reader, state string, behind protocol.PartID, limit int) (docs []pickup.Document, next *string, err error) {
	docs = []pickup.Document{}
	last := behind
	err = ledger.Parts(r, d.Till.origin().Store, behind, func(id protocol.PartID, part *pickup.Part) (bool, error) {
		s := part.State()
		if s.Order == nil || state != "" && s.Store.String() != state && s.Hub.String() != state {
			return true, nil
		}
		if len(docs) == limit {
			text := last.String()
			next = &text
			return false, nil
		}
		doc, err := d.partDocument(r, &s, d.now)
		docs, last = append(docs, doc), id
		return err == nil, err
	})
	return docs, next, err
}
