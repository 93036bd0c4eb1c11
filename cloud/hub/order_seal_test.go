package hub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// whose is whom the hub shows an order for.
func (s *shops) whose(id protocol.OrderID) string {
	s.t.Helper()
	doc, err := s.Order(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	switch {
	case doc.Shopper.Locked:
		return "locked"
	case doc.Shopper.Name == nil:
		return ""
	}
	return *doc.Shopper.Name
}

// rows counts the rows of the database that hold a text.
func (s *shops) rows(text string) (found int) {
	s.t.Helper()
	err := s.view(s.t.Context(), func(r ledger.Reader) error {
		for table := range ledger.TableCount {
			err := r.Scan(table, "", "", func(id string, v []byte) (bool, error) {
				if bytes.Contains(v, []byte(text)) || strings.Contains(id, text) {
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

// TestWhomAnOrderIsForIsSealed: no row names the shopper, and the key goes beside the
// event to the store alone that keeps the order, also after it went elsewhere.
func TestWhomAnOrderIsForIsSealed(t *testing.T) {
	s := newShops(t)
	doc := s.place(strings.Replace(paid(`"near":{"lat":51.5,"lon":-0.1},`, "in_store", `{"code":"PEN","qty":1}`), "Ayla", "Ayla Zxqv", 1))
	if n := s.rows("Zxqv"); n > 0 || s.whose(doc.ID) != "Ayla Zxqv" {
		t.Errorf("%d rows name the shopper of an order for %q", n, s.whose(doc.ID))
	}
	s.staff("s1", doc.ID, pickup.Ask{Act: protocol.Reject, Reason: "none here"})
	if s.whose(doc.ID) != "Ayla Zxqv" || s.rows("Zxqv") > 0 {
		t.Errorf("in another store it is for %q", s.whose(doc.ID))
	}
	for store, want := range map[protocol.StoreID]int{"s1": 1, "s2": 1, "s3": 0} {
		var d *protocol.Delta
		if err := s.view(t.Context(), func(r ledger.Reader) (err error) {
			d, err = ledger.ReadDelta(r, protocol.PeerFeed(store), s.Epoch(), 0)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.withKeys(t.Context(), d); err != nil || len(d.Keys) != want {
			t.Fatalf("%d keys go to %s, want %d, %v", len(d.Keys), store, want, err)
		}
		asked, err := s.OrderKeys(t.Context(), store, []protocol.OrderID{doc.ID, "o-unknown"})
		if err != nil || len(asked.Keys) != want || want > 0 && asked.Keys[0] != d.Keys[0] {
			t.Errorf("asked for by %s there are %d keys, %v", store, len(asked.Keys), err)
		}
		if want == 0 {
			continue
		}
		order := s.partAt(store, doc.ID).Order
		if p, err := protocol.Open(d.Keys[0].Key, d.Keys[0].Subject, order.Sealed); err != nil || p.Name != "Ayla Zxqv" {
			t.Errorf("the key of %s opens %v, %v", store, p, err)
		}
	}
	if _, err := s.OrderKeys(t.Context(), "s9", []protocol.OrderID{doc.ID}); err == nil {
		t.Error("a store that does not exist is told keys")
	}
}

// TestOrdersOfBeforeStayReadable: an order that was placed before orders were sealed
// is shown as before, and its parts in other stores are sealed.
func TestOrdersOfBeforeStayReadable(t *testing.T) {
	s := newShops(t)
	var id protocol.OrderID
	_, err := s.actAll(t.Context(), "s1", func(_ ledger.Tx, _ protocol.Origin) ([]*protocol.Event, error) {
		part := protocol.PartID{Order: "o-before", Part: 1}
		id = part.Order
		return []*protocol.Event{{
			Kind: protocol.KindOrder, Moves: []protocol.Move{{SKU: "PEN", State: protocol.Committed, Delta: 1000}},
			Order: &protocol.Order{
				PartID: part, Number: "N", Method: protocol.ShipFromStore, Currency: "GBP", Paid: true, Sourcing: pickup.SourcingNearest,
				Shopper: protocol.Shopper{Name: "Ayla Zxqv", Phone: "+994501234567"},
				Lines:   []protocol.OrderLine{{Number: 1, Item: protocol.ItemRef{SKU: "PEN"}, Quantity: 1000, UnitPrice: 250, Amount: 250}},
			},
		}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before := s.rows("Zxqv")
	if before == 0 || s.whose(id) != "Ayla Zxqv" {
		t.Fatalf("%d rows name the shopper, and it is shown for %q", before, s.whose(id))
	}
	s.staff("s1", id, pickup.Ask{Act: protocol.Reject, Reason: "none here"})
	moved := s.partAt("s2", id).Order
	if len(moved.Sealed) == 0 || moved.Shopper != (protocol.Shopper{}) || s.rows("Zxqv") != before {
		t.Errorf("the part in another store is %+v", moved)
	}
	key, ok, err := s.sealKey(t.Context(), moved)
	if d := pickup.ShopperOf(moved, key, ok); err != nil || d.Name == nil || *d.Name != "Ayla Zxqv" {
		t.Errorf("it is sealed for %+v, %v", d, err)
	}
}

// TestOrdersAreForgotten: a month after the last order of a day was over nobody can
// read any more for whom the day's orders were; those of other days stay.
func TestOrdersAreForgotten(t *testing.T) {
	s := newShops(t)
	body := paid(`"store":"s1",`, "in_store", `{"code":"PEN","qty":1}`)
	over, long := s.place(body).ID, s.place(body).ID
	pass := func(days int) {
		t.Helper()
		for range 2 * days {
			s.time += 12 * time.Hour
			s.must(s.Tick(t.Context()))
		}
	}
	s.staff("s1", over, pickup.Ask{Act: protocol.Reject, Reason: "none here"})
	pass(2)
	later := s.place(body).ID
	pass(40)
	if got := fmt.Sprint(s.whose(over), s.whose(long), s.whose(later)); got != "AylaAylaAyla" {
		t.Errorf("while an order of the day is open they are for %s", got)
	}
	s.staff("s1", long, pickup.Ask{Act: protocol.PutBack})
	pass(29)
	if s.whose(over) != "Ayla" {
		t.Error("they are forgotten too early")
	}
	pass(2)
	if got := s.whose(over) + " " + s.whose(long) + " " + s.whose(later); got != "locked locked Ayla" {
		t.Errorf("a month later they are for %s", got)
	}
	names, err := s.Hub.keys.Secrets(t.Context(), orderSecretName, "", 10)
	if err != nil || len(names) != 1 {
		t.Errorf("the ring has the secrets %v, %v", names, err)
	}
}

// TestOrderOfAMergedMember is that of who stands for them: under one key, told to the
// store that keeps it, and gone from both when one of them is erased.
func TestOrderOfAMergedMember(t *testing.T) {
	c := newMergeCore(t, t.Fatal)
	c.joins("m-1", "s1")
	c.joins("m-2", "s1")
	c.merges("m-1", "m-2")
	b := c.player("s2", "b1", 2)
	b.greet()
	c.receive(b.does(movement("PEN", 10_000)))
	s := &shops{core: c.core}
	doc := s.place(`{"store":"s2","method":"in_store","payment":{"status":"paid"},"lines":[{"code":"PEN","qty":1}],"member_id":"m-2"}`)
	if doc.MemberID == nil || *doc.MemberID != "m-1" || s.whose(doc.ID) != "Name m-1" {
		t.Errorf("the order is shown as %+v", doc)
	}
	held := func() (status protocol.MemberStatus) {
		t.Helper()
		c.must(c.view(t.Context(), func(r ledger.Reader) error {
			m, err := ledger.ReadHeldMember(r, ledger.MemberAt{Store: "s2", Member: "m-1"})
			if err == nil && m != nil {
				status = m.Member.Status
			}
			return err
		}))
		return status
	}
	if got := held(); got != protocol.MemberActive {
		t.Errorf("the store of the order is told that the member is %q", got)
	}
	all, err := c.ExportMember(t.Context(), "m-2")
	if err != nil || len(all.Orders) != 1 || all.Orders[0].ID != doc.ID || all.Orders[0].PickupCode != nil || all.Orders[0].Shopper.Name == nil {
		t.Errorf("of the member %+v is kept, %v", all.Orders, err)
	}
	if _, err := c.EraseMember(t.Context(), "m-2"); err != nil {
		t.Fatal(err)
	}
	if s.whose(doc.ID) != "locked" || held() != protocol.MemberErased {
		t.Errorf("once erased the order is for %q, and its store is told %q", s.whose(doc.ID), held())
	}
	var r pickup.PlaceRequest
	c.must(json.Unmarshal([]byte(`{"store":"s2","method":"in_store","payment":{"status":"paid"},"lines":[{"code":"PEN","qty":1}],"member_id":"m-1"}`), &r))
	if _, err := c.PlaceOrder(t.Context(), protocol.Call{}, r); protocol.CodeOf(err) != protocol.OutOfRangeCode {
		t.Errorf("somebody who is erased orders: %v", err)
	}
}
