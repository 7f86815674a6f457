package logs

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

const goodToken = "token of shop"

// apiServer answers what a handler asks the API server for.
type apiServer struct {
	*httptest.Server
	reviews, gets atomic.Int64
	down          atomic.Bool

	mu         sync.Mutex
	executions map[string]*v1alpha1.PipelineExecution
	onGet      func(n int64) // before the nth read of an execution
}

func newAPIServer(t *testing.T) *apiServer {
	s := &apiServer{executions: map[string]*v1alpha1.PipelineExecution{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *apiServer) clients(t *testing.T) *kube.Clients {
	t.Helper()
	c, err := kube.NewClients(&rest.Config{Host: s.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *apiServer) set(name string, status v1alpha1.PipelineExecutionStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.executions[name] = &v1alpha1.PipelineExecution{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "PipelineExecution"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Status: status,
	}
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if s.down.Load() {
		sendStatus(w, apierrors.NewInternalError(errors.New("etcd is down")))
		return
	}
	if r.Method == http.MethodPost && r.URL.Path == "/apis/authentication.k8s.io/v1/tokenreviews" {
		s.reviews.Add(1)
		var review authenticationv1.TokenReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Kind != "TokenReview" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		review.Status = reviewed(review.Spec)
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(review)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/apis/kubectl-pipeline.io/v1alpha1/namespaces/shop/pipelineexecutions/")
	n := s.gets.Add(1)
	if s.onGet != nil {
		s.onGet(n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.executions[name]
	if !ok || e == nil {
		sendStatus(w, apierrors.NewNotFound(v1alpha1.Resource("pipelineexecutions"), name))
		return
	}
	json.NewEncoder(w).Encode(e)
}

func sendStatus(w http.ResponseWriter, err *apierrors.StatusError) {
	status := err.Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	w.WriteHeader(int(status.Code))
	json.NewEncoder(w).Encode(status)
}

// reviewed decides as the API server does.
func reviewed(spec authenticationv1.TokenReviewSpec) authenticationv1.TokenReviewStatus {
	yes := func(user string, audiences ...string) authenticationv1.TokenReviewStatus {
		return authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: user}, Audiences: audiences}
	}
	if len(spec.Audiences) != 1 || spec.Audiences[0] != Audience {
		return authenticationv1.TokenReviewStatus{Error: "audiences"}
	}
	switch spec.Token {
	case goodToken:
		return yes("system:serviceaccount:shop:pipeline-log-reader", Audience)
	case "token of bank":
		return yes("system:serviceaccount:bank:pipeline-log-reader", Audience)
	case "token of another account":
		return yes("system:serviceaccount:shop:default", Audience)
	case "token of an admin":
		return yes("admin", Audience)
	case "token for the API server":
		return yes("system:serviceaccount:shop:pipeline-log-reader") // a server that ignores audiences
	}
	return authenticationv1.TokenReviewStatus{Error: "invalid bearer token"}
}

var running = v1alpha1.PipelineExecutionStatus{
	Phase: v1alpha1.PhaseRunning, Engine: &v1alpha1.EngineStatus{Job: "shop/app-1", Build: 1},
}

// serve runs a handler and returns its address.
func serve(t *testing.T, api *apiServer, src Source, edit ...func(*Options, *httptest.Server)) string {
	t.Helper()
	o := Options{
		Clients: api.clients(t),
		Sources: func(context.Context, string) (Source, error) { return src, nil },
		Sleep:   noSleep,
	}
	srv := httptest.NewUnstartedServer(nil)
	for _, e := range edit {
		e(&o, srv)
	}
	srv.Config.Handler = NewHandler(o)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

type reply struct {
	status          int
	header, trailer http.Header
	body            string
	err             error
}

func get(t *testing.T, url, token string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set(HeaderToken, token)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, resp.Trailer, string(body), err}
}

func TestHandlerSendsTheLog(t *testing.T) {
	log := buildLog(3 << 20)
	for name, tc := range map[string]struct {
		query           string
		src             func() Source
		body            string
		complete, error string
	}{
		"to its end when it follows":                {"?follow=true", func() Source { s := newScript(log, 1<<20); return scripted{s} }, string(log), "true", ""},
		"of a run that is over":                     {"", func() Source { return &sequence{{text: "all"}} }, "all", "true", ""},
		"as far as it goes when it does not follow": {"?follow=false", func() Source { return &sequence{{text: "so far", read: Read{More: true}}} }, "so far", "false", ""},
		"that is empty so far":                      {"", func() Source { return &sequence{{read: Read{More: true}}} }, "", "false", ""},
		"and says in a trailer why it is not whole": {"?follow=1", func() Source { return &sequence{{text: "some", read: Read{More: true}}} }, "some", "false", "read log of shop/app-1 #1: script of shop/app-1 #1 is at its end"},
		"and keeps the reason to one line of plain text": {"?follow=1", func() Source {
			return &sequence{{text: "x", read: Read{More: true}}, {err: Permanent(errors.New("weg\r\nX-Evil: ü"))}}
		}, "x", "false", "read log of shop/app-1 #1: weg  X-Evil: ?"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPIServer(t)
			api.set("app-1", running)
			got := get(t, serve(t, api, tc.src())+"/logs/shop/app-1"+tc.query, goodToken)
			if got.status != http.StatusOK || got.err != nil {
				t.Fatalf("answer is %d %s (error: %v), want 200", got.status, got.body, got.err)
			}
			if sha256.Sum256([]byte(got.body)) != sha256.Sum256([]byte(tc.body)) {
				t.Errorf("body has %d bytes %.100q, want %d %.100q", len(got.body), got.body, len(tc.body), tc.body)
			}
			want := http.Header{TrailerComplete: {tc.complete}}
			if tc.error != "" {
				want.Set(TrailerError, tc.error)
			} else {
				delete(got.trailer, TrailerError)
			}
			if diff := cmp.Diff(want, got.trailer); diff != "" {
				t.Errorf("trailers (-want +got):\n%s", diff)
			}
			if ct := got.header.Get("Content-Type"); ct != "text/plain; charset=utf-8" {
				t.Errorf("Content-Type is %q", ct)
			}
		})
	}
}

// scripted is a script whose clock is moved by reads, for tests that cannot reach its
// sleep.
type scripted struct{ *script }

func (s scripted) ReadLog(ctx context.Context, job string, build int64, from Position, w io.Writer) (Read, error) {
	s.now += time.Second
	return s.script.ReadLog(ctx, job, build, from, w)
}

func TestHandlerRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		path, token, method string
		src                 Source
		sourceErr           error
		down                bool
		status              int
		message             string
		unseen              bool // nothing is asked of the API server
	}{
		"no token":                            {status: 401, message: "the header X-Pipeline-Token is missing", unseen: true},
		"a token that is no token":            {token: "guess", status: 401, message: "the token is not valid, or was not made for hookd.kubectl-pipeline.io"},
		"a token that is too long":            {token: strings.Repeat("x", maxToken+1), status: 401, message: "more than 16384 bytes", unseen: true},
		"a token for another audience":        {token: "token for the API server", status: 401, message: "was not made for"},
		"a token of another namespace":        {token: "token of bank", status: 403, message: "system:serviceaccount:bank:pipeline-log-reader may not read logs of namespace shop"},
		"a token of another account":          {token: "token of another account", status: 403, message: "want its ServiceAccount pipeline-log-reader"},
		"a token of a person, however mighty": {token: "token of an admin", status: 403, message: "admin may not read logs"},
		"a token of another namespace, not saying whether the run exists": {path: "/logs/shop/nothing", token: "token of bank", status: 403, message: "may not read"},
		"a run that does not exist":                                       {path: "/logs/shop/nothing", token: goodToken, status: 404, message: `"nothing" not found`},
		"a name that is none":                                             {path: "/logs/shop/..%2Fapp", token: goodToken, status: 404, message: "no such execution", unseen: true},
		"another path":                                                    {path: "/logs/shop", status: 404, message: "want /logs/{namespace}/{execution}", unseen: true},
		"another method":                                                  {method: http.MethodPost, token: goodToken, status: 405, message: "method is POST, want GET", unseen: true},
		"a parameter that is unknown":                                     {path: "/logs/shop/app-1?tail=10", token: goodToken, status: 400, message: `unknown parameter "tail"`, unseen: true},
		"a parameter that makes no sense":                                 {path: "/logs/shop/app-1?follow=please", token: goodToken, status: 400, message: `follow is "please", want true or false`, unseen: true},
		"the log of one stage":                                            {path: "/logs/shop/app-1?stage=Build", token: goodToken, status: 501, message: "stage: the log of one stage is not available", unseen: true},
		"a run that is not started":                                       {path: "/logs/shop/queued", token: goodToken, status: 409, message: "execution queued has no log yet (Queued WaitingForQuota: 2 run); follow=true waits for it"},
		"a run that nobody has looked at":                                 {path: "/logs/shop/new", token: goodToken, status: 409, message: "execution new has no log yet; follow=true"},
		"a run that never started":                                        {path: "/logs/shop/invalid", token: goodToken, status: 404, message: "execution invalid has no log: it ended before it was started (Failed InvalidConfig: line 3)"},
		"to wait for a run that never started":                            {path: "/logs/shop/invalid?follow=true", token: goodToken, status: 404, message: "it ended before it was started"},
		"when the API server does not answer":                             {token: goodToken, down: true, status: 503, message: "etcd is down"},
		"when there is no Jenkins":                                        {token: goodToken, sourceErr: errors.New("setting names none"), status: 503, message: "find Jenkins of namespace shop: setting names none"},
		"a log that is gone":                                              {token: goodToken, src: &sequence{{err: Permanent(errors.New("404"))}}, status: 404, message: "read log of shop/app-1 #1: 404"},
		"when Jenkins does not answer":                                    {token: goodToken, src: deaf{}, status: 502, message: "gave up after 61 attempts: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPIServer(t)
			api.down.Store(tc.down)
			api.set("app-1", running)
			api.set("new", v1alpha1.PipelineExecutionStatus{})
			api.set("queued", v1alpha1.PipelineExecutionStatus{Phase: v1alpha1.PhaseQueued, Reason: v1alpha1.ReasonWaitingForQuota, Message: "2 run"})
			api.set("invalid", v1alpha1.PipelineExecutionStatus{Phase: v1alpha1.PhaseFailed, Reason: v1alpha1.ReasonInvalidConfig, Message: "line 3"})
			h := NewHandler(Options{
				Clients: api.clients(t), Sleep: noSleep,
				Sources: func(context.Context, string) (Source, error) { return tc.src, tc.sourceErr },
			})
			if tc.path == "" {
				tc.path = "/logs/shop/app-1"
			}
			if tc.method == "" {
				tc.method = http.MethodGet
			}
			r := httptest.NewRequest(tc.method, tc.path, nil)
			if tc.token != "" {
				r.Header.Set(HeaderToken, tc.token)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var got struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("body is %q: %v", w.Body, err)
			}
			if w.Code != tc.status || !strings.Contains(got.Error, tc.message) {
				t.Errorf("answer is %d %q, want %d %q", w.Code, got.Error, tc.status, tc.message)
			}
			if asked := api.reviews.Load() + api.gets.Load(); tc.unseen && asked > 0 {
				t.Errorf("asked the API server %d times, want none", asked)
			}
			if (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("Retry-After is %q with status %d", w.Header().Get("Retry-After"), w.Code)
			}
		})
	}
}

type deaf struct{}

func (deaf) ReadLog(context.Context, string, int64, Position, io.Writer) (Read, error) {
	return Read{}, errors.New("connection refused")
}

func TestHandlerWaitsForABuildThatIsFollowed(t *testing.T) {
	for name, tc := range map[string]struct {
		last            v1alpha1.PipelineExecutionStatus
		body            string
		complete, error string
	}{
		"until it starts":     {running, "hello", "true", ""},
		"until it never will": {v1alpha1.PipelineExecutionStatus{Phase: v1alpha1.PhaseAborted, Reason: v1alpha1.ReasonStopped}, "", "false", "execution app-1 has no log: it ended before it was started (Aborted Stopped)"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPIServer(t)
			api.set("app-1", v1alpha1.PipelineExecutionStatus{Phase: v1alpha1.PhaseQueued})
			api.onGet = func(n int64) {
				switch n {
				case 2: // the API server is away for a moment
					api.down.Store(true)
				case 5:
					api.set("app-1", tc.last)
				}
			}
			var slept []time.Duration
			url := serve(t, api, &sequence{{text: "hello"}}, func(o *Options, _ *httptest.Server) {
				o.Sleep = func(_ context.Context, d time.Duration) error {
					slept = append(slept, d)
					if len(slept) == 4 {
						api.down.Store(false)
					}
					return nil
				}
			})
			got := get(t, url+"/logs/shop/app-1?follow=true", goodToken)
			if got.status != 200 || got.body != tc.body || got.trailer.Get(TrailerComplete) != tc.complete || got.trailer.Get(TrailerError) != tc.error {
				t.Errorf("answer is %d %q, trailers %v; want 200 %q, %s, %q", got.status, got.body, got.trailer, tc.body, tc.complete, tc.error)
			}
			if len(slept) < 4 || slept[0] != minDelay || slept[len(slept)-1] > maxDelay {
				t.Errorf("slept %v", slept)
			}
		})
	}
}

