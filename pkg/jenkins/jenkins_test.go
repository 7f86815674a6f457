package jenkins_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a double and a client that talks to it over HTTP.
type pair struct {
	*jenkins.Client
	double *jenkinstest.Server
	url    string
}

func newPair(t *testing.T, opts jenkinstest.Options, edit ...func(*jenkins.Config)) pair {
	t.Helper()
	double := jenkinstest.New(opts)
	srv := httptest.NewServer(double)
	cfg := jenkins.Config{BaseURL: srv.URL + opts.ContextPath, User: opts.User, Token: opts.Token, Timeout: 10 * time.Second}
	for _, e := range edit {
		e(&cfg)
	}
	c := newClient(t, cfg)
	t.Cleanup(func() {
		c.Close()
		srv.Close()
		double.Close()
	})
	return pair{c, double, srv.URL}
}

func newClient(t *testing.T, cfg jenkins.Config) *jenkins.Client {
	t.Helper()
	c, err := jenkins.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rawPair is a client whose Jenkins is one function.
func rawPair(t *testing.T, h http.HandlerFunc, edit ...func(*jenkins.Config)) *jenkins.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	cfg := jenkins.Config{BaseURL: srv.URL, Timeout: 10 * time.Second}
	for _, e := range edit {
		e(&cfg)
	}
	c := newClient(t, cfg)
	t.Cleanup(func() {
		c.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	return c
}

var ref = jenkins.JobRef{Folder: "shop", Name: "app-1a2b3c"}

func job(script string) jenkins.Job { return jenkins.Job{Ref: ref, UID: "uid-1", Script: script} }

// pipelineOf wraps steps into what a compiled pipeline starts with.
func pipelineOf(body string) string {
	return "podTemplate(cloud: 'kubernetes', namespace: 'ci', slaveConnectTimeout: 600, showRawYaml: false, yaml: 'apiVersion: v1\\nkind: Pod\\n') {\n" +
		"  node(POD_LABEL) {\n" + body + "\n  }\n}\n"
}

const oneStep = "stage('1 Build') {\n  stage('1.1 make') {\n    container('golang') {\n      sh(label: 'make', script: 'make')\n    }\n  }\n}"

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			t.Fatalf("%s did not happen within 20 s", what)
		case <-tick.C:
		}
	}
}

// start makes the job and starts its first build.
func (p pair) start(t *testing.T, script string) {
	t.Helper()
	ctx := context.Background()
	must[bool](t)(p.EnsureJob(ctx, job(script)))
	must[jenkins.Queued](t)(p.Start(ctx, ref, jenkins.Params{UID: "uid-1", Attempt: 1}))
}

func (p pair) finished(t *testing.T) jenkins.Build {
	t.Helper()
	var b jenkins.Build
	eventually(t, "the end of the build", func() bool {
		var err error
		b, err = p.Build(context.Background(), ref, 1)
		if err != nil && !jenkins.IsNotFound(err) {
			t.Fatal(err)
		}
		return err == nil && !b.Building
	})
	return b
}

func (p pair) log(t *testing.T) string {
	t.Helper()
	return p.double.Builds(ref.String())[0].Log
}

// neverAgents has no agents for anybody.
type neverAgents struct{}

func (neverAgents) Provision(ctx context.Context, _ jenkinstest.NodeRequest, _ io.Writer) (jenkinstest.Agent, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (neverAgents) Close() error { return nil }

func xerror(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Error", text)
		w.Header().Set("X-Jenkins-Session", "abcd1234")
		w.WriteHeader(http.StatusBadRequest)
	}
}
