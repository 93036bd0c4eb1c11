package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/cart"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
	"counterpart/protocol/stock"
)

// shop is a fake agent. Its functions answer with what the fields say.
type shop struct {
	mu      sync.Mutex
	status  Status
	events  []Event
	changed chan struct{}
	orders  []pickup.Document // that others changed, by position
	err     error             // of every function
	panics  any               // what every function panics with

	calls []protocol.Call
	asked []string // the rest of what functions were called with
	log   bytes.Buffer
}

// note keeps what a function was called with; a page calls several at once.
func (s *shop) note(asked ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, asked...)
}

func newShop() *shop {
	return &shop{
		status: Status{
			Agent: "a1", Store: "s1", Version: "1.0.0", Protocol: 1, Primary: true,
			Link:   Link{State: "online", Since: "2026-11-21T10:00:00+00:00"},
			Stream: Stream{Inc: strings.Repeat("9f", 16), LastSeq: 2, AckSeq: 2},
			Disk:   Disk{State: "ok"},
		},
		events: []Event{
			{Seq: 1, Name: "sale", Data: []byte(`{"n":1}`)},
			{Seq: 2, Name: "movement", Data: []byte(`{"n":2}`)},
		},
		changed: make(chan struct{}),
	}
}

// record notes a call and gives the fixed answer.
func (s *shop) record(call protocol.Call, asked string) (protocol.Answer, error) {
	s.calls = append(s.calls, call)
	s.note(asked)
	if s.panics != nil {
		panic(s.panics)
	}
	body, err := json.Marshal(exampleSale())
	if err != nil {
		return protocol.Answer{}, err
	}
	return protocol.Answer{Status: http.StatusCreated, Body: body}, s.err
}

func (s *shop) transfers(_ context.Context, state string, limit int, after string) ([]stock.TransferDocument, *string, error) {
	s.note(state, string(rune('0'+limit%10)), after)
	next := "s1/t-1"
	return []stock.TransferDocument{stock.NewTransferDocument(stock.TransferMeta{ID: "t-1", Store: "s1"}, &stock.TransferState{})}, &next, s.err
}

func (s *shop) handleException(_ context.Context, c protocol.Call, id, action string, q ledger.HandleRequest) (protocol.Answer, error) {
	if _, err := s.record(c, strings.Join([]string{id, action, q.Staff, q.Reason}, " ")); err != nil {
		return protocol.Answer{}, err
	}
	body, err := json.Marshal(Exception{ID: id, Refs: []string{}, State: "resolved"})
	return protocol.Answer{Status: http.StatusOK, Body: body}, err
}

func (s *shop) quote(_ context.Context, r sale.Request) (sale.Quote, error) {
	s.note(r.Coupons...)
	sold := exampleSale()
	return sale.Quote{Currency: sold.Currency, Lines: sold.Lines, Taxes: sold.Taxes, TotalMinor: 450, CashTotalMinor: 450, Warnings: sold.Warnings}, s.err
}

func exampleEntry() loyalty.EntryDocument {
	entry := &loyalty.Entry{Kind: "complaint", Channel: "phone", Sealed: []byte{1}, Open: true}
	return loyalty.NewEntryDocument(exampleEntryID, "s1", entry, false, func([]byte) (string, bool) { return "", false })
}

var exampleEntryID = loyalty.EntryID{AtMs: 1_795_252_932_000, Event: protocol.EventID{Inc: protocol.Inc{1}, Seq: 2}}

func (s *shop) timeline(_ context.Context, id protocol.MemberID, limit int, after string) (loyalty.TimelineDocument, error) {
	s.note(string(id), strconv.Itoa(limit), after)
	return loyalty.TimelineDocument{Items: []loyalty.EntryDocument{exampleEntry()}, AsOf: "2026-11-21T10:02:12+00:00", From: cart.FromStore}, s.err
}

func (s *shop) writeContact(_ context.Context, c protocol.Call, _ protocol.MemberID, q loyalty.ContactRequest) (protocol.Answer, error) {
	return s.closeEntry(context.Background(), c, "", "", loyalty.CloseRequest{Text: q.Text})
}