func TestHandlerRemembersGoodTokensForAMinute(t *testing.T) {
	api := newAPIServer(t)
	now := time.Unix(0, 0)
	r := newReviewer(api.clients(t).CoreREST(), func() time.Time { return now })
	for _, step := range []struct {
		token   string
		after   time.Duration
		ok      bool
		reviews int64 // in all
	}{
		{goodToken, 0, true, 1},
		{goodToken, 59 * time.Second, true, 1},
		{goodToken, time.Second, true, 2},
		{"guess", 0, false, 3},
		{"guess", 0, false, 4},
	} {
		now = now.Add(step.after)
		_, err := r.user(t.Context(), step.token)
		if (err == nil) != step.ok || api.reviews.Load() != step.reviews {
			t.Errorf("%q at %s: error %v, %d reviews, want %d", step.token, now.Sub(time.Unix(0, 0)), err, api.reviews.Load(), step.reviews)
		}
	}
	for i := range 3 * maxVerdicts {
		r.remember(sha256.Sum256(fmt.Append(nil, i)), "user")
	}
	if n := len(r.verdicts); n > maxVerdicts {
		t.Errorf("remembers %d tokens, want at most %d", n, maxVerdicts)
	}
	var err error
	for range 2 * reviewBurst {
		if _, err = r.user(t.Context(), "guess"); errors.Is(err, errBusy) {
			break
		}
	}
	if !errors.Is(err, errBusy) {
		t.Errorf("strangers can make any number of reviews: %v", err)
	}
}

