package pipeline

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestCompileErrors(t *testing.T) {
	minimal := readTestdata(t, "compile/minimal.yml")
	cache := func(c v1alpha1.CacheSpec) func(*CompileInput) {
		return func(in *CompileInput) { in.Pipeline.Spec.Cache = &c }
	}
	network := func(n v1alpha1.NetworkSpec) func(*CompileInput) {
		return func(in *CompileInput) {
			in.Setting = &v1alpha1.PipelineSetting{Spec: v1alpha1.PipelineSettingSpec{Network: &n}}
		}
	}
	source := func(f func(*v1alpha1.Source)) func(*CompileInput) {
		return func(in *CompileInput) { f(in.Execution.Spec.Source) }
	}
	percent := int32(20)
	const honoured = "the PipelineSetting or the Pipeline cannot be honoured: "
	cases := map[string]struct {
		config string
		in     func(*CompileInput)
		reason string
		want   string
	}{
		"a step type that is not compiled": {
			"stages: [{name: a, steps: [{applyAppConfig: {chart: c}}]}]", nil, v1alpha1.ReasonInvalidConfig,
			"line 1, column 29: stages[0].steps[0].applyAppConfig: steps of type applyAppConfig are not supported yet",
		},
		"a source without a commit":    {minimal, source(func(s *v1alpha1.Source) { s.Commit = "" }), v1alpha1.ReasonInvalidConfig, "source.commit is not known; a tip is never built"},
		"a commit that is none":        {minimal, source(func(s *v1alpha1.Source) { s.Commit = "--upload-pack=x" }), v1alpha1.ReasonInvalidConfig, `source.commit: want 40 or 64 hex digits, got "--upload-pack=x"`},
		"an address that is an option": {minimal, source(func(s *v1alpha1.Source) { s.RepositoryURL = "--upload-pack=x" }), v1alpha1.ReasonInvalidConfig, `source.repositoryURL: "--upload-pack=x" is no address`},
		"a ref that is a refspec":      {minimal, source(func(s *v1alpha1.Source) { s.Ref = "refs/heads/a:refs/heads/b" }), v1alpha1.ReasonInvalidConfig, `source.ref: want a full name such as refs/heads/main, got "refs/heads/a:refs/heads/b"`},
		"a parameter nobody declared":  {minimal, func(in *CompileInput) { in.Execution.Spec.Parameters = []v1alpha1.Parameter{{Name: "x"}} }, v1alpha1.ReasonInvalidParameters, "parameter x is not declared"},
		"a secret under a name that Jenkins sets": {
			minimal, func(in *CompileInput) {
				in.Pipeline.Spec.Parameters = []v1alpha1.ParameterSpec{{Name: "CI", Type: v1alpha1.ParameterSecret}}
				in.Execution.Spec.Parameters = []v1alpha1.Parameter{{Name: "CI", Value: "s/k"}}
			}, v1alpha1.ReasonInvalidParameters, "parameter CI: Jenkins sets a variable of this name, which a secret cannot have",
		},
		"a rerun from a stage":         {minimal, func(in *CompileInput) { in.Execution.Spec.Trigger.FromStage = "Build" }, v1alpha1.ReasonInvalidConfig, "trigger.fromStage is not supported yet"},
		"a variable that is not known": {strings.Replace(minimal, "1.26", "${VERSION}", 1), nil, v1alpha1.ReasonInvalidConfig, "line 5, column 7: stages[0].steps[0].runScriptConfig.image: VERSION is not known in this run"},
		"an image that is none":        {strings.Replace(minimal, "1.26", "${CICD_GIT_REF}", 1), source(func(s *v1alpha1.Source) { s.Ref = "refs/heads/ü" }), v1alpha1.ReasonInvalidConfig, `line 5, column 7: stages[0].steps[0].runScriptConfig.image: "golang:refs/heads/ü" is not an image`},
		"a variable of megabytes that a small file asks for": {
			"parameters: [{name: P, default: " + strings.Repeat("x", 4000) + "}]\nenv: {A: \"" + strings.Repeat("${P}", 50_000) + "\"}\n" + minimal, nil, v1alpha1.ReasonInvalidConfig,
			"line 2, column 7: env.A: with its references replaced, the variable has more than 131071 bytes; no process can be started with it",
		},
		"a script of gigabytes that a small file asks for": {
			"parameters: [{name: P, default: " + strings.Repeat("x", 4000) + "}]\nstages:\n- name: a\n  steps:\n" + strings.Repeat("  - {env: {A: \""+strings.Repeat("${P}", 30)+"\"}, runScriptConfig: {image: i, shellScript: s}}\n", 100), nil, v1alpha1.ReasonInvalidConfig,
			"line 74, column 5: stages[0].steps[69]: here the script becomes too large for Jenkins: scripts and variables have more than 8 MiB as literals",
		},
		"an agent pod of megabytes": {
			"parameters: [{name: P, default: " + strings.Repeat("x", 4000) + "}]\nenv: {A: \"" + strings.Repeat("${P}", 30) + "\"}\nstages:\n- name: a\n  steps:\n" + numbered("  - {runScriptConfig: {image: i%d, shellScript: s}}\n", 10), nil, v1alpha1.ReasonInvalidConfig,
			"the agent pod would have more than 1 MiB, which no cluster stores: each of its 11 containers has all variables; use fewer images or shorter variables",
		},
		"an agent pod with a character that no process can have": {
			minimal, source(func(s *v1alpha1.Source) { s.Branch = "a\x00b" }), v1alpha1.ReasonInvalidConfig, "the agent pod: character U+0000 cannot be passed on",
		},
		"two entries with one path":     {"cache: {entries: [{name: a, paths: [/x]}, {name: b, paths: [/x/]}]}\n" + minimal, nil, v1alpha1.ReasonInvalidConfig, "line 5, column 5: stages[0].steps[0]: two cache entries have the path /x"},
		"a claim from a template":       {minimal, cache(v1alpha1.CacheSpec{PersistentVolumeClaim: &v1alpha1.PVCCache{Template: &v1alpha1.PVCTemplate{}, PerNode: true}}), v1alpha1.ReasonInvalidConfig, honoured + "cache.persistentVolumeClaim.template is not supported yet; cache.persistentVolumeClaim.perNode is not supported yet"},
		"no claim":                      {minimal, cache(v1alpha1.CacheSpec{Backend: v1alpha1.CachePVC}), v1alpha1.ReasonInvalidConfig, honoured + "cache.backend PersistentVolumeClaim needs cache.persistentVolumeClaim.claimName"},
		"a bound that nobody keeps":     {minimal, cache(v1alpha1.CacheSpec{HostPath: &v1alpha1.HostPathCache{MinFreePercent: &percent}, TrustedBranches: &v1alpha1.Filter{}}), v1alpha1.ReasonInvalidConfig, honoured + "cache.hostPath.minFreePercent is not supported yet; cache.trustedBranches is not supported yet"},
		"a base that climbs":            {minimal, cache(v1alpha1.CacheSpec{HostPath: &v1alpha1.HostPathCache{Path: "/a/../etc"}}), v1alpha1.ReasonInvalidConfig, honoured + `cache.hostPath.path must be an absolute directory without '..', got "/a/../etc"`},
		"an entry with key files":       {minimal, cache(v1alpha1.CacheSpec{Entries: []v1alpha1.CacheEntry{{Name: "a", Preset: "git", KeyFiles: []string{"x"}}}}), v1alpha1.ReasonInvalidConfig, honoured + "cache.entries[0].preset: cache preset git is not supported yet; cache.entries[0].keyFiles: cache keyFiles are not supported yet"},
		"certificates and a repository": {minimal, network(v1alpha1.NetworkSpec{CABundle: "x", PackageMirrors: &v1alpha1.PackageMirrors{Maven: "x"}}), v1alpha1.ReasonInvalidConfig, honoured + "network.caBundle is not supported yet; network.packageMirrors.maven is not supported yet"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := compileInput(t, c.config)
			if c.in != nil {
				c.in(&in)
			}
			_, err := Compile(in)
			var ce *CompileError
			if !errors.As(err, &ce) {
				t.Fatalf("error %v, want a *CompileError", err)
			}
			if diff := cmp.Diff([]string{c.reason, c.want}, []string{ce.Reason, err.Error()}); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
