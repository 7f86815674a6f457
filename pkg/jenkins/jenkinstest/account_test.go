package jenkinstest_test

import (
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

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

func TestCrumbs(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	f := newFixture(t, jenkinstest.Options{User: "u", Password: "pw", Crumbs: true, ContextPath: "/ci", SessionTimeout: time.Hour, Clock: clock})
	f.SetAccount(jenkinstest.Account{Name: "v", Password: "pw"})
	r := f.do(t, "GET", "/crumbIssuer/api/json/api/json", "", "basic", "u:pw")
	doc := decode(t, r)
	crumb, _ := doc["crumb"].(string)
	if doc["_class"] != "hudson.security.csrf.DefaultCrumbIssuer" || len(crumb) != 64 || doc["crumbRequestField"] != "Jenkins-Crumb" {
		t.Errorf("crumb = %v", doc)
	}
	set := r.header.Get("Set-Cookie")
	cookie, attributes, _ := strings.Cut(set, ";")
	if name, _, _ := strings.Cut(cookie, "="); !strings.HasPrefix(name, "JSESSIONID.") || attributes != "Path=/ci;HttpOnly" {
		t.Errorf("cookie = %s", set)
	}
	quiet := func(user string, more ...string) int {
		return f.do(t, "POST", "/quietDown", "", append([]string{"basic", user}, more...)...).status
	}
	if got := quiet("u:pw", "Cookie", cookie, "Jenkins-Crumb", crumb); got != 302 {
		t.Errorf("in a header: %d", got)
	}
	form := f.do(t, "POST", "/cancelQuietDown", "Jenkins-Crumb="+crumb, "basic", "u:pw", "Cookie", cookie, "Content-Type", "application/x-www-form-urlencoded")
	f.want(t, "in the form", form, 302)
	if got := quiet("v:pw", "Cookie", cookie, "Jenkins-Crumb", crumb); got != 403 {
		t.Errorf("of another user: %d", got)
	}
	if r := f.do(t, "GET", "/crumbIssuer/api/json", "", "basic", "u:pw", "Cookie", cookie); r.header.Get("Set-Cookie") != "" || !strings.Contains(r.body, crumb) {
		t.Errorf("a session that goes on has another crumb: %s", r.body)
	}
	clock.Step(2 * time.Hour)
	if got := quiet("u:pw", "Cookie", cookie, "Jenkins-Crumb", crumb); got != 403 {
		t.Errorf("of a session that was idle too long: %d", got)
	}
	off := newFixture(t, jenkinstest.Options{User: "u", Password: "pw"})
	off.want(t, "no protection, no crumbs", off.do(t, "GET", "/crumbIssuer/api/json", "", "basic", "u:pw"), 404)
	off.want(t, "nor are they needed", off.do(t, "POST", "/quietDown", "", "basic", "u:pw"), 302)
}

func TestPermissions(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	s := &steps{}
	f := newFixture(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(s.run), User: "u", Token: "t", Accounts: []jenkinstest.Account{{Name: "v", Token: "t"}}})
	as := func(user, method, path, body, ctype string) reply {
		return f.do(t, method, path, body, "basic", user+":t", "Content-Type", ctype)
	}
	for _, name := range []string{"f", "g"} {
		f.want(t, "folder", as("u", "POST", "/createItem?name="+name, folderConfig, "text/xml"), 200)
		f.want(t, "job", as("u", "POST", "/job/"+name+"/createItem?name=j", configOf(inPod("sh(script: 'hang')")), "text/xml"), 200)
	}
	f.want(t, "start", as("u", "POST", start, "EXECUTION_UID=a", form), 201)
	eventually(t, "the step", func() bool { return len(s.scripts()) == 1 })
	f.want(t, "start another", as("u", "POST", start, "EXECUTION_UID=b", form), 201)

	for name, tc := range map[string]struct {
		permission, method, path, body, ctype string
		status                                int
	}{
		"createItem":           {jenkinstest.PermCreate, "POST", "/job/f/createItem?name=x", "<flow-definition/>", "text/xml", 403},
		"read config.xml":      {jenkinstest.PermConfigure, "POST", "/job/f/job/j/config.xml", "<flow-definition/>", "text/xml", 403},
		"build":                {jenkinstest.PermBuild, "POST", start, "EXECUTION_UID=c", form, 403},
		"stop":                 {jenkinstest.PermCancel, "POST", "/job/f/job/j/1/stop", "", form, 403},
		"pause":                {jenkinstest.PermCancel, "POST", "/job/f/job/j/1/pause/toggle", "", form, 403},
		"cancelItem":           {jenkinstest.PermCancel, "POST", "/queue/cancelItem?id=3", "", form, 422},
		"delete a job":         {jenkinstest.PermDelete, "DELETE", "/job/f/job/j/", "", form, 403},
		"delete a build":       {jenkinstest.PermRunDelete, "POST", "/job/f/job/j/1/doDelete", "", form, 403},
		"describe a build":     {jenkinstest.PermRunUpdate, "POST", "/job/f/job/j/1/submitDescription", "description=x", form, 403},
		"make a credential":    {jenkinstest.PermCredentialsCreate, "POST", "/job/f/credentials/store/folder/domain/_/createCredentials", secretText("a", "s"), "text/xml", 403},
		"list the credentials": {jenkinstest.PermCredentialsView, "GET", "/job/f/credentials/store/folder/domain/_/api/json", "", "", 403},
	} {
		d := jenkinstest.Denial{User: "v", Item: "f", Permission: tc.permission}
		f.DenyAt(d)
		r := as("v", tc.method, tc.path, tc.body, tc.ctype)
		if r.status != tc.status || tc.status == 403 && (r.header.Get("X-Required-Permission") != tc.permission || r.header.Get("X-You-Are-Authenticated-As") != "v" || r.header.Get("X-Permission-Implied-By") == "") {
			t.Errorf("%s: %d %v", name, r.status, r.header)
		}
		f.AllowAt(d)
	}
	f.want(t, "in another folder, nothing changed", as("v", "GET", "/job/g/job/j/config.xml", "", ""), 200)

	read, know := jenkinstest.Denial{Item: "F", Permission: jenkinstest.PermRead}, jenkinstest.Denial{Item: "f", Permission: jenkinstest.PermDiscover}
	f.DenyAt(read) // of everybody, and names are compared without case
	for path, status := range map[string]int{
		"/job/f/api/json": 404, "/job/f/job/j/api/json": 404, "/job/f/job/j/1/api/json": 404, "/queue/item/3/api/json": 404,
		"/job/f/job/j/1/wfapi/describe": 404, "/job/g/job/j/api/json": 200,
	} {
		f.want(t, path, as("v", "GET", path, "", ""), status)
	}
	f.want(t, "what is not seen cannot be cancelled", as("v", "POST", "/queue/cancelItem?id=3", "", form), 404)
	if root := as("v", "GET", "/api/json?tree=jobs[name]", "", "").body; strings.Contains(root, `"f"`) || !strings.Contains(root, `"g"`) {
		t.Errorf("root = %s", root)
	}
	if q := as("v", "GET", "/queue/api/json?tree=items[id]", "", "").body; strings.Contains(q, `"id"`) {
		t.Errorf("queue = %s", q)
	}
	f.want(t, "the name is still taken", as("v", "POST", "/createItem?name=f", folderConfig, "text/xml"), 400)
	f.AllowAt(know)
	if r := f.want(t, "what one may know of", as("v", "GET", "/job/f/api/json", "", ""), 403); r.header.Get("X-Required-Permission") != jenkinstest.PermRead {
		t.Errorf("headers = %v", r.header)
	}
	f.want(t, "its item in the queue", as("v", "GET", "/queue/item/3/api/json", "", ""), 200)
	if q := as("v", "GET", "/queue/api/json?tree=discoverableItems[task[name]]", "", "").body; !strings.Contains(q, `"name":"j"`) {
		t.Errorf("queue = %s", q)
	}
	f.DenyAt(know)
	f.AllowAt(read)
	f.want(t, "given back", as("v", "GET", "/job/f/job/j/1/api/json", "", ""), 200)
}

func TestNobodyIsSentToTheLogin(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{User: "u", Token: "t"})
	r := f.want(t, "without an account", f.get(t, "/job/f/api/json"), 403)
	if r.header.Get("X-Jenkins") == "" || !strings.Contains(r.body, "/login?from=%2Fjob%2Ff%2Fapi%2Fjson") || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
		t.Errorf("%v %s", r.header, r.body)
	}
	r = f.want(t, "a wrong token", f.do(t, "GET", "/api/json", "", "basic", "u:wrong"), 401)
	if r.header.Get("WWW-Authenticate") != `Basic realm="Jenkins"` {
		t.Errorf("headers = %v", r.header)
	}
}
