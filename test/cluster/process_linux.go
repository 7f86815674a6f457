package cluster

import (
	"os/exec"
	"syscall"
)

func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// ownMounts makes a program's mounts invisible to others, and end with it.
func ownMounts(cmd *exec.Cmd) { cmd.SysProcAttr.Unshareflags |= syscall.CLONE_NEWNS }

// copiedMounts starts a program in a mount namespace that still gets this one's
// mounts; helper node cuts it off.
func copiedMounts(cmd *exec.Cmd) { cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNS }
