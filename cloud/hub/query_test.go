package hub

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/sale"
)

// fleetHub is importHub with three stores in London and one far away.
func fleetHub(t *testing.T) *Hub {
	t.Helper()
	h := importHub(t)
	mustTakeIn(t, h, StoresTable, "id,name,timezone,lat,lon,currency,price_zone,primary_agent\n"+
		"s1,High Street,Europe/London,51.5074,-0.1278,GBP,,a1\ns2,Bridge,Europe/London,51.5060,-0.0754,GBP,north,\n"+
		"s3,Nowhere,Europe/London,,,GBP,,\ns4,Berlin,Europe/Berlin,52.52,13.405,EUR,,\n")
	mustTakeIn(t, h, ItemsTable, "sku,gtin,name,price_minor,codes\nPEN,4006381333931,Pen,250,CASE*12\nINK,,Ink,900,\n")
	return h
}

// logAs logs an event in the stream of an agent.
func logAs(t *testing.T, h *Hub, o protocol.Origin, ev *protocol.Event) protocol.EventID {
	t.Helper()
	var res ledger.Result
	err := h.driver.Update(t.Context(), func(tx ledger.Tx) (err error) {
		res, err = ledger.Log(tx, o, protocol.Clock{WallMs: h.now().UnixMilli()}, ev)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return protocol.EventID{Inc: o.Inc, Seq: res.Stream.Seq}
}

func stream(store protocol.StoreID, agent protocol.AgentID, n byte) protocol.Origin {
	return protocol.Origin{Store: store, Agent: agent, Inc: protocol.Inc{0: n, 15: 1}}
}

func receive(t *testing.T, h *Hub, o protocol.Origin, sku protocol.SKU, q protocol.Quantity) {
	t.Helper()
	logAs(t, h, o, &protocol.Event{
		Kind: protocol.KindMovement, Moves: []protocol.Move{{SKU: sku, State: protocol.OnHand, Delta: q}},
		Movement: &protocol.Movement{Type: protocol.Receipt, Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: sku}, Quantity: q}}},
	})
}

// seen makes an agent known with a session that was heard at a time.
func seen(h *Hub, o protocol.Origin, link string, at, caughtUp time.Time, last protocol.Seq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remember(&agentRow{Agent: o.Agent, Store: o.Store, Inc: o.Inc.String(), Build: "1.0.0", Protocol: 1, SeenMs: at.UnixMilli()})
	h.setSession(&session{
		origin: o, online: link == linkOnline, fenced: link == linkFenced, seen: h.mono(), seenAt: at, lastSeq: last, disk: "ok", caughtUpAt: caughtUp,
	})
}

func receiptOf(kind protocol.SaleType, n uint64, date string, quantity protocol.Quantity, original protocol.ReceiptNo) *protocol.Event {
	line := protocol.SaleLine{Item: protocol.ItemRef{SKU: "PEN"}, Quantity: quantity, UnitPrice: 250, Amount: protocol.Money(quantity) / 4}
	if original != "" {
		line.OriginalLine = 1
	}
	return &protocol.Event{
		Kind: protocol.KindSale, UTCOffsetMin: 60, Moves: []protocol.Move{{SKU: "PEN", State: protocol.OnHand, Delta: -quantity}},
		Sale: &protocol.Sale{
			Type: kind, Till: "1", Series: "1", Number: n, Original: original, BusinessDate: date, Currency: "GBP",
			Lines: []protocol.SaleLine{line}, Total: line.Amount,
		},
	}
}

