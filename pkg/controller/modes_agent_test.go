package controller_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func agentTimeout(d time.Duration) func(*v1alpha1.PipelineSetting) {
	return func(s *v1alpha1.PipelineSetting) { s.Spec.Executor.AgentTimeout = &metav1.Duration{Duration: d} }
}

// agentModes: pods that do not come, and pods that go.
var agentModes = map[string]func(*testing.T, *modes){
	"J25 R12 an agent that does not come has a deadline and a reason": func(t *testing.T, m *modes) {
		w := m.world(t, jenkinstest.Options{Agents: noAgents{}}, agentTimeout(30*time.Second))
		unschedulable := corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available: 3 Insufficient cpu."}}}
		pull := corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: "golang",
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: `Back-off pulling image "golang:9"`}}}}}
		cases := map[string]struct {
			status *corev1.PodStatus
			says   string
		}{
			"node":  {&unschedulable, "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu."},
			"image": {&pull, `container golang: ImagePullBackOff: Back-off pulling image "golang:9"`},
			"none":  {nil, "There are no nodes with the label"},
		}
		w.must(create(t, w.clients.Namespaces(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: w.project + "-pipeline", Labels: map[string]string{v1alpha1.LabelProject: w.project}}}))
		for name, tc := range cases {
			w.run("app", name)
			if tc.status != nil {
				w.pod(w.get(name), *tc.status)
			}
		}
		for name, tc := range cases {
			w.awaitReason(name, v1alpha1.PhasePending, v1alpha1.ReasonWaitingForAgent, tc.says)
		}
		for name, tc := range cases {
			e := w.ends(name, v1alpha1.PhaseFailed, v1alpha1.ReasonAgentTimeout, "not ready within 30s")
			if !strings.Contains(e.Status.Message, tc.says) {
				t.Errorf("%s: message %q, want %q in it", name, e.Status.Message, tc.says)
			}
			if b := w.jenkins.Builds(e.Status.Engine.Job); len(b) != 1 || b[0].Result != "ABORTED" {
				t.Errorf("%s: builds = %+v, want one that was ended", name, b)
			}
		}
	},
	"J26 an agent that dies is the cause": func(t *testing.T, m *modes) {
		a := &mortalAgents{died: map[string]chan struct{}{}}
		w := m.world(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(a.run)})
		evicted := corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on resource: memory."}
		oom := corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "golang",
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}}}}}
		cases := map[string]struct {
			status *corev1.PodStatus // nil: the pod is deleted
			says   string
		}{
			"evicted": {&evicted, "Evicted: The node was low on resource: memory."},
			"oom":     {&oom, "container golang ended: OOMKilled"},
			"deleted": {nil, "Agent was removed"},
		}
		for name := range cases {
			w.run("app", name)
		}
		for name, tc := range cases {
			e := w.awaitPhase(name, v1alpha1.PhaseRunning)
			p := w.pod(e, ready)
			w.await(name, "shows its agent", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Agent != nil })
			if tc.status != nil {
				w.podStatus(p, *tc.status)
			} else {
				now := int64(0)
				w.must(w.clients.Pods(p.Namespace).Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
			}
			a.die(e.Status.Engine.Job)
		}
		for name, tc := range cases {
			w.ends(name, v1alpha1.PhaseFailed, v1alpha1.ReasonAgentLost, tc.says)
		}
	},
}

// mortalAgents run every step until they die.
type mortalAgents struct {
	mu   sync.Mutex
	died map[string]chan struct{} // by job
}

func (a *mortalAgents) of(job string) chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.died[job] == nil {
		a.died[job] = make(chan struct{})
	}
	return a.died[job]
}

func (a *mortalAgents) die(job string) { close(a.of(job)) }

func (a *mortalAgents) run(ctx context.Context, cmd jenkinstest.Command) jenkinstest.Result {
	select {
	case <-a.of(cmd.Job):
		return jenkinstest.Result{Err: errors.New("Agent was removed")}
	case <-ctx.Done():
		return jenkinstest.Result{Exit: 143}
	}
}

// stubborn agents run a step until the test ends, whatever Jenkins wishes.
type stubborn chan struct{}

func (s stubborn) agents() jenkinstest.Agents {
	return jenkinstest.ScriptedAgents(func(context.Context, jenkinstest.Command) jenkinstest.Result {
		<-s
		return jenkinstest.Result{}
	})
}

// ladder lists the rungs that Jenkins was asked for, each once.
func (w *world) ladder() []string {
	var rungs []string
	for _, r := range w.jenkins.Requests() {
		if rung := r[strings.LastIndexByte(r, '/')+1:]; slices.Contains([]string{"stop", "term", "kill"}, rung) && !slices.Contains(rungs, rung) {
			rungs = append(rungs, rung)
		}
	}
	return rungs
}
