package controller_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
)

// gate lets steps of jobs go on one by one.
type gate struct {
	mu     sync.Mutex
	opened map[string]chan struct{}
}

func newGate() *gate { return &gate{opened: map[string]chan struct{}{}} }

func (g *gate) of(name string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened[name] == nil {
		g.opened[name] = make(chan struct{})
	}
	return g.opened[name]
}

// open lets the steps of an execution pass from now on.
func (g *gate) open(name string) { close(g.of(name)) }

func (g *gate) agents() jenkinstest.Agents {
	return jenkinstest.ScriptedAgents(func(ctx context.Context, cmd jenkinstest.Command) jenkinstest.Result {
		job := cmd.Job[strings.LastIndexByte(cmd.Job, '/')+1:]
		select {
		case <-g.of(job[:strings.LastIndexByte(job, '-')]): // the job's name ends in a hash
			return jenkinstest.Result{}
		case <-ctx.Done():
			return jenkinstest.Result{Exit: 143}
		}
	})
}

func quota(n int32) func(*v1alpha1.PipelineSetting) {
	return func(s *v1alpha1.PipelineSetting) { s.Spec.Executor.Quota = &n }
}

func TestRunSucceeds(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "first")
	e := w.awaitFinished("first")
	if e.Spec.Run != 1 || e.Spec.Config != oneStep || e.Status.Phase != v1alpha1.PhaseSucceeded {
		t.Errorf("run = %d, config = %q, phase = %s", e.Spec.Run, e.Spec.Config, e.Status.Phase)
	}
	if e.Status.Engine.Build != 1 || e.Status.Engine.Attempt != 1 || e.Status.StartedAt == nil || e.Status.FinishedAt == nil {
		t.Errorf("status = %+v", e.Status)
	}
	if s := e.Status.Stages; len(s) != 1 || s[0].Phase != v1alpha1.PhaseSucceeded || s[0].Steps[0].Phase != v1alpha1.PhaseSucceeded {
		t.Errorf("stages = %+v", s)
	}
	for kind, want := range map[string]metav1.ConditionStatus{
		v1alpha1.ConditionInitialized: metav1.ConditionTrue, v1alpha1.ConditionProvisioned: metav1.ConditionTrue, v1alpha1.ConditionBuilt: metav1.ConditionTrue,
		v1alpha1.ConditionComplete: metav1.ConditionTrue, v1alpha1.ConditionSucceeded: metav1.ConditionTrue,
	} {
		if c := meta.FindStatusCondition(e.Status.Conditions, kind); c == nil || c.Status != want {
			t.Errorf("condition %s = %+v, want %s", kind, c, want)
		}
	}
	eventually(t, "the pipeline is rolled up", func() error {
		p, err := w.clients.Pipelines(w.project).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			return err
		}
		last := p.Status.LastExecution
		if last == nil || last.Name != "first" || last.Run != 1 || last.Phase != v1alpha1.PhaseSucceeded || p.Status.NextRun != 2 || !meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady) {
			return fmt.Errorf("status is %+v", p.Status)
		}
		return nil
	})
	eventually(t, "the setting says that Jenkins is ready", func() error {
		s, err := w.clients.Settings(w.project).Get(t.Context(), v1alpha1.SettingName, metav1.GetOptions{})
		if err == nil && !meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionEngineReady) {
			err = fmt.Errorf("conditions are %+v", s.Status.Conditions)
		}
		return err
	})
	if _, err := w.clients.ServiceAccounts(w.project).Get(t.Context(), "pipeline-log-reader", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	eventually(t, "an event tells the end", func() error {
		events, err := w.clients.Events(w.project).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=first"})
		if err != nil {
			return err
		}
		for _, ev := range events.Items {
			if ev.Reason == v1alpha1.ReasonSucceeded && ev.Type == corev1.EventTypeNormal {
				return nil
			}
		}
		return fmt.Errorf("events are %v", events.Items)
	})
}

