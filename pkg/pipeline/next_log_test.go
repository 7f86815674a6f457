package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestNextReadsTheLog(t *testing.T) {
	decide(t, map[string]decided{
		"a failure without a failed step is looked up in the log": {
			given: given(initialized(), building, seen(failed)),
			want:  wanted{phase: pend, verb: DoReadLog, target: 1, after: glance},
		},
		"a failed step that says why is not": {
			given: given(initialized(), running(time.Minute), seen(failed),
				stages(EngineStage{Name: "1.1 compile", Phase: failure, Error: "script returned exit code 2"})),
			want: wanted{phase: failure, reason: v1alpha1.ReasonStepFailed},
		},
		"a stop that was asked for is not": {
			given: given(initialized(), running(time.Minute), seen(abort), control(v1alpha1.ControlStop), stopping(DoStop, v1alpha1.ReasonStopped, time.Second, time.Second)),
			want:  wanted{phase: halted, reason: v1alpha1.ReasonStopped},
		},
		"a log that says nothing leaves the verdict": {
			given: given(initialized(), building, seen(failed), logged("Started by user admin\nFinished: FAILURE\n")),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineError, message: "its log says why"},
		},
		"a script that does not compile": {
			given: given(initialized(), building, seen(failed), logged("Started by user admin\norg.codehaus.groovy.control.MultipleCompilationErrorsException: startup failed:\n"+
				"WorkflowScript: 12: unexpected token: ) @ line 12, column 5.\n   foo)\n       ^\n\n1 error\n\n\tat org.codehaus.groovy.control.ErrorCollector.failIfErrors(ErrorCollector.java:309)\nFinished: FAILURE\n")),
			want: wanted{phase: failure, reason: v1alpha1.ReasonScriptError, message: "cannot compile the Jenkinsfile: unexpected token: ) @ line 12, column 5."},
		},
		"a step that the sandbox forbids": {
			given: given(initialized(), running(time.Minute), seen(failed), logged("Scripts not permitted to use method x\norg.jenkinsci.plugins.scriptsecurity.sandbox.RejectedAccessException: Scripts not permitted to use staticMethod java.lang.System exit int\n\tat org…\n")),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonStepFailed},
		},
		"a call that the sandbox forbids": {
			given: given(initialized(), building, seen(failed), logged("org.jenkinsci.plugins.scriptsecurity.sandbox.RejectedAccessException: Scripts not permitted to use staticMethod java.lang.System exit int\n\tat org…\n")),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonScriptError, message: "sandbox of Jenkins forbids it: Scripts not permitted to use staticMethod java.lang.System exit int"},
		},
		"a plugin that is missing": {
			given: given(initialized(), building, seen(failed), logged("java.lang.NoSuchMethodError: No such DSL method 'podTemplate' found among steps [archive, bat, build]\n")),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonScriptError, message: "plugin is missing in Jenkins: No such DSL method 'podTemplate'"},
		},
		"an odd result is told, too": {
			given: given(initialized(), building, seen(EngineBuild{Number: 1, QueueID: 7, Result: failure, Raw: "SPLENDID"}), logged("ERROR: odd\n")),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineError, message: "odd (Jenkins calls it SPLENDID)"},
		},
		"an abort is no failure for a line that a script printed": {
			given: given(initialized(), running(time.Minute), seen(abort), stages(stage("1.1 compile", halted)), logged("ERROR: no such file\nFinished: ABORTED\n")),
			want:  wanted{phase: halted, reason: v1alpha1.ReasonAbortedInEngine, message: "aborted in Jenkins"},
		},
		"a timeout of Jenkins' own": {
			given: given(initialized(), running(time.Minute), seen(abort), stages(stage("1.1 compile", halted)), logged("Cancelling nested steps due to timeout\nSending interrupt signal to process\n")),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonTimeout, message: "Jenkins' own timeout"},
		},
		"credentials that are missing": {
			given: given(initialized(), building, seen(failed), logged("ERROR: Could not find credentials entry with ID 'git'\nFinished: FAILURE\n")),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineError, message: "Could not find credentials entry with ID 'git'"},
		},
		"a person who aborted it": {
			given: given(initialized(), running(time.Minute), seen(abort), stages(stage("1.1 compile", halted)), logged("+ sleep 100\nAborted by Ada Lovelace\nSending interrupt signal to process\nFinished: ABORTED\n")),
			want:  wanted{phase: halted, reason: v1alpha1.ReasonAbortedInEngine, message: "aborted in Jenkins by Ada Lovelace"},
		},
		"an agent that was taken away": {
			given: given(initialized(), running(time.Minute), seen(abort), stages(stage("1.1 compile", halted)), logged("Pod shop-pipeline/agent-1 was just deleted\nFinished: ABORTED\n")),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonAgentLost, message: "agent-1 was just deleted"},
		},
		"an agent that went away before its build ended, for no reason that is told": {
			given: given(initialized(), running(time.Minute), seen(abort), stages(stage("1.1 compile", halted)), logged(""), gone),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonAgentLost, message: "agent pod agent-1 was deleted while the build ran"},
		},
		"but not for a reason that is": {
			given: given(initialized(), running(time.Minute), seen(abort), stages(stage("1.1 compile", halted)), logged("Aborted by Ada\n"), gone),
			want:  wanted{phase: halted, reason: v1alpha1.ReasonAbortedInEngine, message: "by Ada"},
		},
		"a pod that could not be made": {
			given: given(initialized(), building, seen(abort), logged("ERROR: Unable to create pod kubernetes shop/agent-1.\nQueue task was cancelled\n")),
			want:  wanted{phase: failure, reason: v1alpha1.ReasonEngineError, message: "Unable to create pod"},
		},
		"a script that failed where Jenkins cannot tell stages": {
			given: given(initialized(), running(time.Minute), seen(failed), engine(func(e *Engine) { e.NoStages = true }),
				status(func(s *v1alpha1.PipelineExecutionStatus) { s.Stages = nil }), logged("ERROR: script returned exit code 4\nFinished: FAILURE\n")),
			want: wanted{phase: failure, reason: v1alpha1.ReasonStepFailed, message: "exit code 4"},
		},
		"a step that failed with its agent is the agent's": {
			given: given(initialized(), running(time.Minute), seen(failed), stages(EngineStage{Name: "1.1 compile", Phase: failure, Error: "script returned exit code -1"}),
				agent(func(a *Agent) { a.Dead, a.Trouble = true, "container c1 ended: OOMKilled: exit code 137" })),
			want: wanted{phase: failure, reason: v1alpha1.ReasonAgentLost, message: "OOMKilled"},
			check: func(t *testing.T, p Plan) {
				if !strings.Contains(p.Status.Agent.Message, "OOMKilled") {
					t.Errorf("agent = %+v, want why it died", p.Status.Agent)
				}
			},
		},
		"also when its pod is gone by then": {
			given: given(initialized(), running(time.Minute), seen(abort), stages(stage("1.1 compile", halted)), status(func(s *v1alpha1.PipelineExecutionStatus) {
				s.Agent = &v1alpha1.AgentStatus{Namespace: "shop-pipeline", Pod: "agent-1", Message: "Evicted: the node was low on memory"}
			})),
			want: wanted{phase: failure, reason: v1alpha1.ReasonAgentLost, message: "low on memory"},
		},
	})
}

