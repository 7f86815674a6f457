package controller

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// pathBytes is how much chance is in the path of a webhook.
const pathBytes = 16

// missingCheck is how often something that a repository needs, and that is not watched,
// is looked for again.
const missingCheck = 30 * time.Second

// repositories gives each SourceCodeRepository the path that its deliveries arrive at,
// and says whether they can be accepted.
type repositories struct {
	*shared
	queue *queue[types.NamespacedName]
}

func newRepositories(s *shared) *repositories {
	c := &repositories{shared: s}
	c.queue = newQueue("repository", s.o, c.reconcile)
	return c
}

// +kubebuilder:rbac:groups=kubectl-pipeline.io,resources=sourcecoderepositories/status,verbs=update

func (c *repositories) reconcile(ctx context.Context, key types.NamespacedName) Outcome {
	obj, ok, err := c.repositoryCache.GetStore().GetByKey(key.String())
	if err != nil {
		return Retry{err}
	}
	cached, isRepository := obj.(*v1alpha1.SourceCodeRepository)
	if !ok || !isRepository || cached.DeletionTimestamp != nil {
		return Done{}
	}
	r := newest(c.latest, cached).DeepCopy()
	before := r.Status.DeepCopy()
	if err := c.ensurePath(r); err != nil {
		return Retry{err}
	}
	again := c.conditions(ctx, r)
	r.Status.ObservedGeneration = r.Generation
	if equality.Semantic.DeepEqual(*before, r.Status) {
		return again
	}
	written, err := c.o.Clients.Repositories(r.Namespace).UpdateStatus(ctx, r, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return Done{}
	}
	if err != nil {
		return Retry{fmt.Errorf("write status: %w", err)}
	}
	c.latest.put(written)
	return again
}

// ensurePath draws the path once: it is in people's hands at their Git host after that.
func (c *repositories) ensurePath(r *v1alpha1.SourceCodeRepository) error {
	if r.Status.Webhook == nil {
		r.Status.Webhook = &v1alpha1.WebhookStatus{}
	}
	w := r.Status.Webhook
	if w.Path == "" {
		b := make([]byte, pathBytes)
		if _, err := rand.Read(b); err != nil {
			return fmt.Errorf("draw a webhook path: %w", err)
		}
		w.Path = "/hooks/" + hex.EncodeToString(b)
	}
	if c.o.ExternalURL == "" {
		return nil
	}
	full, err := url.JoinPath(c.o.ExternalURL, w.Path)
	if err != nil {
		return fmt.Errorf("make the webhook's address: %w", err)
	}
	w.URL = full
	return nil
}

// conditions says whether deliveries can be accepted and the repository be read.
func (c *repositories) conditions(ctx context.Context, r *v1alpha1.SourceCodeRepository) Outcome {
	webhook, readable := c.judgeWebhook(ctx, r), c.judgeReferences(ctx, r)
	webhook.Type, readable.Type = v1alpha1.ConditionWebhookReady, v1alpha1.ConditionReady
	var again Outcome = Done{}
	for _, cond := range []metav1.Condition{webhook, readable} {
		cond.ObservedGeneration, cond.LastTransitionTime = r.Generation, *pipeline.Stamp(c.o.Clock.Now())
		meta.SetStatusCondition(&r.Status.Conditions, cond)
		if cond.Status != metav1.ConditionTrue && cond.Reason != v1alpha1.ReasonDisabled {
			again = Wait(missingCheck)
		}
	}
	return again
}

func (c *repositories) judgeWebhook(ctx context.Context, r *v1alpha1.SourceCodeRepository) metav1.Condition {
	w := r.Spec.Webhook
	switch {
	case w == nil:
		return no(v1alpha1.ReasonDisabled, "spec.webhook.secretRef is not set: no delivery is accepted")
	case w.Mode == v1alpha1.WebhookDisabled:
		return no(v1alpha1.ReasonDisabled, "spec.webhook.mode is Disabled: no delivery is accepted")
	case w.SecretRef == nil:
		return no(v1alpha1.ReasonSecretNotFound, "spec.webhook.secretRef is not set: no delivery is accepted")
	}
	secret, err := c.o.Clients.Secrets(r.Namespace).Get(ctx, w.SecretRef.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return no(v1alpha1.ReasonSecretNotFound, fmt.Sprintf("Secret %s does not exist", w.SecretRef.Name))
	case err != nil:
		return metav1.Condition{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonUnreachable, Message: fmt.Sprintf("read Secret %s: %v", w.SecretRef.Name, err)}
	case len(delivery.UsableKeys(delivery.Keys(secret.Data, firstNonEmpty(w.SecretRef.Key, v1alpha1.WebhookSecretKey)))) == 0:
		return no(v1alpha1.ReasonSecretKeyEmpty, fmt.Sprintf("key %s of Secret %s has fewer than %d bytes: no delivery is accepted",
			firstNonEmpty(w.SecretRef.Key, v1alpha1.WebhookSecretKey), w.SecretRef.Name, delivery.MinKeyLength))
	}
	return yes()
}

func (c *repositories) judgeReferences(ctx context.Context, r *v1alpha1.SourceCodeRepository) metav1.Condition {
	if ref := r.Spec.ProviderRef; ref != nil {
		if _, err := c.o.Clients.Providers(r.Namespace).Get(ctx, ref.Name, metav1.GetOptions{}); err != nil {
			return missing(err, v1alpha1.ReasonProviderNotFound, "SourceCodeProvider", ref.Name)
		}
	}
	ref := r.Spec.CredentialRef
	if ref == nil {
		return yes()
	}
	cred, err := c.o.Clients.Credentials(r.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		return missing(err, v1alpha1.ReasonCredentialNotFound, "SourceCodeCredential", ref.Name)
	}
	if _, err := c.o.Clients.Secrets(r.Namespace).Get(ctx, cred.Spec.SecretRef.Name, metav1.GetOptions{}); err != nil {
		return missing(err, v1alpha1.ReasonSecretNotFound, "Secret", cred.Spec.SecretRef.Name)
	}
	return yes()
}

func yes() metav1.Condition {
	return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady}
}

func no(reason, message string) metav1.Condition {
	return metav1.Condition{Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

func missing(err error, reason, kind, name string) metav1.Condition {
	if apierrors.IsNotFound(err) {
		return no(reason, fmt.Sprintf("%s %s does not exist", kind, name))
	}
	return metav1.Condition{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonUnreachable, Message: fmt.Sprintf("read %s %s: %v", kind, name, err)}
}
