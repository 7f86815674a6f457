package harness

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// Account of the Jenkins double.
const (
	JenkinsUser  = "pipeline"
	JenkinsToken = "11aabbccddeeff00112233445566778899"
)

func (w *World) startJenkins() error {
	l, url, err := w.listen()
	if err != nil {
		return err
	}
	agents := jenkinstest.AgentOptions{AgentImage: AgentImage}
	if w.opts.Real == 0 {
		// Steps on simulated nodes run on this machine: keep them in our folder.
		agents.WorkspaceRoot = filepath.Join(w.dir, "workspaces")
		if err := os.MkdirAll(agents.WorkspaceRoot, 0o755); err != nil {
			return err
		}
	}
	pods, err := jenkinstest.KubeAgents(w.Cluster.RESTConfig(), agents)
	if err != nil {
		return err
	}
	w.Jenkins = jenkinstest.New(jenkinstest.Options{Agents: pods, User: JenkinsUser, Token: JenkinsToken, Crumbs: true})
	w.JenkinsURL = url
	w.serve(l, w.Jenkins)
	return nil
}

// install applies the manifests as a person would, then takes hookd's pods away,
// since its image cannot be pulled here: hookd runs as a program beside the
// cluster instead, with the same rights.
func (w *World) install(ctx context.Context) error {
	for _, args := range [][]string{
		{"apply", "--server-side", "-k", filepath.Join(w.root, "manifests")},
		{"wait", "--for=condition=Established", "--timeout=60s", "crd", "-l", "app.kubernetes.io/part-of=kubectl-pipeline"},
		{"-n", HookdNamespace, "scale", "deployment", "hookd", "--replicas=0"},
	} {
		if out, err := w.Kubectl(ctx, HookdNamespace, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %v: %w\n%s", args, err, out)
		}
	}
	return nil
}

// route makes hookd's Service lead to the replicas that run beside the cluster.
func (w *World) route(ctx context.Context) error {
	if w.logsURL() != "" {
		return nil // the API server would not proxy to a loopback address
	}
	manifest := ""
	for i, h := range w.Hookd {
		host, port, err := net.SplitHostPort(h.URL[len("http://"):])
		if err != nil {
			return err
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return err
		}
		manifest += fmt.Sprintf(`---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: hookd-beside-%d, namespace: %s, labels: {kubernetes.io/service-name: hookd}}
addressType: IPv4
ports: [{name: http, port: %d, protocol: TCP}]
endpoints: [{addresses: [%q], conditions: {ready: true}}]
`, i, HookdNamespace, number, host)
	}
	file := filepath.Join(w.dir, "endpoints.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"-n", HookdNamespace, "patch", "service", "hookd", "--type=json", "-p", `[{"op":"remove","path":"/spec/selector"}]`},
		{"apply", "-f", file},
	} {
		if out, err := w.Kubectl(ctx, HookdNamespace, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %v: %w\n%s", args, err, out)
		}
	}
	return nil
}
