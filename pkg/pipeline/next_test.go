package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// noon is now in these tests; ago counts back from it.
var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// given builds what is observed. Options are applied in order.
func given(opts ...func(*Observed)) Observed {
	o := Observed{
		Job:       "shop/app-1",
		Execution: &v1alpha1.PipelineExecution{ObjectMeta: metav1.ObjectMeta{Name: "app-1", Namespace: "shop", Generation: 3}},
	}
	o.Execution.Spec.Control = v1alpha1.ControlRun
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

func status(f func(*v1alpha1.PipelineExecutionStatus)) func(*Observed) {
	return func(o *Observed) { f(&o.Execution.Status) }
}

func memory(f func(*Memory)) func(*Observed) { return func(o *Observed) { f(&o.Memory) } }

func engine(f func(*Engine)) func(*Observed) { return func(o *Observed) { f(&o.Engine) } }

func control(c v1alpha1.Control) func(*Observed) {
	return func(o *Observed) { o.Execution.Spec.Control = c }
}

func admission(a Admission) func(*Observed) { return func(o *Observed) { o.Admission = a } }

var admitted = admission(Admission{Admitted: true})

func twoStages() []v1alpha1.StageStatus {
	return []v1alpha1.StageStatus{
		{Name: "Build", Phase: v1alpha1.PhasePending, Steps: []v1alpha1.StepStatus{{Name: "compile", Phase: v1alpha1.PhasePending}}},
		{Name: "Test", Phase: v1alpha1.PhasePending, Steps: []v1alpha1.StepStatus{{Name: "unit", Phase: v1alpha1.PhasePending}}},
	}
}

func initialized(f ...func(*Initialized)) func(*Observed) {
	return memory(func(m *Memory) {
		m.Initialized = &Initialized{Stages: twoStages(), Timeout: time.Hour, AgentTimeout: 10 * time.Minute}
		for _, change := range f {
			change(m.Initialized)
		}
	})
}

// pending is admitted, with an intent recorded that long ago.
func pending(intent time.Duration) func(*Observed) {
	return status(func(s *v1alpha1.PipelineExecutionStatus) {
		s.Phase, s.Reason, s.Stages = v1alpha1.PhasePending, v1alpha1.ReasonStarting, twoStages()
		s.Engine = &v1alpha1.EngineStatus{Kind: "Jenkins", Job: "shop/app-1", Attempt: 1, IntentAt: microStamp(ago(intent))}
	})
}

// mine: this process recorded the intent.
func mine(o *Observed) { o.Memory.Intent = o.Execution.Status.Engine.IntentAt.Time }

func provisioned(o *Observed) { o.Memory.Provisioned = true }

// queuedAs: Jenkins accepted the trigger as this item.
func queuedAs(id int64) func(*Observed) {
	return status(func(s *v1alpha1.PipelineExecutionStatus) {
		s.Engine.QueueID, s.Engine.Session, s.Reason = id, "s1", v1alpha1.ReasonInEngineQueue
	})
}

// building: the build is known.
func building(o *Observed) {
	pending(5 * time.Minute)(o)
	queuedAs(7)(o)
	o.Execution.Status.Engine.Build = 1
	o.Execution.Status.Reason = v1alpha1.ReasonWaitingForAgent
	meta.SetStatusCondition(&o.Execution.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionProvisioned, Status: metav1.ConditionFalse,
		Reason: v1alpha1.ReasonWaitingForAgent, LastTransitionTime: metav1.NewTime(ago(4 * time.Minute))})
}

// running: its first step began that long ago.
func running(since time.Duration) func(*Observed) {
	return func(o *Observed) {
		building(o)
		s := &o.Execution.Status
		s.Phase, s.Reason, s.StartedAt = v1alpha1.PhaseRunning, v1alpha1.ReasonRunning, Stamp(ago(since))
		s.Stages[0].Phase, s.Stages[0].StartedAt = v1alpha1.PhaseRunning, Stamp(ago(since))
		s.Stages[0].Steps[0].Phase, s.Stages[0].Steps[0].StartedAt = v1alpha1.PhaseRunning, Stamp(ago(since))
	}
}

// seen: Jenkins was looked at just now and shows the job with these builds.
func seen(builds ...EngineBuild) func(*Observed) {
	return engine(func(e *Engine) {
		e.At, e.Session, e.Exists, e.NextBuild = ago(time.Second), "s1", true, int64(len(builds)+1)
		e.Builds, e.StagesAt = builds, ago(time.Second)
	})
}

var (
	runs   = EngineBuild{Number: 1, QueueID: 7, Building: true}
	passed = EngineBuild{Number: 1, QueueID: 7, Result: v1alpha1.PhaseSucceeded, Raw: "SUCCESS"}
	failed = EngineBuild{Number: 1, QueueID: 7, Result: v1alpha1.PhaseFailed, Raw: "FAILURE"}
	abort  = EngineBuild{Number: 1, QueueID: 7, Result: v1alpha1.PhaseAborted, Raw: "ABORTED"}
)

func items(ids ...int64) func(*Observed) {
	return engine(func(e *Engine) {
		for _, id := range ids {
			e.Items = append(e.Items, EngineItem{ID: id, Why: "because"})
		}
	})
}

func stages(list ...EngineStage) func(*Observed) {
	return engine(func(e *Engine) { e.Stages = list })
}

