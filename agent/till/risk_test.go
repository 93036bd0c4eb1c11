package till_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"counterpart/agent/till"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"

	"pgregory.net/rapid"
)

// risking brings down spending's programme with risk mode.
func (s *shopTest) risking(memberCap, pool protocol.Points) {
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Programmes: []protocol.Programme{{
		ValidFrom: "2026-01-01", Redeem: &protocol.RedeemRule{Points: 100, Value: 100, Minimum: 200}, HomeLeaseCap: 1000,
		RiskMode: protocol.RiskMode{Enabled: true, MemberCap: memberCap, Pool: pool},
	}}}})
}

// settles logs that the hub has counted what this machine spent at risk.
func (s *shopTest) settles(member protocol.MemberID, points protocol.Points) {
	s.t.Helper()
	s.lends(member, protocol.LeaseSettled, points)
}

func (s *shopTest) pool() loyalty.Risk {
	s.t.Helper()
	var pool *loyalty.Risk
	err := s.driver.View(context.Background(), func(r ledger.Reader) (err error) {
		pool, err = ledger.ReadRisk(r, "s1", s.origin.Inc)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return *pool
}

// knows lets this store hold a member, who has so many points.
func (s *shopTest) knows(member protocol.MemberID, status protocol.MemberStatus, points protocol.Points) {
	s.t.Helper()
	s.hubLogs(hubOrigin, &protocol.Event{Kind: protocol.KindMember, Member: &protocol.Member{ID: member, Version: 1, Status: status, HomeStore: "s1"}})
	s.hubLogs(hubOrigin, &protocol.Event{Kind: protocol.KindPointsChange, PointsChange: &protocol.PointsChange{Member: member, Change: protocol.PointsAdjusted, Points: points}})
}

// TestRisk spends beyond the lease, within what is left of the member's cap and of
// the pool, and again what the hub has counted.
func TestRisk(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.risking(500, 700)
		s.lends("m-1", protocol.LeaseGranted, 200)
		s.sell(pens(4, "m-1", 600, 400))
		if l, pool := s.lease("m-1"), s.pool(); l.Spent != 200 || l.Risk.Risked != 400 || pool.Risked != 400 || l.Overspent() {
			t.Fatalf("lease %+v, pool %+v", l, pool)
		}
		_, err := s.trySell(pens(4, "m-1", 200, 800))
		wantWhy(t, err, "member_cap", 0)
		s.settles("m-1", 100)
		s.sell(pens(4, "m-1", 200, 800))
		_, err = s.trySell(pens(4, "m-2", 400, 600))
		wantWhy(t, err, "pool", 200)
		s.sell(pens(4, "m-2", 200, 800))
		_, err = s.trySell(pens(4, "m-3", 200, 800))
		wantWhy(t, err, "pool", 0)
		s.settles("m-2", 200)
		s.sell(pens(4, "m-3", 200, 800))
		s.risking(100, 100) // caps that are lowered below what is outstanding
		_, err = s.trySell(pens(4, "m-4", 200, 800))
		wantWhy(t, err, "pool", 0)
		s.spending() // risk mode is switched off
		_, err = s.trySell(pens(4, "m-4", 200, 800))
		wantWhy(t, err, "no_lease", 0)
		s.settles("m-1", 500)
		s.settles("m-3", 200)
		if pool := s.pool(); pool.Outstanding() != 0 {
			t.Errorf("outstanding is %+v", pool)
		}
		s.verify()
	})
}

// TestRiskOfWhoIsKnown never spends more than a member has, as far as that is known
// here, and nothing of who is no member any more.
func TestRiskOfWhoIsKnown(t *testing.T) {
	s := memory(t)
	s.risking(500, 5000)
	s.knows("m-1", protocol.MemberActive, 250)
	s.knows("m-2", protocol.MemberErased, 900)
	s.knows("m-3", protocol.MemberTemporary, 2000)
	_, err := s.trySell(pens(4, "m-1", 400, 600))
	wantWhy(t, err, "balance", 200)
	_, err = s.trySell(pens(4, "m-2", 200, 800))
	wantWhy(t, err, "no_lease", 0)
	for member, want := range map[protocol.MemberID]protocol.Points{"m-1": 250, "m-2": 0, "m-3": 500} {
		if held, err := s.till.HeldMember(t.Context(), member); err != nil || held == nil || held.Spendable != want {
			t.Errorf("of %s %+v is said to be spendable here, want %d: %v", member, held, want, err)
		}
	}
	for told, want := range map[protocol.Points]protocol.Points{-5: 0, 300: 300, 900: 500} {
		if got, err := s.till.Spendable(t.Context(), "m-9", told); err != nil || got != want {
			t.Errorf("of %d points %d are said to be spendable here, want %d: %v", told, got, want, err)
		}
	}
	s.sell(pens(4, "m-1", 200, 800))
	_, err = s.trySell(pens(4, "m-1", 200, 800))
	wantWhy(t, err, "balance", 0)
	s.unheard.Store(true)
	_, err = s.trySell(pens(4, "m-3", 200, 800))
	wantWhy(t, err, "not_confirmed", 0)
	if held, err := s.till.HeldMember(t.Context(), "m-3"); err != nil || held == nil || held.Spendable != 0 {
		t.Errorf("an unconfirmed machine says that %+v is spendable: %v", held, err)
	}
}

