package till_test

import (
	"fmt"
	"testing"

	"counterpart/protocol"
)

// TestPromisedOnline sells what online may hold: it is told and goes through.
func TestPromisedOnline(t *testing.T) {
	for _, c := range []struct {
		name           string
		have, promised int
		pending        bool // the hub has not yet seen what was logged
		sold           int
		want           string // of the message; empty for no warning
	}{
		{"nothing is promised", 5, 0, true, 5, ""},
		{"enough is left", 10, 3, true, 5, ""},
		{"less is left than is promised", 5, 3, false, 3, "3 promised online; the book leaves 2 for it."},
		{"nothing is left", 5, 3, false, 6, "3 promised online; the book leaves 0 for it."},
		{"the last but the safety stock, which online cannot hold", 5, 3, false, 1, ""},
		{"what the hub may promise of what it sees", 5, 3, false, 2, "3 promised online, and perhaps 1 more; the book leaves 3 for it."},
		{"what the hub may promise of what it saw before", 5, 3, true, 1, "3 promised online, and perhaps 2 more; the book leaves 4 for it."},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := memory(t)
			s.receive("PEN-01", c.have)
			if c.promised > 0 {
				s.ordered(1, c.promised)
			}
			if !c.pending {
				s.acknowledged()
			}
			doc := s.sell(fmt.Sprintf(`{"lines":[{"code":"CUP","qty":1},{"code":"PEN-01","qty":%d}],"tenders":[{"type":"card","amount_minor":%d}]}`, c.sold, 999+250*c.sold))
			got := ""
			for _, w := range doc.Warnings {
				if w.Code == "promised_online" && w.Line != nil && *w.Line == 2 {
					got += w.Message
				}
			}
			if got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
			if left := s.level("PEN-01").OnHand(); left != protocol.Quantity(c.have-c.sold)*1000 {
				t.Errorf("%s left", left)
			}
		})
	}
}

// TestPromisedOnlineFollowsPolicy: what online may hold is less where more is kept
// back, and more where nothing is.
func TestPromisedOnlineFollowsPolicy(t *testing.T) {
	for name, c := range map[string]struct {
		row  protocol.PolicyRow
		want bool
	}{
		"the standard policy":      {protocol.PolicyRow{}, false},
		"nothing is kept back":     {protocol.PolicyRow{SafetyStock: new(protocol.Quantity)}, true},
		"the item is not online":   {protocol.PolicyRow{SKU: "PEN-01", SafetyStock: new(protocol.Quantity), Online: new(bool)}, false},
		"another item is not kept": {protocol.PolicyRow{SKU: "CUP", SafetyStock: new(protocol.Quantity)}, false},
	} {
		s := memory(t)
		s.receive("PEN-01", 5)
		s.ordered(1, 3)
		s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Policies: []protocol.PolicyRow{c.row}}})
		s.acknowledged()
		doc := s.sell(`{"lines":[{"code":"PEN-01","qty":1}],"tenders":[{"type":"card","amount_minor":250}]}`)
		if got := len(doc.Warnings) > 0; got != c.want {
			t.Errorf("%s: warned %v", name, got)
		}
	}
}

// TestHandOverIsNotEatingIntoPromises: an order that is sold at its hand-over
// takes what was set aside for it, whatever else is promised.
func TestHandOverIsNotEatingIntoPromises(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 3)
	id := s.due(1, 2)
	s.ordered(2, 2)
	s.act(id, "pick", `{"staff":"s7","lines":[{"line":1,"qty":2}]}`)
	s.act(id, "hand-over", `{"staff":"s7","check":{"phone_digits":"4567"},"tenders":[{"type":"card","amount_minor":500}]}`)
	if events := s.events(); len(events[len(events)-1].Sale.Warnings) > 0 {
		t.Errorf("%+v", events[len(events)-1].Sale.Warnings)
	}
}

// acknowledged makes the hub have all that is logged.
func (s *shopTest) acknowledged() { s.acked.Store(uint64(len(s.events()))) }
