package cli

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func samplePipeline(name string) *v1alpha1.Pipeline {
	def := "dev"
	pl := &v1alpha1.Pipeline{}
	pl.APIVersion, pl.Kind = v1alpha1.SchemeGroupVersion.String(), "Pipeline"
	pl.Name, pl.Namespace, pl.CreationTimestamp = name, testNamespace, *ago(72 * time.Hour)
	pl.Spec.RepositoryRef = &v1alpha1.LocalReference{Name: "app-repo"}
	pl.Spec.Parameters = []v1alpha1.ParameterSpec{{Name: "target", Type: v1alpha1.ParameterChoice, Choices: []string{"dev", "prod"}, Default: &def}}
	pl.Spec.Triggers = &v1alpha1.Triggers{Push: &v1alpha1.PushTrigger{Branches: &v1alpha1.Filter{Include: []string{"main", "release/**"}}}}
	return pl
}

func sampleRepository() *v1alpha1.SourceCodeRepository {
	r := &v1alpha1.SourceCodeRepository{}
	r.APIVersion, r.Kind = v1alpha1.SchemeGroupVersion.String(), "SourceCodeRepository"
	r.Name, r.Namespace = "app-repo", testNamespace
	r.Spec.URL, r.Spec.DefaultBranch = "https://git.example.com/app.git", "trunk"
	return r
}

// populated is a project with two pipelines and some runs.
func populated(t *testing.T) *world {
	w := newWorld(t)
	app := samplePipeline("app")
	app.Status.LastExecution = &v1alpha1.ExecutionSummary{Name: "app-x7k2pq", Run: 12, Phase: v1alpha1.PhaseRunning, StartedAt: ago(72 * time.Second)}
	app.Status.RecentNodes = []v1alpha1.RecentNode{{Name: "node-a", Run: 12}, {Name: "node-b", Run: 11}}
	app.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready"}}
	w.api.put(pipelinesResource, app)
	w.api.put(pipelinesResource, samplePipeline("web"))
	w.api.put(repositoriesResource, sampleRepository())
	w.api.put(executionsResource, sampleRun())
	old := failedRun()
	old.Name, old.Spec.Run, old.UID, old.CreationTimestamp = "app-bbbbbb", 11, "uid-11", *ago(3 * time.Hour)
	old.Spec.Parameters = []v1alpha1.Parameter{{Name: "target", Value: "prod"}}
	old.Spec.Config = "stages: []\n"
	w.api.put(executionsResource, old)
	older := failedRun()
	older.Name, older.Spec.Run, older.UID, older.CreationTimestamp = "app-aaaaaa", 10, "uid-10", *ago(26 * time.Hour)
	older.Status.Phase, older.Status.Reason, older.Spec.Source.Branch = v1alpha1.PhaseSucceeded, v1alpha1.ReasonSucceeded, "release/1.2"
	older.Labels[v1alpha1.LabelBranchHash] = v1alpha1.ShortHash("release/1.2")
	w.api.put(executionsResource, older)
	return w
}

// TestScreens: what every reading verb prints, reviewed as text.
func TestScreens(t *testing.T) {
	var b strings.Builder
	for _, args := range []string{
		"list", "list -o wide", "list -A", "list -o name", "get -o jsonpath={.items[*].metadata.name}",
		"runs", "runs app", "ps app -o wide", "runs app --phase failed,aborted", "runs app --branch release/1.2 --no-headers",
		"runs --limit 1", "runs web", "runs -A -o name",
		"describe app", "describe web", "describe app#12", "describe app-bbbbbb", "describe app#10 -o jsonpath={.status.phase}",
	} {
		w := populated(t)
		got := w.run(strings.Fields(args)...)
		fmt.Fprintf(&b, "$ kubectl pipeline %s\n%s", args, got.out)
		for line := range strings.Lines(got.err) {
			b.WriteString("stderr: " + line)
		}
		if got.code != 0 {
			fmt.Fprintf(&b, "exit code %d\n", got.code)
		}
		b.WriteString("\n")
	}
	golden(t, "screens.golden", b.String())
}

