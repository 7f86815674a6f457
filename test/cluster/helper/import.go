//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// importImages runs a containerd over a folder, imports archives and ends it. What
// is in the folder then is what nodes start with.
func importImages(args []string) error {
	flags := flag.NewFlagSet("import", flag.ContinueOnError)
	root := flags.String("root", "", "`folder` of containerd")
	if err := flags.Parse(args); err != nil {
		return err
	}
	const dir, socket = "/run/import", "/run/import/containerd.sock"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	config := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\n[grpc]\n  address = %q\n", *root, filepath.Join(dir, "state"), socket)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	containerd := exec.Command("containerd", "-c", config)
	containerd.Stdout, containerd.Stderr = os.Stdout, os.Stderr
	if err := containerd.Start(); err != nil {
		return err
	}
	err := insist(func() error { return exec.Command("ctr", "-a", socket, "version").Run() })
	if err == nil {
		for _, archive := range flags.Args() {
			if out, e := exec.Command("ctr", "-a", socket, "-n", "k8s.io", "images", "import", archive).CombinedOutput(); e != nil {
				err = errors.Join(err, fmt.Errorf("import %s: %w\n%s", archive, e, out))
			}
		}
	}
	// Told to end, not killed: its databases have to be whole.
	return errors.Join(err, containerd.Process.Signal(syscall.SIGTERM), containerd.Wait())
}
