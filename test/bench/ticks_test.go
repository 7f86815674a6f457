package bench

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkRequestsPerTick counts what hookd asks Jenkins while it looks at so many
// running builds, of which none changes.
func BenchmarkRequestsPerTick(b *testing.B) {
	const ticks = 8
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g := newGate()
			w := newWorld(b, g.step)
			w.pipeline("app", threeStages)
			w.run("app", "r", n)
			w.awaitRunning(n)
			looks := func() float64 { return w.hookd("kubectl_pipeline_jenkins_looks_total", "result", "ok") }
			for b.Loop() {
				begin := looks()
				w.double.Requests()
				w.await("some looks have passed", func() error {
					if done := looks() - begin; done < ticks {
						return fmt.Errorf("%.0f have", done)
					}
					return nil
				})
				requests, did := w.double.Requests(), looks()-begin
				detail := 0
				for _, r := range requests {
					if strings.Contains(r, "wfapi") || strings.Contains(r, "stages/") || strings.Contains(r, "/pauseState") {
						detail++
					}
				}
				b.ReportMetric(float64(len(requests)-detail)/did, "snapshot-requests/tick")
				b.ReportMetric(float64(detail)/did, "detail-requests/tick")
			}
		})
	}
}
