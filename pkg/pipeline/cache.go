package pipeline

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// DefaultCachePath is the directory on every node that holds cached files, when the setting names none.
const DefaultCachePath = "/var/lib/kubectl-pipeline/cache"

// projectScope stands for the pipeline in the directory of an entry that all pipelines of a project share; no pipeline can have it as
// its name.
const projectScope = "_project"

// presetPaths are the directories that a tool caches in, in an image that runs as root; nil for a preset that is not supported yet.
func presetPaths(p v1alpha1.CachePreset) []string {
	switch p {
	case "go":
		return []string{"/go/pkg/mod", "/root/.cache/go-build"}
	case "npm":
		return []string{"/root/.npm"}
	case "pnpm":
		return []string{"/root/.local/share/pnpm/store"}
	case "maven":
		return []string{"/root/.m2/repository"}
	case "gradle":
		return []string{"/root/.gradle/caches", "/root/.gradle/wrapper"}
	case "pip":
		return []string{"/root/.cache/pip"}
	case "cargo":
		return []string{"/usr/local/cargo/registry", "/usr/local/cargo/git"}
	case "ccache":
		return []string{"/root/.cache/ccache"}
	}
	return nil
}

// effectiveCache merges the cache of the setting and of the pipeline, the pipeline's winning field by field.
func effectiveCache(setting *v1alpha1.PipelineSetting, p *v1alpha1.Pipeline) v1alpha1.CacheSpec {
	var out v1alpha1.CacheSpec
	merge := func(c *v1alpha1.CacheSpec) {
		if c == nil {
			return
		}
		if c.Enabled != nil {
			out.Enabled = c.Enabled
		}
		if c.Backend != "" {
			out.Backend = c.Backend
		}
		if c.HostPath != nil {
			out.HostPath = c.HostPath
		}
		if c.PersistentVolumeClaim != nil {
			out.PersistentVolumeClaim = c.PersistentVolumeClaim
		}
		if c.Affinity != nil {
			out.Affinity = c.Affinity
		}
		if len(c.Entries) > 0 {
			out.Entries = c.Entries
		}
		if c.TrustedBranches != nil {
			out.TrustedBranches = c.TrustedBranches
		}
	}
	if setting != nil {
		merge(setting.Spec.Cache)
	}
	if p != nil {
		merge(p.Spec.Cache)
	}
	if out.Backend == "" {
		out.Backend = v1alpha1.CacheHostPath
		if out.PersistentVolumeClaim != nil {
			out.Backend = v1alpha1.CachePVC
		}
	}
	return out
}

// unsupportedCache names what a setting or a pipeline asks of the cache and this version does not do yet.
func unsupportedCache(c v1alpha1.CacheSpec) []string {
	var out []string
	refuse := func(asked bool, field string) {
		if asked {
			out = append(out, "cache."+field+" is not supported yet")
		}
	}
	if h := c.HostPath; h != nil && c.Backend == v1alpha1.CacheHostPath {
		refuse(h.SizeLimit != nil, "hostPath.sizeLimit")
		refuse(h.MinFreePercent != nil, "hostPath.minFreePercent")
		if p := h.Path; p != "" && (!strings.HasPrefix(p, "/") || path.Clean(p) == "/" || slices.Contains(strings.Split(p, "/"), "..")) {
			out = append(out, fmt.Sprintf("cache.hostPath.path must be an absolute directory without '..', got %q", p))
		}
	}
	if c.Backend == v1alpha1.CachePVC {
		p := c.PersistentVolumeClaim
		if p == nil {
			out = append(out, "cache.backend PersistentVolumeClaim needs cache.persistentVolumeClaim.claimName")
		} else {
			refuse(p.Template != nil, "persistentVolumeClaim.template")
			refuse(p.PerNode, "persistentVolumeClaim.perNode")
			if p.ClaimName == "" && p.Template == nil {
				out = append(out, "cache.persistentVolumeClaim.claimName is empty")
			}
		}
	}
	refuse(c.TrustedBranches != nil, "trustedBranches")
	for i, e := range c.Entries {
		for _, problem := range unsupportedEntry(e) {
			out = append(out, fmt.Sprintf("cache.entries[%d]%s: %s", i, problem.field, problem.message))
		}
		for _, p := range e.Paths {
			if why := cachePathProblem(p); why != "" {
				out = append(out, fmt.Sprintf("cache.entries[%d].paths: %s, got %q", i, why, p))
			}
		}
		if !cacheEntryName.MatchString(e.Name) {
			out = append(out, fmt.Sprintf("cache.entries[%d].name: want lower case letters, digits and -, got %q", i, e.Name))
		}
	}
	return out
}

