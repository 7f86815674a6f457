package cli

import (
	"fmt"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// changes says in one line each what differs between two states of a run; before is nil
// for the first. Stages that merely wait are not news.
func changes(before, after *v1alpha1.PipelineExecution) []string {
	var lines []string
	who := title(after)
	var was v1alpha1.Phase
	old := map[string]v1alpha1.Phase{}
	oldCause := ""
	if before != nil {
		was, oldCause = phaseOf(before), cause(before)
		for _, st := range before.Status.Stages {
			old[st.Name] = st.Phase
			for _, step := range st.Steps {
				old[st.Name+"/"+step.Name] = step.Phase
			}
		}
	}
	is := phaseOf(after)
	runLine := func() {
		if is != was || cause(after) != oldCause {
			took := ""
			if terminal(after) && after.Status.StartedAt != nil && after.Status.FinishedAt != nil {
				took = span(after.Status.StartedAt, after.Status.FinishedAt, after.Status.FinishedAt.Time)
			}
			lines = append(lines, changeLine(who, was, is, took, cause(after)))
		}
	}
	if !terminal(after) {
		runLine()
	}
	for _, st := range after.Status.Stages {
		took := ""
		if st.FinishedAt != nil {
			took = span(st.StartedAt, st.FinishedAt, st.FinishedAt.Time)
		}
		stage := who + " " + oneLine(st.Name)
		if news(old[st.Name], st.Phase) && !pipeline.Ended(st.Phase) {
			lines = append(lines, changeLine(stage, old[st.Name], st.Phase, took, st.Message))
		}
		if !foldSteps(st) {
			for _, step := range st.Steps {
				key := st.Name + "/" + step.Name
				if !news(old[key], step.Phase) {
					continue
				}
				stepTook := ""
				if step.FinishedAt != nil {
					stepTook = span(step.StartedAt, step.FinishedAt, step.FinishedAt.Time)
				}
				lines = append(lines, changeLine(stage+"/"+oneLine(step.Name), old[key], step.Phase, stepTook, stepNote(step)))
			}
		}
		if news(old[st.Name], st.Phase) && pipeline.Ended(st.Phase) {
			note := st.Message
			if note == "" && foldSteps(st) {
				note = stepsNote(st.Steps)
			}
			lines = append(lines, changeLine(stage, old[st.Name], st.Phase, took, note))
		}
	}
	if terminal(after) {
		runLine() // after the stages that led to it
	}
	return lines
}

func news(was, is v1alpha1.Phase) bool {
	return was != is && (was != "" || is != v1alpha1.PhasePending)
}

func changeLine(who string, was, is v1alpha1.Phase, took, note string) string {
	line := who + " "
	if was != "" && was != is {
		line += string(was) + " -> "
	}
	line += string(is)
	if took != "" {
		line += fmt.Sprintf(" (%s)", took)
	}
	if note = oneLine(note); note != "" {
		line += ": " + note
	}
	return line
}
