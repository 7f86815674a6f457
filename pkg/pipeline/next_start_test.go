package pipeline

import (
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestNextTriggers(t *testing.T) {
	decide(t, map[string]decided{
		"an intent of ours is provisioned for first": {
			given: given(admitted, initialized(), pending(time.Second), mine),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStarting, verb: DoProvision},
		},
		"then triggered": {
			given: given(admitted, initialized(), pending(time.Second), mine, provisioned),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStarting, verb: DoStart, target: 1},
		},
		"an intent that grew old is recorded anew instead": {
			given: given(admitted, initialized(), pending(6*time.Second), mine, provisioned),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStarting, after: time.Millisecond},
			check: func(t *testing.T, p Plan) { wantIntent(t, p, noon) },
		},
		"what fails to be provisioned is tried again later": {
			given: given(initialized(), pending(time.Second), mine, memory(func(m *Memory) {
				m.Provision = &Failure{Reason: v1alpha1.ReasonEngineUnavailable, Message: "refused", Until: noon.Add(4 * time.Second)}
			})),
			want: wanted{phase: pend, reason: v1alpha1.ReasonEngineUnavailable, message: "refused", after: 4 * time.Second},
		},
		"a job of somebody else is terminal": {
			given: given(initialized(), pending(time.Second), mine, memory(func(m *Memory) {
				m.Provision = &Failure{Reason: v1alpha1.ReasonNameConflict, Message: "taken", Terminal: true}
			})),
			want: wanted{phase: failure, reason: v1alpha1.ReasonNameConflict},
		},
		"a stop before the trigger ends it without a build": {
			given: given(initialized(), pending(time.Second), mine, provisioned, control(v1alpha1.ControlStop)),
			want:  wanted{phase: halted, reason: v1alpha1.ReasonStopped},
		},
		"an intent of a process that died is not carried out": {
			given: given(initialized(), pending(time.Second), provisioned, seen()),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStarting, message: "looking for the build", after: resendAfter - time.Second},
		},
		"when nobody can be sending it, evidence is searched": {
			given: given(initialized(), pending(time.Minute), seen()),
			want:  wanted{phase: pend, verb: DoFind, missing: true, after: settleTime},
		},
		"evidence from too early does not count": {
			given: given(initialized(), pending(resendAfter+time.Second), seen(), evidence(2*time.Second, nothing)),
			want:  wanted{phase: pend, verb: DoFind, missing: true},
		},
		"without evidence the intent is recorded anew, as the same attempt": {
			given: given(initialized(), pending(time.Minute), seen(), evidence(time.Second, nothing)),
			want:  wanted{phase: pend, after: time.Millisecond, missing: true},
			check: func(t *testing.T, p Plan) {
				wantIntent(t, p, noon)
				if p.Status.Engine.Attempt != 1 {
					t.Errorf("attempt = %d, want 1", p.Status.Engine.Attempt)
				}
			},
		},
		"without evidence a stopped run ends": {
			given: given(initialized(), pending(time.Minute), seen(), evidence(time.Second, nothing), control(v1alpha1.ControlStop)),
			want:  wanted{phase: halted, reason: v1alpha1.ReasonStopped},
		},
		"a build that was started and is gone is lost": {
			given: given(initialized(), pending(time.Minute), seen(), evidence(time.Second, func(e *Evidence) { e.NextBuild = 2 })),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineLost},
		},
		"a queue item is evidence": {
			given: given(initialized(), pending(time.Second), seen(), items(9)),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonInEngineQueue, message: "because"},
			check: func(t *testing.T, p Plan) {
				if p.Status.Engine.QueueID != 9 || p.Status.Engine.Session != "s1" {
					t.Errorf("engine = %+v", p.Status.Engine)
				}
			},
		},
		"a build is evidence": {
			given: given(initialized(), pending(time.Second), seen(runs)),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonWaitingForAgent},
			check: func(t *testing.T, p Plan) {
				if p.Status.Engine.Build != 1 || p.Status.Engine.QueueID != 7 {
					t.Errorf("engine = %+v", p.Status.Engine)
				}
			},
		},
		"of two builds the first is ours": {
			given: given(initialized(), pending(time.Second), seen(EngineBuild{Number: 2, QueueID: 8, Building: true}, runs)),
			want:  wanted{phase: pend, verb: DoKill, target: 2},
			check: func(t *testing.T, p Plan) {
				if p.Status.Engine.Build != 1 {
					t.Errorf("build = %d, want 1", p.Status.Engine.Build)
				}
			},
		},
		"an accepted trigger waits to be seen": {
			given: given(initialized(), pending(time.Second), provisioned, started(OutcomeAccepted), engine(func(e *Engine) { e.At = ago(time.Minute) })),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonInEngineQueue, after: glance},
			check: func(t *testing.T, p Plan) {
				if p.Status.Engine.QueueID != 7 || p.Status.Engine.Session != "s1" {
					t.Errorf("engine = %+v", p.Status.Engine)
				}
			},
		},
		"a refused trigger is tried again later": {
			given: given(initialized(), pending(time.Second), provisioned, started(OutcomeRefused)),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonEngineUnavailable, message: "answer lost", after: 3 * time.Second},
		},
		"a refused trigger that is due again gets a new intent": {
			given: given(initialized(), pending(time.Second), provisioned, started(OutcomeRefused), memory(func(m *Memory) { m.Start.Failure.Until = ago(1) })),
			want:  wanted{phase: pend, after: time.Millisecond},
			check: func(t *testing.T, p Plan) { wantIntent(t, p, noon) },
		},
		"a trigger whose answer was lost is not sent again": {
			given: given(initialized(), pending(time.Second), provisioned, started(OutcomeUnknown)),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStarting, after: resendAfter - time.Second},
		},
		"a trigger whose answer was lost is followed when its build shows": {
			given: given(initialized(), pending(time.Second), provisioned, started(OutcomeUnknown), seen(runs)),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonWaitingForAgent},
		},
	})
}

