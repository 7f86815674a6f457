package pipeline

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// EngineStage is one stage as the engine lists it: flat, in the order of their start,
// our stages ("2 Build") and steps ("2.1 compile") alike.
type EngineStage struct {
	Name     string
	Phase    v1alpha1.Phase // Pending: not started
	Start    time.Time      // by the engine's clock; zero when unknown
	Duration time.Duration  // so far, while it runs
	Error    string         // of a failed one, as the engine words it
}

// engineName is how Compile names stages and steps in the Jenkinsfile: the 1-based
// numbers say which one it is, whatever its name.
var engineName = regexp.MustCompile(`^([1-9][0-9]*)(?:\.([1-9][0-9]*))? `)

// exitCode is how Jenkins words the failure of an `sh` step.
var exitCode = regexp.MustCompile(`script returned exit code (-?[0-9]+)`)

// Observe maps what the engine lists onto the stages known so far. result is how the
// build ended, "" while it runs. Nothing ever goes back: a step that ended stays as it
// is, and one that the engine does not list any more keeps what was known. Times are
// the engine's; the ones known already are kept.
func Observe(known []v1alpha1.StageStatus, seen []EngineStage, result v1alpha1.Phase, now time.Time) []v1alpha1.StageStatus {
	out := make([]v1alpha1.StageStatus, len(known))
	for i := range known {
		known[i].DeepCopyInto(&out[i])
	}
	heads := map[int]EngineStage{}
	for _, s := range seen {
		i, j, ok := parseEngineName(s.Name)
		switch {
		case !ok || i > len(out):
		case j == 0:
			heads[i-1] = s
		case j <= len(out[i-1].Steps):
			observeStep(&out[i-1].Steps[j-1], s, now)
		}
	}
	for i := range out {
		observeStage(&out[i], heads[i], now)
	}
	if result != "" {
		settle(out, result, now)
	}
	return out
}

func parseEngineName(name string) (stage, step int, ok bool) {
	m := engineName.FindStringSubmatch(name)
	if m == nil {
		return 0, 0, false
	}
	stage, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, 0, false
	}
	if m[2] != "" {
		if step, err = strconv.Atoi(m[2]); err != nil {
			return 0, 0, false
		}
	}
	return stage, step, true
}

func observeStep(st *v1alpha1.StepStatus, s EngineStage, now time.Time) {
	if Ended(st.Phase) || s.Phase == v1alpha1.PhasePending {
		return
	}
	st.Phase = s.Phase
	begin(&st.StartedAt, s, now)
	if !Ended(s.Phase) {
		return
	}
	end(&st.FinishedAt, s, now)
	if s.Phase == v1alpha1.PhaseFailed {
		st.ExitCode, st.Message = readError(s.Error)
	}
}

// readError takes the exit code out of an error of an `sh` step. What is no exit code is
// kept as the message.
func readError(text string) (*int32, string) {
	text = strings.TrimSpace(text)
	if m := exitCode.FindStringSubmatch(text); m != nil {
		if code, err := strconv.ParseInt(m[1], 10, 32); err == nil {
			c := int32(code)
			return &c, fmt.Sprintf("exit code %d", c)
		}
	}
	return nil, clip(text, 512)
}

// observeStage sums a stage up from its steps, since the engine's own entry of a stage
// ends when its first step begins. A stage without steps of ours follows its entry.
func observeStage(st *v1alpha1.StageStatus, head EngineStage, now time.Time) {
	if Ended(st.Phase) {
		return
	}
	count := map[v1alpha1.Phase]int{}
	for i := range st.Steps {
		count[st.Steps[i].Phase]++
		if at := st.Steps[i].StartedAt; at != nil && (st.StartedAt == nil || at.Before(st.StartedAt)) {
			st.StartedAt = at.DeepCopy()
		}
	}
	if head.Name != "" && head.Phase != v1alpha1.PhasePending && st.StartedAt == nil {
		begin(&st.StartedAt, head, now)
	}
	open := count[v1alpha1.PhasePending] + count[v1alpha1.PhaseRunning] + count[v1alpha1.PhasePaused]
	switch {
	case len(st.Steps) == 0 && head.Name != "":
		st.Phase = head.Phase
	case count[v1alpha1.PhasePaused] > 0 && count[v1alpha1.PhaseRunning] == 0:
		st.Phase = v1alpha1.PhasePaused
	case open > 0 && st.StartedAt != nil:
		st.Phase = v1alpha1.PhaseRunning
	case open > 0:
		st.Phase = v1alpha1.PhasePending
	case count[v1alpha1.PhaseFailed] > 0:
		st.Phase = v1alpha1.PhaseFailed
	case count[v1alpha1.PhaseAborted] > 0:
		st.Phase = v1alpha1.PhaseAborted
	case count[v1alpha1.PhaseSucceeded] > 0:
		st.Phase = v1alpha1.PhaseSucceeded
	case count[v1alpha1.PhaseSkipped] > 0:
		st.Phase = v1alpha1.PhaseSkipped
	}
	if Ended(st.Phase) && st.Phase != v1alpha1.PhaseSkipped {
		finishStage(st, now)
	}
}

