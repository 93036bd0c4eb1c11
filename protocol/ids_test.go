package protocol_test

import (
	"strings"
	"testing"

	"counterpart/protocol"
)

func TestValidID(t *testing.T) {
	for _, s := range []string{"a", "A-1_z", "-", strings.Repeat("x", 64)} {
		if !protocol.ValidID(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", " ", "a b", "a/b", "a.b", "a+", "#", "ə", "a\n", strings.Repeat("x", 65)} {
		if protocol.ValidID(s) {
			t.Errorf("%q passes", s)
		}
	}
}

func TestValidTill(t *testing.T) {
	for s, want := range map[string]bool{"1": true, "till_2": true, "": false, "a-b": false, strings.Repeat("1", 16): true, strings.Repeat("1", 17): false} {
		if protocol.ValidTill(s) != want {
			t.Errorf("%q: want %v", s, want)
		}
	}
}

func TestValidSKU(t *testing.T) {
	for s, want := range map[string]bool{
		"PEN 01/ə+#": true, strings.Repeat("s", 64): true, "": false, strings.Repeat("s", 65): false, "a\tb": false, "a\x7f": false, "\u0085": false, "\xff": false,
	} {
		if protocol.ValidSKU(s) != want {
			t.Errorf("%q: want %v", s, want)
		}
	}
}

func TestInc(t *testing.T) {
	if got, err := protocol.ParseInc(sampleInc.String()); err != nil || got != sampleInc {
		t.Errorf("%s reads as %s (%v)", sampleInc, got, err)
	}
	for _, s := range []string{"", "9f", strings.Repeat("g", 32), strings.Repeat("0", 33), strings.Repeat("0", 34)} {
		if _, err := protocol.ParseInc(s); err == nil {
			t.Errorf("%q passes", s)
		}
	}
	if sampleInc.IsZero() || !(protocol.Inc{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestEventID(t *testing.T) {
	id := protocol.EventID{Inc: sampleInc, Seq: 1042}
	if id.String() != "9f3c01a75510ee42086bd1902e774cb5-1042" {
		t.Error(id)
	}
	if id.IsZero() || !(protocol.EventID{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestReceiptNo(t *testing.T) {
	sale := protocol.Sale{Till: "1", Series: "2", Number: 318}
	if got := sale.ReceiptNo("front-desk"); got != "front-desk-1-2-318" {
		t.Error(got)
	}
}

// A stream's first hash is bound to whose it is.
func TestGenesisDiffers(t *testing.T) {
	seen := map[protocol.Hash]protocol.Origin{}
	for _, o := range []protocol.Origin{
		sampleOrigin,
		{Store: "s1", Agent: "a1"},
		{Store: "s1", Agent: "a2", Inc: sampleInc},
		{Store: "s2", Agent: "a1", Inc: sampleInc},
		{Agent: protocol.HubAgent, Inc: sampleInc},
		{Store: protocol.StoreID(protocol.HubAgent), Inc: sampleInc},
	} {
		if other, ok := seen[o.Genesis()]; ok {
			t.Errorf("%v and %v begin alike", o, other)
		}
		seen[o.Genesis()] = o
	}
}

// A record's bytes are what the chain hashes.
func TestRecordBytes(t *testing.T) {
	r := protocol.Record{Clock: protocol.Clock{WallMs: -2, MonoMs: 1 << 40}, Body: []byte("body")}
	b := r.AppendTo([]byte("x"))[1:]
	got, err := protocol.RecordFromBytes(b)
	if err != nil || got.Clock != r.Clock || string(got.Body) != "body" {
		t.Errorf("%v (%v)", got, err)
	}
	if _, err := protocol.RecordFromBytes(b[:15]); err == nil {
		t.Error("a record without its header passes")
	}
}

func TestStates(t *testing.T) {
	for s := range protocol.StateCount {
		if got, ok := protocol.ParseState(s.String()); !ok || got != s {
			t.Errorf("%s reads as %s", s, got)
		}
	}
	if _, ok := protocol.ParseState(protocol.StateCount.String()); ok {
		t.Error("a state beyond the last passes")
	}
}
