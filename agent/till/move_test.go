package till_test

import (
	"context"
	"fmt"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
	"counterpart/protocol/stock"
)

// TestMovements walks through every type of movement.
func TestMovements(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		steps := []struct {
			body            string
			onHand, dam, qc protocol.Quantity
			warnings        int
		}{
			{`{"type":"receipt","reference":"ASN-77","reason":null,"staff":"s7","to_store":null,"transfer_id":null,"lines":[{"code":"4006381333931","qty":24,"state":"on_hand"}]}`, 24000, 0, 0, 0},
			{`{"type":"receipt","lines":[{"code":"BOX-A","qty":2}]}`, 48000, 0, 0, 0},
			{`{"type":"adjustment","reason":"broken","lines":[{"code":"PEN-01","qty":3,"state":"damaged"},{"code":"PEN-01","qty":-1}]}`, 47000, 3000, 0, 0},
			{`{"type":"adjustment","reason":"look","lines":[{"code":"PEN-01","qty":2,"state":"quality_control"},{"code":"PEN-01","qty":-1,"state":"damaged"}]}`, 47000, 2000, 2000, 0},
			{`{"type":"transfer_out","to_store":"s2","lines":[{"code":"PEN-01","qty":7}]}`, 40000, 2000, 2000, 0},
			{`{"type":"transfer_in","transfer_id":"t-1","lines":[{"code":"PEN-01","qty":1.5}]}`, 41500, 2000, 2000, 1},
			{`{"type":"count","lines":[{"code":"PEN-01","qty":31}]}`, 31000, 2000, 2000, 0},
			{`{"type":"count","lines":[{"code":"PEN-01","qty":31}]}`, 31000, 2000, 2000, 0},
			{`{"type":"adjustment","reason":"gone","lines":[{"code":"PEN-01","qty":-32}]}`, -1000, 2000, 2000, 1},
		}
		for _, step := range steps {
			doc := s.move(step.body)
			l := s.level("PEN-01")
			if l.OnHand() != step.onHand || l.Quantity(protocol.Damaged) != step.dam || l.Quantity(protocol.QualityControl) != step.qc {
				t.Errorf("%s: on hand %s, damaged %s, quality control %s", step.body, l.OnHand(), l.Quantity(protocol.Damaged), l.Quantity(protocol.QualityControl))
			}
			line := doc.Lines[0]
			if line.OnHand != step.onHand || line.SKU != "PEN-01" || *line.GTIN != "04006381333931" || line.Line != 1 || len(doc.Warnings) != step.warnings {
				t.Errorf("%s: answered %+v", step.body, doc)
			}
			switch {
			case doc.Type == protocol.TransferOut && (doc.TransferID == nil || *doc.TransferID != doc.EventID):
				t.Errorf("transfer_out has transfer_id %v", doc.TransferID)
			case doc.Type == protocol.TransferIn && (doc.TransferID == nil || *doc.TransferID != "t-1"):
				t.Errorf("transfer_in has transfer_id %v", doc.TransferID)
			}
		}
		level, err := s.till.Stock(context.Background(), "4006381333931")
		if err != nil {
			t.Fatal(err)
		}
		if level.Available != -1000-2000-2000-1000 || level.Allotment != 0 || level.SafetyStock != 1000 || level.AsOf != "2026-11-21T10:02:12+00:00" || *level.Name != "Pen" {
			t.Errorf("level %+v", level)
		}
		s.verify()
	})
}

// TestLevelFollowsThePolicy: the safety stock of a level is that of the row that
// names most, and online holds nothing of what it does not sell.
func TestLevelFollowsThePolicy(t *testing.T) {
	s := memory(t)
	s.move(`{"type":"receipt","lines":[{"code":"PEN-01","qty":24}]}`)
	three, five, no := protocol.Quantity(3000), protocol.Quantity(5000), false
	for _, step := range []struct {
		row                          protocol.PolicyRow
		safety, available, allotment protocol.Quantity
	}{
		{protocol.PolicyRow{SafetyStock: &three}, 3000, 21_000, 21_000},
		{protocol.PolicyRow{Store: "s1", SKU: "PEN-01", SafetyStock: &five}, 5000, 19_000, 19_000},
		{protocol.PolicyRow{SKU: "PEN-01", Online: &no}, 5000, 19_000, 0},
	} {
		s.hubLogs(chainOrigin, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{Policies: []protocol.PolicyRow{step.row}}})
		level, err := s.till.Stock(context.Background(), "4006381333931")
		if err != nil || level.SafetyStock != step.safety || level.Available != step.available || level.Allotment != step.allotment {
			t.Errorf("after %+v: %+v, %v", step.row, level, err)
		}
	}
}

