package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

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

func (f *fixture) runs() []string { return f.api.names("pipelineexecutions") }

func TestPushStartsTheRunsItMatches(t *testing.T) {
	f := newFixture(t)
	code, a, _ := f.send(request(push(nil), shopKey))
	if len(a.Skipped) != 1 {
		t.Fatalf("status %d, %+v\n%s", code, a, f.log)
	}
	name := v1alpha1.EventExecutionName("build", guid, "refs/heads/main")
	want := answer{
		DeliveryID: guid, Created: []string{name},
		Skipped: []skipped{{Pipeline: "docs", Reason: a.Skipped[0].Reason}},
	}
	if diff := cmp.Diff(want, a, cmp.AllowUnexported(answer{})); code != http.StatusAccepted || diff != "" {
		t.Errorf("status %d (-want +got):\n%s", code, diff)
	}
	if !strings.Contains(a.Skipped[0].Reason, "paths") {
		t.Errorf("docs was skipped because %q, wanted the filter on paths", a.Skipped[0].Reason)
	}
	var run v1alpha1.PipelineExecution
	if !f.api.object("pipelineexecutions", "team", name, &run) {
		t.Fatalf("%s is not stored; there are %v", name, f.runs())
	}
	wantSpec := v1alpha1.PipelineExecutionSpec{
		PipelineRef: v1alpha1.LocalReference{Name: "build"}, Control: v1alpha1.ControlRun,
		Trigger: v1alpha1.Trigger{Type: v1alpha1.EventPush, User: "ann", DeliveryID: guid},
		Source: &v1alpha1.Source{
			RepositoryURL: "https://github.com/acme/shop.git", Ref: "refs/heads/main", Branch: "main", Commit: strings.Repeat("b", 40),
			Message: "Fix it", Author: "Ann", HTMLURL: "https://github.com/acme/shop/commit/b", Paths: []string{"main.go"}, PathsComplete: true,
		},
	}
	if diff := cmp.Diff(wantSpec, run.Spec); diff != "" {
		t.Errorf("the run (-want +got):\n%s", diff)
	}
	eventually(t, "the delivery is in the repository's status", func() bool {
		var repo v1alpha1.SourceCodeRepository
		f.api.object("sourcecoderepositories", "team", "shop", &repo)
		d := repo.Status.Webhook.LastDelivery
		return d != nil && d.ID == guid && d.Event == "push" && d.Result == "started "+name && repo.Status.Webhook.Path == shopPath
	})
	if !strings.Contains(f.log.String(), "delivery="+guid) || !strings.Contains(f.log.String(), name) {
		t.Errorf("the log does not tell what happened:\n%s", f.log)
	}
}

func TestRedeliveryFindsTheRunStored(t *testing.T) {
	f := newFixture(t)
	f.send(request(push(nil), shopKey))
	f.start() // another replica, or the same one after a restart
	for range 5 {
		code, a, _ := f.send(request(push(nil), shopKey))
		if code != http.StatusOK || len(a.Existing) != 1 || len(a.Created) != 0 {
			t.Errorf("status %d, %+v", code, a)
		}
	}
	if n := len(f.runs()); n != 1 {
		t.Errorf("%d runs are stored", n)
	}
}

// Security: whoever captured a delivery can change its id, which is not signed.
func TestReplayUnderAnotherIDStartsNothingNew(t *testing.T) {
	f := newFixture(t)
	f.send(request(push(nil), shopKey))
	r := request(push(nil), shopKey)
	r.Header.Set("X-GitHub-Delivery", "another-delivery-id")
	if code, a, _ := f.send(r); code != http.StatusOK || len(f.runs()) != 1 || a.DeliveryID != guid {
		t.Errorf("status %d, %+v, runs %v", code, a, f.runs())
	}
}

