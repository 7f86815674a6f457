package jenkinstest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// scriptFor runs one echo in a pod of the given yaml and namespace, and waits one second for an agent unless told otherwise.
func scriptFor(namespace, timeout, yaml string) string {
	return "podTemplate(namespace: '" + namespace + "', slaveConnectTimeout: " + timeout + ", showRawYaml: false, yaml: " + groovyString(yaml) +
		") {\n node(POD_LABEL) {\n sh(script: 'echo ran')\n}\n}\n"
}

// nowhere is a pod that no node takes, so that the tests decide what becomes of it.
const nowhere = "spec:\n  nodeSelector: {kind: none}\n  containers:\n  - {name: c, image: 'registry.invalid/c:1'}\n"

func TestAgentPodsThatDoNotCome(t *testing.T) {
	s := startCluster(t)
	d := s.double(t)
	pods := s.Client().CoreV1().Pods("default")
	aborted := func(t *testing.T, job string, want ...string) {
		t.Helper()
		b := d.wait(t, job)
		if b.Result != "ABORTED" || !strings.HasSuffix(b.Log, "Queue task was cancelled\nFinished: ABORTED\n") {
			t.Errorf("result = %s\n%s", b.Result, b.Log)
		}
		for _, w := range want {
			if !strings.Contains(b.Log, w) {
				t.Errorf("the log lacks %q:\n%s", w, b.Log)
			}
		}
		d.gone(t, s)
	}
	pending := func(t *testing.T, job string) *corev1.Pod {
		t.Helper()
		d.run(t, job, scriptFor("default", "600", nowhere))
		d.logged(t, job, "[FailedScheduling] 0/1 nodes are available")
		return &s.pods(t)[0]
	}
	status := func(t *testing.T, pod *corev1.Pod, edit func(*corev1.PodStatus)) {
		t.Helper()
		if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error { // the scheduler writes, too
			latest, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{})
			if err == nil {
				edit(&latest.Status)
				_, err = pods.UpdateStatus(t.Context(), latest, metav1.UpdateOptions{})
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	container := func(state corev1.ContainerState) func(*corev1.PodStatus) {
		return func(st *corev1.PodStatus) {
			st.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: state}}
		}
	}

	t.Run("yaml that is no pod", func(t *testing.T) {
		d.run(t, "shop/yaml", scriptFor("default", "600", "spec: {containres: []}"))
		aborted(t, "shop/yaml", "unknown field \"containres\"")
	})
	t.Run("a pod the API server refuses", func(t *testing.T) {
		d.run(t, "shop/bad", scriptFor("default", "600", "spec:\n  containers:\n  - {name: 'Not A Name', image: x}\n"))
		aborted(t, "shop/bad", "ERROR: Unable to create pod kubernetes default/shop-bad-1-", "Invalid value: \"Not A Name\"")
	})
	t.Run("a namespace that is not there", func(t *testing.T) {
		d.run(t, "shop/ns", scriptFor("nowhere", "600", "spec: {}"))
		aborted(t, "shop/ns", "namespaces \"nowhere\" not found")
	})
	t.Run("an image that cannot be pulled", func(t *testing.T) {
		pod := pending(t, "shop/pull")
		for i := range 3 {
			if i > 0 {
				status(t, pod, container(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"}}))
			}
			status(t, pod, container(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off"}}))
		}
		aborted(t, "shop/pull", "\tContainer [c] waiting [ImagePullBackOff] Back-off\n", "Unable to pull container image \"registry.invalid/c:1\". Check if image tag name is spelled correctly\n")
	})
	t.Run("a container that ends", func(t *testing.T) {
		pod := pending(t, "shop/oom")
		status(t, pod, container(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}}))
		aborted(t, "shop/oom", "default/"+pod.Name+" Container c was terminated (Exit Code: 137, Reason: OOMKilled)\n")
	})
	t.Run("a pod that fails", func(t *testing.T) {
		pod := pending(t, "shop/evicted")
		status(t, pod, func(st *corev1.PodStatus) {
			st.Phase, st.Reason, st.Message = corev1.PodFailed, "Evicted", "low on disk"
		})
		aborted(t, "shop/evicted", "Pod just failed (Reason: Evicted, Message: low on disk)\n")
	})
	t.Run("a pod that is deleted while it waits", func(t *testing.T) {
		pod := pending(t, "shop/deleted")
		if err := pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		aborted(t, "shop/deleted", "Pod default/"+pod.Name+" was just deleted\n")
	})
	t.Run("no node in time: another pod, until somebody stops the build", func(t *testing.T) {
		d.run(t, "shop/slow", scriptFor("default", "1", nowhere))
		eventually(t, "the second pod", func() bool { return strings.Count(d.Builds("shop/slow")[0].Log, "Created Pod: ") >= 2 })
		if q := d.Queue(); len(q) != 1 || !q[0].Node || !strings.HasSuffix(q[0].Why, "’ is offline") {
			t.Errorf("queue = %+v", q)
		}
		d.post(t, "/job/shop/job/slow/1/stop")
		if b := d.wait(t, "shop/slow"); b.Result != "ABORTED" || !strings.Contains(b.Log, ": not ready after 1 sec\n") {
			t.Errorf("result = %s\n%s", b.Result, b.Log)
		}
		d.gone(t, s)
	})
	t.Run("a quota that is used up: again, until there is room", func(t *testing.T) {
		quotas := s.Client().CoreV1().ResourceQuotas("default")
		if _, err := quotas.Create(t.Context(), &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: "none"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the quota", func() bool {
			q, err := quotas.Get(t.Context(), "none", metav1.GetOptions{})
			return err == nil && len(q.Status.Hard) > 0
		})
		d.run(t, "shop/quota", scriptFor("default", "600", "spec: {}"))
		d.logged(t, "shop/quota", "Retrying...\n")
		if err := quotas.Delete(t.Context(), "none", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if b := d.wait(t, "shop/quota"); b.Result != "SUCCESS" || !strings.Contains(b.Log, "exceeded quota: none") || !strings.Contains(b.Log, "\n+ echo ran\nran\n") {
			t.Errorf("result = %s\n%s", b.Result, b.Log)
		}
		d.gone(t, s)
	})
}

func TestPodsAreThoseOfThePlugin(t *testing.T) {
	s := startCluster(t)
	d := s.double(t)
	d.run(t, "Team A/App", scriptFor("default", "600", nowhere))
	d.logged(t, "Team A/App", "[FailedScheduling]")
	pod := s.pods(t)[0]
	if !strings.HasPrefix(pod.Name, "team-a-app-1-") || len(pod.Name) != len("team-a-app-1-aaaaa-bbbbb-ccccc") {
		t.Errorf("name = %s", pod.Name)
	}
	label := pod.Labels["jenkins/label"]
	if !strings.HasPrefix(label, "Team_A_App_1-") || len(pod.Labels["jenkins/label-digest"]) != 40 || pod.Labels["jenkins"] != "slave" ||
		pod.Labels["kubernetes.jenkins.io/controller"] != "http___jenkins.example_8080" {
		t.Errorf("labels = %v", pod.Labels)
	}
	want := map[string]string{"buildUrl": "http://jenkins.example:8080/job/Team%20A/job/App/1/", "runUrl": "job/Team%20A/job/App/1/"}
	if diff := cmp.Diff(want, pod.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if pod.Spec.RestartPolicy != corev1.RestartPolicyNever || !cmp.Equal(pod.Spec.NodeSelector, map[string]string{"kind": "none"}) {
		t.Errorf("spec = %+v", pod.Spec)
	}
	var containers []string
	for _, c := range pod.Spec.Containers {
		containers = append(containers, c.Name+" "+c.Image)
		mounted := false
		for _, m := range c.VolumeMounts {
			mounted = mounted || m.Name == "workspace-volume" && m.MountPath == "/home/jenkins/agent"
		}
		if !mounted {
			t.Errorf("container %s has no workspace: %+v", c.Name, c.VolumeMounts)
		}
	}
	if diff := cmp.Diff([]string{"c registry.invalid/c:1", "jnlp agent:1"}, containers); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	if v := pod.Spec.Volumes[0]; v.Name != "workspace-volume" || v.EmptyDir == nil {
		t.Errorf("volumes = %+v", pod.Spec.Volumes)
	}
	d.post(t, "/job/Team%20A/job/App/1/stop")
	d.wait(t, "Team A/App")
	d.gone(t, s)
}
