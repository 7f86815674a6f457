package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// plan is a run decided: what runs, in which container, with what. The Jenkinsfile, the pod and the first status are written from it.
type plan struct {
	stages     []plannedStage
	containers containers
	secrets    []BundleEntry
	cached     bool // a step has a cache on its node
}

type plannedStage struct {
	index int // in the Jenkinsfile's names, from 1; skipped stages count
	name  string
	skip  string // why; empty when it runs
	steps []plannedStep
}

// running are the steps that run.
func (s plannedStage) running() []plannedStep {
	return slices.DeleteFunc(slices.Clone(s.steps), func(p plannedStep) bool { return p.skip != "" })
}

type plannedStep struct {
	index     int
	name      string
	typ       StepType
	skip      string
	container string
	env       []string // NAME=value for withEnv
	script    string
	timeout   time.Duration // 0: none of its own
	retry     int
	cacheOff  bool
}

// planner gathers what all steps share.
type planner struct {
	in         CompileInput
	cond       conditions
	cache      v1alpha1.CacheSpec
	volumes    *cacheVolumes
	common     []corev1.EnvVar   // of every container but the clone's
	over       map[string]string // of common, what Jenkins would set itself
	known      map[string]string // what ${NAME} may name
	trusted    bool
	text       int  // bytes of scripts and variables so far, as literals
	full       bool // text is too much, which was said: nothing more is gathered
	errs       ConfigErrors
	plan       plan
	bundleKeys map[string]bool
}

func (p *planner) failf(path, format string, args ...any) {
	at := p.in.Config.at(path)
	p.errs = append(p.errs, ConfigError{Line: at.line, Column: at.column, Path: path, Message: fmt.Sprintf(format, args...)})
}

// newPlan decides everything about a run. Its error is a *CompileError.
func newPlan(in CompileInput) (*planner, error) {
	p := &planner{in: in, cond: conditionsOf(in.Execution), trusted: Trusts(in.Pipeline, in.Execution.Spec.Source), bundleKeys: map[string]bool{}}
	if unsupported := in.Config.Unsupported(); unsupported != nil {
		return nil, invalidConfig(ConfigErrors(unsupported))
	}
	if s := in.Execution.Spec.Source; s != nil {
		if err := checkSource(*s); err != nil {
			return nil, invalidConfig(err)
		}
	}
	if in.Execution.Spec.Trigger.FromStage != "" {
		return nil, invalidConfig(errors.New("trigger.fromStage is not supported yet"))
	}
	if err := p.settings(); err != nil {
		return nil, invalidConfig(err)
	}
	if err := p.variables(); err != nil {
		return nil, &CompileError{Reason: v1alpha1.ReasonInvalidParameters, Err: err}
	}
	p.stages()
	if len(p.errs) > 0 {
		return nil, invalidConfig(p.errs.sorted())
	}
	if n := p.plan.containers.bytes(); n > maxPodBytes {
		return nil, invalidConfig(podTooLarge(len(p.plan.containers.list)))
	}
	p.plan.containers.mergeResources()
	return p, nil
}

func podTooLarge(containers int) error {
	return fmt.Errorf("the agent pod would have more than %d MiB, which no cluster stores: each of its %d containers has all variables; use fewer images or shorter variables",
		maxPodBytes>>20, containers)
}

func invalidConfig(err error) *CompileError {
	return &CompileError{Reason: v1alpha1.ReasonInvalidConfig, Err: err}
}

// settings refuses what the setting or the pipeline asks for and nothing honours.
func (p *planner) settings() error {
	p.cache = effectiveCache(p.in.Setting, p.in.Pipeline)
	var problems []string
	if p.cache.Enabled == nil || *p.cache.Enabled {
		problems = unsupportedCache(p.cache)
	}
	if p.in.Setting != nil && p.in.Setting.Spec.Network != nil {
		n := p.in.Setting.Spec.Network
		if n.CABundle != "" {
			problems = append(problems, "network.caBundle is not supported yet")
		}
		if n.PackageMirrors != nil && n.PackageMirrors.Maven != "" {
			problems = append(problems, "network.packageMirrors.maven is not supported yet")
		}
	}
	p.volumes = &cacheVolumes{spec: p.cache, project: p.in.Execution.Namespace, pipeline: p.in.Execution.Spec.PipelineRef.Name}
	if len(problems) > 0 {
		return fmt.Errorf("the PipelineSetting or the Pipeline cannot be honoured: %s", strings.Join(problems, "; "))
	}
	return nil
}

