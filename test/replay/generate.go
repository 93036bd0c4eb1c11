package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"counterpart/test/retail"
)

// The shares of rows that are made to be awkward, as one in so many.
const (
	generatedItems = 400
	emptyRowOneIn  = 80 // quantity 0
	unevenOneIn    = 12 // an amount that does not divide by the quantity
	fuelOneIn      = 60 // a quantity in thousandths of a gallon
	freeRowOneIn   = 40 // nothing was paid
	namelessOneIn  = 30 // no description
	strangerOneIn  = 5  // of the baskets: nobody knows whose
)

// groceryColumns are the columns of the grocery format.
var groceryColumns = []string{
	"basket", "timestamp", "customer", "store", "sku", "description", "qty", "line_total_minor",
	"retail_disc_minor", "coupon_disc_minor", "currency",
}

// generate writes a made-up file in the grocery format.
func generate(path string, seed uint64, stores, baskets int) error {
	items, err := retail.Items(seed, generatedItems)
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(writeGrocery(file, seed, items, stores, baskets), file.Close())
}

func writeGrocery(file io.Writer, seed uint64, items []retail.Item, stores, baskets int) error {
	text := csv.NewWriter(file)
	if err := text.Write(groceryColumns); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 4))
	shopper := retail.NewShopper(seed, 0, items)
	at := time.Date(2026, 3, 2, 7, 30, 0, 0, time.UTC)
	for i := range baskets {
		at = at.Add(time.Duration(1+random.IntN(300)) * time.Second)
		// A lower store is busier: the least of two is more often low.
		store := 100 + min(random.IntN(stores), random.IntN(stores))
		customer := ""
		if random.IntN(strangerOneIn) > 0 {
			customer = strconv.Itoa(1 + random.IntN(500))
		}
		for _, line := range shopper.Basket() {
			pieces, paid, name := awkward(random, line)
			if err := text.Write([]string{
				strconv.Itoa(70_000_000_000 + i), at.Format("2006-01-02T15:04:05"), customer,
				strconv.Itoa(store), line.Item.SKU, name, strconv.FormatInt(pieces, 10), strconv.FormatInt(paid, 10), "0", "0", "USD",
			}); err != nil {
				return err
			}
		}
	}
	text.Flush()
	return text.Error()
}

// awkward is what a row says about a line of a basket: mostly the plain facts,
// sometimes what real files hold too.
func awkward(random *rand.Rand, line retail.Line) (pieces, paid int64, name string) {
	pieces, paid, name = line.Pieces, line.Pieces*line.Item.Price, line.Item.Name
	if random.IntN(namelessOneIn) == 0 {
		name = ""
	} else if random.IntN(namelessOneIn) == 0 {
		name = fmt.Sprintf("%q, %s", line.Item.Brand, name)
	}
	switch {
	case random.IntN(emptyRowOneIn) == 0:
		return 0, 0, name
	case random.IntN(fuelOneIn) == 0:
		return 5_000 + random.Int64N(9_000), 1_500 + random.Int64N(2_500), name
	case random.IntN(freeRowOneIn) == 0:
		return pieces, 0, name
	case random.IntN(unevenOneIn) == 0:
		return pieces + 1, paid + 1, name
	}
	return pieces, paid, name
}

// The made-up trade of invoices: enough weeks for the first four to warm up.
const (
	invoiceDays   = 56
	invoicesDaily = 20
	invoiceItems  = 30
	// bulkOneIn lines are of a dozen times as many pieces, correctedOneIn
	// invoices give goods back.
	bulkOneIn      = 12
	correctedOneIn = 40
)

// generateInvoices writes a made-up file in the wholesaler's format.
func generateInvoices(path string, seed uint64) error {
	items, err := retail.Items(seed, invoiceItems)
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(writeInvoices(file, seed, items), file.Close())
}

func writeInvoices(file io.Writer, seed uint64, items []retail.Item) error {
	text := csv.NewWriter(file)
	if err := text.Write([]string{"invoice", "timestamp", "customer", "sku", "description", "qty", "unit_price_minor", "currency", "country"}); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 6))
	shopper := retail.NewShopper(seed, 0, items)
	opening := time.Date(2026, 3, 2, 7, 30, 0, 0, time.UTC)
	for i := range invoiceDays * invoicesDaily {
		day, number := i/invoicesDaily, i%invoicesDaily
		at := opening.AddDate(0, 0, day).Add(time.Duration(number) * 13 * time.Hour / invoicesDaily)
		invoice, sign := strconv.Itoa(500_000+i), int64(1)
		if random.IntN(correctedOneIn) == 0 {
			invoice, sign = "C"+invoice, -1
		}
		for _, line := range shopper.Basket() {
			pieces := line.Pieces
			if random.IntN(bulkOneIn) == 0 {
				pieces *= 12
			}
			if err := text.Write([]string{
				invoice, at.Format("2006-01-02T15:04:05"), "", line.Item.SKU, line.Item.Name,
				strconv.FormatInt(sign*pieces, 10), strconv.FormatInt(line.Item.Price, 10), "GBP", "",
			}); err != nil {
				return err
			}
		}
	}
	text.Flush()
	return text.Error()
}
