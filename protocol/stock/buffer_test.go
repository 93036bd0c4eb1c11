package stock_test

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"counterpart/protocol"
	"counterpart/protocol/stock"

	"pgregory.net/rapid"
)

const day = 12 * time.Hour // of opening time

// genLines draws sales of pieces, or of weighed goods, none of which happens to
// be whole.
func genLines(t *rapid.T, label string, pieces bool) []protocol.Quantity {
	q := rapid.Int64Range(1, 40_000).Filter(func(n int64) bool { return n%1000 != 0 })
	if pieces {
		q = rapid.Map(rapid.Int64Range(1, 300), func(n int64) int64 { return 1000 * n })
	}
	lines := rapid.SliceOfN(q, 1, 12).Draw(t, label)
	out := make([]protocol.Quantity, len(lines))
	for i, l := range lines {
		out[i] = protocol.Quantity(l)
	}
	return out
}

// TestBufferGrows holds Buffer to what it says: it never shrinks as the silence
// goes on, as the target falls, or as more is sold.
func TestBufferGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.Bool().Draw(t, "pieces")
		var item, busier, delta stock.Demand
		var pool stock.Pool
		for _, q := range genLines(t, "pool", pieces) {
			var other, one stock.Demand
			one.Add(0, q)
			pool.Merge(&other, &one)
		}
		seen := time.Duration(rapid.Int64Range(1, 400).Draw(t, "days")) * day
		item.Begin(0)
		for _, q := range genLines(t, "item", pieces) {
			item.Add(time.Duration(rapid.Int64Range(0, int64(seen)).Draw(t, "at")), q)
		}
		busier.Merge(&item)
		for _, q := range genLines(t, "more", pieces) {
			delta.Add(seen, q)
		}
		busier.Merge(&delta)
		var silences stock.Silences
		for _, s := range rapid.SliceOfN(rapid.Int64Range(1, 200_000), 0, 20).Draw(t, "silences") {
			silences.Add(time.Duration(s) * time.Second)
		}
		silence := time.Duration(rapid.Int64Range(0, 400_000).Draw(t, "silence")) * time.Second
		target := protocol.RatePPM(rapid.Int64Range(1, 200_000).Draw(t, "target"))
		u := stock.Unseen{Item: &item, Silences: &silences, Now: seen + silence, Silence: silence}
		if rapid.Bool().Draw(t, "pooled") {
			u.Pool = &pool
		}
		b := stock.Buffer(u, target)
		if b < 0 || b > protocol.QuantityMax {
			t.Fatalf("a buffer of %v", b)
		}
		if less := stock.Buffer(u, 2*target); less > b {
			t.Errorf("target %d holds back %v, twice as much %v", target, b, less)
		}
		later := u
		more := time.Duration(rapid.Int64Range(1, 100_000).Draw(t, "more silence")) * time.Second
		later.Now, later.Silence = u.Now+more, u.Silence+more
		if l := stock.Buffer(later, target); l < b {
			t.Errorf("after %v of silence %v are held back, %v later %v", silence, b, more, l)
		}
		u.Item = &busier
		if m := stock.Buffer(u, target); m < b {
			t.Errorf("%v are held back, and with more sales %v", b, m)
		}
	})
}

func TestBufferAtTheEnds(t *testing.T) {
	var none, item stock.Demand
	none.Begin(0)
	item.Begin(0)
	item.Add(day, 1000)
	for name, c := range map[string]struct {
		unseen stock.Unseen
		target protocol.RatePPM
		want   protocol.Quantity
	}{
		"never seen":                    {stock.Unseen{Now: 90 * day, Silence: 30 * day}, 10_000, 0},
		"never sold":                    {stock.Unseen{Item: &none, Now: 90 * day, Silence: 30 * day}, 10_000, 0},
		"never sold, unlimited silence": {stock.Unseen{Item: &none, Now: 90 * day, Silence: stock.SilenceUnlimited}, 10_000, 0},
		"no silence":                    {stock.Unseen{Item: &item, Now: 90 * day}, 10_000, 0},
		"a silence below zero":          {stock.Unseen{Item: &item, Now: 90 * day, Silence: -day}, 10_000, 0},
		"unlimited silence":             {stock.Unseen{Item: &item, Now: 90 * day, Silence: stock.SilenceUnlimited}, 10_000, protocol.QuantityMax},
		"every chance is good":          {stock.Unseen{Item: &item, Now: 90 * day, Silence: 30 * day}, 1_000_000, 0},
	} {
		if got := stock.Buffer(c.unseen, c.target); got != c.want {
			t.Errorf("%s: %v are held back, not %v", name, got, c.want)
		}
	}
	// A silence that is nearly unlimited, a target of nothing and a clock that
	// went back must give a large answer, not a crash or a small one.
	if b := stock.Buffer(stock.Unseen{Item: &item, Now: -day, Silence: math.MaxInt64 - 1}, -5); b < 1_000_000 {
		t.Errorf("after 292 years without a word only %v are held back", b)
	}
}

