package pipeline

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// CloneStage is the name of the stage that checks the source out.
const CloneStage = "Clone"

// Bounds of a file; those that Jenkins sets are in config_validate_size.go.
const (
	maxStages        = 200
	maxSteps         = 1000 // of all stages
	maxParameters    = 64
	maxGlobs         = 64
	maxGlobLength    = 256
	maxNameLength    = 253
	maxRetry         = 10
	maxCacheEntries  = 32
	maxCachePaths    = 16
	maxParameterText = 4096
	defaultDepth     = 50
)

var (
	envName        = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	cacheEntryName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// validator checks what a type cannot say, and fills defaults in.
type validator struct {
	config *Config
	errs   ConfigErrors
	bad    map[string]bool // paths of fields that could not be read
}

func (v *validator) failf(path, format string, args ...any) {
	p := v.config.at(path)
	v.errs = append(v.errs, ConfigError{Line: p.line, Column: p.column, Path: path, Message: fmt.Sprintf(format, args...)})
}

// at is where a field stands; for one that is not in the file, where its nearest parent does.
func (c *Config) at(path string) position {
	for {
		if p, ok := c.pos[path]; ok && p.line > 0 {
			return p
		}
		if path == "" {
			return position{1, 1}
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

func elem(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

func (v *validator) run() {
	c := v.config
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	v.parameters()
	v.env("env", c.Env)
	v.filter("branch", c.Branch)
	v.cache("cache", c.Cache)
	if len(c.Stages) == 0 && v.has("stages") {
		v.failf("stages", "at least one stage is needed")
	}
	if len(c.Stages) > maxStages {
		v.failf(elem("stages", maxStages), "at most %d stages are allowed, got %d", maxStages, len(c.Stages))
		return
	}
	names := map[string]int{}
	steps := 0
	for i := range c.Stages {
		stage := &c.Stages[i]
		v.stage(elem("stages", i), i, stage)
		if first, dup := names[stage.Name]; dup && stage.Name != "" {
			v.failf(elem("stages", i)+".name", "stage name %q is used twice; first in line %d", stage.Name, c.at(elem("stages", first)+".name").line)
		} else {
			names[stage.Name] = i
		}
		if steps += len(stage.Steps); steps > maxSteps {
			v.failf(elem("stages", i), "at most %d steps are allowed in all", maxSteps)
			return
		}
	}
	v.size()
}

// has says whether a field is in the file and was read without a mistake: a value that could not be read is not called empty too.
func (v *validator) has(path string) bool {
	_, ok := v.config.pos[path]
	return ok && !v.bad[path]
}

func (v *validator) parameters() {
	if n := len(v.config.Parameters); n > maxParameters {
		v.failf("parameters", "at most %d parameters are allowed, got %d", maxParameters, n)
	}
	seen := map[string]bool{}
	for i := range v.config.Parameters {
		p, at := &v.config.Parameters[i], elem("parameters", i)
		p.Type = parameterType(*p)
		switch {
		case p.Name == "":
			v.failf(at, "name is required")
		case !envName.MatchString(p.Name) || len(p.Name) > 128:
			v.failf(at+".name", "want a variable name of letters, digits and _, at most 128 long, got %q", p.Name)
		case strings.HasPrefix(p.Name, "CICD_"):
			v.failf(at+".name", "names that start with CICD_ are set by the run itself, got %q", p.Name)
		case seen[p.Name]:
			v.failf(at+".name", "parameter %q is declared twice", p.Name)
		case p.Type == v1alpha1.ParameterSecret && jenkinsVariables[p.Name]:
			v.failf(at+".name", "Jenkins sets a variable %s, which a secret cannot have", p.Name)
		}
		seen[p.Name] = true
		if p.Type == v1alpha1.ParameterChoice && len(p.Choices) == 0 {
			v.failf(at, "a parameter of type Choice needs choices")
		}
		if p.Default == nil {
			continue
		}
		if utf8.RuneCountInString(*p.Default) > maxParameterText {
			v.failf(at+".default", "at most %d characters are allowed", maxParameterText)
		} else if p.Type != v1alpha1.ParameterChoice || len(p.Choices) > 0 {
			if _, _, err := checkParameter(*p, *p.Default); err != nil {
				v.failf(at+".default", "%v", err)
			}
		}
	}
}

func (v *validator) env(at string, env map[string]string) {
	if len(env) > maxVariables {
		v.failf(at, "at most %d variables are allowed, got %d", maxVariables, len(env))
		return
	}
	for _, name := range sortedKeys(env) {
		if value := env[name]; len(name)+1+len(value) > maxVariable && !strings.Contains(value, "${") {
			v.failf(join(at, name), "the variable has %d bytes; no process can be started with one of more than %d", len(value), maxVariable)
		}
		if !envName.MatchString(name) {
			v.failf(join(at, name), "want a variable name of letters, digits and _, got %q", name)
		}
	}
}

func (v *validator) filter(at string, f *v1alpha1.Filter) {
	if f == nil {
		return
	}
	for part, globs := range map[string][]string{"include": f.Include, "exclude": f.Exclude} {
		if len(globs) > maxGlobs {
			v.failf(join(at, part), "at most %d globs are allowed, got %d", maxGlobs, len(globs))
		}
		for i, glob := range globs {
			itemAt := elem(join(at, part), i)
			switch {
			case glob == "":
				v.failf(itemAt, "the glob is empty")
			case len(glob) > maxGlobLength:
				v.failf(itemAt, "a glob has at most %d bytes, got %d", maxGlobLength, len(glob))
			case !doublestar.ValidatePattern(glob):
				v.failf(itemAt, "%q is not a glob", glob)
			}
		}
	}
}

func (v *validator) when(at string, w *When) {
	if w == nil {
		return
	}
	v.filter(at+".branch", w.Branch)
	v.filter(at+".paths", w.Paths)
	v.filter(at+".event", w.Event)
	if w.Event == nil {
		return
	}
	for part, words := range map[string][]string{"include": w.Event.Include, "exclude": w.Event.Exclude} {
		for i, word := range words {
			normal, ok := eventWord(word)
			if !ok {
				v.failf(elem(join(at, "event."+part), i), "want one of %s, got %q", strings.Join(eventWords(), ", "), word)
			}
			words[i] = normal
		}
	}
}

// eventWord is the spelling that the compiler uses of an event in a filter: Rancher's pull_request, the API's PullRequest and
// pull-request are one. A glob stays as it is.
func eventWord(word string) (string, bool) {
	if strings.ContainsAny(word, "*?[{") {
		return strings.ToLower(word), true
	}
	flat := strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(word))
	for _, w := range eventWords() {
		if flat == strings.ReplaceAll(w, "_", "") {
			return w, true
		}
	}
	return word, false
}

func eventWords() []string {
	return []string{"push", "tag", "pull_request", "manual", "image", "schedule"}
}

func (v *validator) name(at, what, name string) {
	switch {
	case utf8.RuneCountInString(name) > maxNameLength:
		v.failf(at, "a %s name has at most %d characters", what, maxNameLength)
	case strings.TrimSpace(name) != name:
		v.failf(at, "a %s name must not start or end with a space", what)
	case strings.ContainsFunc(name, unicode.IsControl):
		v.failf(at, "a %s name must be one line of text", what)
	}
}

func (v *validator) stage(at string, i int, s *Stage) {
	isClone := i == 0 && len(s.Steps) > 0 && s.Steps[0].SourceCodeConfig != nil
	v.name(at+".name", "stage", s.Name)
	switch {
	case s.Name == "" && v.has(at+".name"):
		v.failf(at+".name", "a stage needs a name")
	case s.Name == CloneStage && !isClone:
		v.failf(at+".name", "%s is the name of the first stage, which checks the source out; choose another", CloneStage)
	}
	v.when(at+".when", s.When)
	v.cache(at+".cache", s.Cache)
	if len(s.Steps) == 0 && v.has(at+".steps") {
		v.failf(at+".steps", "at least one step is needed")
	}
	if isClone {
		v.cloneStage(at, s)
	}
	if len(s.Steps) > maxStageSteps {
		v.failf(elem(at+".steps", maxStageSteps), "at most %d steps are allowed in a stage, got %d", maxStageSteps, len(s.Steps))
		return
	}
	names := map[string]bool{}
	for j := range s.Steps {
		step, stepAt := &s.Steps[j], elem(at+".steps", j)
		if step.Name == "" {
			step.Name = v.stepName(i, j)
		}
		v.step(stepAt, step)
		if step.SourceCodeConfig != nil && !isClone {
			v.failf(stepAt+".sourceCodeConfig", "only the first stage may check the source out")
		}
		if names[step.Name] {
			v.failf(stepAt+".name", "step name %q is used twice in this stage", step.Name)
		}
		names[step.Name] = true
	}
}

// cloneStage: the stage that checks the source out does nothing else, so that every option it has is honoured.
func (v *validator) cloneStage(at string, s *Stage) {
	if s.Name != "" && s.Name != CloneStage {
		v.failf(at+".name", "the stage that checks the source out is named %s, got %q", CloneStage, s.Name)
	}
	if s.Steps[0].Name == "" {
		s.Steps[0].Name = cloneStep
	}
	if len(s.Steps) > 1 {
		v.failf(at+".steps[1]", "the stage that checks the source out has one step")
	}
	if s.When != nil {
		v.failf(at+".when", "the source is always checked out")
	}
	if s.Cache != nil {
		v.failf(at+".cache", "the clone has no cache")
	}
	step := s.Steps[0]
	for name, set := range map[string]bool{"env": len(step.Env) > 0, "envFrom": len(step.EnvFrom) > 0, "when": step.When != nil, "cache": step.Cache != nil} {
		if set {
			v.failf(at+".steps[0]."+name, "the step that checks the source out takes no %s", name)
		}
	}
}

const cloneStep = "clone"

// stepName counts from 1 and does not count the clone, written or not.
func (v *validator) stepName(i, j int) string {
	if first := v.config.Stages[0]; len(first.Steps) > 0 && first.Steps[0].SourceCodeConfig != nil {
		i--
	}
	return fmt.Sprintf("step-%d-%d", i+1, j+1)
}
