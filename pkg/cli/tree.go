package cli

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// treeLines draws a run as it stands at now, no line wider than width characters (at least
// 30; 0 for no limit). It is pure: the same run at the same time is the same text.
//
//	app#12  Running  1m12s  (app-x7k2p)
//	main @ 1a2b3c4d "Fix cache key" by ann, Push
//	✔ Clone           Succeeded  6s
//	● Build           Running    1m3s
//	├─ ✔ compile      Succeeded  58s   cache hit
//	└─ ● vet          Running    40s
//	○ Publish         Skipped    -     when.branch: main
func treeLines(pe *v1alpha1.PipelineExecution, now time.Time, width int, s style) []string {
	if width <= 0 {
		width = 1 << 16
	}
	lines := []string{headLine(pe, now, width, s)}
	if src := sourceLine(pe, s); src != "" {
		lines = append(lines, clip(src, width, s))
	}
	if why := cause(pe); why != "" {
		lines = append(lines, s.paint(s.phaseColor(phaseOf(pe)), clip(why, width, s)))
	}
	return append(lines, treeRows(pe.Status.Stages, now, width, s)...)
}

func headLine(pe *v1alpha1.PipelineExecution, now time.Time, width int, s style) string {
	name, phase, rest := clip(title(pe), width/2, s), string(phaseOf(pe)), ""
	if pe.Status.StartedAt != nil {
		rest = "  " + span(pe.Status.StartedAt, pe.Status.FinishedAt, now)
	}
	if title(pe) != pe.Name {
		rest += "  (" + pe.Name + ")"
	}
	rest = strings.TrimRight(clipRaw(rest, width-utf8.RuneCountInString(name)-2-len(phase)), " ")
	return s.paint(bold, name) + "  " + s.paint(s.phaseColor(phaseOf(pe)), phase) + rest
}

// clipRaw cuts without touching spaces.
func clipRaw(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:max(n, 0)])
}

// phaseOf is the run's phase; one that no controller has seen yet is queued.
func phaseOf(pe *v1alpha1.PipelineExecution) v1alpha1.Phase {
	if pe.Status.Phase == "" {
		return v1alpha1.PhaseQueued
	}
	return pe.Status.Phase
}

// sourceLine says what is built and why.
func sourceLine(pe *v1alpha1.PipelineExecution, s style) string {
	var parts []string
	if src := pe.Spec.Source; src != nil {
		what := or(src.Branch, or(src.Tag, src.Ref))
		if src.PullRequest != nil {
			what = fmt.Sprintf("pull request %d into %s", src.PullRequest.Number, or(src.BaseBranch, src.Branch))
		} else if src.Tag != "" {
			what = "tag " + src.Tag
		}
		if src.Commit != "" {
			what = strings.TrimSpace(what + " @ " + shortCommit(src.Commit))
		}
		if subject := firstLine(src.Message); subject != "" {
			what += fmt.Sprintf(" %q", clip(subject, 60, s))
		}
		if src.Author != "" {
			what += " by " + oneLine(src.Author)
		}
		parts = append(parts, what)
	}
	return strings.Join(append(parts, triggerText(pe)), ", ")
}

func triggerText(pe *v1alpha1.PipelineExecution) string {
	t := pe.Spec.Trigger
	text := string(t.Type)
	switch {
	case t.RerunOf != "":
		text += " of " + t.RerunOf
	case t.Image != nil:
		text += " " + oneLine(t.Image.Repository)
		if t.Image.Tag != "" {
			text += ":" + oneLine(t.Image.Tag)
		}
	}
	if t.User != "" && (pe.Spec.Source == nil || t.User != pe.Spec.Source.Author) {
		text += " by " + oneLine(t.User)
	}
	return text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return oneLine(line)
}

// cause is why a run waits or ended as it did: the step that failed before the words
// about it. Empty when it simply goes well.
func cause(pe *v1alpha1.PipelineExecution) string {
	st := &pe.Status
	text := oneLine(st.Message)
	switch phaseOf(pe) {
	case v1alpha1.PhaseSucceeded:
		if st.Reason == v1alpha1.ReasonNothingToRun {
			return or(text, "every stage was skipped")
		}
		return ""
	case v1alpha1.PhaseQueued:
		if st.Queue != nil && st.Queue.Position > 0 {
			return fmt.Sprintf("waiting, number %d in the queue: %s", st.Queue.Position, or(oneLine(st.Queue.Reason), or(text, st.Reason)))
		}
	case v1alpha1.PhaseFailed:
		if failed := failedStep(pe); failed != "" && !strings.Contains(text, failed) {
			return strings.TrimSuffix(failed+": "+or(text, st.Reason), ": ")
		}
	case v1alpha1.PhaseRunning:
		if st.Reason == v1alpha1.ReasonRunning {
			return ""
		}
	}
	if text == "" {
		return st.Reason
	}
	return text
}

