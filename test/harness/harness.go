// Package harness runs the whole product on this machine, for the end-to-end tests
// and the demo: a cluster, a Git host, the Jenkins double, hookd as a program of its
// own with its own rights, and the plugin behind the real kubectl.
//
// It contains no assertion. Start reading at Start.
package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/githost"
)

// HookdNamespace is where the manifests put hookd.
const HookdNamespace = "kubectl-pipeline"

// Options says what to run.
type Options struct {
	// Simulated and Real are the numbers of nodes.
	Simulated, Real int
	// Replicas of hookd. Default: 1; less than 0: none, StartHookd is the caller's.
	Replicas int
	// Jenkins changes the options that the double is made with.
	Jenkins func(*jenkinstest.Options)
	// Log receives a line for each thing that comes up. Default: nothing.
	Log func(format string, args ...any)
}

// World is everything that runs.
type World struct {
	Cluster *cluster.Cluster
	Clients *kube.Clients
	Git     *githost.Host
	Jenkins *jenkinstest.Server
	// JenkinsURL is where the double answers.
	JenkinsURL string
	// Hookd holds the running replicas.
	Hookd []*Hookd

	opts    Options
	dir     string
	bin     string
	root    string
	servers []io.Closer
	starter *starter
}

// Start brings everything up and returns when hookd is ready. The caller calls Stop.
func Start(ctx context.Context, opts Options) (*World, error) {
	if opts.Log == nil {
		opts.Log = func(string, ...any) {}
	}
	w := &World{opts: opts, starter: newStarter()}
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(err, w.Stop())
	}
	return w, nil
}

func (w *World) start(ctx context.Context) error {
	var err error
	if w.dir, err = os.MkdirTemp("", "kubectl-pipeline-harness-"); err != nil {
		return err
	}
	if w.root, err = moduleRoot(ctx); err != nil {
		return err
	}
	if err := w.build(ctx); err != nil {
		return err
	}
	w.opts.Log("starting a cluster (%s)", nodes(w.opts))
	if w.Cluster, err = cluster.Start(ctx, cluster.Options{Simulated: w.opts.Simulated, Real: w.opts.Real}); err != nil {
		return err
	}
	if w.Clients, err = kube.NewClients(w.Cluster.RESTConfig()); err != nil {
		return err
	}
	if err := w.startGit(); err != nil {
		return err
	}
	w.opts.Log("starting the Jenkins double (a test double, not Jenkins)")
	if err := w.startJenkins(); err != nil {
		return err
	}
	w.opts.Log("installing the manifests and starting hookd")
	if err := w.install(ctx); err != nil {
		return err
	}
	if w.opts.Replicas == 0 {
		w.opts.Replicas = 1
	}
	for range w.opts.Replicas {
		if _, err := w.StartHookd(ctx); err != nil {
			return err
		}
	}
	return nil
}

func nodes(o Options) string {
	switch {
	case o.Real > 0 && o.Simulated > 0:
		return fmt.Sprintf("%d real and %d simulated nodes", o.Real, o.Simulated)
	case o.Real > 0:
		return fmt.Sprintf("%d real nodes", o.Real)
	default:
		return fmt.Sprintf("%d simulated nodes", o.Simulated)
	}
}

func (w *World) startGit() error {
	l, url, err := w.listen()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(w.dir, "git.log"))
	if err != nil {
		return err
	}
	w.servers = append(w.servers, log)
	if w.Git, err = githost.New(filepath.Join(w.dir, "git"), url, slog.New(slog.NewTextHandler(log, nil))); err != nil {
		return err
	}
	w.serve(l, w.Git)
	return nil
}

// listen opens a port that the cluster's pods reach too.
func (w *World) listen() (net.Listener, string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(w.Cluster.HostIP(), "0"))
	if err != nil {
		return nil, "", err
	}
	return l, "http://" + l.Addr().String(), nil
}

func (w *World) serve(l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: httpTimeout}
	w.servers = append(w.servers, s)
	go func() { _ = s.Serve(l) }() // ends with Close, in Stop
}

// Stop ends everything, in the opposite order.
func (w *World) Stop() error {
	var errs []error
	for _, h := range w.Hookd {
		errs = append(errs, h.Stop())
	}
	if w.Jenkins != nil {
		w.Jenkins.Close()
	}
	for _, s := range w.servers {
		errs = append(errs, s.Close())
	}
	if w.Git != nil {
		w.Git.Wait()
	}
	if w.Cluster != nil {
		errs = append(errs, w.Cluster.Stop())
	}
	errs = append(errs, w.starter.Close())
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}
