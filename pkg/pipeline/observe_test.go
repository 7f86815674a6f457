package pipeline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestObserve(t *testing.T) {
	const (
		pending, runs, paused = v1alpha1.PhasePending, v1alpha1.PhaseRunning, v1alpha1.PhasePaused
		ok, bad, halted, skip = v1alpha1.PhaseSucceeded, v1alpha1.PhaseFailed, v1alpha1.PhaseAborted, v1alpha1.PhaseSkipped
	)
	at := func(s int) EngineStage { return EngineStage{Start: noon.Add(time.Duration(s) * time.Second)} }
	saw := func(name string, phase v1alpha1.Phase, start, seconds int, err string) EngineStage {
		s := at(start)
		s.Name, s.Phase, s.Duration, s.Error = name, phase, time.Duration(seconds)*time.Second, err
		return s
	}
	step := func(name string, phase v1alpha1.Phase, times ...int) v1alpha1.StepStatus {
		s := v1alpha1.StepStatus{Name: name, Phase: phase}
		if len(times) > 0 {
			s.StartedAt = Stamp(at(times[0]).Start)
		}
		if len(times) > 1 {
			s.FinishedAt = Stamp(at(times[1]).Start)
		}
		return s
	}
	group := func(name string, phase v1alpha1.Phase, times []int, steps ...v1alpha1.StepStatus) v1alpha1.StageStatus {
		s := v1alpha1.StageStatus{Name: name, Phase: phase, Steps: steps}
		if len(times) > 0 {
			s.StartedAt = Stamp(at(times[0]).Start)
		}
		if len(times) > 1 {
			s.FinishedAt = Stamp(at(times[1]).Start)
		}
		return s
	}
	message := func(s v1alpha1.StageStatus, text string) v1alpha1.StageStatus { s.Message = text; return s }
	because := func(s v1alpha1.StepStatus, text string) v1alpha1.StepStatus { s.Message = text; return s }
	exited := func(s v1alpha1.StepStatus, code int32) v1alpha1.StepStatus {
		s.ExitCode, s.Message = &code, "exit code 2"
		return s
	}
	fresh := []v1alpha1.StageStatus{
		group("Build", pending, nil, step("compile", pending), step("vet", pending)),
		group("Test", pending, nil, step("unit", pending)),
	}
	const before = "the run ended before it"
	tests := map[string]struct {
		known  []v1alpha1.StageStatus
		seen   []EngineStage
		result v1alpha1.Phase
		want   []v1alpha1.StageStatus
	}{
		"nothing seen changes nothing": {known: fresh, want: fresh},
		"a stage runs while one of its steps does, whatever its own entry says": {
			known: fresh,
			seen:  []EngineStage{saw("1 Build", ok, 1, 0, ""), saw("1.1 compile", ok, 1, 3, ""), saw("1.2 vet", runs, 2, 2, "")},
			want: []v1alpha1.StageStatus{
				group("Build", runs, []int{1}, step("compile", ok, 1, 4), step("vet", runs, 2)),
				fresh[1],
			},
		},
		"a stage between its steps runs": {
			known: fresh,
			seen:  []EngineStage{saw("1 Build", ok, 1, 0, ""), saw("1.1 compile", ok, 1, 3, "")},
			want: []v1alpha1.StageStatus{
				group("Build", runs, []int{1}, step("compile", ok, 1, 4), step("vet", pending)),
				fresh[1],
			},
		},
		"a stage ends with its last step": {
			known: fresh,
			seen:  []EngineStage{saw("1 Build", ok, 1, 0, ""), saw("1.1 compile", ok, 1, 3, ""), saw("1.2 vet", ok, 2, 7, "")},
			want: []v1alpha1.StageStatus{
				group("Build", ok, []int{1, 9}, step("compile", ok, 1, 4), step("vet", ok, 2, 9)),
				fresh[1],
			},
		},
		"a stage waits for an answer when no step of it runs": {
			known: fresh,
			seen:  []EngineStage{saw("2.1 unit", paused, 3, 0, "")},
			want:  []v1alpha1.StageStatus{fresh[0], group("Test", paused, []int{3}, step("unit", paused, 3))},
		},
		"a failed step fails its stage, with the exit code, and skips what follows": {
			known:  fresh,
			seen:   []EngineStage{saw("1.1 compile", bad, 1, 3, "script returned exit code 2"), saw("1.2 vet", halted, 1, 3, "")},
			result: bad,
			want: []v1alpha1.StageStatus{
				message(group("Build", bad, []int{1, 4}, exited(step("compile", bad, 1, 4), 2), step("vet", halted, 1, 4)), `step "compile": exit code 2`),
				message(group("Test", skip, nil, because(step("unit", skip), before)), before),
			},
		},
		"another error is kept as it is": {
			known: fresh[1:],
			seen:  []EngineStage{saw("1.1 unit", bad, 1, 1, "Queue task was cancelled")},
			want: []v1alpha1.StageStatus{
				message(group("Test", bad, []int{1, 2}, because(step("unit", bad, 1, 2), "Queue task was cancelled")), `step "unit": Queue task was cancelled`),
			},
		},
		"what was skipped by the config stays skipped": {
			known: []v1alpha1.StageStatus{message(group("Build", skip, nil, step("compile", skip)), "branch"), fresh[1]},
			seen:  []EngineStage{saw("2.1 unit", ok, 1, 1, "")},
			want: []v1alpha1.StageStatus{
				message(group("Build", skip, nil, step("compile", skip)), "branch"),
				group("Test", ok, []int{1, 2}, step("unit", ok, 1, 2)),
			},
		},
		"an end is never undone": {
			known: []v1alpha1.StageStatus{group("Test", ok, []int{1, 2}, step("unit", ok, 1, 2))},
			seen:  []EngineStage{saw("1.1 unit", runs, 5, 9, "")},
			want:  []v1alpha1.StageStatus{group("Test", ok, []int{1, 2}, step("unit", ok, 1, 2))},
		},
		"what is not listed any more keeps what was known": {
			known: []v1alpha1.StageStatus{group("Test", runs, []int{1}, step("unit", runs, 1))},
			want:  []v1alpha1.StageStatus{group("Test", runs, []int{1}, step("unit", runs, 1))},
		},
		"an abort ends what ran and skips what did not": {
			known:  []v1alpha1.StageStatus{group("Build", runs, []int{-9}, step("compile", runs, -9), step("vet", pending)), fresh[1]},
			result: halted,
			want: []v1alpha1.StageStatus{
				group("Build", halted, []int{-9, 0}, step("compile", halted, -9, 0), because(step("vet", skip), before)),
				message(group("Test", skip, nil, because(step("unit", skip), before)), before),
			},
		},
		"a build that succeeded ran everything, seen or not": {
			known:  fresh[1:],
			result: ok,
			want: []v1alpha1.StageStatus{
				func() v1alpha1.StageStatus {
					s := group("Test", ok, nil, step("unit", ok))
					s.FinishedAt = Stamp(noon)
					return s
				}(),
			},
		},
		"stages that are not ours, or not there, are ignored": {
			known: fresh,
			seen: []EngineStage{saw("Declarative: Post", ok, 1, 1, ""), saw("3 Deploy", ok, 1, 1, ""), saw("1.9 none", ok, 1, 1, ""), saw("0.1 x", ok, 1, 1, ""),
				saw("99999999999999999999.1 x", ok, 1, 1, ""), saw("2.", ok, 1, 1, ""), saw("", ok, 1, 1, "")},
			want: fresh,
		},
		"a step that has not started is pending": {
			known: fresh[1:],
			seen:  []EngineStage{saw("1.1 unit", pending, 0, 0, "")},
			want:  fresh[1:],
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Observe(tc.known, tc.seen, tc.result, noon)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("stages (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(got, Observe(got, tc.seen, tc.result, noon.Add(time.Minute))); diff != "" {
				t.Errorf("the same again is a change (-first +second):\n%s", diff)
			}
		})
	}
}

