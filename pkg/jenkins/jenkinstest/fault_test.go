package jenkinstest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testclock "k8s.io/utils/clock/testing"

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

// TestSlowStagesEndAsAnError is what Jenkins does when it cannot load the inputs of a run whose agent is missing.
func TestSlowStagesEndAsAnError(t *testing.T) {
	clock := testclock.NewFakeClock(time.Unix(1_700_000_000, 0))
	f := newFixture(t, jenkinstest.Options{Clock: clock})
	f.run(t, "f/j", "echo('x')\n")
	f.wait(t, "f/j")
	f.Spoil(jenkinstest.Fault{Method: "GET", Path: "wfapi/describe", Delay: time.Minute, Oops: true})
	answered := make(chan reply, 1)
	go func() { answered <- f.get(t, "/job/f/job/j/1/wfapi/describe") }()
	eventually(t, "the request", clock.HasWaiters)
	f.want(t, "the build itself, meanwhile", f.get(t, "/job/f/job/j/1/api/json"), 200)
	select {
	case r := <-answered:
		t.Fatalf("an answer before a minute was over: %d", r.status)
	default:
	}
	clock.Step(time.Minute)
	if r := <-answered; r.status != 500 || r.header.Get("X-Jenkins") == "" || !strings.Contains(r.body, "Oops!") {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
	f.want(t, "the next", f.get(t, "/job/f/job/j/1/wfapi/describe"), 200)
}

func TestFaultsAreForWhatTheyMatch(t *testing.T) {
	f := newFixture(t, jenkinstest.Options{})
	f.Spoil(jenkinstest.Fault{Method: "GET", Path: "/api/json", Status: 502, Skip: 1, Times: 2})
	f.Spoil(jenkinstest.Fault{Path: "tree=mode", Crumb: true})
	var got []int
	for _, path := range []string{"/login", "/api/json", "/api/json?tree=mode", "/api/json?tree=mode", "/api/json?tree=mode", "/api/json"} {
		got = append(got, f.get(t, path).status)
	}
	// The second fault waits: of several that match, the oldest is used.
	if diff := cmp.Diff([]int{200, 200, 502, 502, 403, 200}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	f.Spoil(jenkinstest.Fault{Truncate: 10, Times: -1})
	for range 2 {
		resp, err := f.client.Get(f.url + "/api/json")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil || len(body) != 10 || resp.ContentLength <= 10 {
			t.Errorf("%d of %d bytes, error %v: want ten and an error", len(body), resp.ContentLength, err)
		}
	}
	f.Mend()
	f.want(t, "mended", f.get(t, "/api/json"), 200)
}

func TestFaultsInJSON(t *testing.T) {
	want := jenkinstest.Fault{Method: "POST", Path: "x", Skip: 1, Times: -1, Delay: 90 * time.Second, DropAfter: true, Truncate: 3, Drip: time.Millisecond}
	text, err := json.Marshal(want)
	if err != nil || !strings.Contains(string(text), `"Delay":"1m30s"`) {
		t.Fatalf("%s, %v", text, err)
	}
	var got jenkinstest.Fault
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fault (-want +got):\n%s", diff)
	}
	restart := jenkinstest.RestartOptions{Crash: true, LoseBuilds: true, Restarting: 1, Down: 2, Starting: 3, Resume: 4}
	text, err = json.Marshal(restart)
	var back jenkinstest.RestartOptions
	if err != nil || json.Unmarshal(text, &back) != nil || back != restart {
		t.Errorf("restart = %+v from %s, %v", back, text, err)
	}
}
