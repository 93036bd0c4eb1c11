package loyalty_test

import (
	"math"
	"reflect"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/loyalty"
)

// TestEntryIDs compares ids as texts: the later sorts first, and each is read back.
func TestEntryIDs(t *testing.T) {
	before := ""
	for _, at := range []int64{math.MaxInt64, 1_795_252_932_001, 1_795_252_932_000, 1, 0, -1, math.MinInt64} {
		id := loyalty.EntryID{AtMs: at, Event: protocol.EventID{Inc: protocol.Inc{7}, Seq: 12}}
		text := id.String()
		if got, err := loyalty.ParseEntryID(text); err != nil || got != id {
			t.Errorf("%s is read as %+v (%v)", text, got, err)
		}
		if text <= before {
			t.Errorf("%s of %d sorts before %s", text, at, before)
		}
		before = text
	}
	for _, bad := range []string{"", "x", "0-", before[1:], "F" + before[1:], before + "0x", before[:17]} {
		if got, err := loyalty.ParseEntryID(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
}

func TestEntryComesBack(t *testing.T) {
	for _, want := range []*loyalty.Entry{
		{},
		{Kind: "complaint", Channel: "phone", Sealed: []byte{1, 2}, Reference: "r", Open: true, Staff: "s7", Amount: -450, Currency: "GBP", Points: -7},
	} {
		got, err := loyalty.DecodeEntry(want.Encode())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v comes back as %+v (%v)", want, got, err)
		}
	}
}
