package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// SettingName is the only name that a PipelineSetting may have.
const SettingName = "default"

// DefaultQuota is how many executions of a project run at once when the setting
// does not say.
const DefaultQuota = 2

// PipelineSettingSpec is how executions of a project run.
type PipelineSettingSpec struct {
	// executor says where agents run and with what.
	// +kubebuilder:default={}
	// +optional
	Executor ExecutorSpec `json:"executor,omitempty"`
	// cache is the project's default cache.
	// +optional
	Cache *CacheSpec `json:"cache,omitempty"`
	// engine says which Jenkins runs the executions.
	// +optional
	Engine EngineSpec `json:"engine,omitempty"`
	// registry says where built images go.
	// +optional
	Registry *RegistrySpec `json:"registry,omitempty"`
	// logStore says where logs are archived.
	// +optional
	LogStore *LogStoreSpec `json:"logStore,omitempty"`
	// network gives proxies, mirrors and certificates to agents.
	// +optional
	Network *NetworkSpec `json:"network,omitempty"`
	// images used by step types.
	// +optional
	Images *ImagesSpec `json:"images,omitempty"`
	// notifications are sent when runs end.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Notifications []NotificationSpec `json:"notifications,omitempty"`
}

// ExecutorSpec says where agents run and with what.
type ExecutorSpec struct {
	// namespace of agents and components. Default: <project>-pipeline.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// quota is how many executions of the project run at once; 0 means no limit.
	// Default: 2.
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=0
	// +optional
	Quota *int32 `json:"quota,omitempty"`
	// agentTimeout ends a run whose agent is not ready in this time. Default: 10m.
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="agentTimeout must be a positive duration such as 90s or 1h30m"
	// +optional
	AgentTimeout *metav1.Duration `json:"agentTimeout,omitempty"`
	// resources of each agent's own container (the one that talks to Jenkins).
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
	// nodeSelector restricts the nodes that agents run on.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// tolerations of agents.
	// +listType=atomic
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// imagePullSecrets of agents, in the executor namespace.
	// +listType=atomic
	// +optional
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	// hostAliases of agents.
	// +listType=atomic
	// +optional
	HostAliases []corev1.HostAlias `json:"hostAliases,omitempty"`
	// priorityClassName of agents.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty"`
	// podOverrides is merged over the agent pod as a strategic merge patch, last.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	// +optional
	PodOverrides *runtime.RawExtension `json:"podOverrides,omitempty"`
}

// EngineSpec says which engine runs the executions.
type EngineSpec struct {
	// jenkins is the only engine.
	// +optional
	Jenkins JenkinsSpec `json:"jenkins,omitempty"`
}

// JenkinsSpec says which Jenkins runs the executions.
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'External' || (has(self.url) && has(self.credentialsSecretRef))",message="engine.jenkins.mode External needs url and credentialsSecretRef"
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'None'",message="engine.jenkins.mode must be Managed or External"
type JenkinsSpec struct {
	// mode is Managed (deployed by hookd) or External. Default: Managed.
	// +kubebuilder:default=Managed
	// +optional
	Mode ComponentMode `json:"mode,omitempty"`
	// url of an external Jenkins, with its context path.
	// +kubebuilder:validation:Pattern=`^https?://[^\s?#]+$`
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	URL string `json:"url,omitempty"`
	// credentialsSecretRef names a Secret with the keys username and token (a Jenkins API
	// token).
	// +optional
	CredentialsSecretRef *LocalReference `json:"credentialsSecretRef,omitempty"`
	// cloud is the name of the Kubernetes cloud in an external Jenkins. Default: kubernetes.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Cloud string `json:"cloud,omitempty"`
	// image of a managed Jenkins.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Image string `json:"image,omitempty"`
	// resources of a managed Jenkins.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
	// storage of a managed Jenkins in bytes (a quantity such as 10Gi). Default: no volume.
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",message="storage must be a positive quantity such as 10Gi"
	// +optional
	Storage *resource.Quantity `json:"storage,omitempty"`
}

// RegistrySpec says where built images go.
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'External' || has(self.url)",message="registry.mode External needs url"
type RegistrySpec struct {
	// mode is Managed, External or None. Default: Managed.
	// +kubebuilder:default=Managed
	// +optional
	Mode ComponentMode `json:"mode,omitempty"`
	// url of an external registry, host and optional path, without scheme.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	URL string `json:"url,omitempty"`
	// credentialsSecretRef names a Secret of type kubernetes.io/dockerconfigjson.
	// +optional
	CredentialsSecretRef *LocalReference `json:"credentialsSecretRef,omitempty"`
	// image of a managed registry.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Image string `json:"image,omitempty"`
	// storage of a managed registry in bytes (a quantity such as 50Gi). Default: no volume.
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",message="storage must be a positive quantity such as 10Gi"
	// +optional
	Storage *resource.Quantity `json:"storage,omitempty"`
}

