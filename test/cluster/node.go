package cluster

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AddNode adds a node and returns when it is Ready.
func (c *Cluster) AddNode(ctx context.Context, opts NodeOptions) error {
	if opts.Real {
		return c.addReal(ctx, opts)
	}
	c.simulation.Do(func() { c.simulationErr = c.startSimulation() })
	if c.simulationErr != nil {
		return c.simulationErr
	}
	if _, err := c.client.CoreV1().Nodes().Create(ctx, simulatedNode(opts), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create node %s: %w", opts.Name, err)
	}
	return c.waitForNode(ctx, opts.Name)
}

// NodePath is where an absolute path on a node's disk, such as that of a hostPath
// volume, is found on this machine.
//
// Every real node has its own /var/lib and /var/log; the rest of this machine they
// share. Simulated nodes share nothing in a sandbox, and everything outside of one.
func (c *Cluster) NodePath(node, path string) string {
	if !Sandboxed() {
		return path
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.real[node]; n != nil {
		return n.hostPath(path)
	}
	return c.simulatedPath(node, path)
}

func simulatedNode(opts NodeOptions) *corev1.Node {
	capacity := opts.Capacity
	if capacity == nil {
		capacity = DefaultCapacity()
	}
	labels := map[string]string{
		corev1.LabelHostname:   opts.Name,
		corev1.LabelOSStable:   "linux",
		corev1.LabelArchStable: "amd64",
		NodeTypeLabel:          SimulatedNode,
	}
	maps.Copy(labels, opts.Labels)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: opts.Name, Labels: labels},
		Status:     corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
	}
}

// waitForNode returns when pods can be scheduled to the node: it is Ready and the
// taint that every new node gets is gone.
func (c *Cluster) waitForNode(ctx context.Context, name string) error {
	return c.eventually(ctx, "node "+name+" to be ready", func(ctx context.Context) (bool, error) {
		node, err := c.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return nodeReady(node) && len(node.Spec.Taints) == 0, fmt.Errorf("conditions %v, taints %v", node.Status.Conditions, node.Spec.Taints)
	})
}

func nodeReady(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
