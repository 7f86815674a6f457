package scm

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/need"
)

// gitDir is a repository made with the real git.
type gitDir struct {
	t   *testing.T
	dir string
}

func newGitDir(t *testing.T) *gitDir {
	t.Helper()
	need.Program(t, "git", "apt-get install git")
	g := &gitDir{t: t, dir: filepath.Join(t.TempDir(), "shop")}
	if err := os.MkdirAll(g.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	g.git("init", "-q", "-b", "main", ".")
	return g
}

func (g *gitDir) git(args ...string) string {
	g.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		g.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (g *gitDir) commit(files map[string]string) string {
	g.t.Helper()
	for name, content := range files {
		p := filepath.Join(g.dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			g.t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			g.t.Fatal(err)
		}
		g.git("add", "-f", name)
	}
	g.git("commit", "-q", "--allow-empty", "-m", "change")
	return g.git("rev-parse", "HEAD")
}

// serveHTTP serves the repository with git's own http-backend. config are settings
// of the repository; sent counts the bytes of answers.
func (g *gitDir) serveHTTP(user, password string, config ...string) (url string, sent *atomic.Int64) {
	g.t.Helper()
	execPath := g.git("--exec-path")
	backend := filepath.Join(execPath, "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		need.Missing(g.t, "no git-http-backend (apt-get install git): %v", err)
	}
	for _, c := range config {
		k, v, _ := strings.Cut(c, "=")
		g.git("config", k, v)
	}
	sent = new(atomic.Int64)
	h := &cgi.Handler{Path: backend, Env: []string{
		"GIT_PROJECT_ROOT=" + filepath.Dir(g.dir), "GIT_HTTP_EXPORT_ALL=1",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*", "GIT_CONFIG_GLOBAL=/dev/null",
	}, Stderr: io.Discard}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); user != "" && (u != user || p != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(&countingWriter{w, sent}, r)
	}))
	g.t.Cleanup(srv.Close)
	return srv.URL + "/" + filepath.Base(g.dir), sent
}

type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.n.Add(int64(len(p)))
	return w.ResponseWriter.Write(p)
}

