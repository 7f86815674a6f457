package controller_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-pipeline/kubectl-pipeline/manifests"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/controller"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

var server struct {
	sync.Mutex
	cluster *cluster.Cluster
	clients *kube.Clients
}

func TestMain(m *testing.M) {
	code := cluster.Main(m)
	if server.cluster != nil {
		if err := server.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code) //nolint:forbidigo // this is a main
}

// apiServer is a real API server with our CRDs, shared by all tests.
func apiServer(t testing.TB) *kube.Clients {
	t.Helper()
	server.Lock()
	defer server.Unlock()
	if server.clients != nil {
		return server.clients
	}
	c, err := cluster.Start(context.Background(), cluster.Options{APIServerOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	server.cluster = c
	cfg := c.RESTConfig()
	cfg.QPS = -1
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return counting{next} })
	clients, err := kube.NewClients(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := manifests.Objects(manifests.Options{})
	if err != nil {
		t.Fatal(err)
	}
	crds := d.Resource(apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions"))
	for _, doc := range docs {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &obj.Object); err != nil {
			t.Fatal(err)
		}
		if obj.GetKind() != "CustomResourceDefinition" {
			continue
		}
		if _, err := crds.Create(t.Context(), obj, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "CRDs are served", func() error {
		for _, list := range []func() error{
			func() error { _, err := clients.Executions("").List(t.Context(), metav1.ListOptions{}); return err },
			func() error { _, err := clients.Pipelines("").List(t.Context(), metav1.ListOptions{}); return err },
			func() error { _, err := clients.Settings("").List(t.Context(), metav1.ListOptions{}); return err },
			func() error { _, err := clients.Repositories("").List(t.Context(), metav1.ListOptions{}); return err },
			func() error { _, err := clients.Credentials("").List(t.Context(), metav1.ListOptions{}); return err },
			func() error { _, err := clients.Providers("").List(t.Context(), metav1.ListOptions{}); return err },
		} {
			if err := list(); err != nil {
				return err
			}
		}
		return nil
	})
	server.clients = clients
	return clients
}

// writes counts what the API server was asked to change, by verb and kind.
var writes struct {
	sync.Mutex
	by map[string]int
}

type counting struct{ next http.RoundTripper }

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		parts := strings.Split(r.URL.Path, "/")
		kind := parts[len(parts)-1]
		if i := slices.Index(parts, "namespaces"); i >= 0 && i+2 < len(parts) {
			if kind = parts[i+2]; parts[len(parts)-1] == "status" {
				kind += "/status"
			}
		}
		writes.Lock()
		if writes.by == nil {
			writes.by = map[string]int{}
		}
		writes.by[r.Method+" "+kind]++
		writes.Unlock()
	}
	return c.next.RoundTrip(r)
}

// world is a project on the API server, a Jenkins double and the controllers.
type world struct {
	t       testing.TB
	clients *kube.Clients
	jenkins *jenkinstest.Server
	url     string
	project string
	reader  *reader
	clock   clock.WithTicker
	stop    context.CancelFunc
	stopped chan error

	controllers *controller.Controllers // that run, or ran last
}

const pathLogs = "KUBECTL_PIPELINE_TEST_LOG"

// newWorld makes a project that uses a Jenkins double, on a fast clock unless the options
// have another. Controllers are started by start.
func newWorld(t testing.TB, opts jenkinstest.Options, change ...func(*v1alpha1.PipelineSetting)) *world {
	t.Helper()
	w := &world{t: t, clients: apiServer(t), reader: &reader{}, clock: fastClock{time.Now(), 10}}
	if given, ok := opts.Clock.(clock.WithTicker); ok {
		w.clock = given
	}
	opts.Clock = w.clock
	w.jenkins = jenkinstest.New(opts)
	t.Cleanup(w.jenkins.Close)
	httpServer := httptest.NewServer(w.jenkins)
	t.Cleanup(httpServer.Close)
	w.url = httpServer.URL + opts.ContextPath
	w.project = fmt.Sprintf("p%x", time.Now().UnixNano()&0xffffffffff)
	w.must(create(t, w.clients.Namespaces(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.project}}))
	w.must(create(t, w.clients.Secrets(w.project), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "jenkins"},
		StringData: map[string]string{"username": or(opts.User, "admin"), "token": or(opts.Token, "token")}}))
	s := &v1alpha1.PipelineSetting{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.SettingName}}
	s.Spec.Engine.Jenkins = v1alpha1.JenkinsSpec{Mode: v1alpha1.ComponentExternal, URL: w.url, CredentialsSecretRef: &v1alpha1.LocalReference{Name: "jenkins"}}
	for _, c := range change {
		c(s)
	}
	w.must(create(t, w.clients.Settings(w.project), s))
	t.Cleanup(w.wipe)
	return w
}

// start runs the controllers until stop, or the end of the test.
func (w *world) start(change ...func(*controller.Options)) {
	w.t.Helper()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv(pathLogs) != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	o := controller.Options{Clients: w.clients, Reader: w.reader, Log: log, ExternalURL: "https://hookd.example", Clock: w.clock}
	for _, f := range change {
		f(&o)
	}
	c := controller.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- c.Run(ctx) }()
	w.stop, w.stopped, w.controllers = cancel, stopped, c
	w.t.Cleanup(w.halt)
}

func (w *world) halt() {
	if w.stop == nil {
		return
	}
	w.stop()
	select {
	case err := <-w.stopped:
		if err != nil {
			w.t.Errorf("controllers: %v", err)
		}
	case <-time.After(20 * time.Second):
		w.t.Error("controllers do not end")
	}
	w.stop = nil
}

