package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// ago is a time before testNow.
func ago(d time.Duration) *metav1.Time { return &metav1.Time{Time: testNow.Add(-d)} }

// sampleRun is a run in the middle of its work, with every kind of line in its tree.
func sampleRun() *v1alpha1.PipelineExecution {
	pe := in(v1alpha1.PhaseRunning)
	pe.Name = "app-x7k2pq"
	pe.Spec.Run = 12
	pe.Spec.Source = &v1alpha1.Source{
		RepositoryURL: "https://git.example.com/app.git", Ref: "refs/heads/main", Branch: "main",
		Commit: "1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d", Author: "ann", Message: "Fix the cache key\n\nIt was wrong.",
	}
	pe.Spec.Trigger = v1alpha1.Trigger{Type: v1alpha1.EventPush, User: "ann"}
	pe.CreationTimestamp = *ago(2 * time.Minute)
	pe.Status = v1alpha1.PipelineExecutionStatus{
		Phase: v1alpha1.PhaseRunning, Reason: v1alpha1.ReasonRunning, StartedAt: ago(72 * time.Second),
		Agent:  &v1alpha1.AgentStatus{Namespace: "shop-pipeline", Pod: "app-agent", Node: "node-a"},
		Engine: &v1alpha1.EngineStatus{Kind: "Jenkins", Job: "shop/app-x7k2pq-0badcafe", Build: 1, URL: "https://jenkins.example.com/job/shop/"},
		Stages: []v1alpha1.StageStatus{
			{Name: "Clone", Phase: v1alpha1.PhaseSucceeded, StartedAt: ago(72 * time.Second), FinishedAt: ago(66 * time.Second),
				Steps: []v1alpha1.StepStatus{{Name: "clone", Phase: v1alpha1.PhaseSucceeded, StartedAt: ago(72 * time.Second), FinishedAt: ago(66 * time.Second), Cache: v1alpha1.CacheHit}}},
			{Name: "Build", Phase: v1alpha1.PhaseRunning, StartedAt: ago(66 * time.Second), Steps: []v1alpha1.StepStatus{
				{Name: "compile", Phase: v1alpha1.PhaseSucceeded, StartedAt: ago(66 * time.Second), FinishedAt: ago(8 * time.Second), Cache: v1alpha1.CacheMiss},
				{Name: "vet", Phase: v1alpha1.PhaseRunning, StartedAt: ago(65 * time.Second)},
			}},
			{Name: "Publish", Phase: v1alpha1.PhaseSkipped, Message: "when.branch: main is not release/**",
				Steps: []v1alpha1.StepStatus{{Name: "image", Phase: v1alpha1.PhaseSkipped}}},
			{Name: "Ünïcödé stage with a name that is far too long to be shown whole", Phase: v1alpha1.PhasePending,
				Steps: []v1alpha1.StepStatus{{Name: "deploy", Phase: v1alpha1.PhasePending}}},
		},
	}
	return pe
}

func failedRun() *v1alpha1.PipelineExecution {
	pe := sampleRun()
	pe.Status.Phase, pe.Status.Reason, pe.Status.FinishedAt = v1alpha1.PhaseFailed, v1alpha1.ReasonStepFailed, ago(0)
	pe.Status.Message = `script returned exit code 1`
	b := &pe.Status.Stages[1]
	b.Phase, b.FinishedAt = v1alpha1.PhaseFailed, ago(0)
	b.Steps[1].Phase, b.Steps[1].FinishedAt, b.Steps[1].ExitCode = v1alpha1.PhaseFailed, ago(0), new(int32(1))
	b.Steps[1].Message = "--- FAIL: TestX"
	pe.Status.Stages[3].Phase = v1alpha1.PhaseSkipped
	pe.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue, Reason: "Failed"},
		{Type: v1alpha1.ConditionSucceeded, Status: metav1.ConditionFalse, Reason: "StepFailed", Message: "script returned exit code 1"},
	}
	return pe
}

func queuedRun() *v1alpha1.PipelineExecution {
	pe := sampleRun()
	pe.Spec.Run = 0
	pe.Status = v1alpha1.PipelineExecutionStatus{
		Phase: v1alpha1.PhaseQueued, Reason: v1alpha1.ReasonWaitingForQuota,
		Queue: &v1alpha1.QueueStatus{Position: 3, Reason: "2 of 2 executions of the project run"},
	}
	return pe
}

func TestTreeScreens(t *testing.T) {
	pretty := style{unicode: true}
	var b strings.Builder
	for _, c := range []struct {
		name  string
		run   *v1alpha1.PipelineExecution
		width int
		s     style
	}{
		{"running, wide", sampleRun(), 120, pretty},
		{"running, 80 columns", sampleRun(), 80, pretty},
		{"running, 40 columns", sampleRun(), 40, pretty},
		{"running, ASCII", sampleRun(), 80, style{}},
		{"failed", failedRun(), 100, pretty},
		{"queued", queuedRun(), 80, pretty},
		{"seen by nobody yet", in(""), 80, pretty},
		{"failed, colour", failedRun(), 60, style{unicode: true, color: true}},
	} {
		fmt.Fprintf(&b, "== %s\n", c.name)
		for _, line := range treeLines(c.run, testNow, c.width, c.s) {
			b.WriteString(strings.ReplaceAll(line, "\x1b", "␛") + "\n")
		}
	}
	golden(t, "tree.golden", b.String())
}