func (s *shop) closeEntry(_ context.Context, c protocol.Call, _ protocol.MemberID, entry string, q loyalty.CloseRequest) (protocol.Answer, error) {
	if _, err := s.record(c, entry+" "+q.Text); err != nil {
		return protocol.Answer{}, err
	}
	body, err := json.Marshal(exampleEntry())
	return protocol.Answer{Status: http.StatusCreated, Body: body}, err
}

func exampleCart(id protocol.MemberID) cart.Document {
	gtin, name := "04006381333931", "Pen"
	return cart.Document{MemberID: &id, AsOf: "2026-11-21T10:02:12+00:00", From: cart.FromStore, Lines: []cart.DocumentLine{
		{SKU: "PEN-01", GTIN: &gtin, Name: &name, Qty: 1000, Locked: true, AddedAt: "2026-11-21T10:02:12+00:00"},
	}}
}

func (s *shop) giftCard(_ context.Context, code string) (loyalty.GiftCardDocument, error) {
	s.note(code)
	return loyalty.GiftCardDocument{ID: protocol.GiftCode(code).Account("GBP"), Currency: "GBP", SpendableHere: 500, AsOf: "2026-11-21T10:02:12+00:00"}, s.err
}

func (s *shop) accounts(_ context.Context, id protocol.MemberID) ([]loyalty.AccountDocument, error) {
	s.note(string(id))
	offer := loyalty.NewAccountDocument("o-m-1-07", 1, &protocol.AccountTerms{Version: 1, Offer: &protocol.Promotion{Name: "A fifth off", Kind: protocol.PercentOff, Rate: 200_000}})
	return []loyalty.AccountDocument{loyalty.NewAccountDocument("c-m-1-GBP", 300, nil), offer}, s.err
}

func (s *shop) cart(_ context.Context, id protocol.MemberID) (cart.Document, error) {
	s.note(string(id))
	return exampleCart(id), s.err
}

func (s *shop) deps() Deps {
	next := "PEN-02"
	return s.memberDeps(Deps{
		Sell: func(_ context.Context, c protocol.Call, r sale.Request) (protocol.Answer, error) {
			return s.record(c, r.Lines[0].Code)
		},
		Quote: s.quote,
		Return: func(_ context.Context, c protocol.Call, r sale.ReturnRequest) (protocol.Answer, error) {
			return s.record(c, r.ReceiptNo)
		},
		Void: func(_ context.Context, c protocol.Call, no protocol.ReceiptNo, r sale.VoidRequest) (protocol.Answer, error) {
			return s.record(c, string(no)+" "+r.Reason)
		},
		Move: func(_ context.Context, c protocol.Call, r stock.MovementRequest) (protocol.Answer, error) {
			if _, err := s.record(c, r.Type); err != nil {
				return protocol.Answer{}, err
			}
			body, err := json.Marshal(exampleMovement())
			return protocol.Answer{Status: http.StatusCreated, Body: body}, err
		},
		Transfers:       s.transfers,
		HandleException: s.handleException,
		Cart:            s.cart, GiftCard: s.giftCard, Accounts: s.accounts,
		Timeline: s.timeline, WriteContact: s.writeContact, CloseEntry: s.closeEntry,
		Sale: func(_ context.Context, no protocol.ReceiptNo) (sale.Document, error) {
			s.note(string(no))
			return exampleSale(), s.err
		},
		Stock: func(_ context.Context, code string) (stock.Document, error) {
			s.note(code)
			return exampleLevel(), s.err
		},
		Items: func(_ context.Context, q string, limit int, after string) ([]stock.ItemDocument, *string, error) {
			s.note(q, string(rune('0'+limit%10)), after)
			return []stock.ItemDocument{exampleItem()}, &next, s.err
		},
		Orders: func(_ context.Context, state string, limit int, after string) ([]pickup.Document, *string, error) {
			s.note(state, strconv.Itoa(limit), after)
			return []pickup.Document{exampleOrder()}, nil, s.err
		},
		EventsAfter: s.eventsAfter,
		OrdersAfter: s.ordersAfter,
		LastSales: func(context.Context, int) ([]sale.Document, error) {
			return []sale.Document{exampleSale()}, s.err
		},
		Status: func(context.Context) Status {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.panics != nil {
				panic(s.panics)
			}
			return s.status
		},
		Exceptions: func(context.Context) ([]Exception, error) {
			store := "s1"
			return []Exception{
				{ID: "x1", Kind: "over_return", Store: &store, State: "open", Detail: "More came back than was sold."},
				{ID: "x2", Kind: "over_return", Store: &store, State: "resolved", Refs: []string{"a1-1-1-1"}},
			}, s.err
		},
		Ready: func(context.Context) error { return s.err },
		Changed: func() <-chan struct{} {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.changed
		},
		Log:         slog.New(slog.NewTextHandler(&s.log, nil)),
		InsecureDev: true,
	})
}

