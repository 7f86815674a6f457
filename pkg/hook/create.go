package hook

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// outcome of storing one run.
type outcome int

const (
	stored   outcome = iota
	existing         // stored by an earlier delivery, another replica, or a try whose answer was lost
	rejected         // the API server will never take it
	failed           // worth sending again
)

// +kubebuilder:rbac:groups=kubectl-pipeline.io,resources=pipelineexecutions,verbs=create

// create stores all runs of a delivery, within ctx, and says what the sender is told:
//
//	one that may be stored later → 503, whatever became of the others: the whole
//	delivery is sent again and finds them existing
//	else one that never will     → 500, which a person has to look at
//	else one that is new         → 202
//	else                         → 200
func (h *Handler) create(ctx context.Context, runs []*v1alpha1.PipelineExecution, a answer) answer {
	outcomes := make([]outcome, len(runs))
	reasons := make([]string, len(runs))
	var g errgroup.Group
	g.SetLimit(MaxParallelCreates)
	for i, run := range runs {
		g.Go(func() error {
			outcomes[i], reasons[i] = h.createOne(ctx, run)
			return nil
		})
	}
	_ = g.Wait()

	var anyFailed, anyRejected bool
	for i, run := range runs {
		switch outcomes[i] {
		case stored:
			a.Created = append(a.Created, run.Name)
		case existing:
			a.Existing = append(a.Existing, run.Name)
		case rejected:
			anyRejected = true
			a.Skipped = append(a.Skipped, skipped{Pipeline: run.Spec.PipelineRef.Name, Reason: reasons[i]})
		case failed:
			anyFailed = true
		}
	}
	switch {
	case anyFailed:
		a.status, a.result, a.Error = http.StatusServiceUnavailable, resultUnavailable, "not everything could be stored; send the delivery again"
	case anyRejected:
		a.status, a.result, a.Error = http.StatusInternalServerError, resultRejected, "the API server refused to store a run"
	case len(a.Created) > 0:
		a.status, a.result = http.StatusAccepted, resultCreated
	case len(a.Existing) > 0:
		a.status, a.result = http.StatusOK, resultDuplicate
	default:
		a.status, a.result = http.StatusOK, resultNothing
	}
	return a
}

// createOne stores a run, trying again while that may help: its name is fixed, so a
// second try of one that got through finds it existing.
func (h *Handler) createOne(ctx context.Context, run *v1alpha1.PipelineExecution) (outcome, string) {
	executions := h.clients.Executions(run.Namespace)
	wait := 50 * time.Millisecond
	doubtUntil := time.Now().Add(h.doubtTimeout)
	for {
		_, err := executions.Create(ctx, run, metav1.CreateOptions{})
		switch {
		case err == nil:
			return stored, ""
		case apierrors.IsAlreadyExists(err):
			return existing, ""
		case permanent(err), doubtful(err) && time.Now().After(doubtUntil):
			h.log.Error("the API server refused a run", "namespace", run.Namespace, "execution", run.Name, "error", err)
			return rejected, "the API server refused the run: " + string(apierrors.ReasonForError(err))
		}
		if d, ok := apierrors.SuggestsClientDelay(err); ok {
			wait = max(wait, time.Duration(d)*time.Second)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			h.log.Error("run could not be stored", "namespace", run.Namespace, "execution", run.Name, "error", err)
			return failed, ""
		case <-timer.C:
		}
		wait = min(2*wait, time.Second)
	}
}

// permanent: the API server understood and refused. Everything else (no connection, a
// timeout, too many requests, its own errors) may be different next time; so may a
// 401, since it is our token that expired.
func permanent(err error) bool {
	switch code(err) {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// doubtful: what an API server also says in its first seconds, before it has read
// who may do what and which kinds there are.
func doubtful(err error) bool {
	c := code(err)
	return c == http.StatusForbidden || c == http.StatusNotFound
}

func code(err error) int32 {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Code
	}
	return 0
}
