package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // it would tell of each connection that the test breaks
	os.Exit(cluster.Main(m))
}

// settings are taken from the environment, so that a failure can be played again:
//
//	KUBECTL_PIPELINE_LONG=1                the long version
//	KUBECTL_PIPELINE_CHAOS_SEED=42         default: another one each time
//	KUBECTL_PIPELINE_CHAOS_RUNS=300        how many executions
//	KUBECTL_PIPELINE_CHAOS_TIME=15m        over how long
type settings struct {
	seed   uint64
	runs   int
	length time.Duration
	long   bool
}

func settingsOf(t *testing.T, getenv func(string) string) settings {
	t.Helper()
	s := settings{seed: uint64(time.Now().UnixNano()) % 1_000_000, runs: 32, length: 24 * time.Second}
	if getenv("KUBECTL_PIPELINE_LONG") != "" {
		s.runs, s.length, s.long = 300, 15*time.Minute, true
	}
	var errs []error
	given := func(name string, parse func(string) error) {
		if text := getenv("KUBECTL_PIPELINE_CHAOS_" + name); text != "" {
			errs = append(errs, parse(text))
		}
	}
	given("SEED", func(text string) (err error) { s.seed, err = strconv.ParseUint(text, 10, 64); return err })
	given("RUNS", func(text string) (err error) { s.runs, err = strconv.Atoi(text); return err })
	given("TIME", func(text string) (err error) { s.length, err = time.ParseDuration(text); return err })
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	// settleTime is how long everything may take to end after the last fault.
	settleTime = 8 * time.Minute
	// cleanTime is how long what is deleted may take to be gone.
	cleanTime = 2 * time.Minute
	// idleTime is how long it may take until what was kept for the next request, such as
	// connections, is given back.
	idleTime = 2 * time.Minute
)

// TestChaos runs pipelines of all kinds while everything breaks, and judges each.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute: run without -short")
	}
	s := settingsOf(t, os.Getenv)
	p := newPlan(s.seed, s.runs, s.length, !s.long)
	t.Logf("seed %d (KUBECTL_PIPELINE_CHAOS_SEED=%[1]d): %s", s.seed, p.String())
	own := ownUsage()
	began := time.Now()

	lease := 15 * time.Second
	if !s.long {
		lease = 4 * time.Second
	}
	w, err := startWorld(t.Context(), lease, func(format string, args ...any) { t.Logf(format, args...) })
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		w.endWatch()
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
	defer stop()
	idle := baseline(t, w, s.long)
	t.Logf("everything runs after %s; a replica of hookd that is idle has %s", time.Since(began).Round(time.Second), idle)

	test := &trial{T: t, w: w, plan: p}
	test.play()
	test.judge()
	test.clear()
	w.endWatch()
	test.measure(idle, s.long)
	t.Logf("most executions active at once: %d; seen paused: %d; hookd ended by itself: %d times; all in %s",
		w.watch.busiest, w.paused.Load(), w.ownEnds.Load(), time.Since(began).Round(time.Second))
	stop()
	eventually(t, time.Minute, func(context.Context) error {
		if now := ownUsage(); !now.within(own, 6, 6) {
			return fmt.Errorf("this process has %s, it had %s:\n%s", now, own, stacks())
		}
		return nil
	})
}

// trial is one time that the plan is carried out.
type trial struct {
	*testing.T
	w        *world
	plan     plan
	told     int
	requests []string // to Jenkins, as far as they were asked for
}

// play carries out the plan and waits until every run is over.
func (t *trial) play() {
	ctx, cancel := context.WithTimeout(t.Context(), t.plan.length+settleTime)
	defer cancel()
	w := t.w
	w.log = newTimeline(time.Now())
	w.beginWatch(t.Context())
	var people, faults sync.WaitGroup
	for _, r := range t.plan.runs {
		people.Go(func() {
			p := &person{ctx: ctx, w: w, run: r}
			if err := p.live(); err != nil {
				t.Errorf("%s/%s: %v", r.project, r.name, err)
			}
		})
	}
	for _, s := range t.plan.faults {
		faults.Go(func() {
			if pass(ctx, s.at) != nil {
				return
			}
			if err := s.fault.fire(ctx, w, s); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		})
	}
	faults.Wait()
	w.Jenkins.Mend()
	w.log.note("nothing breaks any more")
	mended := time.Now()
	people.Wait()
	for _, r := range t.plan.runs {
		err := w.watch.await(ctx, r, func(e *v1alpha1.PipelineExecution) bool { return !r.kind.gone && terminal(e.Status.Phase) })
		if err != nil {
			t.tell(r, []string{fmt.Sprintf("it is not over %s after the last fault", time.Since(mended).Round(time.Second))})
		}
	}
	t.Logf("all runs were over %s after the last fault; the last: %s", time.Since(mended).Round(100*time.Millisecond), strings.Join(w.watch.last(4), ", "))
}

