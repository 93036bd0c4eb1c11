package till_test

import (
	"context"
	"strings"
	"testing"

	"counterpart/protocol"
)

func (s *shopTest) search(q string, limit int) string {
	s.t.Helper()
	var skus []string
	after := ""
	for page := 0; ; page++ {
		docs, next, err := s.till.Items(context.Background(), q, limit, after)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(docs) > limit || next != nil && len(docs) != limit {
			s.t.Fatalf("%q: a page of %d, limit %d, next %v", q, len(docs), limit, next)
		}
		for _, d := range docs {
			skus = append(skus, string(d.SKU))
		}
		if next == nil {
			return strings.Join(skus, " ")
		}
		after = *next
	}
}

// TestItems checks what is found, in which order, page by page.
func TestItems(t *testing.T) {
	s := memory(t)
	s.receive("CUP", 3)
	for _, c := range []struct{ q, want string }{
		{"", "21034 CUP EURO GIFT-WRAP PEN-01 PERSIAN TEA TWIN-1 TWIN-2"},
		{"  ", "21034 CUP EURO GIFT-WRAP PEN-01 PERSIAN TEA TWIN-1 TWIN-2"},
		{"pen", "PEN-01"},
		{"4006381333931", "PEN-01"},
		{"BOX-A", "PEN-01"},
		{"CUP", "CUP"},
		{"twin", "TWIN-1 TWIN-2"},
		{"two TWIN", "TWIN-2"},
		{"TWIN-2", "TWIN-2"},
		{"nothing of the kind", ""},
		{"azercay", "TEA"},
		{"AZƏRÇAY", "TEA"},
		{"çay iri", "TEA"},
		{"ÇAY ırı", "TEA"},
		{"CAY", "TEA"},
		{"c\u0327ay I\u0307ri\u0307", "TEA"},
		{"C\u0327AY", "TEA"},
		{"کیک", "PERSIAN"},
		{"كيك 12", "PERSIAN"},
		{"۱۲", "PERSIAN"},
		{"١٢", "PERSIAN"},
	} {
		for _, limit := range []int{1, 2, 100} {
			got := s.search(c.q, limit)
			if got != c.want {
				t.Errorf("%q by %d: found %q, want %q", c.q, limit, got, c.want)
			}
		}
	}
	docs, _, err := s.till.Items(context.Background(), "CUP", 10, "")
	if err != nil || len(docs) != 1 {
		t.Fatal(docs, err)
	}
	if d := docs[0]; *d.PriceMinor != 999 || *d.Currency != "GBP" || d.OnHand != 3000 || *d.GTIN != "05000112637922" || d.Brand != nil || d.MinAge != nil || d.Attributes == nil || d.Codes == nil {
		t.Errorf("item %+v", d)
	}
	docs, _, err = s.till.Items(context.Background(), "EURO", 10, "")
	if err != nil || docs[0].PriceMinor != nil {
		t.Errorf("a price in another currency counts: %+v, %v", docs, err)
	}
}

// TestItemsExactFirst checks that what was scanned stands before what only
// sounds like it, on the first page and on no other.
func TestItemsExactFirst(t *testing.T) {
	s := memory(t)
	price := protocol.Money(1)
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Items: []protocol.Item{
		{SKU: "A", Name: "For ZZ", Price: &price}, {SKU: "B", Name: "For ZZ", Price: &price}, {SKU: "ZZ", Name: "ZZ itself", Price: &price},
	}}})
	s.tails(protocol.FeedCatalog)
	for _, limit := range []int{1, 2, 3, 4} {
		if got := s.search("ZZ", limit); got != "ZZ A B" {
			t.Errorf("by %d: %s", limit, got)
		}
	}
}

// TestItemsFresh checks that a search sees what the catalogue's feed brought.
func TestItemsFresh(t *testing.T) {
	s := memory(t)
	if got := s.search("lamp", 5); got != "" {
		t.Fatal(got)
	}
	s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Items: []protocol.Item{{SKU: "L", Name: "Lamp"}}}})
	s.tails(protocol.FeedCatalog)
	if got := s.search("lamp", 5); got != "L" {
		t.Errorf("found %q", got)
	}
}
