package controller_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// TestModeForgottenQueueItem: J5. Jenkins forgets an item five minutes after it left its
// queue; a hookd that was away for longer finds the build all the same.
func TestModeForgottenQueueItem(t *testing.T) {
	clock := newJumpClock(t)
	w := newWorld(t, jenkinstest.Options{Clock: clock})
	w.start()
	w.pipeline("app", oneStep)
	e := w.waiting("a")
	w.halt()
	w.jenkins.SetQuiet(false)
	eventually(t, "the build is over", func() error {
		if b := w.jenkins.Builds(); len(b) != 1 || b[0].Building {
			return fmt.Errorf("builds are %+v", b)
		}
		return nil
	})
	clock.Step(6 * time.Minute)
	eventually(t, "the item is forgotten", func() error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/queue/item/%d/api/json", w.url, e.Status.Engine.QueueID), nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return err
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusNotFound {
			return fmt.Errorf("the answer is %s, %v", resp.Status, err)
		}
		return nil
	})
	w.start()
	if e := w.succeeds("a"); e.Status.Engine.Attempt != 1 {
		t.Errorf("attempt = %d, want 1", e.Status.Engine.Attempt)
	}
	w.builds(1)
}

// TestModeRotatedCredentials: J20. A run whose Jenkins refuses our token goes on, without
// a restart, when the Secret has the new one; until then Jenkins is asked rarely, or it
// would lock the account.
func TestModeRotatedCredentials(t *testing.T) {
	clock, g := newJumpClock(t), newGate()
	w := newWorld(t, jenkinstest.Options{Clock: clock, User: "me", Token: "new", Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep)
	w.running("a")
	token := func(token string) {
		t.Helper()
		_, err := w.clients.Secrets(w.project).Patch(t.Context(), "jenkins", "application/merge-patch+json", fmt.Appendf(nil, `{"stringData":{"token":%q}}`, token), metav1.PatchOptions{})
		w.must(err)
		clock.Step(2 * time.Minute) // Secrets are read again by then
	}
	token("old")
	w.awaitReason("a", v1alpha1.PhaseRunning, v1alpha1.ReasonEngineUnauthorized, "credentials")
	w.jenkins.Requests()
	requests := 0
	for range 10 {
		clock.Step(time.Minute)
		asked := 0
		eventually(t, "it is tried within a minute", func() error {
			if asked += len(w.jenkins.Requests()); asked == 0 {
				return errors.New("it is not")
			}
			return nil
		})
		requests += asked
	}
	if requests > 30 {
		t.Errorf("a token that is refused was tried %d times in ten minutes", requests)
	}
	token("new")
	w.awaitReason("a", v1alpha1.PhaseRunning, v1alpha1.ReasonRunning, "")
	g.open("a")
	w.succeeds("a")
	w.builds(1)
}

// TestModeFinishedRunsCostNothing: R7. What has ended is not asked about again, neither
// by a restart nor later.
func TestModeFinishedRunsCostNothing(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{}, quota(0))
	w.start()
	w.pipeline("app", oneStep, keepAll)
	jobs := map[string]bool{}
	for _, name := range []string{"a", "b", "c"} {
		w.run("app", name)
	}
	for _, name := range []string{"a", "b", "c"} {
		jobs[w.succeeds(name).Status.Engine.Job] = true
	}
	w.halt()
	w.jenkins.Requests()
	w.start()
	w.run("app", "d")
	w.succeeds("d")
	for _, r := range w.jenkins.Requests() {
		for job := range jobs {
			if strings.Contains(r, jobPath(job)) {
				t.Errorf("request %s about a run that has ended", r)
			}
		}
	}
}

// TestModeTwoControllers: J38. Two hookds that both believe to lead have one build each
// for what they run.
func TestModeTwoControllers(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{}, quota(0))
	other := *w
	w.start()
	other.start()
	w.pipeline("app", oneStep, keepAll)
	const n = 6
	for i := range n {
		w.run("app", fmt.Sprintf("r%d", i))
	}
	for i := range n {
		w.succeeds(fmt.Sprintf("r%d", i))
	}
	w.builds(n)
	for _, b := range w.jenkins.Builds() {
		if b.Number != 1 {
			t.Errorf("job %s has build %d", b.Job, b.Number)
		}
	}
}
