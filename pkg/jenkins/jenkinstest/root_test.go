package jenkinstest_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestHeadersAndAddresses(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{ContextPath: "/ci", RootURL: "https://public.example.org/ci", Version: "2.531"})
	r := f.get(t, "/api/json")
	doc := decode(t, r)
	if doc["_class"] != "hudson.model.Hudson" || doc["url"] != "https://public.example.org/ci/" || doc["quietingDown"] != false {
		t.Errorf("root = %v", doc)
	}
	if r.header.Get("X-Jenkins") != "2.531" || len(r.header.Get("X-Jenkins-Session")) != 8 || r.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers = %v", r.header)
	}
	f.make(t, "f/My Job", "echo('x')\n")
	job := decode(t, f.get(t, "/job/F/job/my%20job/api/json")) // names are compared without case
	if job["name"] != "My Job" || job["fullName"] != "f/My Job" || job["url"] != "https://public.example.org/ci/job/f/job/My%20Job/" {
		t.Errorf("job = %v", job)
	}
	started := f.want(t, "start", f.post(t, "/job/f/job/My%20Job/buildWithParameters?delay=0sec"), 201)
	if want := f.url + "/queue/item/1/"; started.header.Get("Location") != want { // from the request's host
		t.Errorf("location = %s, want %s", started.header.Get("Location"), want)
	}
	f.want(t, "gojenkins' habit", f.get(t, "//job/f//job/My%20Job/api/json/api/json"), 200)
	f.want(t, "a malformed tree", f.get(t, "/api/json?tree=jobs["), 500)
	f.url = strings.TrimSuffix(f.url, "/ci")
	outside := f.get(t, "/api/json")
	if outside.status != 404 || outside.header.Get("X-Jenkins") != "" {
		t.Errorf("outside the context path: %d %v", outside.status, outside.header)
	}
}

func TestQuietDown(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{})
	f.make(t, "f/j", inPod("sh(script: 'x')"))
	f.want(t, "quiet down", f.post(t, "/quietDown"), 302)
	f.want(t, "a trigger is accepted", f.post(t, start, "EXECUTION_UID=a"), 201)
	if q := f.Queue(); len(q) != 1 || q[0].Why != "Jenkins is about to shut down" {
		t.Errorf("queue = %+v", q)
	}
	if doc := decode(t, f.get(t, "/api/json?tree=quietingDown")); doc["quietingDown"] != true {
		t.Errorf("root = %v", doc)
	}
	f.want(t, "cancel", f.post(t, "/cancelQuietDown"), 302)
	if b := f.wait(t, "f/j"); b.Result != "SUCCESS" {
		t.Errorf("build = %+v", b)
	}
}

