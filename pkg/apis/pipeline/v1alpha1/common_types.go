package v1alpha1

// LocalReference names an object of a known kind in the same namespace.
type LocalReference struct {
	// name of the object in the same namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// SecretKeyReference points at one key of a Secret in the same namespace. The
// value itself never appears in an object of this group.
type SecretKeyReference struct {
	// name of the Secret in the same namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// key inside the Secret. Default: the key named by the field's description.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Key string `json:"key,omitempty"`
}

// Filter selects names by glob. A name passes when it matches include (an empty
// include matches everything) and does not match exclude. `*` stops at `/`, `**`
// does not.
type Filter struct {
	// include lists globs of which one must match. Empty: every name matches.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=256
	// +optional
	Include []string `json:"include,omitempty"`
	// exclude lists globs of which none may match; it wins over include.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=256
	// +optional
	Exclude []string `json:"exclude,omitempty"`
}

// EventType is what happened in a source code repository, a registry or a clock
// to start an execution.
// +kubebuilder:validation:Enum=Manual;Push;Tag;PullRequest;Image;Schedule;Poll;Rerun
type EventType string

// The events that start an execution.
const (
	EventManual      EventType = "Manual"
	EventPush        EventType = "Push"
	EventTag         EventType = "Tag"
	EventPullRequest EventType = "PullRequest"
	EventImage       EventType = "Image"
	EventSchedule    EventType = "Schedule"
	EventPoll        EventType = "Poll"
	EventRerun       EventType = "Rerun"
)

// ComponentMode says who runs a component that executions need.
// +kubebuilder:validation:Enum=Managed;External;None
type ComponentMode string

// The modes of a component.
const (
	// ComponentManaged: deployed and repaired by hookd.
	ComponentManaged ComponentMode = "Managed"
	// ComponentExternal: it exists; url and credentials are given.
	ComponentExternal ComponentMode = "External"
	// ComponentNone: it is not used.
	ComponentNone ComponentMode = "None"
)
