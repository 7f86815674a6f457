package pipeline

import (
	"fmt"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// IdleTriggers names the triggers that a Pipeline has and that start nothing, as fields of
// its spec, and says why.
func IdleTriggers(t *v1alpha1.Triggers) []string {
	if t == nil {
		return nil
	}
	var idle []string
	for i, image := range t.Image {
		if TokenOf(image).Name == "" {
			idle = append(idle, fmt.Sprintf("triggers.image[%d] has no tokenSecretRef: no notification is accepted", i))
		}
	}
	if len(t.Schedule) > 0 {
		idle = append(idle, "triggers.schedule is not supported yet: starts no run")
	}
	return idle
}
