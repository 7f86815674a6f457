package jenkinstest_test

import (
	"strings"
	"testing"

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
