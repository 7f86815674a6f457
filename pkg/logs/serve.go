package logs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// +kubebuilder:rbac:groups=kubectl-pipeline.io,resources=pipelineexecutions,verbs=get

// serve answers an authorized request.
func (h *handler) serve(ctx context.Context, out *stream, req request) {
	err := h.follow(ctx, out, req)
	if err != nil && !errors.Is(err, ErrRunning) && ctx.Err() == nil {
		h.Logger.Warn("log stream broke", "namespace", req.namespace, "execution", req.execution, "error", err)
	}
	out.finish(err)
}

func (h *handler) follow(ctx context.Context, out *stream, req request) error {
	build, err := h.awaitBuild(ctx, out, req)
	if err != nil {
		return err
	}
	src, err := h.Sources(ctx, req.namespace)
	if err != nil {
		return failure(http.StatusServiceUnavailable, "find Jenkins of namespace %s: %w", req.namespace, err)
	}
	opts := FollowOptions{Once: !req.follow, Sleep: h.Sleep}
	log := newResume(out, req.offset, req.sum)
	err = Follow(ctx, src, build.Job, build.Build, opts, log)
	if err == nil {
		err = log.end()
	}
	switch {
	case err == nil, errors.Is(err, ErrRunning):
		return err
	case errors.Is(err, errChanged):
		return failure(http.StatusPreconditionFailed, "%w", err)
	case isPermanent(err):
		if sent := log.sent(); sent > 0 {
			err = fmt.Errorf("the log ends here, incomplete, after %d bytes: %w", sent, err)
		}
		return failure(http.StatusNotFound, "%w", err)
	}
	return failure(http.StatusBadGateway, "%w", err)
}

// awaitBuild returns the build of an execution, once it has one when the request is to
// follow.
func (h *handler) awaitBuild(ctx context.Context, out *stream, req request) (*v1alpha1.EngineStatus, error) {
	var delay time.Duration
	for failures := 0; ; {
		e, err := h.get(ctx, req)
		now := standing(e, err)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case now == nil:
			return e.Status.Engine, nil
		case now.status == http.StatusServiceUnavailable:
			if failures++; !req.follow || failures > maxFailures {
				return nil, now
			}
		case now.status != http.StatusConflict || !req.follow:
			return nil, now
		default:
			failures = 0
			out.start() // so that the reader, and whatever is between, knows that we are there
		}
		delay = nextDelay(delay, false)
		if err := h.Sleep(ctx, delay); err != nil {
			return nil, err
		}
	}
}

func (h *handler) get(ctx context.Context, req request) (*v1alpha1.PipelineExecution, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return h.Clients.Executions(req.namespace).Get(ctx, req.execution, metav1.GetOptions{})
}

// standing decides from an execution, or the error of reading it, what there is to
// read: nil when it has a build, 409 when it may get one, 404 when it never will, 503
// when that is not known.
func standing(e *v1alpha1.PipelineExecution, err error) *httpError {
	switch {
	case apierrors.IsNotFound(err):
		return failure(http.StatusNotFound, "no such execution: %w", err)
	case err != nil:
		return failure(http.StatusServiceUnavailable, "read execution: %w", err)
	case e.Status.Engine != nil && e.Status.Engine.Build > 0:
		return nil
	}
	switch e.Status.Phase {
	case v1alpha1.PhaseSucceeded, v1alpha1.PhaseFailed, v1alpha1.PhaseAborted:
		return failure(http.StatusNotFound, "execution %s has no log: it ended before it was started%s", e.Name, because(e))
	}
	return failure(http.StatusConflict, "execution %s has no log yet%s; follow=true waits for it", e.Name, because(e))
}

// because says how an execution stands, to go on in a sentence.
func because(e *v1alpha1.PipelineExecution) string {
	why := strings.TrimSpace(string(e.Status.Phase) + " " + e.Status.Reason)
	if e.Status.Message != "" {
		why += ": " + e.Status.Message
	}
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}
