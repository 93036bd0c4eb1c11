package main

import (
	"strconv"
	"strings"
	"time"
)

// readWholesale reads a wholesaler's file. A row is a line of an invoice with
// the price of one piece. The wholesaler has one warehouse, so invoices are
// dealt out to as many stores as are wanted. An invoice whose number starts
// with C gives back goods that were bought earlier, without saying when; a
// negative quantity on any other invoice corrects the book.
func readWholesale(t *table, stores int) (*input, error) {
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		return nil, err
	}
	in := &input{format: "wholesale", country: "GB", timezone: zone.String(), skipped: map[string]int{}}
	names := make([]string, stores)
	for i := range names {
		names[i] = strconv.Itoa(i + 1)
	}
	in.openShops(names)
	var items catalogue
	at := map[invoicePart]int{}
	for t.next() {
		in.currencyOf(t)
		invoice, sku := t.text("invoice"), t.text("sku")
		pieces, price := t.integer("qty"), t.integer("unit_price_minor")
		note := t.text("description")
		items.add(sku, note, price)
		part := invoicePart{invoice, kindOf(invoice, pieces)}
		if pieces == 0 {
			in.skipped["rows with quantity 0"]++
			continue
		}
		i, ok := at[part]
		if !ok {
			i = len(in.baskets)
			at[part] = i
			in.baskets = append(in.baskets, basket{
				id: invoice, customer: t.text("customer"), shop: dealt(invoice, stores), at: t.moment("timestamp", zone), kind: part.kind,
			})
		}
		if part.kind == returned {
			pieces = -pieces
		}
		b := &in.baskets[i]
		b.lines = append(b.lines, line{sku: sku, note: note, pieces: pieces, price: &price, amount: pieces * price})
	}
	in.items = items.list
	return in, t.failure()
}

// An invoicePart is the lines of an invoice that belong together.
type invoicePart struct {
	invoice string
	kind    kind
}

func kindOf(invoice string, pieces int64) kind {
	switch {
	case strings.HasPrefix(invoice, "C"):
		return returned
	case pieces < 0:
		return adjusted
	}
	return sold
}

// dealt is the store that an invoice goes to.
func dealt(invoice string, stores int) int {
	return int(hashOf(invoice) % uint32(stores))
}
