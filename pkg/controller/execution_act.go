package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// verbTimeout bounds one verb, whatever it consists of.
const verbTimeout = 30 * time.Second

// act carries out the verb of a plan and keeps what came of it in memory. Its error is
// for what has no place there.
func (c *executions) act(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory, plan pipeline.Plan) error {
	ctx, cancel := context.WithTimeout(ctx, verbTimeout)
	defer cancel()
	switch plan.Verb {
	case pipeline.DoInitialize:
		return c.initialize(ctx, e, m)
	case pipeline.DoProvision:
		return c.provision(ctx, e, m)
	case pipeline.DoDeleteAgent:
		m.AgentDeleted = c.o.Clock.Now()
		return c.deleteAgents(ctx, e)
	default:
		return c.actOnEngine(ctx, e, m, plan)
	}
}

// errBusy: the engine has as much to do for us as we allow ourselves.
var errBusy = errors.New("Jenkins is busy with other executions")

// slot is the right to ask something of one Jenkins.
func (e *engine) slot() (release func(), err error) {
	select {
	case e.verbs <- struct{}{}:
		return func() { <-e.verbs }, nil
	default:
		return nil, errBusy
	}
}

func (c *executions) actOnEngine(ctx context.Context, e *v1alpha1.PipelineExecution, m *memory, plan pipeline.Plan) error {
	eng := m.engine
	if eng == nil {
		return nil // not configured any more: the next look says so
	}
	release, err := eng.slot()
	if err != nil {
		return err
	}
	defer release()
	ref, number, now := refOf(e), int(plan.Target), c.o.Clock.Now()
	if at := e.Status.Engine.Server; plan.Verb == pipeline.DoStart && at != "" && at != eng.url {
		return nil // the setting was changed just now: the intent is recorded anew first
	}
	switch plan.Verb {
	case pipeline.DoStart:
		err = c.start(ctx, eng, e, m, ref)
	case pipeline.DoFind:
		c.find(ctx, eng, e, m, ref)
	case pipeline.DoCancelQueue:
		var cancelled bool
		if cancelled, err = eng.client.CancelQueue(ctx, plan.Target); cancelled {
			m.Cancelled = plan.Target
		}
	case pipeline.DoStop:
		m.StopRung, m.Stop, err = plan.Verb, now, eng.client.Stop(ctx, ref, number)
	case pipeline.DoTerm:
		m.StopRung, m.Stop, err = plan.Verb, now, eng.client.Term(ctx, ref, number)
	case pipeline.DoKill:
		m.StopRung, m.Stop, err = plan.Verb, now, eng.client.Kill(ctx, ref, number)
	case pipeline.DoPause, pipeline.DoResume:
		c.setPaused(ctx, eng, e, m, number, plan.Verb == pipeline.DoPause)
	case pipeline.DoReadLog:
		err = c.readLog(ctx, eng, m, ref, number)
	default:
		return fmt.Errorf("unknown verb %q", plan.Verb)
	}
	c.o.Metrics.verb(plan.Verb, err)
	eng.kick()
	switch {
	case plan.Verb == pipeline.DoStart:
		return nil // remembered as its outcome
	case jenkins.IsNotFound(err), jenkins.IsConflict(err):
		return nil // it was over before: the next look shows it
	case err != nil && !eng.reachable():
		return nil // the next look says so
	}
	return err
}

