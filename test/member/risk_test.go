package member_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"counterpart/test/process"
	"counterpart/test/proxy"
)

// exposure is what the hub says of points at risk.
type exposure struct {
	Bound  int64 `json:"points_exposure_bound"`
	AtRisk int64 `json:"points_at_risk"`
}

// exposed reads that at the hub, and checks that /metrics says the same.
func (s *shops) exposed() exposure {
	s.t.Helper()
	var e exposure
	s.await("status and metrics say the same", func(context.Context) (string, error) {
		if err := s.ask(http.MethodGet, "/v1/status", "", nil, &e); err != nil {
			return "", err
		}
		answer, err := s.hub.Send(s.ctx, process.Request{Method: http.MethodGet, Path: "/metrics"})
		if err != nil {
			return "", err
		}
		for _, want := range []string{fmt.Sprintf("\ncounterpart_points_exposure_bound %d\n", e.Bound), fmt.Sprintf("\ncounterpart_points_at_risk %d\n", e.AtRisk)} {
			if !strings.Contains(string(answer.Body), want) {
				return "metrics lack" + want, nil
			}
		}
		return "", nil
	})
	return e
}

// spendable waits until a store says how many of the member's points it may spend.
func (s *shops) spendable(store int, points int64) {
	s.t.Helper()
	s.await(fmt.Sprintf("store %d may spend %d points", store, points), func(ctx context.Context) (string, error) {
		var m member
		err := s.fleet.Machines[store-1].Get(ctx, "/v1/members/"+s.member, &m)
		if err == nil && m.Points.SpendableHere != points {
			return fmt.Sprintf("%+v", m.Points), nil
		}
		return "", err
	})
}

// owes waits until a member has so few points at the hub, and stores know that they may
// spend none.
func (s *shops) owes(member string, balance int64, stores ...int) {
	s.t.Helper()
	s.member = member
	s.agreeOn(balance)
	for _, store := range stores {
		s.spendable(store, 0)
	}
}

// TestI14_RiskCutOff spends points in three stores that are cut off, in risk mode:
// each within what it may of one member and of all, with the reason where it may
// not, all together within the bound that the hub printed before. When the lines are
// back hub and stores agree on what the members owe, and what was settled may be
// spent again.
func TestI14_RiskCutOff(t *testing.T) {
	s := openShops(t, 400)
	if e := s.exposed(); e != (exposure{}) {
		t.Fatalf("without risk mode %+v is exposed", e)
	}
	s.must(s.ask(http.MethodPut, "/v1/programme", "", map[string]any{
		"earn": []any{}, "redeem": map[string]any{"points": 100, "value_minor": 100, "minimum": 100}, "home_lease_cap": 500,
		"risk_mode": map[string]any{"enabled": true, "member_cap": 300, "pool": 400}, "valid_from": "2020-01-01",
	}, nil))
	s.agree(400, 400)
	s.arrived(3) // the member, the gift, the lease
	ayla := s.member
	var other member
	s.must(s.ask(http.MethodPost, "/v1/members", "", basti.request(map[string]any{"home_store": nil}), &other))
	for store, points := range map[int]int64{1: 400, 2: 300, 3: 300} {
		s.spendable(store, points)
	}
	before := s.exposed()
	if before != (exposure{Bound: 1200}) {
		t.Fatalf("three stores with pools of 400 are exposed to %+v", before)
	}
	s.cutOff()
	s.sold(1, 1, 400)
	s.refusedFor(1, 1, 100, "balance", 0)
	s.sold(2, 1, 200)
	s.refusedFor(2, 1, 200, "member_cap", 100)
	s.sold(2, 1, 100)
	s.refusedFor(2, 1, 100, "member_cap", 0)
	s.sold(3, 1, 300)
	s.refusedFor(3, 1, 100, "member_cap", 0)
	s.member = other.ID
	s.refusedFor(2, 1, 200, "pool", 100)
	s.sold(2, 1, 100)
	s.refusedFor(2, 1, 100, "pool", 0)
	if overspent := int64(300 + 300 + 100); overspent > before.Bound {
		t.Fatalf("%d points are overspent, beyond %d", overspent, before.Bound)
	}
	s.lines(proxy.Pass)
	s.owes(other.ID, -100, 2)
	s.owes(ayla, -600, 1, 2, 3)
	s.await("all is settled", func(context.Context) (string, error) {
		if e := s.exposed(); e != before {
			return fmt.Sprintf("%+v", e), nil
		}
		return "", nil
	})
	s.member = other.ID
	s.must(s.ask(http.MethodPost, "/v1/members/"+other.ID+"/points", "", map[string]any{"points": 500, "reason": "sorry", "staff": "s7"}, nil))
	s.spendable(2, 300)
	s.cutOff()
	s.sold(2, 1, 300)
	s.refusedFor(2, 1, 100, "member_cap", 0)
	s.lines(proxy.Pass)
	s.agreeOn(100)
	s.close()
}
