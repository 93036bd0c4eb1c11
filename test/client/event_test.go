package client_test

import (
	"testing"

	"counterpart/test/client"
)

// TestReturnsAndVoids writes what reverses a sale.
func TestReturnsAndVoids(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	first := a.Log.Agent + "-1-1-1"
	back := client.Sale{
		Type: client.SaleReturn, Currency: "GBP", Inclusive: true, BusinessDate: 20261121, Till: "1", Series: "1", Number: 2, Original: first,
		Lines: []client.Line{{Quantity: -1000, Price: 250, State: client.Damaged, Original: 1}},
		Taxes: []client.Tax{{Code: "STD", Rate: 200_000, Net: -208, Tax: -42}}, Total: -250,
	}
	void := pens(4, -3)
	void.Type, void.Original, void.Lines[0].Original = client.SaleVoid, a.Log.Agent+"-1-1-3", 1
	b.log(a, pens(1, 2).Event("PEN-01"), back.Event("PEN-01"), pens(3, 3).Event("PEN-01"), void.Event("PEN-01"))
	b.upload(a, 1, 4)
	b.wantSales(a, "sale 1-1-1 1 lines 500", "return 1-1-2 1 lines -250", "sale 1-1-3 1 lines 750", "void 1-1-4 1 lines -750")
	b.wantStock("PEN-01", -1000)
	var doc struct {
		Lines []struct {
			Returned float64 `json:"returned_qty"`
		} `json:"lines"`
	}
	b.check(b.hub.Get(b.ctx, "/v1/sales/"+first, &doc))
	if len(doc.Lines) != 1 || doc.Lines[0].Returned != 1 {
		t.Errorf("the sale that came back shows %+v", doc)
	}
}

// TestLinesOfASale uses what is not obvious: an amount that was fixed
// otherwise, a line without tax, a service, lines that share an item, training.
func TestLinesOfASale(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	s := client.Sale{
		Type: client.SaleSale, Currency: "GBP", BusinessDate: 20261121, Till: "till_2", Series: "x", Number: 1,
		Lines: []client.Line{
			{Item: 0, Quantity: 450, Price: 1199, Difference: 1, Tax: 1},  // 539.55 is 540, and 541 it was
			{Item: 1, Quantity: 1000, Price: 250, Tax: 0},                 // taxed
			{Item: 0, Quantity: 1000, Price: 1199, Tax: 1},                // 1199
			{Item: 2, Quantity: 1000, Price: 10, Tax: 1, Unstocked: true}, // a service
			{Item: 1, Quantity: 500, Price: 5, Tax: 2},                    // 2.5 is 3
		},
		Taxes: []client.Tax{{Code: "STD", Rate: 200_000, Net: 250, Tax: 50}}, MoreTaxCodes: []string{"", "EXEMPT"}, Total: 2053,
	}
	training := pens(1, 5)
	training.Series, training.Training = "T1", true
	untaxed := client.Sale{
		Type: client.SaleSale, Currency: "GBP", BusinessDate: 20261121, Till: "1", Series: "1", Number: 1,
		Lines: []client.Line{{Quantity: 1000, Price: 100}}, MoreTaxCodes: []string{""}, Total: 100,
	}
	dead := b.deadLetters()
	b.log(a, s.Event("OLIVES", "PEN-01", "BAG"), training.Event("PEN-01"), untaxed.Event("a/b"))
	b.upload(a, 1, 3)
	b.wantSales(a, "sale till_2-x-1 5 lines 2053", "sale 1-1-1 1 lines 100")
	b.wantStock("OLIVES", -1450)
	b.wantStock("PEN-01", -1500)
	b.wantStock("BAG", 0)
	b.wantStock("a/b", -1000)
	if got := b.deadLetters(); got != dead {
		t.Errorf("%d events are dead", got-dead)
	}
	var doc struct {
		Lines []struct {
			Amount int64   `json:"amount_minor"`
			Tax    *string `json:"tax_code"`
		} `json:"lines"`
	}
	b.check(b.hub.Get(b.ctx, "/v1/sales/"+a.Log.Agent+"-till_2-x-1", &doc))
	for i, want := range []int64{541, 250, 1199, 10, 3} {
		if i >= len(doc.Lines) || doc.Lines[i].Amount != want {
			t.Fatalf("line %d of %+v should come to %d", i+1, doc.Lines, want)
		}
	}
	if doc.Lines[0].Tax != nil || *doc.Lines[1].Tax != "STD" || *doc.Lines[4].Tax != "EXEMPT" {
		t.Errorf("tax codes of %+v", doc.Lines)
	}
}

