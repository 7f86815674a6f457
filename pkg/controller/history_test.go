package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/controller"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// laterClock is ahead of another.
type laterClock struct {
	clock.WithTicker
	by time.Duration
}

func (c laterClock) Now() time.Time                  { return c.WithTicker.Now().Add(c.by) }
func (c laterClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// TestRunsOfAPipelineThatIsGone are kept for a week, then deleted, also when it went while
// nobody looked. A pipeline whose name is too long for a label is not taken for gone.
func TestRunsOfAPipelineThatIsGone(t *testing.T) {
	long := strings.Repeat("long-", 20) + "app"
	w := newWorld(t, jenkinstest.Options{})
	w.start()
	for i, name := range []string{"app", "kept", long} {
		w.pipeline(name, oneStep)
		w.run(name, fmt.Sprintf("r%d", i))
		w.awaitFinished(fmt.Sprintf("r%d", i))
	}
	w.must(w.clients.Pipelines(w.project).Delete(t.Context(), "app", metav1.DeleteOptions{}))
	w.halt()
	later := func(by time.Duration) func(*controller.Options) {
		return func(o *controller.Options) { o.Clock = laterClock{w.clock, by} }
	}
	w.start(later(pipeline.OrphanTTL - time.Hour))
	w.run("kept", "another")
	w.awaitFinished("another")
	w.get("r0")
	w.halt()
	w.start(later(pipeline.OrphanTTL + time.Hour))
	w.awaitGone("r0")
	w.run("kept", "third")
	w.awaitFinished("third")
	w.get("r1")
	w.get("r2")
	if jobs := w.jenkins.Jobs(); len(jobs) != 4 {
		t.Errorf("jobs = %v, want those of the four runs that are kept", jobs)
	}
	if e := w.get("r2"); e.Labels[v1alpha1.LabelPipeline] == long {
		t.Errorf("label %s is no hash", e.Labels[v1alpha1.LabelPipeline])
	}
}

func TestHistoryIsLimited(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{}, quota(0))
	w.start()
	one := int32(1)
	w.pipeline("app", oneStep, func(p *v1alpha1.Pipeline) { p.Spec.History = &v1alpha1.History{Succeeded: &one} })
	for _, name := range []string{"c", "b", "a"} { // all within a second, maybe
		w.run("app", name)
		w.awaitPhase(name, v1alpha1.PhaseSucceeded)
	}
	w.awaitGone("c")
	w.awaitGone("b")
	w.get("a")
	if jobs := w.jenkins.Jobs(); len(jobs) != 1 {
		t.Errorf("jobs = %v, want that of a", jobs)
	}
}
