package controller

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
)

// pausesDue are builds that somebody may have paused in Jenkins, or let go on: those asked
// longest ago.
func (e *engine) pausesDue() []stageRead {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.noPauses >= pauseTries {
		return nil
	}
	var due []stageRead
	for uid, w := range e.watches {
		n := len(w.look.Builds)
		if n == 0 || !w.look.Builds[n-1].Building || len(w.look.Stages) == 0 || e.clock.Since(w.look.PausedAt) < pauseEvery {
			continue
		}
		due = append(due, stageRead{uid: uid, key: w.key, ref: w.ref, number: int(w.look.Builds[n-1].Number), last: w.look.PausedAt})
	}
	slices.SortFunc(due, func(a, b stageRead) int { return a.last.Compare(b.last) })
	return due[:min(len(due), pauseReads)]
}

func (e *engine) readPauses(ctx context.Context) {
	var g errgroup.Group
	for _, r := range e.pausesDue() {
		g.Go(func() error {
			at := e.clock.Now()
			paused, building, err := e.client.PauseState(ctx, r.ref, r.number)
			if err != nil {
				e.log.Debug("pause state not read", "execution", r.key, "error", err)
			}
			e.countPause(err)
			if err == nil && building {
				e.applyPause(r.uid, paused, at)
			}
			return nil
		})
	}
	_ = g.Wait() // its functions return nil: what somebody paused in Jenkins is best effort
}

// countPause finds out whether this Jenkins has the plugin that tells: a build that is not
// found may also just be gone.
func (e *engine) countPause(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		e.noPauses = 0
	case jenkins.IsNotFound(err):
		e.noPauses++
	}
}

// notePause takes over what a verb of ours achieved.
func (e *engine) notePause(uid types.UID, paused bool) { e.applyPause(uid, paused, e.clock.Now()) }

// applyPause takes a state over, unless a newer one is known.
func (e *engine) applyPause(uid types.UID, paused bool, at time.Time) {
	e.mu.Lock()
	w := e.watches[uid]
	if w == nil || at.Before(w.look.PausedAt) {
		e.mu.Unlock()
		return
	}
	changed := w.look.PausedAt.IsZero() || w.look.Paused != paused
	w.look.Paused, w.look.PausedAt = paused, at
	key := w.key
	e.mu.Unlock()
	if changed {
		e.notify(key)
	}
}
