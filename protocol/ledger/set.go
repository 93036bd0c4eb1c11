package ledger

import "fmt"

// aggregate is a decoded row that knows its encoding. Encoding is
// deterministic, and nil or empty bytes mean that nothing need be stored.
type aggregate interface{ Encode() []byte }

// set is the working set of one transaction: the rows that its events touch,
// each loaded once, decoded once and written once.
type set struct {
	tx   Tx
	rows map[Key]*cell
	// order keeps the sequence in which rows were first touched, so that
	// writing never depends on the order of a map.
	order []*cell
}

type cell struct {
	key   Key
	raw   []byte
	agg   aggregate
	dirty bool
}

func newSet(tx Tx) *set { return &set{tx: tx, rows: make(map[Key]*cell)} }

// load brings the rows of keys that are not there yet.
func (s *set) load(keys []Key) error {
	_, err := s.loadMore(keys)
	return err
}

// loadMore is load, and tells whether there was anything to bring.
func (s *set) loadMore(keys []Key) (bool, error) {
	missing := keys[:0:0]
	for _, k := range keys {
		if _, ok := s.rows[k]; !ok {
			s.rows[k] = nil
			missing = append(missing, k)
		}
	}
	if len(missing) == 0 {
		return false, nil
	}
	values, err := s.tx.Load(missing)
	if err != nil {
		return false, err
	}
	for i, k := range missing {
		c := &cell{key: k, raw: values[i]}
		s.rows[k] = c
		s.order = append(s.order, c)
	}
	return true, nil
}

func (s *set) has(k Key) bool { _, ok := s.rows[k]; return ok }

func (s *set) cell(k Key) *cell {
	c := s.rows[k]
	if c == nil {
		panic(fmt.Sprintf("ledger: row %q was not loaded", k.ID))
	}
	return c
}

// get decodes the row of k on first use. The row must have been loaded.
func get[A aggregate](s *set, k Key, decode func([]byte) (A, error)) (A, error) {
	c := s.cell(k)
	if c.agg == nil {
		a, err := decode(c.raw)
		if err != nil {
			var none A
			return none, fmt.Errorf("row %q: %w", k.ID, err)
		}
		c.agg = a
	}
	return c.agg.(A), nil
}

// change is get for a row that the caller is about to change.
func change[A aggregate](s *set, k Key, decode func([]byte) (A, error)) (A, error) {
	a, err := get(s, k, decode)
	if err == nil {
		s.cell(k).dirty = true
	}
	return a, err
}

// put replaces a row without having loaded it.
func (s *set) put(k Key, a aggregate) {
	c := s.rows[k]
	if c == nil {
		c = &cell{key: k}
		s.rows[k] = c
		s.order = append(s.order, c)
	}
	c.agg, c.dirty = a, true
}

// blob is an aggregate that is its own encoding; a nil blob deletes the row.
type blob []byte

func (b blob) Encode() []byte { return b }

func decodeBlob(b []byte) (blob, error) { return blob(b), nil }

// flush writes what changed.
func (s *set) flush() error {
	rows := make([]Row, 0, len(s.order))
	for _, c := range s.order {
		if c.dirty {
			rows = append(rows, Row{Key: c.key, Value: c.agg.Encode()})
			c.dirty = false
		}
	}
	return s.tx.Write(rows)
}
