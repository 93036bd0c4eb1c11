package till_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// yielding lets the hub place an order of pens whose shopper takes other goods.
func (s *shopTest) yielding(n, pens int, paid bool) protocol.PartID {
	s.t.Helper()
	return s.placedAs(n, pens, func(o *protocol.Order) { o.Paid, o.Substitutes = paid, true })
}

func (s *shopTest) tryAct(id protocol.PartID, action, body string) error {
	_, err := s.till.Fulfil(context.Background(), noCall(till.OrderRoute+string(id.Order)+"/"+action), id.Order, action, request[pickup.Request](s.t, body))
	return err
}

// TestSubstitute lets a clerk take cups for the pens that are not there: the cups
// are set aside, the book has no more pens, and the shopper pays the pens' price.
func TestSubstitute(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.receive("PEN-01", 5)
		s.receive("CUP", 5)
		id := s.yielding(1, 3, false)
		picked := `{"staff":"s7","lines":[{"line":1,"qty":1},{"line":1,"qty":2,"code":"5000112637922"}]}`
		doc := s.act(id, "pick", picked)
		line := doc.Lines[0]
		if !doc.Substitutes || *doc.StoreState != "picked" || line.PickedQty != 3000 || len(line.Substitutes) != 1 {
			t.Fatalf("picked: %+v", doc)
		}
		if sub := line.Substitutes[0]; sub.SKU != "CUP" || sub.Qty != 2000 || *sub.Name != "Cup" || *sub.GTIN != "05000112637922" {
			t.Errorf("instead: %+v", sub)
		}
		pens, cups := s.level("PEN-01"), s.level("CUP")
		if pens.OnHand() != 1000 || pens.Quantity(protocol.Staged) != 1000 || pens.Quantity(protocol.Committed) != 0 || cups.OnHand() != 5000 || cups.Quantity(protocol.Staged) != 2000 {
			t.Errorf("after the pick: pens %+v, cups %+v", pens, cups)
		}
		s.act(id, "undo", `{"staff":"s7"}`)
		if pens, cups := s.level("PEN-01"), s.level("CUP"); pens.Quantity(protocol.Committed) != 3000 || pens.Quantity(protocol.Staged) != 0 || cups.Quantity(protocol.Staged) != 0 {
			t.Errorf("after the undo: pens %+v, cups %+v", pens, cups)
		}
		s.act(id, "pick", picked)
		doc = s.act(id, "hand-over", `{"staff":"s7","check":{"phone_digits":"4567"},"tenders":[{"type":"cash","amount_minor":750}]}`)
		if len(doc.Lines[0].Substitutes) != 1 || doc.Lines[0].PickedQty != 3000 || *doc.StoreState != "picked_up" {
			t.Errorf("handed over: %+v", doc)
		}
		receipt, err := s.till.Sale(context.Background(), *doc.ReceiptNo)
		if err != nil {
			t.Fatal(err)
		}
		sold := ""
		for _, l := range receipt.Lines {
			sold += fmt.Sprintf("%s %s for %d; ", l.Qty, l.SKU, l.AmountMinor)
		}
		if sold != "1 PEN-01 for 250; 2 CUP for 500; " || receipt.TotalMinor != 750 {
			t.Errorf("sold: %s%d in all", sold, receipt.TotalMinor)
		}
		if cups := s.level("CUP"); cups.OnHand() != 3000 || cups.Quantity(protocol.Staged) != 0 {
			t.Errorf("after the hand-over: cups %+v", cups)
		}
		s.verify()
	})
}

