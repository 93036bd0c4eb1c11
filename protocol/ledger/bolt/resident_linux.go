package bolt

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// The file is given back a slice at a time, in turn: every unmapEvery transactions
// one of unmapSlices.
const (
	unmapEvery  = 2
	unmapSlices = 64
)

// unmap gives back pages of the file that this process has mapped. They stay in the
// system's cache and come again at the next touch. Without it a look-up maps 16
// pages around the one that it needs, so that a till machine's few thousand look-ups
// would count a large catalogue as its memory. All at once would cost one call in
// every so many a few hundred microseconds, and those behind it the pages that all
// of them need.
//
// It is called within a transaction, so that the mapping cannot change meanwhile.
func (db *DB) unmap(btx *bbolt.Tx) {
	n := db.begun.Add(1)
	if n%unmapEvery != 0 {
		return
	}
	slice, pages := n/unmapEvery%unmapSlices, btx.Size()/pageSize
	from, to := pages*slice/unmapSlices*pageSize, pages*(slice+1)/unmapSlices*pageSize
	if info := db.handle.bolt.Info(); info.Data != 0 && from < to {
		// A hint: should the system not take it, nothing is wrong.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, info.Data+uintptr(from), uintptr(to-from), syscall.MADV_DONTNEED)
	}
}
