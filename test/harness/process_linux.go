package harness

import "syscall"

// childAttributes ends a program with this process, however this process ends.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