func (s *shop) eventsAfter(_ context.Context, after protocol.Seq, limit int) ([]Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Event
	for _, e := range s.events {
		if e.Seq > after && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, nil
}

// ordersAfter shows one order in a step. Positions are numbers.
func (s *shop) ordersAfter(_ context.Context, after string) (ChangedOrders, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after == "" {
		return ChangedOrders{At: strconv.Itoa(len(s.orders))}, nil
	}
	n, err := strconv.Atoi(after)
	if err != nil {
		return ChangedOrders{}, protocol.OutOfRange("Last-Event-ID", "", "no position")
	}
	upTo := min(n+1, len(s.orders))
	return ChangedOrders{Orders: s.orders[n:upTo], At: strconv.Itoa(upTo), More: upTo < len(s.orders)}, nil
}

// changeOrder lets another machine change an order.
func (s *shop) changeOrder(id protocol.OrderID) {
	s.mu.Lock()
	s.orders = append(s.orders, pickup.Document{ID: id})
	s.mu.Unlock()
	s.happen("", "")
}

// happen logs one more event, or none, and tells whoever waits.
func (s *shop) happen(name, data string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != "" {
		s.status.Stream.LastSeq++
		s.events = append(s.events, Event{Seq: s.status.Stream.LastSeq, Name: name, Data: []byte(data)})
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func pointer[T any](v T) *T { return &v }

// exampleSale holds something in every member of a document.
func exampleSale() sale.Document {
	return sale.NewDocument(sale.Meta{
		EventID: protocol.EventID{Inc: protocol.Inc{1}, Seq: 7}, Inc: protocol.Inc{1}, Seq: 7, Store: "s1", Agent: "a1",
		At: "2026-11-21T10:02:12+00:00", Returned: []protocol.Quantity{1000},
	}, &protocol.Sale{
		Type: protocol.SaleSale, Till: "1", Series: "1", Number: 318, Original: "a1-1-1-1", BusinessDate: "2026-11-21", Staff: "s7", Member: "m1", Currency: "GBP",
		Lines: []protocol.SaleLine{{
			Item: protocol.ItemRef{SKU: "PEN-01", GTIN: "04006381333931", Name: "Pen"}, Quantity: 2500, UnitPrice: 250,
			Discounts: []protocol.Discount{{Type: "manual", Amount: 50}}, Amount: 450, TaxCode: "STD",
		}},
		Taxes:   []protocol.TaxAmount{{Code: "STD", Rate: 200000, Net: 375, Tax: 75}},
		Tenders: []protocol.Tender{{Type: protocol.Cash, Amount: 500, Ref: "r"}}, Total: 450, Change: 50,
		External: &protocol.External{
			Source: "pos-x", ID: "1", ReceiptNo: "482", OccurredAt: "2026-11-21T10:02:11+00:00", BusinessDate: "2026-11-21", Total: 450,
			Fiscal: &protocol.Fiscal{Device: "D1", Number: "77", Signature: "x"},
		},
		Warnings: []protocol.Warning{{Code: "below_zero", Line: 1, Message: "The book shows −1 on hand."}, {Code: "total_differs", Message: "It differs."}},
	})
}

func exampleMovement() stock.MovementDocument {
	return stock.NewMovementDocument(stock.MovementMeta{
		EventID: protocol.EventID{Inc: protocol.Inc{1}, Seq: 8}, Store: "s1", Agent: "a1", Seq: 8, At: "2026-11-21T10:02:12+00:00",
		OnHand: []protocol.Quantity{-1000}, Item: func(protocol.SKU) *protocol.Item { return nil },
	}, &protocol.Movement{Type: protocol.Receipt, Reference: "ASN-77", Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: "PEN-01"}, Quantity: 24000}}})
}

