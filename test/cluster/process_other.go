//go:build !linux

package cluster

import (
	"os/exec"
	"syscall"
)

// dieWithParent has no equivalent here: programs outlive a test that is killed
// by SIGKILL.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

func ownMounts(*exec.Cmd) {}

func copiedMounts(*exec.Cmd) {}