func stage(name string, phase v1alpha1.Phase) EngineStage {
	return EngineStage{Name: name, Phase: phase, Start: ago(30 * time.Second), Duration: 10 * time.Second}
}

func down(since time.Duration) func(*Observed) {
	return engine(func(e *Engine) {
		e.Down, e.Message, e.DownSince = v1alpha1.ReasonEngineUnavailable, "connection refused", ago(since)
	})
}

// evidence was searched that long ago.
func evidence(at time.Duration, f func(*Evidence)) func(*Observed) {
	return memory(func(m *Memory) {
		m.Evidence = &Evidence{At: ago(at), Session: "s1", Exists: true, NextBuild: 1}
		f(m.Evidence)
	})
}

func nothing(*Evidence) {}

func missingFor(d time.Duration) func(*Observed) {
	return memory(func(m *Memory) { m.MissingSince = ago(d) })
}

func stopping(stage Verb, reason string, since, tried time.Duration) func(*Observed) {
	return func(o *Observed) {
		e := o.Execution.Status.Engine
		e.StopRequestedAt, e.StopStage, e.StopReason = microStamp(ago(since)), string(stage), reason
		o.Memory.Stop = ago(tried)
	}
}

func agent(f func(*Agent)) func(*Observed) {
	return func(o *Observed) {
		o.Agent = &Agent{Namespace: "shop-pipeline", Name: "agent-1", Node: "node-1"}
		f(o.Agent)
	}
}

