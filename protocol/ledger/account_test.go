package ledger_test

import (
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestWhoMayChangePoints has everybody write what is the hub's or the holder's to
// write: nobody's own log takes what no reader would fold.
func TestWhoMayChangePoints(t *testing.T) {
	d := ledger.NewMemory()
	till := protocol.Origin{Store: "s1", Agent: "a1", Inc: protocol.Inc{1}}
	hub := protocol.Origin{Store: "s1", Agent: protocol.HubAgent, Inc: protocol.Inc{2}}
	lease := func(change protocol.LeaseChange, points protocol.Points) *protocol.Event {
		return &protocol.Event{Kind: protocol.KindLease, Lease: &protocol.Lease{Member: "m-1", Holder: till.Inc, Change: change, Points: points}}
	}
	points := &protocol.Event{Kind: protocol.KindPointsChange, PointsChange: &protocol.PointsChange{Member: "m-1", Change: protocol.PointsAdjusted, Points: 70}}
	member := func(version uint32, card string) *protocol.Event {
		return &protocol.Event{Kind: protocol.KindMember, Member: &protocol.Member{ID: "m-1", Version: version, Status: protocol.MemberActive, Card: card}}
	}
	for _, c := range []struct {
		by    protocol.Origin
		event *protocol.Event
		may   bool
	}{
		{hub, lease(protocol.LeaseGranted, 100), true},
		{till, lease(protocol.LeaseGranted, 1000), false},
		{till, lease(protocol.LeaseCredited, 1000), false},
		{hub, lease(protocol.LeaseClosed, 1000), false},
		{till, lease(protocol.LeaseClosed, 30), true},
		{hub, points, true},
		{till, points, false},
		{till, member(1, "one"), true},
		{till, member(2, "two"), false},
		{hub, member(3, "three"), true},
	} {
		err := d.Update(t.Context(), func(tx ledger.Tx) error {
			_, err := ledger.Log(tx, c.by, protocol.Clock{}, c.event)
			return err
		})
		if (err == nil) != c.may {
			t.Errorf("%+v of %s: %v", c.event, c.by.Agent, err)
		}
	}
	err := d.View(t.Context(), func(r ledger.Reader) error {
		at := ledger.MemberAt{Store: "s1", Member: "m-1"}
		l, err := ledger.ReadLease(r, at, till.Inc)
		if err != nil || l.Left() != 70 {
			t.Errorf("of the lease %d are left, want 70: %v", l.Left(), err)
		}
		a, err := ledger.ReadAccount(r, at)
		if err != nil || a.Balance() != 70 {
			t.Errorf("the balance is %d, want 70: %v", a.Balance(), err)
		}
		m, store, err := ledger.ReadMember(r, "m-1")
		if err != nil || store != "s1" || m == nil || m.Card != "three" {
			t.Errorf("the member is %+v of %s: %v", m, store, err)
		}
		for card, want := range map[string]int{"one": 0, "two": 0, "three": 1} {
			if list, err := ledger.CardMembers(r, card); err != nil || len(list) != want {
				t.Errorf("card %s leads to %v, %v", card, list, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
