package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// leaseServer is an API server with one Lease, without a network in between: in a
// bubble of synctest, hours pass in no time.
type leaseServer struct {
	mu      sync.Mutex
	lease   *coordinationv1.Lease
	version int
	down    map[string]bool // user agents that cannot reach it
	lose    bool            // the answer to the next write is lost
}

func (s *leaseServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.down[r.UserAgent()] {
		s.mu.Unlock()
		<-r.Context().Done() // as when packets vanish
		return nil, r.Context().Err()
	}
	defer s.mu.Unlock()
	var sent coordinationv1.Lease
	if r.Body != nil {
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			return nil, err
		}
	}
	refuse := func(code int, reason metav1.StatusReason) (*http.Response, error) {
		return answer(code, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: reason})
	}
	switch {
	case r.Method == http.MethodPost && s.lease != nil:
		return refuse(http.StatusConflict, metav1.StatusReasonAlreadyExists)
	case r.Method != http.MethodPost && s.lease == nil:
		return refuse(http.StatusNotFound, metav1.StatusReasonNotFound)
	case r.Method == http.MethodPut && sent.ResourceVersion != s.lease.ResourceVersion:
		return refuse(http.StatusConflict, metav1.StatusReasonConflict)
	case r.Method != http.MethodGet:
		s.version++
		sent.ResourceVersion = strconv.Itoa(s.version)
		sent.Kind, sent.APIVersion = "Lease", "coordination.k8s.io/v1"
		s.lease = &sent
		if s.lose {
			s.lose = false
			return nil, errors.New("connection reset")
		}
	}
	return answer(http.StatusOK, s.lease)
}

func answer(code int, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(text)))}, err
}

func (s *leaseServer) cut(name string, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down == nil {
		s.down = map[string]bool{}
	}
	s.down[name] = down
}

// candidate takes part until stop; leading counts those that lead at once.
type candidate struct {
	stop    context.CancelFunc
	leads   atomic.Bool
	times   atomic.Int32 // that it became the leader
	stopped chan error
}

func takePart(t *testing.T, s *leaseServer, name string, leading *atomic.Int32, drain time.Duration) *candidate {
	t.Helper()
	clients, err := kube.NewClients(&rest.Config{Host: "http://api", Transport: s, UserAgent: name, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	l := &kube.Lease{Clients: clients, Namespace: "ns", Name: "hookd", Identity: name, Log: slog.New(slog.DiscardHandler), Clock: clock.RealClock{}}
	ctx, cancel := context.WithCancel(t.Context())
	c := &candidate{stop: cancel, stopped: make(chan error, 1)}
	go func() {
		c.stopped <- l.Lead(ctx, func(ctx context.Context) error {
			if leading.Add(1) > 1 {
				t.Errorf("%s leads beside another one", name)
			}
			c.times.Add(1)
			c.leads.Store(true)
			<-ctx.Done()
			<-time.After(drain)
			c.leads.Store(false)
			leading.Add(-1)
			return nil
		})
	}()
	return c
}

func (c *candidate) end(t *testing.T) {
	t.Helper()
	c.stop()
	if err := <-c.stopped; err != nil {
		t.Error(err)
	}
}

func after(d time.Duration) { // in a bubble: everything else happens meanwhile
	<-time.After(d)
	synctest.Wait()
}

const drain = 4 * time.Second

func TestLeaseIsGivenBackAfterTheWorkHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var leading atomic.Int32
		s := &leaseServer{}
		a := takePart(t, s, "a", &leading, drain)
		after(time.Second)
		b := takePart(t, s, "b", &leading, drain)
		after(10 * time.Minute)
		if !a.leads.Load() || b.leads.Load() || a.times.Load() != 1 {
			t.Fatalf("a leads: %t, %d times; b leads: %t", a.leads.Load(), a.times.Load(), b.leads.Load())
		}
		begin := time.Now()
		a.end(t)
		if took := time.Since(begin); took < drain || took > drain+time.Second {
			t.Errorf("a ended after %s", took)
		}
		after(3 * time.Second)
		if !b.leads.Load() {
			t.Error("b does not lead 3 s after a has ended")
		}
		b.end(t)
		if s.lease.Spec.HolderIdentity != nil || *s.lease.Spec.LeaseTransitions != 1 {
			t.Errorf("lease = %+v", s.lease.Spec)
		}
	})
}

