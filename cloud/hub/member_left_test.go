package hub

import (
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// told tells whether a store stands to be told of the member.
func (c *leaseCore) told(store protocol.StoreID) bool {
	var held *ledger.HeldMember
	c.must(c.view(c.t.Context(), func(r ledger.Reader) (err error) {
		held, err = ledger.ReadHeldMember(r, ledger.MemberAt{Store: store, Member: lender})
		return err
	}))
	return held != nil
}

// TestVisitsEnd: a store holds a visitor for 90 days after the last that happened
// there, and longer while it holds points; another event there begins a visit anew.
func TestVisitsEnd(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	expect := func(when string, want bool) {
		t.Helper()
		if got := c.told("s2"); got != want || !c.told("s1") {
			t.Fatalf("%s: the visited store is told: %v, want %v; the home store: %v", when, got, want, c.told("s1"))
		}
		if rep := c.verify(); len(rep.Differences) > 0 {
			t.Fatalf("%s: %v", when, rep.Differences)
		}
	}
	expect("before", false)
	a.greet()
	b.greet()
	c.second()
	c.shops(b, 700, 0)
	expect("a visit", true)
	c.days(80)
	expect("80 days later", true)
	c.shops(b, 10, 0)
	c.days(80)
	expect("80 days after the second visit", true)
	c.days(11)
	expect("91 days after it", false)
	c.restart()
	c.second()
	expect("a restart", false)
	b.greet()
	c.shops(b, 20, 0)
	expect("another visit", true)
	c.days(89)
	if _, err := c.visit(b, 200); err != nil {
		t.Fatal(err)
	}
	c.days(10)
	held := c.purse().left(b.origin.Inc) > 0
	expect("what is held there keeps it", held)
	if !held {
		t.Fatal("no lease was held")
	}
}
