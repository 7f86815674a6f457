package pipeline

import (
	"fmt"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// Unsupported lists what the file asks for and this version does not do yet, by name, in the order of its lines: better refused than
// silently left out. Compile refuses the same.
func (c *Config) Unsupported() []ConfigError {
	u := &unsupported{config: c}
	if c.Notification != nil {
		u.add("notification", "notifications are not supported yet")
	}
	u.cache("cache", c.Cache)
	for i := range c.Stages {
		stage, at := &c.Stages[i], elem("stages", i)
		u.cache(at+".cache", stage.Cache)
		for j := range stage.Steps {
			u.step(elem(at+".steps", j), &stage.Steps[j])
		}
	}
	if len(u.errs) == 0 {
		return nil
	}
	return u.errs.sorted()
}

type unsupported struct {
	config *Config
	errs   ConfigErrors
}

func (u *unsupported) add(path, format string, args ...any) {
	p := u.config.at(path)
	u.errs = append(u.errs, ConfigError{Line: p.line, Column: p.column, Path: path, Message: fmt.Sprintf(format, args...)})
}

func (u *unsupported) step(at string, s *Step) {
	for _, t := range stepTypes {
		if t.of(s) && !t.compiled {
			u.add(at+"."+t.field, "steps of type %s are not supported yet", t.field)
		}
	}
	if s.Privileged {
		u.add(at+".privileged", "privileged steps are not supported yet")
	}
	u.cache(at+".cache", s.Cache)
}

func (u *unsupported) cache(at string, c *CacheConfig) {
	if c == nil {
		return
	}
	for i, e := range c.Entries {
		itemAt := elem(at+".entries", i)
		for _, problem := range unsupportedEntry(e) {
			u.add(itemAt+problem.field, "%s", problem.message)
		}
	}
}

type fieldProblem struct{ field, message string }

// unsupportedEntry lists what is not honoured of a cache entry, wherever it is written.
func unsupportedEntry(e v1alpha1.CacheEntry) []fieldProblem {
	var out []fieldProblem
	if e.Preset != "" && len(e.Paths) == 0 && presetPaths(e.Preset) == nil {
		out = append(out, fieldProblem{".preset", fmt.Sprintf("cache preset %s is not supported yet", e.Preset)})
	}
	if len(e.KeyFiles) > 0 {
		out = append(out, fieldProblem{".keyFiles", "cache keyFiles are not supported yet"})
	}
	if e.Mode == v1alpha1.CacheLocked || e.Mode == v1alpha1.CacheSnapshot {
		out = append(out, fieldProblem{".mode", fmt.Sprintf("cache mode %s is not supported yet, only Shared", e.Mode)})
	}
	for i, p := range e.Paths {
		if !strings.HasPrefix(p, "/") {
			out = append(out, fieldProblem{elem(".paths", i), fmt.Sprintf("cache paths relative to the workspace are not supported yet, got %q", p)})
		}
	}
	return out
}