// endless is a source that writes until its writer fails or the request is over.
type endless struct{ failed chan error }

func (s endless) ReadLog(ctx context.Context, _ string, _ int64, _ Position, w io.Writer) (Read, error) {
	p := make([]byte, maxChunk)
	for ctx.Err() == nil {
		if _, err := w.Write(p); err != nil {
			s.failed <- err
			return Read{}, err
		}
	}
	s.failed <- ctx.Err()
	return Read{}, ctx.Err()
}

func TestHandlerCutsOffAReaderThatDoesNotRead(t *testing.T) {
	api := newAPIServer(t)
	api.set("app-1", running)
	src := endless{make(chan error, 1)}
	url := serve(t, api, src, func(_ *Options, srv *httptest.Server) {
		srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			c.(hurriedConn).SetWriteBuffer(4 << 10)
			return ctx
		}
		srv.Listener = hurried{srv.Listener}
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /logs/shop/app-1?follow=true HTTP/1.1\r\nHost: x\r\n%s: %s\r\n\r\n", HeaderToken, goodToken)
	select {
	case err := <-src.failed:
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("error is %v, want a timeout", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the reader was not cut off")
	}
}

// hurried is a listener on whose connections time goes by a hundred times faster: a
// deadline is that much nearer.
type hurried struct{ net.Listener }

func (l hurried) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return hurriedConn{c.(*net.TCPConn)}, nil
}

type hurriedConn struct{ *net.TCPConn }

func (c hurriedConn) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() {
		t = time.Now().Add(time.Until(t) / 100)
	}
	return c.TCPConn.SetWriteDeadline(t)
}

