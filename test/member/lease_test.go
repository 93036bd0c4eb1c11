package member_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"counterpart/test/fleet"
	"counterpart/test/process"
	"counterpart/test/proxy"
	"counterpart/test/retail"
)

// shops is a hub with three stores whose lines can be cut, and a member whose home
// is the first of them.
type shops struct {
	*chain
	fleet  *fleet.Fleet
	member string
}

func openShops(t *testing.T, points int) *shops {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	s := &shops{chain: &chain{t: t, ctx: ctx}}
	options := fleet.Options{Name: t.Name(), Currency: "GBP"}
	for i := range 3 {
		store, agent := fmt.Sprint("s", i+1), fmt.Sprint(t.Name(), "-a", i+1)
		options.Stores = append(options.Stores, retail.Store{ID: store, Name: store, Timezone: "Europe/London", PrimaryAgent: agent})
		options.Agents = append(options.Agents, fleet.Seat{Agent: agent, Store: store})
	}
	var err error
	s.fleet, err = fleet.Start(ctx, host, options, func(_ context.Context, hub *process.Hub) error {
		s.hub = hub
		s.load("items", map[string]any{"sku": "PEN", "name": "Pen", "price_minor": 1000})
		return s.ask(http.MethodPut, "/v1/programme", "", map[string]any{
			"earn": []any{}, "redeem": map[string]any{"points": 100, "value_minor": 100, "minimum": 100}, "home_lease_cap": 500, "valid_from": "2020-01-01",
		}, nil)
	})
	s.must(err)
	t.Cleanup(func() {
		for _, m := range s.fleet.Machines {
			s.must(m.Kill())
		}
		s.must(s.hub.Kill())
	})
	var m member
	s.must(s.ask(http.MethodPost, "/v1/members", "", ayla.request(nil), &m))
	s.member = m.ID
	s.must(s.ask(http.MethodPost, "/v1/members/"+s.member+"/points", "k-gift", map[string]any{"points": points, "reason": "welcome", "staff": "s7"}, &m))
	if m.Points.Balance != int64(points) {
		t.Fatalf("given %d points, the member has %d", points, m.Points.Balance)
	}
	return s
}

// unavailable is what a till says that cannot spend points.
type unavailable struct {
	Code, Why     string
	SpendableHere *int64 `json:"spendable_here"`
}

func (u *unavailable) String() string {
	if u == nil || u.SpendableHere == nil {
		return "no refusal that says what is possible"
	}
	return fmt.Sprintf("%s and %d", u.Why, *u.SpendableHere)
}

// redeem pays for pens with points, and the rest by card, at a store counted from 1.
func (s *shops) redeem(store, pens, points int) (no string, refused *unavailable) {
	s.t.Helper()
	request, err := process.JSON(http.MethodPost, "/v1/sales", "", map[string]any{
		"lines":   []any{map[string]any{"code": "PEN", "qty": pens}},
		"tenders": []any{map[string]any{"type": "card", "amount_minor": 1000*pens - points}}, "member_id": s.member, "redeem_points": points,
	})
	s.must(err)
	var sold struct {
		Receipt string `json:"receipt_no"`
		Points  int    `json:"points_redeemed"`
	}
	answer, err := s.fleet.Machines[store-1].Send(s.ctx, request)
	var refusal *process.Refusal
	if errors.As(err, &refusal) {
		refused = &unavailable{}
		s.must(json.Unmarshal(refusal.Body, refused))
		if refused.Code != "points_unavailable" {
			s.t.Fatal(err)
		}
		return "", refused
	}
	s.must(err)
	if s.must(answer.Into(&sold)); sold.Points != points {
		s.t.Fatalf("redeemed %d points, want %d", sold.Points, points)
	}
	return sold.Receipt, nil
}

func (s *shops) sold(store, pens, points int) {
	s.t.Helper()
	if _, refused := s.redeem(store, pens, points); refused != nil {
		s.t.Fatalf("store %d refuses %d points: %+v", store, points, *refused)
	}
}

// asked is redeem in a store that is online and has to ask the hub. On a busy machine
// the hub may not answer in time; then it is tried again, as staff would.
func (s *shops) asked(store, pens, points int) (no string, refused *unavailable) {
	s.t.Helper()
	s.await(fmt.Sprintf("store %d has asked for %d points", store, points), func(context.Context) (string, error) {
		if no, refused = s.redeem(store, pens, points); refused != nil && refused.Why == "no_lease" {
			return "it was not answered in time", nil
		}
		return "", nil
	})
	return no, refused
}

// soldAsking is sold in a store that has to ask the hub.
func (s *shops) soldAsking(store, pens, points int) {
	s.t.Helper()
	if _, refused := s.asked(store, pens, points); refused != nil {
		s.t.Fatalf("store %d refuses %d points: %+v", store, points, *refused)
	}
}

func (s *shops) refusedFor(store, pens, points int, why string, here int64) {
	s.t.Helper()
	no, refused := s.redeem(store, pens, points)
	if refused == nil || refused.Why != why || refused.SpendableHere == nil || *refused.SpendableHere != here {
		s.t.Fatalf("store %d answers %d points with receipt %q, %s; want %s and %d", store, points, no, refused, why, here)
	}
}

