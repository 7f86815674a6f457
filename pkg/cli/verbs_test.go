package cli

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

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
		"help rum", "watch a b", "list app", "cancel", "completion csh", "list --context nowhere", "list --kubeconfig /does/not/exist",
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

// TestRunIsStoredOnce: a lost answer is not a lost run, and never two.

// TestExitCodes: the result decides, on every way of waiting.

// TestLiveTree: on a terminal the tree is drawn in place and the cursor comes back; in a

// pipe, or a terminal that cannot, it is one line per change.

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
