package cli

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestRunCreates(t *testing.T) {
	for name, c := range map[string]struct {
		args  string
		in    string
		setup func(*v1alpha1.Pipeline)
		want  v1alpha1.PipelineExecutionSpec
	}{
		"the default branch of the repository": {
			args: "run app",
			want: v1alpha1.PipelineExecutionSpec{Source: &v1alpha1.Source{RepositoryURL: "https://git.example.com/app.git", Branch: "trunk", Ref: "refs/heads/trunk"}},
		},
		"the pipeline's branch before the repository's": {
			args: "run pipeline/app", setup: func(p *v1alpha1.Pipeline) { p.Spec.Branch = "main" },
			want: v1alpha1.PipelineExecutionSpec{Source: &v1alpha1.Source{RepositoryURL: "https://git.example.com/app.git", Branch: "main", Ref: "refs/heads/main"}},
		},
		"a branch, a commit and a parameter": {
			args: "start app --branch release/1.2 --commit 1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d -p target=prod",
			want: v1alpha1.PipelineExecutionSpec{
				Source:     &v1alpha1.Source{RepositoryURL: "https://git.example.com/app.git", Branch: "release/1.2", Ref: "refs/heads/release/1.2", Commit: "1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d"},
				Parameters: []v1alpha1.Parameter{{Name: "target", Value: "prod"}},
			},
		},
		"a tag": {
			args: "run app --tag v1.2",
			want: v1alpha1.PipelineExecutionSpec{Source: &v1alpha1.Source{RepositoryURL: "https://git.example.com/app.git", Tag: "v1.2", Ref: "refs/tags/v1.2"}},
		},
		"no source of a pipeline without a repository": {
			args: "run app", setup: func(p *v1alpha1.Pipeline) { p.Spec.RepositoryRef = nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := populated(t)
			if c.setup != nil {
				pl := samplePipeline("app")
				c.setup(pl)
				w.api.put(pipelinesResource, pl)
			}
			w.in = c.in
			got := w.run(strings.Fields(c.args)...)
			run, ok := strings.CutSuffix(strings.TrimPrefix(got.out, "pipelineexecution.kubectl-pipeline.io/"), " created\n")
			if got.code != 0 || !ok {
				t.Fatalf("%+v", got)
			}
			pe := w.api.execution(run)
			c.want.PipelineRef.Name, c.want.Control = "app", v1alpha1.ControlRun
			c.want.Trigger = v1alpha1.Trigger{Type: v1alpha1.EventManual, User: "ann"}
			if diff := cmp.Diff(c.want, pe.Spec); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
			if pe.Labels[v1alpha1.LabelPipeline] != "app" || pe.Labels[v1alpha1.LabelPhaseClass] != v1alpha1.PhaseClassActive {
				t.Errorf("labels %v", pe.Labels)
			}
			if diff := cmp.Diff([]string{v1alpha1.Finalizer}, pe.Finalizers); diff != "" {
				t.Errorf("finalizers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunUserIsTheKubeconfigsWhenTheServerDoesNotSay(t *testing.T) {
	w := populated(t)
	w.api.fault = func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "selfsubjectreviews") {
			status(rw, 403, "Forbidden", "no", r.URL.Path)
			return true
		}
		return false
	}
	got := w.run("run", "app", "-o", "jsonpath={.spec.trigger.user}")
	if got.out != "local-ann\n" {
		t.Errorf("%+v", got)
	}
}

func TestRunOfASuspendedPipelineSaysSo(t *testing.T) {
	w := populated(t)
	pl := samplePipeline("app")
	pl.Spec.Suspend = true
	w.api.put(pipelinesResource, pl)
	if got := w.run("run", "app"); got.code != 0 || !strings.Contains(got.err, "suspended") {
		t.Errorf("%+v", got)
	}
}

func TestDryRun(t *testing.T) {
	w := populated(t)
	client := w.run("run", "app", "--dry-run=client", "-o", "yaml")
	if client.code != 0 || !strings.Contains(client.out, "kind: PipelineExecution") || w.api.seen("POST /apis/kubectl-pipeline.io") != 0 {
		t.Errorf("client: %+v %v", client, w.api.requests)
	}
	server := w.run("run", "app", "--dry-run=server")
	if server.code != 0 || !strings.HasSuffix(server.out, " created (server dry run)\n") || w.api.seen("POST /apis/kubectl-pipeline.io") != 1 {
		t.Errorf("server: %+v %v", server, w.api.requests)
	}
	if runs := w.run("runs", "app", "-o", "name"); strings.Count(runs.out, "\n") != 3 {
		t.Errorf("a dry run was stored:\n%s", runs.out)
	}
}

func TestRunIsStoredOnce(t *testing.T) {
	for name, fault := range map[string]func(w *world, n int, rw http.ResponseWriter, r *http.Request) bool{
		"the answer is lost": func(w *world, n int, _ http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				w.api.mu.Lock()
				fault := w.api.fault
				w.api.fault = nil
				w.api.mu.Unlock()
				w.api.ServeHTTP(discard{}, r) // it is stored
				w.api.mu.Lock()
				w.api.fault = fault
				w.api.mu.Unlock()
				panic(http.ErrAbortHandler)
			}
			return false
		},
		"the request is lost": func(_ *world, n int, _ http.ResponseWriter, _ *http.Request) bool {
			if n <= 2 {
				panic(http.ErrAbortHandler)
			}
			return false
		},
		"the server is busy": func(_ *world, n int, rw http.ResponseWriter, r *http.Request) bool {
			if n <= 2 {
				status(rw, 500, "InternalError", "etcdserver: leader changed", r.URL.Path)
				return true
			}
			return false
		},
		"the name is taken": func(_ *world, n int, rw http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				status(rw, 409, "AlreadyExists", "taken", r.URL.Path)
				return true
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := populated(t)
			var posts atomic.Int32
			w.api.fault = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, executionsResource) {
					return false
				}
				return fault(w, int(posts.Add(1)), rw, r)
			}
			got := w.run("run", "app", "-o", "name")
			if got.code != 0 {
				t.Fatalf("%+v", got)
			}
			runs := w.run("runs", "app", "-o", "name")
			if strings.Count(runs.out, "\n") != 4 || !strings.Contains(runs.out, got.out) {
				t.Errorf("said %q; there are:\n%s", got.out, runs.out)
			}
		})
	}
}

type discard struct{}

func (discard) Header() http.Header { return http.Header{} }

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func (discard) WriteHeader(int) {}

func TestRerunCopiesWhatWasRun(t *testing.T) {
	w := populated(t)
	got := w.run("rerun", "app#11", "-o", "jsonpath={.metadata.name}")
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	old, pe := w.api.execution("app-bbbbbb"), w.api.execution(strings.TrimSpace(got.out))
	want := old.Spec
	want.Run, want.Control = 0, v1alpha1.ControlRun
	want.Trigger = v1alpha1.Trigger{Type: v1alpha1.EventRerun, User: "ann", RerunOf: "app-bbbbbb"}
	if diff := cmp.Diff(want, pe.Spec, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}
