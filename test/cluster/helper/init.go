//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalPipe is where the outer process writes the signals to pass on, a byte
// each. Its end means that the outer process is gone.
const signalPipe = 3

// kubeletSysctls are settings of the whole machine that a kubelet insists on. Files
// with its values are mounted over them, so that it finds them right and changes
// nothing.
var kubeletSysctls = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// initSandbox is the first process of a sandbox: it makes the namespaces fit to
// live in, runs a command, passes signals on to it, reaps what is orphaned, and
// exits with the command's code. Its end is the end of every process inside.
func initSandbox(argv []string) error {
	if len(argv) == 0 {
		return errors.New("no command")
	}
	if os.Getpid() != 1 {
		return errors.New("not the first process of a namespace")
	}
	if err := mountSandbox(); err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("let pods reach each other: %w", err)
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	pipe := os.NewFile(signalPipe, "signals")
	unix.CloseOnExec(signalPipe)
	// The terminal sends its signals to the command as well; here they are only kept
	// from ending this process. (Not ignored: the command would inherit that.)
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)

	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return fmt.Errorf("run %s: %w", path, err)
	}
	go func() {
		for b := make([]byte, 1); ; {
			if _, err := pipe.Read(b); err != nil {
				os.Exit(1) // the outer process is gone
			}
			_ = syscall.Kill(pid, syscall.Signal(b[0]))
		}
	}()
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return fmt.Errorf("wait for %s: %w", path, err)
		case ended == pid && status.Signaled():
			os.Exit(128 + int(status.Signal()))
		case ended == pid:
			os.Exit(status.ExitStatus())
		}
	}
}

// mountSandbox gives the sandbox its own view of processes, an empty /run and a
// temporary folder, in memory: nothing of it is on disk that could be left there.
func mountSandbox() error {
	// First private: nothing mounted here may show outside. Then shared: a kubelet
	// wants mounts to reach containers that ask for it.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make mounts shared: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	for _, dir := range []string{"/run/lock", "/run/netns", "/run/sysctl"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.Mkdir("/run/tmp", 0o777); err != nil {
		return err
	}
	if err := os.Chmod("/run/tmp", 0o777|os.ModeSticky); err != nil {
		return err
	}
	for name, value := range kubeletSysctls {
		target := "/proc/sys/" + name
		if _, err := os.Stat(target); err != nil {
			continue // not in this kernel
		}
		source := filepath.Join("/run/sysctl", filepath.Base(name))
		if err := os.WriteFile(source, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount over %s: %w", target, err)
		}
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}
