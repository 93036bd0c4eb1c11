package ledger_test

import (
	"slices"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestAMergeNeedsASmallerID: a member is merged into one with a smaller id, by the
// hub. What says anything else is stored and counts for nothing, so that no events in
// any order make a circle.
func TestAMergeNeedsASmallerID(t *testing.T) {
	hub := protocol.Origin{Store: "s1", Agent: protocol.HubAgent, Inc: protocol.Inc{1}}
	till := protocol.Origin{Store: "s1", Agent: "a1", Inc: protocol.Inc{2}}
	merged := func(id, into protocol.MemberID, version uint32) *protocol.Event {
		return &protocol.Event{Kind: protocol.KindMember, Member: &protocol.Member{ID: id, Version: version, Status: protocol.MemberMerged, Into: into}}
	}
	for _, c := range []struct {
		what   string
		by     protocol.Origin
		events []*protocol.Event
		dead   int
		group  []protocol.MemberID // of m-2
	}{
		{"the smaller id", hub, []*protocol.Event{merged("m-2", "m-1", 2)}, 0, []protocol.MemberID{"m-1", "m-2"}},
		{"a chain", hub, []*protocol.Event{merged("m-3", "m-2", 2), merged("m-2", "m-1", 2)}, 0, []protocol.MemberID{"m-1", "m-2", "m-3"}},
		{"the greater id", hub, []*protocol.Event{merged("m-2", "m-3", 2)}, 1, []protocol.MemberID{"m-2"}},
		{"a circle of two", hub, []*protocol.Event{merged("m-2", "m-1", 2), merged("m-1", "m-2", 2)}, 1, []protocol.MemberID{"m-1", "m-2"}},
		{"a circle of three", hub, []*protocol.Event{merged("m-1", "m-3", 2), merged("m-3", "m-2", 2), merged("m-2", "m-1", 2)}, 1, []protocol.MemberID{"m-1", "m-2", "m-3"}},
		{"itself", hub, []*protocol.Event{merged("m-2", "m-2", 2)}, 1, []protocol.MemberID{"m-2"}},
		{"nobody", hub, []*protocol.Event{merged("m-2", "", 2)}, 1, []protocol.MemberID{"m-2"}},
		{"a till's word", till, []*protocol.Event{merged("m-2", "m-1", 1)}, 1, []protocol.MemberID{"m-2"}},
		{"an earlier version", hub, []*protocol.Event{merged("m-2", "m-1", 3), {Kind: protocol.KindMember, Member: &protocol.Member{ID: "m-2", Version: 2, Status: protocol.MemberActive}}}, 0, []protocol.MemberID{"m-1", "m-2"}},
		{"undone", hub, []*protocol.Event{merged("m-2", "m-1", 2), {Kind: protocol.KindMember, Member: &protocol.Member{ID: "m-2", Version: 3, Status: protocol.MemberActive}}}, 0, []protocol.MemberID{"m-2"}},
	} {
		d := ledger.NewMemory()
		batch := ledger.Batch{Origin: c.by, First: 1, Prev: c.by.Genesis()}
		for _, ev := range c.events {
			body, err := protocol.EncodeEvent(ev)
			if err != nil {
				t.Fatal(err)
			}
			batch.Records = append(batch.Records, protocol.Record{Body: body})
		}
		err := d.Update(t.Context(), func(tx ledger.Tx) error {
			res, err := ledger.Apply(tx, batch)
			if res.Dead != c.dead || res.Applied != len(c.events) {
				t.Errorf("%s: of %d events %d are dead", c.what, res.Applied, res.Dead)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = d.View(t.Context(), func(r ledger.Reader) error {
			group, err := ledger.MemberGroup(r, "m-2")
			if !slices.Equal(group, c.group) {
				t.Errorf("%s: m-2 is one of %v", c.what, group)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := ledger.NewMemory().Update(t.Context(), func(tx ledger.Tx) error {
		_, err := ledger.Log(tx, hub, protocol.Clock{}, merged("m-1", "m-2", 2))
		return err
	})
	if err == nil {
		t.Error("the hub's own log takes what no reader would fold")
	}
}
