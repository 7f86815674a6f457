package kube

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Informer keeps the objects that selector (a label selector, "" for all) picks in
// memory, without resync: every change arrives as an event, and what is decided from
// clocks is requeued by whoever decides.
func (r Resource[T, L]) Informer(selector string, indexers cache.Indexers) cache.SharedIndexInformer {
	return r.ReadableInformer(selector, indexers, nil)
}

// ReadableInformer is an Informer that tells of objects that it leaves out since they
// cannot be decoded.
func (r Resource[T, L]) ReadableInformer(selector string, indexers cache.Indexers, tell Unreadable) cache.SharedIndexInformer {
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			opts.LabelSelector = selector
			return r.listReadable(ctx, opts, tell)
		},
		WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			opts.LabelSelector = selector
			return r.Watch(ctx, opts)
		},
	}
	return cache.NewSharedIndexInformer(lw, r.newObject(), 0, indexers)
}

// Indexed returns the cached objects that index holds under key. They are shared:
// copy before changing one.
func Indexed[T any](i cache.Indexer, index, key string) ([]T, error) {
	objs, err := i.ByIndex(index, key)
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(objs))
	for _, o := range objs {
		if t, ok := o.(T); ok {
			out = append(out, t)
		}
	}
	return out, nil
}