// wipe removes what the controllers of later tests would work on.
func (w *world) wipe() {
	ctx := context.Background()
	all, err := w.clients.Executions(w.project).List(ctx, metav1.ListOptions{})
	if err != nil {
		w.t.Error(err)
		return
	}
	for i := range all.Items {
		e := &all.Items[i]
		_ = w.clients.Executions(w.project).Delete(ctx, e.Name, metav1.DeleteOptions{})
		_, _ = w.clients.Executions(w.project).Patch(ctx, e.Name, "application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	}
	_ = w.clients.Settings(w.project).Delete(ctx, v1alpha1.SettingName, metav1.DeleteOptions{})
}

const oneStep = "stages: [{name: Build, steps: [{name: compile, runScriptConfig: {image: alpine, shellScript: make}}]}]"

func (w *world) pipeline(name, config string, change ...func(*v1alpha1.Pipeline)) {
	w.t.Helper()
	p := &v1alpha1.Pipeline{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.PipelineSpec{Config: config}}
	for _, c := range change {
		c(p)
	}
	w.must(create(w.t, w.clients.Pipelines(w.project), p))
}

func (w *world) run(pipeline, name string, change ...func(*v1alpha1.PipelineExecution)) {
	w.t.Helper()
	e := &v1alpha1.PipelineExecution{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelPhaseClass: v1alpha1.PhaseClassActive}, Finalizers: []string{v1alpha1.Finalizer}},
		Spec:       v1alpha1.PipelineExecutionSpec{PipelineRef: v1alpha1.LocalReference{Name: pipeline}, Trigger: v1alpha1.Trigger{Type: v1alpha1.EventManual}},
	}
	for _, c := range change {
		c(e)
	}
	w.must(create(w.t, w.clients.Executions(w.project), e))
}

func (w *world) get(name string) *v1alpha1.PipelineExecution {
	w.t.Helper()
	e, err := w.clients.Executions(w.project).Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// await waits until an execution is as wanted, and returns it.
func (w *world) await(name, what string, ok func(*v1alpha1.PipelineExecution) bool) *v1alpha1.PipelineExecution {
	w.t.Helper()
	var e *v1alpha1.PipelineExecution
	eventually(w.t, name+" "+what, func() error {
		var err error
		if e, err = w.clients.Executions(w.project).Get(w.t.Context(), name, metav1.GetOptions{}); err != nil {
			return err
		}
		if !ok(e) {
			return fmt.Errorf("it is %s: %s: %s", e.Status.Phase, e.Status.Reason, e.Status.Message)
		}
		return nil
	})
	return e
}

func (w *world) awaitPhase(name string, phase v1alpha1.Phase) *v1alpha1.PipelineExecution {
	w.t.Helper()
	return w.await(name, "is "+string(phase), func(e *v1alpha1.PipelineExecution) bool { return e.Status.Phase == phase })
}

func (w *world) awaitFinished(name string) *v1alpha1.PipelineExecution {
	w.t.Helper()
	return w.await(name, "is finished and let go", func(e *v1alpha1.PipelineExecution) bool {
		return e.Labels[v1alpha1.LabelPhaseClass] == v1alpha1.PhaseClassFinished
	})
}

func (w *world) control(name string, c v1alpha1.Control) {
	w.t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"control":%q}}`, c)
	if _, err := w.clients.Executions(w.project).Patch(w.t.Context(), name, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) awaitGone(name string) {
	w.t.Helper()
	eventually(w.t, name+" is gone", func() error {
		_, err := w.clients.Executions(w.project).Get(w.t.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("still there: %v", err)
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

type creator[T kube.Object] interface {
	Create(ctx context.Context, obj T, opts metav1.CreateOptions) (T, error)
}

func create[T kube.Object](t testing.TB, c creator[T], obj T) error {
	t.Helper()
	_, err := c.Create(t.Context(), obj, metav1.CreateOptions{})
	return err
}

// eventually polls until ok returns nil, and fails with its last error.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	eventuallyWithin(t, 30*time.Second, what, ok)
}

func eventuallyWithin(t testing.TB, limit time.Duration, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for pause := 10 * time.Millisecond; ; pause = min(pause*5/4, 80*time.Millisecond) { // many wait at once: it must cost little
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited for: %s; %v", what, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(pause):
		}
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// reader is a Git host of one commit, which fails as told.
type reader struct {
	mu      sync.Mutex
	files   map[string]string
	err     error
	commits map[string]string
	seen    []scm.Repository
}

func (r *reader) set(f func(*reader)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r)
}

func (r *reader) Resolve(_ context.Context, repo scm.Repository, ref string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, repo)
	if r.err != nil {
		return "", r.err
	}
	if c := r.commits[ref]; c != "" {
		return c, nil
	}
	return "", &scm.Error{Kind: scm.KindNotFound, Missing: scm.MissingRef, Message: "no ref " + ref}
}

// File looks for "<commit>:<path>" before it looks for the path at any commit.
func (r *reader) File(_ context.Context, repo scm.Repository, commit string, paths []string) (string, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, repo)
	if r.err != nil {
		return "", "", r.err
	}
	for _, p := range paths {
		if text, ok := r.files[commit+":"+p]; ok {
			return p, text, nil
		}
		if text, ok := r.files[p]; ok {
			return p, text, nil
		}
	}
	return "", "", &scm.Error{Kind: scm.KindNotFound, Missing: scm.MissingFile, Message: "no file " + strings.Join(paths, ", ")}
}
