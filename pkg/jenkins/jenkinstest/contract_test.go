package jenkinstest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func decode(t *testing.T, r reply) map[string]any {
	t.Helper()
	if ct := r.header.Get("Content-Type"); r.status != 200 || !strings.HasPrefix(ct, "application/json") {
		t.Fatalf("status %d, type %s, want JSON:\n%s", r.status, ct, r.body)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(r.body), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

const start = "/job/f/job/j/buildWithParameters?delay=0sec"

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

func TestANodeWaitsInTheQueue(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{Agents: &slowAgents{}})
	f.run(t, "f/j", inPod("sh(script: 'x')"))
	eventually(t, "the placeholder", func() bool { return len(f.Queue()) == 1 })
	items := decode(t, f.get(t, "/queue/api/json?tree=items[id,why,task[_class,url]]"))["items"].([]any)
	task := items[0].(map[string]any)["task"].(map[string]any)
	if task["url"] != "job/f/job/j/1/" || !strings.HasSuffix(task["_class"].(string), "PlaceholderTask") {
		t.Errorf("task = %v", task)
	}
	f.want(t, "cancel", f.post(t, fmt.Sprintf("/queue/cancelItem?id=%d", f.Queue()[0].ID)), 204)
	if b := f.wait(t, "f/j"); b.Result != "ABORTED" || !strings.Contains(b.Log, "Queue task was cancelled\n") {
		t.Errorf("build = %+v", b)
	}
}

func TestAccounts(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{User: "u", Token: "tok", Password: "pw", Crumbs: true})
	create := func(header ...string) reply {
		return f.do(t, "POST", "/createItem?name=f", folderConfig, append([]string{"Content-Type", "application/xml"}, header...)...)
	}
	const password, token = "u:pw", "u:tok"
	r := f.get(t, "/api/json")
	if r.status != 403 || r.header.Get("X-Jenkins") == "" {
		t.Errorf("nobody: %d", r.status)
	}
	if r := f.do(t, "GET", "/api/json", "", "basic", "u:wrong"); r.status != 401 || r.header.Get("WWW-Authenticate") != `Basic realm="Jenkins"` {
		t.Errorf("a wrong password: %d %v", r.status, r.header)
	}
	if r := create("basic", password); r.status != 403 || !strings.Contains(r.body, "No valid crumb was included in the request") {
		t.Errorf("without a crumb: %d %s", r.status, r.body)
	}
	crumb := f.do(t, "GET", "/crumbIssuer/api/json/api/json", "", "basic", password)
	doc := decode(t, crumb)
	cookie, attributes, _ := strings.Cut(crumb.header.Get("Set-Cookie"), ";")
	if doc["crumbRequestField"] != "Jenkins-Crumb" || len(doc["crumb"].(string)) != 64 || attributes != "Path=/;HttpOnly" {
		t.Errorf("crumb = %v, cookie %s", doc, crumb.header.Get("Set-Cookie"))
	}
	f.want(t, "a crumb without its session", create("basic", password, "Jenkins-Crumb", doc["crumb"].(string)), 403)
	f.want(t, "a crumb of another user", create("Jenkins-Crumb", doc["crumb"].(string), "Cookie", cookie), 403)
	f.want(t, "a crumb", create("basic", password, "Jenkins-Crumb", doc["crumb"].(string), "Cookie", cookie), 200)
	f.want(t, "DELETE needs none", f.do(t, "DELETE", "/job/f/", "", "basic", password), 204)
	f.want(t, "nor does an API token", create("basic", token), 200)
	f.Restart(jenkinstest.RestartOptions{})
	f.want(t, "a crumb of the time before", create("basic", password, "Jenkins-Crumb", doc["crumb"].(string), "Cookie", cookie), 403)

	f.Deny("hudson.model.Item.Create")
	if r := create("basic", token); r.status != 403 || r.header.Get("X-Required-Permission") != "hudson.model.Item.Create" || r.header.Get("X-You-Are-Authenticated-As") != "u" {
		t.Errorf("without a permission: %d %v", r.status, r.header)
	}
	f.Allow("hudson.model.Item.Create")
	f.Deny("hudson.model.Item.Read")
	f.want(t, "what may not be seen", f.do(t, "GET", "/job/f/api/json", "", "basic", token), 404)
}