func TestFailedStepIsTheCause(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{Agents: jenkinstest.ScriptedAgents(func(context.Context, jenkinstest.Command) jenkinstest.Result {
		return jenkinstest.Result{Exit: 3, Output: "boom\n"}
	})})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "first")
	e := w.awaitFinished("first")
	if e.Status.Phase != v1alpha1.PhaseFailed || e.Status.Reason != v1alpha1.ReasonStepFailed || !strings.Contains(e.Status.Message, `step "compile": exit code 3`) {
		t.Errorf("status = %s %s %q", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
}

func TestQuota(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()}, quota(1))
	w.start()
	w.pipeline("app", oneStep)
	waits := func(name string, position int32) {
		t.Helper()
		w.await(name, fmt.Sprintf("waits at position %d", position), func(e *v1alpha1.PipelineExecution) bool {
			return e.Status.Phase == v1alpha1.PhaseQueued && e.Status.Reason == v1alpha1.ReasonWaitingForQuota && e.Status.Queue != nil && e.Status.Queue.Position == position
		})
	}
	w.run("app", "a1")
	w.awaitPhase("a1", v1alpha1.PhaseRunning)
	for i, name := range []string{"a2", "a3", "a4", "a5"} { // equal creation times go by name
		w.run("app", name)
		waits(name, int32(i+1))
	}
	eventually(t, "the setting counts them", func() error {
		s, err := w.clients.Settings(w.project).Get(t.Context(), v1alpha1.SettingName, metav1.GetOptions{})
		if err == nil && (s.Status.Running != 1 || s.Status.Queued != 4) {
			err = fmt.Errorf("running %d, queued %d", s.Status.Running, s.Status.Queued)
		}
		return err
	})
	g.open("a1") // the end of one admits the next
	w.awaitPhase("a2", v1alpha1.PhaseRunning)
	waits("a3", 1)
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "a2", metav1.DeleteOptions{})) // so does its deletion
	w.awaitGone("a2")
	w.awaitPhase("a3", v1alpha1.PhaseRunning)
	waits("a4", 1)
	patch := []byte(`{"spec":{"executor":{"quota":3}}}`) // and a larger quota
	if _, err := w.clients.Settings(w.project).Patch(t.Context(), v1alpha1.SettingName, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.awaitPhase("a4", v1alpha1.PhaseRunning)
	w.awaitPhase("a5", v1alpha1.PhaseRunning)
	for _, name := range []string{"a3", "a4", "a5"} {
		g.open(name)
		w.awaitFinished(name)
	}
}

func TestRunNumbersAreUnique(t *testing.T) {
	const n = 40
	w := newWorld(t, jenkinstest.Options{}, quota(0))
	w.start()
	w.pipeline("app", oneStep, keepAll)
	for i := range n {
		w.run("app", fmt.Sprintf("r%02d", i))
	}
	var numbers []int64
	for i := range n {
		numbers = append(numbers, w.awaitFinished(fmt.Sprintf("r%02d", i)).Spec.Run)
	}
	slices.Sort(numbers)
	for i, got := range numbers {
		if got != int64(i+1) {
			t.Fatalf("numbers = %v", numbers)
		}
	}
	for _, b := range w.jenkins.Builds() {
		if b.Number != 1 {
			t.Errorf("job %s has build %d", b.Job, b.Number)
		}
	}
}

func TestStop(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()}, quota(1))
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.run("app", "b")
	w.awaitPhase("b", v1alpha1.PhaseQueued)
	w.control("b", v1alpha1.ControlStop)
	w.control("a", v1alpha1.ControlStop)
	for _, name := range []string{"a", "b"} {
		e := w.awaitFinished(name)
		if e.Status.Phase != v1alpha1.PhaseAborted || e.Status.Reason != v1alpha1.ReasonStopped {
			t.Errorf("%s: %s %s", name, e.Status.Phase, e.Status.Reason)
		}
	}
	if builds := w.jenkins.Builds(); len(builds) != 1 || builds[0].Result != "ABORTED" {
		t.Errorf("builds = %+v", builds)
	}
}

func TestPauseAndResume(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.control("a", v1alpha1.ControlPause)
	w.awaitPhase("a", v1alpha1.PhasePaused)
	w.control("a", v1alpha1.ControlRun)
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	g.open("a")
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
}

func TestSuperseded(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep, func(p *v1alpha1.Pipeline) {
		p.Spec.Concurrency = &v1alpha1.Concurrency{Policy: v1alpha1.ConcurrencyCancelSuperseded}
	})
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.run("app", "b")
	e := w.awaitFinished("a")
	if e.Status.Phase != v1alpha1.PhaseAborted || e.Status.Reason != v1alpha1.ReasonSuperseded || !strings.Contains(e.Status.Message, "b") {
		t.Errorf("status = %s %s %q", e.Status.Phase, e.Status.Reason, e.Status.Message)
	}
	g.open("b")
	w.awaitPhase("b", v1alpha1.PhaseSucceeded)
}

