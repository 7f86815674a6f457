package cluster_test

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster/images"
)

// These name, in the environment, what this test binary does instead of testing,
// and mark all that it starts.
const holdEnv, holdMark = "CLUSTER_TEST_HOLD", "CLUSTER_TEST_MARK"

// countInterrupts makes a shell count its interrupts until it is given a line.
const countInterrupts = `trap 'n=$((n+1))' INT; echo up; read line; [ "$line" ] || read line; echo "interrupts: $n, line: $line"; exit 9`

// hold starts something, says so, and ends in the way that its name says.
func hold(what string) error {
	ctx := context.Background()
	if what == "shell" {
		code, err := cluster.Sandbox(ctx, []string{"sh", "-c", countInterrupts})
		if err == nil {
			os.Exit(code)
		}
		return err
	}
	if err := cluster.EnterSandbox(ctx); err != nil {
		return err
	}
	nodes, end, _ := strings.Cut(what, " ")
	switch nodes {
	case "real", "simulated":
		pod := podOn("real-0", images.Busybox)
		opts := cluster.Options{Real: 1}
		if nodes == "simulated" {
			opts, pod = cluster.Options{Simulated: 1}, &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "p"},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "any"}}},
			}
		}
		c, err := cluster.Start(ctx, opts)
		if err != nil {
			return err
		}
		pod, err = waitForPod(ctx, c, pod)
		if err != nil {
			return err
		}
		// What a build may leave behind: a process that is nobody's child.
		if out, err := execCommand(ctx, c, pod, "sh", "-c", "setsid sleep 100000 >/dev/null 2>&1 </dev/null & echo"); err != nil {
			return fmt.Errorf("exec: %w: %s\n%s", err, out, tailOfLogs(c.Logs()))
		}
	case "command":
		if err := exec.Command("setsid", "sleep", "100000").Start(); err != nil {
			return err
		}
	}
	fmt.Fprintln(os.Stdout, "holding")
	switch end {
	case "panic":
		panic("on purpose")
	case "exit":
		os.Exit(5)
	}
	select {}
}

func tailOfLogs(dir string) string {
	out, _ := exec.Command("sh", "-c", "cd "+dir+" && tail -n 20 kube-apiserver.log *kubelet.log *containerd.log").CombinedOutput()
	return string(out)
}

func TestNothingIsLeft(t *testing.T) {
	for name, test := range map[string]struct {
		hold   string
		signal syscall.Signal // to the outer process, once it holds
		plain  bool           // without a sandbox
		code   int            // -1: ended by the signal
	}{
		"of a real node, when the outer process is killed":                      {hold: "real", signal: syscall.SIGKILL, code: -1},
		"of a cluster without a sandbox, when the process is killed":            {hold: "simulated", signal: syscall.SIGKILL, plain: true, code: -1},
		"of a command, when the outer process is interrupted":                   {hold: "command", signal: syscall.SIGINT, code: 130},
		"of a command that panics":                                              {hold: "command panic", code: 2},
		"of a command that exits without tidying up, and its code is handed on": {hold: "command exit", code: 5},
	} {
		t.Run(name, func(t *testing.T) {
			if test.plain {
				if _, err := os.Stat("/proc/self/environ"); err != nil {
					t.Skip("only Linux ends the programs of a process that is killed")
				}
			} else {
				cluster.RequireReal(t)
			}
			mark := fmt.Sprintf("%s=%s-%d", holdMark, t.Name(), time.Now().UnixNano())
			temp := t.TempDir()
			mounts := read(t, "/proc/self/mountinfo")
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), holdEnv+"="+test.hold, mark, "TMPDIR="+temp, cluster.SandboxEnv+"=")
			if test.plain {
				cmd.Env = append(cmd.Env, cluster.SandboxEnv+"=off")
			}
			// A session of its own has no terminal: an interrupt is not the terminal's.
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			cmd.Stderr = t.Output()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "holding\n" {
				t.Fatalf("the process says %q, %v", line, err)
			}
			if test.signal != 0 {
				_ = cmd.Process.Signal(test.signal)
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code = %d, want %d", code, test.code)
			}
			cgroup := fmt.Sprintf("kubectl-pipeline-%d-*", cmd.Process.Pid)
			eventually(t, "nothing to be left", func() error {
				if pids := marked(mark); len(pids) > 0 {
					return fmt.Errorf("processes: %v", pids)
				}
				for _, pattern := range []string{"/sys/fs/cgroup/*/" + cgroup, "/sys/fs/cgroup/" + cgroup} {
					if groups, _ := filepath.Glob(pattern); len(groups) > 0 {
						return fmt.Errorf("control groups: %v", groups)
					}
				}
				if files := below(temp); len(files) > 0 {
					return fmt.Errorf("files: %v", files)
				}
				return nil
			})
			if after := read(t, "/proc/self/mountinfo"); after != mounts {
				t.Errorf("mounts were\n%s\nand are\n%s", mounts, after)
			}
		})
	}
}

// marked lists the processes with an entry in their environment.
func marked(entry string) (found []string) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range environs {
		environ, err := os.ReadFile(name)
		if err == nil && strings.Contains("\x00"+string(environ), "\x00"+entry+"\x00") {
			cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
			found = append(found, strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return found
}

func below(dir string) (files []string) {
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error {
		if path != dir {
			files = append(files, path)
		}
		return nil
	})
	return files
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// eventually polls until check has no error.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var last error
	if err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	}); err != nil {
		t.Fatalf("wait for %s: %v", what, last)
	}
}
