package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// mountRoot makes a copy-on-write view of this machine's root in dir/root and
// mounts binds (path in the container to folder) into it.
func mountRoot(dir string, binds map[string]string) (string, error) {
	upper, work, root := filepath.Join(dir, "upper"), filepath.Join(dir, "work"), filepath.Join(dir, "root")
	for _, d := range []string{upper, work, root} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return "", err
		}
	}
	if err := syscall.Mount("overlay", root, "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%s,workdir=%s", upper, work)); err != nil {
		return "", fmt.Errorf("mount root: %w", err)
	}
	for _, shared := range []string{"/proc", "/sys", "/dev"} {
		if err := syscall.Mount(shared, root+shared, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
			return "", fmt.Errorf("mount %s: %w", shared, err)
		}
	}
	for _, own := range []string{"/tmp", "/run"} {
		if err := syscall.Mount("tmpfs", root+own, "tmpfs", 0, "mode=1777"); err != nil {
			return "", fmt.Errorf("mount %s: %w", own, err)
		}
	}
	paths := make([]string, 0, len(binds))
	for path := range binds {
		paths = append(paths, path)
	}
	slices.Sort(paths) // a parent before what is mounted into it
	for _, path := range paths {
		target := filepath.Join(root, path)
		if err := os.MkdirAll(target, 0o755); err != nil {
			return "", err
		}
		if err := syscall.Mount(binds[path], target, "", syscall.MS_BIND, ""); err != nil {
			return "", fmt.Errorf("mount volume at %s: %w", path, err)
		}
	}
	return root, nil
}

func unmountRoot(root string) { _ = syscall.Unmount(root, syscall.MNT_DETACH) }

// killMarked ends the processes that have an entry in their environment.
func killMarked(entry string) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range environs {
		environ, err := os.ReadFile(name)
		if err != nil || !slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(v []byte) bool { return string(v) == entry }) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func signalOf(err *exec.ExitError) int {
	status, ok := err.Sys().(syscall.WaitStatus)
	if !ok {
		return 0
	}
	return int(status.Signal())
}
