package pipeline

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// over decides about a build that has ended: first its last stages are read, then what
// was left behind is removed, then the verdict is written.
func (d *decision) over(b EngineBuild) {
	since := d.Memory.MissingSince // here: since when the last stages are waited for
	if !d.Engine.NoStages && d.Engine.StagesAt.IsZero() {
		d.plan.Missing = true
		if since.IsZero() || d.now.Sub(since) < stagesTime {
			d.again(glance)
			return
		}
	}
	reason, message := d.stopWish()
	d.status.Stages = Observe(d.status.Stages, d.Engine.Stages, stagesResult(b.Result, reason), d.now)
	if d.status.StartedAt == nil && d.begun() {
		d.status.StartedAt = Stamp(d.startTime())
	}
	if d.killed() != "" && d.Agent != nil && !d.Agent.Deleting && d.Memory.AgentDeleted.IsZero() {
		d.do(DoDeleteAgent, 0)
		d.again(glance)
		return
	}
	v := d.verdict(b, reason, message)
	if v.vague && d.Memory.Log == nil {
		d.do(DoReadLog, b.Number)
		d.again(glance)
		return
	}
	if v.vague {
		v = d.lonely(v.explained(*d.Memory.Log)).quoting(b.Raw)
	}
	d.finish(v.phase, v.reason, v.message)
}

func stagesResult(result v1alpha1.Phase, stop string) v1alpha1.Phase {
	if result != v1alpha1.PhaseSucceeded && stop != "" {
		return v1alpha1.PhaseAborted
	}
	return result
}

// verdict is how a run ended, the cause first.
type verdict struct {
	phase           v1alpha1.Phase
	reason, message string
	vague           bool // the log may say more
}

func (d *decision) verdict(b EngineBuild, stop, message string) verdict {
	if b.Result == v1alpha1.PhaseSucceeded {
		return verdict{v1alpha1.PhaseSucceeded, v1alpha1.ReasonSucceeded, "", false}
	}
	switch stop {
	case "":
	case v1alpha1.ReasonTimeout:
		return verdict{v1alpha1.PhaseFailed, stop, d.timeoutMessage(), false}
	case v1alpha1.ReasonAgentTimeout:
		return verdict{v1alpha1.PhaseFailed, stop, firstNonEmpty(message, "the agent was not ready in time"), false}
	default:
		return verdict{v1alpha1.PhaseAborted, stop, message, false}
	}
	step, failed, exited := d.failedStep()
	if failed && exited && b.Result == v1alpha1.PhaseFailed {
		return verdict{v1alpha1.PhaseFailed, v1alpha1.ReasonStepFailed, step, false}
	}
	if a := d.status.Agent; a != nil && a.Message != "" {
		return verdict{v1alpha1.PhaseFailed, v1alpha1.ReasonAgentLost, fmt.Sprintf("agent pod %s: %s", a.Pod, a.Message), false}
	}
	if slow, ok := d.slowStep(); ok && b.Result == v1alpha1.PhaseAborted {
		return verdict{v1alpha1.PhaseFailed, v1alpha1.ReasonTimeout, slow, false}
	}
	if limit := d.timeout(); b.Result == v1alpha1.PhaseAborted && limit > 0 && d.ran() >= limit {
		return verdict{v1alpha1.PhaseFailed, v1alpha1.ReasonTimeout, d.timeoutMessage(), false}
	}
	if failed {
		return verdict{v1alpha1.PhaseFailed, v1alpha1.ReasonStepFailed, step, true}
	}
	if b.Result == v1alpha1.PhaseAborted {
		return verdict{v1alpha1.PhaseAborted, v1alpha1.ReasonAbortedInEngine, "the build was aborted in Jenkins", true}
	}
	when := "but no step failed"
	if d.status.StartedAt == nil {
		when = "before its first step"
	}
	return verdict{v1alpha1.PhaseFailed, v1alpha1.ReasonEngineError, fmt.Sprintf("Jenkins ended the build as %s, %s; its log says why", firstNonEmpty(b.Raw, "failed"), when), true}
}

// lonely is the verdict on a build of which nobody knows why it ended, but that its agent
// went away before it did.
func (d *decision) lonely(v verdict) verdict {
	if v.vague && d.Memory.AgentGone && d.status.Agent != nil {
		return verdict{v1alpha1.PhaseFailed, v1alpha1.ReasonAgentLost, fmt.Sprintf("agent pod %s was deleted while the build ran", d.status.Agent.Pod), false}
	}
	return v
}

// quoting is the verdict with Jenkins' own word for it, when that is none that is known.
func (v verdict) quoting(raw string) verdict {
	switch raw {
	case "", "SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED":
	default:
		if !strings.Contains(v.message, raw) {
			v.message += fmt.Sprintf(" (Jenkins calls it %s)", clip(raw, 64))
		}
	}
	return v
}

