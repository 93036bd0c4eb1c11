package hub

import (
	"context"

	"counterpart/protocol"
	"counterpart/protocol/gtin"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// LocalItem is an item in a store as search engines read it: a row of Google's
// local inventory.
type LocalItem struct {
	Store        protocol.StoreID
	SKU          protocol.SKU
	Quantity     int64 // whole units
	Price        string
	Currency     string
	Availability string
}

// localIDBytesMax is how long an item's id may be there.
const localIDBytesMax = 50

// LocalInventory hands each item that a store has on its books to each, by store
// and SKU. Left out is what has no price there, what is not kept in stock, and
// what has a name that others could misread: one that is too long, or a number
// that means something in one chain only. The levels of a store are all of one
// moment; no view is held while each runs.
func (h *Hub) LocalInventory(ctx context.Context, each func(LocalItem) error) error {
	var stores []protocol.StoreRecord
	err := h.view(ctx, func(r ledger.Reader) error {
		stores = nil
		return ledger.ScanStores(r, func(s *protocol.StoreRecord) (bool, error) {
			stores = append(stores, *s)
			return true, nil
		})
	})
	for i := 0; i < len(stores) && err == nil; i++ {
		err = h.localInventory(ctx, &stores[i], each)
	}
	return err
}

// localLevel is what a store may promise of an item.
type localLevel struct {
	sku   protocol.SKU
	level stock.Level
}

func (h *Hub) localInventory(ctx context.Context, store *protocol.StoreRecord, each func(LocalItem) error) error {
	var rows []localLevel
	err := h.view(ctx, func(r ledger.Reader) error {
		rows = nil
		return ledger.ScanLevels(r, store.ID, func(sku protocol.SKU, level *stock.Level) (bool, error) {
			if publicSKU(sku) {
				rows = append(rows, localLevel{sku, *level})
			}
			return true, nil
		})
	})
	for len(rows) > 0 && err == nil {
		page := rows[:min(len(rows), scanPage)]
		rows = rows[len(page):]
		var found []LocalItem
		err = h.view(ctx, func(r ledger.Reader) (err error) {
			found, err = h.localPage(r, store, page)
			return err
		})
		for i := 0; i < len(found) && err == nil; i++ {
			err = each(found[i])
		}
	}
	return err
}

// publicSKU tells whether others can tell an item by its SKU.
func publicSKU(sku protocol.SKU) bool {
	g, err := gtin.Parse(string(sku))
	return len(sku) <= localIDBytesMax && (err != nil || !g.Restricted())
}

func (h *Hub) localPage(r ledger.Reader, store *protocol.StoreRecord, page []localLevel) (list []LocalItem, err error) {
	skus := make([]protocol.SKU, len(page))
	for i := range page {
		skus[i] = page[i].sku
	}
	items, err := ledger.ReadItems(r, skus)
	if err != nil {
		return nil, err
	}
	prices, err := ledger.ReadPrices(r, zoneOf(store), skus)
	if err != nil {
		return nil, err
	}
	promises := h.promises(r)
	for i, item := range items {
		if item == nil || !item.Stocked {
			continue
		}
		price := h.priceAt(store, item, prices[i], h.now())
		if price == nil {
			continue
		}
		left, err := promises.ofLevel(store, skus[i], item, &page[i].level)
		if err != nil {
			return nil, err
		}
		left -= left % 1000 // a part of a unit is none to those who read this
		list = append(list, LocalItem{
			Store: store.ID, SKU: skus[i], Quantity: int64(left) / 1000, Price: price.Decimal(store.Currency), Currency: store.Currency,
			Availability: availabilityWord(left),
		})
	}
	return list, nil
}

// Things of schema.org.

const schemaOrg = "https://schema.org"

// schemaAvailability are its words for ours.
var schemaAvailability = map[string]string{
	"in_stock": schemaOrg + "/InStock", "limited_availability": schemaOrg + "/LimitedAvailability", "out_of_stock": schemaOrg + "/OutOfStock",
}

// unitCodes are UN/CEFACT's codes of our units.
var unitCodes = map[protocol.Unit]string{protocol.Each: "C62", protocol.Kg: "KGM", protocol.Litre: "LTR", protocol.Metre: "MTR"}

// ProductDocument is an item in a store as a Product of schema.org.
type ProductDocument struct {
	Context  string        `json:"@context"`
	Type     string        `json:"@type"`
	SKU      protocol.SKU  `json:"sku"`
	GTIN14   string        `json:"gtin14,omitempty"`
	Name     string        `json:"name"`
	Brand    *schemaBrand  `json:"brand,omitempty"`
	Category string        `json:"category,omitempty"`
	Offers   []schemaOffer `json:"offers"`
}

type schemaBrand struct {
	Type string `json:"@type"`
	Name string `json:"name"`
}

type schemaOffer struct {
	Type            string         `json:"@type"`
	Availability    string         `json:"availability"`
	Price           string         `json:"price,omitempty"`
	PriceCurrency   string         `json:"priceCurrency,omitempty"`
	InventoryLevel  schemaQuantity `json:"inventoryLevel"`
	AvailableAtFrom schemaStore    `json:"availableAtOrFrom"`
}

type schemaQuantity struct {
	Type     string            `json:"@type"`
	Value    protocol.Quantity `json:"value"`
	UnitCode string            `json:"unitCode"`
}

type schemaStore struct {
	Type       string         `json:"@type"`
	BranchCode string         `json:"branchCode"`
	Name       string         `json:"name"`
	Address    *schemaAddress `json:"address,omitempty"`
	Geo        *schemaGeo     `json:"geo,omitempty"`
}

type schemaAddress struct {
	Type     string `json:"@type"`
	Street   string `json:"streetAddress,omitempty"`
	Locality string `json:"addressLocality,omitempty"`
	Country  string `json:"addressCountry,omitempty"`
}

type schemaGeo struct {
	Type      string  `json:"@type"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// Product shows an item in a store to search engines, for the shop's page of it.
func (h *Hub) Product(ctx context.Context, code string, id protocol.StoreID) (doc ProductDocument, err error) {
	err = h.view(ctx, func(r ledger.Reader) error {
		item, err := namedByCode(r, code)
		if err != nil {
			return err
		}
		if err := knownStore(r, id); err != nil {
			return err
		}
		store, err := ledger.ReadStore(r, id)
		if err != nil {
			return err
		}
		prices, err := ledger.ReadPrices(r, zoneOf(store), []protocol.SKU{item.SKU})
		if err != nil {
			return err
		}
		left, err := h.promisable(r, store, item)
		if err != nil {
			return err
		}
		offer := schemaOffer{
			Type: "Offer", Availability: schemaAvailability[availabilityWord(left)], AvailableAtFrom: schemaStoreOf(store),
			InventoryLevel: schemaQuantity{Type: "QuantitativeValue", Value: left, UnitCode: unitCodes[item.Unit]},
		}
		if price := h.priceAt(store, item, prices[0], h.now()); price != nil {
			offer.Price, offer.PriceCurrency = price.Decimal(store.Currency), store.Currency
		}
		doc = ProductDocument{Context: schemaOrg, Type: "Product", SKU: item.SKU, GTIN14: item.GTIN, Name: item.Name, Category: item.Category, Offers: []schemaOffer{offer}}
		if item.Brand != "" {
			doc.Brand = &schemaBrand{Type: "Brand", Name: item.Brand}
		}
		return nil
	})
	return doc, err
}

func schemaStoreOf(s *protocol.StoreRecord) schemaStore {
	place := schemaStore{Type: "Store", BranchCode: string(s.ID), Name: s.Name}
	if s.Address != "" || s.City != "" || s.Country != "" {
		place.Address = &schemaAddress{Type: "PostalAddress", Street: s.Address, Locality: s.City, Country: s.Country}
	}
	if s.Lat != nil && s.Lon != nil {
		place.Geo = &schemaGeo{Type: "GeoCoordinates", Latitude: *s.Lat, Longitude: *s.Lon}
	}
	return place
}
