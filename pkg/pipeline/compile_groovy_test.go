package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRealGroovy lets real Groovy compile and run what Compile writes: what arrives in the steps is what the config asked for.
func TestRealGroovy(t *testing.T) {
	w := realGroovy(t)
	cases := goldenCases(t)
	cases["sequence"] = compileInput(t, sequenceConfig)
	cases["variables"] = compileInput(t, variablesConfig)
	for _, name := range sortedKeys(cases) {
		t.Run(name, func(t *testing.T) {
			in := cases[name]
			c, err := Compile(in)
			if err != nil {
				t.Fatal(err)
			}
			calls := w.run(t, c.Jenkinsfile).Calls
			golden(t, "compile/"+name+".calls", trace(calls))
			pod, err := podYAML(c.Pod)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(pod, calls[0].Args["yaml"]); diff != "" {
				t.Errorf("pod (-want +got):\n%s", diff)
			}
			want := asked(t, in, c, name != "full-fork") // no secrets for a fork
			if diff := cmp.Diff(want, arrived(t, calls, c, in.Config)); diff != "" {
				t.Errorf("calls (-asked +arrived):\n%s", diff)
			}
		})
	}
	t.Run("a second build does nothing", func(t *testing.T) {
		for _, name := range sortedKeys(cases) {
			c, err := Compile(cases[name])
			if err != nil {
				t.Fatal(err)
			}
			want := []groovyCall{{"error", 0, map[string]any{"message": secondBuild}}}
			if diff := cmp.Diff(want, w.mustAsk(t, "second", c.Jenkinsfile).Calls); diff != "" {
				t.Errorf("calls of %s (-want +got):\n%s", name, diff)
			}
		}
	})
	t.Run("in the order that the file has", func(t *testing.T) {
		calls := w.run(t, mustCompile(t, sequenceConfig).Jenkinsfile).Calls
		calls[0].Args = map[string]any{"connect": calls[0].Args["slaveConnectTimeout"]}
		got := strings.ReplaceAll(trace(calls), fmt.Sprintf("%q", cloneScript)[:300], "CLONE")
		if diff := cmp.Diff(sequenceCalls, got); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

// TestTheWitnessIsStrict: Groovy refuses what a Jenkins would, and what is not in the dialect; else it would vouch for nothing.
func TestTheWitnessIsStrict(t *testing.T) {
	w := realGroovy(t)
	within := func(body string) string {
		return "podTemplate(cloud: 'c', namespace: 'n', slaveConnectTimeout: 1, showRawYaml: false, yaml: '') {\n  node(POD_LABEL) {\n" + body + "\n  }\n}\n"
	}
	cases := map[string]struct{ script, want string }{
		"an unknown step":                    {within("echo('a')"), "a call of echo"},
		"a method that every object has":     {within("sleep(1)"), "a call of sleep"},
		"a method of an object":              {within("'a'.execute()"), "a call of execute"},
		"a step with an argument of its own": {within("sh(label: 'a', script: 'b', returnStatus: true)"), "sh with [label, script, returnStatus]"},
		"a step without an argument":         {within("sh(script: 'b')"), "sh with [script]"},
		"an argument of another type":        {within("timeout(time: '1', unit: 'MINUTES') {\n}"), "timeout: time is a class java.lang.String"},
		"a step outside a node":              {"sh(label: 'a', script: 'b')", "sh without node around it"},
		"interpolation":                      {within(`sh(label: 'a', script: "${1}")`), "a GStringExpression"},
		"a variable":                         {within("sh(label: 'a', script: b)"), "the variable b"},
		"a statement":                        {within("if (true) {\n}"), "a IfStatement"},
		"another question than the build":    {"if (env.PATH != '1') {\n}\n", "a IfStatement"},
		"what is asked of a method's answer": {"if (env.BUILD_NUMBER != node()) {\n}\n", "a IfStatement"},
		"another way":                        {"if (env.BUILD_NUMBER != '1') {\n} else {\nerror('a')\n}\n", "a IfStatement"},
		"a class":                            {"class A {\n}", "a class: A"},
		"a literal without end":              {within("sh(label: 'a', script: 'b)"), "MultipleCompilationErrorsException"},
		"a literal for no class file":        {within("sh(label: 'a', script: '" + strings.Repeat("x", 65536) + "')"), "String too long"},
		"more branches than Jenkins takes":   {within("parallel(" + numbered("'%d': { },\n", 125) + "failFast: true)"), "a map of 126 entries"},
		"more variables than Jenkins takes":  {within("withEnv([" + numbered("'%d',\n", 250) + "'a']) { }"), "a list of 251 elements"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := w.ask(t, "script", c.script).Error; !strings.Contains(string(got), c.want) {
				t.Errorf("error %q, want %q in it", got, c.want)
			}
		})
	}
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
    timeout time="604845" unit="SECONDS"
      stage name="1 Clone"
        stage name="1.1 clone"
          container name="clone"
            sh label="clone" script=CLONE…
      stage name="2 Build"
        stage name="2.1 one"
          timeout time="90" unit="SECONDS"
            retry count="2"
              container name="golang-1-26"
                withEnv overrides="[A=1 B=2]"
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

// variablesConfig has what does not reach a shell by itself: values that are empty, have dollars, or names that Jenkins sets.
const variablesConfig = `
parameters: [{name: BUILD_ID, default: $p}, {name: P, default: p}]
env: {CI: file, JOB_NAME: "$a $$ ${P}", WORKSPACE: "", EMPTY: "", FULL: file}
stages:
- name: a
  steps:
  - name: as the file has them
    runScriptConfig: {image: i, shellScript: s}
  - name: of its own
    env: {CI: step, JOB_NAME: "$$b", WORKSPACE: w, EMPTY: step, FULL: "", NODE_NAME: "", STAGE_NAME: "$$$"}
    runScriptConfig: {image: i, shellScript: s}
`
