package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"counterpart/cloud/web"
	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
	"counterpart/protocol/stock"
)

// fakeHub answers as the hub would, without one behind it.
type fakeHub struct {
	asked    []any // what the handlers passed on
	imported Imported
	err      error // of every function
	rows     []any // of listings
	failAt   int   // the row before which a listing fails, from 1
	open     int   // backups that were not closed
}

// closing is a backup that counts that it is closed.
type closing struct {
	io.ReadSeeker
	hub *fakeHub
}

func (c closing) Close() error {
	c.hub.open--
	return nil
}

// doc is a JSON document as the hub makes one.
type doc = map[string]any

func (f *fakeHub) note(v any) error {
	f.asked = append(f.asked, v)
	return f.err
}

func (f *fakeHub) list(each func(any) error) error {
	for i, row := range f.rows {
		if i+1 == f.failAt {
			return errors.New("the disk broke")
		}
		if err := each(row); err != nil {
			return err
		}
	}
	return f.err
}

var snapshotBody = bytes.Repeat([]byte("0123456789"), 1000)

func level() any {
	return struct {
		stock.Document
		Promisable protocol.Quantity `json:"promisable"`
		AsOf       *string           `json:"as_of"`
	}{Document: stock.NewDocument(stock.Meta{Store: "s1", SKU: "PEN"}, &stock.Level{})}
}

// order is an order as the hub shows it, one part of it picked.
func order() pickup.Document {
	var p pickup.Part
	id := protocol.PartID{Order: "o-1", Part: 1}
	p.Add(protocol.EventID{Inc: protocol.Inc{1}, Seq: 1}, &protocol.Event{Kind: protocol.KindOrder, Order: &protocol.Order{
		PartID: id, Number: "7K3M-9Q2X", Method: protocol.Curbside, Currency: "GBP", Paid: true, PickupByMs: 1_795_252_932_000,
		Lines: []protocol.OrderLine{{Number: 1, Item: protocol.ItemRef{SKU: "PEN"}, Quantity: 1000, UnitPrice: 250, Amount: 250}},
	}}, nil, "")
	for i, act := range []protocol.Act{protocol.Pick, protocol.Arrive} {
		p.Add(protocol.EventID{Inc: protocol.Inc{2}, Seq: protocol.Seq(i + 1)}, &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: &protocol.Fulfilment{
			PartID: id, Act: act, Bay: "2", Lines: []protocol.PartLine{{Line: 1, Quantity: 1000}},
		}}, nil, "")
	}
	return pickup.NewDocument(pickup.Meta{
		Item: func(protocol.SKU) *protocol.Item { return nil }, PickupCode: "ABCD-EFGH", Zone: time.UTC, AsOf: "2026-11-21T10:02:12+00:00",
	}, []pickup.Placement{{Store: "s1", State: p.State()}})
}

func (f *fakeHub) orders(_ context.Context, q OrdersQuery, _ Page) (any, error) {
	return map[string]any{"items": []any{order()}, "next": nil}, f.note(q)
}

func (f *fakeHub) placeOrder(_ context.Context, c protocol.Call, r pickup.PlaceRequest) (protocol.Answer, error) {
	f.asked = append(f.asked, c)
	return answerOf(http.StatusCreated, order()), f.note(r)
}

func (f *fakeHub) actOnOrder(_ context.Context, c protocol.Call, id protocol.OrderID, action string, a pickup.HubAction) (protocol.Answer, error) {
	f.asked = append(f.asked, c, id, action)
	return answerOf(http.StatusOK, order()), f.note(a)
}

func (f *fakeHub) orderKeys(_ context.Context, _ protocol.StoreID, orders []protocol.OrderID) ([]byte, error) {
	return []byte{1}, f.note(orders[0])
}

func (f *fakeHub) hold(_ context.Context, c protocol.Call, r pickup.HoldRequest) (protocol.Answer, error) {
	f.asked = append(f.asked, c)
	return answerOf(http.StatusCreated, pickup.HoldDocument{ID: "h-1", ExpiresInS: 600}), f.note(r)
}

