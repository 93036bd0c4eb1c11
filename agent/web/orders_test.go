package web

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// ordered is an order of three pens in some state of the hub and the store.
func ordered(id, hub, store string, picked protocol.Quantity) pickup.Document {
	d := pickup.Document{
		ID: protocol.OrderID(id), Number: "W-" + id, Method: protocol.InStore, HubState: hub, Currency: "GBP", TotalMinor: 750, PlacedAt: pointer("2026-11-21T11:55:00+00:00"),
		Payment: pickup.PaymentDocument{Status: "due"}, Shopper: pickup.ShopperDocument{Name: pointer("Ayla"), Phone: pointer("+994501234567")},
		Lines: []pickup.DocumentLine{{Line: 1, SKU: "PEN-01", Name: pointer("Pen"), Qty: 3000, PickedQty: picked, UnitPriceMinor: 250, AmountMinor: 750}},
	}
	if store != "" {
		d.StoreState = &store
	}
	return d
}

// TestStages shows each order where what is done next about it stands.
func TestStages(t *testing.T) {
	arrived := ordered("8", "paid", "ready", 3000)
	arrived.Arrival = &pickup.ArrivalDocument{Bay: pointer("3"), Car: pointer("red")}
	early := ordered("9", "paid", "accepted", 0)
	early.Arrival = &pickup.ArrivalDocument{}
	for _, c := range []struct {
		order pickup.Document
		stage string // empty: there is nothing to do
	}{
		{ordered("1", "placed", "", 0), stageNew},
		{ordered("1", "placed", "received", 0), stageNew},
		{ordered("2", "paid", "accepted", 0), stagePick},
		{ordered("3", "paid", "picking", 0), stagePicking},
		{ordered("4", "paid", "picked", 3000), stagePicked},
		{ordered("4", "paid", "partially_picked", 1000), stagePicked},
		{ordered("5", "paid", "ready", 3000), stageReady},
		{ordered("6", "cancel_requested", "ready", 3000), stagePutBack},
		{ordered("6", "expired", "picked", 3000), stagePutBack},
		{ordered("7", "cancel_requested", "accepted", 0), ""},
		{ordered("7", "paid", "rejected", 0), ""},
		{arrived, stageOutside},
		{early, stagePick},
	} {
		got, ok := viewOrder(&c.order, noon)
		if ok != (c.stage != "") || got.Stage != c.stage {
			t.Errorf("%s and %v: %q, want %q", c.order.HubState, c.order.StoreState, got.Stage, c.stage)
		}
	}
}

// TestAges says in words how an order stands against the time.
func TestAges(t *testing.T) {
	for _, c := range []struct{ placed, by, stage, text, look string }{
		{"2026-11-21T11:55:00+00:00", "", stageNew, "Ordered 5 min ago", "away"},
		{"2026-11-21T11:48:00+00:00", "", stageNew, "Hurry. Ordered 12 min ago", "trouble"},
		{"2026-11-21T11:30:00+00:00", "", stageNew, "Late. Ordered 30 min ago", "stopped"},
		{"2026-11-21T11:30:00+00:00", "", stageReady, "Ordered 30 min ago", "away"},
		{"2026-11-21T15:55:00+04:00", "2026-11-21T18:00:00+04:00", stageReady, "Ordered 5 min ago · until 18:00", "away"},
		{"2026-11-20T15:55:00+04:00", "2026-11-21T15:00:00+04:00", stageReady, "Late. Promised until 15:00", "stopped"},
		{"", "2026-11-22T15:00:00+04:00", stageNew, "until 22 Nov 15:00", "away"},
		{"2027-11-21T11:55:00+00:00", "", stageNew, "Ordered just now", "away"},
		{"", "", stageNew, "", "away"},
	} {
		d := pickup.Document{}
		if c.placed != "" {
			d.PlacedAt = &c.placed
		}
		if c.by != "" {
			d.PickupBy = &c.by
		}
		if text, look := age(&d, c.stage, noon); text != c.text || look != c.look {
			t.Errorf("%s until %s: %q %s, want %q %s", c.placed, c.by, text, look, c.text, c.look)
		}
	}
}

// TestOrdersPage shows what is to be paid for what was found, and lets no name
// be more than text.
func TestOrdersPage(t *testing.T) {
	evil := ordered(`x"><script>alert(1)</script>`, "paid", "picking", 0)
	evil.Number, evil.Picker = "\u202e<img src=x>", pointer("<b>s8</b>")
	evil.Shopper.Name, evil.Lines[0].Name = pointer("<i onclick=x>"), pointer(`"><script>`)
	s := &shop{status: Status{Store: "s1", Link: "online"}, orders: []pickup.Document{ordered("1", "placed", "ready", 2000), evil}, exceptions: 2}
	w := get(t, New(s.deps()), OrdersPath)
	page := w.Body.String()
	for _, want := range []string{
		"W-1", "Ayla", "…4567", "To pay £5.00", `value="5.00"`, `data-due="500"`, "2 of 3 found", "2 to resolve", "&lt;b&gt;s8&lt;/b&gt;", "is picking this order",
		`data-find="w-1 ayla 1 994501234567"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	for _, banned := range []string{"<script>", "<img", "<b>s8", "<i ", "\u202e", " style=", "javascript:"} {
		if strings.Contains(page, banned) {
			t.Errorf("the page holds %q", banned)
		}
	}
	if policy := w.Header().Get("Content-Security-Policy"); w.Code != http.StatusOK || policy != contentPolicy {
		t.Errorf("%d under %q", w.Code, policy)
	}
	s.err = errors.New("broken")
	if page := get(t, New(s.deps()), OrdersPath).Body.String(); !strings.Contains(page, `role="alert"`) || strings.Contains(page, "broken") {
		t.Error("that the orders cannot be read is not said, or too much of it")
	}
}

// TestSubstitutesOnThePage offers to take something else only where the shopper
// allows it, and shows what is in the bag as what it is.
func TestSubstitutesOnThePage(t *testing.T) {
	yields, strict, picked := ordered("1", "paid", "picking", 0), ordered("2", "paid", "picking", 0), ordered("3", "paid", "picked", 3000)
	yields.Substitutes, picked.Substitutes = true, true
	picked.Lines[0].Substitutes = []pickup.SubstituteDocument{{SKU: "CUP", Name: pointer("<b>Cup"), Qty: 2000}}
	s := &shop{status: Status{Store: "s1", Link: "online"}, orders: []pickup.Document{yields, strict, picked}}
	page := get(t, New(s.deps()), OrdersPath).Body.String()
	for text, times := range map[string]int{
		"Substitutes allowed": 1, "No substitutes": 1, `id="instead-1-1"`: 1, `id="instead-2-1"`: 0, "instead of <bdi>Pen</bdi>": 1, "&lt;b&gt;Cup": 1, "<b>Cup": 0,
	} {
		if n := strings.Count(page, text); n != times {
			t.Errorf("the page holds %q %d times, not %d", text, n, times)
		}
	}
	all, _ := viewOrder(&picked, noon)
	if len(all.Lines) != 2 || all.Lines[0].Qty != "1" || all.Lines[1].Qty != "2" || all.Lines[0].Short {
		t.Errorf("in the bag: %+v", all.Lines)
	}
	picked.Lines[0].Substitutes[0].Qty = 3000
	if swapped, _ := viewOrder(&picked, noon); len(swapped.Lines) != 1 || swapped.Lines[0].Instead != "Pen" || swapped.Mark == all.Mark {
		t.Errorf("in the bag: %+v", swapped.Lines)
	}
}
