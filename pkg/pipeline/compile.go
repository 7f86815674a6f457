package pipeline

import (
	"errors"
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
	return nil, &CompileError{Reason: v1alpha1.ReasonInvalidConfig, Err: errors.New("compile is being written")}
}
