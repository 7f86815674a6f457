package controller_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// Security: what a stranger brings is built as the target branch says, without anything
// that the stranger could take away.
func TestForksFollowTheConfigOfTheTargetBranch(t *testing.T) {
	const (
		head = "feedfacefeedfacefeedfacefeedfacefeedface"
		ours = "stages: [{name: ours, steps: [{runScriptConfig: {image: busybox, shellScript: echo ours}}]}]"
		bad  = "stages: [{name: theirs, steps: [{runScriptConfig: {image: busybox, shellScript: 'env'}, envFrom: [{sourceName: deploy, sourceKey: token, targetKey: T}]}]}]"
		key  = "deploy-token-of-the-project"
	)
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.reader.commits = map[string]string{"refs/heads/main": commit, "refs/pull/7/head": head}
	w.reader.files = map[string]string{commit + ":.pipeline.yml": ours, head + ":.pipeline.yml": bad}
	w.must(create(t, w.clients.Secrets(w.project), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "deploy"}, StringData: map[string]string{"token": key}}))
	w.repository("app")
	w.start()
	for policy, c := range map[v1alpha1.ForkPolicy]struct {
		fork         bool
		stage        string
		knowsSecrets bool
	}{
		v1alpha1.ForksWithoutSecrets: {fork: true, stage: "ours"},
		v1alpha1.ForksAll:            {fork: true, stage: "theirs", knowsSecrets: true},
		v1alpha1.ForksNone:           {fork: false, stage: "theirs", knowsSecrets: true}, // of the repository itself
	} {
		name := "app-" + strings.ToLower(string(policy))
		w.pipeline(name, "", fromRepository, func(p *v1alpha1.Pipeline) {
			p.Spec.Triggers = &v1alpha1.Triggers{PullRequest: &v1alpha1.PullRequestTrigger{Forks: policy}}
		})
		w.run(name, name, func(e *v1alpha1.PipelineExecution) {
			e.Spec.Trigger.Type = v1alpha1.EventPullRequest
			e.Spec.Source = &v1alpha1.Source{
				RepositoryURL: "https://git.example/shop/app.git", Ref: "refs/pull/7/head", Branch: "main", BaseBranch: "main", Commit: head,
				PullRequest: &v1alpha1.PullRequest{Number: 7, Fork: c.fork},
			}
		})
		e := w.await(name, "the config is known", func(e *v1alpha1.PipelineExecution) bool { return e.Spec.Config != "" && len(e.Status.Stages) > 0 })
		if last := e.Status.Stages[len(e.Status.Stages)-1].Name; last != c.stage {
			t.Errorf("forks %s: stage %s of the config, want %s", policy, last, c.stage)
		}
		if e.Spec.Source.Commit != head || e.Spec.Source.RepositoryURL != "https://git.example/shop/app.git" {
			t.Errorf("forks %s: built is %s of %s", policy, e.Spec.Source.Commit, e.Spec.Source.RepositoryURL)
		}
		w.awaitPhase(name, v1alpha1.PhaseRunning)
		secrets, err := w.clients.Secrets(w.project+"-pipeline").List(t.Context(), metav1.ListOptions{})
		w.must(err)
		known := false
		for _, s := range secrets.Items {
			if s.Labels[v1alpha1.LabelExecutionUID] == string(e.UID) {
				for _, v := range s.Data {
					known = known || string(v) == key
				}
			}
		}
		if known != c.knowsSecrets {
			t.Errorf("forks %s: the run has the secret: %v, want %v", policy, known, c.knowsSecrets)
		}
		g.open(name)
		w.awaitFinished(name)
	}
}
