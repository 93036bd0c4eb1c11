package hub

import (
	"context"
	"slices"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/pickup"
)

// shortLine is a line of which a store may not promise enough.
type shortLine struct {
	Line       int               `json:"line"`
	Promisable protocol.Quantity `json:"promisable"`
	Nearest    []nearStore       `json:"nearest"`

	item *protocol.Item
}

// nearStore is another store that has some.
type nearStore struct {
	Store      protocol.StoreID  `json:"store"`
	DistanceKm *float64          `json:"distance_km"`
	Promisable protocol.Quantity `json:"promisable"`
}

// nearestMax is how many other stores a refusal names.
const nearestMax = 3

// errShort says what is short and where else there is some.
func (h *Hub) errShort(r ledger.Reader, short []shortLine, store *protocol.StoreRecord) error {
	var names []string
	for i := range short {
		s := &short[i]
		s.Promisable, s.Nearest = max(0, s.Promisable), []nearStore{}
		if !slices.Contains(names, s.item.Name) {
			names = append(names, s.item.Name)
		}
		if store.Lat == nil || store.Lon == nil {
			continue
		}
		near, err := places(r, AvailabilityQuery{Lat: *store.Lat, Lon: *store.Lon, RadiusKm: orderRadiusKm, Limit: nearMax})
		if err != nil {
			return err
		}
		for _, p := range near {
			if p.store.ID == store.ID || len(s.Nearest) == nearestMax {
				continue
			}
			level, err := ledger.ReadLevel(r, p.store.ID, s.item.SKU)
			if err != nil {
				return err
			}
			if have := promisable(level, s.item); have > 0 {
				s.Nearest = append(s.Nearest, nearStore{Store: p.store.ID, DistanceKm: p.distance, Promisable: have})
			}
		}
	}
	return protocol.Refuse(protocol.Short, store.Name+" may not promise enough of "+strings.Join(names, ", ")+
		". Nothing was ordered. Order less, or from one of the stores that are named.").With("short", short)
}

// The stores that are looked through near a place.
const (
	nearMax       = 200
	orderRadiusKm = 50
)

// chooseStore finds the store near a place that can keep all of an order, by the
// rule that the request names. Where none can, the refusal is the nearest's.
func (h *Hub) chooseStore(ctx context.Context, r *pickup.PlaceRequest) (chosen protocol.StoreID, err error) {
	err = h.view(ctx, func(v ledger.Reader) error {
		near, err := places(v, AvailabilityQuery{Lat: r.Near.Lat, Lon: r.Near.Lon, RadiusKm: orderRadiusKm, Limit: nearMax})
		if err != nil {
			return err
		}
		if len(near) == 0 {
			return protocol.Refuse(protocol.UnknownStore, "There is no store within 50 km of that place. Nothing was ordered. Name a store.")
		}
		chosen = near[0].store.ID
		most := protocol.Quantity(-1)
		for i := range near {
			spare, err := h.spare(v, r, &near[i].store)
			if err != nil {
				return err
			}
			if spare < 0 || spare <= most {
				continue
			}
			chosen, most = near[i].store.ID, spare
			if r.Sourcing != pickup.SourcingMostStock {
				return nil
			}
		}
		return nil
	})
	return chosen, err
}

// spare is how much a store could still promise of the scarcest item of an order
// after keeping it; below zero where it cannot.
func (h *Hub) spare(r ledger.Reader, request *pickup.PlaceRequest, store *protocol.StoreRecord) (protocol.Quantity, error) {
	want := map[protocol.SKU]protocol.Quantity{}
	least := pickup.QuantityMax
	for i, l := range request.Lines {
		line, item, err := h.orderLine(r, l, store)
		if protocol.CodeOf(err) == protocol.PriceMissing {
			return -1, nil
		}
		if err != nil {
			return 0, atOrderLine(err, i+1)
		}
		want[item.SKU] += line.Quantity
		level, err := ledger.ReadLevel(r, store.ID, item.SKU)
		if err != nil {
			return 0, err
		}
		least = min(least, promisable(level, item)-want[item.SKU])
	}
	return least, nil
}
