package hook

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	"k8s.io/utils/lru"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
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

// Handler serves POST /hooks/<path>, and of registries /hooks/images/…. It needs Run; until its caches are filled it
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
	d := &received{receivedAt: start, provider: "unknown", event: "unknown"}
	deliver := h.serve
	if strings.HasPrefix(r.URL.Path, ImagesPrefix) {
		deliver = h.serveImages
	}
	defer func() {
		if p := recover(); p != nil {
			h.metrics.panics.Inc()
			h.log.Error("webhook handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			d.answer = answer{status: http.StatusInternalServerError, result: resultError, Error: "internal error"}
			if d.insists { // it would be sent, and panic, for ever
				d.answer.status = http.StatusAccepted
			}
			d.answer.write(w)
		}
		h.finish(d, h.now().Sub(start))
	}()
	// The server has no deadline for writing, since logs are streamed from it too. (A
	// recorder in a test has none at all; that is no error.)
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(time.Now().Add(h.readTimeout))
	_ = deadlines.SetWriteDeadline(time.Now().Add(WriteTimeout))

	d.answer = deliver(w, r, d)
	if d.answer.status == http.StatusRequestEntityTooLarge || d.answer.status == http.StatusNotFound {
		w.Header().Set("Connection", "close") // what is still to come is not worth reading
	}
	d.answer.write(w)
}

// received is what is known of a request while it is worked on.
type received struct {
	receivedAt      time.Time
	provider, event string // of closed sets
	id              string
	project         string                         // set once the delivery is authentic
	repository      *v1alpha1.SourceCodeRepository // likewise, of a Git host
	insists         bool                           // authentic, and no failure may be answered but one that passes
	answer          answer
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, d *received) answer {
	if a, ok := checkRequest(r, MaxBody, "application/json"); !ok {
		return a
	}
	a, leave, ok := h.enter()
	if !ok {
		return a
	}
	defer leave()
	repo, sender, a, ok := h.lookUp(r.URL.Path)
	if !ok {
		return a
	}
	d.provider = string(sender.Type)

	memory := lease{of: h.budget}
	defer memory.end()
	body, a, ok := h.read(w, r, &memory, MaxBody)
	if !ok {
		return a
	}
	// The sender may hang up; what it sent is stored all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), h.createTimeout)
	defer cancel()
	if a, ok := h.verify(ctx, repo, sender, r.Header, body); !ok {
		return a
	}
	d.project, d.repository = repo.Namespace, repo
	if a, ok := h.allowed(repo.Namespace + "/" + repo.Name); !ok {
		return a
	}
	parsed, err := sender.Parse(r.Header, body)
	d.event, d.id = parsed.Event, parsed.ID
	if !sender.ProvesID {
		d.id = h.deliveryID(string(repo.UID), parsed.ID, body)
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

// enter takes a place among the requests that are worked on at once.
func (h *Handler) enter() (a answer, leave func(), ok bool) {
	if err := h.Ready(); err != nil {
		return unavailable("the receiver is starting"), nil, false
	}
	select {
	case h.slots <- struct{}{}:
		return answer{}, func() { <-h.slots }, true
	default:
		return overloaded("too many deliveries at once"), nil, false
	}
}

// checkRequest refuses what can be refused by its headers.
func checkRequest(r *http.Request, limit int64, mediaTypes ...string) (answer, bool) {
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
	if err != nil || !slices.Contains(mediaTypes, mediaType) {
		return refuse(http.StatusUnsupportedMediaType, fmt.Sprintf("wanted Content-Type %s; choose it in the webhook's settings at the host", strings.Join(mediaTypes, " or ")))
	}
	if r.ContentLength > limit {
		return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", limit))
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
	ref := repo.Spec.Webhook.SecretRef
	err := h.secrets.prove(ctx, repo.Namespace, ref.Name, cmp.Or(ref.Key, v1alpha1.WebhookSecretKey), func(keys [][]byte) error {
		return sender.Verify(keys, header, body, h.now())
	})
	switch {
	case err == nil:
		return answer{}, true
	case errors.Is(err, delivery.ErrSignature):
		return answer{status: http.StatusUnauthorized, result: resultUnauthorized, Error: unauthorized(err)}, false
	case errors.Is(err, delivery.ErrNoKey), errors.Is(err, errNoSecret):
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
	if errors.Is(err, delivery.ErrStale) {
		return delivery.ErrStale.Error()
	}
	return delivery.ErrSignature.Error()
}

// allowed takes a token of the rate of one sender.
func (h *Handler) allowed(key string) (answer, bool) {
	l, ok := h.rates.Get(key)
	if !ok {
		l = rate.NewLimiter(RepositoryRate, RepositoryBurst)
		h.rates.Add(key, l)
	}
	if l.(*rate.Limiter).Allow() {
		return answer{}, true
	}
	a := overloaded("too many deliveries of this repository")
	a.status = http.StatusTooManyRequests
	return a, false
}

// deliveryID keeps to the first id under which a body was seen: the id comes in a
// header that is not signed, so whoever repeats a captured delivery may change it.
func (h *Handler) deliveryID(of, id string, body []byte) string {
	sum := sha256.Sum256(body)
	key := of + string(sum[:])
	if first, ok := h.bodies.Get(key); ok {
		return first.(string)
	}
	h.bodies.Add(key, id)
	return id
}

// finish counts and logs the delivery and has it remembered in the repository's
// status: after the answer, since none of it may delay or fail it.
func (h *Handler) finish(d *received, took time.Duration) {
	a := d.answer
	h.metrics.delivery(d.provider, d.event, a.result, took, len(a.Created))
	if d.project == "" {
		if h.refusals.Allow() {
			h.log.Warn("webhook delivery refused", "provider", d.provider, "result", a.result, "status", a.status)
		}
		return
	}
	repository := ""
	if d.repository != nil {
		repository = d.repository.Name
	}
	h.log.Info("webhook delivery",
		"delivery", d.id, "namespace", d.project, "repository", repository, "provider", d.provider,
		"event", d.event, "result", a.result, "status", a.status,
		"created", a.Created, "existing", a.Existing, "skipped", len(a.Skipped), "reason", a.Reason, "error", a.Error, "duration", took)
	if d.repository == nil {
		return
	}
	h.statuses.add(d.repository, v1alpha1.WebhookDelivery{
		ID: d.id, Event: d.event, ReceivedAt: timeOf(d.receivedAt), Result: a.summary(),
	})
}
