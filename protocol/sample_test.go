package protocol_test

import (
	"fmt"
	"math/rand/v2"

	"counterpart/protocol"
)

// day is a till's day of sales with a skewed assortment: few items sell often,
// most seldom. The same seed makes the same day.
type day struct {
	random *rand.Rand
	zipf   *rand.Zipf
	items  []protocol.ItemRef
	prices []protocol.Money
	clock  protocol.Clock
	number uint64
}

func newDay(seed uint64) *day {
	const assortment = 8000
	d := &day{random: rand.New(rand.NewPCG(seed, 1))}
	d.zipf = rand.NewZipf(d.random, 1.2, 20, assortment-1)
	for range assortment {
		gtin := 4_006_380_000_000 + d.random.Uint64N(100_000)*100_000 + d.random.Uint64N(100_000)
		d.items = append(d.items, protocol.ItemRef{SKU: protocol.SKU(fmt.Sprint(gtin)), Unit: protocol.Each})
		d.prices = append(d.prices, protocol.Money(49+50*d.random.Int64N(60)))
	}
	d.clock = protocol.Clock{WallMs: 1_795_252_932_000, MonoMs: 4_211_000}
	d.number = 1000
	return d
}

// sale is the next sale, of n lines, mostly of one piece each, paid in one way.
func (d *day) sale(n int) *protocol.Event {
	d.number++
	s := &protocol.Sale{
		Type: protocol.SaleSale, Till: "1", Series: "1", Number: d.number, BusinessDate: "2026-11-21",
		Staff: "s7", Currency: "GBP", PricesIncludeTax: true,
	}
	e := &protocol.Event{Kind: protocol.KindSale, Boot: 3, Sale: s}
	for range n {
		k := d.zipf.Uint64()
		quantity := protocol.Quantity(1000)
		if d.random.IntN(5) == 0 {
			quantity *= protocol.Quantity(2 + d.random.IntN(3))
		}
		amount, _ := quantity.Times(d.prices[k])
		s.Lines = append(s.Lines, protocol.SaleLine{
			Item: d.items[k], Quantity: quantity, UnitPrice: d.prices[k], Amount: amount, TaxCode: "STD",
		})
		s.Total += amount
		e.Moves = append(e.Moves, protocol.Move{SKU: d.items[k].SKU, Delta: -quantity})
	}
	tax, _ := protocol.MulDiv(int64(s.Total), 200_000, 1_200_000)
	s.Taxes = []protocol.TaxAmount{{Code: "STD", Rate: 200_000, Net: s.Total - tax, Tax: tax}}
	if d.random.IntN(3) == 0 {
		given := (s.Total + 499) / 500 * 500
		s.Tenders, s.Change = []protocol.Tender{{Type: protocol.Cash, Amount: given}}, given-s.Total
	} else {
		s.Tenders = []protocol.Tender{{Type: protocol.Card, Amount: s.Total}}
	}
	return e
}

// record logs e some seconds after the one before.
func (d *day) record(e *protocol.Event) protocol.Record {
	body, err := protocol.EncodeEvent(e)
	if err != nil {
		panic(err) // a test's own sale
	}
	pause := 8_000 + d.random.Int64N(60_000)
	d.clock.WallMs += pause
	d.clock.MonoMs += pause
	return protocol.Record{Clock: d.clock, Body: body}
}

// records are the next n sales of three lines each.
func (d *day) records(n int) []protocol.Record {
	var records []protocol.Record
	for range n {
		records = append(records, d.record(d.sale(3)))
	}
	return records
}