// TestMovements moves stock in each way.
func TestMovements(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	pieces := func(kind uint64, n int64) client.Movement {
		return client.Movement{Type: kind, Lines: []client.MovementLine{{SKU: "PEN-01", Quantity: n}}}
	}
	broken, out := pieces(client.Adjustment, 3000), pieces(client.TransferOut, 4000)
	broken.Reason, broken.Lines[0].State, out.ToStore = "fell", client.Damaged, "elsewhere"
	b.log(a, pieces(client.Receipt, 24000).Event(), broken.Event(), out.Event())
	b.upload(a, 1, 3)
	b.wantStock("PEN-01", 20000)
	count := client.Movement{
		Type: client.Count, Lines: []client.MovementLine{{SKU: "PEN-01", Quantity: 18500, Book: 20000}, {SKU: "a/b", Quantity: 1000}},
		Seen: []client.StreamPos{{Inc: a.Log.Inc, Seq: 3}},
	}
	b.log(a, count.Event())
	b.upload(a, 4, 1)
	b.wantStock("PEN-01", 18500)
	b.wantStock("a/b", 1000)
}

// TestUnknownKindMovesStock sends a kind that no version knows.
func TestUnknownKindMovesStock(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	dead := b.deadLetters()
	b.log(a, client.Event{
		Text: "acme.tasting", Boot: 1, Moves: []client.Move{{SKU: "PEN-01", Delta: -7000}, {SKU: "a/b", Delta: 1500}, {SKU: "PEN-01", State: client.Damaged, Delta: 1000}},
		Field: 900, Body: []byte("a body of its own"),
	})
	b.upload(a, 1, 1)
	b.wantStock("PEN-01", -7000)
	b.wantStock("a/b", 1500)
	if got := b.deadLetters(); got != dead {
		t.Errorf("%d events are dead", got-dead)
	}
}

// TestPoisonIsSetAside sends events that break one rule each, and a good one
// behind them.
func TestPoisonIsSetAside(t *testing.T) {
	b := newBench(t, shared)
	a := b.open("a")
	noTax, badDate, noTill := pens(1, 1), pens(1, 1), pens(1, 1)
	noTax.Taxes, badDate.BusinessDate, noTill.Till = nil, 20260230, "a-b"
	badItem, sale := pens(1, 1).Event("PEN-01"), pens(1, 1).Event("PEN-01")
	badItem.Moves = []client.Move{{SKU: "", Delta: 1}}
	wrongBody, load := sale, sale
	wrongBody.Kind = client.KindMovement
	load.Kind, load.Field, load.Body = client.KindStockLoad, 19, nil
	poison := []client.Event{
		noTax.Event("PEN-01"), badDate.Event("PEN-01"), noTill.Event("PEN-01"), badItem, wrongBody, load,
		{Kind: 99, Boot: 1},
		{Text: "no word", Boot: 1},
		{Kind: client.KindSale, Text: "sale", Boot: 1, Items: sale.Items, Body: sale.Body, Field: 16},
		{Kind: client.KindSale, Boot: 1},
		{Boot: 1, Text: "acme", Moves: []client.Move{{SKU: "PEN-01", State: 6, Delta: 1}}},
		{Boot: 1, Text: "acme", Moves: []client.Move{{SKU: "PEN-01", Delta: 10_000_000_000_001}}},
		{Boot: 1, Text: "acme", Moves: []client.Move{{SKU: "PEN\xff", Delta: 1}}},
	}
	dead := b.deadLetters()
	b.log(a, poison[0])
	b.upload(a, 1, 1)
	if got := b.deadLetters() - dead; got != 1 {
		t.Fatalf("%d events are dead, want 1", got)
	}
	b.log(a, poison[1:]...)
	b.log(a, sale)
	a.Log.Append(client.Record{Body: []byte("\xff no protobuf")})
	b.upload(a, 2, a.Log.Last()-1)
	if got, want := b.deadLetters()-dead, int64(len(poison)+1); got != want {
		t.Errorf("%d events are dead, want %d", got, want)
	}
	b.wantSales(a, "sale 1-1-1 1 lines 250")
	b.wantStock("PEN-01", -1000)
	b.wantStream(a.Log, a.Log.Last())
}
