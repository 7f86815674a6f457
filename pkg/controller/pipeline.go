package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// rollupDelay gathers the changes of a pipeline's runs into one write.
const rollupDelay = time.Second

// pipelines rolls up the runs of each Pipeline in its status.
type pipelines struct {
	*shared
	queue *queue[types.NamespacedName]

	mu    sync.Mutex
	notes map[types.NamespacedName]map[string]noted // runs that changed, by pipeline and name
}

// noted is what the roll-up needs of a run, which may be gone from memory by then.
type noted struct {
	summary v1alpha1.ExecutionSummary
	node    string
	placed  time.Time
}

func newPipelines(s *shared) *pipelines {
	p := &pipelines{shared: s, notes: map[types.NamespacedName]map[string]noted{}}
	p.queue = newQueue("pipeline", s.o, p.reconcile)
	return p
}

// note takes down how a run goes, to be rolled up soon.
func (c *pipelines) note(e *v1alpha1.PipelineExecution) {
	if e.Spec.Run == 0 {
		return
	}
	key := types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.PipelineRef.Name}
	c.mu.Lock()
	if c.notes[key] == nil {
		c.notes[key] = map[string]noted{}
	}
	c.notes[key][e.Name] = notedOf(e)
	c.mu.Unlock()
	c.queue.AddAfter(key, rollupDelay)
}

func notedOf(e *v1alpha1.PipelineExecution) noted {
	n := noted{summary: v1alpha1.ExecutionSummary{
		Name: e.Name, Run: e.Spec.Run, Phase: e.Status.Phase, StartedAt: e.Status.StartedAt, FinishedAt: e.Status.FinishedAt,
	}}
	if a := e.Status.Agent; a != nil && e.Status.StartedAt != nil {
		n.node, n.placed = a.Node, e.Status.StartedAt.Time
	}
	return n
}

// get is a Pipeline, from the cache or, when that does not have it yet, from the server.
func (c *pipelines) get(ctx context.Context, project, name string) (*v1alpha1.Pipeline, error) {
	if p := c.cachedPipeline(project, name); p != nil {
		return p, nil
	}
	return c.o.Clients.Pipelines(project).Get(ctx, name, metav1.GetOptions{})
}

func (c *pipelines) reconcile(ctx context.Context, key types.NamespacedName) Outcome {
	p := c.cachedPipeline(key.Namespace, key.Name)
	if p == nil || p.DeletionTimestamp != nil {
		c.mu.Lock()
		delete(c.notes, key)
		c.mu.Unlock()
		return Done{}
	}
	c.mu.Lock()
	notes := c.notes[key]
	delete(c.notes, key)
	c.mu.Unlock()
	runs, err := c.gather(ctx, p, notes)
	if err == nil {
		err = c.write(ctx, p, c.rollUp(p, runs))
	}
	if err != nil {
		c.putBack(key, notes)
		return Retry{err}
	}
	return Done{}
}

// gather collects the runs that may have changed: the active ones, those that were
// noted, and the last one if it ended while nobody looked.
func (c *pipelines) gather(ctx context.Context, p *v1alpha1.Pipeline, notes map[string]noted) ([]noted, error) {
	known := map[string]noted{}
	active, err := kube.Indexed[*v1alpha1.PipelineExecution](c.executionCache.GetIndexer(), byPipeline, p.Namespace+"/"+p.Name)
	if err != nil {
		return nil, err
	}
	for _, e := range active {
		if e = newest(c.latest, e); e.Spec.Run != 0 {
			known[e.Name] = notedOf(e)
		}
	}
	for name, n := range notes {
		if k, ok := known[name]; !ok || !pipeline.Ended(k.summary.Phase) {
			known[name] = n
		}
	}
	if last := p.Status.LastExecution; last != nil && !pipeline.Ended(last.Phase) {
		if _, ok := known[last.Name]; !ok {
			e, err := c.o.Clients.Executions(p.Namespace).Get(ctx, last.Name, metav1.GetOptions{})
			switch {
			case err == nil && e.Spec.PipelineRef.Name == p.Name:
				known[last.Name] = notedOf(e)
			case err != nil && !apierrors.IsNotFound(err):
				return nil, fmt.Errorf("read execution %s: %w", last.Name, err)
			}
		}
	}
	runs := make([]noted, 0, len(known))
	for _, n := range known {
		runs = append(runs, n)
	}
	slices.SortFunc(runs, func(a, b noted) int { return cmp.Compare(a.summary.Run, b.summary.Run) })
	return runs, nil
}

