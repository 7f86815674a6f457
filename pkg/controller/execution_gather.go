package controller

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// gather collects what the decision depends on. It reads memory only, except for the
// credentials of Jenkins once a minute.
func (c *executions) gather(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory) pipeline.Observed {
	seen := pipeline.Observed{
		Execution: e,
		Job:       refOf(e).String(),
		Admission: c.admissions.of(e.Namespace, e.UID),
		Agent:     c.agent(e),
	}
	c.requeue(e, m)
	switch {
	case pipeline.Ended(e.Status.Phase):
	case e.Status.Engine != nil:
		seen.Server, seen.Engine = c.watchEngine(ctx, e, m)
		c.recall(ctx, e, m)
	case seen.Admission.Admitted:
		if eng, failure := c.engines.of(ctx, e.Namespace, c.setting(e.Namespace)); failure == nil {
			seen.Server = eng.url
		}
	}
	seen.Memory = m.Memory
	return seen
}

// requeue lets an execution take part in the queue again when its time has come, or when
// the setting that it may have failed for has changed.
func (c *executions) requeue(e *v1alpha1.PipelineExecution, m *memory) {
	changed := m.Initialized != nil && m.Initialized.Failure != nil && m.setting != generationOf(c.setting(e.Namespace))
	c.mu.Lock()
	if changed && !m.notBefore.IsZero() {
		m.notBefore = c.o.Clock.Now()
		m.Initialized.Failure.Until = m.notBefore
	}
	due := !m.notBefore.IsZero() && !m.notBefore.After(c.o.Clock.Now())
	if due {
		m.notBefore = time.Time{}
	}
	c.mu.Unlock()
	if due {
		c.admissions.queue.Add(e.Namespace)
	}
}

// watchEngine is the run's Jenkins as it was looked at last, and has it looked at from now
// on. That is the one that the run was started at, for as long as this process knows how
// to reach it; else the project's, whose address is given too.
func (c *executions) watchEngine(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory) (server string, view pipeline.Engine) {
	eng, failure := c.engines.of(ctx, e.Namespace, c.setting(e.Namespace))
	if failure == nil {
		server = eng.url
	}
	if at := e.Status.Engine.Server; at != "" && at != server {
		if old := c.engines.at(e.Namespace, at); old != nil {
			eng, failure = old, nil
		}
	}
	if failure != nil {
		// Since when is not known; since the epoch is long enough to say so at once.
		return "", pipeline.Engine{Down: failure.Reason, Message: failure.Message}
	}
	if m.engine != eng {
		if m.engine != nil {
			if m.engine.url != eng.url { // what was learnt there says nothing here
				m.Evidence, m.Search, m.Provisioned = nil, nil, false
			}
			m.engine.unwatch(e.UID)
		}
		m.engine = eng
		eng.watch(e.UID, keyOf(e), refOf(e))
	}
	return server, eng.view(e.UID)
}

// recall works the run's timeouts out again after a restart.
func (c *executions) recall(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory) {
	if m.Initialized != nil && m.Initialized.Failure == nil {
		return
	}
	if c.o.Clock.Since(m.recalled) < secretAge {
		return
	}
	m.recalled = c.o.Clock.Now()
	p, err := c.prepare(ctx, e)
	if err != nil {
		c.log(e).Warn("timeouts are not known", "error", err)
		if f, ok := errors.AsType[*failure](err); ok && f.terminal && m.Initialized == nil {
			// What it was made from is gone, such as its Pipeline. Jenkins keeps the timeout of
			// the run; that of an agent which never comes is ours alone.
			m.Initialized = &pipeline.Initialized{AgentTimeout: pipeline.AgentTimeout(c.setting(e.Namespace))}
		}
		return
	}
	m.Initialized, m.config = p.initialized(), p
}

func generationOf(s *v1alpha1.PipelineSetting) int64 {
	if s == nil {
		return 0
	}
	return s.Generation
}

func (c *executions) setting(project string) *v1alpha1.PipelineSetting {
	obj, ok, err := c.settingCache.GetStore().GetByKey(project + "/" + v1alpha1.SettingName)
	if err != nil || !ok {
		return nil
	}
	s, _ := obj.(*v1alpha1.PipelineSetting)
	return s
}

// of are the active executions of a project, as we know them best.
func (c *executions) of(project string) []*v1alpha1.PipelineExecution {
	found, err := kube.Indexed[*v1alpha1.PipelineExecution](c.executionCache.GetIndexer(), "namespace", project)
	if err != nil {
		return nil
	}
	for i := range found {
		found[i] = newest(c.latest, found[i])
	}
	return found
}

// agent is the pod of an execution: of several, the newest that is not going away.
func (c *executions) agent(e *v1alpha1.PipelineExecution) *pipeline.Agent {
	return agentOf(c.agentPods(e))
}

func (c *executions) log(e *v1alpha1.PipelineExecution) *slog.Logger {
	return c.o.Log.With("namespace", e.Namespace, "execution", e.Name)
}

// refOf is the job of an execution. One that has a job keeps it, whatever its name
// would be today.
func refOf(e *v1alpha1.PipelineExecution) jenkins.JobRef {
	if e.Status.Engine != nil && e.Status.Engine.Job != "" {
		if i := strings.LastIndexByte(e.Status.Engine.Job, '/'); i >= 0 {
			return jenkins.JobRef{Folder: e.Status.Engine.Job[:i], Name: e.Status.Engine.Job[i+1:]}
		}
	}
	n := v1alpha1.ProjectNames{Namespace: e.Namespace}
	return jenkins.JobRef{Folder: n.JenkinsFolder(), Name: n.JenkinsJob(e.Name, string(e.UID))}
}