// TestRiskComesLast: head office is asked first, where it can be, and nothing is
// spent beyond what it says that the member has.
func TestRiskComesLast(t *testing.T) {
	s := memory(t)
	s.risking(500, 5000)
	asked, answer, failed := 0, till.VisitAnswer{}, error(nil)
	s.visit = func(till.VisitRequest) (till.VisitAnswer, error) {
		asked++
		return answer, failed
	}
	answer.Balance = 250
	_, err := s.trySell(pens(4, "m-1", 300, 700))
	wantWhy(t, err, "balance", 200)
	answer.Balance = 900 // which others hold
	s.sell(pens(4, "m-1", 300, 700))
	if l := s.lease("m-1"); asked != 2 || l.Risk.Risked != 300 {
		t.Fatalf("asked %d times, and %+v", asked, l)
	}
	_, err = s.trySell(pens(4, "m-1", 300, 700))
	wantWhy(t, err, "member_cap", 200)
	answer.Balance = 450 // before head office heard of the 300
	_, err = s.trySell(pens(4, "m-1", 200, 800))
	wantWhy(t, err, "balance", 0)
	failed = errors.New("no answer")
	s.sell(pens(4, "m-1", 200, 800))
	answer, failed = till.VisitAnswer{Refused: true}, nil
	_, err = s.trySell(pens(4, "m-2", 200, 800))
	wantWhy(t, err, "no_lease", 0)
	s.verify()
}

// TestRiskOfReturns: what comes back goes to the account, and the pool stays used
// until the hub has counted it. Another POS uses none of it.
func TestRiskOfReturns(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 100)
	s.risking(500, 500)
	bought := s.sell(pens(4, "m-1", 400, 600))
	if void := s.document(s.tryVoid(bought.ReceiptNo)); void.PointsRedeemed != -400 || s.account("m-1").Redeemed != 0 {
		t.Errorf("voided as %+v; account %+v", void, s.account("m-1"))
	}
	s.sell(`{"lines":[{"code":"PEN-01","qty":4}],"member_id":"m-2","redeem_points":350,"tenders":[{"type":"points","amount_minor":300},{"type":"card","amount_minor":700}],` +
		`"external":{"source":"pos-x","id":"1","occurred_at":"2026-11-21T10:00:00+00:00","business_date":"2026-11-21","total_minor":1000}}`)
	if pool := s.pool(); pool != (loyalty.Risk{Risked: 400}) {
		t.Errorf("the pool is %+v", pool)
	}
	_, err := s.trySell(pens(4, "m-1", 200, 800))
	wantWhy(t, err, "member_cap", 0)
	s.verify()
}

// TestI14_TwoTillsNeverShareAPool sells at many tills at once to many members: as
// many sales go through as the pool pays for, and no more.
func TestI14_TwoTillsNeverShareAPool(t *testing.T) {
	s := open(t, boltDriver(t, filepath.Join(t.TempDir(), "agent.db")))
	s.risking(300, 1100)
	var sold atomic.Int64
	var tills sync.WaitGroup
	for i := range 16 {
		tills.Go(func() {
			_, err := s.trySell(pens(4, fmt.Sprint("m-", i%8), 200, 800))
			if err == nil {
				sold.Add(1)
			} else if protocol.CodeOf(err) != protocol.PointsUnavailable {
				t.Error(err)
			}
		})
	}
	tills.Wait()
	if pool := s.pool(); sold.Load() != 5 || pool.Risked != 1000 {
		t.Errorf("%d sales of 200 points over a pool of 1100: %+v", sold.Load(), pool)
	}
	s.verify()
}

// TestI14_RiskAddsUp does anything in any order, and compares with a model that
// only adds up what was answered.
func TestI14_RiskAddsUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := memory(t)
		type row struct{ granted, spent, risked, settled protocol.Points }
		members := map[protocol.MemberID]*row{"m-1": {}, "m-2": {}, "m-3": {}}
		memberCap, poolCap, risked, settled := protocol.Points(0), protocol.Points(0), protocol.Points(0), protocol.Points(0)
		s.risking(0, 0)
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			id := protocol.MemberID(fmt.Sprint("m-", rapid.IntRange(1, 3).Draw(rt, "member")))
			m := members[id]
			switch rapid.IntRange(0, 5).Draw(rt, "act") {
			case 0:
				memberCap, poolCap = protocol.Points(rapid.IntRange(0, 900).Draw(rt, "cap")), protocol.Points(rapid.IntRange(0, 1500).Draw(rt, "pool"))
				s.risking(memberCap, poolCap)
			case 1:
				n := protocol.Points(rapid.IntRange(1, 400).Draw(rt, "granted"))
				s.lends(id, protocol.LeaseGranted, n)
				m.granted += n
			case 2:
				if n := protocol.Points(rapid.Int64Range(0, int64(m.risked-m.settled)).Draw(rt, "settled")); n > 0 {
					s.settles(id, n)
					m.settled, settled = m.settled+n, settled+n
				}
			default:
				points := protocol.Points(100 * rapid.IntRange(2, 9).Draw(rt, "spent"))
				left := m.granted - m.spent
				room := max(0, min(memberCap-(m.risked-m.settled), poolCap-(risked-settled)))
				_, err := s.trySell(pens(4, string(id), int(points), 1000-int(points)))
				if (err == nil) != (points <= left+room) {
					rt.Fatalf("%d points of %d and %d at risk: %v", points, left, room, err)
				}
				if err == nil {
					lent := min(points, left)
					m.spent, m.risked, risked = m.spent+lent, m.risked+points-lent, risked+points-lent
				}
			}
		}
		for id, m := range members {
			if l := s.lease(id); l.Spent != m.spent || l.Risk.Risked != m.risked || l.Risk.Settled != m.settled || l.Overspent() {
				rt.Fatalf("of %s the lease is %+v, want %+v", id, l, *m)
			}
		}
		if pool := s.pool(); pool != (loyalty.Risk{Risked: risked, Settled: settled}) {
			rt.Fatalf("the pool is %+v, want %d and %d", pool, risked, settled)
		}
		s.verify()
	})
}
