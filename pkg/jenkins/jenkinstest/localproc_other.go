//go:build !unix

package jenkinstest

import "os/exec"

func ownGroup(*exec.Cmd) {}

func signalOf(*exec.ExitError) int { return -128 }
