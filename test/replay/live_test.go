package main

import (
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/test/retail"
)

// TestLiveOrders plays a small made-up trade through real processes: sales and
// online orders from the same shelves, kills and cuts.
func TestLiveOrders(t *testing.T) {
	var out, complaints strings.Builder
	status := command(t.Context(), []string{
		"-orders", "-live", "-quiet", "-documents", "100", "-stores", "2", "-kills", "2", "-cuts", "4", "-seed", "1",
	}, &out, &complaints)
	t.Log("\n" + out.String())
	if status != 0 || !strings.Contains(out.String(), "Hub, agents and shelves agree") {
		t.Errorf("status %d: %s", status, complaints.String())
	}
}

// TestShelvesAreCompared holds orders that ended badly against what the hub says,
// and wants each to be named.
func TestShelvesAreCompared(t *testing.T) {
	collected := func(state string, picked int64) *orderDocument {
		return &orderDocument{ID: "o-1", HubState: state, Lines: []orderLine{{1, "A", 3 * piece, protocol.Quantity(picked) * piece, 100}}}
	}
	for _, c := range []struct {
		name    string
		paid    bool
		handed  int64
		doc     *orderDocument
		refunds int
		differs string // in what is said; empty for nothing
	}{
		{"whole", true, 3, collected("paid", 3), 0, ""},
		{"short and paid back", true, 2, collected("paid", 2), 1, ""},
		{"short and due", false, 2, collected("placed", 2), 0, ""},
		{"canceled", false, 0, collected("canceled", 0), 0, ""},
		{"refunded", true, 0, collected("refunded", 0), 1, ""},
		{"the hub knows of less", true, 3, collected("paid", 2), 0, "the hub has 2 "},
		{"still open", false, 0, collected("placed", 0), 0, "nothing was collected"},
		{"canceled and not paid back", true, 0, collected("canceled", 0), 1, "paid and not collected"},
		{"short and not paid back", true, 2, collected("paid", 2), 0, "0 refunds"},
		{"due and paid back", false, 2, collected("placed", 2), 1, "1 refunds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &finding{exceptions: map[string]int{}}
			f.order(&order{id: "o-1", paid: c.paid, wanted: map[string]int64{"A": 3}, handed: map[string]int64{"A": c.handed}}, c.doc, c.refunds)
			said := strings.Join(f.shown, "\n")
			if (c.differs == "") != (said == "") || !strings.Contains(said, c.differs) {
				t.Errorf("said %q, want %q", said, c.differs)
			}
		})
	}
}

// TestDealKeepsToTheFile deals documents out: none is lost, each line is wanted
// once, and another seed wants other lines online.
func TestDealKeepsToTheFile(t *testing.T) {
	in := &input{shops: make([]retail.Store, 2), items: []item{{SKU: "A", Price: 5}, {SKU: "B", Price: 7}, {SKU: "free"}}}
	for i := range 300 {
		in.baskets = append(in.baskets, basket{id: string(rune('a' + i)), shop: i % 2, lines: []line{{sku: "A", pieces: 1}, {sku: "B", pieces: 2}, {sku: "A", pieces: 3}, {sku: "free", pieces: 1}}})
	}
	in.baskets = append(in.baskets, basket{id: "back", kind: returned, lines: []line{{sku: "A", pieces: 1}}})
	count := func(seed uint64, most int) (documents int, walkIn, online int64) {
		for _, list := range deal(in, seed, most) {
			documents += len(list)
			for _, d := range list {
				walkIn, online = walkIn+sum(d.walkIn), online+sum(d.online)
			}
		}
		return documents, walkIn, online
	}
	documents, walkIn, online := count(1, 0)
	if documents != 300 || walkIn+online != 300*6 {
		t.Errorf("%d documents with %d and %d pieces", documents, walkIn, online)
	}
	if share := float64(online) / (300 * 6); share < 0.27 || share > 0.4 {
		t.Errorf("%.2f of the pieces are wanted online", share)
	}
	if _, _, other := count(2, 0); other == online {
		t.Error("another seed wants the same online")
	}
	if documents, _, _ = count(1, 50); documents != 50 {
		t.Errorf("%d documents instead of 50", documents)
	}
}
