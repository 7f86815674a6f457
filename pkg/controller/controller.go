package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
)

// ConfigReader reads from Git hosts; *scm.Reader is one.
type ConfigReader interface {
	Resolve(ctx context.Context, repo scm.Repository, ref string) (commit string, err error)
	File(ctx context.Context, repo scm.Repository, commit string, paths []string) (path, content string, err error)
}

// Options are what the controllers are made of.
type Options struct {
	// Clients of the API server. Required.
	Clients *kube.Clients
	// Reader of config files. Required.
	Reader ConfigReader
	// ExternalURL is where Git hosts reach hookd, "" when it does not know.
	ExternalURL string
	// NewJenkins makes the client of a Jenkins. Default: jenkins.New.
	NewJenkins func(jenkins.Config) (Jenkins, error)
	// Recorder of events. Default: one that writes core/v1 events.
	Recorder record.EventRecorder
	// Log. Default: none.
	Log *slog.Logger
	// Metrics. Default: ones that nobody reads.
	Metrics *Metrics
	// Clock. Default: the real one.
	Clock clock.WithTicker
	// Workers is how many executions are looked at at once. Default: 32, which mostly wait
	// for answers.
	Workers int
}

func (o *Options) setDefaults() {
	if o.NewJenkins == nil {
		o.NewJenkins = jenkinsClient
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Workers <= 0 {
		o.Workers = 32
	}
}

// Controllers are all of them, for one run: make new ones to run again.
type Controllers struct {
	o      Options
	shared *shared

	executions   *executions
	admissions   *admissions
	pipelines    *pipelines
	repositories *repositories
	settings     *settings
	histories    *histories
	deletions    *deletions

	running, synced atomic.Bool
}

// shared is what controllers have in common: caches of what is not finished.
type shared struct {
	o               Options
	executionCache  cache.SharedIndexInformer // active ones only
	pipelineCache   cache.SharedIndexInformer
	settingCache    cache.SharedIndexInformer
	repositoryCache cache.SharedIndexInformer
	podCache        cache.SharedIndexInformer // agents only
	latest          *latest
}

// Indexes of the caches.
const (
	byPipeline = "pipeline" // executions by namespace/pipeline
	byUID      = "uid"      // executions by their uid, pods by that of their execution
	byLabel    = "label"    // pipelines by namespace/label of their executions
)

// +kubebuilder:rbac:groups=kubectl-pipeline.io,resources=pipelineexecutions;pipelines;pipelinesettings;sourcecoderepositories,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=events,verbs=create;update;patch

// New makes the controllers. Nothing runs before Run.
func New(o Options) *Controllers {
	o.setDefaults()
	c := &Controllers{o: o}
	s := &shared{o: o, latest: newLatest()}
	// An execution without the label is one that somebody made by hand: it is active too.
	s.executionCache = o.Clients.Executions("").ReadableInformer(v1alpha1.LabelPhaseClass+"!="+v1alpha1.PhaseClassFinished, cache.Indexers{
		cache.NamespaceIndex: cache.MetaNamespaceIndexFunc,
		byPipeline: func(obj any) ([]string, error) {
			e, ok := obj.(*v1alpha1.PipelineExecution)
			if !ok {
				return nil, nil
			}
			return []string{e.Namespace + "/" + e.Spec.PipelineRef.Name}, nil
		},
		byUID: func(obj any) ([]string, error) {
			e, ok := obj.(*v1alpha1.PipelineExecution)
			if !ok {
				return nil, nil
			}
			return []string{string(e.UID)}, nil
		},
	}, s.unreadable)
	s.pipelineCache = o.Clients.Pipelines("").ReadableInformer("", cache.Indexers{byLabel: func(obj any) ([]string, error) {
		p, ok := obj.(*v1alpha1.Pipeline)
		if !ok {
			return nil, nil
		}
		return []string{p.Namespace + "/" + v1alpha1.LabelValue(p.Name)}, nil
	}}, s.unreadable)
	s.settingCache = o.Clients.Settings("").ReadableInformer("", nil, s.unreadable)
	s.repositoryCache = o.Clients.Repositories("").ReadableInformer("", nil, s.unreadable)
	s.podCache = o.Clients.Pods("").Informer(v1alpha1.LabelExecutionUID, cache.Indexers{
		byUID: func(obj any) ([]string, error) {
			p, ok := obj.(*corev1.Pod)
			if !ok {
				return nil, nil
			}
			return []string{p.Labels[v1alpha1.LabelExecutionUID]}, nil
		},
	})
	c.shared = s
	c.admissions = newAdmissions(s)
	c.pipelines = newPipelines(s)
	c.settings = newSettings(s)
	c.executions = newExecutions(s, c.admissions, c.pipelines)
	c.admissions.executions, c.admissions.settings, c.settings.engines = c.executions, c.settings, c.executions.engines
	c.repositories = newRepositories(s)
	c.histories = newHistories(s)
	c.executions.histories = c.histories
	c.deletions = newDeletions(s, c.executions.forget, c.histories.passBy)
	return c
}

// Ready is nil when the controllers run on caches that are filled.
func (c *Controllers) Ready() error {
	if c.running.Load() && !c.synced.Load() {
		return errors.New("controllers: caches are not filled yet")
	}
	return nil
}

// Run runs the controllers until ctx ends. It returns when everything that it started
// has ended.
func (c *Controllers) Run(ctx context.Context) error {
	if c.running.Swap(true) {
		return errors.New("run controllers: they have run before")
	}
	s := c.shared
	background, stop := context.WithCancel(context.WithoutCancel(ctx)) // outlives the drain of the queues
	if s.o.Recorder == nil {
		s.o.Recorder = newRecorder(background, s.o.Clients, "hookd")
	}
	if err := c.handlers(); err != nil {
		stop()
		return err
	}
	informers := map[string]cache.SharedIndexInformer{
		"executions": s.executionCache, "pipelines": s.pipelineCache, "settings": s.settingCache, "repositories": s.repositoryCache, "pods": s.podCache,
	}
	synced := make([]cache.InformerSynced, 0, len(informers))
	var below errgroup.Group
	for name, i := range informers {
		if err := i.SetTransform(trim); err != nil {
			stop()
			return fmt.Errorf("prepare cache of %s: %w", name, err)
		}
		synced = append(synced, i.HasSynced)
		below.Go(func() error { i.RunWithContext(background); return nil })
	}
	c.executions.engines.start(background)

	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if cache.WaitForCacheSync(gctx.Done(), synced...) {
			c.synced.Store(true)
			s.o.Log.Info("controllers run")
		}
		return nil
	})
	g.Go(func() error { return c.admissions.queue.Run(gctx, 2, synced...) })
	g.Go(func() error { return c.executions.queue.Run(gctx, s.o.Workers, synced...) })
	g.Go(func() error { return c.pipelines.queue.Run(gctx, 4, synced...) })
	g.Go(func() error { return c.settings.queue.Run(gctx, 2, synced...) })
	g.Go(func() error { return c.repositories.queue.Run(gctx, 2, synced...) })
	g.Go(func() error { return c.histories.queue.Run(gctx, 2, synced...) })
	g.Go(func() error {
		if !cache.WaitForCacheSync(gctx.Done(), s.pipelineCache.HasSynced) {
			return nil
		}
		return c.deletions.run(gctx)
	})
	err := g.Wait()
	stop()
	_ = below.Wait() // its functions return nil
	c.executions.engines.wait()
	if ctx.Err() != nil {
		return nil // asked to end, and ended
	}
	return err
}

