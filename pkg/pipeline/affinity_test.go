package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestNodeWeights(t *testing.T) {
	for mode, want := range map[v1alpha1.AffinityMode][]int32{
		"":                        {100, 50, 25, 12, 6, 3, 1, 1, 1, 1},
		v1alpha1.AffinityPrefer:   {100, 50, 25, 12, 6, 3, 1, 1, 1, 1},
		v1alpha1.AffinityOriginal: {100, 90, 80, 70, 60, 50, 40, 30, 20, 10},
		v1alpha1.AffinityNone:     nil,
	} {
		if diff := cmp.Diff(want, nodeWeights(mode, 11)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mode, diff)
		}
	}
	three := int32(3)
	a := preferredNodes(v1alpha1.CacheSpec{Affinity: &v1alpha1.CacheAffinity{Nodes: &three}}, make([]v1alpha1.RecentNode, 10))
	if n := len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution); n != 3 {
		t.Errorf("%d nodes, want 3", n)
	}
}
