package pipeline

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestCompileEnv(t *testing.T) {
	const config = `
parameters: [{name: P, default: parameter}, {name: BOTH, default: parameter}]
env: {F: file, BOTH: file, REF: "${P} ${CICD_GIT_TAG:-none} ${UNKNOWN} ${UNKNOWN:-default} $(F) $F", GOPROXY: direct, CICD_EVENT: mine}
stages:
- name: a
  steps:
  - name: plain
    runScriptConfig: {image: "img:${P}", shellScript: s}
    env: {F: step, NEW: "${F} ${BOTH} ${CICD_EVENT} ${CICD_EXECUTION_SEQUENCE}"}
  - name: dollar
    runScriptConfig: {image: "img:${P}", shellScript: s}
    env: {F: "$HOME $$ $(P)", OTHER: x}
  - name: secret
    runScriptConfig: {image: "img:${P}", shellScript: s}
    envFrom: [{sourceName: s, sourceKey: k, targetKey: F}]
`
	c := mustCompile(t, config, func(in *CompileInput) {
		in.Setting = &v1alpha1.PipelineSetting{Spec: v1alpha1.PipelineSettingSpec{Network: &v1alpha1.NetworkSpec{PackageMirrors: &v1alpha1.PackageMirrors{Go: "https://mirror"}}}}
	})
	if diff := cmp.Diff([]string{"clone", "img-parameter", "img-parameter-2", "img-parameter-3"}, containerNames(c)); diff != "" {
		t.Fatalf("containers (-want +got):\n%s", diff)
	}
	common := map[string]string{
		"P": "parameter", "BOTH": "parameter", "GOPROXY": "direct", "CICD_EVENT": "mine", "CICD_GIT_TAG": "", "CICD_GIT_COMMIT": "0123456",
		"REF": "parameter none ${UNKNOWN} default $(F) $F",
	}
	for name, own := range map[string]map[string]string{
		"img-parameter":   {"F": "file"},
		"img-parameter-2": {"F": "$HOME $$ $(P)"},
		"img-parameter-3": {"F": "run-app-42/env-" + v1alpha1.ShortHash("s", "k")},
	} {
		got := envOf(container(t, c, name))
		for _, want := range []map[string]string{common, own} {
			for k, v := range want {
				if got[k] != v {
					t.Errorf("%s: %s is %q, want %q", name, k, got[k], v)
				}
			}
		}
	}
	for _, want := range []string{
		`withEnv(['F=step', 'NEW=file parameter mine 42'])`, `withEnv(['OTHER=x'])`,
	} {
		if !strings.Contains(c.Jenkinsfile, want) {
			t.Errorf("no %s in\n%s", want, c.Jenkinsfile)
		}
	}
	clone := envOf(container(t, c, "clone"))
	if _, ok := clone["F"]; ok || clone["GOPROXY"] != "https://mirror" {
		t.Errorf("the clone sees %v", clone)
	}
	if diff := cmp.Diff([]BundleEntry{{Key: "env-" + v1alpha1.ShortHash("s", "k"), From: v1alpha1.SecretKeyReference{Name: "s", Key: "k"}}}, c.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

// TestCompileCICD: the variables of a run, each with Rancher's meaning.
func TestCompileCICD(t *testing.T) {
	in := compileInput(t, readTestdata(t, "compile/minimal.yml"), func(in *CompileInput) {
		in.Execution.Spec.Source = &v1alpha1.Source{
			RepositoryURL: "https://user:secret@git.example.com/shop/app.git", Ref: "refs/pull/7/head", Branch: "topic", BaseBranch: "main", Commit: testCommit,
			PullRequest: &v1alpha1.PullRequest{Number: 7},
		}
		in.Execution.Spec.Trigger = v1alpha1.Trigger{Type: v1alpha1.EventImage, Image: &v1alpha1.ImageReference{Repository: "reg.io/base", Tag: "3", Digest: "sha256:0"}}
		in.Setting = &v1alpha1.PipelineSetting{Spec: v1alpha1.PipelineSettingSpec{Registry: &v1alpha1.RegistrySpec{Mode: v1alpha1.ComponentExternal, URL: "reg.io/shop"}}}
	})
	want := map[string]string{
		"CICD_GIT_COMMIT": "0123456", "CICD_GIT_COMMIT_FULL": testCommit, "CICD_GIT_REPO_NAME": "app", "CICD_GIT_URL": "https://git.example.com/shop/app.git",
		"CICD_GIT_REF": "refs/pull/7/head", "CICD_GIT_BRANCH": "main", "CICD_GIT_TAG": "", "CICD_PULL_REQUEST": "7", "CICD_TRIGGER_TYPE": "webhook", "CICD_EVENT": "image",
		"CICD_EXECUTION_ID": "app-42", "CICD_EXECUTION_SEQUENCE": "42", "CICD_PIPELINE_ID": "app", "CICD_PROJECT_ID": "shop", "CICD_CLUSTER_ID": "", "CICD_LOCAL_REGISTRY": "reg.io/shop",
		"CICD_TRIGGER_IMAGE": "reg.io/base:3", "CICD_TRIGGER_IMAGE_REPOSITORY": "reg.io/base", "CICD_TRIGGER_IMAGE_TAG": "3", "CICD_TRIGGER_IMAGE_DIGEST": "sha256:0",
	}
	if diff := cmp.Diff(want, cicdVariables(in).values); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	for address, want := range map[string]string{"git@h:team/app.git": "app", "ssh://git@h:22/app": "app", "https://h/a/b/": "b", "": ""} {
		if got := repositoryName(address); got != want {
			t.Errorf("name of %q is %q, want %q", address, got, want)
		}
	}
}
