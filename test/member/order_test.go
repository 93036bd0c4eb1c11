package member_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"counterpart/test/process"
)

// order is an order as both programs show one.
type order struct {
	ID         string
	StoreState *string `json:"store_state"`
	PickupCode *string `json:"pickup_code"`
	MemberID   *string `json:"member_id"`
	Shopper    struct {
		Name, Phone *string
		Locked      bool
	}
}

// whom is the shopper of an order in short.
func (o order) whom() string {
	return fmt.Sprintf("%s %s %t", text(o.Shopper.Name), text(o.Shopper.Phone), o.Shopper.Locked)
}

// told is the shopper of an order that shows a person.
func (p person) told() string { return p.name + " " + p.phone + " false" }

const lockedOrder = "  true"

// stock receives ten pens in a store, and waits until the hub may promise them.
func (c *chain) stock(a *process.Agent) {
	c.t.Helper()
	c.must(c.at(a.Client, http.MethodPost, "/v1/stock/movements", "", map[string]any{"type": "receipt", "lines": []any{map[string]any{"code": "PEN", "qty": 10}}}, nil))
	c.await("the hub may promise pens of "+a.Store(), func(ctx context.Context) (string, error) {
		levels, err := c.hub.Stock(ctx, a.Store())
		if err == nil && levels["PEN"].OnHand == 0 {
			return "none yet", nil
		}
		return "", err
	})
}

// wants is a request for a pen.
func wants(store string, more map[string]any) map[string]any {
	r := map[string]any{"store": store, "method": "in_store", "payment": map[string]any{"status": "paid"}, "lines": []any{map[string]any{"code": "PEN", "qty": 1}}}
	for k, v := range more {
		r[k] = v
	}
	return r
}

// showsOrder waits until a program shows an order's shopper so.
func (c *chain) showsOrder(who *process.Client, id, want string) {
	c.t.Helper()
	c.await("the order is shown for "+want, func(ctx context.Context) (string, error) {
		var o order
		err := who.Get(ctx, "/v1/orders/"+id, &o)
		var refusal *process.Refusal
		if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
			return "it is not there", nil
		}
		if err == nil && o.whom() != want {
			return "it is shown for " + o.whom(), nil
		}
		return "", err
	})
}

// pickupPage is the clerks' page of a store.
func (c *chain) pickupPage(a *process.Agent) string {
	c.t.Helper()
	answer, err := a.Open(c.ctx, process.Request{Method: http.MethodGet, Path: "/orders"})
	c.must(err)
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	c.must(err)
	return string(page)
}

// fulfil takes an order through the hands of a store, and wants each answer to show
// its shopper, also when it is asked for again.
func (c *chain) fulfil(a *process.Agent, id, want string, steps ...string) {
	c.t.Helper()
	for _, step := range steps {
		for range 2 {
			var o order
			c.must(c.at(a.Client, http.MethodPost, "/v1/orders/"+id+"/"+step, id+step, map[string]any{"staff": "s7"}, &o))
			if o.whom() != want {
				c.t.Errorf("%s answers for %s, want %s", step, o.whom(), want)
			}
		}
	}
}

// TestOrdersAreSealed takes an order through its life, over restarts and the loss of
// a machine's keys. Hub and store show whom it is for, and no file says so.
func TestOrdersAreSealed(t *testing.T) {
	c := open(t)
	c.stock(c.agent)
	request := wants("s1", map[string]any{"shopper": map[string]any{"name": ayla.name, "phone": ayla.phone}})
	var o, again order
	c.must(c.ask(http.MethodPost, "/v1/orders", "k-1", request, &o))
	c.must(c.ask(http.MethodPost, "/v1/orders", "k-1", request, &again))
	if o.whom() != ayla.told() || again.ID != o.ID || again.whom() != o.whom() {
		t.Errorf("answered for %s, and then for %s", o.whom(), again.whom())
	}
	c.refused(c.ask(http.MethodPost, "/v1/orders", "k-1", wants("s1", nil), nil), "idempotency_mismatch")
	c.showsOrder(c.agent.Client, o.ID, ayla.told())
	if page := c.pickupPage(c.agent); !strings.Contains(page, ayla.name) {
		t.Error("the pickup page does not name the shopper")
	}
	c.fulfil(c.agent, o.ID, ayla.told(), "accept")
	c.must(errors.Join(c.agent.Stop(), c.hub.Stop()))
	c.must(errors.Join(c.hub.Restart(c.ctx), c.agent.Restart(c.ctx)))
	c.showsOrder(c.hub.Client, o.ID, ayla.told())
	c.showsOrder(c.agent.Client, o.ID, ayla.told())
	c.must(errors.Join(c.agent.Stop(), c.hub.Stop()))
	c.must(errors.Join(os.Remove(filepath.Join(c.agent.Data(), "keys.db")), c.agent.Restart(c.ctx)))
	c.showsOrder(c.agent.Client, o.ID, lockedOrder)
	c.refused(c.at(c.agent.Client, http.MethodPost, "/v1/orders/"+o.ID+"/accept", "", map[string]any{}, nil), "conflict")
	c.must(c.hub.Restart(c.ctx))
	c.showsOrder(c.agent.Client, o.ID, ayla.told())
	c.must(c.at(c.agent.Client, http.MethodPost, "/v1/orders/"+o.ID+"/pick", "", map[string]any{"staff": "s7", "lines": []any{map[string]any{"line": 1, "qty": 1}}}, nil))
	c.fulfil(c.agent, o.ID, ayla.told(), "ready")
	byPhone := func(digits string, into any) error {
		return c.at(c.agent.Client, http.MethodPost, "/v1/orders/"+o.ID+"/hand-over", "hand-"+digits, map[string]any{"staff": "s7", "check": map[string]any{"phone_digits": digits}}, into)
	}
	c.refused(byPhone("9999", nil), "forbidden")
	if c.must(byPhone("4567", &o)); text(o.StoreState) != "picked_up" || o.whom() != ayla.told() {
		t.Errorf("handed over it is %s, for %s", text(o.StoreState), o.whom())
	}
	c.must(c.agent.Stop())
	c.must(c.agent.Verify(c.ctx))
	c.must(c.hub.Stop())
	for _, found := range traces(t, ayla) {
		t.Error(found)
	}
}

