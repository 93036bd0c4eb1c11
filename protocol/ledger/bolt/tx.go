package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	bbolt "go.etcd.io/bbolt"

	"counterpart/protocol/ledger"
)

// idBytesMax is the longest ID that bbolt takes.
const idBytesMax = bbolt.MaxKeySize

// tableNames are the buckets. A name never changes: files carry it.
var tableNames = [ledger.TableCount][]byte{
	ledger.States: []byte("states"),
	ledger.Events: []byte("events"),
	ledger.Feeds:  []byte("feeds"),
	ledger.Notes:  []byte("notes"),
}

// session is what the calls of one bbolt transaction share. Reading goes
// through one cursor per table and one key buffer, because bbolt otherwise
// allocates a cursor for every Get.
type session struct {
	path    string
	tx      *bbolt.Tx
	buckets [ledger.TableCount]*bbolt.Bucket
	cursors [ledger.TableCount]*bbolt.Cursor
	last    gap
	key     []byte
	order   []int32 // of the rows of one Write
	writes  uint64
	puts    int
	deletes int
}

// gap is what the last look-up has shown: there is no row from the key that was
// looked for up to the one that was found, nil for the end of the table. It
// holds until the next write.
type gap struct {
	table  ledger.Table
	known  bool
	from   []byte
	to     []byte // in the file's pages, or nil
	value  []byte
	writes uint64
}

// holds tells whether the gap says all about a key.
func (g *gap) holds(k ledger.Key, writes uint64) bool {
	return g.known && g.table == k.Table && g.writes == writes && k.ID >= string(g.from) && (g.to == nil || k.ID <= string(g.to))
}

// begin turns s to a new transaction and keeps its buffers.
func (s *session) begin(btx *bbolt.Tx) {
	*s = session{path: s.path, tx: btx, key: s.key[:0], order: s.order[:0], last: gap{from: s.last.from[:0]}}
}

func (s *session) bucket(t ledger.Table) (*bbolt.Bucket, error) {
	if t >= ledger.TableCount {
		return nil, fmt.Errorf("bolt: table %d does not exist", t)
	}
	if s.buckets[t] == nil {
		b := s.tx.Bucket(tableNames[t])
		if b == nil {
			return nil, corrupt(s.path, fmt.Errorf("bucket %s is missing", tableNames[t]))
		}
		if t == ledger.Events || t == ledger.Feeds {
			// Both grow at their ends only, so a page that is left behind half
			// empty would stay so for ever.
			b.FillPercent = 0.9
		}
		s.buckets[t] = b
		s.cursors[t] = b.Cursor()
	}
	return s.buckets[t], nil
}

func (s *session) find(k ledger.Key) ([]byte, error) {
	if _, err := s.bucket(k.Table); err != nil {
		return nil, err
	}
	if k.ID == "" {
		return nil, nil
	}
	// Codes that are no SKU, and items without a price of their own, lie in one
	// gap between rows. One look-up answers for all of them.
	if g := &s.last; !g.holds(k, s.writes) {
		g.known = false
		g.from = append(g.from[:0], k.ID...)
		g.to, g.value = s.cursors[k.Table].Seek(g.from)
		g.table, g.writes, g.known = k.Table, s.writes, true
	}
	if s.last.to == nil || string(s.last.to) != k.ID {
		return nil, nil
	}
	return present(s.last.value), nil
}

// present keeps an empty value apart from no value.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// tx is what one function sees of a session. It is cut off when the function
// ends, so that a Reader that was kept cannot touch a later transaction. An
// error sticks: a function that overlooks it does not commit half its rows.
type tx struct {
	s     *session
	wrote bool
	err   error
}

// guard turns a panic inside bbolt into an error. It must be deferred directly.
func (t *tx) guard(err *error) {
	if r := recover(); r != nil {
		*err = corrupt(t.s.path, recovered(r))
	}
	if *err != nil && t.err == nil {
		t.err = *err
	}
}

