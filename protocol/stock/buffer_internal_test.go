package stock

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"counterpart/protocol"
)

// negativeBinomial is the chance of n lines.
func negativeBinomial(n int, shape, odds float64) float64 {
	a, _ := math.Lgamma(float64(n) + shape)
	b, _ := math.Lgamma(shape)
	c, _ := math.Lgamma(float64(n) + 1)
	return math.Exp(a - b - c + float64(n)*math.Log(odds) + shape*math.Log1p(-odds))
}

// convolved is the distribution of the cells that are sold, added up the long
// way: size by size, every number of lines of it.
func convolved(g *demandGrid, odds float64) []float64 {
	sum := make([]float64, gridCells+1)
	sum[0] = 1
	for size, shape := range g.shapes {
		if shape == 0 {
			continue
		}
		next := make([]float64, len(sum))
		for have, chance := range sum {
			for n := 0; have+n*size < len(sum); n++ {
				next[have+n*size] += chance * negativeBinomial(n, shape, odds)
			}
		}
		sum = next
	}
	return sum
}

// TestRecursionIsConvolution compares quantiles of Panjer's recursion with those
// of distributions that are convolved by brute force.
func TestRecursionIsConvolution(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	found := 0
	for range 60 {
		odds := [lasts]float64{}
		for i := range odds {
			odds[i] = 0.9 * random.Float64()
		}
		g := &demandGrid{odds: &odds}
		for range 1 + random.IntN(4) {
			g.add(protocol.Quantity(1+random.IntN(30)), 3*random.Float64())
		}
		var within [gridCells + 1]float64
		for _, o := range odds {
			sum := 0.0
			for j, p := range convolved(g, o) {
				sum += p
				within[j] += sum / lasts
			}
		}
		for _, level := range []float64{0.5, 0.9, 0.99, 0.999} {
			want, held := 0, false
			for want = range within {
				if held = within[want] >= level; held {
					break
				}
			}
			got, ok := g.quantile(level)
			if ok != held || (ok && got != want) {
				t.Fatalf("quantile %g of %v at odds %v is %d (%v), convolved %d (%v)", level, g.shapes, odds, got, ok, want, held)
			}
			if ok && g.beyond(level) {
				t.Fatalf("quantile %g is %d, and yet said to be beyond the grid", level, got)
			}
			if held && got > 0 {
				found++
			}
		}
	}
	if found < 60 {
		t.Errorf("only %d quantiles were within the grid and above zero", found)
	}
}

// TestPriorIsThatOfTheItems makes up items whose rates are gamma distributed
// and looks whether the pool finds shape and mean of that distribution.
func TestPriorIsThatOfTheItems(t *testing.T) {
	const days, items = 245, 600 // a few days into the second era
	for _, shape := range []float64{0.5, 1, 3} {
		random := rand.New(rand.NewPCG(2, uint64(10*shape)))
		var pool Pool
		all := make([]Demand, items)
		rates := make([]float64, items)
		var mean float64
		for i := range rates {
			rates[i] = gamma(random, shape) / shape / 300 // a line in 300 hours
			mean += rates[i] / items
		}
		for day := range days {
			for i, rate := range rates {
				var delta Demand
				delta.Begin(0)
				for range poisson(random, 12*rate) {
					delta.Add(time.Duration(day)*12*time.Hour, unitQuantity)
				}
				pool.Merge(&all[i], &delta)
			}
		}
		got, rate := pool.prior(days * 12 * time.Hour)
		if m := got / rate.Hours(); got < 0.6*shape || got > 1.5*shape || m < 0.9*mean || m > 1.1*mean {
			t.Errorf("items of shape %g and %g lines an hour are taken for shape %g and %g", shape, mean, got, m)
		}
	}
}

// gamma draws from a gamma distribution of rate 1, as a sum of squares of
// normal numbers; twice the shape is whole.
func gamma(random *rand.Rand, shape float64) float64 {
	var sum float64
	for range int(2 * shape) {
		x := random.NormFloat64()
		sum += x * x / 2
	}
	return sum
}

func poisson(random *rand.Rand, mean float64) int {
	n := 0
	for at := random.ExpFloat64(); at < mean; at += random.ExpFloat64() {
		n++
	}
	return n
}

// TestGridsKeepTheMean sees to it that a coarse grid moves no demand.
func TestGridsKeepTheMean(t *testing.T) {
	m := &demandModel{sizes: []shapedSize{{1000, 3}, {7000, 0.5}, {33_000, 0.1}}}
	const mean = 3*1000 + 0.5*7000 + 0.1*33_000
	for step := protocol.Quantity(16); step < 40_000; step *= 2 {
		g, got := m.grid(step), 0.0
		for cell, shape := range g.shapes {
			got += float64(cell) * float64(step) * shape
		}
		if cellsOf33 := 33_000 / step; cellsOf33 < gridCells && math.Abs(got-mean) > 1e-6*mean {
			t.Errorf("in steps of %v the mean is %g, not %g", step, got, float64(mean))
		}
	}
}
