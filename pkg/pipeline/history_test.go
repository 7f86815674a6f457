package pipeline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestSurplus(t *testing.T) {
	made := func(name string, minutes int, succeeded bool) Finished {
		return Finished{Name: name, Created: ago(time.Duration(minutes) * time.Minute), Succeeded: succeeded}
	}
	mixed := []Finished{made("ok1", 50, true), made("bad1", 40, false), made("ok2", 30, true), made("bad2", 20, false), made("ok3", 10, true)}
	var many []Finished
	for i := range 23 {
		many = append(many, made(string(rune('a'+i)), 100-i, true))
	}
	limit := func(succeeded, failed int32) *v1alpha1.History {
		return &v1alpha1.History{Succeeded: &succeeded, Failed: &failed}
	}
	for name, tc := range map[string]struct {
		history *v1alpha1.History
		given   []Finished
		want    []string
	}{
		"twenty are kept when nothing is said":                       {nil, many, []string{"a", "b", "c"}},
		"each kind has its own limit, oldest first":                  {limit(1, 1), mixed, []string{"ok1", "bad1", "ok2"}},
		"zero keeps none":                                            {limit(0, 2), mixed, []string{"ok1", "ok2", "ok3"}},
		"within the limits nothing goes":                             {limit(3, 2), mixed, nil},
		"of the same second, the number decides the order":           {limit(1, 1), []Finished{{Name: "z", Created: noon, Run: 1, Succeeded: true}, {Name: "a", Created: noon, Run: 2, Succeeded: true}}, []string{"z"}},
		"of the same second without one, the name decides the order": {limit(1, 1), []Finished{made("a", 1, true), made("b", 1, true)}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Surplus(tc.history, tc.given)); diff != "" {
				t.Errorf("surplus (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRecentNodes(t *testing.T) {
	node := func(name string, run int64) v1alpha1.RecentNode {
		return v1alpha1.RecentNode{Name: name, Run: run, Time: *Stamp(noon)}
	}
	var ten []v1alpha1.RecentNode
	for i := range 10 {
		ten = append(ten, node(string(rune('a'+i)), int64(20-i)))
	}
	for name, tc := range map[string]struct {
		given   []v1alpha1.RecentNode
		node    string
		run     int64
		want    []v1alpha1.RecentNode
		changed bool
	}{
		"the first":                       {nil, "a", 1, []v1alpha1.RecentNode{node("a", 1)}, true},
		"newest first":                    {[]v1alpha1.RecentNode{node("a", 1)}, "b", 2, []v1alpha1.RecentNode{node("b", 2), node("a", 1)}, true},
		"each node once":                  {[]v1alpha1.RecentNode{node("b", 2), node("a", 1)}, "a", 3, []v1alpha1.RecentNode{node("a", 3), node("b", 2)}, true},
		"the same run again":              {[]v1alpha1.RecentNode{node("a", 1)}, "a", 1, []v1alpha1.RecentNode{node("a", 1)}, false},
		"an older run is behind":          {[]v1alpha1.RecentNode{node("b", 5)}, "a", 3, []v1alpha1.RecentNode{node("b", 5), node("a", 3)}, true},
		"an older run on a node it has":   {[]v1alpha1.RecentNode{node("b", 5), node("a", 4)}, "a", 3, []v1alpha1.RecentNode{node("b", 5), node("a", 4)}, false},
		"at most ten, the oldest goes":    {ten, "z", 21, append([]v1alpha1.RecentNode{node("z", 21)}, ten[:9]...), true},
		"at most ten, an old run is last": {ten, "z", 1, ten, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, changed := RecentNodes(tc.given, tc.node, tc.run, noon)
			if diff := cmp.Diff(tc.want, got); diff != "" || changed != tc.changed {
				t.Errorf("changed = %t, nodes (-want +got):\n%s", changed, diff)
			}
		})
	}
}