// failedStep describes the first step that failed. exited: its script ended by itself, and
// not since it, or what it ran on, was taken away.
func (d *decision) failedStep() (description string, failed, exited bool) {
	for i := range d.status.Stages {
		st := &d.status.Stages[i]
		for _, s := range st.Steps {
			if s.Phase == v1alpha1.PhaseFailed {
				return fmt.Sprintf("stage %q, %s", st.Name, describeStep(s)), true, s.ExitCode != nil && *s.ExitCode > 0
			}
		}
	}
	return "", false, false
}

// slowStep finds a step that Jenkins ended for its own timeout: the build is ABORTED
// then, as if by a person.
func (d *decision) slowStep() (string, bool) {
	if d.Memory.Initialized == nil {
		return "", false
	}
	for at, limit := range d.Memory.Initialized.StepTimeouts {
		if at.Stage >= len(d.status.Stages) || at.Step >= len(d.status.Stages[at.Stage].Steps) {
			continue
		}
		st := &d.status.Stages[at.Stage]
		s := &st.Steps[at.Step]
		if s.Phase == v1alpha1.PhaseAborted && s.StartedAt != nil && s.FinishedAt != nil && s.FinishedAt.Sub(s.StartedAt.Time) >= limit-2*time.Second {
			s.Phase, s.Message = v1alpha1.PhaseFailed, fmt.Sprintf("it took longer than its timeout of %s", limit)
			st.Phase = v1alpha1.PhaseFailed
			st.Message = describeStep(*s)
			return fmt.Sprintf("stage %q, %s", st.Name, describeStep(*s)), true
		}
	}
	return "", false
}

func (d *decision) closeStages(result v1alpha1.Phase) {
	d.status.Stages = Observe(d.status.Stages, d.Engine.Stages, result, d.now)
}

// finish writes the last word. What never started is skipped.
func (d *decision) finish(phase v1alpha1.Phase, reason, message string) {
	d.closeStages(phase)
	d.status.Queue = nil
	d.status.FinishedAt = Stamp(d.now)
	d.say(phase, reason, message)
	d.plan = Plan{Status: d.plan.Status, After: time.Millisecond}
}

// conditions follow from the rest of the status.
func (d *decision) conditions() {
	s := d.status
	admitted := s.Engine != nil || s.Reason == v1alpha1.ReasonNothingToRun
	ended := Ended(s.Phase)
	switch {
	case admitted:
		d.condition(v1alpha1.ConditionInitialized, metav1.ConditionTrue, "Admitted", "")
	case ended:
		d.condition(v1alpha1.ConditionInitialized, metav1.ConditionFalse, s.Reason, s.Message)
	default:
		d.condition(v1alpha1.ConditionInitialized, metav1.ConditionFalse, firstNonEmpty(s.Reason, string(v1alpha1.PhaseQueued)), s.Message)
	}
	switch {
	case s.StartedAt != nil:
		d.condition(v1alpha1.ConditionProvisioned, metav1.ConditionTrue, "AgentStarted", "")
	case ended:
		d.condition(v1alpha1.ConditionProvisioned, metav1.ConditionFalse, s.Reason, "")
	case s.Engine != nil && s.Engine.Build != 0:
		d.condition(v1alpha1.ConditionProvisioned, metav1.ConditionFalse, v1alpha1.ReasonWaitingForAgent, "")
	default:
		d.condition(v1alpha1.ConditionProvisioned, metav1.ConditionUnknown, firstNonEmpty(s.Reason, string(v1alpha1.PhaseQueued)), "")
	}
	result := metav1.ConditionUnknown
	switch {
	case s.Phase == v1alpha1.PhaseSucceeded:
		result = metav1.ConditionTrue
	case ended:
		result = metav1.ConditionFalse
	}
	reason := firstNonEmpty(s.Reason, string(v1alpha1.PhaseQueued))
	phase := firstNonEmpty(string(s.Phase), string(v1alpha1.PhaseQueued))
	if ended {
		d.condition(v1alpha1.ConditionBuilt, result, reason, s.Message)
		d.condition(v1alpha1.ConditionSucceeded, result, reason, s.Message)
		d.condition(v1alpha1.ConditionComplete, metav1.ConditionTrue, phase, s.Message)
		return
	}
	d.condition(v1alpha1.ConditionBuilt, metav1.ConditionUnknown, phase, "")
	d.condition(v1alpha1.ConditionSucceeded, metav1.ConditionUnknown, phase, "")
	d.condition(v1alpha1.ConditionComplete, metav1.ConditionFalse, phase, "")
}

func (d *decision) condition(kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&d.status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message,
		ObservedGeneration: d.Execution.Generation, LastTransitionTime: *Stamp(d.now),
	})
}
