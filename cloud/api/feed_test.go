package api

import (
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// localRows are items with everything that a form has to write with care.
var localRows = []any{
	LocalItem{Store: "s1", SKU: "PEN-01", Quantity: 30, Price: "2.50", Currency: "GBP", Availability: "in_stock"},
	LocalItem{Store: "s1", SKU: "a<b>&\"c\"", Quantity: 2, Price: "1200", Currency: "JPY", Availability: "limited_availability"},
	LocalItem{Store: "s2", SKU: "ÇAY ₼", Quantity: 0, Price: "0.05", Currency: "AZN", Availability: outOfStock},
}

// TestLocalInventory compares both forms with golden files. One that breaks off
// must not look whole.
func TestLocalInventory(t *testing.T) {
	for form, kind := range map[string]string{"tsv": "text/tab-separated-values; charset=utf-8", "xml": "application/xml"} {
		f := &fakeHub{rows: localRows}
		w := get(t, New(f.deps()), "/v1/feeds/local-inventory."+form)
		golden := filepath.Join("testdata", "TestLocalInventory", "local-inventory."+form)
		if *update {
			if err := errors.Join(os.MkdirAll(filepath.Dir(golden), 0o755), os.WriteFile(golden, w.Body.Bytes(), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != kind || w.Body.String() != string(want) {
			t.Errorf("%s: %d %v\n%s\nwant\n%s", form, w.Code, w.Header(), w.Body, want)
		}
		f.failAt = 2
		if w := get(t, New(f.deps()), "/v1/feeds/local-inventory."+form); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "PEN-01") {
			t.Errorf("%s that fails: %d %s", form, w.Code, w.Body)
		}
	}
}

// TestProduct asks for an item as schema.org has it. What comes can stand in a
// page.
func TestProduct(t *testing.T) {
	f := &fakeHub{}
	w := get(t, New(f.deps()), "/v1/feeds/items/A%2FB.1.jsonld?store=s1")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/ld+json" || f.asked[0] != "A/B.1" || strings.Contains(w.Body.String(), "</script>") {
		t.Errorf("%d %v %s, asked for %v", w.Code, w.Header(), w.Body, f.asked)
	}
	for _, target := range []string{"/v1/feeds/items/PEN?store=s1", "/v1/feeds/items/.jsonld?store=s1"} {
		if w := get(t, New(f.deps()), target); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	if w := get(t, New(f.deps()), "/v1/feeds/items/PEN.jsonld"); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("without a store: %d %s", w.Code, w.Body)
	}
}
