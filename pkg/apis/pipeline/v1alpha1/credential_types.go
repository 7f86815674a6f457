package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Keys of the Secret that a SourceCodeCredential refers to.
const (
	CredentialKeyToken         = "token"
	CredentialKeyUsername      = "username"
	CredentialKeyPassword      = "password"
	CredentialKeySSHPrivateKey = "ssh-privatekey"
	CredentialKeyKnownHosts    = "known_hosts"
)

// SourceCodeCredentialSpec says whose login it is and where the secret part lies.
type SourceCodeCredentialSpec struct {
	// providerRef names the SourceCodeProvider that the login is for.
	ProviderRef LocalReference `json:"providerRef"`
	// secretRef names a Secret in the same namespace with the keys token; or username
	// and password; or ssh-privatekey and known_hosts.
	SecretRef LocalReference `json:"secretRef"`
}

// SourceCodeCredentialStatus is what the host said about the login.
type SourceCodeCredentialStatus struct {
	// login is the user name that the host reports.
	// +optional
	Login string `json:"login,omitempty"`
	// expiresAt is when the host says the login ends.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	// conditions: Ready is True when the host accepted the login.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// SourceCodeCredential is how to log in at a Git host.
// +kubebuilder:object:root=true
// +kubebuilder:metadata:labels={"app.kubernetes.io/name=kubectl-pipeline","app.kubernetes.io/part-of=kubectl-pipeline"}
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=sourcecodecredentials,shortName=scc,categories=cicd
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.spec.providerRef.name`
// +kubebuilder:printcolumn:name="Login",type=string,JSONPath=`.status.login`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.providerRef.name`
type SourceCodeCredential struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   SourceCodeCredentialSpec   `json:"spec"`
	Status SourceCodeCredentialStatus `json:"status,omitempty"`
}

// SourceCodeCredentialList is a list of SourceCodeCredential.
// +kubebuilder:object:root=true
type SourceCodeCredentialList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []SourceCodeCredential `json:"items"`
}