func TestTagStartsOneRun(t *testing.T) {
	f := newFixture(t)
	body := push(func(m map[string]any) { m["ref"] = "refs/tags/v1"; m["before"] = strings.Repeat("0", 40) })
	if code, a, _ := f.send(request(body, shopKey)); code != http.StatusAccepted || len(a.Created) != 1 {
		t.Errorf("push of a tag: %d, %+v", code, a)
	}
	r := request([]byte(`{"ref":"v1","ref_type":"tag"}`), shopKey)
	r.Header.Set("X-GitHub-Event", "create") // what GitHub sends beside it
	if code, a, _ := f.send(r); code != http.StatusOK || len(a.Created) != 0 || a.Reason == "" {
		t.Errorf("create of a tag: %d, %+v", code, a)
	}
	if n := len(f.runs()); n != 1 {
		t.Errorf("%d runs are stored", n)
	}
}

func TestAuthenticDeliveriesThatStartNothingAreFine(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		event  string
		body   []byte
		reason string
	}{
		"a ping":        {"ping", []byte(`{"zen":"x"}`), "ping"},
		"another event": {"issues", []byte(`{}`), "start nothing"},
		"a deleted branch": {"push", push(func(m map[string]any) {
			m["deleted"] = true
			m["after"] = strings.Repeat("0", 40)
			m["head_commit"] = nil
		}), "deleted"},
		"an empty push": {"push", push(func(m map[string]any) { m["before"] = m["after"] }), "changed nothing"},
		"a skip marker": {"push", push(func(m map[string]any) { m["head_commit"].(map[string]any)["message"] = "x [skip ci]" }), "[skip ci]"},
		"another repository": {"push", push(func(m map[string]any) {
			m["repository"] = map[string]any{"clone_url": "https://github.com/acme/other.git"}
		}), "another repository"},
		"no repository": {"push", push(func(m map[string]any) { delete(m, "repository") }), "another repository"},
	} {
		r := request(c.body, shopKey)
		r.Header.Set("X-GitHub-Event", c.event)
		code, a, _ := f.send(r)
		if code != http.StatusOK || !strings.Contains(a.Reason, c.reason) || len(a.Created) != 0 {
			t.Errorf("%s: %d, %+v, want 200 because of %q", name, code, a, c.reason)
		}
	}
	code, a, _ := f.send(request(push(func(m map[string]any) { m["ref"] = "refs/heads/dev" }), shopKey))
	if code != http.StatusOK || len(a.Skipped) != 2 {
		t.Errorf("a branch that no filter wants: %d, %+v", code, a)
	}
	f.api.put(t, "pipelines", pipelineOf("build", "shop", func(p *v1alpha1.Pipeline) { p.Spec.Suspend = true }))
	eventually(t, "a suspended pipeline is skipped", func() bool {
		_, a, _ := f.send(request(push(nil), shopKey))
		return len(a.Skipped) == 2 && strings.Contains(a.Skipped[0].Reason, "suspended")
	})
	if n := len(f.runs()); n > 1 { // at most the one before the suspension was seen
		t.Errorf("runs %v", f.runs())
	}
}

