package controller

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// numberTries bounds how often a number is asked for in a row when others write the
// Pipeline at the same time.
const numberTries = 5

// number gives a run its number: the Pipeline's next one, which is counted up first and
// only if nobody else did so meanwhile. A number that is lost on the way stays a gap;
// none is given twice.
func (c *executions) number(ctx context.Context, e *v1alpha1.PipelineExecution, p *v1alpha1.Pipeline, m *memory) error {
	switch {
	case e.Spec.Run != 0:
		return nil
	case m.run != 0: // handed out before, and could not be written down
		e.Spec.Run = m.run
		return nil
	}
	defer c.numbers.lock(p.Namespace + "/" + p.Name)()
	p = newest(c.latest, p)
	for range numberTries {
		run := max(p.Status.NextRun, 1)
		after, err := c.countUp(ctx, p, run+1)
		if err == nil {
			c.latest.put(after)
			m.run, e.Spec.Run = run, run
			return nil
		}
		if !apierrors.IsConflict(err) {
			return fail(v1alpha1.ReasonStarting, "number the run: %w", err)
		}
		if p, err = c.o.Clients.Pipelines(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{}); err != nil {
			return fail(v1alpha1.ReasonStarting, "number the run: %w", err)
		}
	}
	return fail(v1alpha1.ReasonStarting, "number the run: Pipeline %s is being written all the time", p.Name)
}

// +kubebuilder:rbac:groups=kubectl-pipeline.io,resources=pipelines/status,verbs=patch

func (c *executions) countUp(ctx context.Context, p *v1alpha1.Pipeline, next int64) (*v1alpha1.Pipeline, error) {
	return patchStatus(ctx, c.o.Clients.Pipelines(p.Namespace), p.Name, p.ResourceVersion, map[string]any{"nextRun": next})
}

// patchStatus changes the named fields of a status and no others. With a version, only
// if the object is still at that version.
func patchStatus[T kube.Object, L runtimeObject](ctx context.Context, r kube.Resource[T, L], name, version string, fields map[string]any) (T, error) {
	patch := map[string]any{"status": fields}
	if version != "" {
		patch["metadata"] = map[string]any{"resourceVersion": version}
	}
	data, err := json.Marshal(patch)
	if err != nil {
		var none T
		return none, fmt.Errorf("encode patch: %w", err)
	}
	return r.Patch(ctx, name, types.MergePatchType, data, metav1.PatchOptions{}, "status")
}
