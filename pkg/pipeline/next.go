package pipeline

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// How long things may take. Clocks are the controller's own: Jenkins' may be wrong.
const (
	// StartWindow is how long after an intent was recorded its trigger may be sent. Later,
	// the intent is recorded anew first, which fails when another controller has done so.
	StartWindow = 5 * time.Second
	// StartTimeout bounds the trigger request itself.
	StartTimeout = 10 * time.Second
	// resendAfter is when a trigger whose fate is unknown may be sent again, counted from
	// its intent: nobody can still be sending it, and what was sent has shown.
	resendAfter = StartWindow + StartTimeout + 5*time.Second
	// settleTime is how long something must be missing before it counts: an item that
	// leaves the queue is in neither list for a moment.
	settleTime = 5 * time.Second
	// lostTime is settleTime for a job or build that was there: a Jenkins that loads its
	// jobs after a restart does not show all of them at once.
	lostTime = 30 * time.Second
	// maxAttempts bounds how often a run is triggered because Jenkins lost it before it
	// began.
	maxAttempts = 3
	// downTime is how long Jenkins may be unreachable before a run says so.
	downTime = 10 * time.Second
	// stagesTime is how long the end of a run waits for its last stages to be read.
	stagesTime = 10 * time.Second
	// abandonTime is how long a run waits for a Jenkins that cannot be used.
	abandonTime = 24 * time.Hour
	// glance is when to look again at what should change any moment.
	glance = time.Second
)

// Next decides what follows. It is pure, may be called at any time and any number of
// times, and never goes back:
//
//	            ┌──────────── Queued ─────────────┐ superseded, stopped:
//	            │ quota, pipeline, held back      ├──────────────────────────▶ Aborted
//	            └─┬───────────────────────────────┘ invalid: ───────────────▶ Failed
//	   admitted:  │ DoInitialize                     nothing to run: ────────▶ Succeeded
//	              ▼
//	            Pending
//	              │ intent recorded ◀───────────────────────────────┐
//	              ▼                                                 │ refused; or nothing
//	mine and fresh? ──no──▶ wait, DoFind ──no evidence──────────────┤ after resendAfter;
//	              │ DoProvision, DoStart         │ evidence         │ or lost in a crash
//	              ▼                              ▼                  │ (attempt + 1)
//	          in Jenkins' queue ──left it, no build──▶ DoFind ──────┘
//	              │ build                        └─ cancelled by somebody ──▶ Aborted
//	              ▼
//	          waiting for the agent ──AgentTimeout──▶ ladder ───────────────▶ Failed
//	              │ first stage
//	              ▼
//	            Running ⇄ Paused ──stop, superseded, timeout──▶ ladder ─────▶ Aborted, Failed
//	              │ build over          build or job gone for lostTime ─────▶ Failed
//	              ▼
//	            Succeeded | Failed | Aborted ── DoRelease
//
// The ladder is Stop, Term, Kill, then the pod is deleted. No terminal phase follows from
// a Jenkins that cannot be used, before it could not for abandonTime.
func Next(o Observed, now time.Time) Plan {
	d := &decision{Observed: o, now: now}
	d.plan.Status = *o.Execution.Status.DeepCopy()
	d.status = &d.plan.Status
	d.status.ObservedGeneration = o.Execution.Generation
	switch {
	case Ended(d.status.Phase):
		d.release()
	case d.status.Engine == nil || d.status.Phase == "" || d.status.Phase == v1alpha1.PhaseQueued:
		d.queued()
	case d.elsewhere():
		d.noteAgent()
		d.stranded()
	case d.status.Engine.Build == 0:
		d.noteAgent() // a run of a moment is over by the next look at Jenkins, and its pod gone
		d.trigger()
	default:
		d.noteAgent()
		d.follow()
	}
	if d.idle {
		d.plan.Status = *o.Execution.Status.DeepCopy()
		return d.plan
	}
	d.clock()
	d.conditions()
	return d.plan
}

// decision is one call of Next.
type decision struct {
	Observed
	now    time.Time
	plan   Plan
	status *v1alpha1.PipelineExecutionStatus
	idle   bool // nothing is to be written
	paused bool // the build is, by the newest that is known
}

func (d *decision) do(v Verb, target int64) {
	d.plan.Verb, d.plan.Target = v, target
}

// again asks for another decision after t at the latest.
func (d *decision) again(t time.Duration) {
	t = max(t, time.Millisecond)
	if d.plan.After == 0 || t < d.plan.After {
		d.plan.After = t
	}
}

func (d *decision) say(phase v1alpha1.Phase, reason, message string) {
	d.status.Phase, d.status.Reason, d.status.Message = phase, reason, clip(message, 2048)
}

