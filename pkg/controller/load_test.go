package controller_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

const threeStages = `stages:
- {name: Build, steps: [{name: compile, runScriptConfig: {image: alpine, shellScript: make}}]}
- {name: Test, steps: [{name: unit, runScriptConfig: {image: alpine, shellScript: make test}}]}
- {name: Release, steps: [{name: push, runScriptConfig: {image: alpine, shellScript: make push}}]}
`

func keepAll(p *v1alpha1.Pipeline) {
	many := int32(100_000)
	p.Spec.History = &v1alpha1.History{Succeeded: &many}
}

// drive runs n executions to their end and tells what was written for them.
func drive(t testing.TB, n int) (took time.Duration, wrote map[string]int) {
	w := newWorld(t, jenkinstest.Options{}, quota(0))
	w.clock = fastClock{time.Now(), 1}
	w.start()
	w.pipeline("app", threeStages, keepAll)
	w.run("app", "warm")
	w.awaitFinished("warm")
	writes.Lock()
	before := maps.Clone(writes.by)
	writes.Unlock()
	begin := time.Now()
	for i := range n {
		w.run("app", fmt.Sprintf("r%04d", i))
	}
	eventuallyWithin(t, 2*time.Minute, "all have ended", func() error {
		done, err := w.clients.Executions(w.project).ListMetadata(t.Context(), metav1.ListOptions{LabelSelector: v1alpha1.LabelPhaseClass + "=" + v1alpha1.PhaseClassFinished})
		if err == nil && len(done.Items) < n+1 {
			err = fmt.Errorf("%d of %d have", len(done.Items), n+1)
		}
		return err
	})
	took = time.Since(begin)
	wrote = map[string]int{}
	writes.Lock()
	defer writes.Unlock()
	for k, v := range writes.by {
		if v > before[k] {
			wrote[k] = v - before[k]
		}
	}
	wrote["POST pipelineexecutions"] -= n // ours
	return took, wrote
}

func TestWritesPerExecution(t *testing.T) {
	const n = 30
	_, wrote := drive(t, n)
	total := 0
	for _, v := range wrote {
		total += v
	}
	t.Logf("%d executions of three stages: %v", n, wrote)
	if total > 10*n {
		t.Errorf("%d writes for %d executions, want at most 10 each", total, n)
	}
}

// BenchmarkExecutions: how many executions one process drives to their end in a minute,
// against an API server on the same machine.
func BenchmarkExecutions(b *testing.B) {
	for b.Loop() {
		took, _ := drive(b, 500)
		b.ReportMetric(500/took.Minutes(), "executions/min")
	}
}
