package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// SandboxEnv is set inside a sandbox, to the name of its control group. Set to
// "off" by a person, it keeps Main and EnterSandbox from making one.
const SandboxEnv = "KUBECTL_PIPELINE_SANDBOX"

const sandboxOff = "off"

// Sandboxed reports whether this process runs inside a sandbox.
func Sandboxed() bool { return sandboxName() != "" }

func sandboxName() string {
	if name := os.Getenv(SandboxEnv); name != sandboxOff {
		return name
	}
	return ""
}

// SandboxProblem says in a few words why this process cannot make a sandbox; empty
// means that it can.
func SandboxProblem() string {
	switch {
	case runtime.GOOS != "linux":
		return "this is not Linux"
	case os.Geteuid() != 0:
		return "this is not root"
	case os.Getenv(SandboxEnv) == sandboxOff:
		return SandboxEnv + " is off"
	}
	if err := tryNamespaces(); err != nil {
		return fmt.Sprintf("this root may not make namespaces (%v), as in a container that is not privileged", err)
	}
	return ""
}

// Sandbox runs a command in namespaces of its own (processes, mounts, network) and
// returns its exit code; as in a shell, 128 + n means that signal n ended it. The
// command has this process's standard streams and terminal, and gets its signals.
// Everything that it leaves behind ends with it: processes, mounts, network,
// control groups and what is in its temporary folder, also when this process is
// killed.
//
// Inside, the network is a loopback interface, and /run and the temporary folder
// are in memory.
func Sandbox(ctx context.Context, argv []string) (int, error) {
	if problem := SandboxProblem(); problem != "" {
		return 0, fmt.Errorf("make sandbox: %s", problem)
	}
	built, err := buildPrograms(ctx, os.Stderr)
	if err != nil {
		return 0, fmt.Errorf("build cluster: %w", err)
	}
	return runSandbox(ctx, built.helper, argv)
}

// EnterSandbox continues this program inside a sandbox where that is possible: it
// runs it there with the same arguments and exits with its code. It returns when
// this process is in a sandbox already or cannot make one. Call it first in main.
func EnterSandbox(ctx context.Context) error {
	if Sandboxed() || SandboxProblem() != "" {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	code, err := Sandbox(ctx, append([]string{self}, os.Args[1:]...))
	if err != nil {
		return err
	}
	os.Exit(code) //nolint:forbidigo // this program goes on inside; only its exit code is left
	return nil
}

// RealProblem says in a few words why real nodes cannot run in this process, and
// what to do about it; empty means that they can.
func RealProblem() string {
	if problem := SandboxProblem(); problem != "" && !Sandboxed() {
		return problem
	}
	if missing := missingTools(); len(missing) > 0 {
		return fmt.Sprintf("%s not found: apt-get install --no-install-recommends %s", strings.Join(missing, ", "), strings.Join(AptPackages(), " "))
	}
	if !Sandboxed() {
		return "this process is not in a sandbox: start it by cluster.Main or cluster.EnterSandbox"
	}
	return ""
}

// missingTools are the programs of real nodes that are not installed.
func missingTools() []string {
	var missing []string
	for _, tool := range []string{"containerd", "containerd-shim-runc-v2", "runc", "busybox", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	if cniDir() == "" {
		missing = append(missing, "CNI plugins")
	}
	return missing
}

// cniDir is where the network plugins are: Debian's folder, or everyone else's.
func cniDir() string {
	for _, dir := range []string{"/usr/lib/cni", "/opt/cni/bin"} {
		if _, err := os.Stat(dir + "/bridge"); err == nil {
			return dir
		}
	}
	return ""
}
