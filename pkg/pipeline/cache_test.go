package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestCompileCache(t *testing.T) {
	const config = `
stages:
- name: a
  steps:
  - {name: inherits, runScriptConfig: {image: i, shellScript: s}}
  - {name: off, runScriptConfig: {image: i, shellScript: s}, cache: false}
  - {name: own, runScriptConfig: {image: i, shellScript: s}, cache: {entries: [{name: shared, paths: [/p, /q], scope: project}]}}
`
	setting := func(cache v1alpha1.CacheSpec) func(*CompileInput) {
		return func(in *CompileInput) {
			in.Setting = &v1alpha1.PipelineSetting{Spec: v1alpha1.PipelineSettingSpec{Cache: &cache}}
			in.Pipeline.Status.RecentNodes = []v1alpha1.RecentNode{{Name: "n1"}, {Name: "n2"}}
			in.Pipeline.Spec.Cache = &v1alpha1.CacheSpec{Entries: []v1alpha1.CacheEntry{{Name: "go", Preset: "go"}}}
		}
	}
	show := func(c *Compiled) []string {
		var out []string
		for _, v := range c.Pod.Spec.Volumes {
			switch {
			case v.HostPath != nil:
				out = append(out, fmt.Sprintf("%s: %s %s", v.Name, *v.HostPath.Type, v.HostPath.Path))
			case v.PersistentVolumeClaim != nil:
				out = append(out, v.Name+": claim "+v.PersistentVolumeClaim.ClaimName)
			case v.EmptyDir != nil:
				out = append(out, v.Name+": empty")
			}
		}
		for _, one := range c.Pod.Spec.Containers {
			for _, m := range one.VolumeMounts {
				out = append(out, strings.TrimSpace(fmt.Sprintf("%s: %s at %s %s", one.Name, m.Name, m.MountPath, m.SubPath)))
			}
		}
		if c.Pod.Spec.Affinity != nil {
			for _, term := range c.Pod.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
				out = append(out, fmt.Sprintf("prefers %s %d", term.Preference.MatchFields[0].Values[0], term.Weight))
			}
		}
		return out
	}
	hostPath := []string{
		"cache-1: DirectoryOrCreate /c/shop/app/go/1", "cache-2: DirectoryOrCreate /c/shop/app/go/2",
		"cache-3: DirectoryOrCreate /c/shop/_project/shared/1", "cache-4: DirectoryOrCreate /c/shop/_project/shared/2",
		"i: cache-1 at /go/pkg/mod", "i: cache-2 at /root/.cache/go-build", "i-3: cache-3 at /p", "i-3: cache-4 at /q",
	}
	subPaths := func(volume string) []string {
		return []string{
			volume, "i: cache at /go/pkg/mod shop/app/go/1", "i: cache at /root/.cache/go-build shop/app/go/2",
			"i-3: cache at /p shop/_project/shared/1", "i-3: cache at /q shop/_project/shared/2",
		}
	}
	host := v1alpha1.CacheSpec{HostPath: &v1alpha1.HostPathCache{Path: "/c"}}
	mode := func(m v1alpha1.AffinityMode) v1alpha1.CacheSpec {
		c := host
		c.Affinity = &v1alpha1.CacheAffinity{Mode: m}
		return c
	}
	cases := map[string]struct {
		in   func(*CompileInput)
		want []string
	}{
		"a directory on the node for each path, and the nodes that have it": {setting(host), append(slices.Clip(hostPath), "prefers n1 100", "prefers n2 50")},
		"weights as the first design had them":                              {setting(mode(v1alpha1.AffinityOriginal)), append(slices.Clip(hostPath), "prefers n1 100", "prefers n2 90")},
		"no preference":                                                     {setting(mode(v1alpha1.AffinityNone)), hostPath},
		"an empty directory, which no node has":                             {setting(v1alpha1.CacheSpec{Backend: v1alpha1.CacheEmptyDir}), subPaths("cache: empty")},
		"a claim":                                                           {setting(v1alpha1.CacheSpec{PersistentVolumeClaim: &v1alpha1.PVCCache{ClaimName: "nfs"}}), subPaths("cache: claim nfs")},
		"switched off in the setting":                                       {setting(v1alpha1.CacheSpec{Enabled: new(false)}), nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := mustCompile(t, config, c.in)
			if diff := cmp.Diff(c.want, show(got)); diff != "" {
				t.Errorf("cache (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("steps tell whether they have one", func(t *testing.T) {
		var got []v1alpha1.CacheResult
		for _, s := range mustCompile(t, config, setting(host)).Stages[1].Steps {
			got = append(got, s.Cache)
		}
		if diff := cmp.Diff([]v1alpha1.CacheResult{"", v1alpha1.CacheOff, ""}, got); diff != "" {
			t.Errorf("cache (-want +got):\n%s", diff)
		}
	})
	t.Run("the nearest wins, field by field", func(t *testing.T) {
		base := v1alpha1.CacheSpec{Entries: []v1alpha1.CacheEntry{{Name: "base"}}}
		entries := func(name string) []v1alpha1.CacheEntry { return []v1alpha1.CacheEntry{{Name: name}} }
		for _, c := range []struct {
			levels []*CacheConfig
			want   string
		}{
			{nil, "base"},
			{[]*CacheConfig{nil, {Entries: entries("stage")}, nil}, "stage"},
			{[]*CacheConfig{{Enabled: new(false)}, {Entries: entries("stage")}}, ""},
			{[]*CacheConfig{{Enabled: new(false)}, nil, {Enabled: new(true)}}, "base"},
			{[]*CacheConfig{{Entries: entries("file")}, {Entries: entries("stage")}, {Enabled: new(false)}}, ""},
		} {
			got := ""
			if e := stepCache(base, c.levels...); e != nil {
				got = e[0].Name
			}
			if got != c.want {
				t.Errorf("%v: entries %q, want %q", c.levels, got, c.want)
			}
		}
	})
}
