package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ProviderType is the software of a Git host.
// +kubebuilder:validation:Enum=GitHub;GitLab;Gitea;Bitbucket;BitbucketServer;Git
type ProviderType string

// The Git hosts. Git is any other host that speaks the Git protocol: it has no API
// of its own, so it gets no managed webhooks and no commit statuses.
const (
	ProviderGitHub          ProviderType = "GitHub"
	ProviderGitLab          ProviderType = "GitLab"
	ProviderGitea           ProviderType = "Gitea"
	ProviderBitbucket       ProviderType = "Bitbucket"
	ProviderBitbucketServer ProviderType = "BitbucketServer"
	ProviderGit             ProviderType = "Git"
)

// SourceCodeProviderSpec says which host it is and how to reach it.
type SourceCodeProviderSpec struct {
	// type is the software of the host.
	Type ProviderType `json:"type"`
	// url is the host's web address, such as https://github.com.
	// +kubebuilder:validation:Pattern=`^(https?|ssh|git|file)://[^\s]+$`
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`
	// apiURL is the address of the host's API. Default: derived from url and type.
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	APIURL string `json:"apiURL,omitempty"`
	// caBundle holds PEM certificates that are trusted in addition to the system's.
	// +kubebuilder:validation:MaxLength=262144
	// +optional
	CABundle string `json:"caBundle,omitempty"`
	// insecureSkipTLSVerify accepts any certificate of the host. Default: false.
	// +optional
	InsecureSkipTLSVerify bool `json:"insecureSkipTLSVerify,omitempty"`
}

// SourceCodeProviderStatus is what is known of the host.
type SourceCodeProviderStatus struct {
	// conditions: Ready is True when the host answered.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// SourceCodeProvider is a Git host.
// +kubebuilder:object:root=true
// +kubebuilder:metadata:labels={"app.kubernetes.io/name=kubectl-pipeline","app.kubernetes.io/part-of=kubectl-pipeline"}
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=sourcecodeproviders,shortName=scp,categories=cicd
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.spec.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.type`
type SourceCodeProvider struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   SourceCodeProviderSpec   `json:"spec"`
	Status SourceCodeProviderStatus `json:"status,omitempty"`
}

// SourceCodeProviderList is a list of SourceCodeProvider.
// +kubebuilder:object:root=true
type SourceCodeProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []SourceCodeProvider `json:"items"`
}
