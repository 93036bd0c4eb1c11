package hub

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"counterpart/protocol"
)

// TestLocalInventory shows what stores have to search engines, as the golden
// file says: by store and SKU, with the store's price and without what nobody
// else may read.
func TestLocalInventory(t *testing.T) {
	c := newCore(t)
	mustTakeIn(t, c.Hub, ItemsTable, "sku,gtin,name,brand,category,unit,price_minor,stocked,blocked\n"+
		"PEN,4006381333931,Pen,Stabilo,Office,each,250,,\nFEW,,Few,,,,100,,\nGONE,,Gone,,,,100,,\nHALF,,Half <kilo>,,,kg,100,,\nSERVICE,,Repair,,,,100,false,\nBLOCKED,,Blocked,,,,100,,true\nFREE,,No price,,,,,,\n"+
		"PINCH,,Pinch,,,kg,100,,\n2012345000001,,In store,,,,100,,\n"+strings.Repeat("L", 51)+",,Long,,,,100,,\n")
	mustTakeIn(t, c.Hub, PricesTable, "zone,code,price_minor,valid_from\ndefault,PEN,275,2026-01-01\n")
	mustTakeIn(t, c.Hub, StoresTable, "id,name,timezone,currency,lat,lon,address,city,country\ns2,Bridge,Europe/London,GBP,51.5,-0.1,1 Bridge Road,London,GB\n")
	p, q := c.player("s1", "a1", 1), c.player("s2", "b1", 2)
	p.greet()
	q.greet()
	for sku, qty := range map[protocol.SKU]protocol.Quantity{
		"PEN": 31_000, "FEW": 3_000, "GONE": 1_000, "HALF": 6_500, "SERVICE": 9_000, "BLOCKED": 9_000, "FREE": 9_000, "2012345000001": 9_000, "UNKNOWN": 9_000, "PINCH": 1_500,
		protocol.SKU(strings.Repeat("L", 51)): 9_000,
	} {
		c.receive(p.logged(goods(sku, qty)))
	}
	c.receive(q.logged(goods("PEN", -5_000)))
	var got strings.Builder
	if err := c.LocalInventory(t.Context(), func(i LocalItem) error {
		fmt.Fprintf(&got, "%s\t%s\t%d\t%s\t%s\t%s\n", i.Store, i.SKU, i.Quantity, i.Price, i.Currency, i.Availability)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	product, err := c.Product(t.Context(), "4006381333931", "s2")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(product, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for file, got := range map[string]string{"inventory.tsv": got.String(), "product.jsonld": string(b) + "\n"} {
		want, err := os.ReadFile("testdata/TestLocalInventory/" + file)
		if err != nil || got != string(want) {
			t.Errorf("%s: %v\n%s\nwant\n%s", file, err, got, want)
		}
	}
	for _, ask := range [][2]string{{"NOBODY", "s1"}, {"PEN", "s9"}} {
		if _, err := c.Product(t.Context(), ask[0], protocol.StoreID(ask[1])); err == nil {
			t.Errorf("%v is shown", ask)
		}
	}
}
