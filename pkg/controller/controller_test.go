package controller_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// gate lets steps of jobs go on one by one.
type gate struct {
	mu     sync.Mutex
	opened map[string]chan struct{}
}

// newRunningWorld has a run "a" of the pipeline "app", whose step goes on until the gate
// is opened for it.
func newRunningWorld(t *testing.T) (*world, *gate) {
	t.Helper()
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	return w, g
}

func newGate() *gate { return &gate{opened: map[string]chan struct{}{}} }

func (g *gate) of(name string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened[name] == nil {
		g.opened[name] = make(chan struct{})
	}
	return g.opened[name]
}

// open lets the steps of an execution pass from now on.
func (g *gate) open(name string) { close(g.of(name)) }

func (g *gate) agents() jenkinstest.Agents {
	return jenkinstest.ScriptedAgents(func(ctx context.Context, cmd jenkinstest.Command) jenkinstest.Result {
		job := cmd.Job[strings.LastIndexByte(cmd.Job, '/')+1:]
		select {
		case <-g.of(job[:strings.LastIndexByte(job, '-')]): // the job's name ends in a hash
			return jenkinstest.Result{}
		case <-ctx.Done():
			return jenkinstest.Result{Exit: 143}
		}
	})
}

func TestRunSucceeds(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "first")
	e := w.awaitFinished("first")
	if e.Spec.Run != 1 || e.Spec.Config != oneStep || e.Status.Phase != v1alpha1.PhaseSucceeded {
		t.Errorf("run = %d, config = %q, phase = %s", e.Spec.Run, e.Spec.Config, e.Status.Phase)
	}
	if e.Status.Engine.Build != 1 || e.Status.Engine.Attempt != 1 || e.Status.StartedAt == nil || e.Status.FinishedAt == nil {
		t.Errorf("status = %+v", e.Status)
	}
	if s := e.Status.Stages; len(s) != 1 || s[0].Phase != v1alpha1.PhaseSucceeded || s[0].Steps[0].Phase != v1alpha1.PhaseSucceeded {
		t.Errorf("stages = %+v", s)
	}
	for kind, want := range map[string]metav1.ConditionStatus{
		v1alpha1.ConditionInitialized: metav1.ConditionTrue, v1alpha1.ConditionProvisioned: metav1.ConditionTrue, v1alpha1.ConditionBuilt: metav1.ConditionTrue,
		v1alpha1.ConditionComplete: metav1.ConditionTrue, v1alpha1.ConditionSucceeded: metav1.ConditionTrue,
	} {
		if c := meta.FindStatusCondition(e.Status.Conditions, kind); c == nil || c.Status != want {
			t.Errorf("condition %s = %+v, want %s", kind, c, want)
		}
	}
	eventually(t, "the pipeline is rolled up", func() error {
		p, err := w.clients.Pipelines(w.project).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			return err
		}
		last := p.Status.LastExecution
		if last == nil || last.Name != "first" || last.Run != 1 || last.Phase != v1alpha1.PhaseSucceeded || p.Status.NextRun != 2 || !meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady) {
			return fmt.Errorf("status is %+v", p.Status)
		}
		return nil
	})
	eventually(t, "the setting says that Jenkins is ready", func() error {
		s, err := w.clients.Settings(w.project).Get(t.Context(), v1alpha1.SettingName, metav1.GetOptions{})
		if err == nil && !meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionEngineReady) {
			err = fmt.Errorf("conditions are %+v", s.Status.Conditions)
		}
		return err
	})
	if _, err := w.clients.ServiceAccounts(w.project).Get(t.Context(), "pipeline-log-reader", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	eventually(t, "an event tells the end", func() error {
		events, err := w.clients.Events(w.project).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=first"})
		if err != nil {
			return err
		}
		for _, ev := range events.Items {
			if ev.Reason == v1alpha1.ReasonSucceeded && ev.Type == corev1.EventTypeNormal {
				return nil
			}
		}
		return fmt.Errorf("events are %v", events.Items)
	})
}

func TestFailedStepIsTheCause(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(func(context.Context, jenkinstest.Command) jenkinstest.Result {
		return jenkinstest.Result{Exit: 3, Output: "boom\n"}
	})})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "first")
	e := w.awaitFinished("first")
	if e.Status.Phase != v1alpha1.PhaseFailed || e.Status.Reason != v1alpha1.ReasonStepFailed || !strings.Contains(e.Status.Message, `step "compile": exit code 3`) {
		t.Errorf("status = %s %s %q", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
}

// TestHandMade: an execution without labels and finalizer, as kubectl create makes it,
// is run like any other.
func TestHandMade(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a", func(e *v1alpha1.PipelineExecution) { e.Labels, e.Finalizers = nil, nil })
	e := w.awaitFinished("a")
	if !slices.Contains(e.Finalizers, v1alpha1.Finalizer) || e.Labels[v1alpha1.LabelPipeline] != "app" || e.Labels[v1alpha1.LabelTrigger] != "Manual" {
		t.Errorf("metadata = %+v", e.ObjectMeta)
	}
}

func TestControllersLeaveNothingRunning(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.pipeline("app", oneStep)
	round := func(name string) {
		w.start()
		w.run("app", name)
		w.awaitFinished(name)
		w.halt()
	}
	round("a") // connections that all share are made
	before := goleak.IgnoreCurrent()
	round("b")
	goleak.VerifyNone(t, before)
}
