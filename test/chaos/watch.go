package chaos

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// watcher follows all executions and notes whatever must never happen.
type watcher struct {
	clients *kube.Clients
	quotas  map[string]int // by project
	inLine  string         // the pipeline of which one run at most is active

	mu       sync.Mutex
	records  map[types.UID]*record
	changed  chan struct{} // closed and replaced at each change
	problems []string
	busiest  int
}

// record is one execution as it was seen.
type record struct {
	latest  *v1alpha1.PipelineExecution
	gone    bool
	history []moment // of its phase and reason
}

type moment struct {
	at   time.Time
	what verdict
}

func newWatcher(clients *kube.Clients, quotas map[string]int, inLine string) *watcher {
	return &watcher{clients: clients, quotas: quotas, inLine: inLine, records: map[types.UID]*record{}, changed: make(chan struct{})}
}

const relistWait = 200 * time.Millisecond

// follow lists and watches until ctx ends, again and again: the API server goes away.
func (w *watcher) follow(ctx context.Context) {
	for ctx.Err() == nil {
		w.once(ctx)
		timer := time.NewTimer(relistWait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (w *watcher) once(ctx context.Context) {
	list, err := w.clients.Executions("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	all := make([]*v1alpha1.PipelineExecution, 0, len(list.Items))
	for i := range list.Items {
		all = append(all, &list.Items[i])
	}
	w.replace(all, list.ResourceVersion)
	stream, err := w.clients.Executions("").Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return
	}
	defer stream.Stop()
	for ev := range stream.ResultChan() {
		e, isExecution := ev.Object.(*v1alpha1.PipelineExecution)
		if !isExecution {
			return
		}
		w.see(e, ev.Type == watch.Deleted)
	}
}

// replace takes over a list of some version. What it lacks is gone, unless it is newer.
func (w *watcher) replace(all []*v1alpha1.PipelineExecution, version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	there := map[types.UID]bool{}
	for _, e := range all {
		there[e.UID] = true
		w.take(e, false)
	}
	for uid, r := range w.records {
		order, err := resourceversion.CompareResourceVersion(r.latest.ResourceVersion, version)
		if err != nil {
			w.problem("compare versions: %v", err)
		}
		r.gone = r.gone || !there[uid] && order <= 0
	}
	w.check()
}

// know takes over what was just made. The watch may miss it, when it is deleted before
// the watch is back; or may have shown more of it already.
func (w *watcher) know(e *v1alpha1.PipelineExecution) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.records[e.UID] == nil {
		w.take(e, false)
		w.check()
	}
}

func (w *watcher) see(e *v1alpha1.PipelineExecution, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.take(e, gone)
	w.check()
}

func (w *watcher) take(e *v1alpha1.PipelineExecution, gone bool) {
	r := w.records[e.UID]
	if r == nil {
		r = &record{}
		w.records[e.UID] = r
	}
	if r.latest != nil {
		for _, wrong := range transition(r.latest, e) {
			w.problem("%s/%s: %s", e.Namespace, e.Name, wrong)
		}
	}
	now := verdict{e.Status.Phase, e.Status.Reason}
	if n := len(r.history); n == 0 || r.history[n-1].what != now {
		r.history = append(r.history, moment{time.Now(), now})
	}
	r.latest, r.gone = e, gone
}

// check looks at all of them together. The order in which one watch tells changes is
// that of the changes, so what it shows at each event was so.
func (w *watcher) check() {
	active, inLine := map[string]int{}, map[string]int{}
	total := 0
	for _, r := range w.records {
		if r.gone || rank(r.latest.Status.Phase) != 1 && rank(r.latest.Status.Phase) != 2 {
			continue
		}
		total++
		active[r.latest.Namespace]++
		if r.latest.Spec.PipelineRef.Name == w.inLine {
			inLine[r.latest.Namespace]++
		}
	}
	w.busiest = max(w.busiest, total)
	for _, project := range slices.Sorted(maps.Keys(active)) {
		if quota, known := w.quotas[project]; known && active[project] > quota {
			w.problem("%s: %d executions are active, its quota is %d", project, active[project], quota)
		}
		if inLine[project] > 1 {
			w.problem("%s: %d runs of %s are active, it says one at a time", project, inLine[project], w.inLine)
		}
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *watcher) problem(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(w.problems, text) {
		w.problems = append(w.problems, text)
	}
}

// transition says what an execution must not do from one sight to the next.
func transition(old, e *v1alpha1.PipelineExecution) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	was, is := old.Status, e.Status
	if rank(is.Phase) < rank(was.Phase) {
		say("its phase went back from %s to %s", was.Phase, is.Phase)
	}
	if terminal(was.Phase) {
		if a, b := said(was), said(is); !equality.Semantic.DeepEqual(a, b) {
			say("its status changed after its end: %s became %s", inJSON(a), inJSON(b))
		}
	}
	if old.Spec.Run != 0 && e.Spec.Run != old.Spec.Run {
		say("its number changed from %d to %d", old.Spec.Run, e.Spec.Run)
	}
	if a, b := was.Engine, is.Engine; a != nil {
		switch {
		case b == nil:
			say("it forgot its engine")
		case a.Build != 0 && a.Build != b.Build:
			say("its build changed from %d to %d", a.Build, b.Build)
		case b.Attempt < a.Attempt:
			say("its attempts went back from %d to %d", a.Attempt, b.Attempt)
		case a.Job != b.Job:
			say("its job changed from %s to %s", a.Job, b.Job)
		}
	}
	for i := range was.Stages {
		if i >= len(is.Stages) {
			say("it forgot stages")
			break
		}
		if a, b := was.Stages[i].Phase, is.Stages[i].Phase; terminal(a) && a != b {
			say("stage %s went from %s to %s", is.Stages[i].Name, a, b)
		}
	}
	return wrong
}

// said is a status without the generations that it speaks of: who changes spec.control
// after the end is answered with a look, and with nothing else.
func said(s v1alpha1.PipelineExecutionStatus) *v1alpha1.PipelineExecutionStatus {
	c := s.DeepCopy()
	c.ObservedGeneration = 0
	for i := range c.Conditions {
		c.Conditions[i].ObservedGeneration = 0
	}
	return c
}

func inJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// rank orders phases: none may be followed by one of a lower rank.
func rank(p v1alpha1.Phase) int {
	switch p {
	case "", v1alpha1.PhaseQueued:
		return 0
	case v1alpha1.PhasePending:
		return 1
	case v1alpha1.PhaseRunning, v1alpha1.PhasePaused:
		return 2
	default:
		return 3
	}
}

// find is what is known of the execution of a run, nil before it was seen.
func (w *watcher) find(r run) *record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.findLocked(r)
}

func (w *watcher) findLocked(r run) *record {
	for _, rec := range w.records {
		if rec.latest.Namespace == r.project && rec.latest.Name == r.name {
			seen := *rec
			return &seen
		}
	}
	return nil
}

// await waits until done says so of what is known of a run; what is gone is done.
func (w *watcher) await(ctx context.Context, r run, done func(*v1alpha1.PipelineExecution) bool) error {
	for {
		w.mu.Lock()
		rec, changed := w.findLocked(r), w.changed
		w.mu.Unlock()
		if rec != nil && (rec.gone || done(rec.latest)) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// newest tells whether no run of the same pipeline is newer, by time and then by name.
func (w *watcher) newest(e *v1alpha1.PipelineExecution) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.records {
		o := r.latest
		if o.Namespace == e.Namespace && o.Spec.PipelineRef == e.Spec.PipelineRef &&
			cmp.Or(o.CreationTimestamp.Compare(e.CreationTimestamp.Time), cmp.Compare(o.Name, e.Name)) > 0 {
			return false
		}
	}
	return true
}

// numbers finds run numbers that were given twice.
func (w *watcher) numbers() (wrong []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	given := map[string]string{}
	for _, r := range slices.SortedFunc(maps.Values(w.records), func(a, b *record) int { return cmp.Compare(a.latest.Name, b.latest.Name) }) {
		e := r.latest
		if e.Spec.Run == 0 {
			continue
		}
		key := fmt.Sprintf("%s/%s #%d", e.Namespace, e.Spec.PipelineRef.Name, e.Spec.Run)
		if other := given[key]; other != "" {
			wrong = append(wrong, fmt.Sprintf("%s is both %s and %s", key, other, e.Name))
		}
		given[key] = e.Name
	}
	return wrong
}

// complain notes a problem that was seen elsewhere.
func (w *watcher) complain(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problem(format, args...)
}

// wrong is everything that must never have happened, and did.
func (w *watcher) wrong() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.problems)
}

// nameOf is the execution of a uid as people call it.
func (w *watcher) nameOf(uid types.UID) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.records[uid]; r != nil {
		return r.latest.Namespace + "/" + r.latest.Name
	}
	return string(uid)
}

// last are the executions that were the last to change.
func (w *watcher) last(n int) (names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := func(r *record) time.Time { return r.history[len(r.history)-1].at }
	all := slices.SortedFunc(maps.Values(w.records), func(a, b *record) int { return changed(b).Compare(changed(a)) })
	for _, r := range all[:min(n, len(all))] {
		names = append(names, fmt.Sprintf("%s/%s %s at %s", r.latest.Namespace, r.latest.Name, r.history[len(r.history)-1].what, changed(r).Format("15:04:05")))
	}
	return names
}