// TestMistakes: each error says what is wrong and what to do, and nothing reaches
// standard output.
func TestMistakes(t *testing.T) {
	var b strings.Builder
	for _, args := range []string{
		"rum", "runs --phase done", "list -o table=x", "describe ap", "describe zzz", "describe app#99", "run ap",
		"run app/x", "run app#1", "run app --commit 1a2b3c4", "run app -p target=stage", "run app -p target", "run app --branch a --tag b",
		"run app --dry-run=maybe", "run app --timeout 5m", "run app --logs -o json", "run app --nope", "logs", "logs web",
		"cancel app", "cancel pipeline/app", "rerun web", "watch @newest", "lint /does/not/exist", "describe ../secrets", "runs web --color pink",
		"run app --wait --dry-run", "watch app#12 --on-interrupt explode", "cancel app#12 --timeout 3s",
	} {
		w := populated(t)
		got := w.run(strings.Fields(args)...)
		fmt.Fprintf(&b, "$ kubectl pipeline %s\n%s\n", args, strings.ReplaceAll(got.err, w.api.URL, "SERVER"))
		if got.code != exitError || got.out != "" {
			t.Errorf("%s: exit code %d, standard output %q", args, got.code, got.out)
		}
		if !strings.HasPrefix(got.err, "error: ") {
			t.Errorf("%s: standard error %q", args, got.err)
		}
		if n := w.api.seen("POST") + w.api.seen("PATCH"); n > 1 { // one may be the SelfSubjectReview
			t.Errorf("%s: wrote to the API server: %v", args, w.api.requests)
		}
	}
	golden(t, "mistakes.golden", b.String())
}

// TestServerErrors: what the API server or the way to it says, in a person's words.
func TestServerErrors(t *testing.T) {
	answer := func(code int, reason, message string) func(*world) {
		return func(w *world) {
			w.api.fault = func(rw http.ResponseWriter, r *http.Request) bool {
				status(rw, code, reason, message, r.URL.Path)
				return true
			}
		}
	}
	for name, c := range map[string]struct {
		break_   func(*world)
		want     string
		wantHint string
	}{
		"nobody listens": {func(w *world) { w.api.Close() }, "was refused", "--context"},
		"the CRDs are missing": {func(w *world) {
			w.api.fault = func(rw http.ResponseWriter, _ *http.Request) bool {
				http.Error(rw, "404 page not found", 404)
				return true
			}
		}, "does not serve kubectl-pipeline.io/v1alpha1", "kubectl pipeline install"},
		"the token is bad":    {answer(401, "Unauthorized", "Unauthorized"), "you must be logged in to the server", "kubectl config view"},
		"it is forbidden":     {answer(403, "Forbidden", `pipelines.kubectl-pipeline.io is forbidden: User "ann" cannot list`), "cannot list", "auth can-i"},
		"the server is dying": {answer(500, "InternalError", "etcd is sad"), "etcd is sad", ""},
		"an answer that is no JSON": {func(w *world) {
			w.api.fault = func(rw http.ResponseWriter, _ *http.Request) bool {
				reply(rw, 200, "<html>login</html>")
				return true
			}
		}, "decode", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := populated(t)
			c.break_(w)
			got := w.run("list")
			if got.code != exitError || got.out != "" || !strings.Contains(got.err, c.want) || !strings.Contains(got.err, c.wantHint) {
				t.Errorf("exit code %d, standard output %q, standard error:\n%s", got.code, got.out, got.err)
			}
			if (c.wantHint != "") != strings.Contains(got.err, "\nhint: ") {
				t.Errorf("hint wanted: %v\n%s", c.wantHint != "", got.err)
			}
		})
	}
}

func TestNoClusterConfigured(t *testing.T) {
	w := newWorld(t)
	w.kubecfg = w.t.TempDir() + "/none"
	if got := w.run("list"); got.code != exitError || !strings.HasPrefix(got.err, "error: ") {
		t.Errorf("%+v", got)
	}
}

