package controller_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/controller"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// plug is the network of a process that dies at its n-th write, to whomever: before the
// write was sent, or when it was done and its answer is on the way. A dead process
// sends nothing.
type plug struct {
	at      int32
	before  bool
	project string

	writes atomic.Int32
	dead   atomic.Bool
	died   chan string
}

var errDead = errors.New("this process is dead")

func (p *plug) through(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if p.dead.Load() {
			return nil, errDead
		}
		// Of the API server's writes only those about the run count; all to Jenkins do.
		mine := r.Method != http.MethodGet && (!strings.Contains(r.URL.Path, "/namespaces/") || strings.Contains(r.URL.Path, "/namespaces/"+p.project)) &&
			!strings.HasSuffix(r.URL.Path, "/events")
		last := mine && p.writes.Add(1) == p.at
		if !last {
			return next.RoundTrip(r)
		}
		what := r.Method + " " + r.URL.Path
		if !p.before {
			resp, err := next.RoundTrip(r)
			if err == nil {
				resp.Body.Close()
			}
		}
		p.dead.Store(true)
		p.died <- what
		return nil, errDead
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestCrashAtEachWrite kills the controllers at each of their writes, to the API server
// and to Jenkins, before and after it: the next process has one build end the run.
func TestCrashAtEachWrite(t *testing.T) {
	for _, before := range []bool{true, false} {
		for at := int32(1); ; at++ {
			if testing.Short() && at%4 != 0 {
				continue
			}
			name := fmt.Sprintf("after write %d", at)
			if before {
				name = fmt.Sprintf("before write %d", at)
			}
			if ok := t.Run(name, func(t *testing.T) { at = crashAt(t, at, before) }); !ok || at < 0 {
				break
			}
		}
	}
}

// crashAt returns at, or -1 when the run was over before.
func crashAt(t *testing.T, at int32, before bool) int32 {
	w := newWorld(t, jenkinstest.Options{})
	p := &plug{at: at, before: before, project: w.project, died: make(chan string, 1)}
	cfg := *w.clients.Config
	cfg.Wrap(p.through)
	clients, err := kube.NewClients(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.start(func(o *controller.Options) {
		o.Clients = clients
		o.NewJenkins = func(c jenkins.Config) (controller.Jenkins, error) {
			c.Transport = p.through(http.DefaultTransport)
			return jenkins.New(c)
		}
	})
	w.pipeline("app", oneStep)
	w.run("app", "a")
	over := false
	eventually(t, "the process is dead, or the run is over", func() error {
		select {
		case what := <-p.died:
			t.Logf("it died at %s", what)
			return nil
		default:
		}
		e, err := w.clients.Executions(w.project).Get(t.Context(), "a", metav1.GetOptions{})
		if err == nil && e.Labels[v1alpha1.LabelPhaseClass] == v1alpha1.PhaseClassFinished {
			over = true
			return nil
		}
		return fmt.Errorf("neither: %w", err)
	})
	w.halt()
	w.start()
	e := w.awaitFinished("a")
	if e.Status.Phase != v1alpha1.PhaseSucceeded || e.Spec.Run < 1 || e.Status.Engine.Attempt != 1 {
		t.Errorf("run %d is %s: %s: %s, attempt %d", e.Spec.Run, e.Status.Phase, e.Status.Reason, e.Status.Message, e.Status.Engine.Attempt)
	}
	if b := w.jenkins.Builds(); len(b) != 1 {
		t.Errorf("builds = %+v, want one", b)
	}
	w.must(w.clients.Executions(w.project).Delete(t.Context(), "a", metav1.DeleteOptions{}))
	w.awaitGone("a")
	if jobs, queue := w.jenkins.Jobs(), w.jenkins.Queue(); len(jobs)+len(queue) != 0 {
		t.Errorf("left in Jenkins: jobs %v, queue %v", jobs, queue)
	}
	if over {
		return -1
	}
	return at
}
