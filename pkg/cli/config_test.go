package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodConfig = `parameters: [{name: target, type: choice, choices: [dev, prod], default: dev}]
stages:
- name: Build
  steps:
  - name: compile
    runScriptConfig: {image: "golang:1.26", shellScript: "go build ./..."}
  - name: vet
    runScriptConfig: {image: "golang:1.26", shellScript: "go vet ./..."}
- name: Release
  when: {branch: {include: ["release/**"]}}
  steps:
  - name: tag
    runScriptConfig: {image: "alpine:3", shellScript: "echo $target"}
`

const badConfigText = `stages:
- name: Build
  steps:
  - nam: compile
    runScriptConfig: {image: "golang:1.26"}
`

const laterConfig = `stages:
- name: Publish
  steps:
  - publishImageConfig: {tag: "app:1"}
`

// files puts the configs where a person would have them.
func files(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"good.yml": goodConfig, "bad.yml": badConfigText, "later.yml": laterConfig, "empty.yml": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

// TestConfigScreens: lint, and run -f with mistakes.
func TestConfigScreens(t *testing.T) {
	files(t)
	var b strings.Builder
	for _, c := range []struct{ args, in string }{
		{"lint good.yml", ""}, {"lint bad.yml", ""}, {"lint later.yml good.yml", ""}, {"lint -", goodConfig}, {"lint empty.yml", ""}, {"lint -", "a: [\n"},
		{"run app -f bad.yml", ""}, {"run app -f good.yml -p target=stage", ""}, {"run app -f good.yml -p nope=1", ""}, {"render bad.yml", ""},
		{"render good.yml --part stages", ""}, {"render good.yml --part stages --branch release/2", ""}, {"render good.yml --event nothing", ""},
		{"render good.yml --event tag", ""}, {"render good.yml --tag v1", ""}, {"render - --part stages --event tag --tag v1 -p target=prod", goodConfig}, {"render good.yml --part all --commit abc", ""},
	} {
		w := populated(t)
		w.in = c.in
		got := w.run(strings.Fields(c.args)...)
		fmt.Fprintf(&b, "$ kubectl pipeline %s\n%s", c.args, got.out)
		for line := range strings.Lines(got.err) {
			b.WriteString("stderr: " + line)
		}
		fmt.Fprintf(&b, "exit code %d\n\n", got.code)
		if strings.HasPrefix(c.args, "lint") || strings.HasPrefix(c.args, "render") {
			if n := len(w.api.requests); n > 0 {
				t.Errorf("%s: %d requests", c.args, n)
			}
		}
	}
	golden(t, "config.golden", b.String())
}

// TestTemporaryConfig: the text reaches the run byte for byte.
func TestTemporaryConfig(t *testing.T) {
	for _, args := range []string{"run app -f good.yml -o name", "run app -f - -o name"} {
		files(t)
		w := populated(t)
		w.in = goodConfig
		got := w.run(strings.Fields(args)...)
		_, name, _ := strings.Cut(strings.TrimSpace(got.out), "/")
		if got.code != 0 || w.api.execution(name).Spec.Config != goodConfig {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

// TestRender: the parts are what Compile makes, and the same each time.
func TestRender(t *testing.T) {
	files(t)
	jenkinsfile := newWorld(t).run("render", "good.yml", "--part", "jenkinsfile")
	if jenkinsfile.code != 0 || !strings.Contains(jenkinsfile.out, "podTemplate(") || !strings.Contains(jenkinsfile.out, "go vet ./...") {
		t.Errorf("%+v", jenkinsfile)
	}
	pod := newWorld(t).run("render", "good.yml", "--part", "pod")
	if pod.code != 0 || !strings.HasPrefix(pod.out, "apiVersion: v1\nkind: Pod\n") || !strings.Contains(pod.out, "image: golang:1.26") || strings.Contains(pod.out, "status:") {
		t.Errorf("%+v", pod)
	}
	all, again := newWorld(t).run("render", "good.yml"), newWorld(t).run("render", "good.yml")
	if all.code != 0 || all != again || !strings.Contains(all.out, jenkinsfile.out) || !strings.Contains(all.out, pod.out) {
		t.Errorf("not the sum of its parts, or not the same twice:\n%s", all.out)
	}
	none := newWorld(t).run("render", "good.yml", "--repository", "", "--part", "jenkinsfile")
	if none.code != 0 || strings.Contains(none.out, "clone") {
		t.Errorf("a pipeline without a repository clones: %+v", none)
	}
}

// TestRenderWithObjects: a Pipeline and a PipelineSetting from files count.
func TestRenderWithObjects(t *testing.T) {
	files(t)
	for name, text := range map[string]string{
		"pipeline.yaml": "apiVersion: kubectl-pipeline.io/v1alpha1\nkind: Pipeline\nmetadata: {name: shop-app}\nspec: {repositoryRef: {name: r}}\n",
		"setting.yaml":  "apiVersion: kubectl-pipeline.io/v1alpha1\nkind: PipelineSetting\nmetadata: {name: default}\nspec: {executor: {nodeSelector: {pool: ci}}}\n",
		"typo.yaml":     "apiVersion: kubectl-pipeline.io/v1alpha1\nkind: PipelineSetting\nmetadata: {name: default}\nspec: {executer: {}}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := newWorld(t).run("render", "good.yml", "--pipeline", "pipeline.yaml", "--setting", "setting.yaml")
	if got.code != 0 || !strings.Contains(got.out, "pool: ci") || !strings.Contains(got.out, "shop-app-1") {
		t.Errorf("%+v", got)
	}
	if got := newWorld(t).run("render", "good.yml", "--setting", "typo.yaml"); got.code != exitError || !strings.Contains(got.err, "executer") {
		t.Errorf("%+v", got)
	}
	if got := newWorld(t).run("render", "good.yml", "--setting", "pipeline.yaml"); got.code != exitError || !strings.Contains(got.err, "holds a Pipeline") {
		t.Errorf("%+v", got)
	}
}