func TestHandlerEndsWithItsReader(t *testing.T) {
	api := newAPIServer(t)
	api.set("app-1", running)
	src := endless{make(chan error, 1)}
	url := serve(t, api, src)
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url+"/logs/shop/app-1?follow=true", nil)
	req.Header.Set(HeaderToken, goodToken)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(resp.Body, make([]byte, 100))
	cancel()
	resp.Body.Close()
	select {
	case <-src.failed:
	case <-time.After(20 * time.Second):
		t.Fatal("the stream goes on without its reader")
	}
}

func TestHandlerLivesLongerThanTheServersDeadlines(t *testing.T) {
	api := newAPIServer(t)
	api.set("app-1", running)
	var reads atomic.Int64
	start := time.Now()
	const deadline = 100 * time.Millisecond
	src := sourceFunc(func(_ context.Context, w io.Writer) (Read, error) {
		reads.Add(1)
		io.WriteString(w, "x")
		return Read{More: time.Since(start) < 5*deadline}, nil
	})
	url := serve(t, api, src, func(o *Options, srv *httptest.Server) {
		srv.Config.ReadTimeout, srv.Config.WriteTimeout = deadline, deadline
		o.Sleep = func(ctx context.Context, _ time.Duration) error { return sleep(ctx, deadline/10) }
	})
	got := get(t, url+"/logs/shop/app-1?follow=true", goodToken)
	if got.err != nil || got.trailer.Get(TrailerComplete) != "true" || int64(len(got.body)) != reads.Load() {
		t.Errorf("got %d bytes of %d (error: %v), trailers %v", len(got.body), reads.Load(), got.err, got.trailer)
	}
}

