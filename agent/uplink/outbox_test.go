package uplink_test

import (
	"slices"
	"testing"

	"counterpart/agent/uplink"
	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// TestHelloListsWhatCanBeCarried: a stream of the hub of which nothing is kept is
// not listed, since the hub begins one at each of its starts; a sibling's always
// is. Of too many the hub's first are left out.
func TestHelloListsWhatCanBeCarried(t *testing.T) {
	db := ledger.NewMemory()
	log := func(agent protocol.AgentID, inc int) protocol.Inc {
		t.Helper()
		o := protocol.Origin{Store: engineOrigin.Store, Agent: agent, Inc: protocol.Inc{0: byte(inc >> 8), 1: byte(inc), 15: 1}}
		err := db.Update(t.Context(), func(tx ledger.Tx) error {
			_, err := ledger.Log(tx, o, protocol.Clock{WallMs: 1}, &protocol.Event{Kind: "of_a_later_version"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return o.Inc
	}
	trim := func(inc protocol.Inc) {
		t.Helper()
		err := db.Update(t.Context(), func(tx ledger.Tx) error {
			_, err := ledger.TrimEvents(tx, inc, 2, 100)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	listed := func() (incs []protocol.Inc) {
		t.Helper()
		heads, err := uplink.NewOutbox(db, engineOrigin).Others()
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range heads {
			incs = append(incs, h.Inc)
		}
		return incs
	}
	own := engineOrigin.Inc
	if err := db.Update(t.Context(), func(tx ledger.Tx) error {
		_, err := ledger.Log(tx, engineOrigin, protocol.Clock{WallMs: 1}, &protocol.Event{Kind: "of_a_later_version"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	sibling, old, kept := log("a7", 700), log(protocol.HubAgent, 1), log(protocol.HubAgent, 2)
	trim(sibling)
	trim(old)
	if got := listed(); !slices.Equal(got, []protocol.Inc{sibling, kept}) || slices.Contains(got, own) {
		t.Errorf("listed %v, want %v and %v", got, sibling, kept)
	}
	for i := range 256 {
		log(protocol.HubAgent, i)
	}
	got := listed()
	if len(got) != 256 || !slices.Contains(got, sibling) || slices.Contains(got, protocol.Inc{15: 1}) {
		t.Errorf("%d are listed, the sibling's %v, the hub's first %v", len(got), slices.Contains(got, sibling), slices.Contains(got, protocol.Inc{15: 1}))
	}
	var machines []protocol.AgentID
	if err := db.View(t.Context(), func(r ledger.Reader) error {
		streams, err := ledger.MachineStreams(r, engineOrigin.Store)
		for _, s := range streams {
			machines = append(machines, s.Origin.Agent)
		}
		return err
	}); err != nil || !slices.Equal(machines, []protocol.AgentID{engineOrigin.Agent, "a7"}) {
		t.Errorf("machines %v, %v", machines, err)
	}
}