func TestNext(t *testing.T) {
	type want struct {
		phase   v1alpha1.Phase
		reason  string
		message string // part of it
		verb    Verb
		target  int64
		after   time.Duration // 0: not compared
		missing bool
		held    bool
	}
	const (
		queued, pend, run, pause   = v1alpha1.PhaseQueued, v1alpha1.PhasePending, v1alpha1.PhaseRunning, v1alpha1.PhasePaused
		succeeded, failure, halted = v1alpha1.PhaseSucceeded, v1alpha1.PhaseFailed, v1alpha1.PhaseAborted
	)
	tests := map[string]struct {
		given Observed
		want  want
		check func(*testing.T, Plan)
	}{
		// Queued
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
			want:  want{phase: queued, reason: v1alpha1.ReasonWaitingForQuota, message: "2 of 2"},
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
			want:  want{phase: queued, reason: v1alpha1.ReasonWaitingForQuota},
			check: func(t *testing.T, p Plan) { wantPosition(t, p, 100) },
		},
		"a place near the front is": {
			given: given(status(func(s *v1alpha1.PipelineExecutionStatus) {
				s.Phase, s.Reason, s.Queue = queued, v1alpha1.ReasonWaitingForQuota, &v1alpha1.QueueStatus{Position: 4, Reason: v1alpha1.ReasonWaitingForQuota}
			}), admission(Admission{Position: 3, Reason: v1alpha1.ReasonWaitingForQuota})),
			want:  want{phase: queued, reason: v1alpha1.ReasonWaitingForQuota},
			check: func(t *testing.T, p Plan) { wantPosition(t, p, 3) },
		},
		"an admitted run is initialized": {
			given: given(admitted),
			want:  want{phase: queued, reason: v1alpha1.ReasonFetchingConfig, verb: DoInitialize},
		},
		"an initialized run becomes pending with an intent": {
			given: given(admitted, initialized()),
			want:  want{phase: pend, reason: v1alpha1.ReasonStarting, after: time.Millisecond},
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
			want:  want{phase: queued, reason: v1alpha1.ReasonWaitingForQuota},
		},
		"a run without anything to do succeeds at once": {
			given: given(admitted, initialized(func(i *Initialized) { i.Nothing = true })),
			want:  want{phase: succeeded, reason: v1alpha1.ReasonNothingToRun},
			check: func(t *testing.T, p Plan) {
				wantCondition(t, p, v1alpha1.ConditionComplete, metav1.ConditionTrue, "Succeeded")
				wantCondition(t, p, v1alpha1.ConditionSucceeded, metav1.ConditionTrue, v1alpha1.ReasonNothingToRun)
			},
		},
		"an invalid config is terminal": {
			given: given(admitted, memory(func(m *Memory) {
				m.Initialized = &Initialized{Failure: &Failure{Reason: v1alpha1.ReasonInvalidConfig, Message: "line 3", Terminal: true}}
			})),
			want: want{phase: failure, reason: v1alpha1.ReasonInvalidConfig, message: "line 3"},
			check: func(t *testing.T, p Plan) {
				wantCondition(t, p, v1alpha1.ConditionInitialized, metav1.ConditionFalse, v1alpha1.ReasonInvalidConfig)
				wantCondition(t, p, v1alpha1.ConditionComplete, metav1.ConditionTrue, "Failed")
			},
		},
		"an unreachable Git host is tried again later": {
			given: given(admitted, memory(func(m *Memory) {
				m.Initialized = &Initialized{Failure: &Failure{Reason: v1alpha1.ReasonConfigUnavailable, Message: "no route", Until: noon.Add(8 * time.Second)}}
			})),
			want: want{phase: queued, reason: v1alpha1.ReasonConfigUnavailable, message: "no route", after: 8 * time.Second},
		},
		"and is, when it is time": {
			given: given(admitted, memory(func(m *Memory) {
				m.Initialized = &Initialized{Failure: &Failure{Reason: v1alpha1.ReasonConfigUnavailable, Message: "no route", Until: ago(1)}}
			})),
			want: want{phase: "", verb: DoInitialize},
		},
		"a queued run that is stopped ends at once": {
			given: given(control(v1alpha1.ControlStop), admission(Admission{Position: 1, Reason: v1alpha1.ReasonWaitingForQuota})),
			want:  want{phase: halted, reason: v1alpha1.ReasonStopped, message: "before it started"},
		},
		"a queued run that is superseded ends at once": {
			given: given(admission(Admission{SupersededBy: "app-2"})),
			want:  want{phase: halted, reason: v1alpha1.ReasonSuperseded, message: "app-2"},
		},
		"a queued run that is paused is held": {
			given: given(control(v1alpha1.ControlPause)),
			want:  want{phase: queued, reason: v1alpha1.ReasonPaused, message: "before it started"},
		},
		// Triggering
		"an intent of ours is provisioned for first": {
			given: given(admitted, initialized(), pending(time.Second), mine),
			want:  want{phase: pend, reason: v1alpha1.ReasonStarting, verb: DoProvision},
		},
		"then triggered": {
			given: given(admitted, initialized(), pending(time.Second), mine, provisioned),
			want:  want{phase: pend, reason: v1alpha1.ReasonStarting, verb: DoStart, target: 1},
		},
		"an intent that grew old is recorded anew instead": {
			given: given(admitted, initialized(), pending(6*time.Second), mine, provisioned),
			want:  want{phase: pend, reason: v1alpha1.ReasonStarting, after: time.Millisecond},
			check: func(t *testing.T, p Plan) { wantIntent(t, p, noon) },
		},
		"what fails to be provisioned is tried again later": {
			given: given(initialized(), pending(time.Second), mine, memory(func(m *Memory) {
				m.Provision = &Failure{Reason: v1alpha1.ReasonEngineUnavailable, Message: "refused", Until: noon.Add(4 * time.Second)}
			})),
			want: want{phase: pend, reason: v1alpha1.ReasonEngineUnavailable, message: "refused", after: 4 * time.Second},
		},
		"a job of somebody else is terminal": {
			given: given(initialized(), pending(time.Second), mine, memory(func(m *Memory) {
				m.Provision = &Failure{Reason: v1alpha1.ReasonNameConflict, Message: "taken", Terminal: true}
			})),
			want: want{phase: failure, reason: v1alpha1.ReasonNameConflict},
		},
		"a stop before the trigger ends it without a build": {
			given: given(initialized(), pending(time.Second), mine, provisioned, control(v1alpha1.ControlStop)),
			want:  want{phase: halted, reason: v1alpha1.ReasonStopped},
		},
		"an intent of a process that died is not carried out": {
			given: given(initialized(), pending(time.Second), provisioned, seen()),
			want:  want{phase: pend, reason: v1alpha1.ReasonStarting, message: "looking for the build", after: resendAfter - time.Second},
		},
		"when nobody can be sending it, evidence is searched": {
			given: given(initialized(), pending(time.Minute), seen()),
			want:  want{phase: pend, verb: DoFind, after: settleTime},
		},
		"evidence from too early does not count": {
			given: given(initialized(), pending(resendAfter+time.Second), seen(), evidence(2*time.Second, nothing)),
			want:  want{phase: pend, verb: DoFind},
		},
		"without evidence the intent is recorded anew, as the same attempt": {
			given: given(initialized(), pending(time.Minute), seen(), evidence(time.Second, nothing)),
			want:  want{phase: pend, after: time.Millisecond},
			check: func(t *testing.T, p Plan) {
				wantIntent(t, p, noon)
				if p.Status.Engine.Attempt != 1 {
					t.Errorf("attempt = %d, want 1", p.Status.Engine.Attempt)
				}
			},
		},
		"without evidence a stopped run ends": {
			given: given(initialized(), pending(time.Minute), seen(), evidence(time.Second, nothing), control(v1alpha1.ControlStop)),
			want:  want{phase: halted, reason: v1alpha1.ReasonStopped},
		},
		"a build that was started and is gone is lost": {
			given: given(initialized(), pending(time.Minute), seen(), evidence(time.Second, func(e *Evidence) { e.NextBuild = 2 })),
			want:  want{phase: failure, reason: v1alpha1.ReasonEngineLost},
		},
		"a queue item is evidence": {
			given: given(initialized(), pending(time.Second), seen(), items(9)),
			want:  want{phase: pend, reason: v1alpha1.ReasonInEngineQueue, message: "because"},
			check: func(t *testing.T, p Plan) {
				if p.Status.Engine.QueueID != 9 || p.Status.Engine.Session != "s1" {
					t.Errorf("engine = %+v", p.Status.Engine)
				}
			},
		},
		"a build is evidence": {
			given: given(initialized(), pending(time.Second), seen(runs)),
			want:  want{phase: pend, reason: v1alpha1.ReasonWaitingForAgent},
			check: func(t *testing.T, p Plan) {
				if p.Status.Engine.Build != 1 || p.Status.Engine.QueueID != 7 {
					t.Errorf("engine = %+v", p.Status.Engine)
				}
			},
		},
		"of two builds the first is ours": {
			given: given(initialized(), pending(time.Second), seen(EngineBuild{Number: 2, QueueID: 8, Building: true}, runs)),
			want:  want{phase: pend, verb: DoKill, target: 2},
			check: func(t *testing.T, p Plan) {
				if p.Status.Engine.Build != 1 {
					t.Errorf("build = %d, want 1", p.Status.Engine.Build)
				}
			},
		},
		"an accepted trigger waits to be seen": {
			given: given(initialized(), pending(time.Second), provisioned, started(OutcomeAccepted), engine(func(e *Engine) { e.At = ago(time.Minute) })),
			want:  want{phase: pend, reason: v1alpha1.ReasonInEngineQueue, after: glance},
			check: func(t *testing.T, p Plan) {
				if p.Status.Engine.QueueID != 7 || p.Status.Engine.Session != "s1" {
					t.Errorf("engine = %+v", p.Status.Engine)
				}
			},
		},
		"a refused trigger is tried again later": {
			given: given(initialized(), pending(time.Second), provisioned, started(OutcomeRefused)),
			want:  want{phase: pend, reason: v1alpha1.ReasonEngineUnavailable, message: "answer lost", after: 3 * time.Second},
		},
		"a refused trigger that is due again gets a new intent": {
			given: given(initialized(), pending(time.Second), provisioned, started(OutcomeRefused), memory(func(m *Memory) { m.Start.Failure.Until = ago(1) })),
			want:  want{phase: pend, after: time.Millisecond},
			check: func(t *testing.T, p Plan) { wantIntent(t, p, noon) },
		},
		"a trigger whose answer was lost is not sent again": {
			given: given(initialized(), pending(time.Second), provisioned, started(OutcomeUnknown)),
			want:  want{phase: pend, reason: v1alpha1.ReasonStarting, after: resendAfter - time.Second},
		},
		"a trigger whose answer was lost is followed when its build shows": {
			given: given(initialized(), pending(time.Second), provisioned, started(OutcomeUnknown), seen(runs)),
			want:  want{phase: pend, reason: v1alpha1.ReasonWaitingForAgent},
		},
		// In Jenkins' queue
		"an item that has left the queue is looked for before it is judged": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen()),
			want:  want{phase: pend, missing: true, after: settleTime},
		},
		"and searched thoroughly after it settled": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), missingFor(6*time.Second)),
			want:  want{phase: pend, missing: true, verb: DoFind},
		},
		"an item that was lost in a crash is triggered again, as the next attempt": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), missingFor(9*time.Second), evidence(time.Second, func(e *Evidence) { e.Session = "s2" })),
			want:  want{phase: pend, reason: v1alpha1.ReasonStarting, message: "lost", missing: true},
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
			want: want{phase: failure, reason: v1alpha1.ReasonEngineLost},
		},
		"a job that is gone is made and triggered again": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), missingFor(9*time.Second), evidence(time.Second, func(e *Evidence) { e.Exists = false })),
			want:  want{phase: pend, reason: v1alpha1.ReasonStarting, missing: true},
		},
		"an item that somebody cancelled ends the run": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), missingFor(9*time.Second), evidence(time.Second, nothing)),
			want:  want{phase: halted, reason: v1alpha1.ReasonAbortedInEngine},
		},
		"a stop while queued takes it out of the queue": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), items(7), control(v1alpha1.ControlStop)),
			want:  want{phase: pend, reason: v1alpha1.ReasonStopping, verb: DoCancelQueue, target: 7},
		},
		"what was taken out has ended": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), items(7), control(v1alpha1.ControlStop), memory(func(m *Memory) { m.Cancelled = 7 })),
			want:  want{phase: halted, reason: v1alpha1.ReasonStopped, message: "queue"},
		},
		"a Jenkins that is down ends nothing that waits in its queue": {
			given: given(initialized(), pending(time.Hour), queuedAs(7), seen(), missingFor(time.Hour), evidence(time.Second, nothing), down(time.Hour)),
			want:  want{phase: pend, reason: v1alpha1.ReasonEngineUnavailable, message: "connection refused"},
		},
		"quiet mode is told": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), items(7), engine(func(e *Engine) { e.QuietingDown = true })),
			want:  want{phase: pend, reason: v1alpha1.ReasonInEngineQueue, message: "preparing to shut down"},
		},
		// Waiting for the agent
		"a build without a stage waits for its agent": {
			given: given(initialized(), building, seen(runs), engine(func(e *Engine) { e.Waiting = "no nodes with label" })),
			want:  want{phase: pend, reason: v1alpha1.ReasonWaitingForAgent, message: "no nodes with label", after: 6 * time.Minute},
			check: func(t *testing.T, p Plan) {
				wantCondition(t, p, v1alpha1.ConditionProvisioned, metav1.ConditionFalse, v1alpha1.ReasonWaitingForAgent)
			},
		},
		"a pod that is seen before its build is noted, since it may be gone by the next look": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), engine(func(e *Engine) { e.Items = []EngineItem{{ID: 7}} }), agent(func(*Agent) {})),
			want:  want{phase: pend, reason: v1alpha1.ReasonInEngineQueue},
			check: func(t *testing.T, p Plan) {
				if a := p.Status.Agent; a == nil || a.Node != "node-1" {
					t.Errorf("agent %+v, want the one on node-1", a)
				}
			},
		},
		"the pod's trouble is shown": {
			given: given(initialized(), building, seen(runs), agent(func(a *Agent) { a.Trouble = "Unschedulable: 0/3 nodes" })),
			want:  want{phase: pend, reason: v1alpha1.ReasonWaitingForAgent, message: "agent pod agent-1 is not ready: Unschedulable: 0/3 nodes"},
		},
		"an agent that is not ready in time ends the run": {
			given: given(initialized(func(i *Initialized) { i.AgentTimeout = 3 * time.Minute }), building, seen(runs), agent(func(a *Agent) { a.Trouble = "ImagePullBackOff" })),
			want:  want{phase: pend, reason: v1alpha1.ReasonStopping, message: "not ready within 3m0s: agent pod agent-1 is not ready: ImagePullBackOff", verb: DoStop, target: 1},
			check: func(t *testing.T, p Plan) {
				if e := p.Status.Engine; e.StopReason != v1alpha1.ReasonAgentTimeout || e.StopStage != string(DoStop) || e.StopRequestedAt == nil {
					t.Errorf("engine = %+v", e)
				}
			},
		},
		"its verdict keeps the pod's trouble": {
			given: given(initialized(), building, seen(abort), stopping(DoStop, v1alpha1.ReasonAgentTimeout, time.Minute, time.Minute),
				status(func(s *v1alpha1.PipelineExecutionStatus) {
					s.Reason, s.Message = v1alpha1.ReasonStopping, "not ready within 3m0s: ImagePullBackOff"
				})),
			want: want{phase: failure, reason: v1alpha1.ReasonAgentTimeout, message: "ImagePullBackOff"},
		},
		"the agent's clock stands still while Jenkins is quieting down": {
			given: given(initialized(func(i *Initialized) { i.AgentTimeout = 3 * time.Minute }), building, seen(runs), engine(func(e *Engine) { e.QuietingDown = true })),
			want:  want{phase: pend, reason: v1alpha1.ReasonWaitingForAgent, held: true},
		},
		"time that was held does not count": {
			given: given(initialized(func(i *Initialized) { i.AgentTimeout = 3 * time.Minute }), building, seen(runs), memory(func(m *Memory) { m.HeldFor = 2 * time.Minute })),
			want:  want{phase: pend, reason: v1alpha1.ReasonWaitingForAgent, after: time.Minute},
		},
		// Running
		"the first stage makes it run": {
			given: given(initialized(), building, seen(runs), stages(stage("1 Build", v1alpha1.PhaseSucceeded), stage("1.1 compile", v1alpha1.PhaseRunning)), agent(func(a *Agent) { a.Ready = true })),
			want:  want{phase: run, reason: v1alpha1.ReasonRunning, message: `"Build"`},
			check: func(t *testing.T, p Plan) {
				if !p.Status.StartedAt.Time.Equal(ago(30 * time.Second)) {
					t.Errorf("startedAt = %s", p.Status.StartedAt)
				}
				if diff := cmp.Diff(&v1alpha1.AgentStatus{Namespace: "shop-pipeline", Pod: "agent-1", Node: "node-1"}, p.Status.Agent); diff != "" {
					t.Errorf("agent (-want +got):\n%s", diff)
				}
				wantCondition(t, p, v1alpha1.ConditionProvisioned, metav1.ConditionTrue, "AgentStarted")
			},
		},
		"a clock of Jenkins that is wrong is not believed": {
			given: given(initialized(), building, seen(runs), stages(EngineStage{Name: "1.1 compile", Phase: v1alpha1.PhaseRunning, Start: noon.Add(time.Hour)})),
			want:  want{phase: run, reason: v1alpha1.ReasonRunning},
			check: func(t *testing.T, p Plan) {
				if !p.Status.StartedAt.Time.Equal(noon) {
					t.Errorf("startedAt = %s", p.Status.StartedAt)
				}
			},
		},
		"a Jenkins that cannot tell stages runs when its agent does": {
			given: given(initialized(), building, seen(runs), engine(func(e *Engine) { e.NoStages = true }), agent(func(a *Agent) { a.Ready = true })),
			want:  want{phase: run, reason: v1alpha1.ReasonRunning},
		},
		"a result is no end while the build goes on": {
			given: given(initialized(), running(time.Minute), seen(EngineBuild{Number: 1, QueueID: 7, Building: true, Result: v1alpha1.PhaseFailed, Raw: "FAILURE"})),
			want:  want{phase: run, reason: v1alpha1.ReasonRunning},
		},
		"a Jenkins that is down for a moment changes nothing": {
			given: given(initialized(), running(time.Minute), seen(runs), down(time.Second)),
			want:  want{phase: run, reason: v1alpha1.ReasonRunning, after: downTime - time.Second},
		},
		"a Jenkins that is down for an hour is told, and ends nothing": {
			given: given(initialized(), running(3*time.Hour), seen(runs), down(time.Hour), control(v1alpha1.ControlStop)),
			want:  want{phase: run, reason: v1alpha1.ReasonEngineUnavailable, message: "connection refused"},
		},
		"after a restart of ours nothing is judged before Jenkins was looked at": {
			given: given(initialized(), running(3*time.Hour)),
			want:  want{phase: run, reason: v1alpha1.ReasonRunning},
		},
		"an input step pauses it": {
			given: given(initialized(), running(time.Minute), seen(runs), stages(stage("1.1 compile", v1alpha1.PhasePaused))),
			want:  want{phase: pause, reason: v1alpha1.ReasonWaitingForApproval, message: `"Build"`, held: true},
		},
		"pause is asked of Jenkins": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlPause)),
			want:  want{phase: run, verb: DoPause, target: 1},
		},
		"what is paused is Paused, and its clock stands still": {
			given: given(initialized(), running(3*time.Hour), seen(runs), control(v1alpha1.ControlPause), memory(func(m *Memory) { m.Paused = true })),
			want:  want{phase: pause, reason: v1alpha1.ReasonPaused, held: true},
		},
		"run lets a paused one go on": {
			given: given(initialized(), running(time.Minute), seen(runs), memory(func(m *Memory) { m.Paused = true }),
				status(func(s *v1alpha1.PipelineExecutionStatus) { s.Phase, s.Reason = pause, v1alpha1.ReasonPaused })),
			want: want{phase: pause, verb: DoResume, target: 1, held: true},
		},
		"also one that was paused before a restart of ours": {
			given: given(initialized(), running(time.Minute), seen(runs),
				status(func(s *v1alpha1.PipelineExecutionStatus) { s.Phase, s.Reason = pause, v1alpha1.ReasonPaused })),
			want: want{phase: run, verb: DoResume, target: 1},
		},
		"a pause that cannot be is told and not tried all the time": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlPause),
				memory(func(m *Memory) { m.PauseError, m.PauseTried = "no plugin", ago(time.Second) })),
			want: want{phase: run, message: "cannot be paused: no plugin", after: lostTime - time.Second},
		},
		"a run within its timeout waits for it": {
			given: given(initialized(), running(time.Minute), seen(runs)),
			want:  want{phase: run, after: 59*time.Minute + timeoutGrace},
		},
		"a run that takes longer than its timeout is stopped": {
			given: given(initialized(), running(61*time.Minute), seen(runs)),
			want:  want{phase: run, reason: v1alpha1.ReasonStopping, message: "timeout of 1h0m0s", verb: DoStop, target: 1},
		},
		"unless it was held for as long": {
			given: given(initialized(), running(61*time.Minute), seen(runs), memory(func(m *Memory) { m.HeldFor = time.Hour })),
			want:  want{phase: run, reason: v1alpha1.ReasonRunning},
		},
		// The ladder
		"a stop begins with Stop": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop)),
			want:  want{phase: run, reason: v1alpha1.ReasonStopping, verb: DoStop, target: 1, after: rungTime},
		},
		"a newer run stops it too": {
			given: given(initialized(), running(time.Minute), seen(runs), admission(Admission{Admitted: true, SupersededBy: "app-2"})),
			want:  want{phase: run, reason: v1alpha1.ReasonStopping, message: "app-2", verb: DoStop, target: 1},
			check: func(t *testing.T, p Plan) {
				if p.Status.Engine.StopReason != v1alpha1.ReasonSuperseded {
					t.Errorf("stopReason = %s", p.Status.Engine.StopReason)
				}
			},
		},
		"Stop is given its time": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, 5*time.Second, 5*time.Second)),
			want:  want{phase: run, reason: v1alpha1.ReasonStopping, after: 10 * time.Second},
		},
		"then comes Term": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, rungTime, rungTime)),
			want:  want{phase: run, verb: DoTerm, target: 1},
		},
		"then Kill": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoTerm, v1alpha1.ReasonStopped, 2*rungTime, rungTime)),
			want:  want{phase: run, verb: DoKill, target: 1},
		},
		"then the pod is deleted": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoKill, v1alpha1.ReasonStopped, 3*rungTime, rungTime), agent(func(*Agent) {})),
			want:  want{phase: run, verb: DoDeleteAgent},
		},
		"and Kill again": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoKill, v1alpha1.ReasonStopped, 3*rungTime, rungTime)),
			want:  want{phase: run, verb: DoKill, target: 1},
		},
		"after a restart of ours the rung is tried again": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, 5*time.Second, 0),
				memory(func(m *Memory) { m.Stop = time.Time{} })),
			want: want{phase: run, verb: DoStop, target: 1},
		},
		"the reason of a stop is not changed by a later wish": {
			given: given(initialized(), running(2*time.Hour), seen(abort), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonTimeout, time.Minute, time.Minute)),
			want:  want{phase: failure, reason: v1alpha1.ReasonTimeout, message: "timeout of 1h0m0s"},
		},
		"a stop by a person is asked once for a timeout too": {
			given: given(initialized(), running(time.Minute), seen(abort), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, 5*time.Second, 5*time.Second)),
			want:  want{phase: halted, reason: v1alpha1.ReasonStopped},
		},
		// The end
		"a build that succeeded is Succeeded": {
			given: given(initialized(), running(time.Minute), seen(passed), stages(stage("1.1 compile", v1alpha1.PhaseSucceeded), stage("2.1 unit", v1alpha1.PhaseSucceeded))),
			want:  want{phase: succeeded, reason: v1alpha1.ReasonSucceeded, after: time.Millisecond},
			check: func(t *testing.T, p Plan) {
				for _, s := range p.Status.Stages {
					if s.Phase != succeeded || s.FinishedAt == nil {
						t.Errorf("stage %s = %+v", s.Name, s)
					}
				}
				wantCondition(t, p, v1alpha1.ConditionBuilt, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
				wantCondition(t, p, v1alpha1.ConditionComplete, metav1.ConditionTrue, "Succeeded")
				wantCondition(t, p, v1alpha1.ConditionSucceeded, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			},
		},
		"a build that succeeded in spite of a stop is Succeeded": {
			given: given(initialized(), running(time.Minute), seen(passed), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, time.Second, time.Second)),
			want:  want{phase: succeeded, reason: v1alpha1.ReasonSucceeded},
		},
		"the end waits for the last stages": {
			given: given(initialized(), running(time.Minute), seen(failed), engine(func(e *Engine) { e.StagesAt = time.Time{} })),
			want:  want{phase: run, missing: true, after: glance},
		},
		"but not for ever, either": {
			given: given(initialized(), running(time.Minute), seen(failed), engine(func(e *Engine) { e.StagesAt = time.Time{} }), missingFor(11*time.Second)),
			want:  want{phase: failure, reason: v1alpha1.ReasonStepFailed},
		},
		"a failed step is the cause": {
			given: given(initialized(), running(time.Minute), seen(failed),
				stages(EngineStage{Name: "1.1 compile", Phase: failure, Start: ago(20 * time.Second), Duration: time.Second, Error: "script returned exit code 2"})),
			want: want{phase: failure, reason: v1alpha1.ReasonStepFailed, message: `stage "Build", step "compile": exit code 2`},
			check: func(t *testing.T, p Plan) {
				if c := p.Status.Stages[0].Steps[0].ExitCode; c == nil || *c != 2 {
					t.Errorf("exitCode = %v, want 2", c)
				}
				if s := p.Status.Stages[1]; s.Phase != v1alpha1.PhaseSkipped || s.Message == "" || s.StartedAt != nil {
					t.Errorf("stage Test = %+v", s)
				}
			},
		},
		"a build that ends before its first step is Jenkins' error": {
			given: given(initialized(), building, seen(failed)),
			want:  want{phase: failure, reason: v1alpha1.ReasonEngineError, message: "before its first step"},
		},
		"an unknown result is no success": {
			given: given(initialized(), building, seen(EngineBuild{Number: 1, QueueID: 7, Result: failure, Raw: "SPLENDID"})),
			want:  want{phase: failure, reason: v1alpha1.ReasonEngineError, message: "SPLENDID"},
		},
		"an abort that nobody asked us for is Jenkins'": {
			given: given(initialized(), running(time.Minute), seen(abort), stages(stage("1.1 compile", halted))),
			want:  want{phase: halted, reason: v1alpha1.ReasonAbortedInEngine},
		},
		"an abort by a dead agent is the agent's": {
			given: given(initialized(), running(time.Minute), seen(abort), stages(stage("1.1 compile", halted)), agent(func(a *Agent) { a.Dead, a.Trouble = true, "Evicted: disk" })),
			want:  want{phase: failure, reason: v1alpha1.ReasonAgentLost, message: "Evicted: disk"},
		},
		"an abort by Jenkins' own timeout is the timeout": {
			given: given(initialized(), running(time.Hour), seen(abort)),
			want:  want{phase: failure, reason: v1alpha1.ReasonTimeout, message: "1h0m0s"},
		},
		"an abort by a step's timeout is that step's": {
			given: given(initialized(func(i *Initialized) { i.StepTimeouts = map[StepIndex]time.Duration{{0, 0}: 10 * time.Second} }), running(time.Minute), seen(abort),
				stages(stage("1.1 compile", halted)), status(func(s *v1alpha1.PipelineExecutionStatus) {
					s.Stages[0].Steps[0].StartedAt = Stamp(ago(30 * time.Second))
				})),
			want: want{phase: failure, reason: v1alpha1.ReasonTimeout, message: `step "compile": it took longer than its timeout of 10s`},
		},
		"a killed build leaves a pod, which goes first": {
			given: given(initialized(), running(time.Minute), seen(abort), control(v1alpha1.ControlStop), stopping(DoKill, v1alpha1.ReasonStopped, time.Minute, time.Second), agent(func(*Agent) {})),
			want:  want{phase: run, verb: DoDeleteAgent},
		},
		// Lost
		"a build that is missing is looked for": {
			given: given(initialized(), running(time.Minute), seen()),
			want:  want{phase: run, reason: v1alpha1.ReasonRunning, missing: true, after: lostTime},
		},
		"and searched before it is given up": {
			given: given(initialized(), running(time.Minute), seen(), missingFor(lostTime), evidence(lostTime+time.Second, nothing)),
			want:  want{phase: run, missing: true, verb: DoFind},
		},
		"a build record that is gone is lost": {
			given: given(initialized(), running(time.Minute), seen(), missingFor(lostTime+time.Second), evidence(time.Second, nothing)),
			want:  want{phase: failure, reason: v1alpha1.ReasonEngineLost, message: "build 1"},
		},
		"a job that is gone is lost when its build was known": {
			given: given(initialized(), running(time.Minute), seen(), missingFor(lostTime+time.Second), evidence(time.Second, func(e *Evidence) { e.Exists = false })),
			want:  want{phase: failure, reason: v1alpha1.ReasonEngineLost, message: "no job"},
		},
		"one that the search finds is not": {
			given: given(initialized(), running(time.Minute), seen(), missingFor(lostTime+time.Second), evidence(time.Second, func(e *Evidence) { e.Builds = []EngineBuild{runs} })),
			want:  want{phase: run, missing: true},
		},
		"a duplicate in the queue is cancelled": {
			given: given(initialized(), running(time.Minute), seen(runs), items(8)),
			want:  want{phase: run, verb: DoCancelQueue, target: 8},
		},
		// After the end
		"a finished run is released": {
			given: given(ended(succeeded)),
			want:  want{phase: succeeded, reason: v1alpha1.ReasonSucceeded, verb: DoRelease},
		},
		"not before Jenkins had time to remove its pod": {
			given: given(ended(succeeded), agent(func(*Agent) {})),
			want:  want{phase: succeeded, reason: v1alpha1.ReasonSucceeded, after: lostTime - time.Second},
		},
		"a pod that stays is deleted": {
			given: given(ended(succeeded), status(func(s *v1alpha1.PipelineExecutionStatus) { s.FinishedAt = Stamp(ago(time.Minute)) }), agent(func(*Agent) {})),
			want:  want{phase: succeeded, reason: v1alpha1.ReasonSucceeded, verb: DoDeleteAgent},
		},
		"a stop after the end changes nothing": {
			given: given(ended(succeeded), control(v1alpha1.ControlStop)),
			want:  want{phase: succeeded, reason: v1alpha1.ReasonSucceeded, verb: DoRelease},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before := tc.given.Execution.DeepCopy()
			p := Next(tc.given, noon)
			if diff := cmp.Diff(before, tc.given.Execution); diff != "" {
				t.Errorf("Next changed what it was given (-before +after):\n%s", diff)
			}
			got := want{phase: p.Status.Phase, reason: p.Status.Reason, message: tc.want.message, verb: p.Verb, target: p.Target, after: p.After, missing: p.Missing, held: p.Held}
			if !strings.Contains(p.Status.Message, tc.want.message) {
				got.message = p.Status.Message
			}
			if tc.want.after == 0 {
				got.after = 0
			}
			if tc.want.reason == "" {
				got.reason = ""
			}
			if tc.want.phase == "" {
				got.phase = ""
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if tc.check != nil {
				tc.check(t, p)
			}
		})
	}
}

