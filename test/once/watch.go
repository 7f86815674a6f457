package once

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// watcher sees every version of every execution, in the order in which they were
// written, and checks what has to hold at any moment.
type watcher struct {
	clients *kube.Clients
	quotas  map[string]int // by project

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced with each event
	executions map[types.UID]*seen
	names      map[types.NamespacedName]types.UID
	runs       map[string]types.UID // by pipeline and run number
	holding    map[string]int       // slots, by project
	mostHeld   map[string]int
	violations []string
	versions   int
}

// seen is an execution as it is now, or was last.
type seen struct {
	*v1alpha1.PipelineExecution
	path []string // of its phases
	gone bool
}

func (s *seen) finished() bool {
	return s.Labels[v1alpha1.LabelPhaseClass] == v1alpha1.PhaseClassFinished
}

// startWatcher watches until the test ends.
func startWatcher(t *testing.T, clients *kube.Clients) *watcher {
	w := &watcher{
		clients: clients, quotas: map[string]int{}, changed: make(chan struct{}), executions: map[types.UID]*seen{},
		names: map[types.NamespacedName]types.UID{}, runs: map[string]types.UID{}, holding: map[string]int{}, mostHeld: map[string]int{},
	}
	list, err := clients.Executions("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	t.Cleanup(func() { stop(); <-ended })
	go func() {
		defer close(ended)
		version := list.ResourceVersion
		for ctx.Err() == nil {
			var err error
			if version, err = w.watch(ctx, version); err != nil && ctx.Err() == nil {
				t.Errorf("watch executions: %v", err)
				return
			}
		}
	}()
	return w
}

func (w *watcher) watch(ctx context.Context, version string) (string, error) {
	events, err := w.clients.Executions("").Watch(ctx, metav1.ListOptions{ResourceVersion: version, AllowWatchBookmarks: true})
	if err != nil {
		return version, err
	}
	defer events.Stop()
	for ev := range events.ResultChan() {
		e, ok := ev.Object.(*v1alpha1.PipelineExecution)
		if !ok {
			return version, fmt.Errorf("%s: %v", ev.Type, ev.Object)
		}
		version = e.ResourceVersion
		if ev.Type != watch.Bookmark {
			w.see(e, ev.Type == watch.Deleted)
		}
	}
	return version, nil
}

func (w *watcher) see(e *v1alpha1.PipelineExecution, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.versions++
	s := w.executions[e.UID]
	if s == nil {
		s = &seen{PipelineExecution: &v1alpha1.PipelineExecution{}}
		w.executions[e.UID] = s
		w.names[types.NamespacedName{Namespace: e.Namespace, Name: e.Name}] = e.UID
	}
	for _, v := range violations(s.PipelineExecution, e) {
		w.violations = append(w.violations, fmt.Sprintf("%s/%s: %s (phases: %s)", e.Namespace, e.Name, v, strings.Join(s.path, ", ")))
	}
	if e.Spec.Run != 0 {
		number := fmt.Sprintf("%s/%s run %d", e.Namespace, e.Spec.PipelineRef.Name, e.Spec.Run)
		if of, ok := w.runs[number]; ok && of != e.UID {
			w.violations = append(w.violations, "two executions are "+number)
		}
		w.runs[number] = e.UID
	}
	w.count(s, e, gone)
	if n := len(s.path); n == 0 || s.path[n-1] != string(e.Status.Phase) {
		s.path = append(s.path, string(e.Status.Phase))
	}
	s.PipelineExecution, s.gone = e, gone
	close(w.changed)
	w.changed = make(chan struct{})
}

// count checks the quota: what holds a slot now, against what the project may.
func (w *watcher) count(s *seen, e *v1alpha1.PipelineExecution, gone bool) {
	before, after := holds(s.PipelineExecution), holds(e) && !gone
	if before == after {
		return
	}
	p := e.Namespace
	if after {
		w.holding[p]++
	} else {
		w.holding[p]--
	}
	w.mostHeld[p] = max(w.mostHeld[p], w.holding[p])
	if quota := w.quotas[p]; w.holding[p] > quota {
		w.violations = append(w.violations, fmt.Sprintf("%s: %d executions hold slots of %d, the last is %s", p, w.holding[p], quota, e.Name))
	}
}

func holds(e *v1alpha1.PipelineExecution) bool {
	return rank(e.Status.Phase) == 1 || rank(e.Status.Phase) == 2
}

// rank orders phases: a run never goes back.
func rank(p v1alpha1.Phase) int {
	switch p {
	case "", v1alpha1.PhaseQueued:
		return 0
	case v1alpha1.PhasePending:
		return 1
	case v1alpha1.PhaseRunning, v1alpha1.PhasePaused:
		return 2
	}
	return 3
}

func ended(p v1alpha1.Phase) bool { return rank(p) == 3 }

// violations is what must never follow from one version of an execution to the next.
func violations(old, e *v1alpha1.PipelineExecution) (v []string) {
	was, is := old.Status, e.Status
	if rank(is.Phase) < rank(was.Phase) {
		v = append(v, fmt.Sprintf("it went back from %s to %s", was.Phase, is.Phase))
	}
	if ended(was.Phase) && !equality.Semantic.DeepEqual(was, is) {
		v = append(v, fmt.Sprintf("its status changed after its end: %s %s, %s %s", was.Phase, was.Reason, is.Phase, is.Reason))
	}
	if old.Spec.Run != 0 && e.Spec.Run != old.Spec.Run {
		v = append(v, fmt.Sprintf("run %d became run %d", old.Spec.Run, e.Spec.Run))
	}
	if was.StartedAt != nil && !was.StartedAt.Equal(is.StartedAt) {
		v = append(v, fmt.Sprintf("it started at %s, then at %s", was.StartedAt, is.StartedAt))
	}
	if was.Engine == nil {
		return v
	}
	if is.Engine == nil {
		return append(v, "it forgot its engine")
	}
	if was.Engine.Build != 0 && is.Engine.Build != was.Engine.Build {
		v = append(v, fmt.Sprintf("build %d became build %d", was.Engine.Build, is.Engine.Build))
	}
	if is.Engine.Attempt < was.Engine.Attempt || is.Engine.Job != was.Engine.Job {
		v = append(v, fmt.Sprintf("attempt %d of job %s became attempt %d of job %s", was.Engine.Attempt, was.Engine.Job, is.Engine.Attempt, is.Engine.Job))
	}
	return v
}

// find is what is known of an execution, nil when it has not been seen.
func (w *watcher) find(project, name string) *seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.executions[w.names[types.NamespacedName{Namespace: project, Name: name}]]
	if s == nil {
		return nil
	}
	c := *s
	return &c
}

// all are the executions that are there and those that were.
func (w *watcher) all() []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]seen, 0, len(w.executions))
	for _, s := range w.executions {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b seen) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	return all
}

// wait returns when done is nil, or says what it said last. It is asked after each
// change of any execution, and when extra is closed.
func (w *watcher) wait(timeout time.Duration, extra <-chan struct{}, done func() error) error {
	deadline := time.After(timeout)
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		err := done()
		if err == nil {
			return nil
		}
		select {
		case <-changed:
		case <-extra:
			extra = nil
		case <-deadline:
			return fmt.Errorf("after %s: %w", timeout, err)
		}
	}
}

func (w *watcher) setQuota(project string, quota int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.quotas[project] = quota
}

// report fails the test for each violation.
func (w *watcher) report(t *testing.T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.violations {
		t.Error(v)
	}
	t.Logf("%d versions of %d executions seen; slots held at most: %v", w.versions, len(w.executions), w.mostHeld)
}