func finishStage(st *v1alpha1.StageStatus, now time.Time) {
	for i := range st.Steps {
		s := &st.Steps[i]
		if at := s.FinishedAt; at != nil && (st.FinishedAt == nil || st.FinishedAt.Before(at)) {
			st.FinishedAt = at.DeepCopy()
		}
		if s.Phase == v1alpha1.PhaseFailed && st.Message == "" {
			st.Message = describeStep(*s)
		}
	}
	if st.FinishedAt == nil {
		st.FinishedAt = Stamp(now)
	}
}

func describeStep(s v1alpha1.StepStatus) string {
	if s.Message == "" {
		return fmt.Sprintf("step %q failed", s.Name)
	}
	return fmt.Sprintf("step %q: %s", s.Name, s.Message)
}

// settle closes what is still open when the build is over: the engine lists nothing
// about what never started, and its last words on what ran may have been missed.
func settle(stages []v1alpha1.StageStatus, result v1alpha1.Phase, now time.Time) {
	for i := range stages {
		st := &stages[i]
		for j := range st.Steps {
			s := &st.Steps[j]
			if Ended(s.Phase) {
				continue
			}
			if s.Phase, s.Message = closed(s.StartedAt != nil, result); s.StartedAt != nil {
				s.FinishedAt = Stamp(now)
			}
		}
		if Ended(st.Phase) {
			continue
		}
		before := st.Phase
		if len(st.Steps) > 0 {
			observeStage(st, EngineStage{}, now)
		} else {
			st.Phase, st.Message = closed(st.StartedAt != nil, result)
		}
		if st.Phase == v1alpha1.PhaseSkipped && before == v1alpha1.PhasePending && st.Message == "" {
			_, st.Message = closed(false, result)
		}
	}
}

func closed(started bool, result v1alpha1.Phase) (v1alpha1.Phase, string) {
	switch {
	case result == v1alpha1.PhaseSucceeded:
		return v1alpha1.PhaseSucceeded, "" // the build ran everything
	case !started:
		return v1alpha1.PhaseSkipped, "the run ended before it"
	default:
		return result, ""
	}
}

func begin(at **metav1.Time, s EngineStage, now time.Time) {
	if *at != nil {
		return
	}
	if s.Start.IsZero() {
		*at = Stamp(now)
		return
	}
	*at = Stamp(s.Start)
}

func end(at **metav1.Time, s EngineStage, now time.Time) {
	if s.Start.IsZero() || s.Duration < 0 {
		*at = Stamp(now)
		return
	}
	*at = Stamp(s.Start.Add(s.Duration))
}

// Ended tells whether a run, stage or step in this phase changes no more.
func Ended(p v1alpha1.Phase) bool {
	switch p {
	case v1alpha1.PhaseSucceeded, v1alpha1.PhaseFailed, v1alpha1.PhaseAborted, v1alpha1.PhaseSkipped:
		return true
	}
	return false
}

// Stamp is t as an object can hold it, in whole seconds: what is written must equal
// what is read back, or every look would be a change.
func Stamp(t time.Time) *metav1.Time {
	return &metav1.Time{Time: t.Truncate(time.Second)}
}

func microStamp(t time.Time) *metav1.MicroTime {
	return &metav1.MicroTime{Time: t.Truncate(time.Microsecond)}
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}
