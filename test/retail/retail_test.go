package retail_test

import (
	"reflect"
	"testing"

	"counterpart/protocol/gtin"
	"counterpart/test/retail"
)

func items(t *testing.T, seed uint64, n int) []retail.Item {
	t.Helper()
	list, err := retail.Items(seed, n)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestItemsAreSellable(t *testing.T) {
	skus, codes := map[string]bool{}, map[gtin.GTIN]bool{}
	for _, item := range items(t, 1, 20_000) {
		code, err := gtin.ParseGlobal(item.GTIN)
		if err != nil {
			t.Fatalf("%+v: %v", item, err)
		}
		if skus[item.SKU] || codes[code] {
			t.Fatalf("%+v comes twice", item)
		}
		skus[item.SKU], codes[code] = true, true
		if item.Name == "" || item.Brand == "" || item.Price <= 0 || len(item.GTIN) != 13 {
			t.Fatalf("%+v cannot be sold", item)
		}
		if item.TaxCode != retail.TaxStandard && item.TaxCode != retail.TaxReduced {
			t.Fatalf("%+v has no tax code of the chain", item)
		}
	}
}

func TestSeedDecides(t *testing.T) {
	if !reflect.DeepEqual(items(t, 7, 500), items(t, 7, 500)) {
		t.Error("one seed made two lists of items")
	}
	if reflect.DeepEqual(items(t, 7, 500), items(t, 8, 500)) {
		t.Error("two seeds made one list of items")
	}
	if !reflect.DeepEqual(retail.Stores(7, 3), retail.Stores(7, 5)[:3]) {
		t.Error("more stores changed the first ones")
	}
}

func TestStoresDiffer(t *testing.T) {
	ids, names := map[string]bool{}, map[string]bool{}
	for _, store := range retail.Stores(1, 40) {
		if ids[store.ID] || names[store.Name] {
			t.Errorf("%+v comes twice", store)
		}
		ids[store.ID], names[store.Name] = true, true
		if store.Latitude < 51.3 || store.Latitude > 51.7 || store.Longitude < -0.3 || store.Longitude > 0.1 {
			t.Errorf("%+v is somewhere else", store)
		}
	}
}

func TestBasketsAreOrdinary(t *testing.T) {
	stock := items(t, 1, 300)
	sold := map[string]int{}
	shopper := retail.NewShopper(1, 0, stock)
	for range 2_000 {
		basket := shopper.Basket()
		if len(basket) == 0 || retail.Total(basket) <= 0 {
			t.Fatalf("an empty basket: %v", basket)
		}
		in := map[string]bool{}
		for _, line := range basket {
			if in[line.Item.SKU] || line.Pieces < 1 || line.Pieces > 4 {
				t.Fatalf("a strange line: %+v", line)
			}
			in[line.Item.SKU] = true
			sold[line.Item.SKU]++
		}
	}
	if len(sold) < 250 || sold[stock[0].SKU] < 5*sold[stock[200].SKU] {
		t.Errorf("%d of 300 items sold, the best %d times, the 200th %d times", len(sold), sold[stock[0].SKU], sold[stock[200].SKU])
	}
}
