package pipeline

import (
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestNextStops(t *testing.T) {
	decide(t, map[string]decided{
		"a stop begins with Stop": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonStopping, verb: DoStop, target: 1, after: rungTime},
		},
		"a newer run stops it too": {
			given: given(initialized(), running(time.Minute), seen(runs), admission(Admission{Admitted: true, SupersededBy: "app-2"})),
			want:  wanted{phase: run, reason: v1alpha1.ReasonStopping, message: "app-2", after: time.Millisecond},
			check: func(t *testing.T, p Plan) {
				if p.Status.Engine.StopReason != v1alpha1.ReasonSuperseded {
					t.Errorf("stopReason = %s", p.Status.Engine.StopReason)
				}
			},
		},
		"once that is written": {
			given: given(initialized(), running(time.Minute), seen(runs), stopping("", v1alpha1.ReasonSuperseded, 0, 0)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonStopping, verb: DoStop, target: 1},
		},
		"Stop is given its time": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, 5*time.Second, 5*time.Second)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonStopping, after: 10 * time.Second},
		},
		"then comes Term": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, rungTime, rungTime)),
			want:  wanted{phase: run, verb: DoTerm, target: 1},
		},
		"then Kill": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoTerm, v1alpha1.ReasonStopped, 2*rungTime, rungTime)),
			want:  wanted{phase: run, verb: DoKill, target: 1},
		},
		"then the pod is deleted": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoKill, v1alpha1.ReasonStopped, 3*rungTime, rungTime), agent(func(*Agent) {})),
			want:  wanted{phase: run, verb: DoDeleteAgent},
		},
		"and Kill again": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoKill, v1alpha1.ReasonStopped, 3*rungTime, rungTime)),
			want:  wanted{phase: run, verb: DoKill, target: 1},
		},
		"after a restart of ours the rung is tried again": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, 5*time.Second, 0),
				memory(func(m *Memory) { m.StopRung, m.Stop = "", time.Time{} })),
			want: wanted{phase: run, verb: DoStop, target: 1},
		},
		"a rung that was tried is what is written, and none is left out when a moment more has passed": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, rungTime+time.Second, time.Millisecond)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonStopping, after: rungTime - time.Millisecond},
			check: func(t *testing.T, p Plan) {
				if p.Status.Engine.StopStage != string(DoStop) {
					t.Errorf("stopStage = %s, want the rung that was tried", p.Status.Engine.StopStage)
				}
			},
		},
		"each rung is given its time, however long ago the stop was asked for": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoTerm, v1alpha1.ReasonStopped, time.Hour, time.Second)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonStopping, after: rungTime - time.Second},
		},
		"the reason of a stop is not changed by a later wish": {
			given: given(initialized(), running(2*time.Hour), seen(abort), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonTimeout, time.Minute, time.Minute)),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonTimeout, message: "timeout of 1h0m0s"},
		},
		"a stop by a person is asked once for a timeout too": {
			given: given(initialized(), running(time.Minute), seen(abort), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, 5*time.Second, 5*time.Second)),
			want:  wanted{phase: halted, reason: v1alpha1.ReasonStopped},
		},
	})
}
