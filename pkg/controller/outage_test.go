package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/controller"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestJenkinsDownEndsNothing(t *testing.T) {
	w, g := newRunningWorld(t)
	w.jenkins.SetDown(true)
	w.run("app", "b")
	w.await("a", "says that Jenkins is down", func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Phase == v1alpha1.PhaseRunning && e.Status.Reason == v1alpha1.ReasonEngineUnavailable
	})
	w.await("b", "says it too", func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Phase == v1alpha1.PhasePending && e.Status.Reason == v1alpha1.ReasonEngineUnavailable
	})
	w.jenkins.SetDown(false)
	g.open("a")
	g.open("b")
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
	w.awaitPhase("b", v1alpha1.PhaseSucceeded)
}

func TestLostAnswerStartsOneBuild(t *testing.T) {
	for name, fault := range map[string]jenkinstest.Fault{
		"after the build was triggered":   {DropAfter: true},
		"before it was":                   {DropBefore: true},
		"a proxy answered, with an error": {Status: 502},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, jenkinstest.Options{})
			fault.Path = "buildWithParameters"
			w.jenkins.Spoil(fault)
			w.start()
			w.pipeline("app", oneStep)
			w.run("app", "a")
			w.awaitPhase("a", v1alpha1.PhaseSucceeded)
			if b := w.jenkins.Builds(); len(b) != 1 {
				t.Errorf("builds = %+v, want one", b)
			}
		})
	}
}

func TestRestartOfTheControllersFollowsOn(t *testing.T) {
	w, g := newRunningWorld(t)
	w.halt()
	g.open("a")
	w.start()
	w.awaitFinished("a")
	if b := w.jenkins.Builds(); len(b) != 1 || b[0].Result != "SUCCESS" {
		t.Errorf("builds = %+v, want one", b)
	}
}

func TestManagedJenkinsIsNotConfigured(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{}, func(s *v1alpha1.PipelineSetting) {
		s.Spec.Engine.Jenkins = v1alpha1.JenkinsSpec{Mode: v1alpha1.ComponentManaged}
	})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.await("a", "says what to do", func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Phase == v1alpha1.PhaseQueued && e.Status.Reason == v1alpha1.ReasonEngineNotConfigured && strings.Contains(e.Status.Message, "mode External")
	})
	patch := fmt.Appendf(nil, `{"spec":{"engine":{"jenkins":{"mode":"External","url":%q,"credentialsSecretRef":{"name":"jenkins"}}}}}`, w.url)
	if _, err := w.clients.Settings(w.project).Patch(t.Context(), v1alpha1.SettingName, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
}

func TestRotatedCredentials(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{User: "me", Token: "new", Agents: g.agents()})
	w.start()
	update := func(token string) {
		t.Helper()
		if _, err := w.clients.Secrets(w.project).Patch(t.Context(), "jenkins", "application/merge-patch+json", fmt.Appendf(nil, `{"stringData":{"token":%q}}`, token), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	update("old")
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.await("a", "is refused", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Reason == v1alpha1.ReasonEngineUnauthorized })
	update("new")
	g.open("a")
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
}

// TestCrashBeforeTheLabel: a run that ended while its label still says active is let go
// by the next process, without another word to Jenkins.
func TestCrashBeforeTheLabel(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitFinished("a")
	w.halt()
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:"active"}}}`, v1alpha1.LabelPhaseClass)
	if _, err := w.clients.Executions(w.project).Patch(t.Context(), "a", "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.awaitFinished("a")
	if b := w.jenkins.Builds(); len(b) != 1 {
		t.Errorf("builds = %+v, want one", b)
	}
}

// TestJenkinsGoneForEver: a run does not hold its place for ever, and says until when it
// does; a restart of ours does not begin to count anew.
func TestJenkinsGoneForEver(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{Agents: newGate().agents()}, quota(1))
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.jenkins.SetDown(true)
	w.await("a", "says until when it waits", func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Reason == v1alpha1.ReasonEngineUnavailable && strings.Contains(e.Status.Message, "given up at ")
	})
	w.run("app", "b")
	w.await("b", "waits for its place", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Reason == v1alpha1.ReasonWaitingForQuota })
	w.halt()
	w.start(func(o *controller.Options) { o.Clock = laterClock{w.clock, 25 * time.Hour} })
	if e := w.awaitFinished("a"); e.Status.Phase != v1alpha1.PhaseFailed || e.Status.Reason != v1alpha1.ReasonEngineLost {
		t.Errorf("status = %s %s %q", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
	w.awaitPhase("b", v1alpha1.PhasePending)
}
