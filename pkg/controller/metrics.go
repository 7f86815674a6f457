package controller

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

const metricsNamespace = "kubectl_pipeline"

// Metrics are what the controllers count. Every label has a closed set of values: no
// names, no namespaces, so that their number never grows with the users.
type Metrics struct {
	reconciles       *prometheus.CounterVec   // controller, outcome
	reconcileSeconds *prometheus.HistogramVec // controller
	queueDepth       *prometheus.GaugeVec     // controller
	panics           *prometheus.CounterVec   // controller

	finished     *prometheus.CounterVec // phase
	queueSeconds prometheus.Histogram
	agentSeconds prometheus.Histogram
	runSeconds   *prometheus.HistogramVec // phase
	executions   *prometheus.GaugeVec     // state

	jenkinsVerbs   *prometheus.CounterVec // verb, result
	jenkinsLooks   *prometheus.CounterVec // result
	jenkinsSeconds prometheus.Histogram
	engines        *prometheus.GaugeVec // state
}

// NewMetrics makes the metrics and registers them with r, which may be nil.
func NewMetrics(r prometheus.Registerer) *Metrics {
	long := []float64{1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200}
	m := &Metrics{
		reconciles: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: metricsNamespace, Name: "reconciles_total",
			Help: "Looks at objects, by controller and outcome."}, []string{"controller", "outcome"}),
		reconcileSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: metricsNamespace, Name: "reconcile_duration_seconds",
			Help: "Time of one look at an object.", Buckets: []float64{.001, .005, .02, .1, .5, 2, 10, 30}}, []string{"controller"}),
		queueDepth: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: metricsNamespace, Name: "workqueue_depth",
			Help: "Objects that wait for a look."}, []string{"controller"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: metricsNamespace, Name: "reconcile_panics_total",
			Help: "Looks that ended in a panic."}, []string{"controller"}),
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: metricsNamespace, Name: "executions_finished_total",
			Help: "Executions that ended, by phase."}, []string{"phase"}),
		queueSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: metricsNamespace, Name: "execution_queue_seconds",
			Help: "Time from creation to admission.", Buckets: append([]float64{.05, .1, .5}, long...)}),
		agentSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: metricsNamespace, Name: "execution_agent_seconds",
			Help: "Time from admission to the first step.", Buckets: append([]float64{.5}, long...)}),
		runSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: metricsNamespace, Name: "execution_run_seconds",
			Help: "Time from the first step to the end, by phase.", Buckets: long}, []string{"phase"}),
		executions: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: metricsNamespace, Name: "executions",
			Help: "Executions that are not finished: queued or running."}, []string{"state"}),
		jenkinsVerbs: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: metricsNamespace, Name: "jenkins_verbs_total",
			Help: "What was asked of Jenkins for single executions."}, []string{"verb", "result"}),
		jenkinsLooks: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: metricsNamespace, Name: "jenkins_looks_total",
			Help: "Looks at a Jenkins as a whole."}, []string{"result"}),
		jenkinsSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: metricsNamespace, Name: "jenkins_look_seconds",
			Help: "Time of one look at a Jenkins as a whole.", Buckets: []float64{.01, .05, .2, 1, 5, 15, 30}}),
		engines: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: metricsNamespace, Name: "jenkins_instances",
			Help: "Jenkins instances in use: up or down."}, []string{"state"}),
	}
	for _, p := range []v1alpha1.Phase{v1alpha1.PhaseSucceeded, v1alpha1.PhaseFailed, v1alpha1.PhaseAborted} {
		m.finished.WithLabelValues(string(p)) // a series that appears only with its first event hides that event
	}
	if r != nil {
		r.MustRegister(m.reconciles, m.reconcileSeconds, m.queueDepth, m.panics, m.finished, m.queueSeconds, m.agentSeconds,
			m.runSeconds, m.executions, m.jenkinsVerbs, m.jenkinsLooks, m.jenkinsSeconds, m.engines)
	}
	return m
}

// verb counts one verb and whether it succeeded.
func (m *Metrics) verb(v pipeline.Verb, err error) {
	m.jenkinsVerbs.WithLabelValues(string(v), result(err)).Inc()
}

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}

// countEnd counts an execution that has ended and how long its parts took.
func (m *Metrics) countEnd(e *v1alpha1.PipelineExecution) {
	s := e.Status
	m.finished.WithLabelValues(string(s.Phase)).Inc()
	if s.StartedAt == nil || s.FinishedAt == nil {
		return
	}
	m.runSeconds.WithLabelValues(string(s.Phase)).Observe(s.FinishedAt.Sub(s.StartedAt.Time).Seconds())
	admitted := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionInitialized)
	if admitted == nil || admitted.Status != metav1.ConditionTrue {
		return
	}
	m.queueSeconds.Observe(max(0, admitted.LastTransitionTime.Sub(e.CreationTimestamp.Time).Seconds()))
	m.agentSeconds.Observe(max(0, s.StartedAt.Sub(admitted.LastTransitionTime.Time).Seconds()))
}
