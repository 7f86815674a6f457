package once

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

// size is how much of everything there is.
type size struct {
	pointsFor  time.Duration // kills at each write end after it, finished or not
	shuffled   bool          // since there may be no time for all of them
	crashes    int           // of Jenkins beside a kill, at most
	halts      bool          // a leader is halted for longer than its lease
	kills      int           // in all, of which those at random end after killsFor
	killsFor   time.Duration
	loadFor    time.Duration // executions are begun, and Jenkins behaves badly
	executions int           // begun at random, at most
	pods       int           // of them with agents that are pods
	moments    []moment
	deletions  int // kills at each write of a deletion, at most
}

var (
	short = size{
		pointsFor: 12 * time.Second, shuffled: true, crashes: 2, kills: 60, killsFor: 12 * time.Second, loadFor: 5 * time.Second,
		executions: 20, pods: 1, moments: []moment{beforeSent, processed}, deletions: 4,
	}
	long = size{
		pointsFor: 5 * time.Minute, crashes: 100, halts: true, kills: 200, killsFor: 8 * time.Minute, loadFor: 8 * time.Minute,
		executions: 400, pods: 8, moments: []moment{beforeSent, processed, answered}, deletions: 100,
	}
)

// campaign is everything that takes part.
type campaign struct {
	t       *testing.T
	w       *harness.World
	size    size
	seed    uint64
	began   time.Time
	fleet   *fleet
	watcher *watcher
	ledger  *ledger

	deletion []point  // the writes of the clean run's deletion
	late     []*order // triggers that are on the way
	mu       sync.Mutex
	hits     map[string]int
}

