package pipeline

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// maxPreferredNodes is how many recent nodes a status keeps and an agent prefers.
const maxPreferredNodes = 10

// nodeWeights are the weights of the recent nodes, newest first. Prefer halves them (100, 50, 25, 12, 6, 3, 1 …), so that the warmest
// node is not drowned by the scheduler's other scores; Original goes down by ten, as the first design did. A weight must be 1 to 100
// (https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#node-affinity-weight).
func nodeWeights(mode v1alpha1.AffinityMode, n int) []int32 {
	weights := make([]int32, 0, maxPreferredNodes)
	for i := range min(n, maxPreferredNodes) {
		switch mode {
		case v1alpha1.AffinityNone:
			return nil
		case v1alpha1.AffinityOriginal:
			weights = append(weights, int32(100-10*i))
		default:
			weights = append(weights, max(1, int32(100)>>i))
		}
	}
	return weights
}

// preferredNodes draws an agent to the nodes that ran the pipeline lately. It is a preference: a full or missing node is passed over.
func preferredNodes(cache v1alpha1.CacheSpec, recent []v1alpha1.RecentNode) *corev1.Affinity {
	var mode v1alpha1.AffinityMode
	n := maxPreferredNodes
	if a := cache.Affinity; a != nil {
		mode = a.Mode
		if a.Nodes != nil {
			n = max(0, min(n, int(*a.Nodes)))
		}
	}
	weights := nodeWeights(mode, min(n, len(recent)))
	if len(weights) == 0 {
		return nil
	}
	terms := make([]corev1.PreferredSchedulingTerm, len(weights))
	for i, w := range weights {
		terms[i] = corev1.PreferredSchedulingTerm{Weight: w, Preference: corev1.NodeSelectorTerm{
			// the node's name: its hostname label may differ
			MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{recent[i].Name}}},
		}}
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: terms}}
}
