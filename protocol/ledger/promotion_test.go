package ledger_test

import (
	"fmt"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// promotionsOf are the promotions that a ledger lists for a zone, each with its
// amount.
func promotionsOf(t *testing.T, d ledger.Driver, zone protocol.ZoneID) string {
	t.Helper()
	var found []string
	view(t, d, func(r ledger.Reader) error {
		list, err := ledger.Promotions(r, zone)
		for _, p := range list {
			found = append(found, fmt.Sprintf("%s=%d", p.ID, p.Amount))
		}
		return err
	})
	return strings.Join(found, " ")
}

// TestPromotionsReachAgents takes promotions down on the feed of their zone and
// of no other. One is replaced by its id, taken away by a row that says nothing,
// and all are given up with the snapshot that lacks them.
func TestPromotionsReachAgents(t *testing.T) {
	hub, agent := ledger.NewMemory(), ledger.NewMemory()
	o := protocol.Origin{Store: protocol.ChainStore, Agent: protocol.HubAgent, Inc: protocol.Inc{1}}
	feed := protocol.PriceFeed("uk")
	off := func(zone protocol.ZoneID, id protocol.PromotionID, amount protocol.Money) protocol.Promotion {
		return protocol.Promotion{Zone: zone, ID: id, Kind: protocol.AmountOff, Amount: amount}
	}
	set := func(rows ...protocol.Promotion) {
		t.Helper()
		update(t, hub, func(tx ledger.Tx) error {
			_, err := ledger.Log(tx, o, protocol.Clock{}, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Promotions: rows}})
			return err
		})
		at := cursorOf(t, agent, feed)
		var delta *protocol.Delta
		view(t, hub, func(r ledger.Reader) (err error) {
			delta, err = ledger.ReadDelta(r, feed, 1, at.Offset)
			return err
		})
		update(t, agent, func(tx ledger.Tx) error { _, err := ledger.ApplyDelta(tx, delta, delta.Upto); return err })
	}
	set(off("uk", "b", 1), off("uk", "a", 2), off("fr", "a", 3), off("uk", "c", 4))
	set(off("uk", "b", 5), protocol.Promotion{Zone: "uk", ID: "c"})
	for _, d := range []ledger.Driver{hub, agent} {
		if got := promotionsOf(t, d, "uk"); got != "a=2 b=5" {
			t.Errorf("listed as %s", got)
		}
		view(t, d, func(r ledger.Reader) error {
			report, err := ledger.Verify(r)
			if err == nil && !report.OK() {
				t.Errorf("verify: %v", report.Differences)
			}
			return err
		})
	}
	if got := promotionsOf(t, agent, "fr"); got != "" {
		t.Errorf("the agent has %s of another zone", got)
	}
	pos := protocol.FeedPos{Feed: feed, Epoch: 2, Offset: 1}
	update(t, agent, func(tx ledger.Tx) error { _, err := ledger.BeginShadow(tx, pos, "sum"); return err })
	update(t, agent, func(tx ledger.Tx) error {
		return ledger.LoadShadow(tx, &protocol.Delta{Feed: feed, Epoch: 2, Upto: 1})
	})
	update(t, agent, func(tx ledger.Tx) error { _, err := ledger.SwapShadow(tx, pos); return err })
	if got := promotionsOf(t, agent, "uk"); got != "" {
		t.Errorf("after a snapshot without promotions: %s", got)
	}
	for more := true; more; {
		update(t, agent, func(tx ledger.Tx) (err error) { more, err = ledger.Sweep(tx, 1); return err })
	}
	view(t, agent, func(r ledger.Reader) error {
		return r.Scan(ledger.States, "promotion", "promotioo", func(id string, _ []byte) (bool, error) {
			t.Errorf("row %q is left", id)
			return true, nil
		})
	})
}

// TestI18_PromotionThatCannotBeRead: it is set aside and holds up nothing (I18).
func TestI18_PromotionThatCannotBeRead(t *testing.T) {
	good, err := protocol.EncodePromotion(&protocol.Promotion{Zone: "uk", ID: "b", Kind: "later", Amount: 5})
	if err != nil {
		t.Fatal(err)
	}
	d := ledger.NewMemory()
	update(t, d, func(tx ledger.Tx) error {
		_, err := ledger.ApplyDelta(tx, &protocol.Delta{Feed: protocol.PriceFeed("uk"), Epoch: 1, Upto: 2, Rows: []protocol.FeedRow{
			{Offset: 1, Key: "promotion/a", Value: []byte{0xff}}, {Offset: 2, Key: "promotion/b", Value: good},
		}}, 2)
		return err
	})
	view(t, d, func(r ledger.Reader) error {
		asides, err := ledger.Asides(r)
		if len(asides) != 1 {
			t.Errorf("%d parts were set aside", len(asides))
		}
		return err
	})
	if got := promotionsOf(t, d, "uk"); got != "b=5" {
		t.Errorf("read as %s", got)
	}
}
