package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// gate holds the last step of each build until it is opened, and notes when.
type gate struct {
	mu     sync.Mutex
	gates  map[string]chan struct{}
	opened map[string]time.Time
}

func newGate() *gate { return &gate{gates: map[string]chan struct{}{}, opened: map[string]time.Time{}} }

func (g *gate) of(job string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gates[job] == nil {
		g.gates[job] = make(chan struct{})
	}
	return g.gates[job]
}

func (g *gate) step(ctx context.Context, c jenkinstest.Command) jenkinstest.Result {
	if strings.Contains(c.Script, "make push") {
		select {
		case <-g.of(c.Job):
		case <-ctx.Done():
		}
	}
	return jenkinstest.Result{}
}

func (g *gate) open(job string) {
	c := g.of(job)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened[job] = time.Now()
	close(c)
}

// awaitRunning waits until n runs are in their last stage, as hookd sees it.
func (w *world) awaitRunning(n int) []v1alpha1.PipelineExecution {
	w.b.Helper()
	w.await(fmt.Sprintf("%d builds run", n), func() error {
		if at := w.hookd("kubectl_pipeline_executions", "state", "running"); int(at) < n {
			return fmt.Errorf("%.0f do", at)
		}
		return nil
	})
	var running []v1alpha1.PipelineExecution
	w.await(fmt.Sprintf("%d runs are in their last stage", n), func() error {
		list, err := w.Clients.Executions(project).List(w.b.Context(), metav1.ListOptions{LabelSelector: v1alpha1.LabelPhaseClass + "=" + v1alpha1.PhaseClassActive})
		if err != nil {
			return err
		}
		running = running[:0]
		for _, e := range list.Items {
			if s := e.Status.Stages; len(s) > 0 && s[len(s)-1].Phase == v1alpha1.PhaseRunning {
				running = append(running, e)
			}
		}
		if len(running) < n {
			return fmt.Errorf("%d are", len(running))
		}
		return nil
	})
	return running
}

// BenchmarkFinishToStatus has a hundred builds run and end one after the other at odd
// moments, and measures from there until whoever watches the executions knows.
func BenchmarkFinishToStatus(b *testing.B) {
	const n = 100
	g := newGate()
	w := newWorld(b, g.step)
	w.pipeline("app", threeStages)
	round := 0
	for b.Loop() {
		round++
		w.run("app", fmt.Sprint("round", round), n)
		running := w.awaitRunning(n)
		known := w.watchEnds(n)
		tick := time.NewTicker(250 * time.Millisecond)
		for _, e := range running {
			<-tick.C
			// Not in step with how often hookd looks.
			time.AfterFunc(rand.N(200*time.Millisecond), func() { g.open(e.Status.Engine.Job) })
		}
		tick.Stop()
		var took []time.Duration
		for job, at := range <-known {
			took = append(took, at.Sub(g.opened[job]))
		}
		w.report("status", took, 50, 95, 99)
	}
}

// watchEnds sends when n runs were seen to be over, by job.
func (w *world) watchEnds(n int) <-chan map[string]time.Time {
	w.b.Helper()
	ends, err := w.Clients.Executions(project).Watch(w.b.Context(), metav1.ListOptions{})
	if err != nil {
		w.b.Fatal(err)
	}
	known := make(chan map[string]time.Time, 1)
	go func() {
		defer ends.Stop()
		seen := map[string]time.Time{}
		for event := range ends.ResultChan() {
			e, ok := event.Object.(*v1alpha1.PipelineExecution)
			if !ok || e.Status.FinishedAt == nil || e.Status.Engine == nil {
				continue
			}
			if _, again := seen[e.Status.Engine.Job]; !again {
				seen[e.Status.Engine.Job] = time.Now()
			}
			if len(seen) == n {
				break
			}
		}
		known <- seen
	}()
	return known
}
