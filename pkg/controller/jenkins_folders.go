package controller

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// suspect is a folder that could not be read, while others could, or that keeps the others
// waiting. It is looked at apart from them.
type suspect struct {
	reason, message string // "": it is slow, no more
	since, due      time.Time
	failures        int
	looking         bool
}

// suspect takes down which folders could not be read, and gives the executions that
// concerns.
func (e *engine) suspect(failed map[string]error) []types.NamespacedName {
	e.mu.Lock()
	defer e.mu.Unlock()
	var changed []types.NamespacedName
	for folder, err := range failed {
		f := engineFailure(err)
		s := e.suspects[folder]
		if s == nil {
			s = &suspect{}
			e.suspects[folder] = s
			e.log.Warn("folder cannot be read", "folder", folder, "reason", f.Reason, "error", err)
		}
		if s.reason == "" {
			s.since = e.clock.Now()
		}
		if s.reason != f.Reason {
			changed = append(changed, e.inFolder(folder)...)
		}
		s.reason, s.message = f.Reason, f.Message
		s.due = e.clock.Now().Add(min(lookInterval<<min(s.failures, 10), failInterval))
		s.failures++
	}
	return changed
}

// inFolder are the executions in a folder. The caller holds e.mu.
func (e *engine) inFolder(folder string) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, w := range e.watches {
		if w.ref.Folder == folder {
			keys = append(keys, w.key)
		}
	}
	return keys
}

// lookAside looks at suspects that are due, each by itself, and does not wait for them.
func (e *engine) lookAside(ctx context.Context, running *sync.WaitGroup) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for folder, s := range e.suspects {
		if len(e.inFolder(folder)) == 0 && !s.looking {
			delete(e.suspects, folder)
			continue
		}
		if s.looking || s.due.After(e.clock.Now()) || e.down != "" {
			continue
		}
		s.looking = true
		running.Go(func() { e.lookAt(ctx, folder) })
	}
}

func (e *engine) lookAt(ctx context.Context, folder string) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	at := e.clock.Now()
	snap, err := e.client.Snapshot(ctx, folder)
	e.mu.Lock()
	s := e.suspects[folder]
	s.looking = false
	took := e.clock.Since(at)
	switch {
	case err != nil:
	case took < lookPatience/2:
		delete(e.suspects, folder)
	default:
		s.reason, s.message, s.failures = "", "", 0
		s.due = e.clock.Now().Add(min(4*took, slowInterval))
	}
	keys := e.inFolder(folder)
	e.mu.Unlock()
	if err != nil {
		for _, k := range e.suspect(map[string]error{folder: err}) {
			e.notify(k)
		}
		return
	}
	e.log.Info("folder can be read", "folder", folder, "took", took)
	e.apply(at, snap, []string{folder})
	for _, k := range keys {
		e.notify(k)
	}
}