func TestRootObject(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{User: "u", Token: "t", Crumbs: true})
	f.Server.SetAccount(jenkinstest.Account{Name: "v", Token: "t"})
	as := func(method, path, body string) reply {
		return f.do(t, method, path, body, "basic", "u:t", "Content-Type", "application/xml")
	}
	f.want(t, "create", as("POST", "/createItem?name=j", "<flow-definition/>"), 200)
	got := decode(t, as("GET", "/api/json", ""))
	want := map[string]any{
		"_class": "hudson.model.Hudson", "mode": "NORMAL", "nodeDescription": "the Jenkins controller's built-in node", "nodeName": "",
		"numExecutors": 0.0, "primaryView": map[string]any{}, "quietDownReason": nil, "quietingDown": false, "slaveAgentPort": 50000.0,
		"url": "http://jenkins.example:8080/", "useCrumbs": true, "useSecurity": true, "views": []any{},
		"jobs": []any{map[string]any{
			"_class": "org.jenkinsci.plugins.workflow.job.WorkflowJob", "name": "j", "url": "http://jenkins.example:8080/job/j/", "color": "notbuilt",
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("root (-want +got):\n%s", diff)
	}
	for path, want := range map[string]map[string]any{
		"/whoAmI/api/json": {
			"_class": "hudson.security.WhoAmI", "name": "u", "anonymous": false, "authenticated": true, "authorities": []any{"authenticated"},
		},
		"/me/api/json?tree=id": {"_class": "hudson.model.User", "id": "u"},
		"/computer/api/json?tree=computer[displayName]": {"_class": "hudson.model.ComputerSet", "computer": []any{
			map[string]any{"_class": "hudson.model.Hudson$MasterComputer", "displayName": "Built-In Node"},
		}},
	} {
		if diff := cmp.Diff(want, decode(t, as("GET", path, ""))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	if who := decode(t, f.get(t, "/whoAmI/api/json")); who["name"] != "anonymous" || who["anonymous"] != true {
		t.Errorf("nobody is %v", who)
	}
	if got := as("GET", "/pluginManager/api/json?tree=plugins[shortName]", "").body; !strings.Contains(got, `"pipeline-rest-api"`) {
		t.Errorf("plugins = %s", got)
	}
	f.Deny(jenkinstest.PermSystemRead)
	f.want(t, "plugins without SystemRead", as("GET", "/pluginManager/api/json", ""), 403)
	f.Deny(jenkinstest.PermOverallRead)
	if r := f.want(t, "without Overall/Read", as("GET", "/api/json", ""), 403); r.header.Get("X-Required-Permission") != "hudson.model.Hudson.Read" {
		t.Errorf("headers = %v", r.header)
	}
	f.want(t, "who is asking needs no permission", as("GET", "/whoAmI/api/json", ""), 200)
}

func TestHealth(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{User: "u", Token: "t"})
	if got := f.want(t, "health, without an account", f.get(t, "/health/"), 200).body; got != `{"failures":[],"status":true}` {
		t.Errorf("health = %s", got)
	}
	f.SetHealth("disk is full")
	if got := f.want(t, "health", f.get(t, "/health/"), 503).body; got != `{"failures":["disk is full"],"status":false}` {
		t.Errorf("health = %s", got)
	}
	f.want(t, "login, without an account", f.get(t, "/login"), 200)
	old := newFixture(t, jenkinstest.Options{Version: "2.504.3"})
	old.want(t, "health before 2.506", old.get(t, "/health/"), 404)
}

func TestValidateJenkinsfile(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{})
	for name, tc := range map[string]struct{ text, want string }{
		"declarative":                 {"pipeline {\n agent any // }\n stages { stage('}') { steps { echo \"{\" } } }\n}", `{"data":{"result":"success"},"status":"ok"}`},
		"scripted":                    {"node { echo 'pipeline' }", `{"data":{"errors":[{"error":["Jenkinsfile content did not contain the 'pipeline' step"]}],"result":"failure"},"status":"ok"}`},
		"without agent":               {"pipeline { stages { } }", `{"data":{"errors":[{"error":["Missing required section \"agent\" @ line 1, column 1."]}],"result":"failure"},"status":"ok"}`},
		"not closed":                  {"pipeline {\n agent any\n stages {", `{"data":{"errors":[{"error":["WorkflowScript: 3: expecting '}', found '' @ line 3"]}],"result":"failure"},"status":"ok"}`},
		"closed too often":            {"}", `{"data":{"errors":[{"error":["WorkflowScript: 1: unexpected token: } @ line 1"]}],"result":"failure"},"status":"ok"}`},
		"nothing":                     {"", `{"data":{"errors":[{"error":"No Jenkinsfile specified"}],"result":"failure"},"status":"ok"}`},
		"braces in comments and text": {"/* { */ pipeline { agent { label '''{''' }\n stages { } }", `{"data":{"result":"success"},"status":"ok"}`},
	} {
		r := f.post(t, "/pipeline-model-converter/validateJenkinsfile", "jenkinsfile="+url.QueryEscape(tc.text))
		if r.status != 200 || r.body != tc.want {
			t.Errorf("%s: %d %s, want %s", name, r.status, r.body, tc.want)
		}
	}
	f.want(t, "GET", f.get(t, "/pipeline-model-converter/validateJenkinsfile"), 405)
}

func TestSafeRestart(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{User: "u", Token: "t"})
	session := f.Session()
	post := func(path string) reply { return f.do(t, "POST", path, "", "basic", "u:t") }
	f.Deny(jenkinstest.PermManage)
	for _, path := range []string{"/quietDown", "/cancelQuietDown", "/safeRestart"} {
		f.want(t, path+" without Manage", post(path), 403)
		f.want(t, path+" by GET", f.do(t, "GET", path, "", "basic", "u:t"), 405)
	}
	f.Allow(jenkinstest.PermManage)
	f.want(t, "quiet down", post("/quietDown"), 302)
	f.want(t, "restart", post("/safeRestart"), 302)
	if doc := decode(t, f.do(t, "GET", "/api/json", "", "basic", "u:t")); f.Session() == session || doc["quietingDown"] != false {
		t.Errorf("session %s after %s, root %v", f.Session(), session, doc)
	}
}
