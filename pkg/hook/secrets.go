package hook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/lru"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
)

var errNoSecret = errors.New("the secret does not exist")

// +kubebuilder:rbac:groups="",resources=secrets,verbs=get

// secrets reads webhook secrets, each at most once in a while, so that a flood of
// deliveries is no flood of requests to the API server. It gets the ones it is asked
// for and never lists or watches: hookd holds no secret that nobody sends to.
type secrets struct {
	clients *kube.Clients
	now     func() time.Time
	cache   *lru.Cache // namespace/name → secretEntry
	flight  singleflight.Group
}

type secretEntry struct {
	data map[string][]byte // nil: there is no such Secret
	at   time.Time
}

func newSecrets(c *kube.Clients, now func() time.Time) *secrets {
	return &secrets{clients: c, now: now, cache: lru.New(cachedSecrets)}
}

// keys are the keys that may sign the repository's deliveries: the named one, and
// those that start with its name and a dash, while they are being rotated. fresh asks the
// API server again, unless it was asked just now. The time is when it was asked.
func (s *secrets) keys(ctx context.Context, repo *v1alpha1.SourceCodeRepository, fresh bool) ([][]byte, time.Time, error) {
	ref := repo.Spec.Webhook.SecretRef
	e, err := s.get(ctx, repo.Namespace, ref.Name, fresh)
	if err == nil && e.data == nil {
		err = errNoSecret
	}
	if err != nil {
		return nil, e.at, err
	}
	return scm.WebhookKeys(e.data, ref.Key), e.at, nil
}

func (s *secrets) get(ctx context.Context, namespace, name string, fresh bool) (secretEntry, error) {
	key := namespace + "/" + name
	if v, ok := s.cache.Get(key); ok {
		e := v.(secretEntry)
		ttl := SecretTTL
		if e.data == nil {
			ttl = MissingSecretTTL
		}
		if fresh {
			ttl = RotationDelay
		}
		if s.now().Sub(e.at) < ttl {
			return e, nil
		}
	}
	// One request for all who wait; it must not end with the first of them.
	v, err, _ := s.flight.Do(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), CreateTimeout/2)
		defer cancel()
		secret, err := s.clients.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return secretEntry{}, fmt.Errorf("get secret %s: %w", key, err)
		}
		e := secretEntry{at: s.now()}
		if err == nil {
			e.data = secret.Data
			if e.data == nil {
				e.data = map[string][]byte{}
			}
		}
		s.cache.Add(key, e)
		return e, nil
	})
	return v.(secretEntry), err
}