type sourceFunc func(context.Context, io.Writer) (Read, error)

func (f sourceFunc) ReadLog(ctx context.Context, _ string, _ int64, _ Position, w io.Writer) (Read, error) {
	return f(ctx, w)
}

func TestHandlerBoundsTheNumberOfStreams(t *testing.T) {
	api := newAPIServer(t)
	api.set("app-1", running)
	release := make(chan struct{})
	url := serve(t, api, sourceFunc(func(ctx context.Context, w io.Writer) (Read, error) {
		io.WriteString(w, "x")
		select {
		case <-release:
		case <-ctx.Done():
		}
		return Read{}, nil
	}))
	if got := get(t, url+"/logs/shop/nothing", goodToken); got.status != http.StatusNotFound {
		t.Fatalf("answer is %d %s, want 404", got.status, got.body) // the token is remembered from here on
	}
	var all sync.WaitGroup
	defer all.Wait()
	defer close(release)
	begun := make(chan struct{})
	for range MaxStreams {
		all.Go(func() {
			req, _ := http.NewRequest(http.MethodGet, url+"/logs/shop/app-1", nil)
			req.Header.Set(HeaderToken, goodToken)
			resp, err := http.DefaultTransport.RoundTrip(req)
			begun <- struct{}{}
			if err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	for range MaxStreams {
		<-begun
	}
	got := get(t, url+"/logs/shop/app-1", goodToken)
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "128 logs are being read already") {
		t.Errorf("answer is %d %s, want 503", got.status, got.body)
	}
}
