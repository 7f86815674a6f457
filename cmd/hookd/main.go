// Command hookd receives webhooks, serves logs, and runs the controllers that have
// Jenkins carry executions out. Every replica does the first two, the leader the third.
//
// It parses flags, wires packages and waits for SIGTERM; it decides nothing itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/klog/v2"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:], os.Getenv, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "hookd:", err)
		os.Exit(2)
	case o.version:
		fmt.Fprintln(os.Stdout, version.Version)
		return
	}
	log := slog.New(o.handler(os.Stderr))
	slog.SetDefault(log)
	klog.SetSlogLogger(log.With("from", "client-go"))
	if err := run(ctx, o, log); err != nil {
		log.Error("hookd ended", "error", err)
		os.Exit(1)
	}
	log.Info("hookd ended")
}

// options are the flags.
type options struct {
	kubeconfig, namespace  string
	listen, metricsListen  string
	externalURL            string
	leaderElect, version   bool
	logFormat, logLevelArg string
	logLevel               slog.Level
	leaseDuration          time.Duration
}

func parse(args []string, getenv func(string) string, out io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("hookd", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig `file`; default: the pod's own account")
	f.StringVar(&o.namespace, "namespace", getenv("POD_NAMESPACE"), "`namespace` that hookd runs in, of the leader's lease; default: $POD_NAMESPACE")
	f.StringVar(&o.listen, "listen", ":8080", "`address` of webhooks and logs")
	f.StringVar(&o.metricsListen, "metrics-listen", ":8081", "`address` of /metrics, /healthz and /readyz")
	f.StringVar(&o.externalURL, "external-url", "", "`URL` at which Git hosts reach the address of --listen; shown in repositories' status")
	f.BoolVar(&o.leaderElect, "leader-elect", true, "run the controllers only while holding the lease; needed with more than one replica")
	f.DurationVar(&o.leaseDuration, "lease-duration", kube.DefaultLeaseDuration, "how long nothing is carried out after a leader died; whole seconds. A leader that cannot reach the API server gives up after two thirds of it")
	f.StringVar(&o.logFormat, "log-format", "json", "json or text")
	f.StringVar(&o.logLevelArg, "log-level", "info", "debug, info, warn or error")
	f.BoolVar(&o.version, "version", false, "print the version and end")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q: hookd takes flags only", f.Arg(0))
	case o.logFormat != "json" && o.logFormat != "text":
		return o, fmt.Errorf("--log-format %q: want json or text", o.logFormat)
	case o.leaseDuration < time.Second || o.leaseDuration%time.Second != 0:
		return o, fmt.Errorf("--lease-duration %s: want whole seconds, at least 1s", o.leaseDuration)
	case o.leaderElect && o.namespace == "" && !o.version:
		return o, errors.New("--namespace or $POD_NAMESPACE is needed with --leader-elect")
	}
	if err := o.logLevel.UnmarshalText([]byte(o.logLevelArg)); err != nil {
		return o, fmt.Errorf("--log-level %q: want debug, info, warn or error", o.logLevelArg)
	}
	return o, nil
}

func (o options) handler(w io.Writer) slog.Handler {
	h := &slog.HandlerOptions{Level: o.logLevel}
	if o.logFormat == "text" {
		return slog.NewTextHandler(w, h)
	}
	return slog.NewJSONHandler(w, h)
}
