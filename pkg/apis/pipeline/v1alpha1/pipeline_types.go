package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PipelineSpec says what to build, when, and how runs behave.
// +kubebuilder:validation:XValidation:rule="!(has(self.config) && has(self.configMapRef))",message="at most one of config and configMapRef may be set"
// +kubebuilder:validation:XValidation:rule="!has(self.cache) || !has(self.cache.hostPath)",message="cache.hostPath can only be set in the project's PipelineSetting: it chooses a directory of the nodes"
// +kubebuilder:validation:XValidation:rule="has(self.repositoryRef) || has(self.config) || has(self.configMapRef)",message="a pipeline without repositoryRef needs config or configMapRef"
type PipelineSpec struct {
	// repositoryRef names the SourceCodeRepository to build. Absent: nothing is cloned,
	// and config or configMapRef is required.
	// +optional
	RepositoryRef *LocalReference `json:"repositoryRef,omitempty"`
	// branch is built when a run names none. Default: the repository's defaultBranch.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Branch string `json:"branch,omitempty"`
	// configPath is the config file's path in the repository. Default: the first that
	// exists of .pipeline.yml, .rancher-pipeline.yml, .cubepaas.devops.yml.
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.split('/').exists(p, p == '..')",message="configPath must be relative to the repository and must not contain '..'"
	// +optional
	ConfigPath string `json:"configPath,omitempty"`
	// config is the config file's text, used instead of the repository's.
	// +kubebuilder:validation:MaxLength=262144
	// +optional
	Config string `json:"config,omitempty"`
	// configMapRef names a ConfigMap key (default: .pipeline.yml) that holds the config,
	// used instead of the repository's.
	// +optional
	ConfigMapRef *ConfigMapKeyReference `json:"configMapRef,omitempty"`
	// triggers says which events start a run. Default: none but people.
	// +optional
	Triggers *Triggers `json:"triggers,omitempty"`
	// parameters are the values that a run may be given.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Parameters []ParameterSpec `json:"parameters,omitempty"`
	// cache overrides the setting's cache for this pipeline, all but hostPath: whoever
	// chooses directories of nodes can get at everything on them.
	// +optional
	Cache *CacheSpec `json:"cache,omitempty"`
	// timeout ends a run that takes longer, from the agent's start. Default: the config
	// file's timeout, else 60m.
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="timeout must be a positive duration such as 90s or 1h30m"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// concurrency says what happens when a run starts while another is active.
	// +optional
	Concurrency *Concurrency `json:"concurrency,omitempty"`
	// history bounds how many finished runs are kept, and for how long.
	// +optional
	History *History `json:"history,omitempty"`
	// serviceAccountName is what deploying steps act as. Default: none, so that agents
	// get no API token.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// suspend stops new runs from events; people can still start one. Default: false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ConfigMapKeyReference points at one key of a ConfigMap in the same namespace.
type ConfigMapKeyReference struct {
	// name of the ConfigMap in the same namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// key inside the ConfigMap. Default: .pipeline.yml.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Key string `json:"key,omitempty"`
}

// Triggers says which events start a run.
type Triggers struct {
	// push starts a run when commits arrive on a branch.
	// +optional
	Push *PushTrigger `json:"push,omitempty"`
	// tag starts a run when a tag is created.
	// +optional
	Tag *TagTrigger `json:"tag,omitempty"`
	// pullRequest starts a run when a pull (merge) request is opened or gets commits.
	// +optional
	PullRequest *PullRequestTrigger `json:"pullRequest,omitempty"`
	// image starts a run when an image is pushed to a registry.
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	// +optional
	Image []ImageTrigger `json:"image,omitempty"`
	// schedule starts a run at times.
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	// +optional
	Schedule []ScheduleTrigger `json:"schedule,omitempty"`
}

// PushTrigger selects pushes to branches.
type PushTrigger struct {
	// branches selects branch names, such as main or release/**. Default: every branch.
	// +optional
	Branches *Filter `json:"branches,omitempty"`
	// paths selects changed files: one changed file that passes is enough. A push whose
	// changed files are not known runs. Default: every file.
	// +optional
	Paths *Filter `json:"paths,omitempty"`
}

// TagTrigger selects created tags.
type TagTrigger struct {
	// tags selects tag names, such as v*. Default: every tag.
	// +optional
	Tags *Filter `json:"tags,omitempty"`
}

// ForkPolicy says what a pull request from a fork may do: None, it starts no run;
// WithoutSecrets, its run gets no secrets, no cache and no API token, and follows the
// config file of the target branch; All, it is run as one of the repository's own.
// +kubebuilder:validation:Enum=None;WithoutSecrets;All
type ForkPolicy string

// The fork policies.
const (
	ForksNone           ForkPolicy = "None"
	ForksWithoutSecrets ForkPolicy = "WithoutSecrets"
	ForksAll            ForkPolicy = "All"
)

// PullRequestTrigger selects pull (merge) requests.
type PullRequestTrigger struct {
	// branches selects the target branch. Default: every branch.
	// +optional
	Branches *Filter `json:"branches,omitempty"`
	// paths selects changed files, as for pushes. Hosts do not tell the files of a request:
	// until they do, every request passes. Default: every file.
	// +optional
	Paths *Filter `json:"paths,omitempty"`
	// forks says whether requests from forks run, and with what: None, not at all;
	// WithoutSecrets, without secrets, cache and API token and with the config file of the
	// target branch; All, as requests of the repository itself. Default: None.
	// +kubebuilder:default=None
	// +optional
	Forks ForkPolicy `json:"forks,omitempty"`
}

// RegistryType is the software of a container registry.
// +kubebuilder:validation:Enum=Distribution;Harbor;DockerHub;Aliyun;Quay;GitLab;GHCR
type RegistryType string

// The container registries whose push notifications are understood.
const (
	RegistryDistribution RegistryType = "Distribution"
	RegistryHarbor       RegistryType = "Harbor"
	RegistryDockerHub    RegistryType = "DockerHub"
	RegistryAliyun       RegistryType = "Aliyun"
	RegistryQuay         RegistryType = "Quay"
	RegistryGitLab       RegistryType = "GitLab"
	RegistryGHCR         RegistryType = "GHCR"
)

// ImageTokenKey is the key of an image trigger's tokenSecretRef when none is named.
const ImageTokenKey = "token"

// ImageTrigger selects pushed images: tags of manifests. Notifications arrive at
// /hooks/images/<namespace>/<registry, in lower case>.
type ImageTrigger struct {
	// registry is the software that sends the notification.
	Registry RegistryType `json:"registry"`
	// repository is a glob of the image repository without registry host, such as
	// library/*.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Repository string `json:"repository"`
	// tags selects image tags. Default: every tag.
	// +optional
	Tags *Filter `json:"tags,omitempty"`
	// branch is built. Default: the pipeline's branch.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Branch string `json:"branch,omitempty"`
	// tokenSecretRef names the Secret key (default: token) that proves who sends: a token in
	// the header Authorization (Distribution, GitLab, Harbor, Aliyun), or at the end of the
	// address (DockerHub, Quay, Aliyun), or what signs (GHCR); at least 16 bytes. Keys that
	// start with this key and a dash are accepted too. Absent: no notification is accepted.
	// +optional
	TokenSecretRef *SecretKeyReference `json:"tokenSecretRef,omitempty"`
}

// ScheduleTrigger starts a run at times.
type ScheduleTrigger struct {
	// cron is a five-field cron expression, such as "0 3 * * 1-5".
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=128
	Cron string `json:"cron"`
	// timeZone is an IANA name, such as Europe/Berlin. Default: UTC.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	TimeZone string `json:"timeZone,omitempty"`
	// branch is built. Default: the pipeline's branch.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Branch string `json:"branch,omitempty"`
}

// ParameterType is the kind of value that a parameter takes.
// +kubebuilder:validation:Enum=String;Boolean;Choice;Number;Secret
type ParameterType string

// The parameter types. The value of a Secret parameter names a Secret and a key
// ("name/key"); the value itself is never stored in an object.
const (
	ParameterString  ParameterType = "String"
	ParameterBoolean ParameterType = "Boolean"
	ParameterChoice  ParameterType = "Choice"
	ParameterNumber  ParameterType = "Number"
	ParameterSecret  ParameterType = "Secret"
)

// ParameterSpec declares a value that a run may be given. Steps see it as an
// environment variable of its name.
// +kubebuilder:validation:XValidation:rule="self.type != 'Choice' || (has(self.choices) && size(self.choices) > 0)",message="a parameter of type Choice needs choices"
// +kubebuilder:validation:XValidation:rule="!has(self.default) || !has(self.choices) || self.default in self.choices",message="default must be one of choices"
type ParameterSpec struct {
	// name is an environment variable name.
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name"`
	// type is the kind of value. Default: String.
	// +kubebuilder:default=String
	// +optional
	Type ParameterType `json:"type,omitempty"`
	// default is the value of a run that gives none.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Default *string `json:"default,omitempty"`
	// choices are the values that a parameter of type Choice may take.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=256
	// +optional
	Choices []string `json:"choices,omitempty"`
	// required refuses a run that gives no value and for which there is no default.
	// Default: false.
	// +optional
	Required bool `json:"required,omitempty"`
	// description is shown to people.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Description string `json:"description,omitempty"`
}

// ConcurrencyPolicy says what happens to runs of one pipeline that overlap.
// +kubebuilder:validation:Enum=Queue;CancelSuperseded;Parallel
type ConcurrencyPolicy string

// The concurrency policies.
const (
	// ConcurrencyQueue runs at most max at once, first in, first out.
	ConcurrencyQueue ConcurrencyPolicy = "Queue"
	// ConcurrencyCancelSuperseded stops an active run of the same branch when a newer
	// one is admitted.
	ConcurrencyCancelSuperseded ConcurrencyPolicy = "CancelSuperseded"
	// ConcurrencyParallel runs them at once, bounded by the project's quota only.
	ConcurrencyParallel ConcurrencyPolicy = "Parallel"
)

// Concurrency bounds the runs of one pipeline that are active at once.
type Concurrency struct {
	// policy is Queue, CancelSuperseded or Parallel. Default: Parallel.
	// +kubebuilder:default=Parallel
	// +optional
	Policy ConcurrencyPolicy `json:"policy,omitempty"`
	// max is how many runs may be active at once under Queue. Default: 1.
	// +kubebuilder:validation:Minimum=1
	// +optional
	Max *int32 `json:"max,omitempty"`
}

// History bounds the finished runs that are kept. Those of a Pipeline that is gone are kept
// for a week.
type History struct {
	// succeeded is how many succeeded runs are kept. Default: 20.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Succeeded *int32 `json:"succeeded,omitempty"`
	// failed is how many failed or aborted runs are kept. Default: 20.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Failed *int32 `json:"failed,omitempty"`
	// ttl deletes a finished run this long after its end. Default: never.
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="ttl must be a positive duration such as 720h"
	// +optional
	TTL *metav1.Duration `json:"ttl,omitempty"`
}

// PipelineStatus rolls up the runs of a pipeline.
type PipelineStatus struct {
	// nextRun is the number that the next admitted run gets.
	// +optional
	NextRun int64 `json:"nextRun,omitempty"`
	// lastExecution is the run that was admitted last.
	// +optional
	LastExecution *ExecutionSummary `json:"lastExecution,omitempty"`
	// recentNodes are the distinct nodes that ran this pipeline, newest first.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +optional
	RecentNodes []RecentNode `json:"recentNodes,omitempty"`
	// cache tells how well the cache served this pipeline.
	// +optional
	Cache *CacheStatus `json:"cache,omitempty"`
	// conditions: Ready is True when a run can start.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// ExecutionSummary is one run in short.
type ExecutionSummary struct {
	// name of the PipelineExecution.
	Name string `json:"name"`
	// run is its number.
	// +optional
	Run int64 `json:"run,omitempty"`
	// phase it is in.
	// +optional
	Phase Phase `json:"phase,omitempty"`
	// startedAt is when its agent started.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// finishedAt is when it ended.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
}

// RecentNode is a node that ran the pipeline.
type RecentNode struct {
	// name of the node.
	Name string `json:"name"`
	// run is the number of the newest run on that node.
	// +optional
	Run int64 `json:"run,omitempty"`
	// time is when that run was placed.
	// +optional
	Time metav1.Time `json:"time,omitempty"`
}

// CacheStatus tells how well the cache served a pipeline.
type CacheStatus struct {
	// lastHit is when a run last found its cache.
	// +optional
	LastHit *metav1.Time `json:"lastHit,omitempty"`
	// hitRate is the share of recent runs that found their cache, in percent.
	// +optional
	HitRate *int32 `json:"hitRate,omitempty"`
	// warmSeconds is the median duration of recent runs that found their cache.
	// +optional
	WarmSeconds *int64 `json:"warmSeconds,omitempty"`
	// coldSeconds is the median duration of recent runs that did not.
	// +optional
	ColdSeconds *int64 `json:"coldSeconds,omitempty"`
}

// Pipeline says which repository is built, when, and how its runs behave.
// +kubebuilder:object:root=true
// +kubebuilder:metadata:labels={"app.kubernetes.io/name=kubectl-pipeline","app.kubernetes.io/part-of=kubectl-pipeline"}
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=pipelines,shortName=pl,categories=cicd
// +kubebuilder:printcolumn:name="Repository",type=string,JSONPath=`.spec.repositoryRef.name`
// +kubebuilder:printcolumn:name="Last-Run",type=integer,JSONPath=`.status.lastExecution.run`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.lastExecution.phase`
// +kubebuilder:printcolumn:name="Started",type=date,JSONPath=`.status.lastExecution.startedAt`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`,priority=1
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.status.recentNodes[0].name`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.repositoryRef.name`
type Pipeline struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   PipelineSpec   `json:"spec"`
	Status PipelineStatus `json:"status,omitempty"`
}

// PipelineList is a list of Pipeline.
// +kubebuilder:object:root=true
type PipelineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Pipeline `json:"items"`
}
