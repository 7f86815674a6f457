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

// held: the timeouts stood still for so long before.
func held(d time.Duration) func(*Observed) {
	return status(func(s *v1alpha1.PipelineExecutionStatus) {
		s.Hold = &v1alpha1.HoldStatus{Seconds: int64(d / time.Second)}
	})
}

// holding: they have stood still since so long ago.
func holding(d time.Duration) func(*Observed) {
	return status(func(s *v1alpha1.PipelineExecutionStatus) { s.Hold = &v1alpha1.HoldStatus{Since: Stamp(ago(d))} })
}

// pausedNow: Jenkins shows that the build is paused.
func pausedNow(o *Observed) { o.Engine.Paused, o.Engine.PausedAt = true, ago(time.Second) }

// goesOn: Jenkins shows that it is not.
func goesOn(o *Observed) { o.Engine.PausedAt = ago(time.Second) }

// pausedByUs: it was written down that spec.control paused it.
func pausedByUs(o *Observed) {
	o.Execution.Status.Phase, o.Execution.Status.Reason = pause, v1alpha1.ReasonPaused
	o.Execution.Status.Engine.Paused = true
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
		o.Memory.StopRung, o.Memory.Stop = stage, ago(tried)
	}
}

func agent(f func(*Agent)) func(*Observed) {
	return func(o *Observed) {
		o.Agent = &Agent{Namespace: "shop-pipeline", Name: "agent-1", Node: "node-1"}
		f(o.Agent)
	}
}

// wanted is what a plan is compared with.
type wanted struct {
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

type decided struct {
	given Observed
	want  wanted
	check func(*testing.T, Plan)
}

// decide has Next decide at noon.
func decide(t *testing.T, tests map[string]decided) {
	t.Helper()
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before := tc.given.Execution.DeepCopy()
			p := Next(tc.given, noon)
			if diff := cmp.Diff(before, tc.given.Execution); diff != "" {
				t.Errorf("Next changed what it was given (-before +after):\n%s", diff)
			}
			got := wanted{phase: p.Status.Phase, reason: p.Status.Reason, message: tc.want.message, verb: p.Verb, target: p.Target, after: p.After, missing: p.Missing, held: p.Held}
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
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(wanted{})); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if tc.check != nil {
				tc.check(t, p)
			}
		})
	}
}

// logged: the end of the log was read.
func logged(text string) func(*Observed) { return memory(func(m *Memory) { m.Log = &text }) }

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

// startedAt: the run's intent names that Jenkins; at: that one is looked at, and the
// project's.
func startedAt(server string) func(*Observed) {
	return status(func(s *v1alpha1.PipelineExecutionStatus) { s.Engine.Server = server })
}

func at(server string) func(*Observed) {
	return func(o *Observed) { o.Server, o.Engine.Server = server, server }
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
		"paused":    given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlPause), pausedNow),
		"quiet":     given(initialized(), running(time.Minute), seen(runs), engine(func(e *Engine) { e.QuietingDown = true })),
		"stranded":  given(initialized(), running(time.Minute), startedAt("http://old"), at("http://new"), seen()),
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