// gone: the agent was there, and went away while the build ran.
func gone(o *Observed) {
	o.Memory.AgentGone = true
	o.Execution.Status.Agent = &v1alpha1.AgentStatus{Namespace: "shop-pipeline", Pod: "agent-1"}
}

func TestNextNoticesThatTheAgentIsGone(t *testing.T) {
	for name, tc := range map[string]struct {
		given Observed
		want  bool
	}{
		"its pod is there": {given(initialized(), running(time.Minute), seen(runs), agent(func(*Agent) {})), false},
		"it is deleted":    {given(initialized(), running(time.Minute), seen(runs), agent(func(a *Agent) { a.Deleting = true })), true},
		"it is gone":       {given(initialized(), running(time.Minute), seen(runs), gone), true},
		"none was seen":    {given(initialized(), running(time.Minute), seen(runs)), false},
		"every step is over, as when Jenkins cleans up": {given(initialized(), running(time.Minute), seen(runs), gone,
			stages(stage("1.1 compile", v1alpha1.PhaseSucceeded), stage("2.1 unit", v1alpha1.PhaseFailed))), false},
	} {
		if p := Next(tc.given, noon); p.AgentGone != tc.want {
			t.Errorf("%s: AgentGone = %t", name, p.AgentGone)
		}
	}
}

func FuzzExplained(f *testing.F) {
	f.Add("ERROR: x\n")
	f.Add("WorkflowScript: 1: \xff\n")
	f.Fuzz(func(t *testing.T, log string) {
		v := verdict{v1alpha1.PhaseFailed, v1alpha1.ReasonEngineError, "as before", true}.explained(log)
		if v.message == "" || len(v.message) > 700 || !Ended(v.phase) || strings.Contains(v.message, "\n") {
			t.Errorf("verdict = %+v", v)
		}
	})
}
