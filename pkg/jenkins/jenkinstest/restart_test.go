package jenkinstest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestRestart(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), Clock: clock})
	f.run(t, "f/j", inPod("input(message: 'wait')\nsh(script: 'say after')"))
	f.logged(t, "f/j", "Proceed or Abort\n")
	f.want(t, "an old item", f.post(t, start, "EXECUTION_UID=old"), 201) // blocked by the build
	clock.Step(2 * time.Minute)
	f.want(t, "a young item", f.post(t, start, "EXECUTION_UID=young"), 201)
	session := f.Session()

	f.Restart(jenkinstest.RestartOptions{Crash: true, Starting: time.Minute, Resume: time.Minute})
	if r := f.get(t, "/api/json"); r.status != 503 || r.header.Get("X-Jenkins") != "" || !strings.Contains(r.body, "getting ready to work") {
		t.Errorf("starting: %d %v", r.status, r.header)
	}
	eventually(t, "the timer", clock.HasWaiters)
	clock.Step(time.Minute)
	eventually(t, "Jenkins", func() bool { return f.get(t, "/api/json").status == 200 })
	if f.Session() == session {
		t.Error("the session is the same")
	}
	queue := f.Queue()
	if len(queue) != 1 || queue[0].Params["EXECUTION_UID"] != "old" {
		t.Errorf("queue = %+v, want the old item only", queue)
	}
	f.want(t, "items that had left are forgotten", f.get(t, "/queue/item/1/api/json"), 404)
	lost := f.post(t, start, "EXECUTION_UID=new")
	if got := lost.header.Get("Location"); !strings.HasSuffix(got, fmt.Sprintf("/queue/item/%d/", queue[0].ID+1)) {
		t.Errorf("location = %s, want the id of the lost item again", got)
	}
	f.want(t, "the answer to a question from before", f.post(t, "/job/f/job/j/1/input/Inputwait/proceedEmpty"), 200)
	f.logged(t, "f/j", "Pausing (Preparing for shutdown)\n")
	clock.Step(time.Minute)
	if b := f.wait(t, "f/j"); b.Result != "SUCCESS" || !strings.Contains(b.Log, " after Jenkins restart\nResuming\n[Pipeline] sh\nafter\n") {
		t.Errorf("build = %+v", b)
	}
}

func TestStopWhileResumingIsAKill(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), Clock: clock})
	f.run(t, "f/j", inPod("sh(script: 'hang')"))
	eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
	f.Restart(jenkinstest.RestartOptions{Resume: time.Minute})
	f.want(t, "stop", f.post(t, "/job/f/job/j/1/stop"), 302)
	if b := f.wait(t, "f/j"); !strings.Contains(b.Log, "Hard kill!\n") {
		t.Errorf("log = %s", b.Log)
	}
}

func TestRestartThatLosesBuilds(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run)})
	f.run(t, "f/j", inPod("sh(script: 'hang')"))
	eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
	f.Restart(jenkinstest.RestartOptions{Crash: true, LoseBuilds: true})
	f.want(t, "the build", f.get(t, "/job/f/job/j/1/api/json"), 404)
	if doc := decode(t, f.get(t, "/job/f/job/j/api/json?tree=nextBuildNumber,builds[number]")); doc["nextBuildNumber"] != 2.0 {
		t.Errorf("job = %v", doc)
	}
}
