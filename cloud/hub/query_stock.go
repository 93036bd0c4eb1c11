package hub

import (
	"context"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// LevelDocument is the level of an item in a store, with what online may still
// promise of it.
type LevelDocument struct {
	Store            protocol.StoreID  `json:"store"`
	SKU              protocol.SKU      `json:"sku"`
	GTIN             *string           `json:"gtin"`
	Name             *string           `json:"name"`
	Unit             protocol.Unit     `json:"unit"`
	OnHand           protocol.Quantity `json:"on_hand"`
	Committed        protocol.Quantity `json:"committed"`
	Staged           protocol.Quantity `json:"staged"`
	Damaged          protocol.Quantity `json:"damaged"`
	QualityControl   protocol.Quantity `json:"quality_control"`
	SafetyStock      protocol.Quantity `json:"safety_stock"`
	Incoming         protocol.Quantity `json:"incoming"`
	Available        protocol.Quantity `json:"available"`
	Allotment        protocol.Quantity `json:"allotment"`
	Promisable       protocol.Quantity `json:"promisable"`
	RecountSuggested bool              `json:"recount_suggested"`
	AsOf             *string           `json:"as_of"`
}

// scanPage is how many rows are read in one view while a listing is sent.
const scanPage = 500

// Stock hands each level of a store to each, in the order of SKU bytes. The
// levels are all of one moment. No view is held while each runs, since whoever
// reads the listing may be slow.
func (h *Hub) Stock(ctx context.Context, store protocol.StoreID, each func(any) error) error {
	type row struct {
		sku   protocol.SKU
		level stock.Level
	}
	var rows []row
	var asOf *string
	c := h.connections()
	err := h.view(ctx, func(r ledger.Reader) error {
		if err := knownStore(r, store); err != nil {
			return err
		}
		streams, err := ledger.Streams(r, store, "")
		if err != nil {
			return err
		}
		asOf = timeText(c.asOf(streams))
		return ledger.ScanLevels(r, store, func(sku protocol.SKU, level *stock.Level) (bool, error) {
			rows = append(rows, row{sku, *level})
			return true, nil
		})
	})
	for len(rows) > 0 && err == nil {
		page := rows[:min(len(rows), scanPage)]
		rows = rows[len(page):]
		skus := make([]protocol.SKU, len(page))
		for i := range page {
			skus[i] = page[i].sku
		}
		var items []*protocol.Item
		err = h.view(ctx, func(r ledger.Reader) (err error) {
			items, err = ledger.ReadItems(r, skus)
			return err
		})
		for i := 0; i < len(page) && err == nil; i++ {
			doc := levelDocument(store, page[i].sku, &page[i].level, items[i])
			doc.AsOf = asOf
			err = each(doc)
		}
	}
	return err
}

func levelDocument(store protocol.StoreID, sku protocol.SKU, level *stock.Level, item *protocol.Item) LevelDocument {
	doc := LevelDocument{
		Store: store, SKU: sku, Unit: protocol.Each,
		OnHand: level.OnHand(), Committed: level.Quantity(protocol.Committed), Staged: level.Quantity(protocol.Staged),
		Damaged: level.Quantity(protocol.Damaged), QualityControl: level.Quantity(protocol.QualityControl),
		Incoming: level.Quantity(protocol.Incoming), SafetyStock: safetyStock,
		Available: level.Available(safetyStock), Allotment: level.Allotment(safetyStock), Promisable: promisable(level, item),
		RecountSuggested: level.RecountSuggested(),
	}
	if item != nil {
		doc.GTIN, doc.Name, doc.Unit = orNull(item.GTIN), orNull(item.Name), item.Unit
	}
	return doc
}