func (f *fakeHub) policies(_ context.Context, p Page) (any, error) {
	return doc{"items": []doc{policyRow}, "next": nil}, f.note(p)
}

func (f *fakeHub) handleException(_ context.Context, c protocol.Call, id, action string, q ledger.HandleRequest) (protocol.Answer, error) {
	f.asked = append(f.asked, c, id, action)
	return answerOf(http.StatusOK, exceptionRow), f.note(q)
}

// member is one who is erased, so that as little as possible is known.
func (f *fakeHub) member(_ context.Context, id protocol.MemberID) (any, error) {
	return memberRow, f.note(id)
}

func (f *fakeHub) members(_ context.Context, q MemberQuery) (any, error) {
	return doc{"items": []any{memberRow}, "next": nil}, f.note(q)
}

func (f *fakeHub) changeMember(_ context.Context, id protocol.MemberID, q loyalty.MemberRequest) (any, error) {
	f.asked = append(f.asked, id)
	return memberRow, f.note(q)
}

func cartDocument() cart.Document {
	member, gtin, name, note := protocol.MemberID("m-1"), "04006381333931", "Pen", "for Ali"
	return cart.Document{MemberID: &member, AsOf: "2026-11-21T10:02:12+00:00", From: cart.FromHub, Lines: []cart.DocumentLine{
		{SKU: "PEN", GTIN: &gtin, Name: &name, Qty: 1500, Note: &note, AddedAt: "2026-11-21T10:02:12+00:00"}, {SKU: "INK", Qty: 1000, Locked: true, AddedAt: "2026-11-21T10:02:12+00:00"},
	}}
}

func entryDocument() loyalty.EntryDocument {
	entry := &loyalty.Entry{Kind: "complaint", Channel: "phone", Sealed: []byte{1}, Open: true, Staff: "s7", Amount: 250, Currency: "GBP", Points: 2}
	return loyalty.NewEntryDocument(loyalty.EntryID{AtMs: 1_795_252_932_000, Event: protocol.EventID{Inc: protocol.Inc{1}, Seq: 2}}, "s1", entry, false, func([]byte) (string, bool) { return "Too late.", true })
}

// carts answers whatever is asked of a cart.
func (f *fakeHub) carts(d Deps) Deps {
	d.Timeline = func(_ context.Context, id protocol.MemberID, _ Page) (any, error) {
		return loyalty.TimelineDocument{Items: []loyalty.EntryDocument{entryDocument()}, AsOf: "2026-11-21T10:02:12+00:00", From: cart.FromHub}, f.note(id)
	}
	d.WriteContact = func(_ context.Context, _ protocol.Call, _ protocol.MemberID, q loyalty.ContactRequest) (protocol.Answer, error) {
		return answerOf(http.StatusCreated, entryDocument()), f.note(q)
	}
	d.CloseEntry = func(_ context.Context, _ protocol.Call, _ protocol.MemberID, entry string, _ loyalty.CloseRequest) (protocol.Answer, error) {
		return answerOf(http.StatusCreated, entryDocument()), f.note(entry)
	}
	d.Cart = func(_ context.Context, id protocol.MemberID) (any, error) { return cartDocument(), f.note(id) }
	d.ChangeCart = func(_ context.Context, _ protocol.MemberID, q cart.OpRequest) (any, error) {
		return cartDocument(), f.note(q)
	}
	d.MergeCart = func(_ context.Context, _ protocol.MemberID, q cart.MergeRequest) (any, error) {
		return cartDocument(), f.note(q)
	}
	d.NewCart = func(_ context.Context, c protocol.Call) (protocol.Answer, error) {
		return answerOf(http.StatusCreated, cartDocument()), f.note(c)
	}
	d.GuestCart = func(_ context.Context, id string) (any, error) { return cartDocument(), f.note(id) }
	d.ChangeGuestCart = func(_ context.Context, _ string, q cart.OpRequest) (any, error) { return cartDocument(), f.note(q) }
	return d
}

