package jenkinstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// LocalAgents runs every `sh` on this host, each agent in a folder of its own below dir, whatever container it is written for. For
// tests that want real shells without a cluster.
func LocalAgents(dir string) Agents { return localAgents{dir} }

type localAgents struct{ dir string }

func (l localAgents) Provision(_ context.Context, req NodeRequest, _ io.Writer) (Agent, error) {
	a := localAgent{name: req.Label + "-local", job: req.JobName, cookie: randomHex(16)}
	a.root = filepath.Join(l.dir, a.name)
	if err := os.MkdirAll(a.root, 0o755); err != nil {
		return nil, abort("make agent: %v", err)
	}
	return a, nil
}

func (localAgents) Close() error { return nil }

type localAgent struct{ name, job, root, cookie string }

func (a localAgent) Name() string      { return a.name }
func (a localAgent) Workspace() string { return workspaceOf(a.root, a.job) }

func (a localAgent) Release() {
	killByCookie(a.cookie)
	_ = os.RemoveAll(a.root)
}

const killWait = 10 * time.Second // between SIGTERM and SIGKILL

func (a localAgent) Run(ctx context.Context, cmd Command) (int, error) {
	dir := a.Workspace() + "@tmp/durable-" + randomHex(4)
	script := filepath.Join(dir, "script.sh")
	for _, d := range []string{a.Workspace(), cmd.Dir, dir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return 0, abort("make %s: %v", d, err)
		}
	}
	if err := os.WriteFile(script, []byte(cmd.Script), 0o755); err != nil {
		return 0, abort("write script: %v", err)
	}
	argv := []string{"sh", "-xe", script}
	if strings.HasPrefix(cmd.Script, "#!") {
		argv = []string{script}
	}
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Dir = cmd.Dir
	c.Env = append(append(os.Environ(), cmd.Env...), "DOUBLE_AGENT="+a.cookie)
	c.Stdout, c.Stderr = cmd.Output, cmd.Output
	ownGroup(c)
	c.WaitDelay = killWait
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 128+signalOf(exit)), nil
	}
	return 0, thrown("java.io.IOException", "%s", fmt.Sprint(err))
}