// lease is what one stream holds.
type lease struct {
	Store, Holder, State string
	Left                 int64
}

// agree waits until the hub shows a balance and the home store's lease is full.
func (s *shops) agree(balance, home int64) {
	s.t.Helper()
	s.await(fmt.Sprintf("%d points, %d of them lent", balance, home), func(context.Context) (string, error) {
		var m member
		var list struct{ Items []lease }
		err := errors.Join(s.ask(http.MethodGet, "/v1/members/"+s.member, "", nil, &m), s.ask(http.MethodGet, "/v1/members/"+s.member+"/leases", "", nil, &list))
		lent := int64(0)
		for _, l := range list.Items {
			if l.Store == "s1" && l.State == "active" {
				lent += l.Left
			}
		}
		if err == nil && (m.Points.Balance != balance || lent != home) {
			return fmt.Sprintf("balance %d, leases %+v", m.Points.Balance, list.Items), nil
		}
		return "", err
	})
}

// arrived waits until the home store's machine has so many events of its store.
func (s *shops) arrived(events int64) {
	s.t.Helper()
	s.await("the lease is in the store", func(ctx context.Context) (string, error) {
		var status struct {
			Feeds []struct {
				Feed   string
				Offset int64
			}
		}
		err := s.fleet.Machines[0].Get(ctx, "/v1/status", &status)
		for _, f := range status.Feeds {
			if f.Feed == "peer/s1" && f.Offset >= events {
				return "", err
			}
		}
		return fmt.Sprintf("%+v", status.Feeds), err
	})
}

func (s *shops) lines(mode proxy.Mode) {
	s.t.Helper()
	for _, m := range s.fleet.Machines {
		s.must(m.SetLine(mode))
	}
}

// cutOff cuts all lines, and waits until each store knows.
func (s *shops) cutOff() {
	s.t.Helper()
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
}

// TestI14_RedeemCutOff spends points in the home store while it is cut off; two other
// stores that are cut off refuse, with the reason and what is possible, and so does a
// machine that was started meanwhile. When the lines are back all agree.
func TestI14_RedeemCutOff(t *testing.T) {
	s := openShops(t, 900)
	s.agree(900, 500)
	s.arrived(3) // the member, the gift, the lease
	s.sold(1, 1, 100)
	s.agree(800, 500)
	s.arrived(5)
	s.cutOff()
	s.sold(1, 1, 200)
	s.refusedFor(2, 1, 200, "no_lease", 0)
	s.refusedFor(3, 1, 100, "no_lease", 0)
	s.refusedFor(1, 1, 600, "lease", 300)
	s.must(s.fleet.Machines[0].Crash(s.ctx))
	s.refusedFor(1, 1, 100, "not_confirmed", 0)
	s.lines(proxy.Pass)
	s.agree(600, 500)
	s.await("the home store spends again", func(context.Context) (string, error) {
		if _, refused := s.redeem(1, 1, 100); refused != nil {
			return refused.Why, nil
		}
		return "", nil
	})
	s.agree(500, 500)
	s.close()
}

// TestVisit spends points in another store that is online, although the home store
// holds all of them; the home store can do without, and afterwards has the rest.
func TestVisit(t *testing.T) {
	s := openShops(t, 500)
	s.agree(500, 500)
	s.arrived(3)
	s.soldAsking(2, 1, 400)
	if _, refused := s.asked(3, 1, 200); refused == nil || refused.Why != "balance" {
		t.Errorf("more than there is is answered %+v", refused)
	}
	s.agreeOn(100)
	s.close()
}

// TestVisitorIsLookedUp scans a card at a store that is not the member's own: what is
// free comes there, and is spent although the line breaks before the shopper pays.
func TestVisitorIsLookedUp(t *testing.T) {
	s := openShops(t, 800)
	s.agree(800, 500)
	var m member
	s.must(s.ask(http.MethodGet, "/v1/members/"+s.member, "", nil, &m))
	s.await("the visitor's points are here", func(ctx context.Context) (string, error) {
		var found struct{ Items []member }
		err := s.fleet.Machines[1].Get(ctx, "/v1/members?card="+url.QueryEscape(m.Card), &found)
		if err == nil && (len(found.Items) != 1 || found.Items[0].Points.SpendableHere != 300) {
			return fmt.Sprintf("%+v", found.Items), nil
		}
		return "", err
	})
	s.lines(proxy.Cut)
	s.refusedFor(2, 1, 400, "lease", 300)
	s.sold(2, 1, 300)
	s.lines(proxy.Pass)
	s.agreeOn(500)
	s.close()
}

// agreeOn waits until the hub shows a balance.
func (s *shops) agreeOn(balance int64) {
	s.t.Helper()
	s.await(fmt.Sprintf("%d points", balance), func(context.Context) (string, error) {
		var m member
		err := s.ask(http.MethodGet, "/v1/members/"+s.member, "", nil, &m)
		if err == nil && m.Points.Balance != balance {
			return fmt.Sprint("balance ", m.Points.Balance), nil
		}
		return "", err
	})
}

// close ends all, and checks what each holds.
func (s *shops) close() {
	s.t.Helper()
	for _, m := range s.fleet.Machines {
		s.must(m.Stop())
		s.must(m.Verify(s.ctx))
	}
	s.must(s.hub.Stop())
}