func (p *planner) variables() error {
	params, err := ResolveParameters(DeclaredParameters(p.in.Pipeline, p.in.Config), p.in.Execution.Spec.Parameters)
	if err != nil {
		return err
	}
	v := networkVariables(p.in.Setting)
	cicd := cicdVariables(p.in)
	p.known = map[string]string{}
	maps.Copy(p.known, cicd.values)
	for _, r := range params {
		if r.Secret == nil {
			p.known[r.Name] = r.Value
		}
	}
	for _, name := range cicd.names {
		v.set(name, cicd.values[name])
	}
	fileEnv := map[string]string{}
	for _, name := range sortedKeys(p.in.Config.Env) {
		value, _ := substitute(p.in.Config.Env[name], p.known)
		if !p.checkVariable(join("env", name), name, value) {
			continue
		}
		v.set(name, value)
		fileEnv[name] = value
	}
	for name, value := range fileEnv {
		if _, isParameter := p.known[name]; !isParameter || strings.HasPrefix(name, "CICD_") {
			p.known[name] = value
		}
	}
	p.over = map[string]string{}
	for name := range fileEnv {
		if jenkinsVariables[name] {
			p.over[name] = fileEnv[name]
		}
	}
	var secretParams []corev1.EnvVar
	for _, r := range params {
		if r.Secret == nil {
			v.set(r.Name, r.Value)
			if jenkinsVariables[r.Name] {
				p.over[r.Name] = r.Value
			}
			continue
		}
		if jenkinsVariables[r.Name] {
			return fmt.Errorf("parameter %s: Jenkins sets a variable of this name, which a secret cannot have", r.Name)
		}
		v.remove(r.Name)
		if p.trusted {
			secretParams = append(secretParams, secretEnv(r.Name, p.in.SecretName, p.bundle(*r.Secret), false))
		}
	}
	gitConfig(v, "")
	p.common = append(v.envVars(), secretParams...)
	return nil
}

// bundle asks for a value in the run's own Secret and returns its key there. The key depends on where the value lies alone, so that it
// is the same whenever the run is compiled.
func (p *planner) bundle(from v1alpha1.SecretKeyReference) string {
	key := "env-" + v1alpha1.ShortHash(from.Name, from.Key)
	if !p.bundleKeys[key] {
		p.bundleKeys[key] = true
		p.plan.secrets = append(p.plan.secrets, BundleEntry{Key: key, From: from})
	}
	return key
}

func (p *planner) stages() {
	c := p.in.Config
	all := p.cond.skipsAll(c.Branch)
	rest, offset := c.Stages, 0
	var clone *Step
	if first := c.Stages[0]; first.Steps[0].SourceCodeConfig != nil {
		clone, rest, offset = &first.Steps[0], c.Stages[1:], 1
	}
	hasSource := p.in.Execution.Spec.Source != nil
	if hasSource || clone != nil {
		p.plan.stages = append(p.plan.stages, p.cloneStage(clone, hasSource))
	}
	for i := range rest {
		p.plan.stages = append(p.plan.stages, p.stage(len(p.plan.stages)+1, elem("stages", i+offset), &rest[i], all))
	}
	runs := slices.ContainsFunc(p.plan.stages, func(s plannedStage) bool { return s.skip == "" && s.name != CloneStage })
	if len(p.plan.stages) > 0 && p.plan.stages[0].name == CloneStage && len(rest) > 0 && !runs {
		p.plan.stages[0].skipAll("no other stage runs")
		p.plan.containers = containers{}
	}
}

func (s *plannedStage) skipAll(why string) {
	s.skip = why
	for i := range s.steps {
		s.steps[i].skip = why
	}
}

func (p *planner) cloneStage(step *Step, hasSource bool) plannedStage {
	if step == nil {
		step = &Step{Name: cloneStep, SourceCodeConfig: &SourceCodeConfig{}}
	}
	ps := plannedStep{index: 1, name: step.Name, typ: StepClone, script: cloneScript, timeout: step.Timeout, retry: step.Retry, cacheOff: true}
	stage := plannedStage{index: 1, name: CloneStage, steps: []plannedStep{ps}}
	if !hasSource {
		stage.skipAll("the run has no source")
		return stage
	}
	k := containerKind{image: DefaultCloneImage, env: cloneEnv(p.in, *step.SourceCodeConfig)}
	if p.in.Setting != nil && p.in.Setting.Spec.Images != nil {
		k.image = firstNonEmpty(p.in.Setting.Spec.Images.Clone, k.image)
	}
	resources := stepResources(step)
	if len(resources.Requests) == 0 && len(resources.Limits) == 0 {
		resources = cloneResources()
	}
	stage.steps[0].container = p.plan.containers.add(k, cloneContainer, 1, resources)
	return stage
}

