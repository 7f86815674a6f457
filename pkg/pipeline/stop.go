package pipeline

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// rungTime is how long a rung of the stop ladder is given: Jenkins' own screen offers
// the next one after 15 s.
const rungTime = 15 * time.Second

// stop ends a build that is to end: because somebody wishes it, or since it took too
// long. Each rung is repeated by the next look if its request was lost.
//
//	Stop ──15 s──▶ Term ──15 s──▶ Kill ──15 s──▶ the pod is deleted, Kill again
func (d *decision) stop() {
	reason, message := d.stopWish()
	if reason == "" {
		if reason, message = d.tooLong(); reason == "" {
			return
		}
	}
	e := d.status.Engine
	d.beginStop(reason)
	phase := d.status.Phase
	d.say(phase, v1alpha1.ReasonStopping, message)
	if !d.noted(reason) {
		return
	}
	next := d.nextRung()
	if next == "" {
		return
	}
	if next == DoKill && d.Memory.StopRung == DoKill && d.Agent != nil && !d.Agent.Deleting && d.Memory.AgentDeleted.IsZero() {
		d.do(DoDeleteAgent, 0)
		d.again(glance)
		return
	}
	e.StopStage = string(next)
	d.do(next, e.Build)
	d.again(rungTime)
}

// nextRung is the rung that is due, "" while the last one is given its time. The stage that
// is written down is one that was tried: it is never ahead of what was done.
func (d *decision) nextRung() Verb {
	e := d.status.Engine
	if tried := d.Memory.StopRung; tried != "" {
		e.StopStage = string(tried)
		if wait := d.Memory.Stop.Add(rungTime).Sub(d.now); wait > 0 {
			d.again(wait)
			return ""
		}
		return map[Verb]Verb{DoStop: DoTerm, DoTerm: DoKill, DoKill: DoKill}[tried]
	}
	// Another process tried it, if any did: it is tried again, or the next when it is time.
	since := d.now.Sub(e.StopRequestedAt.Time)
	switch last := Verb(e.StopStage); {
	case last == DoKill, last == DoTerm && since >= 2*rungTime:
		return DoKill
	case last == DoTerm, last == DoStop && since >= rungTime:
		return DoTerm
	}
	return DoStop
}

func (d *decision) beginStop(reason string) {
	e := d.status.Engine
	if e.StopReason == "" {
		e.StopReason = reason
	}
	if e.StopRequestedAt == nil {
		e.StopRequestedAt = microStamp(d.now)
	}
}

// noted tells whether the reason for a stop is written down, where nobody but us knows it.
// It has to be before anything is done about it: of an end that comes before the write,
// somebody in Jenkins would seem to be the cause.
func (d *decision) noted(reason string) bool {
	if reason == v1alpha1.ReasonStopped || d.Execution.Status.Engine.StopReason != "" {
		return true
	}
	d.again(time.Millisecond)
	return false
}

// tooLong tells whether a timeout has passed. The clocks stand still while a run is
// paused or Jenkins starts nothing. Jenkins has a timeout as well, but a much longer one:
// its clock does not stand still.
func (d *decision) tooLong() (reason, message string) {
	init := d.Memory.Initialized
	switch {
	case d.plan.Held:
		return "", ""
	case d.status.StartedAt != nil:
		limit := d.timeout()
		if limit <= 0 {
			return "", ""
		}
		if left := limit - d.ran(); left > 0 {
			d.again(left)
			return "", ""
		}
		return v1alpha1.ReasonTimeout, d.timeoutMessage()
	case init == nil || init.AgentTimeout <= 0:
		return "", ""
	}
	waiting := meta.FindStatusCondition(d.status.Conditions, v1alpha1.ConditionProvisioned)
	if waiting == nil || waiting.Reason != v1alpha1.ReasonWaitingForAgent {
		d.again(init.AgentTimeout) // it begins to wait with this look
		return "", ""
	}
	left := init.AgentTimeout + d.heldFor() - d.now.Sub(waiting.LastTransitionTime.Time)
	if left > 0 {
		d.again(left)
		return "", ""
	}
	return v1alpha1.ReasonAgentTimeout, fmt.Sprintf("the agent was not ready within %s: %s", init.AgentTimeout, d.status.Message)
}

// timeout of the run; 0: none. It was written down when the run was admitted: what it
// follows from may be gone by now.
func (d *decision) timeout() time.Duration {
	switch {
	case d.status.Timeout != nil:
		return d.status.Timeout.Duration
	case d.Memory.Initialized != nil:
		return d.Memory.Initialized.Timeout
	}
	return 0
}

// ran is how long the run has run, without the time that it was held.
func (d *decision) ran() time.Duration {
	if d.status.StartedAt == nil {
		return 0
	}
	return d.now.Sub(d.status.StartedAt.Time) - d.heldFor()
}

func (d *decision) timeoutMessage() string {
	return fmt.Sprintf("the run took longer than its timeout of %s", d.timeout())
}
