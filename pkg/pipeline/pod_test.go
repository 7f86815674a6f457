package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestCompileContainers(t *testing.T) {
	const config = `
stages:
- name: a
  steps:
  - {name: one, runScriptConfig: {image: "go:1", shellScript: s}, cpuRequest: 500m, cpuLimit: "1", memoryRequest: 1Gi, memoryLimit: 2Gi}
  - {name: two, runScriptConfig: {image: "go:1", shellScript: s}, cpuRequest: 250m, memoryLimit: 1Gi}
- name: b
  steps:
  - {name: one, runScriptConfig: {image: "go:1", shellScript: s}, cpuRequest: 700m, memoryLimit: 4Gi}
  - {name: jnlp, runScriptConfig: {image: jnlp, shellScript: s}, cpuLimit: 100m}
  - {name: clone, runScriptConfig: {image: registry:5000/x/clone@sha256:0, shellScript: s}}
- name: c
  when: {event: tag}
  steps:
  - {name: never, runScriptConfig: {image: "never:1", shellScript: s}}
`
	c := mustCompile(t, config)
	if diff := cmp.Diff([]string{"clone", "go-1", "jnlp-2", "clone-2"}, containerNames(c)); diff != "" {
		t.Errorf("containers, none of which is for a skipped step (-want +got):\n%s", diff)
	}
	show := func(r corev1.ResourceRequirements) string {
		return fmt.Sprintf("requests cpu %s memory %s, limits cpu %s memory %s", r.Requests.Cpu(), r.Requests.Memory(), r.Limits.Cpu(), r.Limits.Memory())
	}
	for name, want := range map[string]string{
		// a: 500m+250m and 1Gi+1Gi (a limit is a request); b: 700m and 4Gi; a step without a CPU limit leaves all without
		"go-1":   "requests cpu 750m memory 4Gi, limits cpu 0 memory 4Gi",
		"jnlp-2": "requests cpu 100m memory 0, limits cpu 100m memory 0",
		"clone":  "requests cpu 10m memory 32Mi, limits cpu 0 memory 0",
	} {
		if diff := cmp.Diff(want, show(container(t, c, name).Resources)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, one := range c.Pod.Spec.Containers {
		if *one.SecurityContext.AllowPrivilegeEscalation || envOf(one)["GIT_CONFIG_VALUE_0"] != "*" {
			t.Errorf("container %s: %+v", one.Name, one)
		}
	}
}

func fork(policy v1alpha1.ForkPolicy) func(*CompileInput) {
	return func(in *CompileInput) {
		in.Execution.Spec.Source.PullRequest = &v1alpha1.PullRequest{Number: 1, Fork: true}
		in.Execution.Spec.Source.BaseBranch = "main"
		in.Execution.Spec.Trigger.Type = v1alpha1.EventPullRequest
		in.Pipeline.Spec.Triggers = &v1alpha1.Triggers{PullRequest: &v1alpha1.PullRequestTrigger{Forks: policy}}
		in.Credential = CredentialBasic
	}
}

// TestCompileFork: code of a stranger sees no secret but the clone's own login, which the clone's container alone has, and no cache.
func TestCompileFork(t *testing.T) {
	const config = `
parameters: [{name: S, type: secret, default: s/param}]
cache: {preset: go}
stages: [{name: a, steps: [{runScriptConfig: {image: i, shellScript: s}, envFrom: [{sourceName: s, sourceKey: k, targetKey: T}]}]}]
`
	for policy, trusted := range map[v1alpha1.ForkPolicy]bool{v1alpha1.ForksWithoutSecrets: false, "": false, v1alpha1.ForksAll: true} {
		c := mustCompile(t, config, fork(policy))
		env := envOf(container(t, c, "i"))
		_, hasT := env["T"]
		_, hasS := env["S"]
		if hasT != trusted || hasS != trusted || (len(c.Pod.Spec.Volumes) > 0) != trusted || (len(c.Secrets) == 2) != trusted {
			t.Errorf("policy %q: T %v, S %v, %d volumes, %d secrets; want all of them %v", policy, hasT, hasS, len(c.Pod.Spec.Volumes), len(c.Secrets), trusted)
		}
		if !trusted && strings.Contains(fmt.Sprint(env), "run-app-42") {
			t.Errorf("policy %q: a secret in %v", policy, env)
		}
		if *c.Pod.Spec.AutomountServiceAccountToken {
			t.Error("the agent has an API token")
		}
	}
}

// What a setting overrides is for the project's own runs, and where submodules and large files lie is written in the stranger's commit.
func TestCompileForkGetsNoAccountAndLeadsTheLoginNowhere(t *testing.T) {
	const config = `
stages:
- {name: Clone, steps: [{sourceCodeConfig: {submodules: true, lfs: true}}]}
- {name: a, steps: [{runScriptConfig: {image: i, shellScript: s}}]}
`
	overrides := func(in *CompileInput) {
		in.Setting = &v1alpha1.PipelineSetting{Spec: v1alpha1.PipelineSettingSpec{Executor: v1alpha1.ExecutorSpec{
			PodOverrides: &runtime.RawExtension{Raw: []byte(`{"spec":{"serviceAccountName":"deployer","automountServiceAccountToken":true}}`)}}}}
	}
	for policy, trusted := range map[v1alpha1.ForkPolicy]bool{v1alpha1.ForksWithoutSecrets: false, v1alpha1.ForksAll: true} {
		c := mustCompile(t, config, fork(policy), overrides)
		if got := c.Pod.Spec.ServiceAccountName == "deployer"; got != trusted || *c.Pod.Spec.AutomountServiceAccountToken != trusted {
			t.Errorf("policy %s: account %q, token %v", policy, c.Pod.Spec.ServiceAccountName, *c.Pod.Spec.AutomountServiceAccountToken)
		}
		for _, credential := range []CredentialKind{CredentialNone, CredentialBasic, CredentialSSH} {
			env := envOf(container(t, mustCompile(t, config, fork(policy), func(in *CompileInput) { in.Credential = credential }), "clone"))
			want := fmt.Sprint(trusted || credential == CredentialNone)
			if env["CLONE_SUBMODULES"] != want || env["CLONE_LFS"] != want {
				t.Errorf("policy %s, login %q: submodules %s, LFS %s, want %s", policy, credential, env["CLONE_SUBMODULES"], env["CLONE_LFS"], want)
			}
		}
	}
}

func TestCompilePod(t *testing.T) {
	minimal := readTestdata(t, "compile/minimal.yml")
	override := func(patch string) func(*CompileInput) {
		return func(in *CompileInput) {
			in.Setting = &v1alpha1.PipelineSetting{Spec: v1alpha1.PipelineSettingSpec{Executor: v1alpha1.ExecutorSpec{PodOverrides: &runtime.RawExtension{Raw: []byte(patch)}}}}
		}
	}
	t.Run("overrides are merged by name, last, and cannot hide the pod from the controllers", func(t *testing.T) {
		c := mustCompile(t, minimal, override(`{"metadata":{"labels":{"team":"a","kubectl-pipeline.io/execution-uid":"x"}},"spec":{"nodeSelector":{"$patch":"replace","a":"b"},"tolerations":[{"key":"k"}],"containers":[{"name":"golang-1-26","image":"mirror/golang:1.26"},{"name":"extra","image":"e"}]}}`))
		if got := container(t, c, "golang-1-26"); got.Image != "mirror/golang:1.26" || got.Command[0] != "sleep" {
			t.Errorf("container %+v", got)
		}
		container(t, c, "extra")
		if diff := cmp.Diff(map[string]string{"a": "b"}, c.Pod.Spec.NodeSelector); diff != "" {
			t.Errorf("nodeSelector (-want +got):\n%s", diff)
		}
		if c.Pod.Labels["team"] != "a" || c.Pod.Labels[v1alpha1.LabelExecutionUID] != "7d8f1f5e-0000-4000-8000-000000000042" {
			t.Errorf("labels %v", c.Pod.Labels)
		}
	})
	t.Run("overrides with an unknown field are refused", func(t *testing.T) {
		_, err := Compile(compileInput(t, minimal, override(`{"spec":{"runtimeClass":"gvisor"}}`)))
		if err == nil || !strings.Contains(err.Error(), `podOverrides of the PipelineSetting: unknown field "spec.runtimeClass"`) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("times: the pipeline's timeout wins, and the pod outlives them all", func(t *testing.T) {
		c := mustCompile(t, "timeout: 10\n"+minimal)
		if c.Timeout != 10*time.Minute || c.AgentTimeout != 10*time.Minute || *c.Pod.Spec.ActiveDeadlineSeconds != (7*24*60+50)*60 {
			t.Errorf("timeouts %s, %s, deadline %d s", c.Timeout, c.AgentTimeout, *c.Pod.Spec.ActiveDeadlineSeconds)
		}
		c = mustCompile(t, "timeout: 10\n"+minimal, func(in *CompileInput) { in.Pipeline.Spec.Timeout = &metav1.Duration{Duration: 90 * time.Second} })
		if c.Timeout != 90*time.Second || !strings.Contains(c.Jenkinsfile, "timeout(time: 604890, unit: 'SECONDS')") {
			t.Errorf("timeout %s", c.Timeout)
		}
	})
	t.Run("texts of the YAML are quoted, since a commit id may look like a number", func(t *testing.T) {
		c := mustCompile(t, minimal, func(in *CompileInput) {
			in.Execution.Spec.Source.Commit = "12e4567" + strings.Repeat("0", 33)
			in.Execution.Spec.Source.Branch = "yes"
		})
		yaml, err := podYAML(c.Pod)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`value: "12e4567"`, `value: "yes"`} {
			if !strings.Contains(yaml, want) {
				t.Errorf("no %s in\n%s", want, yaml)
			}
		}
	})
	t.Run("the same input gives the same bytes", func(t *testing.T) {
		full := readTestdata(t, "compile/full.yml")
		first := mustCompile(t, full, busySetting)
		for range 20 {
			if again := mustCompile(t, full, busySetting); again.Jenkinsfile != first.Jenkinsfile {
				t.Fatal("another Jenkinsfile")
			}
		}
	})
}