func started(o Outcome) func(*Observed) {
	return func(obs *Observed) {
		s := &Started{Intent: obs.Execution.Status.Engine.IntentAt.Time, At: ago(time.Second / 2), Outcome: o}
		if o == OutcomeAccepted {
			s.QueueID, s.Session = 7, "s1"
		} else {
			s.Failure = &Failure{Reason: v1alpha1.ReasonEngineUnavailable, Message: "answer lost", Until: noon.Add(3 * time.Second)}
		}
		obs.Memory.Start = s
	}
}

func ended(phase v1alpha1.Phase) func(*Observed) {
	return func(o *Observed) {
		running(time.Minute)(o)
		s := &o.Execution.Status
		s.Phase, s.Reason, s.FinishedAt = phase, string(phase), Stamp(ago(time.Second))
	}
}

func wantPosition(t *testing.T, p Plan, want int32) {
	t.Helper()
	if p.Status.Queue == nil || p.Status.Queue.Position != want {
		t.Errorf("queue = %+v, want position %d", p.Status.Queue, want)
	}
}

func wantIntent(t *testing.T, p Plan, want time.Time) {
	t.Helper()
	if p.Status.Engine == nil || p.Status.Engine.IntentAt == nil || !p.Status.Engine.IntentAt.Time.Equal(want) {
		t.Errorf("engine = %+v, want intentAt %s", p.Status.Engine, want)
	}
}

