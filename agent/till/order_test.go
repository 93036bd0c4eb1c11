package till_test

import (
	"context"
	"fmt"
	"testing"

	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// orderPart is the n-th order that the hub placed with the store.
func orderPart(n int) protocol.PartID {
	return protocol.PartID{Order: protocol.NewOrderID(protocol.EventID{Inc: hubOrigin.Inc, Seq: protocol.Seq(n)}), Part: 1}
}

// ordered lets the hub place a paid order of pens, which it commits.
func (s *shopTest) ordered(n, pens int) protocol.PartID {
	s.t.Helper()
	return s.placedAs(n, pens, func(o *protocol.Order) { o.Paid = true })
}

// due is ordered, to be paid at the hand-over.
func (s *shopTest) due(n, pens int) protocol.PartID {
	s.t.Helper()
	return s.placedAs(n, pens, func(*protocol.Order) {})
}

// placedAs is due, with what else the order says.
func (s *shopTest) placedAs(n, pens int, say func(*protocol.Order)) protocol.PartID {
	s.t.Helper()
	id, q := orderPart(n), protocol.Quantity(pens)*1000
	order := &protocol.Order{
		PartID: id, Number: fmt.Sprint("W-", n), Method: protocol.InStore, Currency: "GBP", Shopper: protocol.Shopper{Name: "Ayla", Phone: "+994501234567"},
		Lines: []protocol.OrderLine{{Number: 1, Item: protocol.ItemRef{SKU: "PEN-01"}, Quantity: q, UnitPrice: 250, Amount: 250 * protocol.Money(pens)}},
	}
	say(order)
	s.hubLogs(hubOrigin, &protocol.Event{
		Kind: protocol.KindOrder, Order: order,
		Moves: []protocol.Move{{SKU: "PEN-01", State: protocol.Committed, Delta: q}},
	})
	return id
}

func (s *shopTest) changed(id protocol.PartID, c protocol.Change) {
	s.t.Helper()
	s.hubLogs(hubOrigin, &protocol.Event{Kind: protocol.KindOrderChange, OrderChange: &protocol.OrderChange{PartID: id, Change: c}})
}

func (s *shopTest) act(id protocol.PartID, action, body string) pickup.Document {
	s.t.Helper()
	a, err := s.till.Fulfil(context.Background(), noCall(till.OrderRoute+string(id.Order)+"/"+action), id.Order, action, request[pickup.Request](s.t, body))
	if err != nil {
		s.t.Fatal(err)
	}
	return document[pickup.Document](s.t, a)
}

// answered settles the orders and tells how many events that logged.
func (s *shopTest) answered() int {
	s.t.Helper()
	before := len(s.events())
	if err := s.till.SettleOrders(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	return len(s.events()) - before
}

func (s *shopTest) storeState(id protocol.PartID) string {
	s.t.Helper()
	doc, err := s.till.Order(context.Background(), id.Order)
	if err != nil {
		s.t.Fatal(err)
	}
	if doc.StoreState == nil {
		return ""
	}
	return *doc.StoreState
}

// primary makes an agent the store's primary.
func (s *shopTest) primary(agent protocol.AgentID) {
	s.t.Helper()
	c := catalog()
	c.Items, c.Taxes = nil, nil
	c.Stores[0].Primary = agent
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: c})
}

// TestSettleOrders lets the primary answer what was canceled or expired, once,
// and only where nothing is staged.
func TestSettleOrders(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.receive("PEN-01", 10)
		canceled, expired, staged, kept, picking := s.ordered(1, 1), s.ordered(2, 1), s.ordered(3, 1), s.ordered(4, 1), s.ordered(5, 1)
		s.act(staged, "pick", `{"staff":"s7","lines":[{"line":1,"qty":1}]}`)
		s.act(picking, "pick", `{"staff":"s7"}`)
		if n := s.answered(); n != 0 {
			t.Errorf("%d answers, and nothing was asked", n)
		}
		s.changed(canceled, protocol.CancelRequested)
		s.changed(expired, protocol.Expired)
		s.changed(staged, protocol.CancelRequested)
		s.changed(picking, protocol.CancelRequested)
		if n := s.answered(); n != 3 {
			t.Errorf("%d answers to three", n)
		}
		for id, want := range map[protocol.PartID]string{canceled: "put_back", expired: "put_back", picking: "put_back", staged: "picked", kept: ""} {
			if got := s.storeState(id); got != want {
				t.Errorf("%s is %q, want %q", id, got, want)
			}
		}
		if n := s.answered(); n != 0 {
			t.Errorf("%d answers again", n)
		}
		s.act(staged, "put-back", `{"staff":"s7"}`)
		if n := s.answered(); n != 0 {
			t.Errorf("%d answers to what a person put back", n)
		}
		s.verify()
	})
}