func (t *tx) Load(keys []ledger.Key) (values [][]byte, err error) {
	if t.s == nil {
		return nil, errTxEnded
	}
	defer t.guard(&err)
	values = make([][]byte, len(keys))
	if len(keys) > sortedFew {
		return values, t.s.findAll(keys, values)
	}
	for _, i := range t.s.sorted(len(keys), func(i int32) ledger.Key { return keys[i] }) {
		if values[i], err = t.s.find(keys[i]); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// sortedFew is up to how many keys each is looked up by itself.
const sortedFew = 32

// findAll is find for many keys. It goes through them in order, because the row
// after the last one that was found is often the next, or tells that the next
// is missing, and a step is cheaper than the way from the root.
func (s *session) findAll(keys []ledger.Key, values [][]byte) error {
	table, sought := ledger.TableCount, false
	var found, value []byte
	for _, i := range s.sorted(len(keys), func(i int32) ledger.Key { return keys[i] }) {
		k := &keys[i]
		if k.Table != table {
			if _, err := s.bucket(k.Table); err != nil {
				return err
			}
			table, sought = k.Table, false
		}
		if k.ID == "" {
			continue
		}
		c := s.cursors[table]
		s.key = append(s.key[:0], k.ID...)
		order := -1
		if sought {
			if order = compareFound(found, s.key); order < 0 {
				found, value = c.Next()
				order = compareFound(found, s.key)
			}
		}
		if order < 0 {
			found, value = c.Seek(s.key)
			sought, order = true, compareFound(found, s.key)
		}
		if order == 0 {
			values[i] = present(value)
		}
	}
	return nil
}

// compareFound compares the key at which a cursor stands with a wanted one; the
// end is behind every key.
func compareFound(found, wanted []byte) int {
	if found == nil {
		return 1
	}
	return bytes.Compare(found, wanted)
}

func (t *tx) Scan(table ledger.Table, from, to string, fn func(id string, value []byte) (bool, error)) error {
	if t.s == nil {
		return errTxEnded
	}
	// The cursor is the scan's own, because fn may load and scan as well.
	c, err := t.cursor(table)
	if err != nil {
		return err
	}
	k, v, err := t.seek(c, from)
	for err == nil && k != nil && (to == "" || string(k) < to) {
		id, before := string(k), t.s.writes
		more, err := fn(id, present(v))
		if err != nil || !more {
			return err
		}
		if t.s.writes != before {
			// A write moves pages away under the cursor.
			k, v, err = t.seek(c, id+"\x00")
		} else {
			k, v, err = t.next(c)
		}
		if err != nil {
			return err
		}
	}
	return err
}

func (t *tx) cursor(table ledger.Table) (c *bbolt.Cursor, err error) {
	defer t.guard(&err)
	b, err := t.s.bucket(table)
	if err != nil {
		return nil, err
	}
	return b.Cursor(), nil
}

func (t *tx) seek(c *bbolt.Cursor, from string) (k, v []byte, err error) {
	defer t.guard(&err)
	if from == "" {
		k, v = c.First()
	} else {
		k, v = c.Seek([]byte(from))
	}
	return k, v, nil
}

func (t *tx) next(c *bbolt.Cursor) (k, v []byte, err error) {
	defer t.guard(&err)
	k, v = c.Next()
	return k, v, nil
}

// Write puts and deletes rows in the order of their keys, because neighbours
// share pages. Of two rows with one key the later one counts.
func (t *tx) Write(rows []ledger.Row) (err error) {
	if t.s == nil {
		return errTxEnded
	}
	defer t.guard(&err)
	for i := range rows {
		if err := checkRow(&rows[i]); err != nil {
			return err
		}
	}
	for _, i := range t.s.sorted(len(rows), func(i int32) ledger.Key { return rows[i].Key }) {
		if err := t.put(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// sorted is the order of n keys, that of equal ones as they came. Indexes are
// sorted, because rows are large to move.
func (s *session) sorted(n int, key func(i int32) ledger.Key) []int32 {
	s.order = s.order[:0]
	sorted := true
	for i := range int32(n) {
		s.order = append(s.order, i)
		sorted = sorted && (i == 0 || compareKeys(key(i-1), key(i)) <= 0)
	}
	if !sorted {
		slices.SortFunc(s.order, func(a, b int32) int {
			if c := compareKeys(key(a), key(b)); c != 0 {
				return c
			}
			return int(a - b)
		})
	}
	return s.order
}

func (t *tx) put(row *ledger.Row) error {
	s := t.s
	b, err := s.bucket(row.Key.Table)
	if err != nil {
		return err
	}
	t.wrote = true
	s.writes++
	s.key = append(s.key[:0], row.Key.ID...)
	if row.Value == nil {
		s.deletes++
		err = b.Delete(s.key)
	} else {
		s.puts++
		err = b.Put(s.key, row.Value)
	}
	if err != nil {
		return fmt.Errorf("write %s %q: %w", tableNames[row.Key.Table], row.Key.ID, err)
	}
	return nil
}

func compareKeys(a, b ledger.Key) int {
	if a.Table != b.Table {
		return int(a.Table) - int(b.Table)
	}
	return strings.Compare(a.ID, b.ID)
}

func checkRow(r *ledger.Row) error {
	switch {
	case r.Key.Table >= ledger.TableCount:
		return fmt.Errorf("bolt: table %d does not exist", r.Key.Table)
	case r.Key.ID == "":
		return errors.New("bolt: a row needs an ID")
	case len(r.Key.ID) > idBytesMax:
		return fmt.Errorf("bolt: an ID of %d bytes is longer than %d", len(r.Key.ID), idBytesMax)
	case int64(len(r.Value)) > bbolt.MaxValueSize:
		return fmt.Errorf("bolt: a value of %d bytes is longer than %d", len(r.Value), bbolt.MaxValueSize)
	}
	return nil
}

// reader hides Write, so that no view can be turned into a writer.
type reader struct{ t *tx }

func (r reader) Load(keys []ledger.Key) ([][]byte, error) { return r.t.Load(keys) }

func (r reader) Scan(t ledger.Table, from, to string, fn func(string, []byte) (bool, error)) error {
	return r.t.Scan(t, from, to, fn)
}