// start sends the trigger, once. What came of it is remembered, and written down by the
// decision that follows.
func (c *executions) start(ctx context.Context, eng *engine, e *v1alpha1.PipelineExecution, m *memory, ref jenkins.JobRef) error {
	ctx, cancel := context.WithTimeout(ctx, pipeline.StartTimeout)
	defer cancel()
	started := &pipeline.Started{Intent: intentOf(e), Outcome: pipeline.OutcomeUnknown}
	m.Start, m.Intent = started, time.Time{} // used up, whatever happens now
	queued, err := eng.client.Start(ctx, ref, jenkins.Params{UID: string(e.UID), Attempt: int(e.Status.Engine.Attempt)})
	started.At = c.o.Clock.Now()
	switch {
	case err == nil && queued.Coalesced:
		// Merged with an item that may be somebody else's: what Jenkins shows of ours decides.
		started.Failure = &pipeline.Failure{Reason: v1alpha1.ReasonStarting, Message: "Jenkins merged the trigger with another; looking for the build"}
	case err == nil:
		m.failures = 0
		started.Outcome, started.QueueID, started.Session = pipeline.OutcomeAccepted, queued.QueueID, queued.Session
	case errors.Is(err, jenkins.ErrUnknownOutcome):
		started.Failure = c.fromEngine(err, m)
	default:
		started.Outcome, started.Failure = pipeline.OutcomeRefused, c.fromEngine(err, m)
		if jenkins.IsNotFound(err) {
			m.Provisioned = false // the job is gone
		}
	}
	if err != nil {
		c.log(e).Warn("build not started", "outcome", started.Outcome, "error", err)
	}
	return err
}

// find searches what Jenkins has of an execution. A job that it does not show is looked
// into further: it may be hidden from the account, and then nothing is known.
func (c *executions) find(ctx context.Context, eng *engine, e *v1alpha1.PipelineExecution, m *memory, ref jenkins.JobRef) {
	at := c.o.Clock.Now()
	ev, err := eng.client.Find(ctx, ref, string(e.UID))
	if err == nil && !ev.Exists {
		err = eng.client.Gone(ctx, ref, string(e.UID))
	}
	if err != nil {
		m.Search = c.fromEngine(err, m)
		c.log(e).Warn("nothing found out about the build", "error", err)
		return
	}
	found := &pipeline.Evidence{At: at, Session: ev.Session, Exists: ev.Exists, NextBuild: int64(ev.NextBuild), Builds: buildsOf(ev.Builds, string(e.UID))}
	if ev.QueueItem != nil {
		found.Items = itemsOf([]jenkins.QueueItem{*ev.QueueItem}, string(e.UID))
	}
	m.Evidence, m.Search, m.failures = found, nil, 0
}

func (c *executions) setPaused(ctx context.Context, eng *engine, e *v1alpha1.PipelineExecution, m *memory, number int, want bool) {
	m.PauseTried = c.o.Clock.Now()
	err := eng.client.SetPaused(ctx, refOf(e), number, want)
	switch {
	case err == nil:
		m.PauseError = ""
		eng.notePause(e.UID, want)
	case jenkins.IsNotFound(err):
		m.PauseError = "this Jenkins lacks the plugin pipeline-graph-view"
	default:
		m.PauseError = err.Error()
	}
}

const (
	// logEnd is how much of the end of a log is searched for a cause.
	logEnd = 64 << 10
	// logTries is how often that is tried. A verdict does not wait for it longer.
	logTries = 3
)

func (c *executions) readLog(ctx context.Context, eng *engine, m *memory, ref jenkins.JobRef, number int) error {
	text, err := eng.client.LogTail(ctx, ref, number, logEnd)
	if m.logTries++; err != nil && m.logTries < logTries && jenkins.IsTemporary(err) {
		return err
	}
	m.Log = &text
	return nil
}

// fromEngine says what a run shows after Jenkins did not do what was asked, and when to
// try again.
func (c *executions) fromEngine(err error, m *memory) *pipeline.Failure {
	f := engineFailure(err)
	delay := min(time.Second<<min(m.failures, 10), 15*time.Second)
	m.failures++
	f.Until = c.o.Clock.Now().Add(delay)
	return f
}

func (e *engine) reachable() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.down == ""
}

func intentOf(e *v1alpha1.PipelineExecution) time.Time {
	if e.Status.Engine == nil || e.Status.Engine.IntentAt == nil {
		return time.Time{}
	}
	return e.Status.Engine.IntentAt.Time
}

// +kubebuilder:rbac:groups="",resources=pods,verbs=delete

// deleteAgents removes what Jenkins left behind.
func (c *executions) deleteAgents(ctx context.Context, e *v1alpha1.PipelineExecution) error {
	for _, p := range c.agentPods(e) {
		if p.DeletionTimestamp != nil {
			continue
		}
		err := c.o.Clients.Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("delete agent pod %s: %w", p.Name, err)
		}
	}
	return nil
}
