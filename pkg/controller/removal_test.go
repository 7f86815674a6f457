package controller_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/controller"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// removeProject deletes the project's namespace, and what says how to reach its Jenkins
// before its executions: Kubernetes deletes what is in a namespace in any order.
func (w *world) removeProject(executions ...string) {
	w.t.Helper()
	ctx := w.t.Context()
	w.must(w.clients.Namespaces().Delete(ctx, w.project, metav1.DeleteOptions{}))
	w.must(w.clients.Settings(w.project).Delete(ctx, v1alpha1.SettingName, metav1.DeleteOptions{}))
	w.must(w.clients.Secrets(w.project).Delete(ctx, "jenkins", metav1.DeleteOptions{}))
	for _, name := range executions {
		w.must(w.clients.Executions(w.project).Delete(ctx, name, metav1.DeleteOptions{}))
	}
}

// removeNamespace does what the controller of namespaces would.
func (w *world) removeNamespace(name string) {
	w.t.Helper()
	ctx := w.t.Context()
	w.must(w.clients.Namespaces().Delete(ctx, name, metav1.DeleteOptions{}))
	ns, err := w.clients.Namespaces().Get(ctx, name, metav1.GetOptions{})
	w.must(err)
	ns.Spec.Finalizers = nil
	w.must(w.clients.CoreREST().Put().Resource("namespaces").Name(name).SubResource("finalize").Body(ns).Do(ctx).Error())
	eventually(w.t, "namespace "+name+" is gone", func() error {
		if _, err := w.clients.Namespaces().Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there: %v", err)
		}
		return nil
	})
}

// TestDeletionOfAProject: executions do not hold their namespace when the setting and
// the Secret of Jenkins go first, and what they have in Jenkins is removed all the same.
func TestDeletionOfAProject(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep)
	g.open("ended")
	w.run("app", "ended")
	w.awaitFinished("ended")
	w.run("app", "runs")
	w.awaitPhase("runs", v1alpha1.PhaseRunning)
	w.removeProject("ended", "runs")
	w.awaitGone("ended")
	w.awaitGone("runs")
	if jobs := w.jenkins.Jobs(); len(jobs) != 0 {
		t.Errorf("jobs = %v after the deletion", jobs)
	}
	eventually(t, "they are forgotten", func() error {
		if n := w.controllers.Leaving(); n != 0 {
			return fmt.Errorf("%d are kept in mind", n)
		}
		return nil
	})
}

// TestDeletionOfAProjectAfterARestart: nobody knows its Jenkins any more.
func TestDeletionOfAProjectAfterARestart(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitFinished("a")
	w.halt()
	w.removeProject("a")
	w.start()
	w.awaitGone("a")
}

// TestExecutorNamespaceIsMadeAnew: one that is deleted while hookd runs is not taken to
// be there for ever.
func TestExecutorNamespaceIsMadeAnew(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.must(create(t, w.clients.Secrets(w.project), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"k": "v"}}))
	w.start()
	w.pipeline("app", "stages: [{name: A, steps: [{runScriptConfig: {image: a, shellScript: b}, envFrom: [{sourceName: s, sourceKey: k, targetKey: K}]}]}]")
	w.run("app", "a")
	w.awaitFinished("a")
	if _, err := w.clients.ServiceAccounts(w.project+"-pipeline").Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
		t.Errorf("no pod can be made in the new namespace: %v", err)
	}
	w.removeNamespace(w.project + "-pipeline")
	w.run("app", "b")
	if e := w.awaitFinished("b"); e.Status.Phase != v1alpha1.PhaseSucceeded {
		t.Errorf("status = %s %s %q", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
}

// TestExecutorNamespaceChanges: a run's Secret goes also when the setting names another
// namespace by then.
func TestExecutorNamespaceChanges(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{Agents: noAgents{}})
	w.must(create(t, w.clients.Secrets(w.project), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"k": "v"}}))
	w.start()
	w.pipeline("app", "stages: [{name: A, steps: [{runScriptConfig: {image: a, shellScript: b}, envFrom: [{sourceName: s, sourceKey: k, targetKey: K}]}]}]")
	w.run("app", "a")
	e := w.await("a", "has a build", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Engine != nil && e.Status.Engine.Build != 0 })
	was := w.project + "-pipeline"
	w.must(create(t, w.clients.Pods(was), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "agent", Labels: map[string]string{v1alpha1.LabelExecutionUID: string(e.UID)}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}, AutomountServiceAccountToken: new(bool)},
	}))
	w.await("a", "shows its agent", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Agent != nil })
	if _, err := w.clients.Settings(w.project).Patch(t.Context(), v1alpha1.SettingName, "application/merge-patch+json",
		fmt.Appendf(nil, `{"spec":{"executor":{"namespace":%q}}}`, w.project), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.control("a", v1alpha1.ControlStop)
	w.awaitFinished("a")
	left, err := w.clients.Secrets(was).List(t.Context(), metav1.ListOptions{})
	w.must(err)
	for _, s := range left.Items {
		t.Errorf("Secret %s/%s is left", was, s.Name)
	}
}

