package main

import (
	"math"
	"slices"
	"time"
)

// A record holds what was measured, one value for each name and round.
type record struct {
	rounds []map[string]float64
	notes  []string
}

// begin begins a round.
func (r *record) begin() { r.rounds = append(r.rounds, map[string]float64{}) }

// add notes a value of the present round.
func (r *record) add(name string, value float64) { r.rounds[len(r.rounds)-1][name] = value }

// note keeps a sentence for the report, once.
func (r *record) note(text string) {
	if !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// values are what the rounds gave for a name. A round that gave none is left
// out.
func (r *record) values(name string) []float64 {
	var list []float64
	for _, round := range r.rounds {
		if value, ok := round[name]; ok {
			list = append(list, value)
		}
	}
	return list
}

// ratios are what the rounds gave for one name over what they gave for another,
// each within its round.
func (r *record) ratios(name, floor string) []float64 {
	var list []float64
	for _, round := range r.rounds {
		value, ok := round[name]
		under, also := round[floor]
		if ok && also && under != 0 {
			list = append(list, value/under)
		}
	}
	return list
}

// median is the middle value; of an even number, the lower of the two. It is
// NaN of none.
func median(values []float64) float64 { return percentile(values, 50) }

// percentile is the smallest value that p percent of the values do not exceed.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := int(math.Ceil(p/100*float64(len(sorted)))) - 1
	return sorted[max(0, min(at, len(sorted)-1))]
}

// milliseconds is a duration as a number.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
