package krew

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// user is somebody with a home of their own, krew and this machine's kubectl and
// git, and no cluster.
type user struct{ home, path string }

func newUser(t *testing.T, programs string) *user {
	t.Helper()
	home := t.TempDir()
	path := []string{filepath.Join(home, "krew", "bin"), programs, os.Getenv("PATH")}
	return &user{home, strings.Join(path, string(filepath.ListSeparator))}
}

// result is what a command left.
type result struct {
	command        string
	stdout, stderr string
	err            error
}

func (u *user) run(t *testing.T, name string, args ...string) *result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = u.home
	cmd.Env = []string{
		"PATH=" + u.path,
		"HOME=" + u.home,
		"KREW_ROOT=" + filepath.Join(u.home, "krew"),
		"KREW_NO_UPGRADE_CHECK=1",
		"KUBECONFIG=" + filepath.Join(u.home, "none"),
		"GIT_CONFIG_NOSYSTEM=1",
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	return &result{filepath.Base(name) + " " + strings.Join(args, " "), stdout.String(), stderr.String(), err}
}

func (r *result) succeeds(t *testing.T) *result {
	t.Helper()
	if r.err != nil {
		t.Fatalf("%s: %v\n%s%s", r.command, r.err, r.stdout, r.stderr)
	}
	return r
}

// pluginRuns checks that kubectl finds the plugin, and that it is the one of dist.
func (u *user) pluginRuns(t *testing.T) {
	t.Helper()
	r := u.run(t, "kubectl", "pipeline", "version", "--client").succeeds(t)
	if want := "plugin:  " + version + " (" + runtime.GOOS + "/" + runtime.GOARCH + ", " + runtime.Version() + ")\n"; r.stdout != want {
		t.Errorf("version: %q, want %q", r.stdout, want)
	}
}

// hasPlugin says whether kubectl would find a plugin that krew installed.
func (u *user) hasPlugin(t *testing.T) bool {
	t.Helper()
	_, err := os.Lstat(filepath.Join(u.home, "krew", "bin", "kubectl-pipeline"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}