// TestMovementRefusals checks what no shop can mean.
func TestMovementRefusals(t *testing.T) {
	s := memory(t)
	for body, field := range map[string]string{
		`{"type":"theft","lines":[{"code":"CUP","qty":1}]}`:                                       "type",
		`{"type":"adjustment","lines":[{"code":"CUP","qty":1}]}`:                                  "reason",
		`{"type":"adjustment","reason":"x","lines":[{"code":"CUP","qty":0}]}`:                     "qty",
		`{"type":"receipt","lines":[{"code":"CUP","qty":-1}]}`:                                    "qty",
		`{"type":"receipt","lines":[{"code":"CUP"}]}`:                                             "qty",
		`{"type":"receipt","lines":[]}`:                                                           "lines",
		`{"type":"receipt","lines":[{"code":"CUP","qty":1,"state":"damaged"}]}`:                   "state",
		`{"type":"adjustment","reason":"x","lines":[{"code":"CUP","qty":1,"state":"committed"}]}`: "state",
		`{"type":"count","lines":[{"code":"CUP","qty":-1}]}`:                                      "qty",
		`{"type":"count","lines":[{"code":"CUP","qty":1},{"code":"5000112637922","qty":2}]}`:      "code",
		`{"type":"transfer_out","lines":[{"code":"CUP","qty":1}]}`:                                "to_store",
		`{"type":"transfer_out","to_store":"s1","lines":[{"code":"CUP","qty":1}]}`:                "to_store",
		`{"type":"transfer_in","lines":[{"code":"CUP","qty":1}]}`:                                 "transfer_id",
		`{"type":"receipt","to_store":"s2","lines":[{"code":"CUP","qty":1}]}`:                     "to_store",
		`{"type":"receipt","reference":"\u0001","lines":[{"code":"CUP","qty":1}]}`:                "reference",
	} {
		_, err := s.tryMove(body)
		if e := wantCode(t, err, protocol.OutOfRangeCode); e.Members["field"] != field {
			t.Errorf("%s: field %v", body, e.Members["field"])
		}
	}
	_, err := s.tryMove(`{"type":"count","lines":[{"code":"CUP","qty":1},{"code":"NO-SUCH","qty":1}]}`)
	if e := wantCode(t, err, protocol.UnknownCode); e.Members["line"] != 2 {
		t.Errorf("members %v", e.Members)
	}
	_, err = s.tryMove(`{"type":"count","lines":[{"code":"4006381333932","qty":1}]}`)
	wantCode(t, err, protocol.BadCheckDigit)
	if n := len(s.events()); n != 0 {
		t.Errorf("%d events were logged", n)
	}
}

// TestOpenItemStock checks that what was sold without being in the catalogue
// can still be looked at and counted.
func TestOpenItemStock(t *testing.T) {
	s := memory(t)
	_, err := s.till.Stock(context.Background(), "5901234123457")
	wantCode(t, err, protocol.UnknownCode)
	s.sell(`{"lines":[{"code":"5901234123457","qty":1,"unit_price_minor":100}],"tenders":[{"type":"card","amount_minor":100}]}`)
	level, err := s.till.Stock(context.Background(), "5901234123457")
	if err != nil || level.OnHand != -1000 || level.SKU != "05901234123457" || *level.GTIN != "05901234123457" {
		t.Errorf("level %+v, %v", level, err)
	}
	if doc := s.move(`{"type":"count","lines":[{"code":"5901234123457","qty":4}]}`); doc.Lines[0].OnHand != 4000 {
		t.Errorf("counted %+v", doc.Lines)
	}
	_, err = s.till.Stock(context.Background(), "4006381333932")
	wantCode(t, err, protocol.BadCheckDigit)
}

// TestOpenItemAtZero checks that an item is known for as long as anything was
// ever recorded of it, also while its book shows nothing.
func TestOpenItemAtZero(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		s.sell(`{"lines":[{"code":"ZZZ-OPEN","qty":1,"unit_price_minor":5}],"tenders":[{"type":"cash","amount_minor":5}]}`)
		s.move(`{"type":"receipt","lines":[{"code":"ZZZ-OPEN","qty":1}]}`)
		level, err := s.till.Stock(context.Background(), "ZZZ-OPEN")
		if err != nil || level.OnHand != 0 || level.SKU != "ZZZ-OPEN" {
			t.Errorf("level %+v, %v", level, err)
		}
		for range 2 {
			if doc := s.move(`{"type":"count","lines":[{"code":"ZZZ-OPEN","qty":0}]}`); doc.Lines[0].OnHand != 0 {
				t.Errorf("counted %+v", doc.Lines)
			}
		}
		_, err = s.till.Stock(context.Background(), "ZZZ-NEVER")
		wantCode(t, err, protocol.UnknownCode)
		s.verify()
	})
}

