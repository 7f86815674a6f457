//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// binds are mounts FROM:TO, given by a flag that may be repeated.
type binds []string

func (b *binds) String() string       { return strings.Join(*b, " ") }
func (b *binds) Set(arg string) error { *b = append(*b, arg); return nil }

// node becomes the program that it is given, in a mount namespace of its own where
// folders of the node lie over the machine's. It has been started with that
// namespace, a copy of the sandbox's.
func node(args []string) error {
	var mounts binds
	flags := flag.NewFlagSet("node", flag.ContinueOnError)
	flags.Var(&mounts, "bind", "mount `FROM:TO`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	program, err := open(flags.Args())
	if err != nil {
		return err
	}
	// No longer a peer of the sandbox's mounts, else they would show there; but
	// shared among the node's own, for pods that ask for that.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make mounts shared: %w", err)
	}
	for _, mount := range mounts {
		from, to, ok := strings.Cut(mount, ":")
		if !ok {
			return fmt.Errorf("mount %q: want FROM:TO", mount)
		}
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s at %s: %w", from, to, err)
		}
	}
	return program.become()
}

// enter becomes the program that it is given, in the mount namespace of a process.
func enter(args []string) error {
	flags := flag.NewFlagSet("enter", flag.ContinueOnError)
	pid := flags.Int("pid", 0, "`process`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	program, err := open(flags.Args())
	if err != nil {
		return err
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", *pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("find the namespace of process %d: %w", *pid, err)
	}
	// A thread that shares its idea of the root with others may not change it.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter the namespace of process %d: %w", *pid, err)
	}
	return program.become()
}

// program is opened before mounts change: it may lie below what a mount hides.
type program struct {
	file *os.File
	argv []string
}

func open(argv []string) (program, error) {
	if len(argv) == 0 {
		return program{}, errors.New("no command")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return program{}, err
	}
	file, err := os.Open(path)
	return program{file, argv}, err
}

// become returns only when it cannot.
func (p program) become() error {
	path := fmt.Sprintf("/proc/self/fd/%d", p.file.Fd())
	return fmt.Errorf("run %s: %w", p.file.Name(), syscall.Exec(path, p.argv, os.Environ()))
}