// TestBufferOfNewGoods has a category sell what its new items will be taken to
// sell too, until they have been there for long without a sale.
func TestBufferOfNewGoods(t *testing.T) {
	var pool stock.Pool
	for i := range 40 {
		var item, delta stock.Demand
		delta.Begin(0)
		for n := range 1 + i%10 {
			delta.Add(time.Duration(n)*5*day, 1000)
		}
		pool.Merge(&item, &delta)
	}
	held := func(age time.Duration) protocol.Quantity {
		var item, begin stock.Demand
		begin.Begin(50 * day)
		pool.Merge(&item, &begin)
		return stock.Buffer(stock.Unseen{Item: &item, Pool: &pool, Now: 50*day + age + day, Silence: day}, 10_000)
	}
	if fresh, settled := held(0), held(2000*day); fresh < 2000 || settled != 0 {
		t.Errorf("%v are held back of a new item, %v of one that was never sold in years", fresh, settled)
	}
}

// TestBufferOfHugeSales sees to it that every quantity that may be entered is
// answered, and with a buffer that can hold a line of it.
func TestBufferOfHugeSales(t *testing.T) {
	for q := protocol.Quantity(1); q <= protocol.QuantityMax; q = q*3 + 1 {
		var item stock.Demand
		for i := range 40 {
			item.Add(time.Duration(i)*day, q)
		}
		b := stock.Buffer(stock.Unseen{Item: &item, Now: 42 * day, Silence: 2 * day}, 10_000)
		if b < q || (b > 40*q && b > 10_000) {
			t.Errorf("of an item that sells %v a day, %v are held back after two days", q, b)
		}
	}
}

// shop makes up sales of an item whose lines come at a steady rate.
type shop struct {
	random *rand.Rand
	perDay float64
	sizes  []protocol.Quantity // equally probable
}

// sold is what is sold in a time, and how often.
func (s *shop) sold(length time.Duration, line func(at time.Duration, q protocol.Quantity)) {
	mean := float64(day) / s.perDay
	for at := s.random.ExpFloat64() * mean; at < float64(length); at += s.random.ExpFloat64() * mean {
		line(time.Duration(at), s.sizes[s.random.IntN(len(s.sizes))])
	}
}

func repeat(n int, q protocol.Quantity, more ...protocol.Quantity) []protocol.Quantity {
	for range n {
		more = append(more, q)
	}
	return more
}

// bulk are sizes without a usual one: half of all lines are of one piece, and
// twice as much is half as frequent.
func bulk() []protocol.Quantity {
	sizes := make([]protocol.Quantity, 200)
	for i := range sizes {
		sizes[i] = protocol.Quantity(len(sizes)/(i+1)) * 1000
	}
	return sizes
}

