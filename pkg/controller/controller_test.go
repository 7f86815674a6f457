package controller_test

import (
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestRunSucceeds(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "first")
	e := w.awaitPhase("first", v1alpha1.PhaseSucceeded)
	if e.Spec.Run != 1 || e.Spec.Config != oneStep {
		t.Errorf("run = %d, config = %q", e.Spec.Run, e.Spec.Config)
	}
	w.awaitFinished("first")
}