func (f *fakeHub) enrolMember(_ context.Context, c protocol.Call, q loyalty.MemberRequest) (protocol.Answer, error) {
	f.asked = append(f.asked, c)
	m := &protocol.Member{ID: "m-1", Status: protocol.MemberActive, Card: "M1", HomeStore: "s1", Consents: []protocol.Consent{{Channel: "sms", Purpose: "marketing", Source: "s1/1"}, {Channel: "email", Purpose: "marketing"}}}
	person := &protocol.Personal{Name: "Ayla", Phone: "+994501234567", Email: "ayla@example.com", Birthday: "1990-02-03"}
	return answerOf(http.StatusCreated, loyalty.NewMemberDocument(m, person, loyalty.PointsDocument{AsOf: "2026-11-21T10:02:12+00:00"})), f.note(q)
}

func (f *fakeHub) transfers(_ context.Context, _ string, p Page) (any, error) {
	row := stock.NewTransferDocument(stock.TransferMeta{ID: "t-1", Store: "s1"}, &stock.TransferState{})
	return doc{"items": []any{row}, "next": nil}, f.note(p)
}

func (f *fakeHub) exceptions(_ context.Context, state string, p Page) (any, error) {
	f.asked = append(f.asked, state)
	return doc{"items": []doc{exceptionRow}, "next": nil}, f.note(p)
}

func answerOf(status int, document any) protocol.Answer {
	body, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return protocol.Answer{Status: status, Body: body}
}

func receipt() sale.Document {
	s := &protocol.Sale{
		Type: protocol.SaleSale, Till: "1", Series: "1", Number: 318, BusinessDate: "2026-11-21", Currency: "GBP",
		Lines:   []protocol.SaleLine{{Item: protocol.ItemRef{SKU: "PEN", GTIN: "04006381333931"}, Quantity: 2000, UnitPrice: 250, Amount: 500}},
		Taxes:   []protocol.TaxAmount{{Code: "STD", Rate: 200_000, Net: 417, Tax: 83}},
		Tenders: []protocol.Tender{{Type: protocol.Cash, Amount: 500}}, Total: 500,
		External: &protocol.External{Source: "x", ID: "1", Total: 500, Fiscal: &protocol.Fiscal{Device: "d"}},
		Warnings: []protocol.Warning{{Code: "below_zero", Line: 1, Message: "The book shows −1 on hand."}},
	}
	return sale.NewDocument(sale.Meta{Store: "s1", Agent: "a1", Seq: 1, At: "2026-11-21T10:02:12+00:00"}, s)
}

