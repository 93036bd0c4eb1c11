package stock

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"counterpart/protocol"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// DemandHalfLife is the opening time after which a sale counts half. About
	// five weeks of a shop that opens 72 hours a week: long enough for an item
	// that sells weekly to be known, short enough to follow a season.
	DemandHalfLife = 360 * time.Hour

	// demandSizesMax bounds how many sizes of lines a Demand tells apart. With
	// five significant bits a size, 24 of them span more than what one item's
	// sales show; beyond it neighbours become one.
	demandSizesMax = 24
	// sizeBits are the significant bits that are kept of a line's quantity,
	// rounded up: 1 to 32 are exact, and no size grows by more than 6 %.
	sizeBits = 5

	// lineWeight is what one line weighs at the beginning of its era.
	lineWeight = 1024
	// An era is as many half-lives as a shift of one byte undoes. Weights grow
	// within it instead of all older ones shrinking, so that a sale changes one
	// number, and sums do not depend on the order of sales.
	eraHalfLives = 8
	era          = eraHalfLives * DemandHalfLife
	weightMax    = 1 << 52 // sums are exact in a float64 too
	clockMax     = math.MaxInt64 / 4
)

// errDemand says that bytes are no record of demand.
var errDemand = errors.New("not a record of demand")

// Demand is what is known of the walk-in sales of one item in one store: how
// many lines there were, of which quantities, and since when they have been
// counted. Older sales count less, by DemandHalfLife.
//
// It knows no clock. Every moment that it is given is the store's opening time
// since some beginning of the caller's choice, which must be the same for all
// records of the store. The zero Demand is that of an item without any sale.
type Demand struct {
	begun bool
	since time.Duration // whole seconds
	era   int64         // weights are relative to the beginning of this era
	sizes []sizeWeight  // by ascending size, each weight above zero
}

// sizeWeight says how much the lines of one quantity weigh together.
type sizeWeight struct {
	size   protocol.Quantity
	weight uint64
}

// Begin says that the store has had the item since at. Without it, the record
// begins with the first sale, which makes the item look busier than it is.
func (d *Demand) Begin(at time.Duration) {
	at = clock(at).Truncate(time.Second)
	if !d.begun || at < d.since {
		d.begun, d.since = true, at
	}
}

// Add counts one line of a walk-in sale. What is not above zero is no demand
// and changes nothing.
func (d *Demand) Add(at time.Duration, q protocol.Quantity) {
	if q <= 0 {
		return
	}
	at = clock(at)
	d.Begin(at)
	d.advance(int64(at / era))
	grown := math.Exp2(float64(at-time.Duration(d.era)*era) / float64(DemandHalfLife))
	d.put(sizeOf(min(q, protocol.QuantityMax)), uint64(math.RoundToEven(lineWeight*grown)))
}

// Merge counts what other has counted.
func (d *Demand) Merge(other *Demand) {
	if !other.begun {
		return
	}
	d.Begin(other.since)
	d.advance(other.era)
	shift := d.era - other.era
	for _, s := range other.sizes {
		d.put(s.size, aged(s.weight, shift))
	}
}

// None tells whether no walk-in sale is on record, or only forgotten ones.
func (d *Demand) None() bool { return len(d.sizes) == 0 }

// clock bounds a moment, so that no sum of a few can overflow.
func clock(at time.Duration) time.Duration { return min(max(at, 0), clockMax) }

// sizeOf keeps the leading bits of a quantity, rounded up: of whole units where
// it is whole, and of thousandths otherwise.
func sizeOf(q protocol.Quantity) protocol.Quantity {
	unit := protocol.Quantity(1)
	if q%unitQuantity == 0 {
		unit = unitQuantity
	}
	n := uint64(q / unit)
	drop := max(0, bits.Len64(n)-sizeBits)
	n = (n + 1<<drop - 1) >> drop << drop
	return protocol.Quantity(n) * unit
}

// aged is what a weight comes to some eras later.
func aged(weight uint64, eras int64) uint64 {
	shift := eras * eraHalfLives
	if shift <= 0 {
		return weight
	}
	if shift > 63 {
		return 0
	}
	return (weight + 1<<(shift-1)) >> shift
}

// advance makes weights relative to a later era. What weighs nothing any more
// is forgotten.
func (d *Demand) advance(to int64) {
	if to <= d.era {
		return
	}
	kept := d.sizes[:0]
	for _, s := range d.sizes {
		if s.weight = aged(s.weight, to-d.era); s.weight > 0 {
			kept = append(kept, s)
		}
	}
	d.sizes, d.era = kept, to
}

