package hook

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/registry"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
)

// metrics have labels of closed sets only: a stranger must not be able to make series.
type metrics struct {
	deliveries *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	created    prometheus.Counter
	panics     prometheus.Counter
	events     map[string]bool // the only values of the label event, but for "unknown"
	register   func(...prometheus.Collector)
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubectl_pipeline_webhook_deliveries_total",
			Help: "Webhook requests, by host, event and what came of them.",
		}, []string{"provider", "event", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kubectl_pipeline_webhook_duration_seconds",
			Help:    "Time from a webhook's headers to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"result"}),
		created: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kubectl_pipeline_webhook_executions_created_total",
			Help: "Executions that webhooks started.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kubectl_pipeline_webhook_panics_total",
			Help: "Requests that a bug ended.",
		}),
		events:   map[string]bool{"other": true},
		register: func(...prometheus.Collector) {},
	}
	for _, name := range slices.Concat(scm.EventNames(), registry.EventNames()) {
		m.events[name] = true
	}
	if r != nil {
		m.register = r.MustRegister
	}
	m.register(m.deliveries, m.duration, m.created, m.panics)
	return m
}

// inFlight reports the bytes that requests hold.
func (m *metrics) inFlight(used func() int64) {
	m.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kubectl_pipeline_webhook_bytes_in_flight",
		Help: "Bytes of webhook bodies held in memory.",
	}, func() float64 { return float64(used()) }))
}

func (m *metrics) delivery(provider, event, result string, took time.Duration, created int) {
	if !m.events[event] {
		event = "unknown"
	}
	m.deliveries.WithLabelValues(provider, event, result).Inc()
	m.duration.WithLabelValues(result).Observe(took.Seconds())
	m.created.Add(float64(created))
}
