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

func TestTermAndKill(t *testing.T) {
	block := make(chan struct{})
	f := newFixture(t, jenkinstest.Options{Agents: blockingAgents{block}})
	defer close(block)
	f.run(t, "f/term", inPod("sh(script: 'x')"))
	f.logged(t, "f/term", "[Pipeline] sh\n")
	f.post(t, "/job/f/job/term/1/stop")
	f.logged(t, "f/term", "Sending interrupt signal to process\n")
	if doc := decode(t, f.get(t, "/job/f/job/term/1/api/json")); doc["building"] != true || doc["result"] != "ABORTED" {
		t.Errorf("a build that ignores its stop = %v", doc)
	}
	f.want(t, "term", f.post(t, "/job/f/job/term/1/term"), 302)
	if b := f.wait(t, "f/term"); b.Result != "ABORTED" {
		t.Errorf("build = %+v", b)
	}

	f.run(t, "f/kill", inPod(stage("a", "sh(script: 'x')")))
	f.logged(t, "f/kill", "[Pipeline] sh\n")
	f.want(t, "kill", f.post(t, "/job/f/job/kill/1/kill"), 302)
	b := f.wait(t, "f/kill")
	if b.Result != "ABORTED" || !strings.HasSuffix(b.Log, "Hard kill!\nFinished: ABORTED\n") {
		t.Errorf("build = %+v", b)
	}
	if doc := decode(t, f.get(t, "/job/f/job/kill/1/wfapi/describe")); doc["status"] != "NOT_EXECUTED" {
		t.Errorf("wfapi of a killed build = %v", doc)
	}
}

func TestStopThatIsIgnoredIsGivenUp(t *testing.T) {
	block := make(chan struct{})
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	f := newFixture(t, jenkinstest.Options{Agents: blockingAgents{block}, Clock: clock})
	defer close(block)
	f.run(t, "f/j", inPod("sh(script: 'x')"))
	f.logged(t, "f/j", "[Pipeline] sh\n")
	f.post(t, "/job/f/job/j/1/stop")
	f.logged(t, "f/j", "Sending interrupt signal to process\n")
	eventually(t, "the grace time", clock.HasWaiters)
	clock.Step(time.Minute)
	if b := f.wait(t, "f/j"); b.Result != "ABORTED" || !strings.Contains(b.Log, "After 1 min 0 sec process did not stop\n") {
		t.Errorf("build = %+v", b)
	}
}

func TestPause(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run)})
	f.run(t, "f/j", inPod("input(message: 'wait')\nsh(script: 'say after')"))
	f.logged(t, "f/j", "Proceed or Abort\n")
	state := func() string { return f.get(t, "/job/f/job/j/1/stages/pauseState").body }
	f.want(t, "pause", f.post(t, "/job/f/job/j/1/pause/toggle"), 200)
	if want := `{"data":{"building":true,"paused":true},"status":"ok"}`; state() != want {
		t.Errorf("state = %s, want %s", state(), want)
	}
	f.post(t, "/job/f/job/j/1/input/InputWait/proceedEmpty")
	f.post(t, "/job/f/job/j/1/input/Inputwait/proceedEmpty")
	f.logged(t, "f/j", "Pausing\n")
	f.want(t, "resume", f.post(t, "/job/f/job/j/1/pause/toggle"), 200)
	if b := f.wait(t, "f/j"); b.Result != "SUCCESS" || !strings.Contains(b.Log, "Resuming\n[Pipeline] sh\nafter\n") {
		t.Errorf("build = %+v", b)
	}
	f.want(t, "toggle what is over", f.post(t, "/job/f/job/j/1/pause/toggle"), 404)
}

