package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// promotionsOf lists what the hub shows, as JSON.
func promotionsOf(t *testing.T, h *Hub, page Page) string {
	t.Helper()
	list, err := h.Promotions(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestImportPromotions takes in one of each kind, and shows them with what their
// kind has; the same as NDJSON changes nothing.
func TestImportPromotions(t *testing.T) {
	h := importHub(t)
	mustTakeIn(t, h, ItemsTable, "sku,name,gtin\nP,Pen,4006381333931\nB 2,Blue,\n")
	mustTakeIn(t, h, PromotionsTable, "zone,id,name,kind,valid_from,valid_to,hours,coupon,members_only,limit,skus,category,n,price_minor,currency,rate_ppm,free,amount_minor,minimum_minor\n"+
		"uk,pens,3 for 5,n_for_price,2026-11-21,2026-12-01T12:00:00+01:00,,,,2,\"[\"\"B 2\"\",\"\"4006381333931\"\",\"\"P\"\"]\",,3,500,,,,,\n"+
		"uk,happy,Happy hour,percent,2026-11-21,,Mo-Fr 16:00-18:00,,1,,,pens,,,,100000,,,\n"+
		"uk,free,3 for 2,cheapest_free,2026-11-21,,,,,,,,3,,,,1,,\n"+
		"a-b,welcome,5 off,amount_off,2026-11-21,, ,WELCOME 5,,,,,,,EUR,,,500,3000\n"+
		"a,welcome,5 off,amount_off,2026-11-21,,,,,,,,,,,,,500,\n")
	at := func(zone, id, name, kind, rest string) string {
		return `{"zone":"` + zone + `","id":"` + id + `","name":"` + name + `","kind":"` + kind + `","valid_from":"2026-11-21",` + rest + `}`
	}
	want := `{"items":[` + strings.Join([]string{
		at("a", "welcome", "5 off", "amount_off", `"valid_to":null,"hours":null,"coupon":null,"members_only":false,"limit":null,"skus":[],"category":null,"n":null,"price_minor":null,"currency":"GBP","rate_ppm":null,"free":null,"amount_minor":500,"minimum_minor":0`),
		at("a-b", "welcome", "5 off", "amount_off", `"valid_to":null,"hours":null,"coupon":"WELCOME 5","members_only":false,"limit":null,"skus":[],"category":null,"n":null,"price_minor":null,"currency":"EUR","rate_ppm":null,"free":null,"amount_minor":500,"minimum_minor":3000`),
		at("uk", "free", "3 for 2", "cheapest_free", `"valid_to":null,"hours":null,"coupon":null,"members_only":false,"limit":null,"skus":[],"category":null,"n":3,"price_minor":null,"currency":null,"rate_ppm":null,"free":1,"amount_minor":null,"minimum_minor":null`),
		at("uk", "happy", "Happy hour", "percent", `"valid_to":null,"hours":"Mo-Fr 16:00-18:00","coupon":null,"members_only":true,"limit":null,"skus":[],"category":"pens","n":null,"price_minor":null,"currency":null,"rate_ppm":100000,"free":null,"amount_minor":null,"minimum_minor":null`),
		at("uk", "pens", "3 for 5", "n_for_price", `"valid_to":"2026-12-01T11:00:00+00:00","hours":null,"coupon":null,"members_only":false,"limit":2,"skus":["B 2","P"],"category":null,"n":3,"price_minor":500,"currency":"GBP","rate_ppm":null,"free":null,"amount_minor":null,"minimum_minor":null`),
	}, ",") + `],"next":null}`
	if got := promotionsOf(t, h, Page{Limit: 10}); got != want {
		t.Errorf("listed as\n%s\nwant\n%s", got, want)
	}
	var ids []string
	for page := (Page{Limit: 2}); ; {
		list, err := h.Promotions(t.Context(), page)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list.Items {
			ids = append(ids, string(p.Zone)+"/"+string(p.ID))
		}
		if list.Next == nil {
			break
		}
		page.After = *list.Next
	}
	if got := strings.Join(ids, " "); got != "a/welcome a-b/welcome uk/free uk/happy uk/pens" {
		t.Errorf("in pages: %s", got)
	}
	report, err := takeIn(t, h, PromotionsTable, FormatNDJSON, `{"zone":"uk","id":"pens","skus":["P","B 2"],"n":3,"price_minor":500}`+"\n")
	if err != nil || report.Unchanged != 1 {
		t.Errorf("the same again: %+v, %v", report, err)
	}
}

// TestImportPromotionsChangesAndTakesAway: what a row leaves out stays, a new kind
// drops the numbers of the old one, and kind none takes the promotion away.
func TestImportPromotionsChangesAndTakesAway(t *testing.T) {
	h := importHub(t)
	mustTakeIn(t, h, PromotionsTable, "zone,id,name,kind,valid_from,n,price_minor,limit\nuk,a,A,n_for_price,2026-11-21,3,500,1\nuk,b,B,n_for_price,2026-11-21,3,500,1\n")
	report, err := takeIn(t, h, PromotionsTable, FormatCSV, "zone,id,kind,rate_ppm,limit\nuk,a,percent,50000,\nuk,b,none,,\nuk,c,none,,\n")
	if err != nil || report.Applied != 2 || report.Unchanged != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	var stored []*protocol.Promotion
	err = h.view(t.Context(), func(r ledger.Reader) (err error) {
		stored, err = ledger.Promotions(r, "uk")
		return err
	})
	if err != nil || len(stored) != 1 {
		t.Fatalf("%d are stored (%v)", len(stored), err)
	}
	want := protocol.Promotion{Zone: "uk", ID: "a", Name: "A", Kind: protocol.PercentOff, From: "2026-11-21", Rate: 50_000}
	if got := stored[0]; fmt.Sprint(*got) != fmt.Sprint(want) {
		t.Errorf("stored as %+v", got)
	}
	report, err = takeIn(t, h, PromotionsTable, FormatCSV, "zone,id,name,kind,valid_from,rate_ppm\nuk,d,D,percent,2026-11-21,1\nuk,d,D,none,,\nuk,d,,,,\n")
	if err != nil || report.Applied != 2 || report.Rejected != 1 || *report.Errors[0].Field != "name" {
		t.Errorf("there, away and not there: %+v, %v", report, err)
	}
}

// TestImportPromotionsIsBounded: a zone has no more promotions than tills go over
// in each sale, and one that is taken away makes room.
func TestImportPromotionsIsBounded(t *testing.T) {
	h := importHub(t)
	var b strings.Builder
	b.WriteString("zone,id,name,kind,valid_from,rate_ppm\n")
	for i := range promotionsMax + 1 {
		fmt.Fprintf(&b, "uk,p%d,P,percent,2026-11-21,1\n", i)
	}
	b.WriteString("fr,p0,P,percent,2026-11-21,1\nuk,p7,,none,,\nuk,last,P,percent,2026-11-21,1\n")
	report, err := takeIn(t, h, PromotionsTable, FormatCSV, b.String())
	if err != nil || report.Rejected != 1 || report.Errors[0].Row != promotionsMax+1 || report.Errors[0].Code != protocol.OutOfRangeCode {
		t.Errorf("%+v, %v", report, err)
	}
}

// FuzzImportPromotions: whatever is in a file, the report adds up and what is
// stored can be read by a till.
func FuzzImportPromotions(f *testing.F) {
	f.Add("uk", "a", "n_for_price", "2026-11-21", "P", "3", "500", "")
	f.Add("uk", "b", "cheapest_free", "2026-11-21T10:00:00+01:00", `["P"]`, "3", "", "1")
	f.Add("uk", "c", "percent", "2026-11-21", "", "", "", "100000")
	f.Fuzz(func(t *testing.T, zone, id, kind, from, skus, n, price, other string) {
		h := importHub(t)
		mustTakeIn(t, h, ItemsTable, "sku,name\nP,Pen\n")
		line, err := json.Marshal(map[string]string{
			"zone": zone, "id": id, "name": "N", "kind": kind, "valid_from": from, "skus": skus, "n": n, "price_minor": price, "rate_ppm": other, "free": other, "amount_minor": other, "coupon": other,
		})
		if err != nil {
			t.Fatal(err)
		}
		report, err := takeIn(t, h, PromotionsTable, FormatNDJSON, string(line)+"\n")
		if err != nil || report.Read != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		list, err := h.Promotions(context.Background(), Page{Limit: 10})
		if err != nil || int64(len(list.Items)) != report.Applied {
			t.Errorf("%d are listed of %+v (%v)", len(list.Items), report, err)
		}
	})
}
