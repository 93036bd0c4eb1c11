package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Scrub overwrites with zeros all of the file that the last committed state
// does not consist of. When it has returned nil, nothing of what was deleted or
// replaced before is in the file.
//
// A transaction writes its pages elsewhere and leaves the old ones as they
// were, so what was deleted can be read in the file until chance uses its page
// again; to overwrite a value before it is deleted only makes one more copy of
// the page. A file system that copies on write, a disk of flash, and snapshots
// and backups of the file keep older content all the same: nobody above them
// can help that.
//
// It waits for calls that run, and calls that come wait until it is done, so it
// must not be called from within one. The file is whole at each moment. Until
// the next commit the state before the last one cannot be fallen back to.
func (db *DB) Scrub(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Who holds mu lets no call in, and with turn no transaction is open.
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return ErrClosed
	}
	db.calls.Wait()
	db.committer.turn.Lock()
	defer db.committer.turn.Unlock()
	select {
	case <-db.failed:
		return db.failure
	default:
	}
	file := db.handle.file
	if err := overwriteUnused(db.path, file); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		db.fail(err)
		return db.failure
	}
	return nil
}

// overwriteUnused finds what is in use by itself, from the newer meta page down,
// so that pages which no list names are overwritten as well.
func overwriteUnused(path string, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return unopened(path, err)
	}
	m, err := readImage(path, file, info.Size())
	if err != nil {
		return err
	}
	w := walker{image: m.image, seen: make([]bool, m.pages)}
	if m.freelist != noFreelist {
		_, err = w.page(m.freelist, 0)
	}
	if err == nil {
		err = w.walk(m.root, 0, nil, nil)
	}
	if err != nil {
		return corrupt(path, err)
	}
	const metaPages = 2
	page, zeros := make([]byte, m.pageSize), make([]byte, m.pageSize)
	for id := uint64(metaPages); ; id++ {
		if id < m.pages && w.seen[id] {
			continue
		}
		at := int64(id * m.pageSize)
		n, err := file.ReadAt(page, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return broken(path, err)
		}
		if n == 0 {
			return nil
		}
		if bytes.Equal(page[:n], zeros[:n]) {
			continue
		}
		if _, err := file.WriteAt(zeros[:n], at); err != nil {
			return broken(path, fmt.Errorf("overwrite page %d: %w", id, err))
		}
	}
}
