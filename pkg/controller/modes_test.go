package controller_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/controller"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// modes is one run of the controllers for many projects, each with a Jenkins of its own:
// what goes wrong in one must not be felt in the others.
type modes struct {
	clock fastClock

	mu      sync.Mutex
	through map[string]func(http.RoundTripper) http.RoundTripper // the way to a Jenkins, by its address
	scripts map[string]func(string) string                       // what becomes of a Jenkinsfile on that way
}

// TestModes has the controllers meet what docs/failure-modes.md lists under these names,
// all at once.
func TestModes(t *testing.T) {
	m := &modes{clock: fastClock{time.Now(), 10}, through: map[string]func(http.RoundTripper) http.RoundTripper{}, scripts: map[string]func(string) string{}}
	(&world{t: t, clients: apiServer(t), reader: &reader{}, clock: m.clock}).start(func(o *controller.Options) { o.NewJenkins = m.newJenkins })
	var all sync.WaitGroup
	slots := make(chan struct{}, 8) // more than -parallel allows, since they mostly wait
	for _, tests := range []map[string]func(*testing.T, *modes){weatherModes, lostModes, triggerModes, agentModes, endModes, oddModes} {
		for name, test := range tests {
			all.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				t.Run(name, func(t *testing.T) { test(t, m) })
			})
		}
	}
	all.Wait()
}

func (m *modes) newJenkins(cfg jenkins.Config) (controller.Jenkins, error) {
	m.mu.Lock()
	through, script := m.through[cfg.BaseURL], m.scripts[cfg.BaseURL]
	m.mu.Unlock()
	if through != nil {
		cfg.Transport = through(http.DefaultTransport)
	}
	c, err := jenkins.New(cfg)
	if err != nil || script == nil {
		return c, err
	}
	return scripting{c, script}, nil
}

// scripting is a Jenkins to which other Jenkinsfiles are given than were compiled.
type scripting struct {
	*jenkins.Client
	change func(string) string
}

func (s scripting) EnsureJob(ctx context.Context, j jenkins.Job) (bool, error) {
	j.Script = s.change(j.Script)
	return s.Client.EnsureJob(ctx, j)
}

// world is a project of its own, on the common clock unless it has another.
func (m *modes) world(t *testing.T, opts jenkinstest.Options, change ...func(*v1alpha1.PipelineSetting)) *world {
	t.Helper()
	if opts.Clock == nil {
		opts.Clock = m.clock
	}
	w := newWorld(t, opts, append([]func(*v1alpha1.PipelineSetting){quota(0)}, change...)...)
	w.pipeline("app", oneStep)
	return w
}

// via has requests to the project's Jenkins pass through something.
func (m *modes) via(through func(http.RoundTripper) http.RoundTripper) func(*v1alpha1.PipelineSetting) {
	return func(s *v1alpha1.PipelineSetting) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.through[s.Spec.Engine.Jenkins.URL] = through
	}
}

// scripted has Jenkins run another script than was compiled.
func (m *modes) scripted(change func(string) string) func(*v1alpha1.PipelineSetting) {
	return func(s *v1alpha1.PipelineSetting) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.scripts[s.Spec.Engine.Jenkins.URL] = change
	}
}

// rewrite changes the bodies of answers.
func rewrite(change func(string) string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return nil, err
			}
			body = []byte(change(string(body)))
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			resp.Header.Del("Content-Length")
			return resp, nil
		})
	}
}

// answer is a response of something that is not the double.
func answer(r *http.Request, status int, header ...string) *http.Response {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	resp := &http.Response{Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: r}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}

// byHand is what somebody else does in Jenkins.
func (w *world) byHand(method, path, body string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	w.must(err)
	r.Header.Set("Content-Type", "application/xml")
	resp, err := http.DefaultTransport.RoundTrip(r)
	w.must(err)
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode >= 400 {
		w.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
}

// unseen does something in Jenkins while the controllers cannot look.
func (w *world) unseen(do func()) {
	w.t.Helper()
	w.jenkins.Spoil(jenkinstest.Fault{Path: "/api/json", Status: 502, Times: -1})
	do()
	w.jenkins.Mend()
}

const (
	folderXML  = `<com.cloudbees.hudson.plugins.folder.Folder/>`
	foreignXML = `<project><description>made by somebody else</description></project>`
)

// jobPath is the path of a job by its full name.
func jobPath(job string) string { return "/job/" + strings.ReplaceAll(job, "/", "/job/") }

// futureJob is the full name of the job that an execution will have.
func futureJob(e *v1alpha1.PipelineExecution) string {
	n := v1alpha1.ProjectNames{Namespace: e.Namespace}
	return n.JenkinsFolder() + "/" + n.JenkinsJob(e.Name, string(e.UID))
}

func (w *world) awaitReason(name string, phase v1alpha1.Phase, reason, message string) *v1alpha1.PipelineExecution {
	w.t.Helper()
	return w.await(name, fmt.Sprintf("is %s %s with %q", phase, reason, message), func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Phase == phase && e.Status.Reason == reason && strings.Contains(e.Status.Message, message)
	})
}

