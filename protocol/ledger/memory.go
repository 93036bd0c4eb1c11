package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// memoryIDBytesMax is the longest ID that every driver takes.
const memoryIDBytesMax = 32 << 10

// errMemoryClosed is returned by every call after Close.
var errMemoryClosed = errors.New("ledger: the memory store is closed")

// errMemoryTxEnded is returned when a Reader or Tx is used after its function ended.
var errMemoryTxEnded = errors.New("ledger: the transaction has ended")

// Memory is a Driver without a disk, for the simulator and for tests.
//
// It is deterministic: what it returns depends only on the calls, never on
// time, map order or chance. A transaction keeps what it writes to itself, so
// that the way back from a failed function costs nothing. A commit changes the
// committed rows in place, unless a view or a clone has them: then it changes a
// copy, and they keep what they started from.
type Memory struct {
	writing sync.Mutex  // held for the whole of an Update
	fresh   memoryImage // what the running Update has written

	mu     sync.Mutex // guards what is below
	image  *memoryImage
	closed bool
	calls  sync.WaitGroup
}

// memoryImage is one consistent state of all tables. It changes only while one
// store has it and nobody reads it.
type memoryImage struct {
	tables [TableCount]memoryTable
	views  atomic.Int64 // that read it now
	cloned bool         // two stores have it; set before the second has it
}

// copy returns an image that nobody else has.
func (i *memoryImage) copy() *memoryImage {
	c := &memoryImage{}
	for t := range i.tables {
		c.tables[t] = i.tables[t].copy()
	}
	return c
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{image: &memoryImage{}} }

// Clone returns an open store with the committed rows of m. Neither sees what
// is written to the other afterwards. A clone of a closed store is how a
// simulation restarts a machine.
func (m *Memory) Clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.image.cloned {
		m.image.cloned = true
	}
	return &Memory{image: m.image}
}

// Update runs fn and publishes what it wrote when it returns nil.
func (m *Memory) Update(ctx context.Context, fn func(Tx) error) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.calls.Done()
	m.writing.Lock()
	defer m.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	tx := &memoryTx{image: m.committed(), fresh: &m.fresh}
	defer tx.end()
	if err := fn(tx); err != nil {
		return err
	}
	if tx.err == nil {
		m.commit(tx.fresh)
	}
	return tx.err
}

// commit makes what a transaction wrote part of the committed rows.
func (m *Memory) commit(fresh *memoryImage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.image.cloned || m.image.views.Load() > 0 {
		m.image = m.image.copy()
	}
	for t := range fresh.tables {
		for _, block := range fresh.tables[t].blocks {
			for i := range block {
				if block[i].value == nil {
					m.image.tables[t].remove(block[i].id)
				} else {
					m.image.tables[t].put(block[i])
				}
			}
		}
	}
}

// View runs fn on the state that was committed last.
func (m *Memory) View(ctx context.Context, fn func(Reader) error) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.calls.Done()
	m.mu.Lock()
	image := m.image
	image.views.Add(1)
	m.mu.Unlock()
	defer image.views.Add(-1)
	tx := &memoryTx{image: image}
	defer tx.end()
	return fn(memoryReader{tx})
}

// Scrub does nothing: what was deleted lies in no file.
func (m *Memory) Scrub(ctx context.Context) error {
	err := m.enter(ctx)
	if err == nil {
		m.calls.Done()
	}
	return err
}

// Close waits for running calls. The rows stay, for Clone.
func (m *Memory) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.calls.Wait()
	return nil
}

func (m *Memory) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errMemoryClosed
	}
	m.calls.Add(1)
	return nil
}

func (m *Memory) committed() *memoryImage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.image
}

// memoryReader hides Write, so that no view can be turned into a writer.
type memoryReader struct{ tx *memoryTx }

func (r memoryReader) Load(keys []Key) ([][]byte, error) { return r.tx.Load(keys) }

func (r memoryReader) Scan(t Table, from, to string, fn func(string, []byte) (bool, error)) error {
	return r.tx.Scan(t, from, to, fn)
}

// memoryTx reads one image, and above it what it wrote: a row without a value is
// deleted. A failed Write sticks: fn cannot commit half of what it meant by
// overlooking the error.
type memoryTx struct {
	image  *memoryImage
	fresh  *memoryImage // nil: it only reads
	writes uint64
	ended  bool
	err    error
}

func (tx *memoryTx) end() {
	tx.ended = true
	if tx.fresh != nil {
		for t := range tx.fresh.tables {
			tx.fresh.tables[t].empty()
		}
	}
}

func (tx *memoryTx) Load(keys []Key) ([][]byte, error) {
	if tx.ended {
		return nil, errMemoryTxEnded
	}
	values := make([][]byte, len(keys))
	for i, k := range keys {
		if k.Table >= TableCount {
			return nil, fmt.Errorf("ledger: table %d does not exist", k.Table)
		}
		if tx.writes > 0 {
			if row := tx.fresh.tables[k.Table].find(k.ID); row != nil {
				values[i] = row.value
				continue
			}
		}
		if row := tx.image.tables[k.Table].find(k.ID); row != nil {
			values[i] = row.value
		}
	}
	return values, nil
}

func (tx *memoryTx) Scan(t Table, from, to string, fn func(id string, value []byte) (bool, error)) error {
	if tx.ended {
		return errMemoryTxEnded
	}
	if t >= TableCount {
		return fmt.Errorf("ledger: table %d does not exist", t)
	}
	committed, fresh := tx.image.tables[t].cursor(from), tx.own(t, from)
	for {
		row := fresh.next(committed.row())
		if row == nil {
			row = committed.row()
		}
		if row == nil || to != "" && row.id >= to {
			return nil
		}
		id, value := row.id, row.value
		committed.pass(id)
		fresh.pass(id)
		if value == nil {
			continue
		}
		before := tx.writes
		if more, err := fn(id, value); err != nil || !more {
			return err
		}
		if tx.writes != before {
			fresh = tx.own(t, id+"\x00") // so that fn sees its own writes ahead
		}
	}
}

// own is where a scan begins in what the transaction wrote.
func (tx *memoryTx) own(t Table, from string) memoryCursor {
	if tx.writes == 0 {
		return memoryCursor{}
	}
	return tx.fresh.tables[t].cursor(from)
}

func (tx *memoryTx) Write(rows []Row) error {
	if tx.ended {
		return errMemoryTxEnded
	}
	for i := range rows {
		if err := checkMemoryKey(rows[i].Key); err != nil {
			tx.err = err
			return err
		}
	}
	for i := range rows {
		tx.fresh.tables[rows[i].Key.Table].put(memoryRow{rows[i].Key.ID, rows[i].Value})
		tx.writes++
	}
	return nil
}

func checkMemoryKey(k Key) error {
	switch {
	case k.Table >= TableCount:
		return fmt.Errorf("ledger: table %d does not exist", k.Table)
	case k.ID == "":
		return errors.New("ledger: a row needs an ID")
	case len(k.ID) > memoryIDBytesMax:
		return fmt.Errorf("ledger: an ID of %d bytes is longer than %d", len(k.ID), memoryIDBytesMax)
	}
	return nil
}
