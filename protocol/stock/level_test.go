package stock_test

import (
	"bytes"
	"testing"

	"counterpart/protocol"
	"counterpart/protocol/stock"

	"pgregory.net/rapid"
)

// step is one thing that happens to a level.
type step struct {
	kind  int
	state protocol.State
	delta protocol.Quantity
	at    protocol.StreamPos
}

func (s step) apply(l *stock.Level) {
	switch s.kind {
	case 0:
		l.Add(s.state, s.delta)
	case 1:
		l.MarkUnseen(s.at)
	case 2:
		l.ClearSeen([]protocol.StreamPos{s.at})
	}
}

var genStep = rapid.Custom(func(t *rapid.T) step {
	return step{
		kind: rapid.IntRange(0, 2).Draw(t, "kind"), state: protocol.State(rapid.IntRange(0, int(protocol.StateCount)-1).Draw(t, "state")),
		delta: protocol.Quantity(rapid.Int64Range(-5000, 5000).Draw(t, "delta")),
		at:    protocol.StreamPos{Inc: protocol.Inc{byte(rapid.IntRange(1, 3).Draw(t, "inc"))}, Seq: protocol.Seq(rapid.Uint64Range(1, 20).Draw(t, "seq"))},
	}
})

// TestI8_LevelCommutes demands that the order of what happens to a level does
// not matter, and that its encoding keeps all of it.
func TestI8_LevelCommutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.SliceOfN(genStep, 0, 20).Draw(t, "steps")
		var a, b stock.Level
		for _, s := range steps {
			s.apply(&a)
		}
		for _, s := range rapid.Permutation(steps).Draw(t, "order") {
			s.apply(&b)
		}
		if !bytes.Equal(a.Encode(), b.Encode()) {
			t.Fatalf("%x and %x", a.Encode(), b.Encode())
		}
		again, err := stock.DecodeLevel(a.Encode())
		if err != nil || !bytes.Equal(again.Encode(), a.Encode()) || again.RecountSuggested() != a.RecountSuggested() {
			t.Fatalf("decoded as %+v, %v", again, err)
		}
	})
}

func TestRecountSuggested(t *testing.T) {
	at := func(inc byte, seq protocol.Seq) protocol.StreamPos {
		return protocol.StreamPos{Inc: protocol.Inc{inc}, Seq: seq}
	}
	var l stock.Level
	if l.RecountSuggested() {
		t.Error("a recount is suggested for a level that nothing happened to")
	}
	l.MarkUnseen(at(2, 7))
	if !l.RecountSuggested() {
		t.Error("movements that a counter had not seen suggest no recount")
	}
	l.ClearSeen([]protocol.StreamPos{at(1, 9), at(2, 6)})
	if !l.RecountSuggested() {
		t.Error("a count that had not seen the mark takes it away")
	}
	l.ClearSeen([]protocol.StreamPos{at(2, 7)})
	if l.RecountSuggested() {
		t.Error("a count that had seen the mark leaves it")
	}
}

func TestAllotmentAndPromisable(t *testing.T) {
	var l stock.Level
	for state, q := range map[protocol.State]protocol.Quantity{protocol.OnHand: 10000, protocol.Staged: 1000, protocol.Damaged: 2000, protocol.QualityControl: 500, protocol.Committed: 3000} {
		l.Add(state, q)
	}
	const safety = 1000
	if l.Allotment(safety) != 5500 || l.Promisable(safety) != 2500 || l.Available(safety) != 2500 || l.Book() != 9000 {
		t.Errorf("allotment %v, promisable %v, available %v, book %v", l.Allotment(safety), l.Promisable(safety), l.Available(safety), l.Book())
	}
	l.Add(protocol.OnHand, -9000)
	if l.Allotment(safety) != 0 || l.Promisable(safety) != 0 || l.Available(safety) != -6500 {
		t.Errorf("below zero: allotment %v, promisable %v, available %v", l.Allotment(safety), l.Promisable(safety), l.Available(safety))
	}
	l.Add(protocol.OnHand, 6000)
	l.Add(protocol.Committed, -4000)
	if p := stock.PolicyDefault(); l.Allotment(safety) != 2500 || l.Promisable(safety) != 2500 || p.Promisable(&l, 0) != 2500 {
		t.Errorf("an order that was picked twice: allotment %v, promisable %v and %v", l.Allotment(safety), l.Promisable(safety), p.Promisable(&l, 0))
	}
}

func FuzzDecodeLevel(f *testing.F) {
	var l stock.Level
	l.Add(protocol.OnHand, 31000)
	l.MarkUnseen(protocol.StreamPos{Inc: protocol.Inc{1}, Seq: 3})
	f.Add(l.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		level, err := stock.DecodeLevel(b)
		if err != nil {
			return
		}
		again, err := stock.DecodeLevel(level.Encode())
		if err != nil || !bytes.Equal(again.Encode(), level.Encode()) {
			t.Errorf("%x is read as %+v, written and read again as %+v, %v", b, level, again, err)
		}
	})
}