func (p *planner) stage(index int, at string, s *Stage, all string) plannedStage {
	out := plannedStage{index: index, name: s.Name, skip: firstNonEmpty(all, p.cond.skips(s.When))}
	for j := range s.Steps {
		ps := plannedStep{index: j + 1, name: s.Steps[j].Name, typ: s.Steps[j].Type(), skip: firstNonEmpty(out.skip, p.cond.skips(s.Steps[j].When))}
		if ps.skip == "" {
			p.runScript(&ps, index, elem(at+".steps", j), s, &s.Steps[j])
		}
		out.steps = append(out.steps, ps)
	}
	if out.skip == "" && len(out.running()) == 0 {
		out.skip = "every step is skipped"
	}
	return out
}

// checkVariable refuses a value that no process can have, once its references are replaced.
func (p *planner) checkVariable(path, name, value string) bool {
	if r, bad := unrepresentable(value); bad {
		p.failf(path, "character %U cannot be passed on", r)
		return false
	}
	if len(name)+1+len(value) > maxVariable {
		p.failf(path, "with its references replaced, the variable has more than %d bytes; no process can be started with it", maxVariable)
		return false
	}
	return true
}

// count adds up what goes into the Jenkinsfile. What references stand for is known here alone: a small file can ask for gigabytes.
func (p *planner) count(path string, n int) {
	if p.text += n; p.text > maxScriptBytes && !p.full {
		p.full = true
		p.failf(path, "here the script becomes too large for Jenkins: scripts and variables have more than %d MiB as literals", maxScriptBytes>>20)
	}
}

// runScript gives a step its container: one for each distinct image, but steps that see other secrets, other variables that withEnv
// cannot set, or other cached directories have one of their own kind.
func (p *planner) runScript(ps *plannedStep, stage int, at string, s *Stage, step *Step) {
	if p.count(at, groovyLength(step.RunScriptConfig.ShellScript)); p.full {
		return
	}
	image, unknown := substitute(step.RunScriptConfig.Image, p.known)
	if len(unknown) > 0 {
		p.failf(at+".runScriptConfig.image", "%s is not known in this run", strings.Join(unknown, ", "))
		return
	}
	if !isImage(image) {
		p.failf(at+".runScriptConfig.image", "%q is not an image", image)
		return
	}
	k := containerKind{image: image, env: p.common}
	own, with := &variables{}, maps.Clone(p.over)
	for _, name := range sortedKeys(step.Env) {
		value, _ := substitute(step.Env[name], p.known)
		if !p.checkVariable(join(at+".env", name), name, value) {
			continue
		}
		p.count(at, groovyLength(name)+groovyLength(value))
		inContainer := value == "" || strings.Contains(value, "$")
		if inContainer {
			own.set(name, value)
		}
		if !inContainer || jenkinsVariables[name] {
			with[name] = value
		}
	}
	for _, name := range sortedKeys(with) {
		ps.env = append(ps.env, name+"="+withEnvValue(with[name]))
	}
	k.own = own.envVars()
	if p.trusted {
		for _, e := range step.EnvFrom {
			key := p.bundle(v1alpha1.SecretKeyReference{Name: e.SourceName, Key: e.SourceKey})
			k.own = append(k.own, secretEnv(e.TargetKey, p.in.SecretName, key, false))
		}
	}
	ps.cacheOff = true
	if entries := stepCache(p.cache, p.in.Config.Cache, s.Cache, step.Cache); p.trusted && len(entries) > 0 {
		mounts, err := p.volumes.mounts(entries)
		if err != nil {
			p.failf(at, "%v", err)
		}
		k.mounts, ps.cacheOff = mounts, len(mounts) == 0
		p.plan.cached = p.plan.cached || len(mounts) > 0 && p.cache.Backend == v1alpha1.CacheHostPath
	}
	ps.script, ps.timeout, ps.retry = step.RunScriptConfig.ShellScript, step.Timeout, step.Retry
	ps.container = p.plan.containers.add(k, containerName(image), stage, stepResources(step))
}
