package member_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"counterpart/test/process"
	"counterpart/test/proxy"
)

// receipts are those in a member's timeline, as a program shows it.
func (c *chain) receipts(who *process.Client, id string) (list []string) {
	c.t.Helper()
	var page struct {
		Items []struct{ Kind, Reference string }
	}
	c.must(c.at(who, http.MethodGet, "/v1/members/"+id+"/timeline", "", nil, &page))
	for _, e := range page.Items {
		if e.Kind == "sale" {
			list = append(list, e.Reference)
		}
	}
	return list
}

// TestOnePersonEnrolledTwice enrols one person in two stores that are cut off, who
// shops in both. When the hub is back it is one member, with the points of both and
// one story, and both cards lead there in both stores, with the hub or without.
// Erased, nobody of them is left.
func TestOnePersonEnrolledTwice(t *testing.T) {
	c := open(t)
	away := c.stores()
	c.must(c.hub.Kill())
	var here, there member
	c.must(c.at(c.agent.Client, http.MethodPost, "/v1/members", "", basti.request(map[string]any{"home_store": "s1"}), &here))
	c.must(c.at(away.Client, http.MethodPost, "/v1/members", "", basti.request(map[string]any{"name": "BASTIAN  wkjh", "home_store": "s2"}), &there))
	c.sell(c.agent, here.ID, 2)
	c.sell(away, there.ID, 4)
	c.must(c.hub.Restart(c.ctx))
	id := min(here.ID, there.ID)
	one := func(points int64) func(member) bool {
		return func(m member) bool {
			return m.ID == id && m.Status == "active" && m.Points.Balance == points && len(m.Merged) == 1 && m.Merged[0].ID == max(here.ID, there.ID)
		}
	}
	programs := map[string]*process.Client{"hub": c.hub.Client, "the one store": c.agent.Client, "the other store": away.Client}
	everywhere := func(points int64) {
		t.Helper()
		for name, who := range programs {
			for _, asked := range []string{here.ID, there.ID} {
				c.shows(who, asked, name+" knows one member", one(points))
			}
		}
	}
	everywhere(15)
	var open struct{ Items []struct{ Kind string } }
	if c.must(c.ask(http.MethodGet, "/v1/exceptions?state=open", "", nil, &open)); len(open.Items) > 0 {
		t.Errorf("a person has to look at %+v", open.Items)
	}
	for name, who := range programs {
		if list := c.receipts(who, there.ID); len(list) != 2 {
			t.Errorf("%s tells of %v", name, list)
		}
	}
	c.must(c.hub.Kill())
	for _, who := range []*process.Agent{c.agent, away} {
		c.found(who.Client, id, map[string]string{"phone": basti.phone, "email": basti.email})
		for _, card := range []string{here.Card, there.Card} {
			c.found(who.Client, id, map[string]string{"card": card})
		}
		c.sell(who, there.ID, 2)
		c.shows(who.Client, here.ID, "what is earned here counts at once", one(20))
	}
	c.must(c.hub.Restart(c.ctx))
	everywhere(25)
	if list := c.receipts(c.hub.Client, id); len(list) != 4 || len(slices.Compact(slices.Sorted(slices.Values(list)))) != 4 {
		t.Errorf("the hub tells of %v", list)
	}
	c.must(c.ask(http.MethodDelete, "/v1/members/"+there.ID, "", nil, nil))
	for name, who := range programs {
		for _, asked := range []string{here.ID, there.ID} {
			c.shows(who, asked, "erased at "+name, func(m member) bool {
				return m.ID == asked && m.Status == "erased" && m.Name == nil && m.Card == "" && !m.Locked
			})
		}
	}
	c.must(errors.Join(c.agent.Stop(), away.Stop(), c.hub.Stop()))
	c.must(errors.Join(c.agent.Verify(c.ctx), away.Verify(c.ctx)))
	for _, found := range traces(t, basti) {
		t.Error(found)
	}
}

// TestI14_MergedWhileCutOff merges two members whose stores are cut off and spend
// what they hold under each id. Nothing is spent twice; afterwards either id spends
// what both have, wherever it is.
func TestI14_MergedWhileCutOff(t *testing.T) {
	s := openShops(t, 900)
	first := s.member
	var second member
	s.must(s.ask(http.MethodPost, "/v1/members", "", basti.request(map[string]any{"home_store": "s2"}), &second))
	s.must(s.ask(http.MethodPost, "/v1/members/"+second.ID+"/points", "", map[string]any{"points": 600, "reason": "welcome", "staff": "s7"}, nil))
	spendable := func(machine int, id string, points int64) {
		t.Helper()
		s.shows(s.fleet.Machines[machine].Client, id, fmt.Sprintf("%d points may be spent there", points), func(m member) bool { return m.Points.SpendableHere == points })
	}
	spendable(0, first, 500)
	spendable(1, second.ID, 500)
	s.lines(proxy.Cut)
	for _, m := range s.fleet.Machines {
		s.await(m.ID()+" is cut off", func(ctx context.Context) (string, error) {
			status, err := m.Status(ctx)
			if status.Link.State == "online" {
				return "online", err
			}
			return "", err
		})
	}
	var merged member
	s.must(s.ask(http.MethodPost, "/v1/members/"+first+"/merge", "", map[string]any{"with": second.ID, "staff": "s7", "reason": "one person"}, &merged))
	if merged.ID != min(first, second.ID) || merged.Points.Balance != 1500 {
		t.Errorf("merged as %+v", merged)
	}
	s.sold(1, 1, 200)
	s.member = second.ID
	s.sold(2, 1, 300)
	s.lines(proxy.Pass)
	s.agreeOn(1000)
	for i := range 2 {
		for _, id := range []string{first, second.ID} {
			s.shows(s.fleet.Machines[i].Client, id, "the store knows one member", func(m member) bool { return m.ID == merged.ID && m.Points.Balance == 1000 })
		}
	}
	// What was held of who was merged goes back, and the home store has all again.
	home := 0
	if merged.ID == second.ID {
		home = 1
	}
	spendable(home, first, 500)
	spendable(home, second.ID, 500)
	s.member = max(first, second.ID)
	s.sold(home+1, 1, 300)
	s.agreeOn(700)
	s.soldAsking(2-home, 1, 600)
	s.agreeOn(100)
	s.must(s.ask(http.MethodPost, "/v1/members/"+s.member+"/unmerge", "", map[string]any{"staff": "s7", "reason": "two people"}, nil))
	var sum int64
	for _, id := range []string{first, second.ID} {
		m := s.shows(s.hub.Client, id, "two members again", func(m member) bool { return m.ID == id && len(m.Merged) == 0 })
		sum += m.Points.Balance
	}
	if sum != 100 {
		t.Errorf("together they have %d points", sum)
	}
	s.close()
}
