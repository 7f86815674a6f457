package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
)

const (
	// firstRetry and lastRetry bound the delay after an error: it doubles in between.
	firstRetry = 100 * time.Millisecond
	lastRetry  = time.Minute
	// drainTime is what a look under way gets to end when its controller stops. It must end
	// well within the time between a leader's giving up and another's taking over.
	drainTime = 4 * time.Second
)

// queue calls reconcile for each key that was added: never twice at once for one key,
// and once more when it was added meanwhile.
type queue[K comparable] struct {
	name      string
	log       *slog.Logger
	metrics   *Metrics
	clock     clock.WithTicker
	reconcile func(context.Context, K) Outcome
	items     workqueue.TypedRateLimitingInterface[K]
}

func newQueue[K comparable](name string, o Options, reconcile func(context.Context, K) Outcome) *queue[K] {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[K](firstRetry, lastRetry)
	return &queue[K]{
		name: name, log: o.Log.With("controller", name), metrics: o.Metrics, clock: o.Clock, reconcile: reconcile,
		items: workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[K]{Clock: o.Clock}),
	}
}

// Add has key looked at as soon as a worker is free.
func (q *queue[K]) Add(key K) { q.items.Add(key) }

// AddAfter has key looked at after d.
func (q *queue[K]) AddAfter(key K, d time.Duration) { q.items.AddAfter(key, d) }

// Run works with n workers until ctx ends, and returns when the looks under way have
// ended or were cut off.
func (q *queue[K]) Run(ctx context.Context, n int, synced ...cache.InformerSynced) error {
	defer q.items.ShutDown() // also when it never begins to work
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return fmt.Errorf("start controller %s: %w", q.name, context.Cause(ctx))
	}
	work, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	stop := context.AfterFunc(ctx, func() {
		q.items.ShutDown()
		time.AfterFunc(drainTime, func() { cut(context.Cause(ctx)) })
	})
	defer stop()
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() {
			for q.next(ctx, work) {
			}
		})
	}
	workers.Wait()
	return nil
}

// next works on one key. What is still in the queue when the controller stops is left
// to the next one, who looks at everything anyway.
func (q *queue[K]) next(ctx, work context.Context) bool {
	key, quit := q.items.Get()
	if quit {
		return false
	}
	defer q.items.Done(key)
	if ctx.Err() != nil {
		return true
	}
	q.metrics.queueDepth.WithLabelValues(q.name).Set(float64(q.items.Len()))
	begin := q.clock.Now()
	outcome := q.guard(work, key)
	q.metrics.reconciles.WithLabelValues(q.name, outcome.label()).Inc()
	q.metrics.reconcileSeconds.WithLabelValues(q.name).Observe(q.clock.Since(begin).Seconds())
	q.settle(ctx, key, outcome)
	return true
}

func (q *queue[K]) settle(ctx context.Context, key K, outcome Outcome) {
	switch o := outcome.(type) {
	case Retry:
		switch {
		case ctx.Err() != nil:
			return
		case apierrors.IsConflict(o.Err): // somebody else wrote first: look at what they wrote
			q.log.Debug("conflict", "key", key)
		default:
			q.log.Warn("retrying", "key", key, "error", o.Err, "tries", q.items.NumRequeues(key)+1)
		}
		q.items.AddRateLimited(key)
	case Wait:
		q.items.Forget(key)
		q.items.AddAfter(key, time.Duration(o))
	case Terminal:
		q.log.Error("giving up until it changes", "key", key, "reason", o.Reason, "error", o.Err)
		q.items.Forget(key)
	default:
		q.items.Forget(key)
	}
}

var errPanic = errors.New("panic")

// guard turns a panic into an error: one bad object must not take the others down.
func (q *queue[K]) guard(ctx context.Context, key K) (outcome Outcome) {
	defer func() {
		if p := recover(); p != nil {
			q.metrics.panics.WithLabelValues(q.name).Inc()
			q.log.Error("panic", "key", key, "panic", p, "stack", string(debug.Stack()))
			outcome = Retry{fmt.Errorf("%w: %v", errPanic, p)}
		}
	}()
	return q.reconcile(ctx, key)
}
