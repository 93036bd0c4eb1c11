package till

import (
	"context"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// Stock is the level of an item in this store, found by any code of it. An
// item that the catalogue does not know has one where something moved it.
func (t *Till) Stock(ctx context.Context, code string) (stock.Document, error) {
	var doc stock.Document
	now := t.o.Now()
	err := t.o.Driver.View(ctx, func(r ledger.Reader) error {
		v := resolver{r: r, patterns: t.o.Patterns, nothing: "Nothing was changed."}
		all, err := v.resolve([]string{code})
		if err != nil {
			return err
		}
		f := all[0]
		kept, err := keeps(r, t.origin().Store, f.SKU)
		if err != nil {
			return err
		}
		switch {
		case f.err != nil && (f.Item != nil || !kept):
			return f.err
		case f.Item == nil && !kept:
			return v.errUnknown(code)
		}
		level, err := ledger.ReadLevel(r, t.origin().Store, f.SKU)
		if err != nil {
			return err
		}
		shop, err := t.readShop(r)
		if err != nil {
			return err
		}
		category := ""
		if f.Item != nil {
			category = f.Item.Category
		}
		policy, err := ledger.ReadPolicy(r, t.origin().Store, f.SKU, category)
		if err != nil {
			return err
		}
		doc = stock.NewDocument(stock.Meta{
			Store: t.origin().Store, SKU: f.SKU, Item: f.Item,
			Policy: stock.NewPolicy(policy), AsOf: shop.display(now),
		}, level)
		if f.Item == nil && f.GTIN != "" {
			doc.GTIN = &f.GTIN
		}
		return nil
	})
	return doc, err
}

// itemDocuments shows items with their price in force and what is on hand.
func (t *Till) itemDocuments(r ledger.Reader, skus []protocol.SKU) ([]stock.ItemDocument, error) {
	docs := make([]stock.ItemDocument, 0, len(skus))
	if len(skus) == 0 {
		return docs, nil
	}
	shop, err := t.readShop(r)
	if err != nil {
		return nil, err
	}
	items, err := ledger.ReadItems(r, skus)
	if err != nil {
		return nil, err
	}
	prices, err := ledger.ReadPrices(r, shop.zone, skus)
	if err != nil {
		return nil, err
	}
	levels, err := ledger.ReadLevels(r, t.origin().Store, skus)
	if err != nil {
		return nil, err
	}
	now := t.o.Now()
	for i, it := range items {
		if it != nil {
			docs = append(docs, stock.NewItemDocument(it, shop.priceInForce(it, prices[i], now), shop.record.Currency, levels[i].OnHand()))
		}
	}
	return docs, nil
}