// TestSubstituteRefused refuses what cannot stand in the place of a line, and
// records nothing.
func TestSubstituteRefused(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 9)
	s.receive("CUP", 9)
	id, strict := s.yielding(1, 2, true), s.ordered(2, 2)
	before := len(s.events())
	for _, c := range []struct {
		order protocol.PartID
		line  string
		code  protocol.Code
		says  string
	}{
		{strict, `{"line":1,"qty":1,"code":"CUP"}`, protocol.Conflict, "takes nothing else"},
		{id, `{"line":1,"qty":1,"code":"PEN-01"}`, protocol.OutOfRangeCode, "no substitute"},
		{id, `{"line":1,"qty":1,"code":"4006381333931"}`, protocol.OutOfRangeCode, "no substitute"},
		{id, `{"line":1,"qty":1,"code":"21034"}`, protocol.Conflict, "another unit"},
		{id, `{"line":1,"qty":1,"code":"2121034001509"}`, protocol.OutOfRangeCode, "weight or price"},
		{id, `{"line":1,"qty":1,"code":"GIFT-WRAP"}`, protocol.Conflict, "not kept in stock"},
		{id, `{"line":1,"qty":1,"code":"NOBODY"}`, protocol.UnknownCode, "not in this store's list"},
		{id, `{"line":1,"qty":1,"code":"5000112637923"}`, protocol.BadCheckDigit, "wrong"},
		{id, `{"line":1,"qty":0,"code":"CUP"}`, protocol.OutOfRangeCode, "not above 0"},
		{id, `{"line":1,"qty":3,"code":"CUP"}`, protocol.OutOfRangeCode, "not yet picked, 2"},
		{id, `{"line":1,"qty":1},{"line":1,"qty":2,"code":"CUP"}`, protocol.OutOfRangeCode, "not yet picked, 2"},
		{id, `{"line":1,"qty":1,"code":"CUP"},{"line":1,"qty":1,"code":"5000112637922"}`, protocol.OutOfRangeCode, "named twice"},
		{id, `{"line":2,"qty":1,"code":"CUP"}`, protocol.OutOfRangeCode, "not a line"},
		{id, `{"line":1,"qty":1,"code":"` + strings.Repeat("x", 513) + `"}`, protocol.OutOfRangeCode, "at most 512 bytes"},
	} {
		err := s.tryAct(c.order, "pick", `{"staff":"s7","lines":[`+c.line+`]}`)
		if e := protocol.AsError(err); err == nil || e.Code != c.code || !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: %v, want %s", c.line, err, c.code)
		}
	}
	if n := len(s.events()); n != before {
		t.Errorf("%d events were logged", n-before)
	}
}

// TestSubstitutePutBack carries a part of the substitute back by its code, and the
// rest without saying what.
func TestSubstitutePutBack(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 5)
	s.receive("CUP", 5)
	id := s.yielding(1, 3, true)
	s.act(id, "pick", `{"staff":"s7","lines":[{"line":1,"qty":1},{"line":1,"qty":2,"code":"CUP"}]}`)
	s.changed(id, protocol.CancelRequested)
	wantCode(t, s.tryAct(id, "put-back", `{"staff":"s7","lines":[{"line":1,"qty":2}]}`), protocol.OutOfRangeCode)
	wantCode(t, s.tryAct(id, "put-back", `{"staff":"s7","lines":[{"line":1,"qty":1,"code":"TEA"}]}`), protocol.OutOfRangeCode)
	s.act(id, "put-back", `{"staff":"s7","lines":[{"line":1,"qty":1,"code":"CUP"}]}`)
	if pens, cups := s.level("PEN-01"), s.level("CUP"); pens.Quantity(protocol.Staged) != 1000 || cups.Quantity(protocol.Staged) != 1000 {
		t.Errorf("after a cup: pens %+v, cups %+v", pens, cups)
	}
	plain := s.yielding(2, 1, true)
	s.act(plain, "pick", `{"staff":"s7","lines":[{"line":1,"qty":1}]}`)
	s.changed(plain, protocol.CancelRequested)
	wantCode(t, s.tryAct(plain, "put-back", `{"staff":"s7","lines":[{"line":1,"qty":1,"code":"CUP"}]}`), protocol.OutOfRangeCode)
	s.act(plain, "put-back", `{"staff":"s7","lines":[{"line":1,"qty":1,"code":"PEN-01"}]}`)
	doc := s.act(id, "put-back", `{"staff":"s7"}`)
	if pens, cups := s.level("PEN-01"), s.level("CUP"); pens.Quantity(protocol.Staged) != 0 || cups.Quantity(protocol.Staged) != 0 || cups.OnHand() != 5000 {
		t.Errorf("after all: pens %+v, cups %+v", pens, cups)
	}
	if len(doc.Lines[0].Substitutes) != 0 || doc.Lines[0].PickedQty != 0 {
		t.Errorf("after all: %+v", doc.Lines)
	}
	s.verify()
}

