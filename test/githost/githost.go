// Package githost is a small Git host for tests and the demo: real Git over smart
// HTTP (git http-backend does the work), and a signed push delivery in GitHub's
// format for every ref that a push changes, as a real host would send it.
//
// It is no Git host of its own: repositories are created by the test, anyone may
// push, and deliveries are tried a few times only. Start reading at Host.ServeHTTP.
package githost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Host serves the bare repositories under one directory.
type Host struct {
	// Log receives what is pushed and delivered.
	Log *slog.Logger

	dir     string
	baseURL string
	backend string
	client  *http.Client

	mu    sync.Mutex
	hooks map[string]Hook // by repository
	sent  sync.WaitGroup
}

// Hook is where a repository's pushes are delivered, and the key that signs them.
type Hook struct {
	URL    string
	Secret []byte
}

// New serves repositories under dir (made when absent) that clients reach at
// baseURL, such as http://127.0.0.1:3000.
func New(dir, baseURL string, log *slog.Logger) (*Host, error) {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("find git's programs: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return &Host{
		Log: log, dir: dir, baseURL: baseURL,
		backend: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		client:  &http.Client{Timeout: deliveryTimeout},
		hooks:   map[string]Hook{},
	}, nil
}

// Create makes an empty bare repository, such as shop/app, and returns its URL.
func (h *Host) Create(name string) (string, error) {
	path := filepath.Join(h.dir, name+".git")
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", path},
		{"-C", path, "config", "http.receivepack", "true"},
		{"-C", path, "config", "uploadpack.allowAnySHA1InWant", "true"},
	} {
		if out, err := git(context.Background(), args...); err != nil {
			return "", fmt.Errorf("create repository %s: %w: %s", name, err, out)
		}
	}
	return h.URL(name), nil
}

// URL is where a repository is cloned from.
func (h *Host) URL(name string) string { return h.baseURL + "/" + name + ".git" }

// SetHook delivers the repository's pushes to hook from now on.
func (h *Host) SetHook(name string, hook Hook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hooks[name] = hook
}

// Wait returns when every delivery under way was sent or given up.
func (h *Host) Wait() { h.sent.Wait() }

// ServeHTTP answers Git clients and, after a push, delivers what it changed.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := repositoryOf(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	backend := &cgi.Handler{
		Path:       h.backend,
		Env:        []string{"GIT_PROJECT_ROOT=" + h.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + h.dir},
		InheritEnv: []string{"PATH"},
		Stderr:     discard{},
	}
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
		backend.ServeHTTP(w, r)
		return
	}
	before, err := h.refs(r.Context(), name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	backend.ServeHTTP(w, r)
	// The client may be gone by now; what it pushed is delivered all the same.
	ctx := context.WithoutCancel(r.Context())
	after, err := h.refs(ctx, name)
	if err != nil {
		h.Log.Error("read refs after push", "repository", name, "err", err)
		return
	}
	for _, change := range changes(before, after) {
		h.deliver(ctx, name, change)
	}
}

// repositoryOf returns "shop/app" for "/shop/app.git/info/refs".
func repositoryOf(path string) (string, bool) {
	name, _, ok := strings.Cut(strings.TrimPrefix(path, "/"), ".git/")
	return name, ok && name != "" && !strings.Contains(name, "..")
}

func (h *Host) refs(ctx context.Context, name string) (map[string]string, error) {
	out, err := git(ctx, "-C", filepath.Join(h.dir, name+".git"), "for-each-ref", "--format=%(objectname) %(refname)")
	if err != nil {
		return nil, fmt.Errorf("list refs of %s: %w: %s", name, err, out)
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		if sha, ref, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			refs[ref] = sha
		}
	}
	return refs, nil
}

func git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("git %s: %w", args[0], err)
	}
	return string(out), err
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
