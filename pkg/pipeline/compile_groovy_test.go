package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// groovyCall is one step that real Groovy called.
type groovyCall struct {
	Step  string
	Depth int
	Args  map[string]any
}

func (c *groovyCall) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&c.Step, &c.Depth, &c.Args})
}

type groovyResult struct {
	File, Error string
	Calls       []groovyCall
}

// runGroovy runs Jenkinsfiles, by name, in one JVM of real Groovy with steps that record. Without groovy the test is skipped.
func runGroovy(t *testing.T, jenkinsfiles map[string]string) map[string]groovyResult {
	t.Helper()
	groovy, err := exec.LookPath("groovy")
	if err != nil {
		t.Skip("no groovy in PATH; it is in Debian's package groovy (apt-get install groovy)")
	}
	dir := t.TempDir()
	names := sortedKeys(jenkinsfiles)
	args := []string{"testdata/groovy/record.groovy"}
	for i, name := range names {
		file := filepath.Join(dir, fmt.Sprintf("Jenkinsfile%d.groovy", i))
		if err := os.WriteFile(file, []byte(jenkinsfiles[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	cmd := exec.CommandContext(t.Context(), groovy, args...)
	cmd.Env = append(os.Environ(), javaHome()...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("groovy: %v\n%s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(names) {
		t.Fatalf("groovy answered %d lines for %d files\n%s", len(lines), len(names), stderr.String())
	}
	results := map[string]groovyResult{}
	for i, line := range lines {
		var r groovyResult
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("groovy's answer for %s: %v", names[i], err)
		}
		results[names[i]] = r
	}
	return results
}

// javaHome names a JVM that Groovy can run in: Debian's default may be too new for it.
func javaHome() []string {
	if os.Getenv("JAVA_HOME") != "" {
		return nil
	}
	for _, glob := range []string{"/usr/lib/jvm/java-17-openjdk-*", "/usr/lib/jvm/java-11-openjdk-*"} {
		if dirs, err := filepath.Glob(glob); err == nil && len(dirs) > 0 {
			return []string{"JAVA_HOME=" + dirs[0]}
		}
	}
	return nil
}

// trace writes calls one a line; long texts are cut, they are compared elsewhere.
func trace(calls []groovyCall) string {
	var b strings.Builder
	for _, c := range calls {
		b.WriteString(strings.Repeat("  ", c.Depth) + c.Step)
		for _, k := range sortedKeys(c.Args) {
			text := fmt.Sprintf("%q", fmt.Sprint(c.Args[k]))
			if len(text) > 300 {
				text = text[:300] + "…"
			}
			b.WriteString(" " + k + "=" + text)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func scripts(calls []groovyCall) []string {
	var out []string
	for _, c := range calls {
		if c.Step == "sh" {
			out = append(out, c.Args["script"].(string))
		}
	}
	return out
}

// hardConfig has a step for each hard text, with the text as script, as a part of its environment, and as the name where a name can
// be it.
func hardConfig(t *testing.T) (text string, names []string) {
	t.Helper()
	steps := []any{}
	for _, name := range sortedKeys(hardTexts()) {
		hard := hardTexts()[name]
		step := map[string]any{"name": name, "runScriptConfig": map[string]any{"image": "busybox", "shellScript": "x" + hard}}
		if len(hard) < 1000 {
			step["env"] = map[string]any{"HARD": hard, "EASY": strings.ReplaceAll(hard, "$", "_")}
			if oneLine := strings.Join(strings.FieldsFunc(hard, func(r rune) bool { return r <= ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 }), " "); oneLine != "" {
				step["name"] = name + " " + strings.TrimSpace(oneLine)
			}
		}
		steps = append(steps, step)
		names = append(names, name)
	}
	doc, err := json.Marshal(map[string]any{"stages": []any{map[string]any{"name": `all '''of''' \u0041 $them`, "steps": steps}}})
	if err != nil {
		t.Fatal(err)
	}
	return jsonToYAML(string(doc)), names
}

// jsonToYAML: JSON is YAML but for surrogate pairs, which Go does not write, and for what encoding/json leaves bare.
func jsonToYAML(doc string) string {
	return strings.NewReplacer("\u007f", `\u007f`, "\u0085", `\u0085`, "\ufeff", `\ufeff`, "\ufffe", `\ufffe`).Replace(doc)
}

// wideConfig has 50 stages of 10 steps.
func wideConfig() string {
	var b strings.Builder
	b.WriteString("stages:\n")
	for i := range 50 {
		fmt.Fprintf(&b, "- name: stage %d\n  steps:\n", i+1)
		for j := range 10 {
			fmt.Fprintf(&b, "  - name: step %d of %d\n    env: {WHICH: %d-%d}\n    timeout: 5\n    retry: 1\n    runScriptConfig: {image: busybox, shellScript: echo %d %d}\n", j+1, i+1, i+1, j+1, i+1, j+1)
		}
	}
	return b.String()
}

// TestRealGroovy lets real Groovy compile and run what Compile writes: what arrives in the steps is what the config asked for.
func TestRealGroovy(t *testing.T) {
	hard, names := hardConfig(t)
	compiled := goldenCases(t)
	compiled["hard"] = mustCompile(t, hard)
	compiled["wide"] = mustCompile(t, wideConfig())
	compiled["sequence"] = mustCompile(t, sequenceConfig)
	files := map[string]string{}
	for name, c := range compiled {
		files[name] = c.Jenkinsfile
	}
	results := runGroovy(t, files)
	for name, r := range results {
		if r.Error != "" {
			t.Errorf("%s: %s", name, r.Error)
		}
	}
	if t.Failed() {
		return
	}
	for name := range goldenCases(t) {
		t.Run("calls of "+name, func(t *testing.T) { golden(t, "compile/"+name+".calls", trace(results[name].Calls)) })
	}
	t.Run("the pod arrives as it was written", func(t *testing.T) {
		for name, c := range compiled {
			want, err := podYAML(c.Pod)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, results[name].Calls[0].Args["yaml"]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
	t.Run("every hard text arrives as script, name and variable", func(t *testing.T) {
		c := compileInput(t, hard).Config
		got := scripts(results["hard"].Calls)[1:] // after the clone
		if len(got) != len(names) {
			t.Fatalf("%d scripts, want %d", len(got), len(names))
		}
		for i, name := range names {
			if diff := cmp.Diff("x"+hardTexts()[name], got[i]); diff != "" {
				t.Errorf("script %s (-want +got):\n%s", name, diff)
			}
		}
		var labels, stages, easy []string
		for _, call := range results["hard"].Calls {
			switch call.Step {
			case "sh":
				labels = append(labels, call.Args["label"].(string))
			case "stage":
				stages = append(stages, call.Args["name"].(string))
			case "withEnv":
				for _, e := range call.Args["env"].([]any) {
					easy = append(easy, e.(string))
				}
			}
		}
		var wantLabels, wantEasy []string
		wantStages := []string{"1 Clone", "1.1 clone", "2 " + c.Stages[0].Name}
		for j, s := range c.Stages[0].Steps {
			wantLabels = append(wantLabels, s.Name)
			wantStages = append(wantStages, StepName(2, j+1, s.Name))
			for _, k := range sortedKeys(s.Env) {
				if !strings.Contains(s.Env[k], "$") {
					wantEasy = append(wantEasy, k+"="+s.Env[k])
				}
			}
		}
		for what, pair := range map[string][2][]string{"labels": {wantLabels, labels[1:]}, "stages": {wantStages, stages}, "withEnv": {wantEasy, easy}} {
			if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
	})
	t.Run("50 stages of 10 steps run in order", func(t *testing.T) {
		var want []string
		for i := range 50 {
			for j := range 10 {
				want = append(want, fmt.Sprintf("echo %d %d", i+1, j+1))
			}
		}
		if diff := cmp.Diff(want, scripts(results["wide"].Calls)[1:]); diff != "" {
			t.Errorf("scripts (-want +got):\n%s", diff)
		}
	})
	t.Run("stages, containers and scripts come in the order that the file has", func(t *testing.T) {
		calls := results["sequence"].Calls
		calls[0].Args = map[string]any{"connect": calls[0].Args["slaveConnectTimeout"]}
		got := strings.ReplaceAll(trace(calls), fmt.Sprintf("%q", cloneScript)[:300], "CLONE")
		if diff := cmp.Diff(sequenceCalls, got); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

// sequenceConfig and sequenceCalls are a run written out by hand: what Groovy calls, in which order, around what.
const sequenceConfig = `
env: {A: file}
timeout: 45s
stages:
- name: Build
  steps:
  - name: one
    runScriptConfig: {image: "golang:1.26", shellScript: one}
    env: {B: "2", A: "1"}
    timeout: 90s
    retry: 1
- name: Skipped
  when: {branch: other}
  steps:
  - runScriptConfig: {image: busybox, shellScript: never}
- name: Test
  steps:
  - name: left
    runScriptConfig: {image: busybox, shellScript: left}
  - name: out
    when: {event: tag}
    runScriptConfig: {image: busybox, shellScript: never}
  - name: right
    runScriptConfig: {image: "golang:1.26", shellScript: right}
`

const sequenceCalls = `podTemplate connect="660"
  node label="POD_LABEL"
    timeout time="45" unit="SECONDS"
      stage name="1 Clone"
        stage name="1.1 clone"
          container name="clone"
            sh label="clone" script=CLONE…
      stage name="2 Build"
        stage name="2.1 one"
          timeout time="90" unit="SECONDS"
            retry count="2"
              container name="golang-1-26"
                withEnv env="[A=1 B=2]"
                  sh label="one" script="one"
      stage name="4 Test"
        parallel failFast="true"
          branch name="4.1 left"
            stage name="4.1 left"
              container name="busybox"
                sh label="left" script="left"
          branch name="4.3 right"
            stage name="4.3 right"
              container name="golang-1-26"
                sh label="right" script="right"
`
