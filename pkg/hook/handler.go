package hook

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	"k8s.io/utils/lru"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
)

// PathPrefix is where the handler is to be mounted.
const PathPrefix = "/hooks/"

// Options of a Handler.
type Options struct {
	// Clients of the API server. Required.
	Clients *kube.Clients
	// Namespace to serve; "" is all.
	Namespace string
	// Logger receives a line for each delivery. Default: slog.Default().
	Logger *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Metrics registers the handler's metrics. Default: nowhere.
	Metrics prometheus.Registerer
}

// Handler serves POST /hooks/<path>. It needs Run; until its caches are filled it
// answers 503.
type Handler struct {
	clients  *kube.Clients
	log      *slog.Logger
	now      func() time.Time
	metrics  *metrics
	store    *store
	secrets  *secrets
	statuses *statuses
	budget   *budget
	slots    chan struct{}

	readTimeout, createTimeout, doubtTimeout time.Duration

	refusals *rate.Limiter // of log lines about refused deliveries
	rates    *lru.Cache    // repository → *rate.Limiter
	bodies   *lru.Cache    // repository and digest of a verified body → its delivery id
}

// NewHandler makes a Handler.
func NewHandler(o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Handler{
		clients: o.Clients, log: o.Logger, now: o.Now,
		metrics:       newMetrics(o.Metrics),
		store:         newStore(o.Clients, o.Namespace),
		secrets:       newSecrets(o.Clients, o.Now),
		statuses:      newStatuses(o.Clients, o.Logger, StatusInterval),
		budget:        newBudget(MaxBytesInFlight),
		slots:         make(chan struct{}, MaxRequests),
		readTimeout:   ReadTimeout,
		createTimeout: CreateTimeout, doubtTimeout: DoubtTimeout,
		refusals: rate.NewLimiter(1, 10),
		rates:    lru.New(cachedRates),
		bodies:   lru.New(cachedBodies),
	}
	h.metrics.inFlight(h.budget.used)
	return h
}

// Run keeps the caches and the statuses until ctx ends.
func (h *Handler) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() { defer close(done); h.statuses.run(ctx) }()
	h.store.run(ctx)
	<-done
	return nil
}

// Ready is nil once deliveries can be accepted.
func (h *Handler) Ready() error {
	if !h.store.synced() {
		return errors.New("webhooks: the caches are not filled yet")
	}
	return nil
}

// ServeHTTP takes one delivery:
//
//	bound → look up → read → verify → parse → match → create → answer → remember
//
// Nothing of the body is looked at before it is known to be authentic, and 202 says
// that everything it starts is stored.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	d := &delivery{receivedAt: start, provider: "unknown", event: "unknown"}
	defer func() {
		if p := recover(); p != nil {
			h.metrics.panics.Inc()
			h.log.Error("webhook handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			d.answer = answer{status: http.StatusInternalServerError, result: resultError, Error: "internal error"}
			d.answer.write(w)
		}
		h.finish(d, h.now().Sub(start))
	}()
	// The server has no deadline for writing, since logs are streamed from it too. (A
	// recorder in a test has none at all; that is no error.)
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(time.Now().Add(h.readTimeout))
	_ = deadlines.SetWriteDeadline(time.Now().Add(WriteTimeout))

	d.answer = h.serve(w, r, d)
	if d.answer.status == http.StatusRequestEntityTooLarge || d.answer.status == http.StatusNotFound {
		w.Header().Set("Connection", "close") // what is still to come is not worth reading
	}
	d.answer.write(w)
}

// delivery is what is known of a request while it is worked on.
type delivery struct {
	receivedAt      time.Time
	provider, event string // of closed sets
	id              string
	repository      *v1alpha1.SourceCodeRepository // set once the delivery is authentic
	answer          answer
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, d *delivery) answer {
	if a, ok := checkRequest(r); !ok {
		return a
	}
	if err := h.Ready(); err != nil {
		return unavailable("the receiver is starting")
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return overloaded("too many deliveries at once")
	}
	repo, sender, a, ok := h.lookUp(r.URL.Path)
	if !ok {
		return a
	}
	d.provider = string(sender.Type)

	memory := lease{of: h.budget}
	defer memory.end()
	body, a, ok := h.read(w, r, &memory)
	if !ok {
		return a
	}
	// The sender may hang up; what it sent is stored all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), h.createTimeout)
	defer cancel()
	if a, ok := h.verify(ctx, repo, sender, r.Header, body); !ok {
		return a
	}
	d.repository = repo
	if !h.allowed(repo) {
		a := overloaded("too many deliveries of this repository")
		a.status = http.StatusTooManyRequests
		return a
	}
	parsed, err := sender.Parse(r.Header, body)
	d.event, d.id = parsed.Event, parsed.ID
	if !sender.ProvesID {
		d.id = h.deliveryID(repo, parsed.ID, body)
	}
	if err != nil {
		if d.event == "" {
			d.event = "unknown"
		}
		return answer{status: http.StatusUnprocessableEntity, result: resultUndecodable, DeliveryID: d.id, Error: err.Error()}
	}
	parsed.ID = d.id
	return h.start(ctx, repo, parsed)
}