func TestAvailabilityNearIsSortedByDistance(t *testing.T) {
	h := fleetHub(t)
	now := h.now()
	a1, a2 := stream("s1", "a1", 1), stream("s2", "a2", 2)
	receive(t, h, a1, "PEN", 31_000)
	receive(t, h, a2, "PEN", 2500)
	seen(h, a1, linkOnline, now, now.Add(-4*time.Second), 1)
	seen(h, a2, linkOffline, now.Add(-time.Hour), now.Add(-time.Hour), 4)
	mustTakeIn(t, h, PricesTable, "zone,code,price_minor,valid_from,valid_to\nnorth,PEN,199,2026-01-01,\nnorth,PEN,149,2026-11-21,2026-11-22\nnorth,PEN,1,2026-12-01,\nnorth,INK,1,2025-01-01,2026-11-21\n")
	doc, err := h.Availability(t.Context(), AvailabilityQuery{Code: "4006381333931", Lat: 51.5060, Lon: -0.0754, RadiusKm: 50, Limit: 20})
	if err != nil || len(doc.Results) != 2 {
		t.Fatalf("%+v, %v", doc, err)
	}
	body, err := json.Marshal(doc)
	want := `{"sku":"PEN","gtin":"04006381333931","name":"Pen","unit":"each","results":[` +
		`{"store":"s2","name":"Bridge","distance_km":0,"price_minor":149,"currency":"GBP","promisable":1.5,"availability":"limited_availability",` +
		`"link":"offline","as_of":"2026-11-21T09:00:00+00:00","age_s":3600,"freshness":"stale"},` +
		`{"store":"s1","name":"High Street","distance_km":3.63,"price_minor":250,"currency":"GBP","promisable":30,"availability":"in_stock",` +
		`"link":"online","as_of":"2026-11-21T09:59:56+00:00","age_s":4,"freshness":"live"}]}`
	if err != nil || string(body) != want {
		t.Errorf("availability is\n%s\nwant\n%s", body, want)
	}
	one, err := h.Availability(t.Context(), AvailabilityQuery{Code: "PEN", Lat: 51.5, Lon: -0.1, RadiusKm: 5000, Limit: 1})
	if err != nil || len(one.Results) != 1 {
		t.Errorf("with a limit of 1: %+v, %v", one, err)
	}
}

func TestAvailabilityInOneStore(t *testing.T) {
	h := fleetHub(t)
	doc, err := h.Availability(t.Context(), AvailabilityQuery{Code: "PEN", Store: "s4"})
	if err != nil || len(doc.Results) != 1 {
		t.Fatalf("%+v, %v", doc, err)
	}
	want := AvailabilityResult{Store: "s4", Name: "Berlin", Currency: "EUR", Availability: "out_of_stock", Link: linkNever, Freshness: freshNever}
	if !reflect.DeepEqual(doc.Results[0], want) {
		t.Errorf("an empty store whose currency the item has no price in: %+v", doc.Results[0])
	}
	receive(t, h, stream("s1", "a1", 1), "PEN", 9000)
	mustTakeIn(t, h, ItemsTable, "sku,blocked\nPEN,1\n")
	if doc, err = h.Availability(t.Context(), AvailabilityQuery{Code: "PEN", Store: "s1"}); err != nil || doc.Results[0].Promisable != 0 {
		t.Errorf("a blocked item is promised: %+v, %v", doc, err)
	}
	for _, tt := range []struct {
		q    AvailabilityQuery
		code protocol.Code
	}{
		{AvailabilityQuery{Code: "NO", Store: "s1"}, protocol.UnknownCode},
		{AvailabilityQuery{Code: strings.Repeat("1", 5000), Store: "s1"}, protocol.UnknownCode},
		{AvailabilityQuery{Code: "PEN", Store: "s9"}, protocol.UnknownStore},
		{AvailabilityQuery{Code: "PEN", Store: "no id"}, protocol.UnknownStore},
	} {
		if _, err := h.Availability(t.Context(), tt.q); protocol.CodeOf(err) != tt.code {
			t.Errorf("%.40v: %v", tt.q, err)
		}
	}
}

