package hub

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// fewAtMost is what counts as limited availability.
const fewAtMost protocol.Quantity = 2000

// AvailabilityQuery asks where an item is: in one store, or in the stores near
// a place.
type AvailabilityQuery struct {
	Code     string
	Store    protocol.StoreID // empty: near Lat, Lon
	Lat, Lon float64
	RadiusKm float64
	Limit    int
}

// AvailabilityDocument says where an item is.
type AvailabilityDocument struct {
	SKU     protocol.SKU         `json:"sku"`
	GTIN    *string              `json:"gtin"`
	Name    string               `json:"name"`
	Unit    protocol.Unit        `json:"unit"`
	Results []AvailabilityResult `json:"results"`
}

// AvailabilityResult says what online may promise of an item from one store.
type AvailabilityResult struct {
	Store        protocol.StoreID  `json:"store"`
	Name         string            `json:"name"`
	DistanceKm   *float64          `json:"distance_km"`
	PriceMinor   *protocol.Money   `json:"price_minor"`
	Currency     string            `json:"currency"`
	Promisable   protocol.Quantity `json:"promisable"`
	Availability string            `json:"availability"`
	Link         string            `json:"link"`
	AsOf         *string           `json:"as_of"`
	AgeS         *int64            `json:"age_s"`
	Freshness    string            `json:"freshness"`
}

// Availability answers where an item is, the nearest store first. Stores that
// have none are listed as well.
func (h *Hub) Availability(ctx context.Context, q AvailabilityQuery) (AvailabilityDocument, error) {
	doc := AvailabilityDocument{Results: []AvailabilityResult{}}
	err := h.view(ctx, func(r ledger.Reader) error {
		r = ledger.Live(r)
		item, err := namedByCode(r, q.Code)
		if err != nil {
			return err
		}
		doc.SKU, doc.GTIN, doc.Name, doc.Unit = item.SKU, orNull(item.GTIN), item.Name, item.Unit
		places, err := h.places(r, q)
		if err != nil {
			return err
		}
		promises, prices := h.promises(r), zonePrices{}
		if promises.streams, err = h.streamsOf(r, len(places)); err != nil {
			return err
		}
		doc.Results = make([]AvailabilityResult, len(places))
		for i := range places {
			if err := promises.availability(item, &places[i], prices, &doc.Results[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return doc, err
}

// namedByCode is the item that a code of a request names.
func namedByCode(r ledger.Reader, code string) (*protocol.Item, error) {
	o, ok, err := owner(r, code)
	if errors.Is(err, errAmbiguous) {
		return nil, protocol.Refuse(protocol.Conflict, "More than one item carries code "+clip(code)+". Ask for the item by its SKU.").With("value", clip(code))
	}
	if err != nil {
		return nil, err
	}
	var item *protocol.Item
	if ok {
		if item, err = ledger.ReadItem(r, o.SKU); err != nil {
			return nil, err
		}
	}
	if item == nil {
		return nil, protocol.Refuse(protocol.UnknownCode, "No item has code "+clip(code)+". Check it, or import the item first.").With("value", clip(code))
	}
	return item, nil
}

// place is a store with its distance from where somebody asks.
type place struct {
	store    protocol.StoreRecord
	distance *float64
}

func (h *Hub) places(r ledger.Reader, q AvailabilityQuery) ([]place, error) {
	if q.Store != "" {
		if err := knownStore(r, q.Store); err != nil {
			return nil, err
		}
		record, err := ledger.ReadStore(r, q.Store)
		if err != nil {
			return nil, err
		}
		return []place{{store: *record}}, nil
	}
	type found struct {
		store    *protocol.StoreRecord
		distance float64
	}
	var near []found
	err := ledger.ScanStoresBy(r, h.stores.decode, func(s *protocol.StoreRecord) (bool, error) {
		if s.Lat == nil || s.Lon == nil {
			return true, nil
		}
		if km := distanceKm(q.Lat, q.Lon, *s.Lat, *s.Lon); km <= q.RadiusKm {
			near = append(near, found{s, km})
		}
		return true, nil
	})
	slices.SortFunc(near, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.store.ID, b.store.ID))
	})
	near = near[:min(len(near), q.Limit)]
	list := make([]place, len(near))
	for i := range near {
		list[i] = place{store: *near[i].store, distance: &near[i].distance}
	}
	return list, err
}

// earthRadiusKm is the mean radius of the earth.
const earthRadiusKm = 6371.0088

// distanceKm is the way over a sphere between two places (haversine), to a
// metre.
func distanceKm(lat1, lon1, lat2, lon2 float64) float64 {
	const radian = math.Pi / 180
	dLat, dLon := (lat2-lat1)*radian/2, (lon2-lon1)*radian/2
	a := math.Sin(dLat)*math.Sin(dLat) + math.Cos(lat1*radian)*math.Cos(lat2*radian)*math.Sin(dLon)*math.Sin(dLon)
	return math.Round(2*earthRadiusKm*math.Asin(math.Sqrt(min(1, a)))*1000) / 1000
}

// zonePrices are the prices of one item by zone, each read once.
type zonePrices map[protocol.ZoneID]*protocol.PriceList

func (z zonePrices) in(r ledger.Reader, zone protocol.ZoneID, sku protocol.SKU) (*protocol.PriceList, error) {
	if list, known := z[zone]; known {
		return list, nil
	}
	lists, err := ledger.ReadPrices(r, zone, []protocol.SKU{sku})
	if err != nil {
		return nil, err
	}
	z[zone] = lists[0]
	return lists[0], nil
}

// availability fills in what online may promise of an item from one store.
func (p *promiser) availability(item *protocol.Item, at *place, prices zonePrices, result *AvailabilityResult) error {
	store := &at.store
	result.Store, result.Name, result.DistanceKm, result.Currency = store.ID, store.Name, at.distance, store.Currency
	price, err := prices.in(p.r, zoneOf(store), item.SKU)
	if err != nil {
		return err
	}
	if result.Promisable, err = p.of(store, item.SKU, item); err != nil {
		return err
	}
	look, err := p.look(store)
	if err != nil {
		return err
	}
	state := look.connections.store(store, look.streams)
	result.PriceMinor = p.h.priceAt(store, item, price, look.now)
	result.Availability = availabilityWord(result.Promisable)
	result.Link, result.AsOf = state.link, timeText(state.asOf)
	result.AgeS, result.Freshness = look.freshness(state.asOf)
	return nil
}

func availabilityWord(q protocol.Quantity) string {
	switch {
	case q <= 0:
		return "out_of_stock"
	case q <= fewAtMost:
		return "limited_availability"
	}
	return "in_stock"
}
