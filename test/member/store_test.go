package member_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"counterpart/test/process"
)

// stores adds a second store with a machine to a chain, and a programme that gives
// a point for each pound.
func (c *chain) stores() (away *process.Agent) {
	c.t.Helper()
	c.load("stores", map[string]any{"id": "s2", "name": "Station", "timezone": "Europe/London"})
	c.must(c.ask(http.MethodPut, "/v1/programme", "", map[string]any{
		"earn": []any{map[string]any{"per_minor": 100, "points": 1}}, "home_lease_cap": 0, "valid_from": "2020-01-01",
	}, nil))
	away, err := host.StartAgent(c.ctx, process.AgentOptions{Agent: "b1", Store: "s2", Hub: "http://" + c.hub.Ready().HTTP, Data: host.Data(c.t.Name() + "-b1")})
	c.must(err)
	c.t.Cleanup(func() { c.must(away.Kill()) })
	c.await("the second store can sell", func(ctx context.Context) (string, error) { return "", away.Selling(ctx) })
	return away
}

// at sends a request to any program; body may be nil.
func (c *chain) at(who *process.Client, method, path, key string, body, into any) error {
	c.t.Helper()
	r := process.Request{Method: method, Path: path, Key: key}
	if body != nil {
		text, err := json.Marshal(body)
		c.must(err)
		r.Body = text
	}
	answer, err := who.Send(c.ctx, r)
	if err == nil && into != nil {
		err = answer.Into(into)
	}
	return err
}

// shows awaits that a program shows a member as fits.
func (c *chain) shows(who *process.Client, id, what string, fits func(member) bool) (m member) {
	c.t.Helper()
	c.await(what, func(context.Context) (string, error) {
		m = member{}
		err := c.at(who, http.MethodGet, "/v1/members/"+id, "", nil, &m)
		var refusal *process.Refusal
		if errors.As(err, &refusal) {
			return refusal.Error(), nil
		}
		if err == nil && !fits(m) {
			return fmt.Sprintf("it shows %+v", m), nil
		}
		return "", err
	})
	return m
}

// holds awaits that an agent has all of its member feed, with a member in it.
func (c *chain) holds(a *process.Agent, rows uint64) {
	c.t.Helper()
	c.await("the members are at the store", func(ctx context.Context) (string, error) {
		var s struct {
			Feeds []struct {
				Feed           string
				Offset, Behind uint64
			}
		}
		err := a.Get(ctx, "/v1/status", &s)
		for _, f := range s.Feeds {
			if f.Feed == "member/"+a.Store() && f.Offset >= rows && f.Behind == 0 {
				return "", err
			}
		}
		return fmt.Sprintf("the feeds are %+v", s.Feeds), err
	})
}

func (c *chain) sell(a *process.Agent, id string, pens int) {
	c.t.Helper()
	c.must(c.at(a.Client, http.MethodPost, "/v1/sales", "", map[string]any{
		"lines": []any{map[string]any{"code": "PEN", "qty": pens}}, "tenders": []any{map[string]any{"type": "card", "amount_minor": 250 * pens}}, "member_id": id,
	}, nil))
}

// found demands that a program finds a member alone by each of what is given.
func (c *chain) found(who *process.Client, id string, by map[string]string) {
	c.t.Helper()
	for what, value := range by {
		var list struct{ Items []member }
		c.must(c.at(who, http.MethodGet, "/v1/members?"+url.Values{what: {value}}.Encode(), "", nil, &list))
		if len(list.Items) != 1 || list.Items[0].ID != id {
			c.t.Errorf("by %s %+v are found, not %s", what, list.Items, id)
		}
	}
}

