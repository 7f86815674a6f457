package once

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// deleteAll deletes every execution, killing hookd at each write of a deletion.
func (c *campaign) deleteAll() {
	ctx := c.t.Context()
	var there []seen
	for _, e := range c.watcher.all() {
		if !e.gone {
			there = append(there, e)
		}
	}
	tried, missed := 0, 0
	for _, p := range c.deletion {
		for _, m := range c.size.moments {
			if tried == c.size.deletions || len(there) == 0 {
				continue
			}
			tried++
			e := there[0]
			there = there[1:]
			o := newOrder(e.Namespace, p, m)
			c.fleet.gates.give(o)
			c.delete(ctx, e)
			if !c.obeyed(o, func() bool { return c.watcher.find(e.Namespace, e.Name).gone }) {
				missed++
				c.t.Errorf("nobody died at %s, %s: the write did not come", p, m)
			}
		}
	}
	for _, e := range there {
		c.delete(ctx, e)
	}
	c.await("all are gone", func() error {
		for _, e := range c.watcher.all() {
			if !e.gone {
				return fmt.Errorf("%s/%s is there", e.Namespace, e.Name)
			}
		}
		return nil
	})
	c.t.Logf("writes of a deletion: %d; tried: %d, of which did not come: %d", len(c.deletion), tried, missed)
}

func (c *campaign) delete(ctx context.Context, e seen) {
	if err := c.w.Clients.Executions(e.Namespace).Delete(ctx, e.Name, metav1.DeleteOptions{}); err != nil {
		c.t.Error(err)
	}
}

// leftovers looks for what executions leave behind that are gone: nothing.
func (c *campaign) leftovers() {
	c.poll("nothing is left", func() error { return c.left(c.t.Context()) })
	for _, p := range c.fleet.stop() {
		c.t.Errorf("a process is left: %s", p)
	}
}

func (c *campaign) left(ctx context.Context) error {
	if jobs := c.w.Jenkins.Jobs(); len(jobs) > 0 {
		return fmt.Errorf("jobs are left: %v", jobs)
	}
	if queue := c.w.Jenkins.Queue(); len(queue) > 0 {
		return fmt.Errorf("queue items are left: %v", queue)
	}
	ours := metav1.ListOptions{LabelSelector: v1alpha1.LabelExecutionUID}
	secrets, err := c.w.Clients.Secrets("").List(ctx, ours)
	if err != nil {
		return err
	}
	for _, s := range secrets.Items {
		return fmt.Errorf("Secret %s/%s is left", s.Namespace, s.Name)
	}
	pods, err := c.w.Clients.Pods("").List(ctx, ours)
	if err != nil {
		return err
	}
	for _, p := range pods.Items {
		return fmt.Errorf("pod %s/%s is left", p.Namespace, p.Name)
	}
	return nil
}