func TestConfigErrorsAreTerminal(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{}, quota(0))
	w.start()
	w.pipeline("app", oneStep)
	w.pipeline("map", "", func(p *v1alpha1.Pipeline) {
		p.Spec.ConfigMapRef = &v1alpha1.ConfigMapKeyReference{Name: "none"}
	})
	for name, tc := range map[string]struct {
		pipeline, config, reason, message string
	}{
		"typo":        {"app", "stages:\n- name: A\n  stepz: []\n", v1alpha1.ReasonInvalidConfig, "line 3"},
		"later":       {"app", "stages:\n- name: A\n  steps:\n  - applyYamlConfig: {path: a.yaml}\n", v1alpha1.ReasonInvalidConfig, "line 4"},
		"no-pipeline": {"nobody", "", v1alpha1.ReasonPipelineNotFound, "nobody"},
		"no-map":      {"map", "", v1alpha1.ReasonConfigNotFound, "ConfigMap none"},
		"no-secret":   {"app", "stages: [{name: A, steps: [{runScriptConfig: {image: a, shellScript: b}, envFrom: [{sourceName: s, sourceKey: k, targetKey: K}]}]}]", v1alpha1.ReasonSecretNotFound, "Secret s"},
	} {
		t.Run(name, func(t *testing.T) {
			w.run(tc.pipeline, name, func(e *v1alpha1.PipelineExecution) { e.Spec.Config = tc.config })
			e := w.awaitFinished(name)
			if e.Status.Phase != v1alpha1.PhaseFailed || e.Status.Reason != tc.reason || !strings.Contains(e.Status.Message, tc.message) {
				t.Errorf("status = %s %s %q", e.Status.Phase, e.Status.Reason, e.Status.Message)
			}
		})
	}
	if builds := w.jenkins.Builds(); len(builds) != 0 {
		t.Errorf("builds = %+v", builds)
	}
}

const commit = "0123456789abcdef0123456789abcdef01234567"

func (w *world) repository(name string, change ...func(*v1alpha1.SourceCodeRepository)) {
	w.t.Helper()
	r := &v1alpha1.SourceCodeRepository{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.SourceCodeRepositorySpec{URL: "https://git.example/shop/app.git"}}
	for _, c := range change {
		c(r)
	}
	w.must(create(w.t, w.clients.Repositories(w.project), r))
}

func fromRepository(p *v1alpha1.Pipeline) {
	p.Spec.Config, p.Spec.RepositoryRef = "", &v1alpha1.LocalReference{Name: "app"}
}

func TestConfigIsFetchedAtTheCommit(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.reader.commits = map[string]string{"refs/heads/main": commit}
	w.reader.err = &scm.Error{Kind: scm.KindUnreachable, Message: "no route to host"}
	w.start()
	w.repository("app")
	w.pipeline("app", "", fromRepository)
	w.run("app", "a") // made by hand: without a source
	w.await("a", "waits for the Git host", func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Phase == v1alpha1.PhaseQueued && e.Status.Reason == v1alpha1.ReasonConfigUnavailable && strings.Contains(e.Status.Message, "no route to host")
	})
	w.reader.set(func(r *reader) { r.err, r.files = nil, map[string]string{".pipeline.yml": oneStep} })
	e := w.awaitPhase("a", v1alpha1.PhaseSucceeded)
	if e.Spec.Source == nil || e.Spec.Source.Commit != commit || e.Spec.Source.Branch != "main" || e.Spec.Config != oneStep {
		t.Errorf("spec = %+v", e.Spec)
	}
	if len(e.Status.Stages) != 2 || e.Status.Stages[0].Name != "Clone" || e.Status.Stages[0].Phase != v1alpha1.PhaseSucceeded {
		t.Errorf("stages = %+v", e.Status.Stages)
	}
	w.reader.set(func(r *reader) { r.files = nil })
	w.run("app", "b")
	if e := w.awaitFinished("b"); e.Status.Reason != v1alpha1.ReasonConfigNotFound {
		t.Errorf("without a file: %s %q", e.Status.Reason, e.Status.Message)
	}
	w.reader.set(func(r *reader) { r.commits = nil })
	w.run("app", "c")
	if e := w.awaitFinished("c"); e.Status.Reason != v1alpha1.ReasonSourceNotFound {
		t.Errorf("without the branch: %s %q", e.Status.Reason, e.Status.Message)
	}
}

