package controller_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestRepositoryGetsAPathOnce(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.must(create(t, w.clients.Secrets(w.project), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "hook"}, StringData: map[string]string{"secret": "0123456789abcdef"}}))
	w.start()
	w.repository("app", func(r *v1alpha1.SourceCodeRepository) {
		r.Spec.Webhook = &v1alpha1.WebhookSpec{SecretRef: &v1alpha1.SecretKeyReference{Name: "hook"}}
	})
	w.repository("closed")
	w.must(create(t, w.clients.Providers(w.project), &v1alpha1.SourceCodeProvider{ObjectMeta: metav1.ObjectMeta{Name: "lab"},
		Spec: v1alpha1.SourceCodeProviderSpec{Type: v1alpha1.ProviderGitLab, URL: "https://gitlab.example"}}))
	w.repository("foreign", func(r *v1alpha1.SourceCodeRepository) {
		r.Spec.ProviderRef = &v1alpha1.LocalReference{Name: "lab"}
		r.Spec.Webhook = &v1alpha1.WebhookSpec{SecretRef: &v1alpha1.SecretKeyReference{Name: "hook"}}
	})
	condition := func(name string, status metav1.ConditionStatus, reason string) *v1alpha1.SourceCodeRepository {
		t.Helper()
		var r *v1alpha1.SourceCodeRepository
		eventually(t, "repository "+name+" is judged", func() (err error) {
			if r, err = w.clients.Repositories(w.project).Get(t.Context(), name, metav1.GetOptions{}); err != nil {
				return err
			}
			c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionWebhookReady)
			if c == nil || c.Status != status || c.Reason != reason {
				return fmt.Errorf("condition is %+v", c)
			}
			return nil
		})
		return r
	}
	condition("foreign", metav1.ConditionTrue, v1alpha1.ReasonReady)
	r := condition("app", metav1.ConditionTrue, v1alpha1.ReasonReady)
	path := r.Status.Webhook.Path
	if len(path) != len("/hooks/")+32 || r.Status.Webhook.URL != "https://hookd.example"+path {
		t.Errorf("webhook = %+v", r.Status.Webhook)
	}
	if other := condition("closed", metav1.ConditionFalse, v1alpha1.ReasonDisabled); other.Status.Webhook.Path == path {
		t.Error("two repositories have one path")
	}
	if _, err := w.clients.Repositories(w.project).Patch(t.Context(), "app", "application/merge-patch+json", []byte(`{"spec":{"webhook":{"mode":"Disabled"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if r = condition("app", metav1.ConditionFalse, v1alpha1.ReasonDisabled); r.Status.Webhook.Path != path {
		t.Errorf("path changed from %s to %s", path, r.Status.Webhook.Path)
	}
}
