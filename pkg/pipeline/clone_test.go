package pipeline

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/need"
)

// gitRepo is a bare repository with a history: one … five on main, and `gone`, a commit that a forced push took off its branch.
type gitRepo struct {
	t            *testing.T
	bare, work   string
	third, fifth string
	gone, tagged string
	pull         string // the head of pull request 7, which is on no branch
}

func newGitRepo(t *testing.T) *gitRepo {
	t.Helper()
	need.Program(t, "git", "apt-get install git")
	r := &gitRepo{t: t, bare: filepath.Join(t.TempDir(), "app.git"), work: t.TempDir()}
	r.git(".", "init", "-q", "--bare", r.bare)
	r.git(r.work, "-c", "init.defaultBranch=main", "init", "-q")
	for i, name := range []string{"one", "two", "three", "four", "five"} {
		commit := r.commit(name)
		switch i {
		case 2:
			r.third = commit
			r.git(r.work, "tag", "v3")
			r.git(r.work, "tag", "-a", "-m", "annotated", "v3-annotated")
			r.tagged = commit
		case 4:
			r.fifth = commit
		}
	}
	r.git(r.work, "checkout", "-q", "-b", "topic")
	r.gone = r.commit("gone")
	r.git(r.work, "push", "-q", r.bare, "main", "topic", "--tags")
	r.git(r.work, "reset", "-q", "--hard", "main")
	r.commit("replaced")
	r.git(r.work, "push", "-q", "-f", r.bare, "topic")
	r.git(r.work, "checkout", "-q", "--detach", "main")
	r.pull = r.commit("pull")
	r.git(r.work, "push", "-q", r.bare, "HEAD:refs/pull/7/head")
	r.git(r.work, "checkout", "-q", "topic")
	return r
}