// stopWish is the reason for which the run is to end, "" when it is not.
func (d *decision) stopWish() (reason, message string) {
	e := d.status.Engine
	switch {
	case e != nil && e.StopReason != "": // what was begun is not renamed
		return e.StopReason, d.stopMessage(e.StopReason)
	case d.Execution.Spec.Control == v1alpha1.ControlStop:
		return v1alpha1.ReasonStopped, d.stopMessage(v1alpha1.ReasonStopped)
	case d.Admission.SupersededBy != "":
		return v1alpha1.ReasonSuperseded, d.stopMessage(v1alpha1.ReasonSuperseded)
	}
	return "", ""
}

func (d *decision) stopMessage(reason string) string {
	switch {
	case reason == v1alpha1.ReasonSuperseded && d.Admission.SupersededBy != "":
		return "replaced by the newer run " + d.Admission.SupersededBy
	case reason == v1alpha1.ReasonSuperseded:
		return "replaced by a newer run of the same branch"
	case reason == v1alpha1.ReasonStopped:
		return "stopped by spec.control"
	case reason == v1alpha1.ReasonTimeout:
		return d.timeoutMessage()
	}
	return firstNonEmpty(d.Execution.Status.Message, "the agent was not ready in time") // as the ladder was begun with
}

// queued decides about a run that holds no slot.
func (d *decision) queued() {
	if reason, message := d.stopWish(); reason != "" {
		d.finish(v1alpha1.PhaseAborted, reason, message+" before it started")
		return
	}
	if init := d.Memory.Initialized; init != nil && init.Failure != nil {
		f := init.Failure
		if f.Terminal {
			d.finish(v1alpha1.PhaseFailed, f.Reason, f.Message)
			return
		}
		if wait := f.Until.Sub(d.now); wait > 0 {
			d.status.Queue = nil
			d.say(v1alpha1.PhaseQueued, f.Reason, f.Message)
			d.again(wait)
			return
		}
	}
	a := d.Admission
	switch {
	case !a.Admitted && d.Execution.Spec.Control == v1alpha1.ControlPause:
		d.status.Queue = nil
		d.say(v1alpha1.PhaseQueued, v1alpha1.ReasonPaused, "paused by spec.control before it started")
	case !a.Admitted && a.Reason == "": // not judged yet: that is a moment, not a state
		d.idle = true
	case !a.Admitted:
		d.wait(a)
	case d.Memory.Initialized == nil || d.Memory.Initialized.Failure != nil:
		d.status.Queue = nil
		if f := d.Memory.Initialized; f == nil {
			d.say(v1alpha1.PhaseQueued, v1alpha1.ReasonFetchingConfig, "reading the config")
		}
		d.do(DoInitialize, 0)
	default:
		d.admit(*d.Memory.Initialized)
	}
}

// wait shows the place in the queue: exactly for the first few, and for the others only
// when it changed much, or every start would be a write for each of them.
func (d *decision) wait(a Admission) {
	old := d.status.Queue
	position := int32(a.Position)
	if old != nil && old.Reason == a.Reason && position > 5 && old.Position >= position && old.Position-position < position/4 {
		return
	}
	d.status.Queue = &v1alpha1.QueueStatus{Position: position, Reason: a.Reason}
	d.say(v1alpha1.PhaseQueued, a.Reason, a.Message)
}

func (d *decision) admit(init Initialized) {
	d.status.Queue = nil
	d.status.Stages = init.Stages
	if init.Nothing {
		d.finish(v1alpha1.PhaseSucceeded, v1alpha1.ReasonNothingToRun, "no stage has anything to do: every `when` says no")
		return
	}
	if init.Timeout > 0 {
		d.status.Timeout = &metav1.Duration{Duration: init.Timeout}
	}
	d.status.Engine = &v1alpha1.EngineStatus{Kind: "Jenkins", Job: d.Job, Namespace: init.Namespace, Attempt: 1}
	d.say(v1alpha1.PhasePending, v1alpha1.ReasonStarting, "triggering the build")
	d.intend()
}

// intend records that the build is about to be triggered, and where. It is written before
// the request is sent, so a controller that finds it knows to look for a build. Whoever
// calls it knows that none was triggered before.
func (d *decision) intend() {
	e := d.status.Engine
	e.IntentAt, e.Server = microStamp(d.now), firstNonEmpty(d.Server, e.Server)
	d.again(time.Millisecond)
}

// release lets go of a run that has ended.
func (d *decision) release() {
	if d.Agent != nil && !d.Agent.Deleting && d.Memory.AgentDeleted.IsZero() {
		// Jenkins deletes its pods itself when it can: give it the time.
		if wait := d.status.FinishedAt.Add(lostTime).Sub(d.now); wait > 0 && d.killed() == "" {
			d.again(wait)
			return
		}
		d.do(DoDeleteAgent, 0)
		return
	}
	d.do(DoRelease, 0)
}

// killed is the rung at which pods are left behind.
func (d *decision) killed() string {
	if e := d.status.Engine; e != nil && (e.StopStage == string(DoKill) || e.StopStage == string(DoTerm)) {
		return e.StopStage
	}
	return ""
}
