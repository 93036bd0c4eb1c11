package hub

import (
	"reflect"
	"testing"
	"time"
)

// TestManyStoresAreSeenAsEachIs: what is read of many stores in one go is what is
// read of each by itself. A machine that was never heard, whose stream alone tells
// of it, is not overlooked.
func TestManyStoresAreSeenAsEachIs(t *testing.T) {
	h := fleetHub(t)
	now := h.now()
	a1, a2, dark := stream("s1", "a1", 1), stream("s2", "a2", 2), stream("s2", "b2", 3)
	receive(t, h, a1, "PEN", 31_000)
	receive(t, h, a2, "PEN", 9_000)
	receive(t, h, dark, "PEN", 2_000)
	seen(h, a1, linkOnline, now, now.Add(-4*time.Second), 1)
	seen(h, a2, linkOnline, now, now.Add(-time.Second), 1)
	same := func(names map[string]bool) {
		t.Helper()
		near, err := h.Availability(t.Context(), AvailabilityQuery{Code: "PEN", Lat: 51.5, Lon: -0.1, RadiusKm: 5000, Limit: 20})
		if err != nil || len(near.Results) != 3 {
			t.Fatalf("%+v, %v", near, err)
		}
		for _, at := range near.Results {
			one, err := h.Availability(t.Context(), AvailabilityQuery{Code: "PEN", Store: at.Store})
			if err != nil || len(one.Results) != 1 {
				t.Fatalf("%+v, %v", one, err)
			}
			at.DistanceKm = nil
			if !reflect.DeepEqual(at, one.Results[0]) {
				t.Errorf("among others %+v, by itself %+v", at, one.Results[0])
			}
			if !names[at.Name] {
				t.Errorf("store %s is called %s", at.Store, at.Name)
			}
			if at.Store == "s2" && at.AsOf != nil {
				t.Errorf("one machine of s2 was never heard, and all is known as of %s", *at.AsOf)
			}
			if at.Store == "s1" && at.AsOf == nil {
				t.Error("all machines of s1 were heard, and nobody knows when")
			}
		}
	}
	same(map[string]bool{"High Street": true, "Bridge": true, "Berlin": true})
	mustTakeIn(t, h, StoresTable, "id,name,timezone,lat,lon,currency,price_zone,primary_agent\ns1,Low Street,Europe/London,51.5074,-0.1278,GBP,,a1\n")
	same(map[string]bool{"Low Street": true, "Bridge": true, "Berlin": true})
}