// TestReturnOfASubstitute: what comes back is what was handed over, at the price
// of what was ordered.
func TestReturnOfASubstitute(t *testing.T) {
	for _, paid := range []bool{true, false} {
		s := memory(t)
		s.receive("PEN-01", 5)
		s.receive("CUP", 5)
		id := s.yielding(1, 3, paid)
		s.act(id, "pick", `{"staff":"s7","lines":[{"line":1,"qty":1},{"line":1,"qty":2,"code":"CUP"}]}`)
		tenders := `,"tenders":[{"type":"cash","amount_minor":750}]`
		if paid {
			tenders = ""
		}
		s.act(id, "hand-over", `{"staff":"s7","check":{"phone_digits":"4567"}`+tenders+`}`)
		back := func(line string) string {
			return fmt.Sprintf(`{"order_id":%q,"lines":[%s],"tenders":[{"type":"cash","amount_minor":%s}]}`, id.Order, line, map[bool]string{true: "250", false: "500"}[strings.Contains(line, `"qty":1`)])
		}
		_, err := s.tryReturn(back(`{"line":1,"qty":1}`))
		if e := protocol.AsError(err); err == nil || e.Code != protocol.OutOfRangeCode || !strings.Contains(e.Message, "PEN-01 and CUP") {
			t.Errorf("paid %v, which of the two: %v", paid, err)
		}
		_, err = s.tryReturn(back(`{"line":1,"qty":1,"code":"TEA"}`))
		wantCode(t, err, protocol.OutOfRangeCode)
		_, err = s.tryReturn(back(`{"line":1,"qty":2,"code":"PEN-01"}`))
		wantCode(t, err, protocol.OverReturn)
		doc := s.returned(back(`{"line":1,"qty":2,"code":"5000112637922"}`))
		if doc.Lines[0].SKU != "CUP" || doc.Lines[0].Qty != -2000 || doc.TotalMinor != -500 || doc.OrderID != id.Order {
			t.Errorf("paid %v, the cups: %+v", paid, doc)
		}
		_, err = s.tryReturn(back(`{"line":1,"qty":1,"code":"CUP"}`))
		wantCode(t, err, protocol.OverReturn)
		if doc := s.returned(back(`{"line":1,"qty":1,"code":"PEN-01"}`)); doc.TotalMinor != -250 {
			t.Errorf("paid %v, the pen: %+v", paid, doc)
		}
		if cups := s.level("CUP"); cups.OnHand() != 5000 || len(s.work()) != 0 {
			t.Errorf("paid %v: cups %+v, work %+v", paid, cups, s.work())
		}
		s.verify()
	}
}

// TestSubstitutesComeToTheLine: a line that was ordered for a special price costs
// that, to the penny, however many items stand in its place.
func TestSubstitutesComeToTheLine(t *testing.T) {
	s := memory(t)
	s.receive("CUP", 5)
	s.receive("TEA", 5)
	id := s.placedAs(1, 3, func(o *protocol.Order) { o.Paid, o.Substitutes, o.Lines[0].Amount = false, true, 700 })
	s.act(id, "pick", `{"staff":"s7","lines":[{"line":1,"qty":1,"code":"TEA"},{"line":1,"qty":2,"code":"CUP"}]}`)
	doc := s.act(id, "hand-over", `{"staff":"s7","check":{"phone_digits":"4567"},"tenders":[{"type":"cash","amount_minor":700}]}`)
	if receipt, err := s.till.Sale(context.Background(), *doc.ReceiptNo); err != nil || receipt.TotalMinor != 700 || len(receipt.Lines) != 2 {
		t.Errorf("sold: %+v, %v", receipt, err)
	}
	s.verify()
}
