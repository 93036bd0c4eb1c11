package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
// time, map order or chance. Every table is a persistent treap, so that a view,
// a clone and the way back from a failed function cost nothing: each simply
// keeps the roots it started from.
type Memory struct {
	writing sync.Mutex // held for the whole of an Update

	mu     sync.Mutex // guards what is below
	image  memoryImage
	closed bool
	calls  sync.WaitGroup
}

// memoryImage is one consistent state of all tables. The nodes below it never change
// once it is published.
type memoryImage [TableCount]*memoryNode

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{} }

// Clone returns an open store with the committed rows of m. Neither sees what
// is written to the other afterwards. A clone of a closed store is how a
// simulation restarts a machine.
func (m *Memory) Clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Memory{image: m.image}
}

// Update runs fn and publishes what it wrote when it returns nil.
func (m *Memory) Update(ctx context.Context, fn func(Tx) error) error {
	if _, err := m.enter(ctx); err != nil {
		return err
	}
	defer m.calls.Done()
	m.writing.Lock()
	defer m.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	tx := &memoryTx{image: m.committed(), owner: new(memoryOwner)}
	defer tx.end()
	if err := fn(tx); err != nil {
		return err
	}
	if tx.err != nil {
		return tx.err
	}
	m.mu.Lock()
	m.image = tx.image
	m.mu.Unlock()
	return nil
}

// View runs fn on the state that was committed last.
func (m *Memory) View(ctx context.Context, fn func(Reader) error) error {
	committed, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer m.calls.Done()
	tx := &memoryTx{image: committed}
	defer tx.end()
	return fn(memoryReader{tx})
}

// Scrub does nothing: what was deleted lies in no file.
func (m *Memory) Scrub(ctx context.Context) error {
	_, err := m.enter(ctx)
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

func (m *Memory) enter(ctx context.Context) (memoryImage, error) {
	if err := ctx.Err(); err != nil {
		return memoryImage{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return memoryImage{}, errMemoryClosed
	}
	m.calls.Add(1)
	return m.image, nil
}

func (m *Memory) committed() memoryImage {
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

// memoryTx reads and writes one image. A failed Write sticks: fn cannot commit
// half of what it meant by overlooking the error.
type memoryTx struct {
	image  memoryImage
	owner  *memoryOwner
	writes uint64
	ended  bool
	err    error
}

func (tx *memoryTx) end() { tx.ended = true }

func (tx *memoryTx) Load(keys []Key) ([][]byte, error) {
	if tx.ended {
		return nil, errMemoryTxEnded
	}
	values := make([][]byte, len(keys))
	for i, k := range keys {
		if k.Table >= TableCount {
			return nil, fmt.Errorf("ledger: table %d does not exist", k.Table)
		}
		if n := tx.image[k.Table].find(k.ID); n != nil {
			values[i] = n.value
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
	for {
		// A write by fn may change the tree under the walk. The walk then starts
		// again behind the row it was at, so that fn sees its own writes ahead.
		var last string
		before := tx.writes
		moved := false
		_, err := tx.image[t].walk(from, to, func(n *memoryNode) (bool, error) {
			more, err := fn(n.id, n.value)
			if err != nil || !more {
				return false, err
			}
			if tx.writes != before {
				last, moved = n.id, true
				return false, nil
			}
			return true, nil
		})
		if err != nil || !moved {
			return err
		}
		from = last + "\x00"
	}
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
		root := &tx.image[rows[i].Key.Table]
		if id, value := rows[i].Key.ID, rows[i].Value; value != nil {
			*root = tx.owner.put(*root, id, value)
		} else if (*root).find(id) != nil {
			*root = tx.owner.remove(*root, id)
		}
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

// memoryNode is one row in a treap: ordered by id, and a heap by rank. The rank is a
// hash of the id, so the shape depends on the rows alone.
type memoryNode struct {
	id          string
	value       []byte
	rank        uint64
	owner       *memoryOwner
	left, right *memoryNode
}

// memoryOwner is a running Update. It changes the nodes it made in place and copies
// all others, because images that were published share them.
type memoryOwner struct{ _ byte }

func (n *memoryNode) find(id string) *memoryNode {
	for n != nil && n.id != id {
		if id < n.id {
			n = n.left
		} else {
			n = n.right
		}
	}
	return n
}

// walk calls fn for the rows with from <= id < to in order. It reports whether
// fn asked for more to the end.
func (n *memoryNode) walk(from, to string, fn func(*memoryNode) (bool, error)) (bool, error) {
	if n == nil {
		return true, nil
	}
	if from < n.id {
		if more, err := n.left.walk(from, to, fn); err != nil || !more {
			return false, err
		}
	}
	if to != "" && n.id >= to {
		return true, nil
	}
	if from <= n.id {
		if more, err := fn(n); err != nil || !more {
			return false, err
		}
	}
	return n.right.walk(from, to, fn)
}

func (o *memoryOwner) own(n *memoryNode) *memoryNode {
	if n.owner == o {
		return n
	}
	c := *n
	c.owner = o
	return &c
}

func (o *memoryOwner) put(n *memoryNode, id string, value []byte) *memoryNode {
	if n == nil {
		return &memoryNode{id: id, value: value, rank: memoryRank(id), owner: o}
	}
	n = o.own(n)
	switch {
	case id == n.id:
		n.value = value
	case id < n.id:
		n.left = o.put(n.left, id, value)
		if l := n.left; l.rank > n.rank {
			n.left, l.right = l.right, n
			return l
		}
	default:
		n.right = o.put(n.right, id, value)
		if r := n.right; r.rank > n.rank {
			n.right, r.left = r.left, n
			return r
		}
	}
	return n
}

// remove takes out a row that exists.
func (o *memoryOwner) remove(n *memoryNode, id string) *memoryNode {
	if id == n.id {
		return o.join(n.left, n.right)
	}
	n = o.own(n)
	if id < n.id {
		n.left = o.remove(n.left, id)
	} else {
		n.right = o.remove(n.right, id)
	}
	return n
}

// join makes one tree of two, where every id of a is below every id of b.
func (o *memoryOwner) join(a, b *memoryNode) *memoryNode {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.rank > b.rank:
		a = o.own(a)
		a.right = o.join(a.right, b)
		return a
	default:
		b = o.own(b)
		b.left = o.join(a, b.left)
		return b
	}
}

// memoryRank is FNV-1a with a final mix, which spreads IDs that differ in their last
// byte only.
func memoryRank(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
