package e2e

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

// TestPush is the main job: a push becomes a finished execution of that commit.
func TestPush(t *testing.T) {
	p := newProject(t, 2)
	commit := p.push("First", map[string]string{
		"hello.txt": "hello from the repository",
		".pipeline.yml": `
env: {GREETING: "it's $HOME \\ 'quoted'"}
stages:
- name: Test
  steps:
  - name: read
    runScriptConfig: {image: "` + harness.AgentImage + `", shellScript: "cat hello.txt; echo \"greeting=$GREETING\"; echo commit=$CICD_GIT_COMMIT"}
  - name: other
    runScriptConfig: {image: "` + harness.AgentImage + `", shellScript: "echo parallel"}
- name: Release
  when: {branch: "release/**"}
  steps:
  - name: never
    runScriptConfig: {image: "` + harness.AgentImage + `", shellScript: "false"}
`,
	})
	e := p.succeeded(commit)
	if e.Spec.Run != 1 || e.Spec.Config == "" || e.Spec.Trigger.Type != v1alpha1.EventPush {
		t.Errorf("run %d, trigger %s, config of %d bytes: want run 1, Push, and the config's snapshot", e.Spec.Run, e.Spec.Trigger.Type, len(e.Spec.Config))
	}
	var got []string
	for _, s := range e.Status.Stages {
		got = append(got, s.Name+" "+string(s.Phase))
	}
	if want := "Clone Succeeded, Test Succeeded, Release Skipped"; strings.Join(got, ", ") != want {
		t.Errorf("stages %s, want %s", strings.Join(got, ", "), want)
	}

	log := p.mustKubectl("pipeline", "logs", e.Name)
	for _, want := range []string{"hello from the repository", `greeting=it's $HOME \ 'quoted'`, "commit=" + commit[:7], "parallel", "Finished: SUCCESS"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if describe := p.mustKubectl("pipeline", "describe", e.Name); !strings.Contains(describe, "Succeeded") || !strings.Contains(describe, commit[:7]) {
		t.Errorf("describe says neither phase nor commit:\n%s", describe)
	}
	p.mustKubectl("wait", "--for=condition=Complete", "--timeout=5s", "pe/"+e.Name)

	eventually(t, func() error {
		pipeline, err := p.Clients.Pipelines(p.name).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			return err
		}
		// A run that takes a moment only may have ended before its agent was looked at.
		e, err := p.Clients.Executions(p.name).Get(t.Context(), e.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		nodes, agent := pipeline.Status.RecentNodes, e.Status.Agent
		if agent == nil || len(nodes) != 1 || nodes[0].Name != agent.Node {
			return fmt.Errorf("recent nodes are %+v, want the one of the agent %+v", nodes, agent)
		}
		return nil
	})
	pods, err := p.Clients.Pods("").List(t.Context(), metav1.ListOptions{LabelSelector: v1alpha1.LabelExecutionUID + "=" + string(e.UID)})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp == nil {
			t.Errorf("agent pod %s is still there", pod.Name)
		}
	}
}

// TestFailedStep: the cause is in the status, and waiting ends with exit code 2.
func TestFailedStep(t *testing.T) {
	p := newProject(t, 2)
	commit := p.push("Break", config("echo about to fail; exit 7"))
	e := p.ended(commit)
	if e.Status.Phase != v1alpha1.PhaseFailed || e.Status.Reason != v1alpha1.ReasonStepFailed || !strings.Contains(e.Status.Message, "7") {
		t.Errorf("phase %s, reason %s, message %q: want Failed, StepFailed, the exit code", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
	if step := e.Status.Stages[1].Steps[0]; step.ExitCode == nil || *step.ExitCode != 7 {
		t.Errorf("step %+v, want exit code 7", step)
	}
	if _, _, code := p.kubectl("pipeline", "watch", e.Name); code != 2 {
		t.Errorf("kubectl pipeline watch: exit code %d, want 2", code)
	}
}

// TestInvalidConfig: the run ends at once, with the line that is wrong.
func TestInvalidConfig(t *testing.T) {
	p := newProject(t, 2)
	commit := p.push("Mistype", map[string]string{".pipeline.yml": "stages:\n- name: Test\n  step: []\n"})
	e := p.ended(commit)
	if e.Status.Reason != v1alpha1.ReasonInvalidConfig || !strings.Contains(e.Status.Message, "3") || !strings.Contains(e.Status.Message, "steps") {
		t.Errorf("reason %s, message %q: want InvalidConfig, line 3, and the nearest name", e.Status.Reason, e.Status.Message)
	}
}

// TestRerunBuildsTheSameCommit although the branch has moved on.
func TestRerunBuildsTheSameCommit(t *testing.T) {
	p := newProject(t, 2)
	files := config("cat version.txt")
	files["version.txt"] = "version one"
	first := p.push("One", files)
	one := p.ended(first)
	files["version.txt"] = "version two"
	p.ended(p.push("Two", files))

	name := strings.TrimSpace(p.mustKubectl("pipeline", "rerun", one.Name, "-o", "name"))
	name = name[strings.LastIndex(name, "/")+1:]
	again := p.wait(func(e *v1alpha1.PipelineExecution) bool { return e.Name == name && e.Status.FinishedAt != nil })
	if again.Spec.Source.Commit != first || again.Status.Phase != v1alpha1.PhaseSucceeded {
		t.Errorf("rerun built %s, %s; want %s, Succeeded", again.Spec.Source.Commit, again.Status.Phase, first)
	}
	if log := p.mustKubectl("pipeline", "logs", name); !strings.Contains(log, "version one") {
		t.Errorf("the rerun did not build the first commit:\n%s", log)
	}
}
