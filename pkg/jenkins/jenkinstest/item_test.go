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

func TestForms(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{})
	query := "?name=%s&mode=com.cloudbees.hudson.plugins.folder.Folder"
	r := f.want(t, "a folder, as a form in the query", f.post(t, fmt.Sprintf("/createItem"+query, "f")), 302)
	if want := f.url + "/job/f/configure"; r.header.Get("Location") != want {
		t.Errorf("location = %s, want %s", r.header.Get("Location"), want)
	}
	f.want(t, "a job, as a form in the body", f.post(t, "/job/f/createItem", "name=j", "mode=org.jenkinsci.plugins.workflow.job.WorkflowJob"), 302)
	f.want(t, "where that leads", f.get(t, "/job/f/job/j/configure"), 200)
	f.want(t, "a copy", f.post(t, "/job/f/createItem?name=copy&mode=copy&from=j"), 302)
	if jobs := f.Jobs(); len(jobs) != 2 {
		t.Errorf("jobs = %q", jobs)
	}
	for name, tc := range map[string]struct {
		got    reply
		xerror string
	}{
		"a copy of nothing":    {f.post(t, "/job/f/createItem?name=c&mode=copy&from=none"), "No such job: none"},
		"a type that is none":  {f.post(t, "/job/f/createItem?name=c&mode=x"), "No item type ?x? is known"},
		"no type":              {f.post(t, "/job/f/createItem?name=c"), "No mode given"},
		"no name at all":       {f.post(t, "/job/f/createItem?mode=copy"), "Query parameter 'name' is required"},
		"a control character":  {f.post(t, "/job/f/createItem?name=a%01b&mode=x"), "No control characters are allowed in ?a?b?"},
		"the folder around it": {f.post(t, "/job/f/createItem?name=..&mode=x"), "?..? is not an allowed name"},
	} {
		if tc.got.status != 400 || tc.got.header.Get("X-Error") != tc.xerror {
			t.Errorf("%s: %d %q, want %q", name, tc.got.status, tc.got.header.Get("X-Error"), tc.xerror)
		}
	}
	for _, c := range `?*/\%!@#$^&|<>[]:;` {
		if r := f.create(t, "", "a"+string(c), folderConfig); r.status != 400 || r.header.Get("X-Error") != "?"+string(c)+"? is an unsafe character" {
			t.Errorf("a name with %c: %d %q", c, r.status, r.header.Get("X-Error"))
		}
	}
	f.want(t, "a name that no directory can have", f.create(t, "", strings.Repeat("x", 256), folderConfig), 500)
	f.want(t, "a name with blanks around", f.create(t, "", " trimmed ", folderConfig), 200)
	f.want(t, "the name without", f.get(t, "/job/trimmed/api/json"), 200)

	f.want(t, "disable", f.post(t, "/job/f/job/j/disable"), 302)
	f.want(t, "a trigger", f.post(t, "/job/f/job/j/build"), 409)
	if config := f.get(t, "/job/f/job/j/config.xml").body; config != `<?xml version="1.1" encoding="UTF-8"?>`+"\n"+`<flow-definition plugin="double@1.0"/>` && !strings.Contains(config, "<disabled>true</disabled>") {
		t.Errorf("config = %s", config)
	}
	f.want(t, "enable", f.post(t, "/job/f/job/j/enable"), 302)
	f.want(t, "a trigger", f.post(t, "/job/f/job/j/build"), 201)
	f.want(t, "disable by GET", f.get(t, "/job/f/job/j/disable"), 405)
}

func TestConfigIsVersion11(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{})
	config := func(version, text string) string {
		return "<?xml version='" + version + "' encoding='UTF-8'?><flow-definition><description>" + text + "</description></flow-definition>"
	}
	f.want(t, "a control character in 1.0", f.create(t, "", "a", config("1.0", "&#x1;")), 500)
	f.want(t, "a control character in 1.1", f.create(t, "", "a", config("1.1", "&#x1;&#31;&#x1F;")), 200)
	if doc := decode(t, f.get(t, "/job/a/api/json?tree=description")); doc["description"] != "\x01\x1f\x1f" {
		t.Errorf("description = %q", doc["description"])
	}
	f.want(t, "NUL in 1.1", f.create(t, "", "b", config("1.1", "&#0;")), 500)
	f.want(t, "a noncharacter", f.create(t, "", "b", config("1.1", "\uFFFE")), 500)
	latin := strings.Replace(config("1.0", "\xe9"), "UTF-8", "ISO-8859-1", 1)
	f.want(t, "another charset", f.create(t, "", "b", latin), 200)
	if doc := decode(t, f.get(t, "/job/b/api/json?tree=description")); doc["description"] != "é" {
		t.Errorf("description = %q", doc["description"])
	}
	f.want(t, "two roots", f.create(t, "", "c", "<flow-definition/><flow-definition/>"), 500)
	secret := config("1.1", "{AQAAABAAAAAQk3Zp0Vv0kzXkzqyy+abcdefgh==}")
	f.want(t, "a secret", f.create(t, "", "d", secret), 200)
	if got := f.get(t, "/job/d/config.xml").body; !strings.Contains(got, "{AQAA") {
		t.Errorf("with Configure: %s", got)
	}
	f.Deny(jenkinstest.PermConfigure)
	if got := f.get(t, "/job/d/config.xml").body; strings.Contains(got, "{AQAA") || !strings.Contains(got, "********") {
		t.Errorf("without Configure: %s", got)
	}
	f.Deny(jenkinstest.PermExtendedRead)
	f.want(t, "without ExtendedRead", f.get(t, "/job/d/config.xml"), 403)
}

