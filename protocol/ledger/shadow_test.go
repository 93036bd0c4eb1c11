package ledger_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/ledger"
)

const catalogFeed = protocol.FeedCatalog

// itemRow is a catalogue row of a feed: an item with codes of its own.
func itemRow(t testing.TB, offset uint64, sku protocol.SKU, name string, codes ...string) protocol.FeedRow {
	t.Helper()
	it := protocol.Item{SKU: sku, Name: name, Unit: protocol.Each}
	for _, c := range codes {
		it.Codes = append(it.Codes, protocol.ItemCode{Code: c, Multiplier: 1000})
	}
	b, err := protocol.EncodeItem(&it)
	if err != nil {
		t.Fatal(err)
	}
	return protocol.FeedRow{Offset: offset, Key: "item/" + string(sku), Value: b}
}

func update(t testing.TB, d ledger.Driver, fn func(ledger.Tx) error) {
	t.Helper()
	if err := d.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// shown is what a till sees of the catalogue: items with their names, and codes
// with their owners.
func shown(t testing.TB, d ledger.Driver, codes ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	view(t, d, func(r ledger.Reader) error {
		err := ledger.ScanItems(r, "", func(it *protocol.Item) (bool, error) {
			all[string(it.SKU)] = it.Name
			one, err := ledger.ReadItem(r, it.SKU)
			if err == nil && (one == nil || one.Name != it.Name) {
				t.Errorf("item %s is %v by itself", it.SKU, one)
			}
			return true, err
		})
		for _, c := range codes {
			owners, ownerErr := ledger.ReadCode(r, c)
			if ownerErr != nil {
				return ownerErr
			}
			for _, o := range owners {
				all["code "+c] += string(o.SKU) + " "
			}
		}
		return err
	})
	return all
}

func cursorOf(t testing.TB, d ledger.Driver, feed protocol.FeedID) (c ledger.Cursor) {
	t.Helper()
	view(t, d, func(r ledger.Reader) (err error) {
		c, err = ledger.ReadCursor(r, feed)
		return err
	})
	return c
}

// referenceRows counts the rows of the catalogue, whichever generation they are
// of.
func referenceRows(t testing.TB, d ledger.Driver) (n int) {
	t.Helper()
	view(t, d, func(r ledger.Reader) error {
		return r.Scan(ledger.States, "", "", func(id string, _ []byte) (bool, error) {
			if strings.HasPrefix(id, "item") || strings.HasPrefix(id, "code") {
				n++
			}
			return true, nil
		})
	})
	return n
}

// TestI11_SnapshotBecomesLiveAtOnce: before the swap a till sees the old
// catalogue whole, after it the new one whole, wherever the machine stops.
func TestI11_SnapshotBecomesLiveAtOnce(t *testing.T) {
	d := ledger.NewMemory()
	update(t, d, func(tx ledger.Tx) error {
		_, err := ledger.ApplyDelta(tx, &protocol.Delta{Feed: catalogFeed, Epoch: 1, Upto: 3, Rows: []protocol.FeedRow{
			itemRow(t, 1, "A", "old A", "111", "222"), itemRow(t, 2, "B", "old B", "333"), itemRow(t, 3, "C", "old C"),
		}}, 3)
		return err
	})
	codes := []string{"111", "222", "333", "444"}
	before := map[string]string{"A": "old A", "B": "old B", "C": "old C", "code 111": "A ", "code 222": "A ", "code 333": "B "}
	after := map[string]string{"A": "new A", "C": "new C", "D": "new D", "code 111": "A ", "code 222": "C D ", "code 444": "D "}
	oldCursor := ledger.Cursor{FeedPos: protocol.FeedPos{Feed: catalogFeed, Epoch: 1, Offset: 3}, Tail: true}
	newPos := protocol.FeedPos{Feed: catalogFeed, Epoch: 2, Offset: 9}
	steps := []func(ledger.Tx) error{
		func(tx ledger.Tx) error { _, err := ledger.BeginShadow(tx, newPos, "sum"); return err },
		func(tx ledger.Tx) error {
			return ledger.LoadShadow(tx, &protocol.Delta{Feed: catalogFeed, Epoch: 2, Upto: 5, Rows: []protocol.FeedRow{itemRow(t, 2, "A", "new A", "111"), itemRow(t, 5, "C", "new C", "222")}})
		},
		func(tx ledger.Tx) error {
			return ledger.LoadShadow(tx, &protocol.Delta{Feed: catalogFeed, Epoch: 2, After: 5, Upto: 9, Rows: []protocol.FeedRow{itemRow(t, 9, "D", "new D", "222", "444")}})
		},
	}
	state := func(d ledger.Driver, want map[string]string, at ledger.Cursor, when string) {
		t.Helper()
		if got := shown(t, d, codes...); !reflect.DeepEqual(got, want) {
			t.Errorf("%s a till sees %v, want %v", when, got, want)
		}
		if got := cursorOf(t, d, catalogFeed); got != at {
			t.Errorf("%s the cursor is %+v, want %+v", when, got, at)
		}
	}
	for i, step := range steps {
		update(t, d, step)
		state(d.Clone(), before, oldCursor, fmt.Sprintf("after step %d", i))
	}
	update(t, d, func(tx ledger.Tx) error { _, err := ledger.SwapShadow(tx, newPos); return err })
	for more, n := true, 0; more; n++ {
		state(d.Clone(), after, ledger.Cursor{FeedPos: newPos, Tail: true}, fmt.Sprintf("after the swap and %d steps of the sweep", n))
		update(t, d, func(tx ledger.Tx) (err error) { more, err = ledger.Sweep(tx, 2); return err })
	}
	if n := referenceRows(t, d); n != 3+3 {
		t.Errorf("%d rows are left of three items and three codes", n)
	}
	update(t, d, func(tx ledger.Tx) error {
		_, err := ledger.ApplyDelta(tx, &protocol.Delta{Feed: catalogFeed, Epoch: 2, After: 9, Upto: 10, Rows: []protocol.FeedRow{itemRow(t, 10, "A", "newest A", "444")}}, 10)
		return err
	})
	after["A"], after["code 444"] = "newest A", "A D "
	delete(after, "code 111")
	state(d, after, ledger.Cursor{FeedPos: protocol.FeedPos{Feed: catalogFeed, Epoch: 2, Offset: 10}, Tail: true}, "after a change")
}

// stored is a row as a feed carries it.
func stored(t testing.TB, offset uint64, key string, value []byte, err error) protocol.FeedRow {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return protocol.FeedRow{Offset: offset, Key: key, Value: value}
}

func priceRow(t testing.TB, offset uint64, zone protocol.ZoneID, sku protocol.SKU, amount protocol.Money) protocol.FeedRow {
	b, err := protocol.EncodePriceList(&protocol.PriceList{Zone: zone, SKU: sku, Prices: []protocol.Price{{Amount: amount, Currency: "GBP"}}})
	return stored(t, offset, "price/"+string(sku), b, err)
}

func taxRow(t testing.TB, offset uint64, zone protocol.ZoneID, code string) protocol.FeedRow {
	b, err := protocol.EncodeTaxList(&protocol.TaxList{Zone: zone, Code: code})
	return stored(t, offset, "tax/"+code, b, err)
}

func storeRow(t testing.TB, offset uint64, id protocol.StoreID, name string) protocol.FeedRow {
	b, err := protocol.EncodeStoreRecord(&protocol.StoreRecord{ID: id, Name: name})
	return stored(t, offset, "store", b, err)
}

// TestI11_EveryFeedHasGenerationsOfItsOwn: prices, taxes and the store's record
// are swapped as the catalogue is, and no feed touches another's rows.
func TestI11_EveryFeedHasGenerationsOfItsOwn(t *testing.T) {
	d := ledger.NewMemory()
	load := func(feed protocol.FeedID, epoch uint64, rows ...protocol.FeedRow) {
		pos := protocol.FeedPos{Feed: feed, Epoch: epoch, Offset: rows[len(rows)-1].Offset}
		update(t, d, func(tx ledger.Tx) error {
			if _, err := ledger.BeginShadow(tx, pos, fmt.Sprint(epoch)); err != nil {
				return err
			}
			if err := ledger.LoadShadow(tx, &protocol.Delta{Feed: feed, Epoch: epoch, Upto: pos.Offset, Rows: rows}); err != nil {
				return err
			}
			_, err := ledger.SwapShadow(tx, pos)
			return err
		})
	}
	load("price/z", 1, priceRow(t, 1, "z", "A", 100), priceRow(t, 2, "z", "B", 200), taxRow(t, 3, "z", "STD"), taxRow(t, 4, "z", "ZERO"))
	load("price/z2", 1, priceRow(t, 1, "z2", "A", 150), taxRow(t, 2, "z2", "STD"))
	load("store/s1", 1, storeRow(t, 1, "s1", "before"))
	load("price/z", 2, priceRow(t, 1, "z", "A", 110), taxRow(t, 2, "z", "STD"))
	load("store/s1", 2, storeRow(t, 1, "s1", "after"))
	for more := true; more; {
		update(t, d, func(tx ledger.Tx) (err error) { more, err = ledger.Sweep(tx, 1); return err })
	}
	view(t, d, func(r ledger.Reader) error {
		for _, tt := range []struct {
			zone  protocol.ZoneID
			sku   protocol.SKU
			want  protocol.Money
			taxes int
		}{{"z", "A", 110, 1}, {"z", "B", 0, 1}, {"z2", "A", 150, 1}} {
			lists, err := ledger.ReadPrices(ledger.Live(r), tt.zone, []protocol.SKU{tt.sku})
			if err != nil {
				return err
			}
			var got protocol.Money
			if lists[0] != nil {
				got = lists[0].Prices[0].Amount
			}
			taxes, err := ledger.Taxes(r, tt.zone)
			if err != nil {
				return err
			}
			if got != tt.want || len(taxes) != tt.taxes {
				t.Errorf("zone %s: %s costs %d, want %d; %d taxes", tt.zone, tt.sku, got, tt.want, len(taxes))
			}
		}
		gone, err := ledger.ReadTax(r, "z", "ZERO")
		if err != nil || gone != nil {
			t.Errorf("a tax that the snapshot does not hold is %+v, %v", gone, err)
		}
		s, err := ledger.ReadStore(r, "s1")
		if err != nil || s == nil || s.Name != "after" {
			t.Errorf("the store is %+v, %v", s, err)
		}
		n := 0
		err = r.Scan(ledger.States, "", "", func(string, []byte) (bool, error) { n++; return true, nil })
		if n != 2+2+1 {
			t.Errorf("%d rows are left", n)
		}
		return err
	})
}

// TestShadowGoesOnWhereItWas: a load that was interrupted is not begun again,
// and one that another snapshot overtakes leaves nothing.
func TestShadowGoesOnWhereItWas(t *testing.T) {
	d := ledger.NewMemory()
	first := protocol.FeedPos{Feed: catalogFeed, Epoch: 1, Offset: 2}
	begin := func(pos protocol.FeedPos, sum string) (s ledger.Shadow) {
		update(t, d, func(tx ledger.Tx) (err error) { s, err = ledger.BeginShadow(tx, pos, sum); return err })
		return s
	}
	part := func(after, upto uint64, rows ...protocol.FeedRow) func(ledger.Tx) error {
		return func(tx ledger.Tx) error {
			return ledger.LoadShadow(tx, &protocol.Delta{Feed: catalogFeed, After: after, Upto: upto, Rows: rows})
		}
	}
	begin(first, "one")
	update(t, d, part(0, 1, itemRow(t, 1, "A", "A", "111")))
	if s := begin(first, "one"); s.Upto != 1 {
		t.Errorf("the load goes on from %d", s.Upto)
	}
	update(t, d, part(0, 1, itemRow(t, 1, "A", "another", "999")))
	if err := d.Update(t.Context(), part(2, 3, itemRow(t, 3, "C", "C"))); err == nil {
		t.Error("a part behind a gap was loaded")
	}
	if err := d.Update(t.Context(), func(tx ledger.Tx) error { _, err := ledger.SwapShadow(tx, first); return err }); err == nil {
		t.Error("half a snapshot became live")
	}
	whole := d.Clone()
	update(t, whole, part(1, 2, itemRow(t, 2, "B", "B")))
	update(t, whole, func(tx ledger.Tx) error { _, err := ledger.SwapShadow(tx, first); return err })
	if got := shown(t, whole, "111", "999"); !reflect.DeepEqual(got, map[string]string{"A": "A", "B": "B", "code 111": "A "}) {
		t.Errorf("a part that came twice shows as %v", got)
	}
	second := protocol.FeedPos{Feed: catalogFeed, Epoch: 1, Offset: 7}
	if s := begin(second, "two"); s.Upto != 0 {
		t.Errorf("another snapshot goes on from %d", s.Upto)
	}
	update(t, d, part(0, 7, itemRow(t, 7, "B", "B")))
	update(t, d, func(tx ledger.Tx) error { _, err := ledger.SwapShadow(tx, second); return err })
	for more := true; more; {
		update(t, d, func(tx ledger.Tx) (err error) { more, err = ledger.Sweep(tx, 1); return err })
	}
	if got := shown(t, d, "111", "999"); !reflect.DeepEqual(got, map[string]string{"B": "B"}) || referenceRows(t, d) != 1 {
		t.Errorf("a till sees %v, and %d rows are left", got, referenceRows(t, d))
	}
}

// TestRowsWithoutGenerationAreGenerationZero: databases from before there were
// generations, and the hub's, stay readable.
func TestRowsWithoutGenerationAreGenerationZero(t *testing.T) {
	d := ledger.NewMemory()
	hub := protocol.Origin{Store: protocol.ChainStore, Agent: protocol.HubAgent, Inc: protocol.Inc{1}}
	update(t, d, func(tx ledger.Tx) error {
		_, err := ledger.Log(tx, hub, protocol.Clock{}, &protocol.Event{Kind: protocol.KindCatalog, Catalog: &protocol.Catalog{
			Items:  []protocol.Item{{SKU: "A", Name: "A", GTIN: "04006381333931"}},
			Prices: []protocol.PriceList{{Zone: "z", SKU: "A"}}, Taxes: []protocol.TaxList{{Zone: "z", Code: "STD"}}, Stores: []protocol.StoreRecord{{ID: "s1"}},
		}})
		return err
	})
	view(t, d, func(r ledger.Reader) error {
		for _, id := range []string{"item\x00A", "code\x0004006381333931", "price\x00z\x00A", "tax\x00z\x00STD", "store\x00s1"} {
			if values, err := r.Load([]ledger.Key{{Table: ledger.States, ID: id}}); err != nil || values[0] == nil {
				t.Errorf("row %q is %x, %v", id, values[0], err)
			}
		}
		return nil
	})
	if got := shown(t, d, "04006381333931"); got["A"] != "A" || got["code 04006381333931"] != "A " {
		t.Errorf("read as %v", got)
	}
}

// TestForkGivesUpAStateThatIsBeingLoaded: events on top of it may be about to be
// cut off, and the hub may come to hold others under their numbers.
func TestForkGivesUpAStateThatIsBeingLoaded(t *testing.T) {
	d := ledger.Standing(ledger.NewMemory())
	o := protocol.Origin{Store: "s1", Agent: "a1", Inc: protocol.Inc{1}}
	pos := protocol.FeedPos{Feed: protocol.PeerFeed("s1"), Epoch: 1, Offset: 9}
	update(t, d, func(tx ledger.Tx) error {
		if _, err := ledger.StartIdentity(tx, o.Inc, ""); err != nil {
			return err
		}
		_, err := ledger.BeginShadow(tx, pos, "sum")
		return err
	})
	update(t, d, func(tx ledger.Tx) error {
		_, err := ledger.Fork(tx, o, 0, protocol.Inc{2}, ledger.CauseHub)
		return err
	})
	view(t, d, func(r ledger.Reader) error {
		s, err := ledger.ReadShadow(r, pos.Feed)
		if s.Sum != "" {
			t.Errorf("after the fork %+v is still being loaded", s)
		}
		return err
	})
}
