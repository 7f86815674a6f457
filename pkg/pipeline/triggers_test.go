package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestIdleTriggers(t *testing.T) {
	for name, test := range map[string]struct {
		triggers *v1alpha1.Triggers
		want     []string
	}{
		"none": {nil, nil},
		"pushes, tags and pull requests are supported": {&v1alpha1.Triggers{Push: &v1alpha1.PushTrigger{}, Tag: &v1alpha1.TagTrigger{}, PullRequest: &v1alpha1.PullRequestTrigger{}}, nil},
		"the others are named, and why": {
			&v1alpha1.Triggers{Image: []v1alpha1.ImageTrigger{{TokenSecretRef: &v1alpha1.SecretKeyReference{Name: "registry"}}, {}}, Schedule: []v1alpha1.ScheduleTrigger{{}}},
			[]string{"triggers.image[1] has no tokenSecretRef: no notification is accepted", "triggers.schedule is not supported yet: starts no run"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, IdleTriggers(test.triggers)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
