package bolt

import (
	"fmt"
	"os"
)

// cleanSuffix names the note that Close leaves beside the file.
const cleanSuffix = ".clean"

// stamp names one committed state of one file. The note with the stamp of the
// last state says that the file was closed in order, by a process that had
// reason to believe in it. Every commit makes the note void, so it is never
// taken back and need not be durable: where it is lost the file is checked
// once more.
func (m *metas) stamp() string { return fmt.Sprintf("%d %016x\n", m.txid, m.sum) }

// closedInOrder tells whether the file was left by Close in the state m.
func closedInOrder(path string, m *metas) bool {
	b, err := os.ReadFile(path + cleanSuffix)
	return err == nil && !m.torn && string(b) == m.stamp()
}

// noteClean writes the note, unless what is in the file was never checked or a
// commit has failed. It is called while the file's lock is still held.
func (db *DB) noteClean() {
	select {
	case <-db.failed:
		return
	default:
	}
	if !db.sound {
		return
	}
	info, err := db.handle.file.Stat()
	if err == nil {
		var m metas
		if m, err = readImage(db.path, db.handle.file, info.Size()); err == nil {
			err = os.WriteFile(db.path+cleanSuffix, []byte(m.stamp()), 0o600)
		}
	}
	if err != nil {
		db.log.Info("not noted that the store was closed in order; the next start checks it", "path", db.path, "error", err)
	}
}
