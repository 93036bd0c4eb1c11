//go:build unix

package bolt

import (
	"os/exec"
	"syscall"
)

// killedFromOutside tells an end that somebody else wanted, or a system without
// memory, from one that the file has caused.
func killedFromOutside(exit *exec.ExitError) bool {
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return false
	}
	switch status.Signal() {
	case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
		return true
	}
	return false
}
