package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WebhookMode says who enters the webhook at the Git host.
// +kubebuilder:validation:Enum=Managed;Manual;Disabled
type WebhookMode string

// The webhook modes.
const (
	// WebhookManaged: hookd creates, repairs and deletes the webhook at the host.
	WebhookManaged WebhookMode = "Managed"
	// WebhookManual: a person enters the address and the secret at the host.
	WebhookManual WebhookMode = "Manual"
	// WebhookDisabled: deliveries are refused.
	WebhookDisabled WebhookMode = "Disabled"
)

// WebhookSecretKey is the key of webhook.secretRef when none is named.
const WebhookSecretKey = "secret"

// SourceCodeRepositorySpec says where the repository is and how its events arrive.
type SourceCodeRepositorySpec struct {
	// url is the address to clone from, over http, https, ssh or git (also
	// git@host:path), or file for a repository on hookd's own disk in tests.
	// +kubebuilder:validation:Pattern=`^((https?|ssh|git|file)://[^\s]+|[^\s@/:]+@[^\s:]+:[^\s]+)$`
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`
	// providerRef names the SourceCodeProvider of the host. Absent: a Git host without
	// an API.
	// +optional
	ProviderRef *LocalReference `json:"providerRef,omitempty"`
	// credentialRef names the SourceCodeCredential to log in with. Absent: anonymous.
	// +optional
	CredentialRef *LocalReference `json:"credentialRef,omitempty"`
	// defaultBranch is the branch built when none is named. Default: main.
	// +kubebuilder:default=main
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +optional
	DefaultBranch string `json:"defaultBranch,omitempty"`
	// webhook says how the host's events arrive. Default: mode Manual without a secret,
	// which accepts nothing.
	// +optional
	Webhook *WebhookSpec `json:"webhook,omitempty"`
	// pollInterval is how often branch heads are compared to find pushes whose webhook
	// was lost, at least 30s. Absent: never.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('30s')",message="pollInterval must be a duration of at least 30s, such as 5m"
	// +optional
	PollInterval *metav1.Duration `json:"pollInterval,omitempty"`
}

// WebhookSpec says how a host's events arrive and how they are proved authentic.
// +kubebuilder:validation:XValidation:rule="self.mode == 'Disabled' || has(self.secretRef)",message="webhook.secretRef is required unless mode is Disabled: an unsigned webhook is never accepted"
type WebhookSpec struct {
	// mode is Managed, Manual or Disabled. Default: Manual.
	// +kubebuilder:default=Manual
	// +optional
	Mode WebhookMode `json:"mode,omitempty"`
	// secretRef names the Secret whose key (default: secret) signs the deliveries. While
	// it is being rotated, further keys that start with this key and a dash are accepted
	// too.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`
}

// SourceCodeRepositoryStatus is what is known of the repository and its webhook.
type SourceCodeRepositoryStatus struct {
	// webhook is where deliveries arrive and what the last one did.
	// +optional
	Webhook *WebhookStatus `json:"webhook,omitempty"`
	// heads are the newest commits known of branches, at most 100.
	// +listType=map
	// +listMapKey=ref
	// +kubebuilder:validation:MaxItems=100
	// +optional
	Heads []RefHead `json:"heads,omitempty"`
	// conditions: Ready, and WebhookReady when deliveries can be accepted.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// WebhookStatus is the webhook as hookd knows it.
type WebhookStatus struct {
	// id of the webhook at the host, when it is managed.
	// +optional
	ID string `json:"id,omitempty"`
	// path is the unguessable path of hookd that accepts this repository's deliveries.
	// +optional
	Path string `json:"path,omitempty"`
	// url is the whole address to enter at the host, when hookd knows its own.
	// +optional
	URL string `json:"url,omitempty"`
	// lastDelivery is the newest delivery that was accepted as authentic.
	// +optional
	LastDelivery *WebhookDelivery `json:"lastDelivery,omitempty"`
}

// WebhookDelivery is one delivery and what came of it.
type WebhookDelivery struct {
	// id is the host's delivery id.
	ID string `json:"id"`
	// event is the host's name of the event.
	// +optional
	Event string `json:"event,omitempty"`
	// receivedAt is when hookd received it.
	ReceivedAt metav1.Time `json:"receivedAt"`
	// result says what it started, or why nothing.
	// +optional
	Result string `json:"result,omitempty"`
}

// RefHead is the newest known commit of a ref.
type RefHead struct {
	// ref is the full name, such as refs/heads/main.
	Ref string `json:"ref"`
	// sha is the full commit id.
	SHA string `json:"sha"`
}

// SourceCodeRepository is a repository and its webhook.
// +kubebuilder:object:root=true
// +kubebuilder:metadata:labels={"app.kubernetes.io/name=kubectl-pipeline","app.kubernetes.io/part-of=kubectl-pipeline"}
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=sourcecoderepositories,shortName=scr,categories=cicd
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.spec.url`
// +kubebuilder:printcolumn:name="Webhook",type=string,JSONPath=`.status.conditions[?(@.type=="WebhookReady")].status`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Last-Delivery",type=date,JSONPath=`.status.webhook.lastDelivery.receivedAt`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.url`
type SourceCodeRepository struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   SourceCodeRepositorySpec   `json:"spec"`
	Status SourceCodeRepositoryStatus `json:"status,omitempty"`
}

// SourceCodeRepositoryList is a list of SourceCodeRepository.
// +kubebuilder:object:root=true
type SourceCodeRepositoryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []SourceCodeRepository `json:"items"`
}