func TestProgressiveLogs(t *testing.T) {
	const note = "\x1b[8mha:////"
	for version, tc := range map[string]struct {
		size  func(raw, lines int) int
		notes bool
	}{
		"2.401.3": {func(_, lines int) int { return lines }, false},
		"2.516.3": {func(raw, _ int) int { return raw }, true},
	} {
		t.Run(version, func(t *testing.T) {
			s := &steps{}
			f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), Version: version})
			f.run(t, "f/j", inPod("sh(script: 'hang')"))
			eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
			base := 0 // raw length of what is there already
			_, _ = fmt.Sscan(f.get(t, "/job/f/job/j/1/logText/progressiveHtml").header.Get("X-Text-Size"), &base)
			f.AppendLog("f/j", 1, "a < b\n"+note+"AAAA\x1b[0mnoted\nunfinished")
			lines := base + len("a < b\n"+note+"AAAA\x1b[0mnoted\n")
			text := f.get(t, fmt.Sprintf("/job/f/job/j/1/logText/progressiveText/?start=%d", base))
			want := "a < b\r\nnoted\r\n"
			if tc.notes {
				want = "a < b\r\n" + note + "AAAA\x1b[0mnoted\r\n"
			}
			if diff := cmp.Diff(want, text.body); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if got, want := text.header.Get("X-Text-Size"), fmt.Sprint(tc.size(lines+len("unfinished"), lines)); got != want || text.header.Get("X-More-Data") != "true" {
				t.Errorf("size = %s, want %s, more %q", got, want, text.header.Get("X-More-Data"))
			}
			html := f.get(t, fmt.Sprintf("/job/f/job/j/1/logText/progressiveHtml?start=%d", base))
			if want := "a &lt; b\r\n<span class=\"pipeline-new-node\" nodeId=\"3\" enclosingId=\"2\">noted</span>\r\n"; html.body != want || html.header.Get("X-Text-Size") != fmt.Sprint(lines) {
				t.Errorf("html = %q, size %s", html.body, html.header.Get("X-Text-Size"))
			}
			f.post(t, "/job/f/job/j/1/stop")
			f.wait(t, "f/j")
			rest := f.get(t, fmt.Sprintf("/job/f/job/j/1/logText/progressiveText?start=%d", lines))
			if !strings.HasPrefix(rest.body, "unfinishedAborted by anonymous\r\n") || rest.header.Get("X-More-Data") != "" {
				t.Errorf("the rest = %q, more %q", rest.body, rest.header.Get("X-More-Data"))
			}
			again := f.get(t, "/job/f/job/j/1/logText/progressiveText?start=999999")
			if !strings.HasPrefix(again.body, "Started by user anonymous\r\n") {
				t.Errorf("beyond the end = %q", again.body)
			}
		})
	}
}

func TestLongLogOfARunningBuildIsCapped(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run)})
	f.run(t, "f/j", inPod("sh(script: 'hang')"))
	eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
	f.AppendLog("f/j", 1, strings.Repeat("x\n", 25_000))
	r := f.get(t, "/job/f/job/j/1/logText/progressiveText")
	if n := strings.Count(r.body, "\n"); n != 10_000 {
		t.Errorf("%d lines, want 10000", n)
	}
}