func TestJobObject(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{})
	const params = `<flow-definition><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>` +
		`<hudson.model.StringParameterDefinition><name>S</name><defaultValue>d</defaultValue></hudson.model.StringParameterDefinition>` +
		`<hudson.model.BooleanParameterDefinition><name>B</name><defaultValue>true</defaultValue></hudson.model.BooleanParameterDefinition>` +
		`<hudson.model.ChoiceParameterDefinition><name>C</name><choices class="java.util.Arrays$ArrayList"><a class="string-array"><string>dev</string><string>prod</string></a></choices></hudson.model.ChoiceParameterDefinition>` +
		`<com.example.OddParameterDefinition><name>X</name></com.example.OddParameterDefinition>` +
		`</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties></flow-definition>`
	f.want(t, "create", f.create(t, "", "j", params), 200)
	got := decode(t, f.get(t, "/job/j/api/json?tree=buildable,disabled,inQueue,nextBuildNumber,lastBuild[number],property[parameterDefinitions[name,type,choices,defaultParameterValue[value]]]"))
	def := func(kind, name string, value any, choices ...any) map[string]any {
		class := kind
		if kind == "Choice" {
			class = "String"
		}
		m := map[string]any{
			"_class": "hudson.model." + kind + "ParameterDefinition", "name": name, "type": kind + "ParameterDefinition",
			"defaultParameterValue": map[string]any{"_class": "hudson.model." + class + "ParameterValue", "value": value},
		}
		if choices != nil {
			m["choices"] = choices
		}
		return m
	}
	want := map[string]any{
		"_class": "org.jenkinsci.plugins.workflow.job.WorkflowJob", "buildable": true, "disabled": false, "inQueue": false, "nextBuildNumber": 1.0,
		"lastBuild": nil, "property": []any{map[string]any{
			"_class":               "hudson.model.ParametersDefinitionProperty",
			"parameterDefinitions": []any{def("String", "S", "d"), def("Boolean", "B", true), def("Choice", "C", "dev", "dev", "prod")},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("job (-want +got):\n%s", diff)
	}
	for i := range 103 {
		f.want(t, "start", f.post(t, "/job/j/buildWithParameters?delay=0sec", fmt.Sprintf("S=%d", i)), 201)
	}
	eventually(t, "all builds", func() bool {
		return strings.Count(f.get(t, "/job/j/api/json?tree=allBuilds[result]").body, `"result":"FAILURE"`) == 103
	})
	numbers := func(tree string) []any { // of the builds it names
		var all []any
		for _, list := range decode(t, f.get(t, "/job/j/api/json?tree="+tree)) {
			if builds, ok := list.([]any); ok {
				for _, b := range builds {
					all = append(all, b.(map[string]any)["number"])
				}
			}
		}
		return all
	}
	for tree, want := range map[string][]any{
		"builds[number]{0,3}": {103.0, 102.0, 101.0}, "builds[number]{98,}": {5.0, 4.0}, "builds[number]{2}": {101.0}, "allBuilds[number]{100,}": {3.0, 2.0, 1.0},
		"builds[number]{,1}": {103.0}, "builds[number]{200,300}": nil,
	} {
		if diff := cmp.Diff(want, numbers(tree)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tree, diff)
		}
	}
	if n := len(numbers("builds[number]")); n != 100 {
		t.Errorf("%d builds, want the newest 100", n)
	}
}

// What is deleted takes with it what waits, runs, and is about to.
func TestDeletionOfAFolder(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), Clock: clock, LeftTick: time.Minute})
	f.make(t, "f/j", inPod("sh(script: 'hang')"))
	f.want(t, "credential", f.do(t, "POST", "/job/f/credentials/store/folder/domain/_/createCredentials", secretText("a", "x"), "Content-Type", "text/xml"), 200)
	f.want(t, "start", f.post(t, start, "EXECUTION_UID=a"), 201)
	eventually(t, "the tick", clock.HasWaiters)
	f.want(t, "delete by GET", f.get(t, "/job/f/doDelete"), 405)
	if r := f.want(t, "delete", f.post(t, "/job/f/doDelete"), 302); r.header.Get("Location") != f.url+"/" {
		t.Errorf("location = %s", r.header.Get("Location"))
	}
	clock.Step(time.Minute)
	eventually(t, "the end of the tick", func() bool { return !clock.HasWaiters() })
	if snap := f.Snapshot(false); len(snap.Jobs)+len(snap.Folders)+len(snap.Builds)+len(snap.Queue)+len(snap.Credentials) > 0 || len(s.scripts()) > 0 {
		t.Errorf("left: %+v, run %q", snap, s.scripts())
	}
}
