package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
)

// failure is an error that people see as reason and message.
type failure struct {
	reason   string
	err      error
	terminal bool
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(reason, format string, args ...any) error {
	return &failure{reason: reason, err: fmt.Errorf(format, args...)}
}

func failForGood(reason, format string, args ...any) error {
	return &failure{reason: reason, err: fmt.Errorf(format, args...), terminal: true}
}

// errReading: as many configs are being read as may be.
var errReading = errors.New("the configs of other runs are being read")

// inputs are the objects that a run is made from.
type inputs struct {
	pipeline   *v1alpha1.Pipeline
	setting    *v1alpha1.PipelineSetting
	repository *v1alpha1.SourceCodeRepository // nil: nothing is cloned
	login      scm.Credential
}

// prepared is a run made ready.
type prepared struct {
	inputs
	compiled     *pipeline.Compiled
	namespace    string // of the agent
	stepTimeouts map[pipeline.StepIndex]time.Duration
}

func (p *prepared) initialized() *pipeline.Initialized {
	c := p.compiled
	return &pipeline.Initialized{Stages: c.Stages, Nothing: c.Nothing, Timeout: c.Timeout, AgentTimeout: c.AgentTimeout, Namespace: p.namespace, StepTimeouts: p.stepTimeouts}
}

// initialize finds out what an admitted run is: its commit, its config, its number. All
// three are written into its spec once, before anything is done with them.
func (c *executions) initialize(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory) error {
	if c.readsGit(e) {
		done, ok := c.reads.take(keyOf(e))
		if !ok {
			return errReading
		}
		defer done()
	}
	p, err := c.tryInitialize(ctx, e, m)
	if apierrors.IsConflict(err) || errors.Is(ctx.Err(), context.Canceled) {
		return err // somebody wrote first, or we are to stop: look again
	}
	if err == nil {
		m.failures, m.bundle = 0, p.needsBundle()
		m.Initialized, m.config = p.initialized(), p
		return nil
	}
	f := c.toFailure(err, v1alpha1.ReasonConfigUnavailable, m)
	m.Initialized, m.setting = &pipeline.Initialized{Failure: f}, generationOf(c.setting(e.Namespace))
	c.mu.Lock()
	m.notBefore = f.Until
	c.mu.Unlock()
	c.admissions.queue.Add(e.Namespace) // the slot goes to somebody else meanwhile
	return nil
}

// readsGit tells whether a run's commit or config has to be read from its Git host, which
// may hang; a run of which that is not known counts as one.
func (c *executions) readsGit(e *v1alpha1.PipelineExecution) bool {
	p := c.cachedPipeline(e.Namespace, e.Spec.PipelineRef.Name)
	if p == nil {
		return true
	}
	given := e.Spec.Config != "" || p.Spec.Config != "" || p.Spec.ConfigMapRef != nil
	return p.Spec.RepositoryRef != nil && (!given || e.Spec.Source == nil || e.Spec.Source.Commit == "")
}

// toFailure turns an error into what the run shows. One that may pass is tried again,
// later each time.
func (c *executions) toFailure(err error, reason string, m *memory) *pipeline.Failure {
	f := &pipeline.Failure{Reason: reason, Message: err.Error()}
	if known, ok := errors.AsType[*failure](err); ok {
		f.Reason, f.Terminal = known.reason, known.terminal
	}
	delay := min(2*time.Second<<min(m.failures, 10), time.Minute)
	m.failures++
	f.Until = c.o.Clock.Now().Add(delay)
	return f
}

func (c *executions) tryInitialize(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory) (*prepared, error) {
	in, err := c.inputs(ctx, e)
	if err != nil {
		return nil, err
	}
	if _, f := c.engines.of(ctx, e.Namespace, in.setting); f != nil {
		return nil, &failure{reason: f.Reason, err: errors.New(f.Message), terminal: f.Terminal}
	}
	next := e.DeepCopy()
	if err := c.fillSource(ctx, next, in); err != nil {
		return nil, err
	}
	if err := c.fillConfig(ctx, next, in); err != nil {
		return nil, err
	}
	if err := c.number(ctx, next, in.pipeline, m); err != nil {
		return nil, err
	}
	mark(next)
	if err := c.writeSpec(ctx, e, next); err != nil {
		return nil, err
	}
	return compile(e, in)
}

// prepare makes a run that was initialized before ready again.
func (c *executions) prepare(ctx context.Context, e *v1alpha1.PipelineExecution) (*prepared, error) {
	in, err := c.inputs(ctx, e)
	if err != nil {
		return nil, err
	}
	return compile(e, in)
}

func (c *executions) inputs(ctx context.Context, e *v1alpha1.PipelineExecution) (inputs, error) {
	in := inputs{setting: c.setting(e.Namespace)}
	var err error
	if in.pipeline, err = c.pipelines.get(ctx, e.Namespace, e.Spec.PipelineRef.Name); err != nil {
		if apierrors.IsNotFound(err) {
			return in, failForGood(v1alpha1.ReasonPipelineNotFound, "Pipeline %s does not exist", e.Spec.PipelineRef.Name)
		}
		return in, fail(v1alpha1.ReasonConfigUnavailable, "read Pipeline %s: %w", e.Spec.PipelineRef.Name, err)
	}
	if in.pipeline.Spec.RepositoryRef == nil {
		return in, nil
	}
	name := in.pipeline.Spec.RepositoryRef.Name
	in.repository, err = c.o.Clients.Repositories(e.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return in, failForGood(v1alpha1.ReasonSourceNotFound, "SourceCodeRepository %s does not exist", name)
	}
	if err != nil {
		return in, fail(v1alpha1.ReasonConfigUnavailable, "read SourceCodeRepository %s: %w", name, err)
	}
	in.login, err = c.login(ctx, e, in.repository)
	return in, err
}

// fillSource settles which commit is built.
func (c *executions) fillSource(ctx context.Context, e *v1alpha1.PipelineExecution, in inputs) error {
	if in.repository == nil {
		return nil
	}
	if e.Spec.Source == nil { // made by hand: the pipeline says what it builds
		branch := firstNonEmpty(in.pipeline.Spec.Branch, in.repository.Spec.DefaultBranch, "main")
		e.Spec.Source = &v1alpha1.Source{RepositoryURL: in.repository.Spec.URL, Branch: branch, Ref: "refs/heads/" + branch}
	}
	s := e.Spec.Source
	if s.Commit != "" {
		return nil
	}
	ref := s.Ref
	if ref == "" {
		switch {
		case s.Tag != "":
			ref = "refs/tags/" + s.Tag
		default:
			s.Branch = firstNonEmpty(s.Branch, in.pipeline.Spec.Branch, in.repository.Spec.DefaultBranch, "main")
			ref = "refs/heads/" + s.Branch
		}
	}
	repo, err := c.remote(ctx, e, in)
	if err != nil {
		return err
	}
	commit, err := c.o.Reader.Resolve(ctx, repo, ref)
	if err != nil {
		return readFailure(err, "resolve %s", ref)
	}
	s.Commit = commit
	return nil
}

// fillConfig takes a snapshot of the config: the run's own, the pipeline's, or that of
// the repository at the commit.
func (c *executions) fillConfig(ctx context.Context, e *v1alpha1.PipelineExecution, in inputs) error {
	switch {
	case e.Spec.Config != "":
		return nil
	case in.pipeline.Spec.Config != "":
		e.Spec.Config = in.pipeline.Spec.Config
		return nil
	case in.pipeline.Spec.ConfigMapRef != nil:
		return c.fillFromConfigMap(ctx, e, *in.pipeline.Spec.ConfigMapRef)
	case in.repository == nil || e.Spec.Source == nil:
		return failForGood(v1alpha1.ReasonConfigNotFound, "Pipeline %s names no repository, config or configMapRef", in.pipeline.Name)
	}
	repo, err := c.remote(ctx, e, in)
	if err != nil {
		return err
	}
	commit := e.Spec.Source.Commit
	if !pipeline.Trusts(in.pipeline, e.Spec.Source) { // what strangers bring does not say what is done with it
		base := "refs/heads/" + firstNonEmpty(e.Spec.Source.BaseBranch, e.Spec.Source.Branch)
		if commit, err = c.o.Reader.Resolve(ctx, repo, base); err != nil {
			return readFailure(err, "resolve %s", base)
		}
	}
	path, text, err := c.o.Reader.File(ctx, repo, commit, pipeline.ConfigPaths(in.pipeline))
	if err != nil {
		return readFailure(err, "read the config at %s", short(commit))
	}
	if text == "" {
		return failForGood(v1alpha1.ReasonInvalidConfig, "config file %s at %s is empty", path, short(commit))
	}
	e.Spec.Config = text
	return nil
}

// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get

func (c *executions) fillFromConfigMap(ctx context.Context, e *v1alpha1.PipelineExecution, ref v1alpha1.ConfigMapKeyReference) error {
	key := firstNonEmpty(ref.Key, pipeline.DefaultConfigPaths()[0])
	cm, err := c.o.Clients.ConfigMaps(e.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return failForGood(v1alpha1.ReasonConfigNotFound, "ConfigMap %s does not exist", ref.Name)
	}
	if err != nil {
		return fail(v1alpha1.ReasonConfigUnavailable, "read ConfigMap %s: %w", ref.Name, err)
	}
	if cm.Data[key] == "" {
		return failForGood(v1alpha1.ReasonConfigNotFound, "ConfigMap %s has no key %s", ref.Name, key)
	}
	e.Spec.Config = cm.Data[key]
	return nil
}

// readFailure tells what will never be there from what may be there later.
func readFailure(err error, format string, args ...any) error {
	err = fmt.Errorf(format+": %w", append(args, err)...)
	f := &failure{reason: v1alpha1.ReasonConfigUnavailable, err: err}
	switch kind := scm.KindOf(err); {
	case scm.IsNotFound(err, scm.MissingFile):
		f.reason, f.terminal = v1alpha1.ReasonConfigNotFound, true
	case kind == scm.KindNotFound:
		f.reason, f.terminal = v1alpha1.ReasonSourceNotFound, true
	case kind == scm.KindTooLarge, kind == scm.KindInvalid:
		f.reason, f.terminal = v1alpha1.ReasonConfigNotFound, true
	}
	return f
}

func compile(e *v1alpha1.PipelineExecution, in inputs) (*prepared, error) {
	config, err := pipeline.ParseConfig(e.Spec.Config)
	if err != nil {
		return nil, failForGood(v1alpha1.ReasonInvalidConfig, "%w", err)
	}
	if unsupported := config.Unsupported(); len(unsupported) > 0 {
		return nil, failForGood(v1alpha1.ReasonInvalidConfig, "%w", pipeline.ConfigErrors(unsupported))
	}
	namespace := agentNamespace(e, in.setting)
	compiled, err := pipeline.Compile(pipeline.CompileInput{
		Execution: e, Pipeline: in.pipeline, Setting: in.setting, Repository: in.repository, Config: config,
		Credential: credentialKind(in.login), Namespace: namespace, SecretName: bundleName(e),
	})
	if err != nil {
		reason := v1alpha1.ReasonInvalidConfig
		if ce, ok := errors.AsType[*pipeline.CompileError](err); ok {
			reason = ce.Reason
		}
		return nil, failForGood(reason, "%w", err)
	}
	return &prepared{inputs: in, compiled: compiled, namespace: namespace, stepTimeouts: stepTimeouts(config, compiled)}, nil
}

// stepTimeouts finds the place of each step of the config in the status, where the clone
// may come first.
func stepTimeouts(config *pipeline.Config, compiled *pipeline.Compiled) map[pipeline.StepIndex]time.Duration {
	first := len(compiled.Stages) - len(config.Stages)
	out := map[pipeline.StepIndex]time.Duration{}
	for i, st := range config.Stages {
		for j, s := range st.Steps {
			if s.Timeout > 0 {
				out[pipeline.StepIndex{Stage: first + i, Step: j}] = s.Timeout
			}
		}
	}
	return out
}

func short(commit string) string { return commit[:min(len(commit), 12)] }
