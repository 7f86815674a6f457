package controller_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// TestOneUnreadableObject: a setting with a quantity that the schema lets pass, and that
// cannot be parsed, concerns its own project. Everybody else's go on.
func TestOneUnreadableObject(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	bad := w.neighbour()
	spoil := func(cpu string) {
		t.Helper()
		patch := fmt.Appendf(nil, `{"spec":{"executor":{"resources":{"limits":{"cpu":%q}}}}}`, cpu)
		if err := w.clients.PipelineREST().Patch("application/merge-patch+json").Namespace(bad.project).Resource("pipelinesettings").Name(v1alpha1.SettingName).Body(patch).Do(t.Context()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	spoil("1e1.5") // before the controllers begin
	w.start()
	for _, p := range []*world{w, bad} {
		p.pipeline("app", oneStep)
		p.run("app", "a")
	}
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
	bad.await("a", "waits for a setting", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Reason == v1alpha1.ReasonEngineNotConfigured })
	told := func() {
		t.Helper()
		eventually(t, "an event says what is wrong", func() error {
			events, err := w.clients.Events(bad.project).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=" + v1alpha1.ReasonUnreadable})
			if err == nil && (len(events.Items) == 0 || !strings.Contains(events.Items[0].Message, "quantit") || events.Items[0].InvolvedObject.Kind != "PipelineSetting") {
				err = fmt.Errorf("events = %v", events.Items)
			}
			return err
		})
	}
	told()
	spoil("1")
	bad.awaitPhase("a", v1alpha1.PhaseSucceeded)
	spoil("1e1.5") // while they run
	w.run("app", "b")
	w.awaitPhase("b", v1alpha1.PhaseSucceeded)
}
