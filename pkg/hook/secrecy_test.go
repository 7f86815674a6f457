package hook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// Security: no secret, path or body in log, status or answer.
func TestNothingSecretIsShown(t *testing.T) {
	f := newFixture(t)
	f.send(request(push(nil), shopKey))
	f.send(request(push(nil), "some wrong key that nobody knows"))
	r := request(push(nil), shopKey)
	r.URL.Path = "/hooks/ffffffffffffffffffffffffffffffff"
	r.Header.Set("Authorization", "Bearer let-me-in")
	f.send(r)
	f.send(request([]byte(`{"ref":"body-text"}`), shopKey))
	for _, secret := range []string{shopKey, shopPath, "ffffffff", "let-me-in", "body-text", "Fix it", "sha256="} {
		if strings.Contains(f.log.String(), secret) {
			t.Errorf("the log shows %q:\n%s", secret, f.log)
		}
	}
}

// Security: no address in a payload is called.
func TestNoAddressOfAPayloadIsCalled(t *testing.T) {
	f := newFixture(t)
	var called atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Store(true) }))
	defer srv.Close()
	body := push(func(m map[string]any) {
		m["compare"], m["callback_url"] = srv.URL, srv.URL
		m["repository"] = map[string]any{"clone_url": "https://github.com/acme/shop.git", "ssh_url": srv.URL, "html_url": srv.URL, "statuses_url": srv.URL, "url": srv.URL}
		m["head_commit"].(map[string]any)["url"] = srv.URL
	})
	if code, a, _ := f.send(request(body, shopKey)); code != http.StatusAccepted {
		t.Fatalf("%d, %+v", code, a)
	}
	var run v1alpha1.PipelineExecution
	f.api.object("pipelineexecutions", "team", v1alpha1.EventExecutionName("build", guid, "refs/heads/main"), &run)
	if run.Spec.Source == nil || run.Spec.Source.RepositoryURL != "https://github.com/acme/shop.git" {
		t.Errorf("what is cloned comes from the payload: %+v", run.Spec.Source)
	}
	if called.Load() {
		t.Error("an address from the payload was called")
	}
}

// Security: names and labels never hold text of a ref.
func TestNamesDoNotDependOnTheTextOfARef(t *testing.T) {
	f := newFixture(t)
	f.api.put(t, "pipelines", pipelineOf("build", "shop", func(p *v1alpha1.Pipeline) { p.Spec.Triggers.Push.Branches = nil }))
	evil := "refs/heads/a;{echo,x}$(id)`'\"&|<>!"
	eventually(t, "the run is stored", func() bool {
		code, _, _ := f.send(request(push(func(m map[string]any) { m["ref"] = evil }), shopKey))
		return code == http.StatusAccepted || code == http.StatusOK && len(f.runs()) > 0
	})
	for _, key := range f.runs() {
		_, name, _ := strings.Cut(key, "/")
		if errs := validation.IsDNS1123Subdomain(name); len(errs) > 0 {
			t.Errorf("name %q: %v", name, errs)
		}
		var run v1alpha1.PipelineExecution
		f.api.object("pipelineexecutions", "team", name, &run)
		for k, v := range run.Labels {
			if errs := validation.IsValidLabelValue(v); len(errs) > 0 {
				t.Errorf("label %s=%q: %v", k, v, errs)
			}
		}
		if run.Spec.Source.Ref != evil {
			t.Errorf("ref %q, want %q", run.Spec.Source.Ref, evil)
		}
	}
}