// TestCountStaged checks that staged goods are in neither side of a count.
func TestCountStaged(t *testing.T) {
	s := memory(t)
	s.receive("CUP", 10)
	s.hubLogs(originB, &protocol.Event{Kind: "pick", Moves: []protocol.Move{{SKU: "CUP", State: protocol.Staged, Delta: 2000}}})
	s.move(`{"type":"count","lines":[{"code":"CUP","qty":7}]}`)
	if l := s.level("CUP"); l.OnHand() != 9000 || l.Quantity(protocol.Staged) != 2000 {
		t.Errorf("on hand %s, staged %s", l.OnHand(), l.Quantity(protocol.Staged))
	}
	m := s.events()[1].Movement
	if m.Lines[0].Book != 8000 || m.Lines[0].Quantity != 7000 {
		t.Errorf("line %+v", m.Lines[0])
	}
	want := []protocol.StreamPos{{Inc: originA.Inc, Seq: 1}, {Inc: originB.Inc, Seq: 1}}
	if fmt.Sprint(m.Seen) != fmt.Sprint(want) {
		t.Errorf("seen %v, want %v", m.Seen, want)
	}
}

// TestSeeCounts checks that a machine tells, once, what a sibling's counter had
// not seen, and that a later count clears it on every machine.
func TestSeeCounts(t *testing.T) {
	a := memory(t)
	b := open(t, ledger.NewMemory())
	b = bare(t, b.driver, originB, b.clock)
	see := func(s *shopTest, events int) {
		t.Helper()
		if err := s.till.SeeCounts(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n := len(s.events()); n != events {
			t.Fatalf("%s has %d events, want %d", s.origin.Agent, n, events)
		}
	}
	a.receive("PEN-01", 10)
	a.receive("CUP", 10)
	a.copyTo(b)
	see(b, 0)
	a.sell(exampleSale)                                                                    // b has not seen this
	b.move(`{"type":"count","lines":[{"code":"PEN-01","qty":8},{"code":"CUP","qty":10}]}`) // the book of b says 10
	b.copyTo(a)
	see(a, 4)
	see(a, 4)
	seen := a.events()[3].CountSeen
	if seen == nil || fmt.Sprint(seen.SKUs) != "[PEN-01]" || seen.Count != (protocol.EventID{Inc: originB.Inc, Seq: 1}) {
		t.Fatalf("count_seen is %+v", seen)
	}
	a.copyTo(b)
	see(b, 1)
	for _, s := range []*shopTest{a, b} {
		doc, err := s.till.Stock(context.Background(), "PEN-01")
		if err != nil || !doc.RecountSuggested || doc.OnHand != 6000 {
			t.Errorf("%s: recount %v, on hand %s, %v", s.origin.Agent, doc.RecountSuggested, doc.OnHand, err)
		}
	}

	// A count of what the counter had seen all of needs nothing.
	b.move(`{"type":"count","lines":[{"code":"PEN-01","qty":8}]}`)
	b.copyTo(a)
	see(a, 4)
	// A second opinion on the machine that had logged the mark clears as well.
	if a.level("PEN-01").RecountSuggested() || b.level("PEN-01").RecountSuggested() {
		t.Error("a recount is still suggested")
	}
	a.verify()
	b.verify()
}

// TestOwnRecount checks that the machine which logged a mark can clear it.
func TestOwnRecount(t *testing.T) {
	a := memory(t)
	b := bare(t, open(t, ledger.NewMemory()).driver, originB, a.clock)
	a.receive("CUP", 1)
	b.move(`{"type":"count","lines":[{"code":"CUP","qty":1}]}`)
	b.copyTo(a)
	if err := bare(t, twice{a.driver}, originA, a.clock).till.SeeCounts(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !a.level("CUP").RecountSuggested() || len(a.events()) != 2 {
		t.Fatalf("no recount is suggested, or not once: %d events", len(a.events()))
	}
	a.move(`{"type":"count","lines":[{"code":"CUP","qty":1}]}`)
	if a.level("CUP").RecountSuggested() {
		t.Error("a recount is still suggested")
	}
}

// TestApplyLoads checks that every row of a load counts once, also when it
// comes in parts, is interrupted, or asked for twice, and only at the primary.
func TestApplyLoads(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *shopTest) {
		ctx := context.Background()
		const total = 1203
		rows := make([]protocol.StockRow, total)
		for i := range rows {
			rows[i] = protocol.StockRow{SKU: protocol.SKU(fmt.Sprintf("ITEM-%04d", i)), OnHand: protocol.Quantity(i%50) * 1000}
		}
		rows[7].SKU = "CUP"
		s.receive("CUP", 5)
		s.hubLogs(originB, &protocol.Event{Kind: "pick", Moves: []protocol.Move{{SKU: "CUP", State: protocol.Staged, Delta: 2000}}})
		apply := func(s *shopTest, events int, applied int64) {
			t.Helper()
			if err := s.till.ApplyLoads(ctx); err != nil {
				t.Fatal(err)
			}
			if n := len(s.events()); n != events {
				t.Fatalf("%d events, want %d", n, events)
			}
			var load *ledger.Load
			err := s.driver.View(ctx, func(r ledger.Reader) (err error) { load, err = ledger.ReadLoad(r, "s1", "l-1"); return err })
			if err != nil || load.Applied != applied {
				t.Fatalf("applied %d, %v; want %d", load.Applied, err, applied)
			}
		}
		part := func(first, last int) {
			s.hubLogs(hubOrigin, &protocol.Event{Kind: protocol.KindStockLoad, StockLoad: &protocol.StockLoad{ID: "l-1", First: int64(first), Total: total, Rows: rows[first:last]}})
		}
		apply(s, 1, 0)
		part(0, 1100)
		apply(bare(t, s.driver, originB, s.clock), 1, 0) // not the primary

		interrupted, cancel := context.WithCancel(ctx)
		s.appended.Store(0)
		stop := bare(t, stopping{s.driver, cancel}, originA, s.clock)
		if err := stop.till.ApplyLoads(interrupted); err == nil {
			t.Fatal("was not interrupted")
		}
		apply(s, 4, 1100)
		part(1100, total)
		apply(s, 5, total)
		apply(s, 5, total)
		for _, row := range rows {
			if got := s.level(row.SKU).OnHand(); got != row.OnHand {
				t.Fatalf("%s: on hand %s, want %s", row.SKU, got, row.OnHand)
			}
		}
		if m := s.events()[1].Movement; m.Lines[7].Item.SKU != "CUP" || m.Lines[7].Quantity != 5000 || m.Lines[7].Book != 3000 || m.LoadRows != 500 {
			t.Errorf("counted %+v, %d rows", m.Lines[7], m.LoadRows)
		}
		s.verify()
	})
}

