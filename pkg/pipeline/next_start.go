package pipeline

import (
	"fmt"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// trigger decides about an admitted run of which no build is known: exactly one build,
// whatever is lost on the way.
func (d *decision) trigger() {
	e := d.status.Engine
	if b, ok := d.firstBuild(); ok {
		d.adopt(b)
		d.follow()
		return
	}
	if item, ok := d.firstItem(); ok {
		d.inQueue(item)
		return
	}
	if s := d.Memory.Start; s != nil && e.IntentAt != nil && s.Intent.Equal(e.IntentAt.Time) {
		d.sent(*s)
		return
	}
	switch {
	case e.QueueID != 0:
		d.vanished()
	case e.IntentAt != nil && d.Memory.Intent.Equal(e.IntentAt.Time):
		d.start()
	default:
		d.search()
	}
}

// firstBuild is the build of this run: with one job per run and no concurrent builds, a
// duplicate can only be behind it.
func (d *decision) firstBuild() (EngineBuild, bool) {
	for _, builds := range [][]EngineBuild{d.Engine.Builds, d.evidence().Builds} {
		if n := len(builds); n > 0 {
			return builds[n-1], true
		}
	}
	return EngineBuild{}, false
}

// firstItem is our item in Jenkins' queue, by the newest look.
func (d *decision) firstItem() (EngineItem, bool) {
	items := d.Engine.Items
	if ev := d.evidence(); ev.At.After(d.Engine.At) {
		items = ev.Items
	}
	for _, it := range items {
		if it.ID != d.Memory.Cancelled {
			return it, true
		}
	}
	return EngineItem{}, false
}

func (d *decision) evidence() Evidence {
	if d.Memory.Evidence == nil {
		return Evidence{}
	}
	return *d.Memory.Evidence
}

// adopt records the build that was found.
func (d *decision) adopt(b EngineBuild) {
	e := d.status.Engine
	e.Build, e.URL = b.Number, b.URL
	if b.QueueID != 0 {
		e.QueueID = b.QueueID
	}
	if d.Engine.Session != "" {
		e.Session = d.Engine.Session
	}
	d.usable()
}

func (d *decision) inQueue(item EngineItem) {
	e := d.status.Engine
	e.QueueID = item.ID
	if d.Engine.Session != "" {
		e.Session = d.Engine.Session
	}
	if reason, _ := d.stopWish(); reason != "" {
		d.beginStop(reason)
		d.say(v1alpha1.PhasePending, v1alpha1.ReasonStopping, "taking it out of Jenkins' queue")
		if !d.noted(reason) {
			return
		}
		d.do(DoCancelQueue, item.ID)
		d.again(glance)
		return
	}
	if d.shout() {
		return
	}
	d.usable()
	message := "Jenkins: " + firstNonEmpty(item.Why, "the build is in its queue")
	if d.Engine.QuietingDown {
		message = "Jenkins is preparing to shut down and starts nothing: " + firstNonEmpty(item.Why, "the build is in its queue")
	}
	d.say(v1alpha1.PhasePending, v1alpha1.ReasonInEngineQueue, message)
}

// start carries out an intent that this process recorded and has not used.
func (d *decision) start() {
	if reason, message := d.stopWish(); reason != "" {
		d.finish(v1alpha1.PhaseAborted, reason, message+" before it started")
		return
	}
	if d.Server != "" && d.Server != d.status.Engine.Server {
		d.intend() // the setting was changed, and nothing was sent yet
		return
	}
	if f := d.Memory.Provision; f != nil && !d.Memory.Provisioned {
		if d.failed(f) {
			return
		}
	} else if d.shout() {
		return
	}
	switch {
	case !d.Memory.Provisioned:
		d.do(DoProvision, 0)
	case d.now.Sub(d.status.Engine.IntentAt.Time) > StartWindow:
		d.intend()
	default:
		d.say(v1alpha1.PhasePending, v1alpha1.ReasonStarting, "triggering the build")
		d.do(DoStart, int64(d.status.Engine.Attempt))
	}
}

// sent decides after this process sent the trigger.
func (d *decision) sent(s Started) {
	e := d.status.Engine
	switch s.Outcome {
	case OutcomeAccepted:
		if s.QueueID != 0 {
			e.QueueID = s.QueueID
		}
		e.Session = firstNonEmpty(s.Session, e.Session)
		d.usable()
		if d.Memory.Cancelled != 0 && d.Memory.Cancelled == e.QueueID {
			d.vanished()
			return
		}
		if d.Engine.At.After(s.At) {
			d.vanished()
			return
		}
		d.say(v1alpha1.PhasePending, v1alpha1.ReasonInEngineQueue, "Jenkins accepted the build")
		d.again(glance)
	case OutcomeRefused:
		if reason, message := d.stopWish(); reason != "" {
			d.finish(v1alpha1.PhaseAborted, reason, message+" before it started")
			return
		}
		if f := s.Failure; f != nil && d.failed(f) {
			return
		}
		d.intend()
	default:
		if f := s.Failure; f != nil {
			d.say(v1alpha1.PhasePending, f.Reason, f.Message)
		}
		d.search()
	}
}

// search decides about an intent of which it is not known whether it was carried out:
// by a process that died, or by a request whose answer was lost. Nothing is sent again
// before nobody can be sending it and Jenkins shows nothing of it.
func (d *decision) search() {
	e := d.status.Engine
	if e.IntentAt == nil {
		d.intend()
		return
	}
	settled := e.IntentAt.Add(resendAfter)
	if wait := settled.Sub(d.now); wait > 0 {
		if !d.shout() {
			d.say(v1alpha1.PhasePending, v1alpha1.ReasonStarting, "looking for the build: it is not known whether its trigger arrived")
		}
		d.again(wait)
		return
	}
	d.plan.Missing = true
	ev := d.Memory.Evidence
	if ev == nil || ev.At.Before(settled) {
		d.shout()
		d.find(settleTime)
		return
	}
	if ev.NextBuild > 1 {
		d.finish(v1alpha1.PhaseFailed, v1alpha1.ReasonEngineLost, "Jenkins started the build but has no record of it any more")
		return
	}
	if reason, message := d.stopWish(); reason != "" {
		d.finish(v1alpha1.PhaseAborted, reason, message+" before it started")
		return
	}
	d.intend()
}

// vanished decides about a trigger that Jenkins accepted and shows no more: neither
// queued nor built.
func (d *decision) vanished() {
	e := d.status.Engine
	if d.Memory.Cancelled != 0 && d.Memory.Cancelled == e.QueueID {
		reason, message := d.stopWish()
		d.finish(v1alpha1.PhaseAborted, firstNonEmpty(reason, v1alpha1.ReasonStopped), firstNonEmpty(message, "stopped")+" while it waited in Jenkins' queue")
		return
	}
	if d.shout() || d.Engine.At.IsZero() {
		return
	}
	ev, ok := d.missing(settleTime)
	if !ok {
		return
	}
	stop, message := d.stopWish()
	switch {
	case ev.NextBuild > 1:
		d.finish(v1alpha1.PhaseFailed, v1alpha1.ReasonEngineLost, "Jenkins started the build but has no record of it any more")
	case stop != "":
		d.finish(v1alpha1.PhaseAborted, stop, message+" before it started")
	case !ev.Exists || ev.Session != e.Session:
		if e.Attempt >= maxAttempts {
			d.finish(v1alpha1.PhaseFailed, v1alpha1.ReasonEngineLost, fmt.Sprintf("Jenkins lost the build from its queue %d times", e.Attempt))
			return
		}
		e.Attempt, e.QueueID, e.Session = e.Attempt+1, 0, ""
		d.say(v1alpha1.PhasePending, v1alpha1.ReasonStarting, "Jenkins lost the build from its queue; triggering it again")
		d.intend()
	default:
		d.finish(v1alpha1.PhaseAborted, v1alpha1.ReasonAbortedInEngine, "the build was taken out of Jenkins' queue by somebody")
	}
}

// missing tells whether what Jenkins should show has been missing for t, and was
// searched for thoroughly after that.
func (d *decision) missing(t time.Duration) (Evidence, bool) {
	d.plan.Missing = true
	since := d.Memory.MissingSince
	if since.IsZero() {
		d.again(t)
		return Evidence{}, false
	}
	settled := since.Add(t)
	if wait := settled.Sub(d.now); wait > 0 {
		d.again(wait)
		return Evidence{}, false
	}
	if ev := d.evidence(); !ev.At.Before(settled) {
		return ev, true
	}
	d.find(t)
	return Evidence{}, false
}

// find searches, and says why the last search found nothing out. That a job is not shown
// does not mean that it is gone: the account may have lost the right to see it.
func (d *decision) find(again time.Duration) {
	if Ended(d.status.Phase) {
		return
	}
	if f := d.Memory.Search; f != nil && d.failed(f) {
		return
	}
	d.do(DoFind, 0)
	d.again(again)
}
