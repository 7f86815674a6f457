package controller_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// client is one of the world's Jenkins, as a person uses it.
func (w *world) client() *jenkins.Client {
	w.t.Helper()
	c, err := jenkins.New(jenkins.Config{BaseURL: w.url, User: "admin", Token: "token"})
	w.must(err)
	w.t.Cleanup(c.Close)
	return c
}

func jobOf(e *v1alpha1.PipelineExecution) jenkins.JobRef {
	folder, name, _ := strings.Cut(e.Status.Engine.Job, "/")
	return jenkins.JobRef{Folder: folder, Name: name}
}

// TestPauseHoldsTheClocks: over a restart of ours, and longer than the run's timeout.
func TestPauseHoldsTheClocks(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", "timeout: 1\n"+oneStep)
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.control("a", v1alpha1.ControlPause)
	e := w.awaitPhase("a", v1alpha1.PhasePaused)
	since := e.Status.Hold.Since
	if since == nil || !e.Status.Engine.Paused || e.Status.Timeout.Duration != time.Minute {
		t.Errorf("hold = %+v, timeout = %v, engine = %+v", e.Status.Hold, e.Status.Timeout, e.Status.Engine)
	}
	w.halt()
	w.clock.Sleep(90 * time.Second)
	w.start()
	w.clock.Sleep(5 * time.Second)
	if e := w.get("a"); e.Status.Phase != v1alpha1.PhasePaused || !e.Status.Hold.Since.Equal(since) {
		t.Errorf("after a restart: %s %s, hold = %+v", e.Status.Phase, e.Status.Reason, e.Status.Hold)
	}
	w.control("a", v1alpha1.ControlRun)
	e = w.await("a", "goes on", func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Phase == v1alpha1.PhaseRunning && e.Status.Hold != nil && e.Status.Hold.Since == nil
	})
	if e.Status.Hold.Seconds < 90 || e.Status.Engine.Paused {
		t.Errorf("hold = %+v, engine = %+v", e.Status.Hold, e.Status.Engine)
	}
	g.open("a")
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
}

// TestTimeout: the run is ended by us, whatever Jenkins allows.
func TestTimeout(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{Agents: newGate().agents()})
	w.start()
	w.pipeline("app", "timeout: 1\n"+oneStep)
	w.run("app", "a")
	e := w.awaitFinished("a")
	if e.Status.Phase != v1alpha1.PhaseFailed || e.Status.Reason != v1alpha1.ReasonTimeout {
		t.Errorf("status = %s %s %q", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
	if ran := e.Status.FinishedAt.Sub(e.Status.StartedAt.Time); ran < time.Minute || ran > 80*time.Second {
		t.Errorf("it ran for %s", ran)
	}
}

// TestPauseInJenkins: what somebody does there is seen, and left to them.
func TestPauseInJenkins(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	e := w.awaitPhase("a", v1alpha1.PhaseRunning)
	person := w.client()
	w.must(person.SetPaused(t.Context(), jobOf(e), 1, true))
	w.await("a", "is seen to be paused", func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Phase == v1alpha1.PhasePaused && e.Status.Reason == v1alpha1.ReasonPaused && strings.Contains(e.Status.Message, "somebody in Jenkins")
	})
	w.must(person.SetPaused(t.Context(), jobOf(e), 1, false))
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	g.open("a")
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
}

// TestAbortInJenkins: the verdict names who did it.
func TestAbortInJenkins(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{User: "admin", Token: "token", Agents: newGate().agents()})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	e := w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.must(w.client().Stop(t.Context(), jobOf(e), 1))
	if e = w.awaitFinished("a"); e.Status.Reason != v1alpha1.ReasonAbortedInEngine || !strings.Contains(e.Status.Message, "by admin") {
		t.Errorf("status = %s %s %q", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
}

func TestStop(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()}, quota(1))
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.run("app", "b")
	w.awaitPhase("b", v1alpha1.PhaseQueued)
	w.control("b", v1alpha1.ControlStop)
	w.control("a", v1alpha1.ControlStop)
	for _, name := range []string{"a", "b"} {
		e := w.awaitFinished(name)
		if e.Status.Phase != v1alpha1.PhaseAborted || e.Status.Reason != v1alpha1.ReasonStopped {
			t.Errorf("%s: %s %s", name, e.Status.Phase, e.Status.Reason)
		}
	}
	if builds := w.jenkins.Builds(); len(builds) != 1 || builds[0].Result != "ABORTED" {
		t.Errorf("builds = %+v", builds)
	}
}

func TestPauseAndResume(t *testing.T) {
	w, g := newRunningWorld(t)
	w.control("a", v1alpha1.ControlPause)
	w.awaitPhase("a", v1alpha1.PhasePaused)
	w.control("a", v1alpha1.ControlRun)
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	g.open("a")
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
}
