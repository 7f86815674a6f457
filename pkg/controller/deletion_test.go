package controller_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestDeletionLeavesNothing(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "runs")
	w.awaitPhase("runs", v1alpha1.PhaseRunning)
	g.open("ended")
	w.run("app", "ended")
	w.awaitFinished("ended")
	if jobs := w.jenkins.Jobs(); len(jobs) != 2 {
		t.Errorf("jobs = %v: a finished run keeps its job, for its log", jobs)
	}
	for _, name := range []string{"runs", "ended"} {
		w.must(w.clients.Executions(w.project).Delete(t.Context(), name, metav1.DeleteOptions{}))
		w.awaitGone(name)
	}
	if jobs, queue := w.jenkins.Jobs(), w.jenkins.Queue(); len(jobs)+len(queue) != 0 {
		t.Errorf("jobs = %v, queue = %v after the deletion", jobs, queue)
	}
}

func TestDeletionIsNoticedAfterARestart(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitFinished("a")
	w.halt()
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "a", metav1.DeleteOptions{}))
	w.start()
	w.awaitGone("a")
	if jobs := w.jenkins.Jobs(); len(jobs) != 0 {
		t.Errorf("jobs = %v", jobs)
	}
}

func TestForceRemove(t *testing.T) {
	w, _ := newRunningWorld(t)
	w.jenkins.SetDown(true)
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "a", metav1.DeleteOptions{}))
	eventually(t, "an event says what holds it", func() error {
		events, err := w.clients.Events(w.project).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=a"})
		if err != nil {
			return err
		}
		for _, ev := range events.Items {
			if strings.Contains(ev.Message, v1alpha1.AnnotationForceRemove) {
				return nil
			}
		}
		return errors.New("no such event")
	})
	w.get("a")
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"true"}}}`, v1alpha1.AnnotationForceRemove)
	if _, err := w.clients.Executions(w.project).Patch(t.Context(), "a", "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.awaitGone("a")
	w.awaitEvent("a", v1alpha1.ReasonEngineLost, "left behind at "+w.url)
}
