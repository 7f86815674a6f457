package jenkinstest_test

import (
	"fmt"
	"net/url"
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

func TestBuildWithoutParameters(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{Clock: testclock.NewFakeClock(time.Unix(1_700_000_000, 0))})
	f.want(t, "create", f.create(t, "", "j", "<flow-definition/>"), 200)
	first := f.want(t, "a trigger", f.post(t, "/job/j/build"), 201)
	again := f.want(t, "the same, while it waits", f.post(t, "/job/j/build"), 201)
	if a, b := first.header.Get("Location"), again.header.Get("Location"); a != f.url+"/queue/item/1/" || a != b || first.body != "" {
		t.Errorf("locations %s and %s, body %q", a, b, first.body)
	}
	f.want(t, "GET", f.get(t, "/job/j/build"), 405)
	for delay, status := range map[string]int{"0sec": 201, "3 secs": 201, "1500": 201, "5min": 500, "": 500, "x": 500} {
		f.want(t, "delay "+delay, f.post(t, "/job/j/build?delay="+url.QueryEscape(delay)), status)
	}
}

func TestBuildForm(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{Clock: testclock.NewFakeClock(time.Unix(1_700_000_000, 0))})
	f.make(t, "f/j", "echo('x')\n")
	send := func(json string) reply { return f.post(t, "/job/f/job/j/build", "json="+url.QueryEscape(json)) }
	r := f.want(t, "a form", send(`{"parameter":[{"name":"EXECUTION_UID","value":"a"}]}`), 201)
	if want := f.url + "/queue/item/1/"; r.header.Get("Location") != want {
		t.Errorf("location = %s, want %s", r.header.Get("Location"), want)
	}
	if r := f.want(t, "the same again", send(`{"parameter":[{"name":"EXECUTION_UID","value":"a"}]}`), 302); r.header.Get("Location") != "." {
		t.Errorf("location = %s", r.header.Get("Location"))
	}
	r = f.want(t, "one parameter is no list, and the caller wants another status", send(`{"parameter":{"name":"EXECUTION_UID","value":"b"},"statusCode":"303","redirectTo":"x"}`), 303)
	if r.header.Get("Location") != "x" {
		t.Errorf("location = %s", r.header.Get("Location"))
	}
	f.want(t, "no parameter: none has a value", send(`{}`), 201)
	if got := f.Queue()[2].Params; len(got) > 0 {
		t.Errorf("parameters = %v", got)
	}
	f.want(t, "a parameter that is not declared", send(`{"parameter":[{"name":"X","value":"a"}]}`), 500)
	f.want(t, "no JSON", send(`{`), 500)
	f.want(t, "no form", f.post(t, "/job/f/job/j/build"), 400)
	f.want(t, "another form", f.post(t, "/job/f/job/j/build", "a=b"), 400)
	f.want(t, "GET shows the form", f.get(t, "/job/f/job/j/build"), 405)
}

func TestTypedParameters(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{Clock: testclock.NewFakeClock(time.Unix(1_700_000_000, 0))})
	f.want(t, "create", f.create(t, "", "j", `<flow-definition><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>`+
		`<hudson.model.StringParameterDefinition><name>S</name><defaultValue>d</defaultValue><trim>true</trim></hudson.model.StringParameterDefinition>`+
		`<hudson.model.BooleanParameterDefinition><name>B</name></hudson.model.BooleanParameterDefinition>`+
		`<hudson.model.ChoiceParameterDefinition><name>C</name><choices><string>dev</string><string>prod</string></choices></hudson.model.ChoiceParameterDefinition>`+
		`</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties></flow-definition>`), 200)
	for name, tc := range map[string]struct {
		form string
		want map[string]string // nil: 500
	}{
		"defaults":              {"", map[string]string{"S": "d", "B": "false", "C": "dev"}},
		"values":                {"S=+x+&B=TRUE&C=prod&UNDECLARED=1", map[string]string{"S": "x", "B": "true", "C": "prod"}},
		"a choice that is none": {"C=test", nil},
	} {
		status := 201
		if tc.want == nil {
			status = 500
		}
		f.want(t, name, f.post(t, "/job/j/buildWithParameters", tc.form), status)
		if q := f.Queue(); tc.want != nil {
			if diff := cmp.Diff(tc.want, q[len(q)-1].Params); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
	got := f.get(t, "/queue/api/json?tree=items[actions[parameters[name,value]]]").body
	if !strings.Contains(got, `{"_class":"hudson.model.BooleanParameterValue","name":"B","value":true}`) {
		t.Errorf("queue = %s", got)
	}
}

// What depends on the version of Jenkins.
func TestTriggeringByVersion(t *testing.T) {
	for version, tc := range map[string]struct{ coalesced, bare, cancel int }{
		"2.199": {201, 500, 302}, "2.303.1": {201, 500, 204}, "2.308": {303, 500, 204}, "2.516.3": {303, 500, 204}, "2.524": {303, 400, 204}, "3.1": {303, 400, 204},
	} {
		t.Run(version, func(t *testing.T) {
			f := newFixture(t, jenkinstest.Options{Version: version, Clock: testclock.NewFakeClock(time.Unix(1_700_000_000, 0))})
			f.make(t, "f/j", "echo('x')\n")
			f.want(t, "plain", f.create(t, "", "plain", "<flow-definition/>"), 200)
			f.want(t, "off", f.create(t, "", "off", "<flow-definition><disabled>true</disabled></flow-definition>"), 200)
			path := "/job/f/job/j/buildWithParameters"
			first := f.want(t, "a trigger", f.post(t, path), 201)
			if again := f.want(t, "coalesced", f.post(t, path), tc.coalesced); again.header.Get("Location") != first.header.Get("Location") {
				t.Errorf("location = %s, want %s", again.header.Get("Location"), first.header.Get("Location"))
			}
			f.want(t, "without parameters", f.post(t, "/job/plain/buildWithParameters"), tc.bare)
			f.want(t, "cancel", f.post(t, "/queue/cancelItem?id=1"), tc.cancel)
			off := f.want(t, "disabled", f.post(t, "/job/off/build"), 409)
			if got := strings.Contains(off.body, "\n\tat "); got != (tc.bare == 500) {
				t.Errorf("a stack trace: %t\n%s", got, off.body)
			}
		})
	}
}