// TestSettleOrdersMissed answers what came while nobody looked: before a start,
// while another machine was the primary, and in events that are not here.
func TestSettleOrdersMissed(t *testing.T) {
	for name, miss := range map[string]func(*shopTest, func()){
		"before a start": func(s *shopTest, change func()) {
			change()
			again := bare(s.t, s.driver, s.origin, s.clock)
			s.till = again.till
		},
		"under another primary": func(s *shopTest, change func()) {
			s.primary("a2")
			change()
			if n := s.answered(); n != 0 {
				s.t.Errorf("%d answers of a machine that is not the primary", n)
			}
			s.primary("a1")
		},
		"in events that are not here": func(s *shopTest, change func()) {
			change()
			err := s.driver.Update(context.Background(), func(tx ledger.Tx) error {
				stream, err := ledger.ReadStream(tx, hubOrigin)
				if err == nil {
					_, err = ledger.TrimEvents(tx, hubOrigin.Inc, stream.Seq, 100)
				}
				return err
			})
			if err != nil {
				s.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := memory(t)
			s.receive("PEN-01", 10)
			id := s.ordered(1, 1)
			s.answered()
			miss(s, func() {
				s.changed(id, protocol.CancelRequested)
				s.ordered(2, 1)
			})
			if n := s.answered(); n != 1 || s.storeState(id) != "put_back" {
				t.Errorf("%d answers, and the order is %q", n, s.storeState(id))
			}
		})
	}
}

// told reads on from a position, and tells the orders that were shown.
func (s *shopTest) told(after string) (orders []pickup.Document, at string) {
	s.t.Helper()
	for more := true; more; {
		c, err := s.till.OrdersAfter(context.Background(), after)
		if err != nil {
			s.t.Fatal(err)
		}
		orders, after, more = append(orders, c.Orders...), c.At, c.More
	}
	return orders, after
}

// TestOrdersAfter follows what the hub and a sibling do to orders, from the
// present on, from a position, and over events that are not here.
func TestOrdersAfter(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		other := bare(t, ledger.NewMemory(), originB, s.clock)
		other.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: catalog()})
		other.tails(protocol.FeedCatalog, protocol.StoreFeed("s1"), protocol.PriceFeed("default"))
		place := func(n int) protocol.PartID {
			other.ordered(n, 1)
			return s.ordered(n, 1)
		}
		old := place(1)
		if orders, _ := s.told(""); len(orders) != 0 {
			t.Errorf("from the present on there are %d orders", len(orders))
		}
		_, at := s.told("")
		placed := place(2)
		orders, at := s.told(at)
		if len(orders) != 1 || orders[0].ID != placed.Order || orders[0].StoreState != nil {
			t.Fatalf("after an order: %+v", orders)
		}
		before := at
		other.act(placed, "accept", `{"staff":"s8"}`)
		other.act(placed, "pick", `{"staff":"s8","lines":[{"line":1,"qty":1}]}`)
		other.copyTo(s)
		s.receive("PEN-01", 1)
		if orders, at = s.told(at); len(orders) != 1 || *orders[0].StoreState != "picked" {
			t.Fatalf("after a sibling's acts: %+v", orders)
		}
		if orders, again := s.told(at); len(orders) != 0 || again != at {
			t.Errorf("told again: %+v at %s", orders, again)
		}
		if orders, _ := s.told(before); len(orders) != 1 {
			t.Errorf("from the position before: %+v", orders)
		}
		s.act(old, "accept", `{"staff":"s7"}`)
		if orders, _ := s.told(at); len(orders) != 0 {
			t.Errorf("what this machine does is told twice: %+v", orders)
		}
		err := s.driver.Update(context.Background(), func(tx ledger.Tx) error {
			_, err := ledger.TrimEvents(tx, originB.Inc, 2, 100)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if orders, _ := s.told(before); len(orders) != 2 {
			t.Errorf("over what is not here any more: %+v", orders)
		}
		for _, text := range []string{"x", "o.", "o.zz-1", "o.aabbccddeeff", "o.aabbccddeeff-!", "p.aabbccddeeff-1"} {
			_, err := s.till.OrdersAfter(context.Background(), text)
			wantCode(t, err, protocol.OutOfRangeCode)
		}
	})
}

// TestOrderEvents shows an order that is sold at its hand-over as order and
// sale.
func TestOrderEvents(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 5)
	id := s.due(1, 2)
	s.act(id, "pick", `{"staff":"s7","lines":[{"line":1,"qty":2}]}`)
	s.act(id, "hand-over", `{"staff":"s7","check":{"phone_digits":"4567"},"tenders":[{"type":"card","amount_minor":500}]}`)
	docs, err := s.till.EventsAfter(context.Background(), 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, d := range docs {
		told += fmt.Sprintf("%d %s ", d.Seq, d.Name)
	}
	if told != "2 order 3 order 3 sale " {
		t.Errorf("events are %s", told)
	}
}

