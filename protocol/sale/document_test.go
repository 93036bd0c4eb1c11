package sale_test

import (
	"encoding/json"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/sale"
)

func meta() sale.Meta {
	inc := protocol.Inc{0x9f}
	return sale.Meta{
		EventID: protocol.EventID{Inc: inc, Seq: 1042}, Inc: inc, Seq: 1042, Store: "s1", Agent: "a1", At: "2026-11-21T10:02:12+00:00",
		Item: func(sku protocol.SKU) (string, string, bool) {
			if sku == pen.SKU {
				return pen.Name, pen.GTIN, true
			}
			return "", "", false
		},
	}
}

func wantJSON(t *testing.T, d sale.Document, want string) {
	t.Helper()
	got, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	want = strings.ReplaceAll(want, "\n", "")
	if string(got) != want {
		t.Errorf("document is\n%s\nwant\n%s", got, want)
	}
}

// TestDocument holds the document of HTTP.md, its members in their order.
func TestDocument(t *testing.T) {
	r, resolved := example()
	s, _, err := sale.Build(terms(), r, resolved)
	if err != nil {
		t.Fatal(err)
	}
	s.Warnings = append(s.Warnings, protocol.Warning{Code: "below_zero", Line: 1, Message: "The book shows −1 on hand."}, protocol.Warning{Code: "whole"})
	wantJSON(t, sale.NewDocument(meta(), s), `{"type":"sale","event_id":"9f000000000000000000000000000000-1042","inc":"9f000000000000000000000000000000","seq":1042,
"store":"s1","agent":"a1","till":"1","receipt_no":"a1-1-1-318","original_receipt_no":null,
"business_date":"2026-11-21","at":"2026-11-21T10:02:12+00:00","staff":"s7","member_id":null,"currency":"GBP",
"lines":[{"line":1,"sku":"PEN-01","gtin":"04006381333931","name":"Pen","qty":2,"unit_price_minor":250,"discount_minor":50,"amount_minor":450,
"tax_code":"STD","returned_qty":0,"discounts":[{"type":"manual","id":null,"reason":"damaged box","amount_minor":50}]}],
"taxes":[{"tax_code":"STD","rate_ppm":200000,"net_minor":375,"tax_minor":75}],
"tenders":[{"type":"cash","amount_minor":500,"ref":null}],"rounding_minor":0,"total_minor":450,"change_minor":50,"points_earned":0,
"fiscal":null,"training":false,"voided":false,"external":null,
"warnings":[{"code":"below_zero","line":1,"message":"The book shows −1 on hand."},{"code":"whole","line":null,"message":""}]}`)
}

func TestDocumentOfExternal(t *testing.T) {
	x := external(250)
	x.ReceiptNo, x.Fiscal.Signature = "", ""
	s, _, err := sale.Build(terms(), sale.Request{Lines: []sale.Line{{Code: "GHOST", Qty: qty("0.5"), UnitPriceMinor: ptr[protocol.Money](500)}}, External: x},
		[]sale.Resolved{{SKU: "GHOST", GTIN: "4006381333931"}})
	if err != nil {
		t.Fatal(err)
	}
	m := meta()
	m.Item, m.Returned, m.Voided = nil, []protocol.Quantity{500}, true
	wantJSON(t, sale.NewDocument(m, s), `{"type":"sale","event_id":"9f000000000000000000000000000000-1042","inc":"9f000000000000000000000000000000","seq":1042,
"store":"s1","agent":"a1","till":"1","receipt_no":"a1-1-1-318","original_receipt_no":null,
"business_date":"2026-11-20","at":"2026-11-21T10:02:12+00:00","staff":null,"member_id":null,"currency":"GBP",
"lines":[{"line":1,"sku":"GHOST","gtin":null,"name":null,"qty":0.5,"unit_price_minor":500,"discount_minor":0,"amount_minor":250,"tax_code":null,"returned_qty":0.5,"discounts":[]}],
"taxes":[],"tenders":[{"type":"other","amount_minor":250,"ref":null}],"rounding_minor":0,"total_minor":250,"change_minor":0,"points_earned":0,
"fiscal":{"device":"D1","number":"77","signature":null},"training":false,"voided":true,
"external":{"source":"pos-x","id":"W3-000482","receipt_no":null,"occurred_at":"2026-11-20T10:02:11+00:00","business_date":"2026-11-20","total_minor":250,
"fiscal":{"device":"D1","number":"77","signature":null}},
"warnings":[{"code":"unknown_code","line":1,"message":"This line's code is not in this store's list. It was recorded as an open item."}]}`)
}

// TestDocumentsAddUp holds that a sale and its void come to nothing.
func TestDocumentsAddUp(t *testing.T) {
	original := sold(t, nil)
	void, _, err := sale.BuildVoid(terms(), original, sale.VoidRequest{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b := sale.NewDocument(meta(), original.Sale), sale.NewDocument(meta(), void)
	if b.OriginalReceiptNo == nil || *b.OriginalReceiptNo != "a1-1-1-318" {
		t.Error("the void does not name its original")
	}
	for i := range a.Lines {
		x, y := a.Lines[i], b.Lines[i]
		if x.Qty+y.Qty != 0 || x.AmountMinor+y.AmountMinor != 0 || x.DiscountMinor+y.DiscountMinor != 0 || x.UnitPriceMinor != y.UnitPriceMinor {
			t.Errorf("line %+v and %+v", x, y)
		}
	}
	if a.TotalMinor+b.TotalMinor != 0 || a.ChangeMinor+b.ChangeMinor != 0 {
		t.Error("the totals do not come to nothing")
	}
}
