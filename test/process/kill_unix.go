//go:build unix

package process

import (
	"errors"
	"os"
	"syscall"
)

// KillAll kills a process that was started with Attributes, and what it started
// itself: to kill only a program that traces another one would leave that one
// running, with our pipes in its hands.
func KillAll(p *os.Process) error {
	err := syscall.Kill(-p.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
