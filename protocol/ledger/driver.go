// Package ledger is the fold: the one way in which events change state, on
// agents, on the hub and in the simulator.
//
// For a batch the ledger says which aggregates each event touches, loads them
// in at most three rounds, folds the events over that working set, and writes
// the changed aggregates together with the events and the stream's cursor in
// one transaction. Drivers below it know keys and values only.
package ledger

import "context"

// Table is a key space of its own. A driver keeps each in a bucket or table.
type Table uint8

// The tables.
const (
	States Table = iota // aggregates: what the fold changes
	Events              // records by stream and number
	Feeds               // feed offsets
	Notes               // what belongs to this machine alone: identity, answers, feed cursors
	TableCount
)

// Key names one row. Keys are ordered by table, then by the bytes of ID.
type Key struct {
	Table Table
	ID    string
}

// Row is a value to write. A nil Value deletes the row.
type Row struct {
	Key   Key
	Value []byte
}

// Reader reads one consistent state. Values are valid until the function that
// was given the Reader returns and must not be changed.
type Reader interface {
	// Load returns the values of keys in their order, nil where there is none.
	Load(keys []Key) ([][]byte, error)
	// Scan calls fn for each row of t with from <= ID < to in ascending order
	// until fn returns false or an error; an empty to means the end.
	Scan(t Table, from, to string, fn func(id string, value []byte) (bool, error)) error
}

// Tx is a Reader that can also write. What it wrote it also reads.
type Tx interface {
	Reader
	// Write puts and deletes rows. Values must not be changed afterwards.
	Write(rows []Row) error
}

// Driver stores rows durably.
type Driver interface {
	// Update runs fn and commits what it wrote, durably, before it returns
	// nil. Writers do not overlap: each sees everything that was committed
	// before. A driver may commit several calls in one transaction and may
	// call fn again when another call of the same transaction failed, so fn
	// must have no effect besides tx. When fn fails nothing of it is written.
	Update(ctx context.Context, fn func(Tx) error) error
	// View runs fn on one consistent, committed state. It does not wait for
	// writers.
	View(ctx context.Context, fn func(Reader) error) error
	// Close waits for running calls and releases the files.
	Close() error
}
