package logs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

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
