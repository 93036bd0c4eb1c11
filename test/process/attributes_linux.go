package process

import "syscall"

// attributes puts a child into a process group of its own, so that Ctrl-C
// reaches only us and we stop the children in order, and kills it when we are
// killed, so that nothing is left behind.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
