package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

var ignorePositions = cmpopts.IgnoreUnexported(Config{})

func TestParseConfig(t *testing.T) {
	run := func(name, image, script string) Step {
		return Step{Name: name, RunScriptConfig: &RunScriptConfig{Image: image, ShellScript: script}}
	}
	one := []Stage{{Name: "a", Steps: []Step{run("step-1-1", "i", "s")}}}
	const tail = "stages: [{name: a, steps: [{runScriptConfig: {image: i, shellScript: s}}]}]\n"
	cases := map[string]struct {
		text string
		want Config
	}{
		"fills defaults": {tail, Config{Timeout: time.Hour, Stages: one}},
		"reads a Rancher file": {readTestdata(t, "config/rancher.yml"), Config{
			Timeout: time.Hour,
			Branch:  &v1alpha1.Filter{Include: []string{"master", "release-*"}, Exclude: []string{"dev"}},
			Stages: []Stage{
				{Name: "Build something", Steps: []Step{
					{
						Name: "step-1-1", RunScriptConfig: &RunScriptConfig{Image: "busybox", ShellScript: "echo ${FIRST_KEY} && echo ${ALIAS_ENV}"},
						Env:     map[string]string{"FIRST_KEY": "VALUE", "SECOND_KEY": "1.10", "YES": "yes"},
						EnvFrom: []EnvFrom{{SourceName: "my-secret", SourceKey: "secret-key", TargetKey: "ALIAS_ENV"}},
						When:    &When{Event: &v1alpha1.Filter{Exclude: []string{"pull_request"}}},
					},
					{
						Name: "step-1-2", RunScriptConfig: &RunScriptConfig{Image: "busybox", ShellScript: "date -R\nls\n"},
						CPURequest: "500m", CPULimit: "1", MemoryRequest: "128Mi", MemoryLimit: "1Gi",
					},
				}},
				{Name: "Publish my image", When: &When{Branch: &v1alpha1.Filter{Include: []string{"master"}}, Event: &v1alpha1.Filter{Include: []string{"push", "tag"}}}, Steps: []Step{
					{Name: "step-2-1", PublishImageConfig: &PublishImageConfig{DockerfilePath: "./Dockerfile", BuildContext: ".", Tag: "rancher/rancher:v2.0.0", PushRemote: true, Registry: "reg.example.com"}},
				}},
				{Name: "Deploy some workloads", Steps: []Step{
					{Name: "step-3-1", ApplyYAMLConfig: &ApplyYAMLConfig{Path: "./deployment.yaml"}},
					{Name: "step-3-2", ApplyAppConfig: &ApplyAppConfig{CatalogTemplate: "cattle-global-data:library-mysql", Version: "0.3.8", Name: "testmysql", TargetNamespace: "test", Answers: map[string]string{"persistence.enabled": "false"}}},
					{Name: "step-3-3", PublishCatalogConfig: &PublishCatalogConfig{Path: "./chart", CatalogTemplate: "app", Version: "1", GitURL: "git@example.com:charts", GitBranch: "master", GitAuthor: "a", GitEmail: "a@example.com"}},
				}},
			},
			Notification: &Notification{Recipients: []Recipient{{Recipient: "#ci", Notifier: "c-x:n-y"}}, Condition: StringList{"Failed", "Changed"}},
		}},
		"reads a filter as a string, a list or a map": {
			"branch: main\n" + tail, Config{Timeout: time.Hour, Branch: &v1alpha1.Filter{Include: []string{"main"}}, Stages: one},
		},
		"reads one glob in include as a list of one": {
			"branch: {include: main, exclude: [a, b]}\n" + tail, Config{Timeout: time.Hour, Branch: &v1alpha1.Filter{Include: []string{"main"}, Exclude: []string{"a", "b"}}, Stages: one},
		},
		"reads a timeout in minutes":    {"timeout: 5\n" + tail, Config{Timeout: 5 * time.Minute, Stages: one}},
		"reads a timeout as duration":   {"timeout: 1h30m\n" + tail, Config{Timeout: 90 * time.Minute, Stages: one}},
		"reads a quoted timeout":        {"timeout: \"7\"\n" + tail, Config{Timeout: 7 * time.Minute, Stages: one}},
		"switches the cache off":        {"cache: false\n" + tail, Config{Timeout: time.Hour, Cache: &CacheConfig{Enabled: new(false)}, Stages: one}},
		"treats an empty key as absent": {"cache:\nbranch: ~\nenv:\n" + tail, Config{Timeout: time.Hour, Stages: one}},
		"turns a preset and paths into entries": {"cache: {preset: GO, paths: [/a, /b]}\n" + tail, Config{Timeout: time.Hour, Stages: one, Cache: &CacheConfig{
			Entries: []v1alpha1.CacheEntry{{Name: "go", Preset: "go"}, {Name: "paths", Paths: []string{"/a", "/b"}}},
		}}},
		"knows parameter types in any case": {"parameters: [{name: a, type: choice, choices: [x, 2], default: 2}, {name: b, type: BOOLEAN, default: true}, {name: c}]\n" + tail, Config{
			Timeout: time.Hour, Stages: one, Parameters: []v1alpha1.ParameterSpec{
				{Name: "a", Type: "Choice", Choices: []string{"x", "2"}, Default: new("2")}, {Name: "b", Type: "Boolean", Default: new("true")}, {Name: "c", Type: "String"},
			},
		}},
		"knows an event by any of its spellings": {
			"stages: [{name: a, when: {event: [PullRequest, pull-request, PUSH, 'pu*']}, steps: [{runScriptConfig: {image: i, shellScript: s}}]}]",
			Config{Timeout: time.Hour, Stages: []Stage{{Name: "a", When: &When{Event: &v1alpha1.Filter{Include: []string{"pull_request", "pull_request", "push", "pu*"}}}, Steps: one[0].Steps}}},
		},
		"does not count a clone that is written": {
			"stages: [{name: Clone, steps: [{sourceCodeConfig: {}}]}, {name: a, steps: [{runScriptConfig: {image: i, shellScript: s}}]}]",
			Config{Timeout: time.Hour, Stages: []Stage{{Name: "Clone", Steps: []Step{{Name: "clone", SourceCodeConfig: &SourceCodeConfig{Depth: new(50)}}}}, one[0]}},
		},
		"expands anchors and merges, keys of the map itself winning": {`
stages:
- name: a
  steps:
  - &base
    name: x
    runScriptConfig: &run {image: i, shellScript: s}
    env: &env {A: "1", B: "2"}
  - <<: *base
    name: y
    env: {<<: *env, B: "3"}
  - {name: z, runScriptConfig: {<<: [*run], image: j}}
`, Config{Timeout: time.Hour, Stages: []Stage{{Name: "a", Steps: []Step{
			{Name: "x", RunScriptConfig: &RunScriptConfig{Image: "i", ShellScript: "s"}, Env: map[string]string{"A": "1", "B": "2"}},
			{Name: "y", RunScriptConfig: &RunScriptConfig{Image: "i", ShellScript: "s"}, Env: map[string]string{"A": "1", "B": "3"}},
			run("z", "j", "s"),
		}}}}},
		"keeps text as it is written": {
			"env: {A: 1.10, B: 0x10, C: yes, D: 1e3, E: 2024-01-02, F: 'null', G: }\n" + tail,
			Config{Timeout: time.Hour, Stages: one, Env: map[string]string{"A": "1.10", "B": "0x10", "C": "yes", "D": "1e3", "E": "2024-01-02", "F": "null", "G": ""}},
		},
		"takes a byte order mark and line ends of Windows": {"\ufefftimeout: 5\r\n" + tail, Config{Timeout: 5 * time.Minute, Stages: one}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ParseConfig(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, got, ignorePositions); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
}

// bomb is a file whose aliases stand for 9^7 values.
func bomb() string {
	var b strings.Builder
	b.WriteString("a: &a {X: x}\nenv: {}\n")
	prev := "a"
	for _, name := range []string{"b", "c", "d", "e", "f", "g", "h"} {
		fmt.Fprintf(&b, "%s: &%s [%s]\n", name, name, strings.TrimSuffix(strings.Repeat("*"+prev+", ", 9), ", "))
		prev = name
	}
	return b.String()
}

func stageBomb() string {
	return "env: &e {A: \"" + strings.Repeat("x", 100_000) + "\"}\nstages:\n- name: a\n  steps:\n" +
		strings.Repeat("  - {runScriptConfig: {image: i, shellScript: s}, env: *e}\n", 100)
}

func mergeBomb() string {
	var b strings.Builder
	b.WriteString("x0: &x0 {A: a}\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "x%d: &x%d {<<: [%s]}\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*x%d, ", i-1), 9), ", "))
	}
	return b.String() + "env: *x11\nstages: [{name: a, steps: [{runScriptConfig: {image: i, shellScript: s}}]}]\n"
}

// numbered repeats a text with numbers from 1.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i+1)
	}
	return b.String()
}

