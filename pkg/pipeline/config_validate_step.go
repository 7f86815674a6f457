package pipeline

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func (v *validator) step(at string, s *Step) {
	v.name(at+".name", "step", s.Name)
	switch types := s.types(); len(types) {
	case 0:
		v.failf(at, "a step needs one of %s", strings.Join(stepTypeFields(), ", "))
	case 1:
	default:
		v.failf(at+"."+types[1], "a step does one thing, but %s are both set", strings.Join(types, " and "))
	}
	v.env(at+".env", s.Env)
	v.envFrom(at, s)
	v.when(at+".when", s.When)
	v.cache(at+".cache", s.Cache)
	if s.Retry < 0 || s.Retry > maxRetry {
		v.failf(at+".retry", "want 0 to %d, got %d", maxRetry, s.Retry)
	}
	v.quantities(at, "cpu", s.CPURequest, s.CPULimit)
	v.quantities(at, "memory", s.MemoryRequest, s.MemoryLimit)
	if r := s.RunScriptConfig; r != nil {
		if r.Image == "" && v.has(at+".runScriptConfig.image") {
			v.failf(at+".runScriptConfig.image", "the image is empty")
		} else if r.Image != "" && !strings.Contains(r.Image, "${") && !isImage(r.Image) {
			v.failf(at+".runScriptConfig.image", "%q is not an image", r.Image)
		}
		if strings.TrimSpace(r.ShellScript) == "" && v.has(at+".runScriptConfig.shellScript") {
			v.failf(at+".runScriptConfig.shellScript", "the script is empty")
		}
	}
	if c := s.SourceCodeConfig; c != nil {
		if c.Depth == nil {
			depth := defaultDepth
			c.Depth = &depth
		}
		if *c.Depth < 0 || *c.Depth > 1_000_000 {
			v.failf(at+".sourceCodeConfig.depth", "want 0 to 1000000 commits, got %d", *c.Depth)
		}
	}
}

func (v *validator) envFrom(at string, s *Step) {
	targets := map[string]bool{}
	for k := range s.EnvFrom {
		e, itemAt := &s.EnvFrom[k], elem(at+".envFrom", k)
		if e.TargetKey == "" {
			e.TargetKey = e.SourceKey
		}
		if e.SourceName != "" && len(validation.IsDNS1123Subdomain(e.SourceName)) > 0 {
			v.failf(itemAt+".sourceName", "%q is not the name of a Secret", e.SourceName)
		}
		if e.SourceKey != "" && len(validation.IsConfigMapKey(e.SourceKey)) > 0 {
			v.failf(itemAt+".sourceKey", "%q is not a key of a Secret", e.SourceKey)
		}
		_, both := s.Env[e.TargetKey]
		switch {
		case e.TargetKey == "":
		case !envName.MatchString(e.TargetKey):
			v.failf(itemAt+".targetKey", "want a variable name of letters, digits and _, got %q; set targetKey", e.TargetKey)
		case jenkinsVariables[e.TargetKey]:
			v.failf(itemAt+".targetKey", "Jenkins sets a variable %s, which a secret cannot have; set targetKey to another name", e.TargetKey)
		case both:
			v.failf(itemAt+".targetKey", "%s is set by env too", e.TargetKey)
		case targets[e.TargetKey]:
			v.failf(itemAt+".targetKey", "%s is set twice", e.TargetKey)
		}
		targets[e.TargetKey] = true
	}
}

func (v *validator) quantities(at, what, request, limit string) {
	parse := func(field, text string) *resource.Quantity {
		if text == "" {
			return nil
		}
		q, err := resource.ParseQuantity(text)
		if err != nil || q.Sign() < 0 {
			example := "500m or 2"
			if what == "memory" {
				example = "256Mi or 1Gi"
			}
			v.failf(at+"."+field, "want a quantity such as %s, got %q", example, text)
			return nil
		}
		return &q
	}
	r, l := parse(what+"Request", request), parse(what+"Limit", limit)
	if r != nil && l != nil && r.Cmp(*l) > 0 {
		v.failf(at+"."+what+"Request", "the request %s is more than the limit %s", request, limit)
	}
}

// cache turns the short forms into entries.
func (v *validator) cache(at string, c *CacheConfig) {
	if c == nil {
		return
	}
	if c.Preset != "" {
		c.Entries = append(c.Entries, v1alpha1.CacheEntry{Name: string(c.Preset), Preset: c.Preset})
		v.config.pos[elem(at+".entries", len(c.Entries)-1)] = v.config.at(at + ".preset")
	}
	if len(c.Paths) > 0 {
		c.Entries = append(c.Entries, v1alpha1.CacheEntry{Name: "paths", Paths: c.Paths})
		v.config.pos[elem(at+".entries", len(c.Entries)-1)] = v.config.at(at + ".paths")
	}
	c.Preset, c.Paths = "", nil
	if len(c.Entries) > maxCacheEntries {
		v.failf(at+".entries", "at most %d entries are allowed, got %d", maxCacheEntries, len(c.Entries))
	}
	seen := map[string]bool{}
	for i, e := range c.Entries {
		itemAt := elem(at+".entries", i)
		switch {
		case e.Name == "":
			v.failf(itemAt, "name is required")
		case !cacheEntryName.MatchString(e.Name):
			v.failf(itemAt+".name", "want lower case letters, digits and -, at most 63 long, got %q", e.Name)
		case seen[e.Name]:
			v.failf(itemAt+".name", "entry %q is there twice", e.Name)
		}
		seen[e.Name] = true
		if e.Preset == "" && len(e.Paths) == 0 {
			v.failf(itemAt, "an entry needs preset or paths")
		}
		if len(e.Paths) > maxCachePaths {
			v.failf(itemAt+".paths", "at most %d paths are allowed, got %d", maxCachePaths, len(e.Paths))
		}
		for k, p := range e.Paths {
			if why := cachePathProblem(p); why != "" {
				v.failf(elem(itemAt+".paths", k), "%s, got %q", why, p)
			}
		}
	}
}

// cachePathProblem says why a path cannot be cached. A cache that covers the workspace would hide the source, one that covers a
// system directory the container itself.
func cachePathProblem(p string) string {
	switch {
	case p == "" || len(p) > 512:
		return "want a path of 1 to 512 bytes"
	case strings.ContainsFunc(p, unicode.IsControl) || strings.Contains(p, ":"):
		return "a path must not contain ':' or control characters"
	case slices.Contains(strings.Split(p, "/"), ".."):
		return "a cache path must not contain '..'"
	case !strings.HasPrefix(p, "/"):
		return "" // refused by Unsupported, by name
	}
	clean := path.Clean(p)
	for _, taken := range []string{"/proc", "/sys", "/dev", "/home/jenkins/agent"} {
		if clean == taken || strings.HasPrefix(clean, taken+"/") || strings.HasPrefix(taken, clean+"/") || clean == "/" {
			return "a cache must not cover " + taken
		}
	}
	return ""
}

// isImage is a rough check, to catch a sentence or an option where an image should be; the node's runtime has the last word.
func isImage(s string) bool {
	return len(s) <= 512 && imagePattern.MatchString(s)
}

var imagePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/:@+-]*$`)