// TestTreeWidth: no line is ever wider than the screen, or the redrawing would leave
// rests of it behind.
func TestTreeWidth(t *testing.T) {
	for _, run := range []*v1alpha1.PipelineExecution{sampleRun(), failedRun(), queuedRun(), in("")} {
		for width := 30; width < 140; width++ {
			for _, line := range treeLines(run, testNow, width, style{unicode: true}) {
				if n := utf8.RuneCountInString(line); n > width {
					t.Fatalf("width %d: line has %d characters: %q", width, n, line)
				}
			}
		}
	}
}

func TestFold(t *testing.T) {
	run := failedRun()
	whole := len(treeLines(run, testNow, 80, style{}))
	for height := 1; height <= whole+1; height++ {
		lines := fold(run, testNow, 80, height, style{})
		if len(lines) > height {
			t.Errorf("height %d: %d lines", height, len(lines))
		}
		if height >= whole && len(lines) != whole {
			t.Errorf("height %d: %d lines, but there is room for all %d", height, len(lines), whole)
		}
	}
}

// TestForeignTextIsHarmless: a commit message cannot move the cursor, reorder what is
// shown or forge a line.
func TestForeignTextIsHarmless(t *testing.T) {
	run := sampleRun()
	evil := "a\x1b[2Jb\rc\x9bd\u202ee\x07f\u2066g\nforged line"
	run.Spec.Source.Message, run.Spec.Source.Author, run.Status.Message = evil, evil, evil
	run.Status.Phase, run.Status.Reason = v1alpha1.PhasePending, "X"
	run.Status.Stages[0].Name, run.Status.Stages[0].Steps[0].Message = evil, evil
	text := strings.Join(treeLines(run, testNow, 0, style{unicode: true}), "\n") + strings.Join(changes(nil, run), "\n")
	for _, bad := range []string{"\x1b", "\r", "\x07", "\x9b", "\u202e", "\u2066", "\nforged"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is shown:\n%q", bad, text)
		}
	}
}

func TestChanges(t *testing.T) {
	queued, running, failed := queuedRun(), sampleRun(), failedRun()
	admitted := queuedRun()
	admitted.Spec.Run = 12
	admitted.Status.Queue, admitted.Status.Phase, admitted.Status.Reason = nil, v1alpha1.PhasePending, v1alpha1.ReasonWaitingForAgent
	admitted.Status.Message = "agent pod: image golang:1.26 is being pulled"
	var b strings.Builder
	var last *v1alpha1.PipelineExecution
	for _, pe := range []*v1alpha1.PipelineExecution{queued, queued, admitted, running, running, failed, failed} {
		for _, line := range changes(last, pe) {
			b.WriteString(line + "\n")
		}
		last = pe
	}
	golden(t, "changes.golden", b.String())
}

func TestElapsed(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Minute:                  "0s", // clocks differ
		999 * time.Millisecond:        "0s",
		59 * time.Second:              "59s",
		63 * time.Second:              "1m3s",
		2*time.Hour + 5*time.Minute:   "2h5m",
		50*time.Hour + 30*time.Second: "50h0m",
	} {
		if got := elapsed(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		n    int
		s    style
		want string
	}{
		"leaves what fits":             {"abc", 3, style{}, "abc"},
		"counts characters, not bytes": {"äöü", 3, style{}, "äöü"},
		"marks the cut":                {"abcdef", 4, style{unicode: true}, "abc…"},
		"marks the cut in ASCII":       {"abcdef", 5, style{}, "ab..."},
		"survives no room at all":      {"abcdef", 0, style{}, ""},
		"survives less than none":      {"abcdef", -3, style{unicode: true}, ""},
	} {
		if diff := cmp.Diff(c.want, clip(c.text, c.n, c.s)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func FuzzTree(f *testing.F) {
	f.Add("Build", "compile", "message", 80)
	f.Fuzz(func(t *testing.T, stage, step, message string, width int) {
		if width < 30 || width > 500 {
			t.Skip("no width of a terminal")
		}
		run := failedRun()
		run.Status.Stages[1].Name, run.Status.Stages[1].Steps[1].Name = stage, step
		run.Status.Message, run.Spec.Source.Message, run.Spec.Source.Author = message, message, step
		for _, line := range treeLines(run, testNow, width, style{unicode: true}) {
			if n := utf8.RuneCountInString(line); n > width || strings.ContainsAny(line, "\n\r\x1b") {
				t.Fatalf("width %d: %d characters: %q", width, n, line)
			}
		}
	})
}
