package pipeline

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// CredentialKind says which keys of a git login the bundle will hold.
type CredentialKind string

// The kinds of git login.
const (
	// CredentialNone: the repository is read anonymously.
	CredentialNone CredentialKind = ""
	// CredentialBasic: BundleKeyGitUsername and BundleKeyGitPassword; a token is a password.
	CredentialBasic CredentialKind = "Basic"
	// CredentialSSH: BundleKeyGitSSHKey and BundleKeyGitKnownHosts.
	CredentialSSH CredentialKind = "SSH"
)

// Keys of the git login in the bundle.
const (
	BundleKeyGitUsername   = "git-username"
	BundleKeyGitPassword   = "git-password"
	BundleKeyGitSSHKey     = "git-ssh-privatekey"
	BundleKeyGitKnownHosts = "git-known-hosts"
)

// DefaultTimeout ends a run when neither the Pipeline nor the config file says when.
const DefaultTimeout = 60 * time.Minute

// DefaultAgentTimeout ends a run whose agent is not ready, when the setting does not say when.
const DefaultAgentTimeout = 10 * time.Minute

// CompileInput is all that a run's Jenkinsfile and agent pod depend on.
type CompileInput struct {
	// Execution is the run; its source.commit must be known when there is a source.
	Execution *v1alpha1.PipelineExecution
	// Pipeline that it is a run of.
	Pipeline *v1alpha1.Pipeline
	// Setting of the project; nil means defaults.
	Setting *v1alpha1.PipelineSetting
	// Repository that is built; may be nil.
	Repository *v1alpha1.SourceCodeRepository
	// Config is the parsed config file of the run.
	Config *Config
	// Credential says how the clone logs in.
	Credential CredentialKind
	// Namespace of the agent pod. Default: the project's executor namespace.
	Namespace string
	// SecretName is the run's own Secret in that namespace (the bundle), made from Compiled.Secrets and the git login.
	SecretName string
}

// BundleEntry is one value that the run's own Secret must hold.
type BundleEntry struct {
	// Key in the bundle.
	Key string
	// From is where the value lies in the project's namespace.
	From v1alpha1.SecretKeyReference
}

// Compiled is a run made ready for Jenkins.
type Compiled struct {
	// Jenkinsfile is the job's script, with the pod inside. Empty when Nothing.
	Jenkinsfile string
	// Pod is the agent pod's template. Nil when Nothing.
	Pod *corev1.Pod
	// Stages is the run's first status: Pending, or Skipped with a message. Clone is the first when there is a source.
	Stages []v1alpha1.StageStatus
	// Secrets are the values of envFrom and of Secret parameters. The git login is not among them: it is known by CompileInput.Credential.
	Secrets []BundleEntry
	// Timeout of the run from its agent's start, and AgentTimeout for the agent to start.
	Timeout, AgentTimeout time.Duration
	// Nothing is true when every stage is skipped.
	Nothing bool
}

// CompileError says why a run cannot be compiled. It is final: the same input gives the same error.
type CompileError struct {
	// Reason is one of the reasons of an execution: ReasonInvalidConfig, ReasonInvalidParameters.
	Reason string
	// Err is the cause; ConfigErrors when the config file is to blame.
	Err error
}

func (e *CompileError) Error() string { return e.Err.Error() }
func (e *CompileError) Unwrap() error { return e.Err }

// Compile makes a run ready for Jenkins. The same input gives the same bytes. Its error is always a *CompileError.
func Compile(in CompileInput) (*Compiled, error) {
	if in.Namespace == "" {
		in.Namespace = executorNamespace(in)
	}
	p, err := newPlan(in)
	if err != nil {
		return nil, err
	}
	out := &Compiled{Stages: p.statuses(), Secrets: p.plan.secrets, Timeout: runTimeout(in), AgentTimeout: AgentTimeout(in.Setting)}
	if len(p.plan.containers.list) == 0 {
		out.Nothing, out.Secrets = true, nil
		return out, nil
	}
	if out.Pod, err = p.agentPod(out.Timeout, out.AgentTimeout); err != nil {
		return nil, invalidConfig(err)
	}
	yaml, err := podYAML(out.Pod)
	if err != nil {
		return nil, invalidConfig(err)
	}
	if len(yaml) > maxPodBytes {
		return nil, invalidConfig(podTooLarge(len(out.Pod.Spec.Containers)))
	}
	out.Jenkinsfile = p.jenkinsfile(yaml, out.Timeout, out.AgentTimeout)
	return out, nil
}

// statuses is the run's first status.
func (p *planner) statuses() []v1alpha1.StageStatus {
	phase := func(skip string) v1alpha1.Phase {
		if skip != "" {
			return v1alpha1.PhaseSkipped
		}
		return v1alpha1.PhasePending
	}
	out := make([]v1alpha1.StageStatus, 0, len(p.plan.stages))
	for _, s := range p.plan.stages {
		status := v1alpha1.StageStatus{Name: s.name, Phase: phase(s.skip), Message: s.skip}
		for _, step := range s.steps {
			ss := v1alpha1.StepStatus{Name: step.name, Type: string(step.typ), Phase: phase(step.skip), Message: step.skip}
			if step.skip == "" && step.cacheOff {
				ss.Cache = v1alpha1.CacheOff
			}
			status.Steps = append(status.Steps, ss)
		}
		out = append(out, status)
	}
	return out
}

func executorNamespace(in CompileInput) string {
	if in.Setting != nil && in.Setting.Spec.Executor.Namespace != "" {
		return in.Setting.Spec.Executor.Namespace
	}
	return v1alpha1.ProjectNames{Namespace: in.Execution.Namespace}.ExecutorNamespace()
}

// runTimeout: the Pipeline's wins over the config file's, since whoever owns the cluster's time owns the Pipeline.
func runTimeout(in CompileInput) time.Duration {
	if t := in.Pipeline.Spec.Timeout; t != nil && t.Duration >= time.Second {
		return t.Round(time.Second)
	}
	if in.Config.Timeout >= time.Second {
		return in.Config.Timeout
	}
	return DefaultTimeout
}

// AgentTimeout is how long an agent may take to be ready: as the project's setting, which
// may be nil, says.
func AgentTimeout(setting *v1alpha1.PipelineSetting) time.Duration {
	if setting != nil && setting.Spec.Executor.AgentTimeout != nil && setting.Spec.Executor.AgentTimeout.Duration >= time.Second {
		return setting.Spec.Executor.AgentTimeout.Round(time.Second)
	}
	return DefaultAgentTimeout
}
