package jenkinstest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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

func TestRuns(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{ContextPath: "/ci"})
	f.make(t, "f/j", inPod(stage("a", "echo('hello')")))
	for i := range 12 {
		f.want(t, "start", f.post(t, start, fmt.Sprintf("EXECUTION_UID=%d", i)), 201)
		eventually(t, "its end", func() bool { b := f.Builds("f/j"); return len(b) == i+1 && !b[i].Building })
	}
	names := func(query string) (all []string) {
		var runs []struct {
			Name   string
			Stages []struct{ StageFlowNodes []struct{ Name string } }
		}
		r := f.want(t, query, f.get(t, "/job/f/job/j/wfapi/runs"+query), 200)
		if err := json.Unmarshal([]byte(r.body), &runs); err != nil {
			t.Fatal(err)
		}
		for _, run := range runs {
			name := run.Name
			for _, st := range run.Stages {
				for _, n := range st.StageFlowNodes {
					name += " " + n.Name
				}
			}
			all = append(all, name)
		}
		return all
	}
	if got := names(""); len(got) != 10 || got[0] != "#12" || got[9] != "#3" {
		t.Errorf("runs = %q, want the newest ten", got)
	}
	if diff := cmp.Diff([]string{"#12 Print Message", "#11 Print Message"}, names("?fullStages=true&since=%2311")); diff != "" {
		t.Errorf("runs since #11 (-want +got):\n%s", diff)
	}
	run := decode(t, f.get(t, "/job/f/job/j/12/wfapi/describe"))
	want := map[string]any{"self": map[string]any{"href": "/ci/job/f/job/j/12/wfapi/describe"}}
	if diff := cmp.Diff(want, run["_links"]); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	for _, key := range []string{"id", "name", "status", "startTimeMillis", "endTimeMillis", "durationMillis", "queueDurationMillis", "pauseDurationMillis", "stages"} {
		if run[key] == nil {
			t.Errorf("run lacks %s: %v", key, run)
		}
	}
	if r := f.get(t, "/job/f/job/j/12/wfapi/describe"); r.header.Get("Content-Type") != "application/json; charset=UTF-8" {
		t.Errorf("type = %s", r.header.Get("Content-Type"))
	}
	f.want(t, "a freestyle job", f.create(t, "/job/f", "free", "<project/>"), 200)
	f.want(t, "it has no stages", f.get(t, "/job/f/job/free/wfapi/runs"), 404)
}

