//go:build linux

package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A volume is a small file system in memory.
type volume struct {
	t   *testing.T
	dir string
}

// mount mounts a volume of that size, or returns nil where this machine does
// not let us.
func mount(t *testing.T, dir string, sizeBytes string) *volume {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("counterpart-test", dir, "tmpfs", 0, "size="+sizeBytes+",mode=0755"); err != nil {
		t.Logf("no file system can be mounted here (%v); system calls are made to fail instead", err)
		return nil
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return &volume{t: t, dir: dir}
}

func (v *volume) ballast() string { return filepath.Join(v.dir, "ballast") }

func (v *volume) used() (percent float64) {
	v.t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(v.dir, &st); err != nil {
		v.t.Fatal(err)
	}
	return 100 * float64(st.Blocks-st.Bavail) / float64(st.Blocks)
}

// fill writes ballast until so much of the volume is used; 100 is all of it.
func (v *volume) fill(percent float64) {
	v.t.Helper()
	f, err := os.OpenFile(v.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	for v.used() < percent {
		if _, err := f.Write(make([]byte, 4096)); errors.Is(err, unix.ENOSPC) {
			return
		} else if err != nil {
			v.t.Fatal(err)
		}
	}
}

// empty takes the ballast away.
func (v *volume) empty() {
	v.t.Helper()
	if err := os.Remove(v.ballast()); err != nil {
		v.t.Fatal(err)
	}
}

// writable mounts the volume anew, for reading only or also for writing.
func (v *volume) writable(yes bool) {
	v.t.Helper()
	flags := uintptr(unix.MS_REMOUNT)
	if !yes {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount("counterpart-test", v.dir, "tmpfs", flags, ""); err != nil {
		v.t.Fatal(err)
	}
}
