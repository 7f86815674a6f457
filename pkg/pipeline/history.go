package pipeline

import (
	"cmp"
	"slices"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// DefaultHistory is how many runs that succeeded, and how many that did not, are kept
// when the pipeline does not say.
const DefaultHistory = 20

// OrphanTTL is how long after their end runs are kept whose Pipeline is gone: long enough
// to look at them, and to make the Pipeline again, which takes them over.
const OrphanTTL = 7 * 24 * time.Hour

// Finished is a finished run as history sees it.
type Finished struct {
	Name      string
	Created   time.Time // in whole seconds, hence Run
	Run       int64     // 0: it never got a number
	Succeeded bool
}

// Surplus names the finished runs that are over the pipeline's limits, oldest first. A
// limit counts the newest runs of its kind: those that succeeded, or those that did not.
func Surplus(h *v1alpha1.History, finished []Finished) []string {
	limits := map[bool]int{true: DefaultHistory, false: DefaultHistory}
	if h != nil && h.Succeeded != nil {
		limits[true] = int(*h.Succeeded)
	}
	if h != nil && h.Failed != nil {
		limits[false] = int(*h.Failed)
	}
	newest := slices.Clone(finished)
	slices.SortFunc(newest, func(a, b Finished) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.Run, a.Run), cmp.Compare(b.Name, a.Name))
	})
	var surplus []string
	for _, f := range newest {
		if limits[f.Succeeded]--; limits[f.Succeeded] < 0 {
			surplus = append(surplus, f.Name)
		}
	}
	slices.Reverse(surplus)
	return surplus
}

// RecentNodes puts a node in front of the distinct nodes that ran a pipeline, newest
// first, at most 10. It reports whether that changed anything but the order of time: a
// node that is in front already stays as it is for the same run.
func RecentNodes(nodes []v1alpha1.RecentNode, node string, run int64, now time.Time) ([]v1alpha1.RecentNode, bool) {
	if len(nodes) > 0 && nodes[0].Name == node && nodes[0].Run >= run {
		return nodes, false
	}
	for _, n := range nodes {
		if n.Name == node && n.Run >= run {
			return nodes, false // a newer run was there, and others after it
		}
	}
	out := append([]v1alpha1.RecentNode{{Name: node, Run: run, Time: *Stamp(now)}},
		slices.DeleteFunc(slices.Clone(nodes), func(n v1alpha1.RecentNode) bool { return n.Name == node })...)
	slices.SortStableFunc(out, func(a, b v1alpha1.RecentNode) int { return cmp.Compare(b.Run, a.Run) })
	return out[:min(len(out), 10)], true
}