// TestAsOfIsThatOfTheDarkestTill: one live till does not vouch for another.
func TestAsOfIsThatOfTheDarkestTill(t *testing.T) {
	h := fleetHub(t)
	now := h.now()
	a, b := stream("s1", "a1", 1), stream("s1", "b1", 2)
	receive(t, h, a, "PEN", 1000)
	receive(t, h, b, "PEN", 1000)
	fresh := func() (string, string) {
		doc, err := h.Availability(t.Context(), AvailabilityQuery{Code: "PEN", Store: "s1"})
		if err != nil {
			t.Fatal(err)
		}
		return doc.Results[0].Freshness, doc.Results[0].Link
	}
	seen(h, a, linkOnline, now, now, 1)
	if word, link := fresh(); word != freshNever || link != linkOnline {
		t.Errorf("with a till that never reported: %s %s", word, link)
	}
	for age, want := range map[time.Duration]string{
		0: freshLive, 15 * time.Second: freshLive, 16 * time.Second: freshRecent, 15 * time.Minute: freshRecent, 16 * time.Minute: freshStale,
	} {
		seen(h, b, linkOffline, now, now.Add(-age), 1)
		if word, _ := fresh(); word != want {
			t.Errorf("at %v: %s", age, word)
		}
	}
	seen(h, a, linkFenced, now, now, 1)
	if _, link := fresh(); link != linkFenced {
		t.Errorf("link of a fenced primary: %s", link)
	}
}

func TestStockListing(t *testing.T) {
	h := fleetHub(t)
	o := stream("s1", "a1", 1)
	for i := range 1201 {
		receive(t, h, o, protocol.SKU(fmt.Sprintf("X%05d", 1200-i)), 1000)
	}
	receive(t, h, o, "PEN", 5500)
	receive(t, h, stream("s2", "a2", 2), "PEN", 1000)
	var rows []LevelDocument
	if err := h.Stock(t.Context(), "s1", func(doc any) error { rows = append(rows, doc.(LevelDocument)); return nil }); err != nil {
		t.Fatal(err)
	}
	sorted := slices.IsSortedFunc(rows, func(a, b LevelDocument) int { return strings.Compare(string(a.SKU), string(b.SKU)) })
	if len(rows) != 1202 || !sorted {
		t.Fatalf("%d rows, sorted %v", len(rows), sorted)
	}
	body, err := json.Marshal(rows[0])
	want := `{"store":"s1","sku":"PEN","gtin":"04006381333931","name":"Pen","unit":"each","on_hand":5.5,"committed":0,"staged":0,"damaged":0,"quality_control":0,` +
		`"safety_stock":1,"incoming":0,"available":4.5,"allotment":4.5,"recount_suggested":false,"promisable":4.5,"as_of":null}`
	if err != nil || string(body) != want {
		t.Errorf("level is\n%s\nwant\n%s", body, want)
	}
	if err := h.Stock(t.Context(), "s9", nil); protocol.CodeOf(err) != protocol.UnknownStore {
		t.Errorf("unknown store: %v", err)
	}
	stop := protocol.Refuse(protocol.SlowDown, "Stop.")
	if err := h.Stock(t.Context(), "s1", func(any) error { return stop }); err != error(stop) {
		t.Errorf("an error of each: %v", err)
	}
}

