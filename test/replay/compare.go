package main

import (
	"context"
	"fmt"
	"slices"

	"counterpart/protocol"
	"counterpart/test/fleet"
	"counterpart/test/process"
)

// differencesShown bounds how many differences are kept to be shown.
const differencesShown = 40

// totals are the sums of all shops that the table shows, of the file or of the
// hub.
type totals struct {
	sales, returns, adjustments, lines int64
	pieces, stock                      protocol.Quantity
	money                              int64
	members, points                    int64
}

// A comparison is what came of holding the hub against the file.
type comparison struct {
	file, hub   totals
	differences int
	shown       []string
}

func (c *comparison) differ(format string, args ...any) {
	c.differences++
	if len(c.shown) < differencesShown {
		c.shown = append(c.shown, fmt.Sprintf(format, args...))
	}
}

// compare holds the hub against what the independent pass expects, shop by shop
// and SKU by SKU.
func compare(ctx context.Context, f *feeder, want map[string]*expected) (*comparison, error) {
	c := &comparison{}
	if len(want) != len(f.in.shops) {
		c.differ("%d shops were fed, the file has %d", len(f.in.shops), len(want))
	}
	for i, shop := range f.in.shops {
		e := want[shop.ID]
		if e == nil {
			c.differ("shop %s was fed and is not expected", shop.ID)
			continue
		}
		if err := c.shop(ctx, f.fleet.Hub, shop.ID, e, f.receipts[i]); err != nil {
			return c, err
		}
	}
	c.hub.adjustments = int64(f.adjusted)
	if c.file.adjustments != c.hub.adjustments {
		c.differ("%d adjustments were confirmed, expected %d", c.hub.adjustments, c.file.adjustments)
	}
	quarantined, err := f.fleet.Quarantined(ctx)
	for _, found := range quarantined {
		c.differ("%s", found)
	}
	return c, err
}

// shop compares one shop. confirmed are the receipts that its agent answered
// with.
func (c *comparison) shop(ctx context.Context, hub *process.Hub, id string, e *expected, confirmed map[string]bool) error {
	missing := len(confirmed)
	books, err := fleet.ReadBooks(ctx, hub, id, func(doc *process.SaleDocument) {
		if confirmed[doc.ReceiptNo] {
			missing--
		} else {
			c.differ("%s: receipt %s was never confirmed to a till", id, doc.ReceiptNo)
		}
	})
	if err != nil {
		return err
	}
	if missing != 0 {
		c.differ("%s: %d receipts that were confirmed are not at the hub", id, missing)
	}
	for _, fault := range books.Faults {
		c.differ("%s: %s", id, fault)
	}
	c.number(id, "sales", e.sales, books.Documents["sale"])
	c.number(id, "returns", e.returns, books.Documents["return"])
	c.number(id, "voids", 0, books.Documents["void"])
	c.number(id, "lines", e.lines, books.Lines)
	if books.Total != e.total() {
		c.differ("%s: the documents come to %d, expected %d", id, books.Total, e.total())
	}
	c.bySKU(id, e, books)
	levels, err := hub.Stock(ctx, id)
	if err != nil {
		return err
	}
	c.levels(id, e, levels)
	c.add(e, books)
	return nil
}

func (c *comparison) number(id, what string, want, got int) {
	if want != got {
		c.differ("%s: %d %s, expected %d", id, got, what, want)
	}
}

// bySKU compares units and money of each SKU that either side knows.
func (c *comparison) bySKU(id string, e *expected, books *fleet.Books) {
	for _, sku := range keys(e.pieces, books.Units) {
		if want, got := protocol.Quantity(e.pieces[sku])*piece, books.Units[sku]; want != got {
			c.differ("%s: %s of %q sold, expected %s", id, got, sku, want)
		}
		if want, got := e.money[sku], books.Money[sku]; want != got {
			c.differ("%s: %d for %q, expected %d", id, got, sku, want)
		}
	}
}

// levels compares the stock of each SKU that either side knows. There was no
// opening stock, so what was sold is missing.
func (c *comparison) levels(id string, e *expected, levels map[string]process.Level) {
	for _, sku := range keys(e.stock, levels) {
		want, got := protocol.Quantity(e.stock[sku])*piece, levels[sku].OnHand
		c.hub.stock += got
		if want != got {
			c.differ("%s: %s of %q on hand, expected %s", id, got, sku, want)
		}
	}
}

// add adds a shop to the totals.
func (c *comparison) add(e *expected, books *fleet.Books) {
	c.file.sales += int64(e.sales)
	c.file.returns += int64(e.returns)
	c.file.adjustments += int64(e.adjustments)
	c.file.lines += int64(e.lines)
	c.file.money += e.total()
	for sku := range e.stock {
		c.file.pieces += protocol.Quantity(e.pieces[sku]) * piece
		c.file.stock += protocol.Quantity(e.stock[sku]) * piece
	}
	c.hub.sales += int64(books.Documents["sale"])
	c.hub.returns += int64(books.Documents["return"])
	c.hub.lines += int64(books.Lines)
	c.hub.money += books.Total
	for _, units := range books.Units {
		c.hub.pieces += units
	}
}

// keys are the keys of both maps, in order.
func keys[A, B any](a map[string]A, b map[string]B) []string {
	var all []string
	for key := range a {
		all = append(all, key)
	}
	for key := range b {
		if _, both := a[key]; !both {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return all
}