// put adds to the weight of a size. Where there are too many sizes, the two
// that differ by the smallest factor become one, of the larger size: demand is
// never understated.
func (d *Demand) put(size protocol.Quantity, weight uint64) {
	if weight == 0 {
		return
	}
	i, found := slices.BinarySearchFunc(d.sizes, size, func(s sizeWeight, q protocol.Quantity) int { return int(s.size - q) })
	if found {
		d.sizes[i].weight = min(weightMax, d.sizes[i].weight+weight)
		return
	}
	d.sizes = slices.Insert(d.sizes, i, sizeWeight{size, weight})
	if len(d.sizes) <= demandSizesMax {
		return
	}
	closest, ratio := 0, math.Inf(1)
	for i := range len(d.sizes) - 1 {
		if r := float64(d.sizes[i+1].size) / float64(d.sizes[i].size); r < ratio {
			closest, ratio = i, r
		}
	}
	d.sizes[closest+1].weight = min(weightMax, d.sizes[closest+1].weight+d.sizes[closest].weight)
	d.sizes = slices.Delete(d.sizes, closest, closest+1)
}

// above is the part of the record whose lines are larger than size. Where there
// is none, it is one line twice as large.
func (d *Demand) above(size protocol.Quantity) Demand {
	for i, s := range d.sizes {
		if s.size > size {
			return Demand{sizes: d.sizes[i:]}
		}
	}
	return Demand{sizes: []sizeWeight{{2 * size, lineWeight}}}
}

// weight is that of all lines.
func (d *Demand) weight() uint64 {
	var sum uint64
	for _, s := range d.sizes {
		sum += s.weight
	}
	return sum
}

// perLine is how many lines at the moment now one unit of weight stands for.
func (d *Demand) perLine(now time.Duration) float64 {
	age := clock(now) - time.Duration(d.era)*era
	return math.Exp2(-float64(age)/float64(DemandHalfLife)) / lineWeight
}

// exposure is the opening time over which the lines were seen, weighted as they
// are: the integral of the weight of a moment from since to now.
func exposure(since, now, halfLife time.Duration) time.Duration {
	span := float64(max(0, clock(now)-since)) / float64(halfLife)
	return time.Duration(float64(halfLife) / math.Ln2 * -math.Expm1(-span*math.Ln2))
}

// Field numbers of an encoded Demand.
const (
	fieldSince = 1 // seconds
	fieldEra   = 2
	fieldSizes = 3 // pairs of varints: how much larger than the size before; weight
)

// Encode writes the record; the same record always gives the same bytes, and
// one to which nothing happened gives none.
func (d *Demand) Encode() []byte {
	if !d.begun {
		return nil
	}
	b := protowire.AppendTag(make([]byte, 0, 24), fieldSince, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(d.since/time.Second))
	if d.era > 0 {
		b = protowire.AppendTag(b, fieldEra, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(d.era))
	}
	if len(d.sizes) > 0 {
		var pairs []byte
		var last protocol.Quantity
		for _, s := range d.sizes {
			pairs = protowire.AppendVarint(protowire.AppendVarint(pairs, uint64(s.size-last)), s.weight)
			last = s.size
		}
		b = protowire.AppendBytes(protowire.AppendTag(b, fieldSizes, protowire.BytesType), pairs)
	}
	return b
}

// DecodeDemand reads what Encode wrote. No bytes are the zero Demand; fields of
// later versions are skipped.
func DecodeDemand(b []byte) (*Demand, error) {
	d := &Demand{}
	err := eachField(b, func(num protowire.Number, v uint64, text []byte) error {
		switch {
		case num == fieldSince && text == nil && v <= clockMax/uint64(time.Second):
			d.begun, d.since = true, time.Duration(v)*time.Second
		case num == fieldEra && text == nil && v <= clockMax/uint64(era):
			d.era = int64(v)
		case num == fieldSizes && text != nil:
			return d.decodeSizes(text)
		case num <= fieldSizes:
			return errDemand
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("demand: %w", err)
	case !d.begun && (d.era != 0 || len(d.sizes) > 0):
		return nil, fmt.Errorf("demand: %w", errDemand)
	}
	return d, nil
}

// decodeSizes accepts only sizes that Add can have made, in their order.
func (d *Demand) decodeSizes(b []byte) error {
	d.sizes = nil
	var size uint64
	for len(b) > 0 {
		step, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		weight, m := protowire.ConsumeVarint(b[n:])
		if m < 0 {
			return protowire.ParseError(m)
		}
		b = b[n+m:]
		const sizeMax = 2 * uint64(protocol.QuantityMax)
		if step == 0 || step > sizeMax || size+step > sizeMax || weight == 0 || weight > weightMax || len(d.sizes) == demandSizesMax {
			return errDemand
		}
		size += step
		q := protocol.Quantity(size)
		if sizeOf(q) != q {
			return errDemand
		}
		d.sizes = append(d.sizes, sizeWeight{q, weight})
	}
	return nil
}

// eachField calls f for every field that is a number or bytes, where text is
// not nil, and skips the others.
func eachField(b []byte, f func(num protowire.Number, v uint64, text []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var v uint64
		var text []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			if text, n = protowire.ConsumeBytes(b); n >= 0 && text == nil {
				text = []byte{}
			}
		default:
			if n = protowire.ConsumeFieldValue(num, typ, b); n >= 0 {
				b = b[n:]
				continue
			}
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := f(num, v, text); err != nil {
			return err
		}
	}
	return nil
}