// TestErasedMembersOrders places orders of a member in a store that did not know
// them. They stand in the timeline, and name nobody once the member is erased.
func TestErasedMembersOrders(t *testing.T) {
	c := open(t)
	away := c.stores()
	c.stock(away)
	var m member
	c.must(c.ask(http.MethodPost, "/v1/members", "", ayla.request(nil), &m))
	var taken, open, canceled order
	c.must(c.ask(http.MethodPost, "/v1/orders", "k-1", wants("s2", map[string]any{"member_id": m.ID}), &taken))
	c.must(c.ask(http.MethodPost, "/v1/orders", "k-2", wants("s2", map[string]any{"member_id": m.ID, "shopper": map[string]any{"name": basti.name}}), &open))
	c.must(c.ask(http.MethodPost, "/v1/orders", "k-3", wants("s2", map[string]any{"member_id": m.ID}), &canceled))
	if taken.whom() != ayla.told() || text(taken.MemberID) != m.ID || text(open.Shopper.Name) != basti.name {
		t.Errorf("a member's order is for %s of %s, and one for somebody else for %s", taken.whom(), text(taken.MemberID), open.whom())
	}
	c.refused(c.ask(http.MethodPost, "/v1/orders", "", wants("s2", map[string]any{"member_id": "m-nobody"}), nil), "out_of_range")
	c.showsOrder(away.Client, taken.ID, ayla.told())
	c.fulfil(away, taken.ID, ayla.told(), "accept")
	c.must(c.at(away.Client, http.MethodPost, "/v1/orders/"+taken.ID+"/pick", "", map[string]any{"staff": "s7", "lines": []any{map[string]any{"line": 1, "qty": 1}}}, nil))
	c.must(c.at(away.Client, http.MethodPost, "/v1/orders/"+taken.ID+"/ready", "", map[string]any{"staff": "s7"}, nil))
	c.must(c.at(away.Client, http.MethodPost, "/v1/orders/"+taken.ID+"/hand-over", "", map[string]any{"staff": "s7", "pickup_code": text(taken.PickupCode)}, nil))
	c.must(c.ask(http.MethodPost, "/v1/orders/"+canceled.ID+"/cancel", "", map[string]any{"reason": "changed my mind"}, nil))
	c.await("the timeline tells of the orders", func(context.Context) (string, error) {
		var d timeline
		err := c.ask(http.MethodGet, "/v1/members/"+m.ID+"/timeline", "", nil, &d)
		told := d.told()
		if strings.Count(told, "order s2") != 3 || strings.Count(told, "order_picked_up s2") != 1 || strings.Count(told, "order_canceled s2") != 1 {
			return told, err
		}
		return "", err
	})
	c.shows(away.Client, m.ID, "the store of the order holds the member", func(m member) bool { return m.Status == "active" && m.Name != nil })
	c.must(c.ask(http.MethodDelete, "/v1/members/"+m.ID, "", nil, nil))
	for _, who := range []*process.Client{c.hub.Client, away.Client} {
		for _, o := range []order{taken, open, canceled} {
			c.showsOrder(who, o.ID, lockedOrder)
		}
	}
	c.must(c.ask(http.MethodPost, "/v1/orders", "k-1", wants("s2", map[string]any{"member_id": m.ID}), &taken))
	if taken.whom() != lockedOrder {
		t.Errorf("once erased the order is answered for %s", taken.whom())
	}
	if page := c.pickupPage(away); strings.Contains(page, basti.name) || !strings.Contains(page, "Name cannot be read here") {
		t.Error("the pickup page shows somebody who was erased")
	}
	c.refused(c.ask(http.MethodPost, "/v1/orders", "", wants("s2", map[string]any{"member_id": m.ID}), nil), "out_of_range")
	c.must(errors.Join(c.agent.Stop(), away.Stop()))
	c.must(away.Verify(c.ctx))
	c.must(c.hub.Stop())
	for _, found := range traces(t, ayla, basti) {
		t.Error(found)
	}
}
