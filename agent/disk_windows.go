package agent

import "golang.org/x/sys/windows"

// diskRoom is what this process may use of the disk, and has left of it.
func diskRoom(dir string) room {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return room{free: -1}
	}
	var free, total uint64
	if err := windows.GetDiskFreeSpaceEx(path, &free, &total, nil); err != nil {
		return room{free: -1}
	}
	return room{total: int64(total), free: int64(free)}
}
