package pipeline

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// shout says why nothing moves when Jenkins cannot be used, and that it does. The phase
// stays what it was.
func (d *decision) shout() bool {
	if d.Engine.Down == "" {
		return false
	}
	if wait := d.Engine.DownSince.Add(downTime).Sub(d.now); wait > 0 {
		d.again(wait)
		return true
	}
	d.trouble(d.Engine.Down, d.Engine.Message)
	return true
}

// failed says why a verb did not succeed, and tells whether that is to be waited for. It
// may be the end of the run.
func (d *decision) failed(f *Failure) bool {
	if f.Terminal {
		d.finish(v1alpha1.PhaseFailed, f.Reason, f.Message)
		return true
	}
	if !engineTrouble[f.Reason] {
		d.say(d.status.Phase, f.Reason, f.Message)
	} else if d.trouble(f.Reason, f.Message) {
		return true
	}
	wait := f.Until.Sub(d.now)
	if wait > 0 {
		d.again(wait)
	}
	return wait > 0
}

// engineTrouble are the reasons that make a run wait for its Jenkins.
var engineTrouble = map[string]bool{
	v1alpha1.ReasonEngineUnavailable: true, v1alpha1.ReasonEngineNotConfigured: true, v1alpha1.ReasonEngineUnauthorized: true,
}

// trouble says why a run that has begun does not go on, and since when. It is not the
// run's fault, and somebody may mend it; but a run holds a place that others wait for, so
// it is given up when nobody has for abandonTime. Then it tells true.
func (d *decision) trouble(reason, message string) bool {
	since := d.now.Truncate(time.Second)
	if c := meta.FindStatusCondition(d.status.Conditions, v1alpha1.ConditionEngineReady); c != nil && c.Status == metav1.ConditionFalse {
		since = c.LastTransitionTime.Time
	}
	end := since.Add(abandonTime)
	if !d.now.Before(end) {
		d.closeStages(v1alpha1.PhaseFailed)
		d.finish(v1alpha1.PhaseFailed, v1alpha1.ReasonEngineLost, fmt.Sprintf("given up after %d hours: %s", int(abandonTime.Hours()), message))
		return true
	}
	d.condition(v1alpha1.ConditionEngineReady, metav1.ConditionFalse, reason, message)
	d.say(d.status.Phase, reason, fmt.Sprintf("%s. The run goes on when that is mended; it is given up at %s", message, end.UTC().Format(time.RFC3339)))
	d.again(end.Sub(d.now))
	return false
}

// usable takes note that Jenkins shows the run again, or takes its trigger.
func (d *decision) usable() {
	if meta.IsStatusConditionFalse(d.status.Conditions, v1alpha1.ConditionEngineReady) {
		d.condition(v1alpha1.ConditionEngineReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
	}
}

// elsewhere tells whether the Jenkins that is looked at is another than the one that the
// run was started at: the setting was changed, and this process never used the old one.
// One that shows the run is the same Jenkins under a new address.
func (d *decision) elsewhere() bool {
	e := d.status.Engine
	if e.Server == "" || d.Engine.Server == "" || e.Server == d.Engine.Server {
		return false
	}
	if len(d.Engine.Builds)+len(d.Engine.Items) > 0 {
		e.Server = d.Engine.Server
		return false
	}
	return true
}

// stranded decides about a run that is not where the project's Jenkins is now. It is
// triggered there only if it is certain that it never was before: nobody can tell
// whether it runs at the other one.
func (d *decision) stranded() {
	if d.unsent() {
		d.intend()
		return
	}
	d.plan.Held = d.holding()
	switch {
	case d.Engine.Down != "":
		d.shout()
	case d.Engine.At.IsZero(): // it may be the same Jenkins: look first
	default:
		d.trouble(v1alpha1.ReasonEngineUnavailable, fmt.Sprintf("the run was started at %s, but the PipelineSetting names %s now: name the former until its runs have ended",
			d.status.Engine.Server, d.Engine.Server))
	}
}

// unsent tells whether it is certain that nobody has sent, or is sending, the trigger
// that was recorded last.
func (d *decision) unsent() bool {
	e := d.status.Engine
	if e.Build != 0 || e.QueueID != 0 || e.IntentAt == nil {
		return false
	}
	if s := d.Memory.Start; s != nil && s.Intent.Equal(e.IntentAt.Time) {
		return s.Outcome == OutcomeRefused
	}
	return d.Memory.Intent.Equal(e.IntentAt.Time)
}
