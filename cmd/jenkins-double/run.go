package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// run serves until ctx ends, then ends all builds. It prints a line for each address, so that port 0 can be asked for.
func run(ctx context.Context, o options, out io.Writer) error {
	var err error
	if o.jenkins.Agents, err = agents(o); err != nil {
		return err
	}
	double := jenkinstest.New(o.jenkins)
	defer double.Close()
	failed := make(chan error, 2)
	for _, s := range []struct {
		name, address string
		handler       http.Handler
	}{
		{"jenkins", o.listen, double},
		{"control", o.control, double.Control(o.controlSecret)},
	} {
		if s.address == "" {
			continue
		}
		l, err := net.Listen("tcp", s.address)
		if err != nil {
			return err
		}
		server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second}
		defer server.Close()
		go func() { failed <- server.Serve(l) }()
		fmt.Fprintf(out, "%s http://%s%s\n", s.name, l.Addr(), map[bool]string{true: o.jenkins.ContextPath}[s.name == "jenkins"])
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func agents(o options) (jenkinstest.Agents, error) {
	switch o.agents {
	case "none":
		return jenkinstest.ScriptedAgents(nil), nil
	case "local":
		return jenkinstest.LocalAgents(o.pods.WorkspaceRoot), nil
	case "kubernetes":
		rules := clientcmd.NewDefaultClientConfigLoadingRules()
		rules.ExplicitPath = o.kubeconfig
		config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("find the cluster: %w", err)
		}
		return jenkinstest.KubeAgents(config, o.pods)
	}
	return nil, errors.New("--agents: want none, local or kubernetes")
}
