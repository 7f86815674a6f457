package controller_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
)

func TestSecretsReachTheAgentOnly(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.reader.commits = map[string]string{"refs/heads/main": commit}
	w.reader.files = map[string]string{".pipeline.yml": "stages: [{name: A, steps: [{runScriptConfig: {image: a, shellScript: b}, envFrom: [{sourceName: s, sourceKey: k, targetKey: K}]}]}]"}
	for name, data := range map[string]map[string]string{"s": {"k": "hush", "other": "no"}, "login": {"token": "git-token\n"}} {
		w.must(create(t, w.clients.Secrets(w.project), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}))
	}
	w.must(create(t, w.clients.Providers(w.project), &v1alpha1.SourceCodeProvider{ObjectMeta: metav1.ObjectMeta{Name: "host"}, Spec: v1alpha1.SourceCodeProviderSpec{Type: v1alpha1.ProviderGit, URL: "https://git.example"}}))
	w.must(create(t, w.clients.Credentials(w.project), &v1alpha1.SourceCodeCredential{ObjectMeta: metav1.ObjectMeta{Name: "login"},
		Spec: v1alpha1.SourceCodeCredentialSpec{ProviderRef: v1alpha1.LocalReference{Name: "host"}, SecretRef: v1alpha1.LocalReference{Name: "login"}}}))
	w.repository("app", func(r *v1alpha1.SourceCodeRepository) {
		r.Spec.ProviderRef, r.Spec.CredentialRef = &v1alpha1.LocalReference{Name: "host"}, &v1alpha1.LocalReference{Name: "login"}
	})
	w.start()
	w.pipeline("app", "", fromRepository)
	w.run("app", "a")
	e := w.awaitPhase("a", v1alpha1.PhaseRunning)
	secrets := w.clients.Secrets(w.project + "-pipeline")
	bundle, err := secrets.Get(t.Context(), "run-"+string(e.UID), metav1.GetOptions{})
	w.must(err)
	var values []string
	for _, v := range bundle.Data {
		values = append(values, string(v))
	}
	slices.Sort(values)
	if diff := cmp.Diff([]string{"git-token", "hush", "x-access-token"}, values); diff != "" {
		t.Errorf("values in the run's Secret (-want +got):\n%s", diff)
	}
	job := e.Status.Engine.Job
	for _, hidden := range []string{"hush", "git-token"} {
		if strings.Contains(w.jenkins.Config(job), hidden) {
			t.Errorf("Jenkins was told %q", hidden)
		}
	}
	if got := w.reader.seen[0].Credential.Token; got != "git-token" {
		t.Errorf("the config was read with token %q", got)
	}
	g.open("a")
	w.awaitFinished("a")
	if _, err := secrets.Get(t.Context(), bundle.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the run's Secret after its end: %v, want not found", err)
	}
	w.run("app", "b", func(e *v1alpha1.PipelineExecution) {
		e.Spec.Source = &v1alpha1.Source{RepositoryURL: "https://evil.example/app.git", Ref: "refs/heads/main", Branch: "main"}
	})
	w.await("b", "is admitted", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Engine != nil })
	for _, repo := range w.reader.seen {
		if repo.URL == "https://evil.example/app.git" && repo.Credential != (scm.Credential{}) {
			t.Errorf("the login was shown to %s", repo.URL)
		}
	}
	g.open("b")
	w.awaitFinished("b")
}
