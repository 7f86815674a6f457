//go:build linux

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// patience is how long the janitor tries: killed processes take a moment to let go
// of their control groups.
const patience = 10 * time.Second

// janitor waits for the end of its input and then ends the processes that carry a
// mark in their environment, and removes control groups and a folder.
func janitor(args []string) error {
	flags := flag.NewFlagSet("janitor", flag.ContinueOnError)
	mark := flags.String("mark", "", "`NAME=value` in the environment of the processes to end")
	remove := flags.String("remove", "", "`folder` to remove")
	cgroup := flags.String("cgroup", "", "`name` of a control group to remove, in every hierarchy")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	var errs []error
	if *mark != "" {
		errs = append(errs, insist(func() error { return endMarked(*mark) }))
	}
	if *cgroup != "" {
		errs = append(errs, insist(func() error { return removeCgroups(*cgroup) }))
	}
	if *remove != "" {
		errs = append(errs, insist(func() error { return os.RemoveAll(*remove) }))
	}
	return errors.Join(errs...)
}

// insist calls f until it succeeds or patience ends.
func insist(f func() error) error {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := f()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// endMarked kills the marked processes; nil means that there are none any more.
func endMarked(mark string) error {
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return err
	}
	var left []int
	for _, name := range environs {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		environ, err := os.ReadFile(name) // of an ended process: empty
		if err != nil || !slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(v []byte) bool { return string(v) == mark }) {
			continue
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		left = append(left, pid)
	}
	if len(left) > 0 {
		return fmt.Errorf("processes %v are still there", left)
	}
	return nil
}

// removeCgroups ends what runs in the control groups of a name and removes them:
// in every hierarchy of version 1, or in the one of version 2.
func removeCgroups(name string) error {
	var errs []error
	roots, err := filepath.Glob("/sys/fs/cgroup/*")
	if err != nil {
		return err
	}
	for _, root := range append(roots, "/sys/fs/cgroup") {
		errs = append(errs, removeCgroup(filepath.Join(root, name)))
	}
	return errors.Join(errs...)
}

func removeCgroup(top string) error {
	var dirs []string
	_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	var errs []error
	for _, dir := range slices.Backward(dirs) { // children before parents
		pids, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for field := range bytes.FieldsSeq(pids) {
			if pid, err := strconv.Atoi(string(field)); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
