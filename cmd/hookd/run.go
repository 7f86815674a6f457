package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/utils/clock"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/controller"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/hook"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/logs"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/version"
)

// leaseName is the lease of the controllers, in hookd's own namespace.
const leaseName = "hookd"

// run serves until ctx ends, and then ends what it has begun.
func run(ctx context.Context, o options, log *slog.Logger) error {
	cfg, err := kube.ServerConfig(o.kubeconfig, "hookd/"+version.Version)
	if err != nil {
		return err
	}
	clients, err := kube.NewClients(cfg)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	hooks := hook.NewHandler(hook.Options{Clients: clients, Logger: log.With("part", "hook"), Metrics: registry})
	connector := controller.NewConnector(clients)
	reader := logs.NewHandler(logs.Options{Clients: clients, Logger: log.With("part", "logs"), Sources: sources(connector)})
	public := http.NewServeMux()
	public.Handle("/hooks/", hooks)
	public.Handle("/logs/", reader)

	leading := &leader{options: controller.Options{
		Clients: clients, Reader: scm.NewReader(scm.Options{}), ExternalURL: o.externalURL,
		Log: log, Metrics: controller.NewMetrics(registry),
	}}
	private := http.NewServeMux()
	private.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	private.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	private.HandleFunc("/readyz", probe(hooks.Ready, leading.ready))

	publicListener, err := hook.Listen(o.listen)
	if err != nil {
		return err
	}
	privateListener, err := hook.Listen(o.metricsListen)
	if err != nil {
		publicListener.Close()
		return err
	}
	log.Info("hookd serves", "version", version.Version, "listen", publicListener.Addr().String(), "metrics", privateListener.Addr().String())

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return hook.Serve(ctx, publicListener, hook.NewServer(public, log)) })
	g.Go(func() error { return hook.Serve(ctx, privateListener, hook.NewServer(private, log)) })
	g.Go(func() error { return hooks.Run(ctx) })
	g.Go(func() error {
		if !o.leaderElect {
			return leading.run(ctx)
		}
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("name this replica: %w", err)
		}
		lease := kube.Lease{
			Clients: clients, Namespace: o.namespace, Name: leaseName, Identity: host + "_" + string(uuid.NewUUID()),
			Duration: o.leaseDuration, Log: log, Clock: clock.RealClock{},
		}
		return lease.Lead(ctx, leading.run)
	})
	return g.Wait()
}

// leader runs the controllers, new ones each time this replica becomes the leader.
type leader struct {
	options controller.Options
	current atomic.Pointer[controller.Controllers]
}

func (l *leader) run(ctx context.Context) error {
	c := controller.New(l.options)
	l.current.Store(c)
	defer l.current.Store(nil)
	return c.Run(ctx)
}

// ready: a replica that does not lead has nothing to wait for.
func (l *leader) ready() error {
	if c := l.current.Load(); c != nil {
		return c.Ready()
	}
	return nil
}

// probe answers 200 when every check passes.
func probe(checks ...func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var errs []error
		for _, check := range checks {
			errs = append(errs, check())
		}
		if err := errors.Join(errs...); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}
