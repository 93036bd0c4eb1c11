package hub

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

// importHub is a hub over memory at a fixed time, with nobody connected.
func importHub(t *testing.T) *Hub {
	t.Helper()
	last := byte(0)
	h, err := New(t.Context(), Options{
		Driver: ledger.NewMemory(), Currency: "GBP",
		Now:  func() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC) },
		Mono: func() time.Duration { return time.Hour },
		Random: func(b []byte) {
			last++
			for i := range b {
				b[i] = last
			}
		},
		Send: func(string, []byte, bool) {}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// takeIn imports a file and returns what became of it.
func takeIn(t testing.TB, h *Hub, table Table, format, file string) (Report, error) {
	t.Helper()
	return takeInFrom(t, h, table, format, strings.NewReader(file))
}

func takeInFrom(t testing.TB, h *Hub, table Table, format string, file io.Reader) (Report, error) {
	t.Helper()
	rows, err := ReadRows(table, format, file)
	if err != nil {
		return Report{}, err
	}
	take := map[Table]func(context.Context, RowReader) (Report, error){
		ItemsTable: h.ImportItems, PricesTable: h.ImportPrices, TaxesTable: h.ImportTaxes, PromotionsTable: h.ImportPromotions, StoresTable: h.ImportStores,
		StockTable: func(ctx context.Context, rows RowReader) (Report, error) { return h.StockLoad(ctx, "s1", rows, nil) },
	}[table]
	report, err := take(t.Context(), rows)
	if report.Read != report.Applied+report.Unchanged+report.Rejected {
		t.Errorf("report does not add up: %+v", report)
	}
	return report, err
}

// mustTakeIn imports a file of which every row is good.
func mustTakeIn(t testing.TB, h *Hub, table Table, file string) Report {
	t.Helper()
	report, err := takeIn(t, h, table, FormatCSV, file)
	if err != nil || report.Rejected > 0 {
		t.Fatalf("import of %s: %+v, %v", table, report, err)
	}
	return report
}

func itemOf(t *testing.T, h *Hub, sku protocol.SKU) *protocol.Item {
	t.Helper()
	var item *protocol.Item
	err := h.view(t.Context(), func(r ledger.Reader) (err error) {
		item, err = ledger.ReadItem(r, sku)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func money(m protocol.Money) *protocol.Money { return &m }

func TestImportItemDefaultsAndEveryColumn(t *testing.T) {
	h := importHub(t)
	mustTakeIn(t, h, ItemsTable, "\uFEFFgtin,name\r\n4006381333931,Pen\r\n")
	want := &protocol.Item{SKU: "04006381333931", GTIN: "04006381333931", Name: "Pen", Unit: protocol.Each, Currency: "GBP", Stocked: true}
	if got := itemOf(t, h, "04006381333931"); !reflect.DeepEqual(got, want) {
		t.Errorf("item with defaults is %+v", got)
	}
	full := &protocol.Item{
		SKU: "B 2", GTIN: "04006381333931", Name: "Blue, \"thick\"", Brand: "Stabilo", Category: "Pens", Unit: protocol.Kg, Price: money(1250), Currency: "EUR",
		TaxCode: "STD", Stocked: false, Blocked: true, MinAge: 18, Parent: "PEN", Source: "test",
		Codes:      []protocol.ItemCode{{Code: "CASE-1", Multiplier: 12_000}, {Code: "00012345678905", Multiplier: 1000}, {Code: "A*B", Multiplier: 1500}},
		Attributes: []protocol.Attribute{{Name: "colour", Value: "blue"}, {Name: "size", Value: "a=b"}},
	}
	header := "sku,gtin,name,brand,category,unit,price_minor,currency,tax_code,stocked,blocked,min_age,parent_sku,attributes,codes,source\n"
	mustTakeIn(t, h, ItemsTable, header+"B 2,4006381333931,\"Blue, \"\"thick\"\"\",Stabilo,Pens,kg,1250,EUR,STD,0,TRUE,18,PEN,size=a=b; colour=blue;,CASE-1*12 012345678905 A*B*1.5,test\n")
	if got := itemOf(t, h, "B 2"); !reflect.DeepEqual(got, full) {
		t.Errorf("item with every column is %+v, want %+v", got, full)
	}
	ndjson := `{"sku":"B 2","gtin":"4006381333931","name":"Blue, \"thick\"","brand":"Stabilo","category":"Pens","unit":"kg","price_minor":1250,"currency":"EUR",` +
		`"tax_code":"STD","stocked":false,"blocked":true,"min_age":18,"parent_sku":"PEN","attributes":{"size":"a=b","colour":"blue"},` +
		`"codes":[{"code":"CASE-1","multiplier":12},{"code":"012345678905"},{"code":"A*B","multiplier":1.5}],"source":"test"}` + "\n\n"
	report, err := takeIn(t, h, ItemsTable, FormatNDJSON, ndjson)
	if err != nil || report.Unchanged != 1 || report.Read != 1 {
		t.Errorf("the same as NDJSON: %+v, %v", report, err)
	}
}

func TestImportKeepsWhatIsAbsentAndClearsWhatIsEmpty(t *testing.T) {
	h := importHub(t)
	mustTakeIn(t, h, ItemsTable, "sku,name,brand,unit,price_minor,currency,min_age,stocked,codes,attributes\nP,Pen,X,kg,5,EUR,16,0,C*2,a=b\n")
	mustTakeIn(t, h, ItemsTable, "sku,price_minor\nP,7\n")
	item := itemOf(t, h, "P")
	if item.Name != "Pen" || item.Brand != "X" || item.Unit != protocol.Kg || *item.Price != 7 || item.Currency != "EUR" || item.MinAge != 16 || item.Stocked || len(item.Codes) != 1 {
		t.Errorf("one column changed more than itself: %+v", item)
	}
	mustTakeIn(t, h, ItemsTable, "sku,brand,unit,price_minor,currency,min_age,stocked,codes,attributes\nP,,,,,,,,\n")
	want := &protocol.Item{SKU: "P", Name: "Pen", Unit: protocol.Each, Currency: "GBP", Stocked: true}
	if got := itemOf(t, h, "P"); !reflect.DeepEqual(got, want) {
		t.Errorf("cleared item is %+v", got)
	}
	report, err := takeIn(t, h, ItemsTable, FormatNDJSON, `{"sku":"P","name":null}`+"\n"+`{"sku":"P","brand":"Y"}`+"\n"+`{"sku":"P","brand":null}`)
	if err != nil || report.Rejected != 1 || report.Applied != 2 || itemOf(t, h, "P").Name != "Pen" || itemOf(t, h, "P").Brand != "" {
		t.Errorf("null: %+v, %v", report, err)
	}
}

func TestImportLastRowWinsAndUnchangedIsNotWritten(t *testing.T) {
	h := importHub(t)
	report := mustTakeIn(t, h, ItemsTable, "sku,name\nP,One\nP,Two\nP,Two\nQ,Q\nP,Three\n")
	if report.Applied != 4 || report.Unchanged != 1 || itemOf(t, h, "P").Name != "Three" {
		t.Errorf("last row: %+v, %q", report, itemOf(t, h, "P").Name)
	}
	head := func() (seq protocol.Seq) {
		err := h.view(t.Context(), func(r ledger.Reader) error {
			streams, err := ledger.AllStreams(r)
			for _, s := range streams {
				seq += s.Seq
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return seq
	}
	before := head()
	if again := mustTakeIn(t, h, ItemsTable, "sku,name\nP,Three\nQ,Q\n"); again.Unchanged != 2 || again.Applied != 0 || head() != before {
		t.Errorf("again: %+v, %d events more", again, head()-before)
	}
}

func TestImportGoodRowsApplyBesideBadOnes(t *testing.T) {
	h := importHub(t)
	report, err := takeIn(t, h, ItemsTable, FormatCSV, "gtin,name\n4006381333931,Pen\nA,B,C\n123,Bad\n\"x\"y,Quote\n4006381333948,Ink\n")
	if err != nil {
		t.Fatal(err)
	}
	var rows []int64
	for _, e := range report.Errors {
		rows = append(rows, e.Row)
	}
	if report.Read != 5 || report.Applied != 2 || !slices.Equal(rows, []int64{2, 3, 4}) || report.NothingGood() {
		t.Errorf("%+v", report)
	}
	if *report.Errors[1].Value != "123" || report.Errors[1].Code != protocol.BadLength {
		t.Errorf("error is %+v", report.Errors[1])
	}
}

func TestImportRefusesFiles(t *testing.T) {
	tests := []struct {
		name, format, file string
		code               protocol.Code
		field              string
	}{
		{"unknown column", FormatCSV, "sku,name,colour\nP,Pen,blue\n", protocol.UnknownField, "colour"},
		{"column twice", FormatCSV, "sku,name,sku\nP,Pen,P\n", protocol.UnknownField, "sku"},
		{"column in other case", FormatCSV, "SKU,name\nP,Pen\n", protocol.UnknownField, "SKU"},
		{"header is no CSV", FormatCSV, "sku,\"na\"me\nP,Pen\n", protocol.BadJSON, ""},
		{"header too long", FormatCSV, strings.Repeat("x", 400<<10), protocol.TooLarge, ""},
		{"unknown member", FormatNDJSON, `{"sku":"P","name":"Pen"}` + "\n" + `{"sku":"Q","colour":"blue"}`, protocol.UnknownField, "colour"},
		{"other format", "application/json", "{}", protocol.BadJSON, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := takeIn(t, importHub(t), ItemsTable, tt.format, tt.file)
			e := protocol.AsError(err)
			if err == nil || e.Code != tt.code || tt.field != "" && e.Members["field"] != tt.field {
				t.Errorf("error is %v", err)
			}
			if tt.code == protocol.UnknownField && tt.name != "column twice" && !strings.Contains(e.Message, "parent_sku") {
				t.Errorf("the known columns are not named: %s", e.Message)
			}
		})
	}
}

func TestImportEmptyFiles(t *testing.T) {
	for _, file := range []string{"", "\uFEFF", "sku,name\n", "sku,name"} {
		report, err := takeIn(t, importHub(t), ItemsTable, FormatCSV, file)
		if err != nil || report.Read != 0 || report.Errors == nil || report.NothingGood() {
			t.Errorf("%q: %+v, %v", file, report, err)
		}
	}
	if report, err := takeIn(t, importHub(t), ItemsTable, FormatNDJSON, "\n \n"); err != nil || report.Read != 0 {
		t.Errorf("NDJSON: %+v, %v", report, err)
	}
}

func TestImportBoundsARow(t *testing.T) {
	huge := strings.Repeat("x", 300<<10)
	report, err := takeIn(t, importHub(t), ItemsTable, FormatNDJSON, `{"sku":"P","name":"`+huge+`"}`+"\n"+`{"sku":"Q","name":"Q"}`)
	if err != nil || report.Rejected != 1 || report.Applied != 1 || report.Errors[0].Code != protocol.TooLarge {
		t.Errorf("NDJSON: %+v, %v", report, err)
	}
	for name, row := range map[string]string{"one line": "P," + huge, "one quoted line": `P,"` + huge + `"`, "lines": `P,"x` + "\n" + huge + `"`} {
		report, err := takeIn(t, importHub(t), ItemsTable, FormatCSV, "sku,name\nA,A\n"+row+"\nQ,Q\n")
		last := report.Errors[len(report.Errors)-1]
		if err != nil || report.Applied != 2 || (name != "one quoted line" && last.Code != protocol.TooLarge) || report.Read != last.Row+1 {
			t.Errorf("CSV, %s: %+v, %v", name, report, err)
		}
	}
}

func TestImportRefusesLinesThatAreNoObjects(t *testing.T) {
	for _, line := range []string{`[]`, `"x"`, `{"sku":"P"`, `{"sku":"P"} {}`, "{\"sku\":\"\xff\"}", `{"sku":"P","sku":"Q","name":"x"}`, `{"sku":["P"]}`, `{"sku":"P","name":{}}`} {
		report, err := takeIn(t, importHub(t), ItemsTable, FormatNDJSON, line+"\n"+`{"sku":"Q","name":"Q"}`+"\n")
		if err != nil || report.Rejected != 1 || report.Applied != 1 || report.Errors[0].Code != protocol.BadJSON {
			t.Errorf("%s: %+v, %v", line, report, err)
		}
	}
}

func TestImportBrokenConnectionKeepsWhatWasApplied(t *testing.T) {
	h := importHub(t)
	var file strings.Builder
	file.WriteString("sku,name\n")
	for i := range 1000 {
		fmt.Fprintf(&file, "P%d,Pen\n", i)
	}
	broken := errors.New("the line broke")
	_, err := takeInFrom(t, h, ItemsTable, FormatCSV, io.MultiReader(strings.NewReader(file.String()), brokenReader{broken}))
	if !errors.Is(err, broken) || itemOf(t, h, "P10") == nil {
		t.Errorf("error %v, first chunk %v", err, itemOf(t, h, "P10"))
	}
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

// TestImportNamesErrorsInTheOrderOfTheFile mixes rows that are wrong by
// themselves with rows that are wrong only beside what is stored.
func TestImportNamesErrorsInTheOrderOfTheFile(t *testing.T) {
	for table, file := range map[Table]struct{ columns, read, applied string }{
		ItemsTable:  {"sku,price_minor", "M,x", "M,1"},
		PricesTable: {"zone,code,price_minor,valid_from", "default,P,x,2026-01-01", "default,NO,1,2026-01-01"},
		StockTable:  {"code,on_hand", "P,x", "NO,1"},
	} {
		h := importHub(t)
		mustTakeIn(t, h, StoresTable, "id,name,timezone\ns1,High Street,Europe/London\n")
		mustTakeIn(t, h, ItemsTable, "sku,name\nP,Pen\n")
		rows := file.columns + "\n" + strings.Repeat(strings.Repeat(file.applied+"\n", 3)+strings.Repeat(file.read+"\n", 7), 300)
		report, err := takeIn(t, h, table, FormatCSV, rows)
		if err != nil || report.Rejected != 3000 || len(report.Errors) != reportErrorsMax {
			t.Fatalf("%s: %d rejected, %d named, %v", table, report.Rejected, len(report.Errors), err)
		}
		for i, e := range report.Errors {
			if e.Row != int64(i+1) {
				t.Fatalf("%s: error %d is of row %d", table, i+1, e.Row)
			}
		}
	}
}

func TestImportNamesTheFirstThousandErrors(t *testing.T) {
	report, err := takeIn(t, importHub(t), ItemsTable, FormatCSV, "gtin,name\n"+strings.Repeat("1,x\n", 1500))
	if err != nil || report.Rejected != 1500 || len(report.Errors) != reportErrorsMax {
		t.Errorf("%d rejected, %d named, %v", report.Rejected, len(report.Errors), err)
	}
}

func TestImportSplitsWhatOneEventCannotHold(t *testing.T) {
	h := importHub(t)
	var file strings.Builder
	file.WriteString("sku,name,attributes\n")
	for i := range 60 {
		fmt.Fprintf(&file, "P%d,Pen,", i)
		for a := range 50 {
			fmt.Fprintf(&file, "a%d=%s;", a, strings.Repeat("x", 900))
		}
		file.WriteByte('\n')
	}
	mustTakeIn(t, h, ItemsTable, file.String())
	var again strings.Builder
	again.WriteString("sku,blocked\n")
	for i := range 60 {
		fmt.Fprintf(&again, "P%d,1\n", i)
	}
	if report := mustTakeIn(t, h, ItemsTable, again.String()); report.Applied != 60 || !itemOf(t, h, "P59").Blocked || len(itemOf(t, h, "P59").Attributes) != 50 {
		t.Errorf("%+v", report)
	}
}

// TestImportLeavesTheChoiceOfThePrimaryToTheHub sends a store's file whose
// primary_agent is empty again and again.
func TestImportLeavesTheChoiceOfThePrimaryToTheHub(t *testing.T) {
	h := importHub(t)
	file := func(primary string) string {
		return "id,name,timezone,primary_agent\ns1,High Street,UTC," + primary + "\ns2,Station,UTC,\n"
	}
	mustTakeIn(t, h, StoresTable, file(""))
	primary := func() (id protocol.AgentID) {
		err := h.view(t.Context(), func(r ledger.Reader) error {
			record, err := ledger.ReadStore(r, "s1")
			id = record.Primary
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for _, agent := range []protocol.AgentID{"q2", "q1", "q3"} {
		o := stream("s1", agent, agent[1])
		if err := h.register(t.Context(), agentRow{Agent: o.Agent, Store: o.Store, Inc: o.Inc.String()}, false); err != nil {
			t.Fatal(err)
		}
		link := linkOnline
		if agent == "q1" {
			link = linkOffline
		}
		seen(h, o, link, h.now(), h.now(), 0)
	}
	for _, tt := range []struct {
		imported  string
		unchanged int64
		want      protocol.AgentID
	}{{"", 2, "q2"}, {"q3", 1, "q3"}, {"", 2, "q3"}, {"q1", 1, "q1"}, {"", 2, "q1"}, {"gone", 1, "gone"}, {"", 1, "q2"}, {"", 2, "q2"}} {
		report := mustTakeIn(t, h, StoresTable, file(tt.imported))
		if report.Unchanged != tt.unchanged || primary() != tt.want {
			t.Errorf("after %q the primary is %q, want %q: %+v", tt.imported, primary(), tt.want, report)
		}
	}
}

func TestImportPrices(t *testing.T) {
	h := importHub(t)
	mustTakeIn(t, h, ItemsTable, "sku,gtin,name\nPEN,4006381333931,Pen\n")
	mustTakeIn(t, h, PricesTable, "zone,code,price_minor,currency,valid_from,valid_to\n"+
		"default,PEN,200,,2026-01-01,\ndefault,4006381333931,250,EUR,2026-06-01T00:00:00+02:00,2026-07-01\nnorth,04006381333931,300,,2026-01-01,\ndefault,PEN,210,,2026-01-01,\n")
	if report := mustTakeIn(t, h, PricesTable, "zone,code,valid_from\ndefault,PEN,2026-05-31T22:00:00Z\n"); report.Unchanged != 1 {
		t.Errorf("one instant written in two ways: %+v", report)
	}
	mustTakeIn(t, h, PricesTable, "zone,code,valid_from,valid_to\ndefault,PEN,2026-05-31T22:00:00Z,\n")
	var lists []*protocol.PriceList
	err := h.view(t.Context(), func(r ledger.Reader) (err error) {
		lists, err = ledger.ReadPrices(r, "default", []protocol.SKU{"PEN"})
		return err
	})
	want := []protocol.Price{{Amount: 210, Currency: "GBP", From: "2026-01-01"}, {Amount: 250, Currency: "EUR", From: "2026-05-31T22:00:00Z"}}
	if err != nil || !reflect.DeepEqual(lists[0].Prices, want) {
		t.Errorf("prices are %+v, %v", lists[0], err)
	}
}

func TestImportTaxesKeepAZoneOfOneMind(t *testing.T) {
	h := importHub(t)
	mustTakeIn(t, h, TaxesTable, "zone,tax_code,name,rate_ppm,prices_include_tax,valid_from\n"+
		"default,STD,Standard,175000,1,2008-01-01\ndefault,STD,,200000,1,2011-01-04\nus,STD,Sales tax,70000,0,2020-01-01\n")
	mustTakeIn(t, h, TaxesTable, "zone,tax_code,rate_ppm,valid_from\ndefault,ZERO,0,2008-01-01\ndefault,STD,150000,2008-01-01\n")
	taxes := func(zone protocol.ZoneID) (list []*protocol.TaxList) {
		err := h.view(t.Context(), func(r ledger.Reader) (err error) {
			list, err = ledger.Taxes(r, zone)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	got := taxes("default")
	if len(got) != 2 || !got[0].PricesIncludeTax || !got[1].PricesIncludeTax || got[1].Code != "ZERO" || len(got[0].Rates) != 2 || got[0].Rates[0].Rate != 150_000 {
		t.Errorf("taxes are %+v %+v", got[0], got[1])
	}
	mustTakeIn(t, h, TaxesTable, "zone,tax_code,rate_ppm,valid_from,prices_include_tax\ndefault,ZERO,0,2008-01-01,0\n")
	if got := taxes("default"); got[0].PricesIncludeTax || got[1].PricesIncludeTax || taxes("us")[0].PricesIncludeTax {
		t.Error("the zone's codes disagree about prices")
	}
}

func TestImportFoldsTextIntoOneLine(t *testing.T) {
	h := importHub(t)
	mustTakeIn(t, h, ItemsTable, "sku,name\nP,\"Amino\u0099x\r\nBlue\tRaz\"\n")
	if got := itemOf(t, h, "P").Name; got != "Aminox Blue Raz" {
		t.Errorf("name is %q", got)
	}
}

func TestImportOpeningHours(t *testing.T) {
	for hours, want := range map[string]bool{
		"Mo-Sa 08:00-20:00; Su 10:00-16:00": true, "Mo-Su 00:00-24:00": true, "Mo,We,Fr 08:00-12:00,13:00-18:00": true, "Fr-Sa 18:00-02:00": true,
		"Mo 8:00-20:00": false, "Mo-Sa": false, "Mo 08:00-25:00": false, "mo 08:00-20:00": false, "Mo 08:00-20:00;": false, "Mo 08:00-20:60": false,
	} {
		if validHours(hours) != want {
			t.Errorf("validHours(%q) is not %v", hours, want)
		}
	}
}

func TestStockLoad(t *testing.T) {
	h := importHub(t)
	mustTakeIn(t, h, StoresTable, "id,name,timezone\ns1,High Street,Europe/London\n")
	var items, stock strings.Builder
	items.WriteString("sku,name\n")
	stock.WriteString("code,on_hand\n")
	for i := range 900 {
		fmt.Fprintf(&items, "P%03d,Pen\n", i)
		fmt.Fprintf(&stock, "P%03d,%d.5\n", i, i)
	}
	mustTakeIn(t, h, ItemsTable, items.String())
	report, err := takeIn(t, h, StockTable, FormatCSV, stock.String()+"P000,7\nP000,7\nNO,1\n")
	if err != nil || report.Applied != 901 || report.Unchanged != 1 || report.Rejected != 1 || report.LoadID == nil {
		t.Fatalf("%+v, %v", report, err)
	}
	doc, err := h.Load(t.Context(), *report.LoadID)
	if err != nil || doc != (LoadDocument{LoadID: *report.LoadID, Store: "s1", Rows: 900, State: "pending"}) {
		t.Errorf("load is %+v, %v", doc, err)
	}
	var parts []ledger.LoadPart
	var first *protocol.StockLoad
	err = h.view(t.Context(), func(r ledger.Reader) error {
		load, err := ledger.ReadLoad(r, "s1", *report.LoadID)
		if err != nil {
			return err
		}
		parts = load.Parts
		record, _, err := ledger.ReadEvent(r, parts[0].Event)
		if err != nil {
			return err
		}
		event, err := protocol.DecodeEvent(record.Body)
		first = event.StockLoad
		return err
	})
	if err != nil || len(parts) != 3 || *report.LoadID != "l-"+parts[0].Event.String() || first.Total != 900 || first.Rows[0] != (protocol.StockRow{SKU: "P000", OnHand: 7000}) {
		t.Errorf("parts %+v, first %+v, %v", parts, first, err)
	}
	second, err := takeIn(t, h, StockTable, FormatCSV, "code,on_hand\nP001,1\n")
	if err != nil || *second.LoadID == *report.LoadID {
		t.Errorf("second load: %+v, %v", second, err)
	}
	if report, err := takeIn(t, h, StockTable, FormatCSV, "code,on_hand\n"); err != nil || report.LoadID != nil {
		t.Errorf("empty load: %+v, %v", report, err)
	}
	for _, id := range []string{"", "x", "l-", "l-00-1", *report.LoadID + "0"} {
		if _, err := h.Load(t.Context(), id); protocol.CodeOf(err) != protocol.NotFound {
			t.Errorf("load %q: %v", id, err)
		}
	}
	rows, err := ReadRows(StockTable, FormatCSV, strings.NewReader("code,on_hand\nP001,1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.StockLoad(t.Context(), "s9", rows, nil); protocol.CodeOf(err) != protocol.UnknownStore {
		t.Errorf("load for an unknown store: %v", err)
	}
}

// realData returns a file of real retail data, if it is there. A folder named
// by COUNTERPART_DATA must exist.
func realData(t *testing.T, name string) ([][]string, bool) {
	t.Helper()
	folder, named := os.LookupEnv("COUNTERPART_DATA")
	if !named {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	file, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		if named {
			t.Fatalf("COUNTERPART_DATA: %v", err)
		}
		t.Logf("the data is absent, nothing was checked: %v", err)
		return nil, false
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows, true
}

// asCSV writes rows under other names of their columns.
func asCSV(t *testing.T, header []string, rows [][]string) string {
	t.Helper()
	var b strings.Builder
	w := csv.NewWriter(&b)
	if err := w.WriteAll(append([][]string{header}, rows...)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestImportRealCodesThatAreRefused(t *testing.T) {
	for _, name := range []string{"bad_barcodes.csv", "instore_codes.csv"} {
		rows, ok := realData(t, name)
		if !ok {
			continue
		}
		report, err := takeIn(t, importHub(t), ItemsTable, FormatCSV, asCSV(t, []string{"gtin", "name"}, rows[1:]))
		if err != nil || report.Rejected != int64(len(rows)-1) || !report.NothingGood() {
			t.Fatalf("%s: %d of %d rows refused, %v", name, report.Rejected, len(rows)-1, err)
		}
		codes := map[protocol.Code]int{}
		for _, e := range report.Errors {
			codes[e.Code]++
			if !slices.Contains([]protocol.Code{protocol.BadCheckDigit, protocol.BadLength, protocol.RestrictedCode}, e.Code) || *e.Field != "gtin" {
				t.Errorf("%s: %+v", name, e)
			}
		}
		t.Logf("%s: %v", name, codes)
	}
}

func TestImportRealCatalogue(t *testing.T) {
	h := importHub(t)
	items, ok := realData(t, "catalog.csv")
	if !ok {
		return
	}
	started := time.Now()
	report, err := takeIn(t, h, ItemsTable, FormatCSV, asCSV(t, items[0], items[1:]))
	if err != nil || report.Rejected != 0 || report.Applied != int64(len(items)-1) {
		t.Fatalf("catalog.csv: %+v, %v", report, err)
	}
	t.Logf("%d items in %v", report.Applied, time.Since(started))
	stores, _ := realData(t, "stores.csv")
	report, err = takeIn(t, h, StoresTable, FormatCSV, asCSV(t, stores[0], stores[1:]))
	if err != nil || report.Rejected != 0 || report.Applied != int64(len(stores)-1) {
		t.Fatalf("stores.csv: %+v, %v", report, err)
	}
	prices, _ := realData(t, "prices.csv")
	var rows [][]string
	for _, p := range prices[1:] {
		zone := p[4]
		if zone == "" {
			zone = "default"
		}
		rows = append(rows, []string{zone, p[0], p[1], p[2], p[3]})
	}
	report, err = takeIn(t, h, PricesTable, FormatCSV, asCSV(t, []string{"zone", "code", "price_minor", "currency", "valid_from"}, rows))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range report.Errors {
		if e.Code != protocol.UnknownCode {
			t.Errorf("prices.csv: %+v", e)
		}
	}
	t.Logf("prices.csv: %d applied, %d of items that are not in the sample", report.Applied, report.Rejected)
}