// handlers turn changes into keys. They never look at what changed: that is for the
// looks themselves, which may come late.
func (c *Controllers) handlers() error {
	s := c.shared
	executionKey := func(obj any, gone bool) {
		e, ok := obj.(*v1alpha1.PipelineExecution)
		if !ok {
			return
		}
		if gone {
			c.executions.outOfCache(e.UID)
		}
		c.executions.queue.Add(keyOf(e))
		if gone || e.DeletionTimestamp != nil || !holdsSlot(e) { // else nobody's place changes
			c.admissions.queue.Add(e.Namespace)
		}
		c.pipelines.queue.AddAfter(types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.PipelineRef.Name}, rollupDelay)
	}
	settingKey := func(obj any, _ bool) {
		if o, ok := obj.(*v1alpha1.PipelineSetting); ok {
			c.admissions.queue.Add(o.Namespace)
			c.settings.queue.Add(o.Namespace)
		}
	}
	settingSpec := func(obj any, _ bool) { // its status counts runs: it is written all the time
		if o, ok := obj.(*v1alpha1.PipelineSetting); ok {
			c.executions.addAll(o.Namespace)
		}
	}
	pipelineKey := func(obj any, _ bool) {
		if o, ok := obj.(*v1alpha1.Pipeline); ok {
			c.admissions.queue.Add(o.Namespace)
			c.pipelines.queue.AddAfter(keyOf(o), rollupDelay) // numbers are written there all the time
		}
	}
	pipelineSpec := func(obj any, _ bool) {
		if o, ok := obj.(*v1alpha1.Pipeline); ok {
			c.histories.queue.AddAfter(keyOf(o), time.Second)
		}
	}
	repositoryKey := func(obj any, _ bool) {
		if o, ok := obj.(*v1alpha1.SourceCodeRepository); ok {
			c.repositories.queue.Add(keyOf(o))
			c.pipelines.addUsers(o)
		}
	}
	podKey := func(obj any, _ bool) {
		if o, ok := obj.(*corev1.Pod); ok {
			c.executions.addUID(types.UID(o.Labels[v1alpha1.LabelExecutionUID]))
		}
	}
	for _, h := range []struct {
		name     string
		informer cache.SharedIndexInformer
		add      func(obj any, gone bool)
	}{
		{"executions", s.executionCache, executionKey}, {"settings", s.settingCache, settingKey}, {"pipelines", s.pipelineCache, pipelineKey},
		{"repositories", s.repositoryCache, repositoryKey}, {"pods", s.podCache, podKey},
	} {
		if _, err := h.informer.AddEventHandler(s.onChange(h.add)); err != nil {
			return fmt.Errorf("watch %s: %w", h.name, err)
		}
	}
	for _, err := range []error{
		addHandler(s.settingCache, s.onSpec(settingSpec)), addHandler(s.pipelineCache, s.onSpec(pipelineSpec)),
	} {
		if err != nil {
			return fmt.Errorf("watch specs: %w", err)
		}
	}
	return nil
}