func TestNodes(t *testing.T) {
	s := &steps{}
	long := strings.Repeat("<0123456789>\n", 1000)
	agents := jenkinstest.ScriptedAgents(func(ctx context.Context, c jenkinstest.Command) jenkinstest.Result {
		if c.Script == "long" {
			return jenkinstest.Result{Output: long}
		}
		return s.run(ctx, c)
	})
	f := newFixture(t, jenkinstest.Options{Agents: agents, ContextPath: "/ci"})
	f.run(t, "f/j", inPod(stage("a", "echo('hello')\nsh(label: 'talk', script: 'long')")+stage("b", "sh(script: 'exit 2')")+"\n"+stage("c", "echo('never')")))
	f.wait(t, "f/j")
	const build = "/job/f/job/j/1"
	type node struct {
		ID, Name, Status, ExecNode, ParameterDescription string
		ParentNodes                                      []string
		Error                                            struct{ Message, Type string }
		StageFlowNodes                                   []node
		Links                                            map[string]struct{ Href string } `json:"_links"`
	}
	var run struct{ Stages []node }
	if err := json.Unmarshal([]byte(f.get(t, build+"/wfapi/describe").body), &run); err != nil {
		t.Fatal(err)
	}
	describe := func(id string) (n node) {
		r := f.want(t, "node "+id, f.get(t, build+"/execution/node/"+id+"/wfapi/describe/api/json"), 200)
		if err := json.Unmarshal([]byte(r.body), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	a, b := describe(run.Stages[0].ID), describe(run.Stages[1].ID)
	if a.Name != "a" || a.Status != "SUCCESS" || len(a.StageFlowNodes) != 2 || b.Status != "FAILED" || b.Error.Message != "script returned exit code 2" {
		t.Fatalf("stages = %+v, %+v", a, b)
	}
	echo, sh := a.StageFlowNodes[0], describe(a.StageFlowNodes[1].ID)
	if echo.Name != "Print Message" || echo.ParameterDescription != "hello" || !slices.Equal(echo.ParentNodes, []string{a.ID}) {
		t.Errorf("echo = %+v", echo)
	}
	if sh.Name != "Shell Script" || sh.ParameterDescription != "talk" || sh.ExecNode == "" || !slices.Equal(sh.ParentNodes, []string{echo.ID}) {
		t.Errorf("sh = %+v", sh)
	}
	if want := "/ci" + build + "/execution/node/" + sh.ID + "/wfapi/log"; sh.Links["log"].Href != want || sh.Links["console"].Href != strings.Replace(want, "wfapi/log", "log", 1) {
		t.Errorf("links = %v, want %s", sh.Links, want)
	}
	if failed := describe(b.StageFlowNodes[0].ID); failed.Status != "FAILED" || failed.Error.Type != "hudson.AbortException" || failed.Links["log"].Href != "" {
		t.Errorf("failed = %+v", failed)
	}

	var log struct {
		NodeID, NodeStatus, Text, ConsoleURL string
		Length                               int
		HasMore                              bool
	}
	read := func(id string) {
		t.Helper()
		log.Text = ""
		if err := json.Unmarshal([]byte(f.want(t, "log", f.get(t, build+"/execution/node/"+id+"/wfapi/log"), 200).body), &log); err != nil {
			t.Fatal(err)
		}
	}
	read(sh.ID)
	if log.NodeID != sh.ID || log.NodeStatus != "SUCCESS" || log.Length != 10<<10 || !log.HasMore || !strings.HasSuffix(log.Text, "\n&lt;0123456789&gt;\n") {
		t.Errorf("log = %d bytes, more %t: …%q", log.Length, log.HasMore, log.Text[max(0, len(log.Text)-40):])
	}
	if log.ConsoleURL != "/ci"+build+"/execution/node/"+sh.ID+"/log" {
		t.Errorf("console = %s", log.ConsoleURL)
	}
	if read(echo.ID); log.Text != "hello\n" || log.HasMore {
		t.Errorf("log = %+v", log)
	}
	if read(a.ID); log.Text != "" || log.Length != 0 {
		t.Errorf("the log of a stage = %+v", log)
	}
	pageOf := f.want(t, "page", f.get(t, build+"/execution/node/"+echo.ID+"/log/"), 200)
	if !strings.HasPrefix(pageOf.header.Get("Content-Type"), "text/html") || !strings.Contains(pageOf.body, `<pre class="console-output">hello`) {
		t.Errorf("page = %s", pageOf.body)
	}
	if plain := f.want(t, "plain", f.get(t, build+"/stages/log?nodeId="+echo.ID), 200); plain.body != "hello\n" {
		t.Errorf("plain = %q", plain.body)
	}
	for _, path := range []string{"/execution/node/999/wfapi/describe", "/execution/node/x/wfapi/log", "/execution/node/" + a.ID + "/log/", "/execution/node/" + a.ID + "/other", "/stages/log?nodeId=999"} {
		f.want(t, path, f.get(t, build+path), 404)
	}
}

// A step that runs is no success yet, but the plugin calls it one.
func TestAStepIsNeverInProgress(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run)})
	f.run(t, "f/j", inPod(stage("a", "sh(script: 'hang')")))
	eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
	var run struct {
		Status string
		Stages []struct {
			ID, Status     string
			StageFlowNodes []struct{ ID, Status string }
		}
	}
	if err := json.Unmarshal([]byte(f.get(t, "/job/f/job/j/1/wfapi/describe?fullStages=true").body), &run); err != nil {
		t.Fatal(err)
	}
	st := run.Stages[0]
	if run.Status != "IN_PROGRESS" || st.Status != "IN_PROGRESS" || st.StageFlowNodes[0].Status != "SUCCESS" {
		t.Errorf("run = %+v", run)
	}
	f.post(t, "/job/f/job/j/1/kill")
	f.want(t, "after a kill its steps are gone", f.get(t, "/job/f/job/j/1/execution/node/"+st.ID+"/wfapi/describe"), 404)
}