func TestSecretsReachTheAgentOnly(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.reader.commits = map[string]string{"refs/heads/main": commit}
	w.reader.files = map[string]string{".pipeline.yml": "stages: [{name: A, steps: [{runScriptConfig: {image: a, shellScript: b}, envFrom: [{sourceName: s, sourceKey: k, targetKey: K}]}]}]"}
	for name, data := range map[string]map[string]string{"s": {"k": "hush", "other": "no"}, "login": {"token": "git-token\n"}} {
		w.must(create(t, w.clients.Secrets(w.project), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}))
	}
	w.must(create(t, w.clients.Providers(w.project), &v1alpha1.SourceCodeProvider{ObjectMeta: metav1.ObjectMeta{Name: "host"}, Spec: v1alpha1.SourceCodeProviderSpec{Type: v1alpha1.ProviderGit, URL: "https://git.example"}}))
	w.must(create(t, w.clients.Credentials(w.project), &v1alpha1.SourceCodeCredential{ObjectMeta: metav1.ObjectMeta{Name: "login"},
		Spec: v1alpha1.SourceCodeCredentialSpec{ProviderRef: v1alpha1.LocalReference{Name: "host"}, SecretRef: v1alpha1.LocalReference{Name: "login"}}}))
	w.repository("app", func(r *v1alpha1.SourceCodeRepository) {
		r.Spec.ProviderRef, r.Spec.CredentialRef = &v1alpha1.LocalReference{Name: "host"}, &v1alpha1.LocalReference{Name: "login"}
	})
	w.start()
	w.pipeline("app", "", fromRepository)
	w.run("app", "a")
	e := w.awaitPhase("a", v1alpha1.PhaseRunning)
	secrets := w.clients.Secrets(w.project + "-pipeline")
	bundle, err := secrets.Get(t.Context(), "run-"+string(e.UID), metav1.GetOptions{})
	w.must(err)
	var values []string
	for _, v := range bundle.Data {
		values = append(values, string(v))
	}
	slices.Sort(values)
	if diff := cmp.Diff([]string{"git-token", "hush", "x-access-token"}, values); diff != "" {
		t.Errorf("values in the run's Secret (-want +got):\n%s", diff)
	}
	job := e.Status.Engine.Job
	for _, hidden := range []string{"hush", "git-token"} {
		if strings.Contains(w.jenkins.Config(job), hidden) {
			t.Errorf("Jenkins was told %q", hidden)
		}
	}
	if got := w.reader.seen[0].Credential.Token; got != "git-token" {
		t.Errorf("the config was read with token %q", got)
	}
	g.open("a")
	w.awaitFinished("a")
	if _, err := secrets.Get(t.Context(), bundle.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the run's Secret after its end: %v, want not found", err)
	}
	w.run("app", "b", func(e *v1alpha1.PipelineExecution) {
		e.Spec.Source = &v1alpha1.Source{RepositoryURL: "https://evil.example/app.git", Ref: "refs/heads/main", Branch: "main"}
	})
	w.await("b", "is admitted", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Engine != nil })
	for _, repo := range w.reader.seen {
		if repo.URL == "https://evil.example/app.git" && repo.Credential != (scm.Credential{}) {
			t.Errorf("the login was shown to %s", repo.URL)
		}
	}
	g.open("b")
	w.awaitFinished("b")
}

func TestDeletionLeavesNothing(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "runs")
	w.awaitPhase("runs", v1alpha1.PhaseRunning)
	g.open("ended")
	w.run("app", "ended")
	w.awaitFinished("ended")
	if jobs := w.jenkins.Jobs(); len(jobs) != 2 {
		t.Errorf("jobs = %v: a finished run keeps its job, for its log", jobs)
	}
	for _, name := range []string{"runs", "ended"} {
		w.must(w.clients.Executions(w.project).Delete(t.Context(), name, metav1.DeleteOptions{}))
		w.awaitGone(name)
	}
	if jobs, queue := w.jenkins.Jobs(), w.jenkins.Queue(); len(jobs)+len(queue) != 0 {
		t.Errorf("jobs = %v, queue = %v after the deletion", jobs, queue)
	}
}

func TestDeletionIsNoticedAfterARestart(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitFinished("a")
	w.halt()
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "a", metav1.DeleteOptions{}))
	w.start()
	w.awaitGone("a")
	if jobs := w.jenkins.Jobs(); len(jobs) != 0 {
		t.Errorf("jobs = %v", jobs)
	}
}

