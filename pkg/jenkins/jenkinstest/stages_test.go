package jenkinstest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestStagesOfBothPlugins(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), ContextPath: "/ci"})
	f.run(t, "f/j", inPod(stage("a", "parallel('x': {\n"+stage("x", "sh(script: 'exit 1')")+"})")))
	f.wait(t, "f/j")
	run := decode(t, f.get(t, "/job/f/job/j/1/wfapi/describe"))
	if run["status"] != "FAILED" || len(run["stages"].([]any)) != 2 {
		t.Fatalf("run = %v", run)
	}
	x := run["stages"].([]any)[1].(map[string]any)
	wantErr := map[string]any{"message": "script returned exit code 1", "type": "hudson.AbortException"}
	if diff := cmp.Diff(wantErr, x["error"]); diff != "" || x["status"] != "FAILED" || x["name"] != "x" {
		t.Errorf("stage = %v", x)
	}
	if href := fmt.Sprint(x["_links"]); !strings.Contains(href, "/ci/job/f/job/j/1/execution/node/") {
		t.Errorf("links = %s", href)
	}
	if runs := f.get(t, "/job/f/job/j/wfapi/runs?fullStages=true"); !strings.HasPrefix(runs.body, "[{") {
		t.Errorf("runs = %s", runs.body)
	}
	tree := f.get(t, "/job/f/job/j/1/stages/tree").body
	for _, want := range []string{`"complete":true`, `"name":"a"`, `"type":"PARALLEL"`, `"state":"failure"`} {
		if !strings.Contains(tree, want) {
			t.Errorf("tree lacks %s: %s", want, tree)
		}
	}
	bare := newFixture(t, jenkinstest.Options{NoStageREST: true, NoGraphView: true})
	bare.run(t, "f/j", "echo('x')\n")
	bare.wait(t, "f/j")
	for _, path := range []string{"wfapi/describe", "stages/tree", "stages/pauseState"} {
		bare.want(t, path, bare.get(t, "/job/f/job/j/1/"+path), 404)
	}
}