func TestRequestsAreRefusedByTheirHeaders(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		change func(r *http.Request)
		want   int
	}{
		"GET":                     {func(r *http.Request) { r.Method = http.MethodGet }, 405},
		"an unknown path":         {func(r *http.Request) { r.URL.Path = "/hooks/fedcba9876543210fedcba9876543210" }, 404},
		"a longer path":           {func(r *http.Request) { r.URL.Path += "/" }, 404},
		"a shorter path":          {func(r *http.Request) { r.URL.Path = shopPath[:len(shopPath)-1] }, 404},
		"the prefix":              {func(r *http.Request) { r.URL.Path = "/hooks/" }, 404},
		"a form":                  {func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415},
		"no type":                 {func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		"gzip":                    {func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415},
		"a promise of 200 MB":     {func(r *http.Request) { r.ContentLength = 200 << 20 }, 413},
		"a charset is no problem": {func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") }, 202},
	} {
		r := request(push(nil), shopKey)
		c.change(r)
		if code, a, _ := f.send(r); code != c.want {
			t.Errorf("%s: %d, %+v, want %d", name, code, a, c.want)
		}
	}
}

// Security: nothing without a right signature gets anywhere.
func TestWrongSignaturesAreUnauthorized(t *testing.T) {
	f := newFixture(t)
	for name, change := range map[string]func(r *http.Request){
		"another key":  func(r *http.Request) { *r = *request(push(nil), "the key of some other repository") },
		"no signature": func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") },
		"SHA-1":        func(r *http.Request) { r.Header.Del("X-Hub-Signature-256"); r.Header.Set("X-Hub-Signature", "sha1=00") },
		"another body": func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(`{"ref":"refs/heads/x"}`))
			r.ContentLength = -1
		},
		"an unknown event": func(r *http.Request) {
			r.Header.Set("X-Hub-Signature-256", "sha256=00")
			r.Header.Set("X-GitHub-Event", "x")
		},
		"an undecodable": func(r *http.Request) {
			r.Header.Set("X-Hub-Signature-256", "sha256=00")
			r.Body = io.NopCloser(strings.NewReader("{"))
			r.ContentLength = 1
		},
		"GitLab's token":    func(r *http.Request) { r.Header.Del("X-Hub-Signature-256"); r.Header.Set("X-Gitlab-Token", shopKey) },
		"a panicking short": func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "s") },
	} {
		r := request(push(nil), shopKey)
		change(r)
		if code, a, _ := f.send(r); code != http.StatusUnauthorized || a.Error != "the signature is missing or wrong" {
			t.Errorf("%s: %d, %+v, want 401 and no more than that", name, code, a)
		}
	}
	if n := len(f.runs()); n != 0 {
		t.Errorf("runs %v", f.runs())
	}
}

// Security: closed without a secret, and with an empty or a short one.
func TestWithoutAUsableSecretNothingIsAccepted(t *testing.T) {
	for name, data := range map[string]map[string]string{
		"no key":        {"other": shopKey},
		"an empty one":  {"secret": ""},
		"a short one":   {"secret": "short"},
		"a line break":  {"secret": "\n"},
		"a prefix only": {"secretive": shopKey},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.api.put(t, "secrets", secret("shop-hook", data))
			for _, v := range data {
				code, a, h := f.send(request(push(nil), strings.TrimSpace(v)))
				if code != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || len(f.runs()) != 0 {
					t.Errorf("%d, %+v", code, a)
				}
			}
		})
	}
	t.Run("no Secret", func(t *testing.T) {
		f := newFixture(t)
		repo := shop()
		repo.Spec.Webhook.SecretRef.Name = "nothing"
		f.api.put(t, "sourcecoderepositories", repo)
		eventually(t, "it is closed", func() bool {
			code, _, _ := f.send(request(push(nil), ""))
			return code == http.StatusServiceUnavailable
		})
		before := f.gets("nothing")
		for range 50 {
			f.send(request(push(nil), ""))
		}
		if n := f.gets("nothing") - before; n > 1 {
			t.Errorf("a flood asked the API server %d times for a Secret that is not there", n)
		}
	})
}

func (f *fixture) gets(secret string) int {
	f.api.mu.Lock()
	defer f.api.mu.Unlock()
	return f.api.gets["secrets/team/"+secret]
}

// Security: keys are rotated without a restart and without a gap.
func TestKeysAreRotated(t *testing.T) {
	f := newFixture(t)
	next := "the next key that signs deliveries"
	send := func(key, id string) int {
		r := request(push(func(m map[string]any) { m["compare"] = id }), key)
		r.Header.Set("X-GitHub-Delivery", id)
		code, _, _ := f.send(r)
		return code
	}
	if code := send(shopKey, "delivery-1"); code != 202 {
		t.Fatalf("the old key: %d", code)
	}
	f.api.put(t, "secrets", secret("shop-hook", map[string]string{"secret": shopKey, "secret-next": next + "\n"}))
	f.advance(RotationDelay)
	for i, key := range []string{next, shopKey} {
		if code := send(key, fmt.Sprint("delivery-2", i)); code != 202 {
			t.Errorf("key %d of two: %d", i, code)
		}
	}
	f.api.put(t, "secrets", secret("shop-hook", map[string]string{"secret": next}))
	f.advance(SecretTTL)
	if code := send(shopKey, "delivery-3"); code != 401 {
		t.Errorf("the old key after its removal: %d", code)
	}
}

