//go:build !linux

package cluster

import "syscall"

// dieWithParent has no equivalent here: programs outlive a test that is killed
// by SIGKILL.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
