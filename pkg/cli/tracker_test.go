package cli

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// in is the run in a phase.
func in(phase v1alpha1.Phase) *v1alpha1.PipelineExecution {
	pe := &v1alpha1.PipelineExecution{}
	pe.APIVersion, pe.Kind = v1alpha1.SchemeGroupVersion.String(), "PipelineExecution"
	pe.Name, pe.Namespace, pe.UID = "app-1", testNamespace, "uid-app-1"
	pe.Labels = map[string]string{v1alpha1.LabelPipeline: "app"}
	pe.Spec.PipelineRef.Name = "app"
	pe.Spec.Trigger.Type = v1alpha1.EventManual
	pe.Status.Phase = phase
	return pe
}

// TestTracker is the list of ways in which watching a run fails in the field; whatever
// happens, the tracker ends with the run's own end or with an error.
func TestTracker(t *testing.T) {
	refuse := func(n int, code int, reason string) func(*fakeAPI) {
		return func(f *fakeAPI) {
			f.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if n--; n < 0 {
					return false
				}
				status(w, code, reason, "scripted", r.URL.Path)
				return true
			}
		}
	}
	finish := func(phase v1alpha1.Phase) func(*watchConn) {
		return func(c *watchConn) {
			c.f.put(executionsResource, in(phase))
			c.serve(nil)
		}
	}
	for name, c := range map[string]struct {
		start   *v1alpha1.PipelineExecution // nil: there is none
		setup   func(f *fakeAPI)
		watches []func(c *watchConn)
		want    v1alpha1.Phase // of the end; "" when there is an error
		wantErr func(error) bool
		// lists is how often the run was listed; 0: any number
		lists int
	}{
		"ends at once when the run is over already": {
			start: in(v1alpha1.PhaseFailed), want: v1alpha1.PhaseFailed, lists: 1,
		},
		"sees the end in the watch": {
			start: in(v1alpha1.PhaseRunning), watches: []func(*watchConn){finish(v1alpha1.PhaseSucceeded)},
			want: v1alpha1.PhaseSucceeded, lists: 1,
		},
		"tells a failed run from a good one": {
			start: in(v1alpha1.PhaseRunning), watches: []func(*watchConn){finish(v1alpha1.PhaseFailed)},
			want: v1alpha1.PhaseFailed,
		},
		"sees an end that came between list and watch": {
			start: in(v1alpha1.PhaseRunning),
			setup: func(f *fakeAPI) {
				f.fault = func(_ http.ResponseWriter, r *http.Request) bool {
					if r.URL.Query().Get("watch") == "true" && f.seen("GET") == 2 {
						f.put(executionsResource, in(v1alpha1.PhaseAborted))
					}
					return false
				}
			},
			want: v1alpha1.PhaseAborted,
		},
		"watches again when the server closes the watch every minute": {
			start: in(v1alpha1.PhaseQueued),
			watches: []func(*watchConn){
				func(c *watchConn) {
					c.f.put(executionsResource, in(v1alpha1.PhasePending))
					stop := make(chan struct{})
					close(stop)
					c.serve(stop)
				},
				func(c *watchConn) {
					c.f.put(executionsResource, in(v1alpha1.PhaseRunning))
					stop := make(chan struct{})
					close(stop)
					c.serve(stop)
				},
				finish(v1alpha1.PhaseSucceeded),
			},
			want: v1alpha1.PhaseSucceeded, lists: 1,
		},
		"takes a bookmark for a sign of life": {
			start: in(v1alpha1.PhaseRunning),
			watches: []func(*watchConn){
				func(c *watchConn) {
					c.send("BOOKMARK", []byte(`{"kind":"PipelineExecution","apiVersion":"kubectl-pipeline.io/v1alpha1","metadata":{"resourceVersion":"101"}}`))
				},
				finish(v1alpha1.PhaseSucceeded),
			},
			want: v1alpha1.PhaseSucceeded, lists: 1,
		},
		"lists again when its version is too old": {
			start: in(v1alpha1.PhaseRunning),
			watches: []func(*watchConn){
				func(c *watchConn) { c.status(410, "Expired") },
				finish(v1alpha1.PhaseFailed),
			},
			want: v1alpha1.PhaseFailed, lists: 2,
		},
		"survives a watch that ends without a word, ten times": {
			start:   in(v1alpha1.PhaseRunning),
			watches: append(slices.Repeat([]func(*watchConn){func(*watchConn) {}}, 10), finish(v1alpha1.PhaseSucceeded)),
			want:    v1alpha1.PhaseSucceeded,
		},
		"survives a connection that is cut in the middle of an event": {
			start: in(v1alpha1.PhaseRunning),
			watches: []func(*watchConn){
				func(c *watchConn) {
					_, _ = c.w.Write([]byte(`{"type":"MODIFIED","object":{"kind":"PipelineExec`))
					c.w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				},
				finish(v1alpha1.PhaseSucceeded),
			},
			want: v1alpha1.PhaseSucceeded,
		},
		"survives events that are no objects": {
			start: in(v1alpha1.PhaseRunning),
			watches: []func(*watchConn){
				func(c *watchConn) { c.send("MODIFIED", []byte(`{"kind":"Nonsense","apiVersion":"v0"}`)) },
				finish(v1alpha1.PhaseSucceeded),
			},
			want: v1alpha1.PhaseSucceeded,
		},
		"waits through a server that is away for a while": {
			start: in(v1alpha1.PhaseRunning),
			watches: []func(*watchConn){func(c *watchConn) {
				c.f.put(executionsResource, in(v1alpha1.PhaseSucceeded))
				refuse(30, 503, "ServiceUnavailable")(c.f)
			}},
			want: v1alpha1.PhaseSucceeded,
		},
		"waits through a server that forbids everything while it starts": {
			start: in(v1alpha1.PhaseRunning),
			watches: []func(*watchConn){func(c *watchConn) {
				c.f.put(executionsResource, in(v1alpha1.PhaseFailed))
				refuse(5, 403, "Forbidden")(c.f)
			}},
			want: v1alpha1.PhaseFailed,
		},
		"gives up when it is forbidden for good": {
			start:   in(v1alpha1.PhaseRunning),
			watches: []func(*watchConn){func(c *watchConn) { refuse(1000, 403, "Forbidden")(c.f) }},
			wantErr: apierrors.IsForbidden,
		},
		"gives up at once when it was never allowed": {
			start: in(v1alpha1.PhaseRunning), setup: refuse(1000, 403, "Forbidden"), wantErr: apierrors.IsForbidden,
		},
		"polls when it may list but not watch": {
			start: in(v1alpha1.PhaseRunning),
			setup: func(f *fakeAPI) {
				refused := 0
				f.fault = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Query().Get("watch") != "true" {
						return false
					}
					if refused++; refused == 15 {
						f.put(executionsResource, in(v1alpha1.PhaseSucceeded))
					}
					status(w, 403, "Forbidden", "cannot watch", r.URL.Path)
					return true
				}
			},
			want: v1alpha1.PhaseSucceeded,
		},
		"ends with an error when the run is deleted": {
			start: in(v1alpha1.PhaseRunning),
			watches: []func(*watchConn){func(c *watchConn) {
				c.f.remove(executionsResource, "app-1")
				c.serve(nil)
			}},
			wantErr: func(err error) bool { return errors.Is(err, errDeleted) },
		},
		"ends with an error when the run was deleted while nobody watched": {
			start:   in(v1alpha1.PhaseRunning),
			watches: []func(*watchConn){func(c *watchConn) { c.f.remove(executionsResource, "app-1") }},
			wantErr: func(err error) bool { return errors.Is(err, errDeleted) },
		},
		"takes another run of the same name for a deleted one": {
			start: in(v1alpha1.PhaseRunning),
			watches: []func(*watchConn){func(c *watchConn) {
				other := in(v1alpha1.PhaseSucceeded)
				other.UID = "another"
				c.f.put(executionsResource, other)
			}},
			wantErr: func(err error) bool { return errors.Is(err, errDeleted) },
		},
		"knows the end of a run that was deleted after it": {
			start: in(v1alpha1.PhaseRunning),
			watches: []func(*watchConn){func(c *watchConn) {
				c.f.put(executionsResource, in(v1alpha1.PhaseFailed))
				c.f.remove(executionsResource, "app-1")
				c.serve(nil)
			}},
			want: v1alpha1.PhaseFailed,
		},
		"ends with an error when there never was a run": {
			wantErr: apierrors.IsNotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t)
			clients, err := kube.NewClients(&rest.Config{Host: api.URL, QPS: -1})
			if err != nil {
				t.Fatal(err)
			}
			tr := &tracker{
				runs: clients.Executions(testNamespace), name: "app-1", changed: func(*v1alpha1.PipelineExecution) {},
				trouble: func(error) {}, pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
			}
			if c.start != nil {
				api.put(executionsResource, c.start)
			}
			api.watches = c.watches
			if c.setup != nil {
				c.setup(api)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			last, err := tr.follow(ctx)
			if c.wantErr != nil {
				if err == nil || !c.wantErr(err) {
					t.Fatalf("error %v, last phase %v", err, last)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if last.Status.Phase != c.want {
				t.Errorf("phase %s, want %s", last.Status.Phase, c.want)
			}
			if lists := api.seen("GET") - countWatches(api); c.lists > 0 && lists != c.lists {
				t.Errorf("listed %d times, want %d: %v", lists, c.lists, api.requests)
			}
		})
	}
}

