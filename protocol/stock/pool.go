package stock

import (
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds of the shape of a pool's prior. What other items sell is worth at
// least a quarter of a line and at most four of the item's own, however alike
// or unlike the few items of a category happen to look.
const (
	shapeMin = 0.25
	shapeMax = 4
)

// Pool is the walk-in demand of the items of one category in one store: what is
// to be expected of an item of which little is known. The lines per opening
// hour of its items are taken to be gamma distributed, with the mean and the
// variance that the items show (an empirical-Bayes prior).
//
// The items of a pool should be sold by the same unit. An item without a
// category belongs to the pool of those. The zero Pool knows nothing.
type Pool struct {
	all Demand
	// items have a record; squares is the sum of the squares of their numbers of
	// lines, in the era of all.
	items   uint64
	squares float64
}

// Merge counts the sales of delta in item, which is one of the pool's, and in
// the pool. It is the only way to change a pool, so that the two agree. An item
// that was begun counts as one of the pool's, whether it sells or not.
func (p *Pool) Merge(item, delta *Demand) {
	before, known := p.lines(item), item.begun
	item.Merge(delta)
	was := p.all.era
	p.all.Merge(delta)
	faded := math.Exp2(-float64(eraHalfLives * (p.all.era - was)))
	p.squares *= faded * faded
	before *= faded
	after := p.lines(item)
	p.squares = min(math.MaxFloat32, max(0, p.squares+after*after-before*before))
	if !known && item.begun {
		p.items++
	}
}

// lines is how many lines of an item's record there are, as of the beginning of
// the pool's era.
func (p *Pool) lines(item *Demand) float64 {
	return float64(item.weight()) / lineWeight * math.Exp2(float64(eraHalfLives*(item.era-p.all.era)))
}

// prior is the gamma distribution of the lines per opening time of an item of
// the pool: its shape, and its rate as the opening time that the shape is
// worth. A pool without a sale knows nothing, and neither does its prior.
//
// With n lines of an item in the time T and the rate λ, E n = λT and, as lines
// are weighted by their age, E n² = (λT)² + λT₂, where T₂ is the time weighted by
// the square; so the moments of λ follow from those of n.
func (p *Pool) prior(now time.Duration) (shape float64, rate time.Duration) {
	seen := exposure(p.all.since, now, DemandHalfLife)
	if p.all.None() || p.items == 0 || seen <= 0 {
		return shapeMin, 0
	}
	perLine, items := p.all.perLine(now), float64(p.items)
	mean := float64(p.all.weight()) * perLine / items / float64(seen)
	fade := perLine * lineWeight
	squares := p.squares * fade * fade / items
	twice := exposure(p.all.since, now, DemandHalfLife/2)
	variance := (squares-mean*float64(twice))/(float64(seen)*float64(seen)) - mean*mean
	shape = 1
	if items > 1 && variance > 0 {
		shape = min(shapeMax, max(shapeMin, mean*mean/variance))
	}
	return shape, time.Duration(min(clockMax, shape/mean))
}

// errPool says that bytes are no record of a pool.
var errPool = errors.New("not a record of a category's demand")

// Field numbers of an encoded Pool.
const (
	fieldAll     = 1
	fieldItems   = 2
	fieldSquares = 3 // the bits of a float64
)

// Encode writes the pool; the same pool always gives the same bytes, and one to
// which nothing happened gives none.
func (p *Pool) Encode() []byte {
	if p.items == 0 {
		return nil
	}
	b := protowire.AppendBytes(protowire.AppendTag(make([]byte, 0, 96), fieldAll, protowire.BytesType), p.all.Encode())
	b = protowire.AppendVarint(protowire.AppendTag(b, fieldItems, protowire.VarintType), p.items)
	return protowire.AppendVarint(protowire.AppendTag(b, fieldSquares, protowire.VarintType), math.Float64bits(p.squares))
}

// DecodePool reads what Encode wrote. No bytes are the zero Pool; fields of
// later versions are skipped.
func DecodePool(b []byte) (*Pool, error) {
	p := &Pool{}
	err := eachField(b, func(num protowire.Number, v uint64, text []byte) error {
		switch {
		case num == fieldAll && text != nil:
			all, err := DecodeDemand(text)
			if err != nil {
				return err
			}
			p.all = *all
		case num == fieldItems && text == nil && v > 0 && v < weightMax:
			p.items = v
		case num == fieldSquares && text == nil && v <= math.Float64bits(math.MaxFloat32):
			p.squares = math.Float64frombits(v)
		case num <= fieldSquares:
			return errPool
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("pool: %w", err)
	case p.items == 0 && (p.all.begun || p.squares != 0):
		return nil, fmt.Errorf("pool: %w", errPool)
	}
	return p, nil
}
