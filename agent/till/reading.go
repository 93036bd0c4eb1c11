package till

import (
	"bytes"

	"counterpart/protocol/ledger"
)

// reading is a Reader that keeps all that was read through it. What was made of
// nothing else can be used again for as long as the same reading gives the same
// rows. That is asked in the state at hand each time, so no writer has to tell
// anyone what it changed.
type reading struct {
	ledger.Reader
	keys   []ledger.Key
	values [][]byte
	scans  []scan
}

// scan is one stretch of rows, down to where whoever read them stopped.
type scan struct {
	table    ledger.Table
	from, to string
	ids      []string
	values   [][]byte
	stopped  bool
}

func (g *reading) Load(keys []ledger.Key) ([][]byte, error) {
	values, err := g.Reader.Load(keys)
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		g.keys, g.values = append(g.keys, keys[i]), append(g.values, bytes.Clone(v))
	}
	return values, nil
}

func (g *reading) Scan(t ledger.Table, from, to string, fn func(id string, value []byte) (bool, error)) error {
	s := scan{table: t, from: from, to: to}
	err := g.Reader.Scan(t, from, to, func(id string, v []byte) (bool, error) {
		s.ids, s.values = append(s.ids, id), append(s.values, bytes.Clone(v))
		more, err := fn(id, v)
		s.stopped = !more
		return more, err
	})
	g.scans = append(g.scans, s)
	return err
}

// same tells whether the reading would be the same in another state.
func (g *reading) same(r ledger.Reader) (bool, error) {
	values, err := r.Load(g.keys)
	if err != nil {
		return false, err
	}
	for i, v := range values {
		if !sameRow(v, g.values[i]) {
			return false, nil
		}
	}
	for i := range g.scans {
		if same, err := g.scans[i].same(r); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

func (s *scan) same(r ledger.Reader) (bool, error) {
	n, same := 0, true
	err := r.Scan(s.table, s.from, s.to, func(id string, v []byte) (bool, error) {
		same = n < len(s.ids) && id == s.ids[n] && sameRow(v, s.values[n])
		n++
		return same && !(s.stopped && n == len(s.ids)), nil
	})
	return same && n == len(s.ids), err
}

// sameRow keeps a row that is empty apart from one that is not there.
func sameRow(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
