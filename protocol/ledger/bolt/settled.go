package bolt

import (
	"context"
	"sync"
	"sync/atomic"
)

// settled notes up to which transaction the disk has everything.
//
// bbolt shows a transaction to readers as soon as its meta page is written,
// which is before that page is synced. Who then acts on what it has read, the
// uplink above all, tells others of events that a power cut still takes back:
// the number would be used again, and a till would repeat a sale that the hub
// already has.
type settled struct {
	id   atomic.Int64
	mu   sync.Mutex
	next chan struct{} // closed when a commit ends; nil while nobody waits
}

// reach notes that a transaction is on the disk.
func (s *settled) reach(id int) {
	s.id.Store(int64(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		close(s.next)
		s.next = nil
	}
}

// await waits until a transaction that was read is on the disk. It reports
// false when the disk failed first. Only the sync of that very transaction is
// waited for, never a lock: a later commit may wait for this reader.
func (s *settled) await(ctx context.Context, id int, failed <-chan struct{}) (ok bool, err error) {
	for s.id.Load() < int64(id) {
		s.mu.Lock()
		if s.next == nil {
			s.next = make(chan struct{})
		}
		next := s.next
		s.mu.Unlock()
		if s.id.Load() >= int64(id) {
			break
		}
		select {
		case <-next:
		case <-failed:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return true, nil
}

// settleOpened makes durable what is in the file. A process that was killed may
// have written it and not have lived to sync it.
func (db *DB) settleOpened() error {
	if err := db.handle.file.Sync(); err != nil {
		return err
	}
	btx, err := db.handle.bolt.Begin(false)
	if err != nil {
		return err
	}
	db.settled.reach(btx.ID())
	return btx.Rollback()
}
