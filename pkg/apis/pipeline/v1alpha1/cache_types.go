package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// CacheBackend is where cached files live between runs.
// +kubebuilder:validation:Enum=HostPath;PersistentVolumeClaim;EmptyDir
type CacheBackend string

// The cache backends.
const (
	CacheHostPath CacheBackend = "HostPath"
	CachePVC      CacheBackend = "PersistentVolumeClaim"
	CacheEmptyDir CacheBackend = "EmptyDir"
)

// AffinityMode says how an agent is drawn to nodes whose cache is warm.
// +kubebuilder:validation:Enum=Prefer;Original;None
type AffinityMode string

// The affinity modes.
const (
	// AffinityPrefer weighs recent nodes geometrically (100, 50, 25 …), so that
	// the warmest one is not drowned by the scheduler's load scores.
	AffinityPrefer AffinityMode = "Prefer"
	// AffinityOriginal weighs recent nodes 100, 90, 80 … as the first design did.
	AffinityOriginal AffinityMode = "Original"
	// AffinityNone leaves placement to the scheduler.
	AffinityNone AffinityMode = "None"
)

// CacheMode says what concurrent runs may do to one cache entry.
// +kubebuilder:validation:Enum=Shared;Locked;Snapshot
type CacheMode string

// The modes of a cache entry.
const (
	CacheShared   CacheMode = "Shared"
	CacheLocked   CacheMode = "Locked"
	CacheSnapshot CacheMode = "Snapshot"
)

// CachePreset names a tool whose cache paths and safe mode are known.
// +kubebuilder:validation:Enum=go;npm;pnpm;maven;gradle;pip;cargo;ccache;git;buildkit
type CachePreset string

// CacheScope says which runs share a cache entry.
// +kubebuilder:validation:Enum=Pipeline;Project
type CacheScope string

// CacheSpec says what is kept between runs, where, and how runs find it again. It
// appears in a setting, a pipeline, and in the config file for a pipeline, stage
// or step; the nearest one wins, field by field.
// +kubebuilder:validation:XValidation:rule="!has(self.persistentVolumeClaim) || !has(self.backend) || self.backend == 'PersistentVolumeClaim'",message="persistentVolumeClaim needs backend: PersistentVolumeClaim"
// +kubebuilder:validation:XValidation:rule="!has(self.hostPath) || !has(self.backend) || self.backend == 'HostPath'",message="hostPath needs backend: HostPath"
type CacheSpec struct {
	// enabled switches the cache on or off. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
	// backend is where cached files live. Default: HostPath.
	// +optional
	Backend CacheBackend `json:"backend,omitempty"`
	// hostPath configures the HostPath backend.
	// +optional
	HostPath *HostPathCache `json:"hostPath,omitempty"`
	// persistentVolumeClaim configures the PersistentVolumeClaim backend.
	// +optional
	PersistentVolumeClaim *PVCCache `json:"persistentVolumeClaim,omitempty"`
	// affinity says how agents are drawn to nodes with a warm cache.
	// +optional
	Affinity *CacheAffinity `json:"affinity,omitempty"`
	// entries lists what is cached. Without entries nothing is.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Entries []CacheEntry `json:"entries,omitempty"`
	// trustedBranches selects the branches whose runs write to the shared scope; all
	// other runs read it and write to a scope of their own. Default: the repository's
	// default branch.
	// +optional
	TrustedBranches *Filter `json:"trustedBranches,omitempty"`
}

// HostPathCache is a directory on every node.
type HostPathCache struct {
	// path is the absolute directory on the node. Default: /var/lib/kubectl-pipeline/cache.
	// +kubebuilder:validation:Pattern=`^/[^:]*[^/:]$`
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="!self.split('/').exists(p, p == '..')",message="path must not contain '..'"
	// +optional
	Path string `json:"path,omitempty"`
	// sizeLimit bounds what the cache may use on one node, in bytes (a quantity such as
	// 20Gi). Default: no limit but minFreePercent.
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",message="sizeLimit must be a positive quantity such as 10Gi"
	// +optional
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
	// minFreePercent is the share of the node's disk that the cache leaves free, in
	// percent of bytes and of inodes. Default: 15.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=95
	// +optional
	MinFreePercent *int32 `json:"minFreePercent,omitempty"`
}

// PVCCache is a claim, existing or made from a template.
// +kubebuilder:validation:XValidation:rule="has(self.claimName) != has(self.template)",message="exactly one of claimName and template must be set"
type PVCCache struct {
	// claimName is an existing PersistentVolumeClaim in the executor namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ClaimName string `json:"claimName,omitempty"`
	// template makes a claim for each pipeline.
	// +optional
	Template *PVCTemplate `json:"template,omitempty"`
	// perNode makes one claim for each node (Local PV), chosen softly by placement.
	// Default: false.
	// +optional
	PerNode bool `json:"perNode,omitempty"`
}

// PVCTemplate describes the claim to make; each field means what it means in a
// PersistentVolumeClaim.
type PVCTemplate struct {
	// storageClassName of the claim. Default: the cluster's default class.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	StorageClassName *string `json:"storageClassName,omitempty"`
	// accessModes of the claim. Default: [ReadWriteOnce], which makes parallel runs on
	// several nodes wait for each other.
	// +kubebuilder:validation:MaxItems=4
	// +listType=set
	// +optional
	AccessModes []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty"`
	// size of the claim in bytes (a quantity such as 20Gi).
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",message="size must be a positive quantity such as 10Gi"
	Size resource.Quantity `json:"size"`
	// volumeMode of the claim: Filesystem. Default: Filesystem.
	// +kubebuilder:validation:Enum=Filesystem
	// +optional
	VolumeMode *corev1.PersistentVolumeMode `json:"volumeMode,omitempty"`
	// selector restricts the volumes that may be bound.
	// +optional
	Selector map[string]string `json:"selector,omitempty"`
	// dataSource names a VolumeSnapshot or PersistentVolumeClaim to start from.
	// +optional
	DataSource *corev1.TypedLocalObjectReference `json:"dataSource,omitempty"`
}

// CacheAffinity draws agents to nodes with a warm cache.
type CacheAffinity struct {
	// mode is Prefer, Original or None. Default: Prefer.
	// +optional
	Mode AffinityMode `json:"mode,omitempty"`
	// nodes is how many recent nodes are preferred. Default: 10.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	// +optional
	Nodes *int32 `json:"nodes,omitempty"`
}

// CacheEntry is one thing that is cached.
// +kubebuilder:validation:XValidation:rule="has(self.preset) || (has(self.paths) && size(self.paths) > 0)",message="an entry needs preset or paths"
type CacheEntry struct {
	// name identifies the entry among those of one pipeline.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`
	Name string `json:"name"`
	// preset takes paths and mode from what is known of a tool.
	// +optional
	Preset CachePreset `json:"preset,omitempty"`
	// paths are directories inside the step's container, absolute, or relative to the
	// workspace.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.all(p, !p.split('/').exists(x, x == '..'))",message="a cache path must not contain '..'"
	// +optional
	Paths []string `json:"paths,omitempty"`
	// mode says what concurrent runs may do to it. Default: what the preset needs, else
	// Snapshot.
	// +optional
	Mode CacheMode `json:"mode,omitempty"`
	// keyFiles are globs of files in the repository whose content is part of the key,
	// such as lock files.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +optional
	KeyFiles []string `json:"keyFiles,omitempty"`
	// scope says which runs share the entry. Default: Pipeline.
	// +optional
	Scope CacheScope `json:"scope,omitempty"`
}