// checkRequest refuses what can be refused by its headers.
func checkRequest(r *http.Request) (answer, bool) {
	refuse := func(status int, why string) (answer, bool) {
		return answer{status: status, result: resultRefused, Error: why}, false
	}
	if r.Method != http.MethodPost {
		return refuse(http.StatusMethodNotAllowed, "webhooks are sent by POST")
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return refuse(http.StatusUnsupportedMediaType, "compressed bodies are not taken")
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "wanted Content-Type application/json; choose it in the webhook's settings at the host")
	}
	if r.ContentLength > MaxBody {
		return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", MaxBody))
	}
	return answer{}, true
}

// lookUp finds whose delivery it is, by path alone. Every reason not to know the path
// gets the same answer.
func (h *Handler) lookUp(path string) (*v1alpha1.SourceCodeRepository, scm.Sender, answer, bool) {
	repo, provider, err := h.store.byPath(path)
	if err != nil {
		if errors.Is(err, errAmbiguous) && h.refusals.Allow() {
			h.log.Error("two repositories have the same webhook path: neither is served")
		}
		return nil, scm.Sender{}, answer{status: http.StatusNotFound, result: resultUnknownPath, Error: "not found"}, false
	}
	sender, ok := scm.SenderOf(provider)
	if !ok {
		return nil, scm.Sender{}, answer{
			status: http.StatusNotImplemented, result: resultRefused, Error: fmt.Sprintf("webhooks of %s are not understood yet", provider),
		}, false
	}
	return repo, sender, answer{}, true
}

// verify proves that the repository's host sent the body.
func (h *Handler) verify(ctx context.Context, repo *v1alpha1.SourceCodeRepository, sender scm.Sender, header http.Header, body []byte) (answer, bool) {
	keys, at, err := h.secrets.keys(ctx, repo, false)
	if err == nil {
		err = sender.Verify(keys, header, body, h.now())
	}
	if errors.Is(err, scm.ErrSignature) || errors.Is(err, scm.ErrNoKey) {
		// The key may have been changed a moment ago.
		if again, later, e := h.secrets.keys(ctx, repo, true); e != nil || later.After(at) {
			if err = e; err == nil {
				err = sender.Verify(again, header, body, h.now())
			}
		}
	}
	switch {
	case err == nil:
		return answer{}, true
	case errors.Is(err, scm.ErrSignature):
		return answer{status: http.StatusUnauthorized, result: resultUnauthorized, Error: unauthorized(err)}, false
	case errors.Is(err, scm.ErrNoKey), errors.Is(err, errNoSecret):
		a := unavailable("the webhook has no usable secret; see the condition WebhookReady of the repository")
		a.result = resultNoSecret
		return a, false
	default:
		if h.refusals.Allow() {
			h.log.Error("webhook secret could not be read", "namespace", repo.Namespace, "repository", repo.Name, "error", err)
		}
		return unavailable("the webhook's secret cannot be read now"), false
	}
}

// unauthorized says no more than whoever made the delivery knows.
func unauthorized(err error) string {
	if errors.Is(err, scm.ErrStale) {
		return scm.ErrStale.Error()
	}
	return scm.ErrSignature.Error()
}

// allowed takes a token of the repository's rate.
func (h *Handler) allowed(repo *v1alpha1.SourceCodeRepository) bool {
	key := repo.Namespace + "/" + repo.Name
	if l, ok := h.rates.Get(key); ok {
		return l.(*rate.Limiter).Allow()
	}
	l := rate.NewLimiter(RepositoryRate, RepositoryBurst)
	h.rates.Add(key, l)
	return l.Allow()
}

