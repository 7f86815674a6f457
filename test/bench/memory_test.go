package bench

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// BenchmarkMemory compares what hookd's process takes after some runs in a cluster
// without history with what it takes after the same runs when ten pipelines have a
// thousand finished runs each.
func BenchmarkMemory(b *testing.B) {
	const pipelines, each, runs = 10, 1000, 5
	w := newWorld(b, nil)
	for p := range pipelines {
		w.pipeline(fmt.Sprint("app", p), threeStages)
	}
	work := func(name string) float64 {
		before := w.ended()
		for p := range pipelines {
			w.run(fmt.Sprint("app", p), fmt.Sprint(name, p), runs)
		}
		w.awaitEnded(before + pipelines*runs)
		return w.hookd("process_resident_memory_bytes") / (1 << 20)
	}
	for b.Loop() {
		work("first") // of a process that has just been installed: not compared
		w.restartHookd()
		none := work("none")
		w.finish(pipelines, each)
		grown := work("grown")
		w.restartHookd()
		restarted := work("restarted")
		b.ReportMetric(none, "MiB-without")
		b.ReportMetric(grown, "MiB-with-10000")
		b.ReportMetric(restarted, "MiB-restarted-with-10000")
		b.ReportMetric(max(grown, restarted)/none, "ratio")
	}
}

// finish stores finished runs, copies of one that hookd drove to its end.
func (w *world) finish(pipelines, each int) {
	w.b.Helper()
	ctx, client := w.b.Context(), w.Clients.Executions(project)
	done, err := client.Get(ctx, "none0-0", metav1.GetOptions{})
	if err != nil {
		w.b.Fatal(err)
	}
	w.parallel(pipelines*each, func(i int) error {
		pipeline := fmt.Sprint("app", i%pipelines)
		labels := map[string]string{}
		for k, v := range done.Labels {
			if v == done.Spec.PipelineRef.Name {
				v = pipeline
			}
			labels[k] = v
		}
		labels[v1alpha1.LabelRun] = fmt.Sprint(1000 + i)
		e := &v1alpha1.PipelineExecution{
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprint("finished-", i), Labels: labels, Annotations: done.Annotations, Finalizers: done.Finalizers,
			},
			Spec: *done.Spec.DeepCopy(),
		}
		e.Spec.PipelineRef.Name, e.Spec.Run = pipeline, int64(1000+i)
		e, err := client.Create(ctx, e, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		e.Status = *done.Status.DeepCopy()
		_, err = client.UpdateStatus(ctx, e, metav1.UpdateOptions{})
		return err
	})
}
