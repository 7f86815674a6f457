package jenkinstest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

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
