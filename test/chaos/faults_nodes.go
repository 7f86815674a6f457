package chaos

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

const simulatedNodes = 3

func nodeName(s strike) string { return fmt.Sprintf("simulated-%d", s.pick%simulatedNodes) }

// loseNode takes a node away with all that runs on it, and brings it back.
func loseNode(ctx context.Context, w *world, s strike) error {
	w.nodes.Lock()
	defer w.nodes.Unlock()
	defer w.lasting(s)()
	name := nodeName(s)
	if err := w.hitAgentsOn(ctx, name); err != nil {
		return err
	}
	err := stubborn(ctx, func() error {
		return w.Cluster.Client().CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{})
	})
	if err != nil {
		return err
	}
	// A pod may just have been bound to it; the control plane gives up on pods of a lost
	// node after minutes, and then does what is done here at once.
	for range 2 {
		if err := w.forceDeleteOn(ctx, name); err != nil {
			return err
		}
		if err := pass(ctx, s.hold/2); err != nil {
			break // it has to come back in any case
		}
	}
	return stubborn(context.WithoutCancel(ctx), func() error {
		err := w.Cluster.AddNode(ctx, cluster.NodeOptions{Name: name})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
}

// emptyNode has a node refuse all pods for a while, also those that run on it.
func emptyNode(ctx context.Context, w *world, s strike) error {
	w.nodes.Lock()
	defer w.nodes.Unlock()
	defer w.lasting(s)()
	name := nodeName(s)
	if err := w.hitAgentsOn(ctx, name); err != nil {
		return err
	}
	taint := func(taints ...corev1.Taint) error {
		patch, err := json.Marshal(map[string]any{"spec": map[string]any{"taints": taints}})
		if err != nil {
			return err
		}
		return stubborn(context.WithoutCancel(ctx), func() error {
			_, err := w.Cluster.Client().CoreV1().Nodes().Patch(context.WithoutCancel(ctx), name, types.MergePatchType, patch, metav1.PatchOptions{})
			return err
		})
	}
	if err := taint(corev1.Taint{Key: "kubectl-pipeline.test/broken", Effect: corev1.TaintEffectNoExecute}); err != nil {
		return err
	}
	_ = pass(ctx, s.hold) // it has to come back in any case
	return taint()
}

func on(node string) metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: v1alpha1.LabelExecutionUID, FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String()}
}

// hitAgentsOn records whose agents are on a node.
func (w *world) hitAgentsOn(ctx context.Context, node string) error {
	pods, err := w.pods(ctx, on(node))
	for i := range pods {
		w.hitAgent(&pods[i], "on "+node)
	}
	return err
}

func (w *world) hitAgent(p *corev1.Pod, how string) {
	uid := types.UID(p.Labels[v1alpha1.LabelExecutionUID])
	w.log.note("  agent of %s (%s)", w.watch.nameOf(uid), how)
	w.log.hit(uid, agentGone)
}

func (w *world) forceDeleteOn(ctx context.Context, node string) error {
	pods, err := w.pods(ctx, on(node))
	if err != nil {
		return err
	}
	for i := range pods {
		p := &pods[i]
		w.hitAgent(p, "on "+node)
		err := stubborn(ctx, func() error {
			return w.Cluster.Client().CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, *metav1.NewDeleteOptions(0))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) pods(ctx context.Context, opts metav1.ListOptions) (pods []corev1.Pod, err error) {
	err = stubborn(ctx, func() error {
		list, err := w.Cluster.Client().CoreV1().Pods("").List(ctx, opts)
		if err == nil {
			pods = list.Items
		}
		return err
	})
	return pods, err
}

// anAgent is an agent pod that is there, nil when there is none.
func (w *world) anAgent(ctx context.Context, s strike) (*corev1.Pod, error) {
	pods, err := w.pods(ctx, metav1.ListOptions{LabelSelector: v1alpha1.LabelExecutionUID})
	pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil || p.Spec.NodeName == "" })
	if err != nil || len(pods) == 0 {
		return nil, err
	}
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return &pods[s.pick%uint64(len(pods))], nil
}

func deleteAgent(ctx context.Context, w *world, s strike) error {
	return w.harm(ctx, s, func(p *corev1.Pod) error {
		return w.Cluster.Client().CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{})
	})
}

// evictAgent is what a kubelet does to a pod when its node is short of something.
func evictAgent(ctx context.Context, w *world, s strike) error {
	return w.harm(ctx, s, func(p *corev1.Pod) error {
		return w.patchStatus(ctx, p, map[string]any{"phase": corev1.PodFailed, "reason": "Evicted", "message": "The node was low on resource: memory."})
	})
}

// exhaustAgent is what a kubelet says of a container that the kernel killed.
func exhaustAgent(ctx context.Context, w *world, s strike) error {
	return w.harm(ctx, s, func(p *corev1.Pod) error {
		statuses := p.DeepCopy().Status.ContainerStatuses
		if len(statuses) == 0 {
			return nil // its containers have not begun
		}
		c := &statuses[s.pick%uint64(len(statuses))]
		c.Ready, c.State = false, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 137, Reason: "OOMKilled", StartedAt: metav1.Now(), FinishedAt: metav1.Now(),
		}}
		return w.patchStatus(ctx, p, map[string]any{"containerStatuses": statuses})
	})
}

func (w *world) patchStatus(ctx context.Context, p *corev1.Pod, status map[string]any) error {
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	_, err = w.Cluster.Client().CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

func (w *world) harm(ctx context.Context, s strike, how func(*corev1.Pod) error) error {
	p, err := w.anAgent(ctx, s)
	if err != nil {
		return err
	}
	if p == nil {
		w.nobody(s)
		return nil
	}
	w.hitAgent(p, s.fault.name)
	return stubborn(ctx, func() error { return how(p) })
}

// stubborn does something again until the API server has done it; what is gone already
// is done.
func stubborn(ctx context.Context, do func() error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		if last = do(); last == nil || apierrors.IsNotFound(last) {
			return true, nil
		}
		if apierrors.IsInvalid(last) || apierrors.IsBadRequest(last) || apierrors.IsForbidden(last) || apierrors.IsAlreadyExists(last) {
			return false, last
		}
		return false, nil
	})
	if wait.Interrupted(err) && last != nil {
		return fmt.Errorf("%w (last: %w)", err, last)
	}
	return err
}
