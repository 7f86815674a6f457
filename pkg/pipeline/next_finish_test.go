package pipeline

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestNextEnds(t *testing.T) {
	decide(t, map[string]decided{
		"a build that succeeded is Succeeded": {
			given: given(initialized(), running(time.Minute), seen(passed), stages(stage("1.1 compile", v1alpha1.PhaseSucceeded), stage("2.1 unit", v1alpha1.PhaseSucceeded))),
			want:  wanted{phase: succeeded, reason: v1alpha1.ReasonSucceeded, after: time.Millisecond},
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
			want:  wanted{phase: succeeded, reason: v1alpha1.ReasonSucceeded},
		},
		"the end waits for the last stages": {
			given: given(initialized(), running(time.Minute), seen(failed), engine(func(e *Engine) { e.StagesAt = time.Time{} })),
			want:  wanted{phase: run, missing: true, after: glance},
		},
		"but not for ever, either": {
			given: given(initialized(), running(time.Minute), seen(failed), engine(func(e *Engine) { e.StagesAt = time.Time{} }), missingFor(11*time.Second), logged("")),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonStepFailed},
		},
		"a failed step is the cause": {
			given: given(initialized(), running(time.Minute), seen(failed),
				stages(EngineStage{Name: "1.1 compile", Phase: failure, Start: ago(20 * time.Second), Duration: time.Second, Error: "script returned exit code 2"})),
			want: wanted{phase: failure, reason: v1alpha1.ReasonStepFailed, message: `stage "Build", step "compile": exit code 2`},
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
			given: given(initialized(), building, seen(failed), logged("")),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineError, message: "before its first step"},
		},
		"an unknown result is no success": {
			given: given(initialized(), building, seen(EngineBuild{Number: 1, QueueID: 7, Result: failure, Raw: "SPLENDID"}), logged("")),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineError, message: "SPLENDID"},
		},
		"an abort that nobody asked us for is Jenkins'": {
			given: given(initialized(), running(time.Minute), seen(abort), logged(""), stages(stage("1.1 compile", halted))),
			want:  wanted{phase: halted, reason: v1alpha1.ReasonAbortedInEngine},
		},
		"an abort by a dead agent is the agent's": {
			given: given(initialized(), running(time.Minute), seen(abort), stages(stage("1.1 compile", halted)), agent(func(a *Agent) { a.Dead, a.Trouble = true, "Evicted: disk" })),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonAgentLost, message: "Evicted: disk"},
		},
		"an abort by Jenkins' own timeout is the timeout": {
			given: given(initialized(), running(time.Hour), seen(abort)),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonTimeout, message: "1h0m0s"},
		},
		"an abort by a step's timeout is that step's": {
			given: given(initialized(func(i *Initialized) { i.StepTimeouts = map[StepIndex]time.Duration{{0, 0}: 10 * time.Second} }), running(time.Minute), seen(abort),
				stages(stage("1.1 compile", halted)), status(func(s *v1alpha1.PipelineExecutionStatus) {
					s.Stages[0].Steps[0].StartedAt = Stamp(ago(30 * time.Second))
				})),
			want: wanted{phase: failure, reason: v1alpha1.ReasonTimeout, message: `step "compile": it took longer than its timeout of 10s`},
		},
		"a killed build leaves a pod, which goes first": {
			given: given(initialized(), running(time.Minute), seen(abort), control(v1alpha1.ControlStop), stopping(DoKill, v1alpha1.ReasonStopped, time.Minute, time.Second), agent(func(*Agent) {})),
			want:  wanted{phase: run, verb: DoDeleteAgent},
		},
	})
}

func TestNextReleases(t *testing.T) {
	decide(t, map[string]decided{
		"a finished run is released": {
			given: given(ended(succeeded)),
			want:  wanted{phase: succeeded, reason: v1alpha1.ReasonSucceeded, verb: DoRelease},
		},
		"not before Jenkins had time to remove its pod": {
			given: given(ended(succeeded), agent(func(*Agent) {})),
			want:  wanted{phase: succeeded, reason: v1alpha1.ReasonSucceeded, after: lostTime - time.Second},
		},
		"a pod that stays is deleted": {
			given: given(ended(succeeded), status(func(s *v1alpha1.PipelineExecutionStatus) { s.FinishedAt = Stamp(ago(time.Minute)) }), agent(func(*Agent) {})),
			want:  wanted{phase: succeeded, reason: v1alpha1.ReasonSucceeded, verb: DoDeleteAgent},
		},
		"a stop after the end changes nothing": {
			given: given(ended(succeeded), control(v1alpha1.ControlStop)),
			want:  wanted{phase: succeeded, reason: v1alpha1.ReasonSucceeded, verb: DoRelease},
		},
	})
}
