package hub

import (
	"time"

	"counterpart/protocol"
)

// priceInForce finds the price of a zone at a moment: of those in force, in the
// store's currency, the one that came into force last. Dates mean midnight at
// the store.
func priceInForce(list *protocol.PriceList, currency string, now time.Time, place *time.Location) *protocol.Price {
	if list == nil {
		return nil
	}
	var found *protocol.Price
	var since time.Time
	for i := range list.Prices {
		p := &list.Prices[i]
		from, ok := momentOf(p.From, place)
		if !ok || p.Currency != currency || now.Before(from) || found != nil && from.Before(since) {
			continue
		}
		if to, ok := momentOf(p.To, place); ok && !now.Before(to) {
			continue
		}
		found, since = p, from
	}
	return found
}

// momentOf reads an RFC 3339 time or a date at a place.
func momentOf(text string, place *time.Location) (time.Time, bool) {
	if t, err := time.ParseInLocation(time.DateOnly, text, place); err == nil {
		return t, true
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	return t, err == nil
}

// priceAt is what one unit of an item costs in a store now; nil where it has no
// price there. A price of the store's zone goes before the item's own, and a
// price in another currency than the store's is none.
func (h *Hub) priceAt(store *protocol.StoreRecord, item *protocol.Item, list *protocol.PriceList, now time.Time) *protocol.Money {
	place := h.timesOf(store).place
	if p := priceInForce(list, store.Currency, now, place); p != nil {
		amount := p.Amount
		return &amount
	}
	if item != nil && item.Price != nil && item.Currency == store.Currency {
		amount := *item.Price
		return &amount
	}
	return nil
}

// zoneOf is the price zone of a store.
func zoneOf(store *protocol.StoreRecord) protocol.ZoneID {
	if store.PriceZone == "" {
		return defaultZone
	}
	return store.PriceZone
}
