package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

const itemRead = "hudson.model.Item.Read"

// TestLostPermissionLosesNothing: what the account may not see any more, Jenkins calls not
// found. It is not lost, is not made again, and does not count as deleted.
func TestLostPermissionLosesNothing(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()}, quota(3))
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.run("app", "c")
	w.awaitPhase("c", v1alpha1.PhaseRunning)
	w.jenkins.Deny(itemRead)
	w.run("app", "b")
	for name, phase := range map[string]v1alpha1.Phase{"a": v1alpha1.PhaseRunning, "b": v1alpha1.PhasePending} {
		w.await(name, "says what is missing", func(e *v1alpha1.PipelineExecution) bool {
			return e.Status.Phase == phase && e.Status.Reason == v1alpha1.ReasonEngineUnauthorized && strings.Contains(e.Status.Message, "permission")
		})
	}
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "c", metav1.DeleteOptions{}))
	w.awaitEvent("c", v1alpha1.ReasonEngineUnauthorized, "not removed")
	if jobs := w.jenkins.Jobs(); len(jobs) != 2 {
		t.Errorf("jobs = %v, want those of a and c", jobs)
	}
	w.get("c")
	w.jenkins.Allow(itemRead)
	w.awaitGone("c")
	g.open("a")
	g.open("b")
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
	w.awaitPhase("b", v1alpha1.PhaseSucceeded)
	for _, b := range w.jenkins.Builds() {
		if b.Number != 1 {
			t.Errorf("job %s has build %d", b.Job, b.Number)
		}
	}
}

// awaitEvent waits for a warning about an execution.
func (w *world) awaitEvent(name, reason, text string) {
	w.t.Helper()
	eventually(w.t, "an event about "+name, func() error {
		events, err := w.clients.Events(w.project).List(w.t.Context(), metav1.ListOptions{FieldSelector: "type=Warning,involvedObject.name=" + name})
		if err != nil {
			return err
		}
		for _, ev := range events.Items {
			if ev.Reason == reason && strings.Contains(ev.Message, text) {
				return nil
			}
		}
		return fmt.Errorf("events are %v", events.Items)
	})
}

// neighbour is another project that uses the same Jenkins with the same account.
func (w *world) neighbour() *world {
	w.t.Helper()
	n := *w
	n.project, n.stop = w.project+"-n", nil
	ctx := w.t.Context()
	w.must(create(w.t, w.clients.Namespaces(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n.project}}))
	secret, err := w.clients.Secrets(w.project).Get(ctx, "jenkins", metav1.GetOptions{})
	w.must(err)
	setting, err := w.clients.Settings(w.project).Get(ctx, v1alpha1.SettingName, metav1.GetOptions{})
	w.must(err)
	w.must(create(w.t, w.clients.Secrets(n.project), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "jenkins"}, Data: secret.Data}))
	w.must(create(w.t, w.clients.Settings(n.project), &v1alpha1.PipelineSetting{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.SettingName}, Spec: setting.Spec}))
	w.t.Cleanup(n.wipe)
	return &n
}

// TestOneBadFolder: a folder that Jenkins does not answer for concerns its own project.
func TestOneBadFolder(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	n := w.neighbour()
	w.start()
	for _, p := range []*world{w, n} {
		p.pipeline("app", oneStep)
		p.run("app", "a")
		p.awaitPhase("a", v1alpha1.PhaseRunning)
	}
	for name, fault := range map[string]jenkinstest.Fault{
		"an error page":             {Status: 500},
		"no answer within its time": {Delay: 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if fault.Delay > 0 && testing.Short() {
				t.Skip("it waits for a request to be given up: run without -short")
			}
			fault.Path, fault.Times = "/job/"+n.project+"/api/json", -1
			w.jenkins.Spoil(fault)
			n.await("a", "says that its folder cannot be read", func(e *v1alpha1.PipelineExecution) bool {
				return e.Status.Phase == v1alpha1.PhaseRunning && e.Status.Reason == v1alpha1.ReasonEngineUnavailable
			})
			w.run("app", "b-"+fmt.Sprint(fault.Status))
			g.open("b-" + fmt.Sprint(fault.Status))
			w.awaitPhase("b-"+fmt.Sprint(fault.Status), v1alpha1.PhaseSucceeded)
			if e := w.get("a"); e.Status.Reason != v1alpha1.ReasonRunning {
				t.Errorf("the neighbour's run says %s: %s", e.Status.Reason, e.Status.Message)
			}
			if fault.Status != 0 {
				w.jenkins.Mend()
			} else {
				defer w.jenkins.Mend() // one that is slow is read aside
			}
			n.await("a", "goes on", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Reason == v1alpha1.ReasonRunning })
		})
	}
	g.open("a")
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
	n.awaitPhase("a", v1alpha1.PhaseSucceeded)
}