// failedStep names the first step that failed and how, or the stage when no step did.
func failedStep(pe *v1alpha1.PipelineExecution) string {
	for _, stage := range pe.Status.Stages {
		if stage.Phase != v1alpha1.PhaseFailed {
			continue
		}
		for _, step := range stage.Steps {
			if step.Phase != v1alpha1.PhaseFailed {
				continue
			}
			text := fmt.Sprintf("stage %q step %q", stage.Name, step.Name)
			if step.ExitCode != nil {
				text += fmt.Sprintf(" exited %d", *step.ExitCode)
			}
			return text
		}
		return fmt.Sprintf("stage %q", stage.Name)
	}
	return ""
}

// treeRow is one stage or step before it is laid out.
type treeRow struct {
	branch string // the lines that join a step to its stage
	phase  v1alpha1.Phase
	name   string
	time   string
	note   string
}

func treeRows(stages []v1alpha1.StageStatus, now time.Time, width int, s style) []string {
	joint, last := "├─ ", "└─ "
	if !s.unicode {
		joint, last = "|- ", "`- "
	}
	var rows []treeRow
	for _, st := range stages {
		rows = append(rows, treeRow{phase: st.Phase, name: oneLine(st.Name), time: span(st.StartedAt, st.FinishedAt, now), note: oneLine(st.Message)})
		if foldSteps(st) {
			rows[len(rows)-1].note = or(rows[len(rows)-1].note, stepsNote(st.Steps))
			continue
		}
		for i, step := range st.Steps {
			branch := joint
			if i == len(st.Steps)-1 {
				branch = last
			}
			rows = append(rows, treeRow{branch: branch, phase: step.Phase, name: oneLine(step.Name), time: span(step.StartedAt, step.FinishedAt, now), note: stepNote(step)})
		}
	}
	nameWidth, phaseWidth, timeWidth := 0, 0, 0
	for _, r := range rows {
		nameWidth = max(nameWidth, utf8.RuneCountInString(r.branch)+utf8.RuneCountInString(r.name))
		phaseWidth, timeWidth = max(phaseWidth, len(r.phase)), max(timeWidth, len(r.time))
	}
	// A glyph, a space, and two spaces between columns. Long names leave room for notes,
	// and on a narrow screen for phase and time.
	nameWidth = min(nameWidth, max(24, width/2), max(3, width-6-phaseWidth-timeWidth))
	var lines []string
	for _, r := range rows {
		name := clip(r.name, nameWidth-utf8.RuneCountInString(r.branch), s)
		name += strings.Repeat(" ", max(0, nameWidth-utf8.RuneCountInString(r.branch)-utf8.RuneCountInString(name)))
		phase, text := fmt.Sprintf("%-*s", phaseWidth, r.phase), fmt.Sprintf("%-*s", timeWidth, r.time)
		used := utf8.RuneCountInString(r.branch) + 2 + utf8.RuneCountInString(name) + 2 + len(phase) + 2 + len(text)
		note := clip(r.note, width-used-2, s)
		c := s.phaseColor(r.phase)
		line := r.branch + s.paint(c, s.glyph(r.phase)) + " " + name + "  " + s.paint(c, phase) + "  " + text
		if note != "" {
			line += "  " + s.paint(dim, note)
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return lines
}

// foldSteps tells whether a stage's steps say nothing that its own line does not.
func foldSteps(st v1alpha1.StageStatus) bool {
	switch st.Phase {
	case v1alpha1.PhasePending, v1alpha1.PhaseSkipped:
		return true
	}
	return len(st.Steps) == 0 || len(st.Steps) == 1 && strings.EqualFold(st.Steps[0].Name, st.Name)
}

func stepsNote(steps []v1alpha1.StepStatus) string {
	if len(steps) != 1 {
		return ""
	}
	return stepNote(steps[0])
}

func stepNote(step v1alpha1.StepStatus) string {
	var parts []string
	switch step.Cache {
	case v1alpha1.CacheHit:
		parts = append(parts, "cache hit")
	case v1alpha1.CacheMiss:
		parts = append(parts, "cache miss")
	}
	if step.ExitCode != nil && *step.ExitCode != 0 {
		parts = append(parts, fmt.Sprintf("exit %d", *step.ExitCode))
	}
	if step.Message != "" {
		parts = append(parts, oneLine(step.Message))
	}
	return strings.Join(parts, ", ")
}

// fold takes finished stages' steps out of a run until its tree fits in height lines.
func fold(pe *v1alpha1.PipelineExecution, now time.Time, width, height int, s style) []string {
	lines := treeLines(pe, now, width, s)
	if len(lines) <= height {
		return lines
	}
	folded := pe.DeepCopy()
	for i := range folded.Status.Stages {
		if folded.Status.Stages[i].Phase == v1alpha1.PhaseSucceeded {
			folded.Status.Stages[i].Steps = nil
			if lines = treeLines(folded, now, width, s); len(lines) <= height {
				return lines
			}
		}
	}
	if height < 2 {
		return lines[:max(0, min(height, len(lines)))]
	}
	more := len(lines) - height + 1
	return append(lines[:height-1:height-1], s.paint(dim, fmt.Sprintf("and %d more lines", more)))
}