func newCampaign(t *testing.T, size size, seed uint64) *campaign {
	c := &campaign{t: t, size: size, seed: seed, began: time.Now(), ledger: newLedger(), hits: map[string]int{}}
	w, err := harness.Start(t.Context(), harness.Options{
		Simulated: 1, Replicas: -1,
		Jenkins: func(o *jenkinstest.Options) {
			c.ledger.pods = o.Agents
			o.Agents = c.ledger
			o.LeftTick = 100 * time.Millisecond // an item is neither queued nor a build for a moment
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.w = w
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
	c.watcher = startWatcher(t, w.Clients)
	c.fleet = startFleet(t, w, seed)
	w.JenkinsURL = jenkinsName // of the projects made from now on
	t.Logf("everything runs after %s", time.Since(c.began).Round(time.Millisecond))
	return c
}

// random is a source for one purpose.
func (c *campaign) random(purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(c.seed, purpose)) }

func (c *campaign) phase(name string, do func()) {
	begin := time.Now()
	do()
	c.t.Logf("%s: %s", name, time.Since(begin).Round(10*time.Millisecond))
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// The pipelines of every project, and how their runs have to end.
const (
	good = "good"
	bad  = "bad"
)

func (c *campaign) config(pace time.Duration, last string) string {
	return fmt.Sprintf(`
stages:
- name: Build
  steps:
  - name: compile
    runScriptConfig: {image: %[1]q, shellScript: "sleep %.3[2]f"}
    envFrom: [{sourceName: login, sourceKey: token, targetKey: TOKEN}]
  - name: vet
    runScriptConfig: {image: %[1]q, shellScript: "sleep %.3[2]f"}
- name: Test
  steps:
  - name: unit
    runScriptConfig: {image: %[1]q, shellScript: "sleep %.3[2]f; %[3]s"}
`, harness.AgentImage, pace.Seconds(), last)
}

// project makes a project whose runs need about three times pace.
func (c *campaign) project(ctx context.Context, name string, quota int32, pace time.Duration) error {
	c.watcher.setQuota(name, int(quota))
	if err := c.w.Project(ctx, name, quota); err != nil {
		return err
	}
	if _, err := c.w.Clients.Secrets(name).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "login"}, StringData: map[string]string{"token": "secret"},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	for pipeline, last := range map[string]string{good: "true", bad: "exit 3"} {
		keep := int32(10_000)
		if _, err := c.w.Pipeline(ctx, name, pipeline, "", func(p *v1alpha1.Pipeline) {
			p.Spec.RepositoryRef, p.Spec.Triggers = nil, nil
			p.Spec.Config = c.config(pace, last)
			p.Spec.History = &v1alpha1.History{Succeeded: &keep, Failed: &keep}
		}); err != nil {
			return err
		}
	}
	return nil
}

// start makes an execution as the plugin does.
func (c *campaign) start(ctx context.Context, project, pipeline, name string) error {
	_, err := c.w.Clients.Executions(project).Create(ctx, &v1alpha1.PipelineExecution{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Finalizers: []string{v1alpha1.Finalizer},
			Labels: map[string]string{v1alpha1.LabelPipeline: pipeline, v1alpha1.LabelPhaseClass: v1alpha1.PhaseClassActive},
		},
		Spec: v1alpha1.PipelineExecutionSpec{PipelineRef: v1alpha1.LocalReference{Name: pipeline}, Trigger: v1alpha1.Trigger{Type: v1alpha1.EventManual}},
	}, metav1.CreateOptions{})
	return err
}

// wrong says what is wrong with the end of an execution, "" when nothing is.
func wrong(e *seen) string {
	s := e.Status
	switch {
	case e.Spec.PipelineRef.Name == good && s.Phase == v1alpha1.PhaseSucceeded:
	case e.Spec.PipelineRef.Name == bad && s.Phase == v1alpha1.PhaseFailed && s.Reason == v1alpha1.ReasonStepFailed:
	case s.Reason == v1alpha1.ReasonEngineLost && s.Engine.Attempt == 3 && s.Engine.Build == 0:
		// Jenkins crashed three times while the run was in its queue: that is said, not tried for ever.
	default:
		return fmt.Sprintf("%s/%s, a %s one, is %s %s: %s", e.Namespace, e.Name, e.Spec.PipelineRef.Name, cmp.Or(string(s.Phase), "new"), s.Reason, s.Message)
	}
	return ""
}

// settle waits until every execution has ended, and its end is right.
func (c *campaign) settle() {
	if err := c.watcher.wait(4*time.Minute, nil, func() error {
		open := 0
		last := ""
		for _, e := range c.watcher.all() {
			if !e.gone && !e.finished() {
				open++
				last = fmt.Sprintf("%s/%s is %s %s: %s", e.Namespace, e.Name, e.Status.Phase, e.Status.Reason, e.Status.Message)
			}
		}
		if open > 0 {
			return fmt.Errorf("%d executions have not ended, such as %s", open, last)
		}
		return nil
	}); err != nil {
		c.t.Error(err)
	}
	for _, e := range c.watcher.all() {
		if !e.gone {
			if w := wrong(&e); w != "" {
				c.t.Error(w)
				c.evidence(&e)
			}
		}
	}
}

// evidence shows what Jenkins has of an execution.
func (c *campaign) evidence(e *seen) {
	c.t.Logf("phases of %s/%s: %s", e.Namespace, e.Name, strings.Join(e.path, ", "))
	if e.Status.Engine == nil {
		return
	}
	for _, b := range c.w.Jenkins.Builds(e.Status.Engine.Job) {
		c.t.Logf("%s\n%s", describe([]jenkinstest.BuildInfo{b}), b.Log)
	}
}

// gone tells whether an execution was deleted.
func (c *campaign) gone(uid string) bool {
	for _, e := range c.watcher.all() {
		if string(e.UID) == uid {
			return e.gone
		}
	}
	return false
}

func (c *campaign) summary() {
	c.fleet.mu.Lock()
	defer c.fleet.mu.Unlock()
	c.t.Logf("%d kills %v; the lease moved %d times, %d times by running out; %s in all; KUBECTL_PIPELINE_ONCE_SEED=%d",
		c.fleet.kills, c.hits, c.fleet.moves, c.fleet.waits, time.Since(c.began).Round(time.Second), c.seed)
}

// note counts what was done.
func (c *campaign) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hits[what]++
}
