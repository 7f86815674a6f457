package jenkinstest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func newRemote(t *testing.T, f *fixture) jenkinstest.Remote {
	t.Helper()
	control := httptest.NewServer(f.Control("secret"))
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); control.Close() })
	return jenkinstest.Remote{URL: control.URL, Secret: "secret", HTTP: &http.Client{Transport: transport}}
}

func TestControl(t *testing.T) {
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), User: "u", Token: "t"})
	r := newRemote(t, f)
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	get := func(path, basic string) int { return f.do(t, "GET", path, "", "basic", basic).status }

	ok(r.SetAccount(ctx, jenkinstest.Account{Name: "u", Token: "rotated"}))
	f.want(t, "the old token", f.do(t, "GET", "/api/json", "", "basic", "u:t"), 401)
	as := func(method, path, body, ctype string) reply {
		return f.do(t, method, path, body, "basic", "u:rotated", "Content-Type", ctype)
	}
	f.want(t, "folder", as("POST", "/createItem?name=f", folderConfig, "application/xml"), 200)
	config := configOf(inPod("sh(script: 'hang')"))
	f.want(t, "job", as("POST", "/job/f/createItem?name=j", config, "application/xml"), 200)
	f.want(t, "start", as("POST", start, "EXECUTION_UID=a", "application/x-www-form-urlencoded"), 201)
	eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })

	ok(r.SetResult(ctx, "f/j", 1, "UNSTABLE"))
	if b := f.Builds()[0]; b.Result != "UNSTABLE" || !b.Building {
		t.Errorf("build = %+v", b)
	}
	ok(r.AppendLog(ctx, "f/j", 1, "from outside\n"))
	snap, err := r.Snapshot(ctx, true)
	ok(err)
	if diff := cmp.Diff(f.Snapshot(true), snap); diff != "" || len(snap.Builds) != 1 || !strings.Contains(snap.Builds[0].Log, "from outside\n") {
		t.Errorf("snapshot (-direct +remote):\n%s", diff)
	}
	if snap, err = r.Snapshot(ctx, false); err != nil || snap.Builds[0].Log != "" {
		t.Errorf("a snapshot without logs has one: %v", err)
	}
	got, err := r.Config(ctx, "f/j")
	ok(err)
	if got != config {
		t.Errorf("config = %q", got)
	}
	requests, err := r.Requests(ctx)
	ok(err)
	if want := "POST " + start; len(requests) != 4 || requests[3] != want {
		t.Errorf("requests = %q, want 4 and %s last", requests, want)
	}

	ok(r.Spoil(ctx, jenkinstest.Fault{Path: "/job/f", Status: 502, Skip: 1, Delay: time.Nanosecond}))
	if a, b, c := get("/job/f/api/json", "u:rotated"), get("/job/f/api/json", "u:rotated"), get("/job/f/api/json", "u:rotated"); a != 200 || b != 502 || c != 200 {
		t.Errorf("statuses = %d %d %d, want the second spoilt", a, b, c)
	}
	ok(r.Spoil(ctx, jenkinstest.Fault{Status: 502, Times: -1}))
	ok(r.Mend(ctx))
	d := jenkinstest.Denial{User: "u", Item: "f", Permission: jenkinstest.PermRead}
	ok(r.DenyAt(ctx, d))
	if a, b := get("/job/f/api/json", "u:rotated"), get("/api/json", "u:rotated"); a != 404 || b != 200 {
		t.Errorf("statuses = %d %d, want the folder alone hidden", a, b)
	}
	ok(r.AllowAt(ctx, d))
	ok(r.SetQuiet(ctx, true))
	if doc := decode(t, as("GET", "/api/json", "", "")); doc["quietingDown"] != true {
		t.Errorf("root = %v", doc)
	}
	ok(r.SetQuiet(ctx, false))
	ok(r.SetBroken(ctx, true))
	if got := get("/api/json", "u:rotated"); got != 503 {
		t.Errorf("a broken Jenkins answers %d", got)
	}
	ok(r.SetBroken(ctx, false))
	ok(r.SetDown(ctx, true))
	if resp, err := f.client.Get(f.url); err == nil {
		resp.Body.Close()
		t.Error("a Jenkins that is down answers")
	}
	ok(r.SetDown(ctx, false))
	lost, err := r.Restart(ctx, jenkinstest.RestartOptions{LoseBuilds: true})
	ok(err)
	if len(lost) != 1 || lost[0].Job != "f/j" || f.Session() == snap.Session {
		t.Errorf("lost %v, session %s after %s", lost, f.Session(), snap.Session)
	}
}

func TestControlIsClosedToStrangers(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{})
	for name, tc := range map[string]struct{ secret, given string }{
		"a wrong secret":          {"secret", "Bearer other"},
		"no secret":               {"secret", ""},
		"a double without secret": {"", "Bearer "},
	} {
		w := httptest.NewRecorder()
		req := httptest.NewRequest("GET", "/state", nil)
		req.Header.Set("Authorization", tc.given)
		f.Control(tc.secret).ServeHTTP(w, req)
		if w.Code != 401 || strings.Contains(w.Body.String(), "Session") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	f.want(t, "Jenkins itself has no control", f.get(t, "/state"), 404)
	r := newRemote(t, f)
	for name, body := range map[string]string{
		"an unknown field": `{"Statsu":502}`, "a duration without unit": `{"Delay":"5"}`, "no JSON": `x`, "two values": `{} {}`,
	} {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", r.URL+"/faults", strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer secret")
		resp, err := r.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 400 {
			t.Errorf("%s: %d, want 400", name, resp.StatusCode)
		}
	}
}
