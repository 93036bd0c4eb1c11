package main

import (
	"cmp"
	"slices"
	"time"

	"counterpart/test/retail"
)

// readGrocery reads a grocery chain's file and keeps its busiest stores, which
// are those with most baskets. A row is a line of a basket with the amount that
// was paid for it.
func readGrocery(t *table, stores int) (*input, error) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		return nil, err
	}
	in := &input{format: "grocery", country: "US", timezone: zone.String(), skipped: map[string]int{}}
	var items catalogue
	at := map[string]int{}         // index into baskets, by identifier
	storeOf := map[string]string{} // by identifier of a basket
	var baskets []basket
	for t.next() {
		in.currencyOf(t)
		id, store, sku := t.text("basket"), t.text("store"), t.text("sku")
		pieces, amount := t.integer("qty"), t.integer("line_total_minor")
		i, ok := at[id]
		if !ok {
			i = len(baskets)
			at[id], storeOf[id] = i, store
			baskets = append(baskets, basket{id: id, customer: t.text("customer"), at: t.moment("timestamp", zone), kind: sold})
		}
		l := line{sku: sku, note: t.text("description"), pieces: pieces, amount: amount}
		if pieces != 0 && amount%pieces == 0 {
			price := amount / pieces
			l.price = &price
			items.add(sku, l.note, price)
		} else {
			items.add(sku, l.note, 0)
		}
		baskets[i].lines = append(baskets[i].lines, l)
	}
	if err := t.failure(); err != nil {
		return nil, err
	}
	in.items = items.list
	shopOf := in.openShops(busiest(storeOf, stores))
	for _, b := range baskets {
		shop, open := shopOf[storeOf[b.id]]
		if !open {
			continue
		}
		b.shop = shop
		in.keepSold(b)
	}
	return in, nil
}

// keepSold keeps a basket without the lines of which nothing was sold.
func (in *input) keepSold(b basket) {
	b.lines = slices.DeleteFunc(b.lines, func(l line) bool {
		if l.pieces == 0 {
			in.skipped["rows with quantity 0"]++
		}
		return l.pieces == 0
	})
	if len(b.lines) == 0 {
		in.skipped["baskets without any line"]++
		return
	}
	in.baskets = append(in.baskets, b)
}

// busiest are the n stores with most baskets, the busiest first.
func busiest(storeOf map[string]string, n int) []string {
	baskets := map[string]int{}
	for _, store := range storeOf {
		baskets[store]++
	}
	stores := make([]string, 0, len(baskets))
	for store := range baskets {
		stores = append(stores, store)
	}
	slices.SortFunc(stores, func(a, b string) int {
		return cmp.Or(cmp.Compare(baskets[b], baskets[a]), cmp.Compare(a, b))
	})
	return stores[:min(n, len(stores))]
}

// openShops makes a shop of each of the file's stores.
func (in *input) openShops(stores []string) map[string]int {
	shopOf := map[string]int{}
	for i, store := range stores {
		shopOf[store] = i
		shop := retail.Store{ID: "s" + store, Name: "Store " + store, Timezone: in.timezone, Country: in.country}
		in.shops = append(in.shops, shop)
		in.shops[i].PrimaryAgent = in.agentOf(i)
	}
	return shopOf
}

// native is the same input with what a till of ours would refuse left out: it
// sells only what has a quantity above zero and no price below zero.
func (in *input) native() *input {
	out := *in
	out.baskets, out.skipped = nil, map[string]int{}
	for reason, n := range in.skipped {
		out.skipped[reason] = n
	}
	for _, b := range in.baskets {
		kept := b
		kept.lines = nil
		for _, l := range b.lines {
			switch {
			case l.pieces < 0:
				out.skipped["rows with a quantity below 0"]++
			case l.amount < 0:
				out.skipped["rows with an amount below 0"]++
			default:
				kept.lines = append(kept.lines, l)
			}
		}
		if len(kept.lines) == 0 {
			out.skipped["baskets without any line"]++
			continue
		}
		out.baskets = append(out.baskets, kept)
	}
	return &out
}