func TestNextInTheQueueOfJenkins(t *testing.T) {
	decide(t, map[string]decided{
		"an item that has left the queue is looked for before it is judged": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen()),
			want:  wanted{phase: pend, missing: true, after: settleTime},
		},
		"and searched thoroughly after it settled": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), missingFor(6*time.Second)),
			want:  wanted{phase: pend, missing: true, verb: DoFind},
		},
		"an item that was lost in a crash is triggered again, as the next attempt": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), missingFor(9*time.Second), evidence(time.Second, func(e *Evidence) { e.Session = "s2" })),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStarting, message: "lost", missing: true},
			check: func(t *testing.T, p Plan) {
				wantIntent(t, p, noon)
				if e := p.Status.Engine; e.Attempt != 2 || e.QueueID != 0 || e.Session != "" {
					t.Errorf("engine = %+v", e)
				}
			},
		},
		"but not for ever": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), status(func(s *v1alpha1.PipelineExecutionStatus) { s.Engine.Attempt = 3 }),
				seen(), missingFor(9*time.Second), evidence(time.Second, func(e *Evidence) { e.Session = "s2" })),
			want: wanted{phase: failure, reason: v1alpha1.ReasonEngineLost},
		},
		"a job that is gone is made and triggered again": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), missingFor(9*time.Second), evidence(time.Second, func(e *Evidence) { e.Exists = false })),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStarting, missing: true},
		},
		"an item that somebody cancelled ends the run": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), missingFor(9*time.Second), evidence(time.Second, nothing)),
			want:  wanted{phase: halted, reason: v1alpha1.ReasonAbortedInEngine},
		},
		"a newer run takes it out, too, once that is written down": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), items(7), admission(Admission{Admitted: true, SupersededBy: "app-2"})),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStopping, after: time.Millisecond},
		},
		"a stop while queued takes it out of the queue": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), items(7), control(v1alpha1.ControlStop)),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStopping, verb: DoCancelQueue, target: 7},
		},
		"what was taken out has ended": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), items(7), control(v1alpha1.ControlStop), memory(func(m *Memory) { m.Cancelled = 7 })),
			want:  wanted{phase: halted, reason: v1alpha1.ReasonStopped, message: "queue"},
		},
		"a Jenkins that is down ends nothing that waits in its queue": {
			given: given(initialized(), pending(time.Hour), queuedAs(7), seen(), missingFor(time.Hour), evidence(time.Second, nothing), down(time.Hour)),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonEngineUnavailable, message: "connection refused"},
		},
		"quiet mode is told": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), items(7), engine(func(e *Engine) { e.QuietingDown = true })),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonInEngineQueue, message: "preparing to shut down"},
		},
	})
}
