package hook

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestAPIServerTroubleIsRetriedThen503(t *testing.T) {
	f := newFixture(t)
	f.h.createTimeout, f.h.doubtTimeout = 700*time.Millisecond, 200*time.Millisecond
	var posts atomic.Int64
	fail := func(n int64, code int, reason metav1.StatusReason) {
		posts.Store(0)
		f.api.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || posts.Add(1) > n {
				return false
			}
			if code == 0 {
				conn, _, _ := w.(http.Hijacker).Hijack()
				_ = conn.Close()
				return true
			}
			writeStatus(w, code, reason, "trouble")
			return true
		})
	}
	send := func(id string) (int, answer, http.Header) {
		r := request(push(func(m map[string]any) { m["compare"] = id }), shopKey)
		r.Header.Set("X-GitHub-Delivery", id)
		return f.send(r)
	}
	for name, c := range map[string]struct {
		times  int64
		code   int
		reason metav1.StatusReason
		want   int
	}{
		"one failure is overcome":         {1, 500, metav1.StatusReasonInternalError, 202},
		"a lost connection is overcome":   {1, 0, "", 202},
		"our own token expired":           {1, 401, metav1.StatusReasonUnauthorized, 202},
		"failures without an end":         {1 << 40, 500, metav1.StatusReasonInternalError, 503},
		"connections lost without an end": {1 << 40, 0, "", 503},
		"a refusal that is meant":         {1 << 40, 403, metav1.StatusReasonForbidden, 500},
		"a refusal of a new API server":   {1, 403, metav1.StatusReasonForbidden, 202},
		"a kind that is not served yet":   {1, 404, metav1.StatusReasonNotFound, 202},
		"an invalid object":               {1 << 40, 422, metav1.StatusReasonInvalid, 500},
	} {
		fail(c.times, c.code, c.reason)
		id := "delivery-" + strings.ReplaceAll(name, " ", "-")
		code, a, h := send(id)
		if code != c.want || c.want == 503 && h.Get("Retry-After") == "" || c.want != 202 && len(a.Created) != 0 {
			t.Errorf("%s: %d, %+v, want %d", name, code, a, c.want)
		}
		if c.code == 422 && posts.Load() != 1 {
			t.Errorf("%s: tried %d times", name, posts.Load())
		}
		f.api.setAnswer(nil)
		if c.want == 503 {
			if code, _, _ := send(id); code != 202 {
				t.Errorf("%s: sent again: %d, want 202", name, code)
			}
		}
	}
}

func TestLostAnswerOfACreateIsNoSecondRun(t *testing.T) {
	f := newFixture(t)
	var once atomic.Bool
	f.api.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || once.Swap(true) {
			return false
		}
		f.api.setAnswer(nil)
		f.api.ServeHTTP(httptest.NewRecorder(), r) // stored, but nobody is told
		conn, _, _ := w.(http.Hijacker).Hijack()
		_ = conn.Close()
		return true
	})
	code, a, _ := f.send(request(push(nil), shopKey))
	if code != http.StatusOK || len(a.Existing) != 1 || len(f.runs()) != 1 {
		t.Errorf("%d, %+v, runs %v", code, a, f.runs())
	}
}

func TestNotReadyBeforeTheCachesAreFilled(t *testing.T) {
	api := newAPIServer(t)
	h := NewHandler(Options{Clients: api.clients(t), Logger: slog.New(slog.DiscardHandler)})
	if h.Ready() == nil {
		t.Error("ready before Run")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(push(nil), shopKey))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A panic is one request's, and the next is served.
func TestPanicIsAnswered(t *testing.T) {
	f := newFixture(t)
	r := request(push(nil), shopKey)
	r.Body = panicking{}
	if code, _, _ := f.send(r); code != http.StatusInternalServerError || testutil.ToFloat64(f.h.metrics.panics) != 1 {
		t.Errorf("status %d, %v panics", code, testutil.ToFloat64(f.h.metrics.panics))
	}
	if code, _, _ := f.send(request(push(nil), shopKey)); code != http.StatusAccepted || f.h.budget.used() != 0 || len(f.h.slots) != 0 {
		t.Errorf("afterwards: %d, %d bytes, %d slots held", code, f.h.budget.used(), len(f.h.slots))
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("a bug") }
func (panicking) Close() error             { return nil }

func TestShutdownAnswersWhatWasReceived(t *testing.T) {
	f := newFixture(t)
	arrived, proceed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.api.setAnswer(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			once.Do(func() { close(arrived); <-proceed })
		}
		return false
	})
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, NewServer(f.h, slog.New(slog.DiscardHandler))) }()
	got := make(chan int, 1)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	go func() {
		r := request(push(nil), shopKey)
		r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", l.Addr().String()
		res, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			got <- 0
			return
		}
		_ = res.Body.Close()
		got <- res.StatusCode
	}()
	<-arrived
	cancel()
	close(proceed)
	if code := <-got; code != http.StatusAccepted {
		t.Errorf("the delivery that was under way: %d", code)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestStatusIsWrittenAtIntervalsAndTheLastIsNotLost(t *testing.T) {
	f := newFixture(t)
	var patches atomic.Int64
	f.api.setAnswer(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			patches.Add(1)
		}
		return false
	})
	start := time.Now()
	for i := range 200 {
		f.h.statuses.add(shop(), v1alpha1.WebhookDelivery{ID: fmt.Sprint("delivery-", i), ReceivedAt: timeOf(time.Now())})
	}
	eventually(t, "the last one is written", func() bool {
		var repo v1alpha1.SourceCodeRepository
		f.api.object("sourcecoderepositories", "team", "shop", &repo)
		return repo.Status.Webhook.LastDelivery != nil && repo.Status.Webhook.LastDelivery.ID == "delivery-199"
	})
	if n, most := patches.Load(), int64(time.Since(start)/f.h.statuses.interval)+2; n > most {
		t.Errorf("%d updates, wanted at most %d", n, most)
	}
}
