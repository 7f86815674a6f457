package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	shopPath = "/hooks/0123456789abcdef0123456789abcdef"
	shopKey  = "the key that signs what shop's host sends"
	guid     = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
)

// fixture is a handler before a project with one repository and two pipelines.
type fixture struct {
	t       testing.TB
	api     *apiServer
	h       *Handler
	reg     *prometheus.Registry
	log     *lockedBuffer
	advance func(time.Duration)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func shop() *v1alpha1.SourceCodeRepository {
	return &v1alpha1.SourceCodeRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop", UID: "shop-uid"},
		Spec: v1alpha1.SourceCodeRepositorySpec{
			URL: "https://github.com/acme/shop.git", DefaultBranch: "main", ProviderRef: &v1alpha1.LocalReference{Name: "github"},
			Webhook: &v1alpha1.WebhookSpec{Mode: v1alpha1.WebhookManual, SecretRef: &v1alpha1.SecretKeyReference{Name: "shop-hook"}},
		},
		Status: v1alpha1.SourceCodeRepositoryStatus{Webhook: &v1alpha1.WebhookStatus{Path: shopPath}},
	}
}

func pipelineOf(name, repo string, change func(*v1alpha1.Pipeline)) *v1alpha1.Pipeline {
	p := &v1alpha1.Pipeline{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name},
		Spec: v1alpha1.PipelineSpec{
			RepositoryRef: &v1alpha1.LocalReference{Name: repo},
			Triggers:      &v1alpha1.Triggers{Push: &v1alpha1.PushTrigger{Branches: &v1alpha1.Filter{Include: []string{"main"}}}, Tag: &v1alpha1.TagTrigger{}},
		},
	}
	if change != nil {
		change(p)
	}
	return p
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{t: t, api: newAPIServer(t), log: &lockedBuffer{}}
	f.api.put(t, "sourcecodeproviders", &v1alpha1.SourceCodeProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "github"},
		Spec:       v1alpha1.SourceCodeProviderSpec{Type: v1alpha1.ProviderGitHub, URL: "https://github.com"},
	})
	f.api.put(t, "sourcecoderepositories", shop())
	f.api.put(t, "secrets", secret("shop-hook", map[string]string{"secret": shopKey}))
	f.api.put(t, "pipelines", pipelineOf("build", "shop", nil), pipelineOf("docs", "shop", func(p *v1alpha1.Pipeline) {
		p.Spec.Triggers.Push.Paths = &v1alpha1.Filter{Include: []string{"docs/**"}}
		p.Spec.Triggers.Tag = nil
	}))
	f.start()
	return f
}

func secret(name string, data map[string]string) *corev1.Secret {
	s := &corev1.Secret{TypeMeta: metav1.TypeMeta{Kind: "Secret", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Data: map[string][]byte{}}
	for k, v := range data {
		s.Data[k] = []byte(v)
	}
	return s
}

// start makes a handler and waits for its caches.
func (f *fixture) start() {
	f.t.Helper()
	f.reg = prometheus.NewRegistry()
	var offset atomic.Int64
	f.advance = func(d time.Duration) { offset.Add(int64(d)) }
	f.h = NewHandler(Options{
		Clients: f.api.clients(f.t), Metrics: f.reg, Logger: slog.New(slog.NewTextHandler(f.log, nil)),
		Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) },
	})
	f.h.statuses.interval = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = f.h.Run(ctx) }()
	f.t.Cleanup(func() { cancel(); <-done })
	f.t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	eventually(f.t, "the handler is ready", func() bool { return f.h.Ready() == nil })
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func push(change func(m map[string]any)) []byte {
	a, b := strings.Repeat("a", 40), strings.Repeat("b", 40)
	m := map[string]any{
		"ref": "refs/heads/main", "before": a, "after": b,
		"commits":     []any{map[string]any{"id": b, "modified": []any{"main.go"}}},
		"head_commit": map[string]any{"id": b, "message": "Fix it", "author": map[string]any{"name": "Ann"}, "url": "https://github.com/acme/shop/commit/b"},
		"repository":  map[string]any{"clone_url": "https://github.com/acme/shop.git", "html_url": "https://github.com/acme/shop"},
		"sender":      map[string]any{"login": "ann"},
	}
	if change != nil {
		change(m)
	}
	return mustJSON(m)
}

func mustJSON(m any) []byte {
	body, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return body
}

// request is a delivery as GitHub sends it.
func request(body []byte, key string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, shopPath, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("X-GitHub-Delivery", guid)
	m := hmac.New(sha256.New, []byte(key))
	m.Write(body)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(m.Sum(nil)))
	return r
}

func (f *fixture) send(r *http.Request) (int, answer, http.Header) {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.h.ServeHTTP(w, r)
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		f.t.Fatalf("answer %q: %v", w.Body, err)
	}
	return w.Code, a, w.Header()
}

// execution is a run that is stored.
func (f *fixture) execution(name string) *v1alpha1.PipelineExecution {
	f.t.Helper()
	e := &v1alpha1.PipelineExecution{}
	if !f.api.object("pipelineexecutions", "team", name, e) {
		f.t.Fatalf("%s is not stored; there are %v", name, f.runs())
	}
	return e
}

func (f *fixture) runs() []string { return f.api.names("pipelineexecutions") }

func (f *fixture) gets(secret string) int {
	f.api.mu.Lock()
	defer f.api.mu.Unlock()
	return f.api.gets["secrets/team/"+secret]
}
