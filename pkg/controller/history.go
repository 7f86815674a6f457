package controller

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

const (
	// historyPage is how many finished runs are read at a time.
	historyPage = 200
	// historyCheck is how often a pipeline with a ttl is looked at at the latest.
	historyCheck = 10 * time.Minute
	// historyDelay gathers the ends of runs into one look.
	historyDelay = 5 * time.Second
)

// histories deletes finished runs that are over their pipeline's limits, or whose pipeline
// is gone. Nothing of them
// is kept in memory: the server selects, and sends metadata only.
type histories struct {
	*shared
	queue *queue[types.NamespacedName]
}

func newHistories(s *shared) *histories {
	c := &histories{shared: s}
	c.queue = newQueue("history", s.o, c.reconcile)
	return c
}

func (c *histories) reconcile(ctx context.Context, key types.NamespacedName) Outcome {
	p := c.cachedPipeline(key.Namespace, key.Name)
	switch {
	case p != nil && p.DeletionTimestamp != nil:
		return Done{}
	case p == nil && c.known(key.Namespace, key.Name):
		return Done{} // it was a name cut short: that pipeline is looked at by its own
	case p == nil:
		return c.orphans(ctx, key)
	}
	finished, err := c.gather(ctx, p.Namespace, "spec.pipelineRef.name="+p.Name, "")
	if err != nil {
		return Retry{err}
	}
	for _, name := range pipeline.Surplus(p.Spec.History, finished) {
		if err := c.delete(ctx, p.Namespace, name); err != nil {
			return Retry{err}
		}
	}
	if p.Spec.History == nil || p.Spec.History.TTL == nil {
		return Done{}
	}
	next, err := c.expire(ctx, p.Namespace, p.Spec.History.TTL.Duration, finished)
	if err != nil {
		return Retry{err}
	}
	return Wait(next)
}

// orphans deletes the runs of a pipeline that is gone, in a while. They may be all that is
// left to look at, but nobody else would ever delete them.
func (c *histories) orphans(ctx context.Context, key types.NamespacedName) Outcome {
	finished, err := c.gather(ctx, key.Namespace, "", v1alpha1.LabelValue(key.Name))
	if err != nil {
		return Retry{err}
	}
	if len(finished) == 0 {
		return Done{}
	}
	next, err := c.expire(ctx, key.Namespace, pipeline.OrphanTTL, finished)
	if err != nil {
		return Retry{err}
	}
	return Wait(next)
}

// known tells whether there is a pipeline whose runs have that label.
func (c *histories) known(project, label string) bool {
	found, err := kube.Indexed[*v1alpha1.Pipeline](c.pipelineCache.GetIndexer(), byLabel, project+"/"+label)
	return err == nil && len(found) > 0
}

// passBy has the runs of a pipeline looked at that is gone, since nothing else would: it
// may have gone while nobody looked.
func (c *histories) passBy(m *metav1.PartialObjectMetadata) {
	if label := m.Labels[v1alpha1.LabelPipeline]; label != "" && !c.known(m.Namespace, label) {
		c.queue.Add(types.NamespacedName{Namespace: m.Namespace, Name: label})
	}
}

// gather lists the finished runs of one pipeline, page by page: by a field or, when the
// name of the pipeline is not known any more, by its label.
func (c *histories) gather(ctx context.Context, project, field, label string) ([]pipeline.Finished, error) {
	selector := labels.Set{v1alpha1.LabelPhaseClass: v1alpha1.PhaseClassFinished}
	if label != "" {
		selector[v1alpha1.LabelPipeline] = label
	}
	var finished []pipeline.Finished
	for _, phase := range []v1alpha1.Phase{v1alpha1.PhaseSucceeded, v1alpha1.PhaseFailed, v1alpha1.PhaseAborted} {
		opts := metav1.ListOptions{
			Limit:         historyPage,
			FieldSelector: strings.TrimSuffix("status.phase="+string(phase)+","+field, ","),
			LabelSelector: selector.String(),
		}
		for {
			page, err := c.o.Clients.Executions(project).ListMetadata(ctx, opts)
			if err != nil {
				return nil, fmt.Errorf("list finished runs: %w", err)
			}
			for _, m := range page.Items {
				if m.DeletionTimestamp == nil {
					run, _ := strconv.ParseInt(m.Labels[v1alpha1.LabelRun], 10, 64) // 0 when it has none
					finished = append(finished, pipeline.Finished{Name: m.Name, Created: m.CreationTimestamp.Time, Run: run, Succeeded: phase == v1alpha1.PhaseSucceeded})
				}
			}
			if opts.Continue = page.Continue; opts.Continue == "" {
				break
			}
		}
	}
	return finished, nil
}

// expire deletes runs that ended longer ago than the ttl, and tells when the next does.
// When a run ended stands in its status, which is read only of those that are old enough
// to have ended then.
func (c *histories) expire(ctx context.Context, project string, ttl time.Duration, finished []pipeline.Finished) (time.Duration, error) {
	now := c.o.Clock.Now()
	next := historyCheck
	for _, f := range finished {
		if left := f.Created.Add(ttl).Sub(now); left > 0 {
			next = min(next, left)
			continue
		}
		e, err := c.o.Clients.Executions(project).Get(ctx, f.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && e.Status.FinishedAt == nil {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("read execution %s: %w", f.Name, err)
		}
		if left := e.Status.FinishedAt.Add(ttl).Sub(now); left > 0 {
			next = min(next, left)
			continue
		}
		if err := c.delete(ctx, project, f.Name); err != nil {
			return 0, err
		}
	}
	return max(next, time.Second), nil
}

func (c *histories) delete(ctx context.Context, project, name string) error {
	err := c.o.Clients.Executions(project).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete execution %s: %w", name, err)
	}
	c.o.Log.Info("finished run deleted", "namespace", project, "execution", name)
	return nil
}
