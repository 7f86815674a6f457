// Package v1alpha1 holds the nouns of kubectl-pipeline: the six kinds of the API
// group kubectl-pipeline.io, the reasons their conditions carry, and every label,
// annotation and name derived from them.
//
// It imports only apimachinery and core types, decides nothing and does no I/O.
// Start reading at execution_types.go: a run is what all the others exist for.
//
// +kubebuilder:object:generate=true
// +groupName=kubectl-pipeline.io
package v1alpha1
