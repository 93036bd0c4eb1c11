//go:build unix

package agent

import "golang.org/x/sys/unix"

// freeBytes is the room that this process may still use, -1 when unknown.
func freeBytes(dir string) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return -1
	}
	return int64(st.Bavail) * int64(st.Bsize)
}
