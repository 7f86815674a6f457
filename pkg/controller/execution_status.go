package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

type runtimeObject = runtime.Object

// +kubebuilder:rbac:groups=kubectl-pipeline.io,resources=pipelineexecutions,verbs=update;patch;delete
// +kubebuilder:rbac:groups=kubectl-pipeline.io,resources=pipelineexecutions/status,verbs=update

// note keeps what a plan says about time.
func (c *executions) note(m *memory, plan pipeline.Plan) {
	now := c.o.Clock.Now()
	m.AgentGone = m.AgentGone || plan.AgentGone
	switch {
	case !plan.Missing:
		m.MissingSince, m.Search = time.Time{}, nil
	case m.MissingSince.IsZero():
		m.MissingSince = now
	}
}

// writeStatus writes the status if it differs, once, on top of what was read. e becomes
// what was written.
func (c *executions) writeStatus(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory, status v1alpha1.PipelineExecutionStatus) error {
	if equality.Semantic.DeepEqual(e.Status, status) {
		return nil
	}
	next := e.DeepCopy()
	next.Status = status
	written, err := c.o.Clients.Executions(e.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil // it was deleted meanwhile
	}
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	c.latest.put(written)
	if intent := intentOf(written); !intent.IsZero() && !intent.Equal(intentOf(e)) {
		m.Intent = intent // ours to carry out: nobody else wrote in between
		if m.Evidence != nil && !m.Evidence.Exists {
			m.Provisioned = false
		}
	}
	c.tell(e, written)
	*e = *written
	return nil
}

// writeSpec writes what admission fills in. e becomes what was written.
func (c *executions) writeSpec(ctx context.Context, e, next *v1alpha1.PipelineExecution) error {
	if equality.Semantic.DeepEqual(e.Spec, next.Spec) && maps.Equal(e.Labels, next.Labels) && slices.Equal(e.Finalizers, next.Finalizers) {
		return nil
	}
	written, err := c.o.Clients.Executions(e.Namespace).Update(ctx, next, metav1.UpdateOptions{})
	if err != nil {
		if apierrors.IsInvalid(err) {
			return failForGood(v1alpha1.ReasonInvalidConfig, "write down what is run: %w", err)
		}
		return fmt.Errorf("write down what is run: %w", err)
	}
	c.latest.put(written)
	*e = *written
	return nil
}

// mark gives an execution that was made by hand what the others were made with.
func mark(e *v1alpha1.PipelineExecution) {
	if !slices.Contains(e.Finalizers, v1alpha1.Finalizer) {
		e.Finalizers = append(e.Finalizers, v1alpha1.Finalizer)
	}
	labels := map[string]string{
		v1alpha1.LabelPipeline:   v1alpha1.LabelValue(e.Spec.PipelineRef.Name),
		v1alpha1.LabelTrigger:    string(e.Spec.Trigger.Type),
		v1alpha1.LabelPhaseClass: v1alpha1.PhaseClassActive,
	}
	if e.Spec.Source != nil && e.Spec.Source.Branch != "" {
		labels[v1alpha1.LabelBranchHash] = v1alpha1.ShortHash(e.Spec.Source.Branch)
	}
	if e.Spec.Run != 0 {
		labels[v1alpha1.LabelRun] = strconv.FormatInt(e.Spec.Run, 10)
	}
	for k, v := range labels {
		if e.Labels[k] != v {
			metav1.SetMetaDataLabel(&e.ObjectMeta, k, v)
		}
	}
}

// tell reports a transition: as an event for people, a line of log, and to the
// controllers that wait for it.
func (c *executions) tell(old, e *v1alpha1.PipelineExecution) {
	s := e.Status
	if was := old.Status.Engine; was != nil && s.Engine != nil && s.Engine.Attempt > was.Attempt {
		c.o.Recorder.Event(e, corev1.EventTypeWarning, v1alpha1.ReasonEngineLost, s.Message)
	}
	if old.Status.Phase == s.Phase && old.Status.Reason == s.Reason {
		return
	}
	c.log(e).Info("execution changed", "phase", s.Phase, "reason", s.Reason, "run", e.Spec.Run)
	if holdsSlot(old) != holdsSlot(e) {
		c.admissions.queue.Add(e.Namespace)
	}
	kind := corev1.EventTypeNormal
	switch {
	case s.Phase == v1alpha1.PhaseFailed, troubles[s.Reason]:
		kind = corev1.EventTypeWarning
	case old.Status.Phase == s.Phase && s.Reason != v1alpha1.ReasonStopping:
		return
	case s.Phase == v1alpha1.PhaseQueued, s.Phase == v1alpha1.PhasePending:
		return // who waits sees why in the status; an event for each would double the writes
	}
	c.o.Recorder.Event(e, kind, s.Reason, firstNonEmpty(s.Message, string(s.Phase)))
}

// troubles are the reasons of a run that is not failed and yet needs somebody's eye.
var troubles = map[string]bool{
	v1alpha1.ReasonConfigUnavailable: true, v1alpha1.ReasonEngineNotConfigured: true, v1alpha1.ReasonEngineUnavailable: true,
	v1alpha1.ReasonEngineUnauthorized: true,
}

// holdsSlot tells whether an execution counts in its project's quota.
func holdsSlot(e *v1alpha1.PipelineExecution) bool {
	switch e.Status.Phase {
	case v1alpha1.PhasePending, v1alpha1.PhaseRunning, v1alpha1.PhasePaused:
		return true
	}
	return false
}

// afterwards counts and passes on.
func (c *executions) afterwards(e *v1alpha1.PipelineExecution, m *memory, plan pipeline.Plan) {
	if (plan.Status.Agent != nil || plan.Status.StartedAt != nil || pipeline.Ended(plan.Status.Phase)) && e.Spec.Run != 0 {
		c.pipelines.note(e)
	}
	if !pipeline.Ended(e.Status.Phase) || m.counted {
		return
	}
	m.counted = true
	c.o.Metrics.countEnd(e)
	if m.engine != nil {
		m.engine.unwatch(e.UID)
		m.engine = nil
	}
}

// release lets an execution that has ended go: its Secret, then the label that keeps it
// in memory. The status was written before, so a crash in between leaves an active label
// on a finished run, which leads here again.
func (c *executions) release(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory) Outcome {
	if m.bundle && e.Status.Engine != nil {
		if err := c.deleteBundle(ctx, e); err != nil {
			return Retry{err}
		}
		m.bundle = false
	}
	if e.Labels[v1alpha1.LabelPhaseClass] != v1alpha1.PhaseClassFinished {
		patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, v1alpha1.LabelPhaseClass, v1alpha1.PhaseClassFinished)
		written, err := c.o.Clients.Executions(e.Namespace).Patch(ctx, e.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		switch {
		case err == nil:
			c.latest.put(written) // until the cache has let it go, which it may have already
			if _, cached, err := c.executionCache.GetStore().GetByKey(keyOf(e).String()); err == nil && !cached {
				c.latest.drop(e.UID)
			}
		case !apierrors.IsNotFound(err):
			return Retry{fmt.Errorf("mark as finished: %w", err)}
		}
	}
	c.pipelines.note(e)
	c.histories.queue.AddAfter(types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.PipelineRef.Name}, historyDelay)
	c.drop(keyOf(e))
	return Done{}
}
