package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(holdEnv); what != "" {
		fmt.Fprintln(os.Stderr, hold(what))
		os.Exit(1)
	}
	os.Exit(cluster.Main(m))
}

func TestSimulatedNodes(t *testing.T) {
	c := start(t, cluster.Options{Simulated: 2})
	pod := runPod(t, c, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p"},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{
				Name: "c", Image: "any", WorkingDir: "/work/space",
				Env:          []corev1.EnvVar{{Name: "GREETING", Value: "hello"}},
				VolumeMounts: []corev1.VolumeMount{{Name: "work", MountPath: "/work/space"}, {Name: "cache", MountPath: cachePath}},
			}},
			Volumes: []corev1.Volume{{Name: "work"}, cacheVolume()},
		},
	})

	t.Run("a pod is scheduled to one of them", func(t *testing.T) {
		if !strings.HasPrefix(pod.Spec.NodeName, "simulated-") {
			t.Errorf("node = %q, want simulated-N", pod.Spec.NodeName)
		}
	})
	t.Run("exec returns output and exit code, and passes input on to its end", func(t *testing.T) {
		out, err := execIn(t, c, pod, "sh", "-c", "echo $GREETING; cat; exit 3")
		if want := "hello\ninput"; out != want {
			t.Errorf("output = %q, want %q", out, want)
		}
		if err == nil || !strings.Contains(err.Error(), "exit code 3") {
			t.Errorf("error = %v, want exit code 3", err)
		}
	})
	t.Run("a command that is not there is 127", func(t *testing.T) {
		if _, err := execIn(t, c, pod, "no-such-command"); err == nil || !strings.Contains(err.Error(), "exit code 127") {
			t.Errorf("error = %v, want exit code 127", err)
		}
	})
	t.Run("a container has files of its own", func(t *testing.T) {
		if !cluster.Sandboxed() {
			t.Skip("only in a sandbox, as root on Linux after make deps: " + cluster.SandboxProblem())
		}
		out, err := execIn(t, c, pod, "sh", "-ec", "pwd; echo a > file; echo b > "+cachePath+"/file; touch /etc/leak; ls")
		if want := "/work/space\nfile\n"; out != want || err != nil {
			t.Errorf("output = %q, %v, want %q", out, err, want)
		}
		for _, path := range []string{"/work/space/file", cachePath + "/file", "/etc/leak"} {
			if _, err := os.Stat(path); err == nil {
				t.Errorf("%s appeared on this machine", path)
			}
		}
		got, err := os.ReadFile(c.NodePath(pod.Spec.NodeName, cachePath+"/file"))
		if string(got) != "b\n" {
			t.Errorf("the node's cache has %q, %v; want b", got, err)
		}
	})
	t.Run("logs are served", func(t *testing.T) {
		log, err := c.Client().CoreV1().Pods("default").GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
		if err != nil || string(log) != "this container is simulated\n" {
			t.Errorf("log = %q, %v", log, err)
		}
	})
	t.Run("a deleted pod's commands end", func(t *testing.T) {
		ended := make(chan error)
		go func() {
			_, err := execIn(t, c, pod, "sleep", "1000")
			ended <- err
		}()
		if err := c.Client().CoreV1().Pods("default").Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if err == nil {
				t.Error("sleep ended well")
			}
		case <-time.After(20 * time.Second):
			t.Error("sleep goes on after its pod was deleted")
		}
	})
	t.Run("a node can be added", func(t *testing.T) {
		err := c.AddNode(t.Context(), cluster.NodeOptions{
			Name: "big", Labels: map[string]string{"size": "big"},
			Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("1Gi"), corev1.ResourcePods: resource.MustParse("10")},
		})
		if err != nil {
			t.Fatal(err)
		}
		runPod(t, c, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "big"},
			Spec: corev1.PodSpec{
				NodeSelector: map[string]string{"size": "big"},
				Containers: []corev1.Container{{Name: "c", Image: "any", Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("60")},
				}}},
			},
		})
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
	t.Run("etcd can fail and come back", func(t *testing.T) {
		before, err := c.Client().CoreV1().Pods(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.RestartEtcd(t.Context()); err != nil {
			t.Fatal(err)
		}
		after, err := c.Client().CoreV1().Pods(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(after.Items) != len(before.Items) || len(after.Items) == 0 {
			t.Errorf("%d pods, there were %d", len(after.Items), len(before.Items))
		}
	})
}

// cachePath is where pipelines keep their caches on a node.
const cachePath = "/var/lib/kubectl-pipeline/cache"

func cacheVolume() corev1.Volume {
	kind := corev1.HostPathDirectoryOrCreate
	return corev1.Volume{Name: "cache", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: cachePath, Type: &kind}}}
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
	pod, err := waitForPod(t.Context(), c, pod)
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func waitForPod(ctx context.Context, c *cluster.Cluster, pod *corev1.Pod) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	pods := c.Client().CoreV1().Pods("default")
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	for {
		got, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("wait for pod %s: %w", pod.Name, err)
		}
		for _, condition := range got.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
				return got, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for pod %s: %w; its status is %+v", pod.Name, ctx.Err(), got.Status)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// execIn runs a command in a pod's container with "input" as its input, and
// returns its output.
func execIn(t *testing.T, c *cluster.Cluster, pod *corev1.Pod, command ...string) (string, error) {
	t.Helper()
	return execCommand(t.Context(), c, pod, command...)
}

func execCommand(ctx context.Context, c *cluster.Cluster, pod *corev1.Pod, command ...string) (string, error) {
	req := c.Client().CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: pod.Spec.Containers[0].Name, Command: command, Stdin: true, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(c.RESTConfig(), "GET", req.URL().String())
	if err != nil {
		return "", err
	}
	var out, errOut bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: strings.NewReader("input"), Stdout: &out, Stderr: &errOut})
	return out.String() + errOut.String(), err
}

// listenOnce serves one connection with a text, and returns its address.
func listenOnce(t *testing.T, host, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		if conn, err := l.Accept(); err == nil {
			_, _ = io.WriteString(conn, text)
			conn.Close()
		}
	}()
	return l.Addr().String()
}
