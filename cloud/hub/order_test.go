package hub

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// shops is a hub with three stores along a street, each with an agent and ten
// pens; only s2 and s3 have ink.
type shops struct {
	*core
	agents map[protocol.StoreID]*player
	keys   int
}

func newShops(t *testing.T) *shops {
	t.Helper()
	s := &shops{core: newCore(t), agents: map[protocol.StoreID]*player{}}
	mustTakeIn(t, s.Hub, StoresTable, "id,name,timezone,lat,lon,currency,primary_agent\n"+
		"s1,One,Europe/London,51.50,-0.10,GBP,a1\ns2,Two,Europe/London,51.50,-0.11,GBP,a2\ns3,Three,Europe/London,51.50,-0.12,GBP,a3\n")
	mustTakeIn(t, s.Hub, ItemsTable, "sku,name,price_minor\nPEN,Pen,250\nINK,Ink,999\n")
	for i := range 3 {
		store := protocol.StoreID(fmt.Sprint("s", i+1))
		p := s.player(store, protocol.AgentID(fmt.Sprint("a", i+1)), byte(50+i))
		p.greet()
		s.agents[store] = p
		s.receive(p.does(movement("PEN", 10_000)))
		if i > 0 {
			s.receive(p.does(movement("INK", 10_000)))
		}
	}
	return s
}

func movement(sku protocol.SKU, q protocol.Quantity) *protocol.Event {
	return &protocol.Event{
		Kind: protocol.KindMovement, Moves: []protocol.Move{{SKU: sku, State: protocol.OnHand, Delta: q}},
		Movement: &protocol.Movement{Type: protocol.Receipt, Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: sku}, Quantity: q}}},
	}
}

// place orders, and demands the answer to be 201.
func (s *shops) place(body string) pickup.Document {
	s.t.Helper()
	var r pickup.PlaceRequest
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		s.t.Fatal(err)
	}
	s.keys++
	answer, err := s.PlaceOrder(s.t.Context(), protocol.Call{Route: "POST /v1/orders", Key: fmt.Sprint(s.keys), Body: []byte(body)}, r)
	if err != nil {
		s.t.Fatal(err)
	}
	var doc pickup.Document
	if err := json.Unmarshal(answer.Body, &doc); err != nil {
		s.t.Fatal(err)
	}
	shown, err := s.Order(s.t.Context(), doc.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	shown.AsOf = doc.AsOf
	if again, err := json.Marshal(shown); err != nil || string(again) != string(answer.Body) {
		s.t.Errorf("answered %s, and shows %s, %v", answer.Body, again, err)
	}
	return doc
}

// staff do something about the part of an order that a store keeps.
func (s *shops) staff(store protocol.StoreID, id protocol.OrderID, ask pickup.Ask) {
	s.t.Helper()
	part := s.partAt(store, id)
	f, moves, err := part.Plan(ask, func(sku protocol.SKU) protocol.Quantity { return 0 })
	if err != nil {
		s.t.Fatal(err)
	}
	s.receive(s.agents[store].does(&protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: f, Moves: moves}))
}

func (s *shops) partAt(store protocol.StoreID, id protocol.OrderID) (state pickup.State) {
	s.t.Helper()
	err := s.view(s.t.Context(), func(r ledger.Reader) error {
		list, _, err := s.parts(r, id)
		for _, p := range list {
			if p.Store == store {
				state = p.State
			}
		}
		return err
	})
	if err != nil || state.Order == nil {
		s.t.Fatalf("%s has no part of %s: %v", store, id, err)
	}
	return state
}

// shop does what the online shop asks for.
func (s *shops) shop(id protocol.OrderID, action string, a pickup.HubAction) {
	s.t.Helper()
	if _, err := s.ActOnOrder(s.t.Context(), protocol.Call{}, id, action, a); err != nil {
		s.t.Fatal(err)
	}
}

