package controller

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// agentPods are the pods of an execution. Only those where agents belong count: anybody
// may label a pod in a namespace of their own.
func (c *executions) agentPods(e *v1alpha1.PipelineExecution) []*corev1.Pod {
	pods, err := kube.Indexed[*corev1.Pod](c.podCache.GetIndexer(), byUID, string(e.UID))
	if err != nil {
		return nil
	}
	namespaces := c.agentNamespaces(e)
	return slices.DeleteFunc(pods, func(p *corev1.Pod) bool { return !slices.Contains(namespaces, p.Namespace) })
}

// agentOf is how the agent stands: of several pods, as when Jenkins tries again, the
// newest that is not going away.
func agentOf(pods []*corev1.Pod) *pipeline.Agent {
	if len(pods) == 0 {
		return nil
	}
	p := slices.MaxFunc(pods, func(a, b *corev1.Pod) int {
		if (a.DeletionTimestamp == nil) != (b.DeletionTimestamp == nil) {
			if a.DeletionTimestamp == nil {
				return 1
			}
			return -1
		}
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	a := &pipeline.Agent{Namespace: p.Namespace, Name: p.Name, Node: p.Spec.NodeName, Deleting: p.DeletionTimestamp != nil}
	a.Ready, a.Trouble, a.Dead = judgePod(p)
	return a
}

// judgePod says whether an agent pod works, and if not why, in the words of the
// scheduler or the kubelet.
func judgePod(p *corev1.Pod) (ready bool, trouble string, dead bool) {
	if p.Status.Phase == corev1.PodFailed {
		return false, joinReason(firstNonEmpty(p.Status.Reason, "Failed"), firstNonEmpty(p.Status.Message, deadContainer(p))), true
	}
	if why := deadContainer(p); why != "" {
		return false, why, true
	}
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status == corev1.ConditionFalse {
			return false, joinReason(cond.Reason, cond.Message), false
		}
	}
	for _, all := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, s := range all {
			if w := s.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" && w.Reason != "ContainerCreating" {
				return false, fmt.Sprintf("container %s: %s", s.Name, joinReason(w.Reason, w.Message)), false
			}
		}
	}
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodReady && cond.Status == corev1.ConditionTrue {
			return true, "", false
		}
	}
	if p.Spec.NodeName == "" {
		return false, "waits for a node", false
	}
	return false, "starts on node " + p.Spec.NodeName, false
}

// deadContainer finds a container that ended: those of an agent live until it is deleted.
func deadContainer(p *corev1.Pod) string {
	for _, s := range p.Status.ContainerStatuses {
		if t := s.State.Terminated; t != nil && (t.Reason == "OOMKilled" || t.ExitCode != 0) && p.DeletionTimestamp == nil {
			return fmt.Sprintf("container %s ended: %s", s.Name, joinReason(firstNonEmpty(t.Reason, "Error"), fmt.Sprintf("exit code %d", t.ExitCode)))
		}
	}
	return ""
}

func joinReason(reason, message string) string {
	if message == "" {
		return reason
	}
	return reason + ": " + message
}

func firstNonEmpty(values ...string) string {
	return cmp.Or(values...)
}
