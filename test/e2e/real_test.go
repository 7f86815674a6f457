package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

// TestRealNodes runs steps in real containers on real nodes: a Go program is tested
// and built, and an image that is not there is said to be the cause.
func TestRealNodes(t *testing.T) {
	cluster.RequireReal(t)
	w, err := harness.Start(t.Context(), harness.Options{Real: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
	p := newProjectIn(t, w, 2)
	commit := p.push("Greet", map[string]string{
		"go.mod":       "module example.com/greet\n\ngo 1.24\n",
		"main.go":      "package main\n\nfunc main() { println(\"greetings from a container\") }\n",
		"main_test.go": "package main\n\nimport \"testing\"\n\nfunc TestMain(*testing.M) {}\n",
		".pipeline.yml": `
stages:
- name: Build
  steps:
  - name: compile
    runScriptConfig: {image: "` + harness.GoImage + `", shellScript: "go build -buildvcs=false -o greet . && ./greet && echo host=$(hostname)"}
`,
	})
	e := p.succeeded(commit)
	log := p.mustKubectl("pipeline", "logs", e.Name) // through the API server's proxy
	for _, want := range []string{"greetings from a container", "host=" + e.Status.Agent.Pod} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}

	setAgentTimeout(t, p, 20*time.Second) // the pull fails at once, but is tried and told by a node under load
	commit = p.push("Mistype the image", map[string]string{
		".pipeline.yml": "stages:\n- name: Build\n  steps:\n  - runScriptConfig: {image: \"127.0.0.1:1/no-such:1\", shellScript: \"true\"}\n",
	})
	e = p.ended(commit)
	if e.Status.Reason != v1alpha1.ReasonAgentTimeout || !strings.Contains(e.Status.Message, "127.0.0.1:1/no-such:1") {
		t.Errorf("phase %s, reason %s, message %q: want AgentTimeout and the image", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
}

func setAgentTimeout(t *testing.T, p *project, d time.Duration) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"executor": map[string]any{"agentTimeout": d.String()}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Clients.Settings(p.name).Patch(context.WithoutCancel(t.Context()), v1alpha1.SettingName, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}
