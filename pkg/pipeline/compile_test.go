package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

const testCommit = "0123456789abcdef0123456789abcdef01234567"

// compileInput is a push to main of the pipeline shop/app, run 42.
func compileInput(t testing.TB, config string, change ...func(*CompileInput)) CompileInput {
	t.Helper()
	c, err := ParseConfig(config)
	if err != nil {
		t.Fatalf("parse:\n%v", err)
	}
	in := CompileInput{
		Execution: &v1alpha1.PipelineExecution{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app-42", UID: types.UID("7d8f1f5e-0000-4000-8000-000000000042")},
			Spec: v1alpha1.PipelineExecutionSpec{
				PipelineRef: v1alpha1.LocalReference{Name: "app"},
				Run:         42,
				Source: &v1alpha1.Source{
					RepositoryURL: "https://git.example.com/shop/app.git", Ref: "refs/heads/main", Branch: "main", Commit: testCommit,
				},
				Trigger: v1alpha1.Trigger{Type: v1alpha1.EventPush, User: "ada", DeliveryID: "d-1"},
			},
		},
		Pipeline:   &v1alpha1.Pipeline{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}},
		Config:     c,
		SecretName: "run-app-42",
	}
	for _, f := range change {
		f(&in)
	}
	return in
}

func mustCompile(t testing.TB, config string, change ...func(*CompileInput)) *Compiled {
	t.Helper()
	out, err := Compile(compileInput(t, config, change...))
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	return out
}

func readTestdata(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// busySetting has every field that Compile honours.
func busySetting(in *CompileInput) {
	quantity := resource.MustParse("100m")
	in.Setting = &v1alpha1.PipelineSetting{Spec: v1alpha1.PipelineSettingSpec{
		Executor: v1alpha1.ExecutorSpec{
			Namespace:         "builders",
			AgentTimeout:      &metav1.Duration{Duration: 3 * time.Minute},
			Resources:         &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: quantity}},
			NodeSelector:      map[string]string{"pool": "ci"},
			Tolerations:       []corev1.Toleration{{Key: "ci", Operator: corev1.TolerationOpExists}},
			ImagePullSecrets:  []corev1.LocalObjectReference{{Name: "pull"}},
			HostAliases:       []corev1.HostAlias{{IP: "10.0.0.9", Hostnames: []string{"git.example.com"}}},
			PriorityClassName: "low",
			PodOverrides:      &runtime.RawExtension{Raw: []byte(`{"metadata":{"annotations":{"team":"shop"}},"spec":{"runtimeClassName":"gvisor","containers":[{"name":"clone","imagePullPolicy":"Always"}]}}`)},
		},
		Engine: v1alpha1.EngineSpec{Jenkins: v1alpha1.JenkinsSpec{Cloud: "east"}},
		Cache:  &v1alpha1.CacheSpec{HostPath: &v1alpha1.HostPathCache{Path: "/cache"}},
		Network: &v1alpha1.NetworkSpec{
			HTTPProxy: "http://proxy:3128", NoProxy: "10.0.0.0/8,.svc",
			PackageMirrors: &v1alpha1.PackageMirrors{Go: "https://goproxy.example.com", NPM: "https://npm.example.com", Pip: "https://pypi.example.com/simple"},
		},
		Images: &v1alpha1.ImagesSpec{Agent: "registry.example.com/inbound-agent:1", Clone: "registry.example.com/git:2"},
	}}
	in.Pipeline.Status.RecentNodes = []v1alpha1.RecentNode{{Name: "node-c"}, {Name: "node-a"}, {Name: "node-b"}}
	in.Credential = CredentialBasic
	in.Execution.Spec.Parameters = []v1alpha1.Parameter{{Name: "target", Value: "prod"}, {Name: "licence", Value: "licences/app"}}
}

// goldenCases are compiled into testdata/compile/<name>.Jenkinsfile, .pod.yaml and .calls.
func goldenCases(t testing.TB) map[string]CompileInput {
	return map[string]CompileInput{
		"minimal": compileInput(t, readTestdata(t, "compile/minimal.yml")),
		"full":    compileInput(t, readTestdata(t, "compile/full.yml"), busySetting),
		"full-tag": compileInput(t, readTestdata(t, "compile/full.yml"), func(in *CompileInput) {
			in.Execution.Spec.Source.Branch, in.Execution.Spec.Source.Tag, in.Execution.Spec.Source.Ref = "", "v1.2.0", "refs/tags/v1.2.0"
			in.Execution.Spec.Trigger.Type = v1alpha1.EventTag
			in.Credential = CredentialSSH
			in.Execution.Spec.Source.RepositoryURL = "git@git.example.com:shop/app.git"
		}),
		"full-fork": compileInput(t, readTestdata(t, "compile/full.yml"), busySetting, func(in *CompileInput) {
			in.Execution.Spec.Source.BaseBranch = "main"
			in.Execution.Spec.Source.Ref = "refs/pull/7/head"
			in.Execution.Spec.Source.PullRequest = &v1alpha1.PullRequest{Number: 7, Fork: true}
			in.Execution.Spec.Trigger.Type = v1alpha1.EventPullRequest
			in.Pipeline.Spec.Triggers = &v1alpha1.Triggers{PullRequest: &v1alpha1.PullRequestTrigger{Forks: v1alpha1.ForksWithoutSecrets}}
		}),
		"no-source": compileInput(t, readTestdata(t, "compile/minimal.yml"), func(in *CompileInput) {
			in.Execution.Spec.Source = nil
			in.Execution.Spec.Trigger = v1alpha1.Trigger{Type: v1alpha1.EventManual}
			in.Pipeline.Spec.Timeout = &metav1.Duration{Duration: 90 * time.Second}
		}),
	}
}

func TestCompileGolden(t *testing.T) {
	for name, in := range goldenCases(t) {
		t.Run(name, func(t *testing.T) {
			c, err := Compile(in)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "compile/"+name+".Jenkinsfile", c.Jenkinsfile)
			yaml, err := podYAML(c.Pod)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "compile/"+name+".pod.yaml", yaml)
			if strings.Contains(c.Jenkinsfile, "\t") {
				t.Error("a tab in the Jenkinsfile")
			}
		})
	}
}
