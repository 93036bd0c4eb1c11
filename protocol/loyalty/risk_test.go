package loyalty_test

import (
	"fmt"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"

	"pgregory.net/rapid"
)

func riskProgramme(memberCap, pool protocol.Points) *protocol.Programme {
	return &protocol.Programme{
		Redeem: &protocol.RedeemRule{Points: 1, Value: 1}, RiskMode: protocol.RiskMode{Enabled: true, MemberCap: memberCap, Pool: pool},
	}
}

// TestRiskRoom says what bounds a stream, and by how much.
func TestRiskRoom(t *testing.T) {
	known := func(p protocol.Points) *protocol.Points { return &p }
	off, priceless := riskProgramme(100, 250), riskProgramme(100, 250)
	off.RiskMode.Enabled, priceless.Redeem = false, nil
	for _, c := range []struct {
		name  string
		ask   loyalty.RiskAsk
		room  protocol.Points
		bound loyalty.RiskBound
	}{
		{"no programme", loyalty.RiskAsk{}, 0, loyalty.RiskOff},
		{"switched off", loyalty.RiskAsk{Programme: off}, 0, loyalty.RiskOff},
		{"points of no worth", loyalty.RiskAsk{Programme: priceless}, 0, loyalty.RiskOff},
		{"a new member", loyalty.RiskAsk{Programme: riskProgramme(100, 250)}, 100, loyalty.RiskMemberCap},
		{"some are outstanding", loyalty.RiskAsk{Programme: riskProgramme(100, 250), Member: loyalty.Risk{Risked: 90, Settled: 20}, Pool: loyalty.Risk{Risked: 100, Settled: 20}}, 30, loyalty.RiskMemberCap},
		{"the pool is used", loyalty.RiskAsk{Programme: riskProgramme(100, 250), Pool: loyalty.Risk{Risked: 240}}, 10, loyalty.RiskPool},
		{"the pool is settled", loyalty.RiskAsk{Programme: riskProgramme(100, 250), Pool: loyalty.Risk{Risked: 240, Settled: 240}}, 100, loyalty.RiskMemberCap},
		{"the member has less", loyalty.RiskAsk{Programme: riskProgramme(100, 250), Beyond: known(40)}, 40, loyalty.RiskBalance},
		{"the member owes", loyalty.RiskAsk{Programme: riskProgramme(100, 250), Beyond: known(-40)}, 0, loyalty.RiskBalance},
		{"the member has more", loyalty.RiskAsk{Programme: riskProgramme(100, 250), Beyond: known(400)}, 100, loyalty.RiskMemberCap},
		{"caps were lowered", loyalty.RiskAsk{Programme: riskProgramme(50, 60), Member: loyalty.Risk{Risked: 100}, Pool: loyalty.Risk{Risked: 100}}, 0, loyalty.RiskMemberCap},
		{"more is settled than known", loyalty.RiskAsk{Programme: riskProgramme(100, 250), Member: loyalty.Risk{Settled: 70}, Pool: loyalty.Risk{Settled: 70}}, 100, loyalty.RiskMemberCap},
	} {
		t.Run(c.name, func(t *testing.T) {
			if room, bound := loyalty.RiskRoom(&c.ask); room != c.room || bound != c.bound {
				t.Errorf("%d points, bound by %s; want %d and %s", room, bound, c.room, c.bound)
			}
		})
	}
}

// TestI14_RiskStaysWithinItsBounds lets a stream and the hub do anything, while
// word between them is late and the caps change: what the stream spent at risk and
// the hub has not heard of never exceeds the greatest pool of the time, nor of one
// member the greatest cap.
func TestI14_RiskStaysWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type row struct{ here, hub loyalty.Risk } // as the stream has it, and as the hub
		members, pool := map[string]*row{"m-1": {}, "m-2": {}, "m-3": {}}, row{}
		var memberCap, poolCap, memberMost, poolMost protocol.Points
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := fmt.Sprint("m-", rapid.IntRange(1, 3).Draw(t, "member"))
			m := members[id]
			switch rapid.IntRange(0, 3).Draw(t, "act") {
			case 0:
				memberCap, poolCap = protocol.Points(rapid.IntRange(0, 50).Draw(t, "cap")), protocol.Points(rapid.IntRange(0, 100).Draw(t, "pool"))
				memberMost, poolMost = max(memberMost, memberCap), max(poolMost, poolCap)
			case 1:
				room, _ := loyalty.RiskRoom(&loyalty.RiskAsk{Programme: riskProgramme(memberCap, poolCap), Member: m.here, Pool: pool.here})
				some := protocol.Points(rapid.Int64Range(0, int64(room)).Draw(t, "spent"))
				m.here.Risked += some
				pool.here.Risked += some
			case 2: // some of the stream's sales come up, and the hub settles
				some := protocol.Points(rapid.Int64Range(0, int64(m.here.Risked-m.hub.Risked)).Draw(t, "up"))
				m.hub.Risked += some
				pool.hub.Risked += some
				settled := m.hub.Outstanding()
				m.hub.Settled += settled
				pool.hub.Settled += settled
			case 3: // some of what is settled comes down
				some := protocol.Points(rapid.Int64Range(0, int64(m.hub.Settled-m.here.Settled)).Draw(t, "down"))
				m.here.Settled += some
				pool.here.Settled += some
			}
			if unheard := m.here.Risked - m.hub.Risked; unheard > memberMost || unheard > m.here.Outstanding() {
				t.Fatalf("of %s %d are unheard of, beyond %d", id, unheard, memberMost)
			}
			if unheard := pool.here.Risked - pool.hub.Risked; unheard > poolMost || unheard > pool.here.Outstanding() {
				t.Fatalf("of all %d are unheard of, beyond %d", unheard, poolMost)
			}
		}
	})
}

func TestExposure(t *testing.T) {
	off := riskProgramme(100, 250)
	off.RiskMode.Enabled = false
	for want, list := range map[protocol.Points][]*protocol.Programme{0: {nil, off, riskProgramme(0, 250), riskProgramme(100, 0)}, 250: {riskProgramme(100, 250), riskProgramme(1000, 250)}} {
		for _, p := range list {
			if got := loyalty.Exposure(p); got != want {
				t.Errorf("%+v exposes %d points, want %d", p, got, want)
			}
		}
	}
}