func countWatches(f *fakeAPI) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if strings.Contains(r, "watch=true") {
			n++
		}
	}
	return n
}

// TestTrackerShowsEveryState: what is drawn is every state, in order, the first and the
// last included.
func TestTrackerShowsEveryState(t *testing.T) {
	api := newFakeAPI(t)
	clients, err := kube.NewClients(&rest.Config{Host: api.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	api.put(executionsResource, in(v1alpha1.PhaseQueued))
	api.watches = []func(*watchConn){func(c *watchConn) {
		for _, p := range []v1alpha1.Phase{v1alpha1.PhasePending, v1alpha1.PhaseRunning, v1alpha1.PhaseSucceeded} {
			api.put(executionsResource, in(p))
		}
		c.serve(nil)
	}}
	var seen []string
	tr := &tracker{
		runs: clients.Executions(testNamespace), name: "app-1", trouble: func(error) {}, pause: pause,
		changed: func(pe *v1alpha1.PipelineExecution) { seen = append(seen, string(pe.Status.Phase)) },
	}
	if _, err := tr.follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(seen, " "); got != "Queued Pending Running Succeeded" {
		t.Errorf("saw %s", got)
	}
}

func TestRetryAfter(t *testing.T) {
	for failures := range 40 {
		want := min(retryMin<<min(failures, 10), retryMax)
		if d := retryAfter(nil, failures); d < want/2 || d > want {
			t.Errorf("after %d failures: %s, want %s to %s", failures, d, want/2, want)
		}
	}
	slow := apierrors.NewTooManyRequests("busy", 3)
	if d := retryAfter(slow, 0); d != 3*time.Second {
		t.Errorf("the server asked for 3s, got %s", d)
	}
}
