package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Phase is where an execution, a stage or a step stands. Executions go
//
//	Queued → Pending → Running ⇄ Paused → Succeeded | Failed | Aborted
//
// and never leave a terminal phase. Skipped is for stages and steps only.
// +kubebuilder:validation:Enum=Queued;Pending;Running;Paused;Succeeded;Failed;Aborted;Skipped
type Phase string

// The phases.
const (
	// PhaseQueued: waits for the project's quota or the pipeline's concurrency.
	PhaseQueued Phase = "Queued"
	// PhasePending: admitted; engine and agent are being brought up. Of a stage or step:
	// not reached yet.
	PhasePending Phase = "Pending"
	// PhaseRunning: the agent runs steps.
	PhaseRunning Phase = "Running"
	// PhasePaused: a person paused it, or it waits for a person's answer.
	PhasePaused Phase = "Paused"
	// PhaseSucceeded: every stage succeeded or was skipped.
	PhaseSucceeded Phase = "Succeeded"
	// PhaseFailed: a step failed, a timeout passed, or it could not run; see reason.
	PhaseFailed Phase = "Failed"
	// PhaseAborted: stopped by a person or by what they configured.
	PhaseAborted Phase = "Aborted"
	// PhaseSkipped: its `when` did not match, or an earlier stage ended the run.
	PhaseSkipped Phase = "Skipped"
)

// Control is what a person wants of an execution.
// +kubebuilder:validation:Enum=Run;Pause;Stop
type Control string

// The controls.
const (
	ControlRun   Control = "Run"
	ControlPause Control = "Pause"
	ControlStop  Control = "Stop"
)

// PipelineExecutionSpec is one run: what is built and why. Everything but control,
// approvals, and what the controller fills in once (run, config, source.commit) is
// immutable.
// +kubebuilder:validation:XValidation:rule="self.pipelineRef == oldSelf.pipelineRef",message="pipelineRef is immutable"
// +kubebuilder:validation:XValidation:rule="self.trigger == oldSelf.trigger",message="trigger is immutable"
// +kubebuilder:validation:XValidation:rule="has(self.parameters) == has(oldSelf.parameters) && (!has(self.parameters) || self.parameters == oldSelf.parameters)",message="parameters are immutable"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.run) || (has(self.run) && self.run == oldSelf.run)",message="run is immutable once assigned"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.config) || (has(self.config) && self.config == oldSelf.config)",message="config is immutable once filled"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.source) || has(self.source)",message="source is immutable"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.control) || oldSelf.control != 'Stop' || (has(self.control) && self.control == 'Stop')",message="control cannot change after Stop; use 'kubectl pipeline rerun'"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.approvals) || (has(self.approvals) && size(self.approvals) >= size(oldSelf.approvals) && oldSelf.approvals.all(a, a in self.approvals))",message="approvals can only be added"
type PipelineExecutionSpec struct {
	// pipelineRef names the Pipeline that this is a run of.
	PipelineRef LocalReference `json:"pipelineRef"`
	// run is the run's number, counted per pipeline. Assigned at admission when absent.
	// +kubebuilder:validation:Minimum=1
	// +optional
	Run int64 `json:"run,omitempty"`
	// source says what is built. Absent: nothing is cloned.
	// +optional
	Source *Source `json:"source,omitempty"`
	// trigger says who or what started the run.
	Trigger Trigger `json:"trigger"`
	// parameters are the values given to this run.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Parameters []Parameter `json:"parameters,omitempty"`
	// config is the config file's text that this run follows: filled once, at admission,
	// from the repository at source.commit; or given, for a temporary run.
	// +kubebuilder:validation:MaxLength=262144
	// +optional
	Config string `json:"config,omitempty"`
	// control is what people want of the run: Run, Pause or Stop. Stop is final.
	// Default: Run.
	// +kubebuilder:default=Run
	// +optional
	Control Control `json:"control,omitempty"`
	// approvals are people's answers to approval steps; they can only be added.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Approvals []Approval `json:"approvals,omitempty"`
}