// running starts a run and waits until its first step runs.
func (w *world) running(name string) *v1alpha1.PipelineExecution {
	w.t.Helper()
	w.run("app", name)
	return w.awaitPhase(name, v1alpha1.PhaseRunning)
}

// waiting starts a run that stays in the queue of a Jenkins which starts nothing.
func (w *world) waiting(name string) *v1alpha1.PipelineExecution {
	w.t.Helper()
	w.jenkins.SetQuiet(true)
	w.run("app", name)
	return w.await(name, "is in Jenkins' queue", func(e *v1alpha1.PipelineExecution) bool {
		return e.Status.Reason == v1alpha1.ReasonInEngineQueue && e.Status.Engine.QueueID != 0
	})
}

// ends waits for the end of a run and compares it.
func (w *world) ends(name string, phase v1alpha1.Phase, reason, message string) *v1alpha1.PipelineExecution {
	w.t.Helper()
	e := w.awaitFinished(name)
	if e.Status.Phase != phase || e.Status.Reason != reason || !strings.Contains(e.Status.Message, message) {
		w.t.Errorf("%s ended as %s %s %q, want %s %s with %q", name, e.Status.Phase, e.Status.Reason, e.Status.Message, phase, reason, message)
	}
	return e
}

func (w *world) succeeds(name string) *v1alpha1.PipelineExecution {
	w.t.Helper()
	return w.ends(name, v1alpha1.PhaseSucceeded, v1alpha1.ReasonSucceeded, "")
}

// builds checks how many builds there ever were.
func (w *world) builds(want int) {
	w.t.Helper()
	if b := w.jenkins.Builds(); len(b) != want {
		w.t.Errorf("builds = %+v, want %d", b, want)
	}
}

// asked counts the requests since the last call by parts of them.
func (w *world) asked(parts ...string) []int {
	counts := make([]int, len(parts))
	for _, r := range w.jenkins.Requests() {
		for i, p := range parts {
			if strings.Contains(r, p) {
				counts[i]++
			}
		}
	}
	return counts
}

// remove deletes a run and waits until it is gone.
func (w *world) remove(name string) {
	w.t.Helper()
	w.must(w.clients.Executions(w.project).Delete(w.t.Context(), name, metav1.DeleteOptions{}))
	w.awaitGone(name)
}

// pod makes an agent pod as Jenkins would, with a status as the kubelet would.
func (w *world) pod(e *v1alpha1.PipelineExecution, status corev1.PodStatus) *corev1.Pod {
	w.t.Helper()
	ns := w.project + "-pipeline"
	eventually(w.t, "the executor namespace takes pods", func() error {
		err := create(w.t, w.clients.ServiceAccounts(ns), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
	p, err := w.clients.Pods(ns).Create(w.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "agent-" + e.Name, Labels: map[string]string{v1alpha1.LabelExecutionUID: string(e.UID)}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "golang", Image: "golang"}}, AutomountServiceAccountToken: new(bool)},
	}, metav1.CreateOptions{})
	w.must(err)
	return w.podStatus(p, status)
}

func (w *world) podStatus(p *corev1.Pod, status corev1.PodStatus) *corev1.Pod {
	w.t.Helper()
	p.Status = status
	p, err := w.clients.Pods(p.Namespace).UpdateStatus(w.t.Context(), p, metav1.UpdateOptions{})
	w.must(err)
	return p
}

// ready is the status of a pod whose containers run.
var ready = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}

func (w *world) podsLeft() int {
	w.t.Helper()
	pods, err := w.clients.Pods(w.project+"-pipeline").List(w.t.Context(), metav1.ListOptions{})
	w.must(err)
	n := 0
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil {
			n++
		}
	}
	return n
}

// jumpClock runs twenty times faster than the real one, and jumps when it is told to: what
// would take an hour takes no time.
type jumpClock struct{ *clocktesting.FakeClock }

func newJumpClock(t *testing.T) jumpClock {
	c := jumpClock{clocktesting.NewFakeClock(time.Now())}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.Step(40 * time.Millisecond)
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
	return c
}
