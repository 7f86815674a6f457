package jenkinstest_test

import (
	"context"
	"fmt"
	"io"
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

func TestPhasesOfARestart(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	f := newFixture(t, jenkinstest.Options{Clock: clock})
	f.Restart(jenkinstest.RestartOptions{Restarting: time.Minute, Down: time.Minute, Starting: time.Minute})
	next := func(state func() bool, what string) {
		t.Helper()
		eventually(t, "the timer", clock.HasWaiters)
		clock.Step(time.Minute)
		eventually(t, what, state)
	}
	says := func(path, text string) func() bool {
		return func() bool {
			resp, err := f.client.Get(f.url + path)
			if err != nil {
				return text == ""
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			return resp.StatusCode == 503 && resp.Header.Get("X-Jenkins") == "" && strings.Contains(string(body), text) &&
				strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
		}
	}
	eventually(t, "the end", says("/api/json", "Jenkins is restarting"))
	next(says("/api/json", ""), "silence")
	next(says("/login", "getting ready to work"), "the start")
	next(func() bool { return f.get(t, "/api/json").status == 200 }, "Jenkins")
	f.SetBroken(true)
	if !says("/health/", "failed to start")() {
		t.Error("a Jenkins that could not start answers otherwise")
	}
}

// Not every Pipeline goes on after a restart.
func TestWhatDoesNotResume(t *testing.T) {
	const (
		fast  = `<org.jenkinsci.plugins.workflow.job.properties.DurabilityHintJobProperty><hint>PERFORMANCE_OPTIMIZED</hint></org.jenkinsci.plugins.workflow.job.properties.DurabilityHintJobProperty>`
		never = `<org.jenkinsci.plugins.workflow.job.properties.DisableResumeJobProperty/>`
	)
	for name, tc := range map[string]struct {
		property string
		age      time.Duration
		crash    bool
		result   string // "" : it goes on
	}{
		"a durable one, after a crash":              {"", time.Minute, true, ""},
		"a fast one, after a clean end":             {fast, time.Minute, false, ""},
		"a fast one, after a crash":                 {fast, time.Minute, true, "FAILURE"},
		"one that said so":                          {never, time.Minute, false, "ABORTED"},
		"one that has been running for thirty days": {"", 31 * 24 * time.Hour, false, "ABORTED"},
		"one that has been running for not so long": {"", 29 * 24 * time.Hour, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
			s := &steps{}
			f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), Clock: clock})
			f.want(t, "create", f.create(t, "", "j", configOf(inPod("sh(script: 'hang')"), tc.property)), 200)
			f.want(t, "start", f.post(t, "/job/j/buildWithParameters?delay=0sec"), 201)
			eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
			clock.Step(tc.age)
			f.Restart(jenkinstest.RestartOptions{Crash: tc.crash})
			if b := f.Builds("j")[0]; b.Result != tc.result || b.Building != (tc.result == "") || b.Building != strings.Contains(b.Log, "Resuming build at ") {
				t.Errorf("build = %+v", b)
			}
		})
	}
}

// A process goes on while Jenkins is away, but its build does not: not even to its end.
func TestNothingEndsWhileJenkinsIsAway(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	release, ended := make(chan struct{}), make(chan struct{})
	agents := jenkinstest.ScriptedAgents(func(context.Context, jenkinstest.Command) jenkinstest.Result {
		<-release
		defer close(ended)
		return jenkinstest.Result{Output: "done\n"}
	})
	f := newFixture(t, jenkinstest.Options{Agents: agents, Clock: clock})
	f.run(t, "f/j", inPod("sh(script: 'x')"))
	f.logged(t, "f/j", "[Pipeline] sh\n")
	f.Restart(jenkinstest.RestartOptions{Down: time.Minute, Resume: time.Minute})
	close(release)
	<-ended
	f.logged(t, "f/j", "Pausing (Preparing for shutdown)\n")
	if b := f.Builds("f/j")[0]; !b.Building || b.Result != "" {
		t.Errorf("build = %+v", b)
	}
	for range 2 {
		eventually(t, "the timer", clock.HasWaiters)
		clock.Step(time.Minute)
	}
	if b := f.wait(t, "f/j"); b.Result != "SUCCESS" || !strings.Contains(b.Log, "Resuming build at ") {
		t.Errorf("build = %+v", b)
	}
}
