package pipeline

import "github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"

// UnsupportedTriggers names the triggers that a Pipeline has and that start nothing
// yet, as fields of its spec.
func UnsupportedTriggers(t *v1alpha1.Triggers) []string {
	if t == nil {
		return nil
	}
	var names []string
	for _, trigger := range []struct {
		name string
		set  bool
	}{
		{"triggers.image", len(t.Image) > 0},
		{"triggers.schedule", len(t.Schedule) > 0},
	} {
		if trigger.set {
			names = append(names, trigger.name)
		}
	}
	return names
}
