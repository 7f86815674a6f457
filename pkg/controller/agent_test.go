package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

func TestAgentOf(t *testing.T) {
	born := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	pod := func(name string, age int, change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop-pipeline", Name: name, CreationTimestamp: metav1.NewTime(born.Add(time.Duration(age) * time.Second))}}
		p.Spec.NodeName = "n1"
		change(p)
		return p
	}
	condition := func(kind corev1.PodConditionType, status corev1.ConditionStatus, reason, message string) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: status, Reason: reason, Message: message}
	}
	waiting := func(container, reason, message string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: container, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
	}
	ended := func(container, reason string, code int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: container, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code}}}
	}
	want := func(f func(*pipeline.Agent)) *pipeline.Agent {
		a := &pipeline.Agent{Namespace: "shop-pipeline", Name: "a", Node: "n1"}
		f(a)
		return a
	}
	gone := metav1.NewTime(born)
	for name, tc := range map[string]struct {
		given []*corev1.Pod
		want  *pipeline.Agent
	}{
		"no pod is no agent": {nil, nil},
		"one that no node takes says why, in the scheduler's words": {
			[]*corev1.Pod{pod("a", 0, func(p *corev1.Pod) {
				p.Spec.NodeName = ""
				p.Status.Conditions = []corev1.PodCondition{condition(corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", "0/3 nodes are available: 3 Insufficient cpu.")}
			})},
			want(func(a *pipeline.Agent) {
				a.Node, a.Trouble = "", "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu."
			}),
		},
		"an image that cannot be pulled is named with its container": {
			[]*corev1.Pod{pod("a", 0, func(p *corev1.Pod) {
				p.Status.ContainerStatuses = []corev1.ContainerStatus{waiting("jnlp", "ContainerCreating", ""), waiting("golang", "ImagePullBackOff", `Back-off pulling image "golang:9"`)}
			})},
			want(func(a *pipeline.Agent) {
				a.Trouble = `container golang: ImagePullBackOff: Back-off pulling image "golang:9"`
			}),
		},
		"one that starts says where": {
			[]*corev1.Pod{pod("a", 0, func(p *corev1.Pod) {
				p.Status.ContainerStatuses = []corev1.ContainerStatus{waiting("jnlp", "ContainerCreating", "")}
			})},
			want(func(a *pipeline.Agent) { a.Trouble = "starts on node n1" }),
		},
		"one that is ready is": {
			[]*corev1.Pod{pod("a", 0, func(p *corev1.Pod) {
				p.Status.Conditions = []corev1.PodCondition{condition(corev1.PodReady, corev1.ConditionTrue, "", "")}
			})},
			want(func(a *pipeline.Agent) { a.Ready = true }),
		},
		"an evicted one is dead": {
			[]*corev1.Pod{pod("a", 0, func(p *corev1.Pod) {
				p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", "low on ephemeral-storage"
			})},
			want(func(a *pipeline.Agent) { a.Dead, a.Trouble = true, "Evicted: low on ephemeral-storage" }),
		},
		"one whose container ran out of memory is dead": {
			[]*corev1.Pod{pod("a", 0, func(p *corev1.Pod) {
				p.Status.ContainerStatuses = []corev1.ContainerStatus{ended("golang", "OOMKilled", 137)}
			})},
			want(func(a *pipeline.Agent) {
				a.Dead, a.Trouble = true, "container golang ended: OOMKilled: exit code 137"
			}),
		},
		"one that is being deleted ends its containers, which is no trouble": {
			[]*corev1.Pod{pod("a", 0, func(p *corev1.Pod) {
				p.DeletionTimestamp = &gone
				p.Status.ContainerStatuses = []corev1.ContainerStatus{ended("golang", "Error", 143)}
			})},
			want(func(a *pipeline.Agent) { a.Deleting, a.Trouble = true, "starts on node n1" }),
		},
		"of several, the newest that stays": {
			[]*corev1.Pod{
				pod("old", 1, func(*corev1.Pod) {}),
				pod("a", 2, func(p *corev1.Pod) {
					p.Status.Conditions = []corev1.PodCondition{condition(corev1.PodReady, corev1.ConditionTrue, "", "")}
				}),
				pod("newest", 3, func(p *corev1.Pod) { p.DeletionTimestamp = &gone }),
			},
			want(func(a *pipeline.Agent) { a.Ready = true }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, agentOf(tc.given)); diff != "" {
				t.Errorf("agent (-want +got):\n%s", diff)
			}
		})
	}
}