func wantCondition(t *testing.T, p Plan, kind string, status metav1.ConditionStatus, reason string) {
	t.Helper()
	c := meta.FindStatusCondition(p.Status.Conditions, kind)
	if c == nil || c.Status != status || c.Reason != reason || c.ObservedGeneration != 3 {
		t.Errorf("condition %s = %+v, want %s %s of generation 3", kind, c, status, reason)
	}
}

// TestNextIsStable: what was decided and written is decided again without a change, or
// every look would be a write.
func TestNextIsStable(t *testing.T) {
	for name, o := range map[string]Observed{
		"queued":    given(admission(Admission{Position: 1, Reason: v1alpha1.ReasonWaitingForQuota, Message: "2 of 2"})),
		"in queue":  given(initialized(), pending(time.Minute), queuedAs(7), seen(), items(7)),
		"no agent":  given(initialized(), building, seen(runs)),
		"runs":      given(initialized(), running(time.Minute), seen(runs), stages(stage("1.1 compile", v1alpha1.PhaseRunning))),
		"down":      given(initialized(), running(time.Minute), seen(runs), down(time.Minute)),
		"succeeded": given(initialized(), running(time.Minute), seen(passed)),
		"stopping":  given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, time.Second, time.Second)),
	} {
		t.Run(name, func(t *testing.T) {
			first := Next(o, noon)
			o.Execution.Status = first.Status
			second := Next(o, noon.Add(1700*time.Millisecond))
			if diff := cmp.Diff(first.Status, second.Status); diff != "" {
				t.Errorf("status changed without a cause (-first +second):\n%s", diff)
			}
		})
	}
}
