package controller

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// turns lets so many keys at once do something, and the others in the order in which they
// asked: none of them holds a worker while it waits, or waits longer than those behind it.
type turns struct {
	wake func(types.NamespacedName)

	mu      sync.Mutex
	free    int
	waiting []types.NamespacedName // the first has waited longest
}

func newTurns(n int, wake func(types.NamespacedName)) *turns { return &turns{free: n, wake: wake} }

// take is true when it is key's turn; then done is called at the end. When it is not,
// key is woken when it may be.
func (t *turns) take(key types.NamespacedName) (done func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := slices.Index(t.waiting, key)
	ahead := len(t.waiting)
	if at >= 0 {
		ahead = at
	}
	if ahead >= t.free {
		if at < 0 {
			t.waiting = append(t.waiting, key)
		}
		return nil, false
	}
	if at >= 0 {
		t.waiting = slices.Delete(t.waiting, at, at+1)
	}
	t.free--
	return t.give, true
}

// give ends a turn.
func (t *turns) give() {
	t.mu.Lock()
	t.free++
	next := t.next()
	t.mu.Unlock()
	t.tell(next)
}

// leave says that key does not wait, or waits no more.
func (t *turns) leave(key types.NamespacedName) {
	t.mu.Lock()
	at := slices.Index(t.waiting, key)
	if at < 0 {
		t.mu.Unlock()
		return
	}
	t.waiting = slices.Delete(t.waiting, at, at+1)
	next := t.next()
	t.mu.Unlock()
	t.tell(next)
}

// next are those whose turn it is, called with the lock held. They are told again and
// again until they take it or leave, so that nobody waits behind one that is gone.
func (t *turns) next() []types.NamespacedName {
	return slices.Clone(t.waiting[:min(t.free, len(t.waiting))])
}

func (t *turns) tell(next []types.NamespacedName) {
	for _, key := range next {
		t.wake(key)
	}
}