// LogStoreSpec says where logs are archived: an S3 bucket.
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'External' || (has(self.endpoint) && has(self.bucket) && has(self.credentialsSecretRef))",message="logStore.mode External needs endpoint, bucket and credentialsSecretRef"
type LogStoreSpec struct {
	// mode is Managed, External or None. Default: Managed.
	// +kubebuilder:default=Managed
	// +optional
	Mode ComponentMode `json:"mode,omitempty"`
	// endpoint of an external S3 service.
	// +kubebuilder:validation:Pattern=`^https?://[^\s?#]+$`
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Endpoint string `json:"endpoint,omitempty"`
	// bucket that holds the logs.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Bucket string `json:"bucket,omitempty"`
	// credentialsSecretRef names a Secret with the keys accessKey and secretKey.
	// +optional
	CredentialsSecretRef *LocalReference `json:"credentialsSecretRef,omitempty"`
	// retention deletes archived logs after this time. Default: with their execution.
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="retention must be a positive duration such as 720h"
	// +optional
	Retention *metav1.Duration `json:"retention,omitempty"`
	// storage of a managed log store in bytes (a quantity such as 20Gi). Default: no volume.
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",message="storage must be a positive quantity such as 10Gi"
	// +optional
	Storage *resource.Quantity `json:"storage,omitempty"`
}

// NetworkSpec gives proxies, mirrors and certificates to agents.
type NetworkSpec struct {
	// httpProxy is set as HTTP_PROXY in every step.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	HTTPProxy string `json:"httpProxy,omitempty"`
	// httpsProxy is set as HTTPS_PROXY in every step.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	HTTPSProxy string `json:"httpsProxy,omitempty"`
	// noProxy is set as NO_PROXY in every step.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	NoProxy string `json:"noProxy,omitempty"`
	// caBundle holds PEM certificates that steps trust in addition to their image's.
	// +kubebuilder:validation:MaxLength=262144
	// +optional
	CABundle string `json:"caBundle,omitempty"`
	// registryMirrors are pull-through mirrors for image builds.
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=512
	// +optional
	RegistryMirrors []string `json:"registryMirrors,omitempty"`
	// packageMirrors are mirrors of package registries.
	// +optional
	PackageMirrors *PackageMirrors `json:"packageMirrors,omitempty"`
}

// PackageMirrors are mirrors of package registries, each a URL.
type PackageMirrors struct {
	// go is set as GOPROXY.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Go string `json:"go,omitempty"`
	// npm is set as npm_config_registry.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	NPM string `json:"npm,omitempty"`
	// maven is a mirror of Maven Central.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Maven string `json:"maven,omitempty"`
	// pip is set as PIP_INDEX_URL.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Pip string `json:"pip,omitempty"`
}

// ImagesSpec names the images of step types that do not name their own.
type ImagesSpec struct {
	// agent is the container that talks to Jenkins. Default: what Jenkins' Kubernetes
	// plugin chooses.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Agent string `json:"agent,omitempty"`
	// clone has git and a shell.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Clone string `json:"clone,omitempty"`
	// publishImage builds and pushes images.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	PublishImage string `json:"publishImage,omitempty"`
	// applyYaml has kubectl and a shell.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	ApplyYAML string `json:"applyYaml,omitempty"`
	// helm has helm and a shell.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Helm string `json:"helm,omitempty"`
}

// NotificationType is where a notification goes.
// +kubebuilder:validation:Enum=Slack;Webhook;Email
type NotificationType string

// NotificationCondition says which ends of a run are told.
// +kubebuilder:validation:Enum=Succeeded;Failed;Aborted;Changed
type NotificationCondition string

// NotificationSpec sends a message when a run ends.
type NotificationSpec struct {
	// type is Slack, Webhook or Email.
	Type NotificationType `json:"type"`
	// when lists the ends that are told. Default: [Failed, Changed].
	// +kubebuilder:validation:MaxItems=4
	// +listType=set
	// +optional
	When []NotificationCondition `json:"when,omitempty"`
	// secretRef names the Secret key (default: url) that holds the address and its
	// credentials.
	SecretRef SecretKeyReference `json:"secretRef"`
}

// PipelineSettingStatus is how the project's components and queue stand.
type PipelineSettingStatus struct {
	// running is how many executions are admitted and not finished.
	// +optional
	Running int32 `json:"running,omitempty"`
	// queued is how many executions wait.
	// +optional
	Queued int32 `json:"queued,omitempty"`
	// conditions: EngineReady, RegistryReady, LogStoreReady.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// PipelineSetting is how executions of a project run; there is one, named default.
// +kubebuilder:object:root=true
// +kubebuilder:metadata:labels={"app.kubernetes.io/name=kubectl-pipeline","app.kubernetes.io/part-of=kubectl-pipeline"}
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=pipelinesettings,shortName=ps,categories=cicd
// +kubebuilder:printcolumn:name="Quota",type=integer,JSONPath=`.spec.executor.quota`
// +kubebuilder:printcolumn:name="Running",type=integer,JSONPath=`.status.running`
// +kubebuilder:printcolumn:name="Queued",type=integer,JSONPath=`.status.queued`
// +kubebuilder:printcolumn:name="Engine",type=string,JSONPath=`.status.conditions[?(@.type=="EngineReady")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name == 'default'",message="a project has one PipelineSetting, named default"
type PipelineSetting struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +kubebuilder:default={}
	Spec   PipelineSettingSpec   `json:"spec,omitempty"`
	Status PipelineSettingStatus `json:"status,omitempty"`
}

// PipelineSettingList is a list of PipelineSetting.
// +kubebuilder:object:root=true
type PipelineSettingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []PipelineSetting `json:"items"`
}