func salesOf(t *testing.T, h *Hub, q SalesQuery) (list []sale.Document) {
	t.Helper()
	err := h.Sales(t.Context(), q, func(doc any) error { list = append(list, doc.(sale.Document)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestSalesListing(t *testing.T) {
	h := fleetHub(t)
	a, b := stream("s1", "a1", 9), stream("s2", "b1", 1)
	logAs(t, h, b, receiptOf(protocol.SaleSale, 1, "2026-11-20", 1000, ""))
	logAs(t, h, a, receiptOf(protocol.SaleSale, 1, "2026-11-20", 3000, ""))
	training := receiptOf(protocol.SaleSale, 7, "2026-11-21", 1000, "")
	training.Sale.Training = true
	logAs(t, h, a, training)
	logAs(t, h, a, receiptOf(protocol.SaleReturn, 2, "2026-11-21", -1000, "a1-1-1-1"))
	logAs(t, h, b, receiptOf(protocol.SaleVoid, 2, "2026-11-22", -1000, "b1-1-1-1"))
	receive(t, h, a, "PEN", 1000)

	all := salesOf(t, h, SalesQuery{})
	var numbers []protocol.ReceiptNo
	for _, d := range all {
		numbers = append(numbers, d.ReceiptNo)
	}
	if !slices.Equal(numbers, []protocol.ReceiptNo{"a1-1-1-1", "a1-1-1-2", "b1-1-1-1", "b1-1-1-2"}) {
		t.Fatalf("receipts are %v", numbers)
	}
	first := all[0]
	if first.Lines[0].ReturnedQty != 1000 || first.Voided || *first.Lines[0].Name != "Pen" || first.At != "2026-11-21T11:00:00+01:00" || first.Seq != 1 {
		t.Errorf("first is %+v", first)
	}
	if !all[2].Voided || all[3].Voided || all[3].Lines[0].Qty != -1000 || all[1].Lines[0].ReturnedQty != 0 {
		t.Errorf("the voided sale is %+v, its void %+v", all[2], all[3])
	}
	for q, want := range map[SalesQuery]int{
		{Store: "s1"}: 2, {From: "2026-11-21"}: 2, {To: "2026-11-20"}: 2, {From: "2026-11-21", To: "2026-11-21"}: 1, {Store: "s3"}: 0,
	} {
		if got := len(salesOf(t, h, q)); got != want {
			t.Errorf("%+v: %d receipts, want %d", q, got, want)
		}
	}
	if err := h.Sales(t.Context(), SalesQuery{Store: "s9"}, nil); protocol.CodeOf(err) != protocol.UnknownStore {
		t.Errorf("unknown store: %v", err)
	}
	doc, err := h.Sale(t.Context(), "a1-1-1-1")
	if err != nil || !reflect.DeepEqual(doc, first) {
		t.Errorf("by its number it is %+v, %v", doc, err)
	}
	if _, err := h.Sale(t.Context(), "a1-1-1-99"); protocol.CodeOf(err) != protocol.NotFound {
		t.Errorf("unknown number: %v", err)
	}
}

// TestSalesListingCountsAForkOnce: what a restored machine logs again is listed
// from where it was logged first, and else once.
func TestSalesListingCountsAForkOnce(t *testing.T) {
	h := fleetHub(t)
	old, fork := stream("s1", "a1", 1), stream("s1", "a1", 2)
	kept := logAs(t, h, old, receiptOf(protocol.SaleSale, 1, "2026-11-20", 1000, ""))
	record := func(id protocol.EventID, ev *protocol.Event) *protocol.Event {
		body, err := protocol.EncodeEvent(ev)
		if err != nil {
			t.Fatal(err)
		}
		return &protocol.Event{Kind: protocol.KindReissue, Reissue: &protocol.Reissue{
			ID: id, Record: protocol.Record{Clock: protocol.Clock{WallMs: h.now().UnixMilli()}, Body: body},
		}}
	}
	lost := protocol.EventID{Inc: old.Inc, Seq: 2}
	logAs(t, h, fork, record(kept, receiptOf(protocol.SaleSale, 1, "2026-11-20", 1000, "")))
	logAs(t, h, fork, record(lost, receiptOf(protocol.SaleSale, 2, "2026-11-20", 2000, "")))
	logAs(t, h, stream("s1", "a1", 3), record(lost, receiptOf(protocol.SaleSale, 2, "2026-11-20", 2000, "")))
	list := salesOf(t, h, SalesQuery{})
	if len(list) != 2 || list[0].ReceiptNo != "a1-1-1-1" || list[1].ReceiptNo != "a1-1-1-2" || list[1].EventID != lost.String() {
		t.Fatalf("receipts are %+v", list)
	}
	doc, err := h.Sale(t.Context(), "a1-1-1-2")
	if err != nil || doc.EventID != lost.String() || doc.Lines[0].Qty != 2000 {
		t.Errorf("the lost receipt is %+v, %v", doc, err)
	}
}

func TestFleetListings(t *testing.T) {
	h := fleetHub(t)
	now := h.now()
	a, b := stream("s1", "a1", 1), stream("s1", "b1", 2)
	receive(t, h, a, "PEN", 1000)
	receive(t, h, b, "PEN", 1000)
	seen(h, a, linkOnline, now, now, 4)
	seen(h, b, linkOffline, now.Add(-time.Minute), time.Time{}, 1)
	stores, err := h.Stores(t.Context(), Page{Limit: 3})
	if err != nil || len(stores.Items) != 3 || stores.Next == nil || *stores.Next != "s3" {
		t.Fatalf("%+v, %v", stores, err)
	}
	first := stores.Items[0]
	if first.Link != linkOnline || first.Pending != 3 || *first.LastSeen != "2026-11-21T10:00:00+00:00" || *first.PrimaryAgent != "a1" || first.PriceZone != "default" || first.Country != nil {
		t.Errorf("store is %+v", first)
	}
	if rest, err := h.Stores(t.Context(), Page{Limit: 3, After: "s3"}); err != nil || len(rest.Items) != 1 || rest.Next != nil || rest.Items[0].Link != linkNever {
		t.Errorf("%+v, %v", rest, err)
	}
	agents, err := h.Agents(t.Context(), Page{Limit: 1})
	if err != nil || len(agents.Items) != 1 || agents.Next == nil {
		t.Fatalf("%+v, %v", agents, err)
	}
	body, err := json.Marshal(agents.Items[0])
	var hash string
	if err == nil {
		hash = agents.Items[0].Streams[0].Hash
	}
	want := `{"agent":"a1","store":"s1","primary":true,"version":"1.0.0","protocol":1,"link":"online","last_seen":"2026-11-21T10:00:00+00:00","pending":3,` +
		`"clock_offset_ms":0,"disk":"ok","streams":[{"inc":"01000000000000000000000000000001","seq":1,"hash":"` + hash + `","safe_seq":1,"closed":false,"gaps":[]}]}`
	if err != nil || string(body) != want {
		t.Errorf("agent is\n%s\nwant\n%s", body, want)
	}
	for _, after := range []string{*agents.Next, "a1"} {
		if rest, err := h.Agents(t.Context(), Page{Limit: 5, After: after}); err != nil || len(rest.Items) != 1 || rest.Items[0].Agent != "b1" || rest.Items[0].Primary {
			t.Errorf("after %s: %+v, %v", after, rest, err)
		}
	}
	status, err := h.Status(t.Context(), Deployment{Version: "1.0.0", Database: "bolt", SafeMode: "ack"})
	if err != nil || status != (StatusDocument{Version: "1.0.0", Protocol: 1, Epoch: strconv.FormatUint(h.Epoch(), 10), Database: "bolt", SafeMode: "ack", Agents: 2, Online: 1, Streams: 2, Events: 2}) {
		t.Errorf("status is %+v, %v", status, err)
	}
	var rows []FleetStore
	if err := h.Fleet(t.Context(), func(s FleetStore) { rows = append(rows, s) }); err != nil || len(rows) != 4 {
		t.Fatalf("%+v, %v", rows, err)
	}
	if rows[0].Waiting != 3 || rows[0].Freshness != freshNever || rows[3] != (FleetStore{ID: "s4", Name: "Berlin", Link: linkNever, Freshness: freshNever}) {
		t.Errorf("fleet is %+v", rows)
	}
}

func TestExceptionListing(t *testing.T) {
	h := fleetHub(t)
	o := stream("s1", "a1", 1)
	logAs(t, h, o, receiptOf(protocol.SaleSale, 1, "2026-11-20", 1000, ""))
	logAs(t, h, o, receiptOf(protocol.SaleVoid, 2, "2026-11-20", -1000, "a1-1-1-1"))
	logAs(t, h, o, receiptOf(protocol.SaleVoid, 3, "2026-11-20", -1000, "a1-1-1-1"))
	for state, want := range map[string]int{"": 1, "open": 1, "resolved": 0} {
		list, err := h.Exceptions(t.Context(), state, Page{Limit: 10})
		if err != nil || len(list.Items) != want || list.Items == nil {
			t.Fatalf("%q: %+v, %v", state, list, err)
		}
	}
	list, err := h.Exceptions(t.Context(), "open", Page{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	e := list.Items[0]
	if e.Kind != ledger.ExceptionVoidTwice || *e.Store != "s1" || e.Refs[0] != "a1-1-1-1" || len(e.Refs) != 3 || e.State != "open" || *e.OpenedAt != "2026-11-21T10:00:00+00:00" || e.Detail == "" {
		t.Errorf("exception is %+v", e)
	}
	if rest, err := h.Exceptions(t.Context(), "", Page{Limit: 10, After: e.ID}); err != nil || len(rest.Items) != 0 {
		t.Errorf("after the last: %+v, %v", rest, err)
	}
}
