package hub

import (
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

const (
	expiring = `{"earn":[],"redeem":{"points":100,"value_minor":100,"minimum":100},"home_lease_cap":500,"expire_after_days":30,"valid_from":"2026-01-01"}`
	tiered   = `{"earn":[],"tiers":[{"name":"silver","points":500,"within_days":30,"factor_ppm":1200000},{"name":"gold","points":1000,"within_days":60,"factor_ppm":1500000}],"valid_from":"2026-01-01"}`
)

// days lets days go by, with the sweep of each.
func (c *leaseCore) days(n int) {
	for range n {
		c.time += 24 * time.Hour
		c.must(c.Tick(c.t.Context()))
		c.must(c.Tick(c.t.Context()))
	}
}

// shops is a receipt to the member now.
func (c *leaseCore) shops(p *player, earned, redeemed protocol.Points) {
	kind := protocol.SaleSale
	if earned < 0 {
		kind = protocol.SaleReturn
	}
	p.wallMs = c.now().UnixMilli()
	c.receive(c.sale(p, kind, earned, redeemed))
}

func (c *leaseCore) member() (m *protocol.Member) {
	c.must(c.view(c.t.Context(), func(r ledger.Reader) (err error) {
		m, _, err = ledger.ReadMember(r, lender)
		return err
	}))
	return m
}

// TestPointsExpire: what was earned and not spent in time goes, the oldest first;
// what a store holds is asked back before it goes, and nothing that is held goes.
func TestPointsExpire(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, expiring)
	a := c.player("s1", "a1", 1)
	a.greet()
	c.second()
	c.shops(a, 300, 0)
	c.days(20)
	c.shops(a, 400, 0)
	c.holds(t, "nothing is old", "s1/a1 500 active, of 700")
	c.shops(a, 0, 100) // of the first 300
	c.holds(t, "filled up", "s1/a1 500 active, of 600")
	c.days(11)
	// 200 of the first are left, of which 100 are free.
	c.holds(t, "what is free goes, the rest is asked for", "s1/a1 500 recalled, of 500")
	c.receive(a.closes(500, 1))
	c.holds(t, "what is left is lent again", "s1/a1 400 active, of 400")
	c.days(5)
	c.holds(t, "it goes once", "s1/a1 400 active, of 400")
	c.days(20)
	c.receive(a.closes(400, 2))
	c.holds(t, "all of it is old", "of 0")
	c.must(c.adjust(200))
	c.days(40)
	c.holds(t, "what people gave does not expire", "s1/a1 200 active, of 200")
}

// TestExpiryOffline: what a store that cannot be heard holds stays until it says
// that it was not spent.
func TestExpiryOffline(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, expiring)
	a := c.player("s1", "a1", 1)
	a.greet()
	c.second()
	c.shops(a, 500, 0)
	sold := c.sale(a, protocol.SaleSale, 0, 200) // and the line is cut
	c.days(40)
	c.holds(t, "it may have been spent", "s1/a1 500 recalled, of 500")
	c.receive(sold)
	c.holds(t, "it was", "s1/a1 300 recalled, of 300")
	c.receive(a.closes(300, 1))
	c.holds(t, "and goes", "of 0")
}

// TestTiers: a member rises with what receipts earn and falls when they are old, in
// a version of the member that the hub writes; profile and tier keep each other.
func TestTiers(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, tiered)
	a := c.player("s1", "a1", 1)
	a.greet()
	tier := func(when, want string) {
		t.Helper()
		if m := c.member(); m.Tier != want || m.Status != protocol.MemberActive || m.HomeStore != "s1" {
			t.Fatalf("%s: %+v, want tier %q", when, m, want)
		}
	}
	c.shops(a, 499, 0)
	tier("short of the first", "")
	c.shops(a, 1, 0)
	tier("the first", "silver")
	c.shops(a, -100, 0)
	tier("a return takes it back", "")
	c.days(10)
	c.shops(a, 600, 0)
	tier("both within 60 days", "gold")
	c.days(31)
	tier("still", "gold")
	c.days(20)
	tier("the older are older than 60 days", "")
	version := c.member().Version
	c.shops(a, 0, 0)
	c.days(3)
	if now := c.member().Version; now != version {
		t.Fatalf("version %d became %d and nothing had changed", version, now)
	}
	c.shops(a, 400, 0)
	tier("with the second, which is not that old", "gold")
	c.rules(`{"earn":[],"redeem":{"points":100,"value_minor":100,"minimum":100},"home_lease_cap":0,"valid_from":"2026-01-01"}`)
	c.second()
	tier("without tiers nobody has one", "")
}
