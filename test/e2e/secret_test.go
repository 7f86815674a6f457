package e2e

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

// TestSecretReachesItsStepOnly: the step that asks for a Secret gets its value byte for
// byte, the step beside it does not, and Jenkins never has it.
func TestSecretReachesItsStepOnly(t *testing.T) {
	const value = `p$(id)$HOME'"\ end`
	p := newProject(t, 2, func(pl *v1alpha1.Pipeline) {
		pl.Spec.Parameters = []v1alpha1.ParameterSpec{{Name: "TARGET", Type: v1alpha1.ParameterString}}
	})
	if _, err := p.Clients.Secrets(p.name).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "login"}, StringData: map[string]string{"token": value},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	commit := p.push("Use a secret", map[string]string{".pipeline.yml": `
stages:
- name: Use
  steps:
  - name: with
    runScriptConfig: {image: "` + harness.AgentImage + `", shellScript: "printf 'with=<%s> target=<%s>\\n' \"$TOKEN\" \"$TARGET\" | tr p q"}
    envFrom: [{sourceName: login, sourceKey: token, targetKey: TOKEN}]
  - name: without
    runScriptConfig: {image: "` + harness.AgentImage + `", shellScript: "echo without=${TOKEN-none}"}
`})
	p.succeeded(commit)
	stdout, stderr, code := p.kubectl("pipeline", "run", "app", "--commit", commit, "-p", "TARGET=prod $x", "-w", "-o", "name")
	if code != 0 {
		t.Fatalf("kubectl pipeline run: exit code %d\n%s%s", code, stdout, stderr)
	}
	e := p.wait(func(e *v1alpha1.PipelineExecution) bool {
		return e.Spec.Trigger.Type == v1alpha1.EventManual && e.Status.FinishedAt != nil
	})
	log := p.mustKubectl("pipeline", "logs", e.Name)
	for _, want := range []string{"with=<" + strings.ReplaceAll(value, "p", "q") + "> target=<qrod $x>", "without=none"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if config := p.Jenkins.Config(e.Status.Engine.Job); config == "" || strings.Contains(config, "id)$HOME") {
		t.Errorf("Jenkins' job is not there, or holds the secret:\n%s", config)
	}
	eventually(t, func() error { return noSecretOf(p, e) })
}

// noSecretOf says whether a run has left its Secret beside its agent.
func noSecretOf(p *project, e *v1alpha1.PipelineExecution) error {
	secrets, err := p.Clients.Secrets(p.name+"-pipeline").List(p.Context(), metav1.ListOptions{LabelSelector: v1alpha1.LabelExecutionUID + "=" + string(e.UID)})
	if err != nil {
		return err
	}
	if n := len(secrets.Items); n > 0 {
		return fmt.Errorf("%d Secrets of the run are left", n)
	}
	return nil
}