// TestTargetIsTheChance lets many shops fall silent, asks for a buffer at some
// moment of the silence and counts how often more than that was sold by its
// end. The lengths of silences are what the record shows, so the chance has to be near
// the target: not much above, and not nothing.
func TestTargetIsTheChance(t *testing.T) {
	for name, s := range map[string]shop{
		"slow":    {perDay: 0.1, sizes: []protocol.Quantity{1000}},
		"mixed":   {perDay: 3, sizes: repeat(7, 1000, 6000, 6000, 24_000)},
		"fast":    {perDay: 150, sizes: repeat(3, 1000, 2000)},
		"bulk":    {perDay: 0.3, sizes: bulk()},
		"weighed": {perDay: 5, sizes: []protocol.Quantity{213, 480, 505, 1210, 2400}},
	} {
		const shops, asked = 50, 60
		target := 20_000
		if name == "bulk" {
			target = 5000 // which is about sizes that a record has not shown
		}
		s.random = rand.New(rand.NewPCG(3, uint64(len(name))))
		broken := 0
		for range shops {
			var item stock.Demand
			var silences stock.Silences
			item.Begin(0)
			const seen = 100 * day
			s.sold(seen, item.Add)
			length := func() time.Duration { return time.Duration(float64(time.Hour) * math.Exp2(6*s.random.Float64())) }
			for range 60 {
				silences.Add(length())
			}
			if item.None() {
				continue
			}
			for range asked {
				whole := length()
				silence := time.Duration(s.random.Float64() * float64(whole))
				b := stock.Buffer(stock.Unseen{Item: &item, Silences: &silences, Now: seen + silence, Silence: silence}, protocol.RatePPM(target))
				var sold protocol.Quantity
				s.sold(whole, func(_ time.Duration, q protocol.Quantity) { sold += q })
				if sold > b {
					broken++
				}
			}
		}
		share := float64(broken) / (shops * asked)
		t.Logf("%s: %.2f %%", name, 100*share)
		if of := share / (float64(target) / 1e6); of > 1.5 || of < 0.02 {
			t.Errorf("%s: with a target of %d ppm, the buffer was too small in %.2f %%", name, target, 100*share)
		}
	}
}

// TestBufferOfFastItems compares buffers on coarse grids with quantiles of what
// is sold in fact.
func TestBufferOfFastItems(t *testing.T) {
	for _, perDay := range []float64{50, 1000, 10_000} {
		s := shop{random: rand.New(rand.NewPCG(4, 4)), perDay: perDay, sizes: repeat(4, 1000, 3000)}
		var item stock.Demand
		var silences stock.Silences
		item.Begin(0)
		for range 10 * int(perDay) { // ten days' sales at once stand for much practice
			item.Add(10*day, s.sizes[s.random.IntN(len(s.sizes))])
		}
		for range 1000 {
			silences.Add(8 * time.Hour)
		}
		const silence = 7 * time.Hour
		b := stock.Buffer(stock.Unseen{Item: &item, Silences: &silences, Now: 10*day + silence, Silence: silence}, 10_000)
		sums := make([]float64, 1000)
		for i := range sums {
			whole := 8 * time.Hour * time.Duration(9+i%8) / 13 // what the record's octave allows, roughly
			s.sold(max(silence, whole), func(_ time.Duration, q protocol.Quantity) { sums[i] += float64(q) })
		}
		sort.Float64s(sums)
		if share := float64(b) / sums[990]; share < 0.9 || share > 2 {
			t.Errorf("%g lines a day: %v are held back, %g times what is sold at most in 99 %%", perDay, b, share)
		}
	}
}

func BenchmarkBuffer(b *testing.B) {
	for _, c := range []struct {
		name   string
		perDay int
	}{{"slow", 0}, {"daily", 1}, {"fast", 30}, {"hot", 3000}} {
		b.Run(c.name, func(b *testing.B) {
			var item stock.Demand
			var pool stock.Pool
			for n := range 300 {
				var other, delta stock.Demand
				delta.Add(time.Duration(n%60)*day, protocol.Quantity(1000*(1+n%40)))
				pool.Merge(&other, &delta)
			}
			var delta stock.Demand
			for n := range 1 + 60*c.perDay {
				delta.Add(time.Duration(n)*60*day/time.Duration(1+60*c.perDay), protocol.Quantity(1000*(1+n*n%12)))
			}
			pool.Merge(&item, &delta)
			u := stock.Unseen{Item: &item, Pool: &pool, Now: 62 * day, Silence: 2 * day}
			var held protocol.Quantity
			for b.Loop() {
				held = stock.Buffer(u, 10_000)
			}
			b.ReportMetric(float64(held)/1000, "held")
		})
	}
}
