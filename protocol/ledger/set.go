package ledger

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// aggregate is a decoded row that knows its encoding. Encoding is
// deterministic, and nil or empty bytes mean that nothing need be stored.
type aggregate interface{ Encode() []byte }

// set is the working set of one transaction: the rows that its events touch,
// each loaded once, decoded once and written once. Rows that it has not flushed
// yet tx does not show.
type set struct {
	tx Tx
	// order keeps the sequence in which rows were first touched, so that
	// writing never depends on the order of a map.
	order []*cell
	// rows finds the cells of order; it is nil while they are few enough to be
	// looked through.
	rows map[Key]*cell
	room []cell // for cells to come
	// fresh are rows that are not there yet; only flushFresh brings them to tx.
	fresh []Row
	// streams are the cells of streams, whose rows are also scanned for.
	streams []*cell
}

// The number of cells that are looked through, and for how many room is made.
const (
	cellsFew  = 16
	cellsRoom = 512
)

type cell struct {
	key   Key
	raw   []byte
	agg   aggregate // nil until it is decoded
	dirty bool
}

func newSet(tx Tx) *set { return &set{tx: tx} }

func (s *set) find(k Key) *cell {
	if s.rows != nil {
		return s.rows[k]
	}
	for _, c := range s.order {
		if c.key == k {
			return c
		}
	}
	return nil
}

// add makes a cell for a key that has none. more is how many others may follow.
func (s *set) add(k Key, more int) *cell {
	if len(s.room) == 0 {
		s.room = make([]cell, min(more, cellsRoom)+1)
	}
	c := &s.room[0]
	s.room = s.room[1:]
	c.key = k
	s.order = append(s.order, c)
	if k.Table == States && strings.HasPrefix(k.ID, streamPrefix) {
		s.streams = append(s.streams, c)
	}
	switch {
	case s.rows != nil:
		s.rows[k] = c
	case len(s.order) > cellsFew:
		s.rows = make(map[Key]*cell, len(s.order)+more)
		for _, c := range s.order {
			s.rows[c.key] = c
		}
	}
	return c
}

// load brings the rows of keys that are not there yet.
func (s *set) load(keys []Key) error {
	_, err := s.loadMore(keys)
	return err
}

// loadMore is load, and tells whether there was anything to bring.
func (s *set) loadMore(keys []Key) (bool, error) {
	known := len(s.order)
	s.order = slices.Grow(s.order, len(keys))
	for i, k := range keys {
		if s.find(k) == nil {
			s.add(k, len(keys)-i-1)
		}
	}
	fresh := s.order[known:]
	if len(fresh) == 0 {
		return false, nil
	}
	missing := keys
	if len(fresh) < len(keys) {
		missing = make([]Key, len(fresh))
		for i, c := range fresh {
			missing[i] = c.key
		}
	}
	values, err := s.tx.Load(missing)
	if err != nil {
		return false, err
	}
	for i, c := range fresh {
		c.raw = values[i]
	}
	return true, nil
}

func (s *set) has(k Key) bool { return s.find(k) != nil }

func (s *set) cell(k Key) *cell {
	c := s.find(k)
	if c == nil {
		panic(fmt.Sprintf("ledger: row %q was not loaded", k.ID))
	}
	return c
}

// get decodes the row of k on first use. The row must have been loaded.
func get[A aggregate](s *set, k Key, decode func([]byte) (A, error)) (A, error) {
	return decoded(s.cell(k), decode)
}

// change is get for a row that the caller is about to change.
func change[A aggregate](s *set, k Key, decode func([]byte) (A, error)) (A, error) {
	c := s.cell(k)
	a, err := decoded(c, decode)
	c.dirty = c.dirty || err == nil
	return a, err
}

func decoded[A aggregate](c *cell, decode func([]byte) (A, error)) (A, error) {
	if c.agg == nil {
		a, err := decode(c.raw)
		if err != nil {
			var none A
			return none, fmt.Errorf("row %q: %w", c.key.ID, err)
		}
		c.agg = a
	}
	return c.agg.(A), nil
}

// put replaces a row without having loaded it.
func (s *set) put(k Key, a aggregate) {
	c := s.find(k)
	if c == nil {
		c = s.add(k, 0)
	}
	c.agg, c.dirty = a, true
}

// putFresh writes a row that is not there and that nobody reads before
// flushFresh.
func (s *set) putFresh(k Key, value []byte) { s.fresh = append(s.fresh, Row{k, value}) }

// blob is an aggregate that is its own encoding; a nil blob deletes the row.
type blob []byte

func (b blob) Encode() []byte { return b }

func decodeBlob(b []byte) (blob, error) { return b, nil }

// flushFresh writes the rows that are new.
func (s *set) flushFresh() error {
	rows := s.fresh
	s.fresh = nil
	return s.tx.Write(rows)
}

// flush writes what changed. A row that came out as it was loaded is not written: the
// page that holds it would be, with those above it. The set can go on after it.
func (s *set) flush() error {
	rows := slices.Grow(s.fresh, len(s.order))
	for _, c := range s.order {
		if !c.dirty {
			continue
		}
		c.dirty = false
		value := c.agg.Encode()
		if c.key.Table == States && c.raw != nil && value != nil && bytes.Equal(value, c.raw) {
			continue
		}
		rows = append(rows, Row{Key: c.key, Value: value})
		c.raw = value
	}
	s.fresh = nil
	return s.tx.Write(rows)
}
