package till_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

func (s *shopTest) handle(id, action, key, reason string) (ledger.ExceptionDocument, error) {
	s.t.Helper()
	q := ledger.HandleRequest{Staff: "s7", Reason: reason}
	body, _ := json.Marshal(q)
	a, err := s.till.HandleException(context.Background(), keyed("POST /v1/exceptions/"+id+"/"+action, key, string(body)), id, action, q,
		func(ledger.Reader) ([]ledger.WorkItem, error) { return nil, nil })
	if err != nil {
		return ledger.ExceptionDocument{}, err
	}
	return document[ledger.ExceptionDocument](s.t, a), nil
}

// work lists what a person has to look at.
func (s *shopTest) work() (items []ledger.WorkItem) {
	s.t.Helper()
	err := s.driver.View(context.Background(), func(r ledger.Reader) (err error) {
		items, err = ledger.WorkItems(r)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return items
}

// TestExceptionIsResolvedAtTheStore: what staff resolve is an event of their
// machine, so a sibling shows it as resolved, and a repeated call does not
// resolve twice.
func TestExceptionIsResolvedAtTheStore(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.receive("PEN-01", 10)
		s.sell(`{"lines":[{"code":"PEN-01","qty":1}],"tenders":[{"type":"cash","amount_minor":250}]}`)
		back := `{"receipt_no":"a1-1-1-1","lines":[{"line":1,"qty":1}],"tenders":[{"type":"cash","amount_minor":250}],"reason":"unwanted",
			"external":{"source":"p","id":"%s","total_minor":-250}}`
		for _, id := range []string{"1", "2"} {
			if _, err := s.tryReturn(replaceID(back, id)); err != nil {
				t.Fatal(err)
			}
		}
		var over ledger.WorkItem
		for _, w := range s.work() {
			if w.Kind == ledger.ExceptionOverReturn {
				over = w
			}
		}
		if over.State != ledger.ExceptionOpen {
			t.Fatalf("work: %+v", s.work())
		}
		n := len(s.events())
		for range 2 {
			doc, err := s.handle(over.ID, "resolve", "k1", "counted")
			if err != nil || doc.State != "resolved" || *doc.ResolvedBy != "s7" || *doc.Reason != "counted" {
				t.Fatalf("%+v, %v", doc, err)
			}
		}
		if got := len(s.events()) - n; got != 1 {
			t.Errorf("%d events", got)
		}
		_, err := s.handle("x-none", "resolve", "", "counted")
		wantCode(t, err, protocol.NotFound)
		sibling := bare(t, ledger.NewMemory(), originB, newClock())
		s.copyTo(sibling)
		for _, w := range sibling.work() {
			if w.ID == over.ID && w.State != ledger.ExceptionResolved {
				t.Errorf("at the sibling it is %+v", w)
			}
		}
		if len(sibling.work()) != len(s.work()) {
			t.Errorf("the sibling has %d, this machine %d", len(sibling.work()), len(s.work()))
		}
		s.verify()
	})
}

func replaceID(body, id string) string { return strings.ReplaceAll(body, "%s", id) }
