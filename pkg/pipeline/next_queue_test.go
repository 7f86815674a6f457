package pipeline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestNextQueued(t *testing.T) {
	decide(t, map[string]decided{
		"nothing is written before the queue was judged": {
			given: given(),
			check: func(t *testing.T, p Plan) {
				if diff := cmp.Diff(v1alpha1.PipelineExecutionStatus{}, p.Status); diff != "" {
					t.Errorf("status (-want +got):\n%s", diff)
				}
			},
		},
		"waits for the quota, with position and reason": {
			given: given(admission(Admission{Position: 3, Reason: v1alpha1.ReasonWaitingForQuota, Message: "2 of 2"})),
			want:  wanted{phase: queued, reason: v1alpha1.ReasonWaitingForQuota, message: "2 of 2"},
			check: func(t *testing.T, p Plan) {
				if diff := cmp.Diff(&v1alpha1.QueueStatus{Position: 3, Reason: v1alpha1.ReasonWaitingForQuota}, p.Status.Queue); diff != "" {
					t.Errorf("queue (-want +got):\n%s", diff)
				}
			},
		},
		"a place far behind is not written anew for one step ahead": {
			given: given(status(func(s *v1alpha1.PipelineExecutionStatus) {
				s.Phase, s.Reason, s.Queue = queued, v1alpha1.ReasonWaitingForQuota, &v1alpha1.QueueStatus{Position: 100, Reason: v1alpha1.ReasonWaitingForQuota}
			}), admission(Admission{Position: 99, Reason: v1alpha1.ReasonWaitingForQuota})),
			want:  wanted{phase: queued, reason: v1alpha1.ReasonWaitingForQuota},
			check: func(t *testing.T, p Plan) { wantPosition(t, p, 100) },
		},
		"a place near the front is": {
			given: given(status(func(s *v1alpha1.PipelineExecutionStatus) {
				s.Phase, s.Reason, s.Queue = queued, v1alpha1.ReasonWaitingForQuota, &v1alpha1.QueueStatus{Position: 4, Reason: v1alpha1.ReasonWaitingForQuota}
			}), admission(Admission{Position: 3, Reason: v1alpha1.ReasonWaitingForQuota})),
			want:  wanted{phase: queued, reason: v1alpha1.ReasonWaitingForQuota},
			check: func(t *testing.T, p Plan) { wantPosition(t, p, 3) },
		},
		"an admitted run is initialized": {
			given: given(admitted),
			want:  wanted{phase: queued, reason: v1alpha1.ReasonFetchingConfig, verb: DoInitialize},
		},
		"an initialized run becomes pending with an intent": {
			given: given(admitted, initialized()),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStarting, after: time.Millisecond},
			check: func(t *testing.T, p Plan) {
				want := &v1alpha1.EngineStatus{Kind: "Jenkins", Job: "shop/app-1", Attempt: 1, IntentAt: microStamp(noon)}
				if diff := cmp.Diff(want, p.Status.Engine); diff != "" {
					t.Errorf("engine (-want +got):\n%s", diff)
				}
				wantCondition(t, p, v1alpha1.ConditionInitialized, metav1.ConditionTrue, "Admitted")
				wantCondition(t, p, v1alpha1.ConditionComplete, metav1.ConditionFalse, "Pending")
				wantCondition(t, p, v1alpha1.ConditionSucceeded, metav1.ConditionUnknown, "Pending")
			},
		},
		"a run that lost its admission waits, though it is initialized": {
			given: given(initialized(), admission(Admission{Position: 1, Reason: v1alpha1.ReasonWaitingForQuota})),
			want:  wanted{phase: queued, reason: v1alpha1.ReasonWaitingForQuota},
		},
		"a run without anything to do succeeds at once": {
			given: given(admitted, initialized(func(i *Initialized) { i.Nothing = true })),
			want:  wanted{phase: succeeded, reason: v1alpha1.ReasonNothingToRun},
			check: func(t *testing.T, p Plan) {
				wantCondition(t, p, v1alpha1.ConditionComplete, metav1.ConditionTrue, "Succeeded")
				wantCondition(t, p, v1alpha1.ConditionSucceeded, metav1.ConditionTrue, v1alpha1.ReasonNothingToRun)
			},
		},
		"an invalid config is terminal": {
			given: given(admitted, memory(func(m *Memory) {
				m.Initialized = &Initialized{Failure: &Failure{Reason: v1alpha1.ReasonInvalidConfig, Message: "line 3", Terminal: true}}
			})),
			want: wanted{phase: failure, reason: v1alpha1.ReasonInvalidConfig, message: "line 3"},
			check: func(t *testing.T, p Plan) {
				wantCondition(t, p, v1alpha1.ConditionInitialized, metav1.ConditionFalse, v1alpha1.ReasonInvalidConfig)
				wantCondition(t, p, v1alpha1.ConditionComplete, metav1.ConditionTrue, "Failed")
			},
		},
		"an unreachable Git host is tried again later": {
			given: given(admitted, memory(func(m *Memory) {
				m.Initialized = &Initialized{Failure: &Failure{Reason: v1alpha1.ReasonConfigUnavailable, Message: "no route", Until: noon.Add(8 * time.Second)}}
			})),
			want: wanted{phase: queued, reason: v1alpha1.ReasonConfigUnavailable, message: "no route", after: 8 * time.Second},
		},
		"and is, when it is time": {
			given: given(admitted, memory(func(m *Memory) {
				m.Initialized = &Initialized{Failure: &Failure{Reason: v1alpha1.ReasonConfigUnavailable, Message: "no route", Until: ago(1)}}
			})),
			want: wanted{phase: "", verb: DoInitialize},
		},
		"a queued run that is stopped ends at once": {
			given: given(control(v1alpha1.ControlStop), admission(Admission{Position: 1, Reason: v1alpha1.ReasonWaitingForQuota})),
			want:  wanted{phase: halted, reason: v1alpha1.ReasonStopped, message: "before it started"},
		},
		"a queued run that is superseded ends at once": {
			given: given(admission(Admission{SupersededBy: "app-2"})),
			want:  wanted{phase: halted, reason: v1alpha1.ReasonSuperseded, message: "app-2"},
		},
		"a queued run that is paused is held": {
			given: given(control(v1alpha1.ControlPause)),
			want:  wanted{phase: queued, reason: v1alpha1.ReasonPaused, message: "before it started"},
		},
	})
}
