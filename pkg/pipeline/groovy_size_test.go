package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fullStep is a step with everything that is written around a script.
const fullStep = "timeout: 5, retry: 1, env: {A: \"%[1]d\"}, "

// gridConfig has stages of steps; extra is a format of more fields of a step, with its number. All steps have one script, by an alias,
// or without one their number.
func gridConfig(stages, steps int, extra, script string) string {
	var b strings.Builder
	b.WriteString("stages:\n")
	for i := range stages {
		fmt.Fprintf(&b, "- name: s%d\n  steps:\n", i+1)
		for j := range steps {
			n := i*steps + j
			more, body := extra, fmt.Sprintf("{image: i, shellScript: \"%d\"}", n)
			if strings.Contains(extra, "%") {
				more = fmt.Sprintf(extra, n)
			}
			if script != "" {
				body = "*r"
				if n == 0 {
					body = "&r {image: i, shellScript: \"" + script + "\"}"
				}
			}
			fmt.Fprintf(&b, "  - {%srunScriptConfig: %s}\n", more, body)
		}
	}
	return b.String()
}

// largest is the largest n up to a bound for which lint accepts a file.
func largest(bound int, config func(n int) string) int {
	n := bound
	for low := 1; low <= bound; {
		middle := (low + bound) / 2
		if _, err := ParseConfig(config(middle)); err != nil {
			bound = middle - 1
		} else {
			low, n = middle+1, middle
		}
	}
	return n
}

// TestTheLargestPipelinesCompile: what lint accepts, Jenkins can compile. The limits of Jenkins are those of a Java method, which Groovy
// knows too, and of the class that Jenkins makes of the whole script, which the witness counts.
func TestTheLargestPipelinesCompile(t *testing.T) {
	w := realGroovy(t)
	cases := map[string]struct {
		config func(n int) string
		bound  int // more is not tried
	}{
		"50 stages of 10 steps of 8 KB each": {func(int) string { return gridConfig(50, 10, fullStep, strings.Repeat("$x", 4000)) }, 1},
		"steps of 100 KB each":               {func(n int) string { return gridConfig(1, n, "", strings.Repeat("$x", 50_000)) }, 100},
		"steps of 100 KB of accents each":    {func(n int) string { return gridConfig(1, n, "", strings.Repeat("é", 50_000)) }, 100},
		"stages of steps that have all":      {func(n int) string { return gridConfig(n, 10, fullStep, "") }, maxStages},
		"as many steps as a stage may have":  {func(n int) string { return gridConfig(1, n, "", "") }, 2 * maxStageSteps},
		"as many stages as are allowed":      {func(n int) string { return gridConfig(n, 1, "", "") }, 2 * maxStages},
		"steps with all variables they may": {func(n int) string {
			return gridConfig(1, n, "env: {"+numbered("V%d: x, ", maxVariables)+"}, ", "")
		}, maxStageSteps},
	}
	for _, name := range sortedKeys(cases) {
		t.Run(name, func(t *testing.T) {
			config := cases[name].config(largest(cases[name].bound, cases[name].config))
			in := compileInput(t, config)
			c, err := Compile(in)
			if err != nil {
				t.Fatal(err)
			}
			got := w.run(t, c.Jenkinsfile)
			var want []string
			for _, stage := range in.Config.Stages {
				for _, s := range stage.Steps {
					want = append(want, s.RunScriptConfig.ShellScript)
				}
			}
			if !slices.Equal(want, scripts(got.Calls)[1:]) {
				t.Errorf("scripts (-want +got):\n%s", cmp.Diff(want, scripts(got.Calls)[1:]))
			}
			if got.Constants > 65_535 {
				t.Errorf("Jenkins' class would have %d constants, no class can have more than 65535", got.Constants)
			}
			t.Logf("%d steps: %d constants, Jenkinsfile of %d KiB, pod with %d containers", len(want), got.Constants, len(c.Jenkinsfile)>>10, len(c.Pod.Spec.Containers))
		})
	}
}

// TestTheLargestPodCompiles: a file that lint accepts is not refused later for the size of its pod, unless a run makes it larger.
func TestTheLargestPodCompiles(t *testing.T) {
	for name, config := range map[string]func(n int) string{
		"as many containers as are allowed": func(n int) string { return gridConfig(n, 10, "env: {A: $%d}, ", "") },
		"as many images, with long variables": func(n int) string {
			return "env: {A: " + strings.Repeat("$", 5000) + "}\n" + gridConfig(n, 1, "env: {A: $%d}, ", "")
		},
		"as many images, with hidden variables": func(n int) string {
			return "env: {A: \"" + strings.Repeat("\\u2028", 5000) + "\"}\n" + gridConfig(n, 1, "env: {A: $%d}, ", "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := largest(maxStages, config)
			c := mustCompile(t, config(n))
			t.Logf("%d containers, Jenkinsfile of %d KiB", len(c.Pod.Spec.Containers), len(c.Jenkinsfile)>>10)
		})
	}
}
