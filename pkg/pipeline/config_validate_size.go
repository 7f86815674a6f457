package pipeline

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of what a file may become. Jenkins turns a script into one Java class and refuses what Groovy alone would take: a map of
// more than 125 entries, a list of more than 250, and by far earlier than Groovy the 65,536th constant of the class.
const (
	maxStageSteps  = 100         // branches of one parallel
	maxVariables   = 200         // elements of one withEnv
	maxConstants   = 58_000      // of the class, by the estimate below
	maxScriptBytes = 8 << 20     // of the Jenkinsfile, which is one XML element of the job
	maxPodBytes    = 1 << 20     // of the agent pod; an API server stores no object of more than 1.5 MiB
	maxVariable    = 128<<10 - 1 // of NAME=value: Linux starts no process with a longer one
)

// Constants that the transformer of Jenkins (workflow-cps) makes of a script, measured with its source: one for each node of the
// syntax tree, and the texts.
const (
	baseConstants    = 600
	stageConstants   = 40
	stepConstants    = 52
	timeoutConstants = 10
	retryConstants   = 7
	withEnvConstants = 7
	valueConstants   = 4 // an element of withEnv, or one more literal of a long script
)

// stepCost counts a step; over is how many variables of all steps are in its withEnv too.
func stepCost(s *Step, over int) int {
	n := stepConstants + valueConstants*(len(s.Env)+over)
	if len(s.Env)+over > 0 {
		n += withEnvConstants
	}
	if s.Timeout > 0 {
		n += timeoutConstants
	}
	if s.Retry > 0 {
		n += retryConstants
	}
	if r := s.RunScriptConfig; r != nil {
		n += valueConstants * (groovyLength(r.ShellScript) / maxLiteral)
	}
	return n
}

// size refuses a file whose script or agent pod would be too large. It counts what is known without a run; Compile counts the rest.
func (v *validator) size() {
	c := v.config
	constants, text, kinds := baseConstants, 0, map[string]bool{}
	over := 0
	for name := range c.Env {
		if jenkinsVariables[name] {
			over++
		}
	}
	for _, p := range c.Parameters {
		if jenkinsVariables[p.Name] {
			over++
		}
	}
	for i := range c.Stages {
		constants += stageConstants
		for j := range c.Stages[i].Steps {
			s := &c.Stages[i].Steps[j]
			constants += stepCost(s, over)
			text += 3*groovyLength(s.Name) + envLength(s.Env)
			if r := s.RunScriptConfig; r != nil {
				text += groovyLength(r.ShellScript)
				kinds[leastKind(s)] = true
			}
			at := elem(elem("stages", i)+".steps", j)
			switch {
			case constants > maxConstants:
				v.failf(at, "here the script becomes too large for Jenkins: stages, steps, their timeouts, retries and variables are more than one Java class can hold; split the pipeline")
				return
			case text > maxScriptBytes:
				v.failf(at, "here the script becomes too large for Jenkins: with its aliases expanded, scripts and variables have more than %d MiB as literals", maxScriptBytes>>20)
				return
			}
		}
	}
	container := containerBytes
	for name, value := range c.Env {
		container += variableBytes(name, value)
	}
	if len(kinds)*container > maxPodBytes {
		v.failf("stages", "the steps need %d different containers, each with all variables; such an agent pod has more than %d MiB, which no cluster stores", len(kinds), maxPodBytes>>20)
	}
}

// containerBytes is what a container needs in the agent pod, the variables of every run counted; 1,300 are usual.
const containerBytes = 1600

// variableBytes is what a variable needs in a container. What a reference stands for is not known.
func variableBytes(name, value string) int {
	n := len(name) + 48
	if strings.Contains(value, "${") {
		return n
	}
	for _, r := range value {
		switch {
		case r == '$' || r == '"' || r == '\\':
			n += 2
		case r >= ' ' && r <= '~':
			n++
		default:
			n += 10 // as \UXXXXXXXX
		}
	}
	return n
}

// leastKind is what tells the container of a step from others: see containerKind. Two steps that differ in it never share one; those that
// do not may still differ by what references stand for, or by their caches.
func leastKind(s *Step) string {
	var b strings.Builder
	b.WriteString(s.RunScriptConfig.Image)
	for _, name := range sortedKeys(s.Env) {
		if value := s.Env[name]; value == "" || strings.Contains(value, "$") && !strings.Contains(value, "${") {
			fmt.Fprintf(&b, "\x00%s=%s", name, value)
		}
	}
	for _, e := range s.EnvFrom {
		fmt.Fprintf(&b, "\x00%s=\x00%s/%s", e.TargetKey, e.SourceName, e.SourceKey)
	}
	return b.String()
}

// envLength is how many characters the variables need at least: what a reference stands for is not known.
func envLength(env map[string]string) int {
	n := 0
	for name, value := range env {
		n += len(name)
		if !strings.Contains(value, "${") {
			n += len(value)
		}
	}
	return n
}

// groovyLength is how long groovyString's literal is, the splits and quotes left out.
func groovyLength(s string) int {
	n := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		n += groovyEscapeLength(r)
		i += size
	}
	return n
}

func groovyEscapeLength(r rune) int {
	switch {
	case r == '\\' || r == '\'' || r == '\n' || r == '\r' || r == '\t' || r == '\b' || r == '\f':
		return 2
	case r >= ' ' && r <= '~':
		return 1
	case r >= 0x10000:
		return 12
	}
	return 6
}
