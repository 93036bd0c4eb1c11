package process

import "syscall"

// attributes puts a child into a process group of its own, so that Ctrl-C
// reaches only us and we stop the children in order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
