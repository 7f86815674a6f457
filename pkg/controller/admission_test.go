package controller_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func quota(n int32) func(*v1alpha1.PipelineSetting) {
	return func(s *v1alpha1.PipelineSetting) { s.Spec.Executor.Quota = &n }
}

func TestQuota(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()}, quota(1))
	w.start()
	w.pipeline("app", oneStep)
	waits := func(name string, position int32) {
		t.Helper()
		w.await(name, fmt.Sprintf("waits at position %d", position), func(e *v1alpha1.PipelineExecution) bool {
			return e.Status.Phase == v1alpha1.PhaseQueued && e.Status.Reason == v1alpha1.ReasonWaitingForQuota && e.Status.Queue != nil && e.Status.Queue.Position == position
		})
	}
	w.run("app", "a1")
	w.awaitPhase("a1", v1alpha1.PhaseRunning)
	for i, name := range []string{"a2", "a3", "a4", "a5"} { // equal creation times go by name
		w.run("app", name)
		waits(name, int32(i+1))
	}
	eventually(t, "the setting counts them", func() error {
		s, err := w.clients.Settings(w.project).Get(t.Context(), v1alpha1.SettingName, metav1.GetOptions{})
		if err == nil && (s.Status.Running != 1 || s.Status.Queued != 4) {
			err = fmt.Errorf("running %d, queued %d", s.Status.Running, s.Status.Queued)
		}
		return err
	})
	g.open("a1") // the end of one admits the next
	w.awaitPhase("a2", v1alpha1.PhaseRunning)
	waits("a3", 1)
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "a2", metav1.DeleteOptions{})) // so does its deletion
	w.awaitGone("a2")
	w.awaitPhase("a3", v1alpha1.PhaseRunning)
	waits("a4", 1)
	patch := []byte(`{"spec":{"executor":{"quota":3}}}`) // and a larger quota
	if _, err := w.clients.Settings(w.project).Patch(t.Context(), v1alpha1.SettingName, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.awaitPhase("a4", v1alpha1.PhaseRunning)
	w.awaitPhase("a5", v1alpha1.PhaseRunning)
	for _, name := range []string{"a3", "a4", "a5"} {
		g.open(name)
		w.awaitFinished(name)
	}
}

func TestRunNumbersAreUnique(t *testing.T) {
	const n = 40
	w := newWorld(t, jenkinstest.Options{}, quota(0))
	w.start()
	w.pipeline("app", oneStep, keepAll)
	for i := range n {
		w.run("app", fmt.Sprintf("r%02d", i))
	}
	var numbers []int64
	for i := range n {
		numbers = append(numbers, w.awaitFinished(fmt.Sprintf("r%02d", i)).Spec.Run)
	}
	slices.Sort(numbers)
	for i, got := range numbers {
		if got != int64(i+1) {
			t.Fatalf("numbers = %v", numbers)
		}
	}
	for _, b := range w.jenkins.Builds() {
		if b.Number != 1 {
			t.Errorf("job %s has build %d", b.Job, b.Number)
		}
	}
}

func TestSuperseded(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep, func(p *v1alpha1.Pipeline) {
		p.Spec.Concurrency = &v1alpha1.Concurrency{Policy: v1alpha1.ConcurrencyCancelSuperseded}
	})
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.run("app", "b")
	e := w.awaitFinished("a")
	if e.Status.Phase != v1alpha1.PhaseAborted || e.Status.Reason != v1alpha1.ReasonSuperseded || !strings.Contains(e.Status.Message, "b") {
		t.Errorf("status = %s %s %q", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
	g.open("b")
	w.awaitPhase("b", v1alpha1.PhaseSucceeded)
}
