package ledger_test

import (
	"bytes"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

func originOf(agent protocol.AgentID, inc byte) protocol.Origin {
	return protocol.Origin{Store: "s1", Agent: agent, Inc: protocol.Inc{inc}}
}

// receiptOf is a sale, or what reverses one when it names an original.
func receiptOf(n uint64, q protocol.Quantity, original protocol.ReceiptNo) *protocol.Event {
	line := protocol.SaleLine{Item: protocol.ItemRef{SKU: "PEN"}, Quantity: q, UnitPrice: 100, Amount: protocol.Money(q) / 10}
	kind := protocol.SaleSale
	if original != "" {
		kind, line.OriginalLine = protocol.SaleReturn, 1
	}
	return &protocol.Event{
		Kind: protocol.KindSale, Moves: []protocol.Move{{SKU: "PEN", State: protocol.OnHand, Delta: -q}},
		Sale: &protocol.Sale{
			Type: kind, Till: "1", Series: "1", Number: n, BusinessDate: "2026-11-21", Currency: "GBP",
			Lines: []protocol.SaleLine{line}, Total: line.Amount, Original: original,
		},
	}
}

// recordOf is an event as it stands in a log.
func recordOf(t *testing.T, ev *protocol.Event) protocol.Record {
	t.Helper()
	body, err := protocol.EncodeEvent(ev)
	if err != nil {
		t.Fatal(err)
	}
	return protocol.Record{Clock: protocol.Clock{WallMs: 1, MonoMs: 1}, Body: body}
}

// applyAll applies whole streams from their first event on.
func applyAll(t *testing.T, d ledger.Driver, o protocol.Origin, records ...protocol.Record) ledger.Result {
	t.Helper()
	var res ledger.Result
	err := d.Update(t.Context(), func(tx ledger.Tx) (err error) {
		res, err = ledger.Apply(tx, ledger.Batch{Origin: o, First: 1, Prev: o.Genesis(), Records: records})
		return err
	})
	if err != nil {
		t.Fatalf("events of %s are refused: %v", o.Agent, err)
	}
	return res
}

func view(t testing.TB, d ledger.Driver, fn func(r ledger.Reader) error) {
	t.Helper()
	if err := d.View(t.Context(), fn); err != nil {
		t.Error(err)
	}
}

// TestReissueWithinItsOwnStreamIsDead: a stream cannot repeat its own events;
// the log goes on behind such a letter, and its moves do not count twice.
func TestReissueWithinItsOwnStreamIsDead(t *testing.T) {
	o := originOf("a1", 1)
	first := recordOf(t, receiptOf(1, 1000, ""))
	reissue := func(seq protocol.Seq) protocol.Record {
		return recordOf(t, &protocol.Event{Kind: protocol.KindReissue, Reissue: &protocol.Reissue{ID: protocol.EventID{Inc: o.Inc, Seq: seq}, Record: first}})
	}
	d := ledger.NewMemory()
	res := applyAll(t, d, o, first, reissue(1), reissue(3), reissue(9), recordOf(t, receiptOf(2, 2000, "")))
	if res.Applied != 5 || res.Dead != 3 {
		t.Errorf("%d events were applied, %d of them dead; want 5 and 3", res.Applied, res.Dead)
	}
	view(t, d, func(r ledger.Reader) error {
		level, err := ledger.ReadLevel(r, o.Store, "PEN")
		if err == nil && level.OnHand() != -3000 {
			t.Errorf("the level is %d, want -3000", level.OnHand())
		}
		return err
	})
	view(t, d, func(r ledger.Reader) error {
		rep, err := ledger.Verify(r)
		if err == nil && !rep.OK() {
			t.Errorf("verify: %v", rep.Differences)
		}
		return err
	})
}

// TestNamesThatCannotBeKeysAreDead writes past the encoder, as a damaged or
// foreign writer would: what cannot be part of a key never reaches one.
func TestNamesThatCannotBeKeysAreDead(t *testing.T) {
	const plain = "a-name"
	sale := receiptOf(1, 1000, plain)
	external := receiptOf(1, 1000, "a1-1-1-7")
	external.Sale.External = &protocol.External{Source: plain, ID: plain}
	count := &protocol.Event{Kind: protocol.KindMovement, Movement: &protocol.Movement{
		Type: protocol.Count, Load: plain, LoadRows: 1, Lines: []protocol.MovementLine{{Item: protocol.ItemRef{SKU: "PEN"}, Quantity: 1000}},
	}}
	load := &protocol.Event{Kind: protocol.KindStockLoad, StockLoad: &protocol.StockLoad{ID: plain, Total: 1, Rows: []protocol.StockRow{{SKU: "PEN", OnHand: 1000}}}}
	for what, tt := range map[string]struct {
		agent protocol.AgentID
		event *protocol.Event
	}{
		"external source and id": {"a1", external}, "original receipt": {"a1", sale},
		"load of a count": {"a1", count}, "load": {protocol.HubAgent, load},
	} {
		for name, dead := range map[string]bool{plain: false, "a\x00name": true, "a\nname": true} {
			// A name of the same length can be exchanged in the encoded event.
			body := bytes.ReplaceAll(recordOf(t, tt.event).Body, []byte(plain), []byte(name))
			d, o := ledger.NewMemory(), originOf(tt.agent, 1)
			res := applyAll(t, d, o, protocol.Record{Body: body}, recordOf(t, receiptOf(2, 1000, "")))
			if res.Applied != 2 || (res.Dead == 1) != dead {
				t.Errorf("%s %q: %d applied, %d dead", what, name, res.Applied, res.Dead)
			}
			view(t, d, func(r ledger.Reader) error {
				letters, err := ledger.DeadLetters(r)
				if (len(letters) == 1) != dead {
					t.Errorf("%s %q: the dead letters are %v", what, name, letters)
				}
				return err
			})
			view(t, d, func(r ledger.Reader) error {
				_, err := ledger.Exceptions(r)
				return err
			})
		}
	}
	sale.Sale.Original = protocol.ReceiptNo(strings.Repeat("n", 513))
	if _, err := protocol.EncodeEvent(sale); err == nil {
		t.Error("a name of 513 bytes is encoded")
	}
}
