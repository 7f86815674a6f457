package cluster

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// janitor is a process outside of everything that tidies up when its standard
// input ends: at finish, or when this process was killed and could not.
type janitor struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// startJanitor starts a janitor for the programs of a folder and for a control group
// (if any); removeDir says whether the folder goes too. Where there is no helper (not
// on Linux) there is none.
func startJanitor(helper, dir string, removeDir bool, cgroup string) (*janitor, error) {
	if helper == "" {
		return nil, nil
	}
	args := []string{"janitor", "-mark", markEnv + "=" + dir}
	if removeDir {
		args = append(args, "-remove", dir)
	}
	if cgroup != "" {
		args = append(args, "-cgroup", cgroup)
	}
	return runJanitor(helper, args)
}

func runJanitor(helper string, args []string) (*janitor, error) {
	j := &janitor{cmd: exec.Command(helper, args...)}
	// A session of its own: signals to the terminal's or the test's group must not
	// reach the one who tidies up after them.
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var err error
	if j.stdin, err = j.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	// Not this process's own output: go test would wait for it to be closed.
	j.cmd.Stdout, j.cmd.Stderr = nil, nil
	if err := j.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start janitor: %w", err)
	}
	return j, nil
}

// finish lets the janitor do its work and waits for it.
func (j *janitor) finish() error {
	if j == nil {
		return nil
	}
	j.stdin.Close()
	if err := j.cmd.Wait(); err != nil {
		return fmt.Errorf("tidy up: %w", err)
	}
	return nil
}