func TestParseConfigErrors(t *testing.T) {
	const tail = "\nstages: [{name: a, steps: [{runScriptConfig: {image: i, shellScript: s}}]}]\n"
	step := func(text string) string { return "stages:\n- name: a\n  steps:\n  - " + text + "\n" }
	cases := map[string]struct {
		text string
		want []string // all errors
	}{
		"an empty file":            {"", []string{"line 1, column 1: the file is empty; it needs stages"}},
		"only comments":            {"# nothing\n---\n", []string{"line 1, column 1: the file is empty; it needs stages"}},
		"no stages":                {"timeout: 5\n", []string{"line 1, column 1: stages is required"}},
		"empty stages":             {"stages: []\n", []string{"line 1, column 1: stages: at least one stage is needed"}},
		"a list instead of a file": {"- a\n", []string{"line 1, column 1: want a map with parameters, env, timeout, branch, cache, stages, notification, got a list"}},
		"an unknown field with a near name": {
			step("runScriptConfg: {image: i, shellScript: s}"),
			[]string{
				`line 4, column 5: stages[0].steps[0]: a step needs one of sourceCodeConfig, runScriptConfig, publishImageConfig, applyYamlConfig, publishCatalogConfig, applyAppConfig, approvalConfig`,
				`line 4, column 5: stages[0].steps[0].runScriptConfg: unknown field, did you mean "runScriptConfig"?`,
			},
		},
		"an unknown field in the wrong case": {
			step("runScriptConfig: {image: i, shellscript: s}"),
			[]string{
				`line 4, column 22: stages[0].steps[0].runScriptConfig: shellScript is required`,
				`line 4, column 33: stages[0].steps[0].runScriptConfig.shellscript: unknown field, did you mean "shellScript"?`,
			},
		},
		"an unknown field that is like no other": {
			"services: []" + tail, []string{`line 1, column 1: services: unknown field, known are parameters, env, timeout, branch, cache, stages, notification`},
		},
		"a duplicate key": {
			"timeout: 1\ntimeout: 2" + tail, []string{"line 2, column 1: timeout: the key is here twice; first in line 1"},
		},
		"wrong types, each with its place": {
			"timeout: soon\nbranch: 5x\nenv: [A]\nparameters: {a: 1}" + tail,
			[]string{
				`line 1, column 10: timeout: want minutes such as 60 or a duration such as 1h30m, got the text "soon"`,
				`line 3, column 6: env: want a map of names to values, got a list`,
				`line 4, column 13: parameters: want a list, got a map`,
			},
		},
		"a list of steps that is none": {
			"stages:\n- name: a\n  steps: {runScriptConfig: {}}\n", []string{"line 3, column 10: stages[0].steps: want a list, got a map"},
		},
		"wrong scalars": {
			step("{runScriptConfig: {image: [i], shellScript: {}}, retry: two, privileged: \"true\", timeout: 0}"),
			[]string{
				`line 4, column 31: stages[0].steps[0].runScriptConfig.image: want text, got a list`,
				`line 4, column 49: stages[0].steps[0].runScriptConfig.shellScript: want text, got a map`,
				`line 4, column 61: stages[0].steps[0].retry: want a whole number, got the text "two"`,
				`line 4, column 78: stages[0].steps[0].privileged: want true or false, got the text "true"`,
				`line 4, column 95: stages[0].steps[0].timeout: want a time between 1s and 168h0m0s, got 0`,
			},
		},
		"an enum's values": {
			"parameters: [{name: a, type: text}]\ncache: {preset: gopher}" + tail,
			[]string{
				`line 1, column 30: parameters[0].type: want one of String, Boolean, Choice, Number, Secret, got "text"`,
				`line 2, column 17: cache.preset: want one of go, npm, pnpm, maven, gradle, pip, cargo, ccache, git, buildkit, got "gopher"`,
			},
		},
		"two things in one step": {
			step("{runScriptConfig: {image: i, shellScript: s}, applyYamlConfig: {path: p}}"),
			[]string{`line 4, column 51: stages[0].steps[0].applyYamlConfig: a step does one thing, but runScriptConfig and applyYamlConfig are both set`},
		},
		"an empty item": {"stages:\n- \n- name: a\n  steps: [{runScriptConfig: {image: i, shellScript: s}}]\n", []string{"line 2, column 2: stages[0]: the item is empty"}},
		"names that are used twice": {
			"stages:\n- name: a\n  steps:\n  - {name: x, runScriptConfig: {image: i, shellScript: s}}\n  - {name: x, runScriptConfig: {image: i, shellScript: s}}\n- name: a\n  steps: [{runScriptConfig: {image: i, shellScript: s}}]\n",
			[]string{
				`line 5, column 6: stages[0].steps[1].name: step name "x" is used twice in this stage`,
				`line 6, column 3: stages[1].name: stage name "a" is used twice; first in line 2`,
			},
		},
		"a name that a default has": {
			"stages:\n- name: a\n  steps:\n  - {runScriptConfig: {image: i, shellScript: s}}\n  - {name: step-1-1, runScriptConfig: {image: i, shellScript: s}}\n",
			[]string{`line 5, column 6: stages[0].steps[1].name: step name "step-1-1" is used twice in this stage`},
		},
		"names that cannot be": {
			"stages:\n- name: \"a\\nb\"\n  steps: [{name: \" x\", runScriptConfig: {image: i, shellScript: s}}]\n- name: Clone\n  steps: [{runScriptConfig: {image: i, shellScript: s}}]\n",
			[]string{
				`line 2, column 3: stages[0].name: a stage name must be one line of text`,
				`line 3, column 12: stages[0].steps[0].name: a step name must not start or end with a space`,
				`line 4, column 3: stages[1].name: Clone is the name of the first stage, which checks the source out; choose another`,
			},
		},
		"a clone that does more": {
			"stages:\n- name: Get\n  when: {branch: x}\n  steps:\n  - {sourceCodeConfig: {depth: -1}, env: {A: b}}\n  - {runScriptConfig: {image: i, shellScript: s}}\n- name: b\n  steps: [{sourceCodeConfig: {}}]\n",
			[]string{
				`line 2, column 3: stages[0].name: the stage that checks the source out is named Clone, got "Get"`,
				`line 3, column 3: stages[0].when: the source is always checked out`,
				`line 5, column 25: stages[0].steps[0].sourceCodeConfig.depth: want 0 to 1000000 commits, got -1`,
				`line 5, column 37: stages[0].steps[0].env: the step that checks the source out takes no env`,
				`line 6, column 5: stages[0].steps[1]: the stage that checks the source out has one step`,
				`line 8, column 12: stages[1].steps[0].sourceCodeConfig: only the first stage may check the source out`,
			},
		},
		"quantities": {
			step("{runScriptConfig: {image: i, shellScript: s}, cpuRequest: 2, cpuLimit: 500m, memoryRequest: lots, memoryLimit: -1}"),
			[]string{
				`line 4, column 51: stages[0].steps[0].cpuRequest: the request 2 is more than the limit 500m`,
				`line 4, column 82: stages[0].steps[0].memoryRequest: want a quantity such as 256Mi or 1Gi, got "lots"`,
				`line 4, column 103: stages[0].steps[0].memoryLimit: want a quantity such as 256Mi or 1Gi, got "-1"`,
			},
		},
		"variables": {
			step("{runScriptConfig: {image: i, shellScript: s}, env: {a-b: c, D: e}, envFrom: [{sourceName: S, sourceKey: k.x}, {sourceName: s, sourceKey: D}, {sourceName: s, sourceKey: F}, {sourceName: s, sourceKey: F}]}"),
			[]string{
				`line 4, column 57: stages[0].steps[0].env.a-b: want a variable name of letters, digits and _, got "a-b"`,
				`line 4, column 82: stages[0].steps[0].envFrom[0].targetKey: want a variable name of letters, digits and _, got "k.x"; set targetKey`,
				`line 4, column 83: stages[0].steps[0].envFrom[0].sourceName: "S" is not the name of a Secret`,
				`line 4, column 115: stages[0].steps[0].envFrom[1].targetKey: D is set by env too`,
				`line 4, column 177: stages[0].steps[0].envFrom[3].targetKey: F is set twice`,
			},
		},
		"secrets under a name that Jenkins sets": {
			"parameters: [{name: CI, type: Secret}]\n" + step("{runScriptConfig: {image: i, shellScript: s}, envFrom: [{sourceName: s, sourceKey: WORKSPACE}]}"),
			[]string{
				`line 1, column 15: parameters[0].name: Jenkins sets a variable CI, which a secret cannot have`,
				`line 5, column 61: stages[0].steps[0].envFrom[0].targetKey: Jenkins sets a variable WORKSPACE, which a secret cannot have; set targetKey to another name`,
			},
		},
		"filters": {
			"branch: ['a[', '']" + "\nstages: [{name: a, when: {event: [pushed], paths: {includes: [x]}}, steps: [{runScriptConfig: {image: i, shellScript: s}}]}]\n",
			[]string{
				`line 1, column 10: branch.include[0]: "a[" is not a glob`,
				`line 1, column 16: branch.include[1]: the glob is empty`,
				`line 2, column 35: stages[0].when.event.include[0]: want one of push, tag, pull_request, manual, image, schedule, got "pushed"`,
				`line 2, column 52: stages[0].when.paths.includes: unknown field, did you mean "include"?`,
			},
		},
		"parameters": {
			"parameters: [{name: 1a}, {name: CICD_X}, {name: a, type: Choice}, {name: a}, {type: String}, {name: n, type: Number, default: 1/2}, {name: c, choices: [x], default: y}, {name: s, type: Secret, default: plain}]" + tail,
			[]string{
				`line 1, column 15: parameters[0].name: want a variable name of letters, digits and _, at most 128 long, got "1a"`,
				`line 1, column 27: parameters[1].name: names that start with CICD_ are set by the run itself, got "CICD_X"`,
				`line 1, column 42: parameters[2]: a parameter of type Choice needs choices`,
				`line 1, column 68: parameters[3].name: parameter "a" is declared twice`,
				`line 1, column 78: parameters[4]: name is required`,
				`line 1, column 118: parameters[5].default: want a number, got "1/2"`,
				`line 1, column 157: parameters[6].default: want one of [x], got "y"`,
				`line 1, column 194: parameters[7].default: want name/key of a Secret, got "plain"`,
			},
		},
		"caches": {
			"cache: {entries: [{name: A, preset: go}, {name: b}, {paths: [/a/../b]}, {name: d, paths: [/, /home/jenkins/agent/x, '/a:b']}]}" + tail,
			[]string{
				`line 1, column 20: cache.entries[0].name: want lower case letters, digits and -, at most 63 long, got "A"`,
				`line 1, column 42: cache.entries[1]: an entry needs preset or paths`,
				`line 1, column 53: cache.entries[2]: name is required`,
				`line 1, column 62: cache.entries[2].paths[0]: a cache path must not contain '..', got "/a/../b"`,
				`line 1, column 91: cache.entries[3].paths[0]: a cache must not cover /proc, got "/"`,
				`line 1, column 94: cache.entries[3].paths[1]: a cache must not cover /home/jenkins/agent, got "/home/jenkins/agent/x"`,
				`line 1, column 117: cache.entries[3].paths[2]: a path must not contain ':' or control characters, got "/a:b"`,
			},
		},
		"an image and a script": {
			step("{runScriptConfig: {image: \"go lang\", shellScript: \"  \"}}"),
			[]string{
				`line 4, column 24: stages[0].steps[0].runScriptConfig.image: "go lang" is not an image`,
				`line 4, column 42: stages[0].steps[0].runScriptConfig.shellScript: the script is empty`,
			},
		},
		"a second document":       {"timeout: 1" + tail + "---\ntimeout: 2\n", []string{"line 3, column 1: a second YAML document starts here; only one is allowed"}},
		"text that is no YAML":    {"stages:\n- name: a\n  steps: [\n", []string{"line 3, column 3: not YAML: did not find expected node content"}},
		"a tab as indentation":    {"stages:\n- name: a\n\tsteps: []\n", []string{"line 3, column 1: not YAML: a tab cannot indent; use spaces"}},
		"an alias to nothing":     {"env: *x" + tail, []string{"line 1, column 1: not YAML: unknown anchor 'x' referenced"}},
		"a NUL byte":              {"timeout: 1\nenv: {A: \"b\x00\"}" + tail, []string{"line 2, column 12: character U+0000 is not allowed; inside a quoted string it can be written as an escape"}},
		"a control character":     {"# é\x1b" + tail, []string{"line 1, column 4: character U+001B is not allowed; inside a quoted string it can be written as an escape"}},
		"bytes that are no UTF-8": {"a: \"é\xff\"", []string{"line 1, column 6: byte 0xFF is not UTF-8"}},
		"an escaped NUL": {
			step("{name: \"a\\0\", runScriptConfig: {image: i, shellScript: \"a\\0b\"}, env: {A: \"\\uFFFF\", \"B\\0\": c}}"),
			[]string{
				`line 4, column 12: stages[0].steps[0].name: character U+0000 cannot reach a shell, a variable or a name`,
				`line 4, column 60: stages[0].steps[0].runScriptConfig.shellScript: character U+0000 cannot reach a shell, a variable or a name`,
				`line 4, column 78: stages[0].steps[0].env.A: character U+FFFF cannot reach a shell, a variable or a name`,
				`line 4, column 88: stages[0].steps[0].env: character U+0000 cannot be in a name`,
			},
		},
		"half a character, as JSON writes one": {
			step(`{runScriptConfig: {image: i, shellScript: "é\\ud83d \U0001F600\ud83d\ude00"}}`),
			[]string{`line 4, column 67: not YAML: \ud83d is no character; one outside the basic plane is written as itself or as \U and eight digits`},
		},
		"an escape beyond the last character": {
			step(`{runScriptConfig: {image: i, shellScript: "\U00110000"}}`),
			[]string{`line 4, column 48: not YAML: \U00110000 is no character; one outside the basic plane is written as itself or as \U and eight digits`},
		},
		"half a character in bytes": {"a: \"é\xed\xa0\x80\"", []string{"line 1, column 6: byte 0xED is not UTF-8"}},
		"a line separator": {
			"# comment\u2028timeout: 5" + tail, []string{"line 1, column 10: character U+2028 is not allowed; inside a quoted string it can be written as an escape"},
		},
		"a paragraph separator": {step("a\u2029b"), []string{"line 4, column 6: character U+2029 is not allowed; inside a quoted string it can be written as an escape"}},
		"a next line":           {step("a\u0085b"), []string{"line 4, column 6: character U+0085 is not allowed; inside a quoted string it can be written as an escape"}},
		"a byte order mark inside": {
			step("a\ufeffb"), []string{"line 4, column 6: character U+FEFF is not allowed; inside a quoted string it can be written as an escape"},
		},
		"characters that no XML has": {
			step(`{runScriptConfig: {image: i, shellScript: "\uFFFE"}, when: {branch: {include: "\uFFFF"}}}`),
			[]string{
				`line 4, column 47: stages[0].steps[0].runScriptConfig.shellScript: character U+FFFE cannot reach a shell, a variable or a name`,
				`line 4, column 83: stages[0].steps[0].when.branch.include: character U+FFFF cannot reach a shell, a variable or a name`,
			},
		},
		"a stage of more steps than Jenkins can run beside each other": {
			"stages:\n- name: a\n  steps:\n" + strings.Repeat("  - {runScriptConfig: {image: i, shellScript: s}}\n", 101),
			[]string{`line 104, column 5: stages[0].steps[100]: at most 100 steps are allowed in a stage, got 101`},
		},
		"more variables than Jenkins can set at once": {
			step("{runScriptConfig: {image: i, shellScript: s}, env: {" + numbered("V%d: x, ", 201) + "}}"),
			[]string{`line 4, column 51: stages[0].steps[0].env: at most 200 variables are allowed, got 201`},
		},
		"a variable that no process can have": {
			"env: {A: " + strings.Repeat("x", 128<<10) + "}" + tail, []string{`line 1, column 7: env.A: the variable has 131072 bytes; no process can be started with one of more than 131071`},
		},
		"more than a Java class can hold": {
			"stages:\n" + numbered("- name: s%d\n  steps: &s\n"+strings.Repeat("  - {timeout: 5, retry: 1, env: {A: b}, runScriptConfig: {image: i, shellScript: s}}\n", 50), 20),
			[]string{`line 742, column 5: stages[14].steps[10]: here the script becomes too large for Jenkins: stages, steps, their timeouts, retries and variables are more than one Java class can hold; split the pipeline`},
		},
		"scripts that are too long when aliases are expanded": {
			"stages:\n- name: a\n  steps:\n  - {runScriptConfig: &r {image: i, shellScript: \"" + strings.Repeat("é", 100_000) + "\"}}\n" + strings.Repeat("  - {runScriptConfig: *r}\n", 19),
			[]string{`line 17, column 5: stages[0].steps[13]: here the script becomes too large for Jenkins: with its aliases expanded, scripts and variables have more than 8 MiB as literals`},
		},
		"an agent pod that is too large": {
			"env: {A: " + strings.Repeat("x", 10_000) + "}\nstages:\n- name: a\n  steps:\n" + numbered("  - {runScriptConfig: {image: i%d, shellScript: s}}\n", 100),
			[]string{`line 2, column 1: stages: the steps need 100 different containers, each with all variables; such an agent pod has more than 1 MiB, which no cluster stores`},
		},
		"a file that is too long":                    {strings.Repeat("#", MaxConfigBytes+1), []string{"line 1, column 1: the file has 262145 bytes; at most 262144 are allowed"}},
		"a tag of its own":                           {"env: {A: !x b}\ncache: !!binary YQ==" + tail, []string{"line 1, column 10: env.A: tag !x is not supported", "line 2, column 8: cache: tag !!binary is not supported"}},
		"a key that is no name":                      {"[a]: b" + tail, []string{"line 1, column 1: want a name as key, got a list"}},
		"aliases that stand for megabytes":           {stageBomb(), []string{"line 1, column 13: with its aliases expanded the file has more than 200000 values or 4194304 bytes"}},
		"more mistakes than anybody reads":           {"stages: [" + strings.Repeat("x,", 100_000) + "]", nil},
		"merges that stand for billions":             {mergeBomb(), nil},
		"aliases of aliases, which nothing expands":  {bomb() + tail, nil},
		"a merge of itself":                          {"env: &e {<<: *e}" + tail, nil},
		"a merge of text":                            {"env: {<<: x}" + tail, []string{`line 1, column 11: env: want a map to merge, got the text "x"`}},
		"a mistake behind an alias is reported once": {"stages:\n- name: a\n  steps:\n  - {name: x, runScriptConfig: &r {image: i, shellScript: s, x: y}}\n  - {name: y, runScriptConfig: *r}\n", []string{"line 4, column 62: stages[0].steps[0].runScriptConfig.x: unknown field, known are image, shellScript"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := ParseConfig(c.text)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			if _, ok := errors.AsType[ConfigErrors](err); !ok {
				t.Fatalf("error %v, want ConfigErrors", err)
			}
			if c.want == nil {
				return // that it is refused, and soon, is all
			}
			if diff := cmp.Diff(c.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnsupported(t *testing.T) {
	c, err := ParseConfig(readTestdata(t, "config/unsupported.yml"))
	if err != nil {
		t.Fatal(err)
	}
	want := `line 1, column 1: notification: notifications are not supported yet
line 2, column 24: cache.entries[0].preset: cache preset buildkit is not supported yet
line 7, column 23: stages[0].cache.entries[0].mode: cache mode Locked is not supported yet, only Shared
line 7, column 37: stages[0].cache.entries[0].keyFiles: cache keyFiles are not supported yet
line 7, column 76: stages[0].cache.entries[0].paths[0]: cache paths relative to the workspace are not supported yet, got "node_modules"
line 9, column 51: stages[0].steps[0].privileged: privileged steps are not supported yet
line 10, column 5: stages[0].steps[1].publishImageConfig: steps of type publishImageConfig are not supported yet
line 11, column 5: stages[0].steps[2].applyYamlConfig: steps of type applyYamlConfig are not supported yet
line 12, column 5: stages[0].steps[3].publishCatalogConfig: steps of type publishCatalogConfig are not supported yet
line 13, column 5: stages[0].steps[4].applyAppConfig: steps of type applyAppConfig are not supported yet
line 14, column 5: stages[0].steps[5].approvalConfig: steps of type approvalConfig are not supported yet`
	if diff := cmp.Diff(want, ConfigErrors(c.Unsupported()).Error()); diff != "" {
		t.Errorf("unsupported (-want +got):\n%s", diff)
	}
	supported, err := ParseConfig(readTestdata(t, "compile/full.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if got := supported.Unsupported(); got != nil {
		t.Errorf("unsupported %v, want none", got)
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, file := range []string{"config/rancher.yml", "config/unsupported.yml", "compile/full.yml", "compile/minimal.yml"} {
		f.Add(readTestdata(f, file))
	}
	f.Add(bomb())
	f.Add("a: &a [*a]\nstages: *a")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConfig(text)
		if err != nil {
			var errs ConfigErrors
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("error %T %v, want ConfigErrors", err, err)
			}
			lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u0085") + strings.Count(text, "\u2028") + strings.Count(text, "\u2029") + 2
			for _, e := range errs {
				if e.Line < 1 || e.Column < 1 || e.Line > lines || e.Message == "" {
					t.Errorf("error %+v has no place in the file", e)
				}
			}
			return
		}
		c.Unsupported()
		in := compileInput(t, "stages: [{name: a, steps: [{runScriptConfig: {image: i, shellScript: s}}]}]")
		in.Config = c
		out, err := Compile(in)
		if err != nil {
			if _, ok := errors.AsType[*CompileError](err); !ok {
				t.Fatalf("error %T, want *CompileError", err)
			}
			return
		}
		if !out.Nothing && strings.ContainsFunc(out.Jenkinsfile, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
			t.Errorf("the Jenkinsfile is not plain ASCII:\n%s", out.Jenkinsfile)
		}
	})
}
