package controller

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// How often a Jenkins is looked at.
const (
	lookInterval = 1500 * time.Millisecond // while it has executions of ours
	idleInterval = 30 * time.Second        // while it has none
	slowInterval = 30 * time.Second        // at most, for one that answers slowly
	failInterval = time.Minute             // at most, for one that does not answer
	// lookGap is the least time between two looks: one look serves all triggers before it.
	lookGap = 200 * time.Millisecond
	// lookTimeout bounds one look; lookPatience is what several folders get together, before
	// the one that they wait for is looked at aside.
	lookTimeout  = 30 * time.Second
	lookPatience = 8 * time.Second
	// pingEvery is how many looks go by between two questions whether it is shutting down.
	pingEvery = 10
	// pauseReads bounds the builds that are asked whether somebody paused them in one look,
	// each once in pauseEvery at most: nothing else tells.
	pauseReads = 4
	pauseEvery = 10 * time.Second
	// pauseTries is how often in a row a Jenkins may not know before it is not asked again.
	pauseTries = 8
	// stageReads bounds the stages read in one look, so that its cost does not grow with
	// the number of builds; the ones read longest ago come first.
	stageReads       = 24
	stageConcurrency = 6
	// verbLimit is how many verbs run against one Jenkins at once: one that hangs holds no
	// more workers than these.
	verbLimit = 8
)

// watching is what the poller reads, of all executions at once.
type watching interface {
	Ping(ctx context.Context) (jenkins.Info, error)
	Snapshot(ctx context.Context, folders ...string) (jenkins.Snapshot, error)
	Stages(ctx context.Context, ref jenkins.JobRef, number int) ([]jenkins.Stage, error)
	PendingInputs(ctx context.Context, ref jenkins.JobRef, number int) ([]jenkins.Input, error)
	PauseState(ctx context.Context, ref jenkins.JobRef, number int) (paused, building bool, err error)
	LogTail(ctx context.Context, ref jenkins.JobRef, number int, limit int64) (string, error)
}

// triggering is how a build comes to be, once.
type triggering interface {
	EnsureJob(ctx context.Context, j jenkins.Job) (bool, error)
	Start(ctx context.Context, ref jenkins.JobRef, p jenkins.Params) (jenkins.Queued, error)
	Find(ctx context.Context, ref jenkins.JobRef, uid string) (jenkins.Evidence, error)
	Gone(ctx context.Context, ref jenkins.JobRef, uid string) error
}

// ending is how a build or its job ends before its time.
type ending interface {
	CancelQueue(ctx context.Context, id int64) (bool, error)
	Stop(ctx context.Context, ref jenkins.JobRef, number int) error
	Term(ctx context.Context, ref jenkins.JobRef, number int) error
	Kill(ctx context.Context, ref jenkins.JobRef, number int) error
	DeleteJob(ctx context.Context, ref jenkins.JobRef, uid string) error
}

// Jenkins is one Jenkins as the controllers use it; *jenkins.Client is one.
type Jenkins interface {
	watching
	triggering
	ending
	SetPaused(ctx context.Context, ref jenkins.JobRef, number int, want bool) error
	Close()
}

// engine is one Jenkins that is looked at for all its executions together: one question
// about its queue and one about each folder per look, however many there are.
type engine struct {
	client  Jenkins
	url     string // without a slash at its end
	log     *slog.Logger
	clock   clock.WithTicker
	metrics *Metrics
	notify  func(types.NamespacedName)
	// refused is called when Jenkins does not accept our credentials.
	refused func()
	verbs   chan struct{}
	kicked  chan struct{}

	mu        sync.Mutex
	watches   map[types.UID]*watched
	failures  int
	down      string // reason; "" when it answered last time
	message   string
	downSince time.Time
	quiet     bool
	session   string
	looked    bool
	suspects  map[string]*suspect // folders that could not be read, by name
	noPauses  int                 // answers in a row that this session cannot tell whether a build is paused
}

type watched struct {
	key   types.NamespacedName
	ref   jenkins.JobRef
	look  pipeline.Look
	final bool // its build is over and the last stages are read
}

func newEngine(o Options, client Jenkins, url string, notify func(types.NamespacedName), refused func()) *engine {
	return &engine{
		client: client, url: strings.TrimRight(url, "/"), log: o.Log.With("jenkins", url), clock: o.Clock, metrics: o.Metrics, notify: notify, refused: refused,
		verbs: make(chan struct{}, verbLimit), kicked: make(chan struct{}, 1), watches: map[types.UID]*watched{},
		suspects: map[string]*suspect{},
	}
}

// watch has the engine look at an execution's job from now on.
func (e *engine) watch(uid types.UID, key types.NamespacedName, ref jenkins.JobRef) {
	e.mu.Lock()
	_, known := e.watches[uid]
	if !known {
		e.watches[uid] = &watched{key: key, ref: ref}
	}
	e.mu.Unlock()
	if !known {
		e.kick()
	}
}

func (e *engine) unwatch(uid types.UID) {
	e.mu.Lock()
	delete(e.watches, uid)
	e.mu.Unlock()
}

// idle: it watches nothing.
func (e *engine) idle() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.watches) == 0
}

// kick asks for a look at once.
func (e *engine) kick() {
	select {
	case e.kicked <- struct{}{}:
	default:
	}
}

// view is what is known of an execution now.
func (e *engine) view(uid types.UID) pipeline.Engine {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := pipeline.Engine{Server: e.url, Down: e.down, Message: e.message, DownSince: e.downSince, QuietingDown: e.quiet}
	if w := e.watches[uid]; w != nil {
		v.Look = w.look
		if s := e.suspects[w.ref.Folder]; s != nil && s.reason != "" && e.down == "" {
			v.Down, v.Message, v.DownSince = s.reason, s.message, s.since
		}
	}
	return v
}