func (r *gitRepo) git(dir string, args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *gitRepo) commit(name string) string {
	if err := os.WriteFile(filepath.Join(r.work, "file"), []byte(name), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.git(r.work, "add", ".")
	r.git(r.work, "commit", "-q", "-m", name)
	return r.git(r.work, "rev-parse", "HEAD")
}

// runClone runs clone.sh as the container would: with the variables of the pod, as Kubernetes hands them on, and `sh -xe`.
func runClone(t *testing.T, shell []string, in CompileInput, secrets map[string]string) (dir, output string, err error) {
	t.Helper()
	dir = t.TempDir()
	script := filepath.Join(t.TempDir(), "script.sh")
	if err := os.WriteFile(script, []byte(cloneScript), 0o600); err != nil {
		t.Fatal(err)
	}
	options := SourceCodeConfig{}
	if first := in.Config.Stages[0].Steps[0].SourceCodeConfig; first != nil {
		options = *first
	}
	cmd := exec.CommandContext(t.Context(), shell[0], append(shell[1:], "-xe", script)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "CLONE_WAITS=0"}
	for _, e := range cloneEnv(in, options) {
		value := strings.ReplaceAll(e.Value, "$$", "$")
		if e.ValueFrom != nil {
			v, ok := secrets[e.ValueFrom.SecretKeyRef.Key]
			if !ok {
				continue
			}
			value = v
		}
		cmd.Env = append(cmd.Env, e.Name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	return dir, string(out), err
}

func shells() map[string][]string {
	out := map[string][]string{"sh": {"sh"}}
	if _, err := exec.LookPath("busybox"); err == nil {
		out["busybox sh"] = []string{"busybox", "sh"}
	}
	return out
}

func TestCloneScript(t *testing.T) {
	repo := newGitRepo(t)
	cases := map[string]struct {
		commit, ref, options string
		content              string
		history              string // commits that rev-list counts; empty: not looked at
		wantError            string
	}{
		"checks out the commit, not the tip that the branch has reached since": {commit: repo.third, ref: "refs/heads/main", content: "three"},
		"checks out a tag":                            {commit: repo.tagged, ref: "refs/tags/v3", content: "three"},
		"checks out what an annotated tag points to":  {commit: repo.tagged, ref: "refs/tags/v3-annotated", content: "three"},
		"checks out the head of a pull request":       {commit: repo.pull, ref: "refs/pull/7/head", content: "pull"},
		"does not take a pull request's word for it":  {commit: strings.Repeat("2", 40), ref: "refs/pull/7/head", wantError: "is not in refs/pull/7/head any more"},
		"finds a commit without a ref":                {commit: repo.fifth, content: "five"},
		"fetches as much history as is asked for":     {commit: repo.fifth, ref: "refs/heads/main", options: "{depth: 2}", content: "five", history: "2"},
		"fetches all history with depth 0":            {commit: repo.fifth, ref: "refs/heads/main", options: "{depth: 0}", content: "five", history: "5"},
		"finds a commit of another branch":            {commit: repo.fifth, ref: "refs/heads/topic", content: "five"},
		"says that a commit does not exist":           {commit: strings.Repeat("1", 40), ref: "refs/heads/main", wantError: "is not in refs/heads/main any more"},
		"tolerates a branch that a forced push moved": {commit: repo.gone, ref: "refs/heads/topic", content: "gone"},
	}
	for name, c := range cases {
		for shell, argv := range shells() {
			t.Run(name+" in "+shell, func(t *testing.T) {
				t.Parallel()
				config := "stages: [{name: Clone, steps: [{sourceCodeConfig: " + firstNonEmpty(c.options, "{}") + "}]}]"
				in := compileInput(t, config, func(in *CompileInput) {
					in.Execution.Spec.Source = &v1alpha1.Source{RepositoryURL: "file://" + repo.bare, Ref: c.ref, Commit: c.commit}
				})
				dir, out, err := runClone(t, argv, in, nil)
				if c.wantError != "" {
					if err == nil || !strings.Contains(out, c.wantError) {
						t.Fatalf("err %v, want %q in:\n%s", err, c.wantError, out)
					}
					return
				}
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				content, _ := os.ReadFile(filepath.Join(dir, "file"))
				if diff := cmp.Diff(c.content, string(content)); diff != "" {
					t.Errorf("file (-want +got):\n%s", diff)
				}
				if got := repo.git(dir, "rev-parse", "HEAD"); got != c.commit {
					t.Errorf("HEAD %s, want %s", got, c.commit)
				}
				if got := repo.git(dir, "rev-list", "--count", "HEAD"); c.history != "" && got != c.history {
					t.Errorf("%s commits, want %s", got, c.history)
				}
			})
		}
	}
}

// authServer serves the bare repository over HTTP to one login, and records what was tried.
func authServer(t *testing.T, repo *gitRepo, user, password string) *httptest.Server {
	t.Helper()
	git := need.Program(t, "git", "apt-get install git")
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(repo.bare), "GIT_HTTP_EXPORT_ALL=1"}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); !ok || u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestCloneLogin(t *testing.T) {
	repo := newGitRepo(t)
	const password = `p$a'ss "w\ord$HOME`
	server := authServer(t, repo, "ada", password)
	in := compileInput(t, "stages: [{name: Clone, steps: [{sourceCodeConfig: {}}]}]", func(in *CompileInput) {
		in.Execution.Spec.Source = &v1alpha1.Source{RepositoryURL: server.URL + "/app.git", Ref: "refs/heads/main", Commit: repo.third}
		in.Credential = CredentialBasic
	})
	for shell, argv := range shells() {
		t.Run("logs in without leaving a trace in "+shell, func(t *testing.T) {
			dir, out, err := runClone(t, argv, in, map[string]string{BundleKeyGitUsername: "ada\n", BundleKeyGitPassword: password + "\n"})
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			config, _ := os.ReadFile(filepath.Join(dir, ".git", "config"))
			for what, text := range map[string]string{"output": out, ".git/config": string(config)} {
				if strings.Contains(text, "p$a") {
					t.Errorf("the password is in %s:\n%s", what, text)
				}
			}
		})
		t.Run("fails with a wrong login in "+shell, func(t *testing.T) {
			if _, out, err := runClone(t, argv, in, map[string]string{BundleKeyGitUsername: "ada", BundleKeyGitPassword: "wrong"}); err == nil || !strings.Contains(out, "cannot fetch from "+server.URL) {
				t.Errorf("err %v, want a failed fetch in:\n%s", err, out)
			}
		})
	}
}

// TestCloneSubmodule: a submodule on another host must not be offered the login.
func TestCloneSubmodule(t *testing.T) {
	repo := newGitRepo(t)
	asked := make(chan string, 16)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, p, ok := r.BasicAuth(); ok {
			asked <- p
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer other.Close()
	modules := "[submodule \"x\"]\n\tpath = x\n\turl = " + other.URL + "/x.git\n"
	if err := os.WriteFile(filepath.Join(repo.work, ".gitmodules"), []byte(modules), 0o600); err != nil {
		t.Fatal(err)
	}
	repo.git(repo.work, "update-index", "--add", "--cacheinfo", "160000,"+repo.third+",x")
	repo.git(repo.work, "add", ".gitmodules")
	repo.git(repo.work, "commit", "-q", "-m", "submodule")
	commit := repo.git(repo.work, "rev-parse", "HEAD")
	repo.git(repo.work, "push", "-q", "-f", repo.bare, "HEAD:main")
	server := authServer(t, repo, "ada", "secret")
	in := compileInput(t, "stages: [{name: Clone, steps: [{sourceCodeConfig: {submodules: true}}]}]", func(in *CompileInput) {
		in.Execution.Spec.Source = &v1alpha1.Source{RepositoryURL: server.URL + "/app.git", Ref: "refs/heads/main", Commit: commit}
		in.Credential = CredentialBasic
	})
	_, out, err := runClone(t, []string{"sh"}, in, map[string]string{BundleKeyGitUsername: "ada", BundleKeyGitPassword: "secret"})
	if err == nil {
		t.Errorf("the submodule was cloned:\n%s", out)
	}
	select {
	case p := <-asked:
		t.Errorf("the other host was offered %q", p)
	default:
	}
}
