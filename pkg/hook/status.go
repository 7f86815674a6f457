package hook

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// +kubebuilder:rbac:groups=kubectl-pipeline.io,resources=sourcecoderepositories/status,verbs=patch

// statuses writes status.webhook.lastDelivery: one worker, at most one update per
// repository and interval. It keeps the newest delivery of each repository only, so that
// it cannot grow beyond their number, and a failed update is just tried with the next.
type statuses struct {
	clients  *kube.Clients
	log      *slog.Logger
	interval time.Duration

	mu      sync.Mutex
	pending map[types.NamespacedName]v1alpha1.WebhookDelivery
	written map[types.NamespacedName]time.Time // when, for those within the interval
	wake    chan struct{}
}

func newStatuses(c *kube.Clients, log *slog.Logger, interval time.Duration) *statuses {
	return &statuses{
		clients: c, log: log, interval: interval,
		pending: map[types.NamespacedName]v1alpha1.WebhookDelivery{},
		written: map[types.NamespacedName]time.Time{},
		wake:    make(chan struct{}, 1),
	}
}

// add never blocks.
func (s *statuses) add(repo *v1alpha1.SourceCodeRepository, d v1alpha1.WebhookDelivery) {
	s.mu.Lock()
	s.pending[types.NamespacedName{Namespace: repo.Namespace, Name: repo.Name}] = d
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes until ctx ends, then what is left, briefly.
func (s *statuses) run(ctx context.Context) {
	timer := time.NewTimer(s.interval)
	defer timer.Stop()
	for {
		key, d, wait := s.next(time.Now(), false)
		if d != nil {
			s.write(ctx, key, *d)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
			defer cancel()
			for ctx.Err() == nil {
				key, d, _ := s.next(time.Now(), true)
				if d == nil {
					return
				}
				s.write(ctx, key, *d)
			}
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// next takes a delivery whose repository may be written now; without one, how long
// until there may be.
func (s *statuses) next(now time.Time, all bool) (types.NamespacedName, *v1alpha1.WebhookDelivery, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := s.interval
	for key, at := range s.written {
		if now.Sub(at) >= s.interval {
			delete(s.written, key)
		}
	}
	for key, d := range s.pending {
		if at, recent := s.written[key]; recent && !all {
			wait = min(wait, s.interval-now.Sub(at))
			continue
		}
		delete(s.pending, key)
		s.written[key] = now
		return key, &d, 0
	}
	return types.NamespacedName{}, nil, wait
}

func (s *statuses) write(ctx context.Context, key types.NamespacedName, d v1alpha1.WebhookDelivery) {
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"webhook": map[string]any{"lastDelivery": d}}})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err = s.clients.Repositories(key.Namespace).Patch(ctx, key.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) {
		s.log.Warn("last delivery of a repository could not be recorded", "namespace", key.Namespace, "repository", key.Name, "error", err)
	}
}

// timeOf is t as the API stores it: to the second.
func timeOf(t time.Time) metav1.Time { return metav1.NewTime(t.UTC().Truncate(time.Second)) }
