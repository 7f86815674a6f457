// Command jenkins-double serves the Jenkins double for the demo: Jenkins' HTTP API over agent pods in a real cluster. It is a test
// double and says so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "jenkins-double:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var opts jenkinstest.Options
	var agents jenkinstest.AgentOptions
	flags := flag.NewFlagSet("jenkins-double", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8080", "address to serve on")
	kubeconfig := flags.String("kubeconfig", "", "cluster for the agent pods; empty: KUBECONFIG, then the account of this pod")
	flags.StringVar(&agents.AgentImage, "agent-image", "", "image of the agent container; needs a POSIX shell")
	flags.StringVar(&agents.Namespace, "agent-namespace", "", "namespace of agent pods whose template names none")
	flags.StringVar(&agents.WorkspaceRoot, "workspace-root", "", "for simulated nodes: folder on this host for the pods' workspaces")
	flags.StringVar(&opts.User, "user", "", "the one account; empty: no security")
	flags.StringVar(&opts.Token, "token", "", "API token of the account")
	flags.StringVar(&opts.ContextPath, "context-path", "", "as of Jenkins' --prefix, e.g. /jenkins")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = *kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return fmt.Errorf("load kubeconfig: %w", err)
	}
	if opts.Agents, err = jenkinstest.KubeAgents(config, agents); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	double := jenkinstest.New(opts)
	server := &http.Server{Handler: double, ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintf(os.Stderr, "jenkins-double: this is a test double, not Jenkins; it serves http://%s%s\n", listener.Addr(), opts.ContextPath)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	_ = server.Close()
	double.Close()
	return err
}
