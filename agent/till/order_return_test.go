package till_test

import (
	"fmt"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
	"counterpart/protocol/sale"
)

func (s *shopTest) returned(body string) sale.Document {
	s.t.Helper()
	a, err := s.tryReturn(body)
	if err != nil {
		s.t.Fatal(err)
	}
	return document[sale.Document](s.t, a)
}

// handed lets staff pick an order and hand it over, paying with cash where it is
// due.
func (s *shopTest) handed(id protocol.PartID, pens int, tenders string) {
	s.t.Helper()
	s.act(id, "pick", fmt.Sprintf(`{"staff":"s7","lines":[{"line":1,"qty":%d}]}`, pens))
	s.act(id, "ready", `{"staff":"s7"}`)
	s.act(id, "hand-over", `{"staff":"s7","check":{"phone_digits":"4567"}`+tenders+`}`)
}

// TestReturnOfAnOnlineOrder: goods that were paid online come back against the
// order, at its price, never more than was handed over, and the receipt says that
// the shop pays back.
func TestReturnOfAnOnlineOrder(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.receive("PEN-01", 10)
		id := s.ordered(1, 3)
		back := func(qty string) string {
			return strings.NewReplacer("ORDER", string(id.Order), "QTY", qty).Replace(`{"order_id":"ORDER","lines":[{"line":1,"qty":QTY}],"staff":"s7"}`)
		}
		_, err := s.tryReturn(back("1"))
		if e := wantCode(t, err, protocol.OverReturn); e.Members["remaining"] != protocol.Quantity(0) {
			t.Errorf("before the hand-over: %+v", e)
		}
		s.handed(id, 3, "")
		doc := s.returned(back("2"))
		if doc.OrderID != id.Order || doc.TotalMinor != -500 || doc.Lines[0].AmountMinor != -500 || doc.Lines[0].Qty != -2000 || doc.OriginalReceiptNo != nil ||
			len(doc.Tenders) != 1 || doc.Tenders[0].Type != protocol.OtherPay || doc.Tenders[0].AmountMinor != -500 || *doc.Tenders[0].Ref != string(id.Order) {
			t.Errorf("returned: %+v", doc)
		}
		_, err = s.tryReturn(back("2"))
		if e := wantCode(t, err, protocol.OverReturn); e.Members["line"] != uint32(1) || e.Members["remaining"] != protocol.Quantity(1000) {
			t.Errorf("too much: %+v", e)
		}
		cash := strings.Replace(back("1"), `"staff"`, `"tenders":[{"type":"cash","amount_minor":250}],"staff"`, 1)
		if doc := s.returned(cash); doc.Tenders[0].Type != protocol.Cash || doc.TotalMinor != -250 {
			t.Errorf("paid back in cash: %+v", doc)
		}
		_, err = s.tryReturn(strings.Replace(back("1"), `"line":1`, `"line":2`, 1))
		wantCode(t, err, protocol.OutOfRangeCode)
		if level := s.level("PEN-01"); level.OnHand() != 10_000 || len(s.work()) != 0 {
			t.Errorf("on hand %s, work %+v", level.OnHand(), s.work())
		}
		s.verify()
	})
}

// TestReturnOfAnOrderPaidAtTheTill: the order leads to its receipt.
func TestReturnOfAnOrderPaidAtTheTill(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 10)
	id := s.due(1, 3)
	s.handed(id, 3, `,"tenders":[{"type":"cash","amount_minor":750}]`)
	body := strings.ReplaceAll(`{"order_id":"ORDER","lines":[{"line":1,"qty":2}],"tenders":[{"type":"cash","amount_minor":500}]}`, "ORDER", string(id.Order))
	doc := s.returned(body)
	if doc.OrderID != id.Order || *doc.OriginalReceiptNo != "a1-1-1-1" || doc.TotalMinor != -500 {
		t.Errorf("returned: %+v", doc)
	}
	_, err := s.tryReturn(body)
	wantCode(t, err, protocol.OverReturn)
	if doc := s.returned(`{"receipt_no":"a1-1-1-1","lines":[{"line":1,"qty":1}],"tenders":[{"type":"cash","amount_minor":250}]}`); doc.OrderID != id.Order {
		t.Errorf("by its receipt: %+v", doc)
	}
	s.verify()
}

// TestReturnOfAnotherStoresOrder: it is taken back with codes, and recorded
// against the order; whether it is too much another will know.
func TestReturnOfAnotherStoresOrder(t *testing.T) {
	s := memory(t)
	_, err := s.tryReturn(`{"order_id":"o-elsewhere","lines":[{"line":1,"qty":1}]}`)
	wantCode(t, err, protocol.ReceiptUnknown)
	doc := s.returned(`{"order_id":"o-elsewhere","lines":[{"line":1,"code":"CUP","qty":2,"to":"damaged"}]}`)
	if doc.OrderID != "o-elsewhere" || doc.TotalMinor != -1998 || *doc.Tenders[0].Ref != "o-elsewhere" || s.level("CUP").Quantity(protocol.Damaged) != 2000 || len(s.work()) != 0 {
		t.Errorf("returned: %+v, %+v", doc, s.work())
	}
	for _, body := range []string{
		`{"order_id":"o/1","lines":[{"line":1,"code":"CUP","qty":2}]}`,
		`{"order_id":"o-1","receipt_no":"a1-1-1-1","lines":[{"line":1,"qty":2}]}`,
		`{"order_id":"o-1","lines":[{"qty":2}]}`,
		`{"order_id":"o-1","lines":[{"line":2001,"code":"CUP","qty":2}]}`,
	} {
		_, err := s.tryReturn(body)
		wantCode(t, err, protocol.OutOfRangeCode)
	}
}

// TestOrderOverReturn: two stores that do not know of each other take back too
// much; whoever knows of both has work for a person.
func TestOrderOverReturn(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 10)
	id := s.ordered(1, 3)
	back := &protocol.Event{Kind: protocol.KindSale, Sale: &protocol.Sale{
		Type: protocol.SaleReturn, Till: "1", Series: "1", Number: 1, ReturnedOrder: id.Order,
		Lines: []protocol.SaleLine{{Item: protocol.ItemRef{SKU: "PEN-01"}, Quantity: -2000, OriginalLine: 1}},
	}}
	s.hubLogs(originB, back)
	if work := s.work(); len(work) != 1 || work[0].Kind != pickup.OverReturn {
		t.Errorf("before the hand-over is known: %+v", work)
	}
	s.handed(id, 3, "")
	if work := s.work(); len(work) != 0 {
		t.Errorf("two of three came back: %+v", work)
	}
	more := *back.Sale
	more.Number = 2
	s.hubLogs(originB, &protocol.Event{Kind: protocol.KindSale, Sale: &more})
	if work := s.work(); len(work) != 1 || work[0].Kind != pickup.OverReturn || work[0].Subject != string(id.Order) || work[0].Store != "s1" || len(work[0].Events) != 2 {
		t.Errorf("four of three came back: %+v", work)
	}
	s.verify()
}