// Source says what is built.
// +kubebuilder:validation:XValidation:rule="self.repositoryURL == oldSelf.repositoryURL",message="source.repositoryURL is immutable"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.commit) || (has(self.commit) && self.commit == oldSelf.commit)",message="source.commit is immutable once known"
// +kubebuilder:validation:XValidation:rule="(!has(oldSelf.ref) || (has(self.ref) && self.ref == oldSelf.ref))",message="source.ref is immutable once known"
// +kubebuilder:validation:XValidation:rule="(!has(oldSelf.branch) || (has(self.branch) && self.branch == oldSelf.branch)) && (!has(oldSelf.tag) || (has(self.tag) && self.tag == oldSelf.tag)) && (!has(oldSelf.baseBranch) || (has(self.baseBranch) && self.baseBranch == oldSelf.baseBranch))",message="source.branch, tag and baseBranch are immutable once known"
// +kubebuilder:validation:XValidation:rule="(!has(oldSelf.message) || (has(self.message) && self.message == oldSelf.message)) && (!has(oldSelf.author) || (has(self.author) && self.author == oldSelf.author)) && (!has(oldSelf.htmlURL) || (has(self.htmlURL) && self.htmlURL == oldSelf.htmlURL))",message="source.message, author and htmlURL are immutable once known"
// +kubebuilder:validation:XValidation:rule="has(self.pullRequest) == has(oldSelf.pullRequest) && (!has(self.pullRequest) || self.pullRequest == oldSelf.pullRequest)",message="source.pullRequest is immutable"
// +kubebuilder:validation:XValidation:rule="(!has(oldSelf.paths) || (has(self.paths) && self.paths == oldSelf.paths)) && has(self.pathsComplete) == has(oldSelf.pathsComplete) && (!has(self.pathsComplete) || self.pathsComplete == oldSelf.pathsComplete)",message="source.paths are immutable once known"
type Source struct {
	// repositoryURL is the address to clone from.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	RepositoryURL string `json:"repositoryURL"`
	// ref is the full name of what was pushed, such as refs/heads/main.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Ref string `json:"ref,omitempty"`
	// branch is the branch, or the target branch of a pull request.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Branch string `json:"branch,omitempty"`
	// tag is the tag, for tag events.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Tag string `json:"tag,omitempty"`
	// commit is the full id of the commit that is built, never the tip of a branch. Filled
	// at admission from ref when a person gave none.
	// +kubebuilder:validation:Pattern=`^([0-9a-f]{40}|[0-9a-f]{64})$`
	// +optional
	Commit string `json:"commit,omitempty"`
	// baseBranch is the target branch of a pull request.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	BaseBranch string `json:"baseBranch,omitempty"`
	// pullRequest tells which pull request it is.
	// +optional
	PullRequest *PullRequest `json:"pullRequest,omitempty"`
	// message is the head commit's message, at most 4096 characters.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Message string `json:"message,omitempty"`
	// author is the head commit's author.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Author string `json:"author,omitempty"`
	// htmlURL shows the change in a browser.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	HTMLURL string `json:"htmlURL,omitempty"`
	// paths are the changed files, when they are known (see pathsComplete), at most 1000.
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=1024
	// +listType=atomic
	// +optional
	Paths []string `json:"paths,omitempty"`
	// pathsComplete is true when paths lists every changed file. Filters on paths let a
	// run pass when it is false.
	// +optional
	PathsComplete bool `json:"pathsComplete,omitempty"`
}

// PullRequest tells which pull (merge) request is built.
type PullRequest struct {
	// number of the pull request at its host.
	Number int64 `json:"number"`
	// fork is true when it comes from another repository.
	// +optional
	Fork bool `json:"fork,omitempty"`
	// headRepositoryURL is the repository that it comes from.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	HeadRepositoryURL string `json:"headRepositoryURL,omitempty"`
}

// Trigger says who or what started a run.
type Trigger struct {
	// type of the event.
	Type EventType `json:"type"`
	// user who started it, as the API server or the Git host reports it.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	User string `json:"user,omitempty"`
	// deliveryID is the sender's id of the event; a redelivery has the same.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	DeliveryID string `json:"deliveryID,omitempty"`
	// image that was pushed, for image events.
	// +optional
	Image *ImageReference `json:"image,omitempty"`
	// rerunOf names the PipelineExecution that this one repeats.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	RerunOf string `json:"rerunOf,omitempty"`
	// fromStage names the stage that a rerun starts at. Default: the first.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	FromStage string `json:"fromStage,omitempty"`
}

