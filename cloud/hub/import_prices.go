package hub

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// datedMax is how many dated prices or rates one row of a feed may hold.
const datedMax = 4000

// defaultZone is the price zone of a store that names none.
const defaultZone = "default"

type pricePatch struct {
	zone     given[string]
	price    given[*protocol.Money]
	currency given[string]
	from, to given[string]
}

type priceKey struct {
	zone protocol.ZoneID
	sku  protocol.SKU
}

// ImportPrices takes in prices of zones. A row replaces the price of the same
// zone, item and valid_from.
func (h *Hub) ImportPrices(ctx context.Context, rows RowReader) (Report, error) {
	return importRows(ctx, h, rows, table[pricePatch]{parse: h.parsePrice, merge: h.mergePrices})
}

func (h *Hub) parsePrice(c *cells) pricePatch {
	p := pricePatch{
		zone: c.id("zone", ""), price: c.money("price_minor"), currency: c.currency("currency", h.currency),
		from: c.moment("valid_from"), to: c.moment("valid_to"),
	}
	switch code := c.row.cell("code"); {
	case c.err != nil:
	case p.zone.value == "":
		c.err = required("zone", c.row.cell("zone"))
	case code.text == "":
		c.err = required("code", code)
	case p.price.set && p.price.value == nil:
		c.err = required("price_minor", c.row.cell("price_minor"))
	case p.from.value == "":
		c.err = required("valid_from", c.row.cell("valid_from"))
	case len(p.to.value) == len(p.from.value) && p.to.value <= p.from.value:
		c.outOfRange("valid_to", "has to be after valid_from")
	}
	return p
}

func (h *Hub) mergePrices(tx ledger.Tx, changes []change[pricePatch], report *Report) (*protocol.Catalog, int, error) {
	prices := newDrafts[priceKey](protocol.EncodePriceList)
	taken := 0
	for _, c := range changes {
		if prices.bytes > chunkBytesMax {
			break
		}
		taken++
		sku, refused, err := namedItem(tx, &c.row)
		if err != nil {
			return nil, 0, err
		}
		if refused != nil {
			report.reject(c.row.Number, refused)
			continue
		}
		key := priceKey{protocol.ZoneID(c.patch.zone.value), sku}
		if err := loadPrices(tx, prices, key); err != nil {
			return nil, 0, err
		}
		list, _ := prices.get(key)
		list.Zone, list.SKU = key.zone, key.sku
		if list.Prices, refused = c.patch.onto(list.Prices, h.currency, &c.row); refused != nil {
			report.reject(c.row.Number, refused)
			continue
		}
		changed, err := prices.put(key, list)
		if err != nil {
			return nil, 0, err
		}
		report.count(changed)
	}
	return &protocol.Catalog{Prices: prices.changed()}, taken, nil
}

func loadPrices(r ledger.Reader, prices *drafts[priceKey, protocol.PriceList], key priceKey) error {
	if _, ok := prices.rows[key]; ok {
		return nil
	}
	stored, err := ledger.ReadPrices(r, key.zone, []protocol.SKU{key.sku})
	if err != nil {
		return err
	}
	return prices.stored(key, stored[0])
}

// onto returns the dated prices with this one in its place, by valid_from.
func (p *pricePatch) onto(prices []protocol.Price, currency string, row *Row) ([]protocol.Price, *RowError) {
	at, found := slices.BinarySearchFunc(prices, p.from.value, func(a protocol.Price, from string) int { return strings.Compare(a.From, from) })
	price := protocol.Price{Currency: currency, From: p.from.value}
	if found {
		price = prices[at]
	}
	switch {
	case p.price.set:
		price.Amount = *p.price.value
	case !found:
		return nil, required("price_minor", row.cell("price_minor"))
	}
	p.currency.onto(&price.Currency)
	p.to.onto(&price.To)
	prices = slices.Clone(prices)
	if found {
		prices[at] = price
		return prices, nil
	}
	if len(prices) >= datedMax {
		return nil, wrongRow(protocol.OutOfRangeCode, "would be one more than the "+strconv.Itoa(datedMax)+" dated prices that an item may have in a zone. It was not applied.")
	}
	return slices.Insert(prices, at, price), nil
}
