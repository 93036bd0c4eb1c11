// Package retail makes up a small chain from a seed: items with valid
// barcodes, stores on a map, and what shoppers put into their baskets. The same
// seed makes the same chain on every machine. All words are our own; any
// likeness to a real product is chance.
package retail

import (
	"fmt"
	"math/rand/v2"

	"counterpart/protocol/gtin"
)

// Tax codes of the made-up chain.
const (
	TaxStandard = "STD"
	TaxReduced  = "RED"
)

// An Item is what the chain sells. The members are the columns of the hub's
// bulk load of items.
type Item struct {
	SKU      string `json:"sku"`
	GTIN     string `json:"gtin"` // 13 digits
	Name     string `json:"name"`
	Brand    string `json:"brand"`
	Category string `json:"category"`
	Unit     string `json:"unit"`
	Price    int64  `json:"price_minor"` // tax included
	TaxCode  string `json:"tax_code"`
}

// A Store is a shop of the chain. The members are the columns of the hub's
// bulk load of stores.
type Store struct {
	ID           string  `json:"id"`
	Name         string  `json:"name"`
	Latitude     float64 `json:"lat,omitzero"`
	Longitude    float64 `json:"lon,omitzero"`
	Timezone     string  `json:"timezone"`
	Country      string  `json:"country"`
	City         string  `json:"city,omitzero"`
	PrimaryAgent string  `json:"primary_agent"`
}

// A Tax is a rate of the chain. The members are the columns of the hub's bulk
// load of taxes.
type Tax struct {
	Zone             string `json:"zone"`
	TaxCode          string `json:"tax_code"`
	Name             string `json:"name"`
	RatePPM          int64  `json:"rate_ppm"`
	PricesIncludeTax bool   `json:"prices_include_tax"`
	ValidFrom        string `json:"valid_from"`
}

// Taxes are the rates of the chain, in force for as long as anybody remembers.
func Taxes() []Tax {
	return []Tax{
		{Zone: "default", TaxCode: TaxStandard, Name: "Standard", RatePPM: 200_000, PricesIncludeTax: true, ValidFrom: "2020-01-01"},
		{Zone: "default", TaxCode: TaxReduced, Name: "Reduced", RatePPM: 50_000, PricesIncludeTax: true, ValidFrom: "2020-01-01"},
	}
}

// A Line is one line of a basket.
type Line struct {
	Item   *Item
	Pieces int64
}

// linesMax and piecesMax bound a basket.
const (
	linesMax  = 6
	piecesMax = 4
)

// Items makes n items. Their SKUs and barcodes differ.
func Items(seed uint64, n int) ([]Item, error) {
	random := source(seed, 1)
	items := make([]Item, n)
	for i := range items {
		code, err := barcode(i)
		if err != nil {
			return nil, err
		}
		category := categories[random.IntN(len(categories))]
		word := category.goods[random.IntN(len(category.goods))]
		items[i] = Item{
			SKU: fmt.Sprintf("%s-%05d", category.prefix, i+1), GTIN: code,
			Name:  fmt.Sprintf("%s %s, %s", pick(random, adjectives), word, pick(random, category.sizes)),
			Brand: pick(random, brands), Category: category.name, Unit: "each",
			Price: price(random, category.priceMin, category.priceMax), TaxCode: category.tax,
		}
	}
	return items, nil
}

// barcode is the i-th GTIN-13 of a number range that GS1 gives to examples and
// demonstrations (prefix 952).
func barcode(i int) (string, error) {
	digits := fmt.Sprintf("952%09d", i)
	check, err := gtin.CheckDigit(digits)
	if err != nil {
		return "", fmt.Errorf("barcode %d: %w", i, err)
	}
	return digits + string(check), nil
}

// price is a price as shops like them: most end in 9 or 5.
func price(random *rand.Rand, low, high int64) int64 {
	p := low + random.Int64N(high-low+1)
	switch random.IntN(4) {
	case 0:
		return p
	case 1:
		return p - p%10 + 5
	default:
		return p - p%10 + 9
	}
}

// Stores makes n stores around one town, with the identifiers s1, s2 and so on.
func Stores(seed uint64, n int) []Store {
	random := source(seed, 2)
	list := make([]Store, n)
	for i := range list {
		name := streets[i%len(streets)]
		if round := i / len(streets); round > 0 {
			name = fmt.Sprintf("%s %d", name, round+1)
		}
		list[i] = Store{
			ID: fmt.Sprintf("s%d", i+1), Name: name, City: "Exampleton",
			Latitude: degrees(51.5, random), Longitude: degrees(-0.12, random),
			Timezone: "Europe/London", Country: "GB",
		}
	}
	return list
}

// degrees is a coordinate within some fifteen kilometres of the middle, with
// four decimals.
func degrees(middle float64, random *rand.Rand) float64 {
	return float64(int(middle*10_000)+random.IntN(2_801)-1_400) / 10_000
}

// A Shopper fills baskets.
type Shopper struct {
	random *rand.Rand
	items  []Item
	taste  *rand.Zipf
}

// NewShopper makes the i-th shopper of a seed. Shoppers agree on what sells
// well: a few items sell often, most sell rarely.
func NewShopper(seed, i uint64, items []Item) *Shopper {
	random := source(seed, 1_000+i)
	return &Shopper{random: random, items: items, taste: rand.NewZipf(random, 1.1, 20, uint64(len(items)-1))}
}

// Basket fills a basket. Its items differ.
func (s *Shopper) Basket() []Line {
	var basket []Line
	taken := map[uint64]bool{}
	for range 1 + s.random.IntN(linesMax) {
		i := s.taste.Uint64()
		if taken[i] {
			continue
		}
		taken[i] = true
		basket = append(basket, Line{Item: &s.items[i], Pieces: 1 + max(0, s.random.Int64N(2*piecesMax)-piecesMax)})
	}
	return basket
}

// Chance is true once in n times.
func (s *Shopper) Chance(n int) bool { return s.random.IntN(n) == 0 }

// Below is a number from 0 to n-1.
func (s *Shopper) Below(n int) int { return s.random.IntN(n) }

// Total is what a basket costs, in minor units.
func Total(basket []Line) int64 {
	var sum int64
	for _, line := range basket {
		sum += line.Pieces * line.Item.Price
	}
	return sum
}

// source is a stream of random numbers of its own for each purpose, so that
// more stores do not change the items.
func source(seed, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose)) }

func pick(random *rand.Rand, words []string) string { return words[random.IntN(len(words))] }
