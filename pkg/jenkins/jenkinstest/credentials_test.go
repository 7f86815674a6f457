package jenkinstest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func secretText(id, secret string) string {
	return fmt.Sprintf("<org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl><scope>GLOBAL</scope><id>%s</id>"+
		"<description>d</description><secret>%s</secret></org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl>", id, secret)
}

func TestCredentials(t *testing.T) {
	for name, store := range map[string]string{
		"of the system": "/credentials/store/system/domain/_", "of a folder": "/job/f/credentials/store/folder/domain/_",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, jenkinstest.Options{})
			f.want(t, "folder", f.create(t, "", "f", folderConfig), 200)
			xml := func(method, path, body, ctype string) reply {
				return f.do(t, method, store+path, body, "Content-Type", ctype)
			}
			if r := f.want(t, "create", xml("POST", "/createCredentials", secretText("a", "s3cret"), "application/xml"), 200); r.body != "" {
				t.Errorf("body = %q", r.body)
			}
			f.want(t, "the same id again", xml("POST", "/createCredentials", secretText("a", "x"), "text/xml"), 409)
			f.want(t, "a class that no plugin brings", xml("POST", "/createCredentials", "<x.Y><id>b</id></x.Y>", "text/xml"), 500)
			f.want(t, "malformed", xml("POST", "/createCredentials", "<x", "text/xml"), 500)
			f.want(t, "no XML", xml("POST", "/createCredentials", "a=b", "application/x-www-form-urlencoded"), 400)
			f.want(t, "GET", f.get(t, store+"/createCredentials"), 405)
			if r := f.do(t, "POST", store+"/createCredentials", "x"); r.status != 400 || r.header.Get("X-Error") != "No Content-Type header set" {
				t.Errorf("without a type: %d %v", r.status, r.header)
			}

			config := f.want(t, "read", f.get(t, store+"/credential/a/config.xml"), 200)
			if strings.Contains(config.body, "s3cret") || !strings.Contains(config.body, "<secret-redacted/>") || config.header.Get("Content-Type") != "application/xml" {
				t.Errorf("config = %s", config.body)
			}
			f.want(t, "update", xml("POST", "/credential/a/config.xml", strings.Replace(secretText("a", "é"), ">d<", ">é<", 1), "application/xml;charset=utf-8"), 200)
			got := decode(t, f.get(t, store+"/api/json?tree=credentials[id,description,typeName]"))
			want := []any{map[string]any{
				"_class": "com.cloudbees.plugins.credentials.CredentialsStoreAction$CredentialsWrapper", "id": "a", "description": "é", "typeName": "Secret text",
			}}
			if diff := cmp.Diff(want, got["credentials"]); diff != "" {
				t.Errorf("credentials (-want +got):\n%s", diff)
			}
			f.want(t, "without a charset", xml("POST", "/credential/a/config.xml", strings.Replace(secretText("a", "x"), ">d<", ">é<", 1), "application/xml"), 200)
			if doc := decode(t, f.get(t, store+"/credential/a/api/json?depth=0")); doc["description"] != "Ã©" {
				t.Errorf("the body was not read as ISO-8859-1: %v", doc)
			}
			for _, secret := range []string{"<![CDATA[<s3cret>]]>", "</secret><secret a=\"1\">s3cret"} {
				f.want(t, "a secret in other words", xml("POST", "/credential/a/config.xml", secretText("a", secret), "text/xml"), 200)
				if got := f.get(t, store+"/credential/a/config.xml").body; strings.Contains(got, "s3cret") {
					t.Errorf("config = %s", got)
				}
			}
			f.want(t, "PUT", xml("PUT", "/credential/a/config.xml", "", "text/xml"), 400)
			f.want(t, "update one that is not there", xml("POST", "/credential/b/config.xml", secretText("b", "x"), "text/xml"), 404)
			f.want(t, "another domain", f.get(t, strings.TrimSuffix(store, "_")+"other/api/json"), 404)

			f.want(t, "delete", xml("DELETE", "/credential/a/config.xml", "", ""), 200)
			f.want(t, "delete again", xml("DELETE", "/credential/a/config.xml", "", ""), 404)
			f.want(t, "create", xml("POST", "/createCredentials", secretText("", "x"), "text/xml"), 200)
			ids := f.Credentials()
			if len(ids) != 1 {
				t.Fatalf("credentials = %q, want one with an id that Jenkins made up", ids)
			}
			_, id, _ := strings.Cut(ids[0], "/")
			f.want(t, "delete by the form", f.post(t, store+"/credential/"+id+"/doDelete"), 302)
			if ids := f.Credentials(); len(ids) > 0 {
				t.Errorf("credentials = %q", ids)
			}
		})
	}
}