func TestBuildObject(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), Clock: clock, HiddenTick: time.Second, LogTick: time.Second})
	f.run(t, "f/j", inPod("sh(script: 'hang')"))
	item := func() map[string]any { return decode(t, f.get(t, "/queue/item/1/api/json")) }
	eventually(t, "the executable", func() bool { return item()["executable"] != nil })
	f.want(t, "a build that the queue names already", f.get(t, "/job/f/job/j/1/api/json"), 404)
	f.want(t, "another, meanwhile", f.post(t, start, "EXECUTION_UID=b"), 201)
	eventually(t, "both ticks", func() bool { return clock.Waiters() >= 2 })
	clock.Step(time.Second)
	eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
	clock.Step(time.Minute)
	get := func() map[string]any { return decode(t, f.get(t, "/job/f/job/j/1/api/json")) }
	want := map[string]any{
		"_class": "org.jenkinsci.plugins.workflow.job.WorkflowRun", "artifacts": []any{}, "building": true, "changeSets": []any{}, "culprits": []any{},
		"description": nil, "displayName": "#1", "duration": 0.0, "estimatedDuration": -1.0, "executor": nil, "fullDisplayName": "f » j #1", "id": "1",
		"inProgress": true, "keepLog": false, "nextBuild": nil, "number": 1.0, "previousBuild": nil, "queueId": 1.0, "result": nil,
		"timestamp": 1_700_000_000_000.0, "url": "http://jenkins.example:8080/job/f/job/j/1/",
	}
	got := get()
	actions, _ := got["actions"].([]any)
	delete(got, "actions")
	if diff := cmp.Diff(want, got); diff != "" || len(actions) != 3 {
		t.Errorf("build (-want +got):\n%s\nactions %v", diff, actions)
	}
	if r := f.want(t, "stop", f.do(t, "POST", "/job/f/job/j/1/stop", "", "Referer", f.url+"/from"), 302); r.header.Get("Location") != f.url+"/from" {
		t.Errorf("location = %s, want the referer", r.header.Get("Location"))
	}
	if r := f.want(t, "stop again", f.post(t, "/job/f/job/j/1/stop"), 302); r.header.Get("Location") != f.url+"/job/f/job/j/1/" {
		t.Errorf("location = %s", r.header.Get("Location"))
	}
	f.wait(t, "f/j")
	got = get()
	if got["building"] != false || got["inProgress"] != false || got["result"] != "ABORTED" || got["duration"] != 61_000.0 {
		t.Errorf("afterwards: %v", got)
	}
	for name, status := range map[string]int{"lastBuild": 200, "lastCompletedBuild": 200, "lastUnsuccessfulBuild": 200, "lastSuccessfulBuild": 404, "lastFailedBuild": 404, "99": 404} {
		f.want(t, name, f.get(t, "/job/f/job/j/"+name+"/api/json"), status)
	}
}

func TestChangingBuilds(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run)})
	f.run(t, "f/j", inPod("sh(script: 'hang')"))
	eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
	const build = "/job/f/job/j/1"
	f.want(t, "describe", f.post(t, build+"/submitDescription", "description=uid+1"), 302)
	f.want(t, "describe by GET", f.get(t, build+"/submitDescription?description=x"), 405)
	if doc := decode(t, f.get(t, build+"/api/json")); doc["description"] != "uid 1" {
		t.Errorf("build = %v", doc)
	}
	f.want(t, "delete while it runs", f.post(t, build+"/doDelete"), 200) // a page that says why not
	f.want(t, "it is still there", f.get(t, build+"/api/json"), 200)
	f.post(t, build+"/stop")
	f.wait(t, "f/j")
	f.want(t, "keep it", f.post(t, build+"/toggleLogKeep"), 302)
	if doc := decode(t, f.get(t, build+"/api/json")); doc["keepLog"] != true {
		t.Errorf("build = %v", doc)
	}
	if r := f.want(t, "delete what is kept", f.post(t, build+"/doDelete"), 400); !strings.HasPrefix(r.header.Get("X-Error"), "Unable to delete ?f ") {
		t.Errorf("X-Error = %q", r.header.Get("X-Error"))
	}
	f.want(t, "do not keep it", f.post(t, build+"/toggleLogKeep"), 302)
	if r := f.want(t, "delete", f.post(t, build+"/doDelete"), 302); r.header.Get("Location") != f.url+"/job/f/job/j/" {
		t.Errorf("location = %s", r.header.Get("Location"))
	}
	f.want(t, "it is gone", f.get(t, build+"/api/json"), 404)
	f.want(t, "and so is its log", f.get(t, build+"/logText/progressiveText"), 404)
	if doc := decode(t, f.get(t, "/job/f/job/j/api/json?tree=nextBuildNumber,builds[number]")); doc["nextBuildNumber"] != 2.0 {
		t.Errorf("job = %v", doc)
	}
}