// Rows as the hub shows them, with as little known as possible.
var (
	storeRow = doc{
		"id": "s1", "name": "High Street", "lat": nil, "lon": -0.1278, "timezone": "Europe/London", "country": nil, "city": "London", "currency": "GBP",
		"price_zone": "default", "legal_name": nil, "tax_id": nil, "address": nil, "cash_rounding_minor": 0, "opening_hours": nil, "fiscal": nil,
		"primary_agent": "a1", "source": nil, "link": "never", "last_seen": nil, "pending": 0,
	}
	agentRow = doc{
		"agent": "a1", "store": "s1", "primary": true, "version": nil, "protocol": nil, "link": "never", "last_seen": nil, "pending": 0, "clock_offset_ms": nil, "disk": nil,
		"streams": []doc{{"inc": strings.Repeat("0", 32), "seq": 1, "hash": strings.Repeat("0", 64), "safe_seq": 1, "closed": false, "gaps": []doc{{"from": 5, "to": 9}}}},
	}
	exceptionRow = doc{"id": "x-1", "kind": "over_return", "store": nil, "refs": []string{"a1-1-1-1"}, "opened_at": nil, "assignee": nil, "state": "open", "detail": "Look.", "resolved_by": nil, "reason": nil}
	webhookRow   = doc{
		"id": "wh_1", "url": "https://shop.example/hook", "events": []string{"order.*"}, "secret": nil, "state": "active", "created_at": "2026-11-21T10:02:12+00:00",
		"waiting": 0, "last_error": nil,
	}
	deadRow = doc{
		"id": "msg_1", "type": "order.placed", "subject": "o-1", "attempts": 10, "error": "answered 500", "at": "2026-11-21T10:02:12+00:00", "dead_at": "2026-11-24T10:02:12+00:00",
	}
	policyRow    = doc{"store": nil, "category": nil, "sku": "PEN", "gtin": nil, "safety_stock": 0, "online": nil, "overpromise_target_ppm": 10000}
	promotionRow = doc{
		"zone": "uk", "id": "pens", "name": "3 for 5", "kind": "n_for_price", "valid_from": "2026-11-21", "valid_to": nil, "hours": nil, "coupon": nil, "members_only": false,
		"limit": 2, "skus": []string{"PEN"}, "category": nil, "n": 3, "price_minor": 500, "currency": "GBP", "rate_ppm": nil, "free": nil, "amount_minor": nil, "minimum_minor": nil,
	}
	programmeRow = loyalty.NewDocument(&protocol.Programme{
		ValidFrom: "2026-11-21", Earn: []protocol.EarnRule{{PerMinor: 100, Points: 1}}, Redeem: &protocol.RedeemRule{Points: 100, Value: 100},
		Tiers: []protocol.Tier{{Name: "gold", Points: 1000, WithinDays: 365, Factor: 1_500_000}}, Campaigns: []protocol.Campaign{{ID: "c1", Factor: 2_000_000}},
	})
	memberRow = loyalty.NewMemberDocument(&protocol.Member{ID: "m-1", Status: protocol.MemberErased}, nil, loyalty.PointsDocument{AsOf: "2026-11-21T10:02:12+00:00"})
	resultRow = doc{
		"store": "s1", "name": "High Street", "distance_km": nil, "price_minor": nil, "currency": "GBP", "promisable": 30, "availability": "in_stock",
		"link": "online", "as_of": nil, "age_s": nil, "freshness": "never",
	}
)

func (f *fakeHub) deps() Deps {
	changed := make(chan struct{})
	return f.lending(f.carts(f.outside(Deps{
		Import: func(_ context.Context, up Upload) (Imported, error) {
			body, err := io.ReadAll(up.Body)
			if err != nil {
				return Imported{}, err
			}
			up.Body = nil
			f.asked = append(f.asked, string(body))
			return f.imported, f.note(up)
		},
		Load: func(_ context.Context, id string) (any, error) {
			return doc{"load_id": id, "store": "s1", "rows": 3, "applied": 0, "state": "pending"}, f.note(id)
		},
		Availability: func(_ context.Context, q AvailabilityQuery) (any, error) {
			return doc{"sku": "PEN", "gtin": nil, "name": "Pen", "unit": "each", "results": []doc{resultRow}}, f.note(q)
		},
		Stock: func(_ context.Context, store protocol.StoreID, each func(any) error) error {
			f.asked = append(f.asked, store)
			return f.list(each)
		},
		Sales: func(_ context.Context, q SalesQuery, each func(any) error) error {
			f.asked = append(f.asked, q)
			return f.list(each)
		},
		Sale:        func(_ context.Context, no protocol.ReceiptNo) (any, error) { return receipt(), f.note(no) },
		Hold:        f.hold,
		ReleaseHold: func(_ context.Context, id string) error { return f.note(id) },
		SetPolicy:   func(_ context.Context, r stock.PolicyRequest) (any, error) { return policyRow, f.note(r) },
		Policies:    f.policies,
		Promotions: func(_ context.Context, p Page) (any, error) {
			return doc{"items": []any{promotionRow}, "next": nil}, f.note(p)
		},
		SetProgramme: func(_ context.Context, d loyalty.Document) (any, error) { return programmeRow, f.note(d) },
		Programmes: func(_ context.Context, p Page) (any, error) {
			return doc{"items": []any{programmeRow}, "next": nil}, f.note(p)
		},
		EnrolMember: f.enrolMember, Member: f.member, Members: f.members, ChangeMember: f.changeMember, EraseMember: f.member,
		PlaceOrder: f.placeOrder, ActOnOrder: f.actOnOrder, HandleException: f.handleException, Exceptions: f.exceptions, Transfers: f.transfers,
		Order: func(_ context.Context, id protocol.OrderID) (any, error) { return order(), f.note(id) }, Orders: f.orders,
		Stores: func(_ context.Context, p Page) (any, error) {
			return doc{"items": []doc{storeRow}, "next": nil}, f.note(p)
		},
		Agents: func(_ context.Context, p Page) (any, error) {
			return doc{"items": []doc{agentRow}, "next": "a1/s1"}, f.note(p)
		},
		Status: func(context.Context) (any, error) {
			return doc{
				"version": "1.0.0", "protocol": 1, "epoch": "1", "database": "bolt", "safe_mode": "ack", "points_exposure_bound": 0, "points_at_risk": 0, "agents": 3, "online": 3, "streams": 3,
				"events": 3129, "dead_letters": 0, "gaps": 0,
			}, f.err
		},
		Connect: func() Connect { return Connect{MQTTURL: "mqtt://127.0.0.1:1883", Epoch: "1", Protocol: 1} },
		Snapshot: func(_ context.Context, feed string) (io.ReadSeeker, string, uint64, uint64, error) {
			return bytes.NewReader(snapshotBody), strings.Repeat("a", 64), 7, 20000, f.note(feed)
		},
		OrderKeys: f.orderKeys, Backup: f.backup,
		Ready: func(context.Context) error { return f.err },
		Fleet: func(_ context.Context, each func(web.Store)) error {
			each(web.Store{ID: "s1", Name: "High Street", Link: "online"})
			return f.err
		},
		Find:        func(context.Context, web.Question) (web.Answer, error) { return web.Answer{}, f.err },
		Changed:     func() <-chan struct{} { return changed },
		InsecureDev: true,
	})))
}