// TestOpenOrders lists what there is to do, whoever does it, in pages.
func TestOpenOrders(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		open := func(limit int) string {
			t.Helper()
			text, after := "", ""
			for {
				docs, next, err := s.till.Orders(context.Background(), "open", limit, after)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range docs {
					text += d.Number + " "
					if d.PlacedAt == nil {
						t.Errorf("%s was placed at no time", d.Number)
					}
				}
				if next == nil {
					return text
				}
				after = *next
			}
		}
		s.receive("PEN-01", 10)
		first, second := s.ordered(1, 1), s.ordered(2, 1)
		s.ordered(3, 1)
		for _, limit := range []int{1, 2, 3, 10} {
			if got := open(limit); got != "W-1 W-2 W-3 " {
				t.Errorf("open are %s", got)
			}
		}
		s.act(first, "pick", `{"staff":"s7"}`)
		if docs, _, err := s.till.Orders(context.Background(), "picking", 10, ""); err != nil || len(docs) != 1 || docs[0].Picker == nil || *docs[0].Picker != "s7" {
			t.Errorf("who picks is not said: %+v, %v", docs, err)
		}
		s.act(first, "pick", `{"staff":"s7","lines":[{"line":1,"qty":1}]}`)
		s.act(first, "hand-over", `{"staff":"s7","check":{"phone_digits":"4567"}}`)
		s.changed(second, protocol.CancelRequested)
		if got := open(10); got != "W-2 W-3 " {
			t.Errorf("after a hand-over, open are %s", got)
		}
		s.answered()
		if got := open(10); got != "W-3 " {
			t.Errorf("after a cancellation was answered, open are %s", got)
		}
		s.ordered(4, 1)
		if got := open(10); got != "W-3 W-4 " {
			t.Errorf("after another order, open are %s", got)
		}
	})
}

// TestPickByTheOrdersLine: staff name lines as the whole order does, also where
// the store keeps some of them only.
func TestPickByTheOrdersLine(t *testing.T) {
	s := open(t, twice{ledger.NewMemory()})
	s.receive("PEN-01", 10)
	id := orderPart(1)
	line := protocol.OrderLine{Number: 7, Item: protocol.ItemRef{SKU: "PEN-01"}, Quantity: 2000, UnitPrice: 250, Amount: 500}
	s.hubLogs(hubOrigin, &protocol.Event{
		Kind: protocol.KindOrder, Moves: []protocol.Move{{SKU: "PEN-01", State: protocol.Committed, Delta: 2000}},
		Order: &protocol.Order{PartID: id, Number: "W-1", Method: protocol.ShipFromStore, Currency: "GBP", Paid: true, Lines: []protocol.OrderLine{line}},
	})
	_, err := s.till.Fulfil(context.Background(), noCall(till.OrderRoute+string(id.Order)+"/pick"), id.Order, "pick", request[pickup.Request](t, `{"staff":"s7","lines":[{"line":1,"qty":2}]}`))
	if protocol.CodeOf(err) != protocol.OutOfRangeCode {
		t.Errorf("a line that the store does not have: %v", err)
	}
	if doc := s.act(id, "pick", `{"staff":"s7","lines":[{"line":7,"qty":1}]}`); doc.Lines[0].Line != 7 || doc.Lines[0].PickedQty != 1000 || *doc.StoreState != "partially_picked" {
		t.Errorf("picked %+v, %s", doc.Lines, *doc.StoreState)
	}
}

// TestShortageLowersConfidence: a clerk who does not find what the book shows takes
// it out of the book, and one piece more is kept from online until somebody counts.
// Whoever finds everything changes nothing.
func TestShortageLowersConfidence(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 9)
	stocked := func(onHand, allotment protocol.Quantity, doubtful bool) {
		t.Helper()
		doc, err := s.till.Stock(context.Background(), "PEN-01")
		if err != nil {
			t.Fatal(err)
		}
		if doc.OnHand != onHand || doc.Allotment != allotment || doc.RecountSuggested != doubtful {
			t.Errorf("%s on hand, %s for online, recount suggested %v; want %s, %s, %v", doc.OnHand, doc.Allotment, doc.RecountSuggested, onHand, allotment, doubtful)
		}
	}
	whole := s.ordered(1, 2)
	s.act(whole, "pick", `{"staff":"s7","lines":[{"line":1,"qty":2}]}`)
	stocked(9000, 6000, false)
	short := s.ordered(2, 3)
	s.act(short, "pick", `{"staff":"s7","lines":[{"line":1,"qty":1}]}`)
	stocked(3000, 0, true)
	s.receive("PEN-01", 5)
	stocked(8000, 3000, true)
	s.move(`{"type":"count","lines":[{"code":"PEN-01","qty":5}]}`)
	stocked(8000, 4000, false)
}
