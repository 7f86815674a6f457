package jenkinstest_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestInput(t *testing.T) {
	for verb, want := range map[string]string{"proceedEmpty": "SUCCESS", "abort": "ABORTED"} {
		t.Run(verb, func(t *testing.T) {
			f := newFixture(t, jenkinstest.Options{})
			f.run(t, "f/j", stage("ask", "input(id: 'approve', message: 'Ship it?', ok: 'Ship', submitter: 'anonymous')"))
			f.logged(t, "f/j", "Ship it?\nShip or Abort\n")
			if got := f.get(t, "/job/f/job/j/1/wfapi/pendingInputActions").body; !strings.Contains(got, `"id":"Approve"`) {
				t.Errorf("pending inputs: %s", got)
			}
			if got := f.Builds()[0].Stages; got[0].Status != "PAUSED_PENDING_INPUT" {
				t.Errorf("stages = %v", got)
			}
			f.want(t, "an unknown input", f.post(t, "/job/f/job/j/1/input/Other/"+verb), 404)
			f.want(t, "answer", f.post(t, "/job/f/job/j/1/input/Approve/"+verb), 200)
			if b := f.wait(t, "f/j"); b.Result != want {
				t.Errorf("result = %s, want %s\n%s", b.Result, want, b.Log)
			}
			f.want(t, "answer again", f.post(t, "/job/f/job/j/1/input/Approve/"+verb), 404)
		})
	}
}

const asked = "input(id: 'ask', message: 'Ship it?', submitter: 'u, lead', parameters: [string(name: 'WHY', defaultValue: 'because', description: 'why'), " +
	"booleanParam(name: 'DRY', defaultValue: true), choice(name: 'ENV', choices: ['dev', 'prod'])])"

