package pipeline

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func duration(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// unready: Jenkins cannot be used since so long ago.
func unready(since time.Duration) func(*Observed) {
	return status(func(s *v1alpha1.PipelineExecutionStatus) {
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: v1alpha1.ConditionEngineReady, Status: metav1.ConditionFalse,
			Reason: v1alpha1.ReasonEngineUnavailable, LastTransitionTime: metav1.NewTime(ago(since))})
	})
}

func unsearchable(reason string) func(*Observed) {
	return memory(func(m *Memory) {
		m.Search = &Failure{Reason: reason, Message: "shop/app-1 is hidden", Until: noon.Add(9 * time.Second)}
	})
}

func wantReady(status metav1.ConditionStatus, reason string) func(*testing.T, Plan) {
	return func(t *testing.T, p Plan) {
		t.Helper()
		wantCondition(t, p, v1alpha1.ConditionEngineReady, status, reason)
	}
}

// TestNextWithoutPermission: a job that is hidden is not lost.
func TestNextWithoutPermission(t *testing.T) {
	hidden := unsearchable(v1alpha1.ReasonEngineUnauthorized)
	decide(t, map[string]decided{
		"a build that is hidden is not lost": {
			given: given(initialized(), running(time.Minute), seen(), missingFor(time.Hour), hidden),
			want:  wanted{phase: run, reason: v1alpha1.ReasonEngineUnauthorized, message: "shop/app-1 is hidden", missing: true, after: 9 * time.Second},
			check: wantReady(metav1.ConditionFalse, v1alpha1.ReasonEngineUnauthorized),
		},
		"and is looked for again": {
			given: given(initialized(), running(time.Minute), seen(), missingFor(time.Hour), hidden, memory(func(m *Memory) { m.Search.Until = ago(1) })),
			want:  wanted{phase: run, reason: v1alpha1.ReasonEngineUnauthorized, missing: true, verb: DoFind},
		},
		"a queue item that is hidden is not triggered again": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), missingFor(time.Minute), hidden),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonEngineUnauthorized, missing: true},
		},
		"an intent of which nothing can be found out is not recorded anew": {
			given: given(initialized(), pending(time.Minute), seen(), hidden),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonEngineUnauthorized, missing: true},
			check: func(t *testing.T, p Plan) { wantIntent(t, p, ago(time.Minute)) },
		},
		"what is shown again goes on": {
			given: given(initialized(), running(time.Minute), seen(runs), unready(time.Hour), hidden),
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning},
			check: wantReady(metav1.ConditionTrue, v1alpha1.ReasonReady),
		},
	})
}

func TestNextGivesUpOnJenkins(t *testing.T) {
	decide(t, map[string]decided{
		"a Jenkins that is down says until when it is waited for": {
			given: given(initialized(), running(time.Minute), seen(runs), down(time.Minute)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonEngineUnavailable, message: "given up at 2026-05-02T12:00:00Z"},
			check: wantReady(metav1.ConditionFalse, v1alpha1.ReasonEngineUnavailable),
		},
		"counted from when that was first said, whoever did": {
			given: given(initialized(), running(time.Minute), down(time.Minute), unready(23*time.Hour)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonEngineUnavailable, after: time.Hour},
		},
		"after a day a run is lost, and its place free": {
			given: given(initialized(), running(30*time.Hour), down(time.Minute), unready(abandonTime)),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineLost, message: "after 24 hours: connection refused"},
			check: func(t *testing.T, p Plan) {
				if st := p.Status.Stages[0]; st.Phase != failure {
					t.Errorf("stage = %+v", st)
				}
			},
		},
		"also one that waits to be triggered": {
			given: given(initialized(), pending(30*time.Hour), mine, down(time.Hour), unready(25*time.Hour)),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineLost},
		},
		"and one whose trigger is refused all the time": {
			given: given(initialized(), pending(time.Second), provisioned, started(OutcomeRefused), unready(25*time.Hour)),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineLost},
		},
		"nothing is tried at a Jenkins that is down": {
			given: given(initialized(), pending(time.Second), mine, provisioned, down(time.Minute)),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonEngineUnavailable},
		},
	})
}

func TestNextAfterTheJenkinsWasChanged(t *testing.T) {
	moved := func(o *Observed) { startedAt("http://old")(o); at("http://new")(o) }
	decide(t, map[string]decided{
		"the intent names the Jenkins": {
			given: given(admitted, initialized(), at("http://old")),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStarting},
			check: func(t *testing.T, p Plan) { wantServer(t, p, "http://old") },
		},
		"a run of another Jenkins is not looked for here": {
			given: given(initialized(), running(time.Minute), moved, seen(), missingFor(time.Hour), evidence(time.Second, nothing)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonEngineUnavailable, message: "was started at http://old, but the PipelineSetting names http://new now"},
			check: wantReady(metav1.ConditionFalse, v1alpha1.ReasonEngineUnavailable),
		},
		"nor is one triggered here whose fate there is not known": {
			given: given(initialized(), pending(time.Hour), moved, seen()),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonEngineUnavailable},
			check: func(t *testing.T, p Plan) { wantIntent(t, p, ago(time.Hour)) },
		},
		"it is given up at last": {
			given: given(initialized(), pending(time.Hour), moved, seen(), unready(abandonTime)),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineLost},
		},
		"one that was not sent yet is triggered here": {
			given: given(initialized(), pending(time.Second), mine, moved, seen()),
			want:  wanted{phase: pend, after: time.Millisecond},
			check: func(t *testing.T, p Plan) { wantServer(t, p, "http://new"); wantIntent(t, p, noon) },
		},
		"so is one that the other refused": {
			given: given(initialized(), pending(time.Second), moved, seen(), started(OutcomeRefused)),
			want:  wanted{phase: pend, after: time.Millisecond},
			check: func(t *testing.T, p Plan) { wantServer(t, p, "http://new") },
		},
		"not one whose answer was lost": {
			given: given(initialized(), pending(time.Minute), moved, seen(), started(OutcomeUnknown)),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonEngineUnavailable},
			check: func(t *testing.T, p Plan) { wantServer(t, p, "http://old") },
		},
		"a Jenkins that shows the build is the same at another address": {
			given: given(initialized(), running(time.Minute), moved, seen(runs)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning},
			check: func(t *testing.T, p Plan) { wantServer(t, p, "http://new") },
		},
		"nothing is said before it was looked at": {
			given: given(initialized(), running(time.Minute), moved),
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning},
		},
		"an intent of ours for the old one is recorded anew while both are known": {
			given: given(initialized(), pending(time.Second), mine, provisioned, startedAt("http://old"), func(o *Observed) { o.Server, o.Engine.Server = "http://new", "http://old" }),
			want:  wanted{phase: pend, after: time.Millisecond},
			check: func(t *testing.T, p Plan) { wantServer(t, p, "http://new") },
		},
	})
}

func wantServer(t *testing.T, p Plan, want string) {
	t.Helper()
	if got := p.Status.Engine.Server; got != want {
		t.Errorf("server = %q, want %q", got, want)
	}
}