// deliveryID keeps to the first id under which a body was seen: the id comes in a
// header that is not signed, so whoever repeats a captured delivery may change it.
func (h *Handler) deliveryID(repo *v1alpha1.SourceCodeRepository, id string, body []byte) string {
	sum := sha256.Sum256(body)
	key := string(repo.UID) + string(sum[:])
	if first, ok := h.bodies.Get(key); ok {
		return first.(string)
	}
	h.bodies.Add(key, id)
	return id
}

// start matches what a delivery reports against the repository's pipelines and
// stores the runs.
func (h *Handler) start(ctx context.Context, repo *v1alpha1.SourceCodeRepository, parsed scm.Delivery) answer {
	a := answer{DeliveryID: parsed.ID, Reason: parsed.Nothing}
	pipelines, err := h.store.pipelinesOf(repo)
	if err != nil {
		h.log.Error("pipelines of a repository could not be listed", "namespace", repo.Namespace, "repository", repo.Name, "error", err)
		return unavailable("the pipelines cannot be listed now")
	}
	var runs []*v1alpha1.PipelineExecution
	for _, e := range parsed.Events {
		if why := nothingToDo(repo, e); why != "" {
			a.Reason = why
			continue
		}
		ev := event(repo, e, parsed.ID)
		for i, decision := range pipeline.Match(ev, pipelines) {
			if !decision.Run {
				a.Skipped = append(a.Skipped, skipped{Pipeline: decision.Pipeline, Reason: decision.Reason})
				continue
			}
			runs = append(runs, pipeline.NewExecution(pipelines[i], ev))
		}
		if len(pipelines) == 0 {
			a.Reason = "no pipeline builds this repository"
		}
	}
	return h.create(ctx, runs, a)
}

// nothingToDo says why an event starts nothing, whatever the pipelines want.
func nothingToDo(repo *v1alpha1.SourceCodeRepository, e scm.HookEvent) string {
	switch {
	case e.Kind == scm.HookPing:
		return e.Nothing // the ping of an organisation's webhook names no repository
	case !e.Of(repo.Spec.URL):
		// A right signature for one repository must not start the runs of another that
		// happens to have the same secret.
		return fmt.Sprintf("the delivery is of another repository (%s) than the one configured", e.From())
	default:
		return e.Nothing
	}
}

// event is the delivery in the words of pkg/pipeline. What is cloned is the address
// that was configured, never one from the payload.
func event(repo *v1alpha1.SourceCodeRepository, e scm.HookEvent, id string) pipeline.Event {
	ev := pipeline.Event{
		Type: v1alpha1.EventPush, Repository: repo.Name, User: e.Sender, DeliveryID: id, Key: e.Key,
		Source: v1alpha1.Source{
			RepositoryURL: repo.Spec.URL, Ref: e.Ref, Branch: e.Branch, Tag: e.Tag, Commit: e.After,
			Message: e.Message, Author: e.Author, HTMLURL: e.HTMLURL,
			Paths: e.Paths, PathsComplete: e.PathsComplete,
		},
	}
	switch e.Kind {
	case scm.HookTag:
		ev.Type = v1alpha1.EventTag
	case scm.HookPullRequest:
		ev.Type, ev.Source.BaseBranch, ev.Source.PullRequest = v1alpha1.EventPullRequest, e.Branch, e.PullRequest
	}
	return ev
}

// finish counts and logs the delivery and has it remembered in the repository's
// status: after the answer, since none of it may delay or fail it.
func (h *Handler) finish(d *delivery, took time.Duration) {
	a := d.answer
	h.metrics.delivery(d.provider, d.event, a.result, took, len(a.Created))
	if d.repository == nil {
		if h.refusals.Allow() {
			h.log.Warn("webhook delivery refused", "provider", d.provider, "result", a.result, "status", a.status)
		}
		return
	}
	h.log.Info("webhook delivery",
		"delivery", d.id, "namespace", d.repository.Namespace, "repository", d.repository.Name,
		"event", d.event, "result", a.result, "status", a.status,
		"created", a.Created, "existing", a.Existing, "skipped", len(a.Skipped), "reason", a.Reason, "error", a.Error, "duration", took)
	h.statuses.add(d.repository, v1alpha1.WebhookDelivery{
		ID: d.id, Event: d.event, ReceivedAt: timeOf(d.receivedAt), Result: a.summary(),
	})
}