func TestDisabledAndDeletedWebhooksAreUnknownPaths(t *testing.T) {
	now := metav1.Now()
	for name, change := range map[string]func(*v1alpha1.SourceCodeRepository){
		"disabled":        func(r *v1alpha1.SourceCodeRepository) { r.Spec.Webhook.Mode = v1alpha1.WebhookDisabled },
		"no webhook":      func(r *v1alpha1.SourceCodeRepository) { r.Spec.Webhook = nil },
		"being deleted":   func(r *v1alpha1.SourceCodeRepository) { r.DeletionTimestamp = &now },
		"a guessable one": func(r *v1alpha1.SourceCodeRepository) { r.Status.Webhook.Path = "/hooks/" },
		"no provider":     func(r *v1alpha1.SourceCodeRepository) { r.Spec.ProviderRef.Name = "gone" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			repo := shop()
			change(repo)
			f.api.put(t, "sourcecoderepositories", repo)
			eventually(t, "404", func() bool {
				r := request(push(nil), shopKey)
				if name == "a guessable one" {
					r.URL.Path = "/hooks/"
				}
				code, _, _ := f.send(r)
				return code == http.StatusNotFound
			})
		})
	}
	t.Run("a path that two repositories have", func(t *testing.T) {
		f := newFixture(t)
		thief := shop()
		thief.Namespace, thief.Name = "thief", "shop"
		f.api.put(t, "sourcecoderepositories", thief)
		eventually(t, "404", func() bool {
			code, _, _ := f.send(request(push(nil), shopKey))
			return code == http.StatusNotFound
		})
	})
}

// Security: headers do not choose how a delivery is read; the address does.
func TestProviderComesFromTheRepository(t *testing.T) {
	f := newFixture(t)
	f.api.put(t, "sourcecodeproviders", &v1alpha1.SourceCodeProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "github"},
		Spec:       v1alpha1.SourceCodeProviderSpec{Type: v1alpha1.ProviderGitLab, URL: "https://gitlab.com"},
	})
	eventually(t, "GitHub's headers are nothing to a GitLab repository", func() bool {
		code, _, _ := f.send(request(push(nil), shopKey))
		return code == http.StatusUnauthorized
	})
}

