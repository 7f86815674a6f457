package cluster

import (
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Labels that every node of the cluster carries, beside kubernetes.io/hostname.
const (
	// NodeTypeLabel tells simulated nodes from real ones; a pod that has to land
	// on one kind selects by it.
	NodeTypeLabel = "kubectl-pipeline.test/node"
	// SimulatedNode is a node that kwok plays: its pods are Ready at once, and
	// exec runs the command on this machine.
	SimulatedNode = "simulated"
	// RealNode is a node with a kubelet and a container runtime.
	RealNode = "real"
)

// Options says what a cluster consists of. The zero value is a control plane
// without nodes.
type Options struct {
	// Simulated and Real are the numbers of nodes to start with, named
	// simulated-0, simulated-1, … and real-0, real-1, …
	Simulated, Real int

	// APIServerOnly leaves out the controller manager and the scheduler: enough
	// for tests of an API, and a second faster.
	APIServerOnly bool

	// Dir is where the cluster keeps its files. Empty means a temporary folder
	// that Stop removes. A folder that is given is left to its owner.
	Dir string

	// LogTo receives a line for each step of the start. Nil means none. (The
	// programs' own logs are files: see Cluster.Logs.)
	LogTo io.Writer

	// APIServerArgs, ControllerManagerArgs and SchedulerArgs are appended to the
	// flags of these programs; the last occurrence of a flag wins.
	APIServerArgs, ControllerManagerArgs, SchedulerArgs []string
}

// programs are the ones that the cluster starts with.
func (o Options) programs() []string {
	names := []string{"etcd", "kube-apiserver"}
	if !o.APIServerOnly {
		names = append(names, "kube-controller-manager", "kube-scheduler")
	}
	if o.Simulated > 0 {
		names = append(names, "kwok", "kwok-stages", "simulated-kubelet")
	}
	if o.Real > 0 {
		names = append(names, "kubelet")
	}
	return names
}

// NodeOptions describes a node to add to a running cluster.
type NodeOptions struct {
	// Name is the node's name; it has to be free.
	Name string
	// Real asks for a kubelet and a container runtime; otherwise the node is
	// simulated.
	Real bool
	// Labels are added to the ones every node has.
	Labels map[string]string
	// Capacity is that of a simulated node; nil means DefaultCapacity.
	Capacity corev1.ResourceList
}

// DefaultCapacity is what a simulated node offers when nothing else is asked.
func DefaultCapacity() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("4"),
		corev1.ResourceMemory:           resource.MustParse("8Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("20Gi"),
		corev1.ResourcePods:             resource.MustParse("110"),
	}
}
