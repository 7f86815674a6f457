package controller

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

const (
	// countDelay gathers changes of a project's queue into one write.
	countDelay = time.Second
	// engineCheck is how often a project's Jenkins is asked about for EngineReady.
	engineCheck = time.Minute
	// firstCheck is the same while the answer is not known yet, or no.
	firstCheck = 5 * time.Second
)

// settings says in each PipelineSetting how many executions run and wait, and whether
// Jenkins can be used.
type settings struct {
	*shared
	queue   *queue[string] // by project
	engines *engines

	mu     sync.Mutex
	counts map[string]counts
}

type counts struct{ running, queued int32 }

func newSettings(s *shared) *settings {
	c := &settings{shared: s, counts: map[string]counts{}}
	c.queue = newQueue("setting", s.o, c.reconcile)
	return c
}

// changed takes over the numbers of a project.
func (c *settings) changed(project string, contenders []pipeline.Contender) {
	var n counts
	for _, x := range contenders {
		if x.Active {
			n.running++
		} else {
			n.queued++
		}
	}
	c.mu.Lock()
	differs := c.counts[project] != n
	if n == (counts{}) {
		delete(c.counts, project)
	} else {
		c.counts[project] = n
	}
	var all counts
	for _, x := range c.counts {
		all.running += x.running
		all.queued += x.queued
	}
	c.mu.Unlock()
	c.o.Metrics.executions.WithLabelValues("running").Set(float64(all.running))
	c.o.Metrics.executions.WithLabelValues("queued").Set(float64(all.queued))
	if differs {
		c.queue.AddAfter(project, countDelay)
	}
}

// +kubebuilder:rbac:groups=kubectl-pipeline.io,resources=pipelinesettings/status,verbs=update

func (c *settings) reconcile(ctx context.Context, project string) Outcome {
	obj, ok, err := c.settingCache.GetStore().GetByKey(project + "/" + v1alpha1.SettingName)
	if err != nil {
		return Retry{err}
	}
	cached, isSetting := obj.(*v1alpha1.PipelineSetting)
	if !ok || !isSetting || cached.DeletionTimestamp != nil {
		return c.engines.leave(project)
	}
	s := newest(c.latest, cached).DeepCopy()
	before := s.Status.DeepCopy()
	c.mu.Lock()
	n := c.counts[project]
	c.mu.Unlock()
	s.Status.Running, s.Status.Queued, s.Status.ObservedGeneration = n.running, n.queued, s.Generation
	eng, failure := c.engines.of(ctx, project, cached)
	check := c.engineReady(s, eng, failure)
	up, down := c.engines.state()
	c.o.Metrics.engines.WithLabelValues("up").Set(float64(up))
	c.o.Metrics.engines.WithLabelValues("down").Set(float64(down))
	if equality.Semantic.DeepEqual(*before, s.Status) {
		return check
	}
	written, err := c.o.Clients.Settings(project).UpdateStatus(ctx, s, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return Done{}
	}
	if err != nil {
		return Retry{fmt.Errorf("write status: %w", err)}
	}
	c.latest.put(written)
	return check
}

func (c *settings) engineReady(s *v1alpha1.PipelineSetting, eng *engine, failure *pipeline.Failure) Outcome {
	cond := metav1.Condition{Type: v1alpha1.ConditionEngineReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady,
		ObservedGeneration: s.Generation, LastTransitionTime: *pipeline.Stamp(c.o.Clock.Now())}
	check := Wait(engineCheck)
	if failure == nil {
		var looked bool
		if looked, failure = eng.state(); !looked {
			return Wait(firstCheck)
		}
	}
	if failure != nil {
		cond.Status, cond.Reason, cond.Message = metav1.ConditionFalse, failure.Reason, failure.Message
		check = Wait(firstCheck)
	}
	meta.SetStatusCondition(&s.Status.Conditions, cond)
	return check
}

// state is whether the engine was looked at, and what is wrong with it.
func (e *engine) state() (looked bool, failure *pipeline.Failure) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.down != "" {
		return e.looked, &pipeline.Failure{Reason: e.down, Message: e.message}
	}
	return e.looked, nil
}
