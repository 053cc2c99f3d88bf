package cli

import (
	"os/exec"
	"syscall"
)

// detach keeps signals of the terminal away from a process beside this one.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
