package controller_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func (w *world) use(url string) {
	w.t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"engine":{"jenkins":{"url":%q}}}}`, url)
	if _, err := w.clients.Settings(w.project).Patch(w.t.Context(), v1alpha1.SettingName, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// another is a second Jenkins.
func (w *world) another(opts jenkinstest.Options) (*jenkinstest.Server, string) {
	w.t.Helper()
	opts.Clock = w.clock
	double := jenkinstest.New(opts)
	w.t.Cleanup(double.Close)
	srv := httptest.NewServer(double)
	w.t.Cleanup(srv.Close)
	return double, srv.URL
}

// TestJenkinsIsChangedMidRun: what was started at one Jenkins is followed and ended there,
// and what begins later begins at the other.
func TestJenkinsIsChangedMidRun(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()}, quota(0))
	second, url := w.another(jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep)
	for _, name := range []string{"a", "b", "c"} {
		w.run("app", name)
		w.awaitPhase(name, v1alpha1.PhaseRunning)
	}
	w.use(url)
	w.run("app", "d")
	w.awaitPhase("d", v1alpha1.PhaseRunning)
	w.control("a", v1alpha1.ControlStop)
	w.awaitPhase("a", v1alpha1.PhaseAborted)
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "c", metav1.DeleteOptions{}))
	w.awaitGone("c")
	if jobs := w.jenkins.Jobs(); len(jobs) != 2 || len(second.Jobs()) != 1 {
		t.Errorf("jobs = %v at the first, %v at the second", jobs, second.Jobs())
	}
	g.open("b")
	if e := w.awaitPhase("b", v1alpha1.PhaseSucceeded); e.Status.Engine.Server != w.url {
		t.Errorf("engine = %+v", e.Status.Engine)
	}
	g.open("d")
	w.awaitPhase("d", v1alpha1.PhaseSucceeded)
	// Now nothing runs at the first any more, and it is not known: what ended there lets go.
	w.awaitFinished("b")
	w.halt()
	w.start()
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "b", metav1.DeleteOptions{}))
	w.awaitGone("b")
	w.awaitEvent("b", v1alpha1.ReasonEngineLost, "left behind at "+w.url)
}

// TestJenkinsIsChangedAndBack: whoever is put aside may be wanted again.
func TestJenkinsIsChangedAndBack(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()}, quota(0))
	second, url := w.another(jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep)
	for _, r := range []struct{ name, at string }{{"a", w.url}, {"b", url}, {"c", w.url}} {
		w.use(r.at)
		w.run("app", r.name)
		if e := w.awaitPhase(r.name, v1alpha1.PhaseRunning); e.Status.Engine.Server != r.at {
			t.Errorf("%s was started at %s, want %s", r.name, e.Status.Engine.Server, r.at)
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		g.open(name)
		w.awaitPhase(name, v1alpha1.PhaseSucceeded)
	}
	if first, other := len(w.jenkins.Builds()), len(second.Builds()); first != 2 || other != 1 {
		t.Errorf("%d builds at the first and %d at the second, want 2 and 1", first, other)
	}
}

// TestJenkinsIsChangedWhileNobodyLooks: a process that never knew the first Jenkins takes
// the run for neither lost nor to be started, whatever the second one shows.
func TestJenkinsIsChangedWhileNobodyLooks(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()}, quota(0))
	second, url := w.another(jenkinstest.Options{Agents: g.agents()})
	w.jenkins.Spoil(jenkinstest.Fault{Path: "buildWithParameters", DropAfter: true, Skip: 1})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.run("app", "b") // its answer is lost
	eventually(t, "both builds", func() error {
		if n := len(w.jenkins.Builds()); n != 2 {
			return fmt.Errorf("%d builds", n)
		}
		return nil
	})
	w.halt()
	w.use(url)
	w.start()
	for _, name := range []string{"a", "b"} {
		w.await(name, "says where it was started", func(e *v1alpha1.PipelineExecution) bool {
			return e.Status.Reason == v1alpha1.ReasonEngineUnavailable && strings.Contains(e.Status.Message, "was started at "+w.url)
		})
	}
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "a", metav1.DeleteOptions{}))
	w.awaitEvent("a", v1alpha1.ReasonEngineUnavailable, v1alpha1.AnnotationForceRemove)
	if jobs := second.Jobs(); len(jobs) != 0 {
		t.Errorf("the second Jenkins has %v", jobs)
	}
	w.use(w.url)
	w.awaitGone("a")
	g.open("b")
	w.awaitPhase("b", v1alpha1.PhaseSucceeded)
	if b := w.jenkins.Builds(); len(b) != 1 {
		t.Errorf("builds = %+v, want that of b", b)
	}
}

// TestJenkinsMoves: the same one, under another address.
func TestJenkinsMoves(t *testing.T) {
	w, g := newRunningWorld(t)
	w.halt()
	moved := strings.Replace(w.url, "127.0.0.1", "localhost", 1)
	w.use(moved)
	w.start()
	w.await("a", "is found", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Engine.Server == moved })
	g.open("a")
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
	if b := w.jenkins.Builds(); len(b) != 1 {
		t.Errorf("builds = %+v", b)
	}
}
