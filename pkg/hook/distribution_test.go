package hook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/need"
)

// registries are the programs that notifications are tried with, by version.
var registries = map[string]func(t *testing.T) string{
	"2.8, as Debian's docker-registry": func(t *testing.T) string {
		program, err := exec.LookPath("docker-registry")
		if err != nil {
			need.Missing(t, "no docker-registry in PATH: it is in Debian's package of that name (make deps)")
		}
		return program
	},
	"3, built from its module": func(t *testing.T) string {
		cache, err := os.UserCacheDir()
		if err != nil {
			need.Missing(t, "%v", err)
		}
		sums, err := os.ReadFile("../../test/registry/go.sum")
		if err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(cache, "kubectl-pipeline", "registry-"+digestOf(sums)[len("sha256:"):][:16])
		if _, err := os.Stat(program); err == nil {
			return program
		}
		made := filepath.Join(t.TempDir(), "registry")
		if out, err := exec.Command("go", "build", "-C", "../../test/registry", "-o", made, ".").CombinedOutput(); err != nil {
			need.Missing(t, "build the registry: %v\n%s", err, out)
		}
		text, err := os.ReadFile(made)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(program), 0o755)
		}
		if err == nil {
			err = os.WriteFile(program+".new", text, 0o755) //nolint:gosec // it is a program
		}
		if err == nil {
			err = os.Rename(program+".new", program)
		}
		if err != nil {
			t.Fatal(err)
		}
		return program
	},
}

// client has a deadline.
var client = &http.Client{Timeout: 20 * time.Second}

// realRegistry runs a registry whose notifications are sent to an address.
func realRegistry(t *testing.T, program, address string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	_ = l.Close()
	dir := t.TempDir()
	config := fmt.Sprintf(`version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}
http: {addr: %q}
notifications:
  endpoints:
  - {name: hookd, url: %q, headers: {Authorization: [%q]}, timeout: 500ms, threshold: 2, backoff: 50ms}
`, filepath.Join(dir, "data"), host, address, "Bearer "+imageToken)
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "serve", file)
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait(); client.CloseIdleConnections() })
	eventually(t, "the registry answers", func() bool {
		res, err := client.Get("http://" + host + "/v2/")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the registry:\n%s", out.String())
		}
	})
	return "http://" + host
}

// call makes a request of the distribution's API.
func call(t *testing.T, method, url, mediaType string, body []byte, want int) http.Header {
	t.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", mediaType)
	r.Header.Set("Accept", mediaType)
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != want {
		t.Fatalf("%s %s: %s\n%s", method, url, res.Status, text)
	}
	return res.Header
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// pushBlob uploads a layer or a config.
func pushBlob(t *testing.T, url, repository string, blob []byte) {
	t.Helper()
	at := call(t, http.MethodPost, url+"/v2/"+repository+"/blobs/uploads/", "application/octet-stream", nil, http.StatusAccepted).Get("Location")
	call(t, http.MethodPut, at+"&digest="+digestOf(blob), "application/octet-stream", blob, http.StatusCreated)
}

const mediaType = "application/vnd.docker.distribution.manifest.v2+json"

// pushImage pushes an image of one layer under a reference (a tag, or a digest), and gives
// its digest.
func pushImage(t *testing.T, url, repository, reference, content string) string {
	t.Helper()
	layer, config := []byte(content), []byte(`{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}`)
	pushBlob(t, url, repository, layer)
	pushBlob(t, url, repository, config)
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":%d,"digest":%q},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":%d,"digest":%q}]}`,
		mediaType, len(config), digestOf(config), len(layer), digestOf(layer))
	if reference == "" {
		reference = digestOf(manifest)
	}
	call(t, http.MethodPut, url+"/v2/"+repository+"/manifests/"+reference, mediaType, manifest, http.StatusCreated)
	return digestOf(manifest)
}

// A real registry notifies a hookd that is there, that is away for a while, and whose
// answers get lost: every pushed tag starts its runs, each of them once.
func TestRealRegistriesLoseAndDoubleNothing(t *testing.T) {
	for version, find := range registries {
		t.Run(version, func(t *testing.T) { tryRegistry(t, find(t)) })
	}
}

func tryRegistry(t *testing.T, program string) {
	f := newImages(t)
	var down, deaf atomic.Bool
	var received, dropped, lost atomic.Int64
	var heard sync.Map
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		received.Add(1)
		if down.Load() {
			dropped.Add(1)
			panic(http.ErrAbortHandler)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if _, again := heard.LoadOrStore(string(body), true); deaf.Load() && !again {
			f.h.ServeHTTP(httptest.NewRecorder(), r) // stored, and the answer is lost
			lost.Add(1)
			panic(http.ErrAbortHandler)
		}
		f.h.ServeHTTP(w, r)
	}))
	defer receiver.Close()
	url := realRegistry(t, program, receiver.URL+imagesPath+"distribution")
	host := strings.TrimPrefix(url, "http://")

	digests := map[string]string{}
	digests["v1"] = pushImage(t, url, "acme/app", "v1", "one")
	down.Store(true)
	digests["v2"] = pushImage(t, url, "acme/app", "v2", "two")
	pushImage(t, url, "acme/app", "", "a child of an index, without a tag")
	pushImage(t, url, "acme/app", "v3-rc", "nobody waits for it")
	pushImage(t, url, "else/app", "v1", "nor for this")
	eventually(t, "notifications meet nobody", func() bool { return dropped.Load() >= 3 })
	down.Store(false)
	eventually(t, "what was held back arrives", func() bool { return len(f.runs()) >= 4 })
	deaf.Store(true)
	digests["v4"] = pushImage(t, url, "acme/app", "v4", "four")
	call(t, http.MethodGet, url+"/v2/acme/app/manifests/v4", mediaType, nil, http.StatusOK) // a pull
	call(t, http.MethodDelete, url+"/v2/acme/app/manifests/"+digests["v1"], mediaType, nil, http.StatusAccepted)
	digests["v5"] = pushImage(t, url, "acme/app", "v5", "five") // the last: what came before is through

	var want []string
	for _, tag := range []string{"v1", "v2", "v4", "v5"} {
		for _, pipeline := range []string{"bare", "deploy"} {
			want = append(want, fmt.Sprintf("%s %s/acme/app:%s %s", pipeline, host, tag, digests[tag]))
		}
	}
	slices.Sort(want)
	var got []string
	seen := func() []string {
		got = nil
		for _, name := range f.runs() {
			e := f.execution(strings.TrimPrefix(name, "team/"))
			i := e.Spec.Trigger.Image
			got = append(got, fmt.Sprintf("%s %s:%s %s", e.Spec.PipelineRef.Name, i.Repository, i.Tag, i.Digest))
		}
		slices.Sort(got)
		return got
	}
	eventually(t, "every tag has its runs", func() bool { return len(seen()) >= len(want) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	if lost.Load() < 4 {
		t.Errorf("only %d answers were lost", lost.Load())
	}
	t.Logf("%d notifications received, %d dropped, %d answers lost", received.Load(), dropped.Load(), lost.Load())
}
