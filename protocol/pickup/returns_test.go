package pickup_test

import (
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/pickup"
)

// TestReturnsOver: what another part stands in for may have been handed over
// where nobody here knows of it.
func TestReturnsOver(t *testing.T) {
	at := func(part, insteadOf uint32, handed, elsewhere protocol.Quantity) pickup.State {
		return pickup.State{
			Order:  &protocol.Order{PartID: protocol.PartID{Order: "o-1", Part: part}, InsteadOf: insteadOf, Lines: []protocol.OrderLine{{Number: 1, Item: protocol.ItemRef{SKU: "PEN"}, Quantity: 3000}}},
			Handed: []protocol.Quantity{handed}, Elsewhere: []protocol.Quantity{elsewhere},
		}
	}
	as := func(s pickup.State, elsewhere protocol.Quantity) pickup.State {
		s.Order.Substitutes, s.Elsewhere[0] = true, elsewhere
		return s
	}
	for name, tt := range map[string]struct {
		parts []pickup.State
		over  bool
	}{
		"nothing is known":             {nil, false},
		"of the order nothing is here": {[]pickup.State{{}}, false},
		"it was not handed over":       {[]pickup.State{at(1, 0, 0, 0)}, true},
		"it was handed over":           {[]pickup.State{at(1, 0, 2000, 0)}, false},
		"one of it was":                {[]pickup.State{at(1, 0, 1000, 0)}, true},
		"each part handed over some":   {[]pickup.State{at(1, 0, 1000, 0), at(2, 0, 1000, 0)}, false},
		"another store stands in":      {[]pickup.State{at(1, 0, 0, 3000)}, false},
		"it may bring a substitute":    {[]pickup.State{as(at(1, 0, 0, 0), 1000)}, false},
		"nothing may bring one":        {[]pickup.State{as(at(1, 0, 0, 0), 0)}, true},
		"it stands in here, and waits": {[]pickup.State{at(1, 0, 0, 3000), at(2, 1, 0, 0)}, true},
		"it stands in and handed over": {[]pickup.State{at(1, 0, 0, 3000), at(2, 1, 3000, 0)}, false},
	} {
		r := &pickup.Returns{}
		for range 2 {
			r.Add(protocol.EventID{Inc: protocol.Inc{1}, Seq: 1}, &protocol.Sale{Lines: []protocol.SaleLine{{Item: protocol.ItemRef{SKU: "PEN"}, Quantity: -2000}}})
		}
		r, err := pickup.DecodeReturns(r.Encode())
		if err != nil || r.Of("PEN") != 2000 {
			t.Fatalf("%s came back: %v", r.Of("PEN"), err)
		}
		if got := r.Over(tt.parts); got != tt.over {
			t.Errorf("%s: over %v", name, got)
		}
	}
}