func TestStagesOfBothPlugins(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), ContextPath: "/ci"})
	f.run(t, "f/j", inPod(stage("a", "parallel('x': {\n"+stage("x", "sh(script: 'exit 1')")+"})")))
	f.wait(t, "f/j")
	run := decode(t, f.get(t, "/job/f/job/j/1/wfapi/describe"))
	if run["status"] != "FAILED" || len(run["stages"].([]any)) != 2 {
		t.Fatalf("run = %v", run)
	}
	x := run["stages"].([]any)[1].(map[string]any)
	wantErr := map[string]any{"message": "script returned exit code 1", "type": "hudson.AbortException"}
	if diff := cmp.Diff(wantErr, x["error"]); diff != "" || x["status"] != "FAILED" || x["name"] != "x" {
		t.Errorf("stage = %v", x)
	}
	if href := fmt.Sprint(x["_links"]); !strings.Contains(href, "/ci/job/f/job/j/1/execution/node/") {
		t.Errorf("links = %s", href)
	}
	if runs := f.get(t, "/job/f/job/j/wfapi/runs?fullStages=true"); !strings.HasPrefix(runs.body, "[{") {
		t.Errorf("runs = %s", runs.body)
	}
	tree := f.get(t, "/job/f/job/j/1/stages/tree").body
	for _, want := range []string{`"complete":true`, `"name":"a"`, `"type":"PARALLEL"`, `"state":"failure"`} {
		if !strings.Contains(tree, want) {
			t.Errorf("tree lacks %s: %s", want, tree)
		}
	}
	bare := newFixture(t, jenkinstest.Options{NoStageREST: true, NoGraphView: true})
	bare.run(t, "f/j", "echo('x')\n")
	bare.wait(t, "f/j")
	for _, path := range []string{"wfapi/describe", "stages/tree", "stages/pauseState"} {
		bare.want(t, path, bare.get(t, "/job/f/job/j/1/"+path), 404)
	}
}

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

func TestFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		fault jenkinstest.Fault
		done  bool // the request took effect
		check func(*http.Response, error) bool
	}{
		"dropped before": {jenkinstest.Fault{DropBefore: true}, false, func(_ *http.Response, err error) bool { return err != nil }},
		"dropped after":  {jenkinstest.Fault{DropAfter: true}, true, func(_ *http.Response, err error) bool { return err != nil }},
		"status":         {jenkinstest.Fault{Status: 502}, false, func(r *http.Response, _ error) bool { return r.StatusCode == 502 && r.Header.Get("X-Jenkins") == "" }},
		"a page":         {jenkinstest.Fault{HTML: true}, false, func(r *http.Response, _ error) bool { return r.StatusCode == 200 && r.Header.Get("X-Jenkins") == "" }},
		"crumb":          {jenkinstest.Fault{Crumb: true}, false, func(r *http.Response, _ error) bool { return r.StatusCode == 403 }},
		"drip":           {jenkinstest.Fault{Drip: time.Nanosecond}, true, func(r *http.Response, err error) bool { return r.StatusCode == 200 }},
		"delay":          {jenkinstest.Fault{Delay: time.Nanosecond}, true, func(r *http.Response, err error) bool { return r.StatusCode == 200 }},
		"of another":     {jenkinstest.Fault{Path: "/other", Status: 500}, true, func(r *http.Response, err error) bool { return r.StatusCode == 200 }},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, jenkinstest.Options{})
			f.Spoil(tc.fault)
			resp, err := f.client.Post(f.url+"/createItem?name=f", "application/xml", strings.NewReader(folderConfig))
			if err == nil {
				resp.Body.Close()
			}
			if !tc.check(resp, err) {
				t.Errorf("answer = %v, %v", resp, err)
			}
			if got := len(f.Folders()) == 1; got != tc.done {
				t.Errorf("took effect: %t, want %t", got, tc.done)
			}
			f.Mend()
			f.want(t, "afterwards", f.get(t, "/api/json"), 200)
			f.SetDown(true)
			if resp, err := f.client.Get(f.url + "/api/json"); err == nil {
				resp.Body.Close()
				t.Error("an answer while Jenkins is down")
			}
			f.SetDown(false)
			f.want(t, "up again", f.get(t, "/api/json"), 200)
		})
	}
}
