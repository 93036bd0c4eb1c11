package main

import (
	"slices"
	"strings"
	"testing"
)

// writeOp is a write of n sectors of b.
func writeOp(at int64, n int, b byte, begin, durable int) op {
	return op{Kind: opWrite, Node: firstFile, At: at, Data: []byte(strings.Repeat(string(b), n*sectorBytes)), Begin: begin, End: begin, Durable: durable}
}

// TestWindowsHoldWhatIsNotDurable cuts a recording in which two writes are
// synced together, a third one is not, and events are shown in between.
func TestWindowsHoldWhatIsNotDurable(t *testing.T) {
	r := &recording{
		Ops: []op{writeOp(0, 1, 'a', 1, 5), writeOp(512, 1, 'b', 2, 5), writeOp(1024, 1, 'c', 7, never)}, End: 10,
		Shown: []shown{{At: 3, Inc: "i", Seq: 1}, {At: 8, Inc: "i", Seq: 3}, {At: 9, Inc: "i", Seq: 2}},
	}
	if err := r.check(); err != nil {
		t.Fatal(err)
	}
	type expected struct {
		from, to, open int
		required       uint64
	}
	var got []expected
	for _, w := range r.windows() {
		got = append(got, expected{w.From, w.To, len(w.open), w.required["i"]})
	}
	if want := []expected{{0, 5, 2, 1}, {5, 10, 1, 3}}; !slices.Equal(got, want) {
		t.Errorf("windows %v, want %v", got, want)
	}
}

// TestGeneratorMakesEachStateOnce wants all combinations of a small window, and
// as many different ones of a large window as were asked for.
func TestGeneratorMakesEachStateOnce(t *testing.T) {
	for _, c := range []struct {
		name        string
		open        []op
		quota, want int
		torn        bool
	}{
		{"nothing", nil, 10, 1, false},
		{"one sector", []op{writeOp(0, 1, 'a', 1, 9)}, 10, 2, false},
		{"one page", []op{writeOp(0, 8, 'a', 1, 9)}, 1_000, 256, true},
		{"the bytes of before", []op{writeOp(0, 8, 0, 1, 9)}, 10, 1, false},
		{"two files' worth", []op{writeOp(0, 8, 'a', 1, 9), writeOp(8192, 8, 'b', 2, 9)}, 500, 500, true},
		{"one sector twice", []op{writeOp(0, 1, 'a', 1, 9), writeOp(0, 1, 0, 2, 9)}, 10, 4, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			durable := newVolume()
			durable.resize(firstFile, 16<<10)
			w := window{To: 9}
			for i := range c.open {
				w.open = append(w.open, &c.open[i])
			}
			changes := w.changes(durable)
			seen := map[uint64]bool{}
			kinds := [stateKinds]int{}
			newGenerator(1, 0, changes).each(c.quota, func(s *state) {
				seen[s.key()] = true
				kinds[s.kind]++
			})
			if len(seen) != c.want || (kinds[stateTorn] > 0) != c.torn {
				t.Errorf("%d states, by kind %v; want %d, torn %t", len(seen), kinds, c.want, c.torn)
			}
		})
	}
}

// TestKindsOfStates tries each on a window of two writes.
func TestKindsOfStates(t *testing.T) {
	open := []op{writeOp(0, 2, 'a', 1, 9), writeOp(8192, 2, 'b', 2, 9)}
	w := window{To: 9, open: []*op{&open[0], &open[1]}}
	changes := w.changes(newVolume())
	for _, c := range []struct {
		have [][]bool
		want stateKind
	}{
		{[][]bool{{false, false}, {false, false}}, statePrefix},
		{[][]bool{{true, true}, {false, false}}, statePrefix},
		{[][]bool{{true, true}, {true, true}}, statePrefix},
		{[][]bool{{false, false}, {true, true}}, stateReordered},
		{[][]bool{{true, false}, {false, false}}, stateTorn},
		{[][]bool{{false, false}, {false, true}}, stateTorn},
	} {
		s := state{have: c.have}
		if s.classify(changes); s.kind != c.want {
			t.Errorf("%v is %s, want %s", c.have, s.kind, c.want)
		}
	}
}

func TestQuotasFillWhatIsThere(t *testing.T) {
	for _, c := range []struct {
		capacities []int
		states     int
		want       []int
	}{
		{[]int{2, 1000, 2, 1000}, 100, []int{2, 48, 2, 48}},
		{[]int{2, 3}, 100, []int{2, 3}},
		{[]int{10, 10, 10}, 4, []int{2, 1, 1}},
	} {
		if got := quotas(c.capacities, c.states); !slices.Equal(got, c.want) {
			t.Errorf("%d states among %v: %v, want %v", c.states, c.capacities, got, c.want)
		}
	}
}
