package controller_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// endModes: a run that is to end, and what it leaves.
var endModes = map[string]func(*testing.T, *modes){
	"J27 a stop is ignored": func(t *testing.T, m *modes) {
		steps := make(stubborn)
		w := m.world(t, jenkinstest.Options{Agents: steps.agents(), StopGrace: time.Hour})
		defer close(steps)
		e := w.running("a")
		w.pod(e, ready)
		w.await("a", "shows its agent", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Agent != nil })
		w.jenkins.Requests()
		w.jenkins.Spoil(jenkinstest.Fault{Method: "POST", Path: "/1/term", Status: 302, Times: -1}) // accepted, and nothing happens
		w.control("a", v1alpha1.ControlStop)
		w.ends("a", v1alpha1.PhaseAborted, v1alpha1.ReasonStopped, "")
		if diff := cmp.Diff([]string{"stop", "term", "kill"}, w.ladder()); diff != "" {
			t.Errorf("rungs (-want +got):\n%s", diff)
		}
		if n := w.podsLeft(); n != 0 {
			t.Errorf("%d pods are left", n)
		}
	},
	"J29 a stop while Jenkins resumes": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{Agents: newGate().agents()})
		e := w.running("a")
		w.pod(e, ready)
		w.jenkins.Restart(jenkinstest.RestartOptions{Resume: time.Minute})
		w.control("a", v1alpha1.ControlStop)
		w.ends("a", v1alpha1.PhaseAborted, v1alpha1.ReasonStopped, "")
		if n := w.podsLeft(); n != 0 {
			t.Errorf("%d pods are left", n)
		}
	},
	"J39 an execution is deleted and its build does not give in": func(t *testing.T, m *modes) {
		steps := make(stubborn)
		w := m.world(t, jenkinstest.Options{Agents: steps.agents(), StopGrace: time.Hour})
		defer close(steps)
		e := w.running("a")
		w.pod(e, ready)
		w.await("a", "shows its agent", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Agent != nil })
		w.remove("a")
		w.jobless()
		if n := w.podsLeft(); n != 0 {
			t.Errorf("%d pods are left", n)
		}
	},
	"J39 an execution is deleted while it waits in the queue": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{})
		w.waiting("a")
		w.remove("a")
		w.jenkins.SetQuiet(false)
		w.jobless()
		if queue := w.jenkins.Queue(); len(queue)+len(w.jenkins.Builds()) != 0 {
			t.Errorf("queue = %v", queue)
		}
	},
	"J39 Jenkins is gone for ever": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{Agents: newGate().agents()})
		w.running("a")
		w.jenkins.SetDown(true)
		w.must(w.clients.Executions(w.project).Delete(t.Context(), "a", metav1.DeleteOptions{}))
		w.awaitEvent("a", v1alpha1.ReasonEngineUnavailable, v1alpha1.AnnotationForceRemove)
		w.get("a")
		patch := []byte(`{"metadata":{"annotations":{"` + v1alpha1.AnnotationForceRemove + `":"true"}}}`)
		_, err := w.clients.Executions(w.project).Patch(t.Context(), "a", "application/merge-patch+json", patch, metav1.PatchOptions{})
		w.must(err)
		w.awaitGone("a")
		w.awaitEvent("a", v1alpha1.ReasonEngineLost, "left behind")
	},
	"R8 a deletion removes job, Secret and pod": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{Agents: newGate().agents()})
		w.must(create(t, w.clients.Secrets(w.project), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"k": "v"}}))
		w.run("app", "a", func(e *v1alpha1.PipelineExecution) {
			e.Spec.Config = "stages: [{name: A, steps: [{runScriptConfig: {image: a, shellScript: b}, envFrom: [{sourceName: s, sourceKey: k, targetKey: K}]}]}]"
		})
		e := w.awaitPhase("a", v1alpha1.PhaseRunning)
		w.pod(e, ready)
		w.await("a", "shows its agent", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Agent != nil })
		_, err := w.clients.Secrets(w.project+"-pipeline").Get(t.Context(), "run-"+string(e.UID), metav1.GetOptions{})
		w.must(err)
		w.remove("a")
		secrets, err := w.clients.Secrets(w.project+"-pipeline").List(t.Context(), metav1.ListOptions{})
		w.must(err)
		if n := w.podsLeft(); n+len(secrets.Items) != 0 {
			t.Errorf("%d pods and %d secrets are left", n, len(secrets.Items))
		}
		w.jobless()
	},
}

// jobless checks that no job is left in Jenkins, not even for a moment.
func (w *world) jobless() {
	w.t.Helper()
	if jobs := w.jenkins.Jobs(); len(jobs) != 0 {
		w.t.Errorf("jobs = %v", jobs)
	}
}
