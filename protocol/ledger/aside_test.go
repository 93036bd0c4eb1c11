package ledger_test

import (
	"reflect"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

func applied(t testing.TB, d ledger.Driver, delta *protocol.Delta) {
	t.Helper()
	update(t, d, func(tx ledger.Tx) error { _, err := ledger.ApplyDelta(tx, delta, delta.Upto); return err })
}

func asides(t testing.TB, d ledger.Driver) (list []ledger.Aside) {
	t.Helper()
	view(t, d, func(r ledger.Reader) (err error) { list, err = ledger.Asides(r); return err })
	return list
}

// TestRowWithoutValueIsGone: an item that the feed takes away leaves neither
// itself nor its codes.
func TestRowWithoutValueIsGone(t *testing.T) {
	d := ledger.NewMemory()
	applied(t, d, &protocol.Delta{Feed: catalogFeed, Epoch: 1, Upto: 2, Rows: []protocol.FeedRow{itemRow(t, 1, "A", "A", "111", "222"), itemRow(t, 2, "B", "B", "222")}})
	applied(t, d, &protocol.Delta{Feed: catalogFeed, Epoch: 1, After: 2, Upto: 4, Rows: []protocol.FeedRow{{Offset: 3, Key: "item/A"}, {Offset: 4, Key: "item/never there"}}})
	if got := shown(t, d, "111", "222"); !reflect.DeepEqual(got, map[string]string{"B": "B", "code 222": "B "}) || referenceRows(t, d) != 2 {
		t.Errorf("a till sees %v, and there are %d rows", got, referenceRows(t, d))
	}
	applied(t, d, &protocol.Delta{Feed: catalogFeed, Epoch: 1, After: 4, Upto: 5, Rows: []protocol.FeedRow{itemRow(t, 5, "A", "A again", "111")}})
	if got := shown(t, d, "111"); got["A"] != "A again" || got["code 111"] != "A " {
		t.Errorf("in the end a till sees %v", got)
	}
}

// TestI18_UnreadableRowIsSetAside: the other rows of its Delta, and the feed, do
// not wait; what was there before stays.
func TestI18_UnreadableRowIsSetAside(t *testing.T) {
	d := ledger.NewMemory()
	applied(t, d, &protocol.Delta{Feed: catalogFeed, Epoch: 1, Upto: 1, Rows: []protocol.FeedRow{itemRow(t, 1, "A", "A", "111")}})
	bad := protocol.FeedRow{Offset: 2, Key: "item/A", Value: []byte{0x0a, 0xff}}
	long := protocol.FeedRow{Offset: 3, Key: "item/" + strings.Repeat("x", 60_000), Value: itemRow(t, 3, "X", "X").Value}
	later := protocol.FeedRow{Offset: 4, Key: "recipe/A", Value: []byte("what a later version knows")}
	delta := &protocol.Delta{Feed: catalogFeed, Epoch: 1, After: 1, Upto: 5, Rows: []protocol.FeedRow{bad, long, later, itemRow(t, 5, "B", "B", "222")}}
	applied(t, d, delta)
	if got := shown(t, d, "111", "222"); !reflect.DeepEqual(got, map[string]string{"A": "A", "B": "B", "code 111": "A ", "code 222": "B "}) {
		t.Errorf("a till sees %v", got)
	}
	list := asides(t, d)
	if len(list) != 2 || !reflect.DeepEqual(list[0].Delta.Rows, []protocol.FeedRow{bad}) || !reflect.DeepEqual(list[1].Delta.Rows, []protocol.FeedRow{long}) || list[0].Reason == "" {
		t.Fatalf("set aside %+v", list)
	}
	view(t, d, func(r ledger.Reader) error {
		dead, err := ledger.DeadLetters(r)
		if len(dead) != 2 || dead["catalog 2"] != list[0].Reason {
			t.Errorf("dead letters are %v", dead)
		}
		return err
	})
	applied(t, d, &protocol.Delta{Feed: catalogFeed, Epoch: 1, After: 5, Upto: 6, Rows: []protocol.FeedRow{itemRow(t, 6, "A", "A mended")}})
	if list := asides(t, d); len(list) != 1 || shown(t, d)["A"] != "A mended" {
		t.Errorf("after a good row %+v is aside, and a till sees %v", list, shown(t, d))
	}
}

// TestI18_UnreadablePriceNeverReachesATill: a row that a sale could not read
// must not replace one that it can.
func TestI18_UnreadablePriceNeverReachesATill(t *testing.T) {
	for _, name := range []string{"price/A", "tax/STD"} {
		d := ledger.NewMemory()
		applied(t, d, &protocol.Delta{Feed: "price/z", Epoch: 1, Upto: 1, Rows: []protocol.FeedRow{{Offset: 1, Key: name, Value: []byte{0x0a, 0xff}}}})
		view(t, d, func(r ledger.Reader) error {
			if _, err := ledger.ReadPrices(r, "z", []protocol.SKU{"A"}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := ledger.Taxes(r, "z"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return nil
		})
		if n := len(asides(t, d)); n != 1 {
			t.Errorf("%s: %d rows are aside", name, n)
		}
	}
}

// TestI18_AsideGoesWithItsGeneration: what a snapshot holds that cannot be read
// counts from the swap on, and what the one before held no longer.
func TestI18_AsideGoesWithItsGeneration(t *testing.T) {
	d := ledger.NewMemory()
	bad := func(offset uint64, sku string) protocol.FeedRow {
		return protocol.FeedRow{Offset: offset, Key: "item/" + sku, Value: []byte{0x0a, 0xff}}
	}
	applied(t, d, &protocol.Delta{Feed: catalogFeed, Epoch: 1, Upto: 1, Rows: []protocol.FeedRow{bad(1, "A")}})
	pos := protocol.FeedPos{Feed: catalogFeed, Epoch: 2, Offset: 2}
	update(t, d, func(tx ledger.Tx) error {
		if _, err := ledger.BeginShadow(tx, pos, "sum"); err != nil {
			return err
		}
		return ledger.LoadShadow(tx, &protocol.Delta{Feed: catalogFeed, Epoch: 2, Upto: 2, Rows: []protocol.FeedRow{bad(1, "B"), bad(2, "C")}})
	})
	if n := len(asides(t, d)); n != 1 {
		t.Errorf("before the swap %d rows are aside", n)
	}
	update(t, d, func(tx ledger.Tx) error { _, err := ledger.SwapShadow(tx, pos); return err })
	if n := len(asides(t, d)); n != 2 {
		t.Errorf("after the swap %d rows are aside", n)
	}
	for more := true; more; {
		update(t, d, func(tx ledger.Tx) (err error) { more, err = ledger.Sweep(tx, 1); return err })
	}
	view(t, d, func(r ledger.Reader) error {
		n := 0
		err := r.Scan(ledger.Notes, "aside", "asidf", func(string, []byte) (bool, error) { n++; return true, nil })
		if n != 2 {
			t.Errorf("%d notes are left", n)
		}
		return err
	})
}

// TestI18_EventSetAsideKeepsItsStreamGoing: it is stored as a dead letter under
// its number, and what follows it is folded.
func TestI18_EventSetAsideKeepsItsStreamGoing(t *testing.T) {
	d := ledger.NewMemory()
	s := newSibling("b1", 2)
	s.note(t, "PEN", -1)
	s.note(t, "PEN", -2)
	s.note(t, "PEN", -4)
	feed := protocol.PeerFeed("s1")
	update(t, d, func(tx ledger.Tx) error {
		if _, err := ledger.SetAside(tx, s.delta(t, feed, 0, 1, 1), 3, "a fault"); err != nil {
			return err
		}
		_, err := ledger.ApplyDelta(tx, s.delta(t, feed, 1, 2, 2), 3)
		return err
	})
	view(t, d, func(r ledger.Reader) error {
		level, err := ledger.ReadLevel(r, "s1", "PEN")
		if err != nil {
			return err
		}
		if got := level.Quantity(protocol.OnHand); got != -6 {
			t.Errorf("on hand is %d, want -6", got)
		}
		dead, err := ledger.DeadLetters(r)
		if len(dead) != 1 || !strings.Contains(dead[protocol.EventID{Inc: s.origin.Inc, Seq: 1}.String()], "a fault") {
			t.Errorf("dead letters are %v", dead)
		}
		rep, verifyErr := ledger.Verify(r)
		if verifyErr != nil || !rep.OK() {
			t.Errorf("verified as %+v, %v", rep, verifyErr)
		}
		return err
	})
	if c := cursorOf(t, d, feed); c.Offset != 3 || !c.Tail {
		t.Errorf("the cursor is %+v", c)
	}
}

// TestI18_RunThatDoesNotFollowIsSetAside: what comes after it in its stream is
// set aside at once, other streams go on, and a feed that begins anew brings all
// of it again.
func TestI18_RunThatDoesNotFollowIsSetAside(t *testing.T) {
	d := ledger.NewMemory()
	b, c := newSibling("b1", 2), newSibling("c1", 3)
	for range 4 {
		b.note(t, "PEN", -1)
		c.note(t, "CUP", -1)
	}
	feed := protocol.PeerFeed("s1")
	update(t, d, func(tx ledger.Tx) error {
		if _, err := ledger.SetAside(tx, b.delta(t, feed, 0, 2, 2), 9, "events are missing"); err != nil {
			return err
		}
		delta := b.delta(t, feed, 2, 4, 1)
		delta.Events = append(delta.Events, c.delta(t, feed, 3, 1, 4).Events...)
		delta.Upto = 7
		_, err := ledger.ApplyDelta(tx, delta, 9)
		return err
	})
	if list := asides(t, d); len(list) != 2 || list[1].Delta.Upto != 3 || list[1].Delta.Events[0].FirstSeq != 4 {
		t.Fatalf("set aside %+v", list)
	}
	update(t, d, func(tx ledger.Tx) error {
		if _, err := ledger.ResetFeed(tx, protocol.FeedPos{Feed: feed, Epoch: 1}); err != nil {
			return err
		}
		_, err := ledger.ApplyDelta(tx, b.delta(t, feed, 0, 1, 4), 9)
		return err
	})
	view(t, d, func(r ledger.Reader) error {
		for sku, want := range map[protocol.SKU]protocol.Quantity{"PEN": -4, "CUP": -4} {
			level, err := ledger.ReadLevel(r, "s1", sku)
			if err != nil {
				return err
			}
			if got := level.Quantity(protocol.OnHand); got != want {
				t.Errorf("%s: on hand is %d, want %d", sku, got, want)
			}
		}
		return nil
	})
	if n := len(asides(t, d)); n != 0 {
		t.Errorf("%d parts are still aside", n)
	}
}

// TestI5_AnotherHistoryIsNeverStored: a run that has the next number, but not
// the hash before it, is kept apart from the stream.
func TestI5_AnotherHistoryIsNeverStored(t *testing.T) {
	d := ledger.NewMemory()
	b := newSibling("b1", 2)
	b.note(t, "PEN", -1)
	b.note(t, "PEN", -1)
	feed := protocol.PeerFeed("s1")
	applied(t, d, b.delta(t, feed, 0, 1, 1))
	other := b.delta(t, feed, 1, 2, 1)
	other.Events[0].PrevHash[0]++
	update(t, d, func(tx ledger.Tx) error { _, err := ledger.SetAside(tx, other, 2, "another history"); return err })
	view(t, d, func(r ledger.Reader) error {
		stream, err := ledger.ReadStream(r, b.origin)
		if stream.Seq != 1 || len(asides(t, d)) != 1 {
			t.Errorf("the stream is at %d, and %d runs are aside", stream.Seq, len(asides(t, d)))
		}
		return err
	})
}
