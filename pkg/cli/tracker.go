package cli

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// The tracker's limits.
const (
	// watchTimeout is asked of the server; load balancers close silent connections after
	// a minute or more, and a new watch costs one request.
	watchTimeout = 5 * time.Minute
	// watchDeadline gives up on a watch that is silent past its timeout: a connection may
	// die without a word.
	watchDeadline = watchTimeout + 30*time.Second
	// retryMin and retryMax bound the pause between attempts.
	retryMin = 250 * time.Millisecond
	retryMax = 10 * time.Second
	// refusals is how many times in a row a server that answered before may refuse us: one
	// that is starting says Forbidden or NotFound until it has read its own rules.
	refusals = 10
	// userNameTimeout is how long the start of a run waits to learn who starts it.
	userNameTimeout = 2 * time.Second
)

// executions is what the tracker needs of the API server.
type executions interface {
	List(ctx context.Context, opts metav1.ListOptions) (*v1alpha1.PipelineExecutionList, error)
	Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
}

// errDeleted is what tracking ends with when the run is deleted before its end.
var errDeleted = errors.New("it was deleted before it finished")

// tracker follows one run until it is in a terminal phase. It is the only code that
// waits for a run:
//
//	       ┌──────────────── error, expired, closed too soon: pause, longer each time ─┐
//	       ▼                                                                           │
//	list ──┬─ terminal? → done     ┌─ closed: watch again from the last version ─┐     │
//	       ├─ gone?     → deleted  ▼                                             │     │
//	       └──────────────────▶ watch ── event: terminal? → done · deleted? → … ─┴─────┘
//
// What it returns without an error is terminal, so a failed run cannot pass for a good
// one because a connection ended.
type tracker struct {
	runs executions
	name string
	// uid, when it is known, tells the run from another that took its name.
	uid types.UID
	// changed is called with every state that is seen, the first and the last included.
	changed func(*v1alpha1.PipelineExecution)
	// trouble is called when the connection is lost, and with nil when it is there.
	trouble func(error)
	pause   func(ctx context.Context, d time.Duration) error

	last *v1alpha1.PipelineExecution
}

// follow returns the run in its terminal phase, or the last that was seen of it (nil for
// never) and why there will be no more: errDeleted, the context's end, or a refusal of
// the API server.
func (t *tracker) follow(ctx context.Context) (*v1alpha1.PipelineExecution, error) {
	for failures := 0; ; failures++ {
		version, err := t.list(ctx)
		switch {
		case t.done():
			return t.last, nil
		case ctx.Err() != nil:
			return t.last, ctx.Err()
		case errors.Is(err, errDeleted), final(err) && (t.last == nil || failures >= refusals):
			return t.last, err
		case err != nil:
			if failures >= 3 { // a second or two without an answer is no news
				t.trouble(err)
			}
		default:
			t.trouble(nil)
			for err == nil && !t.done() && ctx.Err() == nil {
				var progress bool
				version, progress, err = t.watch(ctx, version)
				if progress {
					failures = 0
				} else if err == nil {
					err = errSilent
				}
			}
			if t.done() {
				return t.last, nil
			}
			if errors.Is(err, errDeleted) {
				return t.last, err
			}
			if failures == 0 && apierrors.IsResourceExpired(err) {
				continue // the version is too old to watch from: list again, nothing is wrong
			}
			// A watch that is refused leaves the list: a person who may not watch polls.
		}
		if perr := t.pause(ctx, retryAfter(err, failures)); perr != nil {
			return t.last, perr
		}
	}
}

// errSilent is a watch that ended without an event.
var errSilent = errors.New("the watch ended without an event")

func (t *tracker) done() bool { return t.last != nil && terminal(t.last) }

// list reads the run as it is and returns the version to watch from.
func (t *tracker) list(ctx context.Context) (string, error) {
	l, err := t.runs.List(ctx, metav1.ListOptions{FieldSelector: t.selector()})
	if err != nil {
		return "", err
	}
	if len(l.Items) == 0 {
		if t.last == nil && t.uid == "" {
			return "", apierrors.NewNotFound(v1alpha1.Resource(executionsResource), t.name)
		}
		return "", errDeleted
	}
	return l.ResourceVersion, t.see(&l.Items[0])
}

// watch follows changes from a version on. It returns the last version that was seen,
// whether anything arrived, and nil when the server closed it in order.
func (t *tracker) watch(ctx context.Context, version string) (string, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, watchDeadline)
	defer cancel()
	seconds := int64(watchTimeout.Seconds())
	w, err := t.runs.Watch(ctx, metav1.ListOptions{
		FieldSelector: t.selector(), ResourceVersion: version, AllowWatchBookmarks: true, TimeoutSeconds: &seconds,
	})
	if err != nil {
		return version, false, err
	}
	defer w.Stop()
	progress := false
	for {
		var e watch.Event
		var open bool
		select {
		case <-ctx.Done():
			return version, progress, nil // follow looks at its own context
		case e, open = <-w.ResultChan():
		}
		if !open {
			return version, progress, nil
		}
		if e.Type == watch.Error {
			return version, progress, apierrors.FromObject(e.Object)
		}
		pe, ok := e.Object.(*v1alpha1.PipelineExecution)
		if !ok {
			return version, progress, fmt.Errorf("watch run %s: the server sent a %T", t.name, e.Object)
		}
		progress, version = true, pe.ResourceVersion
		if e.Type == watch.Bookmark {
			continue
		}
		if err := t.see(pe); err != nil {
			return version, progress, err
		}
		if t.done() {
			return version, progress, nil
		}
		if e.Type == watch.Deleted {
			return version, progress, errDeleted
		}
	}
}

func (t *tracker) see(pe *v1alpha1.PipelineExecution) error {
	if t.uid == "" {
		t.uid = pe.UID
	}
	if pe.UID != t.uid {
		return errDeleted // and another was made under its name
	}
	t.last = pe
	t.changed(pe)
	return nil
}

func (t *tracker) selector() string {
	return fields.OneTermEqualSelector(metav1.ObjectNameField, t.name).String()
}

// terminal tells whether a run is over.
func terminal(pe *v1alpha1.PipelineExecution) bool {
	return pipeline.Ended(pe.Status.Phase)
}

// final tells the answers that trying again does not change.
func final(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) ||
		apierrors.IsBadRequest(err) || apierrors.IsInvalid(err) || apierrors.IsMethodNotSupported(err)
}

// retryAfter is the pause before the next attempt: what the server asks for, else twice
// as long each time, spread so that clients that lost the same server do not return as
// one.
func retryAfter(err error, failures int) time.Duration {
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok && seconds > 0 {
		return min(time.Duration(seconds)*time.Second, retryMax)
	}
	d := min(retryMin<<min(failures, 10), retryMax)
	return d/2 + rand.N(d/2+1)
}
