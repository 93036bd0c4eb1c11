package hub

import (
	"fmt"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/loyalty"
)

// hundredsAtRisk is hundreds with risk mode on.
const hundredsAtRisk = `{"earn":[],"redeem":{"points":100,"value_minor":100,"minimum":200},"home_lease_cap":500,
	"risk_mode":{"enabled":true,"member_cap":300,"pool":1000},"valid_from":"2026-01-01"}`

// risky is a receipt to the member of which so many points are at risk.
func (c *leaseCore) risky(p *player, redeemed, risked protocol.Points) Inbound {
	c.numbers++
	ev := receiptOf(protocol.SaleSale, c.numbers, "2026-11-21", 1000, "")
	ev.Sale.Series, ev.Sale.Member, ev.Sale.PointsRedeemed, ev.Sale.PointsAtRisk = "9", lender, redeemed, risked
	return p.does(ev)
}

// risks reads what a stream spent at risk of the member's points, and of all.
func (c *leaseCore) risks(p *player) string {
	var lease *loyalty.Lease
	var pool *loyalty.Risk
	c.must(c.view(c.t.Context(), func(r ledger.Reader) (err error) {
		if lease, err = ledger.ReadLease(r, ledger.MemberAt{Store: p.origin.Store, Member: lender}, p.origin.Inc); err == nil {
			pool, err = ledger.ReadRisk(r, p.origin.Store, p.origin.Inc)
		}
		return err
	}))
	return fmt.Sprint(lease.Risk, *pool)
}

func (c *leaseCore) exposed(t *testing.T, when string, bound, atRisk protocol.Points) {
	t.Helper()
	e, err := c.Exposure(t.Context())
	c.must(err)
	if want := (Exposure{bound, atRisk}); e != want {
		t.Fatalf("%s: %+v, want %+v", when, e, want)
	}
}

// TestSettle counts what stores spent at risk, tells them so once, and lends nothing
// while the member owes; what is earned later pays for it.
func TestSettle(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundredsAtRisk)
	c.must(c.adjust(400))
	home, other := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	home.greet()
	other.greet()
	c.second()
	c.holds(t, "before", "s1/a1 400 active, of 400")
	c.exposed(t, "two streams", 2000, 0)
	c.receive(c.risky(other, 300, 300))
	c.holds(t, "more is lent than there is", "s1/a1 400 recalled, of 100")
	if got := c.risks(other); got != "{300 300} {300 300}" {
		t.Fatalf("settled as %s", got)
	}
	c.receive(c.risky(home, 500, 100), home.closes(0, 1))
	c.holds(t, "the member owes", "of -400")
	if got := c.risks(home); got != "{100 100} {100 100}" {
		t.Fatalf("the home store is settled as %s", got)
	}
	c.must(c.lendTo(t.Context(), lender))
	if got := c.risks(other); got != "{300 300} {300 300}" {
		t.Fatalf("settled again as %s", got)
	}
	c.exposed(t, "all is settled", 2000, 0)
	if report := c.verify(); !report.OK() {
		t.Fatalf("the log gives other rows: %v", report.Differences)
	}
	c.receive(c.sale(other, protocol.SaleSale, 500, 0))
	c.holds(t, "less than can be spent", "of 100")
	c.receive(c.sale(other, protocol.SaleSale, 500, 0))
	c.holds(t, "what was earned paid for it", "s1/a1 500 active, of 600")
	for _, x := range c.raised() {
		t.Errorf("a person is asked about %s", x)
	}
}

// raised are the kinds of the exceptions.
func (c *leaseCore) raised() (kinds []string) {
	list, err := c.Exceptions(c.t.Context(), "", Page{Limit: 100})
	c.must(err)
	for _, x := range list.Items {
		kinds = append(kinds, x.Kind)
	}
	return kinds
}

// TestSettleWhatIsOver counts what a stream spent that nobody writes any more, of a
// member who is erased, and after risk mode was switched off.
func TestSettleWhatIsOver(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundredsAtRisk)
	c.must(c.adjust(400))
	old := c.player("s2", "b1", 2)
	old.greet()
	late := c.risky(old, 300, 300)
	c.receive(late)
	before := c.risks(old)
	forked := c.player("s2", "b1", 3)
	forked.hello.ForkCause = "restored"
	forked.greet()
	c.exposed(t, "one machine", 1000, 0)
	c.receive(c.risky(forked, 200, 200))
	c.rules(hundreds)
	c.exposed(t, "switched off", 0, 0)
	c.says(&protocol.Member{ID: lender, Version: 2, Status: protocol.MemberErased, HomeStore: "s1"})
	c.receive(c.risky(forked, 100, 100))
	if got := c.risks(forked); got != "{300 300} {300 300}" || before != "{300 300} {300 300}" {
		t.Fatalf("settled as %s, the stream before as %s", got, before)
	}
}

// TestSettleAfterRestore: a hub that was put back may have settled before, so it
// waits until the stores have told.
func TestSettleAfterRestore(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundredsAtRisk)
	c.must(c.adjust(400))
	p := c.player("s2", "b1", 2)
	p.greet()
	c.leasing.awaited[p.origin.Agent] = true
	c.receive(c.risky(p, 300, 300))
	if got := c.risks(p); got != "{300 0} {300 0}" {
		t.Fatalf("settled as %s before the stores told", got)
	}
	c.exposed(t, "unsettled", 1000, 300)
	delete(c.leasing.awaited, p.origin.Agent)
	c.must(c.lendTo(t.Context(), lender))
	if got := c.risks(p); got != "{300 300} {300 300}" {
		t.Fatalf("settled as %s", got)
	}
}
