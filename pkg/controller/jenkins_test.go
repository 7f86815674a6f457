package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// TestLooksAreShared: a Jenkins is asked about its queue and about each folder once for
// all executions, however many there are, and about stages within a bound.
func TestLooksAreShared(t *testing.T) {
	const n = 60
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()}, quota(0))
	w.start()
	w.pipeline("app", oneStep, keepAll)
	for i := range n {
		w.run("app", fmt.Sprintf("r%d", i))
	}
	for i := range n {
		w.awaitPhase(fmt.Sprintf("r%d", i), v1alpha1.PhaseRunning)
	}
	w.jenkins.Requests()
	seen := map[string]int{}
	eventually(t, "five looks", func() error {
		for _, r := range w.jenkins.Requests() {
			switch {
			case strings.Contains(r, "/queue/api/json"):
				seen["queue"]++
			case strings.Contains(r, "/wfapi/describe"):
				seen["stages"]++
			case strings.Contains(r, "/stages/pauseState"):
				seen["pauses"]++
			case strings.Contains(r, "/job/"+w.project+"/api/json"):
				seen["folder"]++
			case !strings.Contains(r, "GET /api/json"):
				seen[r]++
			}
		}
		if seen["queue"] < 5 {
			return fmt.Errorf("seen %v", seen)
		}
		return nil
	})
	looks, folders, stages, pauses := seen["queue"], seen["folder"], seen["stages"], seen["pauses"]
	delete(seen, "pauses")
	delete(seen, "queue")
	delete(seen, "folder")
	delete(seen, "stages")
	if len(seen) > 0 {
		t.Errorf("unexpected requests: %v", seen)
	}
	if folders > looks+1 || stages > 24*(looks+1) || pauses > 4*(looks+1) {
		t.Errorf("%d looks made %d requests for folders, %d for stages and %d about pauses", looks, folders, stages, pauses)
	}
	for i := range n {
		g.open(fmt.Sprintf("r%d", i))
	}
	begin := time.Now()
	for i := range n {
		w.awaitPhase(fmt.Sprintf("r%d", i), v1alpha1.PhaseSucceeded)
	}
	t.Logf("%d ends were written within %s", n, time.Since(begin))
}