func TestAPIServerTroubleIsRetriedThen503(t *testing.T) {
	f := newFixture(t)
	f.h.createTimeout, f.h.doubtTimeout = 700*time.Millisecond, 200*time.Millisecond
	var posts atomic.Int64
	fail := func(n int64, code int, reason metav1.StatusReason) {
		posts.Store(0)
		f.api.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || posts.Add(1) > n {
				return false
			}
			if code == 0 {
				conn, _, _ := w.(http.Hijacker).Hijack()
				_ = conn.Close()
				return true
			}
			writeStatus(w, code, reason, "trouble")
			return true
		})
	}
	send := func(id string) (int, answer, http.Header) {
		r := request(push(func(m map[string]any) { m["compare"] = id }), shopKey)
		r.Header.Set("X-GitHub-Delivery", id)
		return f.send(r)
	}
	for name, c := range map[string]struct {
		times  int64
		code   int
		reason metav1.StatusReason
		want   int
	}{
		"one failure is overcome":         {1, 500, metav1.StatusReasonInternalError, 202},
		"a lost connection is overcome":   {1, 0, "", 202},
		"our own token expired":           {1, 401, metav1.StatusReasonUnauthorized, 202},
		"failures without an end":         {1 << 40, 500, metav1.StatusReasonInternalError, 503},
		"connections lost without an end": {1 << 40, 0, "", 503},
		"a refusal that is meant":         {1 << 40, 403, metav1.StatusReasonForbidden, 500},
		"a refusal of a new API server":   {1, 403, metav1.StatusReasonForbidden, 202},
		"a kind that is not served yet":   {1, 404, metav1.StatusReasonNotFound, 202},
		"an invalid object":               {1 << 40, 422, metav1.StatusReasonInvalid, 500},
	} {
		fail(c.times, c.code, c.reason)
		id := "delivery-" + strings.ReplaceAll(name, " ", "-")
		code, a, h := send(id)
		if code != c.want || c.want == 503 && h.Get("Retry-After") == "" || c.want != 202 && len(a.Created) != 0 {
			t.Errorf("%s: %d, %+v, want %d", name, code, a, c.want)
		}
		if c.code == 422 && posts.Load() != 1 {
			t.Errorf("%s: tried %d times", name, posts.Load())
		}
		f.api.setAnswer(nil)
		if c.want == 503 {
			if code, _, _ := send(id); code != 202 {
				t.Errorf("%s: sent again: %d, want 202", name, code)
			}
		}
	}
}

func TestLostAnswerOfACreateIsNoSecondRun(t *testing.T) {
	f := newFixture(t)
	var once atomic.Bool
	f.api.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || once.Swap(true) {
			return false
		}
		f.api.setAnswer(nil)
		f.api.ServeHTTP(httptest.NewRecorder(), r) // stored, but nobody is told
		conn, _, _ := w.(http.Hijacker).Hijack()
		_ = conn.Close()
		return true
	})
	code, a, _ := f.send(request(push(nil), shopKey))
	if code != http.StatusOK || len(a.Existing) != 1 || len(f.runs()) != 1 {
		t.Errorf("%d, %+v, runs %v", code, a, f.runs())
	}
}

func TestNotReadyBeforeTheCachesAreFilled(t *testing.T) {
	api := newAPIServer(t)
	h := NewHandler(Options{Clients: api.clients(t), Logger: slog.New(slog.DiscardHandler)})
	if h.Ready() == nil {
		t.Error("ready before Run")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(push(nil), shopKey))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
}

func TestOverloadIs503(t *testing.T) {
	f := newFixture(t)
	if !f.h.budget.acquire(MaxBytesInFlight - 100) {
		t.Fatal("no budget")
	}
	code, a, h := f.send(request(push(nil), shopKey))
	if code != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || a.Error != "too many bytes at once" {
		t.Errorf("bytes: %d, %+v", code, a)
	}
	f.h.budget.release(MaxBytesInFlight - 100)
	for range MaxRequests {
		f.h.slots <- struct{}{}
	}
	if code, a, _ := f.send(request(push(nil), shopKey)); code != http.StatusServiceUnavailable || a.Error != "too many deliveries at once" {
		t.Errorf("requests: %d, %+v", code, a)
	}
	for range MaxRequests {
		<-f.h.slots
	}
	if code, _, _ := f.send(request(push(nil), shopKey)); code != http.StatusAccepted || f.h.budget.used() != 0 {
		t.Errorf("afterwards: %d, %d bytes held", code, f.h.budget.used())
	}
}

