package v1alpha1

// Condition types. Standing objects have Ready; executions have the others.
const (
	ConditionReady        = "Ready"
	ConditionWebhookReady = "WebhookReady"

	ConditionInitialized = "Initialized"
	ConditionProvisioned = "Provisioned"
	ConditionBuilt       = "Built"
	ConditionNotified    = "Notified"
	// ConditionComplete is True in every terminal phase, with the phase as reason.
	ConditionComplete = "Complete"
	// ConditionSucceeded is Unknown while running, then True or False.
	ConditionSucceeded = "Succeeded"

	// ConditionEngineReady is of settings, and of executions since Jenkins could first not
	// be used for them.
	ConditionEngineReady   = "EngineReady"
	ConditionRegistryReady = "RegistryReady"
	ConditionLogStoreReady = "LogStoreReady"
)

// Reasons of an execution, in status.reason and in its conditions.
const (
	// ReasonWaitingForQuota: the project's executor quota is used up.
	ReasonWaitingForQuota = "WaitingForQuota"
	// ReasonWaitingForPipeline: the pipeline's concurrency policy makes it wait.
	ReasonWaitingForPipeline = "WaitingForPipeline"
	// ReasonFetchingConfig: the config file is being read from the repository.
	ReasonFetchingConfig = "FetchingConfig"
	// ReasonConfigUnavailable: the config file could not be read; it is tried again.
	ReasonConfigUnavailable = "ConfigUnavailable"
	// ReasonConfigNotFound: no config file at the commit. Terminal.
	ReasonConfigNotFound = "ConfigNotFound"
	// ReasonInvalidConfig: the config file has an error. Terminal.
	ReasonInvalidConfig = "InvalidConfig"
	// ReasonInvalidParameters: a value given does not fit what is declared. Terminal.
	ReasonInvalidParameters = "InvalidParameters"
	// ReasonPipelineNotFound: the Pipeline does not exist. Terminal.
	ReasonPipelineNotFound = "PipelineNotFound"
	// ReasonSourceNotFound: the repository, branch or commit does not exist. Terminal.
	ReasonSourceNotFound = "SourceNotFound"
	// ReasonEngineUnavailable: Jenkins cannot be reached; it is tried again.
	ReasonEngineUnavailable = "EngineUnavailable"
	// ReasonEngineNotConfigured: the setting names no usable Jenkins; it is tried again.
	ReasonEngineNotConfigured = "EngineNotConfigured"
	// ReasonEngineUnauthorized: Jenkins refused the credentials, or the account lacks a
	// permission, be it only to see the job; it is tried again.
	ReasonEngineUnauthorized = "EngineUnauthorized"
	// ReasonExecutorNamespaceMissing: the namespace of agents does not exist and cannot be
	// created; it is tried again.
	ReasonExecutorNamespaceMissing = "ExecutorNamespaceMissing"
	// ReasonExecutorNamespaceForeign: the namespace of agents exists, but does not say that
	// it belongs to the project; it is tried again.
	ReasonExecutorNamespaceForeign = "ExecutorNamespaceForeign"
	// ReasonStarting: the build is being triggered.
	ReasonStarting = "Starting"
	// ReasonInEngineQueue: Jenkins has the build in its queue.
	ReasonInEngineQueue = "InEngineQueue"
	// ReasonWaitingForAgent: the agent pod is not ready yet.
	ReasonWaitingForAgent = "WaitingForAgent"
	// ReasonRunning: steps run.
	ReasonRunning = "Running"
	// ReasonPaused: paused by a person.
	ReasonPaused = "Paused"
	// ReasonWaitingForApproval: an approval step asks.
	ReasonWaitingForApproval = "WaitingForApproval"
	// ReasonStopping: a stop was asked for and is under way.
	ReasonStopping = "Stopping"

	// ReasonSucceeded: every stage succeeded or was skipped.
	ReasonSucceeded = "Succeeded"
	// ReasonNothingToRun: every stage was skipped by its `when`. Succeeded.
	ReasonNothingToRun = "NothingToRun"
	// ReasonStepFailed: a step failed.
	ReasonStepFailed = "StepFailed"
	// ReasonTimeout: the run took longer than its timeout.
	ReasonTimeout = "Timeout"
	// ReasonAgentTimeout: the agent was not ready in time.
	ReasonAgentTimeout = "AgentTimeout"
	// ReasonAgentLost: the agent pod was deleted, evicted or killed.
	ReasonAgentLost = "AgentLost"
	// ReasonEngineError: Jenkins failed the build outside any step.
	ReasonEngineError = "EngineError"
	// ReasonScriptError: Jenkins could not run the Jenkinsfile: it does not compile, or the
	// sandbox or a missing plugin forbids a step.
	ReasonScriptError = "ScriptError"
	// ReasonEngineLost: Jenkins no longer knows the job or the build, or could not be used
	// for a day.
	ReasonEngineLost = "EngineLost"
	// ReasonStopped: a person stopped it.
	ReasonStopped = "Stopped"
	// ReasonSuperseded: a newer run of the same branch replaced it.
	ReasonSuperseded = "Superseded"
	// ReasonAbortedInEngine: somebody aborted the build in Jenkins.
	ReasonAbortedInEngine = "AbortedInEngine"
	// ReasonNameConflict: a Jenkins job of that name belongs to somebody else.
	ReasonNameConflict = "NameConflict"
)

// Reasons of standing objects.
const (
	ReasonReady              = "Ready"
	ReasonSecretNotFound     = "SecretNotFound"
	ReasonSecretKeyEmpty     = "SecretKeyEmpty"
	ReasonRepositoryNotFound = "RepositoryNotFound"
	ReasonProviderNotFound   = "ProviderNotFound"
	ReasonCredentialNotFound = "CredentialNotFound"
	ReasonUnreachable        = "Unreachable"
	ReasonUnreadable         = "Unreadable"
	ReasonDisabled           = "Disabled"
	ReasonSuspended          = "Suspended"
)
