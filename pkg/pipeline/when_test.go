package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestCompileWhen(t *testing.T) {
	const config = `
branch: {include: [main, "release/**"]}
stages:
- name: Always
  steps: [{runScriptConfig: {image: i, shellScript: s}}]
- name: Main
  when: {branch: main, event: [push, tag]}
  steps:
  - runScriptConfig: {image: i, shellScript: s}
  - runScriptConfig: {image: i, shellScript: s}
    when: {paths: {include: ["cmd/**"]}}
- name: Versions
  when: {branch: "v*"}
  steps:
  - runScriptConfig: {image: i, shellScript: s}
    when: {event: {exclude: [tag]}}
`
	source := func(f func(*v1alpha1.Source)) func(*v1alpha1.PipelineExecution) {
		return func(e *v1alpha1.PipelineExecution) { f(e.Spec.Source) }
	}
	pending := func(stages ...string) []string {
		return append([]string{"Clone Pending", "- clone clone Pending"}, stages...)
	}
	cases := map[string]struct {
		in      func(*CompileInput)
		want    []string
		nothing bool
	}{
		"a push to main, changed files unknown": {event(v1alpha1.EventPush), pending(
			"Always Pending", "- step-1-1 runScript Pending", "Main Pending", "- step-2-1 runScript Pending", "- step-2-2 runScript Pending",
			`Versions Skipped when.branch: include [v*] does not match "main"`, `- step-3-1 runScript Skipped when.branch: include [v*] does not match "main"`,
		), false},
		"a push of other files": {event(v1alpha1.EventPush, source(func(s *v1alpha1.Source) { s.Paths, s.PathsComplete = []string{"README.md"}, true })), pending(
			"Always Pending", "- step-1-1 runScript Pending", "Main Pending", "- step-2-1 runScript Pending",
			"- step-2-2 runScript Skipped when.paths: none of 1 changed files passes include [cmd/**]",
			`Versions Skipped when.branch: include [v*] does not match "main"`, `- step-3-1 runScript Skipped when.branch: include [v*] does not match "main"`,
		), false},
		"a person, on main": {event(v1alpha1.EventManual), pending(
			"Always Pending", "- step-1-1 runScript Pending", `Main Skipped when.event: include [push, tag] does not match "manual"`,
			`- step-2-1 runScript Skipped when.event: include [push, tag] does not match "manual"`, `- step-2-2 runScript Skipped when.event: include [push, tag] does not match "manual"`,
			`Versions Skipped when.branch: include [v*] does not match "main"`, `- step-3-1 runScript Skipped when.branch: include [v*] does not match "main"`,
		), false},
		"a tag, which the file's branch filter does not hold back": {event(v1alpha1.EventTag, source(func(s *v1alpha1.Source) { s.Branch, s.Tag = "", "v1" })), pending(
			"Always Pending", "- step-1-1 runScript Pending", `Main Skipped when.branch: include [main] does not match "v1"`,
			`- step-2-1 runScript Skipped when.branch: include [main] does not match "v1"`, `- step-2-2 runScript Skipped when.branch: include [main] does not match "v1"`,
			"Versions Skipped every step is skipped", `- step-3-1 runScript Skipped when.event: exclude "tag" matches "tag"`,
		), false},
		"a pull request, by its target": {event(v1alpha1.EventPullRequest, source(func(s *v1alpha1.Source) {
			s.Branch, s.BaseBranch, s.PullRequest = "topic", "release/1", &v1alpha1.PullRequest{Number: 1}
		})), pending(
			"Always Pending", "- step-1-1 runScript Pending", `Main Skipped when.branch: include [main] does not match "release/1"`,
			`- step-2-1 runScript Skipped when.branch: include [main] does not match "release/1"`, `- step-2-2 runScript Skipped when.branch: include [main] does not match "release/1"`,
			`Versions Skipped when.branch: include [v*] does not match "release/1"`, `- step-3-1 runScript Skipped when.branch: include [v*] does not match "release/1"`,
		), false},
		"a branch that the file leaves out": {event(v1alpha1.EventPush, source(func(s *v1alpha1.Source) { s.Branch = "topic" })), []string{
			"Clone Skipped no other stage runs", "- clone clone Skipped no other stage runs",
			`Always Skipped branch: include [main, release/**] does not match "topic"`, `- step-1-1 runScript Skipped branch: include [main, release/**] does not match "topic"`,
			`Main Skipped branch: include [main, release/**] does not match "topic"`, `- step-2-1 runScript Skipped branch: include [main, release/**] does not match "topic"`,
			`- step-2-2 runScript Skipped branch: include [main, release/**] does not match "topic"`,
			`Versions Skipped branch: include [main, release/**] does not match "topic"`, `- step-3-1 runScript Skipped branch: include [main, release/**] does not match "topic"`,
		}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := mustCompile(t, config, c.in)
			if diff := cmp.Diff(c.want, stagesOf(got)); diff != "" {
				t.Errorf("stages (-want +got):\n%s", diff)
			}
			if got.Nothing != c.nothing || got.Nothing != (got.Pod == nil) || got.Nothing != (got.Jenkinsfile == "") {
				t.Errorf("nothing %v, pod %v, Jenkinsfile of %d bytes; want nothing %v", got.Nothing, got.Pod != nil, len(got.Jenkinsfile), c.nothing)
			}
		})
	}
}

func TestEventOf(t *testing.T) {
	cases := map[string]struct {
		trigger v1alpha1.Trigger
		source  v1alpha1.Source
		want    string
	}{
		"a poll finds a push":         {v1alpha1.Trigger{Type: v1alpha1.EventPoll}, v1alpha1.Source{}, "push"},
		"a schedule":                  {v1alpha1.Trigger{Type: v1alpha1.EventSchedule}, v1alpha1.Source{}, "schedule"},
		"a rerun of a pushed image":   {v1alpha1.Trigger{Type: v1alpha1.EventRerun, Image: &v1alpha1.ImageReference{}}, v1alpha1.Source{}, "image"},
		"a rerun of a pull request":   {v1alpha1.Trigger{Type: v1alpha1.EventRerun}, v1alpha1.Source{PullRequest: &v1alpha1.PullRequest{}}, "pull_request"},
		"a rerun of a pushed tag":     {v1alpha1.Trigger{Type: v1alpha1.EventRerun, DeliveryID: "d"}, v1alpha1.Source{Tag: "v1"}, "tag"},
		"a rerun of a push":           {v1alpha1.Trigger{Type: v1alpha1.EventRerun, DeliveryID: "d"}, v1alpha1.Source{Branch: "b"}, "push"},
		"a rerun of a person's run":   {v1alpha1.Trigger{Type: v1alpha1.EventRerun}, v1alpha1.Source{Branch: "b"}, "manual"},
		"a person, who may ask a tag": {v1alpha1.Trigger{Type: v1alpha1.EventManual}, v1alpha1.Source{Tag: "v1"}, "manual"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := &v1alpha1.PipelineExecution{Spec: v1alpha1.PipelineExecutionSpec{Trigger: c.trigger, Source: &c.source}}
			if got := eventOf(e); got != c.want {
				t.Errorf("event %s, want %s", got, c.want)
			}
		})
	}
}
