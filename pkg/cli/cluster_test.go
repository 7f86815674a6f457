package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

// realWorld is the plugin as a person with the manifests' own roles has it, in front of
// a real API server. Nobody but the test writes status.
type realWorld struct {
	t     *testing.T
	c     *cluster.Cluster
	admin *kube.Clients
	user  string // kubeconfig
}

func (w *realWorld) run(kubeconfig string, args ...string) outcome {
	var out lockedBuffer
	return w.runTo(&out, kubeconfig, args...)
}

// runTo lets the test read what is printed while the plugin runs.
func (w *realWorld) runTo(out *lockedBuffer, kubeconfig string, args ...string) outcome {
	var errOut lockedBuffer
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: out, ErrOut: &errOut}
	a := &app{IOStreams: streams, now: time.Now, getenv: func(string) string { return "" }, pause: pause, screen: detectScreen}
	code := a.run(ctx, append([]string{"kubectl-pipeline", "--kubeconfig", kubeconfig}, args...), make(chan os.Signal))
	return outcome{code, out.String(), errOut.String()}
}

// set writes a run's status as hookd would.
func (w *realWorld) set(name string, change func(pe *v1alpha1.PipelineExecution)) {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(w.t.Context(), 20*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		pe, err := w.admin.Executions(testNamespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, nil //nolint:nilerr // the API server may be away
		}
		change(pe)
		_, err = w.admin.Executions(testNamespace).UpdateStatus(ctx, pe, metav1.UpdateOptions{})
		return err == nil, nil
	})
	if err != nil {
		w.t.Errorf("set status of %s: %v", name, err)
	}
}

func TestAgainstARealAPIServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts an API server: run without -short")
	}
	c, err := cluster.Start(t.Context(), cluster.Options{APIServerOnly: true, LogTo: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := &realWorld{t: t, c: c}
	if w.admin, err = kube.NewClients(c.RESTConfig()); err != nil {
		t.Fatal(err)
	}

	if got := w.run(c.Kubeconfig(), "list"); got.code != exitError || !strings.Contains(got.err, "hint: kubectl pipeline install") {
		t.Errorf("before the installation: %+v", got)
	}
	if got := w.run(c.Kubeconfig(), "install"); got.code != 0 || strings.Contains(got.err, "unchanged") {
		t.Fatalf("install: %+v", got)
	}
	if got := w.run(c.Kubeconfig(), "install"); got.code != 0 || strings.Contains(got.err, "created") || strings.Contains(got.err, "configured") {
		t.Errorf("install, a second time: %+v", got)
	}
	w.seed()

	if got := w.run(w.user, "version"); got.code != 0 || !strings.Contains(got.out, "kubectl-pipeline.io/v1alpha1") {
		t.Errorf("version: %+v", got)
	}
	if got := w.run(w.user, "list", "-o", "name"); got.out != "pipeline.kubectl-pipeline.io/app\n" {
		t.Errorf("list: %+v", got)
	}
	if got := w.run(w.user, "list", "-n", "default"); got.code != exitError || !strings.Contains(got.err, `User "ann" cannot list`) || !strings.Contains(got.err, "auth can-i") {
		t.Errorf("list where nothing is allowed: %+v", got)
	}
	if got := w.run(w.user, "run", "ap"); got.code != exitError || !strings.Contains(got.err, `did you mean "app"?`) {
		t.Errorf("run of a typo: %+v", got)
	}

	// A dry run passes the real admission, and leaves nothing.
	if got := w.run(w.user, "run", "app", "--dry-run=server", "-p", "target=prod"); got.code != 0 {
		t.Errorf("dry run: %+v", got)
	}
	if got := w.run(w.user, "runs", "-o", "name"); got.out != "" {
		t.Errorf("runs after a dry run: %+v", got)
	}

	// A run is followed to its end, through a restart of the API server.
	started := w.run(w.user, "run", "app", "-p", "target=prod", "-o", "jsonpath={.metadata.name}")
	name := strings.TrimSpace(started.out)
	if started.code != 0 || name == "" {
		t.Fatalf("run: %+v", started)
	}
	watched := make(chan outcome)
	var screen lockedBuffer
	go func() { watched <- w.runTo(&screen, w.user, "watch", name) }()
	w.set(name, func(pe *v1alpha1.PipelineExecution) {
		pe.Status.Phase = v1alpha1.PhaseRunning
		pe.Status.Stages = []v1alpha1.StageStatus{{Name: "Build", Phase: v1alpha1.PhaseRunning, Steps: []v1alpha1.StepStatus{{Name: "compile", Phase: v1alpha1.PhaseRunning}}}}
	})
	err = wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		return strings.Contains(screen.String(), "Build/compile Running"), nil
	})
	if err != nil {
		t.Fatalf("the watch shows nothing: %v\n%s", err, screen.String())
	}
	if err := c.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := c.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.set(name, func(pe *v1alpha1.PipelineExecution) {
		pe.Status.Phase, pe.Status.Reason, pe.Status.Message = v1alpha1.PhaseFailed, v1alpha1.ReasonStepFailed, "exit code 7"
		st := &pe.Status.Stages[0]
		st.Phase, st.Steps[0].Phase, st.Steps[0].ExitCode = v1alpha1.PhaseFailed, v1alpha1.PhaseFailed, new(int32(7))
	})
	if got := <-watched; got.code != exitFailed || !strings.Contains(got.out, "Build/compile Running -> Failed: exit 7") || !strings.Contains(got.err, "exit code 7") {
		t.Errorf("watch: %+v", got)
	}

	// What it was told is what is stored, by whom is the server's word.
	pe, err := w.admin.Executions(testNamespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if pe.Spec.Trigger.User != "ann" || len(pe.Spec.Parameters) != 1 || pe.Spec.Source.Ref != "refs/heads/trunk" {
		t.Errorf("spec %+v", pe.Spec)
	}
	if got := w.run(w.user, "describe", name); got.code != 0 || !strings.Contains(got.out, `stage "Build" step "compile" exited 7`) {
		t.Errorf("describe: %+v", got)
	}

	// Repeat it, stop it.
	again := w.run(w.user, "rerun", name, "-o", "jsonpath={.metadata.name}")
	second := strings.TrimSpace(again.out)
	if again.code != 0 || second == name {
		t.Fatalf("rerun: %+v", again)
	}
	go func() { watched <- w.run(w.user, "cancel", second, "--wait") }()
	w.set(second, func(pe *v1alpha1.PipelineExecution) { pe.Status.Phase = v1alpha1.PhaseAborted })
	if got := <-watched; got.code != 0 {
		t.Errorf("cancel --wait: %+v", got)
	}
	if got := w.run(w.user, "runs", "app", "--phase", "failed,aborted", "-o", "name"); strings.Count(got.out, "\n") != 2 {
		t.Errorf("runs: %+v", got)
	}
}

// seed makes a project and a person with the roles that the manifests offer.
func (w *realWorld) seed() {
	t := w.t
	t.Helper()
	ctx := t.Context()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}}
	if _, err := w.c.Client().CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"pipeline-view", "pipeline-edit"} {
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "ann-" + role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "ann"}},
		}
		if _, err := w.c.Client().RbacV1().RoleBindings(testNamespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	config, err := w.c.UserConfig("ann")
	if err != nil {
		t.Fatal(err)
	}
	if w.user, err = w.c.WriteKubeconfig("ann", config, testNamespace); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.Repositories(testNamespace).Create(ctx, sampleRepository(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.Pipelines(testNamespace).Create(ctx, samplePipeline("app"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// RBAC is read from a cache: wait until the rights have arrived.
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		return w.run(w.user, "list").code == 0, nil
	})
	if err != nil {
		t.Fatal(fmt.Errorf("wait for rights: %w", err))
	}
}
