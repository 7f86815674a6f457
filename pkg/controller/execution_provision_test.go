package controller

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// TestAgentsStayInTheirProject: a namespace that does not say that it belongs to the
// project gets none of its pods and secrets, whatever its name.
func TestAgentsStayInTheirProject(t *testing.T) {
	for name, test := range map[string]struct {
		namespace, label string
		belongs          bool
	}{
		"the project's own namespace":         {"shop", "", true},
		"a namespace labelled so":             {"builders", "shop", true},
		"a namespace of another project":      {"builders", "bank", false},
		"a namespace without a label":         {"kube-system", "", false},
		"the default's name, without a label": {"shop-pipeline", "", false},
		"own name, labelled for another":      {"shop", "bank", true},
	} {
		t.Run(name, func(t *testing.T) {
			ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: test.namespace}}
			if test.label != "" {
				ns.Labels = map[string]string{v1alpha1.LabelProject: test.label}
			}
			err := belongs(ns, "shop")
			if (err == nil) != test.belongs {
				t.Errorf("belongs: %v, want %v", err, test.belongs)
			}
			var f *failure
			if err != nil && (!errors.As(err, &f) || f.reason != v1alpha1.ReasonExecutorNamespaceForeign) {
				t.Errorf("error %v, want reason %s", err, v1alpha1.ReasonExecutorNamespaceForeign)
			}
		})
	}
}
