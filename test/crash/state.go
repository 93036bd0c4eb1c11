package main

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
)

// stateKind is how a state differs from everything having been written.
type stateKind uint8

// The kinds of states.
const (
	statePrefix    stateKind = iota // the first n changes of the window
	stateReordered                  // some changes without earlier ones
	stateTorn                       // a change in part, at 512 bytes
	stateKinds
)

func (k stateKind) String() string { return [...]string{"prefix", "reordered", "torn"}[k] }

const (
	// enumeratedBits is up to how many pieces all combinations are tried.
	enumeratedBits = 12
	// triesPerState bounds how often a state is drawn that was there before.
	triesPerState = 8
)

// A change is an open op of a window with the pieces of it that would alter
// the disk.
type change struct {
	op     *op
	pieces []piece512
	late   bool // a name from before the window
}

// A piece512 is a part of an op that the disk writes as a whole. Changes of
// names and lengths have one piece without bytes.
type piece512 struct{ from, to int }

// changes are the open ops of a window as seen from the durable volume.
func (w *window) changes(durable *volume) []change {
	var list []change
	touched := map[[2]int64]bool{} // sectors that an earlier op writes
	for _, o := range w.open {
		c := change{op: o, late: o.isName() && o.Begin < w.From}
		switch o.Kind {
		case opWrite:
			c.pieces = sectors(o, durable.Files[o.Node], touched)
		case opResize:
			if int64(len(durable.Files[o.Node])) != o.Size {
				c.pieces = []piece512{{}}
			}
		default:
			c.pieces = []piece512{{}}
		}
		list = append(list, c)
	}
	return list
}

// sectors cuts a write where the disk may tear it, and leaves out what changes
// nothing.
func sectors(o *op, durable []byte, touched map[[2]int64]bool) []piece512 {
	var list []piece512
	for from := 0; from < len(o.Data); {
		at := o.At + int64(from)
		to := min(from+int(sectorBytes-at%sectorBytes), len(o.Data))
		key := [2]int64{int64(o.Node), at / sectorBytes}
		same := at+int64(to-from) <= int64(len(durable)) && string(durable[at:at+int64(to-from)]) == string(o.Data[from:to])
		if !same || touched[key] {
			list = append(list, piece512{from, to})
			touched[key] = true
		}
		from = to
	}
	return list
}

// A state says which pieces of which changes of a window are on the disk.
type state struct {
	kind stateKind
	have [][]bool // by change, by piece
}

// classify sets the kind of a state. A state without a late name is reordered:
// what came later is there.
func (s *state) classify(changes []change) {
	s.kind = statePrefix
	missing := false
	for i, have := range s.have {
		count := 0
		for _, h := range have {
			if h {
				count++
			}
		}
		switch {
		case len(have) == 0:
		case changes[i].late && count == 0:
			missing = true
		case changes[i].late:
		case count > 0 && count < len(have):
			s.kind = stateTorn
			return
		case count == 0:
			missing = true
		case missing:
			s.kind = stateReordered
		}
	}
}

// key tells states of a window apart.
func (s *state) key() uint64 {
	sum := fnv.New64a()
	var b [8]byte
	for i, have := range s.have {
		for j, h := range have {
			if h {
				binary.LittleEndian.PutUint32(b[:], uint32(i))
				binary.LittleEndian.PutUint32(b[4:], uint32(j))
				_, _ = sum.Write(b[:])
			}
		}
	}
	return sum.Sum64()
}

// empty is the state in which nothing of the window is on the disk but the
// names of before.
func empty(changes []change) state {
	s := state{have: make([][]bool, len(changes))}
	for i, c := range changes {
		s.have[i] = make([]bool, len(c.pieces))
		if c.late {
			s.set(i, true)
		}
	}
	return s
}

func (s *state) set(i int, have bool) {
	for j := range s.have[i] {
		s.have[i][j] = have
	}
}

// A generator makes the states of one window, each once.
type generator struct {
	changes []change
	random  *rand.Rand
	seen    map[uint64]bool
}

func newGenerator(seed uint64, n int, changes []change) *generator {
	return &generator{changes: changes, random: rand.New(rand.NewPCG(seed, uint64(n))), seen: map[uint64]bool{}}
}

// each calls see for up to quota states: all prefixes, the window without each
// name of before that nobody has synced, and behind them all combinations where
// they are few, or drawn ones.
func (g *generator) each(quota int, see func(*state)) {
	show := func(s *state) bool {
		if len(g.seen) >= quota {
			return false
		}
		if key := s.key(); !g.seen[key] {
			g.seen[key] = true
			s.classify(g.changes)
			see(s)
		}
		return true
	}
	s := empty(g.changes)
	show(&s)
	for i, c := range g.changes {
		if !c.late {
			s.set(i, true)
			show(&s)
		}
	}
	for i, c := range g.changes {
		if c.late {
			s.set(i, false)
			show(&s)
			s.set(i, true)
		}
	}
	if bits := pieces(g.changes); bits <= enumeratedBits {
		for mask := range 1 << bits {
			s := g.masked(mask)
			if !show(&s) {
				return
			}
		}
		return
	}
	for range quota * triesPerState {
		s := g.draw()
		if !show(&s) {
			return
		}
	}
}

// pieces counts what may be on the disk or not, apart from late names.
func pieces(changes []change) int {
	n := 0
	for _, c := range changes {
		if !c.late {
			n += len(c.pieces)
		}
	}
	return n
}

// masked is the state whose pieces are the bits of a number.
func (g *generator) masked(mask int) state {
	s := empty(g.changes)
	bit := 0
	for i, c := range g.changes {
		if c.late {
			continue
		}
		for j := range s.have[i] {
			s.have[i][j] = mask>>bit&1 == 1
			bit++
		}
	}
	return s
}

// draw makes a random state: whole changes in any order, or torn ones among
// them.
func (g *generator) draw() state {
	s := empty(g.changes)
	torn := g.random.IntN(2) == 0
	for i, c := range g.changes {
		switch {
		case c.late:
		case !torn || g.random.IntN(2) == 0:
			s.set(i, g.random.IntN(2) == 0)
		case g.random.IntN(2) == 0: // From its start, or up to its end.
			at, front := g.random.IntN(len(s.have[i])+1), g.random.IntN(2) == 0
			for j := range s.have[i] {
				s.have[i][j] = j < at == front
			}
		default:
			for j := range s.have[i] {
				s.have[i][j] = g.random.IntN(2) == 0
			}
		}
	}
	return s
}

// quotas shares a number of states among windows, so that each window gives
// what it has and the rest is shared evenly.
func quotas(capacities []int, states int) []int {
	list := make([]int, len(capacities))
	for level, left := 0, states; left > 0; {
		unfilled := 0
		for i, c := range capacities {
			if list[i] < c {
				unfilled++
			}
		}
		if unfilled == 0 {
			return list
		}
		level = max(1, left/unfilled)
		for i, c := range capacities {
			if add := min(level, c-list[i]); add > 0 && left > 0 {
				list[i] += add
				left -= add
			}
		}
	}
	return list
}

// capacity is how many states a window has, as far as it matters.
func capacity(changes []change) int {
	late := 0
	for _, c := range changes {
		if c.late {
			late++
		}
	}
	return 1<<min(pieces(changes), 30) + late
}
