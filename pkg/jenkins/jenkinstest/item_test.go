package jenkinstest_test

import (
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestCreatingAndChangingJobs(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{})
	config := configOf("echo('é')\n")
	f.want(t, "create folder", f.create(t, "", "f", folderConfig), 200)
	if r := f.want(t, "create job", f.create(t, "/job/f", "j", config), 200); r.body != "" {
		t.Errorf("body = %q, want none", r.body)
	}
	for name, tc := range map[string]struct {
		got    reply
		status int
		xerror string
	}{
		"exists, whatever its case": {f.create(t, "/job/f", "J", config), 400, "A job already exists with the name ?J?"},
		"unsafe name":               {f.create(t, "/job/f", "a/b", config), 400, "?/? is an unsafe character"},
		"trailing dot":              {f.create(t, "/job/f", "a.", config), 400, "A name cannot end with ?.?"},
		"no name":                   {f.create(t, "/job/f", "", config), 400, "No name is specified"},
		"no content type":           {f.do(t, "POST", "/job/f/createItem?name=x", config), 400, "No Content-Type header set"},
		"unknown root":              {f.create(t, "/job/f", "x", "<nonsense/>"), 500, ""},
		"malformed":                 {f.create(t, "/job/f", "x", "<flow-definition>"), 500, ""},
		"folder is not there":       {f.create(t, "/job/g", "x", config), 404, ""},
		"GET":                       {f.get(t, "/job/f/createItem?name=x"), 405, ""},
	} {
		if tc.got.status != tc.status || tc.got.header.Get("X-Error") != tc.xerror || !strings.HasPrefix(tc.got.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %q %s", name, tc.got.status, tc.got.header.Get("X-Error"), tc.got.header.Get("Content-Type"))
		}
	}
	saved := f.want(t, "read config", f.get(t, "/job/f/job/j/config.xml"), 200)
	if !strings.HasPrefix(saved.body, `<?xml version="1.1" encoding="UTF-8"?>`) || !strings.Contains(saved.body, `plugin=`) || !strings.Contains(saved.body, "&apos;é&apos;") {
		t.Errorf("config = %s", saved.body)
	}
	update := func(ctype string) string {
		f.want(t, "update", f.do(t, "POST", "/job/f/job/j/config.xml", config, "Content-Type", ctype), 200)
		return f.get(t, "/job/f/job/j/config.xml").body
	}
	if got := update("text/xml"); !strings.Contains(got, "Ã©") {
		t.Errorf("without a charset the body is not read as ISO-8859-1:\n%s", got)
	}
	if got := update("text/xml;charset=utf-8"); !strings.Contains(got, "&apos;é&apos;") {
		t.Errorf("with a charset:\n%s", got)
	}
	f.want(t, "update to another class", f.do(t, "POST", "/job/f/job/j/config.xml", folderConfig, "Content-Type", "text/xml"), 500)
	f.want(t, "PUT", f.do(t, "PUT", "/job/f/job/j/config.xml", config), 400)
	f.want(t, "delete", f.do(t, "DELETE", "/job/f/job/j/", ""), 204)
	f.want(t, "delete again", f.do(t, "DELETE", "/job/f/job/j/", ""), 404)
	f.want(t, "delete as a form", f.post(t, "/job/f/doDelete"), 302)
	f.want(t, "folder is gone", f.get(t, "/job/f/api/json"), 404)
}

func TestDeletionInterruptsBuilds(t *testing.T) {
	block := make(chan struct{})
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	f := newFixture(t, jenkinstest.Options{Agents: blockingAgents{block}, Clock: clock})
	f.run(t, "f/j", inPod("sh(script: 'x')"))
	f.logged(t, "f/j", "[Pipeline] sh\n")
	f.want(t, "another waits", f.post(t, start, "EXECUTION_UID=2"), 201)
	deleted := make(chan reply, 1)
	go func() { deleted <- f.do(t, "DELETE", "/job/f/job/j/", "") }()
	f.logged(t, "f/j", "Sending interrupt signal to process\n")
	f.want(t, "delete twice", f.do(t, "DELETE", "/job/f/job/j/", ""), 400)
	eventually(t, "both timers", func() bool { return clock.Waiters() >= 2 })
	clock.Step(15 * time.Second)
	if r := <-deleted; r.status != 400 || r.header.Get("X-Error") != "Failed to interrupt and stop 1 build of f/j" {
		t.Errorf("delete = %d %s", r.status, r.header.Get("X-Error"))
	}
	if q := f.Queue(); len(q) > 0 {
		t.Errorf("queue = %+v, want it cancelled", q)
	}
	close(block)
	f.wait(t, "f/j")
	f.want(t, "delete", f.do(t, "DELETE", "/job/f/job/j/", ""), 204)
}