func addHandler(i cache.SharedIndexInformer, h cache.ResourceEventHandler) error {
	_, err := i.AddEventHandler(h)
	return err
}

// onSpec calls add for each state of an object that people asked for, not for what its
// status says of it.
func (s *shared) onSpec(add func(obj any, gone bool)) cache.ResourceEventHandler {
	h := s.onChange(add).(cache.ResourceEventHandlerFuncs)
	always := h.UpdateFunc
	h.UpdateFunc = func(old, obj any) {
		before, ok := old.(kube.Object)
		now, ok2 := obj.(kube.Object)
		if ok && ok2 && before.GetUID() == now.GetUID() && before.GetGeneration() == now.GetGeneration() {
			return
		}
		always(old, obj)
	}
	return h
}

// onChange calls add for each new state of an object, and for its last.
func (s *shared) onChange(add func(obj any, gone bool)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { add(obj, false) },
		UpdateFunc: func(_, obj any) { add(obj, false) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if o, ok := obj.(kube.Object); ok {
				s.latest.drop(o.GetUID())
			}
			add(obj, true)
		},
	}
}

func keyOf(o kube.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// unreadable says of an object that cannot be decoded, and that no controller sees
// therefore, what is wrong with it.
func (s *shared) unreadable(o *metav1.PartialObjectMetadata, err error) {
	s.o.Log.Error("object left out, it cannot be read", "kind", o.Kind, "namespace", o.Namespace, "name", o.Name, "error", err)
	if s.o.Recorder != nil {
		s.o.Recorder.Event(o, corev1.EventTypeWarning, v1alpha1.ReasonUnreadable, "hookd cannot read this object and does as if it were not there: "+err.Error())
	}
}

// trim drops what no controller reads before an object is kept in memory.
func trim(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Pod:
		o.ManagedFields, o.Annotations = nil, nil
		o.Spec = corev1.PodSpec{NodeName: o.Spec.NodeName}
	case kube.Object:
		o.SetManagedFields(nil)
	}
	return obj, nil
}
