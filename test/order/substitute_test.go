package order_test

import (
	"errors"
	"testing"
)

// swapped is what the test looks at of an order with substitutes.
type swapped struct {
	order
	Substitutes bool `json:"substitutes"`
	Lines       []struct {
		PickedQty   float64 `json:"picked_qty"`
		Substitutes []struct {
			SKU  string  `json:"sku"`
			GTIN string  `json:"gtin"`
			Name string  `json:"name"`
			Qty  float64 `json:"qty"`
		} `json:"substitutes"`
	} `json:"lines"`
}

// TestSubstituteOfADueOrder takes something else in the place of what was ordered,
// through both programs: the refusals, the receipt at the ordered price, a return,
// and a stock on which both sides agree.
func TestSubstituteOfADueOrder(t *testing.T) {
	c := open(t)
	// Two items that are sold by the piece, and one that is weighed.
	each, other, weighed := -1, -1, -1
	for i := range c.items {
		switch unit := c.items[i].Unit; {
		case unit != "each":
			weighed = i
		case each < 0:
			each = i
		default:
			other = i
		}
	}
	if other < 0 {
		t.Fatalf("too few items by the piece: %+v", c.items)
	}
	ordered, taken := c.items[each], c.items[other]
	var o swapped
	request := c.request("due", []line{{ordered.GTIN, 3}})
	strict := c.place("due", line{ordered.GTIN, 1})
	request["substitutes"] = true
	c.send(c.hub.Client, "/v1/orders", request, &o)
	c.has(o.ID)
	c.has(strict.ID)
	pick := func(id string, lines ...map[string]any) error {
		return c.try(c.agent.Client, "/v1/orders/"+id+"/pick", map[string]any{"staff": "s7", "lines": lines}, &o)
	}
	instead := func(code string, qty float64) map[string]any {
		return map[string]any{"line": 1, "qty": qty, "code": code}
	}
	c.refused(pick(strict.ID, instead(taken.GTIN, 1)), "conflict")
	c.refused(pick(o.ID, instead(ordered.GTIN, 1)), "out_of_range")
	c.refused(pick(o.ID, instead("nobody knows it", 1)), "unknown_code")
	c.refused(pick(o.ID, instead(taken.GTIN, 4)), "out_of_range")
	if weighed >= 0 {
		c.refused(pick(o.ID, instead(c.items[weighed].SKU, 1)), "conflict")
	}
	c.must(pick(o.ID, map[string]any{"line": 1, "qty": 1}, instead(taken.GTIN, 2)))
	if len(o.Lines[0].Substitutes) != 1 || o.StoreState != "picked" {
		t.Fatalf("picked: %+v", o)
	}
	c.act(o.ID, "hand-over", map[string]any{
		"staff": "s7", "pickup_code": o.PickupCode, "check": map[string]any{"phone_digits": "4567"}, "tenders": []map[string]any{{"type": "card", "amount_minor": 3 * ordered.Price}},
	})
	c.send(c.agent.Client, "/v1/returns", map[string]any{
		"order_id": o.ID, "lines": []map[string]any{{"line": 1, "qty": 1, "code": taken.GTIN, "to": "on_hand"}}, "tenders": []map[string]any{{"type": "card", "amount_minor": ordered.Price}},
	}, nil)
	c.settle()
	if got := c.level(taken.SKU); got != [3]int64{9, 0, 0} {
		t.Errorf("what was taken: %v on hand, committed and staged", got)
	}
	var at swapped
	c.must(c.hub.Get(t.Context(), "/v1/orders/"+o.ID, &at))
	if sub := at.Lines[0].Substitutes; at.StoreState != "picked_up" || !at.Substitutes || at.Lines[0].PickedQty != 3 || len(sub) != 1 || sub[0].SKU != taken.SKU || sub[0].Qty != 2 || sub[0].Name != taken.Name {
		t.Errorf("at the hub: %+v", at)
	}
	c.must(errors.Join(c.agent.Stop(), c.hub.Stop(), c.agent.Verify(t.Context())))
}