// TestRequests: every command is as few requests as it looks.
func TestRequests(t *testing.T) {
	for args, want := range map[string]int{
		"list": 1, "runs": 1, "runs app": 1, "describe app-bbbbbb -o json": 2, "describe app": 2, "describe app#12": 1,
		"run app": 4, "cancel run/app-x7k2pq": 2, "version --client": 0, "help": 0, "install --export": 0, "completion bash": 0,
		"__complete describe ": 1, "__complete logs app": 1, "rerun run/app-bbbbbb": 4,
	} {
		w := populated(t)
		parts := strings.Fields(args)
		if strings.HasSuffix(args, " ") {
			parts = append(parts, "")
		}
		if got := w.run(parts...); got.code != 0 {
			t.Errorf("%s: %+v", args, got)
		}
		if n := len(w.api.requests); n != want {
			t.Errorf("%s: %d requests, want %d:\n%s", args, n, want, strings.Join(w.api.requests, "\n"))
		}
	}
}

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

// TestRunIsStoredOnce: a lost answer is not a lost run, and never two.
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
			n := 0
			w.api.fault = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, executionsResource) {
					return false
				}
				n++
				return fault(w, n, rw, r)
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

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

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

func TestCancel(t *testing.T) {
	w := populated(t)
	got := w.run("stop", "app#12", "app#11")
	if got.code != 0 || got.out != "pipelineexecution.kubectl-pipeline.io/app-x7k2pq asked to stop\n" || !strings.Contains(got.err, "run app#11 is over already: Failed") {
		t.Errorf("%+v", got)
	}
	if c := w.api.execution("app-x7k2pq").Spec.Control; c != v1alpha1.ControlStop {
		t.Errorf("control %q", c)
	}
	if c := w.api.execution("app-bbbbbb").Spec.Control; c == v1alpha1.ControlStop {
		t.Error("a finished run was changed")
	}
	if got := w.run("cancel", "app#99", "app#12"); got.code != exitError || !strings.Contains(got.out, "app-x7k2pq") {
		t.Errorf("one that fails must not hold back the others: %+v", got)
	}
}

// TestExitCodes: the result decides, on every way of waiting.
func TestExitCodes(t *testing.T) {
	for phase, want := range map[v1alpha1.Phase]int{v1alpha1.PhaseSucceeded: 0, v1alpha1.PhaseFailed: exitFailed, v1alpha1.PhaseAborted: exitAborted} {
		for _, args := range []string{
			"run app -w", "run app --wait", "run app --logs", "run app -w -o json", "run app --wait -o name", "rerun app#11 -w",
			"watch app#12", "wait app#12", "wait app#12 app#12", "logs app#12 -f",
		} {
			t.Run(fmt.Sprint(phase, " ", args), func(t *testing.T) {
				w := populated(t)
				w.api.fault = logFault(w, "hello\n")
				end := func(c *watchConn) {
					name := strings.TrimPrefix(c.r.URL.Query().Get("fieldSelector"), "metadata.name=")
					pe := w.api.execution(name)
					pe.Status.Phase, pe.Status.Engine = phase, &v1alpha1.EngineStatus{Build: 1}
					w.api.put(executionsResource, pe)
					c.serve(nil)
				}
				w.api.watches = []func(*watchConn){end, end}
				got := w.run(strings.Fields(args)...)
				if got.code != want {
					t.Errorf("exit code %d, want %d\n%s%s", got.code, want, got.out, got.err)
				}
				if (want == 0) == strings.Contains(got.err, "error: ") {
					t.Errorf("standard error: %s", got.err)
				}
				if strings.Contains(args, "-o json") && (!strings.HasPrefix(got.out, "{") || strings.Count(got.out, `"kind"`) != 1) {
					t.Errorf("standard output is not one document:\n%s", got.out)
				}
				if strings.Contains(args, "log") && !strings.Contains(got.out, "hello\n") {
					t.Errorf("no log:\n%s", got.out)
				}
				again := populated(t)
				again.api.fault = logFault(again, "hello\n")
				again.api.watches = []func(*watchConn){end, end}
				w = again
				if got := w.run(append(strings.Fields(args), "--exit-zero")...); got.code != 0 {
					t.Errorf("--exit-zero: exit code %d\n%s", got.code, got.err)
				}
			})
		}
	}
}

