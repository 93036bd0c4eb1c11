package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bbolt "go.etcd.io/bbolt"
)

const (
	// compactBytesMin is the size below which nothing is won.
	compactBytesMin = 64 << 20
	// compactStepBytes bounds one transaction of the copy.
	compactStepBytes = 4 << 20
	// compactSpare is the room that must remain beside the copy.
	compactSpare = 64 << 20
)

// mostlyFree tells whether more than half of a large file is free pages. bbolt
// never gives them back to the file system.
func mostlyFree(m *metas) bool {
	return m.pages*m.pageSize > compactBytesMin && 2*m.free > m.pages
}

// compact puts a copy without free pages in the file's place, where there is
// room for both. The copy is complete, on the disk and compared with the file
// before it takes the name, so whenever the process ends there is one whole
// file of the name. That it cannot be made is no reason not to start.
func compact(path string, o Options, m *metas) {
	used := int64((m.pages - m.free) * m.pageSize)
	if room := o.Room(filepath.Dir(path)); room < used+used/4+compactSpare {
		o.Log.Info("the store is mostly free pages and is not compacted, for want of room", "path", path, "used", used, "room", room)
		return
	}
	began := time.Now()
	if err := replaceByCopy(path, o); err != nil {
		o.Log.Warn("the store was not compacted and is used as it is", "path", path, "error", err)
		return
	}
	o.Log.Info("the store was compacted", "path", path, "before", m.pages*m.pageSize, "used", used, "ms", time.Since(began).Milliseconds())
}

func replaceByCopy(path string, o Options) error {
	// The lock keeps writers out until the copy has the name.
	from, err := openHandle(path, bbolt.Options{Timeout: o.LockTimeout})
	if err != nil {
		return err
	}
	open := true
	defer func() {
		if open {
			_ = from.close(false)
		}
	}()
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+newSuffix+"*")
	if err != nil {
		return err
	}
	temp := f.Name()
	defer func() { _ = os.Remove(temp) }()
	if err := f.Close(); err != nil {
		return err
	}
	if err := copyInto(temp, from.bolt, o); err != nil {
		return err
	}
	if isWindows {
		// A file that is open cannot be replaced there. Should another process
		// open it now, the replacement fails and the file stays.
		open = false
		if err := from.close(false); err != nil {
			return err
		}
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// copyInto fills the file temp from b, compares both, and returns when the copy
// is on the disk.
func copyInto(temp string, b *bbolt.DB, o Options) (err error) {
	to, err := openHandle(temp, bbolt.Options{Timeout: o.LockTimeout, NoSync: true, NoGrowSync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close(false)) }()
	if err := bbolt.Compact(to.bolt, b, compactStepBytes); err != nil {
		return err
	}
	if err := to.file.Sync(); err != nil {
		return err
	}
	if err := inspect(temp, to.file, true, o.Log); err != nil {
		return err
	}
	return b.View(func(have *bbolt.Tx) error {
		return to.bolt.View(func(got *bbolt.Tx) error { return sameRows(have, got) })
	})
}

// sameRows compares all buckets of two files, row by row.
func sameRows(have, got *bbolt.Tx) error {
	return have.ForEach(func(name []byte, a *bbolt.Bucket) error {
		b := got.Bucket(name)
		if b == nil {
			return fmt.Errorf("the copy has no bucket %s", name)
		}
		one, two := a.Cursor(), b.Cursor()
		k, v := one.First()
		l, w := two.First()
		for k != nil || l != nil {
			if !bytes.Equal(k, l) || !bytes.Equal(v, w) {
				return fmt.Errorf("the copy differs in bucket %s at %q", name, k)
			}
			k, v = one.Next()
			l, w = two.Next()
		}
		return nil
	})
}
