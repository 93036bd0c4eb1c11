package stock_test

import (
	"bytes"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/stock"

	"pgregory.net/rapid"
)

// TestDemandForgets sees a sale count less with the time, and in the end not at
// all.
func TestDemandForgets(t *testing.T) {
	var item stock.Demand
	item.Begin(0)
	for i := range 50 {
		item.Add(time.Duration(i)*day, 1000)
	}
	before := protocol.QuantityMax
	for _, halfLives := range []time.Duration{2, 5, 8, 12} {
		now := halfLives * stock.DemandHalfLife
		b := stock.Buffer(stock.Unseen{Item: &item, Now: now + 5*day, Silence: 5 * day}, 10_000)
		if b >= before {
			t.Errorf("after %d half-lives without a sale %v are held back, before it was %v", halfLives, b, before)
		}
		before = b
	}
	var later stock.Demand
	later.Add(40*stock.DemandHalfLife, 5000)
	item.Merge(&later)
	var alone stock.Demand
	alone.Begin(0)
	alone.Merge(&later)
	if !bytes.Equal(item.Encode(), alone.Encode()) {
		t.Errorf("sales of 30 half-lives ago are still on record: %x", item.Encode())
	}
}

// TestDemandSums finds one record whether sales are counted one by one or in
// parts, in any order, within an era.
func TestDemandSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type sale struct {
			at time.Duration
			q  protocol.Quantity
		}
		sales := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) sale {
			return sale{time.Duration(rapid.Int64Range(0, 200).Draw(t, "day")) * day, protocol.Quantity(rapid.Int64Range(-1, 20).Draw(t, "pieces") * 1000)}
		}), 0, 30).Draw(t, "sales")
		var one, merged stock.Demand
		for _, s := range sales {
			one.Add(s.at, s.q)
		}
		parts := make([]stock.Demand, 3)
		for i, s := range rapid.Permutation(sales).Draw(t, "order") {
			parts[i%3].Add(s.at, s.q)
		}
		for i := range parts {
			merged.Merge(&parts[i])
		}
		if !bytes.Equal(one.Encode(), merged.Encode()) {
			t.Errorf("%x one by one, %x in parts", one.Encode(), merged.Encode())
		}
		again, err := stock.DecodeDemand(one.Encode())
		if err != nil || !bytes.Equal(again.Encode(), one.Encode()) || again.None() != one.None() {
			t.Errorf("%x is read as %+v, %v", one.Encode(), again, err)
		}
	})
}

// TestDemandIsBounded sells in a thousand different quantities and finds a
// record that stays small and understates nothing.
func TestDemandIsBounded(t *testing.T) {
	var item stock.Demand
	for i := range 1000 {
		item.Add(day, protocol.Quantity(1+i*i*i))
	}
	if n := len(item.Encode()); n > 250 {
		t.Errorf("the record takes %d bytes", n)
	}
	if b := stock.Buffer(stock.Unseen{Item: &item, Now: 3 * day, Silence: day}, 10_000); b < 250_000_000_000/24 && b != protocol.QuantityMax {
		t.Errorf("of an item of which 250,000,000 were sold, %v are held back", b)
	}
}

// TestSilencesTeach sees the hub hold back less once it knows that silences are
// short, and more once it knows that they are long.
func TestSilencesTeach(t *testing.T) {
	var item stock.Demand
	item.Begin(0)
	for i := range 300 {
		item.Add(time.Duration(i)*day/4, 1000)
	}
	held := func(lengths time.Duration) protocol.Quantity {
		var s stock.Silences
		for range 50 {
			if lengths > 0 {
				s.Add(lengths)
			}
		}
		again, err := stock.DecodeSilences(s.Encode())
		if err != nil || *again != s {
			t.Fatalf("%x is read as %v, %v", s.Encode(), again, err)
		}
		return stock.Buffer(stock.Unseen{Item: &item, Silences: again, Now: 76 * day, Silence: time.Hour}, 10_000)
	}
	short, unknown, long := held(90*time.Minute), held(0), held(10*day)
	if short >= unknown || unknown >= long {
		t.Errorf("%v are held back where silences are short, %v where nothing is known, %v where they are long", short, unknown, long)
	}
}

func seeds() (*stock.Demand, *stock.Pool, *stock.Silences) {
	var item, delta stock.Demand
	var pool stock.Pool
	var silences stock.Silences
	delta.Begin(day)
	delta.Add(30*day, 2000)
	delta.Add(900*day, 1375)
	pool.Merge(&item, &delta)
	silences.Add(time.Hour)
	return &item, &pool, &silences
}

// canonical fails unless bytes that can be read are written the same way twice.
func canonical[T interface{ Encode() []byte }](t *testing.T, b []byte, decode func([]byte) (T, error)) {
	v, err := decode(b)
	if err != nil {
		return
	}
	again, err := decode(v.Encode())
	if err != nil || !bytes.Equal(again.Encode(), v.Encode()) {
		t.Errorf("%x is read as %+v, written and read again as %+v, %v", b, v, again, err)
	}
}

func FuzzDecodeDemand(f *testing.F) {
	item, pool, silences := seeds()
	f.Add(item.Encode())
	f.Add(pool.Encode())
	f.Add(silences.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		canonical(t, b, stock.DecodeDemand)
		canonical(t, b, stock.DecodePool)
		canonical(t, b, stock.DecodeSilences)
		// Whatever can be read can be asked.
		u := stock.Unseen{Now: 1000 * day, Silence: 2 * day}
		u.Item, _ = stock.DecodeDemand(b)
		if u.Pool, _ = stock.DecodePool(b); u.Pool != nil && u.Item == nil {
			u.Item = item
		}
		u.Silences, _ = stock.DecodeSilences(b)
		if q := stock.Buffer(u, 10_000); q < 0 || q > protocol.QuantityMax {
			t.Errorf("%x holds back %v", b, q)
		}
	})
}

func TestPolicy(t *testing.T) {
	var l stock.Level
	l.Add(protocol.OnHand, 10_000)
	l.Add(protocol.Committed, 3000)
	p := stock.PolicyDefault()
	if a, left := p.Allotment(&l, 2000), p.Promisable(&l, 2000); a != 7000 || left != 4000 {
		t.Errorf("of 10 with 1 in safety and 2 held back, %v may be promised and %v are left", a, left)
	}
	if a := p.Allotment(&l, protocol.QuantityMax); a != 0 {
		t.Errorf("after an unlimited silence %v may be promised", a)
	}
	if p.Online = false; p.Allotment(&l, 0) != 0 || p.Promisable(&l, 0) != 0 {
		t.Error("an item that is not online is promised")
	}
}
