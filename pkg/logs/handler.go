package logs

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// Options are what a handler is made of.
type Options struct {
	// Clients read executions and review tokens. Required.
	Clients *kube.Clients
	// Sources is where the logs of a project's runs come from: its Jenkins. Required.
	Sources func(ctx context.Context, namespace string) (Source, error)
	// Logger is told of streams that broke. Default: none.
	Logger *slog.Logger
	// Now and Sleep are the clock. Default: the real one.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

// NewHandler serves
//
//	GET /logs/{namespace}/{execution}[?follow=true][&offset=N[&sum=SHA256]]
//
// as plain text, byte for byte what the build wrote, to whoever sends in the header
// X-Pipeline-Token a token of the ServiceAccount pipeline-log-reader of that namespace,
// made for the audience [Audience].
//
// With follow=true the answer goes on until the run ends; of a run that has no build
// yet it begins with the build. Without, it ends with what there is.
//
// A reader whose connection broke sends as offset how many bytes it has got, and as sum
// their SHA-256 in hex: the answer goes on behind them. When the log begins otherwise,
// since Jenkins lost a part of it, the answer is 412, or says so in its trailer.
//
// The text holds nothing else: whether it is all there is in the trailers
// [TrailerComplete] and [TrailerError]. Anything that is known before the first byte is
// an answer of its own, {"error": "…"}: 400 a request that makes no sense, 401 no token
// or a bad one, 403 a token of another namespace, 404 no such run or no log, 409 not
// started yet, 502 and 503 (with Retry-After) when Jenkins or the API server does not
// answer or hookd is busy.
//
// It lifts the server's own deadlines for its answers and sets one for each piece.
func NewHandler(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	h := &handler{
		Options:  o,
		reviewer: newReviewer(o.Clients.CoreREST(), o.Now),
		streams:  make(chan struct{}, MaxStreams),
	}
	mux := http.NewServeMux()
	mux.Handle("/logs/{namespace}/{execution}", h)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, failure(http.StatusNotFound, "want /logs/{namespace}/{execution}"))
	})
	return mux
}

type handler struct {
	Options
	reviewer *reviewer
	streams  chan struct{} // one element for each stream
}

// request is what is asked for, checked.
type request struct {
	namespace, execution, token string
	follow                      bool
	offset                      int64
	sum                         string
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, problem := parse(r)
	if problem == nil {
		problem = h.authorize(r.Context(), req)
	}
	if problem != nil {
		refuse(w, problem)
		return
	}
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		refuse(w, failure(http.StatusServiceUnavailable, "%d logs are being read already", MaxStreams))
		return
	}
	h.serve(r.Context(), newStream(w), req)
}

func parse(r *http.Request) (request, *httpError) {
	req := request{namespace: r.PathValue("namespace"), execution: r.PathValue("execution"), token: r.Header.Get(HeaderToken)}
	if r.Method != http.MethodGet {
		return req, failure(http.StatusMethodNotAllowed, "method is %s, want GET", r.Method)
	}
	if len(utilvalidation.IsDNS1123Label(req.namespace)) > 0 || len(validation.NameIsDNSSubdomain(req.execution, false)) > 0 {
		return req, failure(http.StatusNotFound, "no such execution: want /logs/{namespace}/{execution}")
	}
	for key, values := range r.URL.Query() {
		switch key {
		case "follow":
			follow, err := strconv.ParseBool(values[0])
			if err != nil {
				return req, failure(http.StatusBadRequest, "follow is %q, want true or false", clip(values[0]))
			}
			req.follow = follow
		case "offset":
			offset, err := parseOffset(values[0])
			if err != nil {
				return req, failure(http.StatusBadRequest, "%w", err)
			}
			req.offset = offset
		case "sum":
			sum, err := parseSum(values[0])
			if err != nil {
				return req, failure(http.StatusBadRequest, "%w", err)
			}
			req.sum = sum
		case "stage":
			return req, failure(http.StatusNotImplemented, "stage: the log of one stage is not available; leave it out to read the whole log")
		default:
			return req, failure(http.StatusBadRequest, "unknown parameter %q, want follow, offset or sum", clip(key))
		}
	}
	return req, nil
}

// authorize comes before anything that depends on what exists, so that a stranger
// learns nothing.
func (h *handler) authorize(ctx context.Context, req request) *httpError {
	switch {
	case req.token == "":
		return failure(http.StatusUnauthorized, "the header %s is missing", HeaderToken)
	case len(req.token) > maxToken:
		return failure(http.StatusUnauthorized, "the token has more than %d bytes", maxToken)
	}
	user, err := h.reviewer.user(ctx, req.token)
	switch {
	case errors.Is(err, errNotAuthenticated):
		return failure(http.StatusUnauthorized, "%w", err)
	case err != nil:
		return failure(http.StatusServiceUnavailable, "%w", err)
	case !mayRead(user, req.namespace):
		return failure(http.StatusForbidden, "%s may not read logs of namespace %s, want its ServiceAccount %s", user, req.namespace, ReaderServiceAccount)
	}
	return nil
}
