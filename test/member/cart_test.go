package member_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
)

// cart is a cart as both programs show one.
type cart struct {
	ID       *string `json:"id"`
	MemberID *string `json:"member_id"`
	Lines    []struct {
		SKU  string
		Qty  float64
		Note *string
		// Locked tells of a note that cannot be read.
		Locked bool
	}
	AsOf string `json:"as_of"`
	From string
}

func (d cart) contents() (text string) {
	for _, l := range d.Lines {
		text += fmt.Sprintf("%s %v ", l.SKU, l.Qty)
	}
	return text
}

// heard is how far the agent has what happens in its store.
func (c *chain) heard() uint64 {
	c.t.Helper()
	var status struct {
		Feeds []struct {
			Feed   string
			Offset uint64
		}
	}
	c.must(c.agent.Get(c.ctx, "/v1/status", &status))
	for _, f := range status.Feeds {
		if f.Feed == "peer/s1" {
			return f.Offset
		}
	}
	return 0
}

// TestCart puts goods into a cart at the hub, which the till sees at once; what is
// sold leaves it, and a store that is cut off has what it heard of.
func TestCart(t *testing.T) {
	c := open(t)
	before := c.heard()
	var m member
	c.must(c.ask(http.MethodPost, "/v1/members", "", ayla.request(nil), &m))
	path := "/v1/members/" + m.ID + "/cart"
	op := func(name, op, code string, qty any) map[string]any {
		return map[string]any{"op_id": name, "op": op, "code": code, "qty": qty, "note": nil}
	}
	var at, till cart
	c.must(c.ask(http.MethodPost, path+"/ops", "", op("1", "add", "PEN", 3), &at))
	noted := op("2", "add", "INK", nil)
	noted["note"] = "wrapped for " + ayla.name
	c.must(c.ask(http.MethodPost, path+"/ops", "", noted, &at))
	c.must(c.at(c.agent.Client, http.MethodGet, path, "", nil, &till))
	if till.From != "hub" || till.contents() != "PEN 3 INK 1 " || text(till.Lines[1].Note) != "wrapped for "+ayla.name {
		t.Errorf("the till shows %+v", till)
	}
	c.sell(c.agent, m.ID, 1)
	c.await("what was sold is in the cart no longer", func(context.Context) (string, error) {
		err := c.ask(http.MethodGet, path, "", nil, &at)
		if at.contents() == "PEN 2 INK 1 " {
			return "", err
		}
		return at.contents(), err
	})
	c.await("the store has heard of it", func(context.Context) (string, error) {
		// Enrolment, two operations, the sale, and what it took from the cart.
		if now := c.heard(); now < before+5 {
			return fmt.Sprintf("it has %d of %d events", now-before, 5), nil
		}
		return "", nil
	})
	c.holds(c.agent, 1)
	c.must(c.hub.Kill())
	c.must(c.at(c.agent.Client, http.MethodGet, path, "", nil, &till))
	if till.From != "store" || till.contents() != "PEN 2 INK 1 " || till.AsOf == "" || text(till.Lines[1].Note) != "wrapped for "+ayla.name {
		t.Errorf("cut off, the till shows %+v", till)
	}
	c.refused(c.at(c.agent.Client, http.MethodGet, "/v1/members/m-elsewhere/cart", "", nil, nil), "cannot_know")
	c.refused(c.at(c.agent.Client, http.MethodGet, "/v1/members/m%20x/cart", "", nil, nil), "not_found")
	c.sell(c.agent, m.ID, 5)
	c.must(c.hub.Restart(c.ctx))
	c.await("what was sold without the hub leaves the cart", func(context.Context) (string, error) {
		err := c.ask(http.MethodGet, path, "", nil, &at)
		if at.contents() == "INK 1 " {
			return "", err
		}
		return at.contents(), err
	})
	c.must(c.ask(http.MethodPost, path+"/ops", "", noted, &at))
	if at.contents() != "INK 1 " {
		t.Errorf("an operation that is sent again after a restart: %s", at.contents())
	}
	c.must(c.agent.Stop())
	c.must(c.agent.Verify(c.ctx))
	c.must(c.hub.Stop())
	for _, found := range traces(t, ayla) {
		t.Error(found)
	}
}

// TestAnonymousCart fills a cart on a phone, and signs in.
func TestAnonymousCart(t *testing.T) {
	c := open(t)
	var m member
	var guest, mine cart
	c.must(c.ask(http.MethodPost, "/v1/members", "", basti.request(nil), &m))
	c.must(c.ask(http.MethodPost, "/v1/carts", "k-1", map[string]any{}, &guest))
	path := "/v1/carts/" + *guest.ID
	c.must(c.ask(http.MethodPost, path+"/ops", "", map[string]any{"op_id": "1", "op": "add", "code": "PEN", "qty": 2}, &guest))
	c.must(c.hub.Kill())
	c.must(c.hub.Restart(c.ctx))
	for range 2 {
		c.must(c.ask(http.MethodPost, "/v1/members/"+m.ID+"/cart/merge", "", map[string]any{"cart": *guest.ID}, &mine))
	}
	c.must(c.ask(http.MethodGet, path, "", nil, &guest))
	if mine.contents() != "PEN 2 " || len(guest.Lines) > 0 || text(guest.MemberID) != m.ID {
		t.Errorf("merged into %+v from %+v", mine, guest)
	}
	c.refused(c.ask(http.MethodPost, path+"/ops", "", map[string]any{"op_id": "2", "op": "add", "code": "PEN"}, nil), "conflict")
	c.refused(c.ask(http.MethodGet, "/v1/carts/c-9", "", nil, nil), "not_found")
	c.must(c.agent.Stop())
	c.must(c.hub.Stop())
}
