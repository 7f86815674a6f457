package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// agentContainer is the container that talks to Jenkins; Jenkins' Kubernetes plugin adds it when it is absent.
const agentContainer = "jnlp"

const (
	// deadlineSlack is how much later than every timeout the pod ends by itself: the last net, when Jenkins and hookd are both gone.
	deadlineSlack = 30 * time.Minute
	// gracePeriod of the pod in seconds: `sleep` as a container's first process ignores TERM, and nothing in the pod is worth waiting for.
	gracePeriod = 5
)

// agentPod is the pod that runs a plan, with the setting's overrides merged in last.
func (p *planner) agentPod(timeout, agentTimeout time.Duration) (*corev1.Pod, error) {
	e := p.in.Execution
	executor := v1alpha1.ExecutorSpec{}
	if p.in.Setting != nil {
		executor = p.in.Setting.Spec.Executor
	}
	labels := map[string]string{
		v1alpha1.LabelExecutionUID: string(e.UID),
		v1alpha1.LabelExecution:    v1alpha1.LabelValue(e.Name),
		v1alpha1.LabelPipeline:     v1alpha1.LabelValue(e.Spec.PipelineRef.Name),
		v1alpha1.LabelProject:      e.Namespace,
	}
	deadline := int64((timeout + holdSlack + agentTimeout + deadlineSlack).Seconds())
	grace, no := int64(gracePeriod), false
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(labels)},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			ActiveDeadlineSeconds:         &deadline,
			TerminationGracePeriodSeconds: &grace,
			AutomountServiceAccountToken:  &no,
			EnableServiceLinks:            &no,
			SecurityContext: &corev1.PodSecurityContext{
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			// the plugin adds this only when there is no affinity
			NodeSelector:      map[string]string{corev1.LabelOSStable: "linux"},
			Tolerations:       executor.Tolerations,
			ImagePullSecrets:  executor.ImagePullSecrets,
			HostAliases:       executor.HostAliases,
			PriorityClassName: executor.PriorityClassName,
			Volumes:           p.volumes.volumes,
			Containers:        p.podContainers(executor),
		},
	}
	maps.Copy(pod.Spec.NodeSelector, executor.NodeSelector)
	if p.plan.cached {
		pod.Spec.Affinity = preferredNodes(p.cache, p.in.Pipeline.Status.RecentNodes)
	}
	if executor.PodOverrides == nil || len(executor.PodOverrides.Raw) == 0 {
		return pod, nil
	}
	pod, err := mergePod(pod, executor.PodOverrides.Raw)
	if err != nil {
		return nil, fmt.Errorf("executor.podOverrides of the PipelineSetting: %w", err)
	}
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	maps.Copy(pod.Labels, labels) // the controllers find the pod by these
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	if !p.trusted { // overrides are made for the project's own runs
		pod.Spec.ServiceAccountName, pod.Spec.DeprecatedServiceAccount, pod.Spec.AutomountServiceAccountToken = "", "", &no
	}
	return pod, nil
}

func (p *planner) podContainers(executor v1alpha1.ExecutorSpec) []corev1.Container {
	no := false
	security := func() *corev1.SecurityContext { return &corev1.SecurityContext{AllowPrivilegeEscalation: &no} }
	var out []corev1.Container
	image := ""
	if p.in.Setting != nil && p.in.Setting.Spec.Images != nil {
		image = p.in.Setting.Spec.Images.Agent
	}
	if image != "" || executor.Resources != nil {
		agent := corev1.Container{Name: agentContainer, Image: image, SecurityContext: security()}
		if executor.Resources != nil {
			agent.Resources = *executor.Resources
		}
		out = append(out, agent)
	}
	for _, c := range p.plan.containers.list {
		out = append(out, corev1.Container{
			Name:            c.name,
			Image:           c.kind.image,
			Command:         []string{"sleep"},
			Args:            []string{"99d"},
			Env:             overlay(c.kind.env, c.kind.own),
			Resources:       c.total,
			VolumeMounts:    c.kind.mounts,
			SecurityContext: security(),
		})
	}
	return out
}

// overlay puts own variables over common ones of the same name.
func overlay(common, own []corev1.EnvVar) []corev1.EnvVar {
	hidden := map[string]bool{}
	for _, e := range own {
		hidden[e.Name] = true
	}
	out := make([]corev1.EnvVar, 0, len(common)+len(own))
	for _, e := range common {
		if !hidden[e.Name] {
			out = append(out, e)
		}
	}
	return append(out, own...)
}

// mergePod applies a strategic merge patch; a field that a pod does not have is an error, since a safety measure with a typo would
// silently be none.
func mergePod(pod *corev1.Pod, patch []byte) (*corev1.Pod, error) {
	var probe corev1.Pod
	strict, err := kjson.UnmarshalStrict(patch, &probe)
	if err != nil {
		return nil, err
	}
	for _, problem := range strict {
		// directives of the patch itself ($patch: delete, $setElementOrder/…) are no fields of a pod
		if !isDirective(problem) {
			return nil, problem
		}
	}
	var original, changes map[string]any
	text, err := json.Marshal(pod)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &original); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(patch, &changes); err != nil {
		return nil, err
	}
	merged, err := strategicMerge(original, changes, reflect.TypeFor[corev1.Pod]())
	if err != nil {
		return nil, err
	}
	if text, err = json.Marshal(merged); err != nil {
		return nil, err
	}
	out := &corev1.Pod{}
	return out, json.Unmarshal(text, out)
}