func noise(t *testing.T, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(rand.Reader, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// history is a repository in which the commit that tests read is no branch's tip.
type history struct {
	*gitDir
	old, tip, tagged string
}

func newHistory(t *testing.T) history {
	g := newGitDir(t)
	h := history{gitDir: g}
	g.commit(map[string]string{"README": "hello", "big.bin": noise(t, 3<<20)})
	h.old = g.commit(map[string]string{".pipeline.yml": "stages: []\n", "deploy/ci.yml": "nested\n", "empty.yml": "", "large.yml": strings.Repeat("x", 300<<10)})
	g.git("tag", "-a", "-m", "release", "v1.0")
	h.tagged = h.old
	h.tip = g.commit(map[string]string{".pipeline.yml": "stages: [] # newer\n"})
	g.git("branch", "release/1.x")
	return h
}

// hosts are the ways in which real hosts serve Git.
var gitServers = map[string][]string{
	"a host that filters and serves any object":      {"uploadpack.allowFilter=true", "uploadpack.allowAnySHA1InWant=true"},
	"a host that filters but serves only tips":       {"uploadpack.allowFilter=true"},
	"a host that filters and serves reachable ids":   {"uploadpack.allowFilter=true", "uploadpack.allowReachableSHA1InWant=true"},
	"a host that serves any object without a filter": {"uploadpack.allowAnySHA1InWant=true"},
	"a host that serves nothing but tips":            nil,
}

func TestGitReadsOverSmartHTTP(t *testing.T) {
	for name, config := range gitServers {
		t.Run(name, func(t *testing.T) {
			h := newHistory(t)
			url, sent := h.serveHTTP("", "", config...)
			checkReads(t, h, Repository{URL: url})
			if name == "a host that filters and serves any object" {
				sent.Store(0)
				r := NewReader(Options{})
				if _, _, err := r.File(t.Context(), Repository{URL: url}, h.old, []string{".pipeline.yml"}); err != nil {
					t.Fatal(err)
				}
				if n := sent.Load(); n > 16<<10 {
					t.Errorf("the host sent %d bytes for a file of 11, wanted trees and the file only", n)
				}
			}
		})
	}
}

// checkReads reads everything there is to read in a history.
func checkReads(t *testing.T, h history, repo Repository) {
	t.Helper()
	r := NewReader(Options{AllowLocal: true})
	ctx := t.Context()
	for ref, want := range map[string]string{
		"main": h.tip, "refs/heads/main": h.tip, "release/1.x": h.tip, "refs/tags/v1.0": h.tagged, "v1.0": h.tagged, h.old: h.old,
	} {
		if got, err := r.Resolve(ctx, repo, ref); err != nil || got != want {
			t.Errorf("Resolve(%q) = %q, %v, want %q", ref, got, err, want)
		}
	}
	for _, ref := range []string{"nope", "refs/heads/v1.0", "refs/tags/main"} {
		if _, err := r.Resolve(ctx, repo, ref); !IsNotFound(err, MissingRef) {
			t.Errorf("Resolve(%q) = %v, want a missing ref", ref, err)
		}
	}
	for _, f := range []struct {
		commit, content, path string
		paths                 []string
	}{
		{commit: h.old, paths: []string{".pipeline.yml"}, path: ".pipeline.yml", content: "stages: []\n"},
		{commit: h.tip, paths: []string{".pipeline.yml"}, path: ".pipeline.yml", content: "stages: [] # newer\n"},
		{commit: h.old, paths: []string{"nope.yml", "deploy/nope", "deploy/ci.yml"}, path: "deploy/ci.yml", content: "nested\n"},
		{commit: h.old, paths: []string{"deploy", "empty.yml"}, path: "empty.yml"},
	} {
		p, content, err := r.File(ctx, repo, f.commit, f.paths)
		if err != nil || p != f.path || content != f.content {
			t.Errorf("File(%s, %v) = %q, %q, %v, want %q, %q", f.commit, f.paths, p, content, err, f.path, f.content)
		}
	}
	if _, _, err := r.File(ctx, repo, h.old, []string{"nope", "README/nope"}); !IsNotFound(err, MissingFile) {
		t.Errorf("File of a missing path: %v, want a missing file", err)
	}
	if _, _, err := r.File(ctx, repo, strings.Repeat("a", 40), []string{"README"}); !IsNotFound(err, MissingCommit) {
		t.Errorf("File at a missing commit: %v, want a missing commit", err)
	}
	if _, _, err := r.File(ctx, repo, h.old, []string{"large.yml"}); KindOf(err) != KindTooLarge {
		t.Errorf("File of 300 KiB: %v, want TooLarge", err)
	}
	other := repo
	other.URL = strings.Replace(repo.URL, "/shop", "/nothing", 1)
	if _, err := r.Resolve(ctx, other, "main"); !IsNotFound(err, MissingRepository) {
		t.Errorf("Resolve in a missing repository: %v, want a missing repository", err)
	}
}

func TestGitReadsLocalDisk(t *testing.T) {
	h := newHistory(t)
	repo := Repository{URL: "file://" + h.dir}
	checkReads(t, h, repo)
	h.git("gc", "-q", "--aggressive")
	h.git("pack-refs", "--all")
	checkReads(t, h, repo)
	if _, err := NewReader(Options{}).Resolve(t.Context(), repo, "main"); KindOf(err) != KindInvalid {
		t.Errorf("file URL without AllowLocal: %v, want Invalid", err)
	}
}

func TestGitReadsOverGitProtocol(t *testing.T) {
	h := newHistory(t)
	h.git("config", "uploadpack.allowAnySHA1InWant", "true")
	addr := serveStream(t, func(conn net.Conn) {
		// what git-daemon does under inetd: it reads the request and serves it
		cmd := exec.Command("git", "daemon", "--inetd", "--export-all", "--base-path="+filepath.Dir(h.dir), "--informative-errors")
		cmd.Env = append(os.Environ(), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
		cmd.Stdin, cmd.Stdout = conn, conn
		_ = cmd.Run()
	})
	checkReads(t, h, Repository{URL: "git://" + addr + "/shop"})
}

// serveStream accepts connections until the test ends.
func serveStream(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer func() { _ = conn.Close() }(); serve(conn) }()
		}
	}()
	return l.Addr().String()
}

func TestGitSendsTheCredential(t *testing.T) {
	h := newHistory(t)
	url, _ := h.serveHTTP("x-access-token", "s3cr3t-token")
	r := NewReader(Options{})
	good := Repository{URL: url, Credential: Credential{Token: "s3cr3t-token"}}
	if got, err := r.Resolve(t.Context(), good, "main"); err != nil || got != h.tip {
		t.Fatalf("with the token: %q, %v", got, err)
	}
	inURL := Repository{URL: strings.Replace(url, "http://", "http://x-access-token:s3cr3t-token@", 1)}
	if got, err := r.Resolve(t.Context(), inURL, "main"); err != nil || got != h.tip {
		t.Fatalf("with the token in the URL: %q, %v", got, err)
	}
	for name, c := range map[string]Credential{"none": {}, "wrong": {Token: "wr0ng-token"}} {
		_, err := r.Resolve(t.Context(), Repository{URL: url, Credential: c}, "main")
		if KindOf(err) != KindUnauthorized {
			t.Errorf("credential %s: %v, want Unauthorized", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("the error shows the credential: %v", err)
		}
	}
}

func TestGitSendsALoginToItsProviderOnly(t *testing.T) {
	var asked atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	t.Cleanup(srv.Close)
	repo := Repository{URL: srv.URL + "/a/b", ProviderURL: "https://git.example.org", Credential: Credential{Token: "s3cr3t-token"}}
	if _, err := NewReader(Options{}).Resolve(t.Context(), repo, "main"); KindOf(err) != KindInvalid || asked.Load() {
		t.Errorf("err = %v, asked = %v, want Invalid before anything is sent", err, asked.Load())
	}
}

func TestGitFollowsNoRedirectToAnotherHost(t *testing.T) {
	var reached atomic.Bool
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	t.Cleanup(evil.Close)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, evil.URL+r.URL.Path, http.StatusFound)
	}))
	t.Cleanup(front.Close)
	_, err := NewReader(Options{}).Resolve(t.Context(), Repository{URL: front.URL + "/a/b", Credential: Credential{Token: "s3cr3t-token"}}, "main")
	if KindOf(err) != KindUnreachable || !strings.Contains(err.Error(), "redirects to another host") {
		t.Errorf("err = %v, want one that speaks of the redirect", err)
	}
	if reached.Load() {
		t.Error("the other host was asked")
	}
}

