//go:build !linux

package bolt

import "go.etcd.io/bbolt"

// unmap is for systems on which mapped pages count as a process's memory.
func (db *DB) unmap(*bbolt.Tx) {}
