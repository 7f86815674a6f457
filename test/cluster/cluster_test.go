package cluster_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

func TestSimulatedNodes(t *testing.T) {
	c := start(t, cluster.Options{Simulated: 2})
	pod := runPod(t, c, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "any"}}},
	})

	t.Run("a pod is scheduled to one of them", func(t *testing.T) {
		if !strings.HasPrefix(pod.Spec.NodeName, "simulated-") {
			t.Errorf("node = %q, want simulated-N", pod.Spec.NodeName)
		}
	})
	t.Run("exec runs the command on this machine", func(t *testing.T) {
		out, err := execIn(t, c, pod, "sh", "-c", "pwd; cat >&1; exit 3")
		if want := filepath.Join(c.SimulatedPodDir("default", "p"), "c") + "\ninput"; out != want {
			t.Errorf("output = %q, want %q", out, want)
		}
		if err == nil || !strings.Contains(err.Error(), "exit code 3") {
			t.Errorf("error = %v, want exit code 3", err)
		}
	})
	t.Run("logs are served", func(t *testing.T) {
		log, err := c.Client().CoreV1().Pods("default").GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
		if err != nil || string(log) != "this container is simulated\n" {
			t.Errorf("log = %q, %v", log, err)
		}
	})
	t.Run("the API server can fail and come back", func(t *testing.T) {
		if err := c.StopAPIServer(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Client().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err == nil {
			t.Error("the API server answers after StopAPIServer")
		}
		if err := c.StartAPIServer(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The scheduler and the nodes reconnect on their own.
		runPod(t, c, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "after"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "any"}}},
		})
	})
}

// start runs a cluster for one test.
func start(t *testing.T, opts cluster.Options) *cluster.Cluster {
	t.Helper()
	opts.LogTo = t.Output()
	c, err := cluster.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// runPod creates a pod and waits for it to be Ready.
func runPod(t *testing.T, c *cluster.Cluster, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	pods := c.Client().CoreV1().Pods("default")
	if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		got, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatalf("wait for pod %s: %v", pod.Name, err)
		}
		for _, condition := range got.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
				return got
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("wait for pod %s: %v; its status is %+v", pod.Name, ctx.Err(), got.Status)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// execIn runs a command in a pod's container with "input" as its input, and
// returns its output.
func execIn(t *testing.T, c *cluster.Cluster, pod *corev1.Pod, command ...string) (string, error) {
	t.Helper()
	req := c.Client().CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: pod.Spec.Containers[0].Name, Command: command, Stdin: true, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(c.RESTConfig(), "GET", req.URL().String())
	if err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	err = executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdin: strings.NewReader("input"), Stdout: &out, Stderr: &errOut})
	return out.String() + errOut.String(), err
}