// Security: a body larger than the cap, with and without a length, and bodies of
// every size up to it.
func TestBodiesAreBounded(t *testing.T) {
	f := newFixture(t)
	huge := request(push(nil), shopKey)
	huge.Body = io.NopCloser(io.LimitReader(zeros{}, 200<<20))
	huge.ContentLength = -1
	if code, _, _ := f.send(huge); code != http.StatusRequestEntityTooLarge {
		t.Errorf("200 MB without a length: %d", code)
	}
	for _, n := range []int{0, 1, readChunk - 1, readChunk, readChunk + 1, trustedBytes, 3 << 20, MaxBody} {
		for _, length := range []int64{int64(n), -1} {
			r := httptest.NewRequest(http.MethodPost, shopPath, io.LimitReader(zeros{}, int64(n)))
			r.ContentLength = length
			memory := lease{of: f.h.budget}
			body, a, ok := f.h.read(httptest.NewRecorder(), r, &memory)
			if !ok || len(body) != n || int64(cap(body)) > f.h.budget.used() {
				t.Errorf("%d bytes (length %d): %d read, %d held, budget %d, %+v", n, length, len(body), cap(body), f.h.budget.used(), a)
			}
			memory.end()
		}
	}
	if f.h.budget.used() != 0 {
		t.Errorf("%d bytes are still held", f.h.budget.used())
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

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

// Security: strangers make no metric series and no unbounded log.
func TestStrangersMakeNoSeriesAndFewLines(t *testing.T) {
	f := newFixture(t)
	for i := range 300 {
		r := request(push(nil), "a wrong key of a stranger")
		r.Header.Set("X-GitHub-Event", fmt.Sprint("event-", i))
		if i%2 == 0 {
			r.URL.Path = fmt.Sprintf("/hooks/%032x", i)
		}
		f.send(r)
	}
	if n, err := testutil.GatherAndCount(f.reg, "kubectl_pipeline_webhook_deliveries_total"); err != nil || n > 4 {
		t.Errorf("%d series, %v", n, err)
	}
	if n := strings.Count(f.log.String(), "\n"); n > 20 {
		t.Errorf("%d lines for 300 refusals", n)
	}
	for i := range 30 { // authentic, but the event is the sender's text
		r := request(push(nil), shopKey)
		r.Header.Set("X-GitHub-Event", fmt.Sprint("event-", i))
		f.send(r)
	}
	if n, err := testutil.GatherAndCount(f.reg, "kubectl_pipeline_webhook_deliveries_total"); err != nil || n > 5 {
		t.Errorf("%d series, %v", n, err)
	}
}

// A panic is one request's, and the next is served.
func TestPanicIsAnswered(t *testing.T) {
	f := newFixture(t)
	r := request(push(nil), shopKey)
	r.Body = panicking{}
	if code, _, _ := f.send(r); code != http.StatusInternalServerError || testutil.ToFloat64(f.h.metrics.panics) != 1 {
		t.Errorf("status %d, %v panics", code, testutil.ToFloat64(f.h.metrics.panics))
	}
	if code, _, _ := f.send(request(push(nil), shopKey)); code != http.StatusAccepted || f.h.budget.used() != 0 || len(f.h.slots) != 0 {
		t.Errorf("afterwards: %d, %d bytes, %d slots held", code, f.h.budget.used(), len(f.h.slots))
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("a bug") }
func (panicking) Close() error             { return nil }

// Security: slow clients hold a connection for a while and nothing else.
func TestSlowClientsDoNotStopOthers(t *testing.T) {
	f := newFixture(t)
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, NewServer(f.h, slog.New(slog.DiscardHandler))) }()
	addr := l.Addr().String()
	var slow []net.Conn
	for i := range 500 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, c)
		if i%2 == 0 {
			_, _ = io.WriteString(c, "POST "+shopPath+" HTTP/1.1\r\nHost: x\r\nContent-Le")
		} else if i < 200 {
			_, _ = io.WriteString(c, "POST "+shopPath+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 26214400\r\n\r\n{")
		}
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for i := range 20 {
		r := request(push(func(m map[string]any) { m["compare"] = fmt.Sprint(i) }), shopKey)
		r.Header.Set("X-GitHub-Delivery", fmt.Sprint("delivery-", i))
		r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", addr
		res, err := client.Do(r)
		if err != nil {
			t.Fatalf("delivery %d among slow clients: %v", i, err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusAccepted {
			t.Errorf("delivery %d among slow clients: %d", i, res.StatusCode)
		}
	}
	if held := f.h.budget.used(); held > 100*readChunk {
		t.Errorf("100 slow bodies hold %d bytes", held)
	}
	for _, c := range slow {
		_ = c.Close()
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// Security: a body that comes too slowly is given up.
func TestSlowBodyIsGivenUp(t *testing.T) {
	f := newFixture(t)
	f.h.readTimeout = 100 * time.Millisecond
	srv := httptest.NewServer(f.h)
	defer srv.Close()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "POST "+shopPath+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") {
		t.Errorf("answer %q, %v, want 400 and the end of the connection", answer, err)
	}
	if f.h.budget.used() != 0 {
		t.Errorf("%d bytes are still held", f.h.budget.used())
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

// Security: a loop of authentic deliveries is slowed down.
func TestDeliveriesOfARepositoryAreRateLimited(t *testing.T) {
	f := newFixture(t)
	f.h.rates.Add("team/shop", rate.NewLimiter(0, 1))
	if code, _, _ := f.send(request(push(nil), shopKey)); code != http.StatusAccepted {
		t.Errorf("the first: %d", code)
	}
	code, _, h := f.send(request(push(nil), shopKey))
	if code != http.StatusTooManyRequests || h.Get("Retry-After") == "" {
		t.Errorf("the second: %d, %v", code, h)
	}
}

func TestShutdownAnswersWhatWasReceived(t *testing.T) {
	f := newFixture(t)
	arrived, proceed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.api.setAnswer(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			once.Do(func() { close(arrived); <-proceed })
		}
		return false
	})
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, NewServer(f.h, slog.New(slog.DiscardHandler))) }()
	got := make(chan int, 1)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	go func() {
		r := request(push(nil), shopKey)
		r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", l.Addr().String()
		res, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			got <- 0
			return
		}
		_ = res.Body.Close()
		got <- res.StatusCode
	}()
	<-arrived
	cancel()
	close(proceed)
	if code := <-got; code != http.StatusAccepted {
		t.Errorf("the delivery that was under way: %d", code)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestStatusIsWrittenAtIntervalsAndTheLastIsNotLost(t *testing.T) {
	f := newFixture(t)
	var patches atomic.Int64
	f.api.setAnswer(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			patches.Add(1)
		}
		return false
	})
	start := time.Now()
	for i := range 200 {
		f.h.statuses.add(shop(), v1alpha1.WebhookDelivery{ID: fmt.Sprint("delivery-", i), ReceivedAt: timeOf(time.Now())})
	}
	eventually(t, "the last one is written", func() bool {
		var repo v1alpha1.SourceCodeRepository
		f.api.object("sourcecoderepositories", "team", "shop", &repo)
		return repo.Status.Webhook.LastDelivery != nil && repo.Status.Webhook.LastDelivery.ID == "delivery-199"
	})
	if n, most := patches.Load(), int64(time.Since(start)/f.h.statuses.interval)+2; n > most {
		t.Errorf("%d updates, wanted at most %d", n, most)
	}
}

func FuzzHandler(f *testing.F) {
	fx := newFixture(f)
	f.Add("push", guid, push(nil))
	f.Add("ping", "", []byte(`{"zen":1}`))
	f.Add("push", "x", []byte(`{"ref":"refs/heads/main","after":"`+strings.Repeat("b", 40)+`","repository":{"clone_url":"https://github.com/acme/shop"}}`))
	f.Fuzz(func(t *testing.T, event, id string, body []byte) {
		r := request(body, shopKey)
		r.Header.Set("X-GitHub-Event", event)
		r.Header.Set("X-GitHub-Delivery", id)
		w := httptest.NewRecorder()
		fx.h.ServeHTTP(w, r)
		switch w.Code {
		case 200, 202, 422, 429: // the last since a fuzzer is faster than any host
		default:
			t.Errorf("an authentic delivery got %d: %s", w.Code, w.Body)
		}
	})
}
