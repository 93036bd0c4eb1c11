package process

import "os"

// KillAll kills a process.
func KillAll(p *os.Process) error { return p.Kill() }
