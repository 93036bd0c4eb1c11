package hub

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// shopper is a member of a store who consents to a purpose, with a pen in the cart.
func (c *core) shopper(name, store, purpose string, granted bool) protocol.MemberID {
	c.t.Helper()
	card := "card of " + name
	q := loyalty.MemberRequest{Card: &card, Name: &name, HomeStore: &store}
	if purpose != "" {
		q.Consents = []loyalty.ConsentRequest{{Channel: "email", Purpose: purpose, Granted: granted}}
	}
	m, err := c.enrolment(c.t.Context(), q)
	if err == nil {
		_, err = c.act(c.t.Context(), "s1", func(ledger.Tx) (*protocol.Event, error) {
			return &protocol.Event{Kind: protocol.KindMember, Member: m}, nil
		})
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.puts(m.ID, "web-1", protocol.CartAdd, 1000)
	return m.ID
}

func (c *core) puts(id protocol.MemberID, name string, how protocol.CartOp, qty protocol.Quantity) {
	c.t.Helper()
	if _, code := c.cartOp(id, op(name, how, "PEN", qty)); code != "" {
		c.t.Fatalf("the cart answers %s", code)
	}
}

// toldOf ticks, and compares whom messages of cart.last_one behind some were sent to.
func (c *core) toldOf(when string, behind int, want ...protocol.MemberID) []Outgoing {
	c.t.Helper()
	c.time += outboxEvery
	if err := c.Tick(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	list, err := c.Outbox(c.t.Context(), 0, 1000)
	if err != nil {
		c.t.Fatal(err)
	}
	list = slices.DeleteFunc(list, func(m Outgoing) bool { return m.Type != typeCartLastOne })[behind:]
	var got []string
	for _, m := range list {
		id, _, _ := strings.Cut(m.Key, "/")
		got = append(got, id)
	}
	var ids []string
	for _, id := range want {
		ids = append(ids, string(id))
	}
	slices.Sort(got)
	slices.Sort(ids)
	if !slices.Equal(got, ids) {
		c.t.Fatalf("%s: told %v, want %v", when, got, ids)
	}
	return list
}

// TestLastOne tells who shops in the store, has the item in the cart and allows to
// be told, when the last one is left there: once a day, and nobody else.
func TestLastOne(t *testing.T) {
	c := newShop(t)
	p := c.player("s1", "a1", 1)
	p.greet()
	c.receive(p.logged(goods("PEN", 10_000)))
	early := c.shopper("Ayla", "s1", "marketing", true)
	if err := c.SetWanted(t.Context(), Wanted{Carts: true}); err != nil {
		t.Fatal(err)
	}
	late := c.shopper("Basti", "s1", "cart", true)
	c.shopper("Chris", "s1", "cart", false)
	c.shopper("Dilara", "s1", "news", true)
	away := c.shopper("Emil", "s2", "cart", true)
	gone := c.shopper("Farid", "s1", "cart", true)
	c.puts(gone, "web-2", protocol.CartSet, 0)
	c.toldOf("before anything is scarce", 0)
	c.receive(p.logged(goods("PEN", -7_000)))
	c.toldOf("two are left", 0)
	c.receive(p.logged(goods("PEN", -1_000)))
	list := c.toldOf("one is left", 0, early, late)
	for _, m := range list {
		var ce struct {
			Subject string
			Data    map[string]any
		}
		id, _, _ := strings.Cut(m.Key, "/")
		err := json.Unmarshal(m.Body, &ce)
		if want := fmt.Sprint(map[string]any{"member_id": id, "store": "s1", "sku": "PEN", "qty": 1, "promisable": 1, "as_of": ce.Data["as_of"]}); err != nil || fmt.Sprint(ce.Data) != want || ce.Subject != id+"/PEN" {
			t.Errorf("the message says %v of %s, want %s (%v)", ce.Data, ce.Subject, want, err)
		}
	}
	c.receive(p.logged(goods("PEN", -1_000)))
	c.toldOf("none is left", 2)
	c.receive(p.logged(goods("PEN", 9_000)))
	c.receive(p.logged(goods("PEN", -9_000)))
	c.toldOf("again on the same day", 2)
	home := "s1"
	if _, err := c.ChangeMember(t.Context(), away, loyalty.MemberRequest{HomeStore: &home}); err != nil {
		t.Fatal(err)
	}
	c.time += lastOneAgain
	c.toldOf("a day later", 2)
	p.greet()
	c.puts(early, "web-3", protocol.CartSet, 0)
	c.receive(p.logged(goods("PEN", 9_000)))
	c.receive(p.logged(goods("PEN", -9_000)))
	c.reopen(c.disk.Driver)
	c.toldOf("on the next day, after a start", 2, late, away)
}

// TestLastOneThatCameBack tells nobody of an item that is there again before the hub
// looks, nor of one that was scarce when it was put into the cart.
func TestLastOneThatCameBack(t *testing.T) {
	c := newShop(t)
	p := c.player("s1", "a1", 1)
	p.greet()
	c.receive(p.logged(goods("PEN", 10_000)))
	if err := c.SetWanted(t.Context(), Wanted{Carts: true}); err != nil {
		t.Fatal(err)
	}
	early := c.shopper("Chris", "s1", "cart", true)
	c.receive(p.logged(goods("PEN", -9_000)))
	c.receive(p.logged(goods("PEN", 9_000)))
	c.toldOf("it came back", 0)
	c.puts(early, "web-2", protocol.CartSet, 0)
	ayla := c.shopper("Ayla", "s1", "cart", true)
	c.receive(p.logged(goods("PEN", -8_000)))
	c.toldOf("one is left", 0, ayla)
	c.shopper("Basti", "s1", "cart", true)
	c.receive(p.logged(goods("PEN", -1_000)))
	c.toldOf("it was scarce before", 1)
}