// run looks until ctx ends.
func (e *engine) run(ctx context.Context) {
	defer e.client.Close()
	var aside sync.WaitGroup
	defer aside.Wait()
	next := time.Duration(0)
	for {
		timer := e.clock.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		case <-e.kicked:
			timer.Stop()
			if !e.pause(ctx, lookGap) {
				return
			}
		}
		begin := e.clock.Now()
		e.tick(ctx)
		e.lookAside(ctx, &aside)
		took := e.clock.Since(begin)
		e.metrics.jenkinsSeconds.Observe(took.Seconds())
		next = e.interval(took)
	}
}

func (e *engine) pause(ctx context.Context, d time.Duration) bool {
	timer := e.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}

func (e *engine) interval(took time.Duration) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.failures > 0:
		d := min(lookInterval<<min(e.failures-1, 10), failInterval)
		return d/2 + rand.N(d/2+1) // so that many do not come back at once
	case len(e.watches) == 0:
		return idleInterval
	default:
		return min(max(lookInterval, 4*took), slowInterval)
	}
}

// tick is one look at everything.
func (e *engine) tick(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	folders, ping := e.due()
	if ping {
		info, err := e.client.Ping(ctx)
		if err != nil {
			e.fail(ctx, err)
			return
		}
		e.setQuiet(info)
	}
	at := e.clock.Now()
	var snap jenkins.Snapshot
	if len(folders) > 0 {
		var err error
		if snap, err = e.snapshot(ctx, folders); err != nil {
			e.fail(ctx, err)
			return
		}
	}
	e.up()
	e.apply(at, snap, folders)
	e.readStages(ctx)
	e.readPauses(ctx)
}

func (e *engine) snapshot(ctx context.Context, folders []string) (jenkins.Snapshot, error) {
	e.mu.Lock()
	patient := len(folders) == 1 || e.failures > 0
	e.mu.Unlock()
	if !patient {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lookPatience)
		defer cancel()
	}
	return e.client.Snapshot(ctx, folders...)
}

func (e *engine) due() (folders []string, ping bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.watches {
		if e.suspects[w.ref.Folder] == nil && !slices.Contains(folders, w.ref.Folder) {
			folders = append(folders, w.ref.Folder)
		}
	}
	slices.Sort(folders)
	ping = len(folders) == 0 || !e.looked || e.failures > 0 || e.quiet || rand.N(pingEvery) == 0
	return folders, ping
}

// fail keeps everything as it was: an engine that does not answer says nothing.
func (e *engine) fail(ctx context.Context, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	e.metrics.jenkinsLooks.WithLabelValues("error").Inc()
	f := engineFailure(err)
	e.mu.Lock()
	first := e.down == ""
	if first {
		e.downSince = e.clock.Now()
	}
	changed := e.down != f.Reason
	e.failures++
	e.down, e.message, e.looked = f.Reason, f.Message, true
	e.mu.Unlock()
	if changed {
		e.log.Warn("Jenkins cannot be used", "reason", f.Reason, "error", err)
		e.notifyAll()
	}
	if f.Reason == v1alpha1.ReasonEngineUnauthorized {
		e.refused()
	}
}

func (e *engine) up() {
	e.metrics.jenkinsLooks.WithLabelValues("ok").Inc()
	e.mu.Lock()
	back := e.down != "" || !e.looked
	e.failures, e.down, e.message, e.downSince, e.looked = 0, "", "", time.Time{}, true
	e.mu.Unlock()
	if back {
		e.log.Info("Jenkins answers")
		e.notifyAll()
	}
}

func (e *engine) setQuiet(info jenkins.Info) {
	e.mu.Lock()
	changed := e.quiet != info.QuietingDown
	e.quiet = info.QuietingDown
	e.mu.Unlock()
	if changed {
		e.log.Info("Jenkins changed its mind about shutting down", "quietingDown", info.QuietingDown)
		e.notifyAll()
	}
}

func (e *engine) notifyAll() {
	e.mu.Lock()
	keys := make([]types.NamespacedName, 0, len(e.watches))
	for _, w := range e.watches {
		keys = append(keys, w.key)
	}
	e.mu.Unlock()
	for _, k := range keys {
		e.notify(k)
	}
}

// apply takes over what a look at folders showed and tells whose picture changed.
func (e *engine) apply(at time.Time, snap jenkins.Snapshot, folders []string) {
	changed := e.suspect(snap.Failed)
	e.mu.Lock()
	for uid, w := range e.watches {
		if _, failed := snap.Failed[w.ref.Folder]; failed || !slices.Contains(folders, w.ref.Folder) {
			continue // nothing is known of it, or it is watched since the look began
		}
		look := lookOf(string(uid), at, snap.Session, snap.Jobs, w.ref)
		old := w.look
		look.Stages, look.StagesAt, look.NoStages = old.Stages, old.StagesAt, old.NoStages
		look.Question, look.Paused, look.PausedAt = old.Question, old.Paused, old.PausedAt
		if w.final = w.final && isOver(look); isOver(look) && !w.final {
			look.StagesAt = time.Time{} // they may have moved since
		}
		w.look = look
		if old.At.IsZero() || !sameLook(old, look) {
			changed = append(changed, w.key)
		}
	}
	if e.session != snap.Session {
		e.session, e.noPauses = snap.Session, 0 // plugins change with a restart only
	}
	e.mu.Unlock()
	for _, k := range changed {
		e.notify(k)
	}
}