// TestMembersInStores finds a member at home while the hub is dead, and counts what
// they earn at home and elsewhere once.
func TestMembersInStores(t *testing.T) {
	c := open(t)
	away := c.stores()
	var m member
	c.must(c.ask(http.MethodPost, "/v1/members", "", ayla.request(nil), &m))
	c.holds(c.agent, 1)
	c.sell(away, m.ID, 4)
	earned := func(points int64) func(member) bool { return func(m member) bool { return m.Points.Balance == points } }
	c.shows(c.hub.Client, m.ID, "the hub has the sale elsewhere", earned(10))
	c.shows(c.agent.Client, m.ID, "home is told of the sale elsewhere", earned(10))
	c.shows(away.Client, m.ID, "the other store holds the visitor", func(m member) bool { return m.Points.Balance == 10 && text(m.Name) == ayla.name })
	c.must(c.hub.Kill())
	c.sell(c.agent, m.ID, 2)
	dead := c.shows(c.agent.Client, m.ID, "the sale at home counts at once", earned(15))
	if text(dead.Name) != ayla.name || text(dead.Phone) != ayla.phone || dead.Status != "active" || dead.Locked {
		t.Errorf("with a dead hub home shows %+v", dead)
	}
	c.found(c.agent.Client, m.ID, map[string]string{"card": m.Card, "phone": "00" + ayla.phone[1:], "email": "AYLA.ZXQV@EXAMPLE.COM"})
	c.must(c.agent.Kill())
	c.must(c.agent.Restart(c.ctx))
	c.found(c.agent.Client, m.ID, map[string]string{"phone": ayla.phone})
	for _, path := range []string{"/v1/members/m-9", "/v1/members?card=X", "/v1/members?phone=%2B49301234567", "/v1/members?email=nobody@example.com"} {
		c.refused(c.at(c.agent.Client, http.MethodGet, path, "", nil, nil), "cannot_know")
	}
	c.must(c.hub.Restart(c.ctx))
	for name, who := range map[string]*process.Client{"hub": c.hub.Client, "home": c.agent.Client, "the other store": away.Client} {
		c.shows(who, m.ID, name+" has all of it", earned(15))
	}
	c.await("the hub says that there is no such member", func(context.Context) (string, error) {
		err := c.at(c.agent.Client, http.MethodGet, "/v1/members/m-9", "", nil, nil)
		var refusal *process.Refusal
		if errors.As(err, &refusal) && refusal.Problem().Code == "not_found" {
			return "", nil
		}
		return fmt.Sprint("it answers ", err), nil
	})
	c.must(errors.Join(c.agent.Stop(), away.Stop(), c.hub.Stop()))
	for _, found := range traces(t, ayla) {
		t.Error(found)
	}
}

// TestEnrolledAtATill enrols members in two stores while the hub is dead, with one
// card and one phone number, as a family has. Each is of use there at once, and the hub settles them
// when it is back.
func TestEnrolledAtATill(t *testing.T) {
	c := open(t)
	away := c.stores()
	c.must(c.hub.Kill())
	request := basti.request(map[string]any{"card": "C-1", "home_store": nil})
	var m, again, other member
	c.must(c.at(c.agent.Client, http.MethodPost, "/v1/members", "k-1", request, &m))
	if m.Status != "temporary" || m.Card != "C-1" || text(m.Name) != basti.name || text(m.Phone) != basti.phone {
		t.Errorf("enrolled as %+v", m)
	}
	c.must(c.at(c.agent.Client, http.MethodPost, "/v1/members", "k-1", request, &again))
	if again.ID != m.ID || text(again.Email) != basti.email {
		t.Errorf("the same key answers %+v", again)
	}
	c.refused(c.at(c.agent.Client, http.MethodPost, "/v1/members", "k-1", ayla.request(nil), nil), "idempotency_mismatch")
	c.refused(c.at(c.agent.Client, http.MethodPost, "/v1/members", "", ayla.request(map[string]any{"card": "C-1"}), nil), "conflict")
	c.refused(c.at(c.agent.Client, http.MethodPost, "/v1/members", "", ayla.request(map[string]any{"name": "4111 1111 1111 1111"}), nil), "card_number")
	c.refused(c.at(away.Client, http.MethodGet, "/v1/members/"+m.ID, "", nil, nil), "cannot_know")
	c.sell(c.agent, m.ID, 2)
	c.found(c.agent.Client, m.ID, map[string]string{"card": "C-1", "phone": basti.phone, "email": basti.email})
	c.must(c.at(away.Client, http.MethodPost, "/v1/members", "", basti.request(map[string]any{"name": "Berta Wkjh", "card": "C-1", "home_store": "s2", "email": "other.wkjh@example.org"}), &other))
	c.must(c.hub.Restart(c.ctx))
	active := func(m member) bool { return m.Status == "active" && m.Points.Balance >= 0 }
	first := c.shows(c.hub.Client, m.ID, "the hub has settled the first", active)
	second := c.shows(c.hub.Client, other.ID, "the hub has settled the second", active)
	if (first.Card == "C-1") == (second.Card == "C-1") || text(first.Name) != basti.name || text(second.Name) != "Berta Wkjh" {
		t.Errorf("the hub shows %+v and %+v", first, second)
	}
	c.shows(c.agent.Client, m.ID, "the store knows that the first is settled", func(m member) bool { return m.Status == "active" && m.Card == first.Card && m.Points.Balance == 5 })
	c.shows(away.Client, other.ID, "the other store knows that the second is settled", func(m member) bool { return m.Status == "active" && m.Card == second.Card })
	kinds := map[string]int{}
	var list struct{ Items []struct{ Kind string } }
	c.must(c.ask(http.MethodGet, "/v1/exceptions?state=open", "", nil, &list))
	for _, x := range list.Items {
		kinds[x.Kind]++
	}
	if kinds["card_shared"] != 1 || kinds["member_duplicate"] != 1 {
		t.Errorf("the exceptions are %v", kinds)
	}
	c.must(errors.Join(c.agent.Stop(), away.Stop(), c.hub.Stop()))
	c.must(errors.Join(c.agent.Verify(c.ctx), away.Verify(c.ctx)))
	for _, found := range traces(t, basti) {
		t.Error(found)
	}
}

