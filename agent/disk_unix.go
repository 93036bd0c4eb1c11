//go:build unix

package agent

import "golang.org/x/sys/unix"

// diskRoom is what df shows: free is what this process may still use, and
// blocks that only the system may use count as neither free nor used.
func diskRoom(dir string) room {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return room{free: -1}
	}
	block := int64(st.Bsize)
	free := int64(st.Bavail) * block
	return room{total: (int64(st.Blocks)-int64(st.Bfree))*block + free, free: free}
}
