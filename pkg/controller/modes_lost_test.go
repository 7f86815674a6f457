package controller_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// lostModes: Jenkins loses, or somebody takes from it, what a run has there.
var lostModes = map[string]func(*testing.T, *modes){
	"J4 a crash loses the queue item": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{})
		w.waiting("a")
		w.jenkins.Restart(jenkinstest.RestartOptions{Crash: true})
		if e := w.succeeds("a"); e.Status.Engine.Attempt != 2 {
			t.Errorf("attempt = %d, want 2", e.Status.Engine.Attempt)
		}
		w.builds(1)
		if b := w.jenkins.Builds(); b[0].Params["ATTEMPT"] != "2" {
			t.Errorf("parameters = %v, want those of attempt 2", b[0].Params)
		}
		w.awaitEvent("a", v1alpha1.ReasonEngineLost, "lost the build from its queue")
	},
	"J4 a crash loses the queue item again and again": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{})
		w.waiting("a")
		for attempt := int32(1); attempt <= 3; attempt++ {
			w.await("a", fmt.Sprintf("is queued by attempt %d", attempt), func(e *v1alpha1.PipelineExecution) bool {
				return e.Status.Engine.Attempt == attempt && e.Status.Engine.QueueID != 0
			})
			w.jenkins.Restart(jenkinstest.RestartOptions{Crash: true})
			w.jenkins.SetQuiet(true)
		}
		w.ends("a", v1alpha1.PhaseFailed, v1alpha1.ReasonEngineLost, "3 times")
		w.builds(0)
		if n := w.asked("buildWithParameters"); n[0] != 3 {
			t.Errorf("it was triggered %d times, want 3", n[0])
		}
	},
	"J6 an item has left the queue and its build is not there yet": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{LeftTick: 4 * time.Second})
		w.run("app", "a")
		if e := w.succeeds("a"); e.Status.Engine.Attempt != 1 {
			t.Errorf("attempt = %d, want 1", e.Status.Engine.Attempt)
		}
		w.builds(1)
	},
	"J7 somebody cancels the queue item": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{})
		e := w.waiting("a")
		w.byHand("POST", fmt.Sprintf("/queue/cancelItem?id=%d", e.Status.Engine.QueueID), "")
		w.ends("a", v1alpha1.PhaseAborted, v1alpha1.ReasonAbortedInEngine, "queue")
		w.builds(0)
		if n := w.asked("buildWithParameters"); n[0] != 1 {
			t.Errorf("it was triggered %d times, want once", n[0])
		}
	},
	"J12 the job is deleted before its build began": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{})
		e := w.waiting("a")
		w.byHand("DELETE", jobPath(e.Status.Engine.Job)+"/", "")
		w.jenkins.SetQuiet(false)
		if e := w.succeeds("a"); e.Status.Engine.Attempt != 2 {
			t.Errorf("attempt = %d, want 2", e.Status.Engine.Attempt)
		}
		w.builds(1)
	},
	"J12 R1 the job is deleted while its build runs": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{Agents: newGate().agents()})
		e := w.running("a")
		w.unseen(func() { w.byHand("DELETE", jobPath(e.Status.Engine.Job)+"/", "") })
		w.ends("a", v1alpha1.PhaseFailed, v1alpha1.ReasonEngineLost, "no job "+e.Status.Engine.Job)
		w.remove("a") // a job that is not there is deleted
	},
	"J13 the account may not see the job any more": func(t *testing.T, m *modes) {
		g := newGate()
		w := m.world(t, jenkinstest.Options{Agents: g.agents()})
		w.running("a")
		w.jenkins.Requests()
		w.jenkins.Deny("hudson.model.Item.Read")
		w.awaitReason("a", v1alpha1.PhaseRunning, v1alpha1.ReasonEngineUnauthorized, "")
		looks := 0
		eventually(t, "it is looked at for a minute", func() error {
			if looks += w.asked("/queue/api/json")[0]; looks < 10 {
				return fmt.Errorf("%d looks", looks)
			}
			return nil
		})
		w.awaitReason("a", v1alpha1.PhaseRunning, v1alpha1.ReasonEngineUnauthorized, "")
		w.jenkins.Allow("hudson.model.Item.Read")
		g.open("a")
		w.succeeds("a")
		w.builds(1)
	},
	"J14 the record of a running build is gone": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{Agents: newGate().agents()})
		w.running("a")
		w.jenkins.Restart(jenkinstest.RestartOptions{Crash: true, LoseBuilds: true})
		w.ends("a", v1alpha1.PhaseFailed, v1alpha1.ReasonEngineLost, "no record of build 1")
		w.builds(0)
	},
	"J15 the job was made anew and has a build of the same number": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{Agents: newGate().agents()})
		e := w.running("a")
		folder, name, _ := strings.Cut(e.Status.Engine.Job, "/")
		w.unseen(func() {
			w.byHand("DELETE", jobPath(e.Status.Engine.Job)+"/", "")
			w.byHand("POST", jobPath(folder)+"/createItem?name="+name, foreignXML)
			w.byHand("POST", jobPath(e.Status.Engine.Job)+"/build?delay=0sec", "")
			eventually(t, "the foreign build has succeeded", func() error {
				if b := w.jenkins.Builds(e.Status.Engine.Job); len(b) != 1 || b[0].Result != "SUCCESS" {
					return fmt.Errorf("builds = %+v", b)
				}
				return nil
			})
		})
		w.ends("a", v1alpha1.PhaseFailed, v1alpha1.ReasonEngineLost, "build 1")
	},
	"J16 the queue id is given again after a crash": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{})
		e := w.waiting("a")
		w.unseen(func() {
			w.jenkins.Restart(jenkinstest.RestartOptions{Crash: true})
			w.jenkins.SetQuiet(true)
			w.byHand("POST", "/createItem?name=other", foreignXML)
			w.byHand("POST", "/job/other/build?delay=0sec", "")
		})
		if q := w.jenkins.Queue(); len(q) != 1 || q[0].ID != e.Status.Engine.QueueID {
			t.Fatalf("queue = %+v, want an item of somebody else with id %d", q, e.Status.Engine.QueueID)
		}
		w.await("a", "is triggered again", func(e *v1alpha1.PipelineExecution) bool {
			return e.Status.Engine.Attempt == 2 && e.Status.Engine.QueueID != 0
		})
		w.jenkins.SetQuiet(false)
		if e := w.succeeds("a"); len(w.jenkins.Builds(e.Status.Engine.Job)) != 1 {
			t.Errorf("builds = %+v, want one of ours", w.jenkins.Builds())
		}
	},
	"J18 the job's name is taken by somebody else": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{})
		w.run("app", "a", func(e *v1alpha1.PipelineExecution) { e.Spec.Control = v1alpha1.ControlPause })
		e := w.awaitReason("a", v1alpha1.PhaseQueued, v1alpha1.ReasonPaused, "")
		folder, name, _ := strings.Cut(futureJob(e), "/")
		w.byHand("POST", "/createItem?name="+folder, folderXML)
		w.byHand("POST", jobPath(folder)+"/createItem?name="+strings.ToUpper(name), foreignXML)
		w.control("a", v1alpha1.ControlRun)
		w.ends("a", v1alpha1.PhaseFailed, v1alpha1.ReasonNameConflict, "not ours")
		w.builds(0)
		w.remove("a")
		if jobs := w.jenkins.Jobs(); len(jobs) != 1 {
			t.Errorf("jobs = %v, want that of somebody else to be left alone", jobs)
		}
	},
	"J38 an execution is made anew under its old name": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{})
		w.run("app", "a")
		first := w.succeeds("a")
		w.remove("a")
		w.run("app", "a")
		if second := w.succeeds("a"); second.Status.Engine.Job == first.Status.Engine.Job {
			t.Errorf("both have the job %s", first.Status.Engine.Job)
		}
		if jobs := w.jenkins.Jobs(); len(jobs) != 1 {
			t.Errorf("jobs = %v, want the one of the second", jobs)
		}
	},
}

