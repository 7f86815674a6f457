package pipeline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func wantHold(want *v1alpha1.HoldStatus) func(*testing.T, Plan) {
	return func(t *testing.T, p Plan) {
		t.Helper()
		if diff := cmp.Diff(want, p.Status.Hold); diff != "" {
			t.Errorf("hold (-want +got):\n%s", diff)
		}
	}
}

func TestNextPauses(t *testing.T) {
	asks := stages(stage("1.1 compile", v1alpha1.PhasePaused))
	quiet := engine(func(e *Engine) { e.QuietingDown = true })
	decide(t, map[string]decided{
		"the question of an input step is told": {
			given: given(initialized(), running(time.Minute), seen(runs), asks, engine(func(e *Engine) { e.Question = "Deploy to prod?" })),
			want:  wanted{phase: pause, reason: v1alpha1.ReasonWaitingForApproval, message: `stage "Build" asks: Deploy to prod?`, held: true},
			check: wantHold(&v1alpha1.HoldStatus{Since: Stamp(noon)}),
		},
		"a question does not pause a run of which another stage goes on": {
			given: given(initialized(), running(time.Minute), seen(runs), stages(stage("1.1 compile", v1alpha1.PhasePaused), stage("2.1 unit", v1alpha1.PhaseRunning)),
				engine(func(e *Engine) { e.Question = "Deploy?" })),
			want: wanted{phase: run, reason: v1alpha1.ReasonRunning, message: `stage "Test" runs; stage "Build" asks: Deploy?`},
		},
		"the clock is written down when it comes to stand still": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlPause), pausedNow, held(30*time.Second)),
			want:  wanted{phase: pause, reason: v1alpha1.ReasonPaused, message: "paused by spec.control", held: true},
			check: wantHold(&v1alpha1.HoldStatus{Since: Stamp(noon), Seconds: 30}),
		},
		"and when it goes on": {
			given: given(initialized(), running(time.Hour), seen(runs), goesOn, held(30*time.Second), holding(0), status(func(s *v1alpha1.PipelineExecutionStatus) {
				s.Hold = &v1alpha1.HoldStatus{Seconds: 30, Since: Stamp(ago(50 * time.Minute))}
			})),
			want:  wanted{phase: run, after: 50*time.Minute + 30*time.Second},
			check: wantHold(&v1alpha1.HoldStatus{Seconds: 50*60 + 30}),
		},
		"a restart of ours forgets no pause": {
			given: given(initialized(), running(3*time.Hour), seen(runs), control(v1alpha1.ControlPause), pausedByUs, holding(2*time.Hour+30*time.Minute)),
			want:  wanted{phase: pause, reason: v1alpha1.ReasonPaused, verb: DoNothing, held: true},
			check: wantHold(&v1alpha1.HoldStatus{Since: Stamp(ago(2*time.Hour + 30*time.Minute))}),
		},
		"nor does a Jenkins that is down meanwhile": {
			given: given(initialized(), running(3*time.Hour), seen(runs), pausedByUs, holding(time.Hour), down(time.Second)),
			want:  wanted{phase: pause, reason: v1alpha1.ReasonPaused, held: true},
			check: wantHold(&v1alpha1.HoldStatus{Since: Stamp(ago(time.Hour))}),
		},
		"a timeout is known though its pipeline is gone": {
			given: given(running(2*time.Hour), seen(runs), status(func(s *v1alpha1.PipelineExecutionStatus) { s.Timeout = duration(time.Hour) })),
			want:  wanted{phase: run, reason: v1alpha1.ReasonStopping, message: "timeout of 1h0m0s", after: time.Millisecond},
		},
		"what waiting for the agent was held does not lengthen the run's timeout": {
			given: given(initialized(), building, seen(runs), stages(stage("1.1 compile", v1alpha1.PhaseRunning)), held(time.Hour)),
			want:  wanted{phase: run, after: time.Hour - 30*time.Second},
			check: wantHold(nil),
		},
		"quiet mode holds a run, too": {
			given: given(initialized(), running(2*time.Hour), seen(runs), quiet, holding(90*time.Minute)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning, message: "preparing to shut down", held: true},
		},
		"the end of quiet mode ends that": {
			given: given(initialized(), running(2*time.Hour), seen(runs), holding(90*time.Minute)),
			want:  wanted{phase: run, after: 30 * time.Minute},
			check: wantHold(&v1alpha1.HoldStatus{Seconds: 90 * 60}),
		},
		"a build that somebody paused in Jenkins is Paused, and left to them": {
			given: given(initialized(), running(2*time.Hour), seen(runs), pausedNow),
			want:  wanted{phase: pause, reason: v1alpha1.ReasonPaused, message: "by somebody in Jenkins", held: true},
		},
		"and goes on when they say so": {
			given: given(initialized(), running(time.Minute), seen(runs), goesOn, status(func(s *v1alpha1.PipelineExecutionStatus) { s.Phase, s.Reason = pause, v1alpha1.ReasonPaused })),
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning},
		},
		"pause takes it over": {
			given: given(initialized(), running(time.Minute), seen(runs), pausedNow, control(v1alpha1.ControlPause)),
			want:  wanted{phase: pause, reason: v1alpha1.ReasonPaused, held: true},
			check: func(t *testing.T, p Plan) {
				if !p.Status.Engine.Paused {
					t.Error("it is not noted that resuming is ours")
				}
			},
		},
		"a build that somebody let go on in Jenkins is paused again": {
			given: given(initialized(), running(time.Minute), seen(runs), goesOn, pausedByUs, control(v1alpha1.ControlPause)),
			want:  wanted{phase: run, verb: DoPause, target: 1},
		},
		"a toggle whose answer was lost is not sent again at once": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlPause), memory(func(m *Memory) { m.PauseError, m.PauseTried = "answer lost", ago(time.Second) })),
			want:  wanted{phase: run, message: "cannot be paused: answer lost", after: lostTime - time.Second},
		},
		"a paused run that is stopped is let go on between two rungs": {
			given: given(initialized(), running(time.Minute), seen(runs), pausedNow, pausedByUs, control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, time.Second, time.Second)),
			want:  wanted{phase: pause, reason: v1alpha1.ReasonStopping, verb: DoResume, target: 1, held: true},
		},
	})
}
