//go:build linux

// Command helper is the small program that a test cluster needs beside
// Kubernetes: the first process of a sandbox, the entry to a node's mount
// namespace, the pause container, and the janitor that tidies up after a test
// that was killed. It is one static binary without dependencies, because it is
// started where nothing else can be relied on.
//
// It must not be used outside of package cluster, which builds it and knows its
// arguments. Each command is a file of its name.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	commands := map[string]func(args []string) error{
		"enter":   enter,        // run a program in another's mount namespace
		"import":  importImages, // make the containerd folder that nodes start from
		"init":    initSandbox,  // the first process of a sandbox
		"janitor": janitor,      // end and remove what is left of a cluster
		"node":    node,         // run a program in a mount namespace of its own
		"pause":   pause,        // hold the namespaces of a pod
	}
	args := os.Args
	if filepath.Base(args[0]) == "helper" {
		args = args[1:]
	}
	if len(args) == 0 || commands[filepath.Base(args[0])] == nil {
		fmt.Fprintln(os.Stderr, "helper: started by package cluster only")
		os.Exit(2)
	}
	if err := commands[filepath.Base(args[0])](args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "helper %s: %v\n", args[0], err)
		os.Exit(1)
	}
}
