package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// executions has Jenkins carry executions out. What comes next is decided by
// pipeline.Next; see its diagram.
type executions struct {
	*shared
	queue      *queue[types.NamespacedName]
	engines    *engines
	admissions *admissions
	pipelines  *pipelines
	histories  *histories
	numbers    keyedMutex               // by pipeline: its run numbers are handed out one by one
	readers    lately[string]           // projects whose ServiceAccount for logs was there
	namespaces lately[projectNamespace] // executor namespaces that were there
	reads      *turns                   // of runs whose config is being read

	mu       sync.Mutex
	memories map[types.NamespacedName]*memory
	leaving  map[types.NamespacedName]bool // finished executions that are being deleted
	gone     map[types.UID]bool            // executions that were let go and are in the cache still
}

// memory is what this process knows of an execution because it did it.
type memory struct {
	pipeline.Memory
	uid       types.UID
	config    *prepared // of the run as it was initialized; nil when it is not known
	run       int64     // number that was handed out, until it is written down
	failures  int       // of the same kind in a row
	engine    *engine   // that watches it
	logTries  int       // reads of its log that failed
	notBefore time.Time // when it takes part in the queue again; guarded by executions.mu
	setting   int64     // generation of the setting with which initializing failed
	recalled  time.Time // when its config was read again last
	counted   bool      // its end was told
	bundle    bool      // it may have a Secret in the executor namespace
	// removed: its job is, for its deletion. It is not looked for again, which would make one
	// for a moment: the execution may be gone, if only the answer to our last write was lost.
	removed bool
}

func newExecutions(s *shared, a *admissions, p *pipelines) *executions {
	c := &executions{shared: s, admissions: a, pipelines: p, memories: map[types.NamespacedName]*memory{}, leaving: map[types.NamespacedName]bool{}, gone: map[types.UID]bool{}}
	c.queue = newQueue("execution", s.o, c.reconcile)
	c.reads = newTurns(max(s.o.Workers/2, 1), c.queue.Add) // Git hosts that hang leave the other half to work
	c.engines = newEngines(s.o, c.queue.Add)
	return c
}

// reconcile: get → deleted? → copy → gather → decide → act → write status once → requeue.
func (c *executions) reconcile(ctx context.Context, key types.NamespacedName) Outcome {
	e, err := c.get(ctx, key)
	if err != nil {
		return Retry{err}
	}
	if e == nil {
		c.drop(key)
		return Done{}
	}
	if e.DeletionTimestamp != nil {
		c.reads.leave(key)
		return c.cleanUp(ctx, e)
	}
	m := c.memory(e)
	e = e.DeepCopy()
	for range maxSteps {
		outcome, more := c.step(ctx, e, m)
		if !more {
			return outcome
		}
	}
	c.queue.Add(key)
	return Done{}
}

// maxSteps bounds what one look does for one execution, from being admitted to being
// triggered.
const maxSteps = 4

// step does one thing at most. What it says of more is due at once: an intent that was
// recorded is carried out here and now, since behind a long queue it would have grown too
// old, again and again.
func (c *executions) step(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory) (outcome Outcome, more bool) {
	seen := c.gather(ctx, e, m)
	plan := pipeline.Next(seen, c.o.Clock.Now())
	if plan.Verb != pipeline.DoInitialize {
		c.reads.leave(keyOf(e))
	}
	if plan.Verb == pipeline.DoRelease {
		return c.release(ctx, e, m), false
	}
	var done pipeline.Plan
	if plan.Verb != pipeline.DoNothing {
		c.log(e).Debug("acting", "verb", plan.Verb, "target", plan.Target)
		if err := c.act(ctx, e, m, plan); errors.Is(err, errReading) {
			return Done{}, false // it is woken when it is its turn
		} else if err != nil {
			return Retry{fmt.Errorf("%s: %w", plan.Verb, err)}, false
		}
		// What was learnt decides what is written; a verb that this asks for is the next step's.
		seen = c.gather(ctx, e, m)
		done = plan
		plan = pipeline.Next(seen, c.o.Clock.Now())
	}
	c.note(m, plan)
	if err := c.writeStatus(ctx, e, m, plan.Status); err != nil {
		return Retry{err}, false
	}
	c.afterwards(e, m, plan)
	switch {
	case plan.Verb == done.Verb && plan.Target == done.Target && plan.Verb != pipeline.DoNothing:
		return Wait(lookInterval), false // what it did has not shown yet
	case plan.Verb != pipeline.DoNothing, !m.Intent.IsZero() && m.Intent.Equal(intentOf(e)) && plan.After <= time.Millisecond:
		return nil, true
	case plan.After > 0:
		return Wait(plan.After), false
	}
	return Done{}, false
}

// get is the execution as it is now, nil when it is gone or of no concern: the cache
// holds active ones, so of the others only those that are being deleted are read.
func (c *executions) get(ctx context.Context, key types.NamespacedName) (*v1alpha1.PipelineExecution, error) {
	if obj, ok, err := c.executionCache.GetStore().GetByKey(key.String()); err == nil && ok {
		if e, ok := obj.(*v1alpha1.PipelineExecution); ok {
			if e = newest(c.latest, e); e.DeletionTimestamp != nil || e.Labels[v1alpha1.LabelPhaseClass] != v1alpha1.PhaseClassFinished {
				return e, nil
			}
			return nil, nil // let go, and not yet out of the cache
		}
	}
	c.mu.Lock()
	leaving := c.leaving[key]
	c.mu.Unlock()
	if !leaving {
		return nil, nil
	}
	e, err := c.o.Clients.Executions(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && e.DeletionTimestamp == nil {
		c.mu.Lock()
		delete(c.leaving, key)
		c.mu.Unlock()
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read execution: %w", err)
	}
	return e, nil
}

// forget has a finished execution that is being deleted cleaned up.
func (c *executions) forget(key types.NamespacedName) {
	c.mu.Lock()
	c.leaving[key] = true
	c.mu.Unlock()
	c.queue.Add(key)
}

// memory is what is known of an execution; an earlier one of the same name is forgotten.
func (c *executions) memory(e *v1alpha1.PipelineExecution) *memory {
	key := keyOf(e)
	c.mu.Lock()
	m := c.memories[key]
	c.mu.Unlock()
	if m != nil && m.uid == e.UID {
		return m
	}
	c.drop(key)
	m = &memory{uid: e.UID, bundle: true}
	c.mu.Lock()
	c.memories[key] = m
	c.mu.Unlock()
	return m
}

// drop forgets an execution of which nothing more is to be done. Only the worker that
// looks at it may call it.
func (c *executions) drop(key types.NamespacedName) {
	c.mu.Lock()
	m := c.memories[key]
	delete(c.memories, key)
	c.mu.Unlock()
	c.reads.leave(key)
	if m != nil && m.engine != nil {
		m.engine.unwatch(m.uid)
	}
}

func (c *executions) addUID(uid types.UID) {
	found, err := kube.Indexed[*v1alpha1.PipelineExecution](c.executionCache.GetIndexer(), byUID, string(uid))
	if err != nil {
		return
	}
	for _, e := range found {
		c.queue.Add(keyOf(e))
	}
}

// addAll looks at all executions of a project.
func (c *executions) addAll(project string) {
	for _, e := range c.of(project) {
		c.queue.Add(keyOf(e))
	}
}
