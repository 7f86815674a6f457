package controller

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

const (
	// secretAge is how long credentials are used before the Secret is read again: Secrets
	// are not watched, so that hookd needs no right to list them.
	secretAge = time.Minute
	// refusedAge is the same after Jenkins refused them.
	refusedAge = 10 * time.Second
	// leaveAfter is how long the Jenkins of a project without a setting is still known:
	// what the project has left there is cleaned up meanwhile.
	leaveAfter = 10 * time.Minute
)

// engines holds the Jenkins instances in use: one for each address and credentials, so
// projects that share a Jenkins share its poller too, and one slow Jenkins keeps nobody
// else waiting.
type engines struct {
	o      Options
	notify func(types.NamespacedName)

	mu       sync.Mutex
	ctx      context.Context // of the pollers; set by start
	running  sync.WaitGroup
	byKey    map[string]*running
	retired  map[string]*running // that no project uses any more, but executions do
	projects map[string]*binding
}

type running struct {
	engine *engine
	cancel context.CancelFunc
}

// binding is which engine a project uses, as of its setting and Secret.
type binding struct {
	mu      sync.Mutex // held while it is being read
	version string     // of the setting
	read    time.Time
	refused atomic.Bool
	key     string
	former  []string // keys that it had before; guarded by engines.mu
	failure *pipeline.Failure
	gone    time.Time // since when the project has no setting; guarded by engines.mu
}

func newEngines(o Options, notify func(types.NamespacedName)) *engines {
	return &engines{o: o, notify: notify, byKey: map[string]*running{}, retired: map[string]*running{}, projects: map[string]*binding{}}
}

// start lets pollers live until ctx ends; wait returns when they have.
func (s *engines) start(ctx context.Context) {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
}

func (s *engines) wait() { s.running.Wait() }

// of is the engine that a project's executions run on.
func (s *engines) of(ctx context.Context, project string, setting *v1alpha1.PipelineSetting) (*engine, *pipeline.Failure) {
	s.mu.Lock()
	b := s.projects[project]
	if b == nil {
		b = &binding{}
		if setting != nil { // else there is nothing to keep: namespaces come and go
			s.projects[project] = b
		}
	}
	if setting != nil {
		b.gone = time.Time{}
	}
	s.mu.Unlock()

	b.mu.Lock()
	defer b.mu.Unlock()
	version := ""
	if setting != nil {
		version = string(setting.UID) + "/" + setting.ResourceVersion
	}
	age := s.o.Clock.Since(b.read)
	stale := age >= secretAge || (b.refused.Load() || b.failure != nil) && age >= refusedAge
	if b.read.IsZero() || b.version != version || stale {
		s.bind(ctx, b, project, setting)
		b.version, b.read = version, s.o.Clock.Now()
		b.refused.Store(false)
	}
	if b.failure != nil {
		return nil, b.failure
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byKey[b.key]; r != nil {
		return r.engine, nil
	}
	return nil, &pipeline.Failure{Reason: v1alpha1.ReasonEngineUnavailable, Message: "hookd is stopping"}
}

// bind reads which Jenkins it is, and starts its poller when it is the first that uses it.
func (s *engines) bind(ctx context.Context, b *binding, project string, setting *v1alpha1.PipelineSetting) {
	cfg, key, failure := connection(ctx, s.o.Clients, project, setting)
	if failure != nil {
		if failure.Reason != v1alpha1.ReasonEngineUnavailable || b.key == "" {
			b.failure = failure // a Secret that cannot be read just now does not end what works
		}
		return
	}
	old := b.key
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.retired[key]; r != nil { // the setting was changed back
		delete(s.retired, key)
		s.byKey[key] = r
	}
	if s.byKey[key] == nil {
		if s.ctx == nil || s.ctx.Err() != nil {
			b.failure = &pipeline.Failure{Reason: v1alpha1.ReasonEngineUnavailable, Message: "hookd is stopping"}
			return
		}
		client, err := s.o.NewJenkins(cfg)
		if err != nil {
			b.failure = notConfigured("spec.engine.jenkins of PipelineSetting %s/%s: %v", project, v1alpha1.SettingName, err)
			return
		}
		e := newEngine(s.o, client, cfg.BaseURL, s.notify, func() { s.refuse(key) })
		ctx, cancel := context.WithCancel(s.ctx)
		s.byKey[key] = &running{e, cancel}
		s.running.Go(func() { e.run(ctx) })
	}
	b.key, b.failure = key, nil
	if old != "" && old != key {
		b.former = append(slices.DeleteFunc(b.former, func(k string) bool { return k == old || s.byKey[k] == nil && s.retired[k] == nil }), old)
		s.drop(old, project)
	}
}

// drop puts an engine aside that no project uses any more: it goes on for executions that
// were started there. The caller holds s.mu.
func (s *engines) drop(key, leaving string) {
	for project, b := range s.projects {
		if project != leaving && b.key == key {
			return
		}
	}
	if r := s.byKey[key]; r != nil {
		delete(s.byKey, key)
		s.retired[key] = r
		r.engine.notifyAll() // those of the same address watch the new one when they are looked at next
		s.sweep()
	}
}

// sweep stops engines that were put aside and watch nothing any more. The caller holds
// s.mu.
func (s *engines) sweep() {
	for key, r := range s.retired {
		if r.engine.idle() {
			delete(s.retired, key)
			r.cancel()
		}
	}
}

// at is the engine that a project used before at that address, nil when this process
// does not know it: the credentials of one Jenkins are never sent to another.
func (s *engines) at(project, url string) *engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.projects[project]
	if b == nil {
		return nil
	}
	for _, key := range slices.Backward(b.former) {
		for _, r := range []*running{s.byKey[key], s.retired[key]} {
			if r != nil && r.engine.url == url {
				return r.engine
			}
		}
	}
	return nil
}

// last is the engine that a project used last, nil when that is not known: its setting
// or Secret may be gone.
func (s *engines) last(project string) *engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.projects[project]; b != nil {
		if r := s.byKey[b.key]; r != nil {
			return r.engine
		}
	}
	return nil
}

// leave lets the engine of a project that has no setting go, in a while, and tells when
// to call again.
func (s *engines) leave(project string) Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.projects[project]
	if b == nil {
		return Done{}
	}
	if b.gone.IsZero() {
		b.gone = s.o.Clock.Now()
	}
	if left := leaveAfter - s.o.Clock.Since(b.gone); left > 0 {
		return Wait(left)
	}
	delete(s.projects, project)
	s.drop(b.key, project)
	return Done{}
}

// refuse has the credentials of an engine read again soon.
func (s *engines) refuse(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.projects {
		if b.key == key {
			b.refused.Store(true)
		}
	}
}

// state counts engines that answer, and those that do not.
func (s *engines) state() (up, down int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	for _, r := range s.byKey {
		r.engine.mu.Lock()
		if r.engine.down == "" {
			up++
		} else {
			down++
		}
		r.engine.mu.Unlock()
	}
	return up, down
}

func jenkinsClient(cfg jenkins.Config) (Jenkins, error) {
	c, err := jenkins.New(cfg)
	if err != nil {
		return nil, err
	}
	return c, nil
}
