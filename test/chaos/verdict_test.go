package chaos

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// TestJudge: a judge who lets everything pass would make the rest worthless.
func TestJudge(t *testing.T) {
	for name, tc := range map[string]struct {
		kind    string
		last    bool
		end     verdict
		effects []effect
		change  func(*v1alpha1.PipelineExecution)
		builds  []jenkinstest.BuildInfo
		want    string // part of what is wrong; "" : it is right
	}{
		"a good run that succeeded":                    {kind: "one-step", end: succeeds[0], builds: built("SUCCESS")},
		"a good run that failed for no reason":         {kind: "one-step", end: verdict{failed, v1alpha1.ReasonStepFailed}, builds: built("FAILURE"), want: "right is"},
		"a good run whose agent was taken away":        {kind: "one-step", end: verdict{failed, v1alpha1.ReasonAgentLost}, effects: []effect{agentGone}, builds: built("ABORTED")},
		"a good run whose agent was said to be gone":   {kind: "one-step", end: verdict{failed, v1alpha1.ReasonAgentLost}, builds: built("ABORTED"), want: "right is"},
		"an agent that was gone, called another cause": {kind: "one-step", end: verdict{aborted, v1alpha1.ReasonAbortedInEngine}, effects: []effect{agentGone}, builds: built("ABORTED"), want: "right is"},
		"a lost build":                           {kind: "one-step", end: verdict{failed, v1alpha1.ReasonEngineLost}, effects: []effect{buildGone}},
		"a build that was said to be lost":       {kind: "one-step", end: verdict{failed, v1alpha1.ReasonEngineLost}, builds: built("SUCCESS"), want: "right is"},
		"lost after one crash":                   {kind: "one-step", end: verdict{failed, v1alpha1.ReasonEngineLost}, effects: []effect{itemMayFall}, want: "right is"},
		"lost after three crashes":               {kind: "one-step", end: verdict{failed, v1alpha1.ReasonEngineLost}, effects: []effect{itemMayFall, itemMayFall, itemMayFall}},
		"a lost build that succeeded":            {kind: "one-step", end: succeeds[0], effects: []effect{buildGone}, want: "no build"},
		"a stop that came out as success":        {kind: "stopped", end: succeeds[0], builds: built("SUCCESS"), want: "right is"},
		"a stop of a run that was never built":   {kind: "stopped-early", end: verdict{aborted, v1alpha1.ReasonStopped}},
		"superseded":                             {kind: "superseded", end: verdict{aborted, v1alpha1.ReasonSuperseded}},
		"superseded by nothing":                  {kind: "superseded", last: true, end: verdict{aborted, v1alpha1.ReasonSuperseded}, want: "right is"},
		"nothing to run, and a build":            {kind: "skips-all", end: verdict{ok, v1alpha1.ReasonNothingToRun}, builds: built("SUCCESS"), want: "nothing to build"},
		"success of which Jenkins knows not":     {kind: "one-step", end: succeeds[0], want: "no build"},
		"success that Jenkins calls a failure":   {kind: "one-step", end: succeeds[0], builds: built("FAILURE"), want: "Jenkins says FAILURE"},
		"a failure that Jenkins calls a success": {kind: "fails", end: verdict{failed, v1alpha1.ReasonStepFailed}, builds: built("SUCCESS"), want: "Jenkins says SUCCESS"},
		"two builds":                             {kind: "one-step", end: succeeds[0], builds: append(built("SUCCESS"), built("SUCCESS")...), want: "2 builds"},
		"a build that still runs":                {kind: "one-step", end: succeeds[0], builds: []jenkinstest.BuildInfo{{Number: 1, Building: true}}, want: "still runs"},
		"a step that is left open": {kind: "one-step", end: succeeds[0], builds: built("SUCCESS"),
			change: func(e *v1alpha1.PipelineExecution) { e.Status.Stages[0].Steps[0].Phase = v1alpha1.PhaseRunning }, want: "left Running"},
		"a step that ended otherwise": {kind: "one-step", end: succeeds[0], builds: built("SUCCESS"),
			change: func(e *v1alpha1.PipelineExecution) { e.Status.Stages[0].Steps[0].Phase = skipped }, want: `step Build/compile is "Skipped"`},
		"a stage that is not there": {kind: "one-step", end: succeeds[0], builds: built("SUCCESS"),
			change: func(e *v1alpha1.PipelineExecution) { e.Status.Stages = nil }, want: `step Build/compile is ""`},
		"no time of the end": {kind: "one-step", end: succeeds[0], builds: built("SUCCESS"),
			change: func(e *v1alpha1.PipelineExecution) { e.Status.FinishedAt = nil }, want: "no finishedAt"},
		"a condition that says otherwise": {kind: "one-step", end: succeeds[0], builds: built("SUCCESS"),
			change: func(e *v1alpha1.PipelineExecution) { e.Status.Conditions[1].Status = metav1.ConditionFalse }, want: `condition Succeeded is "False"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := run{name: "r", project: "p", kind: kindNamed(t, tc.kind), last: tc.last}
			e := ended(r.kind, tc.end)
			if tc.change != nil {
				tc.change(e)
			}
			wrong := strings.Join(judge(r, e, tc.effects, tc.builds), "; ")
			if tc.want == "" && wrong != "" || !strings.Contains(wrong, tc.want) {
				t.Errorf("the judge says %q, want %q", wrong, tc.want)
			}
		})
	}
}

func kindNamed(t *testing.T, name string) kind {
	t.Helper()
	for _, k := range kinds() {
		if k.name == name {
			return k
		}
	}
	t.Fatalf("there is no kind %s", name)
	return kind{}
}

// ended is an execution of a kind whose steps ended as they should.
func ended(k kind, end verdict) *v1alpha1.PipelineExecution {
	now := metav1.NewTime(time.Unix(1_800_000_000, 0))
	e := &v1alpha1.PipelineExecution{Status: v1alpha1.PipelineExecutionStatus{Phase: end.phase, Reason: end.reason, FinishedAt: &now}}
	succeeded := metav1.ConditionFalse
	if end.phase == ok {
		succeeded = metav1.ConditionTrue
	}
	e.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue}, {Type: v1alpha1.ConditionSucceeded, Status: succeeded}}
	for name, phase := range k.steps {
		stage, step, _ := strings.Cut(name, "/")
		e.Status.Stages = append(e.Status.Stages, v1alpha1.StageStatus{Name: stage, Phase: phase, Steps: []v1alpha1.StepStatus{{Name: step, Phase: phase}}})
	}
	return e
}

func built(result string) []jenkinstest.BuildInfo {
	return []jenkinstest.BuildInfo{{Number: 1, Result: result, Log: "[Pipeline] Start of Pipeline\n"}}
}
