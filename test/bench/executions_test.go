package bench

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkExecutions creates runs of three stages as fast as the API server takes
// them, and measures until the last has ended: how many one hookd drives to their end
// in a minute, and how often it writes for each.
func BenchmarkExecutions(b *testing.B) {
	const n = 750
	w := newWorld(b, nil)
	w.pipeline("app", threeStages)
	w.run("app", "warm", 10)
	w.awaitEnded(10)
	round := 0
	for b.Loop() {
		round++
		ended, before, usage, begin := w.ended(), w.writes(), w.usage(), time.Now()
		w.run("app", fmt.Sprint("round", round), n)
		w.awaitEnded(ended + n)
		took := time.Since(begin)
		usage.report(n)
		b.ReportMetric(n/took.Minutes(), "executions/min")
		b.ReportMetric((w.writes()-before-n)/n, "writes/execution") // without those of this benchmark
	}
}
