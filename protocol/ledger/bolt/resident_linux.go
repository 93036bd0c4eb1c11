package bolt

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// unmapEvery is how many transactions there are between two of them.
const unmapEvery = 64

// unmap gives back the pages of the file that this process has mapped. They
// stay in the system's cache and come again at the next touch. Without it a
// look-up maps 16 pages around the one that it needs, so that a till machine's
// few thousand look-ups would count a large catalogue as its memory.
//
// It is called within a transaction, so that the mapping cannot change meanwhile.
func (db *DB) unmap(btx *bbolt.Tx) {
	if db.begun.Add(1)%unmapEvery != 0 {
		return
	}
	if info := db.handle.bolt.Info(); info.Data != 0 {
		// A hint: should the system not take it, nothing is wrong.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, info.Data, uintptr(btx.Size()), syscall.MADV_DONTNEED)
	}
}