// TestErasedInStores erases members who were enrolled at the hub, at a till, and
// who came to a store by a snapshot. When it has travelled nothing of their names
// and numbers is in any file, and no program shows them again.
func TestErasedInStores(t *testing.T) {
	c := open(t)
	away := c.stores()
	var a, b member
	c.must(c.ask(http.MethodPost, "/v1/members", "", ayla.request(nil), &a))
	c.must(c.at(c.agent.Client, http.MethodPost, "/v1/members", "", basti.request(nil), &b))
	active := func(m member) bool { return m.Status == "active" && m.Name != nil }
	c.shows(c.agent.Client, a.ID, "the store holds whom the hub enrolled", active)
	c.shows(c.agent.Client, b.ID, "the store holds whom it enrolled", active)
	c.sell(away, a.ID, 4)
	c.shows(away.Client, a.ID, "the other store holds a visitor", active)

	// A hub that was restored has another epoch, so every feed begins anew.
	backup := filepath.Join(t.TempDir(), "backup")
	_, err := host.Run(c.ctx, host.Hub(), "backup", "--hub", "http://"+c.hub.Ready().HTTP, backup)
	c.must(err)
	c.must(c.hub.Stop())
	if out, err := host.Run(c.ctx, host.Hub(), "restore", backup, "--data", host.Data(t.Name()), "--accept-gaps"); err != nil {
		t.Fatalf("restore: %v %s", err, out)
	}
	c.must(c.hub.Restart(c.ctx))
	c.holds(c.agent, 2)
	c.must(c.ask(http.MethodDelete, "/v1/members/"+a.ID, "", nil, nil))
	c.must(c.ask(http.MethodDelete, "/v1/members/"+b.ID, "", nil, nil))
	erased := func(m member) bool {
		return m.Status == "erased" && m.Name == nil && m.Phone == nil && m.Email == nil && m.Card == "" && !m.Locked
	}
	everywhere := func() {
		t.Helper()
		for _, id := range []string{a.ID, b.ID} {
			for name, who := range map[string]*process.Client{"hub": c.hub.Client, "home": c.agent.Client, "the other store": away.Client} {
				c.shows(who, id, "erased at "+name, erased)
			}
		}
	}
	everywhere()
	c.must(errors.Join(c.agent.Stop(), away.Stop(), c.hub.Stop()))
	for _, found := range traces(t, ayla, basti) {
		t.Error(found)
	}
	c.must(errors.Join(c.hub.Restart(c.ctx), c.agent.Restart(c.ctx), away.Restart(c.ctx)))
	everywhere()
	c.must(errors.Join(c.agent.Stop(), away.Stop(), c.hub.Stop()))
}
