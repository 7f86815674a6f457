package chaos

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// maxAttempts is how often a run may be triggered when Jenkins loses it from its queue.
const maxAttempts = 3

// judge says what is wrong with the end of a run, given the faults that met it; builds
// are those that Jenkins has of it.
func judge(r run, e *v1alpha1.PipelineExecution, effects []effect, builds []jenkinstest.BuildInfo) []string {
	got := verdict{e.Status.Phase, e.Status.Reason}
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }

	allowed := allowedEnds(r, effects)
	if !slices.Contains(allowed, got) {
		say("it is %s: %s; right is %v", got, e.Status.Message, allowed)
	}
	if e.Status.FinishedAt == nil {
		say("it has no finishedAt")
	}
	for _, c := range []struct{ kind, want string }{
		{v1alpha1.ConditionComplete, "True"},
		{v1alpha1.ConditionSucceeded, map[bool]string{true: "True", false: "False"}[got.phase == ok]},
	} {
		if s := condition(e, c.kind); s != c.want {
			say("condition %s is %q, want %s", c.kind, s, c.want)
		}
	}
	wrong = append(wrong, judgeSteps(r, e, got)...)
	return append(wrong, judgeBuilds(r, got, builds)...)
}

func allowedEnds(r run, effects []effect) []verdict {
	allowed := slices.Clone(r.kind.want)
	if r.last { // nothing newer can have taken its place
		allowed = slices.DeleteFunc(allowed, func(v verdict) bool { return v.reason == v1alpha1.ReasonSuperseded })
	}
	if slices.Contains(effects, agentGone) {
		allowed = append(allowed, verdict{failed, v1alpha1.ReasonAgentLost})
	}
	crashes := 0
	for _, f := range effects {
		if f == itemMayFall {
			crashes++
		}
	}
	if slices.Contains(effects, buildGone) || crashes >= maxAttempts {
		allowed = append(allowed, verdict{failed, v1alpha1.ReasonEngineLost})
	}
	return allowed
}

// judgeSteps: of a run that ended as wanted, every step did too; of any, none is left
// open.
func judgeSteps(r run, e *v1alpha1.PipelineExecution, got verdict) (wrong []string) {
	seen := map[string]v1alpha1.Phase{}
	for _, st := range e.Status.Stages {
		for _, s := range st.Steps {
			seen[st.Name+"/"+s.Name] = s.Phase
			if !terminal(s.Phase) {
				wrong = append(wrong, fmt.Sprintf("step %s/%s is left %s", st.Name, s.Name, s.Phase))
			}
		}
		if !terminal(st.Phase) {
			wrong = append(wrong, fmt.Sprintf("stage %s is left %s", st.Name, st.Phase))
		}
	}
	if len(r.kind.want) == 0 || got != r.kind.want[0] {
		return wrong
	}
	for name, want := range r.kind.steps {
		if seen[name] != want {
			wrong = append(wrong, fmt.Sprintf("step %s is %q, want %s", name, seen[name], want))
		}
	}
	return wrong
}

// judgeBuilds: one build each, and its result is the run's.
func judgeBuilds(r run, got verdict, builds []jenkinstest.BuildInfo) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	switch {
	case len(builds) > 1:
		say("Jenkins has %d builds of it", len(builds))
	case len(builds) == 1 && r.kind.unbuilt:
		say("Jenkins has a build of it: there was nothing to build")
	case len(builds) == 0 && got.phase == ok && !r.kind.unbuilt:
		say("it succeeded, and Jenkins has no build of it")
	}
	for _, b := range builds {
		switch {
		case b.Building:
			say("Jenkins still runs its build %d", b.Number)
		case (b.Result == "SUCCESS") != (got.phase == ok):
			say("Jenkins says %s", b.Result)
		}
		if marks := strings.Count(b.Log, "Start of Pipeline"); marks != 1 {
			say("the log has %d beginnings", marks)
		}
	}
	return wrong
}

func condition(e *v1alpha1.PipelineExecution, kind string) string {
	for _, c := range e.Status.Conditions {
		if c.Type == kind {
			return string(c.Status)
		}
	}
	return ""
}

// terminal is this package's own idea of which phases are ends.
func terminal(p v1alpha1.Phase) bool { return p == ok || p == failed || p == aborted || p == skipped }