func TestForceRemove(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.jenkins.SetDown(true)
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "a", metav1.DeleteOptions{}))
	eventually(t, "an event says what holds it", func() error {
		events, err := w.clients.Events(w.project).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=a"})
		if err != nil {
			return err
		}
		for _, ev := range events.Items {
			if strings.Contains(ev.Message, v1alpha1.AnnotationForceRemove) {
				return nil
			}
		}
		return errors.New("no such event")
	})
	w.get("a")
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"true"}}}`, v1alpha1.AnnotationForceRemove)
	if _, err := w.clients.Executions(w.project).Patch(t.Context(), "a", "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.awaitGone("a")
}

func TestJenkinsDownEndsNothing(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.jenkins.SetDown(true)
	w.run("app", "b")
	w.await("a", "says that Jenkins is down", func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Phase == v1alpha1.PhaseRunning && e.Status.Reason == v1alpha1.ReasonEngineUnavailable
	})
	w.await("b", "says it too", func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Phase == v1alpha1.PhasePending && e.Status.Reason == v1alpha1.ReasonEngineUnavailable
	})
	w.jenkins.SetDown(false)
	g.open("a")
	g.open("b")
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
	w.awaitPhase("b", v1alpha1.PhaseSucceeded)
}

func TestLostAnswerStartsOneBuild(t *testing.T) {
	for name, fault := range map[string]jenkinstest.Fault{
		"after the build was triggered":   {DropAfter: true},
		"before it was":                   {DropBefore: true},
		"a proxy answered, with an error": {Status: 502},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, jenkinstest.Options{})
			fault.Path = "buildWithParameters"
			w.jenkins.Spoil(fault)
			w.start()
			w.pipeline("app", oneStep)
			w.run("app", "a")
			w.awaitPhase("a", v1alpha1.PhaseSucceeded)
			if b := w.jenkins.Builds(); len(b) != 1 {
				t.Errorf("builds = %+v, want one", b)
			}
		})
	}
}

func TestRestartOfTheControllersFollowsOn(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{Agents: g.agents()})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitPhase("a", v1alpha1.PhaseRunning)
	w.halt()
	g.open("a")
	w.start()
	w.awaitFinished("a")
	if b := w.jenkins.Builds(); len(b) != 1 || b[0].Result != "SUCCESS" {
		t.Errorf("builds = %+v, want one", b)
	}
}

func TestManagedJenkinsIsNotConfigured(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{}, func(s *v1alpha1.PipelineSetting) {
		s.Spec.Engine.Jenkins = v1alpha1.JenkinsSpec{Mode: v1alpha1.ComponentManaged}
	})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.await("a", "says what to do", func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Phase == v1alpha1.PhaseQueued && e.Status.Reason == v1alpha1.ReasonEngineNotConfigured && strings.Contains(e.Status.Message, "mode External")
	})
	patch := fmt.Appendf(nil, `{"spec":{"engine":{"jenkins":{"mode":"External","url":%q,"credentialsSecretRef":{"name":"jenkins"}}}}}`, w.url)
	if _, err := w.clients.Settings(w.project).Patch(t.Context(), v1alpha1.SettingName, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
}

func TestRotatedCredentials(t *testing.T) {
	g := newGate()
	w := newWorld(t, jenkinstest.Options{User: "me", Token: "new", Agents: g.agents()})
	w.start()
	update := func(token string) {
		t.Helper()
		if _, err := w.clients.Secrets(w.project).Patch(t.Context(), "jenkins", "application/merge-patch+json", fmt.Appendf(nil, `{"stringData":{"token":%q}}`, token), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	update("old")
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.await("a", "is refused", func(e *v1alpha1.PipelineExecution) bool { return e.Status.Reason == v1alpha1.ReasonEngineUnauthorized })
	update("new")
	g.open("a")
	w.awaitPhase("a", v1alpha1.PhaseSucceeded)
}

func TestRepositoryGetsAPathOnce(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.must(create(t, w.clients.Secrets(w.project), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "hook"}, StringData: map[string]string{"secret": "0123456789abcdef"}}))
	w.start()
	w.repository("app", func(r *v1alpha1.SourceCodeRepository) {
		r.Spec.Webhook = &v1alpha1.WebhookSpec{SecretRef: &v1alpha1.SecretKeyReference{Name: "hook"}}
	})
	w.repository("closed")
	w.must(create(t, w.clients.Providers(w.project), &v1alpha1.SourceCodeProvider{ObjectMeta: metav1.ObjectMeta{Name: "lab"},
		Spec: v1alpha1.SourceCodeProviderSpec{Type: v1alpha1.ProviderGitLab, URL: "https://gitlab.example"}}))
	w.repository("foreign", func(r *v1alpha1.SourceCodeRepository) {
		r.Spec.ProviderRef = &v1alpha1.LocalReference{Name: "lab"}
		r.Spec.Webhook = &v1alpha1.WebhookSpec{SecretRef: &v1alpha1.SecretKeyReference{Name: "hook"}}
	})
	condition := func(name string, status metav1.ConditionStatus, reason string) *v1alpha1.SourceCodeRepository {
		t.Helper()
		var r *v1alpha1.SourceCodeRepository
		eventually(t, "repository "+name+" is judged", func() (err error) {
			if r, err = w.clients.Repositories(w.project).Get(t.Context(), name, metav1.GetOptions{}); err != nil {
				return err
			}
			c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionWebhookReady)
			if c == nil || c.Status != status || c.Reason != reason {
				return fmt.Errorf("condition is %+v", c)
			}
			return nil
		})
		return r
	}
	condition("foreign", metav1.ConditionTrue, v1alpha1.ReasonReady)
	r := condition("app", metav1.ConditionTrue, v1alpha1.ReasonReady)
	path := r.Status.Webhook.Path
	if len(path) != len("/hooks/")+32 || r.Status.Webhook.URL != "https://hookd.example"+path {
		t.Errorf("webhook = %+v", r.Status.Webhook)
	}
	if other := condition("closed", metav1.ConditionFalse, v1alpha1.ReasonDisabled); other.Status.Webhook.Path == path {
		t.Error("two repositories have one path")
	}
	if _, err := w.clients.Repositories(w.project).Patch(t.Context(), "app", "application/merge-patch+json", []byte(`{"spec":{"webhook":{"mode":"Disabled"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if r = condition("app", metav1.ConditionFalse, v1alpha1.ReasonDisabled); r.Status.Webhook.Path != path {
		t.Errorf("path changed from %s to %s", path, r.Status.Webhook.Path)
	}
}

func TestHistoryIsLimited(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{}, quota(0))
	w.start()
	one := int32(1)
	w.pipeline("app", oneStep, func(p *v1alpha1.Pipeline) { p.Spec.History = &v1alpha1.History{Succeeded: &one} })
	for _, name := range []string{"c", "b", "a"} { // all within a second, maybe
		w.run("app", name)
		w.awaitPhase(name, v1alpha1.PhaseSucceeded)
	}
	w.awaitGone("c")
	w.awaitGone("b")
	w.get("a")
	if jobs := w.jenkins.Jobs(); len(jobs) != 1 {
		t.Errorf("jobs = %v, want that of a", jobs)
	}
}

// TestHandMade: an execution without labels and finalizer, as kubectl create makes it,
// is run like any other.
func TestHandMade(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a", func(e *v1alpha1.PipelineExecution) { e.Labels, e.Finalizers = nil, nil })
	e := w.awaitFinished("a")
	if !slices.Contains(e.Finalizers, v1alpha1.Finalizer) || e.Labels[v1alpha1.LabelPipeline] != "app" || e.Labels[v1alpha1.LabelTrigger] != "Manual" {
		t.Errorf("metadata = %+v", e.ObjectMeta)
	}
}

// TestCrashBeforeTheLabel: a run that ended while its label still says active is let go
// by the next process, without another word to Jenkins.
func TestCrashBeforeTheLabel(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.start()
	w.pipeline("app", oneStep)
	w.run("app", "a")
	w.awaitFinished("a")
	w.halt()
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:"active"}}}`, v1alpha1.LabelPhaseClass)
	if _, err := w.clients.Executions(w.project).Patch(t.Context(), "a", "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.awaitFinished("a")
	if b := w.jenkins.Builds(); len(b) != 1 {
		t.Errorf("builds = %+v, want one", b)
	}
}

func TestControllersLeaveNothingRunning(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{})
	w.pipeline("app", oneStep)
	round := func(name string) {
		w.start()
		w.run("app", name)
		w.awaitFinished(name)
		w.halt()
	}
	round("a") // connections that all share are made
	before := goleak.IgnoreCurrent()
	round("b")
	goleak.VerifyNone(t, before)
}
