package stock

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// octaves bounds the lengths of silences that are told apart: octave i goes
	// from 2^i to 2^(i+1) seconds, the last one for ever.
	octaves = 28 // the last begins after four years of opening time
	// reachedMax bounds the counts of an octave: beyond it both are halved, so
	// that newer silences count more.
	reachedMax = 256
)

// SilenceUnlimited is the silence of a store of which nothing is known: a clock
// that cannot be right, or a machine that was never heard.
const SilenceUnlimited time.Duration = math.MaxInt64

// Silences is what is known of how long silences last, once they have begun.
// What is promised to a silent store is picked when the silence ends, and until
// then the store sells; so it is the whole silence that a promise has to
// outlast, of which only the part that is over is known.
//
// For each octave of lengths it counts how many silences got there and how many
// ended within it. The zero Silences knows no silence and takes a silence to end
// within its present octave as probably as not, which is the guess that favours
// no length over another.
type Silences struct {
	reached [octaves]uint16
	ended   [octaves]uint16
}

// Add counts a silence that has ended after an opening time of length. One of
// less than a second is none.
func (s *Silences) Add(length time.Duration) {
	if length < time.Second {
		return
	}
	last := octaveOf(length)
	for i := range last + 1 {
		s.reached[i]++
		if i == last {
			s.ended[i]++
		}
		if s.reached[i] > reachedMax {
			s.reached[i] /= 2
			s.ended[i] /= 2
		}
	}
}

func octaveOf(length time.Duration) int {
	return min(octaves, bits.Len64(uint64(length/time.Second))) - 1
}

// hazard is the chance that a silence which has reached octave i ends within
// it, by Laplace's rule of succession.
func (s *Silences) hazard(i int) float64 {
	return (float64(s.ended[i]) + 1) / (float64(s.reached[i]) + 2)
}

// lasts is how many lengths a silence is taken to come to, each as probable as
// the others.
const lasts = 4

// expect says how long in all a silence will have lasted that has lasted so
// long: the middles of the four quarters of its distribution, ascending. Within
// an octave an end is as probable at any ratio of lengths. A silence that has
// lasted longer is never expected to be shorter.
func (s *Silences) expect(silence time.Duration) [lasts]time.Duration {
	var out [lasts]time.Duration
	silence = max(clock(silence), time.Second)
	i := octaveOf(silence)
	at := math.Log2(float64(silence) / float64(time.Second)) // in octaves
	gone := 0.0                                              // −ln of the chance to last until at
	for n := range out {
		want := -math.Log1p(-(float64(2*n) + 1) / (2 * lasts))
		for ; i < octaves; i++ {
			slope := -math.Log1p(-s.hazard(i))
			room := (float64(i+1) - at) * slope
			if gone+room >= want || i == octaves-1 {
				at += (want - gone) / slope
				gone = want
				break
			}
			gone += room
			at = float64(i + 1)
		}
		out[n] = max(silence, time.Duration(math.Min(clockMax, math.Exp2(at)*float64(time.Second))))
	}
	return out
}

// errSilences says that bytes are no record of silences.
var errSilences = errors.New("not a record of silences")

// fieldOctave numbers the octaves: octave i is field i+1, reached and ended in
// one varint.
const fieldOctave = 1

// Encode writes the record; the same record always gives the same bytes, and
// the zero Silences gives none.
func (s *Silences) Encode() []byte {
	var b []byte
	for i, reached := range s.reached {
		if reached > 0 {
			b = protowire.AppendTag(b, protowire.Number(fieldOctave+i), protowire.VarintType)
			b = protowire.AppendVarint(b, uint64(s.ended[i])<<16|uint64(reached))
		}
	}
	return b
}

// DecodeSilences reads what Encode wrote. No bytes are the zero Silences;
// fields of later versions are skipped.
func DecodeSilences(b []byte) (*Silences, error) {
	s := &Silences{}
	err := eachField(b, func(num protowire.Number, v uint64, text []byte) error {
		if num >= fieldOctave+octaves {
			return nil
		}
		reached, ended := uint16(v), uint16(v>>16)
		if text != nil || v>>32 != 0 || reached == 0 || reached > reachedMax || ended > reached {
			return errSilences
		}
		s.reached[num-fieldOctave], s.ended[num-fieldOctave] = reached, ended
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("silences: %w", err)
	}
	return s, nil
}
