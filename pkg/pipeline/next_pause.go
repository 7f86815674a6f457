package pipeline

import (
	"fmt"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// isPaused tells whether the build is paused: as Jenkins showed it last or, before this
// process has looked, as it was written down.
func (d *decision) isPaused() bool {
	if d.Engine.PausedAt.IsZero() {
		s := d.Execution.Status
		return s.Phase == v1alpha1.PhasePaused && s.Reason == v1alpha1.ReasonPaused
	}
	return d.Engine.Paused
}

// pause makes the build do what spec.control says, between two steps. A build that
// somebody paused in Jenkins is theirs to let go on, unless spec.control took it over.
func (d *decision) pause() {
	if d.status.StartedAt == nil {
		return
	}
	e, want := d.status.Engine, d.Execution.Spec.Control == v1alpha1.ControlPause
	verb := DoNothing
	switch {
	case want && !d.paused:
		verb = DoPause
	case want:
		e.Paused = true
	case !d.paused:
		e.Paused = false
	case e.Paused:
		verb = DoResume
	}
	if verb == DoNothing {
		return
	}
	if wait := d.Memory.PauseTried.Add(lostTime).Sub(d.now); d.Memory.PauseError != "" && wait > 0 {
		d.again(wait)
		return
	}
	d.do(verb, e.Build)
}

func (d *decision) pauseMessage() string {
	const how = "; a script that runs is not interrupted"
	switch {
	case d.Execution.Spec.Control == v1alpha1.ControlPause:
		return "paused by spec.control" + how
	case d.Memory.PauseError != "" && d.status.Engine.Paused:
		return "cannot be resumed: " + d.Memory.PauseError
	case d.status.Engine.Paused:
		return "about to go on"
	}
	return "paused by somebody in Jenkins" + how
}

// asks is the question that the build waits with, "" when it has none.
func (d *decision) asks() string {
	for _, st := range d.status.Stages {
		waits := st.Phase == v1alpha1.PhasePaused
		for _, s := range st.Steps {
			waits = waits || s.Phase == v1alpha1.PhasePaused
		}
		switch {
		case waits && d.Engine.Question != "":
			return fmt.Sprintf("stage %q asks: %s", st.Name, clip(d.Engine.Question, 1024))
		case waits:
			return fmt.Sprintf("stage %q asks for an approval", st.Name)
		}
	}
	return ""
}

// clock writes down when the timeouts come to stand still, and when they go on. It is
// kept in the status: a process that begins anew must not count the time in between.
func (d *decision) clock() {
	switch {
	case d.plan.Held && !d.holding():
		if d.status.Hold == nil {
			d.status.Hold = &v1alpha1.HoldStatus{}
		}
		d.status.Hold.Since = Stamp(d.now)
	case !d.plan.Held && d.holding():
		d.status.Hold.Seconds, d.status.Hold.Since = int64(d.heldFor()/time.Second), nil
	}
}

func (d *decision) holding() bool { return d.status.Hold != nil && d.status.Hold.Since != nil }

// heldFor is for how long the timeout that runs now was held.
func (d *decision) heldFor() time.Duration {
	h := d.status.Hold
	if h == nil {
		return 0
	}
	held := time.Duration(h.Seconds) * time.Second
	if h.Since != nil {
		held += max(0, d.now.Sub(h.Since.Time))
	}
	return held
}
