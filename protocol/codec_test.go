package protocol_test

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"counterpart/protocol"
)

// Every valid event comes back from its bytes as it was, and the same event
// makes the same bytes.
func TestEventRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent.Draw(t, "event")
		body, err := protocol.EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := protocol.DecodeEvent(body)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, e) {
			t.Fatalf("got\n%swant\n%s", dump(got), dump(e))
		}
		again, err := protocol.EncodeEvent(got)
		if err != nil || !bytes.Equal(again, body) {
			t.Fatalf("encodes as %x, then as %x (%v)", body, again, err)
		}
	})
}

// An event of a kind that this version does not know keeps its moves, whatever
// body a later version gave it.
func TestUnknownKindKeepsMoves(t *testing.T) {
	e := &protocol.Event{Kind: "repack", Moves: []protocol.Move{{SKU: "A", Delta: -12000}, {SKU: "B", State: protocol.Staged, Delta: 1000}}}
	body, err := protocol.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	body = append(body, bytesField(99, "a later version's body")...)

	got, err := protocol.DecodeEvent(body)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, e) {
		t.Fatalf("got\n%swant\n%s", dump(got), dump(e))
	}
}

func TestMessageRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := genMessage.Draw(t, "message")
		payload, err := protocol.EncodeMessage(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := protocol.DecodeMessage(payload)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Fatalf("got\n%swant\n%s", dump(got), dump(m))
		}
	})
}

func TestRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roundTripRow(t, genItem, protocol.EncodeItem, protocol.DecodeItem)
		roundTripRow(t, genPriceList, protocol.EncodePriceList, protocol.DecodePriceList)
		roundTripRow(t, genTaxList, protocol.EncodeTaxList, protocol.DecodeTaxList)
		roundTripRow(t, genStoreRecord, protocol.EncodeStoreRecord, protocol.DecodeStoreRecord)
	})
}

func roundTripRow[R any](t *rapid.T, g *rapid.Generator[R], encode func(*R) ([]byte, error), decode func([]byte) (*R, error)) {
	row := g.Draw(t, "row")
	value, err := encode(&row)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(value)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, &row) {
		t.Fatalf("got\n%swant\n%s", dump(got), dump(&row))
	}
}

// A price of nothing is a price; no price is none.
func TestPriceIsPresentOrAbsent(t *testing.T) {
	for _, price := range []*protocol.Money{nil, new(protocol.Money)} {
		value, err := protocol.EncodeItem(&protocol.Item{SKU: "A", Price: price})
		if err != nil {
			t.Fatal(err)
		}
		item, err := protocol.DecodeItem(value)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(item.Price, price) {
			t.Errorf("price %v comes back as %v", price, item.Price)
		}
	}
}
