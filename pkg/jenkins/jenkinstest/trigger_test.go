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

func TestTriggering(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{
		Agents: jenkinstest.ScriptedAgents(s.run), Clock: clock, LeftTick: time.Second, RefuseRun: func(job string) bool { return job == "f/refused" },
	})
	f.make(t, "f/j", inPod("sh(script: 'hang')"))
	f.make(t, "f/refused", "echo('x')\n")
	f.want(t, "not parameterised", f.create(t, "/job/f", "plain", "<flow-definition/>"), 200)
	f.want(t, "disabled", f.create(t, "/job/f", "off", "<flow-definition><disabled>true</disabled></flow-definition>"), 200)

	for what, r := range map[string][2]any{
		"refused by a decision handler":     {f.post(t, "/job/f/job/refused/buildWithParameters"), 302},
		"parameters for a job without them": {f.post(t, "/job/f/job/plain/buildWithParameters"), 500},
		"a disabled job":                    {f.post(t, "/job/f/job/off/build"), 409},
		"GET":                               {f.get(t, start), 405},
		"a job that is not there":           {f.post(t, "/job/f/job/none/build"), 404},
	} {
		f.want(t, what, r[0].(reply), r[1].(int))
	}
	item := func(id int) map[string]any { return decode(t, f.get(t, fmt.Sprintf("/queue/item/%d/api/json", id))) }
	why := func() (all []string) {
		for _, q := range f.Queue() {
			all = append(all, q.Why)
		}
		return all
	}
	first := "/job/f/job/j/buildWithParameters"
	f.want(t, "a new request", f.post(t, first, "EXECUTION_UID=a", "UNDECLARED=x"), 201)
	f.want(t, "the same again", f.post(t, first, "EXECUTION_UID=a"), 303)
	f.want(t, "another value", f.post(t, first, "EXECUTION_UID=b"), 201)
	if diff := cmp.Diff([]string{"In the quiet period. Expires in 5.0 sec", "In the quiet period. Expires in 5.0 sec"}, why()); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
	if got := item(1); got["_class"] != "hudson.model.Queue$WaitingItem" || got["params"] != "\nEXECUTION_UID=a" {
		t.Errorf("item = %v", got)
	}

	clock.Step(5 * time.Second)
	eventually(t, "the first to leave the queue", func() bool { return item(1)["_class"] == "hudson.model.Queue$LeftItem" })
	if got := item(1); got["cancelled"] != false || got["executable"] != nil || got["why"] != nil {
		t.Errorf("an item that has just left = %v, want no executable", got)
	}
	f.want(t, "cancel what has just left", f.post(t, "/queue/cancelItem?id=1"), 500)
	eventually(t, "the next tick", clock.HasWaiters)
	clock.Step(time.Second)
	eventually(t, "the build", func() bool { return item(1)["executable"] != nil })
	if diff := cmp.Diff([]string{"Build #1 is already in progress (ETA: N/A)"}, why()); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
	if got := item(2); got["blocked"] != true || got["_class"] != "hudson.model.Queue$BlockedItem" {
		t.Errorf("the second item = %v", got)
	}
	build := decode(t, f.get(t, "/job/f/job/j/1/api/json"))
	if build["queueId"] != 1.0 || build["building"] != true || build["result"] != nil || build["duration"] != 0.0 {
		t.Errorf("build = %v", build)
	}
	f.want(t, "cancel", f.post(t, "/queue/cancelItem?id=2"), 204)
	f.want(t, "cancel an unknown id", f.post(t, "/queue/cancelItem?id=99"), 404)
	if got := item(2); got["cancelled"] != true {
		t.Errorf("a cancelled item = %v", got)
	}
	clock.Step(6 * time.Minute)
	f.want(t, "an item of old", f.get(t, "/queue/item/1/api/json"), 404)
	f.want(t, "stop by GET", f.get(t, "/job/f/job/j/1/stop"), 405)
	f.want(t, "stop", f.post(t, "/job/f/job/j/1/stop"), 302)
	if b := f.wait(t, "f/j"); b.Result != "ABORTED" || !strings.Contains(b.Log, "Aborted by anonymous\n") {
		t.Errorf("build = %+v", b)
	}
	f.want(t, "stop what is over", f.post(t, "/job/f/job/j/1/stop"), 302)
	f.want(t, "a build that is not there", f.get(t, "/job/f/job/j/9/api/json"), 404)
}