// ImageReference is an image that was pushed.
type ImageReference struct {
	// repository of the image, with its registry host where that is known.
	// +kubebuilder:validation:MaxLength=512
	Repository string `json:"repository"`
	// tag that was pushed.
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Tag string `json:"tag,omitempty"`
	// digest of the manifest, such as sha256:….
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Digest string `json:"digest,omitempty"`
}

// Parameter is a value given to a run.
type Parameter struct {
	// name of a declared parameter.
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name"`
	// value in text form; of a Secret parameter, "name/key" of the Secret.
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value"`
}

// Decision is a person's answer to an approval step.
// +kubebuilder:validation:Enum=Approve;Deny
type Decision string

// The decisions.
const (
	DecisionApprove Decision = "Approve"
	DecisionDeny    Decision = "Deny"
)

// Approval is a person's answer to an approval step.
type Approval struct {
	// stage is the name of the stage that asks.
	// +kubebuilder:validation:MaxLength=253
	Stage string `json:"stage"`
	// step is the name of the step that asks. Default: the stage's only step.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Step string `json:"step,omitempty"`
	// decision is Approve or Deny.
	Decision Decision `json:"decision"`
	// user who decided.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	User string `json:"user,omitempty"`
}

// PipelineExecutionStatus is how a run goes.
type PipelineExecutionStatus struct {
	// phase the run is in.
	// +optional
	Phase Phase `json:"phase,omitempty"`
	// reason is a CamelCase word for the phase; the list is in docs/reasons.md.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message says why, the cause first.
	// +optional
	Message string `json:"message,omitempty"`
	// stages in the order of the config file.
	// +listType=atomic
	// +optional
	Stages []StageStatus `json:"stages,omitempty"`
	// engine is the Jenkins job and build that carry the run out.
	// +optional
	Engine *EngineStatus `json:"engine,omitempty"`
	// agent is the pod that runs the steps.
	// +optional
	Agent *AgentStatus `json:"agent,omitempty"`
	// queue tells why the run is not admitted yet.
	// +optional
	Queue *QueueStatus `json:"queue,omitempty"`
	// logs tells how much was written and where it is kept.
	// +optional
	Logs *LogStatus `json:"logs,omitempty"`
	// startedAt is when the first step began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// finishedAt is when the run reached a terminal phase.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// timeout is how long the run may take from startedAt on, the time that it was held
	// not counted. Absent: no limit.
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// hold is the time that the run's timeouts stood still: while it was paused, while it
	// waited for an answer, while Jenkins was preparing to shut down.
	// +optional
	Hold *HoldStatus `json:"hold,omitempty"`
	// conditions: Initialized (config known, admitted), Provisioned (engine and agent
	// there), EngineReady (only after Jenkins could not be used), Built, Notified; and for
	// `kubectl wait` Complete (True in every terminal phase) and Succeeded.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// StageStatus is how a stage goes.
type StageStatus struct {
	// name from the config file.
	Name string `json:"name"`
	// phase the stage is in.
	Phase Phase `json:"phase"`
	// message says why it was skipped or failed.
	// +optional
	Message string `json:"message,omitempty"`
	// startedAt is when its first step began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// finishedAt is when its last step ended.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// steps in the order of the config file; they run in parallel.
	// +listType=atomic
	// +optional
	Steps []StepStatus `json:"steps,omitempty"`
}

// CacheResult tells whether a step found its cache.
// +kubebuilder:validation:Enum=Hit;Miss;Off
type CacheResult string

// The cache results.
const (
	CacheHit  CacheResult = "Hit"
	CacheMiss CacheResult = "Miss"
	CacheOff  CacheResult = "Off"
)

// StepStatus is how a step goes.
type StepStatus struct {
	// name from the config file, or step-<stage>-<step> when it has none.
	Name string `json:"name"`
	// type of the step, such as runScript.
	// +optional
	Type string `json:"type,omitempty"`
	// phase the step is in.
	Phase Phase `json:"phase"`
	// startedAt is when it began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// finishedAt is when it ended.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// exitCode of its script, when it failed and the code is known.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`
	// message says why it was skipped or failed.
	// +optional
	Message string `json:"message,omitempty"`
	// cache tells whether it found its cache.
	// +optional
	Cache CacheResult `json:"cache,omitempty"`
}

// EngineStatus is the Jenkins job and build that carry a run out.
type EngineStatus struct {
	// kind of engine: Jenkins.
	// +optional
	Kind string `json:"kind,omitempty"`
	// server is the address of the Jenkins that the build is triggered at, as the
	// PipelineSetting had it then.
	// +optional
	Server string `json:"server,omitempty"`
	// job is the full name, folder/job.
	// +optional
	Job string `json:"job,omitempty"`
	// namespace is where Jenkins was told to run the agent, and where the run's Secret is.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// intentAt is when it was decided to trigger the build of this attempt, written before
	// the request is sent so that a lost answer is never taken for "not sent".
	// +optional
	IntentAt *metav1.MicroTime `json:"intentAt,omitempty"`
	// queueID is the queue item that the trigger made.
	// +optional
	QueueID int64 `json:"queueID,omitempty"`
	// build is the build's number.
	// +optional
	Build int64 `json:"build,omitempty"`
	// session is the Jenkins start (X-Jenkins-Session) in which the build was triggered.
	// +optional
	Session string `json:"session,omitempty"`
	// attempt counts triggers: 2 and more only when Jenkins lost the queue item.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`
	// url shows the build in a browser.
	// +optional
	URL string `json:"url,omitempty"`
	// paused is true while the build is paused because spec.control says so, and false
	// while somebody paused it in Jenkins.
	// +optional
	Paused bool `json:"paused,omitempty"`
	// stopRequestedAt is when the build was first asked to stop; term and kill follow it.
	// +optional
	StopRequestedAt *metav1.MicroTime `json:"stopRequestedAt,omitempty"`
	// stopStage is the last rung of the stop ladder that was tried: Stop, Term or Kill.
	// +optional
	StopStage string `json:"stopStage,omitempty"`
	// stopReason is the reason that the run gets when the stop is done.
	// +optional
	StopReason string `json:"stopReason,omitempty"`
}

// AgentStatus is the pod that runs the steps.
type AgentStatus struct {
	// namespace of the pod.
	Namespace string `json:"namespace"`
	// pod is its name.
	Pod string `json:"pod"`
	// node that it runs on.
	// +optional
	Node string `json:"node,omitempty"`
	// message says why it died, when it did: evicted, out of memory, its node lost.
	// +optional
	Message string `json:"message,omitempty"`
}

// HoldStatus is the time that the timeouts of a run stood still.
type HoldStatus struct {
	// since is when they came to stand still. Absent while they run.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// seconds is for how long they stood still before that, in seconds. It begins anew
	// with startedAt, since the timeout of the agent ends there and that of the run begins.
	// +optional
	Seconds int64 `json:"seconds,omitempty"`
}

// QueueStatus tells why a run is not admitted yet.
type QueueStatus struct {
	// position in the project's queue, from 1.
	// +optional
	Position int32 `json:"position,omitempty"`
	// reason that it waits.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// LogStatus tells how much log was written and where it is kept.
type LogStatus struct {
	// bytes written.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`
	// complete is true when the whole log is in the archive.
	// +optional
	Complete bool `json:"complete,omitempty"`
	// location of the archive.
	// +optional
	Location string `json:"location,omitempty"`
}

// PipelineExecution is one run of a pipeline.
// +kubebuilder:object:root=true
// +kubebuilder:metadata:labels={"app.kubernetes.io/name=kubectl-pipeline","app.kubernetes.io/part-of=kubectl-pipeline"}
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=pipelineexecutions,shortName=pe,categories=cicd
// +kubebuilder:printcolumn:name="Pipeline",type=string,JSONPath=`.spec.pipelineRef.name`
// +kubebuilder:printcolumn:name="Run",type=integer,JSONPath=`.spec.run`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Branch",type=string,JSONPath=`.spec.source.branch`
// +kubebuilder:printcolumn:name="Trigger",type=string,JSONPath=`.spec.trigger.type`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.reason`
// +kubebuilder:printcolumn:name="Commit",type=string,JSONPath=`.spec.source.commit`,priority=1
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.status.agent.node`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`,priority=1
// +kubebuilder:printcolumn:name="Started",type=date,JSONPath=`.status.startedAt`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.pipelineRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.trigger.type`
// +kubebuilder:selectablefield:JSONPath=`.status.phase`
type PipelineExecution struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   PipelineExecutionSpec   `json:"spec"`
	Status PipelineExecutionStatus `json:"status,omitempty"`
}

// PipelineExecutionList is a list of PipelineExecution.
// +kubebuilder:object:root=true
type PipelineExecutionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []PipelineExecution `json:"items"`
}
