package controller

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// latest remembers objects as we wrote them, until the watch has brought them back: a
// decision on what was before our own write would be a decision on the past.
type latest struct {
	mu      sync.Mutex
	objects map[types.UID]kube.Object
}

func newLatest() *latest { return &latest{objects: map[types.UID]kube.Object{}} }

func (l *latest) put(o kube.Object) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.objects[o.GetUID()] = o
}

func (l *latest) drop(uid types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.objects, uid)
}

// newest is the newer one of what the cache has and what we wrote.
func newest[T kube.Object](l *latest, cached T) T {
	l.mu.Lock()
	defer l.mu.Unlock()
	ours, ok := l.objects[cached.GetUID()].(T)
	if !ok {
		return cached
	}
	if order, err := resourceversion.CompareResourceVersion(ours.GetResourceVersion(), cached.GetResourceVersion()); err == nil && order > 0 {
		return ours
	}
	delete(l.objects, cached.GetUID())
	return cached
}
