package stock

import (
	"math"
	"time"

	"counterpart/protocol"
)

const (
	// gridCells is how many steps of its grid a buffer may have. Demand that
	// needs more is looked at on a grid twice as coarse, and so on.
	gridCells = 128
	// weighedStep is the finest grid of an item that is sold by weight or
	// length; that of pieces is one piece.
	weighedStep protocol.Quantity = 16
	// partPPM is what a target is given in parts of.
	partPPM = 1_000_000
)

// Unseen is what is known of the walk-in sales that a silent store has not told
// of yet.
type Unseen struct {
	Item *Demand // nil for no record
	// Pool is the demand of the item's category in the store, and Silences what
	// the hub has seen of silences. Either may be nil.
	Pool     *Pool
	Silences *Silences
	// Now is the store's opening time as its records of demand count it, and
	// Silence how much of that, up to now, has been silent.
	Now     time.Duration
	Silence time.Duration
}

// Buffer is the least quantity that has to be held back from the last known
// stock so that whatever is promised beyond it is sold away from under the
// promise with at most the chance target, by the time the store hears of it.
//
// The item's lines of each size arrive by themselves, at a rate that is gamma
// distributed: the shape is the number of such lines on record plus the share
// of the category's prior, the rate is the opening time over which they were
// counted plus that of the prior. Lines over a given time are then negative
// binomial, and the quantity that is sold is a compound negative binomial,
// which is added up by Panjer's recursion (H. H. Panjer, Recursive evaluation of
// a family of compound distributions, ASTIN Bulletin 12(1), 1981, 22–26). It is
// averaged over the time that the silence may come to in all.
//
// Of n lines and one more, each is as likely as the others to be the largest. So
// one line of n+1 is taken to be larger than all that the item has shown: as the
// lines of its category are that are larger, or else twice as large.
//
// An item without a record needs no buffer, nor does a store that is not silent.
// An item that has been in the store for a while and was never sold is taken for
// what its category lets expect of it, which is the less the longer it stays so:
// new goods sell too. An unlimited silence, for an item that sells, and demand
// beyond all measure are answered with protocol.QuantityMax. The buffer never shrinks as the silence or
// the demand grows, or the target falls, as long as an item is sold either in
// pieces or by weight. Its work is bounded: at most some thirty grids of
// gridCells², most of which are passed over. It takes about 15 µs for a slow item
// and 100 µs for a fast one, so whoever asks for many stores asks first
// whether anything could be promised without a buffer.
func Buffer(u Unseen, target protocol.RatePPM) protocol.Quantity {
	switch {
	case u.Item == nil || !u.Item.begun || u.Silence < time.Second || target >= partPPM:
		return 0
	case u.Item.None() && (u.Pool == nil || u.Pool.all.None()):
		return 0
	case u.Silence == SilenceUnlimited && u.Item.None():
		return 0
	case u.Silence == SilenceUnlimited:
		return protocol.QuantityMax
	}
	within := 1 - float64(max(1, target))/partPPM
	model := u.model()
	step := weighedStep
	if model.pieces {
		step = unitQuantity
	}
	var least protocol.Quantity
	for ; step*gridCells < 2*protocol.QuantityMax; step *= 2 {
		grid := model.grid(step)
		if grid.mean() > gridCells/2 && grid.beyond(within) {
			least = gridCells * step
			continue
		}
		if cells, ok := grid.quantile(within); ok {
			// The grid before could not hold the demand, so it is more than that.
			return min(protocol.QuantityMax, max(least, protocol.Quantity(cells)*step))
		}
		least = gridCells * step
	}
	return protocol.QuantityMax
}

// A demandModel is the compound negative binomial of an item.
type demandModel struct {
	sizes  []shapedSize
	pieces bool
	// odds are, for each length that the silence may come to, the second
	// parameter of the negative binomials: length ÷ (length + rate).
	odds [lasts]float64
}

// shapedSize says of the lines of one size with which shape their number is
// negative binomial.
type shapedSize struct {
	size  protocol.Quantity
	shape float64
}

func (u Unseen) model() *demandModel {
	seen := max(0, clock(u.Now)-clock(u.Silence))
	m := &demandModel{pieces: true, sizes: make([]shapedSize, 0, 3*demandSizesMax)}
	add := func(d *Demand, perWeight float64) {
		for _, s := range d.sizes {
			m.sizes = append(m.sizes, shapedSize{s.size, float64(s.weight) * perWeight})
			m.pieces = m.pieces && s.size%unitQuantity == 0
		}
	}
	counted := exposure(u.Item.since, seen, DemandHalfLife)
	add(u.Item, u.Item.perLine(seen))
	var pool Demand
	if u.Pool != nil && !u.Pool.all.None() {
		pool = u.Pool.all
		shape, rate := u.Pool.prior(seen)
		add(&pool, shape/float64(pool.weight()))
		counted += rate
	}
	if lines := float64(u.Item.weight()) * u.Item.perLine(seen); lines > 0 {
		larger := pool.above(u.Item.sizes[len(u.Item.sizes)-1].size)
		add(&larger, lines/(lines+1)/float64(larger.weight()))
	}
	counted = max(counted, time.Minute) // for a record that has just begun
	silences := u.Silences
	if silences == nil {
		silences = &Silences{}
	}
	for i, length := range silences.expect(u.Silence) {
		m.odds[i] = float64(length) / float64(length+counted)
	}
	return m
}

