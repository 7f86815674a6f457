package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that the command in a sandbox gets through this process.
var forwarded = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2}

// runSandbox is the outer side of a sandbox; the inner one is helper/init.go.
//
//	this process ── helper init (process 1 of the sandbox) ── argv
//	      └──────── helper janitor (removes the control group, even after SIGKILL)
func runSandbox(ctx context.Context, helper string, argv []string) (code int, err error) {
	// The kernel kills the sandbox when the thread that made it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	name := fmt.Sprintf("kubectl-pipeline-%d-%08x", os.Getpid(), rand.Uint32())
	j, err := runJanitor(helper, []string{"janitor", "-cgroup", name})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, j.finish()) }()

	cmd, read, write, err := sandboxCommand(ctx, helper, argv)
	if err != nil {
		return 0, err
	}
	defer write.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(cmd.Env, SandboxEnv+"="+name)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	err = cmd.Start()
	read.Close()
	if err != nil {
		return 0, fmt.Errorf("make namespaces: %w", err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case <-ended:
				return
			case s := <-signals:
				// Ctrl-C goes to every process of the terminal's foreground group, the
				// command in the sandbox among them: twice would look like impatience.
				if s != unix.SIGINT || !inForeground() {
					_, _ = write.Write([]byte{byte(s.(syscall.Signal))})
				}
			}
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("run sandbox: %w", err)
	}
	return 0, nil
}

// sandboxCommand prepares the first process of a sandbox. The caller starts it from
// a thread that it has locked, then closes read; closing write ends the sandbox.
func sandboxCommand(ctx context.Context, helper string, argv []string) (cmd *exec.Cmd, read, write *os.File, err error) {
	if read, write, err = os.Pipe(); err != nil {
		return nil, nil, nil, err
	}
	cmd = exec.CommandContext(ctx, helper, append([]string{"init"}, argv...)...)
	cmd.ExtraFiles = []*os.File{read}
	cmd.Env = append(os.Environ(), "TMPDIR=/run/tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd, read, write, nil
}

// runInPrivate runs a program in a sandbox without a terminal and returns its output
// as part of an error only.
func runInPrivate(ctx context.Context, helper string, argv []string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd, read, write, err := sandboxCommand(ctx, helper, argv)
	if err != nil {
		return err
	}
	defer write.Close()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Start()
	read.Close()
	if err != nil {
		return fmt.Errorf("make namespaces: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, out.Bytes())
	}
	return nil
}

// tryNamespaces makes namespaces in a thread and drops them with it.
func tryNamespaces() error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		result <- unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWNET)
	}()
	return <-result
}

// inForeground reports whether the terminal's signals reach this process.
func inForeground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
