package bolt

import "os/exec"

// killedFromOutside is not told apart on Windows.
func killedFromOutside(*exec.ExitError) bool { return false }