// FuzzObserve: whatever a Jenkins lists, nothing panics and no end is undone.
func FuzzObserve(f *testing.F) {
	f.Add("1 Build", "Running", "1.1 compile", "Failed", "script returned exit code 2", int64(5))
	f.Add("2.2 x", "Succeeded", "18446744073709551616.1 y", "Skipped", "exit code 99999999999999", int64(-5))
	f.Fuzz(func(t *testing.T, name1, phase1, name2, phase2, err string, seconds int64) {
		known := []v1alpha1.StageStatus{
			{Name: "Build", Phase: v1alpha1.PhaseSucceeded, Steps: []v1alpha1.StepStatus{{Name: "a", Phase: v1alpha1.PhaseSucceeded}}},
			{Name: "Test", Phase: v1alpha1.PhasePending, Steps: []v1alpha1.StepStatus{{Name: "b", Phase: v1alpha1.PhasePending}}},
		}
		seen := []EngineStage{
			{Name: name1, Phase: v1alpha1.Phase(phase1), Start: noon, Duration: time.Duration(seconds), Error: err},
			{Name: name2, Phase: v1alpha1.Phase(phase2), Error: err},
		}
		got := Observe(known, seen, "", noon)
		if len(got) != 2 || got[0].Phase != v1alpha1.PhaseSucceeded || got[0].Steps[0].Phase != v1alpha1.PhaseSucceeded {
			t.Errorf("stages = %+v", got)
		}
		for _, st := range Observe(got, seen, v1alpha1.PhaseFailed, noon) {
			for _, s := range st.Steps {
				if !Ended(s.Phase) {
					t.Errorf("step %s is %s after the end", s.Name, s.Phase)
				}
			}
		}
	})
}
