package chaos

import (
	"context"
	"fmt"
	"io"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// counted counts the builds that ever asked for an agent, also those of which nothing
// is left.
type counted struct {
	jenkinstest.Agents

	mu     sync.Mutex
	builds map[string]int // by job: the highest number
}

func (c *counted) Provision(ctx context.Context, req jenkinstest.NodeRequest, log io.Writer) (jenkinstest.Agent, error) {
	c.mu.Lock()
	c.builds[req.JobName] = max(c.builds[req.JobName], req.Number)
	c.mu.Unlock()
	return c.Agents.Provision(ctx, req, log)
}

// twice are the jobs that were built more than once: a job belongs to one execution.
func (c *counted) twice() (wrong []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for job, n := range c.builds {
		if n > 1 {
			wrong = append(wrong, fmt.Sprintf("job %s was built %d times", job, n))
		}
	}
	return wrong
}

// uidOf is whose build it is.
func uidOf(params map[string]string) types.UID { return types.UID(params["EXECUTION_UID"]) }

// watchAgents records whose agents the control plane itself takes away: which pods are
// on a node at the moment that it refuses them, only the control plane knows.
func (w *world) watchAgents(ctx context.Context) {
	for ctx.Err() == nil {
		w.watchAgentsOnce(ctx)
		_ = pass(ctx, relistWait)
	}
}

func (w *world) watchAgentsOnce(ctx context.Context) {
	opts := metav1.ListOptions{LabelSelector: v1alpha1.LabelExecutionUID}
	pods := w.Cluster.Client().CoreV1().Pods("")
	list, err := pods.List(ctx, opts)
	if err != nil {
		return
	}
	for i := range list.Items {
		w.seeAgent(&list.Items[i])
	}
	opts.ResourceVersion = list.ResourceVersion
	stream, err := pods.Watch(ctx, opts)
	if err != nil {
		return
	}
	defer stream.Stop()
	for ev := range stream.ResultChan() {
		if p, isPod := ev.Object.(*corev1.Pod); isPod {
			w.seeAgent(p)
		}
	}
}

func (w *world) seeAgent(p *corev1.Pod) {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			w.log.hit(types.UID(p.Labels[v1alpha1.LabelExecutionUID]), agentGone)
		}
	}
}

// watchEngine looks at Jenkins itself all the time: what it runs is what is active, and
// every execution has one build.
func (w *world) watchEngine(ctx context.Context) {
	for ctx.Err() == nil {
		w.lookAtEngine()
		_ = pass(ctx, relistWait)
	}
}

func (w *world) lookAtEngine() {
	running := map[string]int{}
	jobs := map[types.UID]string{}
	for _, b := range w.Jenkins.Builds() {
		uid := uidOf(b.Params)
		if other := jobs[uid]; other != "" {
			w.watch.complain("%s has builds in %s and in %s", w.watch.nameOf(uid), other, b.Job)
		}
		jobs[uid] = b.Job
		if b.Number > 1 {
			w.watch.complain("%s has build %d", w.watch.nameOf(uid), b.Number)
		}
		if b.Building {
			running[folderOf(b.Job)]++
		}
	}
	for folder, n := range running {
		if quota, known := w.watch.quotas[folder]; known && n > quota {
			w.watch.complain("Jenkins runs %d builds of %s, whose quota is %d", n, folder, quota)
		}
	}
}
