package cluster_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster/images"
)

func TestRealNodes(t *testing.T) {
	cluster.RequireReal(t)
	c := start(t, cluster.Options{Real: 2, Simulated: 1})
	start := time.Now()
	zero := runPod(t, c, podOn("real-0", images.Git))
	one := runPod(t, c, podOn("real-1", images.Golang))
	t.Logf("two pods ready after %s", time.Since(start))

	t.Run("exec returns output and exit code, and passes input on to its end", func(t *testing.T) {
		out, err := execIn(t, c, zero, "sh", "-c", "hostname; cat; exit 3")
		if want := "on-real-0\ninput"; out != want {
			t.Errorf("output = %q, want %q", out, want)
		}
		if err == nil || !strings.Contains(err.Error(), "exit code 3") {
			t.Errorf("error = %v, want exit code 3", err)
		}
	})
	t.Run("each node has a cache of its own", func(t *testing.T) {
		for _, pod := range []*corev1.Pod{zero, one} {
			if out, err := execIn(t, c, pod, "sh", "-c", "echo $HOSTNAME >> "+cachePath+"/file"); err != nil {
				t.Fatalf("write: %v\n%s", err, out)
			}
			out, err := execIn(t, c, pod, "cat", cachePath+"/file")
			if want := pod.Name + "\n"; out != want || err != nil {
				t.Errorf("cache of %s = %q, %v, want %q", pod.Spec.NodeName, out, err, want)
			}
		}
	})
	t.Run("git works", func(t *testing.T) {
		out, err := execIn(t, c, zero, "sh", "-ec", `
			git init -q -b main /tmp/r; cd /tmp/r; echo a > f; git add f
			git -c user.name=n -c user.email=e@test commit -q -m m
			git clone -q file:///tmp/r /tmp/c; cat /tmp/c/f
			git clone http://127.0.0.1:1/r.git 2>&1 | grep -o 'Failed to connect'`)
		if want := "a\nFailed to connect\n"; out != want || err != nil {
			t.Errorf("output = %q, %v, want %q", out, err, want)
		}
	})
	t.Run("a Go program is built and tested without a network, from the image's build cache", func(t *testing.T) {
		out, err := execIn(t, c, one, "sh", "-ec", `
			mkdir /src; cd /src
			printf 'module m\n\ngo 1.26\n' > go.mod
			printf 'package main\n\nimport ("fmt"; "net/http")\n\nfunc main() { fmt.Println(http.StatusText(200)) }\n' > main.go
			printf 'package main\n\nimport "testing"\n\nfunc Test(t *testing.T) {}\n' > main_test.go
			go build -x -o m . 2>compiled; grep -c 'compile -o' compiled
			./m; go test . | cut -f1`)
		if want := "1\nOK\nok  \n"; out != want || err != nil {
			t.Errorf("output = %q, %v, want %q: one package compiled", out, err, want)
		}
	})
	t.Run("pods reach this process at HostIP", func(t *testing.T) {
		address := listenOnce(t, c.HostIP(), "hello from the test")
		host, port, _ := strings.Cut(address, ":")
		out, err := execIn(t, c, zero, "nc", host, port)
		if want := "hello from the test"; out != want || err != nil {
			t.Errorf("output = %q, %v, want %q", out, err, want)
		}
	})
	t.Run("logs are the container's", func(t *testing.T) {
		log, err := c.Client().CoreV1().Pods("default").GetLogs(zero.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
		if err != nil || string(log) != "started\n" {
			t.Errorf("log = %q, %v", log, err)
		}
	})
}

// podOn is a pod that waits on a node, with the cache mounted.
func podOn(node, image string) *corev1.Pod {
	grace := int64(1)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "on-" + node},
		Spec: corev1.PodSpec{
			NodeSelector:                  map[string]string{corev1.LabelHostname: node, cluster.NodeTypeLabel: cluster.RealNode},
			TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{
				Name: "c", Image: image, ImagePullPolicy: corev1.PullNever,
				Command:      []string{"sh", "-c", "echo started; sleep 100000"},
				VolumeMounts: []corev1.VolumeMount{{Name: "cache", MountPath: cachePath}},
			}},
			Volumes: []corev1.Volume{cacheVolume()},
		},
	}
}
