package jenkinstest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestANodeWaitsInTheQueue(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{Agents: &slowAgents{}})
	f.run(t, "f/j", inPod("sh(script: 'x')"))
	eventually(t, "the placeholder", func() bool { return len(f.Queue()) == 1 })
	items := decode(t, f.get(t, "/queue/api/json?tree=items[id,why,task[_class,url]]"))["items"].([]any)
	task := items[0].(map[string]any)["task"].(map[string]any)
	if task["url"] != "job/f/job/j/1/" || !strings.HasSuffix(task["_class"].(string), "PlaceholderTask") {
		t.Errorf("task = %v", task)
	}
	f.want(t, "cancel", f.post(t, fmt.Sprintf("/queue/cancelItem?id=%d", f.Queue()[0].ID)), 204)
	if b := f.wait(t, "f/j"); b.Result != "ABORTED" || !strings.Contains(b.Log, "Queue task was cancelled\n") {
		t.Errorf("build = %+v", b)
	}
}

func TestQueueItems(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	f := newFixture(t, jenkinstest.Options{Clock: clock, Agents: &slowAgents{}, User: "u", Token: "t", LeftTick: time.Minute})
	as := func(method, path, body, ctype string) reply {
		return f.do(t, method, path, body, "basic", "u:t", "Content-Type", ctype)
	}
	f.want(t, "folder", as("POST", "/createItem?name=f", folderConfig, "text/xml"), 200)
	f.want(t, "job", as("POST", "/job/f/createItem?name=j", configOf(stage("1 x", inPod("sh(script: 'x')"))), "text/xml"), 200)
	f.want(t, "start", as("POST", "/job/f/job/j/buildWithParameters", "EXECUTION_UID=a", "application/x-www-form-urlencoded"), 201)
	item := func() map[string]any { return decode(t, as("GET", "/queue/item/1/api/json", "", "")) }
	common := map[string]any{
		"_class": "hudson.model.Queue$WaitingItem", "id": 1.0, "blocked": false, "buildable": false, "stuck": false,
		"inQueueSince": 1_700_000_000_000.0, "params": "\nEXECUTION_UID=a", "url": "queue/item/1/", "timestamp": 1_700_000_005_000.0,
		"why": "In the quiet period. Expires in 5.0 sec",
		"task": map[string]any{
			"_class": "org.jenkinsci.plugins.workflow.job.WorkflowJob", "name": "j", "url": "http://jenkins.example:8080/job/f/job/j/", "color": "notbuilt",
		},
		"actions": []any{
			map[string]any{"_class": "hudson.model.CauseAction", "causes": []any{map[string]any{
				"_class": "hudson.model.Cause$UserIdCause", "shortDescription": "Started by user u", "userId": "u", "userName": "u",
			}}},
			map[string]any{"_class": "hudson.model.ParametersAction", "parameters": []any{map[string]any{
				"_class": "hudson.model.StringParameterValue", "name": "EXECUTION_UID", "value": "a",
			}}},
			map[string]any{},
		},
	}
	if diff := cmp.Diff(common, item()); diff != "" {
		t.Errorf("a waiting item (-want +got):\n%s", diff)
	}
	if text := as("GET", "/queue/item/1/", "", "").body; !strings.HasPrefix(text, "Queue item exists. For details check") {
		t.Errorf("page = %s", text)
	}
	clock.Step(5 * time.Second)
	eventually(t, "the item to leave", func() bool { return item()["_class"] == "hudson.model.Queue$LeftItem" })
	left := item()
	if left["cancelled"] != false || left["executable"] != nil || left["why"] != nil {
		t.Errorf("left = %v, want no executable yet", left)
	}
	if all := as("GET", "/queue/api/json", "", "").body; all != `{"_class":"hudson.model.Queue","discoverableItems":[],"items":[]}` {
		t.Errorf("queue = %s, want no items that left", all)
	}
	eventually(t, "the timer", clock.HasWaiters)
	clock.Step(time.Minute)
	eventually(t, "the build", func() bool { return item()["executable"] != nil })
	want := map[string]any{"_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun", "number": 1.0, "url": "http://jenkins.example:8080/job/f/job/j/1/"}
	if diff := cmp.Diff(want, item()["executable"]); diff != "" {
		t.Errorf("executable (-want +got):\n%s", diff)
	}
	eventually(t, "the step in the queue", func() bool { return len(f.Queue()) == 1 })
	step := decode(t, as("GET", "/queue/item/2/api/json?tree=buildable,pending,stuck,why,buildableStartMilliseconds,task[_class,name,url]", "", ""))
	if why, _ := step["why"].(string); !strings.HasPrefix(why, "There are no nodes with the label ‘") {
		t.Errorf("why = %q", why)
	}
	delete(step, "why")
	wantStep := map[string]any{
		"_class": "hudson.model.Queue$BuildableItem", "buildable": true, "pending": false, "stuck": true, "buildableStartMilliseconds": 1_700_000_065_000.0,
		"task": map[string]any{
			"_class": "org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution$PlaceholderTask", "name": "part of f » j #1 (1 x)", "url": "job/f/job/j/1/",
		},
	}
	if diff := cmp.Diff(wantStep, step); diff != "" {
		t.Errorf("step (-want +got):\n%s", diff)
	}
	clock.Step(6 * time.Minute)
	f.want(t, "five minutes later", as("GET", "/queue/item/1/api/json", "", ""), 404)
}

// What coalesces: items of one job with the same parameters, while they wait.
func TestCoalescing(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run)})
	f.make(t, "f/j", inPod("sh(script: 'hang')"))
	f.make(t, "f/k", "echo('x')\n")
	at := func(job, uid string, status int) string {
		t.Helper()
		return f.want(t, uid, f.post(t, "/job/f/job/"+job+"/buildWithParameters?delay=0sec", "EXECUTION_UID="+uid), status).header.Get("Location")
	}
	running := at("j", "a", 201)
	eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
	waiting := at("j", "a", 201)
	if running == waiting {
		t.Error("merged with an item that runs already")
	}
	if again := at("j", "a", 303); again != waiting {
		t.Errorf("location = %s, want %s", again, waiting)
	}
	if other := at("j", "b", 201); other == waiting {
		t.Error("merged with another parameter")
	}
	at("k", "a", 201)
}
