package jenkinstest_test

import (
	"strings"
	"testing"

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
