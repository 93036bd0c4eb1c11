package hub

import (
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// awaited lists the machines of which a person is told that they are waited for.
func (c *leaseCore) awaited() (list []string) {
	rows, err := c.Exceptions(c.t.Context(), ledger.ExceptionOpen, Page{Limit: 100})
	c.must(err)
	for _, e := range rows.Items {
		if e.Kind == exceptionAgentAwaited {
			list = append(list, e.ID)
		}
	}
	return list
}

// TestI14_AwaitedMachineIsGivenUp: a hub that was put back lends nothing while a
// machine has not told what it holds. A person is told of one that does not come, and
// can say that it is gone; that holds after a restart too.
func TestI14_AwaitedMachineIsGivenUp(t *testing.T) {
	c := newLeaseCore(t, t.Fatal, hundreds)
	a, b := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	a.greet()
	b.greet()
	c.must(c.renew(t.Context(), c.Epoch()))
	c.must(c.adjust(700))
	a.greet()
	c.second()
	if list := c.awaited(); len(list) > 0 {
		t.Fatalf("at once: %v", list)
	}
	c.time += awaitedShownAfter
	c.second()
	list := c.awaited()
	if len(list) != 1 || !strings.Contains(list[0], "-b1-") {
		t.Fatalf("an hour later: %v", list)
	}
	c.holds(t, "one is waited for", "of 700")
	call := protocol.Call{Route: "resolve"}
	if _, err := c.HandleException(t.Context(), call, list[0], string(protocol.Assign), ledger.HandleRequest{Staff: "ann", Reason: "look"}); err != nil {
		t.Fatal(err)
	}
	c.second()
	c.holds(t, "somebody looks", "of 700")
	if _, err := c.HandleException(t.Context(), call, list[0], string(protocol.Resolve), ledger.HandleRequest{Staff: "ann", Reason: "the store burnt down"}); err != nil {
		t.Fatal(err)
	}
	c.second()
	c.holds(t, "it is gone", "s1/a1 500 active, of 700")
	c.restart()
	if c.leasing.awaited["b1"] {
		t.Fatal("a restart waits for it again")
	}
}
