// Package samples gives tests the payloads that others publish of what hosts send: read
// from their packages at test time, checked against known sums, and kept in a directory
// of the user's cache. None of them is in the tree. What cannot be had skips a test, or
// fails it when CI=true.
//
// Nothing but tests may import it. Start reading at Octokit.
package samples

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/need"
)

// Sample is one payload of GitHub.
type Sample struct {
	// Host it is of: api.github.com, or a version of the Enterprise Server (ghes-35).
	Host string
	// Event is the value of the header X-GitHub-Event.
	Event string
	// Number of the sample among those of its event.
	Number int
	Body   []byte
}

const (
	octokitPackage = "@octokit/webhooks-examples@7.6.1"
	octokitArchive = "octokit-webhooks-examples-7.6.1.tgz"
	octokitSum     = "89e6cb1c6345d32e3dd775617fa54effbdc26c859e514898d7728e95e9738280"

	gitlabModule = "gitlab.com/gitlab-org/api/client-go@v1.46.0"
	gitlabSum    = "h1:YxBWFZIFYKcGESCb9fpkwzouo+apyB9pr/XTWzNoL24="
)

// Octokit gives the payloads of GitHub that npm's @octokit/webhooks-examples has: 329 of
// api.github.com, and those of Enterprise Servers.
func Octokit(t testing.TB) []Sample {
	t.Helper()
	all, err := octokit()
	if err != nil {
		need.Missing(t, "samples of %s: %v", octokitPackage, err)
	}
	return all
}

var octokit = sync.OnceValues(func() ([]Sample, error) {
	archive, err := packed()
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(archive); hex.EncodeToString(sum[:]) != octokitSum {
		return nil, errors.New("the archive has another sum than the one that is known")
	}
	gz, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	var all []Sample
	for files := tar.NewReader(gz); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if path.Base(h.Name) != "index.json" {
			continue
		}
		var events []struct {
			Name     string
			Examples []json.RawMessage
		}
		if err := json.NewDecoder(files).Decode(&events); err != nil {
			return nil, fmt.Errorf("read %s: %w", h.Name, err)
		}
		for _, e := range events {
			for i, body := range e.Examples {
				all = append(all, Sample{Host: path.Base(path.Dir(h.Name)), Event: e.Name, Number: i, Body: body})
			}
		}
	}
})

// packed is the archive as npm packs it, from the cache or from the registry.
func packed() ([]byte, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "kubectl-pipeline", "samples")
	file := filepath.Join(dir, octokitArchive)
	if archive, err := os.ReadFile(file); err == nil {
		return archive, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(dir, "pack-") // several tests may want it at once
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	cmd := exec.Command("npm", "pack", "--silent", octokitPackage)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm pack: %w\n%s", err, out)
	}
	if err := os.Rename(filepath.Join(work, octokitArchive), file); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// GitLab gives the payloads that GitLab's own Go client has, by the name of their file:
// those of a webhook as "webhooks/push", those of a system hook as "systemhooks/push".
func GitLab(t testing.TB) map[string][]byte {
	t.Helper()
	all, err := gitlab()
	if err != nil {
		need.Missing(t, "samples of %s: %v", gitlabModule, err)
	}
	return all
}

var gitlab = sync.OnceValues(func() (map[string][]byte, error) {
	cmd := exec.Command("go", "mod", "download", "-json", gitlabModule)
	cmd.Dir = os.TempDir() // it is no module that the product needs
	out, err := cmd.Output()
	var module struct{ Dir, Sum, Error string }
	if e := json.Unmarshal(out, &module); e != nil || module.Error != "" || err != nil {
		return nil, fmt.Errorf("go mod download: %w %s", errors.Join(err, e), module.Error)
	}
	if module.Sum != gitlabSum {
		return nil, errors.New("the module has another sum than the one that is known")
	}
	all := map[string][]byte{}
	for _, kind := range []string{"webhooks", "systemhooks"} {
		if err := read(all, kind+"/", filepath.Join(module.Dir, "testdata", kind)); err != nil {
			return nil, err
		}
	}
	return all, nil
})

// Library gives the payloads that webhooks/v6 ships inside its module, by the name of
// their file: those of github, gitlab, gitea, bitbucket, bitbucket-server or docker.
func Library(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/go-playground/webhooks/v6").Output()
	if err != nil {
		need.Missing(t, "the module webhooks/v6 cannot be found: %v", err)
	}
	all := map[string][]byte{}
	if err := read(all, "", filepath.Join(strings.TrimSpace(string(out)), "testdata", dir)); err != nil {
		need.Missing(t, "samples of webhooks/v6: %v", err)
	}
	return all
}

// read adds the files of a directory that are JSON.
func read(all map[string][]byte, prefix, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no samples in %s (%w)", dir, err)
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		all[prefix+strings.TrimSuffix(filepath.Base(f), ".json")] = body
	}
	return nil
}