func exampleLevel() stock.Document {
	var l stock.Level
	l.Add(protocol.OnHand, 31500)
	return stock.NewDocument(stock.Meta{
		Store: "s1", SKU: "PEN-01", Policy: stock.NewPolicy(nil), AsOf: "2026-11-21T10:03:00+00:00",
		Item: &protocol.Item{SKU: "PEN-01", GTIN: "04006381333931", Name: "Pen"},
	}, &l)
}

func exampleItem() stock.ItemDocument {
	return stock.NewItemDocument(&protocol.Item{
		SKU: "PEN-01", Name: "Pen", MinAge: 18, Codes: []protocol.ItemCode{{Code: "04006381333931", Multiplier: 12000}},
		Attributes: []protocol.Attribute{{Name: "colour", Value: "blue"}},
	}, pointer(protocol.Money(250)), "GBP", -1500)
}

func exampleOrder() pickup.Document {
	part := pickup.Placement{Store: "s1"}
	part.State.Order = &protocol.Order{
		PartID: protocol.PartID{Order: "o-1", Part: 1}, Number: "W-1", Method: protocol.InStore, Currency: "GBP", Shopper: protocol.Shopper{Name: "Ayla", Phone: "+994501234567"},
		Lines: []protocol.OrderLine{{Item: protocol.ItemRef{SKU: "PEN-01", Name: "Pen"}, Quantity: 2000, UnitPrice: 250, Amount: 500}},
	}
	part.State.Staged, part.State.Handed = make([]protocol.Quantity, 1), make([]protocol.Quantity, 1)
	return pickup.NewDocument(pickup.Meta{
		Item: func(protocol.SKU) *protocol.Item { return nil }, Zone: time.UTC, AsOf: "2026-11-21T10:03:00+00:00", PlacedMs: 1795255200000,
	}, []pickup.Placement{part})
}

const saleBody = `{"lines":[{"code":"4006381333931","qty":2}],"tenders":[{"type":"cash","amount_minor":500}]}`

// newRequest is a request as a client on this machine sends it.
func newRequest(method, target string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, target, body)
	r.Host = "127.0.0.1:7070"
	return r
}

// do sends a request to a handler and holds the answer to openapi.json.
func do(t *testing.T, h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	checkContract(t, r, w)
	return w
}

func get(t *testing.T, h http.Handler, target string) *httptest.ResponseRecorder {
	t.Helper()
	return do(t, h, newRequest(http.MethodGet, target, nil))
}

func post(t *testing.T, h http.Handler, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	return do(t, h, newRequest(http.MethodPost, target, strings.NewReader(body)))
}

// problem reads a problem document.
func problem(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	if kind := w.Header().Get("Content-Type"); kind != "application/problem+json" {
		t.Fatalf("%d answered as %q: %s", w.Code, kind, w.Body)
	}
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if p["type"] != "about:blank" || p["title"] == "" || p["detail"] == "" || p["status"] != float64(w.Code) {
		t.Errorf("status %d with problem %v", w.Code, p)
	}
	return p
}

// wantProblem checks the status and code of a refusal.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code string) map[string]any {
	t.Helper()
	p := problem(t, w)
	if w.Code != status || p["code"] != code {
		t.Errorf("answered %d %v, want %d %s: %v", w.Code, p["code"], status, code, p["detail"])
	}
	return p
}