// againPath triggers the job of an execution once more, as a request would that was sent
// before and arrives late.
func againPath(e *v1alpha1.PipelineExecution) string {
	return fmt.Sprintf("%s/buildWithParameters?delay=0sec&EXECUTION_UID=%s&ATTEMPT=1", jobPath(e.Status.Engine.Job), e.UID)
}

// triggerModes: what may happen to the one request that starts a build.
var triggerModes = map[string]func(*testing.T, *modes){
	"J10 Jenkins merges the trigger with somebody else's": func(t *testing.T, m *modes) {
		var merged atomic.Bool
		var session atomic.Value
		w := m.world(t, jenkinstest.Options{}, m.via(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				if strings.Contains(r.URL.Path, "buildWithParameters") && !merged.Swap(true) {
					return answer(r, http.StatusSeeOther, "X-Jenkins-Session", session.Load().(string), "Location", "/queue/item/4711/"), nil
				}
				return next.RoundTrip(r)
			})
		}))
		session.Store(w.jenkins.Session())
		w.run("app", "a")
		w.succeeds("a")
		w.builds(1)
	},
	"J38 the trigger arrives twice": func(t *testing.T, m *modes) {
		g := newGate()
		w := m.world(t, jenkinstest.Options{Agents: g.agents()})
		e := w.running("a")
		w.byHand("POST", againPath(e), "")
		eventually(t, "what is too many is taken out of the queue", func() error {
			if q := w.jenkins.Queue(); len(q) != 0 {
				return fmt.Errorf("queue = %+v", q)
			}
			return nil
		})
		g.open("a")
		w.succeeds("a")
		w.builds(1)
	},
	"J11 Jenkins refuses the trigger": func(t *testing.T, m *modes) {
		var refused atomic.Int32
		w := m.world(t, jenkinstest.Options{RefuseRun: func(string) bool { return refused.Add(1) <= 2 }})
		w.run("app", "a")
		w.awaitReason("a", v1alpha1.PhasePending, v1alpha1.ReasonEngineUnavailable, "not triggered")
		w.succeeds("a")
		w.builds(1)
		if n := w.asked("buildWithParameters"); n[0] != 3 {
			t.Errorf("it was triggered %d times, want 3", n[0])
		}
	},
	"J28 a stop takes the item out of the queue": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{})
		w.waiting("a")
		w.control("a", v1alpha1.ControlStop)
		w.ends("a", v1alpha1.PhaseAborted, v1alpha1.ReasonStopped, "queue")
		w.jenkins.SetQuiet(false)
		w.builds(0)
		if q := w.jenkins.Queue(); len(q) != 0 {
			t.Errorf("queue = %+v", q)
		}
	},
	"J28 a stop meets an item that has just left the queue": func(t *testing.T, m *modes) {
		var double atomic.Pointer[jenkinstest.Server]
		w := m.world(t, jenkinstest.Options{Agents: newGate().agents()}, m.via(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				if strings.Contains(r.URL.Path, "cancelItem") {
					double.Load().SetQuiet(false)
					for len(double.Load().Builds()) == 0 && r.Context().Err() == nil {
						<-time.After(time.Millisecond)
					}
				}
				return next.RoundTrip(r)
			})
		}))
		double.Store(w.jenkins)
		w.waiting("a")
		w.control("a", v1alpha1.ControlStop)
		w.ends("a", v1alpha1.PhaseAborted, v1alpha1.ReasonStopped, "")
		if b := w.jenkins.Builds(); len(b) != 1 || b[0].Result != "ABORTED" {
			t.Errorf("builds = %+v, want one that was stopped", b)
		}
	},
}
