package jenkinstest_test

import (
	"strings"
	"testing"
	"time"

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
