package pipeline

import (
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// The comments of this file are the text of docs/config.md and of the JSON schema's descriptions: they speak to the author of a
// config file. Names come from the json tags; `config:"required"` demands a field. After a change, run `go run ./hack/gendocs`.

// Config is a config file: what a run does. `.pipeline.yml`, `.rancher-pipeline.yml` and `.cubepaas.devops.yml` have this format.
type Config struct {
	// parameters are values that a run may be given, in addition to those of the Pipeline; on the same name the file's wins.
	Parameters []v1alpha1.ParameterSpec `json:"parameters,omitempty"`
	// env is set in every step but the clone. `${NAME}` and `${NAME:-default}` are replaced by variables of the run and parameters.
	Env map[string]string `json:"env,omitempty"`
	// timeout ends a run that takes longer, counted from its agent's start: minutes, or a duration such as 1h30m. The Pipeline's
	// timeout wins. Default: 60.
	Timeout time.Duration `json:"timeout,omitempty"`
	// branch selects the branches that run at all (of a pull request: its target). A run of another branch ends as Succeeded without
	// running anything. Tags are not held back by it. Default: every branch.
	Branch *v1alpha1.Filter `json:"branch,omitempty"`
	// cache says what is kept between runs, unless a stage or step says otherwise.
	Cache *CacheConfig `json:"cache,omitempty"`
	// stages run one after the other; the first that fails ends the run.
	Stages []Stage `json:"stages" config:"required"`
	// notification is read for Rancher's files. Not supported yet.
	Notification *Notification `json:"notification,omitempty"`

	pos map[string]position
}

// Stage is a group of steps that run in parallel.
type Stage struct {
	// name is shown to people and is unique in the file. Clone is the name of the first stage, which need not be written.
	Name string `json:"name" config:"required"`
	// when skips the stage unless every filter matches.
	When *When `json:"when,omitempty"`
	// cache overrides the file's cache for the steps of this stage.
	Cache *CacheConfig `json:"cache,omitempty"`
	// steps run in parallel, each in its own shell, all in one workspace; when one fails, the others are stopped.
	Steps []Step `json:"steps" config:"required"`
}

// Step is one thing that is done. Exactly one of the fields that end in Config says what.
type Step struct {
	// name is shown to people and is unique in its stage. Default: `step-<stage>-<step>`, both counted from 1, the clone not counted.
	Name string `json:"name,omitempty"`

	// sourceCodeConfig checks the repository out. It is implied as the first stage, Clone; write it there to set options.
	SourceCodeConfig *SourceCodeConfig `json:"sourceCodeConfig,omitempty"`
	// runScriptConfig runs a script in a container.
	RunScriptConfig *RunScriptConfig `json:"runScriptConfig,omitempty"`
	// publishImageConfig builds an image and pushes it to a registry. Not supported yet.
	PublishImageConfig *PublishImageConfig `json:"publishImageConfig,omitempty"`
	// applyYamlConfig applies Kubernetes objects. Not supported yet.
	ApplyYAMLConfig *ApplyYAMLConfig `json:"applyYamlConfig,omitempty"`
	// publishCatalogConfig packages a Helm chart and pushes it. Not supported yet.
	PublishCatalogConfig *PublishCatalogConfig `json:"publishCatalogConfig,omitempty"`
	// applyAppConfig deploys a Helm chart. Not supported yet.
	ApplyAppConfig *ApplyAppConfig `json:"applyAppConfig,omitempty"`
	// approvalConfig waits until a person says yes. Not supported yet.
	ApprovalConfig *ApprovalConfig `json:"approvalConfig,omitempty"`

	// env is set in this step. `${NAME}` and `${NAME:-default}` are replaced by variables of the run, parameters and the file's env.
	Env map[string]string `json:"env,omitempty"`
	// envFrom sets variables from Secrets of the project. Only this step sees them. Runs of pull requests from forks get none unless
	// the Pipeline's forks policy is All.
	EnvFrom []EnvFrom `json:"envFrom,omitempty"`
	// privileged runs the step with all rights on its node. Not supported yet. Default: false.
	Privileged bool `json:"privileged,omitempty"`
	// cpuRequest is the CPU that is reserved for the step, in cores: 500m is half a core.
	CPURequest string `json:"cpuRequest,omitempty"`
	// cpuLimit is the CPU that the step may use, in cores.
	CPULimit string `json:"cpuLimit,omitempty"`
	// memoryRequest is the memory that is reserved for the step, in bytes, such as 256Mi.
	MemoryRequest string `json:"memoryRequest,omitempty"`
	// memoryLimit is the memory that the step may use, in bytes, such as 1Gi.
	MemoryLimit string `json:"memoryLimit,omitempty"`
	// when skips the step unless every filter matches.
	When *When `json:"when,omitempty"`
	// cache overrides the stage's cache for this step.
	Cache *CacheConfig `json:"cache,omitempty"`
	// timeout ends the step, all its retries included: minutes, or a duration such as 90s. Default: the run's timeout.
	Timeout time.Duration `json:"timeout,omitempty"`
	// retry is how often a failed step is run again, 0 to 10. Default: 0.
	Retry int `json:"retry,omitempty"`
}

// When selects the runs that a stage or step is part of; every filter that is given must match.
type When struct {
	// branch selects branches (of a pull request: its target; of a tag: the tag's name).
	Branch *v1alpha1.Filter `json:"branch,omitempty"`
	// event selects what started the run: push, tag, pull_request, manual, image or schedule.
	Event *v1alpha1.Filter `json:"event,omitempty"`
	// paths selects changed files: one changed file that passes is enough. When the changed files are not known, it matches.
	Paths *v1alpha1.Filter `json:"paths,omitempty"`
}

// EnvFrom sets a variable from a Secret.
type EnvFrom struct {
	// sourceName is the name of a Secret of the project.
	SourceName string `json:"sourceName" config:"required"`
	// sourceKey is the key in that Secret.
	SourceKey string `json:"sourceKey" config:"required"`
	// targetKey is the name of the variable. Default: sourceKey.
	TargetKey string `json:"targetKey,omitempty"`
}

// CacheConfig says what is kept between runs. `cache: false` switches it off, `cache: true` on.
type CacheConfig struct {
	// enabled switches the cache on or off. Default: true.
	Enabled *bool `json:"enabled,omitempty"`
	// preset is a short form of one entry with this preset.
	Preset v1alpha1.CachePreset `json:"preset,omitempty"`
	// paths is a short form of one entry, named paths, with these paths.
	Paths []string `json:"paths,omitempty"`
	// entries lists what is cached. Default: the entries of what surrounds it (the stage, the file, the Pipeline, the PipelineSetting).
	Entries []v1alpha1.CacheEntry `json:"entries,omitempty"`
}

// SourceCodeConfig checks the run's commit out into the workspace.
type SourceCodeConfig struct {
	// depth is how many commits of history are fetched; 0 fetches all history and tags. Default: 50.
	Depth *int `json:"depth,omitempty"`
	// submodules checks submodules out too, recursively. Default: false.
	Submodules bool `json:"submodules,omitempty"`
	// lfs fetches files that are kept in Git LFS. Default: false.
	LFS bool `json:"lfs,omitempty"`
}

// RunScriptConfig runs a script in a container.
type RunScriptConfig struct {
	// image is the container image. `${NAME}` and `${NAME:-default}` are replaced.
	Image string `json:"image" config:"required"`
	// shellScript is run by the image's sh, with -xe unless it starts with #!. It arrives byte for byte: nothing in it is replaced
	// before the shell sees it.
	ShellScript string `json:"shellScript" config:"required"`
}

// PublishImageConfig builds an image and pushes it to a registry.
type PublishImageConfig struct {
	// dockerfilePath is the Dockerfile, relative to the workspace. Default: ./Dockerfile.
	DockerfilePath string `json:"dockerfilePath,omitempty"`
	// buildContext is the directory that is built, relative to the workspace. Default: the workspace.
	BuildContext string `json:"buildContext,omitempty"`
	// tag is the image's name and tag, such as app:1.2. `${NAME}` is replaced.
	Tag string `json:"tag" config:"required"`
	// pushRemote pushes to registry instead of the project's own.
	PushRemote bool `json:"pushRemote,omitempty"`
	// registry is the host of another registry.
	Registry string `json:"registry,omitempty"`
}

// ApplyYAMLConfig applies Kubernetes objects.
type ApplyYAMLConfig struct {
	// path is a file in the workspace.
	Path string `json:"path,omitempty"`
	// content is the objects' text.
	Content string `json:"content,omitempty"`
	// namespace of objects that name none.
	Namespace string `json:"namespace,omitempty"`
}

// PublishCatalogConfig packages a Helm chart and pushes it.
type PublishCatalogConfig struct {
	// path is the chart's directory in the workspace.
	Path string `json:"path,omitempty"`
	// catalogTemplate is the chart's name.
	CatalogTemplate string `json:"catalogTemplate,omitempty"`
	// version is the chart's version.
	Version string `json:"version,omitempty"`
	// gitUrl is the chart repository.
	GitURL string `json:"gitUrl,omitempty"`
	// gitBranch is the branch that the chart is pushed to.
	GitBranch string `json:"gitBranch,omitempty"`
	// gitAuthor is the author of the commit.
	GitAuthor string `json:"gitAuthor,omitempty"`
	// gitEmail is the author's address.
	GitEmail string `json:"gitEmail,omitempty"`
}

// ApplyAppConfig deploys a Helm chart.
type ApplyAppConfig struct {
	// chart is a directory in the workspace or the address of a chart.
	Chart string `json:"chart,omitempty"`
	// catalogTemplate is a chart of a catalog, as Rancher wrote it.
	CatalogTemplate string `json:"catalogTemplate,omitempty"`
	// version is the chart's version.
	Version string `json:"version,omitempty"`
	// name is the name of the release.
	Name string `json:"name,omitempty"`
	// targetNamespace is the namespace that the chart is deployed to.
	TargetNamespace string `json:"targetNamespace,omitempty"`
	// answers are the chart's values.
	Answers map[string]string `json:"answers,omitempty"`
}

// ApprovalConfig waits until a person says yes.
type ApprovalConfig struct {
	// message is the question.
	Message string `json:"message,omitempty"`
	// approvers are the users and groups who may answer. Default: whoever may update the run.
	Approvers []string `json:"approvers,omitempty"`
}

// Notification is Rancher's way to say who is told of a run's end.
type Notification struct {
	// recipients are told.
	Recipients []Recipient `json:"recipients,omitempty"`
	// condition lists the ends that are told: Success, Failed, Changed.
	Condition StringList `json:"condition,omitempty"`
	// message replaces the default message.
	Message string `json:"message,omitempty"`
}

// Recipient is one address of a notification.
type Recipient struct {
	// recipient is the address.
	Recipient string `json:"recipient,omitempty"`
	// notifier names the service that delivers.
	Notifier string `json:"notifier,omitempty"`
}

// StringList is a list that may also be written as one string.
type StringList []string

// position is where something stands in the file, both from 1.
type position struct{ line, column int }
