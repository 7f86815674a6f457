package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// cleanUp removes what an execution that is being deleted has left outside: its job,
// which ends its build, its Secret and its pods; then the finalizer. Everything may be
// gone already.
func (c *executions) cleanUp(ctx context.Context, e *v1alpha1.PipelineExecution) Outcome {
	c.mu.Lock()
	gone := c.gone[e.UID]
	c.mu.Unlock()
	if gone || !slices.Contains(e.Finalizers, v1alpha1.Finalizer) {
		c.left(keyOf(e))
		return Done{}
	}
	ctx, cancel := context.WithTimeout(ctx, verbTimeout)
	defer cancel()
	if m := c.memory(e); e.Status.Engine != nil {
		var err error
		if !m.removed {
			err = c.removeJob(ctx, e)
		}
		switch {
		case err == nil:
		case errors.Is(err, errBusy):
			return Retry{err} // its turn comes
		case e.Annotations[v1alpha1.AnnotationForceRemove] == "" && !c.abandoned(ctx, e) && !(errors.Is(err, errStranded) && pipeline.Ended(e.Status.Phase)):
			c.o.Recorder.Event(e, corev1.EventTypeWarning, engineFailure(err).Reason, fmt.Sprintf(
				"its Jenkins job is not removed: %v. If that Jenkins is gone for ever, annotate the execution with %s=true", err, v1alpha1.AnnotationForceRemove))
			return Retry{err}
		default:
			c.orphan(e, err)
		}
		m.removed = true
		if err := c.deleteBundle(ctx, e); err != nil {
			return Retry{err}
		}
		if err := c.deleteAgents(ctx, e); err != nil {
			return Retry{err}
		}
	}
	next := e.DeepCopy()
	next.Finalizers = slices.DeleteFunc(next.Finalizers, func(f string) bool { return f == v1alpha1.Finalizer })
	if _, err := c.o.Clients.Executions(e.Namespace).Update(ctx, next, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return Retry{fmt.Errorf("let the execution go: %w", err)}
	}
	c.latest.drop(e.UID)
	c.letGo(e)
	c.left(keyOf(e))
	c.admissions.queue.Add(e.Namespace)
	return Done{}
}

// letGo remembers an execution until the cache has let it go, too: what that has of it
// would have it cleaned up once more.
func (c *executions) letGo(e *v1alpha1.PipelineExecution) {
	c.mu.Lock()
	c.gone[e.UID] = true
	c.mu.Unlock()
	cached, _, err := c.executionCache.GetStore().GetByKey(keyOf(e).String())
	if same, ok := cached.(*v1alpha1.PipelineExecution); err == nil && (!ok || same.UID != e.UID) {
		c.outOfCache(e.UID)
	}
}

func (c *executions) outOfCache(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.gone, uid)
}

// orphan says what is left behind, and where: nobody will look after it any more.
func (c *executions) orphan(e *v1alpha1.PipelineExecution, err error) {
	c.log(e).Warn("Jenkins job left behind", "job", refOf(e), "server", e.Status.Engine.Server, "error", err)
	c.o.Recorder.Event(e, corev1.EventTypeWarning, v1alpha1.ReasonEngineLost, fmt.Sprintf(
		"job %s is left behind at %s: remove it there, and stop its build, should that Jenkins come back (%v)", refOf(e), firstNonEmpty(e.Status.Engine.Server, "its Jenkins"), err))
}

// left forgets an execution that is cleaned up. Nothing tells of it again when it was a
// finished one: those are in no cache.
func (c *executions) left(key types.NamespacedName) {
	c.mu.Lock()
	delete(c.leaving, key)
	c.mu.Unlock()
	c.drop(key)
}

// abandonAfter is how long after the deletion of a project began its executions may wait
// for a Jenkins that cannot be used.
const abandonAfter = 2 * time.Minute

// abandoned tells whether a job that cannot be removed is to be left behind: the project
// is being deleted, and the setting and the Secret that say how to reach its Jenkins are
// gone before its executions, or Jenkins itself is. Nobody can mend that, nor even be
// told: in a namespace that is being deleted nothing is made any more, events neither.
func (c *executions) abandoned(ctx context.Context, e *v1alpha1.PipelineExecution) bool {
	ns, err := c.o.Clients.Namespaces().Get(ctx, e.Namespace, metav1.GetOptions{})
	return err == nil && ns.DeletionTimestamp != nil && c.o.Clock.Since(ns.DeletionTimestamp.Time) >= abandonAfter
}

// errStranded: the job is at a Jenkins that the project does not use any more, and that this
// process does not know how to reach.
var errStranded = errors.New("the PipelineSetting names another Jenkins now")

// removeJob deletes the job, and with it builds and queue items. Jenkins interrupts a
// build that runs; one that does not give in is killed.
func (c *executions) removeJob(ctx context.Context, e *v1alpha1.PipelineExecution) error {
	eng, err := c.engineOf(ctx, e)
	if err != nil {
		return err
	}
	release, err := eng.slot()
	if err != nil {
		return err
	}
	defer release()
	ref := refOf(e)
	if at := e.Status.Engine.Server; at != "" && at != eng.url {
		ev, err := eng.client.Find(ctx, ref, string(e.UID))
		if err == nil && !ev.Exists { // else it is the same Jenkins at another address
			err = fmt.Errorf("job %s is at %s: %w", ref, at, errStranded)
		}
		if err != nil {
			return err
		}
	}
	err = eng.client.DeleteJob(ctx, ref, string(e.UID))
	if !jenkins.IsConflict(err) {
		return err
	}
	c.log(e).Info("killing the builds of a deleted execution", "job", ref.String())
	if err := c.killAll(ctx, eng, e, ref); err != nil {
		return err
	}
	return eng.client.DeleteJob(ctx, ref, string(e.UID))
}

// killAll ends whatever builds the job of an execution has, be they known or not.
func (c *executions) killAll(ctx context.Context, eng *engine, e *v1alpha1.PipelineExecution, ref jenkins.JobRef) error {
	ev, err := eng.client.Find(ctx, ref, string(e.UID))
	if err != nil {
		return err
	}
	for _, b := range ev.Builds {
		if !b.Building {
			continue
		}
		if err := eng.client.Kill(ctx, ref, b.Number); err != nil && !jenkins.IsNotFound(err) {
			return fmt.Errorf("kill build: %w", err)
		}
	}
	return nil
}

// engineOf is the Jenkins that an execution was started at or, where that is not known any
// more, its project's.
func (c *executions) engineOf(ctx context.Context, e *v1alpha1.PipelineExecution) (*engine, error) {
	eng, failure := c.engines.of(ctx, e.Namespace, c.setting(e.Namespace))
	if failure != nil {
		// Of a project that is being deleted, the setting or its Secret may go first.
		eng = c.engines.last(e.Namespace)
	}
	if at := e.Status.Engine.Server; at != "" && (eng == nil || eng.url != at) {
		if old := c.engines.at(e.Namespace, at); old != nil {
			return old, nil
		}
	}
	if eng == nil {
		return nil, errors.New(failure.Message)
	}
	return eng, nil
}