func TestTimeout(t *testing.T) {
	w := populated(t)
	got := w.run("watch", "app#12", "--timeout", "20ms")
	if got.code != exitTimeout || !strings.Contains(got.err, "is still Running after 20ms") || !strings.Contains(got.err, "hint: kubectl pipeline watch app-x7k2pq") {
		t.Errorf("%+v", got)
	}
}

func TestInterrupts(t *testing.T) {
	interruptIn := func(w *world, s syscall.Signal) func(*watchConn) {
		return func(c *watchConn) {
			w.signals <- s
			c.serve(nil)
		}
	}
	t.Run("Ctrl-C leaves the run going", func(t *testing.T) {
		w := populated(t)
		w.api.watches = []func(*watchConn){interruptIn(w, syscall.SIGINT)}
		got := w.run("watch", "app#12")
		if got.code != exitDetached || !strings.Contains(got.err, "left app#12 running") || !strings.Contains(got.err, "kubectl pipeline watch app-x7k2pq") {
			t.Errorf("%+v", got)
		}
		if c := w.api.execution("app-x7k2pq").Spec.Control; c == v1alpha1.ControlStop {
			t.Error("the run was stopped")
		}
	})
	t.Run("SIGTERM does too", func(t *testing.T) {
		w := populated(t)
		w.api.watches = []func(*watchConn){interruptIn(w, syscall.SIGTERM)}
		if got := w.run("run", "app", "--wait"); got.code != exitDetached {
			t.Errorf("%+v", got)
		}
	})
	t.Run("--on-interrupt=cancel stops it and waits for the end", func(t *testing.T) {
		w := populated(t)
		w.api.watches = []func(*watchConn){interruptIn(w, syscall.SIGINT), func(c *watchConn) {
			pe := w.api.execution("app-x7k2pq")
			if pe.Spec.Control == v1alpha1.ControlStop {
				pe.Status.Phase = v1alpha1.PhaseAborted
				w.api.put(executionsResource, pe)
			}
			c.serve(nil)
		}}
		if got := w.run("watch", "app#12", "--on-interrupt=cancel"); got.code != exitAborted {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a second one ends at once, and gives the terminal back", func(t *testing.T) {
		w := populated(t)
		w.screen = screen{tty: true, width: 80, height: 24}
		w.api.watches = []func(*watchConn){interruptIn(w, syscall.SIGINT), func(c *watchConn) {
			w.signals <- syscall.SIGINT
			c.serve(nil)
		}}
		got := w.run("watch", "app#12", "--on-interrupt=cancel") // it would wait for the run to stop
		if got.code != exitDetached || !strings.HasSuffix(got.out, showCursor) {
			t.Errorf("%d %q %s", got.code, got.out, got.err)
		}
	})
	t.Run("without a run it is a plain interrupt", func(t *testing.T) {
		w := populated(t)
		w.api.fault = func(_ http.ResponseWriter, r *http.Request) bool {
			w.signals <- syscall.SIGINT
			<-r.Context().Done()
			return true
		}
		if got := w.run("list"); got.code != exitInterrupted || got.err != "" {
			t.Errorf("%+v", got)
		}
	})
}

// TestLiveTree: on a terminal the tree is drawn in place and the cursor comes back; in a
// pipe, or a terminal that cannot, it is one line per change.
func TestLiveTree(t *testing.T) {
	end := func(c *watchConn) {
		pe := failedRun()
		c.f.put(executionsResource, pe)
		c.serve(nil)
	}
	for name, c := range map[string]struct {
		screen screen
		env    map[string]string
		live   bool
	}{
		"terminal":      {screen{true, 100, 30}, nil, true},
		"pipe":          {screen{}, nil, false},
		"dumb terminal": {screen{true, 100, 30}, map[string]string{"TERM": "dumb"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := populated(t)
			w.screen = c.screen
			maps.Copy(w.env, c.env)
			w.api.watches = []func(*watchConn){end}
			got := w.run("watch", "app#12")
			if got.code != exitFailed {
				t.Fatalf("%+v", got)
			}
			if c.live {
				if !strings.HasPrefix(got.out, hideCursor) || !strings.HasSuffix(got.out, showCursor) || !strings.Contains(got.out, "\x1b[8A") {
					t.Errorf("%q", got.out)
				}
				return
			}
			if strings.Contains(got.out+got.err, "\x1b") || !strings.Contains(got.out, "12:00:00 app#12 Build/vet Running -> Failed (1m5s): exit 1") {
				t.Errorf("%q", got.out)
			}
		})
	}
}

func TestColor(t *testing.T) {
	tty := screen{true, 80, 24}
	for name, c := range map[string]struct {
		screen screen
		env    map[string]string
		flag   string
		want   bool
	}{
		"on a terminal":                      {tty, nil, "auto", true},
		"not in a pipe":                      {screen{}, nil, "auto", false},
		"not with NO_COLOR":                  {tty, map[string]string{"NO_COLOR": "1"}, "auto", false},
		"an empty NO_COLOR does not count":   {tty, map[string]string{"NO_COLOR": ""}, "auto", true},
		"CLICOLOR_FORCE in a pipe":           {screen{}, map[string]string{"CLICOLOR_FORCE": "1"}, "auto", true},
		"NO_COLOR wins over CLICOLOR_FORCE":  {screen{}, map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, "auto", false},
		"not on a dumb terminal":             {tty, map[string]string{"TERM": "dumb"}, "auto", false},
		"the flag wins over the environment": {screen{}, map[string]string{"NO_COLOR": "1"}, "always", true},
		"never":                              {tty, nil, "never", false},
	} {
		a := &app{getenv: func(k string) string { return c.env[k] }, color: c.flag}
		a.screen = func(io.Writer) screen { return c.screen }
		if got := a.style(nil).color; got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestUnicodeFollowsTheLocale(t *testing.T) {
	for env, want := range map[string]bool{"LANG=en_US.UTF-8": true, "LANG=C": false, "LC_ALL=C,LANG=en_US.utf8": false, "LC_CTYPE=C.utf8": true} {
		vars := map[string]string{}
		for kv := range strings.SplitSeq(env, ",") {
			k, v, _ := strings.Cut(kv, "=")
			vars[k] = v
		}
		a := &app{getenv: func(k string) string { return vars[k] }}
		if got := a.unicode(); got != want {
			t.Errorf("%s: %v", env, got)
		}
	}
}

// TestBrokenPipe: `kubectl pipeline runs | head -1` says nothing; a connection that
// breaks is an error like any other.
func TestBrokenPipe(t *testing.T) {
	for _, args := range []string{"list", "runs -o yaml", "logs app#11", "describe app", "install --export"} {
		w := populated(t)
		w.api.fault = logFault(w, "line\n")
		r, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		var errOut lockedBuffer
		code := w.app(out, &errOut).run(t.Context(), append([]string{"kubectl-pipeline", "--kubeconfig", w.kubecfg}, strings.Fields(args)...), w.signals)
		out.Close()
		if code != exitBrokenPipe || errOut.String() != "" {
			t.Errorf("%s: exit code %d, standard error %q", args, code, errOut.String())
		}
	}
	a := newWorld(t).app(io.Discard, io.Discard)
	if code := a.report(&net.OpError{Op: "write", Err: syscall.EPIPE}, nil); code != exitError {
		t.Errorf("a connection: exit code %d", code)
	}
}
