package controller

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// admissions decides, project by project, which executions may start. A project is
// decided on as a whole and never twice at once, so that two executions never take the
// same slot. What it says is kept in memory only: it is worked out again from the
// executions themselves, since one that was admitted shows it in its phase.
type admissions struct {
	*shared
	queue      *queue[string] // by project
	executions *executions
	settings   *settings

	mu       sync.Mutex
	verdicts map[string]map[types.UID]pipeline.Admission // by project
}

func newAdmissions(s *shared) *admissions {
	a := &admissions{shared: s, verdicts: map[string]map[types.UID]pipeline.Admission{}}
	a.queue = newQueue("admission", s.o, a.reconcile)
	return a
}

// of is what was decided about an execution; the zero value when nothing was yet.
func (a *admissions) of(project string, uid types.UID) pipeline.Admission {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.verdicts[project][uid]
}

// reconcile: gather → decide → tell those for whom it changed.
func (a *admissions) reconcile(_ context.Context, project string) Outcome {
	executions := a.executions.of(project)
	a.mu.Lock()
	before := a.verdicts[project]
	a.mu.Unlock()
	quota, contenders, policies := a.gather(project, executions, before)
	verdicts := pipeline.Admit(quota, contenders, policies)
	after := make(map[types.UID]pipeline.Admission, len(verdicts))
	for uid, v := range verdicts {
		after[types.UID(uid)] = v
	}
	a.mu.Lock()
	if len(after) == 0 {
		delete(a.verdicts, project)
	} else {
		a.verdicts[project] = after
	}
	a.mu.Unlock()
	for _, e := range executions {
		if after[e.UID] != before[e.UID] {
			a.executions.queue.Add(keyOf(e))
		}
	}
	a.settings.changed(project, contenders)
	return Done{}
}

func (a *admissions) gather(project string, executions []*v1alpha1.PipelineExecution, before map[types.UID]pipeline.Admission) (int, []pipeline.Contender, map[string]v1alpha1.Concurrency) {
	quota := v1alpha1.DefaultQuota
	if s := a.executions.setting(project); s != nil && s.Spec.Executor.Quota != nil {
		quota = int(*s.Spec.Executor.Quota)
	}
	policies := map[string]v1alpha1.Concurrency{}
	contenders := make([]pipeline.Contender, 0, len(executions))
	for _, e := range executions {
		if pipeline.Ended(e.Status.Phase) {
			continue
		}
		name := e.Spec.PipelineRef.Name
		if p := a.cachedPipeline(project, name); p != nil && p.Spec.Concurrency != nil {
			policies[name] = *p.Spec.Concurrency
		}
		active := holdsSlot(e)
		held := !active && a.executions.held(e)
		contenders = append(contenders, pipeline.Contender{
			UID: string(e.UID), Name: e.Name, Created: e.CreationTimestamp.Time, Pipeline: name, Line: pipeline.LineOf(e.Spec.Source),
			// One that was admitted keeps its slot while it reads its config.
			Active:   active || !held && before[e.UID].Admitted,
			Stopping: e.Spec.Control == v1alpha1.ControlStop || e.DeletionTimestamp != nil,
			Hold:     held,
		})
	}
	return quota, contenders, policies
}

// held tells whether an execution that waits takes no part in the queue now.
func (c *executions) held(e *v1alpha1.PipelineExecution) bool {
	if e.DeletionTimestamp != nil || e.Spec.Control == v1alpha1.ControlStop || e.Spec.Control == v1alpha1.ControlPause {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.memories[keyOf(e)]
	return m != nil && m.uid == e.UID && m.notBefore.After(c.o.Clock.Now())
}

func (s *shared) cachedPipeline(project, name string) *v1alpha1.Pipeline {
	obj, ok, err := s.pipelineCache.GetStore().GetByKey(project + "/" + name)
	if err != nil || !ok {
		return nil
	}
	p, ok := obj.(*v1alpha1.Pipeline)
	if !ok {
		return nil
	}
	return newest(s.latest, p)
}