func (f *fakeHub) backup(context.Context) (io.ReadSeekCloser, error) {
	if f.err != nil {
		return nil, f.err
	}
	f.open++
	return closing{bytes.NewReader(snapshotBody), f}, nil
}

// outside adds what the shop is told beside answers.
func (f *fakeHub) outside(d Deps) Deps {
	d.LocalInventory = func(_ context.Context, each func(LocalItem) error) error {
		return f.list(func(row any) error { return each(row.(LocalItem)) })
	}
	d.Product = func(_ context.Context, code string, store protocol.StoreID) (any, error) {
		f.asked = append(f.asked, code)
		return doc{"@context": "https://schema.org", "@type": "Product", "sku": code, "name": "</script>", "offers": []doc{}}, f.note(store)
	}
	d.Webhooks = func(_ context.Context, p Page) (any, error) {
		return doc{"items": []doc{webhookRow}, "next": nil}, f.note(p)
	}
	d.AddWebhook = func(_ context.Context, c protocol.Call, r WebhookRequest) (protocol.Answer, error) {
		f.asked = append(f.asked, c)
		return answerOf(http.StatusCreated, webhookRow), f.note(r)
	}
	d.DropWebhook = func(_ context.Context, id string) (any, error) { return webhookRow, f.note(id) }
	d.ReplayWebhook = func(_ context.Context, c protocol.Call, id string, r ReplayRequest) (protocol.Answer, error) {
		f.asked = append(f.asked, c, id)
		return answerOf(http.StatusOK, webhookRow), f.note(r)
	}
	d.DeadWebhooks = func(_ context.Context, id string, p Page) (any, error) {
		f.asked = append(f.asked, id)
		return doc{"items": []doc{deadRow}, "next": "0000000000000001"}, f.note(p)
	}
	return d
}

