package till_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// sealed lets the hub place a paid order under a key that is here or not.
func (s *shopTest) sealed(n int, here bool) protocol.PartID {
	s.t.Helper()
	key, id := protocol.SubjectKey{byte(n)}, orderPart(n)
	if s.keys == nil {
		s.keys = map[string]protocol.SubjectKey{}
	}
	if here {
		s.keys[string(id.Order)] = key
	}
	return s.placedAs(n, 1, func(o *protocol.Order) {
		var err error
		o.Paid, o.Shopper = true, protocol.Shopper{}
		o.Sealed, err = protocol.Seal(key, o.Subject(), protocol.Personal{Name: "Zxqv", Phone: "+994501234567"}, func(b []byte) { clear(b) })
		if err != nil {
			s.t.Fatal(err)
		}
	})
}

// names counts the rows of the machine that hold the shopper's name.
func (s *shopTest) names() (found int) {
	s.t.Helper()
	err := s.driver.View(s.t.Context(), func(r ledger.Reader) error {
		for table := range ledger.TableCount {
			err := r.Scan(table, "", "", func(_ string, v []byte) (bool, error) {
				if bytes.Contains(v, []byte("Zxqv")) {
					found++
				}
				return true, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// TestSealedOrders: whom an order is for is shown where the key is, also in an answer
// that is given again, and kept nowhere. Without the key the code alone opens.
func TestSealedOrders(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.receive("PEN-01", 10)
		open, locked := s.sealed(1, true), s.sealed(2, false)
		list, err := s.till.Locked(t.Context())
		if err != nil || !slices.Equal(list, []protocol.OrderID{locked.Order}) {
			t.Errorf("locked are %v, %v", list, err)
		}
		call := protocol.Call{Route: till.OrderRoute + string(open.Order) + "/accept", Key: "k-1", Body: []byte("{}")}
		for range 2 {
			a, err := s.till.Fulfil(t.Context(), call, open.Order, "accept", request[pickup.Request](t, `{"staff":"s7"}`))
			if err != nil {
				t.Fatal(err)
			}
			if doc := document[pickup.Document](t, a); doc.Shopper.Name == nil || *doc.Shopper.Name != "Zxqv" || doc.Shopper.Locked {
				t.Errorf("the answer is for %+v", doc.Shopper)
			}
		}
		if n := s.names(); n > 0 {
			t.Errorf("%d rows name the shopper", n)
		}
		docs, _, err := s.till.Orders(t.Context(), "open", 10, "")
		if err != nil || len(docs) != 2 || docs[0].Shopper.Name == nil || docs[1].Shopper.Name != nil || !docs[1].Shopper.Locked {
			t.Errorf("open orders are %+v, %v", docs, err)
		}
		for _, id := range []protocol.PartID{open, locked} {
			s.act(id, "pick", `{"staff":"s7","lines":[{"line":1,"qty":1}]}`)
		}
		byPhone := request[pickup.Request](t, `{"staff":"s7","check":{"phone_digits":"4567"}}`)
		_, err = s.till.Fulfil(t.Context(), noCall(till.OrderRoute+string(locked.Order)+"/hand-over"), locked.Order, "hand-over", byPhone)
		wantCode(t, err, protocol.CannotKnow)
		_, err = s.till.Fulfil(t.Context(), protocol.Call{Route: till.OrderRoute + string(open.Order) + "/hand-over", Key: "k-2", Body: []byte(`{"phone_digits":"4567"}`)}, open.Order, "hand-over", byPhone)
		if err != nil {
			t.Fatal(err)
		}
		events := s.events()
		if last := events[len(events)-1]; last.Idempotency == nil || last.Idempotency.Body != 0 {
			t.Errorf("the hand-over bears the sum of a body with digits of the phone number: %+v", last.Idempotency)
		}
	})
}

// TestKeysOfOrdersThatAreOver are given up a month after the order is found to be over.
func TestKeysOfOrdersThatAreOver(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.receive("PEN-01", 10)
		open, over := s.sealed(1, true), s.sealed(2, true)
		all := []protocol.OrderID{open.Order, over.Order}
		look := func(days int, want ...protocol.OrderID) {
			t.Helper()
			s.clock.set("2026-11-21T10:00:00+00:00")
			s.clock.set(s.clock.Now().Add(time.Duration(days) * 24 * time.Hour).Format(time.RFC3339))
			old, err := s.till.Forgettable(t.Context(), all)
			if err != nil || !slices.Equal(old, want) {
				t.Errorf("after %d days %v, want %v, %v", days, old, want, err)
			}
		}
		look(0)
		s.act(over, "reject", `{"staff":"s7","reason":"none"}`)
		look(40)
		look(69)
		look(70, over.Order)
		if err := s.till.Forgotten(t.Context(), []protocol.OrderID{over.Order}); err != nil {
			t.Fatal(err)
		}
		look(71)
	})
}
