package bench

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/harness"
)

const (
	project = "bench"
	// patience bounds what a benchmark waits for.
	patience = 3 * time.Minute
)

// ignored is a path where everything is received.
const ignored = "/ignored"

// threeStages is a config file of three stages with a step each.
const threeStages = `stages:
- {name: Build, steps: [{name: compile, runScriptConfig: {image: alpine, shellScript: make}}]}
- {name: Test, steps: [{name: unit, runScriptConfig: {image: alpine, shellScript: make test}}]}
- {name: Release, steps: [{name: push, runScriptConfig: {image: alpine, shellScript: make push}}]}
`

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.bench"); f == nil || f.Value.String() == "" {
		os.Exit(m.Run()) // there are no tests: nothing to make a cluster for
	}
	os.Exit(cluster.Main(m))
}

// world is the product with one replica of hookd, and a Jenkins double that notes when
// builds are triggered. Its project has no quota.
type world struct {
	*harness.World
	b      *testing.B
	double *jenkinstest.Server
	client http.Client

	mu       sync.Mutex
	triggers map[string]time.Time // by the job's full name
}

// newWorld starts everything anew: no benchmark sees what another left.
func newWorld(b *testing.B, step func(context.Context, jenkinstest.Command) jenkinstest.Result) *world {
	b.Helper()
	h, err := harness.Start(b.Context(), harness.Options{Log: b.Logf})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := h.Stop(); err != nil {
			b.Error(err)
		}
	})
	w := &world{
		World: h, b: b, client: http.Client{Timeout: 30 * time.Second}, triggers: map[string]time.Time{},
		double: jenkinstest.New(jenkinstest.Options{
			Agents: jenkinstest.ScriptedAgents(step), User: harness.JenkinsUser, Token: harness.JenkinsToken, Crumbs: true,
		}),
	}
	l, err := net.Listen("tcp", net.JoinHostPort(h.Cluster.HostIP(), "0"))
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: w, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(l) }() // ends with Close
	b.Cleanup(func() { srv.Close(); w.double.Close() })
	h.JenkinsURL = "http://" + l.Addr().String()
	if err := h.Project(b.Context(), project, 0); err != nil {
		b.Fatal(err)
	}
	return w
}

// ServeHTTP is the double, watched.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path == ignored {
		return
	}
	if r.Method == http.MethodPost {
		if path, ok := strings.CutSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/buildWithParameters"); ok {
			job := strings.Join(strings.Split(strings.TrimPrefix(path, "/job/"), "/job/"), "/")
			w.mu.Lock()
			w.triggers[job] = time.Now()
			w.mu.Unlock()
		}
	}
	w.double.ServeHTTP(rw, r)
}

// triggered is when Jenkins was asked for a build of a job.
func (w *world) triggered(job string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.triggers[job]
	return t, ok
}

// pipeline makes a pipeline whose runs are all kept.
func (w *world) pipeline(name, config string) {
	w.b.Helper()
	p := &v1alpha1.Pipeline{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.PipelineSpec{Config: config}}
	keepAll(p)
	if _, err := w.Clients.Pipelines(project).Create(w.b.Context(), p, metav1.CreateOptions{}); err != nil {
		w.b.Fatal(err)
	}
}

func keepAll(p *v1alpha1.Pipeline) {
	many := int32(100_000)
	p.Spec.History = &v1alpha1.History{Succeeded: &many, Failed: &many}
}

// execution is a run as the plugin and hooks make one.
func execution(pipeline, name string) *v1alpha1.PipelineExecution {
	return &v1alpha1.PipelineExecution{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelPhaseClass: v1alpha1.PhaseClassActive}, Finalizers: []string{v1alpha1.Finalizer}},
		Spec:       v1alpha1.PipelineExecutionSpec{PipelineRef: v1alpha1.LocalReference{Name: pipeline}, Trigger: v1alpha1.Trigger{Type: v1alpha1.EventManual}},
	}
}

// run creates n runs named prefix-0, prefix-1, … as fast as the API server takes them.
func (w *world) run(pipeline, prefix string, n int) {
	w.b.Helper()
	w.parallel(n, func(i int) error {
		_, err := w.Clients.Executions(project).Create(w.b.Context(), execution(pipeline, fmt.Sprintf("%s-%d", prefix, i)), metav1.CreateOptions{})
		return err
	})
}

// parallel calls f for 0 … n-1, sixteen at once.
func (w *world) parallel(n int, f func(i int) error) {
	w.b.Helper()
	var all sync.WaitGroup
	work := make(chan int)
	for range 16 {
		all.Go(func() {
			for i := range work {
				if err := f(i); err != nil {
					w.b.Error(err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	all.Wait()
	if w.b.Failed() {
		w.b.FailNow()
	}
}

// ended is how many runs this hookd drove to their end: its own count, since lists of
// many executions would keep the API server busy.
func (w *world) ended() int {
	w.b.Helper()
	return int(w.hookd("kubectl_pipeline_executions_finished_total"))
}

// awaitEnded waits until hookd has driven n runs to their end.
func (w *world) awaitEnded(n int) {
	w.b.Helper()
	w.await(fmt.Sprintf("%d runs have ended", n), func() error {
		if done := w.ended(); done < n {
			return fmt.Errorf("%d have", done)
		}
		return nil
	})
}

// await polls until a condition holds.
func (w *world) await(what string, condition func() error) {
	w.b.Helper()
	deadline, tick := time.After(patience), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			w.b.Fatalf("waited %s until %s: %v", patience, what, err)
		case <-tick.C:
		}
	}
}

// restartHookd begins with a process that remembers nothing.
func (w *world) restartHookd() {
	w.b.Helper()
	if err := w.KillHookd(); err != nil {
		w.b.Fatal(err)
	}
	if _, err := w.StartHookd(w.b.Context()); err != nil {
		w.b.Fatal(err)
	}
}
