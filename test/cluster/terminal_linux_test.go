package cluster_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

func TestSandboxOnATerminal(t *testing.T) {
	if problem := cluster.SandboxProblem(); problem != "" {
		t.Skip("no sandbox: " + problem)
	}
	terminal, name := openTerminal(t)
	tty, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdEnv+"=shell", cluster.SandboxEnv+"=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	expect(t, terminal, "up")
	if _, err := terminal.Write([]byte("\x03")); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	expect(t, terminal, "^C")
	if _, err := terminal.Write([]byte("typed\n")); err != nil {
		t.Fatal(err)
	}
	expect(t, terminal, "interrupts: 1, line: typed")
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 9 {
		t.Errorf("exit code = %d, want the shell's 9", code)
	}
}

// openTerminal makes a pseudo terminal and returns its master and its name.
func openTerminal(t *testing.T) (*os.File, string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return master, fmt.Sprintf("/dev/pts/%d", n)
}

// expect reads until a text has come.
func expect(t *testing.T, terminal *os.File, text string) {
	t.Helper()
	var got strings.Builder
	for b := make([]byte, 1); !strings.Contains(got.String(), text); {
		if _, err := terminal.Read(b); err != nil {
			t.Fatalf("the terminal shows %q, then %v; want %q", got.String(), err, text)
		}
		got.Write(b)
	}
}
