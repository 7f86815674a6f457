package krew

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	// The program is built by make, out of go test's sight; it must not report an old
	// result once the program has changed.
	_ "github.com/kubectl-pipeline/kubectl-pipeline/pkg/cli"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/need"
)

const (
	root    = "../.."
	version = "v9.8.7"
)

// TestDistIsReproducible: whoever builds a release again gets the bytes whose
// checksums were published.
func TestDistIsReproducible(t *testing.T) {
	need.Program(t, "make", "apt-get install make")
	first, second := contents(t, makeDist(t)), contents(t, makeDist(t))
	if diff := cmp.Diff(slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(second))); diff != "" {
		t.Errorf("files of the first and the second build:\n%s", diff)
	}
	for name := range first {
		if !bytes.Equal(first[name], second[name]) {
			t.Errorf("%s differs from one build to the next", name)
		}
	}
}

// TestDistRefuses: what does not fit together leaves no manifest that could be
// published.
func TestDistRefuses(t *testing.T) {
	need.Program(t, "make", "apt-get install make")
	for name, c := range map[string]struct{ version, platforms, want string }{
		"a platform too few":          {version, "plan9/386", "no archive for KREW_DARWIN_AMD64_SHA256"},
		"a version that krew refuses": {"9.8.7", "plan9/386", `version "9.8.7"`},
	} {
		t.Run(name, func(t *testing.T) {
			dist := t.TempDir()
			out, err := makeCommand(t, dist, c.version, "PLATFORMS="+c.platforms).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("error %v, want %q in\n%s", err, c.want, out)
			}
			if _, err := os.Stat(filepath.Join(dist, "pipeline.yaml")); err == nil {
				t.Error("a manifest is there")
			}
		})
	}
}

// read are the other files of which go test must know for the same reason: those that
// make reads.
var read = []string{
	"LICENSE", "Makefile", "go.mod", "cmd/kubectl-pipeline/main.go", "plugins/krew.yaml", "tools/krew/go.mod",
	"hack/dist.sh", "hack/archive/main.go", "hack/krewmanifest/main.go",
}

// makeDist runs make dist, with a stand-in for what this machine cannot run anyway.
func makeDist(t *testing.T) string {
	t.Helper()
	dist := t.TempDir()
	if out, err := makeCommand(t, dist, version).CombinedOutput(); err != nil {
		t.Fatalf("make dist: %v\n%s", err, out)
	}
	return dist
}

func makeCommand(t *testing.T, dist, version string, args ...string) *exec.Cmd {
	t.Helper()
	for _, file := range read {
		if _, err := os.Stat(filepath.Join(root, file)); err != nil {
			t.Fatal(err)
		}
	}
	standin := filepath.Join(t.TempDir(), "standin")
	if err := os.WriteFile(standin, []byte("a stand-in\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "make", append([]string{"--silent", "dist", "DIST=" + dist, "VERSION=" + version}, args...)...)
	cmd.Dir = root
	// The make that may run this test has its own goals and variables.
	cmd.Env = append(os.Environ(), "STANDIN="+standin, "MAKEFLAGS=", "MAKELEVEL=", "MFLAGS=")
	return cmd
}

// contents returns the files of dist by name.
func contents(t *testing.T, dist string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range names(t, filepath.Join(dist, "*")) {
		content, err := os.ReadFile(filepath.Join(dist, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	return files
}

func archives(t *testing.T, dist string) []string {
	t.Helper()
	return names(t, filepath.Join(dist, "*.tar.gz"))
}

// names returns the sorted base names of the files that match.
func names(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v, error %v", pattern, paths, err)
	}
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths
}
