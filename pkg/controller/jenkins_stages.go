package controller

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
)

// stageRead is a build of which the stages are due.
type stageRead struct {
	uid    types.UID
	key    types.NamespacedName
	ref    jenkins.JobRef
	number int
	over   bool
	last   time.Time
}

func (e *engine) stagesDue() []stageRead {
	e.mu.Lock()
	defer e.mu.Unlock()
	var due []stageRead
	for uid, w := range e.watches {
		n := len(w.look.Builds)
		if n == 0 || w.final || w.look.NoStages {
			continue
		}
		b := w.look.Builds[n-1]
		due = append(due, stageRead{uid, w.key, w.ref, int(b.Number), !b.Building, w.look.StagesAt})
	}
	slices.SortFunc(due, func(a, b stageRead) int {
		if a.over != b.over {
			if a.over {
				return -1
			}
			return 1
		}
		return cmp.Or(a.last.Compare(b.last), cmp.Compare(a.uid, b.uid))
	})
	if running := slices.IndexFunc(due, func(r stageRead) bool { return !r.over }); running >= 0 {
		due = due[:min(len(due), running+stageReads)] // an end is never put off
	}
	return due
}

func (e *engine) readStages(ctx context.Context) {
	var g errgroup.Group
	g.SetLimit(stageConcurrency)
	for _, r := range e.stagesDue() {
		g.Go(func() error {
			at := e.clock.Now()
			stages, err := e.client.Stages(ctx, r.ref, r.number)
			if err != nil && !errors.Is(err, jenkins.ErrNoStages) {
				e.log.Debug("stages not read", "execution", r.key, "error", err)
				return nil
			}
			e.applyStages(r, at, stages, e.question(ctx, r, stages), err != nil)
			return nil
		})
	}
	_ = g.Wait() // its functions return nil: stages are best effort
}

// question is what the build asks, "" when it asks nothing or Jenkins cannot tell.
func (e *engine) question(ctx context.Context, r stageRead, stages []jenkins.Stage) string {
	if r.over || !slices.ContainsFunc(stages, func(s jenkins.Stage) bool { return s.Status == jenkins.StagePaused }) {
		return ""
	}
	inputs, err := e.client.PendingInputs(ctx, r.ref, r.number)
	if err != nil {
		e.log.Debug("question not read", "execution", r.key, "error", err)
	}
	var questions []string
	for _, in := range inputs {
		questions = append(questions, in.Message)
	}
	return strings.Join(questions, "; ")
}

func (e *engine) applyStages(r stageRead, at time.Time, stages []jenkins.Stage, question string, none bool) {
	e.mu.Lock()
	w := e.watches[r.uid]
	if w == nil {
		e.mu.Unlock()
		return
	}
	seen := stagesOf(stages)
	changed := none != w.look.NoStages || r.over || question != w.look.Question || !sameStages(w.look.Stages, seen)
	w.look.Stages, w.look.StagesAt, w.look.NoStages, w.look.Question, w.final = seen, at, none, question, r.over
	e.mu.Unlock()
	if changed {
		e.notify(r.key)
	}
}