// stepCache is what one step caches. The nearest of step, stage, file, pipeline and setting wins, field by field: one may switch the
// cache on or off, another say what is cached. levels go from far to near.
func stepCache(base v1alpha1.CacheSpec, levels ...*CacheConfig) []v1alpha1.CacheEntry {
	enabled, entries := base.Enabled == nil || *base.Enabled, base.Entries
	for _, c := range levels {
		if c == nil {
			continue
		}
		if c.Enabled != nil {
			enabled = *c.Enabled
		}
		if len(c.Entries) > 0 {
			entries = c.Entries
		}
	}
	if !enabled {
		return nil
	}
	return entries
}

// cacheVolumes gives each cached path a directory of its own and remembers the volumes that are needed.
type cacheVolumes struct {
	spec              v1alpha1.CacheSpec
	project, pipeline string
	volumes           []corev1.Volume
	byHostPath        map[string]string // volume names
}

// mounts returns how a container gets at its entries, in the order of the entries. Two entries cannot have the same path.
func (c *cacheVolumes) mounts(entries []v1alpha1.CacheEntry) ([]corev1.VolumeMount, error) {
	var out []corev1.VolumeMount
	for _, e := range entries {
		paths := e.Paths
		if len(paths) == 0 {
			paths = presetPaths(e.Preset)
		}
		scope := c.pipeline
		if e.Scope == v1alpha1.CacheScope("Project") {
			scope = projectScope
		}
		for i, p := range paths {
			p = path.Clean(p)
			for _, m := range out {
				if m.MountPath == p {
					return nil, fmt.Errorf("two cache entries have the path %s", p)
				}
			}
			sub := path.Join(c.project, scope, e.Name, strconv.Itoa(i+1))
			out = append(out, c.mount(sub, p))
		}
	}
	return out, nil
}

// mount: on a node each path is a volume, so that the directory is made when it is missing; in a claim or an empty directory each path
// is a directory of one volume.
func (c *cacheVolumes) mount(sub, at string) corev1.VolumeMount {
	if c.spec.Backend != v1alpha1.CacheHostPath {
		if len(c.volumes) == 0 {
			source := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
			if c.spec.Backend == v1alpha1.CachePVC {
				source = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c.spec.PersistentVolumeClaim.ClaimName}}
			}
			c.volumes = append(c.volumes, corev1.Volume{Name: "cache", VolumeSource: source})
		}
		return corev1.VolumeMount{Name: "cache", MountPath: at, SubPath: sub}
	}
	base := DefaultCachePath
	if c.spec.HostPath != nil && c.spec.HostPath.Path != "" {
		base = c.spec.HostPath.Path
	}
	host := path.Join(base, sub)
	name, ok := c.byHostPath[host]
	if !ok {
		name = fmt.Sprintf("cache-%d", len(c.volumes)+1)
		if c.byHostPath == nil {
			c.byHostPath = map[string]string{}
		}
		c.byHostPath[host] = name
		create := corev1.HostPathDirectoryOrCreate
		c.volumes = append(c.volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: host, Type: &create},
		}})
	}
	return corev1.VolumeMount{Name: name, MountPath: at}
}
