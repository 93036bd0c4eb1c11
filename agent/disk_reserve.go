package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// reserveName is the file that keeps room for selling.
	reserveName = "reserve"
	tryName     = reserveName + ".try"

	reserveBytesMax = 128 << 20
	reserveBytesMin = 256 << 10
	// reserveOneIn scales the reserve down on small disks.
	reserveOneIn = 256
	// lastOneIn is the part that selling may not have: trimming needs a few
	// pages before it gives any back.
	lastOneIn = 16
)

// reserveBytes is how large the reserve is on a disk of that size.
func reserveBytes(total int64) int64 {
	return min(max(total/reserveOneIn, reserveBytesMin), reserveBytesMax)
}

// reserve is a file without content that holds room on the disk.
type reserve struct {
	dir string
	// lasting is the part that giveUp leaves, as of the last make.
	lasting int64
}

func (r *reserve) path() string { return filepath.Join(r.dir, reserveName) }

// held is how much room the reserve holds.
func (r *reserve) held() int64 {
	info, err := os.Stat(r.path())
	if err != nil {
		return 0
	}
	return info.Size()
}

// make brings the reserve to its full size.
func (r *reserve) make(size int64) error {
	r.lasting = size / lastOneIn
	if r.held() >= size {
		return nil
	}
	return hold(r.path(), size)
}

// try tells whether there is room for a small part of a reserve.
func (r *reserve) try() bool {
	path := filepath.Join(r.dir, tryName)
	err := hold(path, max(r.lasting, reserveBytesMin/lastOneIn))
	return errors.Join(err, remove(path)) == nil
}

// giveUp leaves the room to the database, but for the part that trimming may
// need. It does not fail: what cannot be given up is not there.
func (r *reserve) giveUp() {
	held := r.held()
	if left := max(r.lasting, reserveBytesMin/lastOneIn); held > left && os.Truncate(r.path(), left) != nil {
		_ = remove(r.path())
	}
}

func (r *reserve) giveUpLast() { _ = remove(r.path()) }

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// hold makes a file of that size whose blocks are the file's own. One that
// does not become so large is taken away.
func hold(path string, size int64) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err = errors.Join(allocate(f, size), f.Close()); err != nil {
		return errors.Join(err, remove(path))
	}
	return nil
}

// fill allocates by writing, for systems and file systems that know no other
// way.
func fill(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	block := make([]byte, 64<<10)
	for at := info.Size(); at < size; at += int64(len(block)) {
		if _, err := f.WriteAt(block[:min(int64(len(block)), size-at)], at); err != nil {
			return err
		}
	}
	return nil
}