// rollUp decides what the status says. Runs are in the order of their numbers.
func (c *pipelines) rollUp(p *v1alpha1.Pipeline, runs []noted) v1alpha1.PipelineStatus {
	s := *p.Status.DeepCopy()
	for _, r := range runs {
		if s.LastExecution == nil || r.summary.Run >= s.LastExecution.Run {
			s.LastExecution = r.summary.DeepCopy()
		}
		if r.node != "" {
			s.RecentNodes, _ = pipeline.RecentNodes(s.RecentNodes, r.node, r.summary.Run, r.placed)
		}
		if r.summary.Run >= max(s.NextRun, 1) {
			s.NextRun = r.summary.Run + 1 // a number that a person chose
		}
	}
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, ObservedGeneration: p.Generation,
		LastTransitionTime: *pipeline.Stamp(c.o.Clock.Now())}
	switch ref := p.Spec.RepositoryRef; {
	case ref != nil && !c.hasRepository(p.Namespace, ref.Name):
		ready.Status, ready.Reason = metav1.ConditionFalse, v1alpha1.ReasonRepositoryNotFound
		ready.Message = fmt.Sprintf("SourceCodeRepository %s does not exist", ref.Name)
	case p.Spec.Suspend:
		ready.Reason, ready.Message = v1alpha1.ReasonSuspended, "events start no run; people can"
	default:
		ready.Message = strings.Join(pipeline.IdleTriggers(p.Spec.Triggers), "; ")
	}
	meta.SetStatusCondition(&s.Conditions, ready)
	s.ObservedGeneration = p.Generation
	return s
}

func (c *pipelines) hasRepository(project, name string) bool {
	_, ok, err := c.repositoryCache.GetStore().GetByKey(project + "/" + name)
	return err == nil && ok
}

// write patches what is rolled up and leaves the rest alone: numbers are handed out at
// the same time. Only when a number itself has to be raised, nobody may have written
// in between.
func (c *pipelines) write(ctx context.Context, p *v1alpha1.Pipeline, s v1alpha1.PipelineStatus) error {
	if equality.Semantic.DeepEqual(p.Status, s) {
		return nil
	}
	fields := map[string]any{"conditions": s.Conditions, "observedGeneration": s.ObservedGeneration}
	if s.LastExecution != nil {
		last := map[string]any{"name": s.LastExecution.Name, "run": s.LastExecution.Run, "phase": s.LastExecution.Phase,
			"startedAt": s.LastExecution.StartedAt, "finishedAt": s.LastExecution.FinishedAt} // null removes what the run before had
		fields["lastExecution"] = last
	}
	if len(s.RecentNodes) > 0 {
		fields["recentNodes"] = s.RecentNodes
	}
	version := ""
	if s.NextRun != p.Status.NextRun {
		fields["nextRun"], version = s.NextRun, p.ResourceVersion
	}
	written, err := patchStatus(ctx, c.o.Clients.Pipelines(p.Namespace), p.Name, version, fields)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	c.latest.put(written)
	return nil
}

// putBack keeps notes that could not be written down, unless there are newer ones.
func (c *pipelines) putBack(key types.NamespacedName, notes map[string]noted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.notes[key] == nil {
		c.notes[key] = map[string]noted{}
	}
	for name, n := range notes {
		if _, newer := c.notes[key][name]; !newer {
			c.notes[key][name] = n
		}
	}
}

// addUsers looks at the pipelines that build a repository.
func (c *pipelines) addUsers(r *v1alpha1.SourceCodeRepository) {
	for _, obj := range c.pipelineCache.GetStore().List() {
		if p, ok := obj.(*v1alpha1.Pipeline); ok && p.Namespace == r.Namespace && p.Spec.RepositoryRef != nil && p.Spec.RepositoryRef.Name == r.Name {
			c.queue.Add(keyOf(p))
		}
	}
}