func TestLeaseOfOneThatIsCutOffGoesToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var leading atomic.Int32
		s := &leaseServer{}
		a := takePart(t, s, "a", &leading, drain)
		after(time.Second)
		b := takePart(t, s, "b", &leading, drain)
		after(time.Minute)
		s.cut("a", true) // its work ends before b begins: the candidates check
		after(20 * time.Second)
		if a.leads.Load() || !b.leads.Load() {
			t.Fatalf("a leads: %t; b leads: %t", a.leads.Load(), b.leads.Load())
		}
		s.cut("a", false)
		after(time.Minute)
		if a.leads.Load() || !b.leads.Load() {
			t.Errorf("a leads: %t; b leads: %t", a.leads.Load(), b.leads.Load())
		}
		b.end(t)
		after(3 * time.Second)
		if !a.leads.Load() {
			t.Error("a does not lead again")
		}
		a.end(t)
	})
}

func TestLeaseSurvivesAShortOutageAndLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var leading atomic.Int32
		s := &leaseServer{}
		a := takePart(t, s, "a", &leading, 0)
		after(5 * time.Second)
		for range 20 {
			s.cut("a", true)
			after(4 * time.Second)
			s.cut("a", false)
			after(5 * time.Second)
			s.mu.Lock()
			s.lose = true
			s.mu.Unlock()
			after(6 * time.Second)
		}
		if !a.leads.Load() || a.times.Load() != 1 {
			t.Errorf("a leads: %t, became leader %d times", a.leads.Load(), a.times.Load())
		}
		a.end(t)
	})
}

// TestLeaseHasOneHolder: whatever is cut off for however long, two never lead at once.
func TestLeaseHasOneHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var leading atomic.Int32
		s := &leaseServer{}
		var all []*candidate
		for _, name := range []string{"a", "b", "c"} {
			all = append(all, takePart(t, s, name, &leading, drain))
		}
		for i := range 300 {
			s.cut(string(rune('a'+i%3)), i%2 == 0)
			s.mu.Lock()
			s.lose = i%5 == 0
			s.mu.Unlock()
			after(time.Duration(i%17) * 1100 * time.Millisecond)
		}
		for _, name := range []string{"a", "b", "c"} {
			s.cut(name, false)
		}
		after(time.Minute)
		if leading.Load() != 1 {
			t.Errorf("%d lead", leading.Load())
		}
		for _, c := range all {
			c.end(t)
		}
	})
}

// TestLeaseOfADeadOneLastsItsDuration: nobody else leads before, and somebody does soon
// after.
func TestLeaseOfADeadOneLastsItsDuration(t *testing.T) {
	for name, test := range map[string]struct {
		duration, before, after time.Duration
	}{
		"15 s when nothing is said": {0, 14 * time.Second, 20 * time.Second},
		"what is said":              {3 * time.Second, 2900 * time.Millisecond, 4 * time.Second},
		"whole seconds":             {3900 * time.Millisecond, 2900 * time.Millisecond, 4 * time.Second},
		"one second at least":       {time.Millisecond, 900 * time.Millisecond, 1400 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &leaseServer{}
				clients, err := kube.NewClients(&rest.Config{Host: "http://api", Transport: s, QPS: -1})
				if err != nil {
					t.Fatal(err)
				}
				lease := func(name string) *kube.Lease {
					return &kube.Lease{Clients: clients, Namespace: "ns", Name: "hookd", Identity: name, Duration: test.duration,
						Log: slog.New(slog.DiscardHandler), Clock: clock.RealClock{}}
				}
				ctx, cancel := context.WithCancel(t.Context())
				if err := lease("dead").Lead(ctx, func(context.Context) error { s.cut("", true); cancel(); return nil }); err != nil {
					t.Fatal(err)
				}
				s.cut("", false) // it could not give it back
				leads := make(chan struct{})
				ctx, cancel = context.WithCancel(t.Context())
				ended := make(chan error)
				begin := time.Now()
				go func() {
					ended <- lease("next").Lead(ctx, func(ctx context.Context) error { close(leads); <-ctx.Done(); return nil })
				}()
				<-leads
				if took := time.Since(begin); took < test.before || took > test.after {
					t.Errorf("the next one leads after %s, want %s to %s", took, test.before, test.after)
				}
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestLeaseEndsWhenRunFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &leaseServer{}
		clients, err := kube.NewClients(&rest.Config{Host: "http://api", Transport: s})
		if err != nil {
			t.Fatal(err)
		}
		l := &kube.Lease{Clients: clients, Namespace: "ns", Name: "hookd", Identity: "a", Log: slog.New(slog.DiscardHandler), Clock: clock.RealClock{}}
		broken := errors.New("broken")
		if err := l.Lead(t.Context(), func(context.Context) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("error = %v, want %v", err, broken)
		}
		if s.lease.Spec.HolderIdentity != nil {
			t.Error("the lease was not given back")
		}
	})
}
