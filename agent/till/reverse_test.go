package till_test

import (
	"context"
	"fmt"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/sale"
)

func (s *shopTest) tryVoid(no protocol.ReceiptNo) (protocol.Answer, error) {
	route := fmt.Sprintf("POST /v1/sales/%s/void", no)
	return s.till.Void(context.Background(), noCall(route), no, sale.VoidRequest{Reason: "wrong item", Staff: "s7"})
}

// TestOverReturn checks that two returns together never exceed the sale, and
// that the document of the sale shows what came back.
func TestOverReturn(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.sell(`{"lines":[{"code":"CUP","qty":1},{"code":"PEN-01","qty":3}],"tenders":[{"type":"card","amount_minor":1749}]}`)
		back := func(n int) (protocol.Answer, error) {
			return s.tryReturn(fmt.Sprintf(`{"receipt_no":"a1-1-1-1","reason":"unwanted","lines":[{"line":2,"qty":%d,"to":"damaged"}],"tenders":[{"type":"cash","amount_minor":%d}]}`, n, 250*n))
		}
		a, err := back(2)
		if err != nil {
			t.Fatal(err)
		}
		doc := document[sale.Document](t, a)
		if l := doc.Lines[0]; doc.Type != protocol.SaleReturn || doc.TotalMinor != -500 || l.Qty != -2000 || *l.Name != "Pen" || *doc.OriginalReceiptNo != "a1-1-1-1" {
			t.Errorf("return %s", a.Body)
		}
		_, err = back(2)
		e := wantCode(t, err, protocol.OverReturn)
		if e.Members["line"] != 2 || fmt.Sprint(e.Members["remaining"]) != "1" {
			t.Errorf("members %v", e.Members)
		}
		if _, err := back(1); err != nil {
			t.Error(err)
		}
		sold, err := s.till.Sale(context.Background(), "a1-1-1-1")
		if err != nil || sold.Lines[1].ReturnedQty != 3000 || sold.Lines[0].ReturnedQty != 0 || sold.Voided {
			t.Errorf("the sale shows %+v, %v", sold.Lines, err)
		}
		if l := s.level("PEN-01"); l.OnHand() != 0 || l.Quantity(protocol.Damaged) != 3000 {
			t.Errorf("on hand %s, damaged %s", l.OnHand(), l.Quantity(protocol.Damaged))
		}
		_, err = s.tryVoid("a1-1-1-1")
		wantCode(t, err, protocol.Conflict)
		_, err = s.tryReturn(`{"receipt_no":"a1-1-1-99","lines":[{"line":1,"qty":1}],"tenders":[]}`)
		wantCode(t, err, protocol.ReceiptUnknown)
		s.verify()
	})
}

// TestReturnWithoutReceipt checks that it needs a reason and has today's price.
func TestReturnWithoutReceipt(t *testing.T) {
	s := memory(t)
	_, err := s.tryReturn(`{"receipt_no":null,"lines":[{"code":"CUP","qty":1}],"tenders":[{"type":"cash","amount_minor":999}]}`)
	wantCode(t, err, protocol.OutOfRangeCode)
	a, err := s.tryReturn(`{"receipt_no":null,"lines":[{"code":"5000112637922","qty":1}],"reason":"unwanted","tenders":[{"type":"cash","amount_minor":999}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if doc := document[sale.Document](t, a); doc.TotalMinor != -999 || doc.Lines[0].SKU != "CUP" || len(doc.Warnings) != 0 {
		t.Errorf("return %s", a.Body)
	}
	_, err = s.tryReturn(`{"lines":[{"code":"5901234123457","qty":1}],"reason":"unwanted","tenders":[]}`)
	if e := wantCode(t, err, protocol.UnknownCode); e.Members["line"] != 1 {
		t.Errorf("members %v", e.Members)
	}
}

// TestVoid checks that a void undoes the whole receipt, once, on its day.
func TestVoid(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.receive("PEN-01", 3)
		s.sell(exampleSale)
		a, err := s.tryVoid("a1-1-1-1")
		if err != nil {
			t.Fatal(err)
		}
		doc := document[sale.Document](t, a)
		if a.Status != 201 || doc.Type != protocol.SaleVoid || doc.TotalMinor != -450 || doc.Lines[0].Qty != -2000 || doc.ReceiptNo != "a1-1-1-2" || doc.ChangeMinor != -50 {
			t.Errorf("void %s", a.Body)
		}
		if s.level("PEN-01").OnHand() != 3000 {
			t.Errorf("on hand %s", s.level("PEN-01").OnHand())
		}
		sold, err := s.till.Sale(context.Background(), "a1-1-1-1")
		if err != nil || !sold.Voided {
			t.Errorf("the sale says voided %v, %v", sold.Voided, err)
		}
		_, err = s.tryVoid("a1-1-1-1")
		wantCode(t, err, protocol.AlreadyVoided)
		_, err = s.tryVoid("a1-1-1-2")
		wantCode(t, err, protocol.Conflict)
		_, err = s.tryVoid("a1-1-1-77")
		wantCode(t, err, protocol.NotFound)
		_, err = s.tryReturn(`{"receipt_no":"a1-1-1-1","lines":[{"line":1,"qty":1}],"tenders":[{"type":"cash","amount_minor":225}]}`)
		wantCode(t, err, protocol.AlreadyVoided)

		s.sell(exampleSale)
		s.clock.set("2026-11-22T03:59:59Z")
		if _, err := s.tryVoid("a1-1-1-3"); err != nil {
			t.Errorf("before 04:00: %v", err)
		}
		s.sell(exampleSale)
		s.clock.set("2026-11-22T04:00:00Z")
		_, err = s.tryVoid("a1-1-1-5")
		wantCode(t, err, protocol.Conflict)
		s.verify()
	})
}

// TestVoidElsewhere checks that a machine voids its own receipts only, and that
// a return works at any machine of the store.
func TestVoidElsewhere(t *testing.T) {
	a := memory(t)
	b := bare(t, a.driver, originB, a.clock)
	a.sell(exampleSale)
	_, err := b.tryVoid("a1-1-1-1")
	wantCode(t, err, protocol.Conflict)
	answer, err := b.tryReturn(`{"receipt_no":"a1-1-1-1","lines":[{"line":1,"qty":1}],"tenders":[{"type":"cash","amount_minor":225}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if doc := document[sale.Document](t, answer); doc.ReceiptNo != "a2-1-1-1" || doc.Agent != "a2" {
		t.Errorf("return %s", answer.Body)
	}
	a.verify()
}

// TestVoidKey checks that one key does not answer for two receipts.
func TestVoidKey(t *testing.T) {
	s := memory(t)
	s.sell(exampleSale)
	s.sell(exampleSale)
	var totals []string
	for _, no := range []protocol.ReceiptNo{"a1-1-1-1", "a1-1-1-2", "a1-1-1-1"} {
		a, err := s.till.Void(context.Background(), keyed("POST /v1/sales/{receipt_no}/void", "k", "{}"), no, sale.VoidRequest{})
		if err != nil {
			t.Fatal(err)
		}
		totals = append(totals, *document[sale.Document](t, a).OriginalReceiptNo)
	}
	if fmt.Sprint(totals) != "[a1-1-1-1 a1-1-1-2 a1-1-1-1]" {
		t.Errorf("voided %v", totals)
	}
}
