package chaos

import (
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestTransition(t *testing.T) {
	status := func(phase v1alpha1.Phase, change ...func(*v1alpha1.PipelineExecutionStatus)) v1alpha1.PipelineExecutionStatus {
		s := v1alpha1.PipelineExecutionStatus{Phase: phase, Engine: &v1alpha1.EngineStatus{Job: "p/r", Attempt: 1, Build: 1}}
		for _, c := range change {
			c(&s)
		}
		return s
	}
	for name, tc := range map[string]struct {
		old, now v1alpha1.PipelineExecutionStatus
		want     string // part of what is wrong; "" : nothing
	}{
		"forward":                  {old: status(v1alpha1.PhasePending), now: status(v1alpha1.PhaseRunning)},
		"paused and on":            {old: status(v1alpha1.PhasePaused), now: status(v1alpha1.PhaseRunning)},
		"straight to the end":      {old: status(v1alpha1.PhaseQueued), now: status(failed)},
		"back":                     {old: status(v1alpha1.PhaseRunning), now: status(v1alpha1.PhasePending), want: "went back"},
		"from the end":             {old: status(ok), now: status(v1alpha1.PhaseRunning), want: "went back"},
		"another end":              {old: status(ok), now: status(failed), want: "after its end"},
		"another word for the end": {old: status(failed), now: status(failed, func(s *v1alpha1.PipelineExecutionStatus) { s.Message = "else" }), want: "after its end"},
		"a later look at the end": {
			old: status(failed, observed(1)), now: status(failed, observed(7)),
		},
		"another build":              {old: status(v1alpha1.PhaseRunning), now: status(v1alpha1.PhaseRunning, func(s *v1alpha1.PipelineExecutionStatus) { s.Engine.Build = 2 }), want: "build changed"},
		"no engine any more":         {old: status(v1alpha1.PhaseRunning), now: status(v1alpha1.PhaseRunning, func(s *v1alpha1.PipelineExecutionStatus) { s.Engine = nil }), want: "forgot its engine"},
		"fewer attempts":             {old: status(v1alpha1.PhaseRunning), now: status(v1alpha1.PhaseRunning, func(s *v1alpha1.PipelineExecutionStatus) { s.Engine.Attempt = 0 }), want: "attempts"},
		"a stage that begins anew":   {old: status(v1alpha1.PhaseRunning, staged(ok)), now: status(v1alpha1.PhaseRunning, staged(v1alpha1.PhaseRunning)), want: "stage Build went from Succeeded"},
		"a stage that is not listed": {old: status(v1alpha1.PhaseRunning, staged(ok)), now: status(v1alpha1.PhaseRunning), want: "forgot stages"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := strings.Join(transition(&v1alpha1.PipelineExecution{Status: tc.old}, &v1alpha1.PipelineExecution{Status: tc.now}), "; ")
			if tc.want == "" && wrong != "" || !strings.Contains(wrong, tc.want) {
				t.Errorf("it says %q, want %q", wrong, tc.want)
			}
		})
	}
}

func observed(generation int64) func(*v1alpha1.PipelineExecutionStatus) {
	return func(s *v1alpha1.PipelineExecutionStatus) {
		s.ObservedGeneration = generation
		s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionComplete, ObservedGeneration: generation}}
	}
}

func staged(phase v1alpha1.Phase) func(*v1alpha1.PipelineExecutionStatus) {
	return func(s *v1alpha1.PipelineExecutionStatus) {
		s.Stages = []v1alpha1.StageStatus{{Name: "Build", Phase: phase}}
	}
}

// TestQuota: what is active at one moment is counted, also across a list that lacks
// what went away meanwhile.
func TestQuota(t *testing.T) {
	w := newWatcher(nil, map[string]int{"p": 2}, "in-line")
	version := 100
	execution := func(name, pipeline string, phase v1alpha1.Phase) *v1alpha1.PipelineExecution {
		version++
		return &v1alpha1.PipelineExecution{
			ObjectMeta: metav1.ObjectMeta{Namespace: "p", Name: name, UID: types.UID(name), ResourceVersion: strconv.Itoa(version)},
			Spec:       v1alpha1.PipelineExecutionSpec{PipelineRef: v1alpha1.LocalReference{Name: pipeline}},
			Status:     v1alpha1.PipelineExecutionStatus{Phase: phase},
		}
	}
	w.see(execution("a", "app", v1alpha1.PhaseRunning), false)
	w.see(execution("b", "app", v1alpha1.PhasePaused), false)
	w.see(execution("c", "app", v1alpha1.PhaseQueued), false)
	w.see(execution("a", "app", ok), false)
	w.see(execution("c", "app", v1alpha1.PhasePending), false)
	w.replace([]*v1alpha1.PipelineExecution{execution("c", "app", v1alpha1.PhasePending), execution("d", "in-line", v1alpha1.PhaseRunning)}, "200")
	w.see(execution("d", "in-line", v1alpha1.PhaseRunning), true)
	w.see(execution("e", "in-line", v1alpha1.PhaseRunning), false)
	if wrong := w.wrong(); len(wrong) > 0 {
		t.Fatalf("within the quota, and yet: %q", wrong)
	}
	w.see(execution("f", "in-line", v1alpha1.PhasePending), false)
	w.replace(nil, "102") // it is older than what is known
	want := []string{"p: 3 executions are active, its quota is 2", "p: 2 runs of in-line are active, it says one at a time"}
	if rec := w.find(run{project: "p", name: "f"}); rec == nil || rec.gone {
		t.Errorf("a list that is older than an execution makes it %+v", rec)
	}
	if rec := w.find(run{project: "p", name: "b"}); rec == nil || !rec.gone {
		t.Errorf("what a later list lacks is %+v", rec)
	}
	if got := w.wrong(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("problems %q, want %q", got, want)
	}
}
