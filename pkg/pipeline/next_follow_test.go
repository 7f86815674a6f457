package pipeline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestNextWaitsForTheAgent(t *testing.T) {
	decide(t, map[string]decided{
		"a build without a stage waits for its agent": {
			given: given(initialized(), building, seen(runs), engine(func(e *Engine) { e.Waiting = "no nodes with label" })),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonWaitingForAgent, message: "no nodes with label", after: 6 * time.Minute},
			check: func(t *testing.T, p Plan) {
				wantCondition(t, p, v1alpha1.ConditionProvisioned, metav1.ConditionFalse, v1alpha1.ReasonWaitingForAgent)
			},
		},
		"a pod that is seen before its build is noted, since it may be gone by the next look": {
			given: given(initialized(), pending(time.Minute), queuedAs(7), seen(), engine(func(e *Engine) { e.Items = []EngineItem{{ID: 7}} }), agent(func(*Agent) {})),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonInEngineQueue},
			check: func(t *testing.T, p Plan) {
				if a := p.Status.Agent; a == nil || a.Node != "node-1" {
					t.Errorf("agent %+v, want the one on node-1", a)
				}
			},
		},
		"the pod's trouble is shown": {
			given: given(initialized(), building, seen(runs), agent(func(a *Agent) { a.Trouble = "Unschedulable: 0/3 nodes" })),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonWaitingForAgent, message: "agent pod agent-1 is not ready: Unschedulable: 0/3 nodes"},
		},
		"an agent that is not ready in time ends the run": {
			given: given(initialized(func(i *Initialized) { i.AgentTimeout = 3 * time.Minute }), building, seen(runs), agent(func(a *Agent) { a.Trouble = "ImagePullBackOff" })),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStopping, message: "not ready within 3m0s: agent pod agent-1 is not ready: ImagePullBackOff", after: time.Millisecond},
			check: func(t *testing.T, p Plan) {
				if e := p.Status.Engine; e.StopReason != v1alpha1.ReasonAgentTimeout || e.StopStage != "" || e.StopRequestedAt == nil {
					t.Errorf("engine = %+v", e)
				}
			},
		},
		"once that is written the build is asked to end": {
			given: given(initialized(func(i *Initialized) { i.AgentTimeout = 3 * time.Minute }), building, seen(runs), stopping("", v1alpha1.ReasonAgentTimeout, 0, 0), agent(func(*Agent) {})),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonStopping, verb: DoStop, target: 1},
		},
		"its verdict keeps the pod's trouble": {
			given: given(initialized(), building, seen(abort), stopping(DoStop, v1alpha1.ReasonAgentTimeout, time.Minute, time.Minute),
				status(func(s *v1alpha1.PipelineExecutionStatus) {
					s.Reason, s.Message = v1alpha1.ReasonStopping, "not ready within 3m0s: ImagePullBackOff"
				})),
			want: wanted{phase: failure, reason: v1alpha1.ReasonAgentTimeout, message: "ImagePullBackOff"},
		},
		"the agent's clock stands still while Jenkins is quieting down": {
			given: given(initialized(func(i *Initialized) { i.AgentTimeout = 3 * time.Minute }), building, seen(runs), engine(func(e *Engine) { e.QuietingDown = true })),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonWaitingForAgent, held: true},
		},
		"time that was held does not count": {
			given: given(initialized(func(i *Initialized) { i.AgentTimeout = 3 * time.Minute }), building, seen(runs), held(2*time.Minute)),
			want:  wanted{phase: pend, reason: v1alpha1.ReasonWaitingForAgent, after: time.Minute},
		},
	})
}

