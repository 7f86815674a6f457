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

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
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

// prove asks verify about the keys that may prove deliveries: the named one, and those
// that start with its name and a dash, while they are being rotated. When none of them
// does, the API server is asked for the Secret again, unless it was asked just now: it may
// have been changed a moment ago.
func (s *secrets) prove(ctx context.Context, namespace, name, key string, verify func(keys [][]byte) error) error {
	keys, at, err := s.keys(ctx, namespace, name, key, false)
	if err == nil {
		err = verify(keys)
	}
	if !errors.Is(err, delivery.ErrSignature) && !errors.Is(err, delivery.ErrNoKey) {
		return err
	}
	again, later, e := s.keys(ctx, namespace, name, key, true)
	switch {
	case e != nil:
		return e
	case later.After(at):
		return verify(again)
	}
	return err
}

// keys also tells when the API server was asked for them. fresh asks it again, unless it
// was asked just now.
func (s *secrets) keys(ctx context.Context, namespace, name, key string, fresh bool) ([][]byte, time.Time, error) {
	e, err := s.get(ctx, namespace, name, fresh)
	if err == nil && e.data == nil {
		err = errNoSecret
	}
	if err != nil {
		return nil, e.at, err
	}
	return delivery.Keys(e.data, key), e.at, nil
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