// do sends a request to a handler as a program on this machine does.
func do(t *testing.T, h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	if r.Host == "example.com" {
		r.Host = "127.0.0.1:8080"
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func get(t *testing.T, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	return do(t, h, httptest.NewRequest(http.MethodGet, target, nil))
}

func put(t *testing.T, h http.Handler, target, kind, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPut, target, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	return do(t, h, r)
}

func (f *fakeHub) memberAnswer(asked any) (protocol.Answer, error) {
	b, err := json.Marshal(memberRow)
	return protocol.Answer{Status: http.StatusOK, Body: b}, errors.Join(err, f.note(asked))
}

// lending adds what is about leases.
func (f *fakeHub) lending(d Deps) Deps {
	leases := func() any {
		return doc{"items": []any{doc{"member_id": "m-1", "store": "s1", "agent": "a1", "holder": "9f", "left": 500, "state": "active"}}, "next": nil}
	}
	d.AdjustPoints = func(ctx context.Context, c protocol.Call, _ protocol.MemberID, _ PointsRequest) (protocol.Answer, error) {
		return f.enrolMember(ctx, c, loyalty.MemberRequest{})
	}
	d.People = web.People{Find: func(context.Context, string, string) ([]loyalty.MemberDocument, error) { return nil, f.err }}
	d.MergeMember = func(_ context.Context, _ protocol.Call, _ protocol.MemberID, q MergeRequest) (protocol.Answer, error) {
		return f.memberAnswer(q)
	}
	d.UnmergeMember = func(_ context.Context, _ protocol.Call, _ protocol.MemberID, q UnmergeRequest) (protocol.Answer, error) {
		return f.memberAnswer(q)
	}
	d.ExportMember = func(_ context.Context, id protocol.MemberID) (any, error) {
		return doc{
			"member": memberRow, "merged": []any{memberRow}, "orders": []any{order()}, "held_by": []string{"s1"}, "leases": []any{}, "accounts": []any{}, "cart": cartDocument(),
			"points": []doc{{"store": "s1", "earned": 10, "redeemed": 4, "adjusted": 0, "expired": -1}}, "timeline": []any{entryDocument()}, "sales": []any{receipt()}, "as_of": "2026-11-21T10:02:12+00:00",
		}, f.note(id)
	}
	d.MemberLeases = func(_ context.Context, id protocol.MemberID) (any, error) { return leases(), f.note(id) }
	d.CreditLease = func(_ context.Context, _ protocol.MemberID, holder string, _ CreditRequest) (any, error) {
		return leases(), f.note(holder)
	}
	f.accounts(&d)
	d.Visit = func(_ context.Context, id protocol.MemberID, _ VisitRequest) (any, error) {
		return doc{"member_id": "m-1", "balance": 900, "left": 500, "coming": false}, f.note(id)
	}
	return d
}

// accounts adds what is about gift cards, store credit and offers.
func (f *fakeHub) accounts(d *Deps) {
	card := doc{
		"id": "c-m-1-GBP", "type": "credit", "state": "active", "member_id": "m-1", "currency": "GBP", "balance": 900, "leased": 500, "home_store": "s1", "valid_to": nil, "offer": nil,
		"stores": []any{doc{"store": "s1", "put": 1000, "taken": 100, "adjusted": 0, "expired": 0}}, "as_of": "2026-11-21T10:02:12+00:00",
	}
	answer := func(document, asked any) (protocol.Answer, error) {
		b, err := json.Marshal(document)
		return protocol.Answer{Status: http.StatusCreated, Body: b}, errors.Join(err, f.note(asked))
	}
	list := doc{"items": []any{card}, "next": nil}
	d.IssueGiftCard = func(_ context.Context, _ protocol.Call, q GiftCardRequest) (protocol.Answer, error) {
		return answer(card, q)
	}
	d.GiftCard = func(_ context.Context, code, _ string) (any, error) { return card, f.note(code) }
	d.AdjustGiftCard = func(_ context.Context, _ protocol.Call, _ string, q AmountRequest) (protocol.Answer, error) {
		return answer(card, q)
	}
	d.AdjustCredit = func(_ context.Context, _ protocol.Call, _ protocol.MemberID, q AmountRequest) (protocol.Answer, error) {
		return answer(card, q)
	}
	d.MemberAccounts = func(_ context.Context, id protocol.MemberID) (any, error) { return list, f.note(id) }
	d.IssueOffers = func(_ context.Context, _ protocol.Call, q OfferRequest) (protocol.Answer, error) {
		return answer(list, q)
	}
	d.WithdrawOffer = func(_ context.Context, _ protocol.Call, id protocol.MemberID, _ CreditRequest) (protocol.Answer, error) {
		return answer(card, id)
	}
}