// judge looks at how each run ended, and at what must never have happened.
func (t *trial) judge() {
	builds := map[types.UID][]jenkinstest.BuildInfo{}
	for _, b := range t.w.Jenkins.Builds() {
		builds[uidOf(b.Params)] = append(builds[uidOf(b.Params)], b)
	}
	ends := map[string]int{}
	for _, r := range t.plan.runs {
		rec := t.w.watch.find(r)
		if rec == nil {
			t.tell(r, []string{"it was never seen"})
			continue
		}
		e := rec.latest
		if r.kind.gone {
			ends["deleted"]++
			if !rec.gone {
				t.tell(r, []string{"it was deleted, and is still there"})
			}
			continue
		}
		ends[verdict{e.Status.Phase, e.Status.Reason}.String()]++
		if !terminal(e.Status.Phase) {
			continue // told already
		}
		r.last = t.w.watch.newest(e)
		effects := t.w.log.effects(e.UID, e.CreationTimestamp.Time, e.Status.FinishedAt.Time.Add(time.Second))
		if wrong := judge(r, e, effects, builds[e.UID]); len(wrong) > 0 {
			t.tell(r, wrong)
		}
	}
	t.Logf("ends: %s", counts(ends))
	for _, wrong := range append(append(t.w.watch.wrong(), t.w.builds.twice()...), t.w.watch.numbers()...) {
		t.Error(wrong)
	}
}

// clear deletes all executions and waits until nothing is left of them.
func (t *trial) clear() {
	var people sync.WaitGroup
	for _, r := range t.plan.runs {
		if r.kind.gone {
			continue
		}
		people.Go(func() {
			p := &person{ctx: t.Context(), w: t.w, run: r}
			if err := p.delete(); err != nil {
				t.Errorf("%s/%s: %v", r.project, r.name, err)
			}
		})
	}
	people.Wait()
	var left error
	if !eventually(t.T, cleanTime, func(ctx context.Context) error { left = t.w.leftovers(ctx); return left }) {
		for _, r := range t.plan.runs {
			if names(left.Error(), r.project+"/"+r.name) {
				t.tell(r, []string{"something of it is left behind"})
			}
		}
	}
	for _, wrong := range t.w.watch.wrong() {
		t.Error(wrong)
	}
}

// measure waits until hookd holds no more than it did at the beginning.
func (t *trial) measure(idle usage, long bool) {
	goroutines, files := slack(long)
	for _, h := range t.w.replicas() {
		var now usage
		eventually(t.T, idleTime, func(ctx context.Context) (err error) {
			if now, err = usageOf(ctx, h); err == nil && !now.within(idle, goroutines, files) {
				err = fmt.Errorf("hookd at %s has %s, an idle one had %s", h.URL, now, idle)
			}
			return err
		})
		t.Logf("hookd at %s has %s", h.URL, now)
	}
}

// slack is how much more than at the beginning hookd may hold. The short version begins
// without a single run: connections and pollers come with the first.
func slack(long bool) (goroutines, files int) {
	if long {
		return 15, 8
	}
	return 25, 12
}

