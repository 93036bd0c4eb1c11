package ledger_test

import (
	"fmt"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// policyOf is the safety stock of each row that an agent finds for an item, the
// one that names most first.
func policyOf(t *testing.T, d ledger.Driver, sku protocol.SKU, category string) string {
	t.Helper()
	var found []string
	view(t, d, func(r ledger.Reader) error {
		rows, err := ledger.ReadPolicy(r, "s1", sku, category)
		for _, p := range rows {
			if p == nil {
				found = append(found, "-")
			} else {
				found = append(found, p.SafetyStock.String())
			}
		}
		return err
	})
	return strings.Join(found, " ")
}

// TestPolicyReachesAgents takes rows of the policy down: what is about all stores
// on the catalogue's feed, what is about one store on that store's, each replaced,
// taken away, and given up with the snapshot that lacks it.
func TestPolicyReachesAgents(t *testing.T) {
	hub, agent := ledger.NewMemory(), ledger.NewMemory()
	o := protocol.Origin{Store: protocol.ChainStore, Agent: protocol.HubAgent, Inc: protocol.Inc{1}}
	set := func(rows ...protocol.PolicyRow) {
		t.Helper()
		update(t, hub, func(tx ledger.Tx) error {
			_, err := ledger.Log(tx, o, protocol.Clock{}, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Policies: rows}})
			return err
		})
		for _, feed := range []protocol.FeedID{protocol.FeedCatalog, protocol.StoreFeed("s1")} {
			at := cursorOf(t, agent, feed)
			var delta *protocol.Delta
			view(t, hub, func(r ledger.Reader) (err error) { delta, err = ledger.ReadDelta(r, feed, 1, at.Offset); return err })
			update(t, agent, func(tx ledger.Tx) error { _, err := ledger.ApplyDelta(tx, delta, delta.Upto); return err })
		}
	}
	row := func(store protocol.StoreID, category string, sku protocol.SKU, safety protocol.Quantity) protocol.PolicyRow {
		safety *= 1000
		return protocol.PolicyRow{Store: store, Category: category, SKU: sku, SafetyStock: &safety}
	}
	set(row("", "", "", 1), row("s1", "", "", 2), row("s2", "", "", 9), row("", "toys/a", "", 3), row("s1", "toys/a", "", 4), row("", "", "A/B", 5), row("s1", "", "A/B", 6))
	for _, at := range []struct{ sku, category, want string }{
		{"A/B", "toys/a", "6 5 4 3 2 1"}, {"C", "toys/a", "- - 4 3 2 1"}, {"C", "", "- - 2 1"}, {"A/B", "toys", "6 5 - - 2 1"},
	} {
		if got := policyOf(t, agent, protocol.SKU(at.sku), at.category); got != at.want {
			t.Errorf("%s of %q: %s, want %s", at.sku, at.category, got, at.want)
		}
	}
	set(row("s1", "", "A/B", 7), protocol.PolicyRow{Category: "toys/a"}, protocol.PolicyRow{Store: "s1"})
	for _, d := range []ledger.Driver{agent, hub} {
		if got := policyOf(t, d, "A/B", "toys/a"); got != "7 5 4 - - 1" {
			t.Errorf("changed: %s", got)
		}
	}
	var listed []string
	view(t, hub, func(r ledger.Reader) error {
		return ledger.ScanPolicies(r, func(p *protocol.PolicyRow) (bool, error) {
			listed = append(listed, fmt.Sprintf("%s/%s/%s=%s", p.Store, p.Category, p.SKU, p.SafetyStock))
			return true, nil
		})
	})
	if got := strings.Join(listed, " "); got != "//=1 //A/B=5 s1/toys/a/=4 s1//A/B=7 s2//=9" {
		t.Errorf("the hub lists %s", got)
	}
	for _, feed := range []protocol.FeedID{protocol.FeedCatalog, protocol.StoreFeed("s1")} {
		pos := protocol.FeedPos{Feed: feed, Epoch: 2, Offset: 1}
		update(t, agent, func(tx ledger.Tx) error { _, err := ledger.BeginShadow(tx, pos, "sum"); return err })
		update(t, agent, func(tx ledger.Tx) error { return ledger.LoadShadow(tx, &protocol.Delta{Feed: feed, Epoch: 2, Upto: 1}) })
		update(t, agent, func(tx ledger.Tx) error { _, err := ledger.SwapShadow(tx, pos); return err })
	}
	if got := policyOf(t, agent, "A/B", "toys/a"); got != "- - - - - -" {
		t.Errorf("after snapshots without a policy: %s", got)
	}
	for more := true; more; {
		update(t, agent, func(tx ledger.Tx) (err error) { more, err = ledger.Sweep(tx, 1); return err })
	}
	view(t, agent, func(r ledger.Reader) error {
		return r.Scan(ledger.States, "policy", "policz", func(id string, _ []byte) (bool, error) {
			t.Errorf("row %q is left", id)
			return true, nil
		})
	})
	view(t, hub, func(r ledger.Reader) error {
		report, err := ledger.Verify(r)
		if err == nil && !report.OK() {
			t.Errorf("verify: %v", report.Differences)
		}
		return err
	})
}

// TestI18_PolicyRowThatCannotBeRead: it is set aside and holds up nothing (I18).
func TestI18_PolicyRowThatCannotBeRead(t *testing.T) {
	d := ledger.NewMemory()
	update(t, d, func(tx ledger.Tx) error {
		_, err := ledger.ApplyDelta(tx, &protocol.Delta{Feed: catalogFeed, Epoch: 1, Upto: 2, Rows: []protocol.FeedRow{
			{Offset: 1, Key: "policy/all", Value: []byte{0xff}}, itemRow(t, 2, "A", "A"),
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
	if got := policyOf(t, d, "A", ""); got != "- - - -" {
		t.Errorf("read as %s", got)
	}
}
