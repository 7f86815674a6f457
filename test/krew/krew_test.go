package krew

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/need"
)

// releases is where the manifest says that the archives are.
const releases = "https://github.com/kubectl-pipeline/kubectl-pipeline/releases/download/"

func TestKrew(t *testing.T) {
	need.Program(t, "kubectl", "https://kubernetes.io/docs/tasks/tools")
	need.Program(t, "git", "apt-get install git")
	need.Program(t, "make", "apt-get install make")
	dist := makeDist(t)
	programs := buildKrew(t)

	t.Run("krew-index's validation takes the manifest and every archive", func(t *testing.T) {
		manifest, downloads := publish(t, dist)
		u := newUser(t, programs)
		u.run(t, filepath.Join(programs, "validate-krew-manifest"), "-manifest", manifest).succeeds(t)
		if diff := cmp.Diff(archives(t, dist), downloads()); diff != "" {
			t.Errorf("archives in dist, archives downloaded (-want +got):\n%s", diff)
		}
	})

	t.Run("an archive is installed as the README says, and runs", func(t *testing.T) {
		readme, err := os.ReadFile(filepath.Join(root, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		if said := "kubectl krew install --manifest=dist/pipeline.yaml --archive=dist/kubectl-pipeline_"; !bytes.Contains(readme, []byte(said)) {
			t.Errorf("README.md does not say %q; change both", said)
		}
		u := newUser(t, programs)
		r := u.run(t, "kubectl", "krew", "install", "--manifest="+filepath.Join(dist, "pipeline.yaml"), "--archive="+ownArchive(dist)).succeeds(t)
		for _, want := range []string{"Installed plugin: pipeline", "kubectl pipeline install\n", "kubectl pipeline completion --help\n"} {
			if !strings.Contains(r.stderr, want) {
				t.Errorf("krew does not say %q:\n%s", want, r.stderr)
			}
		}
		u.pluginRuns(t)
		// The caveats name these commands.
		if r := u.run(t, "kubectl", "pipeline", "install", "--export").succeeds(t); !strings.Contains(r.stdout, "kind: CustomResourceDefinition\n") {
			t.Errorf("install --export prints no CustomResourceDefinition:\n%.500s", r.stdout)
		}
		if r := u.run(t, "kubectl", "pipeline", "completion", "--help").succeeds(t); !strings.Contains(r.stdout, "kubectl pipeline completion") {
			t.Errorf("completion --help:\n%s", r.stdout)
		}
	})

	t.Run("an archive that was changed is refused", func(t *testing.T) {
		packed, err := os.ReadFile(ownArchive(dist))
		if err != nil {
			t.Fatal(err)
		}
		packed[len(packed)/2] ^= 1
		changed := filepath.Join(t.TempDir(), "changed.tar.gz")
		if err := os.WriteFile(changed, packed, 0o644); err != nil {
			t.Fatal(err)
		}
		u := newUser(t, programs)
		r := u.run(t, "kubectl", "krew", "install", "--manifest="+filepath.Join(dist, "pipeline.yaml"), "--archive="+changed)
		if r.err == nil || !strings.Contains(r.stderr, "checksum does not match") {
			t.Errorf("error %v, want krew's word on the checksum:\n%s", r.err, r.stderr)
		}
		if u.hasPlugin(t) {
			t.Error("it is installed")
		}
	})

	t.Run("an index serves it: found, installed, listed, uninstalled", func(t *testing.T) {
		manifest, _ := publish(t, dist)
		u := newUser(t, programs)
		u.run(t, "kubectl", "krew", "index", "add", "default", "file://"+gitIndex(t, u, manifest)).succeeds(t)
		if r := u.run(t, "kubectl", "krew", "search", "pipeline").succeeds(t); !strings.Contains(r.stdout, "Run and inspect CI/CD pipelines") {
			t.Errorf("search cuts or loses the description:\n%s", r.stdout)
		}
		u.run(t, "kubectl", "krew", "install", "pipeline").succeeds(t)
		u.pluginRuns(t)
		if r := u.run(t, "kubectl", "krew", "list").succeeds(t); r.stdout != "pipeline\n" {
			t.Errorf("list: %q", r.stdout)
		}
		u.run(t, "kubectl", "krew", "uninstall", "pipeline").succeeds(t)
		if u.hasPlugin(t) {
			t.Error("krew uninstall leaves the plugin")
		}
		if r := u.run(t, "kubectl", "krew", "list").succeeds(t); strings.TrimSpace(r.stdout) != "" {
			t.Errorf("list after uninstall: %q", r.stdout)
		}
	})
}

// buildKrew returns a folder with krew and the validator of krew-index.
func buildKrew(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	// The flags are those of the plugin's build, so that the standard library is
	// compiled once for both.
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", bin+string(filepath.Separator),
		"sigs.k8s.io/krew/cmd/krew", "sigs.k8s.io/krew/cmd/validate-krew-manifest")
	cmd.Dir = filepath.Join(root, "tools", "krew")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build krew: %v\n%s", err, out)
	}
	// kubectl finds it under this name, and so does the validator.
	if err := os.Rename(filepath.Join(bin, "krew"), filepath.Join(bin, "kubectl-krew")); err != nil {
		t.Fatal(err)
	}
	return bin
}

// publish serves dist as the release page would, and returns a copy of the manifest
// that leads there and a function that returns what was downloaded, sorted. The
// copy differs in the address only.
func publish(t *testing.T, dist string) (manifest string, downloads func() []string) {
	t.Helper()
	var mu sync.Mutex
	got := map[string]bool{}
	files := http.StripPrefix("/"+version+"/", http.FileServer(http.Dir(dist)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got[filepath.Base(r.URL.Path)] = true
		mu.Unlock()
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	text, err := os.ReadFile(filepath.Join(dist, "pipeline.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if n, want := bytes.Count(text, []byte(releases)), len(archives(t, dist)); n != want {
		t.Fatalf("the manifest has %d addresses below %s, wanted one for each of %d archives", n, releases, want)
	}
	manifest = filepath.Join(t.TempDir(), "pipeline.yaml") // the validator wants the plugin's name
	if err := os.WriteFile(manifest, bytes.ReplaceAll(text, []byte(releases), []byte(server.URL+"/")), 0o644); err != nil {
		t.Fatal(err)
	}
	return manifest, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Sorted(maps.Keys(got))
	}
}

// gitIndex returns a repository laid out as krew-index is.
func gitIndex(t *testing.T, u *user, manifest string) string {
	t.Helper()
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	repo := t.TempDir()
	if err := os.Mkdir(filepath.Join(repo, "plugins"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repo, "plugins", "pipeline.yaml"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"add", "--all"},
		{"-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message", "add pipeline"},
	} {
		u.run(t, "git", append([]string{"-C", repo}, args...)...).succeeds(t)
	}
	return repo
}

func ownArchive(dist string) string {
	return filepath.Join(dist, "kubectl-pipeline_"+version+"_"+runtime.GOOS+"_"+runtime.GOARCH+".tar.gz")
}
