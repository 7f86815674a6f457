package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-pipeline/kubectl-pipeline/manifests"
)

// applyServer stores what is applied, and serves a new kind only at the second look.
type applyServer struct {
	mu      sync.Mutex
	objects map[string]string
	looks   map[string]int
	order   []string // paths that were applied
	// conflict is a path whose fields belong to somebody else.
	conflict string
	version  int
}

func (s *applyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	switch r.Method {
	case http.MethodGet:
		if _, ok := s.objects[r.URL.Path]; !ok {
			reply(w, 404, `{"kind":"Status","status":"Failure","reason":"NotFound","code":404,"message":"not found","details":{"name":"x","kind":"y"}}`)
			return
		}
		s.looks[r.URL.Path]++
		established := "False"
		if s.looks[r.URL.Path] > 1 {
			established = "True"
		}
		reply(w, 200, fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"status":{"conditions":[{"type":"NamesAccepted","status":"True"},{"type":"Established","status":%q}]}}`,
			s.objects[r.URL.Path][:strings.Index(s.objects[r.URL.Path], "|")], established))
	case http.MethodPatch:
		if r.URL.Path == s.conflict && r.URL.Query().Get("force") != "true" {
			reply(w, 409, `{"kind":"Status","status":"Failure","reason":"Conflict","code":409,"message":"conflict with \"somebody\": .spec.replicas"}`)
			return
		}
		if ct := r.Header.Get("Content-Type"); ct != "application/apply-patch+yaml" {
			reply(w, 415, `{"kind":"Status","status":"Failure","code":415,"message":"`+ct+`"}`)
			return
		}
		s.order = append(s.order, r.URL.Path)
		old := s.objects[r.URL.Path]
		if _, text, _ := strings.Cut(old, "|"); text != string(body) {
			s.version++
			s.objects[r.URL.Path] = fmt.Sprintf("%d|%s", s.version, body)
		}
		version, _, _ := strings.Cut(s.objects[r.URL.Path], "|")
		reply(w, 200, fmt.Sprintf(`{"metadata":{"resourceVersion":%q}}`, version))
	}
}

func installWorld(t *testing.T) (*world, *applyServer) {
	w := newWorld(t)
	s := &applyServer{objects: map[string]string{}, looks: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	config, err := os.ReadFile(w.kubecfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.kubecfg, []byte(strings.ReplaceAll(string(config), w.api.URL, server.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	return w, s
}

func TestInstall(t *testing.T) {
	w, s := installWorld(t)
	got := w.run("install")
	if got.code != 0 || got.out != "" {
		t.Fatalf("%+v", got)
	}
	first := func(part string) int {
		for i, p := range s.order {
			if strings.Contains(p, part) {
				return i
			}
		}
		t.Fatalf("nothing with %s was applied: %v", part, s.order)
		return 0
	}
	if namespace, crd, role, hookd := first("/namespaces/kubectl-pipeline"), first("/customresourcedefinitions/"), first("/clusterroles/"), first("/deployments/hookd"); namespace > crd || crd > role || role > hookd {
		t.Errorf("order: %v", s.order)
	}
	for path := range s.objects {
		if strings.Contains(path, "customresourcedefinitions") && s.looks[path] < 2 {
			t.Errorf("%s was not waited for", path)
		}
	}
	if n := strings.Count(got.err, " created\n"); n != len(s.order) {
		t.Errorf("%d of %d were created:\n%s", n, len(s.order), got.err)
	}
	again := w.run("install")
	if again.code != 0 || strings.Contains(again.err, " created\n") || strings.Contains(again.err, " configured\n") {
		t.Errorf("a second time changes something: %+v", again)
	}
	other := w.run("install", "--image", "registry.example.com/hookd:1")
	if other.code != 0 || !strings.Contains(other.err, "deployment/hookd configured\n") || strings.Count(other.err, " configured\n") != 1 {
		t.Errorf("%+v", other)
	}
}

func TestInstallElsewhere(t *testing.T) {
	w, s := installWorld(t)
	if got := w.run("install", "-n", "ci-system"); got.code != 0 || !strings.Contains(got.err, "--hookd-namespace ci-system") {
		t.Fatalf("%+v", got)
	}
	for _, path := range s.order {
		if strings.Contains(path, "/namespaces/kubectl-pipeline") {
			t.Errorf("%s is in the default namespace", path)
		}
	}
}

func TestInstallNamesConflicts(t *testing.T) {
	w, s := installWorld(t)
	s.conflict = "/apis/apps/v1/namespaces/kubectl-pipeline/deployments/hookd"
	if got := w.run("install"); got.code != exitError || !strings.Contains(got.err, ".spec.replicas") || !strings.Contains(got.err, "hint: --force-conflicts") {
		t.Errorf("%+v", got)
	}
	if got := w.run("install", "--force-conflicts"); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

// TestInstallExport: what is printed is YAML of the objects that are applied.
func TestInstallExport(t *testing.T) {
	w := newWorld(t)
	if got := w.run("install", "--export", "--external-url", "hooks.example.com"); got.code != exitError || got.out != "" || !strings.Contains(got.err, "--external-url") {
		t.Errorf("an address without a scheme: exit code %d, output %q, errors %q", got.code, got.out, got.err)
	}
	got := w.run("install", "--export", "--image", "registry.example.com/hookd:1", "--external-url", "https://hooks.example.com")
	if got.code != 0 || got.err != "" {
		t.Fatalf("%+v", got)
	}
	kinds := map[string]int{}
	for doc := range strings.SplitSeq(got.out, "---\n") {
		var o manifestObject
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatal(err)
		}
		kinds[o.Kind]++
	}
	if kinds["CustomResourceDefinition"] != 6 || kinds["Deployment"] != 1 || kinds["Namespace"] != 1 {
		t.Errorf("%v", kinds)
	}
	if !strings.Contains(got.out, "image: registry.example.com/hookd:1") || !strings.Contains(got.out, "--external-url=https://hooks.example.com") {
		t.Error("the options are not in the Deployment")
	}
}

// TestInstallerKnowsEveryKind keeps the table of plurals complete.
func TestInstallerKnowsEveryKind(t *testing.T) {
	docs, err := manifests.Objects(manifests.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range docs {
		var o manifestObject
		if err := yaml.Unmarshal(doc, &o); err != nil {
			t.Fatal(err)
		}
		if _, err := o.path(); err != nil {
			t.Error(err)
		}
	}
}

func TestReleaseImage(t *testing.T) {
	for version, want := range map[string]string{"v1.2.3": "ghcr.io/kubectl-pipeline/hookd:v1.2.3", "v0.0.0-dev": "", "v1.2.3-4-gabc": "", "abc-dirty": ""} {
		if got := releaseImage(version); got != want {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
	}
}
