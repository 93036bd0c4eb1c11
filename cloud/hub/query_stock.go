package hub

import (
	"context"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// LevelDocument is the level of an item in a store, with what online may still
// promise of it. As long as nothing is known of the store, as_of is null.
type LevelDocument struct {
	stock.Document
	Promisable protocol.Quantity `json:"promisable"`
	AsOf       *string           `json:"as_of"`
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
	var record *protocol.StoreRecord
	promises := h.promises(nil)
	c := h.connectionsOf(store)
	err := h.view(ctx, func(r ledger.Reader) error {
		if err := knownStore(r, store); err != nil {
			return err
		}
		streams, err := ledger.MachineStreams(r, store)
		if err != nil {
			return err
		}
		asOf = timeText(c.asOf(store, streams))
		if record, err = ledger.ReadStore(r, store); err != nil {
			return err
		}
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
		may := make([]protocol.Quantity, len(page))
		err = h.view(ctx, func(r ledger.Reader) (err error) {
			items, err = ledger.ReadItems(r, skus)
			promises.r = r
			for i := 0; i < len(page) && err == nil; i++ {
				may[i], err = promises.ofLevel(record, skus[i], items[i], &page[i].level)
			}
			return err
		})
		for i := 0; i < len(page) && err == nil; i++ {
			level, item := &page[i].level, items[i]
			meta := stock.Meta{Store: store, SKU: skus[i], Item: item, Policy: promises.policies.of(store, skus[i], item)}
			err = each(LevelDocument{Document: stock.NewDocument(meta, level), Promisable: may[i], AsOf: asOf})
		}
	}
	return err
}