// A demandGrid is a demandModel whose sizes are multiples of a step.
type demandGrid struct {
	odds *[lasts]float64
	// shapes are those of the sizes 1 to gridCells, and total that of all.
	shapes [gridCells + 1]float64
	total  float64
}

// grid shares each size out between the two multiples of step beside it, so
// that its mean stays; what falls to zero is dropped. The quantity varies a
// little more than it did, which errs on the side of a larger buffer.
func (m *demandModel) grid(step protocol.Quantity) *demandGrid {
	g := &demandGrid{odds: &m.odds}
	for _, s := range m.sizes {
		cell, above := s.size/step, float64(s.size%step)/float64(step)
		if cell > 0 {
			g.add(cell, s.shape*(1-above))
		}
		if above > 0 {
			g.add(cell+1, s.shape*above)
		}
	}
	return g
}

func (g *demandGrid) add(cell protocol.Quantity, shape float64) {
	g.total += shape
	if cell <= gridCells {
		g.shapes[cell] += shape
	}
}

// beyond tells, without the recursion, of demand that is surely more than the
// grid holds: by Markov's inequality for exp(−W ÷ scale), the chance that the
// demand W stays within the grid is at most exp(gridCells ÷ scale) times the
// mean of that. Only the longest of the lengths is looked at, as if the demand
// over the others stayed within. It may miss some demand that is beyond, which
// then costs a recursion.
func (g *demandGrid) beyond(within float64) bool {
	odds := g.odds[lasts-1]
	none := math.Log1p(-odds)
	most := lasts*within - (lasts - 1)
	for scale := gridCells / 2.0; scale > gridCells/40; scale /= 4 {
		rest, log := g.total, gridCells/scale
		for cell, shape := range g.shapes {
			if shape > 0 {
				log += shape * (none - math.Log1p(-odds*math.Exp(-float64(cell)/scale)))
				rest -= shape
			}
		}
		if math.Exp(log+max(0, rest)*none) < most {
			return true
		}
	}
	return false
}

// mean is the demand to be expected, in cells, as far as sizes fit the grid.
func (g *demandGrid) mean() float64 {
	var sum float64
	for cell, shape := range g.shapes {
		sum += float64(cell) * shape
	}
	last := g.odds[lasts-1]
	return sum * last / (1 - last)
}

// quantile is the least number of cells that the demand does not exceed with
// the chance within, and false where the grid does not hold it.
//
// A sum of independent negative binomials, each times its size, has a generating
// function whose logarithmic derivative is a power series with coefficients c;
// so j·p(j) = Σ c(i)·p(j−i), i from 1 to j, which is Panjer's recursion for all
// sizes at once. All terms are positive: nothing cancels.
func (g *demandGrid) quantile(within float64) (int, bool) {
	// Most buffers are small, and then most coefficients are of no use.
	if cells, ok := g.search(within, gridCells/8); ok {
		return cells, true
	}
	return g.search(within, gridCells)
}

// search does the recursion up to so many cells, for all lengths side by side:
// four sums that do not wait for each other take hardly longer than one.
func (g *demandGrid) search(within float64, cells int) (int, bool) {
	var c, p [gridCells + 1][lasts]float64
	var chance float64
	for n, odds := range g.odds {
		g.coefficients(c[:cells+1], n)
		p[0][n] = math.Exp(g.total * math.Log1p(-odds))
		chance += p[0][n] / lasts
	}
	if chance >= within {
		return 0, true
	}
	for j := 1; j <= cells; j++ {
		var sum [lasts]float64
		cj, pj := c[1:j+1], p[:j]
		for i := range cj {
			a, b := &cj[i], &pj[len(pj)-1-i]
			sum[0] += a[0] * b[0]
			sum[1] += a[1] * b[1]
			sum[2] += a[2] * b[2]
			sum[3] += a[3] * b[3]
		}
		for n, s := range sum {
			p[j][n] = s / float64(j)
			chance += p[j][n] / lasts
		}
		if chance >= within {
			return j, true
		}
	}
	return 0, false
}

// coefficients are c(i) = Σ shape·size·odds^m over all sizes and m whose
// product is i, for one of the lengths.
func (g *demandGrid) coefficients(c [][lasts]float64, length int) {
	const negligible = 1e-30
	odds := g.odds[length]
	for size, shape := range g.shapes[:len(c)] {
		if shape <= 0 {
			continue
		}
		term := shape * float64(size) * odds
		for i := size; i < len(c) && term > negligible; i += size {
			c[i][length] += term
			term *= odds
		}
	}
}