func TestNextRuns(t *testing.T) {
	decide(t, map[string]decided{
		"the first stage makes it run": {
			given: given(initialized(), building, seen(runs), stages(stage("1 Build", v1alpha1.PhaseSucceeded), stage("1.1 compile", v1alpha1.PhaseRunning)), agent(func(a *Agent) { a.Ready = true })),
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning, message: `"Build"`},
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
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning},
			check: func(t *testing.T, p Plan) {
				if !p.Status.StartedAt.Time.Equal(noon) {
					t.Errorf("startedAt = %s", p.Status.StartedAt)
				}
			},
		},
		"a Jenkins that cannot tell stages runs when its agent does": {
			given: given(initialized(), building, seen(runs), engine(func(e *Engine) { e.NoStages = true }), agent(func(a *Agent) { a.Ready = true })),
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning},
		},
		"a result is no end while the build goes on": {
			given: given(initialized(), running(time.Minute), seen(EngineBuild{Number: 1, QueueID: 7, Building: true, Result: v1alpha1.PhaseFailed, Raw: "FAILURE"})),
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning},
		},
		"a Jenkins that is down for a moment changes nothing": {
			given: given(initialized(), running(time.Minute), seen(runs), down(time.Second)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning, after: downTime - time.Second},
		},
		"a Jenkins that is down for an hour is told, and ends nothing": {
			given: given(initialized(), running(3*time.Hour), seen(runs), down(time.Hour), control(v1alpha1.ControlStop)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonEngineUnavailable, message: "connection refused"},
		},
		"after a restart of ours nothing is judged before Jenkins was looked at": {
			given: given(initialized(), running(3*time.Hour)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning},
		},
		"an input step pauses it": {
			given: given(initialized(), running(time.Minute), seen(runs), stages(stage("1.1 compile", v1alpha1.PhasePaused))),
			want:  wanted{phase: pause, reason: v1alpha1.ReasonWaitingForApproval, message: `"Build"`, held: true},
		},
		"pause is asked of Jenkins": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlPause)),
			want:  wanted{phase: run, verb: DoPause, target: 1},
		},
		"what is paused is Paused, and its clock stands still": {
			given: given(initialized(), running(3*time.Hour), seen(runs), control(v1alpha1.ControlPause), pausedNow),
			want:  wanted{phase: pause, reason: v1alpha1.ReasonPaused, held: true},
		},
		"run lets a paused one go on": {
			given: given(initialized(), running(time.Minute), seen(runs), pausedNow, pausedByUs),
			want:  wanted{phase: pause, verb: DoResume, target: 1, held: true},
		},
		"also one that was paused before a restart of ours": {
			given: given(initialized(), running(time.Minute), seen(runs), pausedByUs),
			want:  wanted{phase: pause, verb: DoResume, target: 1, held: true},
		},
		"a pause that cannot be is told and not tried all the time": {
			given: given(initialized(), running(time.Minute), seen(runs), control(v1alpha1.ControlPause),
				memory(func(m *Memory) { m.PauseError, m.PauseTried = "no plugin", ago(time.Second) })),
			want: wanted{phase: run, message: "cannot be paused: no plugin", after: lostTime - time.Second},
		},
		"a run within its timeout waits for it": {
			given: given(initialized(), running(time.Minute), seen(runs)),
			want:  wanted{phase: run, after: 59 * time.Minute},
		},
		"a run that takes longer than its timeout is stopped": {
			given: given(initialized(), running(61*time.Minute), seen(runs)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonStopping, message: "timeout of 1h0m0s", after: time.Millisecond},
		},
		"and asked to end once that is written": {
			given: given(initialized(), running(61*time.Minute), seen(runs), stopping("", v1alpha1.ReasonTimeout, 0, 0)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonStopping, message: "timeout of 1h0m0s", verb: DoStop, target: 1},
		},
		"unless it was held for as long": {
			given: given(initialized(), running(61*time.Minute), seen(runs), held(time.Hour)),
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning},
		},
	})
}

func TestNextLoses(t *testing.T) {
	decide(t, map[string]decided{
		"a build that is missing is looked for": {
			given: given(initialized(), running(time.Minute), seen()),
			want:  wanted{phase: run, reason: v1alpha1.ReasonRunning, missing: true, after: lostTime},
		},
		"and searched before it is given up": {
			given: given(initialized(), running(time.Minute), seen(), missingFor(lostTime), evidence(lostTime+time.Second, nothing)),
			want:  wanted{phase: run, missing: true, verb: DoFind},
		},
		"a build record that is gone is lost": {
			given: given(initialized(), running(time.Minute), seen(), missingFor(lostTime+time.Second), evidence(time.Second, nothing)),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineLost, message: "build 1"},
		},
		"a job that is gone is lost when its build was known": {
			given: given(initialized(), running(time.Minute), seen(), missingFor(lostTime+time.Second), evidence(time.Second, func(e *Evidence) { e.Exists = false })),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineLost, message: "no job"},
		},
		"one that the search finds is not": {
			given: given(initialized(), running(time.Minute), seen(), missingFor(lostTime+time.Second), evidence(time.Second, func(e *Evidence) { e.Builds = []EngineBuild{runs} })),
			want:  wanted{phase: run, missing: true},
		},
		"a duplicate in the queue is cancelled": {
			given: given(initialized(), running(time.Minute), seen(runs), items(8)),
			want:  wanted{phase: run, verb: DoCancelQueue, target: 8},
		},
	})
}