// TestInputWithParameters answers in every way that there is.
func TestInputWithParameters(t *testing.T) {
	const form = `{"parameter":[{"name":"WHY","value":"x"},{"name":"DRY","value":false},{"name":"ENV","value":"prod"}]}`
	all := map[string]any{"WHY": "x", "DRY": false, "ENV": "prod"}
	none := map[string]any{"WHY": nil, "DRY": nil, "ENV": nil} // defaults are not applied
	for name, tc := range map[string]struct {
		path, form string
		status     int
		body       string
		values     map[string]any
		rejected   bool
	}{
		"proceedEmpty":           {"input/Ask/proceedEmpty", "", 200, "", none, false},
		"proceed":                {"input/Ask/proceed", "json=" + url.QueryEscape(form), 200, "", all, false},
		"proceed with some":      {"input/Ask/proceed", "json=" + url.QueryEscape(`{"parameter":{"name":"WHY","value":"x"}}`), 200, "", map[string]any{"WHY": "x", "DRY": nil, "ENV": nil}, false},
		"inputSubmit":            {"wfapi/inputSubmit?inputId=Ask", "json=" + url.QueryEscape(form), 200, "null", all, false},
		"submit":                 {"input/Ask/submit", "proceed=Go&json=" + url.QueryEscape(form), 302, "", all, false},
		"submit without proceed": {"input/Ask/submit", "json=" + url.QueryEscape(form), 302, "", none, true},
		"abort":                  {"input/Ask/abort", "", 200, "", none, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, jenkinstest.Options{User: "u", Token: "t", ContextPath: "/ci"})
			as := func(method, path, body, ctype string) reply {
				return f.do(t, method, path, body, "basic", "u:t", "Content-Type", ctype)
			}
			const encoded = "application/x-www-form-urlencoded"
			f.want(t, "create", as("POST", "/createItem?name=j", configOf(stage("s", asked)), "text/xml"), 200)
			f.want(t, "start", as("POST", "/job/j/buildWithParameters?delay=0sec", "", encoded), 201)
			f.logged(t, "j", "Input requested\n")
			got := as("GET", "/job/j/1/wfapi/nextPendingInputAction", "", "").body
			want := `{"abortUrl":"/ci/job/j/1/input/Ask/abort","id":"Ask","inputs":[` +
				`{"definition":{"defaultVal":"because"},"description":"why","name":"WHY","type":"StringParameterDefinition"},` +
				`{"definition":{"defaultVal":true},"description":"","name":"DRY","type":"BooleanParameterDefinition"},` +
				`{"definition":{"choices":["dev","prod"]},"description":"","name":"ENV","type":"ChoiceParameterDefinition"}],` +
				`"message":"Ship it?","proceedText":"Proceed","proceedUrl":"/ci/job/j/1/wfapi/inputSubmit?inputId=Ask","redirectApprovalUrl":"/ci/job/j/1/input/"}`
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pending (-want +got):\n%s", diff)
			}
			if list := as("GET", "/job/j/1/wfapi/pendingInputActions", "", "").body; list != "["+want+"]" {
				t.Errorf("list = %s", list)
			}
			f.want(t, "GET", as("GET", "/job/j/1/"+tc.path, "", ""), 405)
			r := f.want(t, name, as("POST", "/job/j/1/"+tc.path, tc.form, encoded), tc.status)
			if r.body != tc.body || tc.status == 302 && r.header.Get("Location") != f.url+"/job/j/1/console" {
				t.Errorf("body %q, location %s", r.body, r.header.Get("Location"))
			}
			b := f.wait(t, "j")
			wantInput := []jenkinstest.InputInfo{{ID: "Ask", Message: "Ship it?", Settled: true, Approved: !tc.rejected, By: "u", Values: tc.values}}
			if diff := cmp.Diff(wantInput, b.Inputs); diff != "" || (b.Result == "ABORTED") != tc.rejected || !tc.rejected && !strings.Contains(b.Log, "Approved by u\n") {
				t.Errorf("result %s, inputs (-want +got):\n%s\n%s", b.Result, diff, b.Log)
			}
			if got := as("GET", "/job/j/1/wfapi/pendingInputActions", "", "").body; got != "[]" {
				t.Errorf("pending = %s", got)
			}
			if got := as("GET", "/job/j/1/wfapi/nextPendingInputAction", "", "").body; got != "null" {
				t.Errorf("next = %s", got)
			}
		})
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	f := newFixture(t, jenkinstest.Options{User: "u", Token: "t", Accounts: []jenkinstest.Account{{Name: "v", Token: "t"}}, Clock: clock, InputTick: time.Minute})
	as := func(user, path, form string) reply {
		return f.do(t, "POST", path, form, "basic", user+":t", "Content-Type", "application/x-www-form-urlencoded")
	}
	f.want(t, "create", f.do(t, "POST", "/createItem?name=j", configOf(asked+"\n"+"input(message: 'Second')"), "basic", "u:t", "Content-Type", "text/xml"), 200)
	f.want(t, "start", as("u", "/job/j/buildWithParameters?delay=0sec", ""), 201)
	f.logged(t, "j", "Input requested\n")
	f.DenyAt(jenkinstest.Denial{User: "v", Permission: jenkinstest.PermCancel})
	const input = "/job/j/1/input/Ask/"
	refused := func(what string, r reply, text string) {
		t.Helper()
		if r.status != 400 || r.header.Get("X-Error") != text {
			t.Errorf("%s: %d %q, want 400 %q", what, r.status, r.header.Get("X-Error"), text)
		}
	}
	refused("not the submitter", as("v", input+"proceedEmpty", ""), "You need to be u,lead to submit this.")
	refused("nor may they abort", as("v", input+"abort", ""), "You need to be 'u,lead' to cancel this.")
	f.want(t, "the same through wfapi", as("v", "/job/j/1/wfapi/inputSubmit?inputId=Ask", "json={}"), 500)
	f.want(t, "an id that is none", as("u", "/job/j/1/input/ask/proceedEmpty", ""), 404)
	f.want(t, "an id that is none, through wfapi", as("u", "/job/j/1/wfapi/inputSubmit?inputId=ask", "json={}"), 500)
	f.want(t, "another verb", as("u", input+"other", ""), 404)
	f.want(t, "no form", as("u", input+"proceed", ""), 400)
	f.want(t, "no JSON", as("u", input+"proceed", "json={"), 500)
	f.want(t, "a parameter that is not asked for", as("u", input+"proceed", "json="+url.QueryEscape(`{"parameter":{"name":"X","value":"x"}}`)), 500)
	f.want(t, "a choice that is none", as("u", input+"proceed", "json="+url.QueryEscape(`{"parameter":{"name":"ENV","value":"test"}}`)), 500)
	f.want(t, "an answer", as("u", input+"proceedEmpty", ""), 200)
	refused("another, too late", as("u", input+"abort", ""), "This input has been already given")
	f.want(t, "another, too late, through wfapi", as("u", "/job/j/1/wfapi/inputSubmit?inputId=Ask", "json={}"), 500)
	f.logged(t, "j", "Second\nProceed or Abort\n")
	eventually(t, "the tick", clock.HasWaiters)
	clock.Step(time.Minute)
	eventually(t, "the end of the first question", func() bool { return as("u", input+"abort", "").status == 404 })

	f.DenyAt(jenkinstest.Denial{User: "v", Permission: jenkinstest.PermBuild})
	refused("without submitters, whoever may build", as("v", "/job/j/1/input/InputSecond/proceedEmpty", ""), "You need to have Job BUILD permissions to submit this.")
	clock.Step(30 * time.Second)
	if run := decode(t, f.do(t, "GET", "/job/j/1/wfapi/describe", "", "basic", "u:t")); run["pauseDurationMillis"] != 90_000.0 || run["status"] != "PAUSED_PENDING_INPUT" {
		t.Errorf("run = %v", run)
	}
	f.want(t, "abort", as("u", "/job/j/1/input/InputSecond/abort", ""), 200)
	if b := f.wait(t, "j"); b.Result != "ABORTED" || !strings.Contains(b.Log, "Rejected by u\n") {
		t.Errorf("%s\n%s", b.Result, b.Log)
	}
}
