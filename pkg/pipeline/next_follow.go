package pipeline

import (
	"fmt"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// follow decides about a run whose build is known.
func (d *decision) follow() {
	d.paused = d.isPaused()
	if d.Engine.At.IsZero() || d.Engine.Down != "" {
		d.plan.Held = d.holding() // nobody knows better
		if !d.shout() && d.status.Reason == "" {
			d.say(d.status.Phase, v1alpha1.ReasonInEngineQueue, "looking at the build")
		}
		return
	}
	if d.duplicate() {
		return
	}
	b, ok := d.build()
	if !ok {
		d.lost()
		return
	}
	d.usable()
	d.status.Engine.URL = firstNonEmpty(b.URL, d.status.Engine.URL)
	if !b.Building {
		d.over(b)
		return
	}
	d.status.Stages = Observe(d.status.Stages, d.Engine.Stages, "", d.now)
	if !d.begun() {
		d.awaitAgent()
	} else {
		d.run()
		d.plan.AgentGone = d.deserted()
	}
	d.stop()
	if d.plan.Verb == DoNothing {
		d.pause()
	}
}

func (d *decision) build() (EngineBuild, bool) {
	for _, b := range d.Engine.Builds {
		if b.Number == d.status.Engine.Build {
			return b, true
		}
	}
	return EngineBuild{}, false
}

// duplicate removes what a trigger left behind that arrived twice.
func (d *decision) duplicate() bool {
	for _, it := range d.Engine.Items {
		if it.ID != d.status.Engine.QueueID && it.ID != d.Memory.Cancelled {
			d.do(DoCancelQueue, it.ID)
			return true
		}
	}
	for _, b := range d.Engine.Builds {
		if b.Number > d.status.Engine.Build && b.Building {
			d.do(DoKill, b.Number)
			return true
		}
	}
	return false
}

// lost decides about a build that Jenkins does not show any more.
func (d *decision) lost() {
	d.plan.Held = d.holding()
	ev, ok := d.missing(lostTime)
	if !ok {
		return
	}
	for _, b := range ev.Builds {
		if b.Number == d.status.Engine.Build {
			return // the next look will show it
		}
	}
	message := fmt.Sprintf("Jenkins has no record of build %d any more", d.status.Engine.Build)
	if !ev.Exists {
		message = fmt.Sprintf("Jenkins has no job %s any more", d.status.Engine.Job)
	}
	d.closeStages(v1alpha1.PhaseFailed)
	d.finish(v1alpha1.PhaseFailed, v1alpha1.ReasonEngineLost, message)
}

// deserted tells whether the agent that was there has gone while a step ran on it. When
// every step is over, it is Jenkins that removes it.
func (d *decision) deserted() bool {
	if a := d.Agent; d.status.Agent == nil || a != nil && !a.Deleting {
		return false
	}
	for _, st := range d.status.Stages {
		for _, s := range st.Steps {
			if s.Phase == v1alpha1.PhaseRunning {
				return true
			}
		}
	}
	return false
}

// noteAgent records where the steps run, and why that died. Both are kept when the pod is
// gone.
func (d *decision) noteAgent() {
	a := d.Agent
	if a == nil || a.Name == "" {
		return
	}
	if old := d.status.Agent; old != nil && old.Pod != a.Name && (a.Deleting || a.Dead) {
		return
	}
	next := &v1alpha1.AgentStatus{Namespace: a.Namespace, Pod: a.Name, Node: a.Node}
	if old := d.status.Agent; old != nil && old.Pod == a.Name {
		next.Message = old.Message
	}
	if a.Dead && next.Message == "" {
		next.Message = clip(firstNonEmpty(a.Trouble, "it died"), 512)
	}
	d.status.Agent = next
}

// begun tells whether steps have run. Where Jenkins cannot tell stages, the agent does.
func (d *decision) begun() bool {
	if d.status.StartedAt != nil {
		return true
	}
	for _, s := range d.Engine.Stages {
		if s.Phase != v1alpha1.PhasePending {
			return true
		}
	}
	return d.Engine.NoStages && d.Agent != nil && d.Agent.Ready && d.Engine.Waiting == ""
}

func (d *decision) awaitAgent() {
	message := "the agent pod is not there yet"
	if d.Engine.Waiting != "" {
		message += ": Jenkins: " + d.Engine.Waiting
	}
	if a := d.Agent; a != nil {
		message = fmt.Sprintf("agent pod %s is not ready", a.Name)
		switch {
		case a.Ready:
			message = fmt.Sprintf("agent pod %s is ready and joins Jenkins", a.Name)
		case a.Trouble != "":
			message += ": " + a.Trouble
		}
	}
	if d.Engine.QuietingDown {
		d.plan.Held = true
		message = "Jenkins is preparing to shut down; " + message
	}
	d.say(v1alpha1.PhasePending, v1alpha1.ReasonWaitingForAgent, message)
}

func (d *decision) run() {
	if d.status.StartedAt == nil {
		d.status.StartedAt, d.status.Hold = Stamp(d.startTime()), nil
	}
	running := ""
	for _, st := range d.status.Stages {
		if st.Phase == v1alpha1.PhaseRunning {
			running = st.Name
		}
	}
	question := d.asks()
	switch {
	case d.paused:
		d.plan.Held = true
		d.say(v1alpha1.PhasePaused, v1alpha1.ReasonPaused, d.pauseMessage())
	case question != "" && running == "":
		d.plan.Held = true
		d.say(v1alpha1.PhasePaused, v1alpha1.ReasonWaitingForApproval, question)
	case d.Engine.QuietingDown:
		d.plan.Held = true
		d.say(v1alpha1.PhaseRunning, v1alpha1.ReasonRunning, "Jenkins is preparing to shut down: the run goes on after that")
	case d.Memory.PauseError != "" && d.Execution.Spec.Control == v1alpha1.ControlPause:
		d.say(v1alpha1.PhaseRunning, v1alpha1.ReasonRunning, "cannot be paused: "+d.Memory.PauseError)
	case question != "":
		d.say(v1alpha1.PhaseRunning, v1alpha1.ReasonRunning, fmt.Sprintf("stage %q runs; %s", running, question))
	case running != "":
		d.say(v1alpha1.PhaseRunning, v1alpha1.ReasonRunning, fmt.Sprintf("stage %q runs", running))
	default:
		d.say(v1alpha1.PhaseRunning, v1alpha1.ReasonRunning, "the agent runs")
	}
}

// startTime is when the first stage began, as far as Jenkins' clock can be believed.
func (d *decision) startTime() time.Time {
	for _, s := range d.Engine.Stages {
		if s.Start.IsZero() || s.Phase == v1alpha1.PhasePending {
			continue
		}
		if skew := d.now.Sub(s.Start); skew >= 0 && skew < time.Minute {
			return s.Start
		}
		break
	}
	return d.now
}