// baseline is what hookd holds while it has nothing to do; in the long version after
// each project has had a run, which makes all connections there will be.
func baseline(t *testing.T, w *world, long bool) (idle usage) {
	t.Helper()
	if long {
		warmUp(t, w)
	}
	for _, h := range w.replicas() {
		u, err := usageOf(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		idle = most(idle, u)
	}
	return idle
}

func warmUp(t *testing.T, w *world) {
	t.Helper()
	w.log = newTimeline(time.Now())
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { w.watch.follow(watching) })
	for _, pr := range projects() {
		for _, k := range kinds() {
			if k.name != map[bool]string{true: "no-agent", false: "one-step"}[pr.stuck] {
				continue
			}
			p := &person{ctx: ctx, w: w, run: run{name: "warm-up", project: pr.name, kind: k}}
			err := p.begin()
			if err == nil {
				err = p.await("is over", func(e *v1alpha1.PipelineExecution) bool { return terminal(e.Status.Phase) })
			}
			if err == nil {
				err = p.delete()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, cleanTime, w.leftovers)
	stop()
	watcher.Wait()
}

func eventually(t *testing.T, limit time.Duration, ok func(context.Context) error) bool {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, limit, true, func(ctx context.Context) (bool, error) {
		last = ok(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Errorf("after %s: %v", limit, last)
	}
	return err == nil
}

const (
	maxTold     = 6  // runs that are told about in full
	maxLogLines = 60 // of hookd, about one run
	maxRequests = 40 // that change something, about one run
)

// tell reports a run that went wrong, with all that is known about it.
func (t *trial) tell(r run, wrong []string) {
	t.Helper()
	title := fmt.Sprintf("%s/%s: %s", r.project, r.name, strings.Join(wrong, "; "))
	rec := t.w.watch.find(r)
	if t.told++; t.told > maxTold || rec == nil {
		t.Error(title)
		return
	}
	e, log := rec.latest, t.w.log
	var b strings.Builder
	to := time.Now()
	if e.Status.FinishedAt != nil {
		to = e.Status.FinishedAt.Add(2 * time.Second)
	}
	fmt.Fprintf(&b, "%s\nseed %d; uid %s; effects %v\n", title, t.plan.seed, e.UID, log.effects(e.UID, e.CreationTimestamp.Time, to))
	status, err := yaml.Marshal(e.Status)
	if err != nil {
		t.Error(err)
	}
	fmt.Fprintf(&b, "status:\n%s\nphases:\n", indent(string(status)))
	for _, m := range rec.history {
		fmt.Fprintf(&b, "  %s %s\n", log.clock(m.at), m.what)
	}
	fmt.Fprintf(&b, "what broke:\n%s", log.around(e.CreationTimestamp.Add(-5*time.Second), to))
	for _, build := range t.w.Jenkins.Builds() {
		if uidOf(build.Params) == e.UID {
			fmt.Fprintf(&b, "build %d: %s\n%s\n", build.Number, build.Result, indent(build.Log))
		}
	}
	fmt.Fprintf(&b, "requests to Jenkins:\n%shookd:\n%s", t.requestsOn(r), t.hookdOn(r))
	t.Error(b.String())
}

func indent(s string) string { return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") }

// names tells whether a text names an execution, or something whose name begins with its.
func names(text, execution string) bool {
	for _, after := range []string{"-", ",", " ", "]"} {
		if strings.Contains(text+" ", execution+after) {
			return true
		}
	}
	return false
}

// requestsOn are the requests to Jenkins about a run, in their order: the last ones.
func (t *trial) requestsOn(r run) string {
	t.requests = append(t.requests, t.w.Jenkins.Requests()...)
	var about []string
	for _, request := range t.requests {
		if !strings.HasPrefix(request, "GET ") && strings.Contains(request, r.project) && strings.Contains(request, r.name) || strings.Contains(request, "createItem?name="+r.name+"-") {
			about = append(about, "  "+request+"\n")
		}
	}
	return strings.Join(about[max(0, len(about)-maxRequests):], "")
}

// hookdOn is what hookd's replicas logged about a run.
func (t *trial) hookdOn(r run) string {
	var b strings.Builder
	n := 0
	for _, h := range t.w.replicas() {
		text, err := os.ReadFile(h.LogFile)
		if err != nil {
			return err.Error()
		}
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "execution="+r.name+" ") && !strings.Contains(line, r.project+"/"+r.name) {
				continue
			}
			if n++; n <= maxLogLines {
				fmt.Fprintf(&b, "  %s %s", h.URL, line)
			}
		}
	}
	return b.String()
}