// A result can only become worse, and a build may have one while it runs.
func TestResultsOnlyWorsen(t *testing.T) {
	for name, tc := range map[string]struct {
		script, early, result, wfapi, color string
	}{
		"nothing before a success":         {"exit 0", "", "SUCCESS", "SUCCESS", "blue"},
		"unstable before a success":        {"exit 0", "UNSTABLE", "UNSTABLE", "UNSTABLE", "yellow"},
		"unstable before a failure":        {"exit 1", "UNSTABLE", "FAILURE", "FAILED", "red"},
		"not built before a failure":       {"exit 1", "NOT_BUILT", "NOT_BUILT", "NOT_EXECUTED", "notbuilt"},
		"a word that nobody knows is kept": {"exit 1", "SPLENDID", "SPLENDID", "SPLENDID", "notbuilt"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents((&steps{}).run)})
			f.run(t, "f/j", "input(message: 'wait')\n"+inPod("sh(script: '"+tc.script+"')"))
			f.logged(t, "f/j", "Proceed or Abort\n")
			f.SetResult("f/j", 1, tc.early)
			if doc := decode(t, f.get(t, "/job/f/job/j/1/api/json?tree=building,result")); doc["building"] != true || fmt.Sprint(doc["result"]) != fmt.Sprint(orNil(tc.early)) {
				t.Errorf("while it runs: %v", doc)
			}
			f.want(t, "go on", f.post(t, "/job/f/job/j/1/input/Inputwait/proceedEmpty"), 200)
			if b := f.wait(t, "f/j"); b.Result != tc.result || !strings.HasSuffix(b.Log, "Finished: "+tc.result+"\n") {
				t.Errorf("build = %+v", b)
			}
			f.SetResult("f/j", 1, "ABORTED") // too late
			if doc := decode(t, f.get(t, "/job/f/job/j/1/wfapi/describe")); doc["status"] != tc.wfapi {
				t.Errorf("run = %v", doc)
			}
			if doc := decode(t, f.get(t, "/job/f/job/j/api/json?tree=color")); doc["color"] != tc.color {
				t.Errorf("job = %v", doc)
			}
		})
	}
}

// orNil is nil for no result.
func orNil(result string) any {
	if result == "" {
		return nil
	}
	return result
}

func TestTheNewestAlone(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run)})
	config := strings.Replace(configOf(inPod("sh(script: 'hang')")), "DisableConcurrentBuildsJobProperty/>",
		"DisableConcurrentBuildsJobProperty><abortPrevious>true</abortPrevious></org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty>", 1)
	f.want(t, "create", f.create(t, "", "j", config), 200)
	for i := range 2 {
		f.want(t, "start", f.post(t, "/job/j/buildWithParameters?delay=0sec", fmt.Sprintf("EXECUTION_UID=%d", i)), 201)
		eventually(t, "the step", func() bool { return len(s.scripts()) == i+1 })
	}
	builds := f.Builds("j")
	if len(builds) != 2 || builds[0].Result != "NOT_BUILT" || !strings.Contains(builds[0].Log, "Superseded by #2\n") || !builds[1].Building {
		t.Errorf("builds = %+v", builds)
	}
}

// What is no script that Jenkins may run ends the build before it begins.
func TestScriptsThatJenkinsDoesNotRun(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, log string }{
		"without the sandbox":         {"<sandbox>true</sandbox>", "<sandbox>false</sandbox>", "UnapprovedUsageException: script not yet approved for use\n"},
		"a definition of no plugin's": {"CpsFlowDefinition", "OddFlowDefinition", "ERROR: No flow definition, cannot run\n"},
	} {
		f := newFixture(t, jenkinstest.Options{})
		f.want(t, "create", f.create(t, "", "j", strings.Replace(configOf("echo('x')\n"), tc.old, tc.new, 1)), 200)
		f.want(t, "start", f.post(t, "/job/j/buildWithParameters?delay=0sec"), 201)
		if b := f.wait(t, "j"); b.Result != "FAILURE" || !strings.Contains(b.Log, tc.log) {
			t.Errorf("%s: %+v", name, b)
		}
	}
}
