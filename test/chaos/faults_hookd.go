package chaos

import (
	"bytes"
	"context"
	"os"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

// choice chooses replicas.
type choice func(leads bool) bool

func leading(leads bool) bool   { return leads }
func following(leads bool) bool { return !leads }
func all(bool) bool             { return true }

// endHookd ends the chosen replicas, as a crash or as a rolling update would, and starts
// them again a while later.
func endHookd(which choice, kill bool) func(context.Context, *world, strike) error {
	return func(ctx context.Context, w *world, s strike) error {
		w.hookd.Lock()
		defer w.hookd.Unlock()
		victims, err := w.choose(ctx, which)
		if err != nil {
			return err
		}
		if len(victims) == 0 {
			w.nobody(s)
			return nil
		}
		defer w.lasting(s)()
		for _, h := range victims {
			end := h.Stop
			if kill {
				end = h.Kill
			}
			if err := end(); err != nil {
				return err
			}
		}
		_ = pass(ctx, s.hold) // it has to come back in any case
		for _, h := range victims {
			if _, err := w.Respawn(h); err != nil {
				return err
			}
		}
		return nil
	}
}

// leaderWait is how long somebody who leads is waited for, when nobody does just now.
const leaderWait = 10 * time.Second

func (w *world) choose(ctx context.Context, which choice) (victims []*harness.Hookd, err error) {
	err = wait.PollUntilContextTimeout(ctx, relistWait, leaderWait, true, func(context.Context) (bool, error) {
		for _, h := range w.Hookd {
			leads, err := leads(h)
			if err != nil {
				return false, err
			}
			if which(leads) {
				victims = append(victims, h)
			}
		}
		return len(victims) > 0, nil
	})
	if wait.Interrupted(err) {
		return nil, nil
	}
	return victims, err
}

// leads tells whether a replica leads, by what it said last of that.
func leads(h *harness.Hookd) (bool, error) {
	log, err := os.ReadFile(h.LogFile)
	if err != nil {
		return false, err
	}
	began := bytes.LastIndex(log, []byte("msg=leading "))
	ended := max(bytes.LastIndex(log, []byte(`msg="not leading"`)), bytes.LastIndex(log, []byte(`msg="hookd serves"`)))
	return began > ended, nil
}

// replicas are those that run now.
func (w *world) replicas() []*harness.Hookd {
	w.hookd.Lock()
	defer w.hookd.Unlock()
	return slices.Clone(w.Hookd)
}

const keepEvery = 500 * time.Millisecond

// keepHookd starts replicas again that end by themselves, as a kubelet does.
func (w *world) keepHookd(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		w.hookd.Lock()
		for _, h := range w.Hookd {
			select {
			case <-h.Done():
				w.log.note("hookd at %s ended by itself", h.URL)
				w.ownEnds.Add(1)
				if _, err := w.Respawn(h); err != nil {
					w.log.note("hookd is not started again: %v", err)
				}
			default:
			}
		}
		w.hookd.Unlock()
	}
}
