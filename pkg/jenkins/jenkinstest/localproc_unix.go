//go:build unix

package jenkinstest

import (
	"os/exec"
	"syscall"
)

// ownGroup lets an interrupt reach everything the script started.
func ownGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
}

// signalOf is the signal that ended a process; -128 when none did.
func signalOf(e *exec.ExitError) int {
	if st, ok := e.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return int(st.Signal())
	}
	return -128
}