// stopping is a driver whose caller goes away after the first commit.
type stopping struct {
	ledger.Driver
	stop func()
}

func (d stopping) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	err := d.Driver.Update(ctx, fn)
	d.stop()
	return err
}

// TestMovementEvents checks what those who follow the stream are told.
func TestMovementEvents(t *testing.T) {
	s := memory(t)
	s.receive("PEN-01", 5)
	s.sell(exampleSale)
	if _, err := s.tryVoid("a1-1-1-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.tryReturn(`{"lines":[{"code":"CUP","qty":1}],"reason":"unwanted","tenders":[{"type":"card","amount_minor":999}]}`); err != nil {
		t.Fatal(err)
	}
	names, after := "", protocol.Seq(0)
	for {
		docs, err := s.till.EventsAfter(context.Background(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(docs) == 0 {
			break
		}
		for _, d := range docs {
			names += fmt.Sprintf("%d %s ", d.Seq, d.Name)
			after = d.Seq
			if d.Name == "movement" {
				if m := document[stock.MovementDocument](t, protocol.Answer{Body: d.Data}); m.Lines[0].OnHand != 5000 {
					t.Errorf("movement %s", d.Data)
				}
			}
		}
	}
	if names != "1 movement 2 sale 3 void 4 return " {
		t.Errorf("events are %s", names)
	}
	last, err := s.till.LastSales(context.Background(), 2)
	if err != nil || len(last) != 2 || last[0].Type != protocol.SaleReturn || last[1].Type != protocol.SaleVoid {
		t.Errorf("last sales %+v, %v", last, err)
	}
	if all, err := s.till.LastSales(context.Background(), 100); err != nil || len(all) != 3 || !all[2].Voided {
		t.Errorf("all sales %+v, %v", all, err)
	}
}