func TestGitStopsAtTheByteLimit(t *testing.T) {
	h := newHistory(t) // holds 3 MiB of noise
	url, _ := h.serveHTTP("", "")
	_, _, err := NewReader(Options{MaxFetch: 1 << 20}).File(t.Context(), Repository{URL: url}, h.old, []string{".pipeline.yml"})
	if KindOf(err) != KindTooLarge || !strings.Contains(err.Error(), "1048576 bytes") {
		t.Errorf("err = %v, want TooLarge with the limit", err)
	}
}

func TestGitAnswersWithinTheDeadline(t *testing.T) {
	addr := serveStream(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }) // says nothing
	for _, scheme := range []string{"git", "http"} {
		start := time.Now()
		_, err := NewReader(Options{Timeout: 200 * time.Millisecond}).Resolve(t.Context(), Repository{URL: scheme + "://" + addr + "/a/b"}, "main")
		if KindOf(err) != KindUnreachable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: err = %v, want Unreachable because of the deadline", scheme, err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: took %v", scheme, d)
		}
	}
}

func TestGitSurvivesNonsense(t *testing.T) {
	for name, answer := range map[string]string{
		"an HTML page":         "<html>login</html>",
		"nothing":              "",
		"a broken pkt-line":    "001e# service=git-upload-pack\n0000zzzz",
		"an endless length":    "001e# service=git-upload-pack\n0000fff0",
		"refs without a flush": "001e# service=git-upload-pack\n0000" + fmt.Sprintf("%04x", 4+40+1+15+1) + strings.Repeat("a", 40) + " refs/heads/main\x00",
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
			t.Cleanup(srv.Close)
			repo := Repository{URL: srv.URL + "/a/b"}
			if _, err := NewReader(Options{}).Resolve(t.Context(), repo, "main"); err == nil {
				t.Error("Resolve gave no error")
			}
			if _, _, err := NewReader(Options{}).File(t.Context(), repo, strings.Repeat("a", 40), []string{"x"}); err == nil {
				t.Error("File gave no error")
			}
		})
	}
}

func TestTLSTrustsTheBundleOnly(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	t.Cleanup(srv.Close)
	srv.Config.ErrorLog = nil
	bundle := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	repo := Repository{URL: srv.URL + "/a/b"}
	r := NewReader(Options{})
	if _, err := r.Resolve(t.Context(), repo, "main"); KindOf(err) != KindUnreachable {
		t.Errorf("unknown certificate: %v, want Unreachable", err)
	}
	repo.CABundle = bundle
	if _, err := r.Resolve(t.Context(), repo, "main"); !IsNotFound(err, MissingRepository) {
		t.Errorf("with the bundle: %v, want an answer", err)
	}
	repo.CABundle = "no PEM"
	if _, err := r.Resolve(t.Context(), repo, "main"); KindOf(err) != KindInvalid {
		t.Errorf("a bundle without a certificate: %v, want Invalid", err)
	}
	repo.CABundle, repo.InsecureSkipTLSVerify = "", true
	if _, err := r.Resolve(t.Context(), repo, "main"); !IsNotFound(err, MissingRepository) {
		t.Errorf("with insecureSkipTLSVerify: %v, want an answer", err)
	}
}

func TestFileIsCachedPerCredential(t *testing.T) {
	h := newHistory(t)
	url, sent := h.serveHTTP("", "")
	r := NewReader(Options{})
	read := func(c Credential) {
		t.Helper()
		if _, _, err := r.File(t.Context(), Repository{URL: url, Credential: c}, h.tip, []string{".pipeline.yml"}); err != nil {
			t.Fatal(err)
		}
	}
	read(Credential{})
	n := sent.Load()
	read(Credential{})
	if sent.Load() != n {
		t.Error("the second read asked the host")
	}
	read(Credential{Token: "another"})
	if sent.Load() == n {
		t.Error("another credential was given the first one's file")
	}
}
