package sale_test

import (
	"encoding/json"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/sale"

	"pgregory.net/rapid"
)

// TestAppendJSON compares with encoding/json, for any document.
func TestAppendJSON(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "PEN-01", "Çay", "a<b>&c", "\"\\\n\x7f", "\u2028\u2029", "\xff", "\ufffd", "كيك"}))
	null := rapid.Ptr(text, true)
	quantity := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-3000, 3000))
	rapid.Check(t, func(t *rapid.T) {
		s := func() string { return text.Draw(t, "text") }
		n := func() protocol.Money { return protocol.Money(rapid.Int64().Draw(t, "money")) }
		p := func() *string { return null.Draw(t, "null") }
		q := func() protocol.Quantity { return protocol.Quantity(quantity.Draw(t, "quantity")) }
		yes := rapid.Bool()
		fiscal := func() *sale.DocumentFiscal {
			if yes.Draw(t, "no fiscal") {
				return nil
			}
			return &sale.DocumentFiscal{Device: p(), Number: p(), Signature: p()}
		}
		d := sale.Document{
			Type: protocol.SaleType(s()), EventID: s(), Inc: s(), Seq: protocol.Seq(rapid.Uint64().Draw(t, "seq")),
			Store: protocol.StoreID(s()), Agent: protocol.AgentID(s()), Till: protocol.TillID(s()), ReceiptNo: protocol.ReceiptNo(s()),
			OriginalReceiptNo: p(), BusinessDate: s(), At: s(), Staff: p(), MemberID: p(), Currency: s(),
			RoundingMinor: n(), TotalMinor: n(), ChangeMinor: n(), PointsEarned: protocol.Points(n()), PointsRedeemed: protocol.Points(n()), OrderID: protocol.OrderID(s()), Fiscal: fiscal(),
			Training: yes.Draw(t, "training"), Voided: yes.Draw(t, "voided"),
		}
		if yes.Draw(t, "lists") {
			d.Lines, d.Taxes, d.Tenders, d.Warnings = []sale.DocumentLine{}, []sale.DocumentTax{}, []sale.DocumentTender{}, []sale.DocumentWarning{}
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "lines") {
			d.Lines = append(d.Lines, sale.DocumentLine{
				Line: i + 1, SKU: protocol.SKU(s()), GTIN: p(), Name: p(), Qty: q(), UnitPriceMinor: n(), DiscountMinor: n(), AmountMinor: n(), TaxCode: p(), ReturnedQty: q(),
				Discounts: rapid.SampledFrom([][]sale.DocumentDiscount{nil, {}, {{Type: s(), ID: p(), Reason: p(), AmountMinor: n()}, {Type: s()}}}).Draw(t, "discounts"),
			})
			d.Taxes = append(d.Taxes, sale.DocumentTax{TaxCode: s(), RatePPM: protocol.RatePPM(n()), NetMinor: n(), TaxMinor: n()})
			d.Tenders = append(d.Tenders, sale.DocumentTender{Type: protocol.TenderType(s()), AmountMinor: n(), Ref: p()})
			line := rapid.Uint32().Draw(t, "line")
			d.Warnings = append(d.Warnings, sale.DocumentWarning{Code: s(), Message: s()}, sale.DocumentWarning{Code: s(), Line: &line, Message: s()})
		}
		if yes.Draw(t, "external") {
			d.External = &sale.DocumentExternal{Source: s(), ID: s(), ReceiptNo: p(), OccurredAt: p(), BusinessDate: p(), TotalMinor: n(), Fiscal: fiscal()}
		}
		want, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.AppendJSON(nil); string(got) != string(want) {
			t.Errorf("document is\n%s\nwant\n%s", got, want)
		}
	})
}
