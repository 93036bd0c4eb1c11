package process

import "syscall"

// Attributes puts a child into a process group of its own, so that Ctrl-C
// reaches only us and we stop the children in order.
func Attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