// TestExecutorNamespaceChangesBeforeTheAgentWasSeen: what the run has in the namespace that
// Jenkins was told is removed all the same, by a process that did not make it either.
func TestExecutorNamespaceChangesBeforeTheAgentWasSeen(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{Agents: noAgents{}})
	w.must(create(t, w.clients.Secrets(w.project), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"k": "v"}}))
	w.start()
	w.pipeline("app", "stages: [{name: A, steps: [{runScriptConfig: {image: a, shellScript: b}, envFrom: [{sourceName: s, sourceKey: k, targetKey: K}]}]}]")
	w.run("app", "a")
	w.await("a", "has a build", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Engine != nil && e.Status.Engine.Build != 0 })
	w.halt()
	if _, err := w.clients.Settings(w.project).Patch(t.Context(), v1alpha1.SettingName, "application/merge-patch+json",
		fmt.Appendf(nil, `{"spec":{"executor":{"namespace":%q}}}`, w.project), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.control("a", v1alpha1.ControlStop)
	w.start()
	w.awaitFinished("a")
	left, err := w.clients.Secrets(w.project+"-pipeline").List(t.Context(), metav1.ListOptions{})
	w.must(err)
	for _, s := range left.Items {
		t.Errorf("Secret %s is left", s.Name)
	}
}

// TestDeletionBeforeTheBuildIsKnown: a build that does not give in is killed, though nobody
// has seen its number yet.
func TestDeletionBeforeTheBuildIsKnown(t *testing.T) {
	held := make(chan struct{})
	defer close(held)
	w := newWorld(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(func(context.Context, jenkinstest.Command) jenkinstest.Result {
		<-held // it ignores that it is to stop
		return jenkinstest.Result{}
	})})
	w.jenkins.Spoil(jenkinstest.Fault{Path: "buildWithParameters", DropAfter: true})
	w.jenkins.Spoil(jenkinstest.Fault{Path: "/job/" + w.project + "/api/json", Delay: time.Hour, Times: -1})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	eventually(t, "a build runs", func() error {
		if b := w.jenkins.Builds(); len(b) != 1 {
			return fmt.Errorf("builds = %v", b)
		}
		return nil
	})
	if e := w.get("a"); e.Status.Engine == nil || e.Status.Engine.Build != 0 {
		t.Fatalf("engine = %+v, the build is known", e.Status.Engine)
	}
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "a", metav1.DeleteOptions{}))
	w.awaitGone("a")
	if jobs := w.jenkins.Jobs(); len(jobs) != 0 {
		t.Errorf("jobs = %v", jobs)
	}
}

// TestLostAnswerToLettingGo: the execution is gone, and we do not know. Nothing is made in
// Jenkins to find out whether its job is gone, since nobody would remove that.
func TestLostAnswerToLettingGo(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	var deleting, lost atomic.Bool
	cfg := *w.clients.Config
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil && deleting.Load() && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/pipelineexecutions/a") && !lost.Swap(true) {
				resp.Body.Close()
				return nil, errors.New("connection reset by peer")
			}
			return resp, err
		})
	})
	clients, err := kube.NewClients(&cfg)
	w.must(err)
	w.start(func(o *controller.Options) { o.Clients = clients })
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitFinished("a")
	deleting.Store(true)
	w.jenkins.Requests()
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "a", metav1.DeleteOptions{}))
	w.awaitGone("a")
	eventually(t, "the answer was lost, and it is forgotten", func() error {
		if n := w.controllers.Leaving(); n != 0 || !lost.Load() {
			return fmt.Errorf("%d are kept in mind, lost: %t", n, lost.Load())
		}
		return nil
	})
	for _, r := range w.jenkins.Requests() {
		if strings.Contains(r, "createItem") {
			t.Errorf("Jenkins was asked %s", r)
		}
	}
}

// TestAgentTimeoutWithoutThePipeline: a run whose Pipeline is gone, and of which this
// process knows nothing, does not wait for its agent for ever.
func TestAgentTimeoutWithoutThePipeline(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{Agents: noAgents{}}, func(s *v1alpha1.PipelineSetting) {
		s.Spec.Executor.AgentTimeout = &metav1.Duration{Duration: 30 * time.Second}
	})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.await("a", "waits for its agent", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Reason == v1alpha1.ReasonWaitingForAgent })
	w.halt()
	w.must(w.clients.Pipelines(w.project).Delete(t.Context(), "app", metav1.DeleteOptions{}))
	w.start()
	e := w.awaitFinished("a")
	if e.Status.Phase != v1alpha1.PhaseFailed || e.Status.Reason != v1alpha1.ReasonAgentTimeout {
		t.Errorf("status = %s %s %q", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
}

// noAgents never has an agent.
type noAgents struct{}

func (noAgents) Provision(ctx context.Context, _ jenkinstest.NodeRequest, _ io.Writer) (jenkinstest.Agent, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (noAgents) Close() error { return nil }