// wants compares an order, and what is promised of its items in all stores.
func (s *shops) wants(id protocol.OrderID, order string, committed string) {
	s.t.Helper()
	doc, err := s.Order(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	state := "null"
	if doc.StoreState != nil {
		state = *doc.StoreState
	}
	var stores, levels []string
	for _, f := range doc.Fulfilments {
		stores = append(stores, string(f.Store))
	}
	if got := fmt.Sprintf("%s %s at %s of %s, %d", doc.HubState, state, doc.Store, strings.Join(stores, "+"), doc.TotalMinor); got != order {
		s.t.Errorf("the order is %q, want %q", got, order)
	}
	for _, store := range []protocol.StoreID{"s1", "s2", "s3"} {
		for _, sku := range []protocol.SKU{"PEN", "INK"} {
			if q := s.level(store, sku, protocol.Committed); q != 0 {
				levels = append(levels, fmt.Sprintf("%s %s of %s", store, q, sku))
			}
		}
	}
	if got := strings.Join(levels, ", "); got != committed {
		s.t.Errorf("committed is %q, want %q", got, committed)
	}
}

func (s *shops) level(store protocol.StoreID, sku protocol.SKU, state protocol.State) (q protocol.Quantity) {
	s.t.Helper()
	err := s.view(s.t.Context(), func(r ledger.Reader) error {
		level, err := ledger.ReadLevel(r, store, sku)
		if err == nil {
			q = level.Quantity(state)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return q
}

// open are the kinds of the exceptions of an order.
func (s *shops) open(id protocol.OrderID) string {
	s.t.Helper()
	list, err := s.Exceptions(s.t.Context(), "open", Page{Limit: 100})
	if err != nil {
		s.t.Fatal(err)
	}
	var kinds []string
	for _, e := range list.Items {
		if strings.HasPrefix(e.Refs[0], string(id)) {
			kinds = append(kinds, e.Kind)
		}
	}
	return strings.Join(kinds, " ")
}

const nearOne = `"near":{"lat":51.5,"lon":-0.1},`

func paid(where, method, lines string) string {
	return `{` + where + `"method":"` + method + `","payment":{"status":"paid","reference":"pi"},"lines":[` + lines + `],"shopper":{"name":"Ayla"}}`
}

// TestRejectedOrderGoesToTheNextStore: an order whose store the hub chose goes on
// to the next one, at the same prices, until there is none; then it is paid back.
func TestRejectedOrderGoesToTheNextStore(t *testing.T) {
	s := newShops(t)
	id := s.place(paid(nearOne, "in_store", `{"code":"PEN","qty":2}`)).ID
	s.wants(id, "paid null at s1 of s1, 500", "s1 2 of PEN")
	mustTakeIn(t, s.Hub, ItemsTable, "sku,name,price_minor\nPEN,Pen,300\n")
	s.staff("s1", id, pickup.Ask{Act: protocol.Reject, Reason: "broken"})
	s.wants(id, "paid null at s2 of s1+s2, 500", "s2 2 of PEN")
	s.staff("s2", id, pickup.Ask{Act: protocol.Accept})
	s.staff("s2", id, pickup.Ask{Act: protocol.Reject, Reason: "broken"})
	s.staff("s3", id, pickup.Ask{Act: protocol.Reject, Reason: "broken"})
	s.wants(id, "canceled rejected at s3 of s1+s2+s3, 500", "")
	if last := s.partAt("s3", id); last.Asked[0] != 2000 || len(last.RefundsDue()) != 1 {
		t.Errorf("refunds of %v are due for %v", last.RefundsDue(), last.Asked)
	}
	if first := s.partAt("s1", id); len(first.RefundsDue()) != 0 {
		t.Error("what another store stands in for is paid back as well")
	}
	s.shop(id, "refund", pickup.HubAction{Reference: "re"})
	s.wants(id, "refunded rejected at s3 of s1+s2+s3, 500", "")
	if kinds := s.open(id); kinds != "" {
		t.Errorf("exceptions: %s", kinds)
	}
}

// TestNamedStoreIsNotLeft: a shopper who chose the store is not sent elsewhere.
func TestNamedStoreIsNotLeft(t *testing.T) {
	s := newShops(t)
	id := s.place(paid(`"store":"s1",`, "in_store", `{"code":"PEN","qty":2}`)).ID
	s.staff("s1", id, pickup.Ask{Act: protocol.Reject, Reason: "broken"})
	s.wants(id, "canceled rejected at s1 of s1, 500", "")
}

// TestCanceledOrderIsNotSentOn: whoever cancels does not want it from elsewhere.
func TestCanceledOrderIsNotSentOn(t *testing.T) {
	s := newShops(t)
	id := s.place(paid(nearOne, "ship_from_store", `{"code":"PEN","qty":2}`)).ID
	s.shop(id, "cancel", pickup.HubAction{})
	s.wants(id, "cancel_requested null at s1 of s1, 500", "s1 2 of PEN")
	s.staff("s1", id, pickup.Ask{Act: protocol.PutBack})
	s.wants(id, "canceled put_back at s1 of s1, 500", "")
}

// TestFewestParcels: what no single store has comes from two, and is one order.
func TestFewestParcels(t *testing.T) {
	s := newShops(t)
	s.receive(s.agents["s2"].does(movement("PEN", -10_000)), s.agents["s3"].does(movement("PEN", -10_000)))
	id := s.place(paid(nearOne+`"sourcing":"fewest_parcels",`, "ship_from_store", `{"code":"PEN","qty":2},{"code":"INK","qty":3}`)).ID
	s.wants(id, "paid null at s1 of s1+s2, 3497", "s1 2 of PEN, s2 3 of INK")
	s.staff("s2", id, pickup.Ask{Act: protocol.Pick, Lines: []protocol.PartLine{{Line: 1, Quantity: 1000}}})
	s.wants(id, "paid null at s1 of s1+s2, 3497", "s1 2 of PEN")
	s.staff("s2", id, pickup.Ask{Act: protocol.Ready})
	s.wants(id, "paid null at s1 of s1+s2+s3, 3497", "s1 2 of PEN, s3 2 of INK")
	s.shop(id, "cancel", pickup.HubAction{})
	for _, store := range []protocol.StoreID{"s1", "s2", "s3"} {
		s.staff(store, id, pickup.Ask{Act: protocol.PutBack})
	}
	s.wants(id, "canceled put_back at s3 of s1+s2+s3, 3497", "")
	s.shop(id, "refund", pickup.HubAction{Reference: "re"})
	s.wants(id, "refunded put_back at s3 of s1+s2+s3, 3497", "")
}

// TestShortageIsPaidBack: the shares of what does not come add up to the penny.
// Nothing is paid back before the store is ready, since a clerk who has overlooked
// something undoes the pick and looks again.
func TestShortageIsPaidBack(t *testing.T) {
	s := newShops(t)
	id := s.place(paid(`"store":"s2",`, "in_store", `{"code":"INK","qty":3}`)).ID
	s.staff("s2", id, pickup.Ask{Act: protocol.Pick})
	s.staff("s2", id, pickup.Ask{Act: protocol.Pick, Lines: []protocol.PartLine{{Line: 1, Quantity: 2000}}})
	s.staff("s2", id, pickup.Ask{Act: protocol.Undo})
	s.staff("s2", id, pickup.Ask{Act: protocol.Pick, Lines: []protocol.PartLine{{Line: 1, Quantity: 1000}}})
	s.wants(id, "paid partially_picked at s2 of s2, 2997", "")
	if early := s.partAt("s2", id); early.Asked[0] != 0 {
		t.Errorf("%s are to be paid back while the clerk may still look for them", early.Asked[0])
	}
	s.staff("s2", id, pickup.Ask{Act: protocol.Ready})
	s.wants(id, "paid ready at s2 of s2, 2997", "")
	part := s.partAt("s2", id)
	if got := part.ShareOf([]protocol.PartLine{{Line: 1, Quantity: 1000}}); part.Asked[0] != 2000 || got != 999 {
		t.Errorf("of 3, %s are asked for, the rest is worth %d", part.Asked[0], got)
	}
	s.shop(id, "refund", pickup.HubAction{Reference: "re"})
	s.wants(id, "paid ready at s2 of s2, 2997", "")
	s.staff("s2", id, pickup.Ask{Act: protocol.HandOver})
	s.wants(id, "paid picked_up at s2 of s2, 2997", "")
}

// TestNobodyPaysForWhatIsMissing: a due order that was picked short is sold for
// what is there. Nothing is paid back, and the rest, which another store keeps, is
// due there.
func TestNobodyPaysForWhatIsMissing(t *testing.T) {
	for name, where := range map[string]string{"s2": `"store":"s2",`, "s3": nearOne} {
		s := newShops(t)
		id := s.place(strings.Replace(paid(where, "ship_from_store", `{"code":"INK","qty":3}`), `"status":"paid","reference":"pi"`, `"status":"due"`, 1)).ID
		part := s.partAt("s2", id)
		f, moves, err := part.Plan(pickup.Ask{Act: protocol.Pick, Lines: []protocol.PartLine{{Line: 1, Quantity: 1000}}}, func(protocol.SKU) protocol.Quantity { return 0 })
		if err != nil {
			t.Fatal(err)
		}
		line := protocol.SaleLine{Item: protocol.ItemRef{SKU: "INK"}, Quantity: 1000, UnitPrice: 999, Amount: 999, OriginalLine: 1}
		sale := &protocol.Sale{Type: protocol.SaleSale, Till: "1", Series: "S", Number: 1, BusinessDate: "2026-11-21", Currency: "GBP", Part: part.Order.PartID, Lines: []protocol.SaleLine{line}}
		logAs(t, s.Hub, s.agents["s2"].origin, &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: f, Moves: moves})
		logAs(t, s.Hub, s.agents["s2"].origin, &protocol.Event{Kind: protocol.KindSale, Sale: sale, Moves: []protocol.Move{
			{SKU: "INK", State: protocol.Staged, Delta: -1000}, {SKU: "INK", State: protocol.OnHand, Delta: -1000},
		}})
		if err := s.settleAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sold := s.partAt("s2", id); sold.Asked[0] != 0 || sold.Handed[0] != 1000 || sold.Committed[0] != 0 {
			t.Errorf("%s: %v handed over, %v to be paid back, %v promised", name, sold.Handed, sold.Asked, sold.Committed)
		}
		if name == "s3" {
			if rest := s.partAt("s3", id); rest.Paid || rest.Committed[0] != 2000 {
				t.Errorf("the rest, %v, is paid: %v", rest.Committed, rest.Paid)
			}
		}
	}
}

// TestShortageAndTheRestArePaidBack: a shopper is paid back what is short, and the
// rest too, apart, when the order that is ready is canceled.
func TestShortageAndTheRestArePaidBack(t *testing.T) {
	s := newShops(t)
	s.receive(s.agents["s3"].does(movement("INK", -10_000)))
	id := s.place(paid(nearOne, "in_store", `{"code":"INK","qty":3}`)).ID
	s.staff("s2", id, pickup.Ask{Act: protocol.Pick, Lines: []protocol.PartLine{{Line: 1, Quantity: 1000}}})
	s.staff("s2", id, pickup.Ask{Act: protocol.Ready})
	s.shop(id, "cancel", pickup.HubAction{})
	s.staff("s2", id, pickup.Ask{Act: protocol.PutBack})
	part := s.partAt("s2", id)
	if part.Asked[0] != 3000 || len(part.RefundsDue()) != 2 {
		t.Errorf("%v to be paid back, %d refunds due", part.Asked, len(part.RefundsDue()))
	}
	s.shop(id, "refund", pickup.HubAction{Reference: "re"})
	s.wants(id, "refunded put_back at s2 of s2, 2997", "")
}

// TestI17_DeadlinesFollowNoClock: deadlines come after running time, whatever the
// clock says, and say what they have to.
func TestI17_DeadlinesFollowNoClock(t *testing.T) {
	for _, years := range []int{0, 10, -10} {
		s := newShops(t)
		named := s.place(paid(`"store":"s1",`, "in_store", `{"code":"PEN","qty":1}`)).ID
		near := s.place(paid(nearOne, "in_store", `{"code":"PEN","qty":2}`)).ID
		clock := s.now
		s.now = func() time.Time { return clock().AddDate(years, 0, 0) }
		tick := func(after time.Duration) {
			s.time += after
			if err := s.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		tick(acceptWithin - time.Second)
		s.wants(near, "paid null at s1 of s1, 500", "s1 3 of PEN")
		tick(time.Second)
		s.wants(near, "cancel_requested null at s1 of s1, 500", "s1 3 of PEN")
		if a, b := s.open(named), s.open(near); a != pickup.TooLate || b != pickup.TooLate {
			t.Errorf("%d years: exceptions %q and %q", years, a, b)
		}
		s.staff("s1", near, pickup.Ask{Act: protocol.PutBack})
		s.wants(near, "paid null at s2 of s1+s2, 500", "s1 1 of PEN, s2 2 of PEN")
		s.staff("s1", named, pickup.Ask{Act: protocol.Pick, Lines: []protocol.PartLine{{Line: 1, Quantity: 1000}}})
		s.staff("s1", named, pickup.Ask{Act: protocol.Ready})
		tick(heldFor)
		s.wants(named, "expired ready at s1 of s1, 250", "s2 2 of PEN")
		s.staff("s1", named, pickup.Ask{Act: protocol.PutBack})
		s.wants(named, "expired put_back at s1 of s1, 250", "s2 2 of PEN")
		if part := s.partAt("s1", named); part.Asked[0] != 1000 || s.level("s1", "PEN", protocol.Staged) != 0 {
			t.Errorf("%d years: %v asked for after expiry", years, part.Asked)
		}
	}
}

// TestSoldAwayOrdersGiveWayInTurn: a till that sells what is promised leaves
// first the unpaid and then the youngest orders without goods. Those that may go
// to another store do; for the others a person has to decide.
func TestSoldAwayOrdersGiveWayInTurn(t *testing.T) {
	s := newShops(t)
	due := strings.Replace(paid(`"store":"s1",`, "in_store", `{"code":"PEN","qty":2}`), `"status":"paid","reference":"pi"`, `"status":"due"`, 1)
	oldest := s.place(due).ID
	s.time += time.Second
	old := s.place(paid(`"store":"s1",`, "in_store", `{"code":"PEN","qty":2}`)).ID
	s.time += time.Second
	young := s.place(paid(nearOne, "ship_from_store", `{"code":"PEN","qty":2}`)).ID
	for range 4 {
		s.receive(s.agents["s1"].sell("PEN"))
	}
	if got := s.open(oldest) + s.open(old) + s.open(young); got != "" {
		t.Fatalf("before anything is short: %s", got)
	}
	s.receive(s.agents["s1"].sell("PEN"))
	if a, b, c := s.open(oldest), s.open(old), s.open(young); a != pickup.BookBreached || b+c != "" {
		t.Errorf("one short: %q, %q, %q", a, b, c)
	}
	s.receive(s.agents["s1"].sell("PEN"), s.agents["s1"].sell("PEN"))
	if a, b, c := s.open(oldest), s.open(old), s.open(young); a != pickup.BookBreached || b+c != "" {
		t.Errorf("three short: %q, %q, %q", a, b, c)
	}
	s.wants(young, "cancel_requested null at s1 of s1, 500", "s1 6 of PEN")
	s.staff("s1", young, pickup.Ask{Act: protocol.PutBack})
	s.wants(young, "paid null at s2 of s1+s2, 500", "s1 4 of PEN, s2 2 of PEN")
}

// TestReturnIsPaidBackOnline: what came back of an order that was paid online, in
// whatever store, is paid back by the shop, once for each return, and leaves the
// order as it was. What a till paid back is not.
func TestReturnIsPaidBackOnline(t *testing.T) {
	s := newShops(t)
	id := s.place(paid(`"store":"s1",`, "in_store", `{"code":"PEN","qty":3}`)).ID
	s.staff("s1", id, pickup.Ask{Act: protocol.Pick, Lines: []protocol.PartLine{{Line: 1, Quantity: 3000}}})
	s.staff("s1", id, pickup.Ask{Act: protocol.HandOver})
	back := func(n uint64, ref string) *protocol.Event {
		ev := receiptOf(protocol.SaleReturn, n, "2026-11-21", -1000, "")
		ev.Sale.ReturnedOrder, ev.Sale.Lines[0].OriginalLine, ev.Sale.Total = id, 1, -250
		ev.Sale.Tenders = []protocol.Tender{{Type: "other", Amount: -250, Ref: ref}}
		return ev
	}
	s.receive(s.agents["s2"].does(back(1, string(id))))
	logAs(t, s.Hub, s.agents["s3"].origin, back(1, string(id)))
	s.receive(s.agents["s1"].does(back(1, "")))
	for range 2 {
		if err := s.settleAll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	part := s.partAt("s1", id)
	if due := part.RefundsDue(); len(due) != 2 || due[0] != protocol.ReturnedReason || len(part.Returned) != 2 {
		t.Errorf("refunds for %v of %v", due, part.Returned)
	}
	s.shop(id, "refund", pickup.HubAction{Reference: "re"})
	s.wants(id, "paid picked_up at s1 of s1, 750", "")
}

// TestSettlingSurvivesACrash: what the hub owed when it ended is done at the next
// start.
func TestSettlingSurvivesACrash(t *testing.T) {
	s := newShops(t)
	id := s.place(paid(nearOne, "in_store", `{"code":"PEN","qty":2}`)).ID
	part := s.partAt("s1", id)
	f, moves, err := part.Plan(pickup.Ask{Act: protocol.Reject, Reason: "broken"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	logAs(t, s.Hub, s.agents["s1"].origin, &protocol.Event{Kind: protocol.KindFulfilment, Fulfilment: f, Moves: moves})
	s.wants(id, "paid rejected at s1 of s1, 500", "s1 2 of PEN")
	if err := s.settleAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wants(id, "paid null at s2 of s1+s2, 500", "s2 2 of PEN")
}

// TestBadOrdersAreRefused: what cannot be meant or kept is refused with a code
// and a reason, and leaves nothing promised.
func TestBadOrdersAreRefused(t *testing.T) {
	s := newShops(t)
	mustTakeIn(t, s.Hub, StoresTable, "id,name,timezone,lat,lon,currency,primary_agent\ns9,Nine,Europe/London,51.5,-0.2,GBP,a9\n")
	pen := `{"code":"PEN","qty":1}`
	at := func(store, lines string) string { return paid(`"store":"`+store+`",`, "in_store", lines) }
	for name, c := range map[string]struct {
		body string
		code protocol.Code
		says string
	}{
		"an unknown store":          {at("s7", pen), protocol.UnknownStore, "s7"},
		"an unknown item":           {at("s1", `{"code":"CUP","qty":1}`), protocol.UnknownCode, "CUP"},
		"nothing of an item":        {at("s1", `{"code":"PEN","qty":0}`), protocol.OutOfRangeCode, "qty"},
		"less than nothing":         {at("s1", `{"code":"PEN","qty":-1}`), protocol.OutOfRangeCode, "qty"},
		"no quantity":               {at("s1", `{"code":"PEN"}`), protocol.OutOfRangeCode, "qty"},
		"more than is there":        {at("s1", `{"code":"PEN","qty":10000000}`), protocol.Short, "Pen"},
		"no lines":                  {at("s1", ""), protocol.OutOfRangeCode, "lines"},
		"a time that has passed":    {strings.Replace(at("s1", pen), `"shopper"`, `"pickup_by":"2026-11-21T09:59:00+00:00","shopper"`, 1), protocol.OutOfRangeCode, "past"},
		"a time that is none":       {strings.Replace(at("s1", pen), `"shopper"`, `"pickup_by":"tomorrow","shopper"`, 1), protocol.OutOfRangeCode, "pickup_by"},
		"an unknown method":         {strings.Replace(at("s1", pen), "in_store", "by_pigeon", 1), protocol.OutOfRangeCode, "method"},
		"no store and no place":     {paid("", "in_store", pen), protocol.OutOfRangeCode, "store"},
		"a store and a place":       {paid(`"store":"s1",`+nearOne, "in_store", pen), protocol.OutOfRangeCode, "store"},
		"a place in the sea":        {paid(`"near":{"lat":0,"lon":0},`, "in_store", pen), protocol.UnknownStore, "50 km"},
		"a card as reference":       {strings.Replace(at("s1", pen), `"pi"`, `"4111111111111111"`, 1), protocol.CardNumber, "payment card"},
		"a store that never called": {at("s9", pen), protocol.Short, "Nine"},
		"one line of two is short":  {at("s1", pen+`,{"code":"INK","qty":1}`), protocol.Short, "Ink"},
		"two lines of one item":     {at("s1", `{"code":"PEN","qty":5},{"code":"PEN","qty":5}`), protocol.Short, "Pen"},
	} {
		var r pickup.PlaceRequest
		if err := json.Unmarshal([]byte(c.body), &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err := s.PlaceOrder(t.Context(), protocol.Call{Route: "POST /v1/orders", Body: []byte(c.body)}, r)
		if protocol.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s about %q", name, err, c.code, c.says)
		}
	}
	for _, store := range []protocol.StoreID{"s1", "s9"} {
		if q := s.level(store, "PEN", protocol.Committed); q != 0 {
			t.Errorf("%s promises %s", store, q)
		}
	}
}

// TestLateActionsAreRefused: each register refuses what came too late, and says
// how the order stands.
func TestLateActionsAreRefused(t *testing.T) {
	s := newShops(t)
	id := s.place(paid(`"store":"s1",`, "in_store", `{"code":"PEN","qty":1}`)).ID
	refused := func(action string) {
		t.Helper()
		_, err := s.ActOnOrder(t.Context(), protocol.Call{}, id, action, pickup.HubAction{})
		if protocol.CodeOf(err) != protocol.Conflict {
			t.Errorf("%s: %v", action, err)
		}
	}
	refused("pay")
	refused("refund")
	s.time += heldFor
	if err := s.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wants(id, "expired null at s1 of s1, 250", "s1 1 of PEN")
	refused("pay")
	refused("cancel")
	refused("arrive")
	part := s.partAt("s1", id)
	for _, act := range []protocol.Act{protocol.Accept, protocol.Pick, protocol.HandOver, protocol.Undo} {
		if _, _, err := part.Plan(pickup.Ask{Act: act}, nil); protocol.CodeOf(err) != protocol.Conflict {
			t.Errorf("%s of an expired order: %v", act, err)
		}
	}
}

// TestRestoredHubKnowsItsOrdersKeys: an order that came back from a store after
// the hub was restored from an older copy is not placed a second time by a retry.
func TestRestoredHubKnowsItsOrdersKeys(t *testing.T) {
	s := newShops(t)
	body := paid(`"store":"s1",`, "in_store", `{"code":"PEN","qty":1}`)
	id := s.place(body).ID
	if err := s.driver.Update(t.Context(), func(tx ledger.Tx) error { return ledger.SetNote(tx, nil, noteReport, "POST /v1/orders", "1") }); err != nil {
		t.Fatal(err)
	}
	recalled := func(after time.Duration) bool {
		clock := s.now
		defer func() { s.now = clock }()
		s.now = func() time.Time { return clock().Add(after) }
		if err := s.settleAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		var b []byte
		if err := s.view(t.Context(), func(r ledger.Reader) (err error) {
			b, err = ledger.Note(r, noteReport, "POST /v1/orders", "1")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return b != nil
	}
	if recalled(reportKeptFor+time.Second) || !recalled(0) {
		t.Error("the key of an old order is written down again, or that of a young one is not")
	}
	s.keys = 0
	if again := s.place(body).ID; again != id {
		t.Errorf("a retry places %s beside %s", again, id)
	}
	s.wants(id, "paid null at s1 of s1, 250", "s1 1 of PEN")
	other := strings.Replace(body, `"qty":1`, `"qty":2`, 1)
	var r pickup.PlaceRequest
	if err := json.Unmarshal([]byte(other), &r); err != nil {
		t.Fatal(err)
	}
	_, err := s.PlaceOrder(t.Context(), protocol.Call{Route: "POST /v1/orders", Key: "1", Body: []byte(other)}, r)
	if protocol.CodeOf(err) != protocol.IdempotencyMismatch {
		t.Errorf("another order under its key: %v", err)
	}
	s.time += reportKeptFor + time.Minute
	if err := s.pruneReports(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.view(t.Context(), func(r ledger.Reader) error {
		b, err := ledger.Note(r, noteReport, "POST /v1/orders", "1")
		if b != nil {
			t.Error("a key that led to an order is kept for ever")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
