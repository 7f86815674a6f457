package controller_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
)

func TestConfigErrorsAreTerminal(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{}, quota(0))
	w.start()
	w.pipeline("app", oneStep)
	w.pipeline("map", "", func(p *v1alpha1.Pipeline) {
		p.Spec.ConfigMapRef = &v1alpha1.ConfigMapKeyReference{Name: "none"}
	})
	for name, tc := range map[string]struct {
		pipeline, config, reason, message string
	}{
		"typo":        {"app", "stages:\n- name: A\n  stepz: []\n", v1alpha1.ReasonInvalidConfig, "line 3"},
		"later":       {"app", "stages:\n- name: A\n  steps:\n  - applyYamlConfig: {path: a.yaml}\n", v1alpha1.ReasonInvalidConfig, "line 4"},
		"no-pipeline": {"nobody", "", v1alpha1.ReasonPipelineNotFound, "nobody"},
		"no-map":      {"map", "", v1alpha1.ReasonConfigNotFound, "ConfigMap none"},
		"no-secret":   {"app", "stages: [{name: A, steps: [{runScriptConfig: {image: a, shellScript: b}, envFrom: [{sourceName: s, sourceKey: k, targetKey: K}]}]}]", v1alpha1.ReasonSecretNotFound, "Secret s"},
	} {
		t.Run(name, func(t *testing.T) {
			w.run(tc.pipeline, name, func(e *v1alpha1.PipelineExecution) { e.Spec.Config = tc.config })
			e := w.awaitFinished(name)
			if e.Status.Phase != v1alpha1.PhaseFailed || e.Status.Reason != tc.reason || !strings.Contains(e.Status.Message, tc.message) {
				t.Errorf("status = %s %s %q", e.Status.Phase, e.Status.Reason, e.Status.Message)
			}
		})
	}
	if builds := w.jenkins.Builds(); len(builds) != 0 {
		t.Errorf("builds = %+v", builds)
	}
}

const commit = "0123456789abcdef0123456789abcdef01234567"

func (w *world) repository(name string, change ...func(*v1alpha1.SourceCodeRepository)) {
	w.t.Helper()
	r := &v1alpha1.SourceCodeRepository{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.SourceCodeRepositorySpec{URL: "https://git.example/shop/app.git"}}
	for _, c := range change {
		c(r)
	}
	w.must(create(w.t, w.clients.Repositories(w.project), r))
}

func fromRepository(p *v1alpha1.Pipeline) {
	p.Spec.Config, p.Spec.RepositoryRef = "", &v1alpha1.LocalReference{Name: "app"}
}

func TestConfigIsFetchedAtTheCommit(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.reader.commits = map[string]string{"refs/heads/main": commit}
	w.reader.err = &scm.Error{Kind: scm.KindUnreachable, Message: "no route to host"}
	w.start()
	w.repository("app")
	w.pipeline("app", "", fromRepository)
	w.run("app", "a") // made by hand: without a source
	w.await("a", "waits for the Git host", func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Phase == v1alpha1.PhaseQueued && e.Status.Reason == v1alpha1.ReasonConfigUnavailable && strings.Contains(e.Status.Message, "no route to host")
	})
	w.reader.set(func(r *reader) { r.err, r.files = nil, map[string]string{".pipeline.yml": oneStep} })
	e := w.awaitPhase("a", v1alpha1.PhaseSucceeded)
	if e.Spec.Source == nil || e.Spec.Source.Commit != commit || e.Spec.Source.Branch != "main" || e.Spec.Config != oneStep {
		t.Errorf("spec = %+v", e.Spec)
	}
	if len(e.Status.Stages) != 2 || e.Status.Stages[0].Name != "Clone" || e.Status.Stages[0].Phase != v1alpha1.PhaseSucceeded {
		t.Errorf("stages = %+v", e.Status.Stages)
	}
	w.reader.set(func(r *reader) { r.files = nil })
	w.run("app", "b")
	if e := w.awaitFinished("b"); e.Status.Reason != v1alpha1.ReasonConfigNotFound {
		t.Errorf("without a file: %s %q", e.Status.Reason, e.Status.Message)
	}
	w.reader.set(func(r *reader) { r.commits = nil })
	w.run("app", "c")
	if e := w.awaitFinished("c"); e.Status.Reason != v1alpha1.ReasonSourceNotFound {
		t.Errorf("without the branch: %s %q", e.Status.Reason, e.Status.Message)
	}
}
