package logs

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// serve runs a handler and returns its address.
func serve(t testing.TB, api *apiServer, src Source, edit ...func(*Options, *httptest.Server)) string {
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
		"and says in a trailer why it is not whole": {"?follow=1", func() Source { return &sequence{{text: "some", read: Read{More: true}}} }, "some", "false", "the log ends here, incomplete, after 4 bytes: read log of shop/app-1 #1: script of shop/app-1 #1 is at its end"},
		"and keeps the reason to one line of plain text": {"?follow=1", func() Source {
			return &sequence{{text: "x", read: Read{More: true}}, {err: Permanent(errors.New("weg\r\nX-Evil: ü"))}}
		}, "x", "false", "the log ends here, incomplete, after 1 bytes: read log of shop/app-1 #1: weg  X-Evil: ?"},
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

type sourceFunc func(context.Context, io.Writer) (Read, error)

func (f sourceFunc) ReadLog(ctx context.Context, _ string, _ int64, _ Position, w io.Writer) (Read, error) {
	return f(ctx, w)
}
